//! What moved where between two outcomes.
use std::sync::Arc;

use mesh_model::name::{ClusterId, Locality};

use super::Outcome;
use super::outcome::clusters_behind;
use crate::assign::{AssignedEndpoint, Assignment, Target};
use crate::share::Shares;

/// Shares below this are rounding.
const NOTHING: f64 = 1e-9;

/// Where traffic can go: a cluster in a locality.
pub type Place = (Locality, ClusterId);

/// Traffic that goes elsewhere than before.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Move {
    /// Where it went; `None`: nowhere, requests failed.
    pub from: Option<Place>,
    /// Where it goes; `None`: nowhere, requests fail.
    pub to: Option<Place>,
    /// How much, in percent of the destination's traffic.
    pub share: f64,
}

/// What moved between two outcomes.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Shift {
    /// The moves, by origin and goal; what is lost or found comes first. Clones share them.
    pub moved: Arc<[Move]>,
}

impl Shift {
    /// Compares two outcomes.
    ///
    /// Nobody can tell which request would have gone where: what each place loses is divided over the
    /// places that win, by what they win. A place that keeps its share has no part in it.
    ///
    /// ```text
    /// before  a 60  b 40  c  0        a ─20─▶ c
    /// after   a 40  b 30  c 30        b ─10─▶ c
    /// ```
    pub fn new(before: &Outcome, after: &Outcome) -> Self {
        let parts = [before, after].map(|outcome| Parts::of(&outcome.assignment));
        let places = Places::of(&parts);
        let numbers = parts.each_ref().map(|parts| places.numbers(parts));
        let [of_before, of_after] = &numbers;
        places.shift((of_before, &before.shares), (of_after, &after.shares))
    }

    /// Returns how much goes elsewhere than before, in percent.
    pub fn total(&self) -> f64 {
        self.moved.iter().map(|moved| moved.share).sum()
    }

    /// Returns how much is lost, in percent: it was answered before and is not now.
    pub fn lost(&self) -> f64 {
        self.moved.iter().filter(|moved| moved.to.is_none()).map(|moved| moved.share).sum()
    }
}

/// Where the parts of an assignment are, one after the other, and of how many endpoints each is.
#[derive(Clone, Debug)]
pub(super) struct Parts(Box<[(Place, usize)]>);

impl Parts {
    pub(super) fn of(assignment: &Assignment) -> Self {
        let mut parts = Vec::with_capacity(assignment.localities().len());
        let behind = clusters_behind(assignment);
        let cluster_of = |endpoint: AssignedEndpoint<'_>| match endpoint.target() {
            Target::Direct(direct) | Target::Tunnel(direct) => {
                direct.workload.place.cluster.clone()
            }
            Target::Gateway(gateway) | Target::DoubleTunnel(gateway) => {
                let behind = behind.get(&endpoint.target().dialled()).copied().flatten();
                behind.unwrap_or(&gateway.cluster).clone()
            }
        };
        for locality in assignment.localities() {
            parts.extend(locality.parts().map(|part| {
                // Endpoints of a part are of one cluster.
                let cluster = part.endpoints().next().map(cluster_of).unwrap_or_default();
                ((locality.locality().clone(), cluster), part.len())
            }));
        }
        Self(parts.into())
    }

    /// The place of each endpoint.
    pub(super) fn of_each(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().flat_map(|(place, len)| std::iter::repeat_n(place, *len))
    }

    /// What goes to each of them.
    pub(super) fn shares<'s>(
        &'s self,
        shares: &'s Shares,
    ) -> impl Iterator<Item = (&'s Place, f64)> {
        let lens = self.0.iter().map(|(_, len)| *len);
        self.0.iter().map(|(place, _)| place).zip(sums(lens, shares))
    }
}

/// What goes to each of some parts, of which the lengths are given.
fn sums(lens: impl Iterator<Item = usize>, shares: &Shares) -> impl Iterator<Item = f64> {
    let mut rest = shares.endpoints();
    lens.map(move |len| {
        let own;
        (own, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        own.iter().sum()
    })
}

/// The places of some parts, in order.
pub(super) struct Places<'p>(Vec<&'p Place>);

/// Where the parts of an assignment are by the places' numbers, from 1 on, and their lengths.
pub(super) type Numbered = Box<[(usize, usize)]>;

