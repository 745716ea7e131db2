//! Entries of `proxies.json` that the manifests contradict, and proxies that take themselves to be elsewhere.
use std::collections::BTreeMap;

use super::Subject;
use crate::manifest::Diagnostic;
use crate::name::{ClusterId, NetworkId};
use crate::registry::Mesh;
use crate::resource::{Pod, ProxyEntry, ProxyRef};
use crate::view::{Proxy, has_proxy, variable};

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    entries(mesh, found);
    for id in mesh.clusters() {
        cluster(mesh, id, found);
        network(mesh, id, found);
    }
}

/// The running pods of a cluster that have a proxy.
fn proxies<'m>(mesh: &'m Mesh, id: &ClusterId) -> impl Iterator<Item = &'m Pod> + use<'m> {
    let part = mesh.parts.clusters.get(id);
    let pods = part.into_iter().flat_map(|part| part.store.pods.values()).map(AsRef::as_ref);
    pods.filter(|pod: &&Pod| pod.status.pod_ip.is_some() && has_proxy(pod) == Some(true))
}

/// `PROXY-CLUSTER`: proxies whose environment says another cluster than the folder; the first is told.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/context.go` `Proxy.InCluster`: the cluster of a proxy is what its metadata
/// `CLUSTER_ID` says.
fn cluster(mesh: &Mesh, id: &ClusterId, found: &mut Vec<Diagnostic>) {
    let said =
        |pod| variable(pod, "ISTIO_META_CLUSTER_ID").filter(|(_, said)| **said != *id.as_str());
    let mut differing: BTreeMap<&str, (usize, String, &Pod)> = BTreeMap::new();
    for (pod, (field, said)) in proxies(mesh, id).filter_map(|pod| Some((pod, said(pod)?))) {
        differing.entry(said).or_insert((0, field, pod)).0 += 1;
    }
    for (said, (count, field, pod)) in differing {
        let message = format!(
            "the proxies of {count} pods of cluster `{id}` say that they are of cluster `{said}`: istiod goes by \
             that, and takes what runs in `{id}` for another cluster's; what is computed here goes by the folder"
        );
        let help = "name the folder as istiod names the cluster (`global.multiCluster.clusterName`), or correct \
                    the variable";
        let subject = Subject::in_cluster(mesh, id, "Pod", &pod.meta);
        found.push(subject.warning("PROXY-CLUSTER", &field, (message, help)));
    }
}

/// `PROXY-NETWORK`: proxies whose environment says another network than the one that their pods are in; the
/// first is told. Nothing is said where a pod is in no network.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/network.go` `Network`: endpoints are where the pod's
/// label, `MeshNetworks` or the label of the system namespace says; `model.Proxy.InNetwork`: proxies are where
/// their metadata `NETWORK` says, which injection has from `global.network`.
fn network(mesh: &Mesh, id: &ClusterId, found: &mut Vec<Diagnostic>) {
    let Some(part) = mesh.parts.clusters.get(id) else { return };
    let mut differing: BTreeMap<(&str, NetworkId), (usize, String, &Pod)> = BTreeMap::new();
    for pod in proxies(mesh, id) {
        let Some((field, said)) = variable(pod, "ISTIO_META_NETWORK") else { continue };
        let own = mesh.workload(id, &part.store, pod).place.network.clone();
        if !own.is_empty() && *own.as_str() != *said {
            differing.entry((said, own)).or_insert((0, field, pod)).0 += 1;
        }
    }
    for ((said, own), (count, field, pod)) in differing {
        let (said, effect) = match said {
            "" => (
                "no network".to_owned(),
                "they are sent the addresses of pods that they cannot reach",
            ),
            said => (
                format!("network `{said}`"),
                "they are sent through gateways to their own network, and the addresses of pods of the other",
            ),
        };
        let message = format!(
            "the proxies of {count} pods of cluster `{id}` say that they are in {said}, and the pods are in \
             network `{own}`: {effect}"
        );
        let help = "set `global.network` of the injection and label `topology.istio.io/network` of istio-system \
                    to the same name";
        let subject = Subject::in_cluster(mesh, id, "Pod", &pod.meta);
        found.push(subject.warning("PROXY-NETWORK", &field, (message, help)));
    }
}

