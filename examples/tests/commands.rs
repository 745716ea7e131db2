//! `mesh whatif`, `lint`, `diff` and `report` from outside: answers, sentences, exit codes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes").join(name)
}

fn mesh(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The JSON that a command answers.
fn answer(folder: &Path, arguments: &[&str]) -> Value {
    let output = mesh(folder, &[arguments, &["-o", "json"]].concat());
    assert_ne!(output.status.code(), Some(2), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks that there is no answer, and a sentence that says why.
fn check_refused(arguments: &[&str], sentence: &str) {
    let output = mesh(&folder("shop"), arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(sentence), "{said}");
    assert_eq!(text(&output.stdout), "");
}

/// A copy of a folder that a test may change.
fn copy(name: &str, of: &str) -> PathBuf {
    let to = std::env::temp_dir().join(format!("mesh-commands-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&to);
    copy_all(&folder(of), &to);
    to
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The first proxy of a folder.
fn proxy(name: &str) -> String {
    let list: Value =
        serde_json::from_slice(&std::fs::read(folder(name).join("proxies.json")).unwrap()).unwrap();
    list[0]["ref"].as_str().unwrap().to_owned()
}

fn shares(cells: &Value) -> f64 {
    cells.as_array().unwrap().iter().map(|cell| cell["share"].as_f64().unwrap()).sum()
}

#[test]
fn whatif_tells_where_the_traffic_of_a_lost_region_goes() {
    let proxy = proxy("failover");
    let region =
        answer(&folder("failover"), &["plan", "--proxy", &proxy])["locality"]["region"].clone();
    let failure = format!("region={}", region.as_str().unwrap());
    let arguments = ["whatif", "--proxy", &proxy, "--fail", &failure];
    let found = answer(&folder("failover"), &arguments);
    assert_eq!(found["failed"], serde_json::json!([failure]));
    let services = found["services"].as_array().unwrap();
    assert!(services.iter().any(|service| !service["moved"].as_array().unwrap().is_empty()));
    for service in services {
        let lost = service["lost"].as_f64().unwrap();
        let kept = shares(&service["before"]) - shares(&service["after"]);
        assert!((lost - kept).abs() < 1e-6 || kept < 0.0, "{service}");
        let of_region = service["after"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|cell| cell["locality"]["region"] == region);
        assert!(of_region.map(|cell| cell["share"].as_f64().unwrap()).all(|share| share < 1e-9));
    }
    let table = text(&mesh(&folder("failover"), &arguments).stdout);
    assert!(table.starts_with(&format!("WHAT IF {failure} fails?")), "{table}");
}

#[test]
fn whatif_puts_every_proxy_into_one_class_of_a_destination() {
    let arguments = ["whatif", "--all-proxies", "--fail", "region=region1", "--remove"];
    let found = answer(&folder("failover"), &arguments);
    let mut members = std::collections::BTreeSet::new();
    for service in found["services"].as_array().unwrap() {
        for proxy in service["proxies"].as_array().unwrap() {
            let key =
                format!("{} {} {} {proxy}", service["host"], service["port"], service["subset"]);
            assert!(members.insert(key.clone()), "{key}");
        }
    }
    assert!(!members.is_empty());
}

#[test]
fn whatif_plays_gateways_through_with_a_seed() {
    let arguments = ["whatif", "--all-proxies", "--fail", "cluster=eu", "--seed", "7"];
    let found = answer(&folder("shop"), &arguments);
    assert_eq!(found, answer(&folder("shop"), &arguments));
    let services = found["services"].as_array().unwrap();
    let played: Vec<&Value> =
        services.iter().map(|service| &service["imbalance"]).filter(|one| !one.is_null()).collect();
    assert!(!played.is_empty());
    for one in played {
        assert!(one["gateways"].as_u64() > Some(0) && one["endpoints"].as_u64() > Some(1), "{one}");
        assert!(one["busiest_by_connection"].as_f64() >= Some(1.0), "{one}");
    }
    // What does not change is not played.
    for service in services {
        let is_felt = service["moved"] != serde_json::json!([]) || service["unreachable"] == true;
        let is_felt = is_felt || service["overloaded"] != serde_json::json!([]);
        assert!(is_felt || service["imbalance"].is_null() && service["ejection"].is_null());
    }
}

#[test]
fn whatif_tells_what_autoscalers_absorb() {
    let root = std::env::temp_dir().join(format!("mesh-commands-scaled-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    for (cluster, net, more) in
        [("c1", 1, ""), ("c2", 2, "maxReplicas: 4"), ("c3", 3, "maxReplicas: 1")]
    {
        let mut documents = vec![
            "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {clusterIP: \
             172.16.0.9, ports: [{name: http, port: 80}]}}"
                .to_owned(),
            format!(
                "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: cart, namespace: \
                 shop, labels: {{kubernetes.io/service-name: cart}}}}, addressType: IPv4, ports: [{{name: \
                 http, port: 8080}}], endpoints: [{{addresses: [10.{net}.0.1], targetRef: {{kind: Pod, name: \
                 cart-0, namespace: shop}}}}]}}"
            ),
            format!(
                "{{apiVersion: v1, kind: Pod, metadata: {{name: cart-0, namespace: shop, ownerReferences: \
                 [{{apiVersion: apps/v1, kind: StatefulSet, name: cart, controller: true}}]}}, spec: \
                 {{containers: [{{name: a}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: \
                 10.{net}.0.1}}}}"
            ),
        ];
        documents.extend((!more.is_empty()).then(|| {
            format!(
                "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: cart, \
                 namespace: shop}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: StatefulSet, name: \
                 cart}}, {more}}}}}"
            )
        }));
        let folder = root.join("clusters").join(cluster);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("all.yaml"), documents.join("\n---\n")).unwrap();
        let role = if cluster == "c1" { "{role: primary}" } else { "{role: remote}" };
        std::fs::write(folder.join("cluster.yaml"), role).unwrap();
    }
    let arguments = ["whatif", "--all-proxies", "--fail", "cluster=c1", "--overload", "1.2"];
    let told = answer(&root, &arguments);
    let overloaded: Vec<String> = told["services"][0]["overloaded"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    let expected = [
        r#"{"absorbed_by_scaling":true,"address":"10.2.0.1:8080","factor":1.5,"factor_scaled":0.375}"#,
        r#"{"absorbed_by_scaling":false,"address":"10.3.0.1:8080","factor":1.5,"factor_scaled":1.5}"#,
    ];
    assert_eq!(overloaded, expected);
    let output = mesh(&root, &arguments);
    let said = text(&output.stdout);
    let scaled = "once its autoscaler has grown its workload as far as it may, minutes later:";
    assert!(said.contains(&format!("{scaled} 0.38 times, which absorbs it")), "{said}");
    assert!(said.contains(&format!("{scaled} 1.50 times, which does not absorb it")), "{said}");
    let _ = std::fs::remove_dir_all(&root);
}

#[test]
fn whatif_refuses_what_it_does_not_know() {
    let proxy = proxy("shop");
    let with = |fail: &str, sentence: &str| {
        check_refused(&["whatif", "--proxy", &proxy, "--fail", fail], sentence);
    };
    with("planet=earth", "`planet=earth`");
    with("cluster=nowhere", "`cluster=nowhere` selects nothing in this mesh");
    with("service=a,200%", "`service=a,200%`");
    check_refused(&["whatif", "--fail", "region=eu"], "--proxy");
    check_refused(&["whatif", "--proxy", "a/b/c", "--fail", "region=x"], "");
    let overload = ["whatif", "--proxy", &proxy, "--fail", "region=x", "--overload", "0"];
    check_refused(&overload, "no factor above 0");
}

#[test]
fn plan_tells_its_arithmetic_only_when_asked() {
    let known = copy("explain", "failover");
    let proxies = known.join("proxies.json");
    let mut list: Value = serde_json::from_slice(&std::fs::read(&proxies).unwrap()).unwrap();
    list[0]["metadata"]["ENABLE_SELF_DISCOVERY"] = "true".into();
    std::fs::write(&proxies, list.to_string()).unwrap();
    let proxy = proxy("failover");
    let plan = ["plan", "--proxy", &proxy, "--service", "orders.demo:8080"];
    let explained = [&plan[..], &["--explain"]].concat();
    let told = text(&mesh(&known, &explained).stdout);
    let locality = "  because   priority 0, locality region1/az1/rack1: share = 35 / 100 = 35.00 %";
    assert!(told.contains(locality), "{told}");
    assert!(!text(&mesh(&known, &plan).stdout).contains("because"), "{told}");
    assert_eq!(answer(&known, &plan)["services"][0]["steps"], Value::Null);
    let steps = answer(&known, &explained)["services"][0]["steps"].clone();
    assert_eq!(steps[0], "priority 0: health = min(100, 140 × 6 / 6) = 100");
    let audit = ["plan", "--proxy", &proxy, "--service", "audit.demo:8080", "--explain"];
    let zones = "  because   zones do not matter: fewer than 6 hosts are healthy";
    assert!(text(&mesh(&known, &audit).stdout).contains(zones));
    // Who does not know its own cluster knows no zones.
    assert!(!text(&mesh(&folder("failover"), &audit).stdout).contains("zones"));
    std::fs::remove_dir_all(&known).unwrap();
}

#[test]
fn lint_finds_hazards_and_exits_with_one_on_errors() {
    let broken = copy("lint", "failover");
    let rule = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bad, namespace: \
                default}\nspec: {hosts: [a.example.com], http: [{route: [{destination: {host: nobody}}]}]}\n";
    std::fs::write(broken.join("config/bad.yaml"), rule).unwrap();
    let output = mesh(&broken, &["lint", "-o", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes: Vec<&str> = found["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["object"] == "VirtualService/default/bad")
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["IST0101"]);
    assert!(found["errors"].as_u64().unwrap() > 0);
    let table = text(&mesh(&broken, &["lint"]).stdout);
    assert!(table.contains("config/bad.yaml:4:63: error[IST0101]"), "{table}");
    std::fs::remove_dir_all(&broken).unwrap();
}

#[test]
fn diff_of_a_folder_with_itself_is_empty() {
    let shop = folder("shop");
    let path = shop.to_str().unwrap();
    let proxy = proxy("shop");
    let found = answer(&shop, &["diff", path, path, "--proxy", &proxy]);
    for field in ["traffic", "decisions", "resources"] {
        assert_eq!(found[field], serde_json::json!([]), "{field}");
    }
    assert_eq!(found["diagnostics"], serde_json::json!({"added": [], "removed": []}));
}

#[test]
fn diff_tells_what_a_policy_and_a_rule_change() {
    let new = copy("diff", "failover");
    let (reference, old) = (proxy("failover"), folder("failover"));
    let plan = answer(&old, &["plan", "--proxy", &reference]);
    let host = plan["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["priorities"].as_array().unwrap().len() > 1)
        .unwrap()["host"]
        .as_str()
        .unwrap()
        .to_owned();
    let namespace = reference.split('/').nth(1).unwrap();
    let policy = format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: no-get, namespace: \
         {namespace}}}\nspec: {{action: DENY, rules: [{{to: [{{operation: {{methods: [PUT]}}}}]}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: zz, namespace: \
         {namespace}, creationTimestamp: \"2001-01-01T00:00:00Z\"}}\nspec: {{host: {host}, trafficPolicy: \
         {{loadBalancer: {{localityLbSetting: {{enabled: false}}}}}}}}\n"
    );
    std::fs::write(new.join("config/change.yaml"), policy).unwrap();
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let found = answer(&old, &["diff", paths[0], paths[1], "--proxy", &reference]);
    let decisions = found["decisions"].as_array().unwrap();
    assert!(!decisions.is_empty());
    for decision in decisions {
        assert_eq!(decision["change"], "newly_denied");
        assert_eq!(decision["request"]["method"], "PUT");
        assert_eq!(decision["by_new"], format!("{namespace}/no-get"));
        assert_eq!((&decision["rule_old"], &decision["rule_new"]), (&Value::Null, &0.into()));
    }
    assert!(found["traffic"].as_array().unwrap().iter().any(|change| change["host"] == host));
    assert!(!found["resources"].as_array().unwrap().is_empty());
    std::fs::remove_dir_all(&new).unwrap();
}

#[test]
fn diff_refuses_folders_and_proxies_that_do_not_exist() {
    let shop = folder("shop");
    let path = shop.to_str().unwrap();
    check_refused(&["diff", path, "/nowhere"], "there is no folder `/nowhere`");
    check_refused(&["diff", path, path, "--proxy", "a/b/c"], "there is no cluster `a`");
}

#[test]
fn a_report_is_one_page_without_references() {
    let out = std::env::temp_dir().join(format!("mesh-report-{}.html", std::process::id()));
    let output = mesh(&folder("shop"), &["report", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&out).unwrap();
    for part in ["map", "hazards", "traffic", "policies", "clients"] {
        assert!(page.contains(&format!("<h2 id=\"{part}\">")), "{part}");
    }
    for shown in ["<svg", "class=\"bar\"", "network eu-net", "HZ-GW-WEIGHTS", "pay/nothing"] {
        assert!(page.contains(shown), "{shown}");
    }
    for reference in ["<script", "http-equiv", "src=", "href=\"h", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    std::fs::remove_file(&out).unwrap();
    check_refused(&["report", "--out", "/nowhere/x.html"], "cannot write to");
}

#[test]
fn pods_without_a_proxy_are_no_clients_of_the_mesh() {
    let fail = ["whatif", "--all-proxies", "--fail", "cluster=eu"];
    let told = answer(&folder("shop"), &fail).to_string();
    let report = answer(
        &folder("shop"),
        &["whatif", "--proxy", "eu/istio-system/istiod-0", "--fail", "cluster=eu"],
    );
    // Whoever is named has an answer, as if it had a proxy.
    assert!(!told.contains("istiod-0") && report.to_string().contains("istiod-0"));
}
