//! What a pod's proxy is, as far as the manifest tells.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_model::Compat;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::view::ProxyKind;

const SIDECAR: &str = "{name: app}, {name: istio-proxy}";
const ALONE: &str = "{name: istio-proxy}";

/// A registry of one pod of cluster `c1`; `metadata` is added to its own.
fn registry(metadata: &str, containers: &str) -> Registry {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web-0, namespace: shop{metadata}}}\nspec: \
         {{containers: [{containers}]}}\nstatus: {{phase: Running, podIP: 10.0.0.1}}\n"
    );
    let mut registry = Registry::new(Compat::default());
    let origin = Origin::Cluster("c1".into());
    let found = registry.load([Source { origin, name: "pod.yaml".into(), text: text.into() }]);
    assert_eq!(found, []);
    registry
}

#[track_caller]
fn check(metadata: &str, containers: &str, expected: ProxyKind) {
    let mesh = registry(metadata, containers).mesh();
    assert_eq!(mesh.proxy("c1/shop/web-0").unwrap().kind, expected);
}

#[test]
fn a_proxy_beside_an_application_is_a_sidecar_and_one_alone_a_gateway() {
    check("", SIDECAR, ProxyKind::Sidecar);
    check("", ALONE, ProxyKind::Router);
    let template = ", annotations: {inject.istio.io/templates: gateway}";
    check(template, SIDECAR, ProxyKind::Router);
}

#[test]
fn a_waypoint_is_known_by_its_class_or_by_who_manages_it() {
    let labelled = |label: &str| format!(", labels: {{{label}}}");
    let class = "gateway.networking.k8s.io/gateway-class-name";
    check(&labelled(&format!("{class}: istio-waypoint")), ALONE, ProxyKind::Waypoint);
    check(&labelled(&format!("{class}: istio-east-west")), ALONE, ProxyKind::Waypoint);
    check(&labelled(&format!("{class}: istio")), ALONE, ProxyKind::Router);
    check(&labelled(&format!("{class}: example")), ALONE, ProxyKind::Router);
    let managed = "gateway.istio.io/managed: istio.io-mesh-controller";
    check(&labelled(managed), ALONE, ProxyKind::Waypoint);
}

#[test]
fn the_role_of_the_program_counts_most() {
    let with = |role: &str| format!("{{name: istio-proxy, args: [proxy, {role}]}}");
    check("", &with("waypoint"), ProxyKind::Waypoint);
    check("", &with("router"), ProxyKind::Router);
    check("", &with("sidecar"), ProxyKind::Sidecar);
    check("", &with("--domain"), ProxyKind::Sidecar);
}

#[track_caller]
fn check_client(metadata: &str, spec: &str, is_client: bool) {
    let mesh = registry(metadata, spec).mesh();
    // Whoever is named has an answer.
    assert!(mesh.proxy("c1/shop/web-0").is_ok());
    let clients: Vec<String> = mesh.clients().collect();
    let expected: &[&str] = if is_client { &["c1/shop/web-0"] } else { &[] };
    assert_eq!(clients, expected, "{metadata} {spec}");
}

#[test]
fn clients_are_the_pods_with_a_proxy_and_those_of_which_nothing_is_known() {
    let captured = ", labels: {istio.io/dataplane-mode: ambient}";
    let native = "{name: app}], initContainers: [{name: istio-proxy, restartPolicy: Always}";
    for metadata in ["", captured] {
        check_client(metadata, SIDECAR, true);
        check_client(metadata, native, true);
        check_client(metadata, "{name: postgres}", false);
    }
    check_client("", "{name: app}], initContainers: [{name: istio-proxy}", false);
    check_client("", "{name: istio-proxy, args: [proxy, router]}", true);
    check_client("", "{name: istio-proxy, args: [proxy, other]}", false);
    check_client("", "", true);
    check_client(captured, "", false);
}

#[test]
fn whom_the_list_of_proxies_names_is_a_client() {
    let mut registry = registry("", "{name: postgres}");
    let text = r#"[{"ref": "c1/shop/web-0", "type": "sidecar"}]"#;
    let source = Source { origin: Origin::Proxies, name: "proxies.json".into(), text: text.into() };
    assert_eq!(registry.load([source]), []);
    assert_eq!(registry.mesh().clients().collect::<Vec<_>>(), ["c1/shop/web-0"]);
}

#[test]
fn a_name_that_nobody_would_read_is_not_told_whole() {
    let mesh = registry("", SIDECAR).mesh();
    let long = "x".repeat(1 << 20);
    for name in [long.clone(), format!("{long}/shop/web-0"), format!("c1/shop/{long}")] {
        let error = mesh.proxy(&name).unwrap_err().to_string();
        assert!(error.len() < 1_000, "{}", error.len());
    }
}
