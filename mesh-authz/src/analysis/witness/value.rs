//! Values of a part of a request: those that tests ask for, and those around them.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mesh_model::name::Cidr;

use super::super::literal::{Shape, Subject};
use super::{identity, spelling};
use crate::identity::Value;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, PathTemplate, Pattern, ValueTest};

/// Texts that are joined from the starts and the ends of several tests.
const JOINED: usize = 160;

/// A value of a part of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Candidate {
    Absent,
    Text(String),
    Ip(IpAddr),
    /// The address of a direct peer that is not the original client.
    Proxy(IpAddr),
    Port(u16),
    Json(Value),
    /// One more name of the peer's certificate.
    Alias(String),
    /// All names of a certificate, or all lines of a header.
    Texts(Vec<String>),
}

/// Values that may pass several tests of one part, and some that may not; likely ones first.
pub(super) fn candidates(subject: Subject<'_>, shapes: &[Shape<'_>]) -> Vec<Candidate> {
    let of_workloads = shapes.iter().filter_map(|shape| of_workload(subject, *shape));
    let mut found: Vec<Candidate> = of_workloads.collect();
    found.extend(shapes.iter().flat_map(|shape| first(*shape)));
    found.extend(joined(shapes, shapes).into_iter().map(Candidate::Text));
    found.extend(shapes.iter().flat_map(|shape| around(*shape)));
    found.extend(others(subject));
    with_more(subject, found.into_iter().map(|value| rooted(subject, value)).collect())
}

