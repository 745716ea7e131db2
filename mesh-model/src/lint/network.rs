//! Endpoints of other networks that are dropped, or cannot be reached.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::scene::{Scene, some};
use crate::endpoint::{Endpoint, Provider};
use crate::manifest::Diagnostic;
use crate::name::{ClusterId, NetworkId};
use crate::registry::{Service, Services, Store};
use crate::resource::destination_rule::ClientTlsMode;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    found.extend(without_gateway(scene));
    if !scene.is_multi_network() {
        return;
    }
    for service in scene.plane.services.iter() {
        let endpoints = scene.endpoints_across(service);
        found.extend(headless(scene, service, &endpoints));
        found.extend(plaintext(scene, service, &endpoints));
    }
    found.extend(scene.clusters().filter_map(|(id, store)| headless_elsewhere(scene, id, store)));
    for rule in &scene.rules {
        found.extend(tls_mode(scene, rule));
    }
    not_injected(scene, found);
}

/// `TOPO-GATEWAY-MISSING`, and `HZ-NO-GATEWAY` for the hosts that suffer.
fn without_gateway(scene: &Scene<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if scene.networks.len() < 2 {
        return found;
    }
    for network in scene.networks.iter().filter(|network| !network.is_empty()) {
        let endpoints = |service: &Service| scene.endpoints_across(service);
        let mut services = scene.plane.services.iter();
        let is_used = services.any(|service| is_in(&endpoints(service), network));
        if !is_used || !scene.plane.named_gateways.of_network(network).is_empty() {
            continue;
        }
        let listed = scene.mesh.networks().networks.keys().any(|name| **name == *network.as_str());
        let owner = scene.workloads.iter().find(|(_, workload)| workload.place.network == *network);
        let (subject, field) = match owner {
            Some((_, workload)) if !listed => {
                (Subject::cluster(scene.mesh, &workload.place.cluster), "network".to_owned())
            }
            Some(_) | None => (Subject::networks(scene.mesh), format!("networks.{network}")),
        };
        let message = format!(
            "network `{network}` has workloads and no gateway, and there are other networks: clients \
             there are sent the addresses of its pods, which they cannot reach"
        );
        let help = "label an east-west gateway service with topology.istio.io/network, or list a \
                    gateway in MeshNetworks";
        found.push(subject.error("TOPO-GATEWAY-MISSING", &field, (message, help)));
        let hosts: Vec<&str> = scene
            .plane
            .services
            .iter()
            .filter(|service| is_in(&endpoints(service), network))
            .map(|service| service.hostname.as_str())
            .collect();
        if !hosts.is_empty() {
            let message = format!(
                "endpoints of {} in network `{network}` cannot be reached from other networks: requests \
                 that are sent to them fail",
                some(&hosts)
            );
            found.push(subject.error("HZ-NO-GATEWAY", &field, (message, help)));
        }
    }
    found
}

fn is_in(endpoints: &[&Endpoint], network: &NetworkId) -> bool {
    endpoints.iter().any(|endpoint| endpoint.workload.place.network == *network)
}

fn networks(endpoints: &[&Endpoint]) -> BTreeSet<NetworkId> {
    endpoints.iter().map(|endpoint| endpoint.workload.place.network.clone()).collect()
}

/// `HZ-HEADLESS-CROSS-NETWORK`: a cluster has the service and no endpoint of its network.
fn headless(scene: &Scene<'_>, service: &Service, endpoints: &[&Endpoint]) -> Option<Diagnostic> {
    if !service.is_kubernetes_headless() || endpoints.is_empty() {
        return None;
    }
    let key = (service.namespace.clone(), Box::from(&*service.name));
    let reached = networks(endpoints);
    let (cluster, network) = scene.clusters().find_map(|(id, store)| {
        store.services.get((key.0.as_str(), &key.1))?;
        let own = scene.workloads.iter().find(|(_, workload)| workload.place.cluster == *id)?;
        let network = &own.1.place.network;
        let is_near = |other: &NetworkId| other.is_same_or_empty(network);
        (!reached.iter().any(is_near)).then_some((id, network))
    })?;
    let message = format!(
        "clients in cluster `{cluster}` (network `{network}`) find no pod of the headless service \
         `{}`: all of them are in other networks, whose pods have no name there and cannot be addressed \
         through a gateway",
        service.hostname
    );
    let help = "use a service with an address, or run pods of it in that network";
    Some(scene.subject_of(service).error(
        "HZ-HEADLESS-CROSS-NETWORK",
        "spec.clusterIP",
        (message, help),
    ))
}

