//! Proxies that generation cannot tell apart.
//!
//! ```text
//! all that is read of a proxy, and what it serves ──▶ one class: one snapshot
//!       less what only listeners and its own ports tell ──▶ alike: one CDS, EDS, RDS, NDS
//! ```
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::endpoint::{Address, Shards};
use mesh_model::name::Labels;
use mesh_model::registry::{MESH, Resolution, TrafficDistribution};
use mesh_model::resource::destination_rule::{LoadBalancerSettings, TrafficPolicy};
use mesh_model::resource::{Json, Sidecar};
use mesh_model::view::{InterceptionMode, Proxy, ProxyKind, ProxyView, ServiceTarget};

/// Metadata that says what the proxy itself already says, or that no rule reads.
const TOLD: [&str; 4] = ["INSTANCE_IPS", "LABELS", "NAME", "NODE_NAME"];
/// Metadata that only listeners show.
const OF_LISTENERS: [&str; 4] =
    ["ANNOTATIONS", "APP_CONTAINERS", "SERVICE_ACCOUNT", "WORKLOAD_NAME"];
/// Labels of places, which some services prefer endpoints by.
const OF_PLACES: [&str; 6] = [
    "kubernetes.io/hostname",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
    "topology.istio.io/subzone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// All that generation reads of a proxy.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The first one of the class.
    proxy: Proxy,
    sidecar: Option<Arc<Sidecar>>,
    targets: Vec<ServiceTarget>,
    shows: Shows,
}

/// What of a proxy shows that mostly does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Shows {
    /// Its address: a listener of its own is there, or it is one of the pods of a headless service,
    /// to which it has no listener.
    address: bool,
    /// Its node: some service stays on it.
    node: bool,
}

impl Class {
    /// The class of a view's proxy, which stands behind these services.
    pub(super) fn new(view: &ProxyView<'_>, targets: Vec<ServiceTarget>) -> Self {
        Self {
            proxy: view.proxy().clone(),
            sidecar: view.scope().sidecar().cloned(),
            targets,
            shows: Shows::of(view),
        }
    }

    /// Whether a view's proxy, which stands behind these services, is of the class.
    pub(super) fn is_of(&self, view: &ProxyView<'_>, targets: &[ServiceTarget]) -> bool {
        let (known, proxy) = (&self.proxy, view.proxy());
        known.labels == proxy.labels
            && self.is_alike(view, &[])
            && known.service_account == proxy.service_account
            && (known.name == proxy.name || !proxy.metadata_text("WORKLOAD_NAME").is_empty())
            && self.targets == targets
            && self.shows_alike(view)
    }

    /// Whether a sidecar is sent the same clusters and routes for what it sends, and the same
    /// endpoints and names, whatever its labels are that no rule asks for.
    pub(super) fn sends_alike(&self, view: &ProxyView<'_>) -> bool {
        let (known, proxy) = (&self.proxy, view.proxy());
        proxy.kind == ProxyKind::Sidecar
            && known.labels.is_empty() == proxy.labels.is_empty()
            && self.is_alike(view, &OF_LISTENERS)
            && self.shows_alike(view)
            && used_labels(view)
                .into_iter()
                .all(|label| known.labels.value(label) == proxy.labels.value(label))
    }

    fn is_alike(&self, view: &ProxyView<'_>, unread: &[&str]) -> bool {
        let (known, proxy) = (&self.proxy, view.proxy());
        known.kind == proxy.kind
            && known.data_plane == proxy.data_plane
            && known.namespace == proxy.namespace
            && known.cluster == proxy.cluster
            && known.network == proxy.network
            && known.locality == proxy.locality
            && known.interception == proxy.interception
            && known.dns_domain == proxy.dns_domain
            && known.network_view == proxy.network_view
            && known.started_with == proxy.started_with
            && known.ip_families() == proxy.ip_families()
            && self.sidecar.as_ref().map(Arc::as_ptr) == view.scope().sidecar().map(Arc::as_ptr)
            && metadata(known, unread).eq(metadata(proxy, unread))
    }

