//! Random policies over a small vocabulary, all of them valid, so that requests over the same one meet
//! them now and then.
use serde_json::{Map, Value, json};

use crate::e2e::random::Random;
use crate::e2e::upstream;

/// Where the workloads live.
pub(super) const NAMESPACE: &str = "lab";
/// The extension provider that answers, and one that has no service.
const PROVIDERS: [&str; 2] = ["ext", "gone"];

/// The ports of workloads: of requests, of connections, and two that only PROXY headers name.
pub(super) const HTTP_PORT: u16 = 21080;
pub(super) const TCP_PORT: u16 = 21090;
const PORTS: [&str; 4] = ["21080", "21090", "80", "8080"];

const PRINCIPALS: [&str; 8] = [
    "*",
    "td/ns/a/sa/x",
    "cluster.local/ns/a/sa/x",
    "td2/ns/b/sa/y",
    "td/ns/a/*",
    "*/sa/x",
    "td/*",
    "other/ns/ab/sa/x",
];
const NAMESPACES: [&str; 6] = ["a", "b", "a*", "*", "*b", "ab"];
const ACCOUNTS: [&str; 4] = ["x", "a/x", "b/y", "ab/x"];
const TRUST_DOMAINS: [&str; 6] = ["td", "td2", "t*", "*2", "*", "other"];
const TOKENS: [&str; 7] =
    ["*", "iss-1/s", "iss-1/*", "*/s", "https://iss/t", "iss*", "https://iss/*"];
const RANGES: [&str; 8] = [
    "127.9.0.0/16",
    "127.9.1.1",
    "127.0.0.0/8",
    "198.51.100.0/24",
    "203.0.113.7",
    "2001:db8::/32",
    "0.0.0.0/0",
    "::/0",
];
const HOSTS: [&str; 6] = ["a.com", "A.com", "*.com", "a.*", "*", "a.com:80"];
const METHODS: [&str; 5] = ["GET", "P*", "*T", "*", "get"];
const PATHS: [&str; 11] =
    ["/a", "/a*", "*b", "*", "/a/{*}", "/{**}", "/{**}/b", "/a/b", "/", "/admin/*", "/a/{*}/{**}"];
const TEXTS: [&str; 8] = ["v", "v*", "*w", "*", "vw", "[v]", "[v*]", "V"];
const LINES: [&str; 8] = ["v", "v*", "*w", "*", "vw", "v,vw", "v,*", "*,v,x"];
const NAMES: [&str; 5] = ["v.com", "v*", "*.com", "*", "V.com"];
const KEYS: [(&str, &[&str]); 18] = [
    ("source.ip", &RANGES),
    ("remote.ip", &RANGES),
    ("destination.ip", &RANGES),
    ("destination.port", &PORTS),
    ("connection.sni", &NAMES),
    ("experimental.envoy.filters.f[k]", &TEXTS),
    ("request.headers[x-h]", &TEXTS),
    ("request.headers[user-agent]", &LINES),
    ("request.headers[:path]", &PATHS),
    ("source.namespace", &NAMESPACES),
    ("source.serviceAccount", &ACCOUNTS),
    ("source.trustDomain", &TRUST_DOMAINS),
    ("source.principal", &PRINCIPALS),
    ("request.auth.principal", &TOKENS),
    ("request.auth.audiences", &TEXTS),
    ("request.auth.presenter", &TEXTS),
    ("request.auth.claims[c]", &TEXTS),
    ("request.auth.claims[n][c]", &TEXTS),
];
/// How many of the keys, from the first, a CUSTOM policy may use.
const KEYS_OF_CUSTOM: usize = 9;

const ADDRESSES: [(&str, &[&str]); 2] = [("ipBlocks", &RANGES), ("remoteIpBlocks", &RANGES)];
/// A source has either its identity in parts, or service accounts.
const SOURCES: [(&str, &[&str]); 6] = [
    ("principals", &PRINCIPALS),
    ("namespaces", &NAMESPACES),
    ("trustDomains", &TRUST_DOMAINS),
    ("requestPrincipals", &TOKENS),
    ("ipBlocks", &RANGES),
    ("remoteIpBlocks", &RANGES),
];
const ACCOUNT_SOURCES: [(&str, &[&str]); 3] =
    [("serviceAccounts", &ACCOUNTS), ("requestPrincipals", &TOKENS), ("ipBlocks", &RANGES)];
const OPERATIONS: [(&str, &[&str]); 5] = [
    ("hosts", &HOSTS),
    ("methods", &METHODS),
    ("paths", &PATHS),
    ("paths", &PATHS),
    ("ports", &PORTS),
];