/// Values that tell one test of a part from others: what passes, at the edges too, what just does not,
/// and other spellings of the same. `beside` are the tests of the same part elsewhere in the entry.
pub(super) fn telling(
    subject: Subject<'_>,
    shape: Shape<'_>,
    beside: &[Shape<'_>],
) -> Vec<Candidate> {
    let mut found = first(shape);
    let spelled = found.clone();
    found.extend(of_workload(subject, shape));
    found.extend(around(shape));
    found.extend(joined(&[shape], beside).into_iter().map(Candidate::Text));
    let mut found =
        with_more(subject, found.into_iter().map(|value| rooted(subject, value)).collect());
    for value in spelled {
        if let Candidate::Text(text) = rooted(subject, value) {
            if matches!(subject, Subject::Header(name) if !name.starts_with(':')) {
                found.push(Candidate::Texts(vec![text.clone(), "other".to_owned()]));
            }
            found.extend(spelling::others(subject, &text).into_iter().map(Candidate::Text));
        }
    }
    found
}

/// Values of a part that no test is likely to mean.
pub(super) fn others(subject: Subject<'_>) -> Vec<Candidate> {
    let text = |text: &str| Candidate::Text(text.to_owned());
    let mut found = match subject {
        Subject::Identity | Subject::Tunnel => {
            vec![text("spiffe://other.example/ns/other/sa/other")]
        }
        Subject::Path => vec![text("/other")],
        Subject::Header(":method") => vec![text("OTHER")],
        Subject::Header(":path") => vec![text("/other?x")],
        Subject::Header(_) | Subject::ServerName => vec![text("other.example")],
        Subject::Port => [1, 8080, 65535].map(Candidate::Port).into(),
        Subject::SourceIp | Subject::RemoteIp | Subject::DestinationIp => vec![
            Candidate::Ip(Ipv4Addr::new(198, 51, 100, 7).into()),
            Candidate::Ip(Ipv4Addr::new(10, 0, 0, 1).into()),
            Candidate::Ip(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
        ],
        Subject::Metadata(..) => {
            let other = || Value::Text("other".into());
            vec![Candidate::Json(other()), Candidate::Json(Value::List([other()].into()))]
        }
    };
    found.push(Candidate::Absent);
    found
}

/// The same values as something else that the part may have: direct peers that are not the original
/// client, and names beside the one that a certificate has already.
fn with_more(subject: Subject<'_>, mut found: Vec<Candidate>) -> Vec<Candidate> {
    let more: Vec<Candidate> = found
        .iter()
        .filter_map(|value| match (subject, value) {
            (Subject::SourceIp, Candidate::Ip(address)) => Some(Candidate::Proxy(*address)),
            (Subject::Identity, Candidate::Text(text)) => Some(Candidate::Alias(text.clone())),
            _ => None,
        })
        .collect();
    found.extend(more);
    found
}

/// Paths begin with a slash.
fn rooted(subject: Subject<'_>, value: Candidate) -> Candidate {
    let is_path = matches!(subject, Subject::Path | Subject::Header(":path"));
    if let Candidate::Text(text) = &value
        && is_path
        && !text.starts_with('/')
    {
        return Candidate::Text(format!("/{text}"));
    }
    value
}

/// The identity of a workload that passes a test of one.
fn of_workload(subject: Subject<'_>, shape: Shape<'_>) -> Option<Candidate> {
    match (subject, shape) {
        (Subject::Identity | Subject::Tunnel, Shape::Text(test)) => {
            identity::of_workload(&test.form).map(Candidate::Text)
        }
        _ => None,
    }
}

/// Values that pass a test, that of a workload first.
pub(super) fn passing(subject: Subject<'_>, shape: Shape<'_>) -> impl Iterator<Item = Candidate> {
    let all = of_workload(subject, shape).into_iter().chain(first(shape));
    all.map(move |value| rooted(subject, value))
}

/// Values that pass a test.
pub(super) fn first(shape: Shape<'_>) -> Vec<Candidate> {
    match shape {
        Shape::Text(test) => vec![Candidate::Text(parts(&test.form).concat())],
        Shape::Present => vec![Candidate::Text("x".to_owned())],
        Shape::Template(template) => spelled_out(template),
        Shape::Range(range) => vec![Candidate::Ip(range.address())],
        Shape::Port(port) => vec![Candidate::Port(port)],
        Shape::Value(test) => values(test),
        Shape::Refused(_) => Vec::new(),
    }
}

/// Values at the edges of a test, on either side of them.
fn around(shape: Shape<'_>) -> Vec<Candidate> {
    match shape {
        Shape::Text(test) => edges(&test.form).into_iter().map(Candidate::Text).collect(),
        Shape::Present => vec![Candidate::Text(String::new())],
        Shape::Range(range) => bounds(range).into_iter().map(Candidate::Ip).collect(),
        Shape::Value(test) => {
            let leaves = leaves(test).into_iter();
            let texts = leaves.flat_map(|form| {
                // One of several words, which some claims have.
                let words = format!("{} other", parts(form).concat());
                edges(form).into_iter().chain([words])
            });
            texts.map(|text| Candidate::Json(Value::Text(text.into()))).collect()
        }
        Shape::Template(template) => strange(template).into_iter().map(Candidate::Text).collect(),
        Shape::Port(_) | Shape::Refused(_) => Vec::new(),
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

/// Texts that just pass a form, and texts that just do not.
fn edges(form: &Form) -> Vec<String> {
    let [start, end] = parts(form);
    let mut found = match form {
        Form::Exact(text) => vec![format!("{text}x"), format!("{text}/x"), format!("x{text}")],
        Form::Prefix(text) | Form::Suffix(text) => vec![text.to_string()],
        Form::Pattern(Pattern::NonEmpty) => vec![String::new()],
        Form::Pattern(Pattern::Contains { literals }) => {
            vec![format!("{SCHEME}x{}sa/x", literals.concat())]
        }
        Form::Pattern(Pattern::TrustDomain { before, after }) => {
            vec![format!("{SCHEME}{before}x{after}/ns/x/sa/x")]
        }
        Form::Pattern(Pattern::Principal { suffix }) => vec![format!("{SCHEME}{suffix}")],
        Form::Pattern(Pattern::ServiceAccount { .. }) => {
            vec![format!("{start}{end}x"), format!("{start}{end}/x")]
        }
    };
    let text = format!("{start}{end}");
    let swapped: String = text.chars().map(swap).collect();
    found.extend(Some(swapped).filter(|swapped| *swapped != text));
    found
}

fn swap(letter: char) -> char {
    if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    }
}

/// Texts that begin as one test asks and end as another does, first the identities of workloads among them.
fn joined(own: &[Shape<'_>], beside: &[Shape<'_>]) -> Vec<String> {
    let ends = |shapes: &[Shape<'_>]| -> Vec<(String, String)> {
        let mut found = Vec::new();
        for shape in shapes {
            let Shape::Text(test) = shape else { continue };
            let [start, end] = parts(&test.form);
            match &test.form {
                Form::Exact(_) | Form::Pattern(Pattern::NonEmpty) => {}
                Form::Prefix(_) => found.push((start, String::new())),
                Form::Suffix(_) => found.push((String::new(), end)),
                Form::Pattern(_) => found.push((start, end)),
            }
        }
        found
    };
    let (own, beside) = (ends(own), ends(beside));
    let pairs = own.iter().flat_map(|own| beside.iter().map(move |beside| (own, beside)));
    let both = pairs.take(JOINED).flat_map(|(a, b)| [(a, b), (b, a)]);
    both.filter(|((start, _), (_, end))| !start.is_empty() && !end.is_empty())
        .flat_map(|((start, _), (_, end))| {
            let plain = [format!("{start}{end}"), format!("{start}x{end}")];
            identity::joined(start, end).into_iter().chain(plain)
        })
        .collect()
}

/// The ends of a range, and their neighbours outside.
pub(super) fn bounds(range: &Cidr) -> Vec<IpAddr> {
    let length = u32::from(range.prefix_len());
    match range.address() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
            let first = u32::from(address) & mask;
            let last = first | !mask;
            let all = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
            all.map(|bits| IpAddr::V4(bits.into())).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0);
            let first = u128::from(address) & mask;
            let last = first | !mask;
            let all = [first, last, first.wrapping_sub(1), last.wrapping_add(1)];
            all.map(|bits| IpAddr::V6(bits.into())).into()
        }
    }
}

