//! From a pod to the proxy beside it.
//!
//! What runs says what it is: the container's arguments, labels and annotations of injection; a pod
//! whose only container is the proxy is a gateway, any other has a sidecar.
//!
//! # Upstream
//!
//! istio/istio `pilot/cmd/pilot-agent/app/cmd.go` `initProxy`; `pkg/bootstrap/config.go`
//! `GetNodeMetaData`.
use std::collections::BTreeMap;

use super::{InterceptionMode, Proxy, ProxyKind};
use crate::compat::DataPlane;
use crate::endpoint::Workload;
use crate::name::{Labels, Locality, NetworkId};
use crate::registry::place;
use crate::resource;
use crate::resource::{Container, Json, Pod, ProxyEntry, mesh_config};

/// The container of the proxy.
const PROXY: &str = "istio-proxy";
const METADATA_PREFIX: &str = "ISTIO_META_";

/// What a proxy is made from.
#[derive(Debug)]
pub(crate) struct Evidence<'m> {
    pub(crate) pod: &'m Pod,
    /// The pod as an endpoint's workload: locality, network, labels.
    pub(crate) workload: &'m Workload,
    /// What `proxies.json` says of it.
    pub(crate) entry: Option<&'m ProxyEntry>,
    /// `MeshConfig.defaultConfig`.
    pub(crate) defaults: &'m mesh_config::ProxyConfig,
    pub(crate) domain: &'m str,
}

/// Makes the proxy that runs beside a pod.
pub(crate) fn proxy_of_pod(evidence: &Evidence<'_>) -> Proxy {
    let Evidence { pod, workload, entry, .. } = evidence;
    let kind = entry.and_then(|entry| entry.kind).map_or_else(|| kind_of_pod(pod), kind_of_entry);
    let addresses: Box<[_]> = pod.status.addresses().collect();
    let metadata = metadata(evidence, kind, &addresses);
    let text = |key: &str| metadata.get(key).and_then(Json::as_str).unwrap_or_default();

    let locality = &*workload.locality;
    let augmented = place::augmented(
        &pod.meta.labels,
        &workload.cluster,
        locality,
        text("NODE_NAME"),
        &workload.network,
    );
    let labels = match metadata.get("STATIC_LABELS") {
        Some(Json::Map(extra)) => static_labels(extra).overlaid(&augmented),
        _ => augmented,
    };
    let network_view = text("REQUESTED_NETWORK_VIEW");
    let instance_ips =
        text("INSTANCE_IPS").split(',').map(str::parse).collect::<Result<Box<[_]>, _>>();
    Proxy {
        kind,
        data_plane: if text("GENERATOR") == "grpc" {
            DataPlane::Grpc
        } else {
            DataPlane::IstioProxy
        },
        name: pod.meta.name.clone(),
        namespace: pod.meta.namespace.clone(),
        cluster: workload.cluster.clone(),
        network: NetworkId::from(text("NETWORK")),
        addresses: instance_ips.unwrap_or(addresses),
        locality: place::proxy_locality(&labels, &Locality::parse(locality)),
        labels,
        service_account: (&*workload.service_account).into(),
        node: text("NODE_NAME").into(),
        dns_domain: format!("{}.svc.{}", pod.meta.namespace, evidence.domain).into(),
        interception: InterceptionMode::parse(text("INTERCEPTION_MODE")),
        network_view: network_view
            .split(',')
            .filter(|name| !name.is_empty())
            .map(NetworkId::from)
            .collect(),
        metadata,
    }
}

fn static_labels(extra: &BTreeMap<Box<str>, Json>) -> Labels {
    extra.iter().filter_map(|(key, value)| Some((&**key, value.as_str()?))).collect()
}

