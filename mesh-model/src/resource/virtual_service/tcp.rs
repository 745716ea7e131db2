//! Routes of connections.
use super::Destination;
use crate::manifest::decode::message;
use crate::name::Labels;

message! {
    /// A route of TLS connections that are not terminated here.
    pub struct TlsRoute {
        /// Alternatives of which one must match; validation refuses none.
        matches: Vec<TlsMatchAttributes> = "match",
        /// Where connections go, by weight.
        route: Vec<RouteDestination> = "route",
    }
}

message! {
    /// A route of connections.
    pub struct TcpRoute {
        /// Alternatives of which one must match; empty: every connection does.
        matches: Vec<L4MatchAttributes> = "match",
        /// Where connections go, by weight.
        route: Vec<RouteDestination> = "route",
    }
}

message! {
    /// A destination with its share.
    pub struct RouteDestination {
        /// The destination; validation refuses an entry without one.
        destination: Option<Destination> = "destination",
        /// The share relative to the sum of all; a single destination gets everything.
        weight: i32 = "weight",
    }
}

message! {
    /// A condition on connections: every field that is given must match.
    pub struct L4MatchAttributes {
        /// Addresses or ranges, of which one holds the address that the client asked for.
        destination_subnets: Vec<Box<str>> = "destinationSubnets" | "destination_subnets",
        /// The port of the listener; 0: any.
        port: u32 = "port",
        /// Never used.
        source_subnet: Box<str> = "sourceSubnet" | "source_subnet",
        /// Labels that the client workload has.
        source_labels: Labels = "sourceLabels" | "source_labels",
        /// Where the condition applies; empty: where the rule does.
        gateways: Vec<Box<str>> = "gateways",
        /// The namespace of the client workload, empty for any.
        source_namespace: Box<str> = "sourceNamespace" | "source_namespace",
    }
}

message! {
    /// A condition on TLS connections: every field that is given must match.
    pub struct TlsMatchAttributes {
        /// Server names, of which one is asked for; `*.` may begin them.
        sni_hosts: Vec<Box<str>> = "sniHosts" | "sni_hosts",
        /// Addresses or ranges, of which one holds the address that the client asked for.
        destination_subnets: Vec<Box<str>> = "destinationSubnets" | "destination_subnets",
        /// The port of the listener; 0: any.
        port: u32 = "port",
        /// Labels that the client workload has.
        source_labels: Labels = "sourceLabels" | "source_labels",
        /// Where the condition applies; empty: where the rule does.
        gateways: Vec<Box<str>> = "gateways",
        /// The namespace of the client workload, empty for any.
        source_namespace: Box<str> = "sourceNamespace" | "source_namespace",
    }
}
