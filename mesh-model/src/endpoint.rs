//! What runs: endpoints, where they are from and how networks are entered.
mod blocks;
mod cohort;
mod gateway;
mod health;
mod shard;

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

pub use self::blocks::Endpoints;
pub use self::cohort::{COMMON_LABELS, Cohort, Dialled, Kind, SpokenTls};
pub use self::gateway::{Gateways, NetworkGateway};
pub use self::health::HealthStatus;
pub use self::shard::{CohortOf, Provider, Shard, Shards};
use crate::name::{ClusterId, Labels, Namespace, NetworkId, Texts, share_text};

/// One address and port that a service can send to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build endpoints by hand")]
pub struct Endpoint {
    /// The primary address.
    pub address: Address,
    /// Further addresses of the same endpoint (dual stack only).
    pub more_addresses: MoreAddresses,
    /// The port to dial (the target port); 0 for a Unix socket.
    pub port: u16,
    /// The name of the service port that it serves.
    pub port_name: Arc<str>,
    /// The number of the service port that it serves, for services whose ports match by number
    /// (`ServiceEntry`); 0 otherwise.
    pub service_port: u16,
    /// The load-balancing weight; 0 is unset and counts as 1.
    pub weight: u32,
    /// The health that its source reports.
    pub health: HealthStatus,
    /// What it runs in.
    pub workload: Arc<Workload>,
}

/// Addresses beyond the first; as a rule there are none, which take one word.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MoreAddresses(
    // INVARIANT: not empty.
    Option<Arc<Vec<Address>>>,
);

impl Deref for MoreAddresses {
    type Target = [Address];

    fn deref(&self) -> &[Address] {
        self.0.as_ref().map(|addresses| addresses.as_slice()).unwrap_or_default()
    }
}

impl FromIterator<Address> for MoreAddresses {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        let addresses: Vec<Address> = addresses.into_iter().collect();
        Self((!addresses.is_empty()).then(|| Arc::new(addresses)))
    }
}

