//! Requests that may be answered differently: those that meet and just miss each rule of both sides,
//! and the plainest ones at every port, with and without an identity.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use mesh_authz::analysis::{Sample, Surroundings, samples, samples_between_in};
use mesh_authz::identity::Value as Claim;
use mesh_authz::{Authorizer, Traffic};
use mesh_model::registry::Mesh;
use mesh_model::view::{Proxy, ProxyKind};
use serde_json::{Map, Value, json};

use super::Sides;
use super::tokens::Tokens;
use crate::commands::authz::Decider;
use crate::commands::authz::entrance::Door;

/// What is compared at one workload.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) sides: Sides<'a>,
    /// The workload, on either side.
    pub(super) proxies: [&'a Proxy; 2],
    /// What requests are found by, of either side: where nobody knows whether a sidecar or a ztunnel decides,
    /// by the rules of either.
    pub(super) authorizers: Vec<[&'a Authorizer; 2]>,
    pub(super) doors: [&'a Option<Door<'a>>; 2],
    /// Whether the doors let the same requests in, so that what changes is a rule's doing.
    pub(super) same_door: bool,
}

/// Requests to ask.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// As request files, without repetition.
    pub(super) files: Vec<Value>,
    /// The rules that only one side has, with their policies, for which not all was tried in vain; `None`
    /// for the ALLOW policies as a whole, which only one side has.
    pub(super) incomplete: BTreeSet<Option<Decider>>,
}

impl Requests {
    fn extend(&mut self, other: Self) {
        self.files.extend(other.files);
        self.incomplete.extend(other.incomplete);
    }
}

/// Where requests go.
#[derive(Debug)]
struct Destination {
    addresses: Vec<IpAddr>,
    /// The one that a request means that names none.
    usual: Option<IpAddr>,
}

/// Requests around the values of rules, of either kind of traffic for one workload or service; what more there
/// were is not tried.
const MOST: usize = 10_000;

