//! `mesh diff` tells what happens to connections that arrive at a workload, beside who may make them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
#[path = "shared/diff.rs"]
mod diff;
#[path = "shared/folder.rs"]
mod folder;

use serde_json::{Value, json};

use folder::Folder;

/// A workload of two ports: 8080 speaks HTTP, 9090 what it likes.
const CLUSTER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: cart-0, namespace: app, labels: {app: cart, security.istio.io/tlsMode: istio}},
 spec: {containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: app},
 spec: {clusterIP: 10.9.0.1, selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}, {name: any, port: 90, targetPort: 9090}]}}
";

/// What `mesh diff` says of two folders, as JSON and for people.
fn diff(name: &str, before: [&str; 3], after: [&str; 3]) -> (Value, String) {
    let [old, new] = [("old", before), ("new", after)].map(|(side, [mesh, config, cluster])| {
        let files =
            [("mesh.yaml", mesh), ("config/all.yaml", config), ("clusters/c1/all.yaml", cluster)];
        Folder::new(&format!("inbound-{name}-{side}"), &files)
    });
    diff::diff(&old, &new)
}

/// What a change of the mesh's settings, of the rules or of the cluster says of what arrives.
fn inbound(name: &str, before: [&str; 3], after: [&str; 3]) -> Vec<Value> {
    let (found, text) = diff(name, before, after);
    let inbound = found["inbound"].as_array().unwrap().clone();
    assert_eq!(inbound.is_empty(), text.contains("nothing is treated otherwise"), "{text}");
    assert!(inbound.iter().all(|it| it["proxies"] == json!(["c1/app/cart-0"])), "{found}");
    inbound
}

/// The changes of one kind of connection.
fn of<'f>(
    found: &'f [Value],
    port: impl Into<Value>,
    transport: &str,
    protocol: &str,
) -> Option<&'f Value> {
    let arriving = json!({"port": port.into(), "transport": transport, "protocol": protocol});
    let is_for = |it: &&Value| it["arriving"].as_array().unwrap().contains(&arriving);
    let mut changes = found.iter().filter(is_for);
    let change = changes.next();
    assert!(changes.next().is_none(), "told twice: {arriving} {found:#?}");
    change
}

fn change(what: &str, before: impl Into<Value>, after: impl Into<Value>) -> Value {
    json!({"what": what, "before": before.into(), "after": after.into()})
}

fn rule(mode: &str, ports: &str) -> String {
    let ports =
        if ports.is_empty() { String::new() } else { format!(", portLevelMtls: {{{ports}}}") };
    format!(
        "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: p, namespace: app}}, \
         spec: {{selector: {{matchLabels: {{app: cart}}}}, mtls: {{mode: {mode}}}{ports}}}}}\n"
    )
}

#[test]
fn nothing_is_told_of_a_folder_and_itself() {
    assert_eq!(inbound("same", ["{}", "", CLUSTER], ["{}", "", CLUSTER]), [] as [Value; 0]);
}

#[test]
fn plain_text_that_is_refused_is_told_by_the_decisions_alone() {
    let (permissive, strict) = (rule("PERMISSIVE", ""), rule("STRICT", ""));
    let sides = [["{}", &*permissive, CLUSTER], ["{}", &*strict, CLUSTER]];
    let (found, _) = diff("strict", sides[0], sides[1]);
    let denied = found["decisions"].as_array().unwrap();
    assert!(denied.iter().any(|it| it["change"] == "newly_denied"), "{found}");
    let found = inbound("strict-in", sides[0], sides[1]);
    assert_eq!(of(&found, 8080, "plain_text", "http"), None);
    assert_eq!(of(&found, 8080, "mutual_tls", "http"), None);
    // TLS of the application's own went through to it, and has no certificate to show now.
    let own = of(&found, 9090, "tls", "http").unwrap();
    let moved = json!([{"from": {"cluster_name": "inbound|9090||"}, "to": null, "share": 100.0}]);
    assert_eq!(own["moved"], moved);
    assert!(of(&found, Value::Null, "tls", "tcp").is_some());
}

#[test]
fn a_port_without_mutual_tls_does_not_end_it_any_more() {
    let (permissive, off) = (
        rule("PERMISSIVE", ""),
        rule("PERMISSIVE", "8080: {mode: DISABLE}, 9090: {mode: DISABLE}"),
    );
    let found = inbound("disable", ["{}", &permissive, CLUSTER], ["{}", &off, CLUSTER]);
    // What the mesh sends encrypted is no HTTP to the proxy, and to the application it is noise.
    let http = of(&found, 8080, "mutual_tls", "http").unwrap();
    assert_eq!(http["moved"][0]["to"], Value::Null, "{http}");
    let any = of(&found, 9090, "mutual_tls", "tcp").unwrap();
    assert_eq!(any["moved"], json!([]));
    assert!(
        any["changes"].as_array().unwrap().contains(&change(
            "TLS",
            "ended by the proxy",
            "passed on as it came"
        )),
        "{any}"
    );
    assert_eq!(of(&found, 8080, "plain_text", "http"), None, "{found:#?}");
    assert_eq!(of(&found, Value::Null, "mutual_tls", "http"), None);
}

