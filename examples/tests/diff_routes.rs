//! `mesh diff` tells the traffic that routes send elsewhere, and findings by what they say.
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

use diff::diff;
use folder::Folder;

const CLUSTER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: app, labels: {app: web, security.istio.io/tlsMode: istio}},
 spec: {containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gw-0, namespace: app, labels: {istio: ingress, app: gw}},
 spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}, status: {phase: Running, podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: app}, spec: {clusterIP: 10.9.0.1, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: b, namespace: app}, spec: {clusterIP: 10.9.0.2, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: app}, spec: {clusterIP: 10.9.0.3, ports: [{name: tcp, port: 3306}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: o, namespace: other}, spec: {clusterIP: 10.9.0.4, ports: [{name: http, port: 80}]}}
";

fn service(spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: v, namespace: app}}, \
         spec: {{hosts: [a.app.svc.cluster.local], http: [{spec}]}}}}\n"
    )
}

fn folder(name: &str, file: &str, config: &str, cluster: &str) -> Folder {
    let config = (&*format!("config/{file}"), config);
    let files = [("mesh.yaml", "{}\n"), config, ("clusters/c1/all.yaml", cluster)];
    Folder::new(&format!("routes-{name}"), &files)
}

/// What moves of one request of `web-0`, as JSON without the proxies.
fn moved(name: &str, [before, after]: [(&str, &str); 2], [host, path]: [&str; 2]) -> Value {
    let [old, new] = [("old", before), ("new", after)].map(|(side, (config, cluster))| {
        folder(&format!("{name}-{side}"), "all.yaml", config, cluster)
    });
    let (found, text) = diff(&old, &new);
    assert!(!text.contains("none moves"), "{name}: {text}");
    let of = |change: &&Value| {
        let proxies = change["proxies"].as_array().unwrap();
        change["host"] == host
            && change["request"]["path"] == path
            && proxies.contains(&json!("c1/app/web-0"))
    };
    found["traffic"].as_array().unwrap().iter().find(of).unwrap_or(&found)["moved"].clone()
}

const A: &str = "a.app.svc.cluster.local";
const TO_A: &str = "outbound|80||a.app.svc.cluster.local";
const TO_B: &str = "outbound|80||b.app.svc.cluster.local";

fn check(name: &str, before: &str, after: &str, path: &str, from: &Value, to: &Value, share: f64) {
    let sides = [(&*service(before), CLUSTER), (&*service(after), CLUSTER)];
    let expected = json!([{"from": from, "to": to, "share": share}]);
    assert_eq!(moved(name, sides, [A, path]), expected, "{name}");
}

#[test]
fn a_virtual_service_that_sends_elsewhere_moves_traffic() {
    let weights = |a: u8, b: u8| {
        format!(
            "{{route: [{{destination: {{host: a}}, weight: {a}}}, {{destination: {{host: b}}, weight: {b}}}]}}"
        )
    };
    let (to_a, to_b) = (json!({"cluster_name": TO_A}), json!({"cluster_name": TO_B}));
    check("weights", &weights(50, 50), &weights(80, 20), "/", &to_b, &to_a, 30.0);
    let all = "{route: [{destination: {host: a}}]}";
    check("host", all, "{route: [{destination: {host: b}}]}", "/", &to_a, &to_b, 100.0);
    let answer = json!({"direct_response": {"status": 503}});
    check("answer", all, "{directResponse: {status: 503}}", "/", &to_a, &answer, 100.0);
    let subset = "outbound|80|nope|a.app.svc.cluster.local";
    let missing = json!({"direct_response": {"status": 503}, "missing_cluster": subset});
    let to_subset = "{route: [{destination: {host: a, subset: nope}}]}";
    check("subset", all, to_subset, "/", &to_a, &missing, 100.0);
    let aborts = "{fault: {abort: {httpStatus: 500, percentage: {value: 25}}}, route: [{destination: {host: a}}]}";
    let aborted = json!({"direct_response": {"status": 500}});
    check("fault", all, aborts, "/", &to_a, &aborted, 25.0);
    // Only requests that meet a condition.
    let with = |host: &str| {
        format!(
            "{{match: [{{uri: {{prefix: /v2}}, headers: {{x: {{exact: blue}}}}}}], route: [{{destination: {{host: {host}}}}}]}}, {all}"
        )
    };
    check("match", &with("a"), &with("b"), "/v2", &to_a, &to_b, 100.0);
    let matching = |host: &str| {
        format!(
            "{{match: [{{uri: {{regex: '/v[0-9]+/.+'}}, headers: {{x: {{regex: 'blue|green'}}}}}}], \
             route: [{{destination: {{host: {host}}}}}]}}, {all}"
        )
    };
    check("expression", &matching("a"), &matching("b"), "/v0/a", &to_a, &to_b, 100.0);
    let unless = |host: &str| {
        format!(
            "{{match: [{{withoutHeaders: {{x: {{}}}}}}], route: [{{destination: {{host: {host}}}}}]}}, {all}"
        )
    };
    check("without", &unless("a"), &unless("b"), "/", &to_a, &to_b, 100.0);
}

