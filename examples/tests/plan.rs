//! `mesh plan` from outside: what it says of destinations that are ill, and why endpoints are left out.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const WEB: &str = "c1/shop/web-0";

/// A mesh folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    /// A folder with these files; `c1` is the primary and has the client `web-0`.
    fn new(name: &str, files: &[(&str, String)]) -> Self {
        let root = std::env::temp_dir().join(format!("mesh-plan-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let web = [node("n-a", "eu", "a"), pod("web-0", "10.0.0.1", "n-a")].join("---\n");
        let cluster = ("clusters/c1/cluster.yaml", "{role: primary}".to_owned());
        let own = [("clusters/c1/web.yaml", web), cluster];
        for (file, text) in own.iter().chain(files) {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        mesh(&self.0, arguments)
    }

    /// The plan of a destination, as a table.
    fn table(&self, service: &str, more: &[&str]) -> String {
        let arguments = ["plan", "--proxy", WEB, "--service", service];
        let output = self.run(&[&arguments, more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The plan of a destination, as JSON.
    fn plan(&self, service: &str, more: &[&str]) -> Value {
        let table = self.table(service, &[more, &["-o", "json"]].concat());
        serde_json::from_str::<Value>(&table).unwrap()["services"][0].clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mesh(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn node(name: &str, region: &str, zone: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{topology.kubernetes.io/region: \
         {region}, topology.kubernetes.io/zone: {zone}}}}}}}\n"
    )
}

/// A ready pod of namespace `shop` with a sidecar.
fn pod(name: &str, ip: &str, node: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: cart, \
         security.istio.io/tlsMode: istio}}}}, spec: {{nodeName: {node}, containers: [{{name: a}}]}}, \
         status: {{phase: Running, podIP: {ip}, conditions: [{{type: Ready, status: \"True\"}}]}}}}\n"
    )
}

/// A service of namespace `shop` with ports by name and number.
fn service(name: &str, ports: &[(&str, u16)]) -> String {
    let ports: Vec<String> =
        ports.iter().map(|(name, port)| format!("{{name: {name}, port: {port}}}")).collect();
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop}}, spec: \
         {{clusterIP: 172.16.0.9, selector: {{app: cart}}, ports: [{}]}}}}\n",
        ports.join(", ")
    )
}

/// The slice of a service: a port's name, and addresses with the pods that they are of.
fn slice(of: &str, port: &str, ready: bool, endpoints: &[(&str, &str)]) -> String {
    let endpoint = |(ip, pod): &(&str, &str)| {
        format!(
            "{{addresses: [{ip}], conditions: {{ready: {ready}, terminating: false}}, targetRef: {{kind: Pod, name: {pod}, \
             namespace: shop}}}}"
        )
    };
    let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
    format!(
        "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {of}-0, namespace: shop, \
         labels: {{kubernetes.io/service-name: {of}}}}}, addressType: IPv4, ports: [{{name: {port}, port: \
         8080}}], endpoints: [{}]}}\n",
        endpoints.join(", ")
    )
}

fn documents(documents: &[String]) -> String {
    documents.join("---\n")
}

