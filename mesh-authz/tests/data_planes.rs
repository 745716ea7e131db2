//! Who decides: an Envoy, a gRPC server that has no proxy, or a ztunnel.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::explain::Outcome;
use mesh_authz::identity::Peer;
use mesh_authz::{Authorizer, data_plane};
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

#[path = "data_planes/grpc.rs"]
mod grpc;
#[path = "fixture/request.rs"]
mod request;

/// A mesh of one pod `web` with some metadata and containers, and policies.
fn mesh(compat: Compat, pod: &str, policies: &str) -> Arc<Mesh> {
    let (metadata, containers) = pod.split_once('|').expect("metadata and containers");
    let text = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop, {metadata}}},
 spec: {{serviceAccountName: web, containers: [{containers}]}}, status: {{phase: Running, podIP: 10.0.0.1}}}}
---
{policies}"
    );
    let mut registry = Registry::new(compat);
    let origin = Origin::Cluster("c1".into());
    registry.load([Source { origin, name: "a.yaml".into(), text: text.into_bytes() }]);
    registry.mesh()
}

fn policy(kind: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: {kind}, metadata: {{name: p, namespace: shop}}, spec: {spec}}}\n"
    )
}

const SIDECAR: &str = "labels: {app: web}|{name: app, image: a}, {name: istio-proxy, image: p}";
const GRPC: &str = "annotations: {inject.istio.io/templates: grpc-agent}|{name: app, image: a}";
const AMBIENT: &str = "labels: {istio.io/dataplane-mode: ambient}|{name: app, image: a}";

/// The code of the reason for which a request of `cli` is answered.
fn reason(mesh: &Mesh, identity: Option<&str>) -> String {
    reason_of("/x", mesh, identity)
}

fn reason_of(path: &str, mesh: &Mesh, identity: Option<&str>) -> String {
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(mesh, plane, &proxy);
    let uris: Vec<&str> = identity.into_iter().collect();
    let mut request = request::get(path);
    request.connection.peer = identity.map(|_| Peer { uri_sans: &uris, ..Peer::default() });
    let explained = authorizer.explain(&request);
    assert_eq!(explained.decision, authorizer.decide(&request));
    explained.decision.reason().code().to_owned()
}

#[track_caller]
fn check_plane(pod: &str, expected: DataPlane) {
    let mesh = mesh(Compat::default(), pod, "");
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    assert_eq!(data_plane(&mesh, &proxy), expected, "{pod}");
}

#[test]
fn the_pod_tells_who_decides() {
    check_plane(SIDECAR, DataPlane::IstioProxy);
    check_plane("labels: {app: web}|", DataPlane::IstioProxy);
    check_plane(GRPC, DataPlane::Grpc);
    check_plane(AMBIENT, DataPlane::Ztunnel);
    check_plane(
        "labels: {istio.io/dataplane-mode: ambient}|{name: istio-proxy, image: p}, {name: a, image: b}",
        DataPlane::IstioProxy,
    );
    let redirected = "annotations: {ambient.istio.io/redirection: enabled}|{name: a, image: b}";
    check_plane(redirected, DataPlane::Ztunnel);
    check_plane(
        "labels: {istio.io/dataplane-mode: none}|{name: a, image: b}",
        DataPlane::IstioProxy,
    );
}

/// An ALLOW policy without rules denies everything, but for gRPC servers, which never see it.
#[test]
fn a_grpc_server_has_no_policy_without_rules() {
    let policies = policy("AuthorizationPolicy", "{}");
    let code = |pod| reason(&mesh(Compat::default(), pod, &policies), None);
    assert_eq!(code(SIDECAR), "no_allow_policy_matched");
    assert_eq!(code(GRPC), "no_allow_policy");
    assert_eq!(code(AMBIENT), "no_allow_policy_matched");
}

/// What is a path to a proxy is a method's name to a gRPC server.
#[test]
fn a_grpc_server_takes_paths_as_they_are() {
    let policies = policy(
        "AuthorizationPolicy",
        "{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}",
    );
    let code = |pod| reason_of("/y/../x", &mesh(Compat::default(), pod, &policies), None);
    assert_eq!(code(SIDECAR), "deny_matched");
    assert_eq!(code(GRPC), "no_allow_policy");
}

