//! How clients reach a host: load balancing, connections, outlier detection, TLS, subsets.
//!
//! Whether a block is present matters: an empty `outlierDetection` turns failover on, and a subset's
//! block replaces that of the host. So blocks are optional, and an absent number is 0 only where
//! upstream does not tell 0 from absent.
mod connection_pool;
mod load_balancer;
mod outlier_detection;
mod tls;
mod validate;

pub use self::connection_pool::{
    ConnectionKeepalive, ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, TcpKeepalive,
    TcpSettings,
};
pub use self::load_balancer::{
    BackendUtilizationLb, ConsistentHashLb, CookieAttribute, Distribute, Failover, HashAlgorithm,
    HashKey, HttpCookie, LbPolicy, LoadBalancerSettings, LocalityLbSetting, MagLev, RingHash,
    Shares, SimpleLb, WarmupConfiguration, ZoneAwareLbSetting,
};
pub use self::outlier_detection::OutlierDetection;
pub use self::tls::{ClientTlsMode, ClientTlsSettings};
pub(crate) use self::validate::depends_on_order;
pub(in crate::resource) use self::validate::{
    OutlierDetectionIs, connection_pool, connection_pool_settings, locality, outlier_detection,
    subset_name, tls_settings, zone_aware,
};
use super::Meta;
use super::selector::{PortSelector, WorkloadSelector};
use crate::manifest::decode::{choice, message};
use crate::name::{Duration, Labels};

message! {
    /// `networking.istio.io` `DestinationRule`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/destination_rule.proto`.
    pub struct DestinationRule ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the rule says.
        spec: DestinationRuleSpec = "spec",
    }
}

message! {
    /// The fields of a [`DestinationRule`].
    pub struct DestinationRuleSpec {
        /// The host; a name without a dot is one of the rule's namespace, `*.` may begin it.
        host: Box<str> = "host",
        /// What holds for all ports and subsets that do not say otherwise.
        traffic_policy: Option<TrafficPolicy> = "trafficPolicy" | "traffic_policy",
        /// Named parts of the endpoints.
        subsets: Vec<Subset> = "subsets",
        /// Namespaces that see the rule: `.`, `*` or names; empty: the mesh's default.
        export_to: Vec<Box<str>> = "exportTo" | "export_to",
        /// The client workloads concerned; absent: all.
        workload_selector: Option<WorkloadSelector> = "workloadSelector" | "workload_selector",
    }
}

message! {
    /// A named part of a host's endpoints.
    pub struct Subset {
        /// The name, which routes refer to.
        name: Box<str> = "name",
        /// The labels that its endpoints have; empty: all endpoints.
        labels: Labels = "labels",
        /// What replaces the host's policy, block by block.
        traffic_policy: Option<TrafficPolicy> = "trafficPolicy" | "traffic_policy",
    }
}

message! {
    /// How clients reach a host, a subset or, as the mesh's default, anything.
    pub struct TrafficPolicy {
        /// Which endpoint is taken.
        load_balancer: Option<LoadBalancerSettings> = "loadBalancer" | "load_balancer",
        /// How many connections and requests there may be.
        connection_pool: Option<ConnectionPoolSettings> = "connectionPool" | "connection_pool",
        /// When an endpoint is left out for a while.
        outlier_detection: Option<OutlierDetection> = "outlierDetection" | "outlier_detection",
        /// TLS of connections to the host; absent: decided by automatic mutual TLS.
        tls: Option<ClientTlsSettings> = "tls",
        /// Ports with a policy of their own, which replaces the four blocks above wholly.
        port_level_settings: Vec<PortTrafficPolicy> = "portLevelSettings" | "port_level_settings",
        /// A tunnel for TCP through an HTTP proxy.
        tunnel: Option<TunnelSettings> = "tunnel",
        /// The PROXY protocol on connections to the host.
        proxy_protocol: Option<ProxyProtocol> = "proxyProtocol" | "proxy_protocol",
        /// How many retries there may be at once.
        retry_budget: Option<RetryBudget> = "retryBudget" | "retry_budget",
    }
}

message! {
    /// The policy of a port.
    pub struct PortTrafficPolicy {
        /// The port of the service; validation refuses an entry without one.
        port: Option<PortSelector> = "port",
        /// Which endpoint is taken; absent: the system's default, not that of the host.
        load_balancer: Option<LoadBalancerSettings> = "loadBalancer" | "load_balancer",
        /// How many connections and requests there may be; absent as above.
        connection_pool: Option<ConnectionPoolSettings> = "connectionPool" | "connection_pool",
        /// When an endpoint is left out for a while; absent as above.
        outlier_detection: Option<OutlierDetection> = "outlierDetection" | "outlier_detection",
        /// TLS of connections; absent as above.
        tls: Option<ClientTlsSettings> = "tls",
    }
}

message! {
    /// A tunnel for TCP through an HTTP proxy.
    pub struct TunnelSettings {
        /// The method, `CONNECT` (if empty) or `POST`.
        protocol: Box<str> = "protocol",
        /// The host that the proxy is asked for.
        target_host: Box<str> = "targetHost" | "target_host",
        /// The port that the proxy is asked for.
        target_port: u32 = "targetPort" | "target_port",
    }
}

message! {
    /// The PROXY protocol on connections to a host.
    pub struct ProxyProtocol {
        /// The version.
        version: ProxyProtocolVersion = "version",
    }
}

choice! {
    /// A version of the PROXY protocol.
    pub enum ProxyProtocolVersion default V1 {
        /// Text.
        V1 = 0 | "V1",
        /// Binary.
        V2 = 1 | "V2",
    }
}

message! {
    /// How many retries there may be at once, by the requests that there are.
    pub struct RetryBudget {
        /// Percent of the active requests; absent: 20.
        percent: Option<f64> = "percent",
        /// What is always allowed; 0: 3.
        min_retry_concurrency: u32 = "minRetryConcurrency" | "min_retry_concurrency",
        /// How long a request counts as active; absent: as long as it is.
        budget_interval: Option<Duration> = "budgetInterval" | "budget_interval",
    }
}

#[cfg(test)]
mod tests;