/// Paths that pass a template, and paths that only pass one of the other operator.
fn spelled_out(template: &PathTemplate) -> Vec<Candidate> {
    let text = template.as_envoy();
    let fill = |many: &str, one: &str| text.replace("**", many).replace('*', one);
    let fills = [fill("x", "x"), fill("x/x", "x"), fill("", "x"), fill("x", "x/x"), fill("x", "")];
    fills.into_iter().map(Candidate::Text).collect()
}

/// Paths with characters that no operator stands for, or none of some releases of Envoy.
fn strange(template: &PathTemplate) -> [String; 2] {
    let one = template.as_envoy().replace("**", "*");
    [one.replace('*', "["), one]
}

/// The texts that a test of a structured value asks for.
fn leaves(test: &ValueTest) -> Vec<&Form> {
    match test {
        ValueTest::Text(test) => vec![&test.form],
        ValueTest::ListContains(inner) => match &**inner {
            ValueTest::Text(test) => vec![&test.form],
            // A claim's texts are asked for in a list and alone: those that stand alone are enough.
            ValueTest::AnyOf(_) | ValueTest::ListContains(_) => Vec::new(),
        },
        ValueTest::AnyOf(tests) => {
            let leaves = tests.iter().rev().flat_map(|test| match test {
                ValueTest::AnyOf(leaves) => leaves.iter().collect(),
                ValueTest::Text(_) | ValueTest::ListContains(_) => vec![test],
            });
            leaves
                .filter_map(|leaf| match leaf {
                    ValueTest::Text(test) => Some(&test.form),
                    ValueTest::ListContains(inner) => match &**inner {
                        ValueTest::Text(test) => Some(&test.form),
                        ValueTest::AnyOf(_) | ValueTest::ListContains(_) => None,
                    },
                    ValueTest::AnyOf(_) => None,
                })
                .collect()
        }
    }
}

/// Structured values of the texts that a test asks for, alone and in a list.
fn values(test: &ValueTest) -> Vec<Candidate> {
    // Most values stand alone, so that is the shorter example.
    let alone = leaves(test).into_iter().map(|form| Value::Text(parts(form).concat().into()));
    let found: Vec<Value> =
        alone.flat_map(|text| [text.clone(), Value::List([text].into())]).collect();
    let (mut passing, rest): (Vec<Value>, Vec<Value>) =
        found.into_iter().partition(|value| test.matches(value));
    passing.extend(rest);
    passing.into_iter().map(Candidate::Json).collect()
}
