//! The JSON that scripts rely on: every field of every answer, on every example mesh, and exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may fail like tests"
)]
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const FOLDERS: [&str; 4] = ["canary", "failover", "loopback", "shop"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes").join(name)
}

/// Runs `mesh` with a text on stdin.
fn mesh(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder(name)).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read is done by now, perhaps.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The JSON of an answer, and its exit code.
fn answer(name: &str, arguments: &[&str], input: &str) -> (Value, i32) {
    let output = mesh(name, &[arguments, &["-o", "json"]].concat(), input);
    let code = output.status.code().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(code, 2, "{arguments:?}: {said}");
    (serde_json::from_slice(&output.stdout).unwrap(), code)
}

/// Checks that there is no answer, with a sentence that contains all of these.
fn refused(arguments: &[&str], words: &[&str]) {
    let output = mesh("shop", arguments, "{}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    for word in words {
        assert!(said.contains(word), "{arguments:?}: `{word}` is not in {said}");
    }
}

/// Checks that a value has fields of the kinds that `shape` shows: a value of the kind, `[x]` for a
/// list of such, `null` for anything.
fn check(value: &Value, shape: &Value, place: &str) {
    match (shape, value) {
        (Value::Object(fields), Value::Object(members)) => {
            for (name, shape) in fields {
                let member =
                    members.get(name).unwrap_or_else(|| panic!("{place}.{name} is missing"));
                check(member, shape, &format!("{place}.{name}"));
            }
        }
        (Value::Array(shape), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &shape[0], &format!("{place}[{index}]"));
            }
        }
        (Value::Null, _)
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{place} is {value}, not as {shape}"),
    }
}

fn locality() -> Value {
    json!({"region": "", "zone": "", "sub_zone": ""})
}

