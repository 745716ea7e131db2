//! What ztunnels are told, of meshes in a few lines of text.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::net::IpAddr;
use std::sync::Arc;

use mesh_envoy_proto::istio::workload::{Workload, address};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_xds_gen::Generator;
use mesh_xds_gen::snapshot::TypeUrl;
use mesh_xds_gen::workload::Ambient;

const POLICIES: &str = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: shop},
 spec: {selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {namespaces: [web]}}]}]}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: istio-system},
 spec: {mtls: {mode: STRICT}}}
";

/// A cluster `c1` of this text.
fn load(text: &str) -> Arc<Mesh> {
    load_with(Compat::default(), text)
}

fn load_with(compat: Compat, text: &str) -> Arc<Mesh> {
    let source = Source {
        origin: Origin::of_path("clusters/c1/all.yaml").unwrap(),
        name: Arc::from("clusters/c1/all.yaml"),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(compat);
    registry.load([source]);
    registry.mesh()
}

fn ambient(text: &str) -> Ambient {
    let mesh = load(text);
    Ambient::new(&mesh, mesh.control_plane_of("c1").unwrap())
}

fn workload(ambient: &Ambient, name: &str) -> Workload {
    match &ambient.addresses.get(name).unwrap().r#type {
        Some(address::Type::Workload(workload)) => workload.clone(),
        _ => Workload::default(),
    }
}

/// The policies that pod `shop/cart-0` with these labels refers to, among [`POLICIES`].
fn check_policies(labels: &str, more: &str, expected: &[&str]) {
    let pod = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: cart-0, namespace: shop, labels: {labels}}},
          status: {{podIP: 10.0.0.1}}}}"
    );
    let ambient = ambient(&format!("{POLICIES}---\n{pod}\n---\n{more}"));
    let found = workload(&ambient, "c1//Pod/shop/cart-0");
    assert_eq!(found.authorization_policies, expected);
}

const STRICT: &str = "istio-system/istio_converted_static_strict";

#[test]
fn a_workload_refers_to_the_policies_that_select_it() {
    check_policies("{app: cart}", "", &["shop/callers", STRICT]);
    check_policies("{app: web}", "", &[STRICT]);
}

#[test]
fn a_workload_without_labels_refers_to_every_policy_with_a_selector() {
    check_policies("{}", "", &["shop/callers", STRICT]);
}

#[test]
fn a_port_without_an_identity_brings_a_policy_of_its_own() {
    let ports = "{apiVersion: security.istio.io/v1, kind: PeerAuthentication,
      metadata: {name: ports, namespace: shop},
      spec: {selector: {matchLabels: {app: web}}, portLevelMtls: {9090: {mode: PERMISSIVE}}}}";
    check_policies("{app: web}", ports, &["shop/converted_peer_authentication_ports"]);
    let lax = "{apiVersion: security.istio.io/v1, kind: PeerAuthentication,
      metadata: {name: lax, namespace: shop},
      spec: {selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}}}";
    check_policies("{app: web}", lax, &[]);
}

/// The policies that pod `NAMESPACE/p` refers to, where a policy of this namespace is STRICT with an
/// empty selector.
fn check_empty_selector(policy: &str, namespace: &str, expected: &[&str]) {
    let ambient = ambient(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: {namespace}, labels: {{app: p}}}},
          status: {{podIP: 10.0.0.1}}}}
---
{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: all, namespace: {policy}}},
  spec: {{selector: {{}}, mtls: {{mode: STRICT}}}}}}"
    ));
    let found = workload(&ambient, &format!("c1//Pod/{namespace}/p"));
    assert_eq!(found.authorization_policies, expected, "{policy} {namespace}");
}

#[test]
fn an_empty_selector_of_the_root_namespace_is_for_that_namespace_only() {
    check_empty_selector("istio-system", "shop", &[]);
    check_empty_selector("istio-system", "istio-system", &[STRICT]);
    check_empty_selector("shop", "shop", &[STRICT]);
    check_empty_selector("shop", "web", &[]);
}

