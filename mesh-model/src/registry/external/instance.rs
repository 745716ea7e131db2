//! What endpoints of a ServiceEntry run in: pods, WorkloadEntries and inline endpoints.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::endpoint::{Address, HealthStatus, MoreAddresses, Place, Template, Workload};
use crate::name::{Identity, Labels, NetworkId, Text};
use crate::registry::kubernetes::{self, Cluster};
use crate::registry::place::{self, NetworkOf};

use crate::resource::{
    Meta, Pod, PortTarget, ServiceEntry, Transport, WorkloadEntry, WorkloadEntrySpec,
};

const HEALTH_CHECKS: &str = "proxy.istio.io/health-checks-enabled";
const GROUP: &str = "istio.io/autoRegistrationGroup";
const WORKLOAD_NAME: &str = "service.istio.io/workload-name";
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// One address that serves, before it is known which ports of it are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Instance<'o> {
    pub(super) address: Address,
    pub(super) more_addresses: MoreAddresses,
    pub(super) weight: u32,
    pub(super) health: HealthStatus,
    /// The name of the pod or machine.
    pub(super) name: Text,
    pub(crate) workload: Arc<Workload>,
    ports: NamedPorts<'o>,
}

/// Where an instance's ports have names.
#[derive(Clone, Copy, Debug)]
enum NamedPorts<'o> {
    Listed(&'o BTreeMap<Box<str>, u32>),
    OfPod(&'o Pod),
}

impl<'o> Instance<'o> {
    /// Describes a WorkloadEntry; labels of its metadata lie over those of its spec.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `ConvertWorkloadEntry`,
    /// `convertWorkloadEntryToWorkloadInstance`.
    ///
    /// Where nothing else says it, the label of its network is that of the cluster, but for the config cluster's:
    /// the registry of ServiceEntries does not ask for networks.
    pub(crate) fn of_workload_entry(
        entry: &'o WorkloadEntry,
        cluster: &Cluster<'_>,
        is_of_config: bool,
    ) -> Self {
        let labels = entry.spec.labels.overlaid(&entry.meta.labels);
        let name = workload_name(&entry.meta);
        let networks = (!is_of_config).then_some(cluster.networks);
        let names = (name, &*entry.meta.name);
        Self::of_spec(&entry.spec, &labels, names, &entry.meta, (cluster, networks))
    }

    /// Describes an endpoint that a ServiceEntry lists: it is named `ENTRY-INDEX`.
    pub(super) fn inline(
        entry: &'o ServiceEntry,
        index: usize,
        spec: &'o WorkloadEntrySpec,
        cluster: &Cluster<'_>,
    ) -> Self {
        let name = format!("{}-{index}", entry.meta.name);
        Self::of_spec(spec, &spec.labels, (&name, &name), &entry.meta, (cluster, None))
    }

    fn of_spec(
        spec: &'o WorkloadEntrySpec,
        labels: &Labels,
        (name, instance): (&str, &str),
        owner: &Meta,
        (cluster, networks): (&Cluster<'_>, Option<&NetworkOf>),
    ) -> Self {
        let address = Address::parse(&spec.address);
        let locality = place::machine_locality(&spec.locality, labels);
        let label = match (&*spec.network, networks) {
            ("", Some(networks)) => networks.network(address.ip(), labels),
            (network, _) => NetworkId::from(network),
        };
        let tls_mode = match labels.get(TLS_MODE) {
            Some(mode) => mode,
            None if spec.service_account.is_empty() => "disabled",
            None => "istio",
        };
        let workload = Workload {
            labels: place::augmented(labels, cluster.id, &locality, "", &label),
            place: Arc::new(Place {
                cluster: cluster.id.clone(),
                network: NetworkId::from(&*spec.network),
                locality: locality.into(),
                ..Place::default()
            }),
            template: Arc::new(Template {
                name: (name != instance).then(|| name.into()),
                namespace: owner.namespace.clone(),
                service_account: Arc::from(&*spec.service_account),
                identity: identity(&spec.service_account, owner, cluster),
                tls_mode: tls_mode.into(),
                ..Template::default()
            }),
        };
        Self {
            address,
            more_addresses: MoreAddresses::default(),
            weight: spec.weight,
            health: HealthStatus::Unknown,
            name: instance.into(),
            workload: Arc::new(workload),
            ports: NamedPorts::Listed(&spec.ports),
        }
    }

    /// Describes a ready pod; `all_addresses`: it serves at its further addresses too.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/kube/controller/pod.go` `notifyWorkloadHandlers`,
    /// `getPortMap`.
    pub(super) fn of_pod(pod: &'o Pod, cluster: &Cluster<'_>, all_addresses: bool) -> Self {
        let mut addresses = pod.status.addresses().map(Address::Ip);
        Self {
            address: addresses.next().unwrap_or(Address::Unknown),
            more_addresses: addresses.filter(|_| all_addresses).collect(),
            weight: 0,
            health: HealthStatus::Healthy,
            name: pod.meta.name.clone(),
            workload: Arc::new(kubernetes::workload_of_pod(pod, cluster)),
            ports: NamedPorts::OfPod(pod),
        }
    }

    /// Whether only DNS services can use it: its address is no IP.
    pub(super) const fn needs_dns(&self) -> bool {
        matches!(self.address, Address::Host(_) | Address::Unix(_))
    }

    /// Returns the number that a port name has here; `None` if it has none, or 0.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        let number = match self.ports {
            NamedPorts::Listed(ports) => ports.get(name).and_then(|n| u16::try_from(*n).ok()),
            NamedPorts::OfPod(_) if name.is_empty() => None,
            NamedPorts::OfPod(pod) => {
                kubernetes::pod_port(pod, &PortTarget::Name(name.into()), Transport::Tcp)
            }
        };
        number.filter(|number| *number != 0)
    }
}

fn identity(account: &str, owner: &Meta, cluster: &Cluster<'_>) -> Arc<str> {
    if account.is_empty() {
        return Arc::default();
    }
    let identity = Identity {
        trust_domain: cluster.trust_domain.clone(),
        namespace: owner.namespace.clone(),
        service_account: account.into(),
    };
    identity.to_string().into()
}

/// The workload that a machine belongs to: its group, else its label, else itself.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `WorkloadNameFromWorkloadEntry`.
fn workload_name(meta: &Meta) -> &str {
    let named = meta.annotations.get(GROUP).or_else(|| meta.labels.get(WORKLOAD_NAME));
    named.filter(|name| !name.is_empty()).unwrap_or(&meta.name)
}

/// Whether a machine takes traffic: it is not checked, or was found healthy.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `isHealthy`.
pub(crate) fn is_healthy(entry: &WorkloadEntry) -> bool {
    let is_checked = matches!(
        entry.meta.annotations.value(HEALTH_CHECKS),
        "1" | "t" | "T" | "TRUE" | "true" | "True"
    );
    let mut conditions = entry.status.conditions.iter();
    let healthy = conditions.find(|condition| *condition.kind == *"Healthy");
    !is_checked || healthy.is_some_and(|found| found.status.eq_ignore_ascii_case("true"))
}
