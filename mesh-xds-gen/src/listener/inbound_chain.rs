//! The filter chains of one inbound port, by its mode of mutual TLS and its protocol.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/filterchain_options.go`; `listener_inbound.go`
//! `inboundChainForOpts`, `buildInboundNetworkFilters`, `buildSidecarInboundHTTPOpts`.
use mesh_envoy_proto::envoy::config::core::v3::Metadata;
use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, FilterChainMatch};
use mesh_envoy_proto::envoy::config::route::v3::{
    Decorator, RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route,
    route_action, route_match,
};
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use mesh_model::name::Protocol;
use mesh_model::resource::MutualTlsMode;

use super::chain::{PLAINTEXT_HTTP, RAW_BUFFER, plaintext_http};
use super::context::Context;
use super::filters::tcp_metadata_exchange;
use super::http::{self, Http, http_connection_manager};
use super::tcp::{forward, inbound_stack};
use super::tls::mutual;
use super::wire::ZERO;
use crate::cluster::stat_name::StatName;
use crate::name::{ClusterName, INBOUND_PASSTHROUGH_CLUSTER, ListenerName, Transport};
use crate::route::retry;

/// One inbound port.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    pub(super) kind: Kind,
    /// The address in names.
    pub(super) bind: String,
    /// The port that the workload listens on; 0: any.
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// The host that spans are named by.
    pub(super) host: String,
    /// Name and namespace of the service, if it is one of Kubernetes.
    pub(super) kubernetes: Option<(Box<str>, Box<str>)>,
    /// The port that clients dial.
    pub(super) service_port: u16,
    /// The name of that port.
    pub(super) port_name: Box<str>,
    pub(super) metadata: Option<Metadata>,
    /// Whether it is a listener of its own.
    pub(super) binds_to_port: bool,
}

/// What an inbound port is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// One that a service or a Sidecar explains.
    Port,
    /// One that nothing explains.
    Passthrough,
}

/// A chain of the table: transport, ALPN, whether TLS ends here, and what is read.
#[derive(Clone, Copy, Debug)]
struct Row {
    transport: &'static str,
    alpn: &'static [&'static str],
    ends_tls: bool,
    is_http: bool,
}

impl Row {
    fn application_protocols(self, context: &Context<'_, '_>) -> Vec<String> {
        if self.alpn == PLAINTEXT_HTTP {
            return plaintext_http(context.allows_http10_at_inspection());
        }
        self.alpn.iter().map(|name| (*name).to_owned()).collect()
    }
}

const TLS: &str = "tls";
const MESH_HTTP: [&str; 3] = ["istio-http/1.0", "istio-http/1.1", "istio-h2"];
const MESH_TCP: [&str; 2] = ["istio-peer-exchange", "istio"];
const MESH_ANY: [&str; 5] =
    ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

const fn row(
    transport: &'static str,
    alpn: &'static [&'static str],
    ends_tls: bool,
    is_http: bool,
) -> Row {
    Row { transport, alpn, ends_tls, is_http }
}

const PERMISSIVE_AUTO: [Row; 5] = [
    row(TLS, &MESH_HTTP, true, true),
    row(RAW_BUFFER, &PLAINTEXT_HTTP, false, true),
    row(TLS, &MESH_TCP, true, false),
    row(RAW_BUFFER, &[], false, false),
    row(TLS, &[], false, false),
];
const PERMISSIVE_HTTP: [Row; 2] =
    [row(TLS, &MESH_ANY, true, true), row(RAW_BUFFER, &[], false, true)];
