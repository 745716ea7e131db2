//! `mesh authz` where what it depends on cannot be told: it denies.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// `web` of both clusters, `c2` being served by `c1`; nobody but `web` of `c2` may call.
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web, \
    security.istio.io/tlsMode: istio}}, spec: {serviceAccountName: web}, status: {phase: Running, podIP: 10.0.0.";
const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
    metadata: {name: p, namespace: shop}\n\
    spec: {action: DENY, rules: [{from: [{source: {principals: ['t/ns/shop/sa/web']}}], \
    to: [{operation: {ports: ['81']}}]}]}\n";

/// What is answered to calls in a mesh with this description of `c2`, in which nobody is called `t`; without
/// a caller the request says who it is.
fn ask(
    name: &str,
    description: &str,
    files: &[(&str, &str)],
    call: [&str; 2],
    request: &str,
) -> String {
    let folder = std::env::temp_dir().join(format!("mesh-closed-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let c1 = format!("{POD}1}}}}\n---\n{POLICY}");
    let c2 = format!("{POD}2}}}}\n");
    let own = [
        ("clusters/c1/all.yaml", c1.as_str()),
        ("clusters/c1/cluster.yaml", "role: primary\n"),
        ("clusters/c2/all.yaml", c2.as_str()),
        ("clusters/c2/cluster.yaml", description),
    ];
    for (file, text) in own.iter().chain(files) {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let [from, to] = call;
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(&folder).args(["authz", "--to", to]);
    if !from.is_empty() {
        command.args(["--from", from]);
    }
    command.args(["--request", "-", "-o", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let answer = child.wait_with_output().unwrap().stdout;
    std::fs::remove_dir_all(&folder).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let code = answer.pointer("/reason/code").and_then(Value::as_str);
    code.unwrap_or("no answer").to_owned()
}

const GET: &str = "{\"destination_port\": 80, \"host\": \"web\"}";
const PLAIN: &str = "{\"destination_port\": 80}";
const TO_C1: [&str; 2] = ["c2/shop/web", "c1/shop/web"];
const TO_C2: [&str; 2] = ["c1/shop/web", "c2/shop/web"];

#[test]
fn who_the_workloads_of_a_cluster_are_may_be_unknown() {
    let aliases = [("mesh.yaml", "trustDomainAliases: [t]\n")];
    let check = |name: &str, description: &str, expected: [&str; 2]| {
        let found = [TO_C1, TO_C2].map(|call| ask(name, description, &aliases, call, GET));
        assert_eq!(found, expected, "{description}");
    };
    let served = "role: remote\ncontrolPlane: c1\n";
    check("said", &format!("{served}trustDomain: t\n"), ["no_allow_policy", "peer_not_trusted"]);
    check("list", &format!("{served}trustDomain: [t]\n"), ["connection_fails", "peer_not_trusted"]);
    check("typo", &format!("{served}trustDomian: t\n"), ["connection_fails", "peer_not_trusted"]);
}

#[test]
fn who_serves_a_cluster_may_be_unknown() {
    let check = |name: &str, description: &str, expected: &str| {
        assert_eq!(ask(name, description, &[], TO_C2, GET), expected, "{description}");
    };
    check("served", "role: remote\ncontrolPlane: c1\n", "no_allow_policy");
    check("unknown", "role: remote\ncontrolPlane: c9\n", "policy_broken");
    check("misspelt", "role: remote\ncontrolPlan: c1\n", "policy_broken");
    check("number", "role: remote\ncontrolPlane: 5\n", "policy_broken");
    check("external", "role: remote\ncontrolPlane: external\n", "no_allow_policy");
}

#[test]
fn any_of_several_primaries_may_be_meant() {
    let check = |name: &str, description: &str, third: &str, expected: &str| {
        let files =
            [("clusters/c3/cluster.yaml", "role: primary\n"), ("clusters/c3/all.yaml", third)];
        let found = [TO_C1, TO_C2].map(|call| ask(name, description, &files, call, GET));
        assert_eq!(found, ["no_allow_policy", expected], "{description} {third}");
    };
    let other = POLICY.replace("81", "80");
    check("any-same", "role: remote\n", POLICY, "no_allow_policy");
    check("any-other", "role: remote\n", &other, "policy_broken");
    check(
        "any-none",
        "region: r\n",
        "{apiVersion: v1, kind: Pod, metadata: {name: a}}",
        "policy_broken",
    );
    check("any-named", "role: remote\ncontrolPlane: c1\n", &other, "no_allow_policy");
}

#[test]
fn a_control_plane_that_nobody_knows_may_have_meant_what_nobody_understands() {
    let check = |name: &str, served_by: &str, (kind, spec): (&str, &str), expected: &str| {
        let broken = format!(
            "{POD}1}}}}\n---\napiVersion: security.istio.io/v1\nkind: {kind}\n\
             metadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
        );
        let files = [("clusters/c1/all.yaml", broken.as_str())];
        let description = format!("role: remote\ncontrolPlane: {served_by}\n");
        let found = ask(name, &description, &files, ["", "c2/shop/web"], PLAIN);
        assert_eq!(found, expected, "{served_by} {spec}");
    };
    let policy = ("AuthorizationPolicy", "{action: DNY, rules: [{}]}");
    check("broken-known", "c1", policy, "policy_broken");
    check("broken-unknown", "c9", policy, "policy_broken");
    check("broken-external", "external", policy, "no_allow_policy");
    let peers = ("PeerAuthentication", "{mtls: {mode: STRCT}}");
    check("broken-peers-known", "c1", peers, "mutual_tls_required");
    check("broken-peers-unknown", "c9", peers, "mutual_tls_required");
}

#[test]
fn who_serves_a_cluster_by_default_is_unknown_where_a_role_is() {
    let check = |name: &str, own: &str, other: &str, expected: &str| {
        let files = [("clusters/c1/cluster.yaml", own)];
        let found = ask(name, other, &files, TO_C1, GET);
        assert_eq!(found, expected, "{own} {other}");
    };
    let named = "controlPlane: c1\n";
    check("other-primary", "role: remote\n", "role: primary\n", "no_allow_policy");
    check("other-typo", "role: remote\n", "role: primry\n", "policy_broken");
    check("other-field", "role: remote\n", "rol: primary\n", "policy_broken");
    check("other-typo-plain", "{}\n", "role: primry\n", "policy_broken");
    check("other-typo-named", named, "role: primry\n", "no_allow_policy");
    check("other-typo-later", "role: primary\n", "role: primry\n", "no_allow_policy");
    // No cluster is a primary then, and they have different policies.
    check("other-misspelt", "role: remote\n", "role: remote\ncontrolPlan: c1\n", "policy_broken");
    let unread = [("clusters/c1/cluster.yaml", "role: remote\n")];
    assert_eq!(ask("other-unread", "{", &unread, ["c1/shop/web"; 2], GET), "policy_broken");
}

#[test]
fn the_root_of_a_cluster_may_be_unknown() {
    let check = |name: &str, root: &str, other: &str, expected: &str| {
        let served = "role: remote\ncontrolPlane: c1\n";
        let own = format!("role: primary\n{other}");
        let files = [("clusters/c1/cluster.yaml", own.as_str())];
        let found =
            [TO_C1, TO_C2].map(|call| ask(name, &format!("{served}{root}"), &files, call, GET));
        assert_eq!(found, [expected; 2], "{root} {other}");
    };
    let other = "rootCaFingerprint: 'sha256:aa'\n";
    check("root-same", "rootCaFingerprint: 'SHA256:aa'\n", other, "no_allow_policy");
    check("root-other", "rootCaFingerprint: 'sha256:bb'\n", other, "connection_fails");
    check("root-typo", "rootCaFingerprnt: 'sha256:aa'\n", other, "connection_fails");
    check("root-number", "rootCaFingerprint: 5\n", other, "connection_fails");
    check("root-list", "rootCaFingerprint: ['sha256:aa']\n", other, "connection_fails");
    // Whatever it is: the other cluster does not say which one it trusts.
    check("root-unsaid", "rootCaFingerprnt: 'sha256:aa'\n", "", "no_allow_policy");
    check("root-both", "rootCaFingerprint: 5\n", "rootCaFingerprint: 5\n", "connection_fails");
}

#[test]
fn a_description_that_cannot_be_read_tells_neither() {
    let check = |name: &str, description: &str| {
        let found = [TO_C1, TO_C2].map(|call| ask(name, description, &[], call, GET));
        assert_eq!(found, ["connection_fails", "peer_not_trusted"], "{description}");
    };
    check("unread", "role: [\n");
    check("two", "role: remote\n---\nrole: remote\ntrustDomain: t\n");
}

#[test]
fn a_token_that_nobody_may_believe_is_not_one() {
    let broken = [(
        "clusters/c1/r.yaml",
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
         metadata: {name: r, namespace: shop}\nspec: {jwtRules: [{issuer: 5}]}\n",
    )];
    let served = "role: remote\ncontrolPlane: c1\n";
    let request = "{\"destination_port\": 80, \"jwt\": {\"claims\": {\"iss\": \"i\"}}}";
    assert_eq!(ask("token", served, &broken, TO_C1, request), "policy_broken");
    assert_eq!(ask("tokenless", served, &broken, TO_C1, GET), "no_allow_policy");
}

#[test]
fn a_token_of_a_service_that_is_lost_is_not_one_either() {
    let served = "role: remote\ncontrolPlane: c1\n";
    let request = "{\"destination_port\": 80, \"jwt\": {\"claims\": {\"iss\": \"i\"}}}";
    let check = |name: &str, labels: &str, target: &str, request: &str, expected: &str| {
        let service = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop, labels: {{{labels}}}}}, \
             spec: {{clusterIP: 10.9.0.1, selector: {{app: web}}, ports: [{{name: http, port: 80}}]}}}}\n"
        );
        let tokens = format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
             metadata: {{name: r, namespace: shop}}\n\
             spec: {{targetRefs: [{{kind: Service, group: '', name: {target}}}], jwtRules: [{{issuer: i, jwks: '{{\"keys\":[]}}'}}]}}\n"
        );
        let files =
            [("clusters/c1/s.yaml", service.as_str()), ("clusters/c1/r.yaml", tokens.as_str())];
        let found = ask(name, served, &files, ["", "c1/shop/web"], request);
        assert_eq!(found, expected, "{labels} {target} {request}");
    };
    let uses = "istio.io/use-waypoint: waypoint";
    check("lost", &format!("{uses}, x: 5"), "web", request, "policy_broken");
    check("lost-tokenless", &format!("{uses}, x: 5"), "web", PLAIN, "no_allow_policy");
    check("lost-other", &format!("{uses}, x: 5"), "other", request, "no_allow_policy");
    check("lost-not", uses, "web", request, "no_allow_policy");
}

