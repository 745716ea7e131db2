//! Cohorts while endpoints are told apart.
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::kind::{are_alike, have_one_name, is_same};
use super::{Cohort, Kind, narrow};
use crate::endpoint::Endpoint;
use crate::name::Locality;

/// How many kinds a new endpoint is compared with; what is like none of them begins a kind.
pub(super) const COMPARED: usize = 8;

/// A cohort while endpoints are added.
pub(super) struct Draft<'e> {
    first: &'e Endpoint,
    members: Vec<u32>,
    kinds: Vec<KindDraft<'e>>,
    of: Vec<u32>,
    last: usize,
}

/// A kind while endpoints are added.
struct KindDraft<'e> {
    /// The first of them, and its place.
    endpoint: &'e Endpoint,
    first: u32,
    len: u32,
    /// Whether the workloads of all have one name.
    has_name: bool,
}

impl<'e> KindDraft<'e> {
    const fn new(endpoint: &'e Endpoint, first: u32) -> Self {
        Self { endpoint, first, len: 0, has_name: true }
    }

    fn add(&mut self, endpoint: &Endpoint) {
        self.len += 1;
        self.has_name &= have_one_name(self.endpoint, endpoint);
    }

    fn kind(&self, texts: &mut Texts) -> Kind {
        let metadata = texts.share(self.endpoint.metadata_rest());
        let kind = Kind::with_metadata(self.endpoint, metadata);
        let name = kind.name.filter(|_| self.has_name);
        Kind { first: self.first, len: self.len, name, ..kind }
    }
}

/// Tells endpoints apart, each of them given with its index in the shard; in the order of the first
/// endpoints.
pub(super) fn of<'e>(endpoints: impl IntoIterator<Item = (u32, &'e Endpoint)>) -> Vec<Draft<'e>> {
    let mut drafts = Drafts::default();
    for (index, endpoint) in endpoints {
        drafts.push(index, endpoint);
    }
    drafts.drafts
}

#[derive(Default)]
struct Drafts<'e> {
    drafts: Vec<Draft<'e>>,
    by_key: FxHashMap<Key<'e>, usize>,
    last: usize,
}

/// Texts that cohorts of a shard share, as far as they come one soon after the other.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<Arc<str>>);

impl Texts {
    /// A text that kinds have already.
    pub(super) fn add(&mut self, text: &Arc<str>) {
        if !self.0.iter().any(|known| is_same(known, text)) {
            self.0.push(Arc::clone(text));
        }
    }

    fn share(&mut self, text: String) -> Arc<str> {
        let known = self.0.iter().rev().take(COMPARED).find(|known| ***known == *text);
        known.cloned().unwrap_or_else(|| {
            let text: Arc<str> = text.into();
            self.0.push(Arc::clone(&text));
            text
        })
    }
}

/// What endpoints of a cohort agree on.
type Key<'e> = (&'e str, u16, &'e str, [&'e str; 3]);

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

/// Whether two endpoints of one shard belong to one cohort.
pub(super) fn are_of_one_cohort(a: &Endpoint, b: &Endpoint) -> bool {
    let (ours, theirs) = (&a.workload, &b.workload);
    a.service_port == b.service_port
        && a.port_name == b.port_name
        && (Arc::ptr_eq(ours, theirs)
            || (ours.namespace == theirs.namespace
                && ours.place.is_of_same(&theirs.place)
                && is_same(&ours.place.locality, &theirs.place.locality)))
}

fn key(endpoint: &Endpoint) -> Key<'_> {
    let workload = &*endpoint.workload;
    let place = &*workload.place;
    let names = [workload.namespace.as_str(), place.cluster.as_str(), place.network.as_str()];
    (&endpoint.port_name, endpoint.service_port, &place.locality, names)
}

impl<'e> Draft<'e> {
    const fn new(first: &'e Endpoint) -> Self {
        Self { first, members: Vec::new(), kinds: Vec::new(), of: Vec::new(), last: 0 }
    }

    /// Whether an endpoint belongs to the cohort.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        are_of_one_cohort(self.first, endpoint)
    }

    fn push(&mut self, index: u32, endpoint: &'e Endpoint) {
        let is_last =
            self.kinds.get(self.last).is_some_and(|kind| are_alike(kind.endpoint, endpoint));
        if !is_last {
            let known = self.kinds.iter().rev().take(COMPARED);
            let found = known.clone().position(|kind| are_alike(kind.endpoint, endpoint));
            self.last = match found {
                Some(back) => self.kinds.len() - 1 - back,
                None => {
                    self.kinds.push(KindDraft::new(endpoint, narrow(self.members.len())));
                    self.kinds.len() - 1
                }
            };
        }
        if let Some(kind) = self.kinds.get_mut(self.last) {
            kind.add(endpoint);
        }
        self.members.push(index);
        self.of.push(narrow(self.last));
    }

    /// The indices in the shard of the endpoints.
    pub(super) fn members(&self) -> &[u32] {
        &self.members
    }

    /// The same, given away.
    pub(super) fn into_members(self) -> Vec<u32> {
        self.members
    }

    /// The cohort of the endpoints.
    pub(super) fn cohort(&self, texts: &mut Texts) -> Cohort {
        let first = match self.kinds.first() {
            Some(kind) => kind.kind(texts),
            None => KindDraft::new(self.first, 0).kind(texts),
        };
        let workload = Arc::clone(&self.first.workload);
        let is_one = self.kinds.len() < 2;
        Cohort {
            locality: Locality::of(Arc::clone(&workload.place.locality)),
            workload,
            port_name: self.first.port_name.clone(),
            service_port: self.first.service_port,
            len: narrow(self.members.len()),
            first,
            kinds: if is_one {
                Box::default()
            } else {
                self.kinds.iter().map(|kind| kind.kind(texts)).collect()
            },
            of: if is_one { Box::default() } else { self.of.as_slice().into() },
        }
    }
}
