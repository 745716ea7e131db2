//! The endpoints of a service, by where they are from.
use std::sync::Arc;

use super::cohort::{Cohort, Cohorts, Place, Replaced, accepts_http_tunnel};
use super::{Endpoint, Endpoints, HealthStatus};
use crate::name::ClusterId;

/// What kind of registry endpoints are from. The order is that of shards.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "rules act on every registry")]
pub enum Provider {
    /// `ServiceEntry` objects of the config cluster.
    External,
    /// A Kubernetes cluster.
    Kubernetes,
}

impl Provider {
    /// Returns the name as istiod prints it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "External",
            Self::Kubernetes => "Kubernetes",
        }
    }
}

/// One cluster's share of a service's endpoints.
#[derive(Clone, Debug)]
pub struct Shard {
    /// The kind of registry.
    pub provider: Provider,
    /// The cluster of the registry.
    pub cluster: ClusterId,
    endpoints: Endpoints,
    // INVARIANT: of these endpoints.
    cohorts: Cohorts,
    // INVARIANT: of these endpoints; sorted, each once, none empty.
    identities: Arc<[Arc<str>]>,
}

/// Some endpoints of a shard.
#[derive(Clone, Copy, Debug)]
pub struct CohortOf<'s> {
    cohort: &'s Arc<Cohort>,
    indices: &'s [u32],
    endpoints: &'s Endpoints,
    is_of_same: bool,
}

impl Shard {
    /// Makes a shard of endpoints in the order of the registry.
    pub fn new(provider: Provider, cluster: ClusterId, endpoints: impl Into<Endpoints>) -> Self {
        let endpoints = endpoints.into();
        let cohorts = Cohorts::new(&endpoints);
        let identities = identities(&endpoints);
        Self { provider, cluster, endpoints, cohorts, identities }
    }

    /// The same shard with other endpoints. Cohorts that are as they were stay the same allocations.
    #[must_use]
    pub fn renewed(&self, endpoints: impl Into<Endpoints>) -> Self {
        let endpoints = endpoints.into();
        let cohorts = self.cohorts.renewed(&self.endpoints, &endpoints);
        let identities = identities(&endpoints);
        let cluster = self.cluster.clone();
        Self { provider: self.provider, cluster, endpoints, cohorts, identities }
    }

    /// The same shard where the endpoints of some indices, in order, have another health.
    pub(crate) fn with_health(&self, changed: &[(u32, HealthStatus)]) -> Self {
        let endpoints = self.endpoints.with_health(changed);
        let indices: Vec<u32> = changed.iter().map(|(index, _)| *index).collect();
        let replaced = Replaced { before: &self.endpoints, now: &endpoints };
        let cohorts = self.cohorts.replaced(replaced, &indices);
        let (cluster, identities) = (self.cluster.clone(), Arc::clone(&self.identities));
        Self { provider: self.provider, cluster, endpoints, cohorts, identities }
    }

    /// Returns the endpoints in the order of the registry.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Returns the endpoints by port and locality, in the order of the first of each.
    #[inline]
    pub fn cohorts(&self) -> impl ExactSizeIterator<Item = CohortOf<'_>> + Clone {
        self.cohorts.places.iter().map(|place| self.of(place))
    }

    /// Returns a cohort by its place among [`cohorts`](Self::cohorts).
    #[inline]
    pub fn cohort(&self, index: usize) -> Option<CohortOf<'_>> {
        self.cohorts.places.get(index).map(|place| self.of(place))
    }

    #[inline]
    fn of<'s>(&'s self, place: &'s Place) -> CohortOf<'s> {
        let indices = self.cohorts.indices(place);
        let Place { cohort, is_of_same, .. } = place;
        CohortOf { cohort, indices, endpoints: &self.endpoints, is_of_same: *is_of_same }
    }
}

impl PartialEq for Shard {
    fn eq(&self, other: &Self) -> bool {
        let Self { provider, cluster, endpoints, cohorts: _, identities: _ } = self;
        (*provider, cluster, endpoints) == (other.provider, &other.cluster, &other.endpoints)
    }
}

impl Eq for Shard {}