fn proxies(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder(name).join("proxies.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let list = list.as_array().unwrap();
    list.iter().map(|entry| entry["ref"].as_str().unwrap().to_owned()).collect()
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    items.collect::<Vec<_>>().is_sorted()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

#[test]
fn spill_tells_each_priority_and_the_steps() {
    let (found, code) = answer("shop", &["spill", "--health", "25,25,20"], "");
    let level = json!({"priority": 0, "total": 100, "healthy": 25, "degraded": 0, "health": 35, "panic": true,
        "load": 34, "degraded_load": 0});
    let shape =
        json!({"priorities": [level], "total_health": 1, "total_panic": true, "steps": [""]});
    check(&found, &shape, "spill");
    let loads: Vec<i64> = found["priorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["load"].as_i64().unwrap())
        .collect();
    assert_eq!((loads, code), (vec![34, 33, 33], 0));
    refused(&["spill", "--health", "25,abc,140"], &["abc"]);
    let grpc = ["spill", "--health", "25,25,20", "--data-plane", "grpc"];
    check(&answer("shop", &grpc, "").0, &shape, "spill of gRPC");
    let (found, code) = answer("shop", &["spill", "--localities", "1:1/2,2:1/1"], "");
    let locality = json!({"locality": 0, "weight": 1, "healthy": 1, "total": 2, "share": 25.9});
    check(&found, &json!({"localities": [locality], "steps": [""]}), "spill over localities");
    assert_eq!(code, 0);
    let (found, code) = answer("shop", &["spill", "--zones", "4:5,4:10,2:5"], "");
    let zone = json!({"zone": 0, "callers": 4, "hosts": 5});
    check(&found, &json!({"zones": [zone], "steps": [""]}), "spill over zones");
    assert_eq!(code, 0);
}

#[test]
fn plan_tells_every_endpoint_with_its_reason() {
    let reason = json!({"code": "", "text": ""});
    let endpoint = json!({"address": "", "port": 1, "dial": "", "via": "", "workload": null, "cluster": "",
        "network": "", "locality": locality(), "health": "", "weight": 1, "priority": 0, "share": 1.0,
        "reason": reason});
    let dropped = json!({"address": "", "cluster": "", "network": "", "reason": reason});
    let place = json!({"locality": locality(), "weight": null, "share": 1.0});
    let level = json!({"priority": 0, "load": 100, "panic": false, "localities": [place]});
    let service = json!({"host": "", "port": 1, "subset": "", "cluster_name": "", "type": "", "lb": "",
        "outlier_detection": true, "panic_threshold": 0, "priorities": [level], "endpoints": [endpoint],
        "dropped": [dropped], "ladder": [{"healthy": 100, "loads": [1]}]});
    let shape = json!({"proxy": "", "locality": locality(), "network": "", "services": [service]});
    for name in FOLDERS {
        for proxy in proxies(name) {
            let (found, _) = answer(name, &["plan", "--proxy", &proxy], "");
            check(&found, &shape, &format!("{name} {proxy}"));
            check_plan(&found);
        }
    }
}

fn check_plan(found: &Value) {
    let services = found["services"].as_array().unwrap();
    let keys = services.iter().map(|s| (text(s, "host"), s["port"].as_u64(), text(s, "subset")));
    assert!(sorted(keys));
    for service in services {
        let endpoints = service["endpoints"].as_array().unwrap();
        for endpoint in endpoints {
            let reason = &endpoint["reason"];
            assert!(!text(reason, "code").is_empty() && !text(reason, "text").is_empty());
            assert!(
                ["direct", "gateway", "tunnel", "double_tunnel"].contains(&text(endpoint, "via"))
            );
        }
        let all: f64 = endpoints.iter().map(|endpoint| endpoint["share"].as_f64().unwrap()).sum();
        assert!(all.abs() < 1e-6 || (all - 100.0).abs() < 1e-6, "{service}");
        let is_told = !endpoints.is_empty() || !text(&service["reason"], "text").is_empty();
        assert!(is_told, "{service}");
        let health: Vec<_> =
            service["ladder"].as_array().unwrap().iter().map(|s| s["healthy"].as_u64()).collect();
        assert_eq!(health, [100, 75, 50, 25, 0].map(Some));
    }
}

#[test]
fn whatif_tells_before_after_and_what_moved() {
    let cell = json!({"locality": locality(), "cluster": "", "priority": 0, "share": 1.0});
    let moved = json!({"from": null, "to": null, "share": 1.0});
    let overloaded = json!({"address": "", "factor": 1.5});
    let service = json!({"proxy_class": "", "proxies": [""], "host": "", "port": 1, "subset": "",
        "before": [cell], "after": [cell], "moved": [moved], "unreachable": true, "overloaded": [overloaded]});
    let shape = json!({"failed": [""], "services": [service]});
    for (name, failure) in [("shop", "cluster=eu"), ("shop", "network=eu-net")] {
        for more in [&["--all-proxies"][..], &["--all-proxies", "--remove", "--overload", "1.1"]] {
            let arguments = [&["whatif", "--fail", failure], more].concat();
            let (found, code) = answer(name, &arguments, "");
            check(&found, &shape, name);
            assert_eq!(code, 0);
            let services = found["services"].as_array().unwrap();
            assert!(services.iter().any(|s| s["overloaded"] != json!([])), "{arguments:?}");
            assert!(services.iter().any(|s| s["unreachable"] == true), "{arguments:?}");
        }
    }
}

#[test]
fn lint_and_load_tell_diagnostics_with_their_places() {
    let one = json!({"code": "", "severity": "", "file": "", "line": 1, "column": 1, "object": null,
        "field": null, "message": "", "help": null});
    let shape = json!({"diagnostics": [one], "errors": 0, "warnings": 0, "infos": 0});
    for name in FOLDERS {
        for command in ["lint", "load"] {
            let (found, code) = answer(name, &[command], "");
            check(&found, &shape, command);
            let list = found["diagnostics"].as_array().unwrap();
            assert!(sorted(list.iter().map(|d| (
                text(d, "file"),
                d["line"].as_u64(),
                text(d, "code")
            ))));
            assert_eq!(code == 1, found["errors"] != 0, "{name} {command}");
        }
    }
}

#[test]
fn authz_tells_decision_and_trace() {
    let to = &proxies("shop")[0];
    let shape = json!({"decision": "", "by": null, "rule": null, "action": null,
        "reason": {"code": "", "text": ""}, "dry_run": [{"policy": "", "would": ""}], "audit": false,
        "custom": [{"policy": "", "provider": ""}], "trace": [{"policy": "", "action": "", "matched": true,
        "rules": [{"rule": 0, "matched": true}]}]});
    let (found, code) = answer(
        "shop",
        &["authz", "--to", to, "--request", "-"],
        "{\"path\": \"/x\", \"destination_port\": 8080}",
    );
    check(&found, &shape, "authz");
    assert_eq!(code == 1, found["decision"] == "deny");
    refused(&["authz", "--to", "eu/shop/nobody", "--request", "-"], &["eu/shop/nobody"]);
    refused(&["authz", "--to", to, "--request", "/nowhere"], &["/nowhere"]);
}

#[test]
fn authz_tells_who_may_call_whom() {
    let to = &proxies("shop")[0];
    let column = json!({"to": "", "last_allow": null, "from": [{"identity": null, "access": ""}]});
    let shape = json!({"protocol": "", "port": null, "matrix": [column]});
    for arguments in [
        &["authz", "--matrix"][..],
        &["authz", "--matrix", "--protocol", "tcp", "--port", "8080"],
        &["authz", "--matrix", "--to", to, "--from", to],
    ] {
        let (found, code) = answer("shop", arguments, "");
        check(&found, &shape, "matrix");
        assert_eq!(code, 0);
        let columns = found["matrix"].as_array().unwrap();
        assert!(sorted(columns.iter().map(|column| text(column, "to"))));
        for column in columns {
            let callers = column["from"].as_array().unwrap();
            assert!(sorted(callers.iter().map(|caller| caller["identity"].as_str())));
            let known =
                |caller: &Value| ["always", "depends", "never"].contains(&text(caller, "access"));
            assert!(callers.iter().all(known));
        }
        if arguments.contains(&"--to") {
            assert_eq!((columns.len(), columns[0]["from"].as_array().unwrap().len()), (1, 1));
        }
    }
    refused(&["authz", "--matrix", "--to", "eu/shop/nobody"], &["eu/shop/nobody"]);
    refused(&["authz", "--matrix", "--request", "-"], &["--matrix"]);
    refused(&["authz"], &["--to", "--request"]);
}

/// What the matrix says always or never happens is what is decided of every request.
#[test]
fn the_matrix_agrees_with_decisions() {
    let (found, _) = answer("shop", &["authz", "--matrix", "--port", "8080"], "");
    for column in found["matrix"].as_array().unwrap().iter().step_by(31) {
        for caller in column["from"].as_array().unwrap().iter().step_by(10) {
            let expected = match text(caller, "access") {
                "always" => "allow",
                "never" => "deny",
                _ => continue,
            };
            let peer = caller["identity"].as_str().map(|name| json!({"uri_sans": [name]}));
            let request = json!({"path": "/x", "destination_port": 8080, "peer": peer});
            let arguments = ["authz", "--to", text(column, "to"), "--request", "-"];
            let (decided, _) = answer("shop", &arguments, &request.to_string());
            assert_eq!(decided["decision"], expected, "{column} {caller}");
        }
    }
}

#[test]
fn authz_tells_which_rules_requests_reach() {
    let to = &proxies("shop")[0];
    let rule = json!({"policy": "", "rule": 0, "action": "", "matched": 0, "decided": 0});
    let shape = json!({"workload": "", "requests": 0, "allowed": 0, "refused": 0, "rules": [rule],
        "reached": 0});
    let requests = json!([{"path": "/x", "destination_port": 8080}, {"protocol": "tcp",
        "destination_port": 8080, "peer": {"uri_sans": ["spiffe://cluster.local/ns/a/sa/b"]}}]);
    let arguments = ["authz", "--to", to, "--coverage", "-"];
    let (found, code) = answer("shop", &arguments, &requests.to_string());
    check(&found, &shape, "coverage");
    assert_eq!((code, &found["requests"]), (0, &json!(2)));
    let reached = found["rules"].as_array().unwrap().iter().filter(|rule| rule["matched"] != 0);
    assert_eq!(found["reached"], json!(reached.count()));
    let wrong = mesh("shop", &arguments, "[{\"paths\": \"/x\"}]");
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(said.contains("request 0: it has no field `paths`; did you mean `path`?"), "{said}");
    refused(&["authz", "--to", to, "--coverage", "-"], &["a JSON list of requests"]);
}

#[test]
fn routes_tell_what_becomes_of_a_request() {
    let proxy = &proxies("canary")[0];
    let host = answer("canary", &["plan", "--proxy", proxy], "").0["services"][0]["host"].clone();
    let port = answer("canary", &["plan", "--proxy", proxy], "").0["services"][0]["port"].clone();
    let request = json!({"port": port, "host": host, "path": "/", "method": "GET", "headers": []});
    let arguments = ["routes", "--proxy", proxy, "--request", "-"];
    let (found, code) = answer("canary", &arguments, &request.to_string());
    let shape = json!({"listener": null, "route_config": null, "virtual_host": null, "route": null,
        "destinations": [{"cluster_name": "", "share": 1.0}], "reason": {"code": "", "text": ""}});
    check(&found, &shape, "routes");
    assert_eq!(code, 0);
    let wrong = mesh("canary", &arguments, "{\"port\": 80, \"hosts\": \"x\"}");
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn snapshot_writes_lists_and_versions_or_nothing() {
    let out = std::env::temp_dir().join(format!("mesh-contract-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&out);
    let path = out.to_str().unwrap();
    let lost = mesh("shop", &["snapshot", "--proxy", "eu/shop/nobody", "--out", path], "");
    assert_eq!((lost.status.code(), out.exists()), (Some(2), false));
    let proxy = &proxies("shop")[0];
    let done = mesh("shop", &["snapshot", "--proxy", proxy, "--out", path], "");
    assert_eq!(done.status.code(), Some(0));
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(out.join(name)).unwrap()).unwrap()
    };
    for name in ["clusters", "endpoints", "listeners", "routes", "secrets", "extension_configs"] {
        assert!(read(&format!("{name}.json")).is_array(), "{name}");
    }
    for name in ["nametable", "node", "versions"] {
        assert!(read(&format!("{name}.json")).is_object(), "{name}");
    }
    let names = read("clusters.json");
    assert!(sorted(names.as_array().unwrap().iter().map(|cluster| text(cluster, "name"))));
    std::fs::remove_dir_all(&out).unwrap();
}

#[test]
fn bootstrap_is_one_document_without_a_version_of_istio() {
    let proxy = &proxies("shop")[0];
    let printed = mesh("shop", &["bootstrap", "--proxy", proxy, "--xds", "127.0.0.1:15010"], "");
    let found: Value = serde_json::from_slice(&printed.stdout).unwrap();
    check(
        &found,
        &json!({"node": {"id": ""}, "staticResources": {"clusters": [{"name": ""}]}}),
        "bootstrap",
    );
    assert_eq!(found["node"]["metadata"].get("ISTIO_VERSION"), None);
    let clusters = found["staticResources"]["clusters"].as_array().unwrap();
    assert!(clusters.iter().any(|cluster| cluster["name"] == "sds-grpc"));
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    let proxy = &proxies("shop")[0];
    let plan = |service: &str, subset: &str, words: &[&str]| {
        let mut arguments = vec!["plan", "--proxy", proxy, "--service", service];
        arguments
            .extend((!subset.is_empty()).then_some(["--subset", subset]).into_iter().flatten());
        refused(&arguments, words);
    };
    plan("catalogue.shop:80", "", &["catalogue.shop", "did you mean", "`catalog.shop`"]);
    plan("catalog.shop:81", "", &["has no port 81", "80"]);
    plan("catalog.shop:80", "v9", &["`v9`", "v1", "v2"]);
    plan("catalog.shop", "", &["HOST:PORT"]);
    refused(&["plan", "--proxy", "eu/front/web-v1-9"], &["did you mean", "eu/front/web-v1-"]);
    refused(&["plan", "--proxy", "eu-front-web"], &["CLUSTER/NAMESPACE/POD"]);
    let missing =
        Command::new(env!("CARGO_BIN_EXE_mesh")).args(["-f", "/nowhere", "lint"]).output();
    assert_eq!(missing.unwrap().status.code(), Some(2));
}

#[test]
fn the_table_of_the_seeds_comes_out_of_the_failover_mesh() {
    let arguments = ["plan", "--proxy", "cluster1/demo/sleep-0", "--service", "svc1.demo:8080"];
    let (found, _) = answer("failover", &arguments, "");
    let endpoints = found["services"][0]["endpoints"].as_array().unwrap();
    let mut table: Vec<(String, u64)> = endpoints
        .iter()
        .map(|endpoint| {
            let region = text(&endpoint["locality"], "region");
            let place = format!("{region}.{}", text(endpoint, "cluster"));
            (place, endpoint["priority"].as_u64().unwrap())
        })
        .collect();
    table.sort();
    table.dedup();
    let table: Vec<(&str, u64)> =
        table.iter().map(|(place, priority)| (&**place, *priority)).collect();
    let expected = [
        ("region1.cluster1", 0),
        ("region1.cluster2", 1),
        ("region2.cluster3", 2),
        ("region3.cluster4", 3),
    ];
    assert_eq!(table, expected);
}
