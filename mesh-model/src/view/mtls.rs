//! Whether connections inside the mesh are mutual TLS: what servers demand, what clients send.
//!
//! All of it is here, `PeerAuthentication` too, because a remote endpoint exists only for a client
//! that may speak mutual TLS to it.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::name::{Labels, Namespace};
use crate::resource::{MutualTlsMode, PeerAuthentication};

/// What a workload demands of its clients: never UNSET.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a mode and its exceptions")]
pub struct ServerMode {
    /// The mode of every port without an entry of its own.
    pub mode: MutualTlsMode,
    /// Modes of single workload ports.
    pub ports: BTreeMap<u32, MutualTlsMode>,
}

impl ServerMode {
    /// Returns the mode of a workload (target) port.
    pub fn of_port(&self, port: u16) -> MutualTlsMode {
        self.ports.get(&u32::from(port)).copied().unwrap_or(self.mode)
    }
}

/// The `PeerAuthentication` objects of a mesh, by what they are for.
///
/// Per level only the oldest counts (creation time, name, namespace), even where it is UNSET.
/// Objects with a selector in the root namespace are ignored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeerAuthentications {
    mesh: Option<Arc<PeerAuthentication>>,
    namespaces: BTreeMap<Namespace, Level>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Level {
    namespace: Option<Arc<PeerAuthentication>>,
    /// With a selector, oldest first.
    workloads: Vec<Arc<PeerAuthentication>>,
}

impl PeerAuthentications {
    /// Indexes objects given in any order.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/authentication.go` `initAuthenticationPolicies`.
    pub fn new(
        objects: impl IntoIterator<Item = Arc<PeerAuthentication>>,
        root_namespace: &Namespace,
    ) -> Self {
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by(|a, b| a.meta.age().cmp(&b.meta.age()));
        let mut index = Self::default();
        for object in objects {
            let selects = object.spec.selector.as_ref().is_some_and(|s| !s.match_labels.is_empty());
            let is_root = object.meta.namespace == *root_namespace;
            match (selects, is_root) {
                (false, true) => drop(index.mesh.get_or_insert(object)),
                (true, true) => {}
                (false, false) => {
                    let level = index.namespaces.entry(object.meta.namespace.clone()).or_default();
                    level.namespace.get_or_insert(object);
                }
                (true, false) => {
                    let level = index.namespaces.entry(object.meta.namespace.clone()).or_default();
                    level.workloads.push(object);
                }
            }
        }
        index
    }

    /// Returns what a workload demands: the mesh's mode, the namespace's over it, the workload's
    /// over that; PERMISSIVE where nobody says anything.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authn/policy_applier.go` `ComposePeerAuthentication`.
    pub fn server_mode(&self, namespace: &Namespace, labels: &Labels) -> ServerMode {
        let level = self.namespaces.get(namespace);
        let own = level.and_then(|level| {
            level.workloads.iter().find(|object| {
                object.spec.selector.as_ref().is_some_and(|s| labels.contains(&s.match_labels))
            })
        });
        let mut mode = MutualTlsMode::Permissive;
        let namespace_wide = level.and_then(|level| level.namespace.as_ref());
        for object in [self.mesh.as_ref(), namespace_wide, own].into_iter().flatten() {
            mode = inherit(mode, object);
        }
        let ports = own.and_then(|object| object.spec.port_level_mtls.as_ref()).into_iter().flatten();
        let ports = ports.map(|(port, entry)| match entry.mode {
            MutualTlsMode::Unset => (*port, mode),
            given => (*port, given),
        });
        ServerMode { mode, ports: ports.collect() }
    }

    /// Returns the mode of one workload port without building the whole answer.
    pub fn port_mode(&self, namespace: &Namespace, labels: &Labels, port: u16) -> MutualTlsMode {
        self.server_mode(namespace, labels).of_port(port)
    }

    /// Returns whether workloads of a namespace may differ from each other.
    pub fn differs_by_workload(&self, namespace: &Namespace) -> bool {
        self.namespaces.get(namespace).is_some_and(|level| !level.workloads.is_empty())
    }

    /// Returns the mode that a namespace has as a whole, as clients assume it for a service: its own,
    /// else the mesh's, else PERMISSIVE; STRICT and PERMISSIVE make no difference to them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `BestEffortInferServiceMTLSMode`;
    /// `authentication.go` `GetNamespaceMutualTLSMode`.
    pub fn namespace_mode(&self, namespace: &Namespace) -> MutualTlsMode {
        let level = self.namespaces.get(namespace).and_then(|level| level.namespace.as_ref());
        [self.mesh.as_ref(), level].into_iter().flatten().fold(MutualTlsMode::Permissive, inherit)
    }

    /// Returns every object in force, those of the mesh first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<PeerAuthentication>> {
        let levels = self.namespaces.values();
        self.mesh
            .iter()
            .chain(levels.flat_map(|level| level.namespace.iter().chain(level.workloads.iter())))
    }
}

/// The mode after an object of a lower level.
fn inherit(mode: MutualTlsMode, object: &Arc<PeerAuthentication>) -> MutualTlsMode {
    match object.spec.mtls.as_ref().map(|mtls| mtls.mode) {
        None | Some(MutualTlsMode::Unset) => mode,
        Some(given) => given,
    }
}

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
    /// Returns whether the client chooses by endpoint between mutual TLS and plain text.
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
            && (self.passthrough || self.namespace_mode != MutualTlsMode::Disable)
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
