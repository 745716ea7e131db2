//! Services of the cluster set (MCS): which endpoints are told to whom, and the second host.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use mesh_model::Compat;
use mesh_model::compat::Flags;
use mesh_model::endpoint::{Discoverability, Endpoint};
use mesh_model::registry::{Change, Mesh, Origin, Registry, Source};
use mesh_model::resource::ObjectKey;
use mesh_model::view::Subset;

const HOST: &str = "cart.shop.svc.cluster.local";
const SET_HOST: &str = "cart.shop.svc.clusterset.local";

fn source(path: &str, text: String) -> Source {
    let origin = Origin::of_path(path).unwrap();
    Source { origin, name: path.into(), text: text.into_bytes() }
}

/// Three clusters with `cart`; the second exports it, the first and the third import it.
fn load(flags: impl Fn(&mut Flags)) -> Registry {
    let mut compat = Compat::default();
    flags(&mut compat.flags);
    let mut registry = Registry::new(compat);
    let mut sources = Vec::new();
    for number in 1..=3 {
        let more = match number {
            2 => "---\n{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceExport, metadata: {name: cart, namespace: shop}}",
            _ => "---\n{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceImport, metadata: {name: cart, namespace: shop},
                   spec: {type: ClusterSetIP, ips: [10.200.0.9, 10.200.0.1], ports: [{port: 80}]}}",
        };
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{clusterIP: 10.100.0.{number}, ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{{addresses: [10.{number}.0.1]}}],
  metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, ports: [{{name: http, port: 8080}}]}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: web-0, namespace: shop}}, spec: {{containers: [{{name: istio-proxy}}]}},
  status: {{phase: Running, podIP: 10.{number}.9.9}}}}
{more}"
        );
        let role = if number == 1 { "role: primary" } else { "role: remote" };
        sources.push(source(&format!("clusters/c{number}/all.yaml"), text));
        sources.push(source(&format!("clusters/c{number}/cluster.yaml"), role.to_owned()));
    }
    let found = registry.load(sources);
    assert!(found.is_empty(), "{found:?}");
    registry
}

/// The endpoints of a host that the client of a cluster may be told of; `None`: no such host.
fn told(mesh: &Mesh, cluster: &str, host: &str) -> Option<String> {
    let proxy = mesh.proxy(&format!("{cluster}/shop/web-0")).unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination(host, 80, Subset::None).ok()?;
    let shards = view.shards(&destination.service).cloned().unwrap_or_default();
    let is_told = |endpoint: &&Endpoint| {
        endpoint.workload.discoverability == Discoverability::Always
            || endpoint.workload.place.cluster == proxy.cluster
    };
    let endpoints = shards.endpoints().filter(is_told);
    Some(endpoints.map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn check(flags: impl Fn(&mut Flags), cluster: &str, expected: [Option<&str>; 2]) {
    let mesh = load(flags).mesh();
    let told = [HOST, SET_HOST].map(|host| told(&mesh, cluster, host));
    assert_eq!(told.each_ref().map(Option::as_deref), expected);
}

fn discovery(flags: &mut Flags) {
    flags.enable_mcs_service_discovery = true;
}

fn host(flags: &mut Flags) {
    discovery(flags);
    flags.enable_mcs_host = true;
}

#[test]
fn by_default_everything_is_told_to_everyone_and_there_is_no_other_host() {
    check(|_| {}, "c1", [Some("10.1.0.1 10.2.0.1 10.3.0.1"), None]);
}

#[test]
fn what_is_not_exported_stays_in_its_cluster() {
    check(discovery, "c1", [Some("10.1.0.1 10.2.0.1"), None]);
    check(discovery, "c2", [Some("10.2.0.1"), None]);
}

#[test]
fn the_host_of_the_cluster_set_has_what_is_exported_and_ones_own() {
    check(host, "c1", [Some("10.1.0.1 10.2.0.1"), Some("10.1.0.1 10.2.0.1")]);
    check(host, "c3", [Some("10.2.0.1 10.3.0.1"), Some("10.2.0.1 10.3.0.1")]);
    let mesh = load(host).mesh();
    let plane = mesh.control_plane_of("c1").unwrap();
    let service = plane.services.iter().find(|service| service.hostname == *SET_HOST).unwrap();
    let vips = service.vips_in(&"c3".into()).iter().map(|vip| &**vip).collect::<Vec<_>>();
    assert_eq!(vips, ["10.200.0.1", "10.200.0.9"]);
    assert!(service.vips_in(&"c2".into()).is_empty());
}

#[test]
fn hosts_of_the_cluster_stay_in_it_where_the_flag_says_so() {
    let local = |flags: &mut Flags| {
        host(flags);
        flags.enable_mcs_cluster_local = true;
    };
    check(local, "c1", [Some("10.1.0.1"), Some("10.1.0.1 10.2.0.1")]);
}

#[test]
fn what_is_exported_by_itself_needs_no_export() {
    let automatic = |flags: &mut Flags| {
        discovery(flags);
        flags.enable_mcs_auto_export = true;
    };
    check(automatic, "c1", [Some("10.1.0.1 10.2.0.1 10.3.0.1"), None]);
}

#[test]
fn an_import_that_is_gone_takes_its_host_with_it() {
    let mut registry = load(host);
    for cluster in ["c1", "c3"] {
        let object =
            ObjectKey { kind: "ServiceImport", namespace: "shop".into(), name: "cart".into() };
        let effect =
            registry.apply(Change::Delete { origin: Origin::Cluster(cluster.into()), object });
        assert!(effect.services.contains(&(SET_HOST.into(), "shop".into())));
    }
    assert_eq!(told(&registry.mesh(), "c1", SET_HOST), None);
}
