//! Two small sets of policies, asked every request of a small world: where one is let in, or kept out, by the
//! new ones alone, a change of that kind is told.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail like tests"
)]
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_authz::analysis::{Sample, SampleHttp, diff};
use mesh_authz::identity::Value;
use mesh_authz::{Authorizer, Environment, Policies, Traffic, Workload};
use mesh_model::manifest::{Limits, read};
use mesh_model::name::Namespace;
use mesh_model::resource::{self, AuthorizationPolicy, Resource};

/// Pairs that are compared: more where it costs less.
const PAIRS: u64 = if cfg!(debug_assertions) { 150 } else { 2_500 };

/// Numbers that look random, the same each time (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        usize::try_from(bits % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }
}

/// What policies and requests of one world are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Path,
    WholePath,
    Host,
    Method,
    Port,
    ServerName,
    Lines(&'static str),
    Names,
    Ip(&'static str),
    Claim,
    Token,
    Metadata,
}

const FIELDS: [Field; 14] = [
    Field::Path,
    Field::WholePath,
    Field::Host,
    Field::Method,
    Field::Port,
    Field::ServerName,
    Field::Lines("x-a"),
    Field::Lines("user-agent"),
    Field::Names,
    Field::Ip("ipBlocks"),
    Field::Ip("remoteIpBlocks"),
    Field::Claim,
    Field::Token,
    Field::Metadata,
];

const WORDS: [&str; 12] = ["a", "b", "ab", "a*", "b*", "*a", "*b", "*ab", "ab*", "*", "ba", "*ba"];

impl Field {
    /// A list of a rule, and whether it stands in `from`, in `to` or in `when`.
    fn list(self, dice: &mut Dice) -> (&'static str, String) {
        let not = dice.roll(3) == 0;
        let some = |dice: &mut Dice, words: &[&str]| {
            let words: Vec<String> =
                (0..=dice.roll(2)).map(|_| format!("'{}'", dice.one(words))).collect();
            words.join(", ")
        };
        let field = |place, name: &str, words: String| {
            let (first, rest) = name.split_at(1);
            let name = if not { format!("not{}{rest}", first.to_uppercase()) } else { name.into() };
            (place, format!("{name}: [{words}]"))
        };
        let when = |key: &str, words: String| {
            let list = if not { "notValues" } else { "values" };
            ("when", format!("{{key: '{key}', {list}: [{words}]}}"))
        };
        match self {
            Self::Path => {
                let words = [
                    "/a", "/ab", "/a*", "/ab*", "*b", "*a/", "*/b", "/{*}", "/{**}", "/a/{*}",
                    "/{**}/b", "/{*}/b", "/a/{**}", "*", "/b/*", "/",
                ];
                field("to", "paths", some(dice, &words))
            }
            Self::WholePath => {
                let words = ["/a", "/a*", "*b", "*?a", "/a?*", "/*", "*", "/b"];
                when("request.headers[:path]", some(dice, &words))
            }
            Self::Host => field("to", "hosts", some(dice, &WORDS)),
            Self::Method => field("to", "methods", some(dice, &["GET", "PUT", "G*", "*T", "*"])),
            Self::Port => field("to", "ports", some(dice, &["1", "2", "3"])),
            Self::ServerName => when("connection.sni", some(dice, &WORDS)),
            Self::Lines(name) => when(&format!("request.headers[{name}]"), some(dice, &WORDS)),
            Self::Names => match dice.roll(4) {
                0 => field("from", "namespaces", some(dice, &WORDS)),
                1 => field("from", "serviceAccounts", some(dice, &["a/a", "b/a", "ab/b"])),
                2 => field("from", "trustDomains", some(dice, &["a", "b*", "*b", "*"])),
                _ => {
                    let words =
                        ["*", "a/ns/a/sa/a", "a/*", "a/ns/a*", "*/sa/b", "*b/sa/a", "*/ns/a/sa/a"];
                    field("from", "principals", some(dice, &words))
                }
            },
            Self::Ip(name) => {
                let words =
                    ["10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "10.1.0.1", "0.0.0.0/0", "::/0"];
                field("from", name, some(dice, &words))
            }
            Self::Claim => when("request.auth.claims[c]", some(dice, &WORDS)),
            Self::Token => {
                let words = ["*", "a/a", "a/*", "*/a", "*a", "a*", "b/a*", "ab/ab", "*b/a"];
                field("from", "requestPrincipals", some(dice, &words))
            }
            Self::Metadata => {
                let words = ["a", "a*", "*b", "[a]", "[b*]", "[*a]", "[*]", "*"];
                when("experimental.envoy.filters.f[k]", some(dice, &words))
            }
        }
    }

    /// Requests that differ in this alone.
    fn values(self) -> Vec<Change> {
        let words = ["", "a", "b", "ab", "ba", "aa", "c", "aba"];
        let text = |value: &str| Value::Text(value.into());
        let lists = || {
            let mut found: Vec<Vec<&'static str>> = vec![Vec::new()];
            found.extend(words.map(|word| vec![word]));
            let pairs =
                words.iter().flat_map(|one| words.iter().map(move |other| vec![*one, *other]));
            found.extend(pairs.filter(|pair| pair[0] < pair[1]));
            found
        };
        let structured = || -> Vec<Option<Value>> {
            let alone = words.map(|word| Some(text(word)));
            let lists = lists()
                .into_iter()
                .map(|list| Some(Value::List(list.into_iter().map(text).collect())));
            alone.into_iter().chain(lists).chain([None]).collect()
        };
        match self {
            Self::Path => paths(&["a", "b", "/", "["]).map(Change::Path).collect(),
            Self::WholePath => paths(&["a", "b", "?"]).map(Change::Path).collect(),
            Self::Host => {
                let some = ["a", "A", "b", "aB", "ab", "ba", "bA", "c", "aa", "aba"];
                some.map(|host| Change::Host(Some(host)))
                    .into_iter()
                    .chain([Change::Host(None)])
                    .collect()
            }
            Self::Method => ["GET", "PUT", "G", "T", "X", "GT"].map(Change::Method).into(),
            Self::Port => [1, 2, 3, 4].map(Change::Port).into(),
            Self::ServerName => words
                .map(|name| Change::ServerName(Some(name)))
                .into_iter()
                .chain([Change::ServerName(None)])
                .collect(),
            Self::Lines(name) => {
                lists().into_iter().map(|lines| Change::Lines(name, lines)).collect()
            }
            Self::Names => {
                let mut names = Vec::new();
                for domain in ["a", "b", "ab"] {
                    for namespace in ["a", "b", "ab", "c"] {
                        names.extend(["a", "b", "c"].map(|account| {
                            format!("spiffe://{domain}/ns/{namespace}/sa/{account}")
                        }));
                    }
                }
                let mut found = vec![Change::Names(Vec::new())];
                found.extend(names.iter().map(|name| Change::Names(vec![name.clone()])));
                for one in names.iter().step_by(5) {
                    let pairs = names.iter().map(|other| vec![one.clone(), other.clone()]);
                    found.extend(pairs.map(Change::Names));
                }
                found
            }
            Self::Ip(name) => {
                let some = [
                    "9.255.255.255",
                    "10.0.0.0",
                    "10.1.0.0",
                    "10.1.0.1",
                    "10.1.0.2",
                    "10.127.0.0",
                    "10.200.0.0",
                    "11.0.0.0",
                    "2001:db8::1",
                ];
                some.map(|ip| Change::Ip(name, ip)).into()
            }
            Self::Claim => structured().into_iter().map(Change::Claim).collect(),
            Self::Token => {
                let mut found = vec![Change::Token(None, None)];
                for issuer in ["a", "b", "ab", "c"] {
                    let subjects = [None, Some(""), Some("a"), Some("b"), Some("ab"), Some("c")];
                    found.extend(subjects.map(|subject| Change::Token(Some(issuer), subject)));
                }
                found
            }
            Self::Metadata => structured().into_iter().map(Change::Metadata).collect(),
        }
    }
}

/// Paths of few letters.
fn paths(letters: &'static [&'static str]) -> impl Iterator<Item = String> {
    let mut found = vec![String::new()];
    let mut last = found.clone();
    for _ in 0..3 {
        let longer = |text: &String| {
            letters.iter().map(|letter| format!("{text}{letter}")).collect::<Vec<_>>()
        };
        last = last.iter().flat_map(longer).collect();
        found.extend(last.clone());
    }
    found.into_iter().map(|path| format!("/{path}"))
}

/// A value in one part of a request.
#[derive(Clone, Debug)]
enum Change {
    Path(String),
    Host(Option<&'static str>),
    Method(&'static str),
    Port(u16),
    ServerName(Option<&'static str>),
    Lines(&'static str, Vec<&'static str>),
    Names(Vec<String>),
    Ip(&'static str, &'static str),
    Claim(Option<Value>),
    Token(Option<&'static str>, Option<&'static str>),
    Metadata(Option<Value>),
}

impl Change {
    fn of(&self, sample: &Sample) -> Sample {
        let mut changed = sample.clone();
        let Some(http) = &mut changed.http else { panic!("requests are HTTP") };
        let claim = |http: &mut SampleHttp, name: &str, value: Option<Value>| {
            if let Some(value) = value {
                http.claims.get_or_insert_default().insert(name.into(), value);
            }
        };
        match self {
            Self::Path(path) => http.path = path.as_str().into(),
            Self::Host(host) => http.authority = host.map(Box::from),
            Self::Method(method) => http.method = (*method).into(),
            Self::Port(port) => changed.destination_port = *port,
            Self::ServerName(name) => changed.server_name = name.map(Box::from),
            Self::Lines(name, lines) => {
                http.headers.extend(lines.iter().map(|line| ((*name).into(), (*line).into())));
            }
            Self::Names(names) => {
                let mut names = names.iter().map(|name| name.as_str().into());
                changed.identity = names.next();
                changed.other_names = names.collect();
            }
            Self::Ip("ipBlocks", address) => changed.source_ip = address.parse().unwrap(),
            Self::Ip(_, address) => changed.remote_ip = address.parse().unwrap(),
            Self::Claim(value) => claim(http, "c", value.clone()),
            Self::Token(issuer, subject) => {
                let text = |text: &str| Value::Text(text.into());
                claim(http, "iss", issuer.map(text));
                claim(http, "sub", subject.map(text));
            }
            Self::Metadata(value) => {
                let known = value.iter().map(|value| ("k".into(), value.clone()));
                let map = Value::Map(known.collect::<BTreeMap<_, _>>());
                changed.metadata.namespaces.insert("envoy.filters.f".into(), map);
            }
        }
        changed
    }
}

/// A policy as a line of YAML without its name.
fn policy(dice: &mut Dice, fields: &[Field]) -> String {
    let rule = |dice: &mut Dice| {
        let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for _ in 0..=dice.roll(2) {
            let (place, list) = fields[dice.roll(fields.len())].list(dice);
            let lists = places.entry(place).or_default();
            // A list is there once.
            let name = list.split_once(": [").map(|(name, _)| name.to_owned());
            if place == "when"
                || !lists.iter().any(|of| name.as_ref().is_some_and(|name| of.starts_with(name)))
            {
                lists.push(list);
            }
        }
        let parts = places.into_iter().map(|(place, lists)| {
            let lists = lists.join(", ");
            match place {
                "from" => format!("from: [{{source: {{{lists}}}}}]"),
                "to" => format!("to: [{{operation: {{{lists}}}}}]"),
                _ => format!("when: [{lists}]"),
            }
        });
        format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
    };
    let action = dice.one(&["ALLOW", "DENY"]);
    let rules: Vec<String> = (0..=dice.roll(2)).map(|_| rule(dice)).collect();
    format!("action: {action}, rules: [{}]", rules.join(", "))
}

/// The policies, one of them gone, come or another.
fn changed(dice: &mut Dice, old: &[String], fields: &[Field]) -> Vec<String> {
    let mut new = old.to_vec();
    let at = dice.roll(new.len().max(1));
    match dice.roll(3) {
        0 if !new.is_empty() => drop(new.remove(at)),
        1 if !new.is_empty() => new[at] = policy(dice, fields),
        _ => new.push(policy(dice, fields)),
    }
    new
}

fn authorizer(policies: &[String]) -> Authorizer {
    let policy = |(place, spec): (usize, &String)| -> AuthorizationPolicy {
        let yaml = format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p{place}, \
             namespace: a}}, spec: {{{spec}}}}}"
        );
        let reading = read("test", yaml.as_bytes(), &Limits::default());
        let decoded = resource::decode(&reading.documents[0].node, &Arc::from("test"), "a");
        let Some(Resource::AuthorizationPolicy(policy)) = decoded.resource else {
            panic!("{yaml}")
        };
        policy
    };
    let policies: Vec<AuthorizationPolicy> = policies.iter().enumerate().map(policy).collect();
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let workload = Workload { namespace: Namespace::from("a"), ..Workload::default() };
    Authorizer::new(&policies, &workload, &Environment::default())
}

