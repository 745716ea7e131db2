//! What a proxy uses: how it is computed.
use std::borrow::Borrow;
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{Endpoint, Shards};
use mesh_model::name::Locality;
use mesh_model::view::{Destination, ProxyView};

use super::assigned::{AssignedEndpoint, AssignedLocality};
use super::basis::Basis;
use super::draft::{Batch, Draft, Member, Source};
use super::explain::{Explanation, Wanted};
use super::failover_priority::WantedLabels;
use super::layout::Rank;
use super::{
    ClusterForm, DropReason, EffectiveSetting, Equal, Group, Input, Ranking, Reason, distribute,
};

/// The endpoints that one proxy uses for one service port, by locality and priority.
///
/// It shares the endpoints with the registry and names them by [`Cohort`](mesh_model::endpoint::Cohort), where
/// rules allow; it owns the rest, so that it can be kept as long as
/// it is needed. The default is the assignment of a service that does not exist: no localities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    basis: Arc<Basis>,
    // INVARIANT: one for each place of the basis.
    ranks: Arc<[Rank]>,
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
        let draft = Draft::of(input);
        if Self::reshapes(input) {
            return Self::reshaped(draft, input);
        }
        Self::on(draft.into_basis(), input)
    }

    /// Whether ranking splits localities, or takes endpoints from them.
    pub(super) fn reshapes(input: &Input<'_>) -> bool {
        Self::ranking(input).is_some_and(|ranking| ranking.reshapes())
    }

    /// How an input's client ranks localities; its own workload's cluster ranks none.
    pub(super) fn ranking<'a>(input: &Input<'a>) -> Option<Ranking<'a>> {
        (input.form != ClusterForm::SelfDiscovery).then(|| Ranking {
            locality: &input.proxy.locality,
            labels: &input.proxy.labels,
            kind: input.proxy.kind,
            setting: input.setting(),
            fails_over: input.has_outlier_detection,
            ranks_by_labels: match input.form {
                ClusterForm::Dns => input.subset.is_none(),
                ClusterForm::SniDnatDns => false,
                ClusterForm::Outbound
                | ClusterForm::SniDnat
                | ClusterForm::InboundVip
                | ClusterForm::SelfDiscovery => true,
            },
        })
    }

    /// The assignment that leaves localities as they are.
    pub(super) fn on(basis: Arc<Basis>, input: &Input<'_>) -> Self {
        let groups = ranked(input, basis.layout.groups(), |()| 0, |(), _, _| false);
        let ranks = groups.iter().map(Rank::of).collect();
        Self::ranked_as(basis, ranks, input)
    }

    /// The same where it is known what its client makes of each place.
    pub(super) fn ranked_as(basis: Arc<Basis>, ranks: Arc<[Rank]>, input: &Input<'_>) -> Self {
        Self { basis, ranks, client: input.proxy.locality.clone() }
    }

    /// The assignment that does not; what a distribution leaves out is recorded.
    fn reshaped(mut draft: Draft<'_>, input: &Input<'_>) -> Self {
        let groups = draft.take_groups();
        let sees_behind = input.compat.fixes.gateway_labels;
        let has_label = |member: &Member, label: &str, value: &str| {
            has_label(&draft, member, (label, value), sees_behind)
        };
        let mut groups = ranked(input, groups, Member::weight, has_label);
        for group in groups.iter_mut().filter(|group| group.reason == Reason::Undistributed) {
            for member in std::mem::take(&mut group.members) {
                draft.drop_behind(&member, DropReason::Undistributed);
            }
        }
        let ranks = groups.iter().map(Rank::of).collect();
        draft.put_groups(groups);
        Self::ranked_as(draft.into_basis(), ranks, input)
    }

    /// Returns the localities in the order of EDS: by the raw text of the locality, then by how
    /// well labels matched; never by priority.
    ///
    /// One locality can occur several times, with different priorities.
    pub fn localities(
        &self,
    ) -> impl DoubleEndedIterator<Item = AssignedLocality<'_>> + ExactSizeIterator + Clone {
        let places = self.basis.layout.places.iter().zip(&*self.ranks);
        places.map(|(place, rank)| AssignedLocality::new(self, place, rank))
    }

    /// Returns all endpoints and gateways, locality after locality.
    pub fn endpoints(&self) -> impl Iterator<Item = AssignedEndpoint<'_>> + Clone {
        self.localities().flat_map(AssignedLocality::endpoints)
    }

    /// Returns how many endpoints the service has, at all ports and in whatever state: no fewer than are
    /// assigned, and soon counted.
    pub fn n_endpoints_of_service(&self) -> usize {
        self.basis.shards.iter().map(|shard| shard.endpoints().len()).sum()
    }

    /// Returns whether it is of the same revision of the same service's endpoints as another, whichever of them
    /// each uses.
    pub fn is_of_same_endpoints(&self, other: &Self) -> bool {
        self.basis.shards.is_same(&other.basis.shards)
    }

    /// Returns how many priorities there are: all from 0 on, without gaps.
    pub fn n_priorities(&self) -> u32 {
        let last = self.ranks.iter().map(|rank| rank.priority).max();
        last.map_or(0, |priority| priority.saturating_add(1))
    }

    /// Returns the endpoints that serve the port and are not used, in the order of the shards, with the
    /// reasons.
    pub fn dropped(&self) -> impl Iterator<Item = (&Endpoint, DropReason)> + Clone {
        let of_batch = |&(batch, reason): &(Batch, DropReason)| {
            batch.ids(self.shards()).map(move |id| (id, reason))
        };
        let mut dropped: Vec<((u32, u32), DropReason)> =
            self.basis.layout.dropped.iter().flat_map(of_batch).collect();
        // Several gateways stand for one endpoint, so that it can go with each of them.
        dropped.sort_by_key(|(id, _)| *id);
        dropped.dedup_by_key(|(id, _)| *id);
        dropped.into_iter().filter_map(|((shard, index), reason)| {
            let shard = self.shards().get(usize::try_from(shard).ok()?)?;
            Some((shard.endpoints().get(usize::try_from(index).ok()?)?, reason))
        })
    }

    /// Returns whether there is not even an empty locality.
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Says why each endpoint is where it is and why others are absent; computed when called.
    pub fn explain(&self) -> Explanation<'_> {
        let list = "failoverPriority or trafficDistribution";
        let wanted = Wanted {
            list,
            labels: &[],
            ejects: false,
            distribute: None,
            is_blind_behind: false,
            is_grpc: false,
            resolves_gateways: false,
            network: None,
        };
        Explanation::new(self, wanted)
    }

    /// The same for the destination and the client that it was computed for, so that every label is
    /// named that `failoverPriority` or `trafficDistribution` compared.
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
        let list = match setting {
            EffectiveSetting::Distribution(_) => "trafficDistribution",
            EffectiveSetting::None
            | EffectiveSetting::Locality(_)
            | EffectiveSetting::ZoneAware(_) => "failoverPriority",
        };
        let of_cluster = destination.cluster_policy.as_deref();
        let ejects = of_cluster.is_some_and(|policy| policy.outlier_detection.is_some());
        let entries = match setting {
            EffectiveSetting::Locality(setting) => setting.distribute.as_slice(),
            EffectiveSetting::None
            | EffectiveSetting::ZoneAware(_)
            | EffectiveSetting::Distribution(_) => &[],
        };
        let wanted = Wanted {
            list,
            labels: wanted.wanted(),
            ejects,
            distribute: distribute::entry_for(&view.proxy().locality, entries),
            resolves_gateways: !ClusterForm::of(destination.service.resolution).is_dns(),
            network: Some(&view.proxy().network),
            is_grpc: view.proxy().data_plane == DataPlane::Grpc,
            is_blind_behind: !view.mesh().compat().fixes.gateway_labels,
        };
        Explanation::new(self, wanted)
    }

    /// The client's locality.
    pub(crate) const fn client(&self) -> &Locality {
        &self.client
    }

    /// What all weights were multiplied by, if they were.
    pub(super) fn scale(&self) -> Option<u32> {
        self.basis.layout.scale
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.basis.shards
    }

    /// What it makes of localities; the same where the basis is.
    pub(crate) const fn ranks(&self) -> &Arc<[Rank]> {
        &self.ranks
    }

    /// What it shares with those of other clients; the same allocation gives the same endpoints in the same
    /// localities.
    pub(crate) const fn basis(&self) -> &Arc<Basis> {
        &self.basis
    }
}

