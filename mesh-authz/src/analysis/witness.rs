//! Requests that meet a rule, and requests that just miss it.
//!
//! A clause is about one part of the request as a rule, so parts are settled one by one: values are
//! made of the texts that the clauses have, and the first that passes them all stays. Every answer is
//! asked of the clauses themselves, so a request that is found does match.
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::literal::{Literal, Plain, Shape, Subject};
use super::sample::Sample;
use crate::authorizer::Authorizer;
use crate::compile::Traffic;
use crate::identity::Value;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, Pattern, ValueTest};
use crate::rbac::{Body, Clause, Entry, Node, Policy, Test};
use crate::request::{JWT_FILTER, JWT_PAYLOAD};

/// Combinations of entries that are looked at for one rule.
const ENTRIES: usize = 16;
/// Values that are tried for one part.
const VALUES: usize = 160;

/// Returns a request that a rule of the chain matches; `None` if none was found, which proves nothing.
pub fn example(authorizer: &Authorizer, traffic: Traffic, policy: &Policy) -> Option<Sample> {
    of_rule(authorizer, traffic, policy).into_iter().next()
}

/// Returns requests that meet and just miss every rule of a chain, and one that has nothing special.
///
/// None has a path that the proxy refuses before it asks any policy.
pub fn samples(authorizer: &Authorizer, traffic: Traffic) -> Vec<Sample> {
    let mut found = vec![Sample::plain(traffic)];
    let compiled = authorizer.chain(traffic).compiled.iter();
    for policy in compiled.flat_map(|policy| &policy.rules).filter_map(|rule| rule.policy.as_ref())
    {
        let Body::Rule { permissions, principals } = &policy.body else { continue };
        for sample in of_rule(authorizer, traffic, policy) {
            found.extend(misses(authorizer, permissions, &sample));
            found.extend(misses(authorizer, principals, &sample));
            found.push(sample);
        }
    }
    found.retain(|sample| sample.with(|request| authorizer.see(request).is_ok()));
    found
}

fn of_rule(authorizer: &Authorizer, traffic: Traffic, policy: &Policy) -> Vec<Sample> {
    let Body::Rule { permissions, principals } = &policy.body else { return Vec::new() };
    let pairs = permissions.iter().flat_map(|to| principals.iter().map(move |from| (to, from)));
    let found = pairs.take(ENTRIES).filter_map(|(to, from)| {
        let sample = fit(authorizer, to, Sample::plain(traffic))?;
        // Paths of permissions and headers of principals may be one part: both are asked again.
        let sample = fit(authorizer, from, sample)?;
        holds(authorizer, to, &sample).then_some(sample)
    });
    found.collect()
}

/// Changes a request until it meets an entry; `None` if that was not found.
pub(super) fn fit<T: Literal + Test>(
    authorizer: &Authorizer,
    entry: &Entry<T>,
    mut sample: Sample,
) -> Option<Sample> {
    for clause in &entry.clauses {
        if passes(authorizer, [clause], &sample) {
            continue;
        }
        let subject = Plain::of(clause).map(|plain| plain.subject);
        // Only those clauses count that stand before or are about the same part.
        let about: Vec<&Clause<T>> = entry
            .clauses
            .iter()
            .filter(|other| Plain::of(other).map(|plain| plain.subject) == subject)
            .collect();
        let tries = changes(&about, &sample);
        sample =
            tries.into_iter().find(|changed| passes(authorizer, about.iter().copied(), changed))?;
    }
    holds(authorizer, entry, &sample).then_some(sample)
}

/// Requests that differ from a given one in one part, so that a clause about it fails.
fn misses<T: Literal + Test>(
    authorizer: &Authorizer,
    entries: &[Entry<T>],
    sample: &Sample,
) -> Vec<Sample> {
    let clauses = entries.iter().take(ENTRIES).flat_map(|entry| &entry.clauses);
    clauses
        .filter(|clause| passes(authorizer, [*clause], sample))
        .filter_map(|clause| {
            let tries = changes(&[clause], sample);
            // A request that is refused before any policy is asked misses nothing.
            let is_served = |changed: &Sample| passes::<T>(authorizer, [], changed);
            tries
                .into_iter()
                .find(|changed| is_served(changed) && !passes(authorizer, [clause], changed))
        })
        .collect()
}

