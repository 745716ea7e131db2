//! Which endpoint is taken.
use std::collections::BTreeMap;

use crate::manifest::decode::{Cursor, Decode, choice, message, oneof};
use crate::manifest::encode::{Encode, entry};
use crate::manifest::{Node, Value};
use crate::name::Duration;

message! {
    /// Which endpoint is taken.
    pub struct LoadBalancerSettings {
        /// The algorithm; absent: Istio's choice, least requests.
        policy: Option<LbPolicy> = (oneof LbPolicy),
        /// Preference by locality; a present block replaces the mesh's wholly.
        locality_lb_setting: Option<LocalityLbSetting> =
            "localityLbSetting" | "locality_lb_setting",
        /// Envoy's zone-aware routing instead of a preference by locality.
        zone_aware_lb_setting: Option<ZoneAwareLbSetting> =
            "zoneAwareLbSetting" | "zone_aware_lb_setting",
        /// How long a new endpoint takes to get its full share; replaced by `warmup`.
        warmup_duration_secs: Option<Duration> = "warmupDurationSecs" | "warmup_duration_secs",
        /// How a new endpoint's share grows.
        warmup: Option<WarmupConfiguration> = "warmup",
    }
}

oneof! {
    /// An algorithm.
    pub enum LbPolicy {
        /// One without a key.
        Simple(SimpleLb) = "simple",
        /// By a key of the request.
        ConsistentHash(ConsistentHashLb) = "consistentHash" | "consistent_hash",
        /// By the load that endpoints report.
        BackendUtilization(BackendUtilizationLb) = "backendUtilization" | "backend_utilization",
    }
}

choice! {
    /// An algorithm without a key.
    pub enum SimpleLb default Unspecified {
        /// Istio's choice: least requests.
        Unspecified = 0 | "UNSPECIFIED",
        /// The old name of least requests.
        LeastConn = 1 | "LEAST_CONN",
        /// Any.
        Random = 2 | "RANDOM",
        /// The address that the client asked for.
        Passthrough = 3 | "PASSTHROUGH",
        /// One after the other.
        RoundRobin = 4 | "ROUND_ROBIN",
        /// The less busy one of two.
        LeastRequest = 5 | "LEAST_REQUEST",
    }
}

message! {
    /// Equal keys go to one endpoint as long as it lives.
    pub struct ConsistentHashLb {
        /// What the key is; validation refuses a block without one.
        key: Option<HashKey> = (oneof HashKey),
        /// How keys find endpoints; absent: a ring.
        algorithm: Option<HashAlgorithm> = (oneof HashAlgorithm),
        /// The least number of points of the ring, before `ringHash` had one; 0: 1024.
        minimum_ring_size: u64 = "minimumRingSize" | "minimum_ring_size",
    }
}

oneof! {
    /// What the key of a request is.
    pub enum HashKey {
        /// A header.
        HttpHeaderName(Box<str>) = "httpHeaderName" | "http_header_name",
        /// A cookie.
        HttpCookie(HttpCookie) = "httpCookie" | "http_cookie",
        /// The client's address, if true.
        UseSourceIp(bool) = "useSourceIp" | "use_source_ip",
        /// A parameter of the query.
        HttpQueryParameterName(Box<str>) =
            "httpQueryParameterName" | "http_query_parameter_name",
    }
}

oneof! {
    /// How keys find endpoints.
    pub enum HashAlgorithm {
        /// The next point of a ring.
        RingHash(RingHash) = "ringHash" | "ring_hash",
        /// A table.
        Maglev(MagLev) = "maglev",
    }
}

message! {
    /// A ring of points.
    pub struct RingHash {
        /// The least number of points; 0: 1024.
        minimum_ring_size: u64 = "minimumRingSize" | "minimum_ring_size",
    }
}

message! {
    /// A Maglev table.
    pub struct MagLev {
        /// The size, a prime number; 0: 65537.
        table_size: u64 = "tableSize" | "table_size",
    }
}

message! {
    /// A cookie that is a key, made by the proxy where it is missing.
    pub struct HttpCookie {
        /// The name; validation refuses none.
        name: Box<str> = "name",
        /// The path that a made cookie is for.
        path: Box<str> = "path",
        /// How long a made cookie lives; absent: none is made; zero: as long as the session.
        ttl: Option<Duration> = "ttl",
        /// More attributes of a made cookie.
        attributes: Vec<CookieAttribute> = "attributes",
    }
}

message! {
    /// An attribute of a cookie, such as `SameSite=Strict`.
    pub struct CookieAttribute {
        /// The name.
        name: Box<str> = "name",
        /// The value, empty for none.
        value: Box<str> = "value",
    }
}

