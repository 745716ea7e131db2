//! What moved where between two outcomes.
use mesh_model::name::{ClusterId, Locality};

use super::{Cell, Outcome};

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
        Self::of_cells(&before.cells(), &after.cells())
    }

    /// The same of what outcomes say of places.
    pub(super) fn of_cells(before: &[Cell], after: &[Cell]) -> Self {
        // What goes nowhere is a place too, so that all changes sum to 0.
        let mut changes = Changes::with_capacity(before.len() + after.len() + 1);
        changes.push((None, nowhere(after) - nowhere(before)));
        before.iter().for_each(|cell| add(&mut changes, cell, -cell.share));
        after.iter().for_each(|cell| add(&mut changes, cell, cell.share));
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        let own = |place: Option<(&Locality, &ClusterId)>| {
            place.map(|(locality, cluster)| (locality.clone(), cluster.clone()))
        };
        let won: f64 = changes.iter().map(|(_, change)| change.max(0.0)).sum();
        let mut moved = Vec::new();
        for (from, less) in changes.iter().filter(|(_, change)| *change < -NOTHING) {
            for (to, more) in changes.iter().filter(|(_, change)| *change > NOTHING) {
                let share = -less * more / won;
                moved.push(Move { from: own(*from), to: own(*to), share });
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

/// How much more goes to each place than before; `None` is nowhere.
type Changes<'c> = Vec<(Option<(&'c Locality, &'c ClusterId)>, f64)>;

fn add<'c>(changes: &mut Changes<'c>, cell: &'c Cell, share: f64) {
    let place = Some((&cell.locality, &cell.cluster));
    match changes.iter_mut().find(|(known, _)| *known == place) {
        Some((_, change)) => *change += share,
        None => changes.push((place, share)),
    }
}

/// The part of the requests that nobody answers.
fn nowhere(cells: &[Cell]) -> f64 {
    let answered: f64 = cells.iter().map(|cell| cell.share).sum();
    (100.0 - answered).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[(&str, f64)], after: &[(&str, f64)], moved: &[&str]) {
        let cells = |list: &[(&str, f64)]| -> Vec<Cell> {
            let cell = |(name, share): &(&str, f64)| Cell {
                locality: Locality::parse(name),
                cluster: "c".into(),
                priority: 0,
                share: *share,
            };
            list.iter().filter(|(name, _)| *name != "-").map(cell).collect()
        };
        let text = |place: &Option<Place>| {
            place.as_ref().map_or_else(|| "-".to_owned(), |(locality, _)| locality.to_string())
        };
        let shift = Shift::of_cells(&cells(before), &cells(after));
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
