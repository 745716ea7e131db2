//! Networks and clusters that are named, and do not exist or are not told apart.
use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::installation::value_at;
use super::scene::some;
use super::version::{is_one_zero, minor_version, versions};
use crate::manifest::{Diagnostic, Value};
use crate::name::{ClusterId, Namespace, NetworkId};
use crate::registry::{Mesh, SYSTEM_NAMESPACE, place};
use crate::resource::mesh_networks::NetworkEndpoints;
use crate::resource::{Opaque, Pod};

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    unknown_registries(mesh, found);
    repeated_names(mesh, found);
    self_signed(mesh, found);
    found.extend(mixed(mesh));
    unlabelled_system(mesh, found);
    wrong_network(mesh, found);
    found.extend(too_old(mesh));
    unread_versions(mesh, found);
}

/// `TOPO-CLUSTER-ID`: two descriptions with one name.
fn repeated_names(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let mut first = BTreeMap::new();
    for id in mesh.clusters() {
        let Some(says) = mesh.description(id.as_str()).filter(|says| !says.name.is_empty()) else {
            continue;
        };
        let Some(other) = first.insert(&*says.name, id) else { continue };
        let message = format!(
            "`{other}` and `{id}` are both described as cluster `{}`: endpoints of one replace those of \
             the other in a control plane that knows both by that id",
            says.name
        );
        let help = "give each cluster an id of its own";
        found.push(Subject::cluster(mesh, id).error("TOPO-CLUSTER-ID", "name", (message, help)));
    }
}

/// `HZ-ROOT-CA`: control planes that each sign with a root of their own (ACK's `Istio` objects).
fn self_signed(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let signs = |object: &&Opaque| {
        let value = value_at(object, &["spec", "security", "selfSigned"]);
        object.kind == "Istio" && value.is_some_and(|node| node.value == Value::Bool(true))
    };
    let of_clusters = mesh.parts.clusters.iter();
    let signing = of_clusters.filter_map(|(id, part)| {
        let mut objects = part.store.opaque.values().map(AsRef::as_ref);
        Some((id, objects.find(signs)?))
    });
    let (alone, objects): (Vec<&str>, Vec<_>) =
        signing.map(|(id, object)| (id.as_str(), (id, object))).unzip();
    for (id, object) in objects.into_iter().skip(1) {
        let message = format!(
            "the control planes of {} each sign certificates with a root of their own: mutual TLS \
             between their workloads fails in the handshake",
            some(&alone)
        );
        let help = "sign all of them with one root, and set `security.selfSigned` to false";
        let subject = Subject::in_cluster(mesh, id, object.kind, &object.meta);
        found.push(subject.error("HZ-ROOT-CA", "spec.security.selfSigned", (message, help)));
    }
}

/// `IST0126`: a network of a cluster that is not there.
fn unknown_registries(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let subject = Subject::networks(mesh);
    for (network, settings) in &mesh.networks().networks {
        for (index, entry) in settings.endpoints.iter().enumerate() {
            let NetworkEndpoints::FromRegistry(name) = entry else { continue };
            if mesh.clusters().any(|id| *id == **name) {
                continue;
            }
            let message = format!(
                "network `{network}` takes the endpoints of cluster `{name}`, which does not exist: no \
                 endpoint is in the network for that"
            );
            let field = format!("networks.{network}.endpoints[{index}].fromRegistry");
            let names: Vec<&str> = mesh.clusters().map(|id| id.as_str()).collect();
            let help = format!("the clusters are {}", some(&names));
            found.push(subject.error("IST0126", &field, (message, &help)));
        }
    }
}

/// The clusters with the label of their system namespace, empty if none.
fn labels(mesh: &Mesh) -> Vec<(&ClusterId, &str)> {
    let key = (Namespace::default(), Box::from(SYSTEM_NAMESPACE));
    let parts = mesh.parts.clusters.iter();
    parts
        .filter(|(_, part)| !part.store.pods.is_empty())
        .map(|(id, part)| {
            let system = part.store.namespaces.get((key.0.as_str(), &key.1));
            (id, system.map(|object| object.meta.labels.value(place::NETWORK)).unwrap_or_default())
        })
        .collect()
}

/// Whether `MeshNetworks` says where endpoints of a cluster are.
fn is_listed(mesh: &Mesh, cluster: &ClusterId) -> bool {
    let part = mesh.parts.clusters.get(cluster);
    let mut pods = part.into_iter().flat_map(|part| part.store.pods.values());
    pods.any(|pod| !mesh.listed_network(cluster, pod).is_empty())
}

/// The network that each pod of a cluster is in; pods without an address yet are left out, unless no pod of
/// the cluster has one.
fn pod_networks<'m>(mesh: &'m Mesh, cluster: &ClusterId) -> Vec<(&'m Pod, NetworkId)> {
    let Some(part) = mesh.parts.clusters.get(cluster) else { return Vec::new() };
    let mut pods: Vec<&Pod> = part.store.pods.values().map(|pod| &**pod).collect();
    if pods.iter().any(|pod| pod.status.pod_ip.is_some()) {
        pods.retain(|pod| pod.status.pod_ip.is_some());
    }
    let network = |pod: &Pod| mesh.workload(cluster, &part.store, pod).place.network.clone();
    pods.into_iter().map(|pod| (pod, network(pod))).collect()
}

