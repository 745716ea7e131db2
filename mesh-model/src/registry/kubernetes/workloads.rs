//! The workloads of endpoints, each described once and kept as long as its pod is as it was.
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Cluster;
use super::endpoints::pod_of;
use super::known::{Common, Known};
use super::workload::{workload_of_pod, workload_without_pod};
use crate::endpoint::{Address, Discoverability, Endpoint, Endpoints, Workload};
use crate::name::{Labels, NetworkId, Text};
use crate::resource::{EndpointAddress, EndpointSlice, Pod, PodPhase, SliceEntry};

/// What an endpoint runs in, and the name of the pod, empty where it is none.
pub(super) type Runner = (Text, Arc<Workload>);

/// The workloads of one cluster met so far.
///
/// Those of the endpoints before are asked in their order, which is that of the endpoints now but for
/// what changed; only what is not found so is looked up by name.
#[derive(Debug, Default)]
pub(crate) struct Workloads<'o> {
    before: &'o Endpoints,
    is_read: bool,
    changed: Option<(&'o str, &'o str)>,
    /// Those of all of the cluster.
    known: Known,
    /// What ports are called, of all of the cluster.
    port_names: FxHashSet<Text>,
    of_pods: FxHashMap<(&'o str, &'o str, Discoverability), Runner>,
    /// By network.
    without_pod: FxHashMap<(NetworkId, Discoverability), Arc<Workload>>,
}

impl<'o> Workloads<'o> {
    /// The workloads of endpoints that a cluster's slices gave before, which are as they were, but for
    /// that of the pod of a namespace and name.
    pub(crate) fn of(before: &'o Endpoints, changed: Option<(&'o str, &'o str)>) -> Self {
        Self { before, changed, ..Self::default() }
    }

    /// The same where this is known of the cluster's workloads.
    pub(crate) fn knowing(mut self, common: Common) -> Self {
        self.known.common = common;
        self
    }

    /// Returns what is known of the cluster's workloads.
    pub(crate) fn into_common(self) -> Common {
        self.known.common
    }

    /// Returns the endpoints before.
    pub(super) const fn before(&self) -> &'o Endpoints {
        self.before
    }

    /// Returns the allocation of the name of a port.
    pub(super) fn port_name(&mut self, name: &str) -> Text {
        if let Some(known) = self.port_names.get(name) {
            return known.clone();
        }
        let text = Text::from(name);
        self.port_names.insert(text.clone());
        text
    }

    /// Returns what an address runs in; `None` if it refers to a pod that is not there.
    ///
    /// `likely` is the endpoint that stood in its place before, if any.
    pub(super) fn find(
        &mut self,
        slice: &'o EndpointSlice,
        entry: SliceEntry<'o>,
        address: &EndpointAddress,
        likely: Option<&Endpoint>,
        (cluster, discoverability): (&Cluster<'o>, Discoverability),
    ) -> Option<Runner> {
        let likely = likely.filter(|known| known.workload.discoverability == discoverability);
        let ip = match address {
            EndpointAddress::Ip(ip) => Some(*ip),
            EndpointAddress::Name(_) => None,
        };
        let Some((namespace, name)) = pod_of(slice, entry) else {
            // Pods are as they were: where none had the address, none has.
            if self.changed.is_none()
                && let Some(Endpoint { address: Address::Ip(known), instance, workload, .. }) =
                    likely
                && ip == Some(*known)
                && instance.is_empty()
            {
                return Some((Text::default(), workload.clone()));
            }
            self.read();
            let pod = ip.and_then(|ip| cluster.pods.at(slice.meta.namespace.as_str(), ip));
            return Some(match pod {
                Some(pod) => self.of_pod(pod, cluster, discoverability),
                None => (Text::default(), self.of_address(ip, cluster, discoverability)),
            });
        };
        let is_changed = self.changed == Some((namespace, name));
        if !is_changed {
            if let Some(Endpoint { instance, workload, .. }) = likely
                && **instance == *name
                && workload.namespace == *namespace
            {
                return Some((instance.clone(), workload.clone()));
            }
            self.read();
        }
        if let Some(found) = self.of_pods.get(&(namespace, name, discoverability)) {
            return Some(found.clone());
        }
        let pod = cluster.pods.get(namespace, name)?;
        let has_failed = pod.status.phase == PodPhase::Failed;
        (!has_failed).then(|| self.of_pod(pod, cluster, discoverability))
    }

    /// Takes note of the workloads before by name.
    fn read(&mut self) {
        if std::mem::replace(&mut self.is_read, true) {
            return;
        }
        let mut last: Option<&Text> = None;
        for Endpoint { instance, workload, .. } in self.before {
            if last.is_some_and(|last| last.is_same(instance) && !last.is_empty()) {
                continue;
            }
            last = Some(instance);
            if instance.is_empty() {
                let key = (workload.place.network.clone(), workload.discoverability);
                self.without_pod.insert(key, workload.clone());
                continue;
            }
            let pod = (workload.namespace.as_str(), &**instance);
            if self.changed != Some(pod) {
                let key = (pod.0, pod.1, workload.discoverability);
                self.of_pods.insert(key, (instance.clone(), workload.clone()));
            }
        }
    }

    /// Describes a pod, or returns the description it has.
    fn of_pod(
        &mut self,
        pod: &'o Pod,
        cluster: &Cluster<'_>,
        discoverability: Discoverability,
    ) -> Runner {
        let key = (pod.meta.namespace.as_str(), &*pod.meta.name, discoverability);
        if let Some(found) = self.of_pods.get(&key) {
            return found.clone();
        }
        self.known.begin_with(self.before);
        let mut workload = workload_of_pod(pod, cluster);
        workload.discoverability = discoverability;
        let found = (pod.meta.name.clone(), self.known.share(workload));
        self.of_pods.insert(key, found.clone());
        found
    }

    /// Describes what no pod is known of.
    fn of_address(
        &mut self,
        address: Option<IpAddr>,
        cluster: &Cluster<'_>,
        discoverability: Discoverability,
    ) -> Arc<Workload> {
        let network = cluster.networks.network(address, &Labels::default());
        let describe = || {
            let mut workload = workload_without_pod(&network, cluster);
            workload.discoverability = discoverability;
            Arc::new(workload)
        };
        let key = (network.clone(), discoverability);
        self.without_pod.entry(key).or_insert_with(describe).clone()
    }
}
