//! What runs: endpoints, where they are from and how networks are entered.
mod blocks;
mod cohort;
mod gateway;
mod health;
mod shard;
mod workload;

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

pub use self::blocks::Endpoints;
pub use self::cohort::{COMMON_LABELS, Cohort, Dialled, Kind, SpokenTls};
pub use self::gateway::{Gateways, NetworkGateway};
pub use self::health::HealthStatus;
pub use self::shard::{CohortOf, Provider, Shard, Shards};
pub use self::workload::{Place, Template, Workload, canonical_revision, canonical_service};
use crate::name::Text;

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
    pub port_name: Text,
    /// The number of the service port that it serves, for services whose ports match by number
    /// (`ServiceEntry`); 0 otherwise.
    pub service_port: u16,
    /// The load-balancing weight; 0 is unset and counts as 1.
    pub weight: u32,
    /// The health that its source reports.
    pub health: HealthStatus,
    /// The name of the pod or machine, empty where it is none's.
    pub instance: Text,
    /// What it runs in; many pods share one.
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
        let (namespace, instance) = (&self.workload.namespace, &self.instance);
        match self.address {
            Address::Unknown if instance.is_empty() => "no address".to_owned(),
            Address::Unknown => format!("no address ({namespace}/{instance})"),
            Address::Ip(_) | Address::Host(_) | Address::Unix(_) => self.address.to_string(),
        }
    }

    /// Returns the name of the workload: the deployment's, or the instance's own.
    #[inline]
    pub fn workload_name(&self) -> &Text {
        self.workload.name.as_ref().unwrap_or(&self.instance)
    }

    /// Returns what a pod is called below a headless service: `spec.hostname`, else its name; `None` for
    /// anything but a pod.
    pub fn hostname(&self) -> Option<&str> {
        match &**self.workload.hostname.as_ref()? {
            "" => Some(&self.instance),
            hostname => Some(hostname),
        }
    }

    /// Returns `WORKLOAD;NAMESPACE;SERVICE;REVISION;CLUSTER`: how Envoy is told whose an endpoint is.
    ///
    /// The service is the canonical one, the workload's own name where no label says it; of no
    /// revision, and of `latest`, nothing is said.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`.
    pub fn metadata(&self) -> String {
        [self.workload_name(), &*self.metadata_rest()].concat()
    }

    /// What follows the name there.
    fn metadata_rest(&self) -> String {
        let Workload { labels, place, .. } = &*self.workload;
        let service = canonical_service(labels).unwrap_or_else(|| self.workload_name());
        let revision = canonical_revision(labels).filter(|revision| *revision != "latest");
        let (namespace, cluster) = (self.workload.namespace.as_str(), place.cluster.as_str());
        ["", namespace, service, revision.unwrap_or_default(), cluster].join(";")
    }

    /// Returns the weight that counts: 1 where none is set.
    pub fn effective_weight(&self) -> u32 {
        self.weight.max(1)
    }
}
