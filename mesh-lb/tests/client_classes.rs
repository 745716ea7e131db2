//! Proxies that no rule can tell apart share one assignment.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::sync::Arc;

use mesh_lb::assign::{Assignment, Assignments};
use mesh_model::name::{Hostname, Labels, Namespace, NetworkId};
use mesh_model::registry::{Effect, Mesh, Origin, Registry, Source};
use mesh_model::view::{Proxy, Subset};
use mesh_testkit::by_hand;
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use proptest::prelude::*;

/// A service of four clusters, each a network with three zones; `rule` is its DestinationRule.
fn mesh(rule: &str) -> Arc<Mesh> {
    let mut registry = Registry::default();
    let mut sources = vec![(Origin::Config, rule.to_owned())];
    for cluster in 1..=4 {
        let slice = (1..=9).map(|n| format!("{{addresses: [10.{cluster}.0.{n}]}}"));
        let slice = slice.collect::<Vec<_>>().join(", ");
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{slice}],
  metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, ports: [{{name: http, port: 8080}}]}}
---
{{apiVersion: v1, kind: Namespace, metadata: {{name: istio-system, labels: {{topology.istio.io/network: n{cluster}}}}}}}"
        );
        sources.push((Origin::Cluster(format!("c{cluster}").as_str().into()), text));
    }
    let source = |(index, (origin, text)): (usize, (Origin, String))| Source {
        origin,
        name: format!("{index}.yaml").into(),
        text: text.into_bytes(),
    };
    let diagnostics = registry.load(sources.into_iter().enumerate().map(source));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    registry.mesh()
}

/// One of 20,000 proxies of 12 zones, three a network: no two have the same labels and node.
fn proxy(index: usize) -> Proxy {
    let (cluster, zone) = (index % 4 + 1, index / 4 % 3);
    let mut proxy = by_hand::proxy(&format!("c{cluster}"), &format!("r{cluster}/z{zone}"));
    proxy.network = NetworkId::from(format!("n{cluster}").as_str());
    proxy.node = format!("node-{index}").into();
    let own: Labels =
        [("pod-hash", index.to_string()), ("version", format!("v{}", index / 12 % 2))]
            .into_iter()
            .collect();
    proxy.labels = proxy.labels.overlaid(&own);
    proxy
}

/// How many assignments 20,000 proxies have of the service, and that those of some are what is computed
/// for them alone.
fn check(rule: &str, expected: usize) {
    let mesh = mesh(rule);
    let mut assignments = Assignments::new(mesh.clone());
    for index in 0..20_000 {
        let proxy = proxy(index);
        let view = mesh.view(&proxy).unwrap();
        let cart = view.destination("cart.shop", 80, Subset::None).unwrap();
        let shared = assignments.get(&view, &cart);
        if index % 997 == 0 {
            assert_eq!(*shared, Assignment::new(&view, &cart));
        }
    }
    assert_eq!(assignments.len(), expected);
}

fn rule(spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: shop}},
          spec: {{host: cart.shop.svc.cluster.local, {spec}}}}}"
    )
}

#[test]
fn twelve_zones_of_four_networks_are_twelve_classes() {
    check(&rule("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}"), 12);
}

#[test]
fn a_label_that_ranks_endpoints_tells_clients_apart() {
    let setting = "loadBalancer: {localityLbSetting: {failoverPriority: [version]}}";
    let policy =
        format!("trafficPolicy: {{{setting}, outlierDetection: {{consecutive5xxErrors: 3}}}}");
    check(&rule(&policy), 24);
    // The value is given, so nobody's own is asked for.
    check(&rule(&policy.replace("[version]", "[version=v1]")), 12);
}

