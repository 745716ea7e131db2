//! Single tests: what part of a request each is about, and how two of them relate.
use std::net::IpAddr;

use mesh_model::name::Cidr;

use super::path_set;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, PathTemplate, Pattern, StringTest, ValueTest};
use crate::rbac::{
    Clause, Field, HeaderTest, HeaderValue, Node, PathTest, PermissionTest, PrincipalTest, Test,
};
use crate::request::Seen;

/// The part of a request that a test is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject<'t> {
    /// Any name of the peer's certificate.
    Identity,
    /// The one text that a tunnel brought.
    Tunnel,
    Path,
    Header(&'t str),
    ServerName,
    SourceIp,
    RemoteIp,
    DestinationIp,
    Port,
    Metadata(&'t str, &'t [Box<str>]),
}

impl Subject<'_> {
    /// Whether a request has one value there at most, so that two tests see the same one.
    pub(super) fn is_single(self) -> bool {
        match self {
            Self::Header(name) => name.starts_with(':'),
            Self::Metadata(..) | Self::Identity => false,
            Self::Tunnel
            | Self::Path
            | Self::ServerName
            | Self::SourceIp
            | Self::RemoteIp
            | Self::DestinationIp
            | Self::Port => true,
        }
    }
}

impl Subject<'_> {
    /// Whether the part may hold a line break, which the dot of a pattern does not stand for: names of
    /// certificates may, claims and server names as well, but neither paths nor headers.
    fn may_break_lines(self) -> bool {
        match self {
            Self::Identity | Self::Tunnel | Self::ServerName | Self::Metadata(..) => true,
            Self::Path
            | Self::Header(_)
            | Self::SourceIp
            | Self::RemoteIp
            | Self::DestinationIp
            | Self::Port => false,
        }
    }
}

/// What a test asks of that part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape<'t> {
    Text(&'t StringTest),
    Present,
    Range(&'t Cidr),
    Port(u16),
    Value(&'t ValueTest),
    Template(&'t PathTemplate),
    /// A template that Envoy refuses, with what it answers here.
    Refused(bool),
}

/// A test as a part and what is asked of it.
pub(super) trait Literal {
    fn literal(&self) -> (Subject<'_>, Shape<'_>);

    fn any(&self) -> AnyTest<'_>;
}

/// A test of either side of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyTest<'t> {
    Permission(&'t PermissionTest),
    Principal(&'t PrincipalTest),
}

impl<'t> AnyTest<'t> {
    fn literal(self) -> (Subject<'t>, Shape<'t>) {
        match self {
            Self::Permission(test) => test.literal(),
            Self::Principal(test) => test.literal(),
        }
    }

    pub(super) fn subject(self) -> Subject<'t> {
        self.literal().0
    }

    pub(super) fn shape(self) -> Shape<'t> {
        self.literal().1
    }

    pub(super) fn matches(self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Permission(test) => test.matches(seen),
            Self::Principal(test) => test.matches(seen),
        }
    }
}

impl Literal for PermissionTest {
    fn any(&self) -> AnyTest<'_> {
        AnyTest::Permission(self)
    }

    fn literal(&self) -> (Subject<'_>, Shape<'_>) {
        match self {
            Self::Header(test) => header(test),
            Self::UrlPath(test) => (Subject::Path, Shape::Text(test)),
            Self::UriTemplate(PathTest::Template(template)) => {
                (Subject::Path, Shape::Template(template))
            }
            Self::UriTemplate(PathTest::Refused { answer, .. }) => {
                (Subject::Path, Shape::Refused(*answer))
            }
            Self::DestinationPort(port) => (Subject::Port, Shape::Port(*port)),
            Self::DestinationIp(range) => (Subject::DestinationIp, Shape::Range(range)),
            Self::ServerName(test) => (Subject::ServerName, Shape::Text(test)),
            Self::Metadata(test) => {
                (Subject::Metadata(&test.filter, &test.path), Shape::Value(&test.value))
            }
        }
    }
}

impl Literal for PrincipalTest {
    fn any(&self) -> AnyTest<'_> {
        AnyTest::Principal(self)
    }

    fn literal(&self) -> (Subject<'_>, Shape<'_>) {
        match self {
            Self::Authenticated(test) => (Subject::Identity, Shape::Text(test)),
            Self::PeerPrincipal(test) => (Subject::Tunnel, Shape::Text(test)),
            Self::DirectRemoteIp(range) => (Subject::SourceIp, Shape::Range(range)),
            Self::RemoteIp(range) => (Subject::RemoteIp, Shape::Range(range)),
            Self::Header(test) => header(test),
            Self::Metadata(test) => {
                (Subject::Metadata(&test.filter, &test.path), Shape::Value(&test.value))
            }
        }
    }
}

