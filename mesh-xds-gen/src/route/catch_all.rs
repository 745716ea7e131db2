//! What happens to requests for hosts that no virtual host names.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/httproute.go` `buildCatchAllVirtualHost`.
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{
    DirectResponseAction, Route, RouteAction, VirtualHost,
};
use mesh_model::name::Duration;
use mesh_model::resource::MeshConfig;
use mesh_model::resource::sidecar::OutboundTrafficMode;
use mesh_model::resource::virtual_service::Destination;
use mesh_model::view::Scope;

use super::destination::cluster_name;
use super::matching::everything;
use super::outbound::ProxyHeaders;
use super::value::duration;
use crate::name::{ALLOW_ANY_DYNAMIC_DNS_CLUSTER, PASSTHROUGH_CLUSTER};

/// What a sidecar does with requests for unknown hosts.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every policy")]
pub enum OutboundPolicy {
    /// They are answered with 502.
    #[default]
    RegistryOnly,
    /// They pass to where they were dialled, or to an egress proxy.
    AllowAny(Option<Destination>),
    /// They pass to the address that the host name has.
    AllowAnyDynamicDns,
}

impl OutboundPolicy {
    /// The policy in force: the Sidecar's if it has one, else the mesh's.
    pub fn in_force(scope: &Scope, config: &MeshConfig) -> Self {
        let sidecar =
            scope.sidecar().and_then(|sidecar| sidecar.spec.outbound_traffic_policy.as_ref());
        let (mode, proxy) = match sidecar {
            Some(policy) => (policy.mode, policy.egress_proxy.clone()),
            None => (config.outbound_traffic_policy.mode, None),
        };
        match mode {
            OutboundTrafficMode::RegistryOnly => Self::RegistryOnly,
            OutboundTrafficMode::AllowAny => Self::AllowAny(proxy),
            OutboundTrafficMode::AllowAnyDynamicDns => Self::AllowAnyDynamicDns,
        }
    }
}

/// The virtual host for everything else; it comes last.
pub(super) fn virtual_host(policy: &OutboundPolicy, headers: ProxyHeaders) -> VirtualHost {
    let (name, action) = match policy {
        OutboundPolicy::RegistryOnly => {
            let response = DirectResponseAction { status: 502, ..Default::default() };
            ("block_all", Action::DirectResponse(response))
        }
        OutboundPolicy::AllowAny(proxy) => {
            let cluster = match proxy {
                Some(destination) => cluster_name(destination, None, 0),
                None => PASSTHROUGH_CLUSTER.to_owned(),
            };
            ("allow_any", forward(cluster, headers))
        }
        OutboundPolicy::AllowAnyDynamicDns => {
            ("allow_any_dynamic_dns", forward(ALLOW_ANY_DYNAMIC_DNS_CLUSTER.to_owned(), headers))
        }
    };
    let route = Route {
        name: name.to_owned(),
        r#match: Some(everything()),
        action: Some(action),
        ..Default::default()
    };
    VirtualHost {
        name: name.to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        include_request_attempt_count: headers.attempt_count,
        ..Default::default()
    }
}

fn forward(cluster: String, headers: ProxyHeaders) -> Action {
    Action::Route(RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
        timeout: Some(duration(Duration::ZERO)),
        max_grpc_timeout: Some(duration(Duration::ZERO)),
        append_x_forwarded_host: headers.x_forwarded_host,
        ..Default::default()
    })
}
