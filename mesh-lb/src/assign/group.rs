//! Endpoints that are used, by locality.
use std::cmp::Ordering;

use mesh_model::endpoint::{Cohort, Shards};

use super::draft::{Batch, Draft, Member, Source, Which};
use super::verdict::Verdict;
use super::{Group, Input, Reason};

/// Groups the endpoints that are used by the raw text of their locality, in its order.
///
/// Texts that mean the same locality (`r1/z1` and `r1/z1/`) stay apart, as upstream. Within a group
/// endpoints keep the order of the shards; a group's weight is the saturating sum.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `generate`.
pub(super) fn apply<'a>(verdicts: &[Verdict], input: &Input<'a>) -> Draft<'a> {
    let mut draft = Draft::new(input.shards, input.form);
    let mut localities = Localities(Vec::with_capacity(verdicts.len()));
    for Verdict { batch, count, outcome, .. } in verdicts {
        match outcome {
            Ok(form) => {
                if let Some(of) = batch.cohort_of(input.shards) {
                    let source = Source::Endpoints(*batch);
                    localities.push(of.cohort(), Member { source, count: *count, form: *form });
                }
            }
            Err(reason) => draft.drop(*batch, *reason),
        }
    }
    localities.end(&mut draft);
    draft
}

/// What passed the filter, each with its locality's text and its cohort, in the order of the shards.
struct Localities<'a>(Vec<(&'a str, &'a Cohort, Member)>);

impl<'a> Localities<'a> {
    fn push(&mut self, cohort: &'a Cohort, member: Member) {
        self.0.push((cohort.locality().text(), cohort, member));
    }

    /// Puts the groups into a draft, by their texts, and their members.
    fn end(self, draft: &mut Draft<'a>) {
        let Self(mut members) = self;
        // Stable, and soon done: what is of one cluster mostly lies in one region.
        members.sort_by(|(one, ..), (other, ..)| ordering(one, other));
        draft.members.reserve_exact(members.len());
        // Mostly each is in a locality of its own.
        draft.groups.reserve_exact(members.len());
        let mut last = None;
        for (text, cohort, member) in members {
            if last.is_none_or(|last| !is_same(last, text)) {
                draft.groups.push(Group {
                    locality: Some(cohort.locality()),
                    weight: Some(0),
                    priority: 0,
                    members: Vec::new(),
                    reason: Reason::default(),
                });
            }
            last = Some(text);
            if let Some(group) = draft.groups.last_mut() {
                let more = member.form.weight.saturating_mul(member.count);
                group.weight = group.weight.map(|sum| sum.saturating_add(more));
            }
            draft.members.push((draft.groups.len().saturating_sub(1), member));
        }
        restore_order(&mut draft.members, draft.shards);
    }
}

/// The order of two texts, which mostly are one.
fn ordering(a: &str, b: &str) -> Ordering {
    if std::ptr::eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

/// Whether two texts are equal; mostly they are one.
fn is_same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Puts endpoints in the order of their shard where it has two cohorts in one locality that serve the
/// port.
fn restore_order(members: &mut Vec<(usize, Member)>, shards: &Shards) {
    let is_mixed = |pair: &[(usize, Member)]| match pair {
        [
            (one, Member { source: Source::Endpoints(a), .. }),
            (other, Member { source: Source::Endpoints(b), .. }),
        ] => one == other && a.shard == b.shard && a.cohort != b.cohort,
        _ => false,
    };
    if !members.windows(2).any(is_mixed) {
        return;
    }
    let mut restored = Vec::with_capacity(members.len());
    for group in members.chunk_by(|(one, _), (other, _)| one == other) {
        if group.windows(2).any(is_mixed) {
            restored.extend(one_by_one(group, shards));
        } else {
            restored.extend_from_slice(group);
        }
    }
    *members = restored;
}

/// Each endpoint of a group as a member of its own, in the order of the shards.
fn one_by_one(
    group: &[(usize, Member)],
    shards: &Shards,
) -> impl Iterator<Item = (usize, Member)> + use<> {
    let each = group.iter().flat_map(|(number, member)| {
        let Source::Endpoints(batch) = member.source else { return Vec::new() };
        let one = |(place, id)| {
            let which = Which::Place(place);
            let source = Source::Endpoints(Batch { which, ..batch });
            (id, (*number, Member { source, count: 1, form: member.form }))
        };
        batch.places(shards).zip(batch.ids(shards)).map(one).collect()
    });
    let mut each: Vec<((u32, u32), (usize, Member))> = each.collect();
    each.sort_by_key(|(id, _)| *id);
    each.into_iter().map(|(_, member)| member)
}