/// A ztunnel knows nothing of paths: a DENY rule of only those never fires.
#[test]
fn a_ztunnel_knows_connections_only() {
    let policies = policy(
        "AuthorizationPolicy",
        "{action: DENY, rules: [{to: [{operation: {paths: [/x]}}]}]}",
    );
    let code = |pod| reason(&mesh(Compat::default(), pod, &policies), None);
    assert_eq!(code(SIDECAR), "deny_matched");
    assert_eq!(code(AMBIENT), "no_allow_policy");
    let of_all = Compat { data_plane: DataPlane::Ztunnel, ..Compat::default() };
    assert_eq!(reason(&mesh(of_all, SIDECAR, &policies), None), "no_allow_policy");
    let policies = policy(
        "AuthorizationPolicy",
        "{rules: [{from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]}]}",
    );
    let mesh = mesh(Compat::default(), AMBIENT, &policies);
    assert_eq!(reason(&mesh, Some("spiffe://cluster.local/ns/a/sa/b")), "allow_matched");
    assert_eq!(reason(&mesh, Some("spiffe://cluster.local/ns/a/sa/c")), "no_allow_policy_matched");
    assert_eq!(reason(&mesh, None), "no_allow_policy_matched");
}

/// What a ztunnel's trace says of a connection to port 80 of `web`, of each policy.
fn trace(pod: &str, policies: &str) -> Vec<String> {
    let mesh = mesh(Compat::default(), pod, policies);
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let explained = authorizer.explain(&request::get("/x"));
    let rules = explained.trace.iter().flat_map(|policy| &policy.rules).map(|rule| {
        let outcome = match &rule.outcome {
            Outcome::Matched => "matched",
            Outcome::LeftOut => "left out",
            Outcome::Unmatched(_) | Outcome::Failed(_) => "failed",
            Outcome::NotAsked => "not asked",
        };
        let omitted: Vec<String> = rule.omissions.iter().map(ToString::to_string).collect();
        format!("{} {outcome} [{}]", rule.rule, omitted.join(" | "))
    });
    let decided = format!("{}", explained.decision.reason());
    rules.chain([decided]).collect()
}

#[test]
fn what_a_ztunnel_is_not_told_stands_in_its_trace_by_the_policy_s_own_numbers() {
    let rules = "rules: [{to: [{operation: {paths: [/x]}}]}, \
        {from: [{source: {trustDomains: [td], ipBlocks: [10.0.0.0/8]}}]}, \
        {to: [{operation: {ports: ['80']}}], when: [{key: connection.sni, values: [a]}]}, \
        {to: [{operation: {ports: ['80']}}]}]";
    let gone = "a ztunnel has no such field of a connection; the rule is left out";
    let allow = trace(AMBIENT, &policy("AuthorizationPolicy", &format!("{{{rules}}}")));
    let value = "the value is left out";
    let untold = format!("[from.source.trustDomains: ztunnels are not told of the field; {value}]");
    let expected = [
        format!("0 left out [to.operation.paths: {gone}]"),
        format!("1 matched {untold}"),
        format!("2 left out [when[connection.sni].values: {gone}]"),
        "3 matched []".to_owned(),
    ];
    assert_eq!(allow[..4], expected);
    assert!(allow[4].contains("rule 1 of policy shop/p"), "{allow:?}");
    // A DENY rule stays, without what it asks of requests.
    let deny =
        trace(AMBIENT, &policy("AuthorizationPolicy", &format!("{{action: DENY, {rules}}}")));
    assert!(deny[0].starts_with("0 failed [to.operation.paths: "), "{deny:?}");
    assert!(deny[0].ends_with(&format!("{value}]")), "{deny:?}");
    assert!(deny[4].contains("rule 1 of policy shop/p"), "{deny:?}");
    let ports = policy(
        "AuthorizationPolicy",
        &format!("{{{}}}", rules.replace("10.0.0.0/8", "11.0.0.0/8")),
    );
    let ports = trace(AMBIENT, &ports);
    assert!(ports[4].contains("rule 3 of policy shop/p"), "{ports:?}");
}

