//! A ServiceEntry as services: one a host and address.
use std::net::IpAddr;
use std::sync::Arc;

use crate::endpoint::Provider;
use crate::name::{Cidr, Hostname, Labels, Protocol};
use crate::registry::{
    AutoAllocated, ExportTo, Resolution, Service, ServicePort, TrafficDistribution, UNSPECIFIED,
    allocation,
};
use crate::resource::mesh_config::{ServiceEntryVisibility, Visibility};
use crate::resource::service_entry::{self, Location, ServiceEntryPort};
use crate::resource::{MeshConfig, Meta, ServiceEntry};

const TRAFFIC_DISTRIBUTION: &str = "networking.istio.io/traffic-distribution";
const CONNECT_STRATEGY: &str = "istio.io/connect-strategy";

/// What ServiceEntries are read with.
pub(crate) struct Settings<'o> {
    pub(crate) config: &'o MeshConfig,
    /// `MeshConfig.defaultServiceExportTo`.
    pub(crate) default_export_to: &'o ExportTo,
    /// The namespaces of the config cluster.
    pub(crate) namespace: &'o dyn Fn(&str) -> Option<&'o Meta>,
    /// Whether allocated addresses count (`PILOT_ENABLE_IP_AUTOALLOCATE`).
    pub(crate) auto_allocate: bool,
    /// Whether a pod serves at all of its addresses (`ISTIO_DUAL_STACK`).
    pub(crate) dual_stack: bool,
}

/// Converts an entry: a service for every host and address, or for every host without addresses.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `convertServices`.
pub(super) fn convert(entry: &ServiceEntry, settings: &Settings<'_>) -> Vec<Service> {
    let (meta, spec) = (&entry.meta, &entry.spec);
    let namespace = (settings.namespace)(meta.namespace.as_str());
    let resolution = resolution(spec.resolution);
    let distribution = TrafficDistribution::resolve(
        None,
        meta.annotations.get(TRAFFIC_DISTRIBUTION),
        namespace.and_then(|meta| meta.annotations.get(TRAFFIC_DISTRIBUTION)),
    );
    let strategy = meta.annotations.value(CONNECT_STRATEGY);
    let template = Service {
        hostname: Hostname::from(""),
        namespace: meta.namespace.clone(),
        name: Arc::from(""),
        provider: Provider::External,
        creation: meta.creation,
        ports: spec.ports.iter().filter_map(|entry| port(entry, resolution)).collect(),
        resolution,
        default_address: UNSPECIFIED.into(),
        cluster_vips: Box::default(),
        auto_allocated: AutoAllocated::default(),
        export_to: export_to(entry, namespace.map(|meta| &meta.labels), settings),
        labels: meta.labels.clone(),
        selector: spec.workload_selector.as_ref().map(|s| s.labels.clone()).unwrap_or_default(),
        mesh_external: spec.location == Location::MeshExternal,
        node_local: false,
        publish_not_ready: false,
        traffic_distribution: distribution,
        service_accounts: spec.subject_alt_names.iter().map(|name| Arc::from(&**name)).collect(),
        alias_of: None,
        aliases: Box::default(),
        race_connects: strategy.eq_ignore_ascii_case("RACE_FIRST_TCP_CONNECT"),
    };
    let addresses = addresses(entry);
    let of_host = |host: &str| Service {
        hostname: Hostname::from(host),
        name: Arc::from(host),
        auto_allocated: auto_allocated(entry, host, settings),
        ..template.clone()
    };
    let mut services = Vec::new();
    for host in spec.hosts.iter().map(|host| of_host(host)) {
        if spec.addresses.is_empty() {
            services.push(host);
            continue;
        }
        let at = |address: &Arc<str>| Service { default_address: address.clone(), ..host.clone() };
        services.extend(addresses.iter().map(at));
    }
    services
}

/// The addresses of an entry that are any.
fn addresses(entry: &ServiceEntry) -> Vec<Arc<str>> {
    entry.spec.addresses.iter().filter_map(|text| address(text)).collect()
}

