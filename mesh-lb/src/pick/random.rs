//! Random: every host alike, whatever its weight.
use crate::number::index;

/// Returns one of `hosts` hosts, none if there are none.
///
/// `draw` is the same random number that chose the priority: the two choices are correlated.
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/random/random_lb.cc`,
/// `RandomLoadBalancer::peekOrChoose`.
pub fn pick(draw: u64, hosts: usize) -> Option<usize> {
    index(draw, hosts)
}
