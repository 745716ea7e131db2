//! What a failure does to all that was surveyed.
use mesh_model::endpoint::Shards;
use mesh_model::view::Destination;

use super::overload::{Carried, Received};
use super::scenario::Failed;
use super::survey::{Survey, Surveyed, SurveyedClass};
use super::{Outcome, Scenario, Shift};
use crate::assign::ClusterForm;
use crate::capacity::Overloaded;

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
    /// The endpoints that this class sends to and that carry too much then, all classes together.
    pub overloaded: Vec<Overloaded>,
}

impl Impact<'_, '_> {
    /// Returns where the traffic goes afterwards.
    pub fn outcome(&self) -> &Outcome {
        self.after.as_ref().unwrap_or(&self.class.before)
    }

    /// Returns whether there is anything to tell.
    pub fn is_felt(&self) -> bool {
        !self.shift.moved.is_empty() || self.is_unreachable || !self.overloaded.is_empty()
    }
}

impl<'m> Survey<'m> {
    /// Computes what a failure does to every class of every destination, in the order of the survey.
    /// An endpoint is overloaded if it carries more than `limit` times what the busiest comparable one
    /// of its destination carries before.
    pub fn impact<'s>(&'s self, scenario: &Scenario, limit: f64) -> Vec<Impact<'s, 'm>> {
        let mut impacts = Vec::new();
        let none = Shards::default();
        for surveyed in self.destinations() {
            let Some(first) = surveyed.classes.first() else { continue };
            let service = &surveyed.destination.service;
            let shards = first.view.shards(service).map_or(&none, AsRef::as_ref);
            let is_dns = ClusterForm::of(service.resolution) == ClusterForm::Dns;
            let gateways = first.view.gateways(is_dns);
            let failed = scenario.failed(shards, gateways, service.hostname.as_str());
            if failed.is_nothing() {
                impacts.extend(surveyed.classes.iter().map(|class| untouched(surveyed, class)));
            } else {
                touched(surveyed, (scenario, &failed), limit, &mut impacts);
            }
        }
        impacts
    }
}

fn touched<'s, 'm>(
    surveyed: &'s Surveyed<'m>,
    (scenario, failed): (&Scenario, &Failed<'_>),
    limit: f64,
    impacts: &mut Vec<Impact<'s, 'm>>,
) {
    let destination = &surveyed.destination;
    let carriers = &surveyed.carriers;
    let mut carried = Carried::new(carriers);
    let renumbered = failed.shards().map(|shards| carriers.numbers_of(shards));
    let numbers = renumbered.as_ref().unwrap_or(carriers.numbers());
    let start = impacts.len();
    let mut sent: Vec<Received> = Vec::with_capacity(surveyed.classes.len());
    for class in &surveyed.classes {
        let before = (class.before.discovery, class.before.spread);
        let after = scenario.outcome_of(&class.view, destination, failed, before);
        let received = numbers.received(&after);
        carried.add(&class.received, &received, class.n_proxies);
        sent.push(received);
        impacts.push(Impact {
            destination,
            class,
            shift: Shift::of_cells(&class.cells, &after.cells()),
            is_unreachable: after.is_unreachable(),
            after: Some(after),
            overloaded: Vec::new(),
        });
    }
    let overloaded = carried.overloaded(limit);
    if overloaded.is_empty() {
        return;
    }
    for (impact, sent) in impacts.iter_mut().skip(start).zip(&sent) {
        let is_sent =
            |number: u32| sent.iter().any(|(other, share)| *other == number && *share > 0.0);
        let own = overloaded.iter().filter(|(number, _)| is_sent(*number));
        impact.overloaded = own.map(|(_, one)| one.clone()).collect();
    }
}

fn untouched<'s, 'm>(surveyed: &'s Surveyed<'m>, class: &'s SurveyedClass<'m>) -> Impact<'s, 'm> {
    let destination = &surveyed.destination;
    Impact {
        destination,
        class,
        after: None,
        shift: Shift::default(),
        is_unreachable: class.before.is_unreachable(),
        overloaded: Vec::new(),
    }
}
