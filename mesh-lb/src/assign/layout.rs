//! Where endpoints are put, by locality, without saying which endpoints they are.
use std::sync::Arc;

use mesh_model::name::Locality;

use super::assigned::{Entry, Part};
use super::basis::Basis;
use super::draft::{Batch, Draft, Member, Source, Which};
use super::run::{Content, Run};
use super::verdict::{self, Verdict};
use super::{DropReason, Group, Input, Reason, Transport, draft, group, run, split_horizon};

/// The places of endpoints and gateways, before anything is ranked. Endpoints are named by where they stand in
/// their shards, so that services whose endpoints are spread alike can have one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
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
        Self::of_verdicts(&verdict::of(input), input)
    }

    /// The same of what is said of the endpoints.
    pub(super) fn of_verdicts(verdicts: &[Verdict], input: &'a Input<'a>) -> Self {
        let mut draft = group::apply(verdicts, input);
        split_horizon::apply(input, &mut draft);
        if input.form.passes_through() {
            keep_mutual_tls(&mut draft);
        }
        draft
    }

    /// Ends the draft.
    pub(super) fn into_basis(self) -> Arc<Basis> {
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
        let (parts, dropped, scale) = (parts.into(), self.dropped.into(), self.scale);
        Basis::new(self.shards, Arc::new(Layout { places, parts, dropped, scale }))
    }
}

impl Layout {
    /// Its places as groups, to be ranked.
    pub(super) fn groups(&self) -> Vec<Group<(), &Locality>> {
        self.places.iter().map(Place::group).collect()
    }

    /// Whether it names endpoints one by one, by their places in a cohort.
    pub(super) fn names_places(&self) -> bool {
        let is_by_place = |run: &Run| matches!(run.content, Content::Places(..));
        let names = |part: &Part| match part {
            Part::Run(run) => is_by_place(run),
            Part::Gateway(entry) => entry.fronts.iter().any(is_by_place),
        };
        let mut dropped = self.dropped.iter();
        self.parts.iter().any(names)
            || dropped.any(|(batch, _)| matches!(batch.which, Which::Place(_)))
    }

    /// The parts of a place.
    #[inline]
    pub(super) fn parts_of(&self, place: &Place) -> &[Part] {
        draft::part(&self.parts, place.parts)
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
