//! `mesh authz` and `mesh diff` where other programs than sidecars decide: waypoints and ztunnels.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail like tests"
)]
#[path = "shared/asked.rs"]
mod asked;
#[path = "shared/folder.rs"]
mod folder;

use std::path::Path;

use serde_json::{Value, json};

use asked::mesh;
use folder::Folder;

const CLUSTER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: gate-0, namespace: shop,
  labels: {gateway.networking.k8s.io/gateway-name: gate, gateway.networking.k8s.io/gateway-class-name: istio-waypoint, gateway.istio.io/managed: istio.io-mesh-controller}},
 spec: {serviceAccountName: gate, containers: [{name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-0, namespace: shop, labels: {app: web, istio.io/dataplane-mode: ambient}},
 spec: {serviceAccountName: web, containers: [{name: app}]}, status: {phase: Running, podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old-0, namespace: shop, labels: {app: old, security.istio.io/tlsMode: istio}},
 spec: {serviceAccountName: old}, status: {phase: Running, podIP: 10.0.0.2}}
---
{apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop, labels: {istio.io/use-waypoint: gate}},
 spec: {clusterIP: 10.9.0.1, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop, labels: {istio.io/use-waypoint: gate}},
 spec: {clusterIP: 10.9.0.2, ports: [{name: http, port: 80}]}}
";

/// Policies for the two services behind the waypoint, one for connections, and what tokens say.
const POLICIES: &str = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: api, namespace: shop},
 spec: {targetRefs: [{kind: Service, group: '', name: api}], rules: [{}]}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: db, namespace: shop},
 spec: {targetRefs: [{kind: Service, group: '', name: db}], rules: [{to: [{operation: {methods: [GET]}}]}]}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: web, namespace: shop},
 spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{to: [{operation: {ports: ['8080']}}]}]}}
---
{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: old, namespace: shop},
 spec: {selector: {matchLabels: {app: old}}, jwtRules: [{issuer: me, jwksUri: 'https://a', spaceDelimitedClaims: [roles]}]}}
---
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: old, namespace: shop},
 spec: {selector: {matchLabels: {app: old}}, rules: [{when: [{key: 'request.auth.claims[roles]', values: [b]}]}]}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: old, namespace: shop},
 spec: {selector: {matchLabels: {app: old}}, mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: DISABLE}}}}
";

fn folder(name: &str, policies: &str) -> Folder {
    let files = [("config/p.yaml", policies), ("clusters/c1/all.yaml", CLUSTER)];
    Folder::new(&format!("planes-{name}"), &files)
}

/// Checks the reason for which a request to a pod of namespace `shop` is answered.
#[track_caller]
fn check(folder: &Path, to: &[&str], request: &Value, expected: &str) {
    let arguments = [&["authz", "--request", "-", "--to"], to].concat();
    let (_, answer, said) = mesh(folder, &arguments, request);
    assert_eq!(answer["reason"]["code"], expected, "{request}: {answer} {said}");
}

#[test]
fn a_caller_without_a_proxy_shows_no_identity() {
    let bare = "---\n{apiVersion: v1, kind: Pod, metadata: {name: bare-0, namespace: shop}, spec: {serviceAccountName: bare, \
                containers: [{name: app}]}, status: {phase: Running, podIP: 10.0.0.9}}\n";
    let folder = folder("bare", POLICIES);
    folder.write("clusters/c1/bare.yaml", bare);
    let request = json!({"destination_port": 80, "method": "GET", "host": "old"});
    let to = ["c1/shop/old-0", "--from", "c1/shop/bare-0"];
    check(&folder, &to, &request, "mutual_tls_required");
    let (_, answer, _) = mesh(&folder, &["authz", "--matrix"], &Value::Null);
    assert!(!answer.to_string().contains("sa/bare"), "{answer}");
}

/// A caller with a sidecar in another cluster, and a service before `web-1`.
const CALLER: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: old-1, security.istio.io/tlsMode: istio}},
 spec: {serviceAccountName: web, containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.9}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cli-0, namespace: shop},
 spec: {serviceAccountName: cli, containers: [{name: app}, {name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.8}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {clusterIP: 10.9.0.3, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}},
 addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.0.0.9], conditions: {ready: true}}]}
";

const KNOWN_CALLERS: &str = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: known, namespace: shop},
 spec: {rules: [{from: [{source: {principals: ['*']}}]}]}}
