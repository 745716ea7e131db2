//! Policies and requests over few words, so that they meet.
use mesh_model::resource::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Meta, Operation, Rule,
    Source, To,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::oracle::authz::Request;

const PRINCIPALS: &[&str] = &[
    "*",
    "td/ns/a/sa/x",
    "td2/ns/b/sa/y",
    "cluster.local/ns/a/sa/x",
    "td/ns/a/*",
    "*/sa/x",
    "*x",
    "other/ns/a/sa/x",
    "td/ns/*",
];
const NAMESPACES: &[&str] = &["a", "b", "a*", "*", "*b", "ab"];
const ACCOUNTS: &[&str] = &["x", "a/x", "b/y", "ab/x"];
const TRUST_DOMAINS: &[&str] = &["td", "td2", "t*", "*2", "*", "other"];
const TOKENS: &[&str] = &["*", "i/s", "i/*", "*/s", "*s", "i*", "https://i/s", "i", "*i/s"];
const RANGES: &[&str] = &["10.0.0.0/8", "10.1.0.5", "::/0", "0.0.0.0/0", "10.2.0.0/16", "bad"];
const PORTS: &[&str] = &["80", "8080", "0", "x", "70000", "+80"];
const HOSTS: &[&str] = &["a.com", "A.com", "*.com", "a.*", "*", "a.com:80"];
const METHODS: &[&str] = &["GET", "G*", "*T", "*", "get"];
const PATHS: &[&str] = &["/a", "/a*", "*b", "*", "/a/{*}", "/{**}", "/{**}/b", "/a/b", "/"];
const TEXTS: &[&str] = &["v", "v*", "*w", "*", "vw", "[v]", "[v*]", "V"];
const LINES: &[&str] = &["v", "v*", "*w", "*", "vw", "v,vw", "v,*", "V"];
const KEYS: &[(&str, &[&str])] = &[
    ("source.ip", RANGES),
    ("remote.ip", RANGES),
    ("destination.ip", RANGES),
    ("destination.port", PORTS),
    ("source.namespace", NAMESPACES),
    ("source.serviceAccount", ACCOUNTS),
    ("source.trustDomain", TRUST_DOMAINS),
    ("source.principal", PRINCIPALS),
    ("request.auth.principal", TOKENS),
    ("request.auth.audiences", TEXTS),
    ("request.auth.presenter", TEXTS),
    ("request.auth.claims[c]", TEXTS),
    ("request.auth.claims[n][c]", TEXTS),
    ("request.headers[x-h]", TEXTS),
    ("request.headers[user-agent]", LINES),
    ("request.headers[:path]", PATHS),
    ("connection.sni", TEXTS),
    ("experimental.envoy.filters.f[k]", TEXTS),
    ("unknown.key", TEXTS),
];

type Values = Vec<Box<str>>;

/// A list that is mostly empty.
fn values(words: &'static [&'static str]) -> impl Strategy<Value = Values> {
    let word = select(words).prop_map(Box::from);
    prop_oneof![7 => Just(Vec::new()), 2 => prop::collection::vec(word, 1..3)]
}

fn source() -> impl Strategy<Value = Source> {
    let lists = |words| (values(words), values(words));
    (
        lists(PRINCIPALS),
        lists(TOKENS),
        lists(NAMESPACES),
        lists(RANGES),
        lists(RANGES),
        lists(ACCOUNTS),
        lists(TRUST_DOMAINS),
    )
        .prop_map(|(principal, token, namespace, ip, remote, account, domain)| Source {
            principals: principal.0,
            not_principals: principal.1,
            request_principals: token.0,
            not_request_principals: token.1,
            namespaces: namespace.0,
            not_namespaces: namespace.1,
            ip_blocks: ip.0,
            not_ip_blocks: ip.1,
            remote_ip_blocks: remote.0,
            not_remote_ip_blocks: remote.1,
            service_accounts: account.0,
            not_service_accounts: account.1,
            trust_domains: domain.0,
            not_trust_domains: domain.1,
        })
}