    fn shows_alike(&self, view: &ProxyView<'_>) -> bool {
        let (known, proxy, shows) = (&self.proxy, view.proxy(), Shows::of(view));
        self.shows == shows
            && (!shows.address || known.addresses == proxy.addresses)
            && (!shows.node || known.node == proxy.node)
    }
}

/// The metadata that generation reads, less some keys.
fn metadata<'p>(
    proxy: &'p Proxy,
    unread: &'p [&'p str],
) -> impl Iterator<Item = (&'p str, &'p Json)> {
    let all = proxy.metadata.iter().map(|(key, value)| (&**key, value));
    all.filter(|(key, _)| !TOLD.contains(key) && !unread.contains(key))
}

impl Shows {
    fn of(view: &ProxyView<'_>) -> Self {
        let proxy = view.proxy();
        let sidecar = view.scope().sidecar();
        let own = proxy.addresses.first().copied().map(Address::Ip);
        let has_own = |shards: &Shards| {
            shards.endpoints().any(|endpoint| Some(&endpoint.address) == own.as_ref())
        };
        let mut shows = Self {
            address: proxy.interception == InterceptionMode::None
                || sidecar.is_some_and(|sidecar| !sidecar.spec.ingress.is_empty()),
            node: false,
        };
        let imported = view.scope().egress().iter().flat_map(|egress| &egress.services);
        for service in imported.chain(view.services()) {
            shows.node |= service.node_local;
            if service.resolution == Resolution::Passthrough && !shows.address {
                shows.address = view.shards(service).is_some_and(|shards| has_own(shards));
            }
        }
        shows
    }
}

/// The labels of clients that a rule asks for.
fn used_labels<'v>(view: &'v ProxyView<'_>) -> BTreeSet<&'v str> {
    let plane = view.plane();
    let mut used = BTreeSet::new();
    let by_labels = |entries: &'v [Box<str>]| {
        entries.iter().map(|entry| entry.split_once('=').map_or(&**entry, |(key, _)| key))
    };
    used.extend(by_labels(&plane.config.locality_lb_setting.failover_priority));
    let zones = plane.config.zone_aware_lb_setting.iter();
    used.extend(zones.flat_map(|setting| by_labels(&setting.failover_priority)));
    for rule in plane.destination_rules.iter() {
        let selector = rule.rule.spec.workload_selector.as_ref();
        used.extend(selector.into_iter().flat_map(|selector| keys(&selector.match_labels)));
        let subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        for balancer in rule.traffic_policy.iter().chain(subsets).flat_map(balancers) {
            let locality = balancer.locality_lb_setting.iter();
            used.extend(locality.flat_map(|setting| by_labels(&setting.failover_priority)));
            let zones = balancer.zone_aware_lb_setting.iter();
            used.extend(zones.flat_map(|setting| by_labels(&setting.failover_priority)));
        }
    }
    for rule in plane.virtual_services.visible_to(&view.proxy().namespace, MESH) {
        let spec = &rule.spec;
        let http = spec.http.iter().flat_map(|route| &route.matches);
        used.extend(http.flat_map(|condition| keys(&condition.source_labels)));
        let tcp = spec.tcp.iter().flat_map(|route| &route.matches);
        used.extend(tcp.flat_map(|condition| keys(&condition.source_labels)));
        let tls = spec.tls.iter().flat_map(|route| &route.matches);
        used.extend(tls.flat_map(|condition| keys(&condition.source_labels)));
    }
    let prefers = |distribution| !matches!(distribution, TrafficDistribution::Any);
    if view.services().iter().any(|service| prefers(service.traffic_distribution)) {
        used.extend(OF_PLACES);
    }
    used
}

fn keys(labels: &Labels) -> impl Iterator<Item = &str> {
    labels.iter().map(|(key, _)| key)
}

fn balancers(policy: &TrafficPolicy) -> impl Iterator<Item = &LoadBalancerSettings> {
    let ports = policy.port_level_settings.iter();
    let ports = ports.filter_map(|entry| entry.load_balancer.as_ref());
    policy.load_balancer.iter().chain(ports)
}
