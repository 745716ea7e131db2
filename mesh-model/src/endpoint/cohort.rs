//! The endpoints of a shard by what rules can see: told apart once, when the shard is made.
//!
//! ```text
//! shard ─port, locality─▶ cohorts ─all else that rules read─▶ kinds
//! ```
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Address, Endpoint};
use crate::name::{Labels, Locality};

/// Labels that rules for endpoints read, whatever anybody configures. Endpoints of a [`Kind`] agree on
/// them.
pub const COMMON_LABELS: [&str; 14] = [
    "app",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "gateway.istio.io/managed",
    "istio.io/draining",
    "networking.istio.io/tunnel",
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
    "topology.istio.io/subzone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "version",
];

/// How many kinds a new endpoint is compared with; what is like none of them begins a kind.
const COMPARED: usize = 8;

/// The endpoints of a shard that serve one port in one locality, in the order of the shard.
///
/// As long as none of them changes, a cohort stays the same allocation from one revision of the mesh
/// to the next: what was made of it holds.
#[derive(Debug)]
pub struct Cohort {
    len: u32,
    locality: Locality,
    // INVARIANT: none if all are of one kind; else every kind, and for each endpoint its kind.
    kinds: Box<[Kind]>,
    of: Box<[u32]>,
}

/// Endpoints of a cohort that differ in nothing but their addresses, the names of their pods, nodes and
/// accounts, and labels other than [`COMMON_LABELS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Kind {
    /// The place in the cohort of the first of them.
    pub first: u32,
    /// How many they are.
    pub len: u32,
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

    /// Returns the kinds in the order of their first endpoints.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = Kind> + Clone {
        let one = Kind { first: 0, len: self.len };
        let count = self.kinds.len().max(1);
        (0..count).map(move |index| self.kinds.get(index).copied().unwrap_or(one))
    }

    /// Returns the kind of the endpoint at a place, by its index among [`kinds`](Self::kinds).
    pub fn kind_of(&self, place: usize) -> usize {
        self.of.get(place).map_or(0, |kind| wide(*kind))
    }
}

/// A cohort, and which endpoints of its shard it holds.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cohort: Arc<Cohort>,
    pub(super) start: u32,
}

/// The endpoints of a shard by cohort.
#[derive(Clone, Debug, Default)]
pub(super) struct Cohorts {
    // INVARIANT: by their first endpoints.
    pub(super) places: Box<[Place]>,
    /// The endpoints of all cohorts, one after the other, by their index in the shard.
    pub(super) members: Box<[u32]>,
}

impl Cohorts {
    pub(super) fn new(endpoints: &[Endpoint]) -> Self {
        Self::renewed(endpoints, None)
    }

    /// The cohorts of endpoints; those that are equal to one `before` are the same allocation.
    pub(super) fn renewed(endpoints: &[Endpoint], before: Option<(&Self, &[Endpoint])>) -> Self {
        let mut drafts = Drafts::default();
        for (index, endpoint) in endpoints.iter().enumerate() {
            drafts.push(narrow(index), endpoint);
        }
        let mut members = Vec::with_capacity(endpoints.len());
        let mut places = Vec::with_capacity(drafts.drafts.len());
        for (index, draft) in drafts.drafts.into_iter().enumerate() {
            let start = narrow(members.len());
            members.extend_from_slice(&draft.members);
            let known = before.and_then(|(cohorts, old)| {
                // Cohorts mostly keep their places.
                let candidates = cohorts.places.get(index).into_iter().chain(&*cohorts.places);
                let mut equal = candidates.filter(|place| {
                    let places = cohorts.endpoints(place, old);
                    places.eq(draft.members.iter().filter_map(|at| endpoints.get(wide(*at))))
                });
                equal.next().map(|place| place.cohort.clone())
            });
            places.push(Place { cohort: known.unwrap_or_else(|| Arc::new(draft.cohort())), start });
        }
        Self { places: places.into(), members: members.into() }
    }

    /// The indices in the shard of a cohort's endpoints.
    pub(super) fn indices(&self, place: &Place) -> &[u32] {
        let start = wide(place.start);
        self.members.get(start..start + place.cohort.len()).unwrap_or_default()
    }

    fn endpoints<'e>(
        &'e self,
        place: &Place,
        endpoints: &'e [Endpoint],
    ) -> impl Iterator<Item = &'e Endpoint> {
        self.indices(place).iter().filter_map(|index| endpoints.get(wide(*index)))
    }
}