/// All requests of the world of some fields.
fn requests(fields: &[Field]) -> Vec<Sample> {
    fields.iter().fold(vec![Sample::plain(Traffic::Http)], |known, field| {
        let values = field.values();
        known.iter().flat_map(|sample| values.iter().map(|value| value.of(sample))).collect()
    })
}

fn check(seed: u64) {
    let mut dice = Dice(seed);
    let mut fields = vec![FIELDS[dice.roll(FIELDS.len())], FIELDS[dice.roll(FIELDS.len())]];
    fields.sort_by_key(|field| format!("{field:?}"));
    fields.dedup();
    // Both are the path.
    if fields == [Field::Path, Field::WholePath] {
        fields.truncate(1 + dice.roll(1));
    }
    let old: Vec<String> = (0..dice.roll(4)).map(|_| policy(&mut dice, &fields)).collect();
    let new = changed(&mut dice, &old, &fields);
    let (was, is) = (authorizer(&old), authorizer(&new));
    let told = diff(&was, &is);
    let mut missed = BTreeMap::new();
    for request in requests(&fields) {
        let [before, after] =
            [&was, &is].map(|side| request.with(|it| side.decide(it).is_allowed()));
        let is_told = told.iter().any(|of| {
            of.if_denied_by.is_none()
                && of.new.is_allowed() == after
                && of.old.is_allowed() == before
        });
        if before != after && !is_told {
            missed.entry(after).or_insert(request);
        }
    }
    assert!(missed.is_empty(), "seed {seed}: {missed:?}\nold {old:#?}\nnew {new:#?}");
}

#[test]
fn what_any_request_of_a_small_world_notices_is_told() {
    (0..PAIRS).for_each(check);
}
