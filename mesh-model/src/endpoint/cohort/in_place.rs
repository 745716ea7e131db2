//! Cohorts of which some endpoints are others, each in the place of the one before.
use std::sync::Arc;

use super::draft::{COMPARED, are_of_one_cohort};
use super::kind::{are_alike, have_one_name};
use super::{Cohort, Cohorts, Kind, Place, narrow, wide};
use crate::endpoint::{Endpoint, Endpoints};
use crate::name::Text;

/// The endpoints of a shard before and now, as many as before.
#[derive(Clone, Copy)]
pub(in crate::endpoint) struct Replaced<'e> {
    pub(in crate::endpoint) before: &'e Endpoints,
    pub(in crate::endpoint) now: &'e Endpoints,
}

impl<'e> Replaced<'e> {
    /// The endpoint of an index, before and now.
    fn pair(self, index: u32) -> Option<(&'e Endpoint, &'e Endpoint)> {
        Some((self.before.get(wide(index))?, self.now.get(wide(index))?))
    }
}

/// A kind while it is told who belongs to it now.
struct Next<'e> {
    /// What it was, or what it begins as.
    kind: Kind,
    is_new: bool,
    /// One that stays in it, or the one that it begins with.
    like: Option<&'e Endpoint>,
    first: u32,
    len: u32,
    /// Its place among those that are left, by their first endpoints.
    id: u32,
}

impl Cohorts {
    /// The cohorts where only endpoints of the indices that `changed` lists, in order, differ; `None`
    /// where one of these is of another cohort than before, or there are too many kinds of one.
    pub(in crate::endpoint) fn in_place(
        &self,
        endpoints: Replaced<'_>,
        changed: &[u32],
    ) -> Option<Self> {
        let stays = |index: &u32| {
            endpoints.pair(*index).is_some_and(|(before, now)| are_of_one_cohort(before, now))
        };
        if !changed.iter().all(stays) {
            return None;
        }
        let renewed = |place: &Place| {
            let indices = self.indices(place);
            let places = changed.iter().filter_map(|index| indices.binary_search(index).ok());
            let places: Vec<usize> = places.collect();
            if places.is_empty() {
                return Some(place.clone());
            }
            let cohort = Arc::new(place.cohort.in_place(endpoints, indices, &places)?);
            Some(Place { cohort, ..place.clone() })
        };
        let places: Option<Box<[Place]>> = self.places.iter().map(renewed).collect();
        Some(Self { places: places?, members: Arc::clone(&self.members) })
    }
}

impl Cohort {
    /// The cohort where only the endpoints of some places differ, which belong to it still.
    fn in_place(&self, endpoints: Replaced<'_>, indices: &[u32], places: &[usize]) -> Option<Self> {
        if self.kinds().len() > COMPARED {
            return None;
        }
        let mut of: Vec<u32> =
            if self.of.is_empty() { vec![0; self.len()] } else { self.of.to_vec() };
        let mut kinds = self.staying(endpoints, indices, places);
        for place in places {
            let (before, now) = endpoints.pair(*indices.get(*place)?)?;
            let alike = |kind: &Next<'_>| kind.like.is_some_and(|like| are_alike(like, now));
            let kind = kinds.iter().position(alike).unwrap_or_else(|| {
                let known =
                    Arc::ptr_eq(&before.workload, &now.workload) && have_one_name(before, now);
                let known = known.then(|| self.kinds().get(self.kind_of(*place))).flatten();
                kinds.push(Next::beginning(now, known));
                kinds.len() - 1
            });
            *of.get_mut(*place)? = narrow(kind);
        }
        let order = number(&mut kinds, &mut of)?;
        let names = Names { endpoints: endpoints.now, indices, of: &of, places };
        let kinds: Vec<Kind> =
            order.into_iter().filter_map(|at| names.kind(kinds.get(at)?)).collect();
        let workload = &endpoints.pair(*indices.first()?)?.1.workload;
        let is_one = kinds.len() < 2;
        Some(Self {
            workload: Arc::clone(workload),
            port_name: self.port_name.clone(),
            locality: self.locality.clone(),
            service_port: self.service_port,
            len: self.len,
            first: kinds.first()?.clone(),
            kinds: if is_one { Box::default() } else { kinds.into() },
            of: if is_one { Box::default() } else { of.into() },
        })
    }

    /// The kinds, each with an endpoint that stays in it.
    fn staying<'e>(
        &self,
        endpoints: Replaced<'e>,
        indices: &[u32],
        places: &[usize],
    ) -> Vec<Next<'e>> {
        let kinds = self.kinds().iter().cloned();
        let mut kinds: Vec<Next<'e>> = kinds.map(Next::known).collect();
        let mut left = kinds.len();
        for (place, index) in indices.iter().enumerate() {
            if left == 0 {
                break;
            }
            let Some(kind) = kinds.get_mut(self.kind_of(place)) else { continue };
            if kind.like.is_none() && places.binary_search(&place).is_err() {
                kind.like = endpoints.now.get(wide(*index));
                left -= 1;
            }
        }
        kinds
    }
}

impl<'e> Next<'e> {
    const fn known(kind: Kind) -> Self {
        Self { kind, is_new: false, like: None, first: 0, len: 0, id: 0 }
    }

    /// A kind that an endpoint begins; `of_workload`: one that its workload was of.
    fn beginning(endpoint: &'e Endpoint, of_workload: Option<&Kind>) -> Self {
        let kind = match of_workload {
            Some(known) => Kind::with_metadata(endpoint, Arc::clone(&known.metadata)),
            None => Kind::of(endpoint),
        };
        Self { is_new: true, like: Some(endpoint), ..Self::known(kind) }
    }
}

/// Numbers the kinds by their first endpoints, as a cohort that is made anew has them; returns which are
/// left. `None` where they are so many that it would not have compared each with each.
fn number(kinds: &mut [Next<'_>], of: &mut [u32]) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(kinds.len());
    for (place, kind) in (0_u32..).zip(of) {
        let at = wide(*kind);
        let next = kinds.get_mut(at)?;
        if next.len == 0 {
            next.first = place;
            next.id = narrow(order.len());
            order.push(at);
        }
        next.len += 1;
        *kind = next.id;
    }
    (order.len() <= COMPARED).then_some(order)
}

/// What the workloads of a cohort are called.
struct Names<'e> {
    endpoints: &'e Endpoints,
    indices: &'e [u32],
    /// The kind of each place, as it is numbered now.
    of: &'e [u32],
    /// The places whose endpoints are others.
    places: &'e [usize],
}

impl Names<'_> {
    fn at(&self, place: usize) -> Option<&Text> {
        Some(self.endpoints.get(wide(*self.indices.get(place)?))?.workload_name())
    }

    /// A kind as it is now.
    fn kind(&self, next: &Next<'_>) -> Option<Kind> {
        let first = self.at(wide(next.first))?;
        let agrees = |place: usize| {
            self.of.get(place) != Some(&next.id) || self.at(place).is_some_and(|name| first == name)
        };
        let is_one = match (next.is_new, &next.kind.name) {
            // All that stay are called so; who comes may be called otherwise.
            (false, Some(name)) if name == first => self.places.iter().copied().all(agrees),
            (_, _) => (wide(next.first)..self.of.len()).all(agrees),
        };
        let name = is_one.then(|| first.clone());
        Some(Kind { first: next.first, len: next.len, name, ..next.kind.clone() })
    }
}
