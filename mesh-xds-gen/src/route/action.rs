//! Requests that are forwarded: where to, how long, how often.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `applyHTTPRouteDestination`.
use mesh_envoy_proto::envoy::config::route::v3::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
};
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::weighted_cluster::{ClusterWeight, cluster_weight};
use mesh_envoy_proto::envoy::config::route::v3::{RouteAction, RouteMatch, WeightedCluster};
use mesh_envoy_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use mesh_model::compat::DataPlane;
use mesh_model::name::Duration;
use mesh_model::resource::virtual_service::{
    Destination, HttpRoute, HttpRouteDestination, Rewrite, Semantics,
};

use super::headers::Changes;
use super::retry::PreviousHosts;
use super::translate::Translation;
use super::value::{duration, regex};
use super::{hash_policy, mirror, retry};

/// The action of a route; header changes of a single destination join those of the route.
pub(super) fn forward(
    translation: &Translation<'_>,
    http: &HttpRoute,
    semantics: Semantics,
    condition: &RouteMatch,
    changes: &mut Changes,
) -> RouteAction {
    let mut action = RouteAction {
        request_mirror_policies: mirror::policies(http, translation),
        ..Default::default()
    };
    set_timeout(&mut action, http.timeout, translation.proxy.data_plane);
    if semantics == Semantics::Gateway {
        let code = ClusterNotFoundResponseCode::InternalServerError;
        action.cluster_not_found_response_code = code.into();
    }
    let mut authority = std::mem::take(&mut changes.authority);
    if let Some(rewrite) = &http.rewrite {
        action.append_x_forwarded_host = translation.headers.x_forwarded_host;
        rewrite_path(&mut action, rewrite, semantics, condition);
        if !rewrite.authority.is_empty() {
            authority = rewrite.authority.to_string();
        }
    }
    let mut previous_hosts = PreviousHosts::Avoided;
    if let [only] = http.route.as_slice() {
        if single(&mut action, translation, only, changes, &mut authority) {
            previous_hosts = PreviousHosts::Kept;
        }
    } else {
        weighted(&mut action, translation, &http.route);
    }
    if !authority.is_empty() {
        let literal = HostRewriteSpecifier::HostRewriteLiteral(authority);
        action.host_rewrite_specifier = Some(literal);
    }
    let policy = http.retries.as_ref().or(translation.default_retry);
    action.retry_policy = retry::policy(policy, previous_hosts);
    action
}

/// The limit of a whole request; none is written as zero.
pub(super) fn set_timeout(action: &mut RouteAction, limit: Option<Duration>, plane: DataPlane) {
    let limit = duration(limit.unwrap_or(Duration::ZERO));
    action.timeout = Some(limit);
    match plane {
        DataPlane::Grpc => {
            let max_stream_duration = Some(limit);
            action.max_stream_duration =
                Some(MaxStreamDuration { max_stream_duration, ..Default::default() });
        }
        DataPlane::IstioProxy | DataPlane::Envoy | DataPlane::Ztunnel => {
            action.max_grpc_timeout = Some(limit);
        }
    }
}

fn rewrite_path(
    action: &mut RouteAction,
    rewrite: &Rewrite,
    semantics: Semantics,
    condition: &RouteMatch,
) {
    if let Some(substitution) = &rewrite.uri_regex_rewrite {
        action.regex_rewrite = Some(RegexMatchAndSubstitute {
            pattern: Some(regex(&substitution.pattern)),
            substitution: substitution.rewrite.to_string(),
        });
    } else if semantics == Semantics::Gateway && *rewrite.uri == *"/" {
        let prefix = separated_prefix(condition);
        // The slash stays where all of the path goes.
        action.regex_rewrite = Some(RegexMatchAndSubstitute {
            pattern: Some(regex(&format!("^{}(/?)(.*)", quoted(prefix)))),
            substitution: r"/\2".to_owned(),
        });
    } else {
        action.prefix_rewrite = rewrite.uri.to_string();
    }
}

/// The prefix of whole segments that a route is for, empty for any other condition.
fn separated_prefix(condition: &RouteMatch) -> &str {
    if let Some(PathSpecifier::PathSeparatedPrefix(prefix)) = &condition.path_specifier {
        return prefix;
    }
    ""
}

/// The text as an RE2 expression that matches only it.
fn quoted(text: &str) -> String {
    let escape = |c: char| r"\.+*?()|[]{}^$".contains(c).then_some('\\').into_iter().chain([c]);
    text.chars().flat_map(escape).collect()
}

/// One destination gets everything, whatever its weight; says whether it has a consistent hash.
fn single(
    action: &mut RouteAction,
    translation: &Translation<'_>,
    to: &HttpRouteDestination,
    changes: &mut Changes,
    authority: &mut String,
) -> bool {
    action.cluster_specifier = Some(ClusterSpecifier::Cluster(cluster(translation, to)));
    let own = Changes::of(to.headers.as_ref());
    changes.request_add.extend(own.request_add);
    changes.request_remove.extend(own.request_remove);
    changes.response_add.extend(own.response_add);
    changes.response_remove.extend(own.response_remove);
    if authority.is_empty() {
        *authority = own.authority;
    }
    let hash = translation.hash(to.destination.as_ref());
    action.hash_policy.extend(hash.and_then(hash_policy::policy));
    hash.is_some()
}

/// Destinations by weight; those of weight 0 are left out.
fn weighted(
    action: &mut RouteAction,
    translation: &Translation<'_>,
    destinations: &[HttpRouteDestination],
) {
    let mut clusters = Vec::new();
    for to in destinations.iter().filter(|to| to.weight != 0) {
        let own = Changes::of(to.headers.as_ref());
        let literal = (!own.authority.is_empty())
            .then_some(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral(own.authority));
        clusters.push(ClusterWeight {
            name: cluster(translation, to),
            weight: Some(u32::try_from(to.weight).unwrap_or_default()),
            request_headers_to_add: own.request_add,
            request_headers_to_remove: own.request_remove,
            response_headers_to_add: own.response_add,
            response_headers_to_remove: own.response_remove,
            host_rewrite_specifier: literal,
            ..Default::default()
        });
        let hash = translation.hash(to.destination.as_ref());
        action.hash_policy.extend(hash.and_then(hash_policy::policy));
    }
    let clusters = WeightedCluster { clusters, ..Default::default() };
    action.cluster_specifier = Some(ClusterSpecifier::WeightedClusters(clusters));
}

/// The cluster of an entry; one without destination means nothing.
fn cluster(translation: &Translation<'_>, to: &HttpRouteDestination) -> String {
    match &to.destination {
        Some(destination) => translation.cluster(destination),
        None => translation.cluster(&Destination::default()),
    }
}