#[test]
fn a_port_that_a_service_names_is_read_as_it_says_and_has_a_cluster() {
    let tcp = CLUSTER.replace("name: http,", "name: tcp,");
    let found = inbound("tcp", ["{}", "", CLUSTER], ["{}", "", &tcp]);
    let plain = of(&found, 8080, "plain_text", "http").unwrap();
    assert!(
        plain["changes"].as_array().unwrap().contains(&change("read as", "HTTP", "bytes")),
        "{plain}"
    );
    assert_eq!(of(&found, 9090, "plain_text", "http"), None);

    let moved = CLUSTER.replace("targetPort: 8080", "targetPort: 8081");
    let found = inbound("port", ["{}", "", CLUSTER], ["{}", "", &moved]);
    let gone = of(&found, 8080, "plain_text", "http").unwrap();
    let ends = |it: &Value| {
        [&it["moved"][0]["from"]["cluster_name"], &it["moved"][0]["to"]["cluster_name"]]
            .map(|name| name.as_str().unwrap().to_owned())
    };
    assert_eq!(ends(gone), ["inbound|8080||", "InboundPassthroughCluster"]);
    let new = of(&found, 8081, "mutual_tls", "http").unwrap();
    assert_eq!(ends(new), ["InboundPassthroughCluster", "inbound|8081||"]);
}

#[test]
fn settings_of_the_mesh_change_how_requests_are_read_and_tried_again() {
    let settings = "{pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}, defaultInboundHttpRetryPolicy: {attempts: 0}}";
    let found = inbound("settings", ["{}", "", CLUSTER], [settings, "", CLUSTER]);
    let http = of(&found, 8080, "mutual_tls", "http").unwrap();
    assert_eq!(http["moved"], json!([]));
    let expected = json!([
        change("paths", "normalized", "normalized, slashes merged, escaped slashes decoded"),
        change("retries", "2 on reset-before-request", "none"),
    ]);
    assert_eq!(http["changes"], expected);
    // All that is read as HTTP is told at once, and nothing of what is not.
    assert_eq!(of(&found, Value::Null, "plain_text", "http"), Some(http));
    assert_eq!(of(&found, 9090, "plain_text", "tcp"), None);
}

#[test]
fn what_nothing_is_said_of_is_what_envoy_takes() {
    let [old, new] = ["{}", "{protocolDetectionTimeout: 5s}"];
    let found = inbound("wait", [old, "", CLUSTER], [new, "", CLUSTER]);
    let plain = of(&found, 9090, "plain_text", "tcp").unwrap();
    let expected = change("the wait for the protocol ends after", "never", "5s");
    assert_eq!(plain["changes"], json!([expected]));
    let idle = "annotations: {proxy.istio.io/config: '{proxyMetadata: {IDLE_TIMEOUT: 30s, ISTIO_META_IDLE_TIMEOUT: 30s}}'}, labels: {app: cart,";
    let idle = CLUSTER.replace("labels: {app: cart,", idle);
    let found = inbound("idle", [old, "", CLUSTER], [old, "", &idle]);
    let plain = of(&found, 9090, "plain_text", "tcp").unwrap();
    assert_eq!(plain["changes"], json!([change("idle connections end after", "3600s", "30s")]));
}

fn sidecar(ingress: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: s, namespace: app}}, \
         spec: {{workloadSelector: {{labels: {{app: cart}}}}, ingress: [{ingress}]}}}}\n"
    )
}

#[test]
fn an_ingress_listener_that_sends_elsewhere_is_told() {
    let to = |endpoint: &str, more: &str| {
        sidecar(&format!(
            "{{port: {{number: 8080, protocol: HTTP, name: http}}, defaultEndpoint: '{endpoint}'{more}}}"
        ))
    };
    let [old, new] = [
        to("127.0.0.1:8080", ""),
        to("unix:///var/run/a.sock", ", connectionPool: {tcp: {maxConnections: 3}}"),
    ];
    let found = inbound("endpoint", ["{}", &old, CLUSTER], ["{}", &new, CLUSTER]);
    let http = of(&found, 8080, "plain_text", "http").unwrap();
    let changes = http["changes"].as_array().unwrap();
    assert!(
        changes.contains(&change("sent on to", "127.0.0.1:8080", "unix:///var/run/a.sock")),
        "{http}"
    );
    assert!(changes.contains(&change("connections at a time", "any number", "3")), "{http}");
}

