//! What moved where between two outcomes.
use std::collections::BTreeMap;

use mesh_model::name::{ClusterId, Locality};

use super::Outcome;

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
    /// The moves, by origin and goal; what is lost or found comes first.
    pub moved: Vec<Move>,
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
        Self::between(&places(before), &places(after))
    }

    fn between(before: &Places, after: &Places) -> Self {
        let share =
            |places: &Places, place: &Option<Place>| places.get(place).copied().unwrap_or_default();
        let all: std::collections::BTreeSet<&Option<Place>> =
            before.keys().chain(after.keys()).collect();
        let change = |place: &Option<Place>| share(after, place) - share(before, place);
        let won: f64 = all.iter().map(|place| change(place).max(0.0)).sum();
        let mut moved = Vec::new();
        for from in all.iter().filter(|place| change(place) < -NOTHING) {
            for to in all.iter().filter(|place| change(place) > NOTHING) {
                let share = -change(from) * change(to) / won;
                moved.push(Move { from: (*from).clone(), to: (*to).clone(), share });
            }
        }
        Self { moved }
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

/// Shares by place; `None` is what goes nowhere, so that all sum to 100.
type Places = BTreeMap<Option<Place>, f64>;

fn places(outcome: &Outcome) -> Places {
    let mut places = Places::new();
    for cell in outcome.cells() {
        *places.entry(Some((cell.locality, cell.cluster))).or_default() += cell.share;
    }
    let answered: f64 = places.values().sum();
    places.insert(None, (100.0 - answered).max(0.0));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[(&str, f64)], after: &[(&str, f64)], moved: &[&str]) {
        let places = |list: &[(&str, f64)]| -> Places {
            let place = |name: &str| (name != "-").then(|| (Locality::parse(name), "c".into()));
            list.iter().map(|(name, share)| (place(name), *share)).collect()
        };
        let text = |place: &Option<Place>| {
            place.as_ref().map_or_else(|| "-".to_owned(), |(locality, _)| locality.to_string())
        };
        let shift = Shift::between(&places(before), &places(after));
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
        check(&[("a", 60.0), ("b", 40.0)], &[("a", 60.0), ("-", 40.0)], &["b 40 -"]);
    }
}
