//! What clients share whose assignments differ in nothing but priorities and weights.
//!
//! ```text
//! shards ─filter, group, split horizon─▶ Basis ─rank, for each place of a client─▶ Assignment
//! ```
use std::ops::Range;
use std::sync::Arc;

use mesh_model::endpoint::{Discoverability, Shards};
use mesh_model::name::Locality;

use super::assigned::{Entry, Part};
use super::draft::{Batch, Draft, Member, Source};
use super::{
    Assignment, ClusterForm, DropReason, Group, Input, Reason, Standpoint, Transport, draft, group,
    run, split_horizon,
};

/// The endpoints and gateways that clients may use, by locality, before anything is ranked.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Basis {
    pub(super) shards: Shards,
    // INVARIANT: in the order of EDS: by raw locality, then by raw priority.
    pub(super) places: Box<[Place]>,
    /// The parts of all places, one place after the other.
    parts: Box<[Part]>,
    pub(super) dropped: Box<[(Batch, DropReason)]>,
    /// What all weights were multiplied by so that gateways can divide theirs, if they were.
    pub(super) scale: Option<u32>,
}

/// Endpoints of a locality that rank alike.
#[derive(Debug, PartialEq)]
pub(super) struct Place {
    pub(super) locality: Locality,
    /// The weight where no rank gives another.
    pub(super) weight: Option<u32>,
    /// Where its parts begin and end among those of the basis.
    parts: (u32, u32),
}

impl Place {
    pub(super) const fn is_empty(&self) -> bool {
        let (start, end) = self.parts;
        start == end
    }

    /// The place as a group, to be ranked.
    fn group(&self) -> Group<(), &Locality> {
        Group {
            locality: Some(&self.locality),
            weight: self.weight,
            priority: 0,
            members: Vec::new(),
            reason: Reason::default(),
        }
    }

    /// The same locality with other parts, and their weight.
    pub(super) fn with_parts(&self, parts: Range<usize>, weight: Option<u32>) -> Self {
        let parts = (narrow(parts.start), narrow(parts.end));
        Self { locality: self.locality.clone(), weight, parts }
    }
}

/// What a client makes of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rank {
    pub(super) priority: u32,
    pub(super) weight: Option<u32>,
    pub(super) reason: Reason,
}

impl Rank {
    pub(super) const fn of<M, L>(group: &Group<M, L>) -> Self {
        Self { priority: group.priority, weight: group.weight, reason: group.reason }
    }
}

impl<'a> Draft<'a> {
    /// The endpoints and gateways that an input's client may use, not yet ranked.
    pub(super) fn of(input: &'a Input<'a>) -> Self {
        let mut draft = group::apply(input);
        split_horizon::apply(input, &mut draft);
        if input.form.passes_through() {
            keep_mutual_tls(&mut draft);
        }
        draft
    }

    /// Ends the draft.
    pub(super) fn into_basis(self) -> Basis {
        let mut parts = Vec::with_capacity(self.members.len());
        let mut rest = &*self.members;
        let place = |(number, group): (usize, &Group<(), &Locality>)| {
            let start = narrow(parts.len());
            let count = rest.iter().take_while(|(of, _)| *of == number).count();
            let (members, behind) = rest.split_at_checked(count).unwrap_or_default();
            rest = behind;
            add_parts(members, &self, &mut parts);
            Place {
                // Every group of a draft has one.
                locality: group.locality.cloned().unwrap_or_default(),
                weight: group.weight,
                parts: (start, narrow(parts.len())),
            }
        };
        let places = self.groups.iter().enumerate().map(place).collect();
        let (shards, parts, scale) = (self.shards.clone(), parts.into(), self.scale);
        Basis { shards, places, parts, dropped: self.dropped.into(), scale }
    }
}

impl Basis {
    /// Its places as groups, to be ranked.
    pub(super) fn groups(&self) -> Vec<Group<(), &Locality>> {
        self.places.iter().map(Place::group).collect()
    }

    /// The same endpoints of which others are left: by places, of which each knows its parts.
    pub(super) fn with_places(
        &self,
        places: Vec<Place>,
        parts: Vec<Part>,
        dropped: Vec<(Batch, DropReason)>,
    ) -> Self {
        let (shards, scale) = (self.shards.clone(), self.scale);
        Self { shards, places: places.into(), parts: parts.into(), dropped: dropped.into(), scale }
    }

    /// How many parts all places have.
    pub(super) const fn n_parts(&self) -> usize {
        self.parts.len()
    }

    /// The parts of a place.
    pub(super) fn parts_of(&self, place: &Place) -> &[Part] {
        draft::part(&self.parts, place.parts)
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
            self.known.push(Known { standpoint, node: node.into(), basis });
            self.known.len() - 1
        });
        match self.known.get(at) {
            Some(Known { basis, .. }) => Assignment::on(Arc::clone(basis), input),
            None => Assignment::compute(input),
        }
    }
}

/// Adds the members of a place as an assignment keeps them: endpoints of one cohort together, then
/// gateways with what they stand for. Gateways come last among members anyway.
fn add_parts(members: &[(usize, Member)], draft: &Draft<'_>, parts: &mut Vec<Part>) {
    if let [(_, Member { source: Source::Endpoints(batch), form, .. })] = members {
        return parts.push(Part::Run(run::of_one(*batch, *form, draft.shards)));
    }
    let mut members = members.iter().map(|(_, member)| member).peekable();
    let batches = std::iter::from_fn(|| {
        let next = members.next_if(|member| matches!(member.source, Source::Endpoints(_)))?;
        let Source::Endpoints(batch) = next.source else { return None };
        Some((batch, next.form))
    });
    parts.extend(run::collect(batches, draft.shards).map(Part::Run));
    parts.extend(members.filter_map(|member| {
        let Source::Gateway { gateway, fronts } = member.source else { return None };
        let behind = draft.fronted(fronts).iter().copied();
        Some(Part::Gateway(Box::new(Entry {
            gateway: draft.gateway(gateway)?.clone(),
            form: member.form,
            fronts: run::collect(behind, draft.shards).collect(),
        })))
    }));
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Keeps only endpoints and gateways that speak Istio's mutual TLS.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `EndpointsWithMTLSFilter`.
fn keep_mutual_tls(draft: &mut Draft<'_>) {
    let mut members = std::mem::take(&mut draft.members);
    members.retain(|(_, member)| {
        let is_kept = member.form.transport == Transport::Istio;
        if !is_kept {
            draft.drop_behind(member, DropReason::NotForPassThrough);
        }
        is_kept
    });
    draft.members = members;
    draft.refresh_weights();
}
