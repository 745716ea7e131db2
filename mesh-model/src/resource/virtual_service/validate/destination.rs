//! Where requests go, and in which shares.
use super::super::{Destination, Headers};
use super::header_operations;
use crate::resource::destination_rule;
use crate::resource::validate::{Violations, host, port};

/// Checks a host with its port and subset.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateDestination`.
pub(in crate::resource) fn check(violations: &mut Violations, destination: &Destination) {
    if *destination.host == *"*" {
        let message = "requests go to a host, not to all of them";
        violations.error_at("host", "DEST-WILDCARD", message, "name the host");
    } else {
        violations.take_at("host", host::wildcard_domain(&destination.host));
    }
    if !destination.subset.is_empty() {
        violations.take_at("subset", destination_rule::subset_name(&destination.subset));
    }
    if let Some(selector) = &destination.port {
        violations.take_at("port.number", port::number(selector.number));
    }
}

/// A destination with its share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighted<'r> {
    pub(super) destination: Option<&'r Destination>,
    pub(super) weight: i32,
    pub(super) headers: Option<&'r Headers>,
}

/// Checks the destinations of a route.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPRouteDestinations`,
/// `validateRouteDestinations`.
pub(super) fn weighted(violations: &mut Violations, destinations: &[Weighted<'_>]) {
    violations.field("route", |violations| {
        violations.each(destinations, |violations, entry| {
            required(violations, entry.destination);
            header_operations::check(violations, entry.headers);
            if entry.weight < 0 {
                let message = format!("the weight `{}` is negative", entry.weight);
                violations.error_at("weight", "WEIGHT-NEGATIVE", &message, "write 0 or more");
            }
        });
        // Upstream's sum wraps around.
        let total = destinations.iter().fold(0_i32, |sum, entry| sum.wrapping_add(entry.weight));
        if destinations.len() > 1 && total == 0 {
            let message = "the weights of the destinations are 0 together";
            violations.error("WEIGHT-TOTAL-ZERO", message, "give one of them a weight");
        }
    });
}

/// Checks the field `destination`, which must be given.
pub(super) fn required(violations: &mut Violations, destination: Option<&Destination>) {
    match destination {
        Some(destination) => {
            violations.field("destination", |violations| check(violations, destination));
        }
        None => {
            let message = "the entry has no destination";
            violations.error("DEST-REQUIRED", message, "add `destination.host`");
        }
    }
}
