//! The backends of the mesh, by name.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/telemetry.go` `fetchProvider`.
use mesh_envoy_proto::envoy::config::core::v3::{GrpcService, grpc_service};
use mesh_envoy_proto::stats::PluginConfig;
use mesh_model::registry::ControlPlane;
use mesh_model::resource::MeshConfig;
use mesh_model::resource::mesh_config::{ExtensionProvider, ProviderKind};
use mesh_model::view::ProxyView;

use super::objects::Objects;
use super::{Class, metrics};
use crate::name::ClusterName;

/// The provider that a name means: the first, whatever the case.
pub(super) fn find<'c>(config: &'c MeshConfig, name: &str) -> Option<&'c ExtensionProvider> {
    let name = name.to_lowercase();
    config.extension_providers.iter().find(|provider| provider.name.to_lowercase() == name)
}

/// Where a provider is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Backend {
    pub(super) host: String,
    /// Its cluster, which the proxy does not have if its Sidecar does not import the service.
    pub(super) cluster: String,
    port: u32,
}

impl Backend {
    /// Finds a service: see [`Services::lookup`](mesh_model::registry::Services::lookup).
    pub(super) fn find(plane: &ControlPlane, service: &str, port: u32) -> Option<Self> {
        let found = plane.services.lookup(service).found()?;
        let host = found.hostname.as_str();
        let cluster = ClusterName::outbound(u16::try_from(port).ok()?, "", host).to_string();
        Some(Self { host: host.to_owned(), cluster, port })
    }

    /// A cluster of the bootstrap.
    pub(super) fn of_bootstrap(cluster: &str) -> Self {
        Self { host: String::new(), cluster: cluster.to_owned(), port: 0 }
    }

    /// Whether a proxy has its cluster.
    pub(super) fn is_known_to(&self, view: &ProxyView<'_>) -> bool {
        let service = view.scope().service(&self.host);
        service.is_some_and(|service| {
            service.ports.iter().any(|port| u32::from(port.number) == self.port)
        })
    }

    /// Calls to the provider.
    pub(super) fn grpc(&self) -> GrpcService {
        let service = grpc_service::EnvoyGrpc {
            cluster_name: self.cluster.clone(),
            authority: self.host.clone(),
            ..grpc_service::EnvoyGrpc::default()
        };
        GrpcService {
            target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(service)),
            ..GrpcService::default()
        }
    }
}

/// The settings of the filters of statistics, by the names of their providers.
pub(super) fn stats(
    view: &ProxyView<'_>,
    objects: &Objects<'_>,
    class: Class,
) -> Vec<PluginConfig> {
    let config = &view.plane().config;
    let found = metrics::stats(&objects.metrics(), &config.default_providers.metrics, class);
    let is_prometheus = |name: &str| {
        let kind = find(config, name).and_then(|provider| provider.kind.as_ref());
        matches!(kind, Some(ProviderKind::Prometheus(_)))
    };
    found.into_iter().filter(|(name, _)| is_prometheus(name)).map(|(_, config)| config).collect()
}
