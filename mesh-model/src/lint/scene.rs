//! What rules look at: one control plane, its rules with the services that they mean, its networks.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Subject;
use crate::endpoint::{Endpoint, Workload};
use crate::name::{ClusterId, Hostname, Labels, Locality, Namespace, NetworkId};
use crate::registry::{ControlPlane, Mesh, Service, Store};
use crate::resource::destination_rule::{
    ClientTlsSettings, ConnectionPoolSettings, LbPolicy, LoadBalancerSettings, LocalityLbSetting,
    OutlierDetection,
};
use crate::resource::{DestinationRule, Pod, VirtualService};

/// One control plane, and what several families ask of it.
pub(super) struct Scene<'m> {
    pub(super) mesh: &'m Mesh,
    pub(super) plane: &'m ControlPlane,
    pub(super) rules: Vec<Rule<'m>>,
    /// Where pods run, and what `MeshNetworks` lists; the empty one is the network without a name.
    pub(super) networks: BTreeSet<NetworkId>,
    /// The workloads of all pods.
    pub(super) workloads: Vec<(&'m Arc<Pod>, Workload)>,
    /// The clusters whose pods are in several networks.
    divided: BTreeSet<&'m ClusterId>,
}

/// A DestinationRule, and the services that its host means.
pub(super) struct Rule<'m> {
    pub(super) object: &'m Arc<DestinationRule>,
    pub(super) subject: Subject,
    pub(super) services: Vec<&'m Arc<Service>>,
}

/// The blocks that hold together: for all of the host, or for a subset.
pub(super) struct Policy<'m> {
    /// The path of the policy in the object.
    pub(super) field: String,
    /// The labels of the subset.
    pub(super) labels: Option<&'m Labels>,
    pub(super) load_balancer: Option<&'m LoadBalancerSettings>,
    pub(super) outlier_detection: Option<&'m OutlierDetection>,
    pub(super) connection_pool: Option<&'m ConnectionPoolSettings>,
    pub(super) tls: Option<&'m ClientTlsSettings>,
}

impl<'m> Scene<'m> {
    pub(super) fn new(mesh: &'m Mesh, plane: &'m ControlPlane) -> Self {
        let stores = stores(mesh, plane);
        let objects = stores.iter().flat_map(|store| store.destination_rules.values());
        let rules = objects
            .map(|object| Rule {
                object,
                subject: Subject::of(mesh, &plane.id, "DestinationRule", &object.meta),
                services: services(plane, &object.spec.host, &object.meta.namespace),
            })
            .collect();
        let workloads = workloads(mesh, plane);
        let listed = mesh.networks().networks.keys().map(|name| NetworkId::from(&**name));
        let used = workloads.iter().map(|(_, workload)| workload.place.network.clone());
        let networks = listed.chain(used).collect();
        let mut divided = BTreeSet::new();
        let mut first = BTreeMap::new();
        for (_, workload) in &workloads {
            let known = first.entry(&workload.place.cluster).or_insert(&workload.place.network);
            if **known != workload.place.network {
                divided.extend(plane.clusters.iter().filter(|id| **id == workload.place.cluster));
            }
        }
        Self { mesh, plane, rules, networks, workloads, divided }
    }

    /// The VirtualServices as they are written.
    pub(super) fn virtual_services(
        &self,
    ) -> impl Iterator<Item = (&'m Arc<VirtualService>, Subject)> {
        let (mesh, plane) = (self.mesh, self.plane);
        let objects = stores(mesh, plane);
        objects.into_iter().flat_map(|store| store.virtual_services.values()).map(move |object| {
            (object, Subject::of(mesh, &plane.id, "VirtualService", &object.meta))
        })
    }

    /// The stores with the Istio resources that count for the control plane.
    pub(super) fn stores(&self) -> Vec<&'m Store> {
        stores(self.mesh, self.plane)
    }

    /// The stores of the clusters that the control plane discovers.
    pub(super) fn clusters(&self) -> impl Iterator<Item = (&'m ClusterId, &'m Store)> {
        let parts = &self.mesh.parts;
        self.plane.clusters.iter().filter_map(|id| Some((id, &*parts.clusters.get(id)?.store)))
    }

    /// Where a service stands: its object, in the cluster that gave it first.
    pub(super) fn subject_of(&self, service: &Service) -> Subject {
        Subject::of_service(self.mesh, &self.plane.id, service)
    }

    /// The endpoints of a service, each address once.
    pub(super) fn endpoints(&self, service: &Service) -> Vec<&'m Endpoint> {
        let mut seen = BTreeSet::new();
        let shards = self.plane.shards(service).into_iter();
        shards
            .flat_map(|shards| shards.endpoints())
            .filter(|e| {
                seen.insert((&e.workload.place.cluster, &e.workload.place.network, &e.address))
            })
            .collect()
    }

    /// The endpoints of a service that clients of other networks are told of, if they can be: of a
    /// cluster-local host only those of clusters that are in several networks themselves.
    pub(super) fn endpoints_across(&self, service: &Service) -> Vec<&'m Endpoint> {
        let is_local = self.plane.cluster_local.contains(&service.hostname);
        let mut endpoints = self.endpoints(service);
        endpoints.retain(|e| !is_local || self.divided.contains(&e.workload.place.cluster));
        endpoints
    }

    /// The localities of endpoints with how many are in each.
    pub(super) fn localities(&self, service: &Service) -> BTreeMap<Locality, usize> {
        let mut counts = BTreeMap::new();
        for endpoint in self.endpoints(service) {
            *counts.entry(Locality::parse(&endpoint.workload.place.locality)).or_default() += 1;
        }
        counts
    }

    /// How many hosts the cluster of a service has for a client in a network, all levels together:
    /// what is behind gateways counts as its gateways.
    pub(super) fn hosts(&self, endpoints: &[&Endpoint], client: &NetworkId) -> usize {
        let mut gateways = BTreeSet::new();
        let mut direct = 0_usize;
        for endpoint in endpoints {
            let workload = &endpoint.workload;
            let through =
                self.plane.gateways.of_endpoint(&workload.place.network, &workload.place.cluster);
            if workload.place.network.is_same_or_empty(client) || through.is_empty() {
                direct += 1;
            } else {
                gateways.extend(through.iter().map(|gateway| (&gateway.address, gateway.port)));
            }
        }
        direct + gateways.len()
    }

    /// Whether networks are entered by gateways at all.
    pub(super) fn is_multi_network(&self) -> bool {
        self.networks.len() > 1 && !self.plane.named_gateways.is_empty()
    }

    /// Whether a rule's setting, or else the mesh's, tells localities apart.
    pub(super) fn locality_setting<'p>(
        &'p self,
        policy: &Policy<'p>,
    ) -> Option<&'p LocalityLbSetting> {
        let own = policy.load_balancer.and_then(|lb| lb.locality_lb_setting.as_ref());
        let setting = own.unwrap_or(&self.plane.config.locality_lb_setting);
        (setting.enabled != Some(false)).then_some(setting)
    }
}

