//! What a sidecar imports, and how it listens.
mod validate;

use super::Meta;
use super::destination_rule::ConnectionPoolSettings;
use super::gateway::ServerTlsSettings;
use super::selector::WorkloadLabels;
use super::virtual_service::Destination;
use crate::manifest::decode::{choice, message};

message! {
    /// `networking.istio.io` `Sidecar`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/sidecar.proto`.
    pub struct Sidecar ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: SidecarSpec = "spec",
    }
}

message! {
    /// The fields of a [`Sidecar`].
    pub struct SidecarSpec {
        /// The workloads concerned; absent: all of the namespace (all of the mesh in the root one).
        workload_selector: Option<WorkloadLabels> = "workloadSelector" | "workload_selector",
        /// Inbound listeners; empty: those that follow from the services of the workload.
        ingress: Vec<IngressListener> = "ingress",
        /// Outbound listeners and what they import; empty: everything.
        egress: Vec<EgressListener> = "egress",
        /// Limits of inbound connections.
        inbound_connection_pool: Option<ConnectionPoolSettings> =
            "inboundConnectionPool" | "inbound_connection_pool",
        /// What happens to traffic for unknown hosts; absent: the mesh's setting.
        outbound_traffic_policy: Option<OutboundTrafficPolicy> =
            "outboundTrafficPolicy" | "outbound_traffic_policy",
    }
}

message! {
    /// An inbound listener.
    pub struct IngressListener {
        /// The port; validation refuses a listener without one.
        port: Option<SidecarPort> = "port",
        /// The address, empty for that of the workload; not with iptables.
        bind: Box<str> = "bind",
        /// How traffic reaches the listener.
        capture_mode: CaptureMode = "captureMode" | "capture_mode",
        /// Where traffic goes: `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT` or `unix://PATH`; empty:
        /// the same port of the workload.
        default_endpoint: Box<str> = "defaultEndpoint" | "default_endpoint",
        /// TLS that is terminated here, without mutual TLS of the mesh.
        tls: Option<ServerTlsSettings> = "tls",
        /// Limits of connections; absent: `inboundConnectionPool`.
        connection_pool: Option<ConnectionPoolSettings> = "connectionPool" | "connection_pool",
    }
}

message! {
    /// An outbound listener.
    pub struct EgressListener {
        /// The port; absent: a listener for each port of what is imported.
        port: Option<SidecarPort> = "port",
        /// The address or `unix://PATH`, empty for that of the service.
        bind: Box<str> = "bind",
        /// How traffic reaches the listener.
        capture_mode: CaptureMode = "captureMode" | "capture_mode",
        /// What is imported, `NAMESPACE/HOST`: the namespace is a name, `*`, `.` or `~`; `~` before a
        /// namespace leaves out.
        hosts: Vec<Box<str>> = "hosts",
    }
}

message! {
    /// The port of a listener.
    pub struct SidecarPort {
        /// The number.
        number: u32 = "number",
        /// The protocol.
        protocol: Box<str> = "protocol",
        /// The name.
        name: Box<str> = "name",
        /// Never used.
        target_port: u32 = "targetPort" | "target_port",
    }
}

choice! {
    /// How traffic reaches a listener.
    pub enum CaptureMode default Default {
        /// As the proxy is set up.
        Default = 0 | "DEFAULT",
        /// Redirected by iptables.
        Iptables = 1 | "IPTABLES",
        /// Sent to its address by the application.
        None = 2 | "NONE",
    }
}

message! {
    /// What happens to traffic for unknown hosts; a block without a mode lets nothing through.
    pub struct OutboundTrafficPolicy {
        /// The mode.
        mode: OutboundTrafficMode = "mode",
        /// A host that gets the traffic instead.
        egress_proxy: Option<Destination> = "egressProxy" | "egress_proxy",
    }
}

choice! {
    /// What happens to traffic for unknown hosts.
    pub enum OutboundTrafficMode default RegistryOnly {
        /// It is dropped.
        RegistryOnly = 0 | "REGISTRY_ONLY",
        /// It passes.
        AllowAny = 1 | "ALLOW_ANY",
        /// It passes, and HTTP goes to the address that the host name has; a setting of the mesh,
        /// which validation refuses in a Sidecar.
        AllowAnyDynamicDns = 3 | "ALLOW_ANY_DYNAMIC_DNS",
    }
}