fn header(test: &HeaderTest) -> (Subject<'_>, Shape<'_>) {
    let shape = match &test.value {
        HeaderValue::Present => Shape::Present,
        HeaderValue::Text(test) => Shape::Text(test),
    };
    (Subject::Header(&test.name), shape)
}

/// A clause about one part of a request.
#[derive(Clone, Debug)]
pub(super) struct Plain<'t> {
    pub(super) field: &'t Field,
    pub(super) is_negated: bool,
    pub(super) subject: Subject<'t>,
    /// Any of these, or none of them.
    pub(super) shapes: Vec<Shape<'t>>,
}

impl<'t> Plain<'t> {
    /// `None` for a clause about several parts: the issuer and the subject of a token.
    pub(super) fn of<T: Literal>(clause: &'t Clause<T>) -> Option<Self> {
        let (is_negated, node) = match &clause.node {
            Node::Not(node) => (true, &**node),
            node @ (Node::All(_) | Node::AnyOf(_) | Node::Test(_)) => (false, node),
        };
        let tests = match node {
            Node::AnyOf(nodes) => nodes.iter().collect(),
            Node::Test(_) => vec![node],
            Node::All(_) | Node::Not(_) => return None,
        };
        let literals: Option<Vec<(Subject<'t>, Shape<'t>)>> = tests
            .into_iter()
            .map(|node| match node {
                Node::Test(test) => Some(test.literal()),
                Node::All(_) | Node::AnyOf(_) | Node::Not(_) => None,
            })
            .collect();
        let literals = literals?;
        let (subject, _) = *literals.first()?;
        let is_one = literals.iter().all(|(of, _)| *of == subject);
        is_one.then(|| Self {
            field: &clause.field,
            is_negated,
            subject,
            shapes: literals.into_iter().map(|(_, shape)| shape).collect(),
        })
    }
}

/// Whether every value of a part that passes `b` passes `a`; false where that is not known.
pub(super) fn covers(subject: Subject<'_>, a: Shape<'_>, b: Shape<'_>) -> bool {
    if let (Subject::Path, Shape::Text(StringTest { form: Form::Prefix(prefix), .. })) =
        (subject, a)
        && &**prefix == "/"
    {
        // Every path begins so.
        return true;
    }
    if subject == Subject::Path && is_of_template(a, b) {
        return path_set::is_within(b, &[a]);
    }
    match (a, b) {
        (Shape::Refused(true), _) | (_, Shape::Refused(false)) => true,
        (Shape::Present, Shape::Present | Shape::Text(_)) => true,
        (Shape::Text(a), Shape::Text(b)) => text_covers(subject, a, b),
        (Shape::Range(a), Shape::Range(b)) => {
            a.prefix_len() <= b.prefix_len() && a.contains(b.address())
        }
        (a, b) => a == b,
    }
}

/// Whether one of two tests is a template, and the other one is, too, or another test of a path.
fn is_of_template(a: Shape<'_>, b: Shape<'_>) -> bool {
    matches!(
        (a, b),
        (Shape::Template(_), Shape::Template(_) | Shape::Text(_))
            | (Shape::Text(_), Shape::Template(_))
    )
}

/// Tests of paths that may hold one together: of more only single ones are asked.
const MOST_PATHS: usize = 16;

/// Whether all that passes one test passes any of others, which may cover it together: ranges of addresses,
/// and templates of paths.
pub(super) fn any_covers(subject: Subject<'_>, shapes: &[Shape<'_>], shape: Shape<'_>) -> bool {
    let alone = shapes.iter().any(|wide| covers(subject, *wide, shape));
    let is_template = || shapes.iter().any(|other| is_of_template(*other, shape));
    let is_several = (2..=MOST_PATHS).contains(&shapes.len()) && subject == Subject::Path;
    let by_paths = || is_several && is_template() && path_set::is_within(shape, shapes);
    alone || by_paths() || matches!(shape, Shape::Range(range) if is_filled(range, shapes))
}

/// Whether ranges leave nothing of another one.
fn is_filled(range: &Cidr, shapes: &[Shape<'_>]) -> bool {
    let (start, end) = bounds(range);
    let bounds_inside = |shape: &Shape<'_>| {
        let Shape::Range(other) = shape else { return None };
        range.overlaps(other).then(|| bounds(other))
    };
    let mut inside: Vec<(u128, u128)> = shapes.iter().filter_map(bounds_inside).collect();
    inside.sort_unstable();
    let mut next = start;
    for (from, to) in inside {
        if from > next {
            return false;
        }
        if to >= end {
            return true;
        }
        next = next.max(to + 1);
    }
    false
}

/// The first and the last address of a range, as numbers.
fn bounds(range: &Cidr) -> (u128, u128) {
    let (address, bits) = match range.address() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let host_bits = bits.saturating_sub(u32::from(range.prefix_len()));
    let hosts = u128::MAX.checked_shr(128 - host_bits).unwrap_or_default();
    (address & !hosts, address | hosts)
}

