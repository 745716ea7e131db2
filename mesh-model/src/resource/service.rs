//! A name and a virtual address for a set of pods.
use std::net::IpAddr;

use super::Meta;
use super::port_target::PortTarget;
use crate::manifest::decode::{self, Cursor, Decode, Message, choice, message};
use crate::manifest::{Node, Value};
use crate::name::{Labels, Protocol};

mod validate;

message! {
    /// Kubernetes `v1` `Service`: what the mesh reads of it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/conversion.go` `ConvertService`.
    pub struct Service ignoring unknown {
        /// Name, namespace, labels, annotations, age.
        meta: Meta = (elsewhere),
        /// What is asked for.
        spec: ServiceSpec = "spec",
        /// What the cluster made of it.
        status: ServiceStatus = "status",
    }
}

message! {
    /// The fields of a [`Service`] that the mesh reads.
    pub struct ServiceSpec ignoring unknown {
        /// How the service is reached.
        kind: ServiceType = "type",
        /// The virtual address in its own cluster; the first of `cluster_ips` where both are given.
        cluster_ip: ClusterIp = "clusterIP",
        /// The virtual addresses, one a family.
        cluster_ips: Box<[ClusterIp]> = "clusterIPs",
        /// The ports.
        ports: Box<[ServicePort]> = "ports",
        /// The pods behind it; empty where the endpoints are written by hand.
        selector: Labels = "selector",
        /// Whether callers inside the cluster reach only endpoints of their own node.
        internal_traffic_policy: TrafficScope = "internalTrafficPolicy",
        /// Whether a node forwards outside traffic only to endpoints of its own.
        external_traffic_policy: TrafficScope = "externalTrafficPolicy",
        /// `PreferClose`, `PreferSameZone`, `PreferSameNode`; any other text counts as none.
        traffic_distribution: Box<str> = "trafficDistribution",
        /// Whether endpoints count before they are ready.
        publish_not_ready_addresses: bool = "publishNotReadyAddresses",
        /// Addresses outside the cluster that lead here.
        external_ips: Box<[IpAddr]> = "externalIPs",
        /// The host that an `ExternalName` service stands for.
        external_name: Box<str> = "externalName",
        /// The address families in order of preference.
        ip_families: Box<[IpFamily]> = "ipFamilies",
        /// Whether the service has one family or two.
        ip_family_policy: IpFamilyPolicy = "ipFamilyPolicy",
    }
}

message! {
    /// The status of a [`Service`].
    pub struct ServiceStatus ignoring unknown {
        /// What the load balancer of the cluster's provider says.
        load_balancer: LoadBalancerStatus = "loadBalancer",
    }
}

message! {
    /// The points where a load balancer takes traffic in.
    pub struct LoadBalancerStatus ignoring unknown {
        /// The points, in the provider's order.
        ingress: Box<[LoadBalancerIngress]> = "ingress",
    }
}

/// One point; its address counts before its host name.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a message of public fields, like the others")]
pub struct LoadBalancerIngress {
    /// The address; an empty text is none.
    pub ip: Option<IpAddr>,
    /// The host name, empty if none.
    pub hostname: Box<str>,
}

impl Decode for LoadBalancerIngress {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        decode::message(node, cursor)
    }
}

impl Message for LoadBalancerIngress {
    fn overlay(&mut self, node: &Node, cursor: &mut Cursor) {
        if node.get(&["ip"]).and_then(Node::as_str) != Some("") {
            decode::field(node, cursor, ("ip", "ip"), &mut self.ip);
        }
        decode::field(node, cursor, ("hostname", "hostname"), &mut self.hostname);
    }
}

message! {
    /// A port of a [`Service`].
    pub struct ServicePort ignoring unknown {
        /// The name, which may begin with the protocol; empty only where it is the only port.
        name: Box<str> = "name",
        /// The number that callers use.
        port: u32 = "port",
        /// The transport.
        protocol: Transport = "protocol",
        /// The protocol; where it is given, even empty, it replaces what the name says.
        app_protocol: Option<Box<str>> = "appProtocol",
        /// The port of the pods; absent: the same number.
        target_port: Option<PortTarget> = "targetPort",
        /// The port of every node, 0 if none.
        node_port: u32 = "nodePort",
    }
}

impl ServicePort {
    /// Selects the protocol by the rules of [`Protocol::of_service_port`].
    pub fn app(&self) -> Protocol {
        Protocol::of_service_port(
            self.port,
            &self.name,
            self.protocol.as_str(),
            self.app_protocol.as_deref(),
        )
    }
}

choice! {
    /// How a service is reached.
    pub enum ServiceType default ClusterIp or empty {
        /// By a virtual address, or not at all but by its pods (headless).
        ClusterIp = "ClusterIP",
        /// Also by a port of every node.
        NodePort = "NodePort",
        /// Also through a load balancer.
        LoadBalancer = "LoadBalancer",
        /// It is another name for a host.
        ExternalName = "ExternalName",
    }
}

choice! {
    /// Which endpoints count for traffic that has reached a node.
    pub enum TrafficScope default Cluster or empty {
        /// All.
        Cluster = "Cluster",
        /// Those of the node.
        Local = "Local",
    }
}

choice! {
    /// The transport of a port.
    pub enum Transport default Tcp or empty {
        /// TCP.
        Tcp = "TCP",
        /// UDP, which the mesh does not carry.
        Udp = "UDP",
        /// SCTP, which the mesh treats by the port's name as if it were TCP.
        Sctp = "SCTP",
    }
}

choice! {
    /// A family of addresses.
    pub enum IpFamily default Ipv4 {
        /// IPv4.
        Ipv4 = "IPv4",
        /// IPv6.
        Ipv6 = "IPv6",
    }
}

choice! {
    /// How many families a service has.
    pub enum IpFamilyPolicy default SingleStack {
        /// One.
        SingleStack = "SingleStack",
        /// Two where the cluster has two.
        PreferDualStack = "PreferDualStack",
        /// Two.
        RequireDualStack = "RequireDualStack",
    }
}

/// The virtual address of a service.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three things that the field can say")]
pub enum ClusterIp {
    /// None is known.
    #[default]
    Unset,
    /// `None`: the service has none, callers use the addresses of its pods.
    Headless,
    /// The address.
    Address(IpAddr),
}

impl Decode for ClusterIp {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        match &node.value {
            Value::String(text) if text.is_empty() => Some(Self::Unset),
            Value::String(text) if **text == *"None" => Some(Self::Headless),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::List(_)
            | Value::Map(_) => IpAddr::decode(node, cursor).map(Self::Address),
        }
    }
}
