//! Why an endpoint is where it is, and why another is absent: values that cost nothing until read.
use super::LabelMatch;

/// Why a locality has its priority and weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// All localities are priority 0 and keep their endpoints' weights.
    Equal(Equal),
    /// `distribute` gives the locality a share.
    Distributed {
        /// The share of the entry, in percent; several localities may divide it.
        share: u32,
        /// Whether 32 bits did not hold what the weight was computed from.
        wraps: bool,
    },
    /// `distribute` has an entry for the client that leaves the locality out.
    Undistributed,
    /// The locality is this near to the client.
    Near(Nearness),
    /// Labels of `failoverPriority`, and after them how near the locality is.
    Labels {
        /// What matched.
        labels: LabelMatch,
        /// The second criterion, if there is one.
        then: Option<Nearness>,
    },
}

/// Why localities are not told apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Equal {
    /// Locality load balancing is off.
    #[default]
    NoSetting,
    /// No outlier detection would notice a failure, so there is nothing to fail over from.
    NoOutlierDetection,
    /// Zone-aware load balancing is set and switched off.
    ZoneAwareOff,
    /// Zone-aware load balancing is set, which waypoints do not do.
    Waypoint,
    /// The cluster is the proxy's own workload.
    SelfDiscovery,
    /// No entry of `distribute` is for the client's locality.
    NoDistribution,
    /// Labels would rank endpoints and the client has none to compare with.
    ClientWithoutLabels,
    /// Labels would rank endpoints; where DNS resolves a subset, or a cluster that gateways reach by server names,
    /// istiod skips that.
    SubsetOfDns,
}

/// How near a locality is to the client. The order is that of failover.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Nearness {
    /// The same region, zone and sub-zone.
    SameSubZone,
    /// The same region and zone.
    SameZone,
    /// The same region.
    SameRegion,
    /// The region that `failover` names for the client's.
    FailoverTarget,
    /// Any other region.
    OtherRegion,
}

/// Why an endpoint is not used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum DropReason {
    /// DNS resolves the service, so EDS sends nothing.
    ResolvedByDns,
    /// The address is a host name, which EDS cannot carry.
    HostName,
    /// Labels of the subset are missing.
    Subset,
    /// The service stays on the client's node.
    NodeLocal,
    /// The proxy asked not to see the network.
    NetworkView,
    /// The service stays in the client's cluster.
    ClusterLocal,
    /// The endpoint's cluster does not export the service.
    NotExported,
    /// The endpoint has no address and no gateway stands in for it.
    NoAddress,
    /// Unhealthy, and unhealthy endpoints are not sent.
    Unhealthy,
    /// Shutting down.
    Terminating,
    /// Draining, and the service keeps no sessions.
    Draining,
    /// Ambient: the service is not global and the endpoint is in another cluster.
    AmbientScope,
    /// Self-discovery: another workload than the proxy's.
    OtherWorkload,
    /// Self-discovery: another revision of the proxy's workload.
    OtherRevision,
    /// Self-discovery: another region than the proxy's.
    OtherRegion,
    /// Waypoints stay in their network.
    WaypointStaysInNetwork,
    /// Ingress gateways stay in their network.
    IngressStaysInNetwork,
    /// No gateway of its network has a port and an address that the proxy can use.
    NoReachableGateway,
    /// It is in reach of the proxy and has no host to connect to, which counts where any network has a
    /// gateway.
    NoHost,
    /// It is behind a gateway that forwards only Istio's mutual TLS, which it does not speak.
    NoMutualTls,
    /// The cluster passes Istio's mutual TLS through, which the endpoint does not speak.
    NotForPassThrough,
    /// `distribute` has an entry for the client that leaves its locality out.
    Undistributed,
}

impl Default for Reason {
    fn default() -> Self {
        Self::Equal(Equal::default())
    }
}

impl Reason {
    /// Adds how near the locality is: the second criterion where labels were the first.
    pub(super) const fn then(self, nearness: Nearness) -> Self {
        match self {
            Self::Labels { labels, .. } => Self::Labels { labels, then: Some(nearness) },
            Self::Equal(_) | Self::Distributed { .. } | Self::Undistributed | Self::Near(_) => {
                Self::Near(nearness)
            }
        }
    }

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Equal(why) => why.code(),
            Self::Distributed { .. } => "distribute",
            Self::Undistributed => "not_in_distribute",
            Self::Near(nearness) => nearness.code(),
            Self::Labels { .. } => "failover_priority",
        }
    }
}