impl<'s> CohortOf<'s> {
    /// Returns what stays the same allocation as long as none of the endpoints changes.
    #[inline]
    pub const fn cohort(self) -> &'s Arc<Cohort> {
        self.cohort
    }

    /// Returns whether it is known to be of the cluster, network and namespace of the cohort before it in
    /// the shard, as [`Cohort::is_of_same`] has it; never of the first.
    #[inline]
    pub const fn is_of_same_as_before(self) -> bool {
        self.is_of_same
    }

    /// Returns the endpoints, by their index in the shard.
    #[inline]
    pub const fn indices(self) -> &'s [u32] {
        self.indices
    }

    /// Returns the endpoints in the order of the shard.
    pub fn endpoints(self) -> impl DoubleEndedIterator<Item = &'s Endpoint> + Clone {
        let indices = self.indices.iter();
        indices.filter_map(move |index| self.endpoints.get(usize::try_from(*index).ok()?))
    }

    /// Returns the first endpoint of each kind.
    pub fn kinds(self) -> impl Iterator<Item = &'s Endpoint> + Clone {
        let kinds = self.cohort.kinds().iter();
        kinds.filter_map(move |kind| self.endpoint(usize::try_from(kind.first).ok()?))
    }

    /// Returns the endpoint at a place.
    #[inline]
    pub fn endpoint(self, place: usize) -> Option<&'s Endpoint> {
        let index = usize::try_from(*self.indices.get(place)?).ok()?;
        self.endpoints.get(index)
    }
}

/// The identities of endpoints that show one, sorted, each once.
fn identities(endpoints: &Endpoints) -> Arc<[Arc<str>]> {
    let mut found: Vec<Arc<str>> = Vec::new();
    for endpoint in endpoints {
        // Neighbours mostly share it, and then its text.
        let identity = &endpoint.workload.identity;
        if !found.last().is_some_and(|last| Arc::ptr_eq(last, identity)) && !identity.is_empty() {
            found.push(Arc::clone(identity));
        }
    }
    distinct(found).into()
}

fn distinct(mut identities: Vec<Arc<str>>) -> Vec<Arc<str>> {
    identities.sort_unstable();
    identities.dedup();
    identities
}

/// All endpoints of a service; cheap to clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shards {
    // INVARIANT: sorted by provider, then cluster; no shard is empty.
    shards: Arc<[Arc<Shard>]>,
    // INVARIANT: of these shards; sorted, each once, none empty.
    identities: Arc<[Arc<str>]>,
}

impl Shards {
    /// Collects shards in their order; empty ones are left out.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/endpointshards.go` `EndpointIndex`, `Keys`.
    pub fn new(shards: impl IntoIterator<Item = Arc<Shard>>) -> Self {
        let mut shards: Vec<_> =
            shards.into_iter().filter(|shard: &Arc<Shard>| !shard.endpoints().is_empty()).collect();
        shards.sort_by(|a, b| (a.provider, &a.cluster).cmp(&(b.provider, &b.cluster)));
        let of_shards = shards.iter().flat_map(|shard| shard.identities.iter().cloned());
        let identities = distinct(of_shards.collect());
        Self { shards: shards.into(), identities: identities.into() }
    }

    /// Returns whether these are the very shards of another, not only equal ones.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }

    /// Returns a shard by its place among [`iter`](Self::iter).
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Shard> {
        self.shards.get(index).map(AsRef::as_ref)
    }

    /// Returns the shards by provider, then cluster.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Shard>> + Clone {
        self.shards.iter()
    }

    /// Returns all endpoints, shard after shard.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> + Clone {
        self.shards.iter().flat_map(|shard| shard.endpoints().iter())
    }

    /// Returns the identities that the endpoints show, in whatever state they are: sorted, each once,
    /// none empty.
    pub fn identities(&self) -> &[Arc<str>] {
        &self.identities
    }

    /// Returns whether all endpoints of the cohorts that serve a port say by the label
    /// `networking.istio.io/tunnel` that they accept HBONE; not where there is none.
    pub(crate) fn all_accept_tunnel(&self, serves: impl Fn(&Cohort) -> bool) -> bool {
        let cohorts = self.shards.iter().flat_map(|shard| shard.cohorts());
        let mut serving = cohorts.filter(|of| serves(of.cohort())).peekable();
        serving.peek().is_some()
            && serving.all(|of| {
                let mut kinds = of.cohort().kinds().iter().zip(of.kinds());
                // What the first says of all is mostly no, and soon read.
                kinds.all(|(kind, first)| {
                    kind.accepts_tunnel && accepts_http_tunnel(&first.workload.labels)
                })
            })
    }

    /// Returns whether there is no endpoint at all.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }
}

impl FromIterator<Arc<Shard>> for Shards {
    fn from_iter<I: IntoIterator<Item = Arc<Shard>>>(shards: I) -> Self {
        Self::new(shards)
    }
}
