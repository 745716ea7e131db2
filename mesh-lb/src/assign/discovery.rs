//! How a cluster finds its endpoints, and so whether anybody picks one.
use mesh_model::compat::{DataPlane, Flags};
use mesh_model::endpoint::Provider;
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, Service};
use mesh_model::resource::PortSelector;
use mesh_model::resource::destination_rule::{LbPolicy, LoadBalancerSettings, SimpleLb};
use mesh_model::view::{Destination, ProxyKind, ProxyView};

/// How a proxy's cluster of a destination finds its endpoints.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every way")]
pub enum Discovery {
    /// The control plane sends them.
    #[default]
    Eds,
    /// The cluster holds them; names are resolved, each of their addresses is a host.
    StrictDns,
    /// The cluster holds them; of a name's addresses one is used.
    LogicalDns,
    /// The address that the client asked for is dialled, whatever it is.
    OriginalDestination,
    /// The host that the client asked for is resolved.
    DynamicForwardProxy,
    /// The service is another name of a service; it has no cluster.
    Alias,
}

impl Discovery {
    /// Finds out for a destination, its policy included: `simple: PASSTHROUGH` keeps what the client asked
    /// for, and said of the whole destination it holds for all subsets. Where [commands are sent one by
    /// one](is_sharded) only a subset can say so.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildSubsetCluster`;
    /// `cluster_traffic_policy.go` `applyLoadBalancer`.
    pub fn of(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        let flags = &view.mesh().compat().flags;
        let of_service = Self::of_service(&destination.service, view.proxy().kind, flags);
        let is_fixed = matches!(of_service, Self::DynamicForwardProxy | Self::Alias);
        if !is_fixed && keeps_destination(view, destination) {
            Self::OriginalDestination
        } else {
            of_service
        }
    }

    /// Finds out for the clusters of a service, before any policy.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster.go` `convertResolution`.
    pub fn of_service(service: &Service, kind: ProxyKind, flags: &Flags) -> Self {
        match service.resolution {
            Resolution::ClientSideLb => Self::Eds,
            Resolution::DnsLb if service.race_connects => Self::LogicalDns,
            Resolution::DnsLb => Self::StrictDns,
            Resolution::DnsRoundRobinLb => Self::LogicalDns,
            Resolution::DynamicDns if service.hostname.is_wildcard() => Self::DynamicForwardProxy,
            Resolution::DynamicDns => Self::Eds,
            Resolution::Alias => Self::Alias,
            Resolution::Passthrough => {
                let is_sent = service.provider == Provider::Kubernetes
                    && flags.pilot_enable_eds_for_headless_services;
                // A gateway has no original destination to keep.
                if kind == ProxyKind::Router || is_sent {
                    Self::Eds
                } else {
                    Self::OriginalDestination
                }
            }
        }
    }

    /// Returns the word for it, as Envoy has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eds => "EDS",
            Self::StrictDns => "STRICT_DNS",
            Self::LogicalDns => "LOGICAL_DNS",
            Self::OriginalDestination => "ORIGINAL_DST",
            Self::DynamicForwardProxy => "DYNAMIC_FORWARD_PROXY",
            Self::Alias => "ALIAS",
        }
    }

    /// Returns whether the proxy picks an endpoint; else there are no shares.
    pub const fn picks(self) -> bool {
        match self {
            Self::Eds | Self::StrictDns | Self::LogicalDns => true,
            Self::OriginalDestination | Self::DynamicForwardProxy | Self::Alias => false,
        }
    }
}

fn keeps_destination(view: &ProxyView<'_>, destination: &Destination<'_>) -> bool {
    if sends_by_key(view, destination) {
        let subset = destination.rule.and_then(|rule| rule.subset(&destination.subset));
        let own = subset.and_then(|subset| subset.traffic_policy.as_ref());
        return is_passthrough(own.and_then(|own| own.load_balancer.as_ref()));
    }
    let policy = destination.cluster_policy.as_ref();
    if is_passthrough(policy.and_then(|policy| policy.load_balancer.as_ref())) {
        return true;
    }
    let Some(rule) = destination.rule.filter(|_| !destination.subset.is_empty()) else {
        return false;
    };
    let whole = rule.traffic_policy.as_ref();
    let of_port = whole.and_then(|policy| {
        let is_of = |port: &PortSelector| port.number == u32::from(destination.port.number);
        policy.port_level_settings.iter().find(|one| one.port.as_ref().is_some_and(is_of))
    });
    let of_whole = match of_port {
        Some(own) => own.load_balancer.as_ref(),
        None => whole.and_then(|policy| policy.load_balancer.as_ref()),
    };
    let subset = rule.subsets.iter().find(|subset| subset.name == destination.subset);
    let own = subset.and_then(|subset| subset.traffic_policy.as_ref());
    is_passthrough(of_whole) || is_passthrough(own.and_then(|own| own.load_balancer.as_ref()))
}

/// Returns whether a proxy sends the commands for a port, one by one, to the host that their key says
/// (`PILOT_ENABLE_REDIS_FILTER`): its clusters are then tables of hashes, whatever a rule says.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/networkfilter.go` `buildNetworkFiltersStack`;
/// `cluster_traffic_policy.go` `applyLoadBalancer`.
pub fn is_sharded(flags: &Flags, protocol: Protocol) -> bool {
    flags.pilot_enable_redis_filter && protocol == Protocol::Redis
}

/// Returns whether a proxy [sends commands one by one](is_sharded) to a destination; programs without a proxy
/// know no such thing.
pub(crate) fn sends_by_key(view: &ProxyView<'_>, destination: &Destination<'_>) -> bool {
    let is_proxy = match view.proxy().data_plane {
        DataPlane::IstioProxy | DataPlane::Envoy => true,
        DataPlane::Grpc | DataPlane::Ztunnel => false,
    };
    is_proxy && is_sharded(&view.mesh().compat().flags, destination.port.protocol)
}

/// Returns whether a rule leaves the destination to the client: `simple: PASSTHROUGH`.
pub fn is_passthrough(settings: Option<&LoadBalancerSettings>) -> bool {
    let policy = settings.and_then(|settings| settings.policy.as_ref());
    policy == Some(&LbPolicy::Simple(SimpleLb::Passthrough))
}