#[test]
fn a_listener_that_takes_its_port_itself_is_no_way_out_of_the_workload() {
    let port = "port: {number: 8080, protocol: HTTP, name: http}";
    let [old, new] = [("127.0.0.1:8080", ""), ("127.0.0.1:8081", "")].map(|(endpoint, _)| {
        sidecar(&format!(
            "{{{port}, captureMode: NONE, bind: 10.0.0.1, defaultEndpoint: '{endpoint}'}}"
        ))
    });
    let found = inbound("bind", ["{}", &old, CLUSTER], ["{}", &new, CLUSTER]);
    let http = of(&found, 8080, "mutual_tls", "http").unwrap();
    assert_eq!(http["changes"], json!([change("sent on to", "127.0.0.1:8080", "127.0.0.1:8081")]));
    let captured = sidecar(&format!("{{{port}, defaultEndpoint: '127.0.0.1:8080'}}"));
    let (found, _) = diff("capture", ["{}", &old, CLUSTER], ["{}", &captured, CLUSTER]);
    assert_eq!(found["traffic"], json!([]), "{found}");
}

#[test]
fn a_sidecar_that_becomes_a_gateway_is_not_gone() {
    let gateway = CLUSTER.replace("{name: app}, {name: istio-proxy}", "{name: istio-proxy}");
    assert_eq!(inbound("gateway", ["{}", "", CLUSTER], ["{}", "", &gateway]), [] as [Value; 0]);
}

#[test]
fn a_connection_that_nothing_redirects_comes_to_the_workload_at_once() {
    let none = "annotations: {sidecar.istio.io/interceptionMode: NONE}, labels: {app: cart,";
    let none = CLUSTER.replace("labels: {app: cart,", none);
    let found = inbound("none", ["{}", "", CLUSTER], ["{}", "", &none]);
    let plain = of(&found, 8080, "plain_text", "http").unwrap();
    let to = json!({"from": {"cluster_name": "inbound|8080||"}, "to": {"unproxied": true}, "share": 100.0});
    assert_eq!(plain["moved"], json!([to]));
}

#[test]
fn how_an_external_authorizer_is_asked_is_told_where_it_is_asked_on_both_sides() {
    let mesh = |host: &str, more: &str| {
        format!(
            "{{extensionProviders: [{{name: ext, envoyExtAuthzGrpc: {{service: {host}, port: 80{more}}}}}]}}"
        )
    };
    let rules = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: app},
  spec: {action: CUSTOM, provider: {name: ext}, rules: [{}]}}\n";
    let old = mesh("cart.app.svc.cluster.local", "");
    let new = mesh("cart.app.svc.cluster.local", ", timeout: 2s, failOpen: true");
    let found = inbound("asked", [&old, rules, CLUSTER], [&new, rules, CLUSTER]);
    let http = of(&found, 8080, "mutual_tls", "http").unwrap();
    let what = "how outbound|80||cart.app.svc.cluster.local is asked";
    let expected = change(
        what,
        "for 600s at most, refused if that fails",
        "for 2s at most, let pass if that fails",
    );
    assert_eq!(http["changes"], json!([expected]));
    // That nobody is asked any more is told by the decisions.
    assert_eq!(inbound("unasked", [&old, rules, CLUSTER], [&old, "", CLUSTER]), [] as [Value; 0]);
}

#[test]
fn policies_and_tokens_are_told_by_the_decisions_but_not_whose_keys_count() {
    let allow = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: app},
  spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}}\n";
    assert_eq!(inbound("rbac", ["{}", "", CLUSTER], ["{}", allow, CLUSTER]), [] as [Value; 0]);
    let tokens = |header: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {{name: r, namespace: app}}, \
             spec: {{jwtRules: [{{issuer: me, jwksUri: 'https://me/keys', fromHeaders: [{{name: {header}}}]}}]}}}}\n"
        )
    };
    assert_eq!(
        inbound("jwt", ["{}", "", CLUSTER], ["{}", &tokens("x-a"), CLUSTER]),
        [] as [Value; 0]
    );
    let found = inbound("found", ["{}", &tokens("x-a"), CLUSTER], ["{}", &tokens("x-b"), CLUSTER]);
    let http = of(&found, 8080, "mutual_tls", "http").unwrap();
    let what = "how tokens of me are found, checked and passed on";
    assert_eq!(http["changes"], json!([change(what, Value::Null, Value::Null)]));
}
