//! Entries of `proxies.json` that the manifests contradict.
use super::Subject;
use crate::manifest::Diagnostic;
use crate::registry::Mesh;
use crate::resource::{ProxyEntry, ProxyRef};
use crate::view::Proxy;

pub(super) fn check(mesh: &Mesh, found: &mut Vec<Diagnostic>) {
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
