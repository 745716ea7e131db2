//! From a pod to the proxy beside it.
//!
//! What runs says what it is: the container's arguments, labels and annotations of injection; a pod
//! whose only container is the proxy is a gateway, any other has a sidecar.
//!
//! # Upstream
//!
//! istio/istio `pilot/cmd/pilot-agent/app/cmd.go` `initProxy`; `pkg/bootstrap/config.go`
//! `GetNodeMetaData`; `pilot/cmd/pilot-agent/config/config.go` `getMeshConfig`. The environment that ProxyConfig
//! objects ask for is in the manifest where it was injected, and is not added here where it was not.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{InterceptionMode, Proxy, ProxyKind};
use crate::compat::DataPlane;
use crate::endpoint::Workload;
use crate::manifest::{self, Limits};
use crate::name::{ClusterId, Labels, Locality, NetworkId, TrustDomain};
use crate::registry::manifests::workload_name;
use crate::registry::{Store, place, workload_of};
use crate::resource;
use crate::resource::{Container, Json, MeshNetworks, Pod, PodPhase, ProxyEntry, mesh_config};

/// The container of the proxy.
const PROXY: &str = "istio-proxy";
/// What the arguments of the container begin with.
const PROGRAM: &str = "proxy";
const METADATA_PREFIX: &str = "ISTIO_META_";
/// What stands before the names of variables that hold metadata in JSON; what follows names nothing.
const JSON_PREFIX: &str = "ISTIO_METAJSON_";
/// The variable with labels in JSON.
const JSON_LABELS: &str = "ISTIO_METAJSON_LABELS";
/// What the template of agents without an Envoy says beside them.
const GRPC_AGENT: [(&str, &str); 2] = [("GENERATOR", "grpc"), ("DNS_CAPTURE", "false")];

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
    pub(crate) root_namespace: &'m str,
}

/// Where a pod runs, for callers that have no mesh.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one function")]
pub struct PodSite<'s> {
    /// The cluster.
    pub cluster: &'s ClusterId,
    /// The network of the cluster's endpoints, empty if unknown; a label of the pod replaces it.
    pub network: &'s NetworkId,
    /// The domain of the cluster, such as `cluster.local`.
    pub domain: &'s str,
    /// The settings of proxies, `MeshConfig.defaultConfig`.
    pub settings: &'s mesh_config::ProxyConfig,
    /// The namespace of the mesh's own workloads.
    pub root_namespace: &'s str,
}

impl Proxy {
    /// Makes the proxy that runs beside a pod, or that the pod is; `None` if there is none: the pod has
    /// no container of that name, no address, or has ended, or its role is no proxy's.
    ///
    /// Its locality is that of its labels, as no node is known.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/cmd/pilot-agent/app/cmd.go` `initProxy`.
    pub fn of_pod(pod: &Pod, site: &PodSite<'_>) -> Option<Self> {
        let has_ended = matches!(pod.status.phase, PodPhase::Failed | PodPhase::Succeeded);
        if has_ended || has_proxy(pod) != Some(true) || pod.status.pod_ip.is_none() {
            return None;
        }
        let (store, networks) = (Store::default(), MeshNetworks::default());
        let id = site.cluster;
        let mut workload = workload_of(id, &TrustDomain::from(""), &store, &networks, pod);
        if workload.place.network.is_empty() {
            workload.place_mut().network = site.network.clone();
        }
        Some(proxy_of_pod(&Evidence {
            pod,
            workload: &workload,
            entry: None,
            defaults: site.settings,
            domain: site.domain,
            root_namespace: site.root_namespace,
        }))
    }
}

