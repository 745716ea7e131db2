//! What a pod is to the mesh.
use std::sync::Arc;

use super::Cluster;
use crate::endpoint::{Discoverability, Place, Template, Workload};
use crate::name::{Identity, Labels, NetworkId, Text};
use crate::registry::place;
use crate::resource::{Meta, Owner, Pod, PortTarget, Transport};

const TLS_MODE: &str = "security.istio.io/tlsMode";
const WORKLOAD_NAME: &str = "service.istio.io/workload-name";

/// Describes a pod; one for all its endpoints.
pub(crate) fn workload_of_pod(pod: &Pod, cluster: &Cluster<'_>) -> Workload {
    let labels = &pod.meta.labels;
    let node = cluster.node(&pod.spec.node_name);
    let locality = place::pod_locality(labels, node.map(|node| &node.meta.labels));
    let network = cluster.networks.network(pod.status.pod_ip, labels);
    let service_account: Arc<str> = match &pod.spec.service_account_name {
        name if name.is_empty() => "default".into(),
        name => Arc::clone(name),
    };
    let identity = Identity {
        trust_domain: cluster.trust_domain.clone(),
        namespace: pod.meta.namespace.clone(),
        service_account: (&*service_account).into(),
    };
    // What is the pod's own name is said by the endpoint.
    let unlike = |name: &str| (*name != *pod.meta.name).then(|| Text::from(name));
    Workload {
        labels: place::augmented(labels, cluster.id, &locality, &pod.spec.node_name, &network),
        place: Arc::new(Place {
            cluster: cluster.id.clone(),
            network,
            locality: text(&locality),
            node: pod.spec.node_name.clone(),
        }),
        template: Arc::new(Template {
            name: unlike(workload_name(&pod.meta)),
            namespace: pod.meta.namespace.clone(),
            service_account,
            identity: text(&identity.to_string()),
            tls_mode: text(tls_mode(labels)),
            hostname: Some(unlike(&pod.spec.hostname).unwrap_or_default()),
            subdomain: text(&pod.spec.subdomain),
            discoverability: Discoverability::Always,
        }),
    }
}

/// A text to share; the empty one always is.
fn text(text: &str) -> Arc<str> {
    if text.is_empty() { Arc::default() } else { text.into() }
}

/// Whether a workload's labels say that a sidecar accepts mutual TLS.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `GetTLSModeFromEndpointLabels`.
pub(crate) fn tls_mode(labels: &Labels) -> &str {
    labels.get(TLS_MODE).unwrap_or("disabled")
}

/// Returns the name of the workload that a pod belongs to: its label, else its controller's name
/// where the pod's own was generated, else the pod's.
///
/// # Upstream
///
/// istio/istio `pkg/kube/util.go` `GetWorkloadMetaFromPod`.
pub(crate) fn workload_name(pod: &Meta) -> &str {
    if let Some(name) = pod.labels.get(WORKLOAD_NAME) {
        return name;
    }
    let owner = pod.controller.as_ref().filter(|_| !pod.generate_name.is_empty());
    let name = owner.map(|owner| name_of_owner(owner, &pod.labels));
    name.filter(|name| !name.is_empty()).unwrap_or(&pod.name)
}

fn name_of_owner<'m>(owner: &'m Owner, labels: &'m Labels) -> &'m str {
    match &*owner.kind {
        "ReplicaSet" => ["pod-template-hash", "rollouts-pod-template-hash"]
            .into_iter()
            .filter_map(|label| labels.get(label))
            .find_map(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'))
            .unwrap_or(&owner.name),
        "ReplicationController" => match labels.value("deploymentconfig") {
            "" => &owner.name,
            name => name,
        },
        "Job" => without_schedule(&owner.name),
        _ => &owner.name,
    }
}

/// The name of a CronJob: that of its Job without the `-` and 8 to 10 digits of the time.
fn without_schedule(job: &str) -> &str {
    match job.rsplit_once('-') {
        Some((name, time))
            if (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        Some(_) | None => job,
    }
}

/// Returns the number of a target port in a pod: itself, or the container port of that name with
/// that transport.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/util.go` `FindPort`.
pub(crate) fn pod_port(pod: &Pod, target: &PortTarget, transport: Transport) -> Option<u16> {
    match target {
        PortTarget::Number(number) => u16::try_from(*number).ok(),
        PortTarget::Name(name) => {
            let sidecars = pod
                .spec
                .init_containers
                .iter()
                .filter(|container| *container.restart_policy == *"Always");
            pod.spec
                .containers
                .iter()
                .chain(sidecars)
                .flat_map(|container| container.ports.iter())
                .find(|port| port.name == *name && port.protocol == transport)
                .and_then(|port| u16::try_from(port.container_port).ok())
        }
    }
}

/// What is known of an address without a pod: its network.
pub(crate) fn workload_without_pod(network: &NetworkId, cluster: &Cluster<'_>) -> Workload {
    let none = Labels::default();
    Workload {
        labels: place::augmented(&none, cluster.id, "", "", network),
        place: Arc::new(Place {
            cluster: cluster.id.clone(),
            network: network.clone(),
            ..Place::default()
        }),
        template: Arc::new(Template { tls_mode: tls_mode(&none).into(), ..Template::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_called_as_its_label_or_its_owner_says() {
        let check = |labels: &[(&str, &str)], of: (&str, &str), expected: &str| {
            let mut pod = Meta::new("shop", "web-1");
            pod.labels = labels.iter().copied().collect();
            pod.generate_name = "web-".into();
            let (group, kind, name) = ("apps".into(), of.0.into(), of.1.into());
            pod.controller = Some(Arc::new(Owner { group, kind, name }));
            assert_eq!(workload_name(&pod), expected, "{labels:?} {of:?}");
        };
        check(&[], ("StatefulSet", "web"), "web");
        check(&[("pod-template-hash", "h1")], ("ReplicaSet", "web-h1"), "web");
        check(&[(WORKLOAD_NAME, "shop")], ("StatefulSet", "web"), "shop");
        // A label that is there counts, whatever it says; an owner counts by its name.
        check(&[(WORKLOAD_NAME, "")], ("StatefulSet", "web"), "");
        check(&[], ("StatefulSet", ""), "web-1");
        check(&[("pod-template-hash", "h1")], ("ReplicaSet", "-h1"), "web-1");
        check(
            &[("deploymentconfig", "")],
            ("ReplicationController", "web-1-deploy"),
            "web-1-deploy",
        );
        check(&[("deploymentconfig", "web")], ("ReplicationController", "web-1-deploy"), "web");
    }
}