---
";

#[test]
fn a_caller_shows_what_its_rules_make_it_send() {
    let request = json!({"destination_port": 8080, "host": "web", "path": "/"});
    let from = ["c1/shop/web-1", "--from", "c1/shop/cli-0"];
    let rule = |mode: &str| {
        format!(
            "{KNOWN_CALLERS}{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: \
             {{name: web, namespace: shop}}, spec: {{host: web, trafficPolicy: {{tls: {{mode: {mode}}}}}}}}}"
        )
    };
    let cases = [
        ("auto", KNOWN_CALLERS.to_owned(), "", "allow_matched"),
        ("mutual", rule("ISTIO_MUTUAL"), "enableAutoMtls: false\n", "allow_matched"),
        ("plain", rule("DISABLE"), "", "no_allow_policy_matched"),
        ("own", rule("SIMPLE"), "", "connection_fails"),
        ("off", KNOWN_CALLERS.to_owned(), "enableAutoMtls: false\n", "no_allow_policy_matched"),
    ];
    for (name, policies, settings, expected) in cases {
        let folder = folder(&format!("sends-{name}"), &policies);
        folder.write("clusters/c1/caller.yaml", CALLER);
        folder.write("mesh.yaml", settings);
        check(&folder, &from, &request, expected);
        // What the file says of the peer is not looked behind.
        let mut told = request.clone();
        told["peer"] = json!({"uri_sans": ["spiffe://cluster.local/ns/shop/sa/cli"]});
        check(&folder, &from, &told, "allow_matched");
    }
}

#[test]
fn a_caller_whose_root_is_not_trusted_does_not_connect() {
    let folder = folder("roots", KNOWN_CALLERS);
    folder.write("clusters/c2/caller.yaml", CALLER);
    let request = json!({"destination_port": 8080, "host": "old"});
    let from = ["c1/shop/old-0", "--from", "c2/shop/cli-0"];
    for (own, other, expected) in [
        ("a", "a", "allow_matched"),
        ("a", "b", "connection_fails"),
        ("a", "A", "allow_matched"),
        ("a", "", "allow_matched"),
    ] {
        let describe = |root: &str| format!("role: primary\nrootCaFingerprint: \"{root}\"\n");
        folder.write("clusters/c1/cluster.yaml", &describe(own));
        folder.write("clusters/c2/cluster.yaml", &describe(other));
        check(&folder, &from, &request, expected);
    }
}

/// What the matrix says of one pair.
#[track_caller]
fn check_access(folder: &Path, pair: [&str; 2], expected: &str) {
    let [to, from] = pair;
    let arguments = ["authz", "--matrix", "--port", "8080", "--to", to, "--from", from];
    let (_, answer, said) = mesh(folder, &arguments, &Value::Null);
    assert_eq!(answer["matrix"][0]["from"][0]["access"], expected, "{pair:?} {answer} {said}");
}

#[test]
fn the_matrix_of_a_pair_knows_what_the_caller_sends() {
    let folder = folder("pair", KNOWN_CALLERS);
    folder.write("clusters/c1/caller.yaml", CALLER);
    let pair = ["c1/shop/web-1", "c1/shop/cli-0"];
    check_access(&folder, pair, "always");
    // A ztunnel decides by who calls, too.
    check_access(&folder, ["c1/shop/web-0", "c1/shop/cli-0"], "always");
    let of_addresses = KNOWN_CALLERS.replace("source: {", "source: {ipBlocks: [10.0.0.0/8], ");
    assert_ne!(of_addresses, KNOWN_CALLERS);
    folder.write("config/p.yaml", &of_addresses);
    check_access(&folder, ["c1/shop/web-0", "c1/shop/cli-0"], "depends");
    // What cannot be understood denies.
    let broken = KNOWN_CALLERS.replace("rules:", "action: DENY, ruls:").replace("known", "shut");
    folder.write("config/q.yaml", &broken);
    for to in ["c1/shop/web-0", "c1/shop/web-1"] {
        check_access(&folder, [to, "c1/shop/cli-0"], "never");
    }
    std::fs::remove_file(folder.join("config/q.yaml")).unwrap();
    folder.write("config/p.yaml", "");
    check_access(&folder, ["c1/shop/web-0", "c1/shop/cli-0"], "always");
    folder.write("config/p.yaml", KNOWN_CALLERS);
    folder.write("mesh.yaml", "enableAutoMtls: false\n");
    check_access(&folder, pair, "never");
    std::fs::remove_file(folder.join("mesh.yaml")).unwrap();
    folder.write("clusters/c2/caller.yaml", CALLER);
    folder.write("clusters/c1/cluster.yaml", "role: primary\n");
    let foreign = "role: primary\ntrustDomain: other\n";
    folder.write("clusters/c2/cluster.yaml", foreign);
    check_access(&folder, ["c1/shop/web-1", "c2/shop/cli-0"], "never");
}