const PERMISSIVE_TCP: [Row; 3] = [
    row(TLS, &MESH_ANY, true, false),
    row(TLS, &[], false, false),
    row(RAW_BUFFER, &[], false, false),
];
const STRICT_AUTO: [Row; 2] = [row(TLS, &MESH_HTTP, true, true), row(TLS, &[], true, false)];
const STRICT_HTTP: [Row; 1] = [row(TLS, &[], true, true)];
const STRICT_TCP: [Row; 1] = [row(TLS, &[], true, false)];
const PLAIN_AUTO: [Row; 2] =
    [row(RAW_BUFFER, &PLAINTEXT_HTTP, false, true), row(RAW_BUFFER, &[], false, false)];
const PLAIN_HTTP: [Row; 1] = [row(RAW_BUFFER, &[], false, true)];
const PLAIN_TCP: [Row; 1] = [row(RAW_BUFFER, &[], false, false)];

fn rows(mode: MutualTlsMode, protocol: Protocol) -> &'static [Row] {
    let is_auto = protocol.is_unsupported();
    let is_http = protocol.is_http();
    match mode {
        MutualTlsMode::Permissive | MutualTlsMode::Unset if is_auto => &PERMISSIVE_AUTO,
        MutualTlsMode::Permissive | MutualTlsMode::Unset if is_http => &PERMISSIVE_HTTP,
        MutualTlsMode::Permissive | MutualTlsMode::Unset => &PERMISSIVE_TCP,
        MutualTlsMode::Strict if is_auto => &STRICT_AUTO,
        MutualTlsMode::Strict if is_http => &STRICT_HTTP,
        MutualTlsMode::Strict => &STRICT_TCP,
        MutualTlsMode::Disable if is_auto => &PLAIN_AUTO,
        MutualTlsMode::Disable if is_http => &PLAIN_HTTP,
        MutualTlsMode::Disable => &PLAIN_TCP,
    }
}

/// Builds the chains of one port.
pub(super) fn chains(context: &Context<'_, '_>, inbound: &Inbound) -> Vec<FilterChain> {
    let proxy = context.proxy();
    let mode = context.view.server_mode(&proxy.namespace, &proxy.labels).of_port(inbound.port);
    rows(mode, inbound.protocol).iter().map(|row| chain(context, inbound, *row)).collect()
}

fn chain(context: &Context<'_, '_>, inbound: &Inbound, row: Row) -> FilterChain {
    let exchanges = !row.is_http && context.flags().pilot_enable_metadata_exchange;
    let alpn: &[&str] =
        if exchanges { &["istio-peer-exchange", "h2", "http/1.1"] } else { &["h2", "http/1.1"] };
    FilterChain {
        name: inbound.chain_name(row.is_http),
        filter_chain_match: Some(FilterChainMatch {
            destination_port: (inbound.port != 0).then(|| inbound.port.into()),
            transport_protocol: row.transport.to_owned(),
            application_protocols: row.application_protocols(context),
            ..FilterChainMatch::default()
        }),
        filters: if row.is_http {
            http_filters(context, inbound)
        } else {
            tcp_filters(context, inbound)
        },
        metadata: inbound.metadata.clone(),
        transport_socket: row.ends_tls.then(|| mutual(context, alpn)),
        ..FilterChain::default()
    }
}

impl Inbound {
    fn chain_name(&self, is_http: bool) -> String {
        match self.kind {
            Kind::Port => self.listener_name(),
            Kind::Passthrough if is_http => "virtualInbound-catchall-http".to_owned(),
            Kind::Passthrough => "virtualInbound".to_owned(),
        }
    }

    fn listener_name(&self) -> String {
        let transport = Transport::Tcp;
        ListenerName { bind: &self.bind, port: self.port, transport }.to_string()
    }

    fn cluster(&self) -> String {
        match self.kind {
            Kind::Port => ClusterName::inbound(self.port).to_string(),
            Kind::Passthrough => INBOUND_PASSTHROUGH_CLUSTER.to_owned(),
        }
    }