/// Address, cluster and code of what is left out.
fn left_out(plan: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let field = |name: &str| one[name].as_str().unwrap().to_owned();
        let code = one["reason"]["code"].as_str().unwrap();
        format!("{} {} {code}", field("address"), field("cluster"))
    };
    plan["dropped"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn an_endpoint_that_lacks_the_port_is_left_out_for_that() {
    let own = documents(&[
        service("cart", &[("http", 80), ("admin", 81)]),
        pod("cart-0", "10.0.1.1", "n-a"),
        slice("cart", "http", true, &[("10.0.1.1", "cart-0")]),
    ]);
    // The same service; its cluster names the port otherwise.
    let other = documents(&[
        service("cart", &[("web", 80)]),
        pod("cart-0", "10.1.1.1", "n-b"),
        slice("cart", "web", true, &[("10.1.1.1", "cart-0")]),
    ]);
    let files = [
        ("clusters/c1/cart.yaml", own),
        ("clusters/c2/cart.yaml", other),
        ("clusters/c2/cluster.yaml", "{role: remote, controlPlane: c1}".to_owned()),
    ];
    let folder = Folder::new("ports", &files);
    let plan = folder.plan("cart.shop:80", &[]);
    assert_eq!(plan["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(left_out(&plan), ["10.1.1.1 c2 other_ports"]);
    let plan = folder.plan("cart.shop:81", &[]);
    assert_eq!(left_out(&plan), ["10.0.1.1 c1 other_ports", "10.1.1.1 c2 other_ports"]);
    assert_eq!(plan["reason"]["code"], "all_left_out");
    let table = folder.table("cart.shop:81", &[]);
    let line = "c2: the service's port is `admin` and this endpoint has no such port, only `web`";
    assert!(table.contains(line), "{table}");
    assert!(!table.contains("no cluster has an endpoint"), "{table}");
}

#[test]
fn an_endpoint_whose_pod_is_missing_or_whose_cluster_is_not_read_is_left_out_for_that() {
    let own = documents(&[
        service("cart", &[("http", 80)]),
        slice("cart", "http", true, &[("10.0.1.1", "ghost-0")]),
    ]);
    let other = documents(&[
        service("cart", &[("http", 80)]),
        pod("cart-0", "10.1.1.1", "n-b"),
        slice("cart", "http", true, &[("10.1.1.1", "cart-0")]),
    ]);
    let files = [
        ("clusters/c1/cart.yaml", own),
        ("clusters/c1/cluster.yaml", "{role: primary, reads: [c1]}".to_owned()),
        ("clusters/c2/cart.yaml", other),
        ("clusters/c2/cluster.yaml", "{role: primary}".to_owned()),
    ];
    let folder = Folder::new("ghost", &files);
    let plan = folder.plan("cart.shop:80", &[]);
    assert_eq!(
        left_out(&plan),
        ["10.0.1.1:8080 c1 pod_missing", "10.1.1.1:8080 c2 cluster_not_read"]
    );
    assert_eq!(plan["reason"]["code"], "all_left_out");
    let text = plan["dropped"][0]["reason"]["text"].as_str().unwrap();
    assert_eq!(text, "its slice names the pod `shop/ghost-0`, which is not in the cluster");
    assert_eq!(plan["endpoints"], json!([]));
}

/// A cart of two zones that all fail.
fn dead(ready: bool, more: &[(&str, String)], name: &str) -> Folder {
    let cart = documents(&[
        service("cart", &[("http", 80)]),
        node("n-b", "eu", "b"),
        pod("cart-0", "10.0.1.1", "n-a"),
        pod("cart-1", "10.0.1.2", "n-b"),
        slice("cart", "http", ready, &[("10.0.1.1", "cart-0"), ("10.0.1.2", "cart-1")]),
    ]);
    Folder::new(name, &[&[("clusters/c1/cart.yaml", cart)], more].concat())
}

#[test]
fn a_service_of_which_nothing_is_healthy_is_said_to_fail() {
    let folder = dead(false, &[], "dead");
    let plan = folder.plan("cart.shop:80", &[]);
    assert_eq!(plan["reason"]["code"], "none_healthy");
    let text = "none of its 2 endpoints is healthy: every request fails";
    assert_eq!(plan["reason"]["text"], text);
    assert!(folder.table("cart.shop:80", &[]).contains(text));
    let folder = dead(true, &[], "dying");
    assert_eq!(folder.plan("cart.shop:80", &[])["reason"], Value::Null);
    let plan = folder.plan("cart.shop:80", &["--unhealthy", "cluster=c1"]);
    assert_eq!(plan["reason"]["code"], "none_healthy");
}

#[test]
fn a_ladder_says_at_which_health_nothing_answers() {
    let folder = dead(true, &[], "ladder");
    let fails = |plan: &Value| -> Vec<bool> {
        plan["ladder"].as_array().unwrap().iter().map(|s| s["fails"].as_bool().unwrap()).collect()
    };
    let plan = folder.plan("cart.shop:80", &[]);
    assert_eq!(fails(&plan), [false, false, false, false, true]);
    let tour = text(&folder.run(&[]).stdout);
    let row = tour.lines().find(|line| line.trim_start().starts_with("cart.shop:80")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert!(cells.ends_with(&["100", "100", "100", "100", "fails"]), "{row}");
}

#[test]
fn outlier_detection_of_the_meshs_default_is_there_and_ranks_nothing() {
    let config = "defaultTrafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}\n".to_owned();
    let folder = dead(true, &[("mesh.yaml", config)], "default");
    let plan = folder.plan("cart.shop:80", &[]);
    assert_eq!(plan["outlier_detection"], true);
    let reason = &plan["endpoints"][0]["reason"];
    assert_eq!(reason["code"], "outlier_detection_of_mesh_default");
    let text = reason["text"].as_str().unwrap();
    assert!(text.contains("the cluster ejects by it") && text.contains("all are 0"), "{text}");
    let table = folder.table("cart.shop:80", &[]);
    assert!(
        table.contains("[EDS, LEAST_REQUEST, outlier detection of the mesh's default]"),
        "{table}"
    );
}

#[test]
fn a_gateway_tells_that_nothing_behind_it_is_ready() {
    let system = |network: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: istio-system, labels: \
             {{topology.istio.io/network: {network}}}}}}}\n"
        )
    };
    let gateway = "{apiVersion: v1, kind: Service, metadata: {name: ew, namespace: istio-system, labels: \
                   {topology.istio.io/network: n2}}, spec: {type: LoadBalancer, clusterIP: 172.16.0.8, ports: \
                   [{name: tls, port: 15443}]}, status: {loadBalancer: {ingress: [{ip: 203.0.113.2}]}}}\n";
    let other = |ready, gateway: &str| {
        let endpoints = [("10.1.1.1", "cart-0"), ("10.1.1.2", "cart-1")];
        documents(&[
            system("n2"),
            gateway.to_owned(),
            service("cart", &[("http", 80)]),
            node("n-b", "eu", "b"),
            pod("cart-0", "10.1.1.1", "n-b"),
            pod("cart-1", "10.1.1.2", "n-b"),
            slice("cart", "http", ready, &endpoints),
        ])
    };
    let plan = |ready, gateway: &str, name: &str| {
        let files = [
            (
                "clusters/c1/system.yaml",
                documents(&[system("n1"), service("cart", &[("http", 80)])]),
            ),
            ("clusters/c2/all.yaml", other(ready, gateway)),
            ("clusters/c2/cluster.yaml", "{role: remote, controlPlane: c1}".to_owned()),
        ];
        let folder = Folder::new(name, &files);
        let plan = folder.plan("cart.shop:80", &[]);
        if !ready {
            // What fails then has failed before.
            let fail = ["--unhealthy", "endpoint=10.1.1.1", "--unhealthy", "endpoint=10.1.1.2"];
            assert_eq!(folder.plan("cart.shop:80", &fail), plan);
        }
        plan
    };
    let reason = |plan: &Value| {
        assert_eq!(plan["endpoints"][0]["via"], "gateway");
        plan["endpoints"][0]["reason"]["text"].as_str().unwrap().to_owned()
    };
    let (fit, unfit) = (plan(true, gateway, "gateway"), plan(false, gateway, "gateway-unfit"));
    assert!(reason(&unfit).contains(", none of which is ready, and clients are not told"));
    assert!(!reason(&fit).contains("ready"));
    assert_eq!((&fit["reason"], &unfit["reason"]["code"]), (&Value::Null, &json!("none_answers")));
    // Nothing of what Envoy sends there is answered, as `mesh whatif` and `--unhealthy` say.
    assert_eq!(unfit["endpoints"][0]["share"], 0.0);
    assert_eq!(unfit["endpoints"][0]["health"], "unhealthy");
    // By their own addresses nobody gets to them.
    let without = plan(true, "", "gateway-none");
    assert_eq!(without["endpoints"][0]["share"], 0.0);
    assert_eq!(without["reason"]["code"], "none_answers");
    let code = &without["endpoints"][0]["reasons"][1]["code"];
    assert_eq!(code, "other_network_without_gateway");
}

