//! Weights that 32 bits do not hold.
//!
//! istiod multiplies the weights of a mesh with network gateways and sums them in 32 bits, which ends at the
//! largest number or wraps; Envoy refuses sums beyond 32 bits for ring hash and Maglev.
use std::cmp::Reverse;

use mesh_model::lint::Subject;
use mesh_model::manifest::Diagnostic;

use super::Case;
use crate::assign::Assignment;

/// `HZ-WEIGHT-OVERFLOW`: shares are not what weights say, or no endpoint is taken at all.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    if !may_overflow(case) {
        return None;
    }
    let assignment = Assignment::new(case.view, case.destination);
    let (service, port) = (&case.destination.service, &case.destination.port);
    let host = format!("`{}:{}`", service.hostname, port.number);
    let help = "make the weights of its endpoints smaller: only their proportions count";
    if let Some(excess) = assignment.excess(case.view, case.destination) {
        let message = format!(
            "{} for clients like {} of {host}, more than 32 bits hold: they refuse all its endpoints, keep those \
             that they had before, and have none after a start",
            excess.text(),
            case.client()
        );
        let (subject, field) = heaviest(case);
        return Some(subject.error("HZ-WEIGHT-OVERFLOW", &field, (message, help)));
    }
    let of_locality = assignment.localities().find_map(|locality| {
        let found = locality.overflow()?;
        Some((format!("those of `{}` come to", locality.locality()), found))
    });
    let of_endpoint = || {
        assignment.endpoints().find_map(|endpoint| {
            let found = endpoint.overflow()?;
            Some((format!("that of `{}` comes to", endpoint.target().address()), found))
        })
    };
    let (what, found) = of_locality.or_else(of_endpoint)?;
    let message = format!(
        "32 bits do not hold the weights of {host}: for clients like {} {what} {}, and istiod's arithmetic leaves \
         {}: shares are not what weights say",
        case.client(),
        found.exact,
        found.weight
    );
    let (subject, field) = heaviest(case);
    Some(subject.warning("HZ-WEIGHT-OVERFLOW", &field, (message, help)))
}

/// Where the largest weight is written, the first of equal ones; at the service where pods alone have none.
fn heaviest(case: &Case<'_, '_>) -> (Subject, String) {
    let service = &case.destination.service;
    let shards = case.view.shards(service).into_iter();
    let endpoints = shards.flat_map(|shards| shards.endpoints());
    // Of equal ones `max_by_key` has the last.
    let heaviest = endpoints.min_by_key(|endpoint| Reverse(endpoint.weight));
    let (mesh, plane) = (case.view.mesh(), &case.view.plane().id);
    let written =
        heaviest.and_then(|endpoint| Subject::of_machine(mesh, plane, (service, endpoint)));
    match written {
        Some((subject, path)) => (subject, format!("{path}.weight")),
        None => (case.subject(), case.port_field()),
    }
}

/// Whether the weights of the service are so large at all.
fn may_overflow(case: &Case<'_, '_>) -> bool {
    let shards = case.view.shards(&case.destination.service);
    let shards = shards.into_iter().flat_map(|shards| shards.iter());
    let cohorts = shards.flat_map(|shard| shard.cohorts());
    let kinds = cohorts.flat_map(|of| of.cohort().kinds());
    let whole: u128 = kinds.map(|kind| u128::from(kind.weight) * u128::from(kind.len)).sum();
    let scale = u128::from(case.view.gateways(false).weight_scale_factor().max(1));
    // A share in percent multiplies once more.
    whole * scale * 100 + scale >= u128::from(u32::MAX)
}
