//! What flags of the control plane change of what one sidecar is told.
use mesh_envoy_proto::json;
use mesh_model::Compat;
use mesh_model::compat::Flags;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_xds_gen::Resources;
use serde_json::Value;

/// A pod of both IP families behind a service of both, and itself of that service.
const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 172.20.0.1
  clusterIPs: [172.20.0.1, "2001:db8:1::1"]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 7000}, {name: auto, port: 9000}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: istio-proxy, image: proxy, args: [proxy, sidecar]}]}
status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "2001:db8::1"}], phase: Running}
"#;

/// The addresses of that pod behind the service, of one family.
fn slice(family: &str, address: &str) -> String {
    format!(
        "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{family}, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: {family}
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [\"{address}\"], targetRef: {{kind: Pod, name: web-0, namespace: shop}}}}]
"
    )
}

fn resources<T>(flags: Flags, read: impl FnOnce(Resources) -> T) -> Option<T> {
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let objects =
        [OBJECTS.to_owned(), slice("IPv4", "10.0.0.1"), slice("IPv6", "2001:db8::1")].concat();
    let (origin, name) = (Origin::Cluster("c0".into()), "all.yaml".into());
    registry.load([Source { origin, name, text: objects.into_bytes() }]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c0/shop/web-0").ok()?;
    Some(read(Resources::new(&mesh.view(&proxy)?)))
}

/// How many fields of a name in the listeners contain a text.
fn check(flags: Flags, name: &str, contains: &str, expected: usize) {
    let listeners = resources(flags, |resources| {
        let all = resources.listeners.iter().map(|listener| json::to_value(listener).ok());
        Value::Array(all.flatten().collect())
    });
    let listeners = listeners.unwrap_or_default();
    let mut found = Vec::new();
    collect(&listeners, name, &mut found);
    let of_text = found.iter().filter(|value| value.to_string().contains(contains));
    assert_eq!(of_text.count(), expected, "`{name}` with `{contains}` of {found:?}");
}

fn collect<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == name {
                    found.push(value);
                }
                collect(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The addresses of the endpoints of a service, each endpoint's joined.
fn addresses(flags: Flags) -> Vec<String> {
    let found = resources(flags, |resources| {
        let name = "outbound|80||web.shop.svc.cluster.local";
        let endpoints = resources.endpoints.iter().find(|found| found.cluster_name == name);
        let endpoints = endpoints.and_then(|found| json::to_value(found).ok()).unwrap_or_default();
        let mut found = Vec::new();
        collect(&endpoints, "endpoint", &mut found);
        let of_endpoint = |endpoint: &&Value| {
            let mut found = Vec::new();
            collect(endpoint, "socketAddress", &mut found);
            let texts = found.iter().filter_map(|address| address.get("address")?.as_str());
            let mut texts: Vec<&str> = texts.collect();
            texts.sort_unstable();
            texts.join(" ")
        };
        let mut all: Vec<String> = found.iter().map(of_endpoint).collect();
        all.sort();
        all
    });
    found.unwrap_or_default()
}

#[test]
fn a_pod_of_both_families_is_one_endpoint_with_dual_stack() {
    let flags = Flags { istio_dual_stack: true, ..Flags::default() };
    assert_eq!(addresses(flags), ["10.0.0.1 2001:db8::1"]);
    assert_eq!(addresses(Flags::default()), ["10.0.0.1", "2001:db8::1"]);
}

#[test]
fn listeners_have_the_addresses_of_both_families_with_dual_stack() {
    let dual = || Flags { istio_dual_stack: true, ..Flags::default() };
    for (text, expected) in [("15001", 1), ("15006", 1), ("2001:db8:1::1", 2)] {
        check(Flags::default(), "additionalAddresses", text, 0);
        check(dual(), "additionalAddresses", text, expected);
    }
}

#[test]
fn only_who_exchanges_metadata_offers_it_to_clients() {
    check(Flags::default(), "alpnProtocols", "istio-peer-exchange", 3);
    let flags = Flags { pilot_enable_metadata_exchange: false, ..Flags::default() };
    check(flags, "alpnProtocols", "istio-peer-exchange", 0);
}

#[test]
fn plain_text_of_http_1_0_is_told_apart_where_it_is_allowed() {
    check(Flags::default(), "applicationProtocols", "\"http/1.0", 0);
    // Of the port without protocol (in and out), of plain HTTP out, and of what passes through.
    let flags = Flags { pilot_http10: true, ..Flags::default() };
    check(flags, "applicationProtocols", "\"http/1.0", 4);
}

#[test]
fn clients_of_any_trust_domain_come_in_where_nobody_looks() {
    let flags = Flags { pilot_skip_validate_trust_domain: true, ..Flags::default() };
    check(flags, "matchSubjectAltNames", "spiffe://", 0);
    check(Flags::default(), "matchSubjectAltNames", "spiffe://cluster.local/", 6);
}

#[test]
fn sessions_have_a_filter_in_front_of_every_outbound_router() {
    check(Flags::default(), "httpFilters", "stateful_session", 0);
    let flags = Flags { pilot_enable_persistent_session_filter: true, ..Flags::default() };
    // Of ports 80 and 9000; what comes in has none.
    check(flags, "httpFilters", "stateful_session", 2);
}