#[test]
fn coverage_of_a_waypoint_counts_the_rules_of_its_services() {
    let folder = folder("coverage", POLICIES);
    let request = json!([{"destination_ip": "10.9.0.2", "destination_port": 80, "method": "GET",
        "peer": {"uri_sans": ["spiffe://cluster.local/ns/shop/sa/cli"]}}]);
    let arguments = ["authz", "--to", "c1/shop/gate-0", "--coverage", "-"];
    let (_, answer, _) = mesh(&folder, &arguments, &request);
    let rules = answer["rules"].as_array().unwrap();
    let matched: Vec<(&str, u64)> = rules
        .iter()
        .map(|rule| (rule["policy"].as_str().unwrap(), rule["matched"].as_u64().unwrap()))
        .collect();
    assert_eq!(matched, [("shop/api", 0), ("shop/db", 1)]);
}

#[test]
fn a_waypoint_decides_by_the_service_that_is_asked_for() {
    let folder = folder("waypoint", POLICIES);
    let to = ["c1/shop/gate-0"];
    let put = |host: &str| json!({"destination_port": 80, "method": "PUT", "host": host});
    check(&folder, &to, &put("api.shop.svc.cluster.local"), "allow_matched");
    check(&folder, &to, &put("api.shop:80"), "allow_matched");
    check(&folder, &to, &put("db.shop"), "no_allow_policy_matched");
    let addressed =
        json!({"destination_port": 80, "destination_ip": "10.9.0.2", "method": "GET", "host": "x"});
    check(&folder, &to, &addressed, "allow_matched");
    let arguments = ["authz", "--request", "-", "--to", "c1/shop/gate-0"];
    let (code, _, said) = mesh(&folder, &arguments, &put("nobody"));
    assert_eq!(code, Some(2));
    assert!(
        said.contains("behind `c1/shop/gate-0` are api.shop.svc.cluster.local, db.shop"),
        "{said}"
    );
    let (_, answer, _) = mesh(&folder, &["authz", "--matrix"], &Value::Null);
    let columns = answer["matrix"].as_array().unwrap().iter();
    let services: Vec<_> = columns.filter_map(|column| column["service"].as_str()).collect();
    assert_eq!(services, ["api.shop.svc.cluster.local", "db.shop.svc.cluster.local"]);
}

#[test]
fn tokens_and_identities_are_what_the_mesh_makes_of_them() {
    let folder = folder("tokens", POLICIES);
    let request = |port: u16| {
        json!({"destination_port": port, "method": "GET", "host": "old", "path": "/",
               "jwt": {"claims": {"iss": "me", "roles": "a b"}}})
    };
    check(&folder, &["c1/shop/old-0", "--from", "c1/shop/web-0"], &request(80), "allow_matched");
    check(&folder, &["c1/shop/old-0"], &request(80), "mutual_tls_required");
    let mut strange = request(80);
    strange["peer"] = json!({"uri_sans": ["spiffe://elsewhere/ns/shop/sa/web"]});
    check(&folder, &["c1/shop/old-0"], &strange, "peer_not_trusted");
    strange["peer"] = json!({});
    check(&folder, &["c1/shop/old-0"], &strange, "peer_not_trusted");
    let peer = json!({"uri_sans": ["spiffe://cluster.local/ns/shop/sa/web"]});
    let mut unknown = request(80);
    unknown["peer"] = peer.clone();
    unknown["jwt"] = json!({"claims": {"iss": "you", "roles": ["b"]}});
    check(&folder, &["c1/shop/old-0"], &unknown, "token_refused");
    // Nobody looks at tokens there, so that no request has a claim.
    unknown["destination_ip"] = "10.9.0.9".into();
    check(&folder, &["c1/shop/gate-0"], &unknown, "no_allow_policy");
    // A port in plain text never sees a peer.
    let mut plain = request(9090);
    plain["peer"] = peer;
    check(&folder, &["c1/shop/old-0"], &plain, "allow_matched");
}