/// `TOPO-NETWORK-MIX`: clusters with a network beside clusters without.
fn mixed(mesh: &Mesh) -> Option<Diagnostic> {
    let clusters: Vec<(&ClusterId, bool)> = labels(mesh)
        .into_iter()
        .map(|(id, _)| (id, pod_networks(mesh, id).iter().any(|(_, it)| !it.is_empty())))
        .collect();
    let first = clusters.iter().find(|(_, has_network)| *has_network)?;
    let bare = clusters.iter().find(|(_, has_network)| !has_network)?;
    let message = format!(
        "`{}` has a network and `{}` has none: proxies without a network reach pods of both directly, \
         others enter them through gateways",
        first.0, bare.0
    );
    let help = "label istio-system of every cluster with topology.istio.io/network";
    Some(Subject::cluster(mesh, bare.0).warning("TOPO-NETWORK-MIX", "network", (message, help)))
}

/// `TOPO-SYSTEM-NS`: a cluster of a multi-network mesh whose system namespace has no network.
fn unlabelled_system(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    let labels = labels(mesh);
    let named: BTreeSet<&str> =
        labels.iter().map(|(_, label)| *label).filter(|label| !label.is_empty()).collect();
    let listed = mesh.networks().networks.keys().map(AsRef::as_ref);
    if named.iter().copied().chain(listed).collect::<BTreeSet<&str>>().len() < 2 {
        return;
    }
    for (id, _) in labels.iter().filter(|(id, label)| label.is_empty() && !is_listed(mesh, id)) {
        let message = format!(
            "{SYSTEM_NAMESPACE} of `{id}` has no label topology.istio.io/network: pods that do not name \
             their network are in none, and are taken to be reachable from everywhere"
        );
        let help = "label the namespace with the cluster's network";
        let (subject, field) = system_namespace(mesh, id);
        found.push(subject.warning("TOPO-SYSTEM-NS", field, (message, help)));
    }
}

/// Where the label of a cluster's network belongs: the system namespace, else the description.
fn system_namespace(mesh: &Mesh, cluster: &ClusterId) -> (Subject, &'static str) {
    let part = mesh.parts.clusters.get(cluster);
    match part.and_then(|part| part.store.namespaces.get(("", SYSTEM_NAMESPACE))) {
        Some(object) => {
            let subject = Subject::in_cluster(mesh, cluster, "Namespace", &object.meta);
            (subject, "metadata.labels")
        }
        None => (Subject::cluster(mesh, cluster), "network"),
    }
}

/// `TOPO-NETWORK-DIFFERS`: `cluster.yaml` says another network than the one that pods are in.
fn wrong_network(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    for id in mesh.clusters() {
        let Some(says) = mesh.description(id.as_str()).filter(|says| !says.network.is_empty())
        else {
            continue;
        };
        let pods = pod_networks(mesh, id);
        let mut others = pods.iter().filter(|(_, network)| *network.as_str() != *says.network);
        let count = others.clone().count();
        let Some((pod, network)) = others.next() else { continue };
        let place = match network.as_str() {
            "" => "no network at all".to_owned(),
            name => format!("network `{name}`"),
        };
        let message = format!(
            "the description puts `{id}` in network `{}`, and {count} of its {} pods, such as \
             `{}/{}`, are in {place}: labels and MeshNetworks decide",
            says.network,
            pods.len(),
            pod.meta.namespace,
            pod.meta.name
        );
        let help = "correct the one that is wrong: the description, the label \
                    topology.istio.io/network of istio-system or of the pods, or MeshNetworks";
        let subject = Subject::cluster(mesh, id);
        found.push(subject.warning("TOPO-NETWORK-DIFFERS", "network", (message, help)));
    }
}

/// `TOPO-MODE-1.0`: what Istio 1.0 could not do yet.
fn too_old(mesh: &Mesh) -> Option<Diagnostic> {
    let (old, told) = mesh.clusters().find_map(|id| {
        let told = versions(mesh, id).into_iter().find(|told| is_one_zero(told.text))?;
        Some((id, told))
    })?;
    if networks(mesh).len() < 2 && mesh.control_planes().count() < 2 {
        return None;
    }
    let message = format!(
        "`{old}` runs Istio 1.0, which knows one control plane and one flat network only: endpoints of \
         other networks are sent as if they were near"
    );
    let help = "upgrade, or make the mesh one flat network with one control plane";
    Some(told.subject.error("TOPO-MODE-1.0", told.field, (message, help)))
}

/// The networks of a mesh: those that pods are in, of clusters whose pods are in none the described one,
/// and those that `MeshNetworks` lists.
fn networks(mesh: &Mesh) -> BTreeSet<NetworkId> {
    let listed = mesh.networks().networks.keys().map(|name| NetworkId::from(&**name));
    let mut found: BTreeSet<NetworkId> = listed.collect();
    for id in mesh.clusters() {
        let pods = pod_networks(mesh, id);
        if pods.iter().any(|(_, network)| !network.is_empty()) {
            found.extend(pods.into_iter().map(|(_, network)| network));
        } else if let Some(says) = mesh.description(id.as_str()) {
            found.insert(NetworkId::from(&*says.network));
        } else if !pods.is_empty() {
            found.insert(NetworkId::default());
        }
    }
    found
}

/// `TOPO-VERSION`: a version that is none.
fn unread_versions(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    for told in mesh.clusters().flat_map(|id| versions(mesh, id)) {
        if minor_version(told.text).is_some() {
            continue;
        }
        let message = format!(
            "`{}` is no version of Istio: nothing is known of what it can do and what it cannot",
            told.text
        );
        let help = "write it as MAJOR.MINOR or MAJOR.MINOR.PATCH, such as \"1.26\"";
        found.push(told.subject.warning("TOPO-VERSION", told.field, (message, help)));
    }
}
