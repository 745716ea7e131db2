//! What a failure does to all that was surveyed.
use mesh_model::endpoint::{Endpoint, HealthStatus, Shards};
use mesh_model::view::Destination;

use super::outcome::Cell;
use super::scenario::Failed;
use super::survey::{Survey, Surveyed, SurveyedClass};
use super::{Carried, Outcome, Scenario, Shift};
use crate::assign::{ClusterForm, supports_unhealthy_endpoints};
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
                self.touched(surveyed, (scenario, &failed), limit, &mut impacts);
            }
        }
        impacts
    }

    fn touched<'s>(
        &self,
        surveyed: &'s Surveyed<'m>,
        (scenario, failed): (&Scenario, &Failed<'_>),
        limit: f64,
        impacts: &mut Vec<Impact<'s, 'm>>,
    ) {
        let destination = &surveyed.destination;
        let keeps_order = keeps_assignment(surveyed, failed);
        let mut carried = Carried::new(self.mesh);
        let start = impacts.len();
        for class in &surveyed.classes {
            let after = if keeps_order {
                scenario.with_same_assignment(&class.before, failed)
            } else {
                scenario.outcome_of(&class.view, destination, failed)
            };
            carried.add(&class.before, &after, class.n_proxies);
            let cells: Vec<Cell> = after.cells();
            impacts.push(Impact {
                destination,
                class,
                shift: Shift::of_cells(&class.cells, &cells),
                is_unreachable: after.is_unreachable(destination),
                after: Some(after),
                overloaded: Vec::new(),
            });
        }
        let overload = carried.overloaded(limit);
        if overload.overloaded.is_empty() {
            return;
        }
        for impact in impacts.iter_mut().skip(start) {
            let carries = |one: &&Overloaded| impact.outcome().sends_to(&one.address);
            impact.overloaded = overload.overloaded.iter().filter(carries).cloned().collect();
        }
    }
}

fn untouched<'s, 'm>(surveyed: &'s Surveyed<'m>, class: &'s SurveyedClass<'m>) -> Impact<'s, 'm> {
    let destination = &surveyed.destination;
    Impact {
        destination,
        class,
        after: None,
        shift: Shift::default(),
        is_unreachable: class.before.is_unreachable(destination),
        overloaded: Vec::new(),
    }
}

/// Whether endpoints that fail stay where they are, only unhealthy: such are sent, and what fails was
/// sent before.
fn keeps_assignment(surveyed: &Surveyed<'_>, failed: &Failed<'_>) -> bool {
    let Some(class) = surveyed.classes.first() else { return false };
    let destination = &surveyed.destination;
    let policy = destination.policy.as_deref();
    let outlier_detection = policy.and_then(|policy| policy.outlier_detection.as_ref());
    let was_fit = |endpoint: &Endpoint| match endpoint.health {
        HealthStatus::Unknown | HealthStatus::Healthy | HealthStatus::Unhealthy => true,
        HealthStatus::Draining | HealthStatus::Terminating => false,
    };
    failed.only_changes_health()
        && failed.endpoints().all(was_fit)
        && supports_unhealthy_endpoints(
            &class.view.mesh().compat().flags,
            destination.service.traffic_distribution,
            outlier_detection.map_or(0, |block| block.min_health_percent),
        )
}
