//! Services that stand in each other's way: one host twice, or one address and port.
use std::collections::BTreeMap;

use super::Subject;
use super::scene::Scene;
use crate::endpoint::Provider;
use crate::manifest::Diagnostic;
use crate::name::{Hostname, Namespace, Protocol};
use crate::registry::{Resolution, Service, Services, UNSPECIFIED};
use crate::resource::ServiceEntry;

/// With how many older services one is compared: enough to find one that meets it.
const COMPARED: usize = 64;

pub(super) fn check<'m>(scene: &Scene<'m>, found: &mut Vec<Diagnostic>) {
    // Oldest first, as clients look at them.
    let services: Vec<&'m Service> =
        scene.plane.services.iter().map(|service| &**service).collect();
    hosts(scene, &services, found);
    listeners(scene, &services, found);
    speak_first(scene, &services, found);
}

/// `HZ-HOST-TWICE`: an older service with the host.
fn hosts<'m>(scene: &Scene<'m>, services: &[&'m Service], found: &mut Vec<Diagnostic>) {
    let mut known: BTreeMap<&str, (&Service, usize)> = BTreeMap::new();
    let mut entries = Entries { scene, ranks: BTreeMap::new(), of: BTreeMap::new() };
    for service in services {
        let rank = entries.next_rank(service);
        let Some(&(first, first_rank)) = known.get(service.hostname.as_str()) else {
            known.insert(service.hostname.as_str(), (service, rank));
            continue;
        };
        if service.provider == Provider::Kubernetes || !meet(scene, first, service) {
            continue;
        }
        let (older, _) = entries.subject(first, first_rank);
        let (younger, field) = entries.subject(service, rank);
        if older == younger {
            continue; // Of one entry there are as many services as addresses.
        }
        let message = format!(
            "host `{}` is that of {}, which is older: clients have one cluster for a host, that of their \
             own namespace's service, else of the oldest; what this one says of ports and resolution \
             does not count for them",
            service.hostname,
            older.mention()
        );
        let help = "declare a host once, or limit `exportTo`";
        found.push(younger.warning("HZ-HOST-TWICE", &field, (message, help)));
    }
}

/// The entries that services are of, looked up once a host and namespace.
struct Entries<'s, 'm> {
    scene: &'s Scene<'m>,
    ranks: BTreeMap<(&'m str, &'m str), usize>,
    of: BTreeMap<(Hostname, Namespace), Vec<&'m ServiceEntry>>,
}

impl<'m> Entries<'_, 'm> {
    /// The how manieth of its host and namespace, from 0, the next service is; asked oldest first.
    fn next_rank(&mut self, service: &'m Service) -> usize {
        if service.provider == Provider::Kubernetes {
            return 0;
        }
        let key = (service.hostname.as_str(), service.namespace.as_str());
        let next = self.ranks.entry(key).or_default();
        std::mem::replace(next, *next + 1)
    }

    /// The object of a service by its rank, and the field of it that says the host.
    fn subject(&mut self, service: &Service, rank: usize) -> (Subject, String) {
        let Scene { mesh, plane, .. } = self.scene;
        if service.provider == Provider::Kubernetes {
            return (self.scene.subject_of(service), "metadata.name".to_owned());
        }
        let (host, namespace) = (&service.hostname, &service.namespace);
        let look_up = || mesh.manifests(plane).entries_of(host, namespace);
        let entries = self.of.entry((host.clone(), namespace.clone())).or_insert_with(look_up);
        let Some(entry) = entries.get(rank) else {
            return (self.scene.subject_of(service), "spec.hosts".to_owned());
        };
        let at = entry.spec.hosts.iter().position(|written| **written == *host.as_str());
        let field = format!("spec.hosts[{}]", at.unwrap_or_default());
        (Subject::of(mesh, &plane.id, "ServiceEntry", &entry.meta), field)
    }
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
