//! East-west gateways: what stands before them, what they balance, what else listens there.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Subject;
use super::scene::{Scene, some};
use crate::endpoint::{Address, NetworkGateway};
use crate::manifest::Diagnostic;
use crate::name::NetworkId;
use crate::registry::{Service, place};
use crate::resource;
use crate::resource::mesh_networks::GatewayTarget;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (id, store) in scene.clusters() {
        let gateways = store
            .services
            .values()
            .filter(|object| object.meta.labels.get(place::NETWORK).is_some());
        for object in gateways {
            let subject = Subject::in_cluster(scene.mesh, id, "Service", &object.meta);
            found.extend(terminated(&subject, object));
        }
    }
    named(scene, found);
    found.extend(private(scene));
    if scene.is_multi_network() {
        found.extend(scene.plane.services.iter().filter_map(|service| imbalance(scene, service)));
    }
    conflicts(scene, found);
}

/// `HZ-EW-L7-LB`: a load balancer before the gateway that reads or ends TLS.
fn terminated(subject: &Subject, object: &resource::Service) -> Option<Diagnostic> {
    let (key, value) = object.meta.annotations.iter().find(|(key, value)| ends_tls(key, value))?;
    let message = format!(
        "`{key}: {value}` makes the load balancer before this network gateway end or read TLS: the \
         gateway routes by the server name of mutual TLS, which never arrives"
    );
    let help = "use a TCP (layer 4) load balancer for network gateways";
    Some(subject.error("HZ-EW-L7-LB", &format!("metadata.annotations.{key}"), (message, help)))
}

fn ends_tls(key: &str, value: &str) -> bool {
    let is_http = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.starts_with("http") || text == "ssl" || text == "tls"
    };
    match key.rsplit_once('/').map_or(key, |(_, name)| name) {
        "aws-load-balancer-ssl-cert" | "aws-load-balancer-ssl-ports" => true,
        "aws-load-balancer-backend-protocol"
        | "alibaba-cloud-loadbalancer-protocol-port"
        | "do-loadbalancer-protocol"
        | "oci-load-balancer-backend-protocol"
        | "app-protocols" => is_http(value),
        _ => key.starts_with("alb.ingress.kubernetes.io/"),
    }
}

/// `HZ-EW-HOSTNAME`: a gateway that is a name, told where the name is written.
fn named(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let all = scene.plane.named_gateways.iter();
    let of_names = all.filter(|gateway| matches!(gateway.address, Address::Host(_)));
    let mut by_subject: Vec<(Subject, String, Vec<String>)> = Vec::new();
    for gateway in of_names {
        let ((subject, field), name) = (written(scene, gateway), gateway.address.to_string());
        match by_subject.iter_mut().find(|(known, ..)| *known == subject) {
            Some((.., names)) if names.contains(&name) => {}
            Some((.., names)) => names.push(name),
            None => by_subject.push((subject, field, vec![name])),
        }
    }
    found.extend(by_subject.into_iter().map(|(subject, field, names)| {
        let message = format!(
            "network gateways {} are host names: the control plane resolves them, so a change of their \
             addresses arrives late, and proxies have no endpoint for them until it does",
            some(&names)
        );
        subject.warning("HZ-EW-HOSTNAME", &field, (message, "use addresses that do not change"))
    }));
}

