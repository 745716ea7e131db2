//! The assignment of a subset from that of the whole service: what it keeps is what the whole has, as far as
//! labels allow.
//!
//! ```text
//! whole service ─labels─▶ what is left of each locality ─rank, by the subset's policy─▶ subset
//! ```
use std::sync::Arc;

use mesh_model::name::Labels;
use mesh_model::view::{Destination, ProxyView};

use super::assigned::Part;
use super::basis::Basis;
use super::draft::{Batch, Which};
use super::filter::Filter;
use super::of_view::with_supply;
use super::run::{Content, Form, Run};
use super::{Assignment, ClusterForm, DropReason, Input, Supply, group};

impl Assignment {
    /// Computes the assignment of a subset from this one, that of the whole service at the same port, form
    /// and supply for the same proxy: equal to what [`Assignment::of_supply`] computes, and sooner done.
    ///
    /// `destinations` are the whole service and the subset. `None` where it is to be computed as any other: the
    /// two policies let different endpoints through, labels are asked for that endpoints of a
    /// [kind](mesh_model::endpoint::Kind) may differ in, or gateways stand for some endpoints.
    pub fn of_subset(
        &self,
        view: &ProxyView<'_>,
        destinations: [&Destination<'_>; 2],
        form: ClusterForm,
        supply: Supply<'_>,
    ) -> Option<Self> {
        let [whole, subset] = destinations;
        with_supply(view, whole, form, supply, |whole| {
            with_supply(view, subset, form, supply, |subset| self.narrowed(whole, subset))
        })
    }

    fn narrowed(&self, whole: &Input<'_>, input: &Input<'_>) -> Option<Self> {
        let labels = input.subset.filter(|_| whole.subset.is_none())?;
        let has_gateways = self.scale().is_some() || input.form.passes_through();
        let is_reshaped = [whole, input].into_iter().any(Self::reshapes);
        if has_gateways || is_reshaped || !group::reads_alike(whole, input) {
            return None;
        }
        let basis = self.basis().narrowed(labels, input)?;
        Some(Self::on(Arc::new(basis), input))
    }
}

impl Basis {
    /// What is left of it by labels; `None` if any endpoint stands alone among those of its kind.
    fn narrowed(&self, labels: &Labels, input: &Input<'_>) -> Option<Self> {
        let mut dropped = self.dropped_of_subset(labels, input);
        let mut places = Vec::with_capacity(self.places.len());
        let mut parts = Vec::with_capacity(self.n_parts());
        for place in &self.places {
            let (start, mut weight) = (parts.len(), 0_u32);
            for part in self.parts_of(place) {
                let Part::Run(run) = part else { return None };
                let mut drop = |which| {
                    let batch = Batch { shard: run.shard, cohort: run.cohort, which };
                    dropped.push((batch, DropReason::Subset));
                };
                let (content, more) = self.content_of_subset(run, labels, &mut drop)?;
                weight = weight.saturating_add(more);
                parts.extend(content.map(|content| Part::Run(Run { content, ..*run })));
            }
            if parts.len() > start {
                places.push(place.with_parts(start..parts.len(), Some(weight)));
            }
        }
        // In the order in which endpoints are looked at.
        dropped.sort_by_key(|(batch, _)| (batch.shard, batch.cohort, batch.which.number()));
        Some(self.with_places(places, parts, dropped))
    }

    /// What is left of a run, and its weight; what is not is handed to `drop`.
    fn content_of_subset(
        &self,
        run: &Run,
        labels: &Labels,
        drop: &mut impl FnMut(Which),
    ) -> Option<(Option<Content>, u32)> {
        let of = run.cohort_of(&self.shards)?;
        let mut weight = 0_u32;
        let mut keeps = |number: u32, form: Form| {
            let kind = of.cohort().kinds().get(usize::try_from(number).ok()?)?;
            let first = of.endpoint(usize::try_from(kind.first).ok()?)?;
            if !first.workload.labels.contains(labels) {
                drop(Which::Kind(number));
                return None;
            }
            weight = weight.saturating_add(form.weight.saturating_mul(kind.len));
            Some(form)
        };
        let content = match &run.content {
            Content::All(form) => keeps(0, *form).map(Content::All),
            Content::Kinds(forms) => {
                let forms = (0..).zip(forms).map(|(number, form)| keeps(number, (*form)?));
                let forms: Box<[_]> = forms.collect();
                forms.iter().any(Option::is_some).then_some(Content::Kinds(forms))
            }
            Content::Places(..) => return None,
        };
        Some((content, weight))
    }

    /// What the whole drops, for the reasons that the subset has: its labels are asked for before all that does
    /// not concern a whole shard or whether there is anything to dial.
    fn dropped_of_subset(&self, labels: &Labels, input: &Input<'_>) -> Vec<(Batch, DropReason)> {
        let filter = Filter::new(input);
        let whole_service = filter.whole_service();
        let reason = |(batch, reason): &(Batch, DropReason)| {
            let shard = usize::try_from(batch.shard).ok().and_then(|at| self.shards.get(at));
            let is_first = *reason == DropReason::HostName
                || whole_service.is_some()
                || shard.is_none_or(|shard| filter.shard(shard).is_some());
            let has_labels = batch
                .endpoint(&self.shards)
                .is_some_and(|endpoint| endpoint.workload.labels.contains(labels));
            (*batch, if is_first || has_labels { *reason } else { DropReason::Subset })
        };
        let mut dropped = Vec::with_capacity(self.n_parts() + self.dropped.len());
        dropped.extend(self.dropped.iter().map(reason));
        dropped
    }
}
