//! Whether a workload demands mutual TLS.
mod validate;

use std::collections::BTreeMap;

use super::Meta;
use super::selector::WorkloadSelector;
use crate::manifest::decode::{choice, message};

message! {
    /// `security.istio.io` `PeerAuthentication`.
    ///
    /// # Upstream
    ///
    /// istio/api `security/v1beta1/peer_authentication.proto`.
    pub struct PeerAuthentication ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the policy says.
        spec: PeerAuthenticationSpec = "spec",
    }
}

message! {
    /// The fields of a [`PeerAuthentication`].
    pub struct PeerAuthenticationSpec {
        /// The workloads concerned; absent or without labels: all of the namespace.
        selector: Option<WorkloadSelector> = "selector",
        /// The mode; absent: inherited.
        mtls: Option<MutualTls> = "mtls",
        /// Modes of single workload ports, by number; a map that is present and empty is refused by
        /// validation.
        port_level_mtls: Option<BTreeMap<u32, MutualTls>> = "portLevelMtls" | "port_level_mtls",
    }
}

message! {
    /// A mode.
    pub struct MutualTls {
        /// The mode.
        mode: MutualTlsMode = "mode",
    }
}

choice! {
    /// Whether connections must, may or cannot be mutual TLS.
    pub enum MutualTlsMode default Unset {
        /// Inherited from the namespace or the mesh, in the end PERMISSIVE.
        Unset = 0 | "UNSET",
        /// Plain text only.
        Disable = 1 | "DISABLE",
        /// Both.
        Permissive = 2 | "PERMISSIVE",
        /// Mutual TLS only.
        Strict = 3 | "STRICT",
    }
}