/// Where a gateway's address is written: in its Service or `Gateway`, else in `MeshNetworks`.
fn written(scene: &Scene<'_>, gateway: &NetworkGateway) -> (Subject, String) {
    let address = gateway.address.to_string();
    let is_ip = |ip: IpAddr| gateway.address.ip() == Some(ip);
    let own = scene.clusters().filter(|(id, _)| **id == gateway.cluster);
    for (id, store) in own {
        let of_service = |object: &resource::Service| {
            let ingress = &object.status.load_balancer.ingress;
            let point = ingress.iter().enumerate().find_map(|(at, point)| match point.ip {
                Some(ip) if is_ip(ip) => Some(format!("status.loadBalancer.ingress[{at}].ip")),
                _ if *point.hostname == *address => {
                    Some(format!("status.loadBalancer.ingress[{at}].hostname"))
                }
                _ => None,
            });
            let external = object.spec.external_ips.iter().position(|ip| is_ip(*ip));
            point.or_else(|| external.map(|at| format!("spec.externalIPs[{at}]")))
        };
        let mut services = store.services.values();
        let service = services.find_map(|object| Some((object, of_service(object)?)));
        if let Some((service, field)) = service.filter(|_| gateway.service_account.is_empty()) {
            return (Subject::in_cluster(scene.mesh, id, "Service", &service.meta), field);
        }
        let of_gateway = |object: &resource::KubernetesGateway| {
            object.spec.addresses.iter().position(|one| *one.value == *address)
        };
        let mut gateways = store.kubernetes_gateways.values();
        let found = gateways.find_map(|object| Some((object, of_gateway(object)?)));
        if let Some((object, at)) = found {
            let kind = "Gateway.gateway.networking.k8s.io";
            let subject = Subject::of(scene.mesh, id, kind, &object.meta);
            return (subject, format!("spec.addresses[{at}].value"));
        }
    }
    let network = gateway.network.as_str();
    let listed = scene.mesh.networks().networks.get(network);
    let listed = listed.into_iter().flat_map(|network| network.gateways.iter().enumerate());
    let is_of = |target: &GatewayTarget| match target {
        GatewayTarget::Address(text) => Address::parse(text) == gateway.address,
        GatewayTarget::RegistryServiceName(_) => false,
    };
    let field = listed.into_iter().find(|(_, one)| one.target.as_ref().is_some_and(is_of));
    let field = field.map(|(at, _)| format!("networks.{network}.gateways[{at}].address"));
    (Subject::networks(scene.mesh), field.unwrap_or_else(|| format!("networks.{network}")))
}

/// `TOPO-GATEWAY-PRIVATE`: a gateway whose address is private to somebody else's network, told where the first
/// is written.
fn private(scene: &Scene<'_>) -> Option<Diagnostic> {
    let is_private = |address: &Address| address.ip().is_some_and(is_private);
    let mut gateways =
        scene.plane.named_gateways.iter().filter(|gateway| is_private(&gateway.address)).peekable();
    let first = *gateways.peek()?;
    let mut listed: Vec<String> =
        gateways.map(|gateway| format!("{} of {}", gateway.address, gateway.network)).collect();
    listed.dedup();
    if scene.networks.len() < 2 {
        return None;
    }
    let message = format!(
        "network gateways {} have private addresses: clients reach them only if there is a route \
         between the networks",
        some(&listed)
    );
    let help = "use addresses that every network reaches, or make sure of the route";
    let (subject, field) = written(scene, first);
    Some(subject.warning("TOPO-GATEWAY-PRIVATE", &field, (message, help)))
}

/// Whether an address means something else, or nothing, in another network: private, shared by a carrier's
/// customers (100.64.0.0/10), of the link, of the host, or none at all (0.0.0.0).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            v4.is_private()
                || is_shared
                || v4.is_link_local()
                || v4.is_loopback()
                || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_loopback()
                || v6.is_unspecified()
        }
    }
}

