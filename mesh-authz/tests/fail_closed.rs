//! A security policy whose text cannot be used closes what it might have closed.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::Authorizer;
use mesh_model::Compat;
use mesh_model::manifest::Severity;
use mesh_model::name::Namespace;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::resource::MutualTlsMode;

#[path = "fixture/request.rs"]
mod request;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, \
    spec: {containers: [{name: istio-proxy, image: proxyv2}]}, status: {phase: Running, podIP: 10.0.0.1}}";

/// A mesh of one pod, in which loading the policy finds an error.
fn mesh(policy: &[u8]) -> Arc<Mesh> {
    let source = |path: &str, text: &[u8]| Source {
        origin: Origin::of_path(path).expect("a path of a mesh"),
        name: Arc::from(path),
        text: text.to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    let found = registry
        .load([source("clusters/c1/pod.yaml", POD.as_bytes()), source("config/p.yaml", policy)]);
    assert!(found.iter().any(|found| found.severity == Severity::Error), "{found:?}");
    registry.mesh()
}

fn is_allowed(policy: &[u8]) -> bool {
    let mesh = mesh(policy);
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    Authorizer::of_proxy(&mesh, plane, &proxy).decide(&request::get("/")).is_allowed()
}

#[track_caller]
fn check(policy: impl AsRef<[u8]>, is_denied: bool) {
    let text = String::from_utf8_lossy(policy.as_ref()).into_owned();
    assert_eq!(is_allowed(policy.as_ref()), !is_denied, "{text}");
}

const BLOCK: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
    metadata:\n  name: no\n  namespace: shop\nspec:\n  action: DENY\n";

#[test]
fn text_that_cannot_be_read_denies() {
    for rest in [
        "  rules: [{}\n",
        "  rules: [{}]\n  rules: [{}]\n",
        "  rules: *nothing\n",
        "\trules: [{}]\n",
        "  rules: [{}] # \u{0}\n",
    ] {
        check(format!("{BLOCK}{rest}"), true);
    }
    check([BLOCK.as_bytes(), b"  rules: [{}] # \xff\n"].concat(), true);
    let deep = "[".repeat(10_000);
    check(format!("{BLOCK}  rules: {deep}\n"), true);
}

#[test]
fn so_it_is_in_every_style() {
    let head = "apiVersion: security.istio.io/v1, kind: AuthorizationPolicy";
    check(format!("{{{head}, metadata: {{name: no, namespace: shop}}, spec: {{rules: [}}\n"), true);
    check(
        format!("{{{head}, metadata: {{name: no, namespace: other}}, spec: {{rules: [}}\n"),
        false,
    );
    let flow = "\nmetadata: {name: no, namespace: 'shop'}\nspec: {rules: [}\n";
    check(format!("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy{flow}"), true);
    let json = "{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\", ";
    check(
        format!("{json}\"metadata\": {{\"namespace\": \"shop\", \"name\": \"no\"}}, \"spec\": {{"),
        true,
    );
    check(
        format!("{json}\"metadata\": {{\"namespace\": \"other\", \"name\": \"no\"}}, \"spec\": {{"),
        false,
    );
}

#[test]
fn without_a_namespace_it_may_be_for_anyone() {
    check("kind: AuthorizationPolicy\nmetadata:\n  name: no\nspec: [\n", true);
    // Which namespace it is in is known where the document can be read.
    check(
        "apiVersion: security.istio.io/v9\nkind: AuthorizationPolicy\nmetadata:\n  name: no\n",
        false,
    );
}

#[test]
fn what_is_no_object_of_ours_denies_too() {
    let metadata = "kind: AuthorizationPolicy\nmetadata:\n  namespace: shop\n";
    check(format!("apiVersion: security.istio.io/v9\n{metadata}  name: no\n"), true);
    check(format!("apiVersion: networking.istio.io/v1\n{metadata}  name: no\n"), true);
    check(format!("apiVersion: security.istio.io/v1\n{metadata}"), true);
    // Somebody else's kind of the same name.
    check(
        format!("apiVersion: policy.linkerd.io/v1alpha1\n{metadata}  name: no\nspec: [\n"),
        false,
    );
}

#[test]
fn a_lost_demand_for_mutual_tls_is_strict() {
    let check = |text: &str, expected: MutualTlsMode| {
        let mesh = mesh(text.as_bytes());
        let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
        let view = mesh.view(&proxy).expect("the cluster serves itself");
        let mode = view.server_mode(&Namespace::from("shop"), &proxy.labels).of_port(80);
        assert_eq!(mode, expected, "{text}");
    };
    let kind = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n";
    let spec = "spec: {mtls: {mode: STRICT}\n";
    check(&format!("{kind}  {{name: a, namespace: shop}}\n{spec}"), MutualTlsMode::Strict);
    check(&format!("{kind}  name: a\n  namespace: shop\n{spec}"), MutualTlsMode::Strict);
    check(&format!("{kind}  name: a\n  namespace: other\n{spec}"), MutualTlsMode::Permissive);
    check(&format!("{kind}  name: a\n{spec}"), MutualTlsMode::Strict);
}
