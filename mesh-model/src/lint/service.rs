//! Services and pods whose objects do not fit together, in a cluster or between clusters.
use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::scene::{Scene, some};
use crate::endpoint::Provider;
use crate::manifest::Diagnostic;
use crate::name::{ClusterId, Namespace};
use crate::registry::{Service, Store};
use crate::resource::{self, ClusterIp, MeshConfig, TargetKind};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for service in scene.plane.services.iter().filter(|s| s.provider == Provider::Kubernetes) {
        sniffed(scene, service, found);
    }
    for (id, store) in scene.clusters() {
        let at = Cluster { scene, id, store };
        at.addresses(found);
        at.slices(found);
        at.pods(found);
        at.namespaces(found);
        found.extend(at.without_address());
    }
    inconsistent(scene, found);
}

/// `IST0118`, and `HZ-PORT-SNIFF` where HTTP rules wait for the port.
fn sniffed(scene: &Scene<'_>, service: &Service, found: &mut Vec<Diagnostic>) {
    for (index, port) in service.ports.iter().enumerate() {
        if !port.protocol.is_unsupported() {
            continue;
        }
        let field = format!("spec.ports[{index}].name");
        let subject = scene.subject_of(service);
        let help = "begin the port's name with its protocol, such as `http-`, or set appProtocol";
        let message = format!(
            "port name `{}` is not under the convention: the protocol of port {} is detected",
            port.name, port.number
        );
        found.push(subject.info("IST0118", &field, (message, help)));
        if has_http_rules(scene, service) {
            let message = format!(
                "port {} does not say its protocol: HTTP rules hold only for connections that are \
                 recognised as HTTP, and servers that speak first wait for the detection",
                port.number
            );
            found.push(subject.info("HZ-PORT-SNIFF", &field, (message, help)));
        }
    }
}

fn has_http_rules(scene: &Scene<'_>, service: &Service) -> bool {
    let is_for = |host: &str, namespace: &Namespace| {
        let known = super::scene::services(scene.plane, host, namespace);
        known.iter().any(|known| known.hostname == service.hostname)
    };
    scene.virtual_services().any(|(object, _)| {
        let hosts = &object.spec.hosts;
        !object.spec.http.is_empty()
            && hosts.iter().any(|host| is_for(host, &object.meta.namespace))
    })
}

/// One cluster.
struct Cluster<'s, 'm> {
    scene: &'s Scene<'m>,
    id: &'m ClusterId,
    store: &'m Store,
}

impl Cluster<'_, '_> {
    fn subject(&self, kind: &'static str, meta: &resource::Meta) -> Subject {
        Subject::in_cluster(self.scene.mesh, self.id, kind, meta)
    }

    /// `SERVICE-VIP-DUP`: two services with one address.
    fn addresses(&self, found: &mut Vec<Diagnostic>) {
        let mut owners = BTreeMap::new();
        for object in self.store.services.values() {
            let ClusterIp::Address(address) = object.spec.cluster_ip else { continue };
            let Some(first) = owners.get(&address) else {
                owners.insert(address, &object.meta);
                continue;
            };
            let message = format!(
                "service `{}/{}` has the address {address} too: proxies cannot tell which of the two is \
                 meant",
                first.namespace, first.name
            );
            let help = "give each service its own address";
            let subject = self.subject("Service", &object.meta);
            found.push(subject.warning("SERVICE-VIP-DUP", "spec.clusterIP", (message, help)));
        }
    }

    /// `SLICE-NO-SERVICE` and `SLICE-NO-POD`: endpoints of nothing.
    fn slices(&self, found: &mut Vec<Diagnostic>) {
        for slice in self.store.endpoint_slices.values() {
            let meta = &slice.meta;
            let subject = self.subject("EndpointSlice", meta);
            let name = meta.labels.value("kubernetes.io/service-name");
            let key = (meta.namespace.clone(), Box::from(name));
            if !name.is_empty() && !self.store.services.contains((key.0.as_str(), &key.1)) {
                let message = format!("there is no service `{name}`: nobody uses these endpoints");
                let field = "metadata.labels.kubernetes.io/service-name";
                let help = "name an existing service, or remove the slice";
                found.push(subject.warning("SLICE-NO-SERVICE", field, (message, help)));
            }
            for (index, endpoint) in slice.endpoints.iter().enumerate() {
                let target = endpoint.target();
                let Some(target) = target.filter(|target| target.kind == TargetKind::Pod) else {
                    continue;
                };
                let namespace = match target.namespace {
                    "" => meta.namespace.clone(),
                    name => Namespace::from(name),
                };
                if !self.store.pods.contains((namespace.as_str(), target.name)) {
                    let message = format!(
                        "there is no pod `{}`: the endpoint has no labels, no identity and no mutual TLS",
                        target.name
                    );
                    let field = format!("endpoints[{index}].targetRef");
                    let help = "correct the reference, or add the pod";
                    found.push(subject.warning("SLICE-NO-POD", &field, (message, help)));
                }
            }
        }
    }

