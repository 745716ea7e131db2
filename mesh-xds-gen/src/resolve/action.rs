//! What the route that matches does.
//!
//! # Upstream
//!
//! envoyproxy/envoy `source/common/router/config_impl.cc` `RouteEntryImplBase`,
//! `source/extensions/filters/http/fault/fault_filter.cc`.
use std::collections::BTreeSet;
use std::time::Duration;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::{
    DataSource, HeaderValueOption, data_source, header_value_option::HeaderAppendAction,
};
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy,
};
use mesh_envoy_proto::envoy::config::route::v3::weighted_cluster::{ClusterWeight, cluster_weight};
use mesh_envoy_proto::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, VirtualHost,
};
use mesh_envoy_proto::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use mesh_envoy_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use mesh_envoy_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use mesh_envoy_proto::envoy::extensions::filters::network::redis_proxy::v3::RedisProxy;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use mesh_envoy_proto::envoy::r#type::v3::{FractionalPercent, fractional_percent::DenominatorType};

use super::condition::Seen;
use super::path::Rewrite;
use super::{Outcome, Reason, Resolution, redirect, span};

/// Envoy's limit for a request where a route says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
/// The filter that injects faults.
const FAULT: &str = "envoy.filters.http.fault";

/// Where a request is sent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Forward {
    /// The destinations and their shares, in the order of the route.
    pub destinations: Vec<Share>,
    /// The path that they see, if it is another.
    pub path: Option<String>,
    /// The host that they see, if it is another.
    pub host: Option<String>,
    /// How long a request may take; `None`: as long as it likes.
    pub timeout: Option<Duration>,
    /// How often a request is sent once more; 0: never.
    pub retries: u32,
    /// For which failures.
    pub retry_on: String,
    /// How long each try may take; `None`: as long as the request.
    pub per_try_timeout: Option<Duration>,
    /// Who gets a copy, and of which share of requests.
    pub mirrors: Vec<Share>,
    /// What is answered where the destination does not exist.
    pub not_found_status: u32,
}

/// A cluster and its part of the requests.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Share {
    /// The cluster.
    pub cluster: String,
    /// In percent.
    pub share: f64,
    /// Whether the proxy has the cluster.
    pub exists: bool,
    /// The host that this destination sees, if it is another.
    pub host: Option<String>,
    /// Header changes of this destination alone.
    pub changes: Changes,
}

/// How headers change.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Changes {
    /// Headers of the request that get a value, instead of those that they have.
    pub request_set: Vec<(String, String)>,
    /// Headers of the request that get one more value.
    pub request_add: Vec<(String, String)>,
    /// Headers of the request that go.
    pub request_remove: Vec<String>,
    /// As `request_set`, of the response.
    pub response_set: Vec<(String, String)>,
    /// As `request_add`, of the response.
    pub response_add: Vec<(String, String)>,
    /// As `request_remove`, of the response.
    pub response_remove: Vec<String>,
}

/// What is injected.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Fault {
    /// Requests that wait.
    pub delay: Option<Delay>,
    /// The status of HTTP or of gRPC that is answered, and to which share of requests, in percent.
    pub abort: Option<(AbortStatus, f64)>,
}

/// What an aborted request is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers print both")]
pub enum AbortStatus {
    /// A status of HTTP.
    Http(u32),
    /// A status of gRPC.
    Grpc(u32),
}

/// Requests that wait.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value that callers read")]
pub struct Delay {
    /// How long.
    pub fixed: Duration,
    /// Which share of requests, in percent.
    pub share: f64,
}

impl Changes {
    fn add(
        &mut self,
        request: &[HeaderValueOption],
        request_remove: &[String],
        response: &[HeaderValueOption],
        response_remove: &[String],
    ) {
        sort(request, &mut self.request_set, &mut self.request_add);
        sort(response, &mut self.response_set, &mut self.response_add);
        self.request_remove.extend_from_slice(request_remove);
        self.response_remove.extend_from_slice(response_remove);
    }
}

type Headers = Vec<(String, String)>;

fn sort(options: &[HeaderValueOption], set: &mut Headers, add: &mut Headers) {
    for option in options {
        let Some(header) = &option.header else { continue };
        let appends = option.append_action == i32::from(HeaderAppendAction::AppendIfExistsOrAdd);
        let list = if appends { &mut *add } else { &mut *set };
        list.push((header.key.clone(), header.value.clone()));
    }
}