/// `HZ-HEADLESS-CROSS-NETWORK`, as a note: services that a cluster does not have itself, so that nobody there may
/// want them, and whose names nothing there answers for.
///
/// # Upstream
///
/// istio/istio `pkg/dns/server/name_table.go` `BuildNameTable`: of a headless service the pods of the proxy's own
/// network.
fn headless_elsewhere(scene: &Scene<'_>, id: &ClusterId, store: &Store) -> Option<Diagnostic> {
    let clients = || scene.workloads.iter().filter(|(_, workload)| workload.place.cluster == *id);
    let network = &clients().next()?.1.place.network;
    let default = &scene.plane.default_service_export_to;
    let is_missing = |service: &&Arc<Service>| {
        service.is_kubernetes_headless()
            && store.services.get((service.namespace.as_str(), &service.name)).is_none()
            && clients().any(|(_, it)| Services::is_visible(service, &it.namespace, default))
    };
    let is_elsewhere = |service: &&Arc<Service>| {
        let reached = networks(&scene.endpoints_across(service));
        !reached.is_empty() && !reached.iter().any(|other| other.is_same_or_empty(network))
    };
    let services = scene.plane.services.iter().filter(is_missing).filter(is_elsewhere);
    let hosts: Vec<&str> = services.map(|service| service.hostname.as_str()).collect();
    if hosts.is_empty() {
        return None;
    }
    let message = format!(
        "headless services with pods in other networks only: {}; applications in `{id}` (network `{network}`) cannot \
         resolve their names, even if proxies answer DNS",
        some(&hosts)
    );
    let help = "if they are wanted there use services with an address, or run pods of them in that network";
    let subject = Subject::cluster(scene.mesh, id);
    Some(subject.info("HZ-HEADLESS-CROSS-NETWORK", "network", (message, help)))
}

/// `HZ-PLAINTEXT-CROSS-NETWORK`: endpoints behind a gateway that do not speak mutual TLS.
fn plaintext(scene: &Scene<'_>, service: &Service, endpoints: &[&Endpoint]) -> Option<Diagnostic> {
    if networks(endpoints).len() < 2 {
        return None;
    }
    let lost: Vec<&&Endpoint> = endpoints
        .iter()
        .filter(|e| &*e.workload.tls_mode != "istio")
        .filter(|e| !scene.plane.named_gateways.of_network(&e.workload.place.network).is_empty())
        .collect();
    let first = lost.first()?;
    let message = format!(
        "{} of {} endpoints of `{}`, such as `{}` at {} in network `{}`, do not speak mutual TLS: gateways \
         forward nothing else, so clients of other networks are not told of them",
        lost.len(),
        endpoints.len(),
        service.hostname,
        first.instance,
        first.address,
        first.workload.place.network
    );
    let help = "inject a sidecar into these workloads";
    let (subject, field) = untrusted(scene, service, first);
    Some(subject.error("HZ-PLAINTEXT-CROSS-NETWORK", &field, (message, help)))
}

/// Why an endpoint speaks no mutual TLS: where a machine's labels or account would say that it does, else where
/// the service selects its pods.
fn untrusted(scene: &Scene<'_>, service: &Service, endpoint: &Endpoint) -> (Subject, String) {
    if let Some((subject, path)) =
        Subject::of_machine(scene.mesh, &scene.plane.id, (service, endpoint))
    {
        let has_account = !endpoint.workload.service_account.is_empty();
        let field = if has_account { "labels" } else { "serviceAccount" };
        return (subject, format!("{path}.{field}"));
    }
    let field = match service.provider {
        Provider::Kubernetes => "spec.selector",
        Provider::External => "spec.workloadSelector",
    };
    (scene.subject_of(service), field.to_owned())
}

/// `HZ-PLAINTEXT-CROSS-NETWORK`: a rule switches mutual TLS off for a host of several networks.
fn tls_mode(scene: &Scene<'_>, rule: &super::scene::Rule<'_>) -> Option<Diagnostic> {
    let policies = rule.policies();
    let policy = policies.iter().find(|policy| {
        let mode = policy.tls.map(|tls| tls.mode);
        matches!(mode, Some(ClientTlsMode::Disable | ClientTlsMode::Simple))
    })?;
    let spread = |service: &&&Arc<Service>| {
        networks(&policy.selected(&scene.endpoints_across(service))).len() > 1
    };
    let service = rule.services.iter().find(spread)?;
    let message = format!(
        "without mutual TLS no gateway forwards requests for `{}`: clients use only the endpoints of \
         their own network",
        service.hostname
    );
    let field = format!("{}.tls.mode", policy.field);
    let help = "leave `tls` out, or use ISTIO_MUTUAL";
    Some(rule.subject.error("HZ-PLAINTEXT-CROSS-NETWORK", &field, (message, help)))
}

/// `HZ-NOT-INJECTED-REMOTE`: a namespace that is injected in one cluster and not in another.
fn not_injected(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let mut injected = BTreeSet::new();
    for (_, store) in scene.clusters() {
        let namespaces =
            store.namespaces.values().filter(|object| is_injected(&object.meta.labels));
        injected.extend(namespaces.map(|object| object.meta.name.clone()));
    }
    for (id, store) in scene.clusters() {
        for object in store.namespaces.values() {
            let name = &object.meta.name;
            let bare = scene.workloads.iter().find(|(pod, workload)| {
                workload.place.cluster == *id
                    && *pod.meta.namespace.as_str() == **name
                    && &*workload.tls_mode != "istio"
            });
            let Some((pod, workload)) = bare else { continue };
            if is_injected(&object.meta.labels) || !injected.contains(name) {
                continue;
            }
            let message = format!(
                "namespace `{name}` is injected in another cluster and not in `{id}`: its pods here, such \
                 as `{}`, have no sidecar, and clients of other networks than `{}` are not told of them",
                pod.meta.name, workload.place.network
            );
            let help = "label the namespace for injection in every cluster";
            let subject = Subject::in_cluster(scene.mesh, id, "Namespace", &object.meta);
            found.push(subject.error("HZ-NOT-INJECTED-REMOTE", "metadata.labels", (message, help)));
        }
    }
}

fn is_injected(labels: &crate::name::Labels) -> bool {
    labels.value("istio-injection") == "enabled" || labels.get("istio.io/rev").is_some()
}
