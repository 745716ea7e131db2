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

use mesh_authz::compile::Chain;
use mesh_authz::rbac::{Body, Filter, Policy, Purpose, RbacFilter, Rules};
use mesh_envoy_proto::envoy::config::listener::v3 as listener;
use mesh_envoy_proto::envoy::config::rbac::v3 as proto;
use mesh_envoy_proto::envoy::extensions::filters::http::rbac::v3 as http;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::envoy::extensions::filters::network::rbac::v3 as network;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::prost::Name;
use mesh_model::registry::ControlPlane;
use proto::rbac::Action;

/// The filter of requests.
const HTTP: &str = "envoy.filters.http.rbac";
/// What denies calls to a gRPC server, whose filters all need names of their own.
const GRPC_DENY: &str = "envoy.filters.http.rbac.DENY";
/// The filter of connections.
const NETWORK: &str = "envoy.filters.network.rbac";
/// The prefix of the statistics of connections.
const STAT_PREFIX: &str = "tcp.";

/// The filters of requests.
pub(crate) fn http_filters(plane: &ControlPlane, chain: &Chain) -> Vec<hcm::HttpFilter> {
    let filters = chain.filters.iter().filter_map(|filter| match filter {
        Filter::Rbac(rbac) => Some(http_filter(HTTP, &of_requests(rbac))),
        Filter::ExternalAuthorization { provider } => {
            let config = ext_authz::of_requests(plane, provider)?;
            Some(http_filter("envoy.filters.http.ext_authz", &config))
        }
    });
    filters.collect()
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

/// The filters of connections.
pub(crate) fn network_filters(plane: &ControlPlane, chain: &Chain) -> Vec<listener::Filter> {
    let filters = chain.filters.iter().filter_map(|filter| match filter {
        Filter::Rbac(rbac) => Some(network_filter(NETWORK, &of_connections(rbac))),
        Filter::ExternalAuthorization { provider } => {
            let config = ext_authz::of_connections(plane, provider)?;
            Some(network_filter("envoy.filters.network.ext_authz", &config))
        }
    });
    filters.collect()
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
