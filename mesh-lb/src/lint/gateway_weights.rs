//! istio/istio#56355: a gateway of endpoints in several localities loses weight.
//!
//! istiod writes the gateway once for each locality behind it, with that locality's weight; Envoy keeps
//! the first of hosts with one address, and the weights of the others are lost.
use mesh_model::manifest::Diagnostic;

use super::Case;

/// `HZ-GW-WEIGHTS`: a gateway gets less than the endpoints behind it are worth.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let found = case.difference(|compat| compat.fixes.gateway_weights = true)?;
    let message = format!(
        "several localities stand behind one gateway, whose weights are lost but for the first \
         locality's: {}, by the endpoints it would be {}",
        found.now, found.mended
    );
    let help = "switch `fixes.gateway_weights` on (istio/istio#56355); or give each locality a network and a \
                gateway of its own: gateways are chosen by network and cluster alone";
    Some(case.subject().warning("HZ-GW-WEIGHTS", &case.port_field(), (message, help)))
}