#[test]
fn a_policy_that_is_not_understood_denies_whom_it_may_mean() {
    let broken = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy,
      metadata: {name: broken, namespace: shop}, spec: {action: DENY, selector: {matchLabels: {app: web}}, rules: 7}}";
    let ambient = ambient(broken);
    let found = ambient.authorizations.get("shop/broken").unwrap();
    assert_eq!(found.action, 1);
    assert!(found.groups.iter().any(|group| group.rules.is_empty()));
}

#[test]
fn a_service_with_named_target_ports_leaves_out_what_a_pod_does_not_have() {
    let ambient = ambient(
        "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop},
          spec: {clusterIP: 10.9.0.1, selector: {app: cart}, ports: [{name: http, port: 80, targetPort: web},
            {name: admin, port: 81, targetPort: admin}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart-0, namespace: shop, labels: {app: cart}},
  spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}, status: {podIP: 10.0.0.1}}",
    );
    let found = workload(&ambient, "c1//Pod/shop/cart-0");
    let served = found.services.get("shop/cart.shop.svc.cluster.local").unwrap();
    let ports: Vec<_> = served.ports.iter().map(|p| (p.service_port, p.target_port)).collect();
    assert_eq!(ports, [(80, 8080)]);
}

#[test]
fn a_snapshot_of_a_ztunnel_holds_the_addresses_the_workloads_and_the_authorizations() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: z, namespace: istio-system, labels: {app: ztunnel}},
      spec: {containers: [{name: istio-proxy, args: [proxy, ztunnel]}]}, status: {podIP: 10.0.0.9}}";
    let mesh = load(&format!("{POLICIES}---\n{pod}\n"));
    let proxy = mesh.proxy("c1/istio-system/z").unwrap();
    let snapshot = Generator::new().snapshot(&mesh.view(&proxy).unwrap());
    let types: Vec<_> = snapshot.types().map(|(url, found)| (url.clone(), found.len())).collect();
    let expected = [(TypeUrl::ADDRESS, 1), (TypeUrl::WORKLOAD, 1), (TypeUrl::AUTHORIZATION, 2)];
    assert_eq!(types, expected);
}

/// The addresses of `a.example`, an entry whose status has these, where the flag says so.
fn addresses(compat: Compat, status: &str) -> Vec<String> {
    let mesh = load_with(
        compat,
        &format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a, namespace: shop}},
              spec: {{hosts: [a.example, b.example], resolution: DNS, ports: [{{number: 80, name: h, protocol: HTTP}}]}},
              status: {{addresses: [{status}, {{host: b.example, value: 240.240.9.9}}]}}}}"
        ),
    );
    let ambient = Ambient::new(&mesh, mesh.control_plane_of("c1").unwrap());
    let found = &ambient.addresses.get("shop/a.example").unwrap().r#type;
    let Some(address::Type::Service(service)) = found else { return Vec::new() };
    let text = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(octets) => IpAddr::from(octets).to_string(),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_string(),
    };
    service.addresses.iter().map(|address| text(&address.address)).collect()
}

#[test]
fn an_entry_without_addresses_has_all_of_its_status_in_that_order() {
    let of = |value: &str| format!("{{host: a.example, value: '{value}'}}");
    let status = ["2001:2::2", "240.240.0.7", "240.240.0.3", "nonsense", "2001:2::1"].map(of);
    let found = addresses(Compat::default(), &status.join(", "));
    assert_eq!(found, ["2001:2::2", "240.240.0.7", "240.240.0.3", "2001:2::1"]);
}

#[test]
fn without_the_flag_no_address_is_allocated_for_ztunnels() {
    let mut compat = Compat::default();
    compat.flags.pilot_enable_ip_autoallocate = false;
    let found = addresses(compat, "{host: a.example, value: 240.240.0.7}");
    assert!(found.is_empty(), "{found:?}");
}
