//! Cohorts of endpoints of which most are as they were.
use std::sync::Arc;

use super::draft::{self, Draft, Texts};
use super::{Cohort, Cohorts, Place, Replaced, narrow, wide};
use crate::endpoint::{Endpoint, Endpoints};

/// Of so many kinds the texts are used again.
const TEXTS: usize = 8;

impl Cohorts {
    /// The cohorts of endpoints; those that are equal to one `before` are the same allocation.
    ///
    /// ```text
    /// before │ as it was │ replaced │ as it was │
    ///        │   head    │          │   tail    │
    /// after  │ as it was │ other ones │ as it was │
    /// ```
    ///
    /// Only the cohorts of what was replaced, and those that the others go to, are looked at.
    pub(in crate::endpoint) fn renewed(&self, before: &Endpoints, endpoints: &Endpoints) -> Self {
        if before.len() == endpoints.len() {
            let pairs = (0_u32..).zip(before.iter().zip(endpoints));
            let differing = pairs.filter(|(_, (old, new))| old != new).map(|(index, _)| index);
            let changed = differing.collect::<Vec<_>>();
            return self.replaced(Replaced { before, now: endpoints }, &changed);
        }
        self.regrouped(before, endpoints)
    }

    /// The same where only endpoints of the indices that `changed` lists, in order, differ.
    pub(in crate::endpoint) fn replaced(&self, endpoints: Replaced<'_>, changed: &[u32]) -> Self {
        let Replaced { before, now } = endpoints;
        self.in_place(endpoints, changed).unwrap_or_else(|| self.regrouped(before, now))
    }

    fn regrouped(&self, before: &Endpoints, endpoints: &Endpoints) -> Self {
        let pairs = before.iter().zip(endpoints);
        let head = pairs.take_while(|(old, new)| old == new).count();
        let room = before.len().min(endpoints.len()) - head;
        let back = before.iter().rev().zip(endpoints.iter().rev()).take(room);
        let tail = back.take_while(|(old, new)| old == new).count();
        let replaced = narrow(head)..narrow(before.len() - tail);
        let others = head..endpoints.len() - tail;
        let moved = |index: u32| match index < replaced.end {
            true => index,
            false => narrow(wide(index) + others.end - wide(replaced.end)),
        };
        let other = |index: usize| Some((narrow(index), endpoints.get(index)?));
        // What another one belongs to is looked at too, though it loses none.
        let gains = draft::of(others.clone().filter_map(other));
        let (mut kept, mut touched) = (Vec::new(), Vec::new());
        for place in &*self.places {
            let members = self.indices(place);
            let loses = members.iter().any(|index| replaced.contains(index));
            let first = members.first().and_then(|index| before.get(wide(*index)));
            let is_kept =
                !loses && first.is_some_and(|first| !gains.iter().any(|draft| draft.is_for(first)));
            if is_kept {
                let members = members.iter().copied().map(moved).collect();
                kept.push((Arc::clone(&place.cohort), members));
            } else {
                let rest = members.iter().copied().filter(|index| !replaced.contains(index));
                touched.extend(rest.map(moved));
            }
        }
        touched.extend(others.map(narrow));
        touched.sort_unstable();
        let looked_at = touched.into_iter().filter_map(|at| Some((at, endpoints.get(wide(at))?)));
        let mut texts = Texts::default();
        for kind in self.places.iter().flat_map(|place| place.cohort.kinds()).take(TEXTS) {
            texts.add(&kind.metadata);
        }
        for draft in draft::of(looked_at) {
            let equal = self.equal(before, &draft, endpoints);
            let cohort = equal.unwrap_or_else(|| Arc::new(draft.cohort(&mut texts)));
            kept.push((cohort, draft.into_members()));
        }
        kept.sort_by_key(|(_, members): &(_, Vec<u32>)| members.first().copied());
        Self::collect(kept)
    }

    /// The cohort whose endpoints are those of a draft.
    fn equal(
        &self,
        before: &Endpoints,
        draft: &Draft<'_>,
        endpoints: &Endpoints,
    ) -> Option<Arc<Cohort>> {
        let of = |indices: &[u32], endpoints| -> Vec<&Endpoint> {
            let get = move |index: &u32| Endpoints::get(endpoints, wide(*index));
            indices.iter().filter_map(get).collect::<Vec<_>>()
        };
        let wanted = of(draft.members(), endpoints);
        let is_equal = |place: &&Place| {
            place.cohort.len() == wanted.len() && of(self.indices(place), before) == wanted
        };
        self.places.iter().find(is_equal).map(|place| Arc::clone(&place.cohort))
    }
}