/// 20,000 proxies of a whole mesh in 12 zones and 4 networks use a few of its services.
#[test]
fn over_a_synthetic_mesh_each_service_has_as_many_assignments_as_there_are_classes() {
    let measures = Synthetic { services: 40, clusters: 4, networks: 4, ..Synthetic::default() };
    let mut registry = Registry::default();
    registry.load(measures.sources());
    let mesh = registry.mesh();
    let mut assignments = Assignments::new(mesh.clone());
    let clients =
        ["c0", "c1", "c2", "c3"].map(|id| mesh.proxy(&format!("{id}/ns-0/load-0")).unwrap());
    let services = mesh.control_plane_of("c0").unwrap().services.iter().step_by(8);
    let services: Vec<_> = services.cloned().collect();
    for index in 0..20_000 {
        let (cluster, zone) = (index % 4, index / 4 % 3);
        let base = clients[cluster].clone();
        let locality = format!("{}/zone-{zone}", base.locality.region());
        let place = by_hand::proxy(base.cluster.as_str(), &locality);
        let own: Labels = [("pod-hash", index.to_string())].into_iter().collect();
        let labels = base.labels.overlaid(&own);
        let name = format!("load-{index}").into();
        let proxy = Proxy { name, labels, locality: place.locality, ..base };
        let view = mesh.view(&proxy).unwrap();
        for service in &services {
            let port = service.ports[0].number;
            let destination =
                view.destination(service.hostname.as_str(), port, Subset::None).unwrap();
            assignments.get(&view, &destination);
        }
    }
    assert_eq!(assignments.len(), 12 * services.len());
}

/// A service as a proxy asks for it, and its assignment.
type Used = (String, Hostname, Namespace, u16, Arc<Assignment>);

/// The assignments of all that the proxies of a mesh see, each as it is computed alone.
fn use_all(mesh: &Mesh, assignments: &mut Assignments) -> Result<Vec<Used>, TestCaseError> {
    let mut used = Vec::new();
    for name in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&name) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        for service in view.services() {
            for port in service.ports.iter() {
                let asked = view.destination_of(service.clone(), port.clone(), Subset::None);
                let shared = assignments.get(&view, &asked);
                prop_assert_eq!(&*shared, &Assignment::new(&view, &asked));
                let (host, namespace) = (service.hostname.clone(), service.namespace.clone());
                used.push((name.clone(), host, namespace, port.number, shared));
            }
        }
    }
    Ok(used)
}

/// Whether a change is about a service, or about everything.
fn is_about(effect: &Effect, host: &Hostname, namespace: &Namespace) -> bool {
    let service = (host.clone(), namespace.clone());
    effect.everything
        || !effect.networks.is_empty()
        || effect.services.contains(&service)
        || effect.endpoints.contains(&service)
        || effect.namespaces.contains(namespace)
        || effect.hosts.iter().any(|pattern| pattern.matches(host.as_str()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A change outside a service leaves its assignment, the same allocation; what is left is what would be
    /// computed.
    #[test]
    fn a_change_outside_a_service_leaves_its_assignment(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..5),
    ) {
        let mut registry = Registry::default();
        registry.apply_all(mesh);
        let mut assignments = Assignments::new(registry.mesh());
        let mut before = use_all(&registry.mesh(), &mut assignments)?;
        for change in changes {
            let effect = registry.apply(change);
            assignments.renew(registry.mesh(), &effect);
            let after = use_all(&registry.mesh(), &mut assignments)?;
            for (name, host, namespace, port, assignment) in &before {
                let is_moved = effect.proxies.iter().any(|proxy| proxy.to_string() == *name);
                if is_moved || is_about(&effect, host, namespace) {
                    continue;
                }
                let same = |used: &&Used| {
                    used.0 == *name && used.1 == *host && used.2 == *namespace && used.3 == *port
                };
                // The service may be hidden now; two objects can describe it differently.
                let found: Vec<_> = after.iter().filter(same).collect();
                let is_kept = found.iter().any(|used| Arc::ptr_eq(&used.4, assignment));
                let is_kept = is_kept || found.is_empty();
                prop_assert!(is_kept, "{name} {host}:{port} {effect:?}");
            }
            before = after;
        }
    }
}
