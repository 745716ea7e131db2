//! The ALLOW rules by what they name: those that a request may meet of which something is known already.
use std::collections::{BTreeMap, BTreeSet};

use super::super::literal::{Literal, Plain, Shape, Subject, disjoint};
use super::demand::Demand;
use crate::matcher::{Form, StringTest};
use crate::rbac::{Body, Entry, Policy};

/// The place of a rule in the order of rules.
type Place = usize;

/// The ALLOW rules of one side.
#[derive(Debug, Default)]
pub(super) struct Allowing<'p> {
    rules: Vec<&'p Policy>,
    paths: Named<'p>,
    hosts: Named<'p>,
    names: Named<'p>,
}

/// The rules by the texts that they name for one part, in lower case: what differs in case only is told
/// apart later.
#[derive(Debug, Default)]
struct Named<'p> {
    by_text: BTreeMap<String, Vec<(&'p str, Place)>>,
    /// Those that may be met with other texts, too.
    open: Vec<Place>,
}

impl<'p> Allowing<'p> {
    pub(super) fn new(rules: impl Iterator<Item = &'p Policy>) -> Self {
        let mut found = Self::default();
        for (place, rule) in rules.enumerate() {
            found.rules.push(rule);
            let Body::Rule { permissions, principals } = &rule.body else { continue };
            found.paths.add(place, texts(permissions, |of| of == Subject::Path));
            found.hosts.add(place, texts(permissions, |of| of == Subject::Header(":authority")));
            found.names.add(place, texts(principals, is_name));
        }
        found
    }

    /// The rules that a request may meet for which all that is demanded holds: those first that a peer with one
    /// name may meet.
    pub(super) fn meeting(&self, demands: &[Demand<'_>]) -> Vec<&'p Policy> {
        let positive = || demands.iter().filter(|demand| demand.passes);
        let of = |named: &Named<'p>, is_of: fn(Subject<'_>) -> bool| {
            let about = positive().filter(move |demand| is_of(demand.subject));
            about.filter_map(|demand| named.meeting(demand)).min_by_key(BTreeSet::len)
        };
        let paths = of(&self.paths, |of| of == Subject::Path);
        let hosts = of(&self.hosts, |of| of == Subject::Header(":authority"));
        let names = of(&self.names, is_name);
        let mut single: Vec<BTreeSet<Place>> = paths.into_iter().chain(hosts).collect();
        single.sort_by_key(BTreeSet::len);
        let is_in =
            |sets: &[BTreeSet<Place>], place: Place| sets.iter().all(|set| set.contains(&place));
        let all: Vec<Place> = match single.first() {
            Some(few) => few.iter().copied().filter(|place| is_in(&single, *place)).collect(),
            None => (0..self.rules.len()).collect(),
        };
        // A certificate of several names may meet rules about different ones.
        let (first, rest): (Vec<Place>, Vec<Place>) = match &names {
            Some(names) => all.into_iter().partition(|place| names.contains(place)),
            None => (all, Vec::new()),
        };
        let places = first.into_iter().chain(rest);
        places.filter_map(|place| self.rules.get(place).copied()).collect()
    }
}

/// Whether a part is a name of the peer.
fn is_name(subject: Subject<'_>) -> bool {
    matches!(subject, Subject::Identity | Subject::Tunnel)
}

/// The texts without one of which no entry is met; `None` if an entry may be met with others.
fn texts<'p, T: Literal>(
    entries: &'p [Entry<T>],
    is_of: impl Fn(Subject<'_>) -> bool,
) -> Option<Vec<&'p str>> {
    let mut found = Vec::new();
    for entry in entries {
        let plain = entry.clauses.iter().filter_map(Plain::of);
        let about = plain.filter(|clause| !clause.is_negated && is_of(clause.subject));
        let exact = |shape: &Shape<'p>| {
            let Shape::Text(StringTest { form: Form::Exact(text), .. }) = shape else {
                return None;
            };
            Some(&**text)
        };
        let texts = |clause: Plain<'p>| clause.shapes.iter().map(exact).collect::<Option<Vec<_>>>();
        found.extend(about.filter_map(texts).next()?);
    }
    Some(found)
}

impl<'p> Named<'p> {
    fn add(&mut self, place: Place, texts: Option<Vec<&'p str>>) {
        let Some(texts) = texts else { return self.open.push(place) };
        for text in texts {
            self.by_text.entry(text.to_ascii_lowercase()).or_default().push((text, place));
        }
    }

    /// The rules that may be met with a text for which a demand holds; `None` if all may be.
    fn meeting(&self, demand: &Demand<'_>) -> Option<BTreeSet<Place>> {
        let mut found: BTreeSet<Place> = self.open.iter().copied().collect();
        for shape in demand.shapes() {
            match shape {
                Shape::Text(test) => self.add_passing(test, &mut found),
                Shape::Template(template) => {
                    let all = self.by_text.values().flatten();
                    found.extend(all.filter(|(text, _)| template.matches(text)).map(|of| of.1));
                }
                Shape::Refused(false) => {}
                Shape::Present
                | Shape::Range(_)
                | Shape::Port(_)
                | Shape::Value(_)
                | Shape::Refused(true) => return None,
            }
        }
        Some(found)
    }

    fn add_passing(&self, test: &StringTest, found: &mut BTreeSet<Place>) {
        let folded = |text: &str| text.to_ascii_lowercase();
        match &test.form {
            Form::Exact(text) => {
                let named = self.by_text.get(&folded(text)).into_iter().flatten();
                found.extend(named.map(|of| of.1));
            }
            Form::Prefix(text) => {
                let start = folded(text);
                let named = self.by_text.range(start.clone()..);
                let named = named.take_while(|(text, _)| text.starts_with(&start));
                found.extend(named.flat_map(|(_, of)| of).map(|of| of.1));
            }
            Form::Suffix(text) => {
                let end = folded(text);
                let named = self.by_text.iter().filter(|(text, _)| text.ends_with(&end));
                found.extend(named.flat_map(|(_, of)| of).map(|of| of.1));
            }
            Form::Pattern(pattern) => {
                let named = self.by_text.values().flatten();
                let named = named.filter(|(text, _)| pattern.matches(text.as_bytes()));
                found.extend(named.map(|of| of.1));
            }
        }
    }
}

/// Whether nothing is known that keeps a request for which all that is demanded holds from meeting an entry.
pub(super) fn may_meet<T: Literal>(entry: &Entry<T>, demands: &[Demand<'_>]) -> bool {
    let positive = |demand: &&Demand<'_>| demand.passes && demand.subject.is_single();
    let excludes = |clause: &Plain<'_>, demand: &Demand<'_>| {
        let apart = |one: &Shape<'_>| {
            demand.shapes().all(|other| !is_template(*one, other) && disjoint(*one, other))
        };
        demand.subject == clause.subject && clause.shapes.iter().all(apart)
    };
    entry
        .clauses
        .iter()
        .filter_map(Plain::of)
        .filter(|clause| !clause.is_negated)
        .all(|clause| !demands.iter().filter(positive).any(|demand| excludes(&clause, demand)))
}

/// Whether telling two tests apart costs more than trying.
const fn is_template(one: Shape<'_>, other: Shape<'_>) -> bool {
    matches!(one, Shape::Template(_)) || matches!(other, Shape::Template(_))
}
