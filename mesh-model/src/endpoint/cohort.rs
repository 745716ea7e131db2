//! The endpoints of a shard by what rules can see: told apart once, when the shard is made.
//!
//! ```text
//! shard ─port, locality, network─▶ cohorts ─all else that rules read─▶ kinds
//! ```
use std::sync::Arc;

use super::{Endpoints, Workload};
use crate::name::{Locality, Text};

mod draft;
mod in_place;
mod kind;
mod renew;

pub(super) use self::in_place::Replaced;
pub(super) use self::kind::accepts_http_tunnel;
pub use self::kind::{COMMON_LABELS, Dialled, Kind, SpokenTls};

/// The endpoints of a shard that serve one port in one locality of one network, in the order of the
/// shard.
///
/// They agree on the port's name and number and, of their workloads, on the text of the locality, the
/// namespace, the cluster and the network.
///
/// As long as none of them changes, a cohort stays the same allocation from one revision of the mesh
/// to the next: what was made of it holds.
#[derive(Debug)]
pub struct Cohort {
    /// The first one's.
    workload: Arc<Workload>,
    port_name: Text,
    locality: Locality,
    service_port: u16,
    len: u32,
    /// The first kind.
    first: Kind,
    // INVARIANT: none if all are of one kind; else every kind, and for each endpoint its kind.
    kinds: Box<[Kind]>,
    of: Box<[u32]>,
}

impl Cohort {
    /// Returns how many endpoints there are, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "no cohort is empty")]
    pub fn len(&self) -> usize {
        wide(self.len)
    }

    /// Returns the locality, which endpoints' texts are read as once.
    pub const fn locality(&self) -> &Locality {
        &self.locality
    }

    /// Returns the workload of the first endpoint; where all workloads agree, it speaks for all.
    pub const fn workload(&self) -> &Arc<Workload> {
        &self.workload
    }

    /// Returns whether the workloads of two cohorts are of one cluster, network and namespace.
    #[inline]
    pub fn is_of_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (&*self.workload, &*other.workload);
        ours.place.is_of_same(&theirs.place) && ours.namespace == theirs.namespace
    }

    /// Returns the name of the service port that is served.
    pub const fn port_name(&self) -> &Text {
        &self.port_name
    }

    /// Returns the number of the service port that is served, as
    /// [`Endpoint::service_port`](super::Endpoint::service_port) has it.
    pub const fn service_port(&self) -> u16 {
        self.service_port
    }

    /// Returns the kinds in the order of their first endpoints, at least one.
    pub fn kinds(&self) -> &[Kind] {
        if self.kinds.is_empty() { std::slice::from_ref(&self.first) } else { &self.kinds }
    }

    /// Returns the kind of the endpoint at a place, by its index among [`kinds`](Self::kinds).
    #[inline]
    pub fn kind_of(&self, place: usize) -> usize {
        self.of.get(place).map_or(0, |kind| wide(*kind))
    }
}

/// A cohort, and which endpoints of its shard it holds.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cohort: Arc<Cohort>,
    pub(super) start: u32,
    /// Whether it is of the cluster, network and namespace that the one before it is of.
    pub(super) is_of_same: bool,
}

/// The endpoints of a shard by cohort.
#[derive(Clone, Debug, Default)]
pub(super) struct Cohorts {
    // INVARIANT: by their first endpoints.
    pub(super) places: Box<[Place]>,
    /// The endpoints of all cohorts, one after the other, by their index in the shard.
    pub(super) members: Arc<[u32]>,
}

impl Cohorts {
    pub(super) fn new(endpoints: &Endpoints) -> Self {
        let drafts = draft::of((0_u32..).zip(endpoints));
        let mut texts = draft::Texts::default();
        Self::collect(drafts.into_iter().map(|draft| {
            let cohort = Arc::new(draft.cohort(&mut texts));
            (cohort, draft.into_members())
        }))
    }

    /// Puts cohorts one after the other, by their first endpoints.
    fn collect(cohorts: impl IntoIterator<Item = (Arc<Cohort>, Vec<u32>)>) -> Self {
        let (mut members, mut places) = (Vec::new(), Vec::<Place>::new());
        for (cohort, its_members) in cohorts {
            let is_of_same = places.last().is_some_and(|last| last.cohort.is_of_same(&cohort));
            places.push(Place { cohort, start: narrow(members.len()), is_of_same });
            members.extend(its_members);
        }
        Self { places: places.into(), members: members.into() }
    }

    /// The indices in the shard of a cohort's endpoints.
    #[inline]
    pub(super) fn indices(&self, place: &Place) -> &[u32] {
        let start = wide(place.start);
        self.members.get(start..start + place.cohort.len()).unwrap_or_default()
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
