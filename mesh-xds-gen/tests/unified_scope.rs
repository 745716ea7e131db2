//! What a sidecar imports where several objects have one host, with PILOT_UNIFIED_SIDECAR_SCOPE and without.
//! Expectations are those of a real istiod.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use mesh_envoy_proto::json;
use mesh_model::Compat;
use mesh_model::compat::Flags;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_xds_gen::Resources;
use serde_json::Value;

const HOST: &str = "cart.data.svc.cluster.local";

/// A sidecar of namespace `shop`, and a Kubernetes service of namespace `data`.
const OBJECTS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web}, {name: istio-proxy, image: proxy}]}
status: {podIP: 10.0.0.1, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: data, creationTimestamp: '2026-01-02T00:00:00Z'}
spec: {clusterIP: 172.20.0.1, selector: {app: cart}, ports: [{name: http, port: 80}]}
";

/// A ServiceEntry of the same host, in another namespace, older than the service or not.
fn entry(namespace: &str, day: u8) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: cart, namespace: {namespace}, \
         creationTimestamp: '2026-01-{day:02}T00:00:00Z'}}\nspec: {{hosts: [{HOST}], location: MESH_INTERNAL, \
         resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], endpoints: [{{address: 10.9.0.1}}]}}\n"
    )
}

fn sidecar(hosts: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: all, namespace: shop}}\nspec: \
         {{egress: [{{hosts: [{hosts}]}}]}}\n"
    )
}

fn resources(unified: bool, config: &str) -> Resources {
    let flags = Flags { pilot_unified_sidecar_scope: unified, ..Flags::default() };
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let text = format!("{OBJECTS}{config}").into_bytes();
    registry.load([Source { origin: Origin::Cluster("c0".into()), name: "all.yaml".into(), text }]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c0/shop/web-0").unwrap();
    Resources::new(&mesh.view(&proxy).unwrap())
}

/// The namespaces whose service of the host is imported, with the flag and without.
fn check(config: &[String], expected: [&str; 2]) {
    let namespace = |unified| {
        let clusters = resources(unified, &config.concat()).clusters;
        let name = format!("outbound|80||{HOST}");
        let cluster = clusters.iter().find(|cluster| cluster.name == name).unwrap();
        let cluster = json::to_value(cluster).unwrap();
        let namespace = "/metadata/filterMetadata/istio/services/0/namespace";
        cluster.pointer(namespace).unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!([true, false].map(namespace), expected, "{config:?}");
}

#[test]
fn without_the_flag_the_oldest_service_is_imported_not_that_of_kubernetes() {
    for hosts in ["'*/*'", "edge/*, data/*", &format!("edge/{HOST}, data/{HOST}")] {
        check(&[entry("edge", 1), sidecar(hosts)], ["data", "edge"]);
        check(&[entry("edge", 3), sidecar(hosts)], ["data", "data"]);
    }
    // Everything is imported without a Sidecar, too.
    check(&[entry("edge", 1)], ["data", "edge"]);
}

#[test]
fn the_own_namespace_comes_first_either_way() {
    for day in [1, 3] {
        check(&[entry("shop", day), sidecar("'*/*'")], ["shop", "shop"]);
        check(&[entry("shop", day), entry("edge", 1)], ["shop", "shop"]);
    }
}

/// A VirtualService of the host, of an age in days, and the path that it rewrites to.
fn rule(name: &str, namespace: &str, day: u8, semantics: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}, \
         creationTimestamp: '2026-01-{day:02}T00:00:00Z', annotations: {{internal.istio.io/route-semantics: \
         {semantics}}}}}\nspec: {{hosts: [{HOST}], http: [{{name: {name}, route: [{{destination: {{host: {HOST}}}}}]}}]}}\n"
    )
}

/// The rule that routes requests for the host, with the flag and without.
fn check_rule(config: &[String], expected: [&str; 2]) {
    let routed = |unified| {
        let routes = resources(unified, &config.concat()).routes;
        let found = routes.iter().find(|routes| routes.name == "80").unwrap();
        let found = json::to_value(found).unwrap();
        let hosts = found.pointer("/virtualHosts").unwrap().as_array().unwrap();
        let name = format!("{HOST}:80");
        let is_meant = |host: &&Value| host.get("name").is_some_and(|of| *of == *name);
        let host = hosts.iter().find(is_meant).unwrap();
        host.pointer("/routes/0/name").unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!([true, false].map(routed), expected, "{config:?}");
}

#[test]
fn with_the_flag_a_route_of_the_gateway_api_of_the_own_namespace_comes_first() {
    let old = || rule("old", "data", 1, "istio");
    for config in [String::new(), sidecar("'*/*'"), sidecar("data/*, shop/*")] {
        check_rule(&[old(), rule("own", "shop", 2, "gateway"), config.clone()], ["own", "old"]);
        // Another namespace's has no such right, nor has another kind of rule.
        check_rule(&[old(), rule("far", "edge", 2, "gateway"), config.clone()], ["old", "old"]);
        check_rule(&[old(), rule("own", "shop", 2, "istio"), config], ["old", "old"]);
    }
}

#[test]
fn a_sidecar_imports_a_route_of_the_gateway_api_only_if_its_hosts_cover_it() {
    let imports = |semantics: &str, host: &str| {
        let wide = rule("wide", "data", 1, semantics).replacen(HOST, "'*.example'", 1);
        let clusters = resources(true, &[wide, sidecar(host)].concat()).clusters;
        clusters.iter().any(|cluster| cluster.name == format!("outbound|80||{HOST}"))
    };
    assert!(imports("istio", "'*/a.example'"));
    assert!(!imports("gateway", "'*/a.example'"));
    assert!(imports("gateway", "'*/*.example'"));
}

#[test]
fn names_in_a_route_of_the_gateway_api_are_full_ones() {
    let cluster = |semantics: &str| {
        let short = rule("short", "data", 1, semantics);
        let short = short.replace(&format!("{{host: {HOST}}}"), "{host: cart}");
        let routes = resources(true, &short).routes;
        let found = routes.iter().find(|routes| routes.name == "80").unwrap();
        let text = json::to_value(found).unwrap().to_string();
        (text.contains(&format!("outbound|80||{HOST}\"")), text.contains("outbound|80||cart\""))
    };
    assert_eq!(cluster("istio"), (true, false));
    assert_eq!(cluster("gateway"), (false, true));
}
