//! Whether connections inside the mesh are mutual TLS: what servers demand, what clients send.
//!
//! It is here and not with authorization because a remote endpoint exists only for a client that may
//! speak mutual TLS to it. What servers demand is indexed in `registry/peer_authentications`.
pub use crate::registry::{PeerAuthentications, ServerMode};
use crate::resource::MutualTlsMode;

/// What a client knows before it picks an endpoint.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    clippy::struct_excessive_bools,
    reason = "the inputs of one decision"
)]
pub struct ClientSide<'a> {
    /// Whether a sidecar sends for the client; without one everything is plain text.
    pub has_sidecar: bool,
    /// The mode that a `DestinationRule` demands for the subset and port.
    pub rule: Option<ClientTls>,
    /// `MeshConfig.enableAutoMtls`.
    pub auto_mtls: bool,
    /// Whether the service is outside the mesh.
    pub mesh_external: bool,
    /// Whether the client's own destination is kept (headless, or PASSTHROUGH by rule).
    pub passthrough: bool,
    /// `tlsMode` of all endpoints of the service.
    pub endpoint_tls_modes: &'a [&'a str],
    /// The mode of the service's namespace.
    pub namespace_mode: MutualTlsMode,
}

/// How a `DestinationRule` wants connections secured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "decisions act on every mode")]
pub enum ClientTls {
    /// Plain text.
    Disable,
    /// TLS that shows no certificate.
    Simple,
    /// TLS with certificates of the user's.
    Mutual,
    /// TLS with the mesh's certificates.
    IstioMutual,
}

/// What a client sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "reports act on every transport")]
pub enum Transport {
    /// Plain text.
    Plaintext,
    /// TLS with the mesh's certificates.
    IstioMutual,
    /// TLS that shows no certificate.
    Tls,
    /// TLS with certificates of the user's.
    UserMutual,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "reports act on every outcome")]
pub enum Connection {
    /// Mutual TLS of the mesh.
    MutualTls,
    /// Plain text.
    Plaintext,
    /// It is refused.
    Fails,
    /// It depends on TLS that the server's application speaks.
    Unknown,
}

impl ClientSide<'_> {
    /// Returns whether the client, without a rule about TLS, chooses by endpoint between mutual TLS and
    /// plain text.
    ///
    /// Where the client's destination is kept there have to be endpoints and all of them have to speak
    /// it, and the namespace counts as it does otherwise.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `buildUpstreamTLSSettings`;
    /// `pilot/pkg/model/push_context.go` `BestEffortInferServiceMTLSMode`.
    pub fn is_auto_mutual(&self) -> bool {
        let passes_to_plaintext = self.passthrough
            && (self.endpoint_tls_modes.is_empty()
                || self.endpoint_tls_modes.contains(&"disabled"));
        self.rule.is_none()
            && self.auto_mtls
            && !self.mesh_external
            && !passes_to_plaintext
            && self.namespace_mode != MutualTlsMode::Disable
    }

    /// Returns what the client sends to an endpoint.
    pub fn transport(&self, endpoint_tls_mode: &str, endpoint_mode: MutualTlsMode) -> Transport {
        if !self.has_sidecar {
            return Transport::Plaintext;
        }
        match self.rule {
            Some(ClientTls::Disable) => Transport::Plaintext,
            Some(ClientTls::Simple) => Transport::Tls,
            Some(ClientTls::Mutual) => Transport::UserMutual,
            Some(ClientTls::IstioMutual) => Transport::IstioMutual,
            None if !self.is_auto_mutual() => Transport::Plaintext,
            None if endpoint_tls_mode == "istio" && endpoint_mode != MutualTlsMode::Disable => {
                Transport::IstioMutual
            }
            None => Transport::Plaintext,
        }
    }
}

impl Transport {
    /// Returns what becomes of a connection to an endpoint.
    pub fn meets(self, endpoint_tls_mode: &str, endpoint_mode: MutualTlsMode) -> Connection {
        let has_sidecar = endpoint_tls_mode == "istio";
        match self {
            Self::Tls | Self::UserMutual => Connection::Unknown,
            Self::IstioMutual if has_sidecar && endpoint_mode != MutualTlsMode::Disable => {
                Connection::MutualTls
            }
            Self::IstioMutual => Connection::Fails,
            Self::Plaintext if has_sidecar && endpoint_mode == MutualTlsMode::Strict => {
                Connection::Fails
            }
            Self::Plaintext => Connection::Plaintext,
        }
    }
}
