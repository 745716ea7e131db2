//! What a request must be, test by test: made of the clauses that shall pass and of those that shall not.
use super::super::literal::{AnyTest, Literal, Shape, Subject};
use super::super::sample::Sample;
use super::search::Search;
use super::settle::settled;
use crate::authorizer::Authorizer;
use crate::rbac::{Clause, Entry, Node};

/// Ways to make one clause or entry pass that are told apart.
const WAYS: usize = 64;

/// Tests of one part of a request, any of which shall pass, or none.
#[derive(Clone, Debug)]
pub(super) struct Demand<'p> {
    /// Whose tests they are: it sees requests as its workload does.
    authorizer: &'p Authorizer,
    pub(super) subject: Subject<'p>,
    tests: Vec<AnyTest<'p>>,
    pub(super) passes: bool,
}

impl<'p> Demand<'p> {
    pub(super) fn holds(&self, sample: &Sample) -> bool {
        sample.with(|request| {
            self.authorizer
                .see(request)
                .is_ok_and(|seen| self.tests.iter().any(|test| test.matches(&seen)) == self.passes)
        })
    }

    pub(super) fn shapes(&self) -> impl Iterator<Item = Shape<'p>> {
        self.tests.iter().map(|test| test.shape())
    }
}

/// Demands of which all shall hold.
pub(super) type Demands<'p> = Vec<Demand<'p>>;

/// The ways to make a tree of tests pass, or fail; some of them if there are many.
pub(super) fn ways<'p, T: Literal>(
    authorizer: &'p Authorizer,
    node: &'p Node<T>,
    passes: bool,
    search: &Search<'_>,
) -> Vec<Demands<'p>> {
    match node {
        Node::Not(node) => ways(authorizer, node, !passes, search),
        Node::Test(test) => vec![vec![demand(authorizer, vec![test.any()], passes)]],
        Node::AnyOf(nodes) if let Some(tests) = alike(nodes) => {
            vec![vec![demand(authorizer, tests, passes)]]
        }
        Node::AnyOf(nodes) | Node::All(nodes) => {
            let each = nodes.iter().map(|node| ways(authorizer, node, passes, search));
            if matches!(node, Node::AnyOf(_)) == passes {
                search.first(WAYS, each.flatten())
            } else {
                all_of(each, search)
            }
        }
    }
}

fn demand<'p>(authorizer: &'p Authorizer, tests: Vec<AnyTest<'p>>, passes: bool) -> Demand<'p> {
    let subject = tests.first().map_or(Subject::Path, |test| test.subject());
    Demand { authorizer, subject, tests, passes }
}

/// The tests of nodes, if all are tests of one part.
fn alike<T: Literal>(nodes: &[Node<T>]) -> Option<Vec<AnyTest<'_>>> {
    let tests: Option<Vec<AnyTest<'_>>> = nodes
        .iter()
        .map(|node| match node {
            Node::Test(test) => Some(test.any()),
            Node::All(_) | Node::AnyOf(_) | Node::Not(_) => None,
        })
        .collect();
    let tests = tests?;
    let subject = tests.first()?.subject();
    tests.iter().all(|test| test.subject() == subject).then_some(tests)
}

/// The ways in which all of several things are so, one way of each.
fn all_of<'p>(
    each: impl IntoIterator<Item = Vec<Demands<'p>>>,
    search: &Search<'_>,
) -> Vec<Demands<'p>> {
    each.into_iter().fold(vec![Vec::new()], |known, more| {
        let pairs = known.iter().flat_map(|known| more.iter().map(move |more| (known, more)));
        search.first(WAYS, pairs.map(|(known, more)| [&**known, more].concat()))
    })
}

/// The ways to meet an entry of a rule.
pub(super) fn meeting<'p, T: Literal>(
    authorizer: &'p Authorizer,
    entry: &'p Entry<T>,
    search: &Search<'_>,
) -> Vec<Demands<'p>> {
    all_of(entry.clauses.iter().map(|clause| ways(authorizer, &clause.node, true, search)), search)
}

/// The ways to miss an entry of a rule: each by one of its clauses.
pub(super) fn missing<'p, T: Literal>(
    authorizer: &'p Authorizer,
    entry: &'p Entry<T>,
    search: &Search<'_>,
) -> impl Iterator<Item = Demands<'p>> {
    let each = |clause: &'p Clause<T>| ways(authorizer, &clause.node, false, search);
    entry.clauses.iter().flat_map(each)
}

/// A request, and what it is by demand.
#[derive(Clone, Debug)]
pub(super) struct Lead<'p> {
    pub(super) sample: Sample,
    demands: Demands<'p>,
}

impl<'p> Lead<'p> {
    pub(super) const fn new(sample: Sample) -> Self {
        Self { sample, demands: Vec::new() }
    }

    /// What is demanded of it.
    pub(super) fn demands(&self) -> &[Demand<'p>] {
        &self.demands
    }

    /// The request as it must be for more demands to hold, too; `None` if none is found.
    pub(super) fn with(&self, more: &[Demand<'p>], search: &Search<'_>) -> Option<Self> {
        let mut lead = self.clone();
        lead.demands.extend_from_slice(more);
        for demand in more {
            if !demand.holds(&lead.sample) {
                lead.sample = settled(&lead.sample, demand.subject, &lead.demands, search)?;
            }
        }
        lead.demands.iter().all(|demand| demand.holds(&lead.sample)).then_some(lead)
    }
}