impl Asked<'_> {
    /// Returns requests that may be answered differently.
    ///
    /// Those for a service behind a waypoint name one of its addresses; the others go to the workload's own.
    pub(super) fn requests(&self) -> Requests {
        let mut seen = BTreeSet::new();
        let mut found = Requests::default();
        for authorizers in &self.authorizers {
            found.extend(self.of_workload(*authorizers, &self.own()));
            found.extend(self.of_services(*authorizers));
        }
        let tokens = Tokens::of(self.doors);
        let with_tokens = found.files.iter().flat_map(|request| tokens.with(request));
        found.files.extend(with_tokens.collect::<Vec<_>>());
        found.files.retain(|request| seen.insert(request.to_string()));
        found
    }

    /// Those for the services behind a waypoint.
    fn of_services(&self, of: [&Authorizer; 2]) -> Requests {
        let mut found = Requests::default();
        let services: BTreeSet<&str> =
            of.iter().flat_map(|of| of.services()).map(|service| &*service.host).collect();
        for host in services {
            let of = of.map(|of| of.services().iter().find(|known| *known.host == *host));
            let addresses = of.iter().flatten().filter_map(|service| service.addresses.first());
            let addresses: BTreeSet<IpAddr> = addresses.copied().collect();
            let known = of.map(|service| service.map(|service| &service.authorizer));
            let [old, new] = known;
            let Some((old, new)) = old.or(new).zip(new.or(old)) else { continue };
            for address in addresses {
                let to = Destination { addresses: vec![address], usual: None };
                found.extend(self.of_workload([old, new], &to));
            }
        }
        found
    }

    /// The workload's own addresses. Of a waypoint all are told: left out, its services are meant.
    fn own(&self) -> Destination {
        let [old, new] = self.proxies;
        let first = [old, new].map(|proxy| proxy.addresses.first().copied());
        let all = new.addresses.iter().chain(&old.addresses).copied();
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in all {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        // Nobody knows where a workload is reached that has none.
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        if addresses.is_empty() {
            addresses.push(unknown);
        }
        let is_waypoint = self.proxies.iter().any(|proxy| proxy.kind == ProxyKind::Waypoint);
        let [of_old, of_new] = first.map(|first| first.unwrap_or(unknown));
        let usual = (!is_waypoint && of_old == of_new).then_some(of_new);
        Destination { addresses, usual }
    }

    fn of_workload(&self, [old, new]: [&Authorizer; 2], destination: &Destination) -> Requests {
        let domains = self.trust_domains();
        let mut found = Vec::new();
        for port in self.ports() {
            let [_, to] = self.proxies;
            let identities = domains.iter().map(|domain| {
                Some(format!("spiffe://{domain}/ns/{}/sa/default", to.namespace).into())
            });
            for identity in std::iter::once(None).chain(identities) {
                let plain = Sample::plain(Traffic::Http);
                found.push(Sample { identity, destination_port: port, ..plain });
            }
        }
        let mut incomplete = BTreeSet::new();
        let mut around_values = Vec::new();
        for traffic in [Traffic::Http, Traffic::Tcp] {
            let mut around = Vec::new();
            for surroundings in self.surroundings(destination) {
                let between = samples_between_in(old, new, traffic, &surroundings);
                found.extend(between.hunted.iter().flat_map(|of| as_trusted(of, &domains)));
                around.extend(between.around);
                incomplete.extend(between.incomplete.into_iter().map(|rule| {
                    rule.map(|rule| Decider { by: rule.to_string(), rule: Some(rule.rule) })
                }));
            }
            let all = [old, new].into_iter().filter(|_| !self.same_door);
            around.extend(all.flat_map(|authorizer| samples(authorizer, traffic)));
            let trusted = around.iter().flat_map(|sample| as_trusted(sample, &domains));
            around_values.extend(trusted.take(MOST));
        }
        found.extend(around_values);
        // The first of those that are answered alike is shown: workloads have one name.
        found.sort_by_key(|sample| !sample.other_names.is_empty());
        let mut seen = BTreeSet::new();
        let files = found.iter().map(|sample| file(sample, destination));
        let files = files.filter(|file| seen.insert(file.to_string())).collect();
        Requests { files, incomplete }
    }

    /// What requests have in common that are let in: in plain text or not, and where ports take no plain
    /// text not in it.
    fn surroundings(&self, destination: &Destination) -> Vec<Surroundings> {
        let doors = self.doors.into_iter().flatten();
        let trusted: Vec<BTreeSet<&str>> =
            doors.clone().map(|door| door.trusted().collect()).collect();
        let (both, one): (Vec<&str>, Vec<&str>) = trusted
            .iter()
            .flatten()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .partition(|domain| trusted.iter().all(|of| of.contains(domain)));
        let any = Surroundings {
            trust_domains: both.into_iter().chain(one).map(Box::from).collect(),
            demands_identity: false,
            destinations: destination.addresses.clone(),
        };
        let peers = Surroundings { demands_identity: true, ..any.clone() };
        let is_strict = doors.clone().any(Door::demands_identity);
        std::iter::once(any).chain(is_strict.then_some(peers)).collect()
    }

    /// The trust domains of the mesh, on either side.
    fn trust_domains(&self) -> BTreeSet<&str> {
        let [_, to] = self.proxies;
        differing_first(self.sides.each().map(|mesh| trust_domains(mesh, to)), DOMAINS)
    }

    /// The ports at which services reach the workload, and those of which PeerAuthentications say
    /// something, on either side; 80 if there are none.
    fn ports(&self) -> BTreeSet<u16> {
        let [old_to, new_to] = self.proxies;
        let ports = [ports_of(self.sides.old, old_to), ports_of(self.sides.new, new_to)];
        let mut ports = differing_first(ports, PORTS);
        if ports.is_empty() {
            ports.insert(80);
        }
        ports
    }
}

/// Trust domains of which peers are tried.
const DOMAINS: usize = 8;
/// Ports that the plainest requests are tried at.
const PORTS: usize = 64;

/// Some of the values of two sides: those that one alone has come before those of both.
pub(super) fn differing_first<T: Copy + Ord>([old, new]: [Vec<T>; 2], most: usize) -> BTreeSet<T> {
    let (old, new) = (BTreeSet::from_iter(old), BTreeSet::from_iter(new));
    old.symmetric_difference(&new).chain(old.intersection(&new)).take(most).copied().collect()
}

