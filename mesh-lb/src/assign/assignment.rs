//! What a proxy uses: localities with priorities and weights, and how each endpoint is reached.
use mesh_model::endpoint::{Address, Endpoint, HealthStatus, NetworkGateway, Shards};
use mesh_model::name::Locality;
use mesh_model::view::{Destination, ProxyView};

use super::draft::{self, Draft, EndpointId, Member, Reach, Source};
use super::failover_priority::WantedLabels;
use super::{ClusterForm, explain::Explanation};
use super::{
    DropReason, EffectiveSetting, Equal, Group, Input, Ranking, Reason, group, split_horizon,
    weight,
};

/// The endpoints that one proxy uses for one service port, by locality and priority.
///
/// It shares the endpoints with the registry and owns the rest, so that it can be kept as long as
/// it is needed. The default is the assignment of a service that does not exist: no localities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    shards: Shards,
    gateways: Box<[NetworkGateway]>,
    /// What the gateways stand for, gateway after gateway.
    fronts: Box<[EndpointId]>,
    // INVARIANT: in the order of EDS: by raw locality, then by raw priority.
    groups: Box<[Group<Member>]>,
    dropped: Box<[(EndpointId, DropReason)]>,
    /// Where the client is, for the reasons.
    client: Locality,
}

impl Assignment {
    /// Computes which endpoints a proxy uses, how it reaches them, and in what order and shares.
    ///
    /// ```text
    /// shards ─filter, group─▶ localities ─split horizon─▶ with gateways ─rank─▶ priorities, weights
    /// ```
    ///
    /// # Examples
    ///
    /// Without outlier detection nothing fails over; with it the nearer zone goes first:
    ///
    /// ```
    /// use mesh_lb::assign::{Assignment, Input};
    /// use mesh_model::{Compat, endpoint::Gateways, resource::destination_rule::LocalityLbSetting};
    /// use mesh_testkit::by_hand;
    ///
    /// let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    /// let shards = by_hand::shards([
    ///     by_hand::endpoint("10.0.0.1", "c1", "eu/west/a"),
    ///     by_hand::endpoint("10.0.0.2", "c1", "eu/east/b"),
    /// ]);
    /// let (compat, gateways) = (Compat::default(), Gateways::default());
    /// let mesh_default = LocalityLbSetting { enabled: Some(true), ..Default::default() };
    /// let port = service.port(80).unwrap();
    /// let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    /// input.mesh_locality = Some(&mesh_default);
    /// assert_eq!(Assignment::compute(&input).n_priorities(), 1);
    ///
    /// input.has_outlier_detection = true;
    /// let assignment = Assignment::compute(&input);
    /// let order = assignment.endpoints().map(|endpoint| {
    ///     (endpoint.target().address().to_string(), endpoint.locality().priority())
    /// });
    /// assert!(order.eq([("10.0.0.2".to_owned(), 1), ("10.0.0.1".to_owned(), 0)]));
    /// ```
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `BuildClusterLoadAssignment`; for
    /// DNS clusters `FromServiceEndpoints` with
    /// `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLocalityLbSetting`.
    pub fn compute(input: &Input<'_>) -> Self {
        let mut draft = group::apply(input);
        split_horizon::apply(input, &mut draft);
        if input.form == ClusterForm::SniDnat {
            keep_mutual_tls(&mut draft);
        }
        rank(input, &mut draft);
        // Several gateways stand for one endpoint, so that it can go with each of them.
        draft.dropped.sort_by_key(|(id, _)| *id);
        draft.dropped.dedup_by_key(|(id, _)| *id);
        Self {
            shards: input.shards.clone(),
            gateways: draft.gateways.into_iter().cloned().collect(),
            fronts: draft.fronts.into(),
            groups: draft.groups.into(),
            dropped: draft.dropped.into(),
            client: input.proxy.locality.clone(),
        }
    }