#[test]
fn a_grpc_client_balances_by_what_it_is_sent() {
    let files = |policy: &str| {
        let rule = format!(
            "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: shop}}, \
             spec: {{host: cart, trafficPolicy: {{outlierDetection: {{}}, loadBalancer: {policy}}}}}}}\n"
        );
        let grpc =
            r#"[{"ref": "c1/shop/web-0", "type": "sidecar", "metadata": {"GENERATOR": "grpc"}}]"#;
        [
            ("config/rule.yaml", rule),
            ("clusters/c1/cart.yaml", service("cart", &[("http", 80)])),
            ("proxies.json", grpc.to_owned()),
        ]
    };
    for (policy, lb) in [
        ("{simple: RANDOM}", "ROUND_ROBIN"),
        ("{localityLbSetting: {enabled: true}}", "ROUND_ROBIN"),
        ("{simple: LEAST_REQUEST}", "LEAST_REQUEST"),
        ("{consistentHash: {useSourceIp: true}}", "RING_HASH"),
    ] {
        let plan = Folder::new("grpc", &files(policy)).plan("cart.shop:80", &[]);
        assert_eq!(
            (&plan["lb"], &plan["outlier_detection"]),
            (&json!(lb), &json!(false)),
            "{policy}"
        );
    }
}