#[test]
fn a_workload_without_the_label_of_a_sidecar_is_called_in_plain_text() {
    let strict = |spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
             metadata: {{name: p, namespace: shop}}\nspec: {{mtls: {{mode: {spec}}}}}\n"
        )
    };
    let plain =
        POD.replace("name: web", "name: plain").replace("security.istio.io/tlsMode: istio", "a: b");
    let pod = format!("{plain}9}}}}\n");
    let check = |name: &str, mode: &str, to: &str, expected: &str| {
        let files =
            [("clusters/c1/plain.yaml", pod.as_str()), ("clusters/c1/pa.yaml", &strict(mode))];
        let served = "role: remote\ncontrolPlane: c1\n";
        assert_eq!(ask(name, served, &files, ["c1/shop/web", to], GET), expected, "{mode} {to}");
    };
    check("strict-label", "STRICT", "c1/shop/web", "no_allow_policy");
    check("strict-plain", "STRICT", "c1/shop/plain", "mutual_tls_required");
    check("open-plain", "PERMISSIVE", "c1/shop/plain", "no_allow_policy");
}

#[test]
fn who_calls_in_a_namespace_that_may_have_said_ambient_is_unknown() {
    let pods: Vec<String> = ["one", "two"]
        .map(|name| {
            let pod = POD.replace("name: web", &format!("name: {name}"));
            pod.replace("serviceAccountName: web", "containers: [{name: app}]")
        })
        .into_iter()
        .zip(["8}}\n---\n", "9}}\n---\n"])
        .map(|(pod, rest)| pod + rest)
        .collect();
    let check = |name: &str, labels: &str, expected: &str| {
        let namespace = format!(
            "{}{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{labels}}}}}}}\n",
            pods.concat()
        );
        let files = [("clusters/c1/plain.yaml", namespace.as_str())];
        let served = "role: remote\ncontrolPlane: c1\n";
        let found = ask(name, served, &files, ["c1/shop/one", "c1/shop/two"], GET);
        assert_eq!(found, expected, "{labels}");
    };
    check("ambient", "istio.io/dataplane-mode: ambient", "no_allow_policy");
    check("ambient-lost", "istio.io/dataplane-mode: ambient, x: 5", "connection_fails");
    check("ambient-not", "x: 5", "no_allow_policy");
}

#[test]
fn flags_say_what_a_request_leaves_out_and_contradict_nothing() {
    let check = |name: &str, flags: &[&str], request: &str, code: i32| {
        let folder = std::env::temp_dir().join(format!("mesh-flags-{name}-{}", std::process::id()));
        let file = folder.join("clusters/c1/all.yaml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let rules = POLICY.replace("from: [{source: {principals: ['t/ns/shop/sa/web']}}], ", "");
        std::fs::write(file, format!("{POD}1}}}}\n---\n{rules}")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command.arg("-f").arg(&folder).args(["authz", "--to", "c1/shop/web", "--request", "-"]);
        command.args(flags).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{flags:?} {request}");
        std::fs::remove_dir_all(&folder).unwrap();
    };
    check("port", &["--port", "81"], "{}", 1);
    check("other", &["--port", "80"], "{}", 0);
    check("same", &["--port", "80", "--protocol", "http"], GET, 0);
    check("ports", &["--port", "81"], GET, 2);
    check(
        "protocols",
        &["--protocol", "tcp"],
        "{\"destination_port\": 80, \"protocol\": \"http\"}",
        2,
    );
}