/// The stores with the Istio resources of a control plane: the config folder's, then its own cluster's.
fn stores<'m>(mesh: &'m Mesh, plane: &ControlPlane) -> Vec<&'m Store> {
    let own = mesh.parts.clusters.get(&plane.id).map(|part| &*part.store);
    [&*mesh.parts.config].into_iter().chain(own).collect()
}

/// The services that a host means.
pub(super) fn services<'m>(
    plane: &'m ControlPlane,
    host: &str,
    namespace: &Namespace,
) -> Vec<&'m Arc<Service>> {
    let host = Hostname::resolve(host, namespace.as_str(), &plane.domain);
    if host.is_wildcard() {
        let all = plane.services.iter();
        return all.filter(|service| host.matches(service.hostname.as_str())).collect();
    }
    plane.services.of_host(host.as_str()).collect()
}

/// The pods of the clusters that the control plane discovers, as workloads.
fn workloads<'m>(mesh: &'m Mesh, plane: &ControlPlane) -> Vec<(&'m Arc<Pod>, Workload)> {
    let mut found = Vec::new();
    for id in plane.clusters.iter() {
        let Some(part) = mesh.parts.clusters.get(id) else { continue };
        let running = part.store.pods.values().filter(|pod| pod.status.pod_ip.is_some());
        found.extend(running.map(|pod| (pod, mesh.workload(id, &part.store, pod))));
    }
    found
}

impl<'m> Rule<'m> {
    /// The policies of the rule: of all of the host, then of each subset that has its own; a block that
    /// a subset leaves out is that of the host.
    pub(super) fn policies(&self) -> Vec<Policy<'m>> {
        let spec = &self.object.spec;
        let top = spec.traffic_policy.as_ref();
        let mut found = Vec::new();
        if let Some(top) = top {
            found.push(Policy {
                field: "spec.trafficPolicy".to_owned(),
                labels: None,
                load_balancer: top.load_balancer.as_ref(),
                outlier_detection: top.outlier_detection.as_ref(),
                connection_pool: top.connection_pool.as_ref(),
                tls: top.tls.as_ref(),
            });
        }
        for (index, subset) in spec.subsets.iter().enumerate() {
            let Some(own) = subset.traffic_policy.as_ref() else { continue };
            found.push(Policy {
                field: format!("spec.subsets[{index}].trafficPolicy"),
                labels: Some(&subset.labels).filter(|labels| !labels.is_empty()),
                load_balancer: or(&own.load_balancer, top.map(|top| &top.load_balancer)),
                outlier_detection: or(&own.outlier_detection, top.map(|t| &t.outlier_detection)),
                connection_pool: or(&own.connection_pool, top.map(|t| &t.connection_pool)),
                tls: or(&own.tls, top.map(|top| &top.tls)),
            });
        }
        found
    }
}

/// The block of a subset, else that of the host.
fn or<'m, T>(own: &'m Option<T>, top: Option<&'m Option<T>>) -> Option<&'m T> {
    own.as_ref().or(top.and_then(Option::as_ref))
}

impl Policy<'_> {
    /// Whether the destination's own address is kept.
    pub(super) fn is_passthrough(&self) -> bool {
        use crate::resource::destination_rule::SimpleLb;
        let policy = self.load_balancer.and_then(|lb| lb.policy.as_ref());
        matches!(policy, Some(LbPolicy::Simple(SimpleLb::Passthrough)))
    }

    /// The endpoints that it is for.
    pub(super) fn selected<'e>(&self, endpoints: &[&'e Endpoint]) -> Vec<&'e Endpoint> {
        let is_in = |endpoint: &&&Endpoint| {
            self.labels.is_none_or(|labels| endpoint.workload.labels.contains(labels))
        };
        endpoints.iter().filter(is_in).copied().collect()
    }
}

/// The percentage of ejected hosts that outlier detection allows: 10 where nothing is said.
pub(super) const fn max_ejection_percent(outlier: &OutlierDetection) -> i32 {
    if outlier.max_ejection_percent == 0 { 10 } else { outlier.max_ejection_percent }
}

/// The first few of many, in words.
pub(super) fn some<T: AsRef<str>>(items: &[T]) -> String {
    let shown: Vec<String> =
        items.iter().take(3).map(|item| format!("`{}`", item.as_ref())).collect();
    let rest = items.len().saturating_sub(shown.len());
    let more = if rest == 0 { String::new() } else { format!(" and {rest} more") };
    format!("{}{more}", shown.join(", "))
}