/// The node metadata: what the mesh's proxy settings and the container's environment say, what
/// follows from the pod, and over it what `proxies.json` says.
fn metadata(
    evidence: &Evidence<'_>,
    kind: ProxyKind,
    addresses: &[std::net::IpAddr],
) -> BTreeMap<Box<str>, Json> {
    let Evidence { pod, workload, entry, defaults, .. } = evidence;
    let mut metadata: BTreeMap<Box<str>, Json> = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        metadata.insert(key.into(), Json::String(value.into()));
    };
    let inherited = defaults.proxy_metadata.iter().map(|(key, value)| (&**key, &**value));
    let environment = proxy_container(pod).into_iter().flat_map(|container| &container.env);
    let environment =
        environment.filter_map(|variable| Some((&*variable.name, variable.value.as_deref()?)));
    for (key, value) in inherited.chain(environment) {
        if let Some(key) = key.strip_prefix(METADATA_PREFIX) {
            put(key, value);
        }
    }
    let ips: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    put("CLUSTER_ID", workload.cluster.as_str());
    put("NAMESPACE", pod.meta.namespace.as_str());
    put("SERVICE_ACCOUNT", &workload.service_account);
    put("INSTANCE_IPS", &ips.join(","));
    put("INTERCEPTION_MODE", interception(pod, kind, defaults).as_str());
    put("WORKLOAD_NAME", &workload.name);
    if !workload.network.is_empty() {
        put("NETWORK", workload.network.as_str());
    }
    if !pod.spec.node_name.is_empty() {
        put("NODE_NAME", &pod.spec.node_name);
    }
    let labels = pod.meta.labels.iter().filter(|(key, _)| *key != "pod-template-hash");
    let labels = labels.map(|(key, value)| (key.into(), Json::String(value.into()))).collect();
    metadata.insert("LABELS".into(), Json::Map(labels));
    for (key, value) in entry.iter().flat_map(|entry| &entry.metadata) {
        metadata.insert(key.clone(), value.clone());
    }
    metadata
}

fn interception(
    pod: &Pod,
    kind: ProxyKind,
    defaults: &mesh_config::ProxyConfig,
) -> InterceptionMode {
    let annotation = pod.meta.annotations.get("sidecar.istio.io/interceptionMode");
    match annotation.filter(|_| kind == ProxyKind::Sidecar) {
        Some(text) => InterceptionMode::parse(text),
        None => InterceptionMode::parse(defaults.interception_mode.as_str()),
    }
}

/// The container of the proxy: an ordinary one, or an init container that restarts always.
fn proxy_container(pod: &Pod) -> Option<&Container> {
    let native = pod.spec.init_containers.iter().filter(|c| *c.restart_policy == *"Always");
    pod.spec.containers.iter().chain(native).find(|container| *container.name == *PROXY)
}

/// What the pod says that its proxy is.
fn kind_of_pod(pod: &Pod) -> ProxyKind {
    let arguments = proxy_container(pod).map(|container| &*container.args).unwrap_or_default();
    let mut arguments = arguments.iter().skip_while(|argument| ***argument != *"proxy");
    match arguments.nth(1).map(AsRef::as_ref) {
        Some("sidecar") => return ProxyKind::Sidecar,
        Some("router") => return ProxyKind::Router,
        Some("waypoint") => return ProxyKind::Waypoint,
        Some("ztunnel") => return ProxyKind::Ztunnel,
        Some(_) | None => {}
    }
    match pod.meta.labels.value("gateway.istio.io/managed") {
        "istio.io-gateway-controller" => return ProxyKind::Router,
        "istio.io-mesh-controller" | "istio.io-eastwest-controller" => return ProxyKind::Waypoint,
        _ => {}
    }
    let templates = pod.meta.annotations.value("inject.istio.io/templates");
    let is_gateway = templates.split(',').any(|template| template.trim() == "gateway");
    let is_alone = matches!(&*pod.spec.containers, [container] if *container.name == *PROXY);
    if is_gateway || is_alone { ProxyKind::Router } else { ProxyKind::Sidecar }
}

const fn kind_of_entry(kind: resource::ProxyKind) -> ProxyKind {
    match kind {
        resource::ProxyKind::Sidecar => ProxyKind::Sidecar,
        resource::ProxyKind::Gateway => ProxyKind::Router,
        resource::ProxyKind::Waypoint => ProxyKind::Waypoint,
        resource::ProxyKind::Ztunnel => ProxyKind::Ztunnel,
    }
}
