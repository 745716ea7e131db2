//! Route configurations.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{
    HeaderMatcher, RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, WeightedCluster,
};
use mesh_envoy_proto::envoy::extensions::filters::http as http_filters;
use mesh_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost_types::{Any, Duration};

use super::{Refused, demand, refuse};

/// Takes or refuses a route configuration.
///
/// # Errors
///
/// Where a gRPC client refuses it: a match that it does not know, weights that come to nothing, or a
/// filter's configuration that is not its own.
pub fn routes(routes: &RouteConfiguration) -> Result<(), Refused> {
    demand(!routes.name.is_empty(), "a route configuration has no name")?;
    hosts(routes)
}

/// The virtual hosts; inline configurations need no name.
pub(super) fn hosts(routes: &RouteConfiguration) -> Result<(), Refused> {
    for host in &routes.virtual_hosts {
        host.routes.iter().try_for_each(route)?;
        host.retry_policy.as_ref().map_or(Ok(()), retries)?;
        overrides(&host.typed_per_filter_config)?;
    }
    Ok(())
}

fn route(route: &Route) -> Result<(), Refused> {
    let Some(condition) = &route.r#match else { return refuse("a route has no match") };
    // Routes that ask for query parameters are not there for gRPC.
    if !condition.query_parameters.is_empty() {
        return Ok(());
    }
    matching(condition)?;
    if let Some(Action::Route(forward)) = &route.action {
        let is_understood = action(forward)?;
        if !is_understood {
            return Ok(());
        }
    }
    overrides(&route.typed_per_filter_config)
}

fn matching(condition: &RouteMatch) -> Result<(), Refused> {
    match &condition.path_specifier {
        Some(PathSpecifier::Prefix(_) | PathSpecifier::Path(_)) => {}
        Some(PathSpecifier::SafeRegex(regex)) => expression(&regex.regex)?,
        Some(_) => return refuse("a path match is not supported"),
        None => return refuse("a route has no path match"),
    }
    condition.headers.iter().try_for_each(header)
}

fn expression(text: &str) -> Result<(), Refused> {
    demand(regex::Regex::new(text).is_ok(), "an expression cannot be read")
}

fn header(header: &HeaderMatcher) -> Result<(), Refused> {
    use HeaderMatchSpecifier as Spec;
    match &header.header_match_specifier {
        Some(Spec::SafeRegexMatch(regex)) => expression(&regex.regex),
        Some(Spec::StringMatch(matcher)) => match &matcher.match_pattern {
            Some(MatchPattern::SafeRegex(regex)) => expression(&regex.regex),
            Some(
                MatchPattern::Prefix(text)
                | MatchPattern::Suffix(text)
                | MatchPattern::Contains(text),
            ) => demand(!text.is_empty(), "a part of a header is empty"),
            Some(MatchPattern::Exact(_)) => Ok(()),
            Some(_) | None => refuse("a header match is not supported"),
        },
        Some(
            Spec::ExactMatch(_)
            | Spec::RangeMatch(_)
            | Spec::PresentMatch(_)
            | Spec::PrefixMatch(_)
            | Spec::SuffixMatch(_)
            | Spec::ContainsMatch(_),
        ) => Ok(()),
        None => refuse("a header match is not supported"),
    }
}

/// Says whether the route is there at all for gRPC.
fn action(action: &RouteAction) -> Result<bool, Refused> {
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(_)) => {}
        Some(ClusterSpecifier::WeightedClusters(weighted)) => weights(weighted)?,
        Some(_) | None => return Ok(false),
    }
    action.retry_policy.as_ref().map_or(Ok(()), retries)?;
    Ok(true)
}

fn weights(weighted: &WeightedCluster) -> Result<(), Refused> {
    let given = weighted.clusters.iter().map(|cluster| cluster.weight.unwrap_or(0));
    let total: u64 = given.map(u64::from).sum();
    demand(total <= u64::from(u32::MAX), "the weights are above 4294967295")?;
    demand(total != 0, "all weights are 0")?;
    let counted = weighted.clusters.iter().filter(|cluster| cluster.weight.unwrap_or(0) != 0);
    counted.into_iter().try_for_each(|cluster| overrides(&cluster.typed_per_filter_config))
}

fn retries(policy: &RetryPolicy) -> Result<(), Refused> {
    demand(policy.num_retries != Some(0), "`num_retries` is 0")?;
    let Some(back_off) = &policy.retry_back_off else { return Ok(()) };
    let is_positive = |time: &Duration| (time.seconds, time.nanos) > (0, 0);
    let base = back_off.base_interval.as_ref().is_some_and(is_positive);
    let max = back_off.max_interval.as_ref().is_none_or(is_positive);
    demand(base && max, "an interval of retries is not above 0")
}

/// Configurations of filters by route: only of filters that gRPC has.
fn overrides(configs: &BTreeMap<String, Any>) -> Result<(), Refused> {
    let known = [
        http_filters::fault::v3::HttpFault::type_url(),
        http_filters::rbac::v3::RbacPerRoute::type_url(),
        http_filters::stateful_session::v3::StatefulSessionPerRoute::type_url(),
    ];
    for config in configs.values() {
        let wrapped = config.to_msg::<mesh_envoy_proto::envoy::config::route::v3::FilterConfig>();
        let is_known = match wrapped {
            Ok(wrapper) => {
                let inner = wrapper.config.unwrap_or_default();
                wrapper.is_optional || known.contains(&inner.type_url)
            }
            Err(_) => known.contains(&config.type_url),
        };
        demand(is_known, "a filter of a route is not known")?;
    }
    Ok(())
}
