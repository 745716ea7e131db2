//! Policies see paths and headers as the settings of the proxy's connections leave them.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::{Authorizer, Header, Request};
use mesh_model::manifest::Severity;
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::Mesh;
use mesh_model::resource::Json;
use mesh_testkit::folder;

#[path = "fixture/request.rs"]
mod request;

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
 spec: {containers: [{name: app}, {name: istio-proxy, args: [proxy, sidecar]}]}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: edge, namespace: shop, labels: {app: edge}},
 spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}, status: {phase: Running, podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gate, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: istio.io-mesh-controller}},
 spec: {containers: [{name: istio-proxy, args: [proxy, waypoint]}]}, status: {phase: Running, podIP: 10.0.0.3}}
";

/// Denies `/admin` and what is below it, and whoever says that they are an intern.
const POLICIES: &str = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: deny, namespace: shop},
 spec: {action: DENY, rules: [
  {to: [{operation: {paths: [/admin, /admin/*]}}]},
  {when: [{key: 'request.headers[x_role]', values: [intern]}]}]}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: deny-at-gate, namespace: shop},
 spec: {action: DENY, targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}],
  rules: [{to: [{operation: {paths: [/admin, /admin/*]}}]}]}}
";

fn load(settings: &str) -> (Arc<Mesh>, bool) {
    let (registry, found) = folder::load([
        ("mesh.yaml", settings),
        ("clusters/c1/a.yaml", PODS),
        ("config/a.yaml", POLICIES),
    ]);
    (registry.mesh(), found.iter().any(|found| found.severity == Severity::Error))
}

fn mesh(settings: &str) -> Arc<Mesh> {
    let (mesh, is_wrong) = load(settings);
    assert!(!is_wrong, "{settings}");
    mesh
}

/// What becomes of a request at a pod, whose proxy has these settings of its own if any.
fn decide(mesh: &Mesh, pod: &str, own: Option<&str>, request: &Request<'_>) -> &'static str {
    let mut proxy = mesh.proxy(&format!("c1/shop/{pod}")).expect("the pod is there");
    if let Some(own) = own {
        let own = Json::parse(own).expect("settings");
        proxy.metadata.insert("PROXY_CONFIG".into(), own);
    }
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(mesh, plane, &proxy);
    let decision = authorizer.decide(request);
    assert_eq!(authorizer.explain(request).decision, decision);
    let reason = decision.reason();
    match reason.code() {
        "path_rejected" if reason.to_string().contains("answers 307") => "redirected",
        "path_rejected" => "path",
        "header_rejected" => "header",
        _ if decision.is_allowed() => "allowed",
        _ => "denied",
    }
}

fn settings(of: &str) -> String {
    format!("defaultConfig: {{connectionSettings: {{{of}}}}}")
}

#[track_caller]
fn check(of: &str, pod: &str, path: &str, expected: &str) {
    let found = decide(&mesh(&settings(of)), pod, None, &request::get(path));
    assert_eq!(found, expected, "{pod} {path} {of}");
}

#[test]
fn a_policy_sees_merged_and_decoded_slashes_where_the_proxy_merges_and_decodes() {
    for pod in ["web", "edge", "gate"] {
        check("", pod, "/admin", "denied");
        check("", pod, "//admin", "allowed");
        check("httpMergeSlashes: true", pod, "//admin", "denied");
        check("", pod, "/admin%2Fx", "allowed");
        let of = |action: &str| format!("httpPathWithEscapedSlashesAction: {action}");
        check(&of("UNESCAPE_AND_FORWARD"), pod, "/admin%2Fx", "denied");
        check(&of("REJECT_REQUEST"), pod, "/a%2Fx", "path");
        check(&of("UNESCAPE_AND_REDIRECT"), pod, "/a%5cx", "redirected");
        check(&of("KEEP_UNCHANGED"), pod, "/admin%2Fx", "allowed");
    }
}

#[test]
fn they_go_before_the_normalization_of_the_mesh() {
    let decodes = "pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}\n";
    let check = |of: &str, path: &str, expected: &str| {
        let mesh = mesh(&format!("{decodes}{}", settings(of)));
        assert_eq!(decide(&mesh, "web", None, &request::get(path)), expected, "{of} {path}");
    };
    check("", "//admin%2Fx", "denied");
    check("httpMergeSlashes: false", "//admin", "allowed");
    check("httpMergeSlashes: false", "/admin%2Fx", "denied");
    check("httpPathWithEscapedSlashesAction: KEEP_UNCHANGED", "/admin%2Fx", "allowed");
    check("httpPathWithEscapedSlashesAction: KEEP_UNCHANGED", "//admin", "denied");
}

#[test]
fn profile_edge_is_for_gateways() {
    check("profile: EDGE", "edge", "//admin", "denied");
    check("profile: EDGE", "edge", "/a%2Fb", "redirected");
    for pod in ["web", "gate"] {
        check("profile: EDGE", pod, "//admin", "allowed");
        check("profile: EDGE", pod, "/a%2Fb", "allowed");
    }
}

#[test]
fn the_proxy_s_own_block_counts() {
    let mesh = mesh(&settings("httpMergeSlashes: true"));
    let check = |own: &str, expected: &str| {
        assert_eq!(decide(&mesh, "web", Some(own), &request::get("//admin")), expected, "{own}");
    };
    check("{}", "denied");
    check(r#"{"connectionSettings": {}}"#, "allowed");
    check(r#"{"connectionSettings": {"httpMergeSlashes": true}}"#, "denied");
}

#[test]
fn a_workload_without_a_pod_has_what_the_mesh_says() {
    let mesh = mesh(&settings("profile: EDGE, httpMergeSlashes: true"));
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let namespace = Namespace::from("shop");
    let authorizer = Authorizer::of_workload(&mesh, plane, &namespace, &Labels::default());
    assert!(!authorizer.decide(&request::get("//admin")).is_allowed());
    assert!(authorizer.decide(&request::get("/a%2Fb")).is_allowed());
}

#[test]
fn headers_with_underscores_are_seen_dropped_or_refused() {
    let check = |of: &str, headers: &[(&str, &str)], expected: &str| {
        let lines: Vec<Header<'_>> =
            headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let mut request = request::get("/");
        request.http.as_mut().expect("a request").headers = &lines;
        let mesh = mesh(&settings(of));
        assert_eq!(decide(&mesh, "web", None, &request), expected, "{of} {headers:?}");
    };
    let action =
        |of: &str| format!("httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_{of}");
    let intern = [("x_role", "intern")];
    check("", &intern, "denied");
    check(&action("ALLOW"), &intern, "denied");
    check(&action("DROP_HEADER"), &intern, "allowed");
    check(&action("REJECT_REQUEST"), &intern, "header");
    check(&action("REJECT_REQUEST"), &[("x-role", "intern")], "allowed");
}

/// Settings that decide what policies see and that cannot be read close what policies might close; others do
/// not.
#[test]
fn settings_that_cannot_be_read_close() {
    let check = |of: &str, expected: &str| {
        let (mesh, is_wrong) = load(&settings(of));
        assert!(is_wrong, "{of}");
        assert_eq!(decide(&mesh, "web", None, &request::get("/")), expected, "{of}");
    };
    check("httpMergeSlashes: perhaps", "denied");
    check("httpPathWithEscapedSlashesAction: PERHAPS", "denied");
    check("httpHeadersWithUnderscoresAction: PERHAPS", "denied");
    check("profile: PERHAPS", "denied");
    check("httpIdleTimeout: -1s", "allowed");
    check("httpIdleTimeout: perhaps", "allowed");
}