impl Equal {
    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoSetting => "locality_lb_off",
            Self::NoOutlierDetection => "no_outlier_detection",
            Self::ZoneAwareOff => "zone_aware_off",
            Self::Waypoint => "zone_aware_not_on_waypoints",
            Self::SelfDiscovery => "self_discovery",
            Self::NoDistribution => "no_distribute_for_client",
            Self::ClientWithoutLabels => "client_without_labels",
            Self::SubsetOfDns => "subset_of_dns_service",
        }
    }

    /// Returns the sentence.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NoSetting => "locality load balancing is off, so all priorities are 0",
            Self::NoOutlierDetection => {
                "no outlier detection would notice a failure, so all priorities are 0"
            }
            Self::ZoneAwareOff => "zone-aware load balancing is off, so all priorities are 0",
            Self::Waypoint => {
                "waypoints do not balance by zones, which is set, so all priorities are 0"
            }
            Self::SelfDiscovery => "the proxy's own workload is not ranked",
            Self::NoDistribution => {
                "no entry of distribute is for the client's locality, so weights stay"
            }
            Self::ClientWithoutLabels => {
                "the client has no labels for failoverPriority to compare, so all priorities are 0"
            }
            Self::SubsetOfDns => {
                "failoverPriority is skipped for subsets of services that DNS resolves, and for their clusters of \
                 AUTO_PASSTHROUGH"
            }
        }
    }
}

impl Nearness {
    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SameSubZone => "same_sub_zone",
            Self::SameZone => "same_zone",
            Self::SameRegion => "same_region",
            Self::FailoverTarget => "failover_target_region",
            Self::OtherRegion => "other_region",
        }
    }
}

impl DropReason {
    /// Returns whether it keeps a proxy from picking the endpoint and nothing else. A proxy that keeps the
    /// destination that its client asked for is sent no endpoint of anybody, and dials what it is asked for:
    /// one outside the subset, or one that is not ready, too.
    pub const fn is_of_picking(self) -> bool {
        match self {
            Self::Subset
            | Self::Unhealthy
            | Self::Terminating
            | Self::Draining
            | Self::Undistributed => true,
            Self::ResolvedByDns
            | Self::HostName
            | Self::NodeLocal
            | Self::NetworkView
            | Self::ClusterLocal
            | Self::NotExported
            | Self::NoAddress
            | Self::AmbientScope
            | Self::OtherWorkload
            | Self::OtherRevision
            | Self::OtherRegion
            | Self::WaypointStaysInNetwork
            | Self::IngressStaysInNetwork
            | Self::NoReachableGateway
            | Self::NoHost
            | Self::NoMutualTls
            | Self::NotForPassThrough => false,
        }
    }

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        self.said().0
    }

    /// Returns the sentence.
    pub const fn text(self) -> &'static str {
        self.said().1
    }

    const fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::ResolvedByDns => {
                ("resolved_by_dns", "DNS resolves the service, so EDS sends no endpoint")
            }
            Self::HostName => {
                ("host_name", "the address is a host name, which only DNS clusters can use")
            }
            Self::Subset => ("not_in_subset", "its labels are not those of the subset"),
            Self::NodeLocal => ("other_node", "the service stays on the client's node"),
            Self::NetworkView => ("network_not_requested", "the proxy asked for other networks"),
            Self::ClusterLocal => ("cluster_local", "the service stays in the client's cluster"),
            Self::NotExported => {
                ("not_exported", "its cluster does not export the service to other clusters")
            }
            Self::NoAddress => ("no_address", "it has no address and no gateway stands in for it"),
            Self::Unhealthy => ("unhealthy", "it is not ready, and such endpoints are not sent"),
            Self::Terminating => ("terminating", "it is shutting down"),
            Self::Draining => ("draining", "it is draining and the service keeps no sessions"),
            Self::AmbientScope => {
                ("service_not_global", "the service is not global and this is another cluster")
            }
            Self::OtherWorkload => ("other_workload", "it is of another workload than the proxy"),
            Self::OtherRevision => {
                ("other_revision", "it is of another revision of the proxy's workload")
            }
            Self::OtherRegion => ("other_region", "it is in another region than the proxy"),
            Self::WaypointStaysInNetwork => {
                ("waypoint_stays_in_network", "waypoints do not leave their network")
            }
            Self::IngressStaysInNetwork => {
                ("ingress_stays_in_network", "ingress gateways do not leave their network")
            }
            Self::NoReachableGateway => (
                "no_reachable_gateway",
                "its network is entered by the gateways of its own cluster, or of the network where its cluster has \
                 none, and none of these has a port and an address that the proxy can use",
            ),
            Self::NoHost => (
                "no_host",
                "it has no host to connect to, as Unix sockets and machines without an address have none: istiod drops such endpoints \
                 wherever any network has a gateway",
            ),
            Self::NoMutualTls => (
                "no_mutual_tls",
                "gateways forward only Istio's mutual TLS, which is not spoken to it",
            ),
            Self::NotForPassThrough => (
                "not_for_pass_through",
                "the cluster passes Istio's mutual TLS through, which is not spoken to it",
            ),
            Self::Undistributed => ("not_in_distribute", "distribute gives its locality nothing"),
        }
    }
}