/// A route with what is around it.
pub(super) struct Levels<'r> {
    pub(super) route: &'r Route,
    pub(super) host: &'r VirtualHost,
    pub(super) routes: &'r RouteConfiguration,
}

/// What a route that matches does.
pub(super) fn of_route(
    levels: &Levels<'_>,
    seen: &Seen<'_>,
    clusters: &[Cluster],
    found: Resolution,
) -> Resolution {
    let Levels { route, host, routes } = levels;
    let mut changes = Changes::default();
    // The innermost first, as Envoy does by default.
    changes.add(
        &route.request_headers_to_add,
        &route.request_headers_to_remove,
        &route.response_headers_to_add,
        &route.response_headers_to_remove,
    );
    changes.add(
        &host.request_headers_to_add,
        &host.request_headers_to_remove,
        &host.response_headers_to_add,
        &host.response_headers_to_remove,
    );
    changes.add(
        &routes.request_headers_to_add,
        &routes.request_headers_to_remove,
        &routes.response_headers_to_add,
        &routes.response_headers_to_remove,
    );
    let condition = route.r#match.as_ref();
    let (outcome, reason) = match &route.action {
        Some(Action::Route(action)) => {
            let forward = forward(action, levels, seen, &Known::new(clusters));
            (Outcome::Forwarded(Box::new(forward)), Reason::Route)
        }
        Some(Action::Redirect(action)) => {
            let redirected = redirect::of_action(seen, condition, action);
            (Outcome::Redirected(redirected), Reason::Route)
        }
        Some(Action::DirectResponse(response)) => {
            let body = response.body.as_ref().map(text).unwrap_or_default();
            (Outcome::Answered { status: response.status, body }, Reason::Route)
        }
        Some(_) | None => (Outcome::Closed, Reason::NoAction),
    };
    Resolution { route: route.name.clone(), outcome, fault: fault(route), changes, reason, ..found }
}

/// A body as text.
fn text(source: &DataSource) -> String {
    match &source.specifier {
        Some(data_source::Specifier::InlineString(text)) => text.clone(),
        Some(data_source::Specifier::InlineBytes(bytes)) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Some(_) | None => String::new(),
    }
}

/// The names of the clusters that the proxy has.
struct Known<'c>(BTreeSet<&'c str>);

impl<'c> Known<'c> {
    fn new(clusters: &'c [Cluster]) -> Self {
        Self(clusters.iter().map(|cluster| &*cluster.name).collect())
    }

    fn share(&self, cluster: &str, share: f64) -> Share {
        Share {
            cluster: cluster.to_owned(),
            share,
            exists: self.0.contains(cluster),
            host: None,
            changes: Changes::default(),
        }
    }
}

fn forward(
    action: &RouteAction,
    levels: &Levels<'_>,
    seen: &Seen<'_>,
    known: &Known<'_>,
) -> Forward {
    let destinations = match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => vec![known.share(name, 100.0)],
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            let of = |entry: &ClusterWeight| u64::from(entry.weight.unwrap_or(0));
            let total: u64 = weighted.clusters.iter().map(of).sum();
            let entries = weighted.clusters.iter();
            entries.map(|entry| weighted_share(entry, percent(of(entry), total), known)).collect()
        }
        Some(_) | None => Vec::new(),
    };
    let rewrite = Rewrite { prefix: &action.prefix_rewrite, regex: action.regex_rewrite.as_ref() };
    let policy = action.retry_policy.as_ref().or(levels.host.retry_policy.as_ref());
    let timeout = action.timeout.as_ref().map_or(Some(DEFAULT_TIMEOUT), span);
    let per_try = policy.and_then(|policy| policy.per_try_timeout.as_ref()).and_then(span);
    Forward {
        destinations,
        path: rewrite.apply(levels.route.r#match.as_ref(), seen.path),
        host: literal(action.host_rewrite_specifier.as_ref()),
        timeout: timeout.filter(|timeout| !timeout.is_zero()),
        retries: policy.map_or(0, |policy| policy.num_retries.unwrap_or(1)),
        retry_on: policy.map(|policy| policy.retry_on.clone()).unwrap_or_default(),
        per_try_timeout: per_try.filter(|timeout| !timeout.is_zero()),
        mirrors: mirrors(&action.request_mirror_policies, known),
        not_found_status: match action.cluster_not_found_response_code {
            1 => 404,
            2 => 500,
            _ => 503,
        },
    }
}