    /// Returns the localities in the order of EDS: by the raw text of the locality, then by how
    /// well labels matched; never by priority.
    ///
    /// One locality can occur several times, with different priorities.
    pub fn localities(
        &self,
    ) -> impl DoubleEndedIterator<Item = AssignedLocality<'_>> + ExactSizeIterator + Clone {
        self.groups.iter().map(|group| AssignedLocality { assignment: self, group })
    }

    /// Returns all endpoints and gateways, locality after locality.
    pub fn endpoints(&self) -> impl Iterator<Item = AssignedEndpoint<'_>> + Clone {
        self.localities().flat_map(AssignedLocality::endpoints)
    }

    /// Returns how many priorities there are: all from 0 on, without gaps.
    pub fn n_priorities(&self) -> u32 {
        let last = self.groups.iter().map(|group| group.priority).max();
        last.map_or(0, |priority| priority.saturating_add(1))
    }

    /// Returns the endpoints that serve the port and are not used, in the order of the shards, with the
    /// reasons.
    pub fn dropped(&self) -> impl Iterator<Item = (&Endpoint, DropReason)> + Clone {
        self.dropped.iter().filter_map(|&(id, reason)| Some((self.endpoint(id)?, reason)))
    }

    /// Returns whether there is not even an empty locality.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Says why each endpoint is where it is and why others are absent; computed when called.
    pub fn explain(&self) -> Explanation<'_> {
        Explanation::new(self, &[])
    }

    /// The same for the destination and the client that it was computed for, so that every label is
    /// named that `failoverPriority` compared.
    pub fn explain_to(
        &self,
        view: &ProxyView<'_>,
        destination: &Destination<'_>,
    ) -> Explanation<'_> {
        let config = &view.plane().config;
        let policy = destination.policy.as_deref();
        let setting = EffectiveSetting::new(
            policy.and_then(|policy| policy.load_balancer.as_ref()),
            destination.service.traffic_distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        let wanted = WantedLabels::new(setting.failover_priority(), &view.proxy().labels);
        Explanation::new(self, wanted.wanted())
    }

    /// The same with other endpoints, which differ from those before in health alone: those that `fails`
    /// names are unhealthy now, unless their label makes them drain.
    pub(crate) fn with_unhealthy(
        &self,
        shards: &Shards,
        fails: impl Fn(&Endpoint) -> bool,
    ) -> Self {
        let mut changed = Self { shards: shards.clone(), ..self.clone() };
        let mut groups = std::mem::take(&mut changed.groups);
        for member in groups.iter_mut().flat_map(|group| group.members.iter_mut()) {
            let Source::Endpoint(id) = member.source else { continue };
            let is_hit = changed.endpoint(id).is_some_and(&fails);
            if is_hit && member.health != HealthStatus::Draining {
                member.health = HealthStatus::Unhealthy;
            }
        }
        changed.groups = groups;
        changed
    }

    /// The client's locality.
    pub(super) const fn client(&self) -> &Locality {
        &self.client
    }

    fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        let shard = self.shards.iter().nth(usize::try_from(id.shard).ok()?)?;
        shard.endpoints.get(usize::try_from(id.index).ok()?)
    }

    fn gateway(&self, index: u32) -> Option<&NetworkGateway> {
        self.gateways.get(usize::try_from(index).ok()?)
    }
}

/// The endpoints of one locality that share a priority.
#[derive(Clone, Copy, Debug)]
pub struct AssignedLocality<'a> {
    assignment: &'a Assignment,
    group: &'a Group<Member>,
}

impl<'a> AssignedLocality<'a> {
    /// Returns where it is; all parts are empty where nothing is known.
    pub fn locality(self) -> &'a Locality {
        // Every group of an assignment has one; the client's is as good as any for one that has not.
        self.group.locality.as_ref().unwrap_or(&self.assignment.client)
    }

    /// Returns the priority: 0 is used first.
    pub const fn priority(self) -> u32 {
        self.group.priority
    }

    /// Returns the weight among the localities of the priority, `None` where none is told: all of
    /// its endpoints were dropped for reasons of their network.
    pub const fn weight(self) -> Option<u32> {
        self.group.weight
    }

    /// Returns why it has this priority and weight.
    pub const fn reason(self) -> Reason {
        self.group.reason
    }

    /// Returns how many endpoints and gateways it holds.
    pub const fn len(self) -> usize {
        self.group.members.len()
    }

    /// Returns whether all its endpoints were dropped.
    pub const fn is_empty(self) -> bool {
        self.group.members.is_empty()
    }

    /// Returns the endpoints in the order of the shards, then the gateways by address and port.
    pub fn endpoints(self) -> impl DoubleEndedIterator<Item = AssignedEndpoint<'a>> + Clone {
        self.group.members.iter().filter_map(move |member| {
            let target = Target::new(self.assignment, member)?;
            Some(AssignedEndpoint { locality: self, member, target })
        })
    }
}

