//! A gateway of the Gateway API, which may lead into a network.
use std::collections::BTreeMap;

use super::Meta;
use crate::manifest::decode::message;

message! {
    /// `gateway.networking.k8s.io` `Gateway`: what multi-network meshes read of it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/network.go`.
    pub struct KubernetesGateway ignoring unknown {
        /// Name, namespace, labels, annotations.
        meta: Meta = (elsewhere),
        /// What is asked for.
        spec: KubernetesGatewaySpec = "spec",
    }
}

message! {
    /// The fields of a [`KubernetesGateway`] that are read.
    pub struct KubernetesGatewaySpec ignoring unknown {
        /// The class: `istio`, `istio-remote`, `istio-waypoint`, `istio-east-west`, …
        gateway_class_name: Box<str> = "gatewayClassName",
        /// The addresses that are asked for.
        addresses: Vec<GatewayAddress> = "addresses",
        /// The ports.
        listeners: Vec<GatewayListener> = "listeners",
    }
}

message! {
    /// An address of a gateway.
    pub struct GatewayAddress ignoring unknown {
        /// `IPAddress` or `Hostname`; an address without a type is not used.
        kind: Option<Box<str>> = "type",
        /// The address.
        value: Box<str> = "value",
    }
}

message! {
    /// A port of a gateway.
    pub struct GatewayListener ignoring unknown {
        /// The name.
        name: Box<str> = "name",
        /// The host; empty: any.
        hostname: Box<str> = "hostname",
        /// The number.
        port: u32 = "port",
        /// The protocol: `HTTP`, `HTTPS`, `TLS`, `TCP`, `HBONE`, …
        protocol: Box<str> = "protocol",
        /// TLS; absent: none.
        tls: Option<GatewayTls> = "tls",
    }
}

message! {
    /// TLS of a port.
    pub struct GatewayTls ignoring unknown {
        /// `Terminate` (if empty) or `Passthrough`.
        mode: Box<str> = "mode",
        /// Options; `gateway.istio.io/listener-protocol: auto-passthrough` makes a network gateway.
        options: BTreeMap<Box<str>, Box<str>> = "options",
    }
}