fn operation() -> impl Strategy<Value = Operation> {
    let lists = |words| (values(words), values(words));
    (lists(HOSTS), lists(PORTS), lists(METHODS), lists(PATHS)).prop_map(
        |(host, port, method, path)| Operation {
            hosts: host.0,
            not_hosts: host.1,
            ports: port.0,
            not_ports: port.1,
            methods: method.0,
            not_methods: method.1,
            paths: path.0,
            not_paths: path.1,
        },
    )
}

fn condition() -> impl Strategy<Value = Condition> {
    select(KEYS).prop_flat_map(|(key, words)| {
        (values(words), values(words)).prop_map(|(values, not_values)| Condition {
            key: key.into(),
            values,
            not_values,
        })
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let from = prop::option::weighted(0.9, source()).prop_map(|source| From { source });
    let to = prop::option::weighted(0.9, operation()).prop_map(|operation| To { operation });
    (
        prop::collection::vec(from, 0..3),
        prop::collection::vec(to, 0..3),
        prop::collection::vec(condition(), 0..3),
    )
        .prop_map(|(from, to, when)| Rule { from, to, when })
}

/// DENY and ALLOW policies of one namespace, up to `size`, names unique.
pub fn policies(size: usize) -> impl Strategy<Value = Vec<AuthorizationPolicy>> {
    let action = prop_oneof![1 => Just(Action::Deny), 3 => Just(Action::Allow)];
    let policy = (action, prop::collection::vec(rule(), 0..3));
    prop::collection::vec(policy, 0..size).prop_map(|policies| {
        let named = policies.into_iter().enumerate();
        named.map(|(index, (action, rules))| policy_of(index, action, rules)).collect()
    })
}

fn policy_of(index: usize, action: Action, rules: Vec<Rule>) -> AuthorizationPolicy {
    AuthorizationPolicy {
        meta: Meta::new("a", format!("p{index}")),
        spec: AuthorizationPolicySpec { rules, action, ..AuthorizationPolicySpec::default() },
    }
}

fn peer() -> impl Strategy<Value = Option<Vec<String>>> {
    let name = select(vec![
        "spiffe://td/ns/a/sa/x",
        "spiffe://td2/ns/b/sa/y",
        "spiffe://other/ns/ab/sa/x",
        "spiffe://td/r/e/ns/a/k/v/sa/x/p/q",
        "spiffe://td/ns/a",
        "spiffe://td/ns/a/sa/x\n",
        "spiffe://td\n2/ns/b/sa/y",
        "https://x",
        "",
        "x",
    ]);
    prop::option::weighted(0.8, prop::collection::vec(name.prop_map(str::to_owned), 0..4))
}

fn claims() -> impl Strategy<Value = Option<Value>> {
    let value = select(vec![
        json!("v"),
        json!("vw"),
        json!(""),
        json!("v\nw"),
        json!(["v", 1]),
        json!(["x", "vw"]),
        json!(true),
        json!({"c": "v"}),
        json!({"c": ["v"]}),
        Value::Null,
    ]);
    let claims = (select(vec!["i", "https://i", "xi", ""]), select(vec!["s", "xs", ""]), value);
    prop::option::of(claims).prop_map(|claims| {
        claims.map(|(iss, sub, value)| {
            json!({"iss": iss, "sub": sub, "aud": value, "azp": value, "c": value, "n": value})
        })
    })
}

/// A request that the policies may mean.
pub fn request() -> impl Strategy<Value = Request> {
    let ip = || {
        select(vec!["10.1.0.5", "10.2.0.9", "192.168.0.1", "2001:db8::1"])
            .prop_map(|ip: &str| ip.parse().unwrap_or(std::net::IpAddr::from([0, 0, 0, 0])))
    };
    let text = |words: &'static [&'static str]| select(words).prop_map(str::to_owned);
    let header = (text(&["x-h", "X-H", "User-Agent", "y"]), text(&["v", "vw", "", "V"]));
    let connection =
        (ip(), ip(), ip(), select(vec![80, 8080, 0]), peer(), text(&["", "v", "VW", "v\nw"]));
    let http = (
        text(&["GET", "POST", ""]),
        prop::option::weighted(0.9, text(&["a.com", "A.COM", "a.com:80", "b.org", ""])),
        text(&["/a", "/a/b", "/a/b?x=/b", "/", "/ab", "/a/", "/c/b", "/%20", "/a/*"]),
        prop::collection::vec(header, 0..4),
        claims(),
        select(vec![
            json!({}),
            json!({"envoy.filters.f": {"k": "v"}}),
            json!({"envoy.filters.f": {"k": ["vw", "v"]}}),
        ]),
    );
    (any::<bool>(), connection, http).prop_map(|(is_http, connection, http)| {
        let (source_ip, remote_ip, destination_ip, destination_port, peer, sni) = connection;
        let (method, host, path, headers, claims, metadata) = http;
        Request {
            is_http,
            source_ip,
            remote_ip,
            destination_ip,
            destination_port,
            peer,
            sni,
            method,
            host,
            path,
            headers,
            claims,
            metadata,
        }
    })
}

/// The policies, and the same with one value more, fewer or another in one list of one rule.
pub fn mutated(
    policies: Vec<AuthorizationPolicy>,
) -> impl Strategy<Value = (Vec<AuthorizationPolicy>, Vec<AuthorizationPolicy>)> {
    let picks = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let value = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (picks, value, 0_u8..3).prop_map(move |((rule, list), (at, word), how)| {
        let old = policies.clone();
        let mut new = policies.clone();
        let mut rules: Vec<&mut Rule> =
            new.iter_mut().flat_map(|policy| &mut policy.spec.rules).collect();
        if rules.is_empty() {
            return (old, new);
        }
        let place = rule.index(rules.len());
        let Some(rule) = rules.get_mut(place) else { return (old.clone(), old) };
        let mut lists = lists_of(rule);
        if lists.is_empty() {
            return (old.clone(), old);
        }
        let place = list.index(lists.len());
        let Some((list, words)) = lists.get_mut(place) else { return (old.clone(), old) };
        let word: Box<str> = words.get(word.index(words.len())).copied().unwrap_or_default().into();
        let at = at.index(list.len().max(1));
        match (how, list.is_empty()) {
            (0, _) | (_, true) => list.push(word),
            (1, false) => drop(list.remove(at)),
            (_, false) => {
                if let Some(value) = list.get_mut(at) {
                    *value = word;
                }
            }
        }
        (old, new)
    })
}

/// The lists of a rule with the words that belong there.
fn lists_of(rule: &mut Rule) -> Vec<(&mut Values, &'static [&'static str])> {
    let mut found: Vec<(&mut Values, &'static [&'static str])> = Vec::new();
    for source in rule.from.iter_mut().filter_map(|from| from.source.as_mut()) {
        found.extend([
            (&mut source.principals, PRINCIPALS),
            (&mut source.not_principals, PRINCIPALS),
            (&mut source.request_principals, TOKENS),
            (&mut source.not_request_principals, TOKENS),
            (&mut source.namespaces, NAMESPACES),
            (&mut source.not_namespaces, NAMESPACES),
            (&mut source.ip_blocks, RANGES),
            (&mut source.not_ip_blocks, RANGES),
            (&mut source.remote_ip_blocks, RANGES),
            (&mut source.not_remote_ip_blocks, RANGES),
            (&mut source.service_accounts, ACCOUNTS),
            (&mut source.not_service_accounts, ACCOUNTS),
            (&mut source.trust_domains, TRUST_DOMAINS),
            (&mut source.not_trust_domains, TRUST_DOMAINS),
        ]);
    }
    for operation in rule.to.iter_mut().filter_map(|to| to.operation.as_mut()) {
        found.extend([
            (&mut operation.hosts, HOSTS),
            (&mut operation.not_hosts, HOSTS),
            (&mut operation.ports, PORTS),
            (&mut operation.not_ports, PORTS),
            (&mut operation.methods, METHODS),
            (&mut operation.not_methods, METHODS),
            (&mut operation.paths, PATHS),
            (&mut operation.not_paths, PATHS),
        ]);
    }
    for when in &mut rule.when {
        let words = KEYS.iter().find(|(key, _)| *key == &*when.key).map_or(TEXTS, |(_, of)| of);
        found.extend([(&mut when.values, words), (&mut when.not_values, words)]);
    }
    found
}