/// An endpoint that the proxy uses, or a gateway that stands for some.
#[derive(Clone, Copy, Debug)]
pub struct AssignedEndpoint<'a> {
    locality: AssignedLocality<'a>,
    member: &'a Member,
    target: Target<'a>,
}

/// What is dialled, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every way")]
pub enum Target<'a> {
    /// The endpoint itself.
    Direct(&'a Endpoint),
    /// The endpoint itself, by HBONE.
    Tunnel(&'a Endpoint),
    /// A gateway of the endpoints' network, by mutual TLS.
    Gateway(&'a NetworkGateway),
    /// A gateway of the endpoints' network, by HBONE within HBONE.
    DoubleTunnel(&'a NetworkGateway),
}

/// What an endpoint's metadata says that its transport must match.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`: filter metadata
/// `envoy.transport_socket_match`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every match")]
pub enum Transport {
    /// Nothing.
    Plain,
    /// `tlsMode: istio`.
    Istio,
    /// `tlsMode` with another word: the endpoint's own.
    OtherTls,
    /// `tunnel: http`.
    Tunnel,
}

impl<'a> Target<'a> {
    fn new(assignment: &'a Assignment, member: &Member) -> Option<Self> {
        match (member.source, member.reach) {
            (Source::Endpoint(id), Reach::Tunnel) => assignment.endpoint(id).map(Self::Tunnel),
            (Source::Endpoint(id), _) => assignment.endpoint(id).map(Self::Direct),
            (Source::Gateway { gateway, .. }, Reach::DoubleTunnel) => {
                assignment.gateway(gateway).map(Self::DoubleTunnel)
            }
            (Source::Gateway { gateway, .. }, _) => assignment.gateway(gateway).map(Self::Gateway),
        }
    }

    /// Returns the address that is dialled; for tunnels the one inside.
    pub const fn address(self) -> &'a Address {
        match self {
            Self::Direct(endpoint) | Self::Tunnel(endpoint) => &endpoint.address,
            Self::Gateway(gateway) | Self::DoubleTunnel(gateway) => &gateway.address,
        }
    }

    /// Returns the port that is dialled; 0 for a Unix socket.
    pub const fn port(self) -> u16 {
        match self {
            Self::Direct(endpoint) | Self::Tunnel(endpoint) => endpoint.port,
            Self::Gateway(gateway) => gateway.port,
            Self::DoubleTunnel(gateway) => gateway.hbone_port,
        }
    }

    /// Returns the word for it: `direct`, `tunnel`, `gateway` or `double_tunnel`.
    pub const fn via(self) -> &'static str {
        match self {
            Self::Direct(_) => "direct",
            Self::Tunnel(_) => "tunnel",
            Self::Gateway(_) => "gateway",
            Self::DoubleTunnel(_) => "double_tunnel",
        }
    }
}

impl<'a> AssignedEndpoint<'a> {
    /// Returns what is dialled, and how.
    pub const fn target(self) -> Target<'a> {
        self.target
    }

    /// Returns the locality that it belongs to.
    pub const fn locality(self) -> AssignedLocality<'a> {
        self.locality
    }

    /// Returns the weight among the endpoints of its locality, at least 1.
    pub const fn weight(self) -> u32 {
        self.member.weight
    }

    /// Returns the health that the proxy is told; gateways have none.
    pub const fn health(self) -> HealthStatus {
        self.member.health
    }

    /// Returns what its transport must match.
    pub const fn transport(self) -> Transport {
        self.member.transport
    }

    /// Returns the word of metadata `tlsMode`, `None` where it is not written.
    pub fn tls_mode(self) -> Option<&'a str> {
        match (self.member.transport, self.target) {
            (Transport::Plain | Transport::Tunnel, _) => None,
            (Transport::OtherTls, Target::Direct(endpoint) | Target::Tunnel(endpoint)) => {
                Some(&endpoint.workload.tls_mode)
            }
            (Transport::Istio | Transport::OtherTls, _) => Some("istio"),
        }
    }

    /// Returns the endpoints that a gateway stands for, in the order of the shards; none for
    /// anything else.
    pub fn fronts(self) -> impl Iterator<Item = &'a Endpoint> + Clone {
        let assignment = self.locality.assignment;
        let ids = match self.member.source {
            Source::Endpoint(_) => &[],
            Source::Gateway { fronts, .. } => draft::fronted(&assignment.fronts, fronts),
        };
        ids.iter().filter_map(|&id| assignment.endpoint(id))
    }
}