fn holds<T: Test>(authorizer: &Authorizer, entry: &Entry<T>, sample: &Sample) -> bool {
    passes(authorizer, &entry.clauses, sample)
}

fn passes<'c, T: Test + 'c>(
    authorizer: &Authorizer,
    clauses: impl IntoIterator<Item = &'c Clause<T>>,
    sample: &Sample,
) -> bool {
    sample.with(|request| {
        authorizer
            .see(request)
            .is_ok_and(|seen| clauses.into_iter().all(|clause| clause.node.matches(&seen)))
    })
}

/// The request with other values in the part that some clauses are about.
fn changes<T: Literal>(clauses: &[&Clause<T>], sample: &Sample) -> Vec<Sample> {
    let plain: Vec<Plain<'_>> = clauses.iter().filter_map(|clause| Plain::of(clause)).collect();
    let Some(subject) = plain.first().map(|plain| plain.subject) else {
        return clauses.iter().flat_map(|clause| alternatives(&clause.node, sample)).collect();
    };
    let shapes: Vec<Shape<'_>> = plain.iter().flat_map(|plain| plain.shapes.clone()).collect();
    let values = candidates(subject, &shapes);
    values.into_iter().filter_map(|value| set(sample.clone(), subject, value)).collect()
}

/// The request with every part of an alternative settled, for clauses about several parts.
fn alternatives<T: Literal>(node: &Node<T>, sample: &Sample) -> Vec<Sample> {
    let settle = |nodes: &[Node<T>]| {
        nodes.iter().try_fold(sample.clone(), |sample, node| {
            let Node::Test(test) = node else { return None };
            let (subject, shape) = test.literal();
            set(sample, subject, candidates(subject, &[shape]).into_iter().next()?)
        })
    };
    let mut found: Vec<Sample> = match node {
        Node::All(nodes) => settle(nodes).into_iter().collect(),
        Node::AnyOf(nodes) => nodes
            .iter()
            .filter_map(|node| match node {
                Node::All(nodes) => settle(nodes),
                Node::AnyOf(_) | Node::Not(_) | Node::Test(_) => None,
            })
            .collect(),
        Node::Not(_) | Node::Test(_) => Vec::new(),
    };
    let mut without = sample.clone();
    if let Some(http) = &mut without.http {
        http.claims = None;
    }
    found.push(without);
    found
}

/// A value of a part of a request.
#[derive(Clone, Debug)]
enum Candidate {
    Absent,
    Text(String),
    Ip(IpAddr),
    Port(u16),
    Json(Value),
}

fn candidates(subject: Subject<'_>, shapes: &[Shape<'_>]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = shapes
        .iter()
        .flat_map(|shape| match shape {
            Shape::Range(range) => vec![Candidate::Ip(range.address())],
            Shape::Port(port) => vec![Candidate::Port(*port)],
            Shape::Value(test) => values(test),
            Shape::Text(_) | Shape::Present | Shape::Template(_) | Shape::Refused(_) => Vec::new(),
        })
        .collect();
    let texts = texts(subject, shapes);
    found.extend(texts.into_iter().take(VALUES).map(Candidate::Text));
    match subject {
        Subject::Port => found.extend([1, 8080, 65535].map(Candidate::Port)),
        Subject::SourceIp | Subject::RemoteIp | Subject::DestinationIp => {
            let others = ["198.51.100.7", "10.0.0.1", "2001:db8::1"];
            found.extend(others.iter().filter_map(|text| text.parse().ok()).map(Candidate::Ip));
        }
        Subject::Metadata(..) => {
            let other = || Value::Text("other".into());
            found
                .extend([Candidate::Json(other()), Candidate::Json(Value::List([other()].into()))]);
        }
        Subject::Identity
        | Subject::Tunnel
        | Subject::Path
        | Subject::Header(_)
        | Subject::ServerName => {}
    }
    found.push(Candidate::Absent);
    found
}

