//! What decides about policies and lies where nobody reads it: the command denies, and says so.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, \
    spec: {containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}\n";
const WAYPOINT: &str = "{apiVersion: v1, kind: Pod, metadata: {name: wp-0, namespace: shop, labels: \
    {gateway.networking.k8s.io/gateway-name: wp, gateway.networking.k8s.io/gateway-class-name: istio-waypoint}}, \
    spec: {containers: [{name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.9}}\n";

/// A policy of a namespace that denies everything.
fn policy(namespace: &str, more: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: p, namespace: {namespace}}}\nspec: {{action: DENY, {more}rules: [{{}}]}}\n"
    )
}

/// A new folder with `web`, a waypoint and these files.
fn folder(files: &[(&str, &str)]) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let (count, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
    let folder = std::env::temp_dir().join(format!("mesh-misplaced-{count}-{process}"));
    let _ = std::fs::remove_dir_all(&folder);
    let own = [("clusters/c1/web.yaml", POD), ("clusters/c1/wp.yaml", WAYPOINT)];
    for (file, text) in own.iter().chain(files) {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder
}

fn run(folder: &PathBuf, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder).args(arguments).args(["-o", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let request = b"{\"destination_port\": 80, \"host\": \"h\", \"destination_ip\": \"10.9.0.1\"}";
    let _ = child.stdin.take().unwrap().write_all(request);
    let answer = child.wait_with_output().unwrap().stdout;
    serde_json::from_slice(&answer).expect("an answer")
}

/// What is decided about a call to a pod with these files, and the codes of errors of one of them.
fn ask(files: &[(&str, &str)], to: &str, file: &str) -> (String, Vec<String>) {
    let folder = folder(files);
    let answer = run(&folder, &["authz", "--to", to, "--request", "-"]);
    let loaded = run(&folder, &["load"]);
    std::fs::remove_dir_all(&folder).unwrap();
    let errors = loaded["diagnostics"].as_array().unwrap().iter().filter(|found| {
        let of = found["file"].as_str().unwrap();
        found["severity"] == "error" && (of == file || of.ends_with('/') && file.starts_with(of))
    });
    let codes = errors.map(|found| found["code"].as_str().unwrap().to_owned()).collect();
    (answer["reason"]["code"].as_str().unwrap().to_owned(), codes)
}

#[track_caller]
fn check(files: &[(&str, &str)], to: &str, expected: (&str, Option<&str>)) {
    let (file, text) = files[0];
    let (decision, codes) = ask(files, to, file);
    assert_eq!(decision, expected.0, "{file}: {text}");
    let has_code = |code: &str| codes.iter().any(|told| told == code);
    assert_eq!(codes.is_empty(), expected.1.is_none(), "{file}: {text}: {codes:?}");
    assert!(expected.1.is_none_or(has_code), "{file}: {codes:?}");
}

const CLOSED: (&str, Option<&str>) = ("policy_broken", Some("FILE-MISPLACED"));
const UNTOUCHED: (&str, Option<&str>) = ("no_allow_policy", None);

#[test]
fn settings_that_nobody_reads_close() {
    let of_root = policy("root", "");
    let beside = ("config/p.yaml", of_root.as_str());
    let settings = "rootNamespace: root\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
               data: {mesh: 'rootNamespace: root'}\n";
    for file in ["mesh.yaml", "mesh.yml", "config/map.yaml", "clusters/c1/map.yaml"] {
        let text = if file.contains("map") { map } else { settings };
        check(&[(file, text), beside], "c1/shop/web", ("deny_matched", None));
    }
    for file in [
        "mesh.ymal",
        "msh.yaml",
        "mesh.txt",
        "mesh",
        "meshes.yaml",
        "mesh-config.yaml",
        "config/mesh.yaml",
        "clusters/c1/mesh.yaml",
        "cluster/c1/mesh.yaml",
    ] {
        check(&[(file, settings), beside], "c1/shop/web", CLOSED);
    }
    check(&[("mesh.ymal", "rootNamespace: [\n"), beside], "c1/shop/web", CLOSED);
    for file in ["configs/map.yaml", "config/map.ymal", "map.yaml", "clusers/c1/map.yaml"] {
        check(&[(file, map), beside], "c1/shop/web", CLOSED);
        let broken = map.replace("'rootNamespace: root'", "'rootNamespace: [root'");
        check(&[(file, &broken), beside], "c1/shop/web", CLOSED);
    }
    for (from, to) in [
        ("kind: ConfigMap", "kind: ConfgMap"),
        ("name: istio,", "name: isto,"),
        ("namespace: istio-system", "namespace: istio-sytem"),
        ("namespace: istio-system", "namespace: other"),
    ] {
        check(&[("config/map.yaml", &map.replace(from, to)), beside], "c1/shop/web", CLOSED);
    }
    // Put aside: who did so is told.
    let aside = ("no_allow_policy", Some("FILE-UNUSED"));
    for file in ["config/map.yaml.bak", "old/map.yaml"] {
        check(&[(file, map), beside], "c1/shop/web", aside);
    }
}

#[test]
fn settings_that_policies_do_not_depend_on_close_nothing() {
    let of_shop = policy("other", "");
    let beside = ("config/p.yaml", of_shop.as_str());
    for (file, text) in [
        ("mesh.ymal", "accessLogFile: /dev/stdout\n"),
        ("mesh.txt", "The mesh: its trustDomain is example.com\n"),
        ("values.yaml", "rules: {a: b}\nports: [1]\n"),
        (
            "config/map.ymal",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {mesh: 'trustDomain: a'}\n",
        ),
    ] {
        check(&[(file, text), beside], "c1/shop/web", UNTOUCHED);
    }
}

#[test]
fn a_description_of_a_cluster_that_nobody_reads_closes() {
    let of_shop =
        policy("shop", "").replace("rules: [{}]", "rules: [{to: [{operation: {ports: ['81']}}]}]");
    let beside = ("config/p.yaml", of_shop.as_str());
    for file in [
        "clusters/c1/cluster.ymal",
        "clusters/c1/clusters.yaml",
        "clusters/c1/cluster",
        "clusters/c1/Clustr.yaml",
        "clusters/c1/sub/cluster.yaml",
        "clusers/c1/cluster.yaml",
        "cluster.yaml",
    ] {
        for text in ["trustDomain: x\n", "role: remote\n", "controlPlane: c1\n"] {
            let (decision, codes) = ask(&[(file, text), beside], "c1/shop/web", file);
            let is_denied = ["policy_broken", "peer_not_trusted"].contains(&&*decision);
            assert!(is_denied, "{file} {text}: {decision}");
            let is_told = codes.iter().any(|code| code == "FILE-MISPLACED");
            assert!(is_told, "{file} {text}: {codes:?}");
        }
        // Where manifests are read it is no object, all the same.
        let (decision, codes) = ask(&[(file, "region: eu\n"), beside], "c1/shop/web", file);
        assert_eq!(decision, "no_allow_policy", "{file}");
        assert!(codes.iter().all(|code| code == "NOT-AN-OBJECT"), "{file}: {codes:?}");
    }
}

/// A service that stands behind a waypoint, or says nothing of one.
fn service(labels: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: shop, labels: {{{labels}}}}}, \
         spec: {{clusterIP: 10.9.0.1, selector: {{app: web}}, ports: [{{port: 80, name: http}}]}}}}\n"
    )
}