/// Makes the proxy that runs beside a pod.
pub(crate) fn proxy_of_pod(evidence: &Evidence<'_>) -> Proxy {
    let Evidence { pod, workload, entry, .. } = evidence;
    let kind = entry.and_then(|entry| entry.kind);
    let kind = kind.map_or_else(|| kind_of_pod(pod, evidence.root_namespace), kind_of_entry);
    let addresses: Box<[_]> = pod.status.addresses().collect();
    let own = own_settings(pod, evidence.defaults);
    let settings = own.as_ref().unwrap_or(evidence.defaults);
    let metadata = metadata(evidence, settings, kind, &addresses);
    let text = |key: &str| metadata.get(key).and_then(Json::as_str).unwrap_or_default();

    let locality = &*workload.place.locality;
    let augmented = place::augmented(
        &pod.meta.labels,
        &workload.place.cluster,
        locality,
        text("NODE_NAME"),
        &workload.place.network,
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
        name: pod.meta.name.as_str().into(),
        namespace: pod.meta.namespace.clone(),
        cluster: workload.place.cluster.clone(),
        network: NetworkId::from(text("NETWORK")),
        addresses: instance_ips.unwrap_or(addresses),
        locality: place::proxy_locality(&labels, &Locality::parse(locality)),
        labels,
        service_account: (&*workload.service_account).into(),
        node: text("NODE_NAME").into(),
        dns_domain: domain(pod, kind, evidence.domain).into(),
        interception: InterceptionMode::parse(text("INTERCEPTION_MODE")),
        network_view: network_view
            .split(',')
            .filter(|name| !name.is_empty())
            .map(NetworkId::from)
            .collect(),
        metadata,
        started_with: own.map(Arc::new),
    }
}

fn static_labels(extra: &BTreeMap<Box<str>, Json>) -> Labels {
    extra.iter().filter_map(|(key, value)| Some((&**key, value.as_str()?))).collect()
}

/// The node metadata: what the proxy's settings and the container's environment say, what follows
/// from the pod, and over it what `proxies.json` says.
fn metadata(
    evidence: &Evidence<'_>,
    settings: &mesh_config::ProxyConfig,
    kind: ProxyKind,
    addresses: &[std::net::IpAddr],
) -> BTreeMap<Box<str>, Json> {
    let Evidence { pod, workload, entry, .. } = evidence;
    let mut metadata: BTreeMap<Box<str>, Json> = BTreeMap::new();
    let inherited = settings.proxy_metadata.iter().map(|(key, value)| (&**key, &**value));
    let of_template = injects(pod, "grpc-agent").then_some(GRPC_AGENT).into_iter().flatten();
    let known = |(key, value): (&'static str, &'static str)| (key, value);
    let told = |(key, value)| Some((str::strip_prefix(key, METADATA_PREFIX)?, value));
    let texts = inherited.filter_map(told).chain(of_template.map(known));
    for (key, value) in texts.chain(environment(pod).filter_map(told)) {
        metadata.insert(key.into(), Json::String(value.into()));
    }
    metadata.extend(environment(pod).flat_map(in_json));
    // What the environment tells of itself counts more than where the pod was found.
    let found = [
        ("CLUSTER_ID", workload.place.cluster.as_str()),
        ("WORKLOAD_NAME", workload_name(pod)),
        ("NETWORK", workload.place.network.as_str()),
        ("NODE_NAME", &pod.spec.node_name),
    ];
    for (key, value) in found.into_iter().filter(|(_, value)| !value.is_empty()) {
        metadata.entry(key.into()).or_insert_with(|| Json::String(value.into()));
    }
    let told = metadata.get("INTERCEPTION_MODE").and_then(Json::as_str);
    let interception = interception(pod, kind, settings, told);
    let ips: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let known = [
        ("NAMESPACE", pod.meta.namespace.as_str()),
        ("SERVICE_ACCOUNT", &workload.service_account),
        ("INSTANCE_IPS", &ips.join(",")),
        ("INTERCEPTION_MODE", interception.as_str()),
    ];
    for (key, value) in known {
        metadata.insert(key.into(), Json::String(value.into()));
    }
    let mut labels = match metadata.get("STATIC_LABELS") {
        Some(Json::Map(extra)) => extra.clone(),
        _ => BTreeMap::new(),
    };
    let own = pod.meta.labels.iter().filter(|(key, _)| *key != "pod-template-hash");
    labels.extend(own.map(|(key, value)| (key.into(), Json::String(value.into()))));
    metadata.insert("LABELS".into(), Json::Map(labels));
    for (key, value) in entry.iter().flat_map(|entry| &entry.metadata) {
        metadata.insert(key.clone(), value.clone());
    }
    metadata
}

