//! What clients share whose assignments differ in nothing but priorities and weights.
//!
//! ```text
//! shards ─filter, group, split horizon─▶ Basis ─rank, for each place of a client─▶ Assignment
//! ```
use std::sync::Arc;

use mesh_model::endpoint::{Discoverability, Shards};
use mesh_model::name::Locality;

use super::assigned::{Entry, Part};
use super::draft::{Batch, Draft, Member, Source};
use super::{
    Assignment, ClusterForm, DropReason, Group, Input, Reason, Standpoint, Transport, group, run,
    split_horizon, weight,
};

/// The endpoints and gateways that clients may use, by locality, before anything is ranked.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Basis {
    pub(super) shards: Shards,
    // INVARIANT: in the order of EDS: by raw locality, then by raw priority.
    pub(super) places: Box<[Place]>,
    pub(super) dropped: Box<[(Batch, DropReason)]>,
}

/// Endpoints of a locality that rank alike.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) locality: Locality,
    /// The weight where no rank gives another.
    pub(super) weight: Option<u32>,
    pub(super) parts: Box<[Part]>,
}

/// What a client makes of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rank {
    pub(super) priority: u32,
    pub(super) weight: Option<u32>,
    pub(super) reason: Reason,
}

impl Rank {
    pub(super) const fn of<M>(group: &Group<M>) -> Self {
        Self { priority: group.priority, weight: group.weight, reason: group.reason }
    }
}

impl<'a> Draft<'a> {
    /// The endpoints and gateways that an input's client may use, not yet ranked.
    pub(super) fn of(input: &'a Input<'a>) -> Self {
        let mut draft = group::apply(input);
        split_horizon::apply(input, &mut draft);
        if input.form == ClusterForm::SniDnat {
            keep_mutual_tls(&mut draft);
        }
        draft
    }

    /// Ends the draft.
    pub(super) fn into_basis(mut self) -> Basis {
        let groups = std::mem::take(&mut self.groups);
        let place = |group: Group<Member>| Place {
            // Every group of a draft has one.
            locality: group.locality.unwrap_or_default(),
            weight: group.weight,
            parts: parts(&group.members, &self),
        };
        let places = groups.into_iter().map(place).collect();
        Basis { shards: self.shards.clone(), places, dropped: self.dropped.into() }
    }
}

impl Basis {
    /// Takes back what ranking did to groups of its places.
    pub(super) fn reset(&self, groups: &mut [Group<()>]) {
        for (group, place) in groups.iter_mut().zip(&self.places) {
            (group.weight, group.priority, group.reason) = (place.weight, 0, Reason::default());
        }
    }

    /// The places as groups without members, to be ranked.
    pub(super) fn groups(&self) -> Vec<Group<()>> {
        let group = |place: &Place| Group {
            locality: Some(place.locality.clone()),
            weight: place.weight,
            priority: 0,
            members: Vec::new(),
            reason: Reason::default(),
        };
        self.places.iter().map(group).collect()
    }
}

/// The bases of one destination with one supply, each made once for all clients that it is the same for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bases {
    reads: Option<Reads>,
    known: Vec<Known>,
}

/// A basis, and the standpoint and the node that it is for.
#[derive(Clone, Debug)]
struct Known {
    standpoint: Standpoint,
    node: Box<str>,
    basis: Arc<Basis>,
    /// Its places, to be ranked again and again.
    groups: Vec<Group<()>>,
}

/// What a basis reads of its client beside what it always does.
#[derive(Clone, Copy, Debug)]
struct Reads {
    cluster: bool,
    network: bool,
}

impl Reads {
    fn by(input: &Input<'_>) -> Self {
        let cohorts = input.shards.iter().flat_map(|shard| shard.cohorts());
        let mut kinds = cohorts.flat_map(|of| of.cohort().kinds());
        Self {
            cluster: input.is_cluster_local
                || input.is_ambient_local
                || input.service.node_local
                || kinds.any(|kind| kind.discoverability == Discoverability::SameCluster),
            network: !input.gateways.is_empty() || input.compat.flags.ambient_multi_network(),
        }
    }
}

impl Bases {
    /// The assignment of an input, as [`Assignment::compute`] has it.
    pub(crate) fn assign(&mut self, input: &Input<'_>) -> Assignment {
        if input.form == ClusterForm::SelfDiscovery || Assignment::reshapes(input) {
            return Assignment::compute(input);
        }
        let reads = *self.reads.get_or_insert_with(|| Reads::by(input));
        let standpoint = Standpoint::anywhere(input.proxy, reads.cluster, reads.network);
        let node = if input.service.node_local { &*input.proxy.node } else { "" };
        let is_of = |known: &Known| known.standpoint == standpoint && *known.node == *node;
        let at = self.known.iter().position(is_of).unwrap_or_else(|| {
            let basis = Arc::new(Draft::of(input).into_basis());
            let groups = basis.groups();
            self.known.push(Known { standpoint, node: node.into(), basis, groups });
            self.known.len() - 1
        });
        match self.known.get_mut(at) {
            Some(Known { basis, groups, .. }) => Assignment::on(Arc::clone(basis), input, groups),
            None => Assignment::compute(input),
        }
    }
}

/// Members as an assignment keeps them: endpoints of one cohort together, gateways with what they stand
/// for.
fn parts(members: &[Member], draft: &Draft<'_>) -> Box<[Part]> {
    let batch = |member: &Member| match member.source {
        Source::Endpoints(batch) => Some((batch, member.form)),
        Source::Gateway { .. } => None,
    };
    let runs = run::collect(members.iter().filter_map(batch), draft.shards).map(Part::Run);
    let gateways = members.iter().filter_map(|member| match member.source {
        Source::Endpoints(_) => None,
        Source::Gateway { gateway, fronts } => {
            let behind = draft.fronted(fronts).iter().copied();
            Some(Part::Gateway(Box::new(Entry {
                gateway: draft.gateway(gateway)?.clone(),
                form: member.form,
                fronts: run::collect(behind, draft.shards).collect(),
            })))
        }
    });
    // Gateways come last anyway.
    let mut parts = Vec::with_capacity(members.len());
    parts.extend(runs);
    parts.extend(gateways);
    parts.into()
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
            let is_kept = member.form.transport == Transport::Istio;
            if !is_kept {
                draft.drop_behind(member, DropReason::NotForPassThrough);
            }
            is_kept
        });
        group.weight = weight::refreshed(group.members.iter().map(Member::weight));
    }
    draft.groups = groups;
}