#[track_caller]
fn check_unmatched(rule: &str, expected: &str) {
    let spec = format!("{{action: DENY, rules: [{{{rule}}}]}}");
    let mesh = mesh(Compat::default(), AMBIENT, &policy("AuthorizationPolicy", &spec));
    let proxy = mesh.proxy("c1/shop/web").expect("the pod is there");
    let plane = mesh.control_plane_of("c1").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let explained = authorizer.explain(&request::get("/x"));
    let rules = explained.trace.iter().flat_map(|policy| &policy.rules);
    let failures = rules.filter_map(|rule| match &rule.outcome {
        Outcome::Unmatched(failure) => Some(failure.to_string()),
        Outcome::Failed(_) | Outcome::Matched | Outcome::LeftOut | Outcome::NotAsked => None,
    });
    assert_eq!(Vec::from_iter(failures), [expected]);
}

/// What `from` and `to` ask for may stand in a condition, too: the one that fails is told.
#[test]
fn a_condition_that_a_connection_fails_is_told_as_one() {
    let when = |key: &str, value: &str| format!("when: [{{key: {key}, values: ['{value}']}}]");
    let ports = "to: [{operation: {ports: ['80']}}]";
    check_unmatched(
        &format!("{ports}, {}", when("destination.port", "81")),
        "when[destination.port].values: expected [\"81\"], saw 80",
    );
    check_unmatched(
        &format!("{ports}, when: [{{key: destination.port, notValues: ['80']}}]"),
        "when[destination.port].notValues: expected none of [\"80\"], saw 80",
    );
    check_unmatched(
        &when("source.namespace", "b"),
        "when[source.namespace].values: expected [\"b\"], saw nothing",
    );
    check_unmatched(
        &when("source.principal", "b"),
        "when[source.principal].values: expected [\"b\"], saw nothing",
    );
    let any = "from: [{source: {ipBlocks: [0.0.0.0/0]}}]";
    let source = request::get("/x").connection.source_ip;
    check_unmatched(
        &format!("{any}, {}", when("source.ip", "1.1.1.1")),
        &format!("when[source.ip].values: expected [\"1.1.1.1\"], saw {source}"),
    );
    check_unmatched(
        "from: [{source: {ipBlocks: [1.1.1.1]}}]",
        &format!("from.source.ipBlocks: expected [\"1.1.1.1\"], saw {source}"),
    );
    check_unmatched(
        "to: [{operation: {ports: ['81']}}]",
        "to.operation.ports: expected [\"81\"], saw 80",
    );
}

/// A field that a ztunnel does not compare is told where a rule never matches because of it.
#[test]
fn a_field_that_a_ztunnel_does_not_compare_is_told_as_what_fails() {
    let check = |rule: &str, field: &str| {
        check_unmatched(rule, &format!("{field}, saw nothing: a ztunnel does not compare it"));
    };
    let paths = "to: [{operation: {paths: [/x]}}]";
    let ports = "to: [{operation: {ports: ['80']}}]";
    let token = "from: [{source: {requestPrincipals: ['*']}}]";
    check(paths, "to.operation.paths: expected [\"/x\"]");
    check("to: [{operation: {notHosts: [a]}}]", "to.operation.notHosts: expected none of [\"a\"]");
    check(token, "from.source.requestPrincipals: expected [\"*\"]");
    check(&format!("{ports}, {token}"), "from.source.requestPrincipals: expected [\"*\"]");
    check(&format!("{paths}, {token}"), "to.operation.paths: expected [\"/x\"]");
    check("from: [{source: {trustDomains: [td]}}]", "from.source.trustDomains: expected [\"td\"]");
    for key in ["request.headers[x]", "request.auth.claims[a]", "connection.sni", "remote.ip"] {
        let value = if key == "remote.ip" { "10.0.0.1" } else { "a" };
        let when = format!("{ports}, when: [{{key: '{key}', values: ['{value}']}}]");
        check(&when, &format!("when[{key}].values: expected [\"{value}\"]"));
    }
}

