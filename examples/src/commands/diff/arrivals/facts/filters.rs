//! The filters that a connection or request passes before the last one.
//!
//! Policies, and whose tokens are taken, are told by the decisions.
use mesh_envoy_proto::envoy::config::core::v3::grpc_service::TargetSpecifier;
use mesh_envoy_proto::envoy::config::core::v3::http_uri::HttpUpstreamType;
use mesh_envoy_proto::envoy::config::listener::v3::{FilterChain, filter};
use mesh_envoy_proto::envoy::extensions::filters::http::ext_authz::v3::ExtAuthz as OfRequests;
use mesh_envoy_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use mesh_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;
use mesh_envoy_proto::envoy::extensions::filters::network::ext_authz::v3::ExtAuthz as OfConnections;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_filter,
};
use mesh_envoy_proto::envoy::extensions::filters::network::redis_proxy::v3::RedisProxy;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use mesh_envoy_proto::prost_types::{Any, Duration};
use prost::{Message, Name};

use super::{Facts, limit};

/// Filters that only tell of requests.
const SILENT: [&str; 3] =
    ["istio.metadata_exchange", "istio.stats", "envoy.filters.http.grpc_stats"];

impl Facts {
    /// What decides in front of the last filter, but for policies and rules of tokens.
    pub(super) fn of_filters(&mut self, chain: &FilterChain) {
        let network = chain.filters.iter().filter_map(|filter| match &filter.config_type {
            Some(filter::ConfigType::TypedConfig(config)) => Some((&filter.name, config)),
            Some(filter::ConfigType::ConfigDiscovery(_)) | None => None,
        });
        for (name, config) in network {
            match config.to_msg::<HttpConnectionManager>() {
                Ok(manager) if config.type_url == HttpConnectionManager::type_url() => {
                    for filter in &manager.http_filters {
                        let Some(http_filter::ConfigType::TypedConfig(config)) =
                            &filter.config_type
                        else {
                            continue;
                        };
                        self.of_filter(&filter.name, config);
                    }
                }
                Ok(_) | Err(_)
                    if [TcpProxy::type_url(), RedisProxy::type_url()]
                        .contains(&config.type_url) => {}
                Ok(_) | Err(_) => self.of_filter(name, config),
            }
        }
    }

    fn of_filter(&mut self, name: &str, config: &Any) {
        if SILENT.contains(&name) || name.ends_with(".rbac") {
            return;
        }
        if config.type_url == JwtAuthentication::type_url() {
            config.to_msg().into_iter().for_each(|of: JwtAuthentication| self.of_tokens(&of));
        } else if config.type_url == OfRequests::type_url() {
            config.to_msg().into_iter().for_each(|of| self.of_asked(of));
        } else if config.type_url == OfConnections::type_url() {
            let Ok(mut of) = config.to_msg::<OfConnections>() else { return };
            let asked = of.grpc_service.as_ref().and_then(|it| it.target_specifier.as_ref());
            let Some(asked) = asked.map(cluster_of) else { return };
            let (fails, timeout) = (of.failure_mode_allow, of.grpc_service.as_ref());
            let timeout = timeout.and_then(|it| it.timeout.as_ref());
            let words = asking(timeout, fails);
            (of.filter_enabled_metadata, of.stat_prefix) = (None, String::new());
            self.share(format!("how {asked} is asked"), Some(&words), &of.encode_to_vec());
        } else {
            let fact = self.0.entry(format!("filter {name}")).or_default();
            fact.words = Some("there".to_owned());
            fact.rest.extend(&config.value);
        }
    }

    /// Where tokens are looked for, whose keys they are checked with, and what is passed on of them.
    fn of_tokens(&mut self, of: &JwtAuthentication) {
        for (at, provider) in of.providers.values().enumerate() {
            let issued = of.providers.values().take(at).filter(|it| it.issuer == provider.issuer);
            let which = match issued.count() {
                0 => String::new(),
                others => format!(" ({})", others + 1),
            };
            let mut provider = provider.clone();
            provider.audiences.clear();
            let what = format!(
                "how tokens of {}{which} are found, checked and passed on",
                provider.issuer
            );
            self.share(what, None, &provider.encode_to_vec());
        }
    }

    fn of_asked(&mut self, mut of: OfRequests) {
        let (asked, timeout) = match &of.services {
            Some(Services::GrpcService(service)) => {
                let cluster = service.target_specifier.as_ref().map(cluster_of);
                (cluster.unwrap_or_default(), service.timeout.as_ref())
            }
            Some(Services::HttpService(service)) => {
                let uri = service.server_uri.as_ref();
                let upstream = uri.and_then(|uri| uri.http_upstream_type.as_ref());
                let Some(HttpUpstreamType::Cluster(cluster)) = upstream else { return };
                (cluster.clone(), uri.and_then(|uri| uri.timeout.as_ref()))
            }
            None => return,
        };
        let words = asking(timeout, of.failure_mode_allow);
        of.filter_enabled_metadata = None;
        self.share(format!("how {asked} is asked"), Some(&words), &of.encode_to_vec());
    }
}

/// Whom a filter asks.
fn cluster_of(specifier: &TargetSpecifier) -> String {
    match specifier {
        TargetSpecifier::EnvoyGrpc(target) => target.cluster_name.clone(),
        TargetSpecifier::GoogleGrpc(target) => target.target_uri.clone(),
    }
}

fn asking(timeout: Option<&Duration>, lets_pass: bool) -> String {
    let fails = if lets_pass { "let pass" } else { "refused" };
    format!("for {} at most, {fails} if that fails", limit(timeout))
}
