//! What a ztunnel is told about the load balancing of a service.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/services.go` `constructService`,
//! `constructServiceEntries`.
use crate::registry::TrafficDistribution;

/// How a ztunnel chooses among the endpoints of a service.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the message that is sent")]
pub struct WorkloadBalancing {
    /// What the preferences are for.
    pub mode: BalancingMode,
    /// What an endpoint should share with the client, the widest first.
    pub routing_preference: &'static [BalancingScope],
    /// Whether endpoints count that are not healthy.
    pub health_policy: HealthPolicy,
}

/// What preferences are for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the values of the protocol")]
pub enum BalancingMode {
    /// There are none.
    #[default]
    Unspecified,
    /// Only endpoints that share everything.
    Strict,
    /// Endpoints that share the most.
    Failover,
    /// The address that the client asked for.
    Passthrough,
}

/// What an endpoint can share with a client.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the values of the protocol that istiod sends")]
pub enum BalancingScope {
    /// The network.
    Network,
    /// The region.
    Region,
    /// The zone.
    Zone,
    /// The sub-zone.
    SubZone,
    /// The node.
    Node,
}

/// Whether endpoints count that are not healthy.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the values of the protocol")]
pub enum HealthPolicy {
    /// They do not.
    #[default]
    OnlyHealthy,
    /// They do.
    AllowAll,
}

impl BalancingMode {
    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Strict => "STRICT",
            Self::Failover => "FAILOVER",
            Self::Passthrough => "PASSTHROUGH",
        }
    }
}

impl BalancingScope {
    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "NETWORK",
            Self::Region => "REGION",
            Self::Zone => "ZONE",
            Self::SubZone => "SUBZONE",
            Self::Node => "NODE",
        }
    }
}

impl HealthPolicy {
    /// Returns the name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyHealthy => "ONLY_HEALTHY",
            Self::AllowAll => "ALLOW_ALL",
        }
    }
}

impl WorkloadBalancing {
    /// Of a ServiceEntry without resolution: the client's address is taken.
    pub const PASSTHROUGH: Self = Self {
        mode: BalancingMode::Passthrough,
        routing_preference: &[],
        health_policy: HealthPolicy::AllowAll,
    };

    /// Of a service that is reached on the client's node only.
    pub const NODE_LOCAL: Self = Self {
        mode: BalancingMode::Strict,
        routing_preference: &[BalancingScope::Node],
        health_policy: HealthPolicy::OnlyHealthy,
    };

    /// Of any other service, by its traffic distribution.
    pub const fn of(distribution: TrafficDistribution) -> Self {
        use BalancingScope::{Network, Node, Region, SubZone, Zone};
        let routing_preference: &[BalancingScope] = match distribution {
            TrafficDistribution::Any => &[],
            TrafficDistribution::SameZone => &[Network, Region, Zone],
            TrafficDistribution::SameNode => &[Network, Region, Zone, SubZone, Node],
        };
        let mode = match distribution {
            TrafficDistribution::Any => BalancingMode::Unspecified,
            TrafficDistribution::SameZone | TrafficDistribution::SameNode => {
                BalancingMode::Failover
            }
        };
        Self { mode, routing_preference, health_policy: HealthPolicy::OnlyHealthy }
    }

    /// The same for a service whose addresses count before they are ready.
    #[must_use]
    pub const fn publishing_not_ready(self) -> Self {
        Self { health_policy: HealthPolicy::AllowAll, ..self }
    }
}