/// Whatever such a rule says, what it may keep out is denied; and the trace says that no proxy takes it.
#[test]
fn a_template_that_envoy_refuses_stands_in_the_trace() {
    let trace = |action: &str, list: &str, path: &str| {
        let spec = format!(
            "{{action: {action}, rules: [{{to: [{{operation: {{{list}: ['{path}']}}}}]}}]}}"
        );
        trace(SIDECAR, &policy("AuthorizationPolicy", &spec))
    };
    for (action, list, outcome, decided) in [
        ("ALLOW", "paths", "failed", "none of their rules matches"),
        ("ALLOW", "notPaths", "failed", "none of their rules matches"),
        ("DENY", "paths", "matched", "rule 0 of policy shop/p"),
        ("DENY", "notPaths", "matched", "rule 0 of policy shop/p"),
    ] {
        let found = trace(action, list, "{*}");
        let told = format!(
            "0 {outcome} [to.operation.{list}: Envoy knows no such path template; the proxy refuses"
        );
        assert!(found[0].starts_with(&told), "{found:?}");
        assert!(found[1].contains(decided), "{found:?}");
    }
    assert_eq!(trace("ALLOW", "paths", "/{*}")[0], "0 matched []");
}

#[test]
fn a_ztunnel_denies_plain_text_where_mutual_tls_is_demanded() {
    let policies = policy("PeerAuthentication", "{mtls: {mode: STRICT}}");
    let mesh = mesh(Compat::default(), AMBIENT, &policies);
    assert_eq!(reason(&mesh, None), "deny_matched");
    assert_eq!(reason(&mesh, Some("spiffe://cluster.local/ns/a/sa/b")), "no_allow_policy");
}

/// A ztunnel takes a policy of the root namespace for all of the mesh only without a selector, a sidecar
/// also with an empty one.
#[test]
fn an_empty_selector_in_the_root_namespace_does_not_reach_other_namespaces_behind_ztunnels() {
    let code = |pod, selector: &str| {
        let spec = format!("{{{selector} mtls: {{mode: STRICT}}}}");
        let of_mesh = policy("PeerAuthentication", &spec)
            .replace("namespace: shop", "namespace: istio-system");
        reason(&mesh(Compat::default(), pod, &of_mesh), None)
    };
    assert_eq!(code(AMBIENT, ""), "deny_matched");
    assert_eq!(code(AMBIENT, "selector: {},"), "no_allow_policy");
    assert_eq!(code(AMBIENT, "selector: {matchLabels: {}},"), "no_allow_policy");
    assert_eq!(code(SIDECAR, "selector: {},"), code(SIDECAR, ""));
}

#[test]
fn what_cannot_be_understood_is_denied_by_every_data_plane() {
    let broken = policy("AuthorizationPolicy", "{action: DENY, rules: 5}");
    for pod in [SIDECAR, GRPC, AMBIENT] {
        let mesh = mesh(Compat::default(), pod, &broken);
        assert_eq!(
            reason(&mesh, Some("spiffe://cluster.local/ns/a/sa/b")),
            "policy_broken",
            "{pod}"
        );
    }
    let broken = policy("PeerAuthentication", "{mtls: 5}");
    let mesh = mesh(Compat::default(), AMBIENT, &broken);
    assert_eq!(reason(&mesh, None), "deny_matched");
}

/// Upstream filters by no labels where a workload has none: it refers to every policy with a selector.
#[test]
fn a_workload_without_labels_is_selected_by_every_ztunnel_policy() {
    let ambient = "annotations: {ambient.istio.io/redirection: enabled}|{name: a, image: b}";
    let sidecar = "|{name: app, image: a}, {name: istio-proxy, image: p}";
    let code = |pod, spec: &str| {
        reason(&mesh(Compat::default(), pod, &policy("AuthorizationPolicy", spec)), None)
    };
    let deny = "{action: DENY, selector: {matchLabels: {app: zz}}, rules: [{}]}";
    assert_eq!(code(ambient, deny), "deny_matched");
    assert_eq!(code(AMBIENT, deny), "no_allow_policy", "it has a label, and not that one");
    assert_eq!(code(sidecar, deny), "no_allow_policy");
    let broken = "{action: DENY, selector: {matchLabels: {app: zz}}, rules: 5}";
    assert_eq!(code(ambient, broken), "policy_broken");
    assert_eq!(code(sidecar, broken), "no_allow_policy");
    let all = "{action: DENY, selector: {matchLabels: {}}, rules: [{}]}";
    assert_eq!(code(ambient, all), "no_allow_policy");
    assert_eq!(code(sidecar, all), "deny_matched");
}
