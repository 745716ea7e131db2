//! Copies of requests.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `MirrorPercent`, `MirrorPercentByPolicy`,
//! `TranslateRequestMirrorPolicy`.
use mesh_envoy_proto::envoy::config::route::v3::route_action::RequestMirrorPolicy;
use mesh_envoy_proto::envoy::r#type::v3::FractionalPercent;
use mesh_model::resource::virtual_service::{Destination, HttpRoute, Percent};

use super::translate::Translation;
use super::value::{fraction, percent, whole_percent};

/// Who gets a copy: `mirror`, then `mirrors`.
pub(super) fn policies(
    route: &HttpRoute,
    translation: &Translation<'_>,
) -> Vec<RequestMirrorPolicy> {
    let first = route.mirror.as_ref().map(|mirror| (mirror, share_of_mirror(route)));
    let others = route.mirrors.iter().filter_map(|mirror| {
        Some((mirror.destination.as_ref()?, share(mirror.percentage.as_ref())))
    });
    first
        .into_iter()
        .chain(others)
        .filter_map(|(destination, share)| Some(policy(destination, share?, translation)))
        .collect()
}

fn policy(
    destination: &Destination,
    share: FractionalPercent,
    translation: &Translation<'_>,
) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: translation.cluster(destination),
        runtime_fraction: Some(fraction(share)),
        trace_sampled: Some(false),
        disable_shadow_host_suffix_append: true,
        ..Default::default()
    }
}

/// The share of `mirror`: its percentage, else the old whole number.
fn share_of_mirror(route: &HttpRoute) -> Option<FractionalPercent> {
    match (&route.mirror_percentage, route.mirror_percent) {
        (None, Some(whole)) => (whole > 0).then(|| whole_percent(whole)),
        (percentage, _) => share(percentage.as_ref()),
    }
}

/// The share; all where none is given, `None` for an explicit zero.
fn share(percentage: Option<&Percent>) -> Option<FractionalPercent> {
    match percentage {
        None => Some(whole_percent(100)),
        Some(value) => (value.value > 0.0).then(|| percent(value)),
    }
}