#[test]
fn diff_finds_tokens_that_nobody_validates_any_more() {
    let policies = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop},
 spec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}}
";
    let rule = "---
{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: shop},
 spec: {jwtRules: [{issuer: me, jwksUri: 'https://a'}]}}
";
    let (old, new) = (folder("token", &format!("{policies}{rule}")), folder("no-token", policies));
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let (_, answer, _) = mesh(&old, &["diff", paths[0], paths[1]], &Value::Null);
    let decisions = answer["decisions"].as_array().unwrap();
    assert!(
        decisions.iter().any(|one| {
            one["workload"] == "c1/shop/old-0"
                && one["change"] == "newly_denied"
                && one["request"]["jwt"]["claims"]["iss"] == "me"
        }),
        "{answer}"
    );
}

#[test]
fn diff_finds_what_changes_behind_waypoints_and_ztunnels() {
    let old = folder("old", POLICIES);
    let changed =
        POLICIES.replace("methods: [GET]", "methods: [GET, DELETE]").replace("8080", "9090");
    let new = folder("new", &changed);
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let (_, answer, _) = mesh(&old, &["diff", paths[0], paths[1]], &Value::Null);
    let decisions = answer["decisions"].as_array().unwrap();
    let found: Vec<String> = decisions
        .iter()
        .map(|one| {
            let request = &one["request"];
            format!(
                "{} {} {}",
                one["workload"],
                one["change"],
                match request["method"].as_str() {
                    Some("DELETE") => format!("DELETE {}", request["destination_ip"]),
                    _ => request["destination_port"].to_string(),
                }
            )
        })
        .collect();
    for expected in [
        "\"c1/shop/gate-0\" \"newly_allowed\" DELETE \"10.9.0.2\"",
        "\"c1/shop/web-0\" \"newly_allowed\" 8080",
        "\"c1/shop/web-0\" \"newly_denied\" 9090",
    ] {
        assert!(found.iter().any(|one| one == expected), "{expected}: {found:#?}");
    }
}

/// Whether taking a DENY policy away beside an ALLOW rule is told.
fn check_removed_beside(rule: &str) {
    let policy = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, namespace: shop}},
             spec: {{selector: {{matchLabels: {{app: web}}}}, {spec}}}}}\n---\n"
        )
    };
    let allow = policy("a", &format!("rules: [{rule}]"));
    let deny = policy("d", "action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}]");
    let (old, new) = (folder("with", &format!("{allow}{deny}")), folder("without", &allow));
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let (_, answer, _) = mesh(&old, &["diff", paths[0], paths[1]], &Value::Null);
    let decisions = answer["decisions"].as_array().unwrap();
    let is_told = |one: &Value| {
        one["workload"] == json!("c1/shop/web-0") && one["change"] == json!("newly_allowed")
    };
    assert!(decisions.iter().any(is_told), "{rule}: {answer}");
}

#[test]
fn diff_finds_what_changes_for_identities_as_ztunnels_read_them() {
    for principals in ["*/sa/x", "cluster.local/ns/fr*", "*nt/sa/x", "cluster*", "*x", "*"] {
        check_removed_beside(&format!("{{from: [{{source: {{principals: ['{principals}']}}}}]}}"));
    }
    // The start of one and the end of another meet in one identity.
    for (start, end) in [
        ("cluster.local/*", "*/sa/x"),
        ("cluster.local/ns/fr*", "*nt/sa/x"),
        ("clu*", "*al/ns/a/sa/x"),
        ("cluster.local/ns/a/sa/y*", "*z"),
    ] {
        let when = format!("when: [{{key: source.principal, values: ['{end}']}}]");
        check_removed_beside(&format!(
            "{{from: [{{source: {{principals: ['{start}']}}}}], {when}}}"
        ));
        let beside = format!("principals: ['{start}'], namespaces: ['a*']");
        if start.ends_with("/*") {
            check_removed_beside(&format!("{{from: [{{source: {{{beside}}}}}]}}"));
        }
    }
}

