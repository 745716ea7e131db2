//! istio/istio#56355: a gateway of a cluster that spans localities loses weight.
//!
//! istiod writes the gateway once for each locality behind it, with that locality's weight; Envoy keeps
//! the first of hosts with one address, and the weights of the others are lost.
use mesh_model::manifest::Diagnostic;

use super::Case;

/// `HZ-GW-WEIGHTS`: the remote cluster gets less than its endpoints are worth.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let (now, mended) = case.difference(|compat| compat.fixes.gateway_weights = true)?;
    let message = format!(
        "a remote cluster spans localities behind one gateway, whose weights are lost but for the \
         first locality's: clients of {} send `{}` {now}, by the endpoints it would be {mended}",
        case.client(),
        case.destination.service.hostname
    );
    let help = "give each locality a gateway of its own, or switch `fixes.gateway_weights` on \
                (istio/istio#56355)";
    Some(case.subject().warning("HZ-GW-WEIGHTS", "", (message, help)))
}