/// The environment of the proxy's container, as far as the manifest tells it.
fn environment(pod: &Pod) -> impl Iterator<Item = (&str, &str)> {
    let variables = proxy_container(pod).into_iter().flat_map(|container| &container.env);
    variables.filter_map(|variable| Some((&*variable.name, variable.value.as_deref()?)))
}

/// The metadata that a variable holds in JSON: the members of a map, and of labels these as such, too.
///
/// # Upstream
///
/// istio/istio `pkg/bootstrap/config.go` `GetNodeMetaData`, `extractAttributesMetadata`.
fn in_json((name, text): (&str, &str)) -> BTreeMap<Box<str>, Json> {
    let found = name.strip_prefix(JSON_PREFIX).and_then(|_| Json::parse(text));
    let Some(Json::Map(mut members)) = found else { return BTreeMap::new() };
    if name == JSON_LABELS && !members.is_empty() {
        let labels = members.clone().into_iter().filter(|(_, value)| value.as_str().is_some());
        members.insert("STATIC_LABELS".into(), Json::Map(labels.collect()));
    }
    members
}

/// The settings that the proxy was started with, if anything tells its own: those that injection wrote into its
/// environment over Istio's, or else those of all, and over them the pod's annotations. The number of threads
/// that an agent takes from its limit of CPU is not among them.
///
/// # Upstream
///
/// istio/istio `pilot/cmd/pilot-agent/config/config.go` `ConstructProxyConfig`, `applyAnnotations`.
fn own_settings(
    pod: &Pod,
    defaults: &mesh_config::ProxyConfig,
) -> Option<mesh_config::ProxyConfig> {
    let told = environment(pod).find(|(name, _)| *name == "PROXY_CONFIG");
    let told = told.and_then(|(_, text)| laid_over(mesh_config::ProxyConfig::standard(), text));
    let annotation = |key: &str| pod.meta.annotations.get(key);
    let mut own = match annotation("proxy.istio.io/config") {
        Some(text) => laid_over(told.clone().unwrap_or_else(|| defaults.clone()), text).or(told),
        None => told,
    };
    if let Some(address) = annotation("sidecar.istio.io/discoveryAddress") {
        own.get_or_insert_with(|| defaults.clone()).discovery_address = address.into();
    }
    if let Some(port) = annotation("status.sidecar.istio.io/port") {
        // What is no number is 0 there.
        own.get_or_insert_with(|| defaults.clone()).status_port = port.parse().unwrap_or_default();
    }
    own
}

/// Settings with what a text says laid over them; `None` for a text that says nothing.
fn laid_over(settings: mesh_config::ProxyConfig, text: &str) -> Option<mesh_config::ProxyConfig> {
    let reading = manifest::read("PROXY_CONFIG", text.as_bytes(), &Limits::default());
    let document = reading.documents.first()?;
    Some(settings.merged(&document.node, &document.file).0)
}

/// How traffic reaches the proxy: its environment, its annotation, its settings.
fn interception(
    pod: &Pod,
    kind: ProxyKind,
    settings: &mesh_config::ProxyConfig,
    told: Option<&str>,
) -> InterceptionMode {
    let annotation = pod.meta.annotations.get("sidecar.istio.io/interceptionMode");
    let annotation = annotation.filter(|_| kind == ProxyKind::Sidecar);
    let text = told.or(annotation).unwrap_or_else(|| settings.interception_mode.as_str());
    InterceptionMode::parse(text)
}

/// The container of the proxy: an ordinary one, or an init container that restarts always.
fn proxy_container(pod: &Pod) -> Option<&Container> {
    proxy_container_at(pod).map(|(.., container)| container)
}

/// The same with the list of the pod that has it, and where.
fn proxy_container_at(pod: &Pod) -> Option<(&'static str, usize, &Container)> {
    let ordinary = pod.spec.containers.iter().enumerate();
    let native = pod.spec.init_containers.iter().enumerate();
    let native = native.filter(|(_, container)| *container.restart_policy == *"Always");
    let ordinary = ordinary.map(|(at, container)| ("containers", at, container));
    let mut all = ordinary.chain(native.map(|(at, container)| ("initContainers", at, container)));
    all.find(|(.., container)| *container.name == *PROXY)
}

