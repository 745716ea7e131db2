//! Everything one proxy holds: resources by type, versioned by their content.
//!
//! ```text
//! generators ──▶ Resource (name, bytes, references; version = hash of bytes)
//!                    └──▶ Collection (one type, sorted; version = hash of names and versions)
//!                             └──▶ Snapshot (types in push order) ──▶ Delta, sessions
//! ```
//!
//! Nothing here knows what the bytes mean: a generator encodes a resource, once, and says which
//! other resources it refers to. All parts are shared: a snapshot made from another by a
//! [`Delta`](crate::delta::Delta) copies only the chunks that the delta touches, and comparing the
//! two skips what they share.
use std::collections::BTreeMap;
use std::sync::Arc;

mod collection;
mod consistency;
mod resource;
mod type_url;
mod version;

pub(crate) use self::collection::Change;
pub use self::collection::Collection;
pub use self::consistency::Inconsistency;
pub use self::resource::{Reference, Resource};
pub use self::type_url::TypeUrl;
pub use self::version::{InvalidVersion, Version};

/// The resources of one proxy at one moment; immutable and cheap to clone.
///
/// Two snapshots are equal if they hold the same names with the same versions; a type without
/// resources is the same as no such type.
///
/// # Examples
///
/// ```
/// # use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
/// let before = Snapshot::new([Resource::new(TypeUrl::CLUSTER, "cart", "1")]);
/// let after = Snapshot::new([
///     Resource::new(TypeUrl::CLUSTER, "cart", "2"),
///     Resource::new(TypeUrl::CLUSTER, "shop", "1"),
/// ]);
/// let delta = after.diff(&before);
/// assert_eq!(before.apply(&delta), after);
/// assert_eq!(delta.len(), 2);
/// ```
///
/// # Upstream
///
/// envoyproxy/go-control-plane `pkg/cache/v3/snapshot.go` `Snapshot`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Snapshot {
    /// INVARIANT: no collection is empty.
    types: BTreeMap<TypeUrl, Arc<Collection>>,
}

impl Snapshot {
    /// Collects resources in any order. Of several with one type and name the first counts, as in
    /// istiod's CDS (`normalizeClusters`); [`Snapshot::with_duplicates`] tells which were left out.
    pub fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self::with_duplicates(resources).0
    }

    /// Collects resources in any order, and returns beside the snapshot those that were left out
    /// because an earlier one has their type and name, in their order.
    pub fn with_duplicates(resources: impl IntoIterator<Item = Resource>) -> (Self, Vec<Resource>) {
        let mut types: BTreeMap<TypeUrl, BTreeMap<Arc<str>, Arc<Resource>>> = BTreeMap::new();
        let mut duplicates = Vec::new();
        for resource in resources {
            let names = types.entry(resource.type_url().clone()).or_default();
            if names.contains_key(resource.name()) {
                duplicates.push(resource);
            } else {
                names.insert(resource.name().clone(), Arc::new(resource));
            }
        }
        let types = types
            .into_iter()
            .map(|(type_url, names)| {
                (type_url, Arc::new(Collection::of_sorted(names.into_values())))
            })
            .collect();
        (Self { types }, duplicates)
    }

    /// Collects resources, type after type; of several with one type and name the first counts.
    pub(crate) fn of_types(resources: &[Arc<Resource>]) -> Self {
        let mut types: BTreeMap<TypeUrl, Arc<Collection>> = BTreeMap::new();
        let is_one_type = |a: &Arc<Resource>, b: &Arc<Resource>| a.type_url() == b.type_url();
        for resources in resources.chunk_by(is_one_type) {
            if let Some(first) = resources.first() {
                let collection = Arc::new(Collection::of_any(resources.to_vec()));
                types.insert(first.type_url().clone(), collection);
            }
        }
        Self { types }
    }

    /// Returns the types that have resources, in push order.
    pub fn types(&self) -> impl Iterator<Item = (&TypeUrl, &Arc<Collection>)> {
        self.types.iter()
    }

    /// Returns the resources of a type; `None` if there are none.
    pub fn collection(&self, type_url: &TypeUrl) -> Option<&Arc<Collection>> {
        self.types.get(type_url)
    }

    /// Returns one resource.
    pub fn resource(&self, type_url: &TypeUrl, name: &str) -> Option<&Arc<Resource>> {
        self.collection(type_url)?.find(name)
    }

    /// Returns the number of resources of all types.
    pub fn len(&self) -> usize {
        self.types.values().map(|collection| collection.len()).sum()
    }

    /// Whether there is no resource at all.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    pub(crate) fn with_collection(mut self, type_url: &TypeUrl, collection: Collection) -> Self {
        if collection.is_empty() {
            self.types.remove(type_url);
        } else {
            self.types.insert(type_url.clone(), Arc::new(collection));
        }
        self
    }
}