/// How many services of an entry have one host, as long as it lists the host once.
pub(super) fn number_of_a_host(entry: &ServiceEntry) -> usize {
    if entry.spec.addresses.is_empty() { 1 } else { addresses(entry).len() }
}

/// How clients find the endpoints of an entry.
pub(super) const fn resolution(resolution: service_entry::Resolution) -> Resolution {
    match resolution {
        service_entry::Resolution::None => Resolution::Passthrough,
        service_entry::Resolution::Static => Resolution::ClientSideLb,
        service_entry::Resolution::Dns => Resolution::DnsLb,
        service_entry::Resolution::DnsRoundRobin => Resolution::DnsRoundRobinLb,
        service_entry::Resolution::DynamicDns => Resolution::DynamicDns,
    }
}

/// A port; `None` for a number that is none. Only the protocol counts, not the name.
fn port(port: &ServiceEntryPort, resolution: Resolution) -> Option<ServicePort> {
    let target = u16::try_from(port.target_port).unwrap_or_default();
    Some(ServicePort {
        name: Arc::from(&*port.name),
        number: u16::try_from(port.number).ok()?,
        protocol: Protocol::parse(&port.protocol),
        target_port: if resolution == Resolution::Passthrough { target } else { 0 },
    })
}

/// An IP as written, or a range, which is an IP if it holds only one; `None` for anything else.
fn address(text: &str) -> Option<Arc<str>> {
    let range: Cidr = text.parse().ok()?;
    let full = if range.address().is_ipv4() { 32 } else { 128 };
    let is_one = range.has_mask() && range.prefix_len() == full;
    Some(if is_one { range.address().to_string().into() } else { text.into() })
}

/// The addresses that a controller allocated for a host, where they may be used: the last of a family.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/serviceentry/conversion.go` `convertServices`.
fn auto_allocated(entry: &ServiceEntry, host: &str, settings: &Settings<'_>) -> AutoAllocated {
    let mut allocated = AutoAllocated::default();
    if !settings.auto_allocate {
        return allocated;
    }
    for address in allocation::of_status(entry, host) {
        match address {
            IpAddr::V4(_) => allocated.v4 = Some(address),
            IpAddr::V6(_) => allocated.v6 = Some(address),
        }
    }
    allocated
}

/// Who may see the entry: what it says, and no more than the mesh allows entries of its namespace.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/push_context.go` `serviceExportTo`.
fn export_to(
    entry: &ServiceEntry,
    namespace: Option<&Labels>,
    settings: &Settings<'_>,
) -> Option<ExportTo> {
    let values = &entry.spec.export_to;
    let written = (!values.is_empty()).then(|| ExportTo::parse(values.iter().map(AsRef::as_ref)));
    let limits = settings.config.service_entry_visibility.as_ref();
    let Some(limits) = limits.filter(|limits| limits.apply_to_sidecars) else { return written };
    let effective = written.as_ref().unwrap_or(settings.default_export_to);
    let nobody = ExportTo { none: true, ..ExportTo::default() };
    if *effective == nobody {
        return written;
    }
    match visibility(limits, namespace.unwrap_or(&Labels::default())) {
        Visibility::Public | Visibility::Unspecified => written,
        Visibility::Namespace
            if effective.reaches(&entry.meta.namespace, &entry.meta.namespace) =>
        {
            Some(ExportTo { private: true, ..ExportTo::default() })
        }
        Visibility::Namespace | Visibility::None => Some(nobody),
    }
}

/// The visibility of the first policy whose rules all match the labels of a namespace, else the
/// default; a rule without selector matches nothing.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/serviceentry_visibility.go` `VisibilityFor`.
pub(crate) fn visibility(limits: &ServiceEntryVisibility, namespace: &Labels) -> Visibility {
    let first = limits.policies.iter().find(|policy| {
        policy.matching_rules.iter().all(|rule| {
            rule.namespace_selector.as_ref().is_some_and(|selector| selector.selects(namespace))
        })
    });
    first.map_or(limits.default_visibility, |policy| policy.visibility)
}