/// The policies of a mesh with so many workloads: some of the mesh, some of the namespace, several
/// for each workload.
pub(super) fn policies(random: &mut Random, workloads: usize) -> Vec<Value> {
    let wide = [("istio-system", "wide"), (NAMESPACE, "near")].into_iter();
    let mut policies: Vec<Value> = wide
        .filter_map(|(namespace, name)| {
            let action = random.text(&["DENY", "AUDIT", "ALLOW"]);
            random.once_in(3).then(|| policy(random, (namespace, name), action, None))
        })
        .collect();
    for workload in 0..workloads {
        for index in 0..random.below(6) {
            let action =
                random.text(&["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM"]);
            let name = format!("w{workload}-{index}");
            policies.push(policy(random, (NAMESPACE, &name), action, Some(workload)));
        }
    }
    policies
}

/// Policies of two workloads, and token issuers of one, which get every kind of answer whatever is drawn.
pub(super) fn certain(keys: &str) -> Vec<Value> {
    let policy = |(app, action): (&str, &str), rules: &Value, provider: &Value| {
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": format!("{app}-{}", action.to_lowercase()), "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": {"app": app}},
                "action": action, "rules": rules, "provider": provider,
            },
        })
    };
    let to = |operation: Value| json!([{"to": [{"operation": operation}]}]);
    let [answers, gone] = PROVIDERS;
    let allow = json!([
        {"to": [{"operation": {"paths": ["/a"], "methods": ["GET", "POST"]}}]},
        {"to": [{"operation": {"ports": ["21090"]}}]},
    ]);
    let deny = json!([{
        "to": [{"operation": {"ports": ["21080"]}}],
        "when": [{"key": "request.headers[x-h]", "values": ["vw"]}],
    }]);
    let asked = to(json!({"hosts": ["b.org"], "ports": ["21080"]}));
    let unanswered = to(json!({"paths": ["/a"], "ports": ["21080"]}));
    let rule = json!({
        "issuer": "iss-1", "jwks": keys, "forwardOriginalToken": true, "audiences": ["v", "aud"],
    });
    vec![
        policy(("w0", "ALLOW"), &allow, &Value::Null),
        policy(("w0", "DENY"), &deny, &Value::Null),
        policy(("w0", "CUSTOM"), &asked, &json!({"name": answers})),
        policy(("w1", "DENY"), &to(json!({"ports": ["21090"]})), &Value::Null),
        policy(("w1", "CUSTOM"), &unanswered, &json!({"name": gone})),
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "RequestAuthentication",
            "metadata": {"name": "w0", "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": {"app": "w0"}}, "jwtRules": [rule]},
        }),
    ]
}

fn policy(
    random: &mut Random,
    (namespace, name): (&str, &str),
    action: &str,
    workload: Option<usize>,
) -> Value {
    // Ten or more rules show that names are in byte order.
    let count = if random.once_in(12) { 11 } else { 1 + random.below(3) };
    let rules: Vec<Value> = (0..count).map(|_| rule(random, action)).collect();
    let mut spec = json!({"action": action, "rules": rules});
    if let (Some(workload), Some(spec)) = (workload, spec.as_object_mut()) {
        let labels = json!({"matchLabels": {"app": format!("w{workload}")}});
        spec.insert("selector".to_owned(), labels);
    }
    if let (true, Some(spec)) = (action == "CUSTOM", spec.as_object_mut()) {
        let provider = if random.once_in(5) { "gone" } else { "ext" };
        spec.insert("provider".to_owned(), json!({"name": provider}));
    }
    let mut metadata = json!({"name": name, "namespace": namespace});
    let is_on_trial = matches!(action, "ALLOW" | "DENY") && random.once_in(6);
    if let (true, Some(metadata)) = (is_on_trial, metadata.as_object_mut()) {
        metadata.insert("annotations".to_owned(), json!({"istio.io/dry-run": "true"}));
    }
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": metadata,
        "spec": spec,
    })
}

fn rule(random: &mut Random, action: &str) -> Value {
    let is_custom = action == "CUSTOM";
    let mut rule = Map::new();
    let from: Vec<Value> = (0..random.below(3))
        .map(|_| {
            let is_by_account = random.once_in(4);
            json!({"source": fields(random, of_source(is_custom, is_by_account))})
        })
        .collect();
    let to: Vec<Value> =
        (0..random.below(3)).map(|_| json!({"operation": fields(random, &OPERATIONS)})).collect();
    let when = random.once_in(4).then(|| condition(random, is_custom));
    for (name, list) in [("from", from), ("to", to), ("when", when.into_iter().collect())] {
        if !list.is_empty() {
            rule.insert(name.to_owned(), Value::Array(list));
        }
    }
    // An empty rule of such a policy decides everything: nothing else would be seen.
    if rule.is_empty() {
        rule.insert("to".to_owned(), json!([{"operation": fields(random, &OPERATIONS)}]));
    }
    Value::Object(rule)
}