#[test]
fn all_may_go_to_what_does_not_answer_while_others_would() {
    let entry = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bank, namespace: \
                 shop}, spec: {hosts: [bank.example], addresses: [10.9.0.1], resolution: STATIC, ports: [{number: \
                 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1, locality: eu/a}, {address: \
                 1.1.1.2, locality: us/a}]}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, \
                 metadata: {name: bank, namespace: shop}, spec: {host: bank.example, trafficPolicy: \
                 {outlierDetection: {maxEjectionPercent: 10}}}}\n";
    let folder = Folder::new("silence", &[("config/bank.yaml", entry.to_owned())]);
    let code = |fail: &str| {
        folder.plan("bank.example:80", &["--unhealthy", fail])["reason"]["code"].clone()
    };
    assert_eq!(code("endpoint=1.1.1.1"), "sent_to_silence");
    assert_eq!(code("service=bank.example"), "none_answers");
    let told = folder.table("bank.example:80", &["--unhealthy", "endpoint=1.1.1.1"]);
    assert!(told.contains("those that would answer get nothing: every request fails"), "{told}");
}

#[test]
fn a_repeated_address_is_told_by_its_true_cause() {
    let entry = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bank, namespace: \
                 shop}, spec: {hosts: [bank.example], addresses: [10.9.0.1, 10.9.0.2], resolution: STATIC, \
                 ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1}, {address: \
                 'unix:///run/bank.sock'}]}}\n";
    let folder = Folder::new("twice", &[("config/bank.yaml", entry.to_owned())]);
    let plan = folder.plan("bank.example:80", &[]);
    let endpoints = plan["endpoints"].as_array().unwrap();
    let text = |one: &Value| one["reason"]["text"].as_str().unwrap().to_owned();
    let told: Vec<String> =
        endpoints.iter().map(text).filter(|t| t.contains("Envoy keeps")).collect();
    assert_eq!(told.len(), 2, "{plan}");
    assert!(told.iter().all(|text| text.contains("has several addresses") && !text.contains('#')));
    let dials: Vec<&str> = endpoints.iter().map(|one| one["dial"].as_str().unwrap()).collect();
    assert!(dials.contains(&"/run/bank.sock") && dials.contains(&"1.1.1.1:80"), "{dials:?}");
}

/// What is said where there is no answer.
fn refusal(arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes/shop");
    let output = mesh(&folder, arguments);
    assert_eq!(output.status.code(), Some(2));
    text(&output.stderr)
}

