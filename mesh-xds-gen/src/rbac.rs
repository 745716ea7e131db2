//! The filters that decide who may call, as Envoy reads them.
//!
//! What they decide is compiled elsewhere (`mesh_authz::rbac`); here the same trees are written down.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/builder/builder.go` `createHTTPRBACFilter`,
//! `createTCPRBACFilter`.
mod ext_authz;
mod tree;
pub mod ztunnel;

use mesh_authz::Authorizer;
use mesh_authz::compile::{Chain, Traffic};
use mesh_authz::rbac::{Body, Filter, Policy, Purpose, RbacFilter, Rules};
use mesh_envoy_proto::envoy::config::listener::v3 as listener;
use mesh_envoy_proto::envoy::config::rbac::v3 as proto;
use mesh_envoy_proto::envoy::extensions::filters::http::rbac::v3 as http;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::envoy::extensions::filters::network::rbac::v3 as network;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost::Name;
use mesh_model::name::Namespace;
use mesh_model::resource::MeshConfig;
use mesh_model::view::ProxyView;
use proto::rbac::Action;

use crate::jwt;

/// The filter of requests.
const HTTP: &str = "envoy.filters.http.rbac";
/// What denies calls to a gRPC server, whose filters all need names of their own.
const GRPC_DENY: &str = "envoy.filters.http.rbac.DENY";
/// The filter of connections.
const NETWORK: &str = "envoy.filters.network.rbac";
/// The prefix of the statistics of connections.
const STAT_PREFIX: &str = "tcp.";

/// What decides who may call a proxy's workload, in the order of the chain.
///
/// The same for sidecars and gateways; the caller puts it behind what exchanges metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorization {
    /// For chains of HTTP: CUSTOM (RBAC and `ext_authz` in pairs), `jwt_authn`, AUDIT, DENY, ALLOW.
    /// CUSTOM comes before tokens are looked at.
    pub(crate) http: Vec<hcm::HttpFilter>,
    /// For any other chain: CUSTOM, AUDIT, DENY, ALLOW.
    pub(crate) network: Vec<listener::Filter>,
}

impl Authorization {
    /// The filters of a proxy.
    pub(crate) fn of(view: &ProxyView<'_>) -> Self {
        let plane = view.plane();
        let authorizer = Authorizer::of_envoy(view.mesh(), plane, view.proxy());
        let requests = &authorizer.chain(Traffic::Http).filters;
        let (custom, local) = requests.split_at(requests.partition_point(is_custom));
        let jwt = jwt::http_filter(view);
        let http = |filters: &[Filter]| http_filters(&plane.config, filters);
        Self {
            http: http(custom).into_iter().chain(jwt).chain(http(local)).collect(),
            network: network_filters(&plane.config, &authorizer.chain(Traffic::Tcp).filters),
        }
    }
}

/// The filters of a proxy's connections to a service of a namespace that is looked up by server names.
pub(crate) fn of_connections_to(
    view: &ProxyView<'_>,
    namespace: &Namespace,
) -> Vec<listener::Filter> {
    let plane = view.plane();
    let authorizer = Authorizer::of_envoy_to(view.mesh(), plane, view.proxy(), namespace);
    network_filters(&plane.config, &authorizer.chain(Traffic::Tcp).filters)
}

/// Whether a filter is part of what CUSTOM policies became.
const fn is_custom(filter: &Filter) -> bool {
    match filter {
        Filter::ExternalAuthorization { .. } => true,
        Filter::Rbac(rbac) => matches!(rbac.purpose, Purpose::Custom | Purpose::BadProvider),
    }
}

/// Writes the filters of a chain of requests down as Envoy reads them.
///
/// `config` says who the external authorizers are; of one that it does not name there is no filter.
pub fn http_filters(config: &MeshConfig, filters: &[Filter]) -> Vec<hcm::HttpFilter> {
    let written = filters.iter().filter_map(|filter| match filter {
        Filter::Rbac(rbac) => Some(http_filter(HTTP, &of_requests(rbac))),
        Filter::ExternalAuthorization { provider } => {
            let config = ext_authz::of_requests(config, provider)?;
            Some(http_filter("envoy.filters.http.ext_authz", &config))
        }
    });
    written.collect()
}