message! {
    /// Weights by the load that endpoints report (ORCA). In istio/api since 1.32; istiod does not use
    /// it yet.
    pub struct BackendUtilizationLb {
        /// How long a new endpoint's reports do not count; absent: 10 s.
        weight_stabilization_period: Option<Duration> =
            "weightStabilizationPeriod" | "weight_stabilization_period",
        /// How long a report counts; absent: 3 min.
        weight_expiration_period: Option<Duration> =
            "weightExpirationPeriod" | "weight_expiration_period",
        /// How often weights are computed; absent: 1 s.
        weight_update_period: Option<Duration> = "weightUpdatePeriod" | "weight_update_period",
        /// The weight of errors, percent of the load; 0: they do not count.
        error_utilization_penalty_percent: u32 =
            "errorUtilizationPenaltyPercent" | "error_utilization_penalty_percent",
        /// The metrics whose greatest is the load; empty: `application_utilization`.
        metric_names_for_computing_utilization: Vec<Box<str>> =
            "metricNamesForComputingUtilization" | "metric_names_for_computing_utilization",
    }
}

message! {
    /// How the share of a new endpoint grows to its full size.
    pub struct WarmupConfiguration {
        /// How long it takes; validation refuses none.
        duration: Option<Duration> = "duration",
        /// What it begins with, percent; absent: 10.
        minimum_percent: Option<f64> = "minimumPercent" | "minimum_percent",
        /// The shape: 1 is a straight line, more grows faster at the end; absent: 1.
        aggression: Option<f64> = "aggression",
    }
}

message! {
    /// Preference by locality. `distribute`, `failover` and `failover_priority` exclude each other,
    /// but for `failover` with priorities that are no topology.
    pub struct LocalityLbSetting {
        /// Shares by locality of the client.
        distribute: Vec<Distribute> = "distribute",
        /// Where a region falls over to; needs outlier detection.
        failover: Vec<Failover> = "failover",
        /// Labels, `KEY` or `KEY=VALUE`, whose agreement makes an endpoint nearer, in this order.
        failover_priority: Vec<Box<str>> = "failoverPriority" | "failover_priority",
        /// Whether locality counts; absent in a host's block: as in the mesh's.
        enabled: Option<bool> = "enabled",
    }
}

message! {
    /// Where the traffic of a locality goes.
    pub struct Distribute {
        /// The locality of the client, `REGION/ZONE/SUBZONE`, the end may be `*`.
        from: Box<str> = "from",
        /// Percent by locality of the endpoint; they sum to 100.
        to: Shares = "to",
    }
}

/// Percent by locality, in the order of the text: admission looks at the localities one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares(Vec<(Box<str>, u32)>);

impl Shares {
    /// Returns the localities with their percentages.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, u32)> {
        self.0.iter().map(|(locality, share)| (&**locality, *share))
    }

    /// Returns the localities.
    pub fn localities(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(locality, _)| locality)
    }
}

/// Collects percentages; of several of one locality each counts.
impl FromIterator<(Box<str>, u32)> for Shares {
    fn from_iter<I: IntoIterator<Item = (Box<str>, u32)>>(shares: I) -> Self {
        Self(shares.into_iter().collect())
    }
}

impl Decode for Shares {
    fn decode(node: &Node, cursor: &mut Cursor) -> Option<Self> {
        let shares = BTreeMap::<Box<str>, u32>::decode(node, cursor)?;
        let entries = node.entries().iter();
        let known = entries.filter_map(|entry| {
            Some((entry.key.as_str().into(), *shares.get(entry.key.as_str())?))
        });
        Some(known.collect())
    }
}

impl Encode for Shares {
    fn value(&self) -> Value {
        Value::Map(self.iter().map(|(locality, share)| entry(locality, share.value())).collect())
    }

    fn is_absent(&self) -> bool {
        self.0.is_empty()
    }
}

message! {
    /// Which region helps out.
    pub struct Failover {
        /// The region of the client.
        from: Box<str> = "from",
        /// The region that is next after its own.
        to: Box<str> = "to",
    }
}

message! {
    /// Envoy's zone-aware routing: the own zone first, as far as its share of endpoints allows.
    pub struct ZoneAwareLbSetting {
        /// Whether it is used; absent in a host's block: as in the mesh's.
        enabled: Option<bool> = "enabled",
        /// Where a region falls over to.
        failover: Vec<Failover> = "failover",
        /// Labels whose agreement makes an endpoint nearer, in this order.
        failover_priority: Vec<Box<str>> = "failoverPriority" | "failover_priority",
        /// With fewer endpoints zones do not count; absent: 6.
        min_cluster_size: Option<u32> = "minClusterSize" | "min_cluster_size",
    }
}