/// Keeps only endpoints and gateways that speak Istio's mutual TLS.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `EndpointsWithMTLSFilter`.
fn keep_mutual_tls(draft: &mut Draft<'_>) {
    let mut groups = std::mem::take(&mut draft.groups);
    for group in &mut groups {
        group.members.retain(|member| {
            let is_kept = member.transport == Transport::Istio;
            if !is_kept {
                drop_behind(draft, member, DropReason::NotForPassThrough);
            }
            is_kept
        });
        group.weight = weight::refreshed(group.members.iter().map(|member| member.weight));
    }
    draft.groups = groups;
}

/// Gives the localities priorities or weights, and records what a distribution leaves out.
fn rank(input: &Input<'_>, draft: &mut Draft<'_>) {
    let mut groups = std::mem::take(&mut draft.groups);
    if input.form == ClusterForm::SelfDiscovery {
        let reason = Reason::Equal(Equal::SelfDiscovery);
        groups.iter_mut().for_each(|group| group.reason = reason);
        draft.groups = groups;
        return;
    }
    let ranking = Ranking {
        locality: &input.proxy.locality,
        labels: &input.proxy.labels,
        kind: input.proxy.kind,
        setting: EffectiveSetting::new(
            input.load_balancer,
            input.service.traffic_distribution,
            input.mesh_zone_aware,
            input.mesh_locality,
        ),
        fails_over: input.has_outlier_detection,
        ranks_by_labels: input.form != ClusterForm::Dns || input.subset.is_none(),
    };
    let sees_behind = input.compat.fixes.gateway_labels;
    let has_label = |member: &Member, label: &str, value: &str| {
        has_label(draft, member, (label, value), sees_behind)
    };
    let mut groups = ranking.rank(groups, |member| member.weight, has_label);
    for group in groups.iter_mut().filter(|group| group.reason == Reason::Undistributed) {
        for member in std::mem::take(&mut group.members) {
            drop_behind(draft, &member, DropReason::Undistributed);
        }
    }
    draft.groups = groups;
}

fn drop_behind(draft: &mut Draft<'_>, member: &Member, reason: DropReason) {
    let ids = draft.behind(member).to_vec();
    draft.dropped.extend(ids.into_iter().map(|id| (id, reason)));
}

/// Whether a member has a label with a value, an absent one being `""`. A gateway has the labels of
/// its cluster and network only; with the fix also those that all endpoints behind it share.
fn has_label(
    draft: &Draft<'_>,
    member: &Member,
    (label, value): (&str, &str),
    sees_behind: bool,
) -> bool {
    let gateway = match member.source {
        Source::Endpoint(id) => {
            let found = draft.endpoint(id).map(|endpoint| endpoint.workload.labels.value(label));
            return found.unwrap_or_default() == value;
        }
        Source::Gateway { gateway, .. } => draft.gateway(gateway),
    };
    match (label, gateway) {
        ("topology.istio.io/cluster", Some(gateway)) => gateway.cluster == *value,
        ("topology.istio.io/network", Some(gateway)) => gateway.network == *value,
        _ if sees_behind => shared_label(draft, member, label) == value,
        _ => value.is_empty(),
    }
}

/// The value of a label that all endpoints behind a member have, `""` if they differ.
fn shared_label<'a>(draft: &Draft<'a>, member: &Member, label: &str) -> &'a str {
    let behind = draft.behind(member).iter().filter_map(|&id| draft.endpoint(id));
    let mut values = behind.map(|endpoint| endpoint.workload.labels.value(label));
    let first = values.next().unwrap_or_default();
    if values.all(|value| value == first) { first } else { "" }
}