#[test]
fn services_that_attach_policies_and_that_nobody_reads_close() {
    let attached = policy("shop", "targetRefs: [{kind: Service, group: '', name: s}], ");
    let beside = ("config/p.yaml", attached.as_str());
    let behind = service("istio.io/use-waypoint: wp");
    let read = [("clusters/c1/svc.yaml", behind.as_str()), beside];
    check(&read, "c1/shop/wp-0", ("deny_matched", None));
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio.io/use-waypoint: wp}}}\n";
    for file in [
        "clusters/c1/svc.ymal",
        "clusers/c1/svc.yaml",
        "configs/svc.yaml",
        "svc.yaml",
        "config/svc.yaml",
    ] {
        // Its workloads deny, too: whoever came through the waypoint comes to them.
        let denied = [(file, behind.as_str()), beside];
        check(&denied, "c1/shop/web", CLOSED);
        let (decision, _) = ask(&denied, "c1/shop/wp-0", file);
        assert!(["policy_broken", "deny_matched"].contains(&&*decision), "{file}: {decision}");
        // It is behind none: the policy never was in force.
        for labels in ["", "istio.io/use-waypoint: none"] {
            check(&[(file, &service(labels)), beside], "c1/shop/web", UNTOUCHED);
        }
        // So its namespace says.
        let of_namespace = [(file, &*service("")), beside, ("clusters/c1/ns.yaml", namespace)];
        check(&of_namespace, "c1/shop/web", CLOSED);
        let of_none =
            [(file, &*service("istio.io/use-waypoint: none")), of_namespace[1], of_namespace[2]];
        check(&of_none, "c1/shop/web", UNTOUCHED);
        // Another file says the same.
        check(&[(file, &behind), read[0], beside], "c1/shop/web", UNTOUCHED);
        let lost = [(file, namespace), ("clusters/c1/svc.yaml", &*service("")), beside];
        check(&lost, "c1/shop/web", CLOSED);
    }
    let aside = [("clusters/c1/svc.yaml.bak", behind.as_str()), beside];
    check(&aside, "c1/shop/web", ("no_allow_policy", Some("FILE-UNUSED")));
}

#[test]
fn namespaces_that_selectors_are_asked_of_and_that_nobody_reads_close() {
    let of_shop = policy("shop", "");
    let files = |path: &'static str| {
        [
            (
                path,
                "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {read: me}}}\n",
            ),
            ("config/p.yaml", of_shop.as_str()),
            ("mesh.yaml", "discoverySelectors: [{matchLabels: {read: me}}]\n"),
        ]
    };
    check(&files("clusters/c1/ns.yaml"), "c1/shop/web", ("deny_matched", None));
    for path in ["clusters/c1/ns.ymal", "config/ns.yaml", "ns.yaml"] {
        check(&files(path), "c1/shop/web", CLOSED);
        // That another cluster has it says nothing of this one.
        let [lost, policy, settings] = files(path);
        let of_c2 = ("clusters/c2/ns.yaml", lost.1);
        let served = ("clusters/c2/cluster.yaml", "{role: remote, controlPlane: c1}");
        let serves = ("clusters/c1/cluster.yaml", "role: primary");
        check(&[lost, policy, settings, of_c2, served, serves], "c1/shop/web", CLOSED);
    }
}

#[test]
fn proxies_that_nobody_reads_are_told() {
    let entry = "[{\"ref\": \"c1/shop/web\", \"type\": \"waypoint\"}]";
    for file in ["proxies.jsn", "proxy.json", "proxies.yaml", "config/proxies.json"] {
        let (_, codes) = ask(&[(file, entry)], "c1/shop/web", file);
        assert!(codes.iter().any(|code| code == "FILE-MISPLACED"), "{file}: {codes:?}");
    }
}