impl<'a> IntoIterator for &'a MoreAddresses {
    type IntoIter = std::slice::Iter<'a, Address>;
    type Item = &'a Address;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What an endpoint runs in; shared by all its ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build workloads by hand")]
pub struct Workload {
    /// The workload's name: the deployment's, or the pod's own (not the pod's where it has another).
    pub name: Arc<str>,
    /// The name of the pod or machine itself.
    pub instance: Arc<str>,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its labels, with the topology labels that istiod adds.
    pub labels: Labels,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its network, empty if unknown.
    pub network: NetworkId,
    /// The raw locality text; endpoints are grouped by it as it stands (`r1/z1` is not `r1/z1/`).
    pub locality: Arc<str>,
    /// The node it runs on, empty if unknown.
    pub node: Arc<str>,
    /// Its service account, empty if unknown.
    pub service_account: Arc<str>,
    /// The identity a server certificate must show (`spiffe://…`), empty if unknown.
    pub identity: Arc<str>,
    /// `istio` if a sidecar accepts mutual TLS, else `disabled` (or what the label says).
    pub tls_mode: Arc<str>,
    /// `spec.hostname` of a pod, else its name; for headless names.
    pub hostname: Arc<str>,
    /// `spec.subdomain` of a pod, empty for anything else.
    pub subdomain: Arc<str>,
    /// Which clusters may use it.
    pub discoverability: Discoverability,
}

/// The labels that name a workload's service, in order.
const CANONICAL_NAME: &[&str] =
    &["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
/// The labels that name a workload's revision, in order.
const CANONICAL_REVISION: &[&str] =
    &["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];

/// Returns the service that a workload's labels name, the canonical one first; `None` where none does
/// and the workload's own name stands for it.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `CanonicalService`.
pub fn canonical_service(labels: &Labels) -> Option<&str> {
    CANONICAL_NAME.iter().find_map(|key| labels.get(key))
}

/// Returns the revision that a workload's labels name; `None` where none does, which means `latest`.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `CanonicalService`.
pub fn canonical_revision(labels: &Labels) -> Option<&str> {
    CANONICAL_REVISION.iter().find_map(|key| labels.get(key))
}

impl Workload {
    /// Returns `WORKLOAD;NAMESPACE;SERVICE;REVISION;CLUSTER`: how Envoy is told whose an endpoint is.
    ///
    /// The service is the canonical one, the workload's own name where no label says it; of no
    /// revision, and of `latest`, nothing is said.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`.
    pub fn metadata(&self) -> String {
        [&*self.name, &self.metadata_rest()].concat()
    }

    /// What follows the name there.
    fn metadata_rest(&self) -> String {
        let Self { namespace, labels, cluster, .. } = self;
        let service = canonical_service(labels).unwrap_or(&self.name);
        let revision = canonical_revision(labels).filter(|revision| *revision != "latest");
        ["", namespace.as_str(), service, revision.unwrap_or_default(), cluster.as_str()].join(";")
    }

    /// Takes the allocations of another workload for what is equal to it.
    pub(crate) fn share(&mut self, near: &Self) {
        if self.namespace == near.namespace {
            self.namespace.clone_from(&near.namespace);
        }
        if self.network == near.network {
            self.network.clone_from(&near.network);
        }
        self.labels.share(&near.labels);
        let Self { name, locality, node, service_account, identity, tls_mode, subdomain, .. } =
            near;
        let theirs = [name, locality, node, service_account, identity, tls_mode, subdomain];
        for (text, other) in self.common_texts().into_iter().zip(theirs) {
            share_text(text, other);
        }
    }

    /// Takes the allocations that are known of texts that many workloads have.
    pub(crate) fn share_texts(&mut self, texts: &mut Texts) {
        self.labels.share_texts(texts);
        self.common_texts().into_iter().for_each(|text| texts.share(text));
    }

    /// The texts that it may have in common with others.
    fn common_texts(&mut self) -> [&mut Arc<str>; 7] {
        let Self { name, locality, node, service_account, identity, tls_mode, subdomain, .. } =
            self;
        [name, locality, node, service_account, identity, tls_mode, subdomain]
    }
}

/// Which clusters may use an endpoint (multi-cluster services).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the filter acts on every value")]
pub enum Discoverability {
    /// Every cluster.
    #[default]
    Always,
    /// Its own cluster (or where either cluster is unknown).
    SameCluster,
}

impl Discoverability {
    /// Returns which clusters may use the endpoints of a service, `is_exported` by its own cluster:
    /// without discovery by export all, and with it those of what is not exported, and of the
    /// clusters' own hosts where these stay in their cluster, only that cluster.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/serviceexportcache.go`
    /// `EndpointDiscoverabilityPolicy`.
    pub fn of_service(host: &str, is_exported: bool, flags: &crate::compat::Flags) -> Self {
        let is_cluster_set = host.ends_with(".clusterset.local");
        let stays = flags.enable_mcs_cluster_local && !is_cluster_set;
        if flags.enable_mcs_service_discovery && (stays || !is_exported) {
            Self::SameCluster
        } else {
            Self::Always
        }
    }
}

/// Where an endpoint listens.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every kind of address")]
pub enum Address {
    /// An IP address.
    Ip(IpAddr),
    /// A host name, which only DNS clusters can dial.
    Host(Arc<str>),
    /// The path of a Unix socket, without `unix://`.
    Unix(Arc<str>),
    /// Unknown: reachable only through a gateway of its network.
    Unknown,
}

impl Address {
    /// Reads an address as manifests write it.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::Unknown;
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return Self::Unix(path.into());
        }
        text.parse().map_or_else(|_| Self::Host(text.into()), Self::Ip)
    }

    /// Returns the IP address, `None` for anything else.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Host(_) | Self::Unix(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Host(text) | Self::Unix(text) => f.write_str(text),
            Self::Unknown => Ok(()),
        }
    }
}

impl Endpoint {
    /// Returns what people know it by: its address as it is written, and where there is none, whose it is
    /// (`no address (NAMESPACE/NAME)`).
    pub fn shown_address(&self) -> String {
        let Workload { namespace, instance, .. } = &*self.workload;
        match self.address {
            Address::Unknown if instance.is_empty() => "no address".to_owned(),
            Address::Unknown => format!("no address ({namespace}/{instance})"),
            Address::Ip(_) | Address::Host(_) | Address::Unix(_) => self.address.to_string(),
        }
    }

    /// Returns the weight that counts: 1 where none is set.
    pub fn effective_weight(&self) -> u32 {
        self.weight.max(1)
    }
}