/// Gives groups priorities or weights.
fn ranked<M, L: Borrow<Locality> + Clone>(
    input: &Input<'_>,
    mut groups: Vec<Group<M, L>>,
    weight_of: impl Fn(&M) -> u32,
    has_label: impl Fn(&M, &str, &str) -> bool,
) -> Vec<Group<M, L>> {
    match Assignment::ranking(input) {
        Some(ranking) => ranking.rank(groups, weight_of, has_label),
        None => {
            let reason = Reason::Equal(Equal::SelfDiscovery);
            groups.iter_mut().for_each(|group| group.reason = reason);
            groups
        }
    }
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
        Source::Endpoints(batch) => return label_of(draft, batch, label) == value,
        Source::Gateway { gateway, fronts } => (draft.gateway(gateway), fronts),
    };
    let (gateway, fronts) = gateway;
    match (label, gateway) {
        ("topology.istio.io/cluster", Some(gateway)) => gateway.cluster == *value,
        ("topology.istio.io/network", Some(gateway)) => gateway.network == *value,
        _ if sees_behind => shared_label(draft, fronts, label) == value,
        _ => value.is_empty(),
    }
}

fn label_of<'a>(draft: &Draft<'a>, batch: Batch, label: &str) -> &'a str {
    batch.endpoint(draft.shards).map_or("", |endpoint| endpoint.workload.labels.value(label))
}

/// The value of a label that all endpoints behind a gateway have, `""` if they differ.
fn shared_label<'a>(draft: &Draft<'a>, fronts: (u32, u32), label: &str) -> &'a str {
    let behind = draft.fronted(fronts).iter();
    let mut values = behind.map(|(batch, _)| label_of(draft, *batch, label));
    let first = values.next().unwrap_or_default();
    if values.all(|value| value == first) { first } else { "" }
}
