//! istio/istio#49500: a gateway has none of the labels of the endpoints behind it.
//!
//! `failoverPriority` compares labels; a gateway has those of its cluster and network only, so remote
//! endpoints never match any other.
use mesh_model::manifest::Diagnostic;

use super::Case;

/// `HZ-GW-LABELS`: the order of failover is another than the labels say.
pub(super) fn check(case: &Case<'_, '_>) -> Option<Diagnostic> {
    let found = case.difference(|compat| compat.fixes.gateway_labels = true)?;
    let message = format!(
        "failoverPriority does not see labels behind gateways: {}, by the labels it would be {}",
        found.now, found.mended
    );
    let help =
        "rank by network or cluster, or switch `fixes.gateway_labels` on (istio/istio#49500)";
    Some(case.subject().warning("HZ-GW-LABELS", "", (message, help)))
}