#[test]
fn a_proxy_that_comes_or_goes_moves_no_traffic() {
    let rule = service("{route: [{destination: {host: a}}]}");
    let served = "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a-1, namespace: app, \
        labels: {kubernetes.io/service-name: a}}, addressType: IPv4, ports: [{name: http, port: 80}], \
        endpoints: [{addresses: [10.0.0.9]}]}\n";
    let renamed = CLUSTER.replace("name: web-0", "name: web-1");
    let [old, new] = [("pods-old", CLUSTER), ("pods-new", &*renamed)]
        .map(|(side, cluster)| folder(side, "all.yaml", &rule, &format!("{cluster}{served}")));
    let (found, _) = diff(&old, &new);
    assert_eq!(found["traffic"], json!([]), "{found}");
    let sent = found["resources"].as_array().unwrap().iter().map(|it| &it["proxies"]);
    let of = |name: &str| sent.clone().any(|it| it == &json!([format!("c1/app/{name}")]));
    assert!(of("web-0") && of("web-1"), "{found}");
}

#[test]
fn proxies_that_are_sent_the_same_stand_in_one_change() {
    // What `api-0` receives is another thing, what it sends is not; `far-0` does not see the rule.
    let pod = |name: &str, namespace: &str, last: u8| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}, security.istio.io/tlsMode: istio}}}}, \
             spec: {{containers: [{{name: app}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: 10.0.0.{last}}}}}\n"
        )
    };
    let served = "---\n{apiVersion: v1, kind: Service, metadata: {name: api, namespace: app}, \
        spec: {clusterIP: 10.9.0.9, selector: {app: api-0}, ports: [{name: http, port: 80, targetPort: 8080}]}}\n";
    let pods = [pod("api-0", "app", 7), pod("far-0", "far", 8)].concat();
    let cluster = format!("{CLUSTER}{pods}{served}");
    let rule = |host: &str| {
        service(&format!("{{route: [{{destination: {{host: {host}}}}}]}}"))
            .replace("spec: {", "spec: {exportTo: ['.'], ")
    };
    let [old, new] = [("together-old", "a"), ("together-new", "b")]
        .map(|(side, host)| folder(side, "all.yaml", &rule(host), &cluster));
    let (found, _) = diff(&old, &new);
    let moved: Vec<&Value> =
        found["traffic"].as_array().unwrap().iter().map(|it| &it["proxies"]).collect();
    assert_eq!(moved, [&json!(["c1/app/api-0", "c1/app/web-0"])], "{found}");
}

#[test]
fn a_sidecar_that_hides_a_host_moves_its_traffic() {
    let only = "{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: s, namespace: app}, \
        spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}, egress: [{hosts: ['./*']}]}}\n---\n";
    // The route keeps the cluster of the host that is hidden.
    let keeps = service("{route: [{destination: {host: o.other.svc.cluster.local}}]}");
    let sides = [(&*keeps, CLUSTER), (&*format!("{only}{keeps}"), CLUSTER)];
    let found = moved("hidden", sides, ["o.other.svc.cluster.local", "/"]);
    let from = json!({"cluster_name": "outbound|80||o.other.svc.cluster.local"});
    assert_eq!(found[0]["from"], from, "{found}");
    assert_ne!(found[0]["to"], found[0]["from"], "{found}");
    assert_eq!(found[0]["share"], json!(100.0));
}

#[test]
fn a_listener_that_goes_moves_its_traffic() {
    let without =
        CLUSTER.replace("{name: tcp, port: 3306}", "{name: udp, protocol: UDP, port: 3306}");
    let sides = [("{}", CLUSTER), ("{}", &*without)];
    let found = moved("listener", sides, ["10.9.0.3", "/"]);
    let from = json!({"cluster_name": "outbound|3306||db.app.svc.cluster.local"});
    assert_eq!((&found[0]["from"], &found[0]["share"]), (&from, &json!(100.0)), "{found}");
}

#[test]
fn routes_that_send_alike_move_nothing() {
    let slow = "{timeout: 3s, route: [{destination: {host: a}}]}";
    let old =
        folder("alike-old", "all.yaml", &service("{route: [{destination: {host: a}}]}"), CLUSTER);
    let new = folder("alike-new", "all.yaml", &service(slow), CLUSTER);
    let (found, text) = diff(&old, &new);
    assert_eq!(found["traffic"], json!([]));
    assert!(text.contains("none moves"), "{text}");
    assert!(!found["resources"].as_array().unwrap().is_empty());
}

#[test]
fn a_file_of_another_name_says_nothing_new() {
    let config = service("{route: [{destination: {host: nobody}}]}");
    let old = folder("file-old", "a.yaml", &config, CLUSTER);
    let new = folder("file-new", "b.yaml", &config, CLUSTER);
    let (found, _) = diff(&old, &new);
    let (back, _) = diff(&old, &folder("file-none", "a.yaml", "{}", CLUSTER));
    assert_eq!(found["diagnostics"], json!({"added": [], "removed": []}));
    assert!(!back["diagnostics"]["removed"].as_array().unwrap().is_empty(), "{back}");
}