    /// `POD-NO-NODE` and `POD-IP-DUP`.
    fn pods(&self, found: &mut Vec<Diagnostic>) {
        let mut owners = BTreeMap::new();
        let is_running = |pod: &&std::sync::Arc<resource::Pod>| {
            use crate::resource::PodPhase;
            !pod.spec.host_network
                && !matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded)
        };
        for pod in self.store.pods.values().filter(is_running) {
            let subject = self.subject("Pod", &pod.meta);
            let node = (Namespace::default(), pod.spec.node_name.clone());
            if !pod.spec.node_name.is_empty()
                && !self.store.nodes.contains((node.0.as_str(), &node.1))
            {
                let message = format!(
                    "there is no node `{}`: nobody knows where the pod is, so it has no locality",
                    pod.spec.node_name
                );
                let help = "add the node, or label the pod with topology.istio.io/locality";
                found.push(subject.warning("POD-NO-NODE", "spec.nodeName", (message, help)));
            }
            let Some(address) = pod.status.pod_ip else { continue };
            let Some(first) = owners.get(&address) else {
                owners.insert(address, &pod.meta);
                continue;
            };
            let message = format!(
                "pod `{}/{}` has the address {address} too: one of the two is taken for the other",
                first.namespace, first.name
            );
            let help = "correct the address, or remove the pod that has ended";
            found.push(subject.warning("POD-IP-DUP", "status.podIP", (message, help)));
        }
    }

    /// `IST0123`: two labels that decide injection.
    fn namespaces(&self, found: &mut Vec<Diagnostic>) {
        for object in self.store.namespaces.values() {
            let labels = &object.meta.labels;
            if labels.get("istio-injection").is_none() || labels.get("istio.io/rev").is_none() {
                continue;
            }
            let message = "both istio-injection and istio.io/rev are set: the first decides, and the \
                           revision is ignored";
            let subject = self.subject("Namespace", &object.meta);
            let help = "keep one of the two labels";
            let field = "metadata.labels.istio.io/rev";
            found.push(subject.warning("IST0123", field, (message.to_owned(), help)));
        }
    }

    /// `HZ-VIP-PER-CLUSTER`: services that the cluster's own DNS does not know.
    fn without_address(&self) -> Option<Diagnostic> {
        let has_clients = self.scene.workloads.iter().any(|(_, w)| w.place.cluster == *self.id);
        if !has_clients || captures_dns(&self.scene.plane.config) {
            return None;
        }
        let is_missing = |service: &&std::sync::Arc<Service>| {
            service.provider == Provider::Kubernetes
                && !service.is_kubernetes_headless()
                && !service.cluster_vips.is_empty()
                && !self.scene.plane.cluster_local.contains(&service.hostname)
                && service.vips_in(self.id).is_empty()
        };
        let services = self.scene.plane.services.iter().filter(is_missing);
        let hosts: Vec<&str> = services.map(|service| service.hostname.as_str()).collect();
        if hosts.is_empty() {
            return None;
        }
        let message = format!(
            "{} exist only in other clusters: applications in `{}` cannot resolve their names",
            some(&hosts),
            self.id
        );
        let help = "add a Service of the same name without pods, or switch DNS capture on";
        Some(Subject::cluster(self.scene.mesh, self.id).info(
            "HZ-VIP-PER-CLUSTER",
            "name",
            (message, help),
        ))
    }
}

/// Whether proxies answer DNS themselves, as far as the settings of the mesh say: a text that Go's `ParseBool`
/// reads as true.
pub(super) fn captures_dns(config: &MeshConfig) -> bool {
    config.default_config.proxy_metadata.iter().any(|(key, value)| {
        **key == *"ISTIO_META_DNS_CAPTURE"
            && matches!(&**value, "1" | "t" | "T" | "TRUE" | "true" | "True")
    })
}

/// `IST0170`: one service, described differently by two clusters.
fn inconsistent(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<(&Namespace, &str), (&ClusterId, &resource::Service)> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for (id, store) in scene.clusters() {
        for object in store.services.values() {
            let key = (&object.meta.namespace, &*object.meta.name);
            let Some((owner, known)) = first.get(&key) else {
                first.insert(key, (id, object));
                continue;
            };
            let Some((field, what)) = difference(known, object).filter(|_| told.insert(key)) else {
                continue;
            };
            let message = format!(
                "cluster `{id}` describes the service differently from cluster `{owner}`: {what}; its \
                 ports and kind are taken from the first, so some clients use the wrong ones"
            );
            let subject = Subject::in_cluster(scene.mesh, id, "Service", &object.meta);
            let help = "keep the service equal in every cluster";
            found.push(subject.warning("IST0170", field, (message, help)));
        }
    }
}

/// The field that tells two services apart, and how.
fn difference(a: &resource::Service, b: &resource::Service) -> Option<(&'static str, String)> {
    let is_headless = |object: &resource::Service| object.spec.cluster_ip == ClusterIp::Headless;
    if is_headless(a) != is_headless(b) {
        return Some(("spec.clusterIP", "one of the two is headless".to_owned()));
    }
    if a.spec.kind != b.spec.kind {
        let types = format!("type {} and {}", a.spec.kind.as_str(), b.spec.kind.as_str());
        return Some(("spec.type", types));
    }
    let ports = |object: &resource::Service| -> BTreeSet<(u32, String)> {
        object.spec.ports.iter().map(|port| (port.port, port.name.to_string())).collect()
    };
    (ports(a) != ports(b)).then(|| ("spec.ports", "their ports differ".to_owned()))
}