#[test]
fn where_the_client_chooses_nobody_is_left_out_of_a_subset() {
    let service = service("cart", &[("http", 80)]).replace("172.16.0.9", "None");
    let own = documents(&[
        service,
        pod("cart-0", "10.0.1.1", "n-a"),
        pod("cart-1", "10.0.1.2", "n-a").replace("app: cart", "app: cart, version: v2"),
        slice("cart", "http", false, &[("10.0.1.1", "cart-0"), ("10.0.1.2", "cart-1")]),
    ]);
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart, namespace: \
                shop}, spec: {host: cart, subsets: [{name: v2, labels: {version: v2}}]}}";
    let files = [("clusters/c1/cart.yaml", own), ("config/rule.yaml", rule.to_owned())];
    let folder = Folder::new("asked-for", &files);
    for more in [&[][..], &["--subset", "v2"]] {
        let plan = folder.plan("cart.shop:80", more);
        assert_eq!(plan["type"], "ORIGINAL_DST");
        assert_eq!(left_out(&plan), [""; 0]);
        let known = plan["endpoints"].as_array().unwrap();
        let codes = known.iter().map(|one| one["reason"]["code"].as_str().unwrap());
        assert_eq!(codes.collect::<Vec<_>>(), ["original_destination"; 2]);
        assert!(known.iter().all(|one| one["health"] == "unhealthy"), "{known:?}");
        let outside =
            known[0]["reason"]["text"].as_str().unwrap().contains("not those of the subset");
        assert_eq!(outside, !more.is_empty(), "{known:?}");
        assert!(!known[1]["reason"]["text"].as_str().unwrap().contains("subset"), "{known:?}");
    }
}

#[test]
fn weights_that_the_proxy_refuses_are_told() {
    let plan = |name: &str, policy: &str| {
        let text = format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: db, namespace: shop}}, \
             spec: {{hosts: [db.example], addresses: [192.0.2.9], ports: [{{number: 80, name: http, protocol: \
             HTTP}}], resolution: STATIC, endpoints: [{{address: 192.0.2.1, weight: 4294967295}}, {{address: \
             192.0.2.2, weight: 4294967295}}]}}}}\n---\n{{apiVersion: networking.istio.io/v1, kind: \
             DestinationRule, metadata: {{name: db, namespace: shop}}, spec: {{host: db.example, trafficPolicy: \
             {policy}}}}}\n"
        );
        Folder::new(name, &[("config/db.yaml", text)]).plan("db.example:80", &[])
    };
    let even = plan("weights", "{}");
    assert_eq!(even["reason"], Value::Null);
    let reasons = even["endpoints"][0]["reasons"].as_array().unwrap().iter();
    let told = reasons.filter(|one| one["code"] == "locality_weight_overflow");
    let text = told.map(|one| one["text"].as_str().unwrap().to_owned()).collect::<String>();
    assert!(
        text.contains("sum to 8589934590, more than 32 bits hold: istiod's sum ends at 4294967295"),
        "{text}"
    );
    let hashed = plan("weights-hashed", "{loadBalancer: {consistentHash: {useSourceIp: true}}}");
    assert_eq!(hashed["reason"]["code"], "refused_weights");
}

#[test]
fn names_that_do_not_exist_are_answered_with_the_nearest() {
    let check = |proxy: &str, service: &str, nearest: &str| {
        let said = refusal(&["plan", "--proxy", proxy, "--service", service]);
        assert!(said.contains(&format!("did you mean `{nearest}`?")), "{said}");
    };
    let web = "eu/front/web-v1-0";
    for service in ["cart:80", "cart.default:80", "cart.shop.svc:80", "crat.shop:80", "crt:80"] {
        check(web, service, "cart.shop");
    }
    check(web, "catalog:80", "catalog.shop");
    for proxy in ["eu/frnt/web-v1-0", "eu/front/web-0", "eu/front/web-v1"] {
        check(proxy, "cart.shop:80", web);
    }
    check("us/data/nobody", "cart.shop:80", "us/data/events-0");
}

#[test]
fn selectors_that_match_nothing_are_answered_with_what_exists() {
    let check = |fail: &str, sentence: &str| {
        let said = refusal(&["whatif", "--all-proxies", "--fail", fail]);
        assert!(said.contains(&format!("selects nothing in this mesh; {sentence}")), "{said}");
    };
    check("region=eu-wst", "did you mean `region=eu-west`?");
    check("zone=eu-west/eu-west-z", "did you mean `zone=eu-west/eu-west-a`?");
    check("network=eu-nett", "did you mean `network=eu-net`?");
    check("cluster=nowhere", "there are `cluster=ap`, `cluster=eu`, `cluster=us`");
    check("service=nosuch.shop,30%", "the nearest is `service=");
    check("gateway=1", "");
    check("endpoint=10.10.2.299", "did you mean `endpoint=10.10.2.");
}

