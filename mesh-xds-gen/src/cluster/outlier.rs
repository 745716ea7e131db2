//! When an endpoint is left out for a while, and when all of them are used nevertheless.
use mesh_envoy_proto::envoy::config::cluster::v3;
use mesh_envoy_proto::envoy::config::common::matcher::v3::{
    HttpHeadersMatch, MatchPredicate, match_predicate,
};
use mesh_envoy_proto::envoy::config::route::v3::{HeaderMatcher, header_matcher};
use mesh_envoy_proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};
use mesh_lb::assign::supports_unhealthy_endpoints;
use mesh_model::compat::Flags;
use mesh_model::registry::TrafficDistribution;
use mesh_model::resource::destination_rule::OutlierDetection;

use super::connection_pool::positive;
use super::wire;

/// Returns outlier detection as Envoy reads it: never by success rate, and a count of 0 turns that
/// kind of error off.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyOutlierDetection`.
pub fn detection(rule: &OutlierDetection) -> v3::OutlierDetection {
    let enforced = |count: u32| if count > 0 { 100 } else { 0 };
    let mut detection = v3::OutlierDetection {
        enforcing_success_rate: Some(0),
        consecutive_5xx: rule.consecutive_5xx_errors,
        enforcing_consecutive_5xx: rule.consecutive_5xx_errors.map(enforced),
        consecutive_gateway_failure: rule.consecutive_gateway_errors,
        enforcing_consecutive_gateway_failure: rule.consecutive_gateway_errors.map(enforced),
        interval: rule.interval.map(wire::duration),
        base_ejection_time: rule.base_ejection_time.map(wire::duration),
        max_ejection_percent: positive(rule.max_ejection_percent),
        ..v3::OutlierDetection::default()
    };
    if rule.split_external_local_origin_errors {
        let count = rule.consecutive_local_origin_failures.filter(|&count| count > 0);
        detection.split_external_local_origin_errors = true;
        detection.consecutive_local_origin_failure = count;
        detection.enforcing_consecutive_local_origin_failure = count.map(enforced);
        detection.enforcing_local_origin_success_rate = Some(0);
    }
    detection
}

/// Returns the share of healthy endpoints, in percent, below which Envoy uses all of them; `None`
/// is Envoy's own, 50.
///
/// Where unhealthy endpoints are sent it is 0, or Envoy would use them, unless the rule asks for
/// more.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyOutlierDetection`,
/// `applyLoadBalancer`; `pilot/pkg/model/service.go` `ForcesSupportUnhealthyEndpoints`.
pub fn healthy_panic_threshold(
    rule: Option<&OutlierDetection>,
    distribution: TrafficDistribution,
    flags: &Flags,
) -> Option<f64> {
    // Those that are sent even where the rule lets Envoy panic.
    let is_forced = supports_unhealthy_endpoints(flags, distribution, i32::MAX);
    let least = rule.map(|rule| rule.min_health_percent).filter(|&percent| percent >= 0);
    match least {
        Some(_) if is_forced => Some(0.0),
        Some(percent) => Some(f64::from(percent)),
        None => supports_unhealthy_endpoints(flags, distribution, 0).then_some(0.0),
    }
}

/// Returns what answers count as errors: those with one of the codes, of which there is at least
/// one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go`
/// `applyOutlierDetectionErrorCodes`.
pub(super) fn error_matcher(codes: &[u32]) -> MatchPredicate {
    if let [code] = codes {
        return status_matcher(*code);
    }
    let rules = codes.iter().copied().map(status_matcher).collect();
    let any = match_predicate::Rule::OrMatch(match_predicate::MatchSet { rules });
    MatchPredicate { rule: Some(any) }
}

fn status_matcher(code: u32) -> MatchPredicate {
    let exact = string_matcher::MatchPattern::Exact(code.to_string());
    let text = StringMatcher { match_pattern: Some(exact), ..StringMatcher::default() };
    let header = HeaderMatcher {
        name: ":status".to_owned(),
        header_match_specifier: Some(header_matcher::HeaderMatchSpecifier::StringMatch(text)),
        ..HeaderMatcher::default()
    };
    let headers = HttpHeadersMatch { headers: vec![header] };
    MatchPredicate { rule: Some(match_predicate::Rule::HttpResponseHeadersMatch(headers)) }
}