fn weighted_share(entry: &ClusterWeight, share: f64, known: &Known<'_>) -> Share {
    let mut found = known.share(&entry.name, share);
    found.changes.add(
        &entry.request_headers_to_add,
        &entry.request_headers_to_remove,
        &entry.response_headers_to_add,
        &entry.response_headers_to_remove,
    );
    found.host = entry.host_rewrite_specifier.as_ref().map(|specifier| {
        let cluster_weight::HostRewriteSpecifier::HostRewriteLiteral(host) = specifier;
        host.clone()
    });
    found
}

fn literal(specifier: Option<&HostRewriteSpecifier>) -> Option<String> {
    match specifier {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => Some(host.clone()),
        Some(_) | None => None,
    }
}

fn mirrors(policies: &[RequestMirrorPolicy], known: &Known<'_>) -> Vec<Share> {
    let mirrors = policies.iter().map(|policy| {
        let fraction = policy.runtime_fraction.as_ref();
        let share = fraction.and_then(|fraction| fraction.default_value.as_ref());
        known.share(&policy.cluster, share.map_or(100.0, fraction_percent))
    });
    mirrors.collect()
}

/// A part of a whole in percent; nothing of nothing.
#[expect(clippy::cast_precision_loss, reason = "weights have 32 bits, and a double holds them")]
fn percent(part: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { part as f64 * 100.0 / total as f64 }
}

fn fraction_percent(fraction: &FractionalPercent) -> f64 {
    let of = match DenominatorType::try_from(fraction.denominator) {
        Ok(DenominatorType::Hundred) | Err(_) => 100,
        Ok(DenominatorType::TenThousand) => 10_000,
        Ok(DenominatorType::Million) => 1_000_000,
    };
    percent(u64::from(fraction.numerator).min(of), of)
}

fn fault(route: &Route) -> Option<Fault> {
    let fault = route.typed_per_filter_config.get(FAULT)?.to_msg::<HttpFault>().ok()?;
    let delay = fault.delay.as_ref().and_then(|delay| {
        let Some(FaultDelaySecifier::FixedDelay(fixed)) = &delay.fault_delay_secifier else {
            return None;
        };
        let share = delay.percentage.as_ref().map_or(0.0, fraction_percent);
        Some(Delay { fixed: span(fixed)?, share })
    });
    let abort = fault.abort.as_ref().and_then(|abort: &FaultAbort| {
        let share = abort.percentage.as_ref().map_or(0.0, fraction_percent);
        let status = match abort.error_type.as_ref()? {
            ErrorType::HttpStatus(status) => AbortStatus::Http(*status),
            ErrorType::GrpcStatus(status) => AbortStatus::Grpc(*status),
            ErrorType::HeaderAbort(_) => return None,
        };
        Some((status, share))
    });
    Some(Fault { delay, abort }).filter(|fault| *fault != Fault::default())
}

/// Where commands of Redis go that no route of their own is for.
pub(super) fn of_commands(proxy: &RedisProxy, clusters: &[Cluster]) -> Forward {
    let routes = proxy.prefix_routes.as_ref();
    let route = routes.and_then(|routes| routes.catch_all_route.as_ref());
    let share = |name: &str| Known::new(clusters).share(name, 100.0);
    let destinations = route.map(|route| share(&route.cluster)).into_iter().collect();
    Forward { destinations, ..Forward::default() }
}

/// Where a connection that is not read as HTTP goes.
pub(super) fn of_connection(proxy: &TcpProxy, clusters: &[Cluster]) -> Forward {
    let known = Known::new(clusters);
    let destinations = match &proxy.cluster_specifier {
        Some(tcp_proxy::ClusterSpecifier::Cluster(name)) => vec![known.share(name, 100.0)],
        Some(tcp_proxy::ClusterSpecifier::WeightedClusters(weighted)) => {
            let of = |entry: &tcp_proxy::weighted_cluster::ClusterWeight| u64::from(entry.weight);
            let total: u64 = weighted.clusters.iter().map(of).sum();
            let entries = weighted.clusters.iter();
            entries.map(|entry| known.share(&entry.name, percent(of(entry), total))).collect()
        }
        None => Vec::new(),
    };
    Forward { destinations, ..Forward::default() }
}