/// Structured values that pass a test.
fn values(test: &ValueTest) -> Vec<Candidate> {
    let text = |form: &Form| Value::Text(parts(form).concat().into());
    match test {
        ValueTest::Text(test) => vec![Candidate::Json(text(&test.form))],
        ValueTest::ListContains(inner) => match &**inner {
            ValueTest::Text(test) => {
                vec![Candidate::Json(Value::List([text(&test.form)].into()))]
            }
            ValueTest::AnyOf(_) | ValueTest::ListContains(_) => Vec::new(),
        },
        // The plain text of a claim, which stands after the list, is the shorter example.
        ValueTest::AnyOf(tests) => {
            let leaves = tests.iter().rev().flat_map(|test| match test {
                ValueTest::AnyOf(leaves) => leaves.iter().collect(),
                ValueTest::Text(_) | ValueTest::ListContains(_) => vec![test],
            });
            leaves
                .filter_map(|leaf| match leaf {
                    ValueTest::Text(test) => Some(Candidate::Json(text(&test.form))),
                    ValueTest::ListContains(_) | ValueTest::AnyOf(_) => None,
                })
                .collect()
        }
    }
}

/// The start and the end of a text that a form allows; one of them is often empty.
fn parts(form: &Form) -> [String; 2] {
    let of = |start: &str, end: &str| [start.to_owned(), end.to_owned()];
    match form {
        Form::Exact(text) => of(text, ""),
        Form::Prefix(text) => of(text, "x"),
        Form::Suffix(text) => of("x", text),
        Form::Pattern(Pattern::NonEmpty) => of("x", ""),
        Form::Pattern(Pattern::Principal { suffix }) => of("spiffe://x", suffix),
        Form::Pattern(Pattern::Contains { literals }) => {
            [format!("{SCHEME}x"), format!("{}sa/x", literals.join("x"))]
        }
        Form::Pattern(Pattern::ServiceAccount { namespace, account }) => {
            [format!("{SCHEME}x"), format!("{namespace}{account}")]
        }
        Form::Pattern(Pattern::TrustDomain { before, after }) => {
            [format!("{SCHEME}{before}{after}"), "/ns/x/sa/x".to_owned()]
        }
    }
}

fn texts(subject: Subject<'_>, shapes: &[Shape<'_>]) -> Vec<String> {
    let mut starts = vec!["x".to_owned()];
    let mut ends = vec![String::new()];
    let mut found = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Text(test) => {
                let [start, end] = parts(&test.form);
                found.push(format!("{start}{end}"));
                match &test.form {
                    Form::Exact(text) => found.push(format!("{text}/x")),
                    Form::Prefix(text) => {
                        found.push(text.to_string());
                        starts.push(text.to_string());
                    }
                    Form::Suffix(text) => {
                        found.push(text.to_string());
                        ends.push(text.to_string());
                    }
                    Form::Pattern(Pattern::NonEmpty) => {}
                    Form::Pattern(_) => {
                        starts.push(start);
                        ends.push(end);
                    }
                }
            }
            Shape::Present => found.push("x".to_owned()),
            Shape::Template(template) => {
                found.push(template.as_envoy().replace("**", "x").replace('*', "x"));
            }
            Shape::Range(_) | Shape::Port(_) | Shape::Value(_) | Shape::Refused(_) => {}
        }
    }
    let pairs = starts.iter().flat_map(|start| ends.iter().map(move |end| (start, end)));
    for (start, end) in pairs.take(VALUES) {
        found.extend([format!("{start}{end}"), format!("{start}x{end}")]);
    }
    found.push(neutral(subject).to_owned());
    if subject == Subject::Path {
        for path in found.iter_mut().filter(|path| !path.starts_with('/')) {
            path.insert(0, '/');
        }
    }
    found
}

