//! The value that one part of a request must have for all that is demanded of it.
//!
//! Texts are spelled, numbers and addresses are tried at the edges of what is asked for: a value is found if
//! there is one, within the bounds of [`spell`]. Parts that may have several values at once, names of a
//! certificate, lines of a header and items of a list, have one for each demand if no single one will do.
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::super::glob::{Asked, Glob, Letters, Spelled, contradict, spell};
use super::super::literal::{Shape, Subject};
use super::super::sample::Sample;
use super::demand::Demand;
use super::part::{is_authority, set};
use super::search::Search;
use super::surroundings::Surroundings;
use super::value::{self, Candidate, bounds, others};
use crate::identity::Value;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{StringTest, ValueTest};

/// Addresses that are tried for one part.
const ADDRESSES: usize = 2_000;

/// Places in the tests of a text that are looked at to spell it.
const STATES: usize = 3_000;

/// Tests whose own values are tried first.
const PLAIN: usize = 8;

/// The request with a value in one part for which all demands of that part hold, and all that held before.
pub(super) fn settled(
    sample: &Sample,
    part: Subject<'_>,
    demands: &[Demand<'_>],
    search: &Search<'_>,
) -> Option<Sample> {
    let around = search.around;
    let (about, beside): (Vec<_>, Vec<_>) =
        demands.iter().partition(|of| is_same_part(of.subject, part));
    let kept: Vec<&Demand<'_>> = beside.into_iter().filter(|of| of.holds(sample)).collect();
    let as_asked = |value: Candidate| {
        let changed = set(sample.clone(), part, value)?;
        let holds = about.iter().chain(&kept).all(|demand| demand.holds(&changed));
        (holds && is_let_in(&changed, part, around)).then_some(changed)
    };
    let mut usual = usual(part, &about, around).into_iter();
    if let Some(found) = usual.find_map(as_asked) {
        return Some(found);
    }
    drop(usual);
    // What passes one test passes all as a rule, and is had for less than what is spelled.
    let passing = about.iter().filter(|demand| demand.passes).flat_map(|demand| demand.shapes());
    let plain = passing.take(PLAIN).flat_map(|shape| value::passing(part, shape));
    let mut plain = plain.flat_map(|value| with_peer(part, value, around));
    if let Some(found) = plain.find_map(as_asked) {
        return Some(found);
    }
    drop(plain);
    match part {
        Subject::Port => ports(&about).into_iter().find_map(as_asked),
        Subject::SourceIp | Subject::RemoteIp | Subject::DestinationIp => {
            let all = around.destinations.iter().copied().chain(addresses(&about, search));
            let mut all = all.flat_map(|ip| [Candidate::Ip(ip), Candidate::Proxy(ip)]);
            all.find_map(as_asked)
        }
        Subject::Metadata(..) => of_metadata(&about, search, &as_asked),
        Subject::Identity
        | Subject::Tunnel
        | Subject::Path
        | Subject::Header(_)
        | Subject::ServerName => of_texts(part, &about, search, &as_asked),
    }
}

/// Whether two tests are about one value.
fn is_same_part(one: Subject<'_>, other: Subject<'_>) -> bool {
    let is_path = |of: Subject<'_>| matches!(of, Subject::Path | Subject::Header(":path"));
    match (one, other) {
        (one, other) if is_path(one) => is_path(other),
        (Subject::Header(one), Subject::Header(other)) => {
            one.eq_ignore_ascii_case(other) || (is_authority(one) && is_authority(other))
        }
        (Subject::Identity | Subject::Tunnel, Subject::Identity | Subject::Tunnel) => true,
        (one, other) => one == other,
    }
}

/// Whether the surroundings allow what stands in a part.
fn is_let_in(sample: &Sample, part: Subject<'_>, around: &Surroundings) -> bool {
    match part {
        Subject::Identity | Subject::Tunnel if sample.identity.is_none() => {
            !around.demands_identity
        }
        Subject::Identity | Subject::Tunnel => {
            let names = sample.identity.iter().chain(&sample.other_names);
            around.admits(names.map(AsRef::as_ref))
        }
        Subject::DestinationIp => {
            around.destinations.is_empty() || around.destinations.contains(&sample.destination_ip)
        }
        Subject::Path
        | Subject::Header(_)
        | Subject::ServerName
        | Subject::SourceIp
        | Subject::RemoteIp
        | Subject::Port
        | Subject::Metadata(..) => true,
    }
}

/// The value, and of a name first the same name of a trust domain that is let in.
fn with_peer(part: Subject<'_>, value: Candidate, around: &Surroundings) -> Vec<Candidate> {
    let peer = match (part, &value) {
        (Subject::Identity | Subject::Tunnel, Candidate::Text(name)) => {
            let rest = name.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
            around.starts().next().zip(rest).map(|(start, (_, rest))| format!("{start}{rest}"))
        }
        _ => None,
    };
    peer.map(Candidate::Text).into_iter().chain([value]).collect()
}

/// Values that nobody wonders at, and those that no test is likely to mean.
fn usual(part: Subject<'_>, about: &[&Demand<'_>], around: &Surroundings) -> Vec<Candidate> {
    let text = |text: &str| Candidate::Text(text.to_owned());
    if about.iter().any(|demand| demand.passes) && part != Subject::Header(":method") {
        return Vec::new();
    }
    let mut found = match part {
        Subject::Header(":method") => ["GET", "POST", "PUT", "DELETE"].map(text).into(),
        Subject::Path | Subject::Header(":path") => vec![text("/")],
        Subject::Header(name) if is_authority(name) => vec![text("example.org")],
        Subject::Identity | Subject::Tunnel => {
            let peers = around.starts().map(|start| format!("{start}ns/x/sa/x"));
            peers.map(Candidate::Text).collect()
        }
        Subject::Header(_) | Subject::ServerName | Subject::Metadata(..) => {
            vec![Candidate::Absent]
        }
        Subject::Port | Subject::SourceIp | Subject::RemoteIp | Subject::DestinationIp => {
            Vec::new()
        }
    };
    found.extend(others(part));
    found
}

