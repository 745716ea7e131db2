//! One resource as it travels: a name, encoded bytes, and what it refers to.
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{TypeUrl, Version};

/// One encoded resource. Two are equal if type, name and bytes are; the references follow from the
/// bytes.
#[derive(Clone, Debug)]
pub struct Resource {
    type_url: TypeUrl,
    name: Arc<str>,
    /// The hash of `bytes`, computed when first asked for: what is never sent needs none.
    version: OnceLock<Version>,
    bytes: Bytes,
    references: Arc<[Reference]>,
    aliases: Arc<[Arc<str>]>,
    brought_by: Arc<[Arc<str>]>,
}

/// The name of a resource that another one needs.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    /// The type of what is referred to.
    pub type_url: TypeUrl,
    /// Its name.
    pub name: Arc<str>,
}

impl Resource {
    /// Takes the deterministic protobuf serialisation of a resource (map entries sorted by key).
    ///
    /// The name is the message's `name`, of a ClusterLoadAssignment its `cluster_name`.
    pub fn new(type_url: TypeUrl, name: impl Into<Arc<str>>, bytes: impl Into<Bytes>) -> Self {
        let (name, bytes) = (name.into(), bytes.into());
        Self {
            type_url,
            name,
            version: OnceLock::new(),
            bytes,
            references: Arc::default(),
            aliases: Arc::default(),
            brought_by: Arc::default(),
        }
    }

    /// Adds what the resource refers to: of a cluster its endpoints, of a listener its route
    /// configurations, of a route configuration its clusters.
    ///
    /// [`Snapshot::inconsistencies`](super::Snapshot::inconsistencies) checks them, and a session
    /// sends a changed cluster's endpoints with it, because Envoy warms the cluster until they
    /// arrive.
    #[must_use]
    pub fn with_references(self, references: impl IntoIterator<Item = Reference>) -> Self {
        Self { references: references.into_iter().collect(), ..self }
    }

    /// Adds the other names of the resource, which a client that did not ask for everything is told.
    #[must_use]
    pub fn with_aliases(self, aliases: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { aliases: aliases.into_iter().collect(), ..self }
    }

    /// Adds the names that bring the resource, beside its own, to a client that subscribes to them: of
    /// a workload its addresses and its services, of a gRPC client's listener the host without port.
    #[must_use]
    pub fn with_brought_by(self, names: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { brought_by: names.into_iter().collect(), ..self }
    }

    /// Returns the type.
    pub fn type_url(&self) -> &TypeUrl {
        &self.type_url
    }

    /// Returns the name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the hash of the bytes, computed once.
    pub fn version(&self) -> Version {
        *self.version.get_or_init(|| Version::of(&self.bytes))
    }

    /// Whether the bytes are the same, which is to say that the versions are.
    pub(crate) fn has_bytes_of(&self, other: &Self) -> bool {
        std::ptr::eq(&*self.bytes, &*other.bytes) || self.bytes == other.bytes
    }

    /// Whether nothing tells the two apart of which the names are the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.has_bytes_of(other)
            && self.brought_by == other.brought_by
            && self.aliases == other.aliases
    }

    /// Returns the encoded message, without the `Any` around it.
    ///
    /// Those of one snapshot share allocations; what is kept beyond it is better copied.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns what the resource refers to, in the order given.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Returns the other names, in the order given.
    pub fn aliases(&self) -> &[Arc<str>] {
        &self.aliases
    }

    /// Returns the names that bring the resource beside its own, in the order given.
    pub fn brought_by(&self) -> &[Arc<str>] {
        &self.brought_by
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.type_url == other.type_url && self.has_bytes_of(other)
    }
}

impl Eq for Resource {}

impl Reference {
    /// Refers to a cluster, as a route does.
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self { type_url: TypeUrl::CLUSTER, name: name.into() }
    }

    /// Refers to a route configuration, as a listener does.
    pub fn route(name: impl Into<Arc<str>>) -> Self {
        Self { type_url: TypeUrl::ROUTE, name: name.into() }
    }

    /// Refers to the endpoints of an EDS cluster: its EDS service name, or its own name if that is
    /// empty.
    ///
    /// # Upstream
    ///
    /// envoyproxy/go-control-plane `pkg/cache/v3/resource.go` `getClusterReferences`.
    pub fn endpoints(cluster_name: &str, eds_service_name: &str) -> Self {
        let name = if eds_service_name.is_empty() { cluster_name } else { eds_service_name };
        Self { type_url: TypeUrl::ENDPOINT, name: name.into() }
    }
}