#[test]
fn a_part_of_a_service_that_is_no_endpoint_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("meshes/shop");
    let check = |fail: &str, is_told: bool| {
        let output = mesh(&folder, &["whatif", "--all-proxies", "--fail", fail, "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{fail}");
        let said = text(&output.stderr);
        assert_eq!(said.contains(&format!("nothing fails by `{fail}`")), is_told, "{said}");
    };
    check("service=cart.shop,1%", true);
    check("service=cart.shop,0%", true);
    check("service=cart.shop,100%", false);
    check("region=eu-west", false);
}

#[test]
fn of_all_proxies_the_one_that_came_nearest_tells_what_is_wrong() {
    let whatif = |more: &[&str]| {
        refusal(&[&["whatif", "--all-proxies", "--fail", "cluster=eu"], more].concat())
    };
    let said = whatif(&["--service", "cart.shop:81"]);
    assert!(said.contains("has no port 81; its ports: 80"), "{said}");
    let said = whatif(&["--service", "catalog.shop:80", "--subset", "v7"]);
    assert!(said.contains("its subsets: v1, v2"), "{said}");
    let said = refusal(&["whatif", "--fail", "cluster=eu"]);
    assert!(said.contains("<--proxy <CLUSTER/NS/POD>|--all-proxies>"), "{said}");
}

#[test]
fn what_distribute_gives_is_told_by_its_key() {
    let rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart, namespace: shop}, \
                spec: {host: cart, trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu/a, \
                to: {eu/*: 100}}]}}}}}\n";
    let folder = dead(true, &[("config/rule.yaml", rule.to_owned())], "distribute");
    let table = folder.table("cart.shop:80", &[]);
    let told = "distribute gives 100 percent to `eu/*` for a client in `eu/a`, of which 50 is this locality's";
    assert_eq!(table.matches(told).count(), 2, "{table}");
}

#[test]
fn a_destination_that_is_there_and_cannot_be_used_says_why() {
    let hidden = "{apiVersion: v1, kind: Service, metadata: {name: own, namespace: other, annotations: \
                  {networking.istio.io/exportTo: .}}, spec: {clusterIP: 172.16.0.8, ports: [{name: http, port: \
                  80}]}}\n";
    let names = "{apiVersion: v1, kind: Service, metadata: {name: names, namespace: shop}, spec: {clusterIP: \
                 172.16.0.7, ports: [{name: tcp-dns, port: 53}, {name: dns, port: 54, protocol: UDP}]}}\n";
    let alias = "{apiVersion: v1, kind: Service, metadata: {name: alias, namespace: shop}, spec: {type: \
                 ExternalName, externalName: cart.shop.svc.cluster.local, ports: [{name: http, port: 80}]}}\n";
    let files = [("clusters/c1/more.yaml", documents(&[hidden, names, alias].map(str::to_owned)))];
    let folder = dead(true, &files, "hidden");
    let refused = |service: &str| {
        let output = folder.run(&["plan", "--proxy", WEB, "--service", service]);
        assert_ne!(output.status.code(), Some(0));
        text(&output.stderr)
    };
    let said = refused("own.other:80");
    assert!(said.contains("its `exportTo` leaves namespace `shop` out"), "{said}");
    let said = refused("names.shop:54");
    assert!(said.contains("is UDP, which no cluster is made for; its other ports: 53"), "{said}");
    let said = refused("names.shop:55");
    assert!(said.contains("has no port 55; its ports: 53"), "{said}");
    let plan = folder.plan("alias.shop:80", &[]);
    assert_eq!(plan["reason"]["code"], "alias");
    let said = plan["reason"]["text"].as_str().unwrap();
    assert!(said.contains("is another name of `cart.shop.svc.cluster.local`"), "{said}");
}
