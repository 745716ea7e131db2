//! A machine of a cluster.
use super::Meta;
use crate::manifest::decode::{choice, message};

message! {
    /// Kubernetes `v1` `Node`: what the mesh reads of it. Its labels say its locality.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/controller.go` `getPodLocality`.
    pub struct Node ignoring unknown {
        /// Name, labels.
        meta: Meta = (elsewhere),
        /// What the cluster says of it.
        status: NodeStatus = "status",
    }
}

message! {
    /// The status of a [`Node`].
    pub struct NodeStatus ignoring unknown {
        /// The addresses.
        addresses: Box<[NodeAddress]> = "addresses",
    }
}

message! {
    /// An address of a [`Node`].
    pub struct NodeAddress ignoring unknown {
        /// Who can use it.
        kind: NodeAddressType = "type",
        /// The address or name.
        address: Box<str> = "address",
    }
}

choice! {
    /// Who can use an address of a node.
    pub enum NodeAddressType default Hostname {
        /// The node's name for itself.
        Hostname = "Hostname",
        /// The cluster's inside.
        InternalIp = "InternalIP",
        /// Everybody.
        ExternalIp = "ExternalIP",
        /// The cluster's inside, by name.
        InternalDns = "InternalDNS",
        /// Everybody, by name.
        ExternalDns = "ExternalDNS",
    }
}