/// The filters of a gRPC server's calls.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/grpcgen/lds.go` `buildInboundFilterChain`.
pub(crate) fn grpc_filters(chain: &Chain) -> Vec<hcm::HttpFilter> {
    let filters = chain.filters.iter().filter_map(|filter| {
        let Filter::Rbac(rbac) = filter else { return None };
        let name = if rbac.purpose == Purpose::Deny { GRPC_DENY } else { HTTP };
        let shadow_rules_stat_prefix = String::new();
        Some(http_filter(name, &http::Rbac { shadow_rules_stat_prefix, ..of_requests(rbac) }))
    });
    filters.collect()
}

/// Writes the filters of a chain of connections down as Envoy reads them.
///
/// External authorizers that are not asked over gRPC are left out, and their policies without effect.
pub fn network_filters(config: &MeshConfig, filters: &[Filter]) -> Vec<listener::Filter> {
    let written = filters.iter().filter_map(|filter| match filter {
        Filter::Rbac(rbac) => Some(network_filter(NETWORK, &of_connections(rbac))),
        Filter::ExternalAuthorization { provider } => {
            let config = ext_authz::of_connections(config, provider)?;
            Some(network_filter("envoy.filters.network.ext_authz", &config))
        }
    });
    written.collect()
}

fn http_filter<M: Name>(name: &str, config: &M) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(pack(config))),
        ..hcm::HttpFilter::default()
    }
}

fn network_filter<M: Name>(name: &str, config: &M) -> listener::Filter {
    let config_type = Some(listener::filter::ConfigType::TypedConfig(pack(config)));
    listener::Filter { name: name.to_owned(), config_type }
}

fn of_requests(filter: &RbacFilter) -> http::Rbac {
    let action = action(filter.purpose);
    http::Rbac {
        rules: filter.rules.as_ref().map(|written| rules(written, action)),
        shadow_rules: filter.shadow_rules.as_ref().map(|written| rules(written, action)),
        shadow_rules_stat_prefix: filter.shadow_rules_stat_prefix().to_owned(),
        ..http::Rbac::default()
    }
}

fn of_connections(filter: &RbacFilter) -> network::Rbac {
    let action = action(filter.purpose);
    network::Rbac {
        rules: filter.rules.as_ref().map(|written| rules(written, action)),
        shadow_rules: filter.shadow_rules.as_ref().map(|written| rules(written, action)),
        shadow_rules_stat_prefix: filter.shadow_rules_stat_prefix().to_owned(),
        stat_prefix: STAT_PREFIX.to_owned(),
        ..network::Rbac::default()
    }
}

const fn action(purpose: Purpose) -> Action {
    match purpose {
        Purpose::Custom | Purpose::BadProvider | Purpose::Deny => Action::Deny,
        Purpose::Audit => Action::Log,
        Purpose::Allow => Action::Allow,
    }
}

fn rules(rules: &Rules, action: Action) -> proto::Rbac {
    let policies = rules.policies().iter();
    proto::Rbac {
        action: action.into(),
        policies: policies.map(|written| (written.name.to_string(), policy(written))).collect(),
        ..proto::Rbac::default()
    }
}

fn policy(policy: &Policy) -> proto::Policy {
    let (permissions, principals) = match &policy.body {
        Body::Never => (vec![tree::no_permission()], vec![tree::no_principal()]),
        Body::Rule { permissions, principals } => (
            permissions.iter().map(tree::permission_of_entry).collect(),
            principals.iter().map(tree::principal_of_entry).collect(),
        ),
    };
    proto::Policy { permissions, principals, ..proto::Policy::default() }
}
