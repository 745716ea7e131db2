//! The endpoints of a service, by where they are from.
use std::sync::Arc;

use super::Endpoint;
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
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build shards by hand")]
pub struct Shard {
    /// The kind of registry.
    pub provider: Provider,
    /// The cluster of the registry.
    pub cluster: ClusterId,
    /// The endpoints, in the order of the registry.
    pub endpoints: Box<[Endpoint]>,
}

/// All endpoints of a service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shards(
    // INVARIANT: sorted by provider, then cluster; no shard is empty.
    Box<[Arc<Shard>]>,
);

impl Shards {
    /// Collects shards in their order; empty ones are left out.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/endpointshards.go` `EndpointIndex`, `Keys`.
    pub fn new(shards: impl IntoIterator<Item = Arc<Shard>>) -> Self {
        let mut shards: Vec<_> =
            shards.into_iter().filter(|shard| !shard.endpoints.is_empty()).collect();
        shards.sort_by(|a, b| (a.provider, &a.cluster).cmp(&(b.provider, &b.cluster)));
        Self(shards.into())
    }

    /// Returns the shards by provider, then cluster.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Shard>> + Clone {
        self.0.iter()
    }

    /// Returns all endpoints, shard after shard.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> + Clone {
        self.0.iter().flat_map(|shard| shard.endpoints.iter())
    }

    /// Returns whether there is no endpoint at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