/// The sample, and the same by peers that show an identity of the mesh's trust domains: others are not
/// let in by most.
fn as_trusted<'s>(
    sample: &'s Sample,
    domains: &'s BTreeSet<&str>,
) -> impl Iterator<Item = Sample> + 's {
    let rest = sample.identity.as_ref().map(|identity| {
        let path = identity.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
        path.map_or("ns/x/sa/x", |(_, path)| path)
    });
    let others = rest.into_iter().flat_map(move |rest| {
        domains.iter().map(move |domain| {
            let identity = format!("spiffe://{domain}/{rest}").into();
            Sample { identity: Some(identity), ..sample.clone() }
        })
    });
    std::iter::once(sample.clone()).chain(others)
}

fn trust_domains<'m>(mesh: &'m Mesh, to: &Proxy) -> Vec<&'m str> {
    let Some(plane) = mesh.control_plane_of(to.cluster.as_str()) else { return Vec::new() };
    let own = mesh.description(to.cluster.as_str()).map(|known| &*known.trust_domain);
    let config = &plane.config;
    let roots = config.ca_certificates.iter().flat_map(|root| &root.trust_domains);
    let others = config.trust_domain_aliases.iter().chain(roots).map(AsRef::as_ref);
    let all = own.into_iter().chain([&*config.trust_domain]).chain(others);
    all.filter(|domain| !domain.is_empty()).collect()
}

/// The ports of a workload that something is said of.
pub(super) fn ports_of(mesh: &Mesh, to: &Proxy) -> Vec<u16> {
    let Some(plane) = mesh.control_plane_of(to.cluster.as_str()) else { return Vec::new() };
    let shards = plane.services.iter().filter_map(|service| plane.shards(service));
    let all = shards.flat_map(|shards| shards.endpoints());
    let own = all.filter(|endpoint| {
        let workload = &endpoint.workload;
        workload.place.cluster == to.cluster
            && workload.namespace == to.namespace
            && *endpoint.instance == *to.name
    });
    let mode = plane.peer_authentications.server_mode(&to.namespace, &to.labels);
    let named = mode.ports.keys().filter_map(|port| u16::try_from(*port).ok());
    own.map(|endpoint| endpoint.port).chain(named).collect()
}

/// A request as the request file of `mesh authz` has it; what it does not say is left out.
fn file(sample: &Sample, destination: &Destination) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    put("source_ip", sample.source_ip.to_string().into());
    put("remote_ip", sample.remote_ip.to_string().into());
    let known = destination.addresses.iter().find(|address| **address == sample.destination_ip);
    let address = known.or(destination.addresses.first()).copied();
    if let Some(address) = address.filter(|address| Some(*address) != destination.usual) {
        put("destination_ip", address.to_string().into());
    }
    put("destination_port", sample.destination_port.into());
    let peer = sample.identity.as_ref().map(|identity| {
        let names: Vec<&str> =
            [identity].into_iter().chain(&sample.other_names).map(AsRef::as_ref).collect();
        json!({"uri_sans": names})
    });
    put("peer", peer.unwrap_or_default());
    if let Some(name) = &sample.server_name {
        put("sni", (**name).into());
    }
    if !sample.metadata.namespaces.is_empty() {
        put("filter_metadata", claims(&sample.metadata.namespaces));
    }
    let Some(http) = &sample.http else {
        put("protocol", "tcp".into());
        return fields.into();
    };
    put("method", (*http.method).into());
    put("path", (*http.path).into());
    if let Some(host) = &http.authority {
        put("host", (**host).into());
    }
    if !http.headers.is_empty() {
        put("headers", json!(http.headers));
    }
    if let Some(known) = &http.claims {
        put("jwt", json!({"claims": claims(known)}));
    }
    fields.into()
}

fn claims(map: &BTreeMap<Box<str>, Claim>) -> Value {
    map.iter().map(|(key, value)| (key.to_string(), claim(value))).collect::<Map<_, _>>().into()
}

fn claim(value: &Claim) -> Value {
    match value {
        Claim::Null => Value::Null,
        Claim::Bool(value) => (*value).into(),
        Claim::Number(number) => json!(number),
        Claim::Text(text) => (**text).into(),
        Claim::List(items) => items.iter().map(claim).collect::<Vec<_>>().into(),
        Claim::Map(map) => claims(map),
    }
}
