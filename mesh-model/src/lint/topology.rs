//! Networks and clusters that are named, and do not exist or are not told apart.
use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::cluster::is_one_zero;
use super::scene::some;
use crate::manifest::{Diagnostic, Node, Value};
use crate::name::{ClusterId, Namespace};
use crate::registry::{Mesh, SYSTEM_NAMESPACE, place};
use crate::resource::mesh_networks::NetworkEndpoints;

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    unknown_registries(mesh, found);
    repeated_names(mesh, found);
    self_signed(mesh, found);
    found.extend(mixed(mesh));
    unlabelled_system(mesh, found);
    wrong_network(mesh, found);
    found.extend(too_old(mesh));
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
    let signs = |node: &Node| {
        let path = ["spec", "security", "selfSigned"];
        let value = path.iter().try_fold(node, |node, name| node.get(&[name]));
        value.is_some_and(|node| node.value == Value::Bool(true))
    };
    let alone: Vec<&str> = mesh
        .parts
        .clusters
        .iter()
        .filter(|(_, part)| {
            let mut objects = part.store.opaque.values();
            objects.any(|object| object.kind == "Istio" && signs(&object.node))
        })
        .map(|(id, _)| id.as_str())
        .collect();
    let [_, last @ ..] = alone.as_slice() else { return };
    for id in last {
        let message = format!(
            "the control planes of {} each sign certificates with a root of their own: mutual TLS \
             between their workloads fails in the handshake",
            some(&alone)
        );
        let help = "sign all of them with one root, and set `security.selfSigned` to false";
        let subject = Subject::cluster(mesh, &ClusterId::from(*id));
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
                "network `{network}` takes the endpoints of cluster `{name}`, which does not exist"
            );
            let field = format!("networks.{network}.endpoints[{index}].fromRegistry");
            let names: Vec<&str> = mesh.clusters().map(|id| id.as_str()).collect();
            let help = format!("the clusters are {}", some(&names));
            found.push(subject.error("IST0126", &field, (message, &help)));
        }
    }
}

/// The clusters with the label of their system namespace, empty if none.
fn labels(mesh: &Mesh) -> Vec<(&crate::name::ClusterId, &str)> {
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

/// Whether `MeshNetworks` says where the endpoints of a cluster are.
fn is_listed(mesh: &Mesh, cluster: &str) -> bool {
    let mut entries = mesh.networks().networks.values().flat_map(|network| &network.endpoints);
    entries.any(|entry| match entry {
        NetworkEndpoints::FromRegistry(name) => **name == *cluster,
        NetworkEndpoints::FromCidr(_) => true,
        NetworkEndpoints::Nothing => false,
    })
}

/// `TOPO-NETWORK-MIX`: clusters with a network beside clusters without.
fn mixed(mesh: &Mesh) -> Option<Diagnostic> {
    let labels = labels(mesh);
    let has_network = |(id, label): &(&crate::name::ClusterId, &str)| {
        !label.is_empty() || is_listed(mesh, id.as_str())
    };
    let first = labels.iter().find(|cluster| has_network(cluster))?;
    let bare = labels.iter().find(|cluster| !has_network(cluster))?;
    let message = format!(
        "`{}` has a network and `{}` has none: proxies without a network reach pods of both directly, \
         others enter them through gateways",
        first.0, bare.0
    );
    let help = "label istio-system of every cluster with topology.istio.io/network";
    Some(Subject::cluster(mesh, bare.0).warning("TOPO-NETWORK-MIX", "", (message, help)))
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
    for (id, _) in
        labels.iter().filter(|(id, label)| label.is_empty() && !is_listed(mesh, id.as_str()))
    {
        let message = format!(
            "{SYSTEM_NAMESPACE} of `{id}` has no label topology.istio.io/network: pods that do not name \
             their network are in none, and are taken to be reachable from everywhere"
        );
        let help = "label the namespace with the cluster's network";
        found.push(Subject::cluster(mesh, id).warning("TOPO-SYSTEM-NS", "", (message, help)));
    }
}

/// `TOPO-NETWORK-DIFFERS`: `cluster.yaml` says another network than the labels.
fn wrong_network(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    for (id, label) in labels(mesh) {
        let Some(says) = mesh.description(id.as_str()) else { continue };
        if label.is_empty() || says.network.is_empty() || *says.network == *label {
            continue;
        }
        let message = format!(
            "the description puts `{id}` in network `{}`, and its {SYSTEM_NAMESPACE} is labelled `{label}`: \
             the label decides",
            says.network
        );
        let help = "correct the one that is wrong";
        found.push(Subject::cluster(mesh, id).warning(
            "TOPO-NETWORK-DIFFERS",
            "network",
            (message, help),
        ));
    }
}

/// `TOPO-MODE-1.0`: what Istio 1.0 could not do yet.
fn too_old(mesh: &Mesh) -> Option<Diagnostic> {
    let old = mesh
        .clusters()
        .find(|id| mesh.description(id.as_str()).is_some_and(|says| is_one_zero(says)))?;
    let networks: BTreeSet<&str> = mesh
        .clusters()
        .filter_map(|id| mesh.description(id.as_str()))
        .map(|says| &*says.network)
        .collect();
    if networks.len() < 2 && mesh.control_planes().count() < 2 {
        return None;
    }
    let message = format!(
        "`{old}` runs Istio 1.0, which knows one control plane and one flat network only: endpoints of \
         other networks are sent as if they were near"
    );
    let help = "upgrade, or make the mesh one flat network with one control plane";
    Some(Subject::cluster(mesh, old).error("TOPO-MODE-1.0", "istioVersion", (message, help)))
}
