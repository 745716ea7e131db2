//! What ztunnels are told (WDS, WADS): services and workloads by address, and who may call them.
//!
//! ```text
//! Service, ServiceEntry ──▶ services ──by host and namespace──┐
//! Pod, WorkloadEntry, EndpointSlice ──▶ workloads ────────────┴─▶ addresses
//! AuthorizationPolicy, PeerAuthentication ──rbac::ztunnel──▶ authorizations
//! ```
//!
//! Only of the control plane's own cluster, as upstream without ambient multi-network. Waypoints and
//! gateways of the Gateway API are not part of it.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient`.
mod entries;
mod names;
mod pods;
mod services;
mod slices;
mod wire;

use std::collections::BTreeMap;

use mesh_authz::ztunnel;
use mesh_envoy_proto::istio::security::Authorization;
use mesh_envoy_proto::istio::workload::{Address, Workload, address};
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{ControlPlane, Manifests, Mesh};

pub use self::names::Names;
use self::services::Services;
use crate::rbac;

/// What the ztunnels of a control plane are told, by name.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Ambient {
    /// Services as `NAMESPACE/HOST`, workloads as `CLUSTER/GROUP/KIND/NAMESPACE/NAME…`.
    pub addresses: BTreeMap<String, Address>,
    /// Policies as `NAMESPACE/NAME`.
    pub authorizations: BTreeMap<String, Authorization>,
}

impl Ambient {
    /// Generates the messages.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/serviceregistry/ambient/ambientindex.go` `New`.
    pub fn new(mesh: &Mesh, plane: &ControlPlane) -> Self {
        let manifests = mesh.manifests(plane);
        let services = Services::of(mesh, plane);
        let cluster = Cluster { mesh, plane, manifests, services: &services };
        let mut workloads = pods::workloads(&cluster);
        workloads.extend(entries::workloads(&cluster));
        workloads.extend(slices::workloads(&cluster));
        let workloads = workloads.into_iter().map(|workload| {
            let name = workload.uid.clone();
            (name, Address { r#type: Some(address::Type::Workload(workload)) })
        });
        let addresses = services.iter().map(|found| {
            let address = address::Type::Service(found.service.clone());
            (found.key(), Address { r#type: Some(address) })
        });
        Self {
            addresses: addresses.chain(workloads).collect(),
            authorizations: rbac::ztunnel::authorizations(mesh, plane).into_iter().collect(),
        }
    }
}

/// What workloads are made of.
struct Cluster<'c> {
    mesh: &'c Mesh,
    plane: &'c ControlPlane,
    manifests: Manifests<'c>,
    services: &'c Services<'c>,
}

impl Cluster<'_> {
    /// The policies that a workload refers to.
    fn policies(&self, namespace: &Namespace, labels: &Labels) -> Vec<String> {
        ztunnel::policies_of_workload(self.mesh, self.plane, namespace, labels)
    }

    /// A workload with what all of them have.
    fn workload(&self, uid: String, namespace: &str, name: &str) -> Workload {
        let trust_domain = &*self.plane.config.trust_domain;
        Workload {
            uid,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            network: self.manifests.network().to_owned(),
            cluster_id: self.plane.id.as_str().to_owned(),
            trust_domain: if trust_domain == "cluster.local" { "" } else { trust_domain }
                .to_owned(),
            ..Workload::default()
        }
    }
}