/// A cohort while endpoints are added.
struct Draft<'e> {
    first: &'e Endpoint,
    members: Vec<u32>,
    kinds: Vec<(&'e Endpoint, Kind)>,
    of: Vec<u32>,
    last: usize,
}

#[derive(Default)]
struct Drafts<'e> {
    drafts: Vec<Draft<'e>>,
    by_key: FxHashMap<(&'e str, u16, &'e str), usize>,
    last: usize,
}

impl<'e> Drafts<'e> {
    fn push(&mut self, index: u32, endpoint: &'e Endpoint) {
        if !self.drafts.get(self.last).is_some_and(|draft| draft.is_for(endpoint)) {
            self.last = self.find(endpoint);
        }
        if let Some(draft) = self.drafts.get_mut(self.last) {
            draft.push(index, endpoint);
        }
    }

    /// The cohort of an endpoint, which is made if there is none; few are looked through.
    fn find(&mut self, endpoint: &'e Endpoint) -> usize {
        let few = self.drafts.len() <= COMPARED;
        if few && let Some(at) = self.drafts.iter().position(|draft| draft.is_for(endpoint)) {
            return at;
        }
        let Self { drafts, by_key, .. } = self;
        if drafts.len() == COMPARED {
            by_key.extend(drafts.iter().enumerate().map(|(at, draft)| (key(draft.first), at)));
        }
        let mut add = || {
            drafts.push(Draft::new(endpoint));
            drafts.len() - 1
        };
        if few && by_key.is_empty() {
            add()
        } else {
            *by_key.entry(key(endpoint)).or_insert_with(add)
        }
    }
}

fn key(endpoint: &Endpoint) -> (&str, u16, &str) {
    (&endpoint.port_name, endpoint.service_port, &endpoint.workload.locality)
}

impl<'e> Draft<'e> {
    const fn new(first: &'e Endpoint) -> Self {
        Self { first, members: Vec::new(), kinds: Vec::new(), of: Vec::new(), last: 0 }
    }

    fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.first.service_port == endpoint.service_port
            && is_same(&self.first.port_name, &endpoint.port_name)
            && is_same(&self.first.workload.locality, &endpoint.workload.locality)
    }

    fn push(&mut self, index: u32, endpoint: &'e Endpoint) {
        let is_last =
            self.kinds.get(self.last).is_some_and(|(first, _)| are_alike(first, endpoint));
        if !is_last {
            let known = self.kinds.iter().rev().take(COMPARED);
            let found = known.clone().position(|(first, _)| are_alike(first, endpoint));
            self.last = match found {
                Some(back) => self.kinds.len() - 1 - back,
                None => {
                    let first = narrow(self.members.len());
                    self.kinds.push((endpoint, Kind { first, len: 0 }));
                    self.kinds.len() - 1
                }
            };
        }
        if let Some((_, kind)) = self.kinds.get_mut(self.last) {
            kind.len += 1;
        }
        self.members.push(index);
        self.of.push(narrow(self.last));
    }

    fn cohort(self) -> Cohort {
        let len = narrow(self.members.len());
        let locality = Locality::parse(&self.first.workload.locality);
        if self.kinds.len() < 2 {
            return Cohort { len, locality, kinds: Box::default(), of: Box::default() };
        }
        let kinds = self.kinds.into_iter().map(|(_, kind)| kind).collect();
        Cohort { len, locality, kinds, of: self.of.into() }
    }
}

/// Whether two endpoints of one cohort are of one kind.
fn are_alike(a: &Endpoint, b: &Endpoint) -> bool {
    let (ours, theirs) = (&*a.workload, &*b.workload);
    a.port == b.port
        && a.weight == b.weight
        && a.health == b.health
        && is_dialled_alike(&a.address, &b.address)
        && (Arc::ptr_eq(&a.workload, &b.workload)
            || (is_same(&ours.name, &theirs.name)
                && is_same(&ours.tls_mode, &theirs.tls_mode)
                && ours.namespace == theirs.namespace
                && ours.cluster == theirs.cluster
                && ours.network == theirs.network
                && ours.discoverability == theirs.discoverability
                && have_common(&ours.labels, &theirs.labels)))
}

/// Whether two addresses are of one sort; what is no IP address is a sort of its own.
fn is_dialled_alike(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Ip(_), Address::Ip(_)) => true,
        _ => a == b,
    }
}

/// Whether two sets agree on [`COMMON_LABELS`]: both have the same value, or none.
fn have_common(a: &Labels, b: &Labels) -> bool {
    a.differences(b).all(|key| !COMMON_LABELS.contains(&key))
}

fn is_same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