/// `PROXY-UNKNOWN`, `PROXY-CONTRADICTS`.
fn entries(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
    for entry in mesh.parts.proxies.iter() {
        let Some(reference) = &entry.reference else { continue };
        let name = reference.to_string();
        let subject = Subject::proxies(mesh, &name);
        let proxy = match mesh.proxy(&name) {
            Ok(proxy) => proxy,
            Err(error) => {
                let texts = (format!("{error}: the entry is not used"), "name a pod that runs");
                found.push(subject.warning("PROXY-UNKNOWN", "ref", texts));
                continue;
            }
        };
        for (field, said, holds) in contradictions(mesh, entry, reference, &proxy) {
            let message = match own_metadata(entry, field) {
                Some(key) => format!(
                    "the entry says {field} `{said}`, and its own `metadata.{key}` says `{holds}`: the \
                     metadata counts"
                ),
                None => format!(
                    "the entry says {field} `{said}`, the manifests say `{holds}`: the manifests count"
                ),
            };
            let help = "correct the entry, or leave the field out";
            found.push(subject.warning("PROXY-CONTRADICTS", field, (message, help)));
        }
    }
}

/// The metadata of an entry that decides a field of the same proxy, whatever the manifests say.
fn own_metadata(entry: &ProxyEntry, field: &str) -> Option<&'static str> {
    let key = match field {
        "network" => "NETWORK",
        "ip" => "INSTANCE_IPS",
        "interception_mode" => "INTERCEPTION_MODE",
        _ => return None,
    };
    entry.metadata.contains_key(key).then_some(key)
}

/// The fields that differ: what the entry says, and what holds.
fn contradictions(
    mesh: &Mesh,
    entry: &ProxyEntry,
    reference: &ProxyRef,
    proxy: &Proxy,
) -> Vec<(&'static str, String, String)> {
    let address = proxy.addresses.first().map(ToString::to_string).unwrap_or_default();
    let said = [
        ("cluster", entry.cluster.as_ref().map(ToString::to_string), proxy.cluster.to_string()),
        (
            "namespace",
            entry.namespace.as_ref().map(ToString::to_string),
            proxy.namespace.to_string(),
        ),
        ("network", entry.network.as_ref().map(ToString::to_string), proxy.network.to_string()),
        ("ip", entry.ip.map(|ip| ip.to_string()), address),
        ("locality", entry.locality.as_ref().map(ToString::to_string), proxy.locality.to_string()),
        (
            "service_account",
            entry.service_account.as_ref().map(ToString::to_string),
            proxy.service_account.to_string(),
        ),
        (
            "interception_mode",
            entry.interception_mode.map(|mode| mode.as_str().to_owned()),
            proxy.interception.as_str().to_owned(),
        ),
    ];
    let differ = said.into_iter().filter_map(|(field, said, holds)| {
        let said = said?;
        (said != holds).then_some((field, said, holds))
    });
    differ.chain(labels(mesh, entry, reference)).collect()
}

/// Labels are those of the pod, without what istiod adds.
fn labels(
    mesh: &Mesh,
    entry: &ProxyEntry,
    reference: &ProxyRef,
) -> Option<(&'static str, String, String)> {
    let said = entry.labels.as_ref()?;
    let part = mesh.parts.clusters.get(&*reference.cluster)?;
    let key = (crate::name::Namespace::from(&*reference.namespace), reference.pod.clone());
    let holds = &part.store.pods.get((key.0.as_str(), &key.1))?.meta.labels;
    let text = |labels: &crate::name::Labels| {
        let pairs: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    };
    (said != holds).then(|| ("labels", text(said), text(holds)))
}