/// `HZ-EW-L4-IMBALANCE`: requests over long connections through a gateway that balances connections.
fn imbalance(scene: &Scene<'_>, service: &Service) -> Option<Diagnostic> {
    let mut ports = service.ports.iter().enumerate();
    let (index, port) = ports.find(|(_, port)| port.protocol.is_http())?;
    let endpoints = scene.endpoints_across(service);
    let networks: BTreeSet<_> = endpoints.iter().map(|e| &e.workload.place.network).collect();
    let behind: Vec<(&NetworkId, usize)> = networks
        .iter()
        .filter(|network| !scene.plane.gateways.of_network(network).is_empty())
        .map(|&network| {
            (network, endpoints.iter().filter(|e| e.workload.place.network == *network).count())
        })
        .filter(|(_, count)| *count > 1)
        .collect();
    let limits = |policy: &super::scene::Policy<'_>| {
        let http = policy.connection_pool.and_then(|pool| pool.http.as_ref());
        http.is_some_and(|http| http.max_requests_per_connection > 0)
    };
    let is_limited = scene.rules.iter().any(|rule| {
        let is_for = rule.services.iter().any(|other| other.hostname == service.hostname);
        is_for && rule.policies().iter().any(limits)
    });
    if is_limited || behind.is_empty() || networks.len() < 2 {
        return None;
    }
    let listed: Vec<String> = behind
        .iter()
        .map(|(network, count)| format!("{count} endpoints in network `{network}`"))
        .collect();
    let gateways =
        if listed.len() == 1 { "a gateway that balances" } else { "gateways that balance" };
    let message = format!(
        "port {} of `{}` is HTTP and its {} are behind {gateways} connections: all requests of one \
         connection go to one of them",
        port.number,
        service.hostname,
        listed.join(" and ")
    );
    let help =
        "set maxRequestsPerConnection in a DestinationRule for the host, or run more gateways";
    let field = format!("spec.ports[{index}]");
    Some(scene.subject_of(service).warning("HZ-EW-L4-IMBALANCE", &field, (message, help)))
}

/// `IST0145`: two Gateways with one port, address and host, for the same pods: with one selector, or with
/// two of which one is part of the other and a pod has both.
///
/// # Upstream
///
/// istio/istio `pkg/config/analysis/analyzers/gateway/conflictinggateway.go`.
fn conflicts(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    // The first Gateway of each selector that has a host.
    let mut known: BTreeMap<Place<'_>, Vec<&resource::Gateway>> = BTreeMap::new();
    let gateways = scene.stores().into_iter().flat_map(|store| store.gateways.values());
    for gateway in gateways.filter(|gateway| !gateway.spec.selector.is_empty()) {
        let subject = Subject::of(scene.mesh, &scene.plane.id, "Gateway", &gateway.meta);
        let mut told = BTreeSet::new();
        for (field, place) in places(gateway) {
            let others = known.entry(place).or_default();
            let other = others.iter().copied().find(|other| meet(scene, other, gateway));
            let Some(other) = other else {
                if others.len() < MOST_SELECTORS {
                    others.push(gateway);
                }
                continue;
            };
            let is_other = !std::ptr::eq(other, &**gateway);
            if is_other && told.insert((&other.meta.namespace, &other.meta.name)) {
                found.push(conflict(&subject, &field, place, other));
            }
        }
    }
}

/// Gateways with one host and different selectors are compared with so many others.
pub(super) const MOST_SELECTORS: usize = 64;

/// Whether two Gateways are for the same pods.
fn meet(scene: &Scene<'_>, one: &resource::Gateway, other: &resource::Gateway) -> bool {
    let (one, other) = (&one.spec.selector, &other.spec.selector);
    let both = if one.contains(other) {
        one
    } else if other.contains(one) {
        other
    } else {
        return false;
    };
    one == other || scene.workloads.iter().any(|(_, workload)| workload.labels.contains(both))
}

/// On which port and address a Gateway has which host.
type Place<'g> = (u32, &'g str, &'g str);

/// With the field that says the host.
fn places(gateway: &resource::Gateway) -> impl Iterator<Item = (String, Place<'_>)> {
    gateway.spec.servers.iter().enumerate().flat_map(move |(at, server)| {
        let number = server.port.as_ref().map_or(0, |port| port.number);
        let names = server.hosts.iter().map(|host| host.rsplit('/').next().unwrap_or_default());
        let field = move |index| format!("spec.servers[{at}].hosts[{index}]");
        names.enumerate().map(move |(index, name)| (field(index), (number, &*server.bind, name)))
    })
}

fn conflict(
    subject: &Subject,
    field: &str,
    place: Place<'_>,
    other: &resource::Gateway,
) -> Diagnostic {
    let (port, _, host) = place;
    let message = format!(
        "Gateway `{}/{}` has host `{host}` on port {port} for the same workloads: only one of the two \
         gets its requests",
        other.meta.namespace, other.meta.name
    );
    let help = "give each host of a port to one Gateway";
    subject.error("IST0145", field, (message, help))
}
