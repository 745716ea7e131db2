//! What one control plane knows: the index that its proxies are served from.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::map::{Entry, Key, Map};
use super::{
    AuthorizationPolicies, Broken, ClusterLocalHosts, DestinationRules, ExportTo,
    PeerAuthentications, Service, Services, VirtualServices,
};
use crate::endpoint::{Gateways, Shards};
use crate::name::{ClusterId, Hostname, Labels, Namespace};
use crate::resource::{MeshConfig, RequestAuthentication, Sidecar, Telemetry};

/// The namespace of the control plane itself, whatever `rootNamespace` says.
pub const SYSTEM_NAMESPACE: &str = "istio-system";

/// What one control plane knows.
///
/// Its parts are shared with the meshes before and after, so that one that is the same allocation as
/// before is the same part.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ControlPlane {
    /// The cluster whose Istio resources count: its config cluster.
    pub id: ClusterId,
    /// The clusters whose services it discovers, its own first, then by name.
    pub clusters: Arc<[ClusterId]>,
    /// The mesh's settings.
    pub config: Arc<MeshConfig>,
    /// The services.
    pub services: Arc<Services>,
    /// The endpoints by host and namespace.
    pub(crate) shards: Map<Arc<ServiceShards>>,
    /// How networks are entered: IP addresses only.
    pub gateways: Arc<Gateways>,
    /// The same with host names, for clusters whose endpoints are names too.
    pub named_gateways: Arc<Gateways>,
    /// The DestinationRules.
    pub destination_rules: Arc<DestinationRules>,
    /// The VirtualServices.
    pub virtual_services: Arc<VirtualServices>,
    /// The Sidecars of each namespace: those with a selector first, then the older.
    pub sidecars: Arc<BTreeMap<Namespace, Vec<Arc<Sidecar>>>>,
    /// The PeerAuthentications.
    pub peer_authentications: Arc<PeerAuthentications>,
    /// The AuthorizationPolicies, oldest first.
    pub authorization_policies: Arc<AuthorizationPolicies>,
    /// What is meant to secure its workloads and is not in force as it was meant.
    pub broken: Arc<[Broken]>,
    /// Services, ServiceEntries and Namespaces that could not be read: policies and waypoints are attached
    /// by them.
    pub lost_targets: Arc<[Broken]>,
    /// The Telemetry objects, oldest first.
    pub telemetries: Arc<[Arc<Telemetry>]>,
    /// The RequestAuthentications, oldest first.
    pub request_authentications: Arc<[Arc<RequestAuthentication>]>,
    /// The hosts that stay in the client's cluster.
    pub cluster_local: Arc<ClusterLocalHosts>,
    /// `MeshConfig.defaultServiceExportTo`.
    pub default_service_export_to: Arc<ExportTo>,
    /// The domain of the clusters.
    pub domain: Arc<str>,
}

/// The endpoints of a service; there is at least one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceShards {
    pub(crate) hostname: Hostname,
    pub(crate) namespace: Namespace,
    pub(crate) shards: Arc<Shards>,
}

impl Entry for Arc<ServiceShards> {
    fn key(&self) -> Key<'_> {
        (self.hostname.as_str(), self.namespace.as_str())
    }
}

impl ControlPlane {
    /// Returns the endpoints of a service; `None` if it has none.
    ///
    /// Those of a Kubernetes service that is exported to nobody (`~`) count as well. istiod sends them only where it
    /// read the slices before the Service, which is left to chance when it starts (`serviceNeedsPush` of
    /// `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`).
    pub fn shards(&self, service: &Service) -> Option<&Arc<Shards>> {
        self.shards_of(service.hostname.as_str(), service.namespace.as_str())
    }

    /// Returns the endpoints of a host in a namespace; `None` if it has none.
    pub fn shards_of(&self, host: &str, namespace: &str) -> Option<&Arc<Shards>> {
        self.shards.get((host, namespace)).map(|found| &found.shards)
    }

    /// Returns the Sidecar in force for a workload: the first of its namespace that selects it, else
    /// the one without selector, else that of the root namespace.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/push_context.go` `getSidecarScope`.
    pub fn sidecar(&self, namespace: &Namespace, labels: &Labels) -> Option<&Arc<Sidecar>> {
        let of = |namespace: &str| self.sidecars.get(namespace).into_iter().flatten();
        let own = of(namespace.as_str()).find(|sidecar| match &sidecar.spec.workload_selector {
            Some(selector) => labels.contains(&selector.labels),
            None => true,
        });
        own.or_else(|| {
            of(&self.config.root_namespace).find(|sidecar| sidecar.spec.workload_selector.is_none())
        })
    }

    /// The same with the parts of an earlier one that are equal.
    pub(super) fn keeping(mut self, before: Option<&Arc<Self>>) -> Self {
        let Some(before) = before else { return self };
        keep(&mut self.services, &before.services);
        if self.shards == before.shards {
            self.shards = before.shards.clone();
        }
        keep(&mut self.gateways, &before.gateways);
        keep(&mut self.named_gateways, &before.named_gateways);
        keep(&mut self.destination_rules, &before.destination_rules);
        keep(&mut self.virtual_services, &before.virtual_services);
        keep(&mut self.sidecars, &before.sidecars);
        keep(&mut self.peer_authentications, &before.peer_authentications);
        keep(&mut self.authorization_policies, &before.authorization_policies);
        keep(&mut self.broken, &before.broken);
        keep(&mut self.lost_targets, &before.lost_targets);
        keep(&mut self.telemetries, &before.telemetries);
        keep(&mut self.request_authentications, &before.request_authentications);
        keep(&mut self.cluster_local, &before.cluster_local);
        keep(&mut self.default_service_export_to, &before.default_service_export_to);
        self
    }
}

/// Takes the known allocation of an equal part; returns whether it differs.
pub(super) fn keep<T: PartialEq + ?Sized>(part: &mut Arc<T>, known: &Arc<T>) -> bool {
    let is_equal = **part == **known;
    if is_equal {
        *part = known.clone();
    }
    !is_equal
}
