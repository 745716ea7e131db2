//! What a failure does to all that was surveyed.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::registry::ControlPlane;
use mesh_model::view::Destination;

use super::common::{Common, Outcomes, Portion};
use super::crowd::Renumbered;
use super::fallen::Fallen;
use super::overload::{Carried, Carriers, index};
use super::scenario::Failed;
use super::shift::{Numbered, Parts, Places};
use super::survey::{Survey, Surveyed, SurveyedClass};
use super::{Outcome, Scenario, Shift};
use crate::capacity::Overloaded;

/// Shares below this are rounding.
const NOTHING: f64 = 1e-6;

/// What a failure does to the traffic of one class of proxies to one destination.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Impact<'s, 'm> {
    /// The destination.
    pub destination: &'s Destination<'m>,
    /// The proxies, and where their traffic goes before.
    pub class: &'s SurveyedClass<'m>,
    /// Where it goes afterwards; `None`: as before, nothing that it uses fails.
    pub after: Option<Outcome>,
    /// What moved where.
    pub shift: Shift,
    /// Whether every request fails.
    pub is_unreachable: bool,
    /// Whether every request fails before.
    pub was_unreachable: bool,
    /// The endpoints that this class sends to and that carry too much then, the classes of all who see the
    /// destination together.
    pub overloaded: Vec<Overloaded>,
    /// The place of what outcomes have in common after the failure.
    common: usize,
}

impl Impact<'_, '_> {
    /// Returns where the traffic goes afterwards.
    pub fn outcome(&self) -> &Outcome {
        self.after.as_ref().unwrap_or(&self.class.before)
    }

    /// Returns whether requests were answered before, and none is now.
    pub fn is_cut_off(&self) -> bool {
        self.is_unreachable && !self.was_unreachable
    }

    /// Returns how much of the destination's traffic is sent to other hosts without leaving its place
    /// (locality and cluster), in percent; computed when called. To which endpoint a gateway sends on is
    /// its own affair.
    pub fn moved_within(&self) -> f64 {
        let Some(after) = &self.after else { return 0.0 };
        let both = [(&self.class.before, -1.0), (after, 1.0)];
        let parts = both.map(|(outcome, _)| Parts::of(&outcome.assignment));
        let mut change: BTreeMap<_, f64> = BTreeMap::new();
        for ((outcome, sign), parts) in both.into_iter().zip(&parts) {
            let hosts = outcome.assignment.endpoints().zip(outcome.shares.endpoints());
            for (place, (host, share)) in parts.of_each().zip(hosts) {
                *change.entry((place, host.target().dialled())).or_default() += sign * share;
            }
        }
        let change: Vec<_> =
            change.into_iter().map(|((place, _), change)| (place, change)).collect();
        let of_places = change.chunk_by(|(place, _), (other, _)| place == other);
        // What its hosts lose that no other place wins.
        let within = |of_place: &[(_, f64)]| {
            let won: f64 = of_place.iter().map(|(_, change)| change.max(0.0)).sum();
            let left: f64 = of_place.iter().map(|(_, change)| f64::max(-change, 0.0)).sum();
            won.min(left)
        };
        let within: f64 = of_places.map(within).sum();
        if within > NOTHING { within } else { 0.0 }
    }

    /// Returns whether there is anything to tell.
    pub fn is_felt(&self) -> bool {
        !self.shift.moved.is_empty()
            || self.is_cut_off()
            || !self.overloaded.is_empty()
            || self.moved_within() > 0.0
    }
}

impl<'m> Survey<'m> {
    /// Computes what a failure does to every class of every destination, in the order of the survey.
    /// An endpoint is overloaded if it carries more than `limit` times what the busiest comparable one
    /// of its destination (a host, a port and a subset) carries before, for all classes together: under
    /// whatever rule, from whatever control plane and however a Sidecar narrows the service.
    pub fn impact<'s>(&'s self, scenario: &Scenario, limit: f64) -> Vec<Impact<'s, 'm>> {
        let classes = self.destinations().iter().map(|surveyed| surveyed.classes.len());
        let mut impacts = Vec::with_capacity(classes.sum());
        // By control plane; there are few.
        let mut fallen: Vec<(&ControlPlane, Fallen<'m>)> = Vec::new();
        let mut told = Vec::new();
        for crowd in self.crowds() {
            let start = impacts.len();
            for (surveyed, renumbered) in crowd.members(self.destinations()) {
                let Some(first) = surveyed.classes.first() else { continue };
                let (mesh, plane) = (first.view.mesh(), first.view.plane());
                let at = fallen.iter().position(|(known, _)| std::ptr::eq(*known, plane));
                let at = at.unwrap_or_else(|| {
                    fallen.push((plane, scenario.fallen(mesh, plane)));
                    fallen.len() - 1
                });
                let Some((_, fallen)) = fallen.get(at) else { continue };
                let view = (&first.view, fallen);
                let after = scenario.with_failed(view, &surveyed.destination, |failed| {
                    if failed.is_nothing() {
                        let classes = surveyed.classes.iter();
                        impacts.extend(classes.map(|class| untouched(surveyed, class)));
                        None
                    } else {
                        Some(touched(surveyed, failed, &mut impacts))
                    }
                });
                told.push(Told { surveyed, renumbered, after, end: impacts.len() - start });
            }
            let carriers = crowd.carriers(self.destinations());
            let is_touched = told.iter().any(|told| told.after.is_some());
            if let Some(carriers) = carriers.filter(|_| is_touched) {
                let impacts = impacts.get_mut(start..).unwrap_or_default();
                add_overloaded(&told, carriers, limit, impacts);
            }
            told.clear();
        }
        impacts
    }
}

