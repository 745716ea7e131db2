//! Routes are encoded to the bytes that prost makes of their messages.
use mesh_model::Compat;
use mesh_model::compat::Flags;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::{listener, route};
use proptest::prelude::*;
use prost::Message;

/// Names that listeners do not ask for: of ports, of one host, of nothing.
const OTHERS: [&str; 7] = [
    "80",
    "8080",
    "9999",
    "http_proxy",
    "nowhere",
    "svc-0.ns-0.svc.cluster.local:8080",
    "cart.shop.svc.cluster.local:80",
];

/// What all proxies of a mesh are told, twice; how many bytes that is.
fn check(mesh: &Mesh) -> Result<usize, TestCaseError> {
    let mut len = 0;
    for reference in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&reference) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        let mut names = listener::route_names(&listener::listeners(&view));
        names.extend(OTHERS.map(str::to_owned));
        let names = || names.iter().map(String::as_str);
        let messages = route::routes(&view, names());
        let encoded = route::encoded(&view, names());
        prop_assert_eq!(messages.len(), encoded.len());
        for (message, (name, bytes)) in messages.iter().zip(encoded) {
            prop_assert_eq!(&*message.name, &*name);
            prop_assert_eq!(&*bytes, &*message.encode_to_vec(), "{} {}", reference, name);
            len += bytes.len();
        }
    }
    Ok(len)
}

#[test]
fn routes_of_a_synthetic_mesh_are_encoded_as_prost_does() {
    let measures = Synthetic { services: 20, namespaces: 3, endpoints: 2, ..Synthetic::default() };
    let mut registry = Registry::default();
    registry.load(measures.sources());
    let len = check(&registry.mesh()).unwrap();
    assert!(len > 20_000, "{len}");
}

/// Services of few kinds: plain, headless, external with addresses and in capitals, with sessions, with
/// a consistent hash, named as another's short form.
const OBJECTS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: istio-proxy, image: proxy, args: [proxy, sidecar]}]}
status: {podIP: 10.0.0.1, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/persistent-session: "kept:/api"}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-more, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: pods, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: hashed, namespace: bank}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 80}, {name: unknown, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hashed, namespace: bank}
spec:
  host: hashed.bank.svc.cluster.local
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: bank}
spec:
  hosts: [Outside.Example.com, pods.shop, "*.wild.example.com"]
  addresses: [10.1.2.3, "2001:db8::1", 10.9.0.0/16]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart, nobody.example.com, "*.wild.example.com"]
  http:
  - match: [{uri: {prefix: /a}, headers: {x: {exact: b}}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 10}}}
    route: [{destination: {host: cart, port: {number: 80}}}]
  - route: [{destination: {host: cart}, weight: 9}, {destination: {host: hashed.bank}, weight: 1}]
"#;

#[test]
fn hosts_of_every_kind_are_encoded_as_prost_does() {
    for sessions in [false, true] {
        let flags = Flags { pilot_enable_persistent_session_filter: sessions, ..Flags::default() };
        let mut registry = Registry::new(Compat { flags, ..Compat::default() });
        let (origin, name) = (Origin::Cluster("c0".into()), "all.yaml".into());
        registry.load([Source { origin, name, text: OBJECTS.as_bytes().to_vec() }]);
        let len = check(&registry.mesh()).unwrap();
        assert!(len > 5_000, "{len}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn routes_of_a_random_mesh_are_encoded_as_prost_does(mesh in mesh::mesh()) {
        let mut registry = Registry::default();
        registry.apply_all(mesh);
        check(&registry.mesh())?;
    }
}