#[test]
fn the_trace_of_a_ztunnel_names_the_field_that_failed() {
    let folder = folder("l4-trace", POLICIES);
    let arguments = ["authz", "--request", "-", "--to", "c1/shop/web-0"];
    let (_, answer, _) = mesh(&folder, &arguments, &json!({"destination_port": 80}));
    let failed = &answer["trace"][0]["rules"][0]["failed"];
    assert_eq!(
        failed,
        &json!({"field": "to.operation.ports", "negated": false, "expected": ["8080"], "saw": "80"}),
        "{answer}"
    );
}

#[test]
fn the_trace_of_a_connection_names_the_field_that_requests_only_have() {
    let folder = folder("tcp-trace", POLICIES);
    let arguments = ["authz", "--request", "-", "--to", "c1/shop/old-0"];
    let request = json!({"destination_port": 9090, "protocol": "tcp"});
    let (_, answer, _) = mesh(&folder, &arguments, &request);
    let failed = &answer["trace"][0]["rules"][0]["failed"];
    assert_eq!(failed["field"], "when[request.auth.claims[roles]].values", "{answer}");
}

#[test]
fn a_sidecar_trusts_names_of_every_type_and_a_tunnel_uris() {
    let folder = folder("dns-names", "");
    let request =
        json!({"destination_port": 80, "peer": {"dns_sans": ["spiffe://cluster.local/ns/a/sa/b"]}});
    check(&folder, &["c1/shop/old-0"], &request, "no_allow_policy");
    check(&folder, &["c1/shop/web-0"], &request, "peer_not_trusted");
}

#[test]
fn the_matrix_of_workloads_has_what_each_shows_to_each() {
    let folder = folder("workloads", KNOWN_CALLERS);
    folder.write("clusters/c1/caller.yaml", CALLER);
    let arguments = ["authz", "--matrix", "--workloads", "--port", "8080"];
    let (code, answer, _) = mesh(&folder, &arguments, &Value::Null);
    assert_eq!(code, Some(0));
    // It is a matrix whether one says so or not.
    let alone = mesh(&folder, &["authz", "--workloads", "--port", "8080"], &Value::Null);
    assert_eq!((alone.0, &alone.1), (code, &answer));
    let access = |to: &str, from: &str| {
        let rows = answer["matrix"].as_array().unwrap().iter();
        let row = rows.clone().find(|row| row["to"] == to && row["service"].is_null()).unwrap();
        let callers = row["from"].as_array().unwrap();
        let caller = callers.iter().find(|caller| caller["workload"] == from).unwrap();
        (caller["identity"].is_string(), caller["access"].as_str().unwrap().to_owned())
    };
    let known = (true, "always".to_owned());
    assert_eq!(access("c1/shop/web-1", "c1/shop/cli-0"), known, "{answer}");
    // Without the label of a sidecar it is called in plain text.
    assert_eq!(access("c1/shop/cli-0", "c1/shop/web-1"), (false, "never".to_owned()), "{answer}");
}

#[test]
fn diff_finds_what_changes_where_a_sidecar_or_a_ztunnel_decides() {
    let of = |name: &str, domain: &str| {
        let policy = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p, namespace: \
             shop}}, spec: {{selector: {{matchLabels: {{app: may}}}}, rules: [{{from: [{{source: {{principals: \
             [{domain}/ns/a/sa/b]}}}}]}}]}}}}\n"
        );
        let folder = folder(name, &policy);
        // Nobody can tell whether the namespace has ztunnels.
        folder.write(
            "clusters/c1/may.yaml",
            "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: 5}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: may-0, namespace: shop, labels: {app: may}}, spec: \
             {containers: [{name: app}]}, status: {phase: Running, podIP: 10.0.0.8}}\n",
        );
        folder.write("mesh.yaml", "trustDomain: td\ntrustDomainAliases: [old]\n");
        folder
    };
    let (old, new) = (of("mixed-old", "old"), of("mixed-new", "td"));
    let paths = [old.to_str().unwrap(), new.to_str().unwrap()];
    let arguments = ["diff", paths[0], paths[1], "--proxy", "c1/shop/may-0"];
    let (_, answer, _) = mesh(&old, &arguments, &Value::Null);
    let decisions = answer["decisions"].as_array().unwrap();
    for (change, domain) in [("newly_allowed", "td"), ("newly_denied", "old")] {
        let name = format!("spiffe://{domain}/ns/a/sa/b");
        let is_told = |one: &Value| {
            one["change"] == change && one["request"]["peer"]["uri_sans"] == json!([name])
        };
        assert!(decisions.iter().any(is_told), "{name}: {answer}");
    }
}