/// A value that no rule is likely to mean.
fn neutral(subject: Subject<'_>) -> &'static str {
    match subject {
        Subject::Identity | Subject::Tunnel => "spiffe://other.example/ns/other/sa/other",
        Subject::Path => "/other",
        Subject::Header(":method") => "OTHER",
        Subject::Header(_)
        | Subject::ServerName
        | Subject::SourceIp
        | Subject::RemoteIp
        | Subject::DestinationIp
        | Subject::Port
        | Subject::Metadata(..) => "other.example",
    }
}

/// Puts a value into a part of a request; `None` if it does not belong there.
fn set(mut sample: Sample, subject: Subject<'_>, value: Candidate) -> Option<Sample> {
    match (subject, value) {
        (Subject::SourceIp, Candidate::Ip(address)) => {
            // The original client is the direct peer unless something says otherwise.
            if sample.remote_ip == sample.source_ip {
                sample.remote_ip = address;
            }
            sample.source_ip = address;
        }
        (Subject::RemoteIp, Candidate::Ip(address)) => sample.remote_ip = address,
        (Subject::DestinationIp, Candidate::Ip(address)) => sample.destination_ip = address,
        (Subject::Port, Candidate::Port(port)) => sample.destination_port = port,
        (Subject::Identity | Subject::Tunnel, Candidate::Text(text)) => {
            sample.identity = Some(text.into())
        }
        (Subject::Identity | Subject::Tunnel, Candidate::Absent) => sample.identity = None,
        (Subject::ServerName, Candidate::Text(text)) => sample.server_name = Some(text.into()),
        (Subject::ServerName, Candidate::Absent) => sample.server_name = None,
        (Subject::Path | Subject::Header(":path"), Candidate::Text(text)) => {
            sample.http.as_mut()?.path = text.into();
        }
        (Subject::Header(":method"), Candidate::Text(text)) => {
            sample.http.as_mut()?.method = text.into();
        }
        (Subject::Header(":authority"), value) => {
            sample.http.as_mut()?.authority = match value {
                Candidate::Text(text) => Some(text.into()),
                Candidate::Absent => None,
                Candidate::Ip(_) | Candidate::Port(_) | Candidate::Json(_) => return None,
            };
        }
        (Subject::Header(name), value) if !name.starts_with(':') => {
            let headers = &mut sample.http.as_mut()?.headers;
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            if let Candidate::Text(text) = value {
                headers.push((name.into(), text.into()));
            }
        }
        (Subject::Metadata(filter, path), value) => {
            let value = match value {
                Candidate::Json(value) => Some(value),
                Candidate::Absent => None,
                Candidate::Text(_) | Candidate::Ip(_) | Candidate::Port(_) => return None,
            };
            set_metadata(&mut sample, filter, path, value)?;
        }
        _ => return None,
    }
    Some(sample)
}

fn set_metadata(
    sample: &mut Sample,
    filter: &str,
    path: &[Box<str>],
    value: Option<Value>,
) -> Option<()> {
    let (first, rest) = path.split_first()?;
    if filter == JWT_FILTER && **first == *JWT_PAYLOAD {
        let claims = sample.http.as_mut()?.claims.get_or_insert_default();
        put(claims, rest, value);
        if claims.is_empty() {
            sample.http.as_mut()?.claims = None;
        }
        return Some(());
    }
    let of = sample.metadata.namespaces.entry(filter.into());
    let Value::Map(map) = of.or_insert_with(|| Value::Map(BTreeMap::new())) else { return None };
    put(map, path, value);
    Some(())
}

/// Puts a value under keys, maps being made on the way; `None` takes it away.
fn put(map: &mut BTreeMap<Box<str>, Value>, path: &[Box<str>], value: Option<Value>) {
    let Some((last, way)) = path.split_last() else { return };
    let mut map = map;
    for key in way {
        let next = map.entry(key.clone()).or_insert_with(|| Value::Map(BTreeMap::new()));
        if !matches!(next, Value::Map(_)) {
            *next = Value::Map(BTreeMap::new());
        }
        let Value::Map(inner) = next else { return };
        map = inner;
    }
    match value {
        Some(value) => drop(map.insert(last.clone(), value)),
        None => drop(map.remove(last)),
    }
}
