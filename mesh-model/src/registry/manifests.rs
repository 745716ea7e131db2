//! The objects of a control plane's own cluster as they were loaded.
//!
//! What ambient data planes are told is made of these, not of the merged services of all clusters.
use std::sync::Arc;

use super::discovery::Discovery;
use super::external::visibility;
use super::mesh::Parts;
use super::objects::{ByName, Store};
use super::place::NETWORK;
use super::{ControlPlane, Entry, Mesh, SYSTEM_NAMESPACE, external, kubernetes};
use crate::name::{Hostname, Labels, Namespace};
use crate::resource::mesh_config::Visibility;
use crate::resource::{
    EndpointSlice, KubernetesGateway, Meta, Pod, PortTarget, Service, ServiceEntry, Transport,
    WorkloadEntry,
};

/// The objects of one cluster, without those of namespaces that its control plane does not discover.
#[derive(Clone, Copy, Debug)]
pub struct Manifests<'m> {
    plane: &'m ControlPlane,
    parts: &'m Parts,
}

impl Mesh {
    /// Returns the objects of a control plane's own cluster; Istio's also from `config/`.
    pub fn manifests<'m>(&'m self, plane: &'m ControlPlane) -> Manifests<'m> {
        Manifests { plane, parts: &self.parts }
    }
}

impl<'m> Manifests<'m> {
    fn own(self) -> Option<&'m Store> {
        self.parts.clusters.get(&self.plane.id).map(|part| &*part.store)
    }

    fn discovered<T: 'm>(
        self,
        stores: impl IntoIterator<Item = &'m Store>,
        kind: fn(&Store) -> &ByName<T>,
        meta: fn(&T) -> &Meta,
    ) -> impl Iterator<Item = &'m T>
    where
        Arc<T>: Entry,
    {
        let own = self.own();
        let discovery =
            own.map_or(Discovery::everywhere(), |own| Discovery::new(&self.plane.config, own));
        let objects = stores.into_iter().flat_map(move |store| kind(store).values());
        objects
            .map(AsRef::as_ref)
            .filter(move |object: &&T| discovery.contains(meta(object).namespace.as_str()))
    }

    fn of_istio<T: 'm>(
        self,
        kind: fn(&Store) -> &ByName<T>,
        meta: fn(&T) -> &Meta,
    ) -> impl Iterator<Item = &'m T>
    where
        Arc<T>: Entry,
    {
        self.discovered([&*self.parts.config].into_iter().chain(self.own()), kind, meta)
    }

    /// The pods, by namespace and name.
    pub fn pods(self) -> impl Iterator<Item = &'m Pod> {
        self.discovered(self.own(), |store| &store.pods, |object| &object.meta)
    }

    /// The Kubernetes services, by namespace and name.
    pub fn services(self) -> impl Iterator<Item = &'m Service> {
        self.discovered(self.own(), |store| &store.services, |object| &object.meta)
    }

    /// The endpoint slices, by namespace and name.
    pub fn endpoint_slices(self) -> impl Iterator<Item = &'m EndpointSlice> {
        self.discovered(self.own(), |store| &store.endpoint_slices, |object| &object.meta)
    }

    /// The service entries: those of `config/`, then those of the cluster.
    pub fn service_entries(self) -> impl Iterator<Item = &'m ServiceEntry> {
        self.of_istio(|store| &store.service_entries, |object| &object.meta)
    }

    /// The service entries that the services of a host and namespace are of, service by service in their
    /// order: as often as the entry has addresses.
    pub(crate) fn entries_of(
        self,
        host: &Hostname,
        namespace: &Namespace,
    ) -> Vec<&'m ServiceEntry> {
        external::of_services(self.service_entries(), host, namespace)
    }

    /// The workload entries: those of `config/`, then those of the cluster.
    pub fn workload_entries(self) -> impl Iterator<Item = &'m WorkloadEntry> {
        self.of_istio(|store| &store.workload_entries, |object| &object.meta)
    }

    /// The gateways of the Gateway API: those of `config/`, then those of the cluster.
    pub fn kubernetes_gateways(self) -> impl Iterator<Item = &'m KubernetesGateway> {
        self.of_istio(|store| &store.kubernetes_gateways, |object| &object.meta)
    }

    /// What is written at a node.
    pub fn node(self, name: &str) -> Option<&'m Meta> {
        self.own()?.nodes.get(("", name)).map(|node| &node.meta)
    }

    /// What is written at a namespace.
    pub fn namespace(self, name: &Namespace) -> Option<&'m Meta> {
        self.own()?.namespace(name.as_str())
    }

    /// The network of the cluster, as its system namespace says; empty if it says nothing.
    pub fn network(self) -> &'m str {
        let system = self.namespace(&Namespace::from(SYSTEM_NAMESPACE));
        system.map_or("", |meta| meta.labels.value(NETWORK))
    }

    /// Who may see the service entries of a namespace, as far as the mesh limits it.
    pub fn visibility(self, namespace: &Namespace) -> Visibility {
        let none = Labels::default();
        let labels = self.namespace(namespace).map_or(&none, |meta| &meta.labels);
        let limits = self.plane.config.service_entry_visibility.as_ref();
        limits.map_or(Visibility::Public, |limits| visibility(limits, labels))
    }
}

/// Returns the name of the workload that a pod belongs to: its label, else its controller's name
/// where the pod's own was generated, else the pod's.
///
/// # Upstream
///
/// istio/istio `pkg/kube/util.go` `GetWorkloadMetaFromPod`.
pub fn workload_name(pod: &Pod) -> &str {
    kubernetes::workload_name(&pod.meta)
}

/// Returns the number of the port of a pod's containers that has a name, over TCP.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `FindPortName`.
pub fn named_port(pod: &Pod, name: &str) -> Option<u16> {
    kubernetes::pod_port(pod, &PortTarget::Name(name.into()), Transport::Tcp)
}