fn ports(about: &[&Demand<'_>]) -> Vec<Candidate> {
    let of = |passes: bool| -> BTreeSet<u16> {
        let demands = about.iter().filter(|demand| demand.passes == passes);
        let ports = demands
            .flat_map(|demand| demand.shapes())
            .filter_map(|shape| if let Shape::Port(port) = shape { Some(port) } else { None });
        ports.collect()
    };
    let (asked, excluded) = (of(true), of(false));
    let free = (1..=u16::MAX).find(|port| !excluded.contains(port));
    asked.difference(&excluded).copied().chain(free).map(Candidate::Port).collect()
}

/// The edges of all ranges, and those of what lies outside.
fn addresses(about: &[&Demand<'_>], search: &Search<'_>) -> Vec<IpAddr> {
    let ranges = about
        .iter()
        .flat_map(|demand| demand.shapes())
        .filter_map(|shape| if let Shape::Range(range) = shape { Some(range) } else { None });
    let edges = ranges.flat_map(|range| [vec![range.address()], bounds(range)].concat());
    let least = [IpAddr::from([0, 0, 0, 0]), Ipv6Addr::UNSPECIFIED.into()];
    search.first(ADDRESSES, edges.chain(least))
}

/// How texts are looked for: such as people write before such as only tests tell apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Style {
    /// Gaps at the ends are filled.
    Full,
    Short,
    /// Any letters, in either case.
    Odd,
}

const STYLES: [Style; 3] = [Style::Full, Style::Short, Style::Odd];

fn of_texts(
    part: Subject<'_>,
    about: &[&Demand<'_>],
    search: &Search<'_>,
    as_asked: &impl Fn(Candidate) -> Option<Sample>,
) -> Option<Sample> {
    let asked: Vec<Asked<'_>> = about
        .iter()
        .map(|demand| Asked {
            rows: demand.shapes().flat_map(Glob::of).collect(),
            passes: demand.passes,
            ends_at_query: demand.subject == Subject::Path,
        })
        .collect();
    let found = trusted(part, search.around).into_iter().find_map(|trusted| {
        let all: Vec<Asked<'_>> = asked.iter().cloned().chain(trusted).collect();
        of_all(part, &all, search, as_asked)
    });
    found.or_else(|| as_asked(Candidate::Absent))
}

/// One text or several that are as all that is asked.
fn of_all(
    part: Subject<'_>,
    all: &[Asked<'_>],
    search: &Search<'_>,
    as_asked: &impl Fn(Candidate) -> Option<Sample>,
) -> Option<Sample> {
    if contradict(all) {
        return None;
    }
    // Of a few texts none needs to be spelled.
    if let Some(found) = only(all).into_iter().flatten().find_map(as_asked) {
        return Some(found);
    }
    let is_open = only(all).is_none() || matches!(part, Subject::Path | Subject::Header(":path"));
    let mut styles = STYLES.into_iter().filter(|_| is_open);
    let found =
        styles.find_map(|style| as_asked(Candidate::Text(spelled(part, all, style, search)?)));
    found.or_else(|| as_asked(Candidate::Texts(apart(part, all, search)?)))
}

/// The texts that pass what is asked, or some more, if these are few.
fn only(asked: &[Asked<'_>]) -> Option<Vec<Candidate>> {
    let mut passing = asked.iter().filter(|asked| asked.passes);
    passing.find_map(|asked| asked.rows.iter().map(|row| row.only().map(Candidate::Text)).collect())
}

/// What is asked of one name, so that the peer is let in: that it is of the first trust domain, or of any.
fn trusted(part: Subject<'_>, around: &Surroundings) -> Vec<Option<Asked<'static>>> {
    let is_name = matches!(part, Subject::Identity | Subject::Tunnel);
    let rows: Vec<Glob<'_>> = around.starts().map(|start| Glob::starting(&start)).collect();
    let any = (is_name && !rows.is_empty()).then_some(rows);
    let first = any.iter().filter(|rows| rows.len() > 1).flat_map(|rows| rows.first().cloned());
    let first: Vec<Option<Vec<Glob<'_>>>> = first.map(|row| Some(vec![row])).collect();
    let asked = |rows| Asked { rows, passes: true, ends_at_query: false };
    first.into_iter().chain([any]).map(|rows| rows.map(asked)).collect()
}

/// A text for each of what is asked, unless one of those before will do.
fn apart(part: Subject<'_>, asked: &[Asked<'_>], search: &Search<'_>) -> Option<Vec<String>> {
    let (passing, failing): (Vec<&Asked<'_>>, Vec<&Asked<'_>>) =
        asked.iter().partition(|of| of.passes);
    let mut found = Vec::<String>::new();
    for one in passing {
        if found.iter().any(|text| one.rows.iter().any(|row| row.matches(text))) {
            continue;
        }
        let all: Vec<Asked<'_>> = failing.iter().copied().chain([one]).cloned().collect();
        found.push(STYLES.into_iter().find_map(|style| spelled(part, &all, style, search))?);
    }
    Some(found)
}

/// A text in a style. What the last one does not find is not there, unless it was given up.
fn spelled(
    part: Subject<'_>,
    asked: &[Asked<'_>],
    style: Style,
    search: &Search<'_>,
) -> Option<String> {
    let letters = letters(part, asked, style);
    let mut all: Vec<Asked<'_>> = asked.to_vec();
    if style == Style::Full {
        for asked in all.iter_mut().filter(|asked| asked.passes) {
            asked.rows = std::mem::take(&mut asked.rows).into_iter().map(Glob::filled).collect();
        }
    }
    let is_path = matches!(part, Subject::Path | Subject::Header(":path"));
    let more = |rows: Vec<Glob<'static>>, passes| Asked { rows, passes, ends_at_query: is_path };
    if is_path {
        all.push(more(vec![Glob::starting("/")], true));
    }
    let is_name = matches!(part, Subject::Identity | Subject::Tunnel);
    if is_path && style != Style::Odd {
        // What no step of normalization changes.
        let steps = ["//", "/./", "/../"].map(Glob::containing).into_iter();
        all.push(more(steps.chain(["/.", "/.."].map(Glob::ending)).collect(), false));
    } else if style != Style::Odd {
        all.push(more(vec![if is_name { Glob::workload() } else { Glob::anything() }], true));
    }
    let spelled = spell(&all, &letters, STATES);
    if style == Style::Odd && spelled == Spelled::CutShort {
        search.cut();
    }
    spelled.text()
}

/// What the texts of a part are made of.
fn letters(part: Subject<'_>, asked: &[Asked<'_>], style: Style) -> Letters {
    let named: BTreeSet<u8> = asked
        .iter()
        .flat_map(|asked| &asked.rows)
        .flat_map(Glob::letters)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let free = b"xyzwvutqkjhgfedcba0123456789".iter().find(|letter| !named.contains(letter));
    let mut fillers = vec![*free.unwrap_or(&b'x')];
    let is_odd = style == Style::Odd;
    let is_path = matches!(part, Subject::Path | Subject::Header(":path"));
    // Claims are any texts; URIs and names of hosts break no line.
    let may_break = matches!(part, Subject::Metadata(..));
    let is_name = matches!(part, Subject::Identity | Subject::Tunnel);
    if is_path || is_name {
        fillers.push(b'/');
    }
    if is_path && asked.iter().any(|of| !of.ends_at_query) {
        fillers.push(b'?');
    }
    if is_odd && is_path {
        fillers.extend(b"[*");
    } else if is_odd && may_break {
        fillers.push(b'\n');
    }
    let is_allowed: fn(u8) -> bool = if is_path && is_odd {
        |letter| letter.is_ascii_graphic() && letter != b'#'
    } else if is_path {
        |letter| letter.is_ascii_graphic() && !b"\\%#\"<>^`{|}".contains(&letter)
    } else if part == Subject::ServerName {
        |letter| !letter.is_ascii_uppercase() && !letter.is_ascii_control()
    } else if is_name {
        |letter| letter.is_ascii_graphic()
    } else if matches!(part, Subject::Header(name) if name.starts_with(':')) {
        |letter| letter.is_ascii_graphic()
    } else if matches!(part, Subject::Header(_)) {
        |letter| !letter.is_ascii_control()
    } else {
        |_| true
    };
    Letters { fillers, is_allowed, both_cases: is_odd }
}

/// A text, a list, or nothing.
fn of_metadata(
    about: &[&Demand<'_>],
    search: &Search<'_>,
    as_asked: &impl Fn(Candidate) -> Option<Sample>,
) -> Option<Sample> {
    let part = Subject::Metadata("", &[]);
    let text = |text: String| Value::Text(text.into());
    let alone = asked_of(about, texts);
    let styles =
        |asked: &[Asked<'_>]| STYLES.into_iter().take(if contradict(asked) { 0 } else { 3 });
    let mut alone = styles(&alone).filter_map(|style| spelled(part, &alone, style, search));
    let items = asked_of(about, items);
    let one = || {
        let mut found = styles(&items).filter_map(|style| spelled(part, &items, style, search));
        found.find_map(|item| as_asked(Candidate::Json(Value::List([text(item)].into()))))
    };
    let several = || {
        let list = apart(part, &items, search).filter(|_| !contradict(&items))?;
        let list = list.into_iter().map(text).collect();
        as_asked(Candidate::Json(Value::List(list)))
    };
    alone
        .find_map(|found| as_asked(Candidate::Json(text(found))))
        .or_else(one)
        .or_else(several)
        .or_else(|| as_asked(Candidate::Absent))
}

/// What is asked of a text by tests of values, as they have them.
fn asked_of<'p>(
    about: &[&Demand<'p>],
    texts: fn(&'p ValueTest) -> Vec<&'p StringTest>,
) -> Vec<Asked<'p>> {
    let of = |demand: &&Demand<'p>| {
        let values = demand
            .shapes()
            .filter_map(|shape| if let Shape::Value(test) = shape { Some(test) } else { None });
        let tests = values.flat_map(texts);
        Asked {
            rows: tests.flat_map(|test| Glob::of(Shape::Text(test))).collect(),
            passes: demand.passes,
            ends_at_query: false,
        }
    };
    about.iter().map(of).collect()
}

/// The tests of which a text passes one if it passes a test of a value.
fn texts(test: &ValueTest) -> Vec<&StringTest> {
    match test {
        ValueTest::Text(test) => vec![test],
        ValueTest::ListContains(_) => Vec::new(),
        ValueTest::AnyOf(tests) => tests.iter().flat_map(texts).collect(),
    }
}

/// The tests of which an item of a list passes one if the list passes a test of a value.
fn items(test: &ValueTest) -> Vec<&StringTest> {
    match test {
        ValueTest::Text(_) => Vec::new(),
        ValueTest::ListContains(test) => texts(test),
        ValueTest::AnyOf(tests) => tests.iter().flat_map(items).collect(),
    }
}