type Fields = &'static [(&'static str, &'static [&'static str])];

const fn of_source(is_custom: bool, is_by_account: bool) -> Fields {
    match (is_custom, is_by_account) {
        (true, _) => &ADDRESSES,
        (false, true) => &ACCOUNT_SOURCES,
        (false, false) => &SOURCES,
    }
}

/// One or two fields, each with values, with values that must not be, or with both.
fn fields(random: &mut Random, of: Fields) -> Value {
    let mut found = Map::new();
    for _ in 0..=random.below(2) {
        let (name, words) = random.of(of, ("ports", &PORTS));
        let which = random.below(6);
        if which < 5 {
            found.insert(name.to_owned(), values(random, words));
        }
        if which > 3 {
            found.insert(negated(name), values(random, words));
        }
    }
    Value::Object(found)
}

/// `notPaths` for `paths`.
fn negated(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().fold(String::from("not"), |text, letter| text + &letter.to_string())
        + letters.as_str()
}

fn condition(random: &mut Random, is_custom: bool) -> Value {
    let limit = if is_custom { KEYS_OF_CUSTOM } else { KEYS.len() };
    let (key, words) = KEYS.get(random.below(limit)).copied().unwrap_or(("source.ip", &RANGES));
    let list = if random.once_in(4) { "notValues" } else { "values" };
    json!({"key": key, list: values(random, words)})
}

fn values(random: &mut Random, words: &'static [&'static str]) -> Value {
    let count = 1 + random.below(2);
    (0..count).map(|_| random.text(words)).collect()
}

/// What is believed of tokens: one or two issuers for most workloads.
pub(super) fn request_authentications(
    random: &mut Random,
    workloads: usize,
    keys: &str,
) -> Vec<Value> {
    let mut found = Vec::new();
    for workload in 0..workloads {
        let count = random.below(4).min(2);
        let rules: Vec<Value> = (0..count).map(|_| jwt_rule(random, keys)).collect();
        if rules.is_empty() {
            continue;
        }
        found.push(json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "RequestAuthentication",
            "metadata": {"name": format!("w{workload}"), "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": {"app": format!("w{workload}")}},
                "jwtRules": rules,
            },
        }));
    }
    found
}

fn jwt_rule(random: &mut Random, keys: &str) -> Value {
    let issuer = random.text(&["iss-1", "https://iss"]);
    // Tokens that are not handed on would be missing from the headers that policies see.
    let mut rule = json!({"issuer": issuer, "jwks": keys, "forwardOriginalToken": true});
    if let Some(rule) = rule.as_object_mut() {
        if random.once_in(3) {
            rule.insert("audiences".to_owned(), json!(["v", "aud"]));
        }
        match random.below(4) {
            0 => {
                let header = json!({"name": "x-token", "prefix": "Tok "});
                rule.insert("fromHeaders".to_owned(), json!([header]));
            }
            1 => {
                rule.insert("fromHeaders".to_owned(), json!([{"name": "x-token"}]));
                rule.insert("fromCookies".to_owned(), json!(["session"]));
            }
            _ => {}
        }
        if random.once_in(3) {
            rule.insert("spaceDelimitedClaims".to_owned(), json!(["c"]));
        }
    }
    rule
}

/// The pod of a workload.
pub(super) fn pod(workload: usize, address: &str) -> Value {
    let name = format!("w{workload}");
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": {"app": name, "security.istio.io/tlsMode": "istio"},
        },
        "spec": {
            "serviceAccountName": name, "nodeName": "n",
            // A pod of nothing but a proxy would be a gateway.
            "containers": [
                {"name": "app", "image": "example.com/app"},
                {"name": "istio-proxy", "image": "istio/proxyv2:1.30.0"},
            ],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}

/// The service of the provider that answers.
pub(super) fn provider_entry() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "ext", "namespace": NAMESPACE},
        "spec": {
            "hosts": ["ext.test"],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [{"number": 9000, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": "127.77.0.9"}],
        },
    })
}

/// The cluster that the generated filter names for it.
pub(super) const PROVIDER_CLUSTER: &str = "outbound|9000||ext.test";
/// The mesh's settings, with one of the ways to normalize paths.
pub(super) fn mesh_config(normalization: &str) -> Value {
    let provider = |name: &str, service: &str| {
        json!({
            "name": name,
            "envoyExtAuthzHttp": {
                "service": service, "port": 9000, "timeout": "5s",
                "includeRequestHeadersInCheck": [upstream::REFUSE],
            },
        })
    };
    let [answers, gone] = PROVIDERS;
    json!({
        "trustDomain": "td",
        "trustDomainAliases": ["td2"],
        "pathNormalization": {"normalization": normalization},
        "extensionProviders": [provider(answers, "ext.test"), provider(gone, "gone.test")],
    })
}
