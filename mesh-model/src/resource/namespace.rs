//! Kinds of which the mesh reads the metadata only.
use super::Meta;
use crate::manifest::decode::message;

message! {
    /// Kubernetes `v1` `Namespace`: its labels and annotations set injection, traffic distribution,
    /// what is discovered, and, on the system namespace, the cluster's network.
    pub struct Namespace ignoring unknown {
        /// Name, labels, annotations.
        meta: Meta = (elsewhere),
    }
}

message! {
    /// Kubernetes `v1` `ServiceAccount`: an identity.
    pub struct ServiceAccount ignoring unknown {
        /// Name, namespace.
        meta: Meta = (elsewhere),
    }
}
