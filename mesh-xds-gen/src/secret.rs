//! Secrets by reference: where Envoy gets certificates and authorities, and other resources, from.
//!
//! ```text
//! name of a credential ─┬─ builtin:// ──────────────▶ the agent: `default`, `ROOTCA`
//!                       ├─ sds:// ──────────────────▶ the proxy's socket, a provider, or Kubernetes
//!                       └─ any other ───────────────▶ Kubernetes, over ADS
//! file-cert:, file-root: ───────────────────────────▶ the agent, or the server of files
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/model/authentication.go`, `pkg/model/authentication.go`.
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::SdsSecretConfig;
use mesh_model::view::Proxy;

/// The secret of the workload's own certificate.
pub(crate) const OWN: &str = "default";
/// The secret of the authorities of the mesh.
pub(crate) const ROOT: &str = "ROOTCA";
/// What follows the name of a credential in that of its authorities.
pub(crate) const AUTHORITIES: &str = "-cacert";
/// The cluster of the server behind the proxy's socket for credentials.
pub(crate) const EXTERNAL_CLUSTER: &str = "sds-external";
/// The socket of that server.
pub(crate) const EXTERNAL_SOCKET: &str = "./var/run/secrets/credential-uds/socket";

/// The secret of the workload itself.
const BUILTIN: &str = "builtin://";
/// A secret that there never is.
const INVALID: &str = "invalid://";
/// A secret of a source that is not the control plane.
const EXTERNAL: &str = "sds://";
/// A secret of Kubernetes.
const KUBERNETES: &str = "kubernetes://";
/// The other forms that say themselves what they are.
const SPELLED_OUT: [&str; 2] = ["kubernetes-gateway://", "configmap://"];

/// What a credential's name means.
#[derive(Debug)]
pub(crate) enum Credential<'n> {
    /// A secret.
    Secret(Box<SdsSecretConfig>),
    /// A resource of a source outside the mesh, which the mesh's settings may know.
    External(&'n str),
}

impl<'n> Credential<'n> {
    /// What the name means to a proxy.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/model/authentication.go`
    /// `ConstructSdsSecretConfigForCredential`.
    pub(crate) fn new(proxy: &Proxy, name: &'n str) -> Self {
        if name == BUILTIN {
            return Self::Secret(Box::new(of_agent(OWN)));
        }
        if name.strip_suffix(AUTHORITIES) == Some(BUILTIN) {
            return Self::Secret(Box::new(of_agent(ROOT)));
        }
        match name.strip_prefix(EXTERNAL) {
            // Servers behind the socket expect the scheme, too.
            Some(_) if has_socket(proxy) => {
                Self::Secret(Box::new(served(name, EXTERNAL_CLUSTER, "")))
            }
            Some(resource) => Self::External(resource),
            None => Self::Secret(Box::new(of_kubernetes(name))),
        }
    }

    /// The secret, of Kubernetes where no other source is asked.
    pub(crate) fn or_of_kubernetes(self) -> SdsSecretConfig {
        match self {
            Self::Secret(secret) => *secret,
            Self::External(resource) => of_kubernetes(resource),
        }
    }
}

/// Whether the proxy has a socket for credentials (metadata `credential`).
pub(crate) fn has_socket(proxy: &Proxy) -> bool {
    proxy.metadata_text("credential") == "true"
}

/// A secret that the agent beside the proxy serves.
///
/// # Upstream
///
/// istio/istio `pkg/model/authentication.go` `ConstructSdsSecretConfig`.
pub(crate) fn of_agent(name: &str) -> SdsSecretConfig {
    let mut secret = served(name, "sds-grpc", "");
    if let Some(config) = secret.sds_config.as_mut().filter(|_| matches!(name, OWN | ROOT)) {
        config.initial_fetch_timeout = Some(prost_types::Duration::default());
    }
    secret
}

/// A secret that is read from files: by the agent, or by another server (metadata `file-credential`).
///
/// # Upstream
///
/// istio/istio `pkg/model/authentication.go` `ConstructSdsFilesSecretConfig`.
pub(crate) fn of_files(proxy: &Proxy, name: &str) -> SdsSecretConfig {
    let is_other = proxy.metadata_text("file-credential") == "true";
    served(name, if is_other { "sds-files-grpc" } else { "sds-grpc" }, "")
}

/// A secret of Kubernetes, from the control plane.
pub(crate) fn of_kubernetes(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: resource_name(name), sds_config: Some(over_ads()) }
}

/// The name by which the control plane is asked for a credential.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/credentials/resource.go` `ToResourceName`.
fn resource_name(name: &str) -> String {
    if name.starts_with(BUILTIN) {
        return OWN.to_owned();
    }
    if name.starts_with(INVALID) {
        return INVALID.to_owned();
    }
    let is_spelled_out =
        name.starts_with(KUBERNETES) || SPELLED_OUT.iter().any(|prefix| name.starts_with(prefix));
    if is_spelled_out { name.to_owned() } else { format!("{KUBERNETES}{name}") }
}

/// A secret that a cluster serves.
pub(crate) fn served(name: &str, cluster: &str, authority: &str) -> SdsSecretConfig {
    use core::{api_config_source::ApiType, config_source::ConfigSourceSpecifier, grpc_service};
    let service = core::GrpcService {
        target_specifier: Some(grpc_service::TargetSpecifier::EnvoyGrpc(grpc_service::EnvoyGrpc {
            cluster_name: cluster.to_owned(),
            authority: authority.to_owned(),
            ..grpc_service::EnvoyGrpc::default()
        })),
        ..core::GrpcService::default()
    };
    let source = core::ApiConfigSource {
        api_type: ApiType::Grpc.into(),
        transport_api_version: core::ApiVersion::V3.into(),
        grpc_services: vec![service],
        set_node_on_first_message_only: true,
        ..core::ApiConfigSource::default()
    };
    SdsSecretConfig {
        name: name.to_owned(),
        sds_config: Some(core::ConfigSource {
            resource_api_version: core::ApiVersion::V3.into(),
            config_source_specifier: Some(ConfigSourceSpecifier::ApiConfigSource(source)),
            ..core::ConfigSource::default()
        }),
    }
}

/// What comes over the stream that this came by.
pub(crate) fn over_ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..core::ConfigSource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_without_scheme_is_a_secret_of_kubernetes() {
        assert_eq!(resource_name("shop"), "kubernetes://shop");
        assert_eq!(resource_name("kubernetes://ns/shop"), "kubernetes://ns/shop");
        assert_eq!(resource_name("configmap://ns/roots"), "configmap://ns/roots");
        assert_eq!(resource_name("builtin://-cacert"), "default");
        assert_eq!(resource_name("invalid://x"), "invalid://");
    }
}