fn text_covers(subject: Subject<'_>, a: &StringTest, b: &StringTest) -> bool {
    if a == b {
        return true;
    }
    if b.ignore_case && !a.ignore_case {
        return false;
    }
    match (&a.form, &b.form) {
        (_, Form::Exact(text)) => a.matches(text.as_bytes()),
        (Form::Prefix(_), Form::Prefix(text)) | (Form::Suffix(_), Form::Suffix(text)) => {
            a.matches(text.as_bytes())
        }
        (Form::Pattern(pattern), Form::Prefix(text) | Form::Suffix(text)) => match pattern {
            Pattern::NonEmpty | Pattern::Contains { .. } => {
                !subject.may_break_lines() && pattern.matches(text.as_bytes())
            }
            Pattern::Principal { .. }
            | Pattern::ServiceAccount { .. }
            | Pattern::TrustDomain { .. } => false,
        },
        (Form::Prefix(_), Form::Pattern(pattern)) => {
            starts(pattern).is_some_and(|start| a.matches(start.as_bytes()))
        }
        (Form::Pattern(a), Form::Pattern(b)) => pattern_covers(a, b),
        (Form::Exact(_) | Form::Suffix(_), _) | (Form::Prefix(_), Form::Suffix(_)) => false,
    }
}

/// What every text of a pattern starts with.
fn starts(pattern: &Pattern) -> Option<String> {
    match pattern {
        Pattern::Principal { .. } | Pattern::ServiceAccount { .. } => Some(SCHEME.to_owned()),
        Pattern::TrustDomain { before, .. } => Some(format!("{SCHEME}{before}")),
        Pattern::NonEmpty | Pattern::Contains { .. } => None,
    }
}

fn pattern_covers(a: &Pattern, b: &Pattern) -> bool {
    match (a, b) {
        // What stands before the slash of a trust domain may break a line.
        (Pattern::NonEmpty, Pattern::TrustDomain { .. }) => false,
        (Pattern::NonEmpty, _) => true,
        (Pattern::Principal { suffix: a }, Pattern::Principal { suffix: b }) => b.ends_with(&**a),
        (Pattern::Principal { suffix }, Pattern::ServiceAccount { .. }) => suffix.is_empty(),
        (Pattern::Contains { literals: a }, Pattern::Contains { literals: b }) => {
            matches!((&**a, &**b), ([a], [b]) if b.contains(&**a))
        }
        (Pattern::Contains { .. }, Pattern::ServiceAccount { namespace, .. }) => {
            a.matches(namespace.as_bytes())
        }
        (a, b) => a == b,
    }
}

/// Whether nothing passes both; false where that is not known.
pub(super) fn disjoint(a: Shape<'_>, b: Shape<'_>) -> bool {
    match (a, b) {
        (Shape::Refused(false), _) | (_, Shape::Refused(false)) => true,
        (Shape::Text(a), Shape::Text(b)) => text_disjoint(a, b),
        (Shape::Range(a), Shape::Range(b)) => !a.overlaps(b),
        (Shape::Port(a), Shape::Port(b)) => a != b,
        (a, b) if is_of_template(a, b) => path_set::are_disjoint(a, b),
        _ => false,
    }
}

fn text_disjoint(a: &StringTest, b: &StringTest) -> bool {
    let ignores = a.ignore_case || b.ignore_case;
    let fold = |text: &str| if ignores { text.to_ascii_lowercase() } else { text.to_owned() };
    match (&a.form, &b.form) {
        (Form::Exact(text), Form::Pattern(pattern))
        | (Form::Pattern(pattern), Form::Exact(text)) => {
            !ignores && !pattern.matches(text.as_bytes())
        }
        (Form::Exact(a), Form::Exact(b)) => fold(a) != fold(b),
        (Form::Exact(text), Form::Prefix(prefix)) | (Form::Prefix(prefix), Form::Exact(text)) => {
            !fold(text).starts_with(&fold(prefix))
        }
        (Form::Exact(text), Form::Suffix(suffix)) | (Form::Suffix(suffix), Form::Exact(text)) => {
            !fold(text).ends_with(&fold(suffix))
        }
        (Form::Prefix(a), Form::Prefix(b)) => {
            let (a, b) = (fold(a), fold(b));
            !a.starts_with(&b) && !b.starts_with(&a)
        }
        (Form::Suffix(a), Form::Suffix(b)) => {
            let (a, b) = (fold(a), fold(b));
            !a.ends_with(&b) && !b.ends_with(&a)
        }
        (Form::Prefix(_) | Form::Suffix(_) | Form::Pattern(_), _) => false,
    }
}
