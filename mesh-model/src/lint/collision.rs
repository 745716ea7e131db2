//! Services that stand in each other's way: one host twice, or one address and port.
use std::collections::BTreeMap;

use super::scene::Scene;
use crate::endpoint::Provider;
use crate::manifest::Diagnostic;
use crate::name::Protocol;
use crate::registry::{Resolution, Service, Services, UNSPECIFIED};

/// With how many older services one is compared: enough to find one that meets it.
const COMPARED: usize = 64;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    // Oldest first, as clients look at them.
    let services: Vec<&Service> = scene.plane.services.iter().map(|service| &**service).collect();
    hosts(scene, &services, found);
    listeners(scene, &services, found);
    speak_first(scene, &services, found);
}

/// `HZ-HOST-TWICE`: an older service with the host.
fn hosts(scene: &Scene<'_>, services: &[&Service], found: &mut Vec<Diagnostic>) {
    let entries = entries(scene);
    let mut known: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let Some(first) = known.get(service.hostname.as_str()) else {
            known.insert(service.hostname.as_str(), service);
            continue;
        };
        if service.provider == Provider::Kubernetes || !meet(scene, first, service) {
            continue;
        }
        // Of one entry there are as many services as addresses.
        let is_own = first.provider == Provider::External && first.namespace == service.namespace;
        let key = (service.namespace.as_str(), service.hostname.as_str());
        if is_own && entries.get(&key).is_none_or(|count| *count < 2) {
            continue;
        }
        let message = format!(
            "host `{}` is that of an older service in namespace `{}`: clients have one cluster for a \
             host, that of their own namespace's service, else of the oldest; what this one says of \
             ports and resolution does not count for them",
            service.hostname, first.namespace
        );
        let help = "declare a host once, or limit `exportTo`";
        found.push(scene.subject_of(service).warning(
            "HZ-HOST-TWICE",
            "spec.hosts",
            (message, help),
        ));
    }
}

/// How many entries of a namespace declare a host.
fn entries<'m>(scene: &Scene<'m>) -> BTreeMap<(&'m str, &'m str), usize> {
    let mut counts = BTreeMap::new();
    let entries = scene.stores().into_iter().flat_map(|store| store.service_entries.values());
    for entry in entries {
        for host in &entry.spec.hosts {
            *counts.entry((entry.meta.namespace.as_str(), &**host)).or_default() += 1;
        }
    }
    counts
}

/// Whether the clients of one's namespace see the other.
fn meet(scene: &Scene<'_>, one: &Service, other: &Service) -> bool {
    let default = &scene.plane.default_service_export_to;
    let is_seen =
        |service: &Service, from: &Service| Services::is_visible(service, &from.namespace, default);
    is_seen(one, other) || is_seen(other, one)
}

/// `HZ-LISTENER-CONFLICT` and `HZ-ADDRESS-SHARED`: an older service with the address and port.
fn listeners(scene: &Scene<'_>, services: &[&Service], found: &mut Vec<Diagnostic>) {
    let mut known: BTreeMap<(&str, u16), Vec<(&Service, Kind)>> = BTreeMap::new();
    for service in services.iter().filter(|service| is_dialled(service)) {
        for (index, port) in service.ports.iter().enumerate() {
            let Some(kind) = Kind::of(port.protocol) else { continue };
            let key = (&*service.default_address, port.number);
            let others = known.entry(key).or_default();
            let is_same = |(other, of): &&(&Service, Kind)| {
                *of == kind && other.hostname != service.hostname && meet(scene, other, service)
            };
            if let Some((other, _)) = others.iter().take(COMPARED).find(is_same) {
                let field = format!("spec.ports[{index}]");
                found.extend(conflict(scene, service, other, kind, (&field, port.number)));
            }
            others.push((service, kind));
        }
    }
}

/// What a listener tells services apart by; none for what has a name in its TLS handshake.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// Nothing.
    Stream,
    /// The host of each request.
    Http,
}

impl Kind {
    fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Tcp | Protocol::Mongo | Protocol::Redis | Protocol::Mysql => {
                Some(Self::Stream)
            }
            Protocol::Http
            | Protocol::HttpProxy
            | Protocol::Http2
            | Protocol::Grpc
            | Protocol::GrpcWeb => Some(Self::Http),
            Protocol::Https | Protocol::Tls | Protocol::Udp | Protocol::Unsupported => None,
        }
    }
}

/// Whether clients have a listener for its address. Of Kubernetes services each cluster has its own
/// addresses, which other rules compare; those without address have one listener a pod.
fn is_dialled(service: &Service) -> bool {
    service.provider == Provider::External
        && !matches!(service.resolution, Resolution::Alias | Resolution::DynamicDns)
}

fn conflict(
    scene: &Scene<'_>,
    service: &Service,
    other: &Service,
    kind: Kind,
    (field, port): (&str, u16),
) -> Option<Diagnostic> {
    let subject = scene.subject_of(service);
    let address = &*service.default_address;
    match kind {
        Kind::Stream => {
            let place = match address {
                UNSPECIFIED => "every address".to_owned(),
                address => format!("address {address}"),
            };
            let message = format!(
                "`{}` has port {port} of {place}, too, and is older: nothing tells the connections \
                 apart, and all go to it",
                other.hostname
            );
            let help = "give each TCP service an address or a port of its own";
            Some(subject.warning("HZ-LISTENER-CONFLICT", field, (message, help)))
        }
        Kind::Http if address != UNSPECIFIED => {
            let message = format!(
                "`{}` has address {address} and port {port}, too: requests whose host is the address \
                 go to one of the two only",
                other.hostname
            );
            let help = "give each host an address of its own, or let clients name the host";
            Some(subject.info("HZ-ADDRESS-SHARED", field, (message, help)))
        }
        Kind::Http => None,
    }
}

/// `HZ-LISTENER-CONFLICT` between requests and a protocol whose servers speak first: nothing is detected
/// before they do, so one listener cannot take both. HTTP is listened for on every address.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener.go` `buildSidecarOutboundListener`.
fn speak_first(scene: &Scene<'_>, services: &[&Service], found: &mut Vec<Diagnostic>) {
    let mut known: BTreeMap<u16, Vec<(&Service, Protocol)>> = BTreeMap::new();
    for service in services {
        for (index, port) in service.ports.iter().enumerate() {
            let is_first = is_server_first(port.protocol);
            let is_everywhere = is_dialled(service) && *service.default_address == *UNSPECIFIED;
            if !(port.protocol.is_http() || (is_first && is_everywhere)) {
                continue;
            }
            let others = known.entry(port.number).or_default();
            let is_unlike = |(other, protocol): &&(&Service, Protocol)| {
                is_server_first(*protocol) != is_first && meet(scene, other, service)
            };
            if let Some((other, protocol)) = others.iter().take(COMPARED).find(is_unlike) {
                let message = format!(
                    "`{}` has port {} of every address for {protocol}, too, and is older: with servers \
                     that speak first nothing is detected, and nobody listens for {} there",
                    other.hostname, port.number, port.protocol
                );
                let help =
                    "give the service whose servers speak first an address or a port of its own";
                let field = format!("spec.ports[{index}]");
                let subject = scene.subject_of(service);
                found.push(subject.warning("HZ-LISTENER-CONFLICT", &field, (message, help)));
            }
            others.push((service, port.protocol));
        }
    }
}

/// Whether the server says something before the client does.
fn is_server_first(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Mongo | Protocol::Mysql)
}
