//! The arithmetic of weights: `u32`, with upstream's mixture of wrapping and saturating.

/// The weight of a locality whose endpoints were dropped, aggregated or split: the wrapping sum,
/// `None` if none is left.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `refreshWeight`.
pub(super) fn refreshed(weights: impl IntoIterator<Item = u32>) -> Option<u32> {
    weights.into_iter().fold(None, |sum, weight| Some(sum.unwrap_or(0_u32).wrapping_add(weight)))
}

/// Scales an endpoint's weight so that lists of gateways can share it evenly; clips to the largest
/// weight from `floor(u32::MAX / factor)` on.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `scaleEndpointLBWeight`.
pub(super) fn scaled(weight: u32, factor: u32) -> u32 {
    match u32::MAX.checked_div(factor) {
        None => weight,
        Some(_) if weight == 0 => factor,
        Some(limit) if weight < limit => weight.saturating_mul(factor),
        Some(_) => u32::MAX,
    }
}

/// The part of `share` that falls to one of several localities that share it by their weights,
/// rounded up; `None` where upstream leaves the weight as it was.
///
/// The product wraps as upstream's does. A `total` that wrapped to 0 has no meaning upstream (it
/// divides by zero and converts an infinity); here the weight stays.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `applyLocalityWeights`. It
/// divides as `float64`, which is exact enough that rounding up gives what integers give.
pub(super) fn apportioned(share: u32, weight: u32, total: u32) -> Option<u32> {
    let product = weight.wrapping_mul(share);
    (product > 0 && total > 0).then(|| product.div_ceil(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_so_that_they_may_exceed_the_whole() {
        assert_eq!([40, 20].map(|weight| apportioned(50, weight, 60)), [Some(34), Some(17)]);
        assert_eq!(apportioned(100, 1, 3), Some(34));
        assert_eq!(apportioned(0, 1, 3), None);
    }

    #[test]
    fn scaling_clips_at_the_largest_weight() {
        assert_eq!(scaled(715_827_882, 6), u32::MAX);
        assert_eq!(scaled(715_827_881, 6), 4_294_967_286);
        assert_eq!(refreshed([u32::MAX, 4_294_967_286]), Some(4_294_967_285));
        assert_eq!(refreshed([]), None);
    }
}