    /// What connections are called in statistics: by a pattern, in which the workload's port stays
    /// as it is written; without one as their cluster.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/telemetry/telemetry.go` `BuildInboundStatPrefix`.
    fn tcp_stat_prefix(&self, pattern: &str) -> String {
        const PORT: &str = "%TARGET_PORT%";
        if pattern.is_empty() {
            return self.cluster();
        }
        let kubernetes = self.kubernetes.as_ref().map(|(name, namespace)| (&**name, &**namespace));
        let name = StatName {
            host: &self.host,
            kubernetes,
            subset: "",
            port: self.service_port,
            port_name: &self.port_name,
            target_port: 0,
        };
        let parts: Vec<String> = pattern.split(PORT).map(|part| name.prefix(part, "")).collect();
        parts.join(PORT)
    }

    fn stat_prefix(&self) -> String {
        match self.kind {
            Kind::Port => format!("inbound_{};", self.listener_name()),
            Kind::Passthrough => format!("{INBOUND_PASSTHROUGH_CLUSTER};"),
        }
    }
}

fn exchange(context: &Context<'_, '_>) -> Option<Filter> {
    context.flags().pilot_enable_metadata_exchange.then(tcp_metadata_exchange)
}

fn tcp_filters(context: &Context<'_, '_>, inbound: &Inbound) -> Vec<Filter> {
    let cluster = inbound.cluster();
    let stat_prefix = inbound.tcp_stat_prefix(&context.config().inbound_cluster_stat_name);
    let idle_timeout = context.idle_timeout;
    let proxy = TcpProxy { stat_prefix, idle_timeout, ..forward(&cluster) };
    let end = inbound_stack(context, inbound.protocol, proxy);
    let authorization = context.authorization.network.iter().cloned();
    exchange(context).into_iter().chain(authorization).chain(end).collect()
}

fn http_filters(context: &Context<'_, '_>, inbound: &Inbound) -> Vec<Filter> {
    let http = Http {
        stat_prefix: inbound.stat_prefix(),
        protocol: inbound.protocol,
        class: http::Class::Inbound {
            routes: Box::new(routes(context, inbound)),
            authorization: context.authorization.http.clone(),
        },
    };
    let manager = http_connection_manager(context, http);
    exchange(context).into_iter().chain([manager]).collect()
}

/// The only route: to the workload.
fn routes(context: &Context<'_, '_>, inbound: &Inbound) -> RouteConfiguration {
    let cluster = inbound.cluster();
    let port = inbound.service_port;
    let action = RouteAction {
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster.clone())),
        timeout: Some(ZERO),
        max_stream_duration: Some(route_action::MaxStreamDuration {
            max_stream_duration: Some(ZERO),
            grpc_timeout_header_max: Some(ZERO),
            ..route_action::MaxStreamDuration::default()
        }),
        retry_policy: retries(context, inbound.protocol),
        ..RouteAction::default()
    };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(RouteMatch {
            path_specifier: Some(route_match::PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        decorator: Some(Decorator {
            operation: format!("{}:{port}/*", inbound.host),
            ..Decorator::default()
        }),
        action: Some(route::Action::Route(action)),
        ..Route::default()
    };
    RouteConfiguration {
        name: cluster,
        virtual_hosts: vec![VirtualHost {
            name: format!("inbound|http|{port}"),
            domains: vec!["*".to_owned()],
            routes: vec![route],
            ..VirtualHost::default()
        }],
        validate_clusters: Some(false),
        ..RouteConfiguration::default()
    }
}

/// Retries of what the workload cannot have begun, or as the settings have them; none of gRPC, whose streams may
/// be long.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/route/route.go` `BuildDefaultHTTPInboundRoute`.
fn retries(context: &Context<'_, '_>, protocol: Protocol) -> Option<RetryPolicy> {
    let is_grpc = matches!(protocol, Protocol::Grpc | Protocol::GrpcWeb);
    let settings = &context.view.plane().config;
    let own = settings.default_inbound_http_retry_policy.as_ref();
    if is_grpc { None } else { retry::inbound(own) }
}