impl<'p> Places<'p> {
    pub(super) fn of(parts: impl IntoIterator<Item = &'p Parts>) -> Self {
        let mut parts = parts.into_iter().map(|parts| &parts.0);
        let first = parts.next().map(|parts| &**parts).unwrap_or_default();
        let mut places: Vec<&Place> = first.iter().map(|(place, _)| place).collect();
        // Mostly others have the same places.
        let is_other = |(index, (place, _)): &(usize, &(Place, usize))| {
            first.get(*index).is_none_or(|(known, _)| known != place)
        };
        let others = parts.flat_map(|parts| parts.iter().enumerate().filter(is_other));
        places.extend(others.map(|(_, (place, _))| place));
        places.sort_unstable();
        places.dedup();
        Self(places)
    }

    /// The numbers of parts that the places are of.
    pub(super) fn numbers(&self, parts: &Parts) -> Numbered {
        let mut next = 0;
        let number = |(place, len): &(Place, usize)| {
            // Mostly it is the one after the last.
            if self.0.get(next).is_none_or(|known| *known != place) {
                next = self.0.partition_point(|known| *known < place);
            }
            next += 1;
            (next, *len)
        };
        parts.0.iter().map(number).collect()
    }

    /// What moved between two outcomes.
    pub(super) fn shift(&self, before: (&Numbered, &Shares), after: (&Numbered, &Shares)) -> Shift {
        // What goes nowhere is a place too, the first, so that all changes sum to 0.
        let mut changes = vec![0.0; self.0.len() + 1];
        let mut nowhere = [0.0; 2];
        let both = [(before, -1.0), (after, 1.0)];
        for (((numbered, shares), sign), nowhere) in both.into_iter().zip(&mut nowhere) {
            let mut answered = 0.0;
            let lens = numbered.iter().map(|(_, len)| *len);
            for ((number, _), share) in numbered.iter().zip(sums(lens, shares)) {
                answered += share;
                if let Some(change) = changes.get_mut(*number) {
                    *change += sign * share;
                }
            }
            // The part of the requests that nobody answers.
            *nowhere = f64::max(100.0 - answered, 0.0);
        }
        let [before, after] = nowhere;
        if let Some(change) = changes.first_mut() {
            *change = after - before;
        }
        Shift { moved: self.moved(&changes) }
    }

    fn moved(&self, changes: &[f64]) -> Arc<[Move]> {
        let own = |number: usize| {
            let place = number.checked_sub(1).and_then(|index| self.0.get(index));
            place.copied().cloned()
        };
        let less = changes.iter().enumerate().filter(|(_, change)| **change < -NOTHING);
        let more = changes.iter().enumerate().filter(|(_, change)| **change > NOTHING);
        let won: f64 = changes.iter().map(|change| change.max(0.0)).sum();
        let mut moved = Vec::with_capacity(less.clone().count() * more.clone().count());
        for (from, less) in less {
            for (to, more) in more.clone() {
                moved.push(Move { from: own(from), to: own(to), share: -less * more / won });
            }
        }
        moved.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[(&str, f64)], after: &[(&str, f64)], moved: &[&str]) {
        let parts = |list: &[(&str, f64)]| {
            let part = |(name, _): &(&str, f64)| ((Locality::parse(name), "c".into()), 1);
            Parts(list.iter().map(part).collect())
        };
        let shares = |list: &[(&str, f64)]| Shares::of_endpoints(list.iter().map(|(_, s)| *s));
        let both = [before, after].map(|list| (parts(list), shares(list)));
        let places = Places::of(both.iter().map(|(parts, _)| parts));
        let [before, after] =
            both.each_ref().map(|(parts, shares)| (places.numbers(parts), shares));
        let shift = places.shift((&before.0, before.1), (&after.0, after.1));
        let text = |place: &Option<Place>| {
            place.as_ref().map_or_else(|| "-".to_owned(), |(locality, _)| locality.to_string())
        };
        let found: Vec<String> = shift
            .moved
            .iter()
            .map(|m| format!("{} {:.0} {}", text(&m.from), m.share, text(&m.to)))
            .collect();
        assert_eq!(found, moved);
    }

    #[test]
    fn what_is_lost_is_divided_over_what_wins() {
        check(
            &[("a", 60.0), ("b", 40.0)],
            &[("a", 40.0), ("b", 30.0), ("c", 20.0), ("d", 10.0)],
            &["a 13 c", "a 7 d", "b 7 c", "b 3 d"],
        );
    }

    #[test]
    fn what_stays_does_not_move_and_what_fails_goes_nowhere() {
        check(&[("a", 100.0)], &[("a", 100.0)], &[]);
        check(&[("a", 60.0), ("b", 40.0)], &[("a", 60.0)], &["b 40 -"]);
    }
}