/// A variable of the proxy's container, with the path of its value in the pod; of several the last counts.
pub(crate) fn variable<'p>(pod: &'p Pod, name: &str) -> Option<(String, &'p str)> {
    let (list, index, container) = proxy_container_at(pod)?;
    let mut variables = container.env.iter().enumerate().rev();
    variables.find(|(_, variable)| *variable.name == *name).and_then(|(at, variable)| {
        let value = variable.value.as_deref()?;
        Some((format!("spec.{list}[{index}].env[{at}].value"), value))
    })
}

/// Whether a proxy runs beside a pod, or the pod is one; `None` if the pod names no containers.
pub(crate) fn has_proxy(pod: &Pod) -> Option<bool> {
    let is_other = || role(pod).is_some_and(|role| kind_of_role(role).is_none());
    match proxy_container(pod) {
        Some(_) => Some(!is_other()),
        None if pod.spec.containers.is_empty() && pod.spec.init_containers.is_empty() => None,
        None => Some(false),
    }
}

/// The argument after `proxy`, if the container has arguments: the role, or none.
fn role(pod: &Pod) -> Option<&str> {
    let arguments = proxy_container(pod).map(|container| &*container.args).unwrap_or_default();
    let mut arguments = arguments.iter().skip_while(|argument| ***argument != *PROGRAM);
    arguments.next()?;
    let role = arguments.next().map(AsRef::as_ref).filter(|role: &&str| !role.starts_with('-'));
    Some(role.unwrap_or("sidecar"))
}

/// The kind that a role is, `None` for a role that is no proxy of ours.
fn kind_of_role(role: &str) -> Option<ProxyKind> {
    let kinds = [ProxyKind::Sidecar, ProxyKind::Router, ProxyKind::Waypoint, ProxyKind::Ztunnel];
    kinds.into_iter().find(|kind| kind.as_str() == role)
}

/// What the pod says that its proxy is.
pub(crate) fn kind_of_pod(pod: &Pod, root_namespace: &str) -> ProxyKind {
    if let Some(kind) = role(pod).and_then(kind_of_role) {
        return kind;
    }
    match pod.meta.labels.value("gateway.networking.k8s.io/gateway-class-name") {
        "istio-waypoint" | "istio-east-west" => return ProxyKind::Waypoint,
        "istio" => return ProxyKind::Router,
        _ => {}
    }
    match pod.meta.labels.value("gateway.istio.io/managed") {
        "istio.io-gateway-controller" => return ProxyKind::Router,
        "istio.io-mesh-controller" | "istio.io-eastwest-controller" => return ProxyKind::Waypoint,
        _ => {}
    }
    if injects(pod, "gateway") {
        return ProxyKind::Router;
    }
    if pod.meta.labels.value("app") == "ztunnel" && pod.meta.namespace == root_namespace {
        return ProxyKind::Ztunnel;
    }
    match &*pod.spec.containers {
        [container] if *container.name == *PROXY => ProxyKind::Router,
        _ => ProxyKind::Sidecar,
    }
}

/// Whether a pod asks for a template of injection.
fn injects(pod: &Pod, template: &str) -> bool {
    let templates = pod.meta.annotations.value("inject.istio.io/templates");
    templates.split(',').any(|name| name.trim() == template)
}

/// The domain that a proxy resolves short names in: its argument `--domain`, else that of its
/// namespace.
fn domain(pod: &Pod, kind: ProxyKind, cluster_domain: &str) -> String {
    let namespace = pod.meta.namespace.as_str();
    let arguments = proxy_container(pod).map(|container| &*container.args).unwrap_or_default();
    let mut rest = arguments.iter().skip_while(|argument| ***argument != *"--domain").skip(1);
    let given = rest.next().map(|text| text.replace("$(POD_NAMESPACE)", namespace));
    given
        .filter(|_| kind != ProxyKind::Ztunnel)
        .unwrap_or_else(|| format!("{namespace}.svc.{cluster_domain}"))
}

const fn kind_of_entry(kind: resource::ProxyKind) -> ProxyKind {
    match kind {
        resource::ProxyKind::Sidecar => ProxyKind::Sidecar,
        resource::ProxyKind::Gateway => ProxyKind::Router,
        resource::ProxyKind::Waypoint => ProxyKind::Waypoint,
        resource::ProxyKind::Ztunnel => ProxyKind::Ztunnel,
    }
}