/// A destination after the failure.
struct Told<'s, 'm> {
    surveyed: &'s Surveyed<'m>,
    renumbered: Renumbered<'s>,
    /// What outcomes have in common then; `None`: as before.
    after: Option<Outcomes>,
    /// Where its impacts end among those of its crowd.
    end: usize,
}

impl Told<'_, '_> {
    fn before(&self) -> &[Common] {
        self.surveyed.before.commons()
    }

    fn after(&self) -> &[Common] {
        self.after.as_ref().unwrap_or(&self.surveyed.before).commons()
    }
}

fn touched<'s, 'm>(
    surveyed: &'s Surveyed<'m>,
    failed: &Failed<'_>,
    impacts: &mut Vec<Impact<'s, 'm>>,
) -> Outcomes {
    let Surveyed { destination, carriers, before, .. } = surveyed;
    // Endpoints that are only unhealthy keep their numbers.
    let renumbered = failed.moved_shards().map(|shards| carriers.numbers_of(shards));
    let numbers = renumbered.as_ref().unwrap_or(carriers.numbers());
    let mut after = Outcomes::default();
    let outcomes: Vec<(Outcome, usize)> = surveyed
        .classes
        .iter()
        .map(|class| {
            let by = (class.before.discovery, class.before.spread);
            after.add((&class.view, destination), failed, by, numbers)
        })
        .collect();
    let commons = before.commons().iter().chain(after.commons());
    let places = Places::of(commons.map(Common::parts));
    let (before, sides) = (Side::new(before, &places), Side::new(&after, &places));
    let start = impacts.len();
    for (class, (outcome, common)) in surveyed.classes.iter().zip(outcomes) {
        let both = before.get(class.common).zip(sides.get(common));
        let Some(((before, of_before), (after, of_after))) = both else { continue };
        let (shares_before, shares) = (&class.before.shares, &outcome.shares);
        let last = impacts.get(start..).and_then(<[_]>::last).filter(|last| {
            last.class.before.shares.is_same(shares_before) && last.outcome().shares.is_same(shares)
        });
        let shift = match last {
            Some(last) => last.shift.clone(),
            None => places.shift((of_before, shares_before), (of_after, shares)),
        };
        // Where clients choose by themselves and none is known any more, there is nothing to ask for.
        let is_gone = before.is_asked_for(&class.before) && !after.is_asked_for(&outcome);
        impacts.push(Impact {
            destination,
            class,
            shift,
            is_unreachable: is_gone || after.is_unreachable(&outcome),
            was_unreachable: before.is_unreachable(&class.before),
            after: Some(outcome),
            overloaded: Vec::new(),
            common,
        });
    }
    after
}

/// Sums what endpoints carry over the clients of a crowd, and tells each class which of those that it
/// sends to carry too much.
fn add_overloaded(
    told: &[Told<'_, '_>],
    carriers: &Carriers<'_>,
    limit: f64,
    impacts: &mut [Impact<'_, '_>],
) {
    let mut carried = Carried::new(carriers);
    let mut start = 0;
    for one in told {
        let commons = one.before().iter().chain(one.after.iter().flat_map(Outcomes::commons));
        commons.for_each(|common| carried.compare(common, one.renumbered));
        for impact in impacts.get(start..one.end).unwrap_or_default() {
            let (class, after) = (impact.class, impact.outcome());
            let before = one.before().get(class.common);
            let Some((before, common)) = before.zip(one.after().get(impact.common)) else {
                continue;
            };
            let sides = ((before, &class.before.shares), (common, &after.shares));
            carried.add(sides.0, sides.1, (class.n_proxies, one.renumbered));
        }
        start = one.end;
    }
    let overloaded = carried.overloaded(limit);
    if overloaded.is_empty() {
        return;
    }
    let mut start = 0;
    for one in told {
        for impact in impacts.get_mut(start..one.end).unwrap_or_default() {
            let Some(common) = one.after().get(impact.common) else { continue };
            let shares = impact.outcome().shares.endpoints();
            let is_sent = |portion: &&Portion| {
                shares.get(portion.sent_to).is_some_and(|share| share * portion.fraction > 0.0)
            };
            let sent = common.portions().iter().filter(is_sent);
            let sent: BTreeSet<usize> =
                sent.filter_map(|portion| index(portion, one.renumbered)).collect();
            let own = overloaded.iter().filter(|(index, _)| sent.contains(index));
            impact.overloaded = own.map(|(_, one)| one.clone()).collect();
        }
        start = one.end;
    }
}

/// What outcomes before or after have in common, with the numbers of places.
struct Side<'c> {
    commons: &'c [Common],
    numbered: Vec<Numbered>,
}

impl<'c> Side<'c> {
    fn new(outcomes: &'c Outcomes, places: &Places<'_>) -> Self {
        let commons = outcomes.commons();
        Self {
            commons,
            numbered: commons.iter().map(|common| places.numbers(common.parts())).collect(),
        }
    }

    fn get(&self, at: usize) -> Option<(&'c Common, &Numbered)> {
        self.commons.get(at).zip(self.numbered.get(at))
    }
}

fn untouched<'s, 'm>(surveyed: &'s Surveyed<'m>, class: &'s SurveyedClass<'m>) -> Impact<'s, 'm> {
    let destination = &surveyed.destination;
    let common = surveyed.before.commons().get(class.common);
    let is_unreachable = common.is_some_and(|common| common.is_unreachable(&class.before));
    Impact {
        destination,
        class,
        after: None,
        shift: Shift::default(),
        is_unreachable,
        was_unreachable: is_unreachable,
        overloaded: Vec::new(),
        common: class.common,
    }
}
