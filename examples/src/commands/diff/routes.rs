//! Requests that routes send elsewhere, by class of proxies.
//!
//! ```text
//! resources that differ, once for proxies sent the same
//!   ─▶ virtual hosts and listeners that may ─▶ a request for each of their routes
//!                                                  resolved before and after ─▶ moved shares
//! ```
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::address::Address as Kind;
use mesh_envoy_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use mesh_model::registry::Mesh;
use mesh_model::view::ProxyView;
use mesh_xds_gen::name::VIRTUAL_INBOUND_LISTENER;
use mesh_xds_gen::resolve::{self, AbortStatus, Configuration, Outcome, Request, Resolution};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
use prost::Message;
use serde_json::{Value, json};

use super::sent::Sent;
use super::{Sides, arrivals};

mod expression;
mod sample;

/// Requests that end elsewhere, for the proxies for which they do alike.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) class: String,
    pub(super) proxies: Vec<String>,
    pub(super) request: Request,
    pub(super) moved: Vec<Moved>,
}

/// A share of requests, in percent, and its two ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moved {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) share: f64,
}

/// Where a request ends at the proxy.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum End {
    /// In a cluster.
    Cluster(String),
    /// The client is sent to another address.
    Redirect(String),
    /// The proxy answers itself: a status of HTTP, and the cluster that it lacks.
    Answer(u32, Option<String>),
    /// The proxy answers itself with a status of gRPC.
    GrpcAnswer(u32),
    /// The connection ends.
    Closed,
    /// At the workload, past its proxy.
    Workload,
}

/// What becomes of requests otherwise, so far.
#[derive(Debug, Default)]
pub(super) struct Changes {
    found: Vec<Change>,
    /// Which of them are of a class and a request.
    known: HashMap<(String, Request), Vec<usize>>,
}

/// Proxies that are sent the same, as far as it decides where requests go, on both sides.
struct Alike<'s> {
    first: &'s Sent<'s>,
    names: BTreeSet<&'s str>,
    /// By class.
    proxies: BTreeMap<&'s str, Vec<&'s str>>,
}

impl Changes {
    /// Compares what becomes of requests to proxies of one neighbourhood whose resources differ; once for
    /// those that are sent the same.
    pub(super) fn add(&mut self, sides: Sides<'_>, proxies: &[Sent<'_>]) {
        let mut alike: Vec<Alike<'_>> = Vec::new();
        for proxy in proxies {
            let names = names(proxy);
            if names.is_empty() {
                continue;
            }
            let at = alike.iter().position(|of| routes_alike(of.first, proxy));
            let at = at.unwrap_or_else(|| {
                alike.push(Alike { first: proxy, names, proxies: BTreeMap::new() });
                alike.len() - 1
            });
            if let Some(of) = alike.get_mut(at) {
                of.proxies.entry(&proxy.class).or_default().push(proxy.reference);
            }
        }
        for Alike { first, names, proxies } in alike {
            for (request, moved) in of_proxy(sides, first, &names) {
                for (class, proxies) in &proxies {
                    self.add_change((*class).to_owned(), proxies, &request, &moved);
                }
            }
        }
    }

    fn add_change(&mut self, class: String, proxies: &[&str], request: &Request, moved: &[Moved]) {
        let proxies = proxies.iter().map(|reference| (*reference).to_owned());
        let known = self.known.entry((class.clone(), request.clone())).or_default();
        let is_alike = |at: &&usize| self.found.get(**at).is_some_and(|of| of.moved == moved);
        let same = known.iter().find(is_alike).and_then(|at| self.found.get_mut(*at));
        if let Some(same) = same {
            same.proxies.extend(proxies);
            return;
        }
        known.push(self.found.len());
        let (proxies, request) = (proxies.collect(), request.clone());
        self.found.push(Change { class, proxies, request, moved: moved.to_vec() });
    }

    /// All of them, by their first proxies.
    pub(super) fn end(self) -> Vec<Change> {
        let mut found = self.found;
        found.iter_mut().for_each(|change| change.proxies.sort_unstable());
        found.sort_by(|a, b| a.proxies.first().cmp(&b.proxies.first()));
        found
    }
}

/// The names of what can change where requests go: listeners and route configurations that differ, and
/// clusters that come or go.
fn names<'s>(proxy: &'s Sent<'_>) -> BTreeSet<&'s str> {
    let mut names = BTreeSet::new();
    for type_url in [TypeUrl::LISTENER, TypeUrl::ROUTE, TypeUrl::CLUSTER] {
        let Some(delta) = proxy.delta.of(&type_url) else { continue };
        let changed = delta.changed.iter().map(|resource| resource.name());
        let counts = |name: &&Arc<str>| {
            type_url != TypeUrl::CLUSTER || proxy.was.resource(&type_url, name).is_none()
        };
        names.extend(changed.filter(counts).chain(&delta.removed).map(|name| &**name));
    }
    let listener = |of: &Snapshot, name: &str| of.resource(&TypeUrl::LISTENER, name).cloned();
    names.retain(|name| {
        let listeners = [&proxy.was, &proxy.is].into_iter().filter_map(|of| listener(of, name));
        !is_inbound(name) && !listeners.into_iter().any(|it| arrivals::is_inbound(&it))
    });
    names
}

/// Whether it is of what a proxy receives, which says nothing of where its own requests go.
fn is_inbound(name: &str) -> bool {
    name == VIRTUAL_INBOUND_LISTENER || name.starts_with("inbound|")
}

/// Whether requests of two proxies go the same ways, on each side.
fn routes_alike(a: &Sent<'_>, b: &Sent<'_>) -> bool {
    let is_same = |a: &Arc<Resource>, b: &Arc<Resource>| {
        Arc::ptr_eq(a, b) || (a.name() == b.name() && a.bytes() == b.bytes())
    };
    let are_same = |a: &Snapshot, b: &Snapshot| {
        let mut others = routing(b);
        routing(a).all(|one| others.next().is_some_and(|other| is_same(one, other)))
            && others.next().is_none()
    };
    are_same(&a.was, &b.was) && are_same(&a.is, &b.is)
}

/// What decides where requests go, type after type.
fn routing(snapshot: &Snapshot) -> impl Iterator<Item = &Arc<Resource>> {
    let types = [TypeUrl::LISTENER, TypeUrl::ROUTE, TypeUrl::CLUSTER];
    let collections = types.into_iter().filter_map(|type_url| snapshot.collection(&type_url));
    collections.flat_map(|of| of.iter()).filter(|resource| !is_inbound(resource.name()))
}

/// What decides where requests go, as messages.
#[derive(Debug)]
struct Held {
    listeners: Vec<Listener>,
    routes: Vec<RouteConfiguration>,
    clusters: Vec<Cluster>,
}

impl Held {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            listeners: decoded(snapshot, &TypeUrl::LISTENER),
            routes: decoded(snapshot, &TypeUrl::ROUTE),
            clusters: decoded(snapshot, &TypeUrl::CLUSTER),
        }
    }
}

/// The messages of a type. They were encoded here: none is left out.
fn decoded<M: Message + Default>(snapshot: &Snapshot, type_url: &TypeUrl) -> Vec<M> {
    let resources = snapshot.collection(type_url).into_iter().flat_map(|of| of.iter());
    resources.filter_map(|resource| M::decode(&**resource.bytes()).ok()).collect()
}

/// The requests of one proxy that end elsewhere.
fn of_proxy(
    sides: Sides<'_>,
    proxy: &Sent<'_>,
    names: &BTreeSet<&str>,
) -> Vec<(Request, Vec<Moved>)> {
    // A proxy that comes or goes is no traffic that moves.
    let [Ok(was), Ok(is)] = sides.each().map(|mesh| mesh.proxy(proxy.reference)) else {
        return Vec::new();
    };
    let (Some(before), Some(after)) = (sides.old.view(&was), sides.new.view(&is)) else {
        return Vec::new();
    };
    let held = [&proxy.was, &proxy.is].map(Held::of);
    let mut known = HashSet::new();
    let mut requests = sample::of_routes(&held, names);
    requests.extend(of_listeners(&held, names));
    requests.retain(|request| known.insert(request.clone()));
    let [old, new] = &held;
    let ends = |mesh: &Mesh, held: &Held, view: &ProxyView<'_>, request: &Request| {
        let address =
            request.address.or_else(|| resolve::address_of(view, &request.host, request.port));
        let configuration = Configuration {
            listeners: &held.listeners,
            routes: &held.routes,
            clusters: &held.clusters,
            envoy: mesh.compat().envoy,
        };
        ends_of(&resolve::resolve(&configuration, &Request { address, ..request.clone() }))
    };
    let moved = requests.into_iter().filter_map(|request| {
        let from = ends(sides.old, old, &before, &request);
        let to = ends(sides.new, new, &after, &request);
        let moved = shift(&from, &to);
        (!moved.is_empty()).then_some((request, moved))
    });
    moved.collect()
}

/// A request to each listener that differs, and to each server name that it knows.
fn of_listeners(held: &[Held; 2], names: &BTreeSet<&str>) -> Vec<Request> {
    let listeners = held.iter().flat_map(|held| &held.listeners);
    let changed = listeners.filter(|listener| names.contains(&*listener.name));
    let mut requests = Vec::new();
    for listener in changed {
        let Some((address, port)) = socket(listener) else { continue };
        let Ok(port) = u16::try_from(port) else { continue };
        let address = address.parse().ok().filter(|it: &std::net::IpAddr| !it.is_unspecified());
        let host = address.map(|it| it.to_string()).unwrap_or_default();
        let plain = Request { port, address, host, ..sample::plain() };
        let matches = listener.filter_chains.iter().filter_map(|it| it.filter_chain_match.as_ref());
        for name in matches.flat_map(|it| &it.server_names) {
            let name = name.replace('*', "any");
            requests.push(Request { host: name.clone(), sni: name, ..plain.clone() });
        }
        requests.push(plain);
    }
    requests
}

pub(super) fn socket(listener: &Listener) -> Option<(&str, u32)> {
    match &listener.address.as_ref()?.address {
        Some(Kind::SocketAddress(socket)) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => Some((&socket.address, port)),
            Some(PortSpecifier::NamedPort(_)) | None => None,
        },
        Some(Kind::Pipe(_) | Kind::EnvoyInternalAddress(_)) | None => None,
    }
}

/// Where shares of a request end, in percent.
pub(super) fn ends_of(found: &Resolution) -> BTreeMap<End, f64> {
    let mut ends = BTreeMap::new();
    let aborted = found.fault.as_ref().and_then(|fault| fault.abort);
    if let Some((status, share)) = aborted {
        let end = match status {
            AbortStatus::Http(status) => End::Answer(status, None),
            AbortStatus::Grpc(status) => End::GrpcAnswer(status),
        };
        ends.insert(end, share);
    }
    let rest = 100.0 - aborted.map_or(0.0, |(_, share)| share);
    let mut add = |end, share: f64| *ends.entry(end).or_insert(0.0) += share * rest / 100.0;
    match &found.outcome {
        Outcome::Forwarded(to) => {
            for share in &to.destinations {
                let cluster = share.cluster.clone();
                let end = match to.not_found_status {
                    _ if share.exists => End::Cluster(cluster),
                    // A connection that is not read as HTTP.
                    0 => End::Closed,
                    status => End::Answer(status, Some(cluster)),
                };
                add(end, share.share);
            }
        }
        Outcome::Redirected(to) => add(End::Redirect(to.location.clone()), 100.0),
        Outcome::Answered { status, .. } => add(End::Answer(*status, None), 100.0),
        Outcome::Closed => add(End::Closed, 100.0),
    }
    ends
}

/// Less than this is an error of rounding.
const NOTHING: f64 = 1e-6;

/// What each end loses, divided over those that win by what they win.
pub(super) fn shift(before: &BTreeMap<End, f64>, after: &BTreeMap<End, f64>) -> Vec<Moved> {
    let more = |ends: &BTreeMap<End, f64>, others: &BTreeMap<End, f64>| -> Vec<(End, f64)> {
        let gains =
            ends.iter().map(|(end, share)| (end.clone(), share - others.get(end).unwrap_or(&0.0)));
        gains.filter(|(_, gain)| *gain > NOTHING).collect()
    };
    let (lost, won) = (more(before, after), more(after, before));
    let total: f64 = won.iter().map(|(_, gain)| gain).sum();
    let mut moved = Vec::new();
    for (from, loss) in &lost {
        for (to, gain) in &won {
            let share = loss * gain / total;
            moved.push(Moved { from: from.clone(), to: to.clone(), share });
        }
    }
    moved
}

impl End {
    fn to_json(&self) -> Value {
        match self {
            Self::Cluster(name) => json!({"cluster_name": name}),
            Self::Redirect(location) => json!({"redirect": {"location": location}}),
            Self::Answer(status, None) => json!({"direct_response": {"status": status}}),
            Self::Answer(status, Some(lacks)) => {
                json!({"direct_response": {"status": status}, "missing_cluster": lacks})
            }
            Self::GrpcAnswer(status) => json!({"direct_response": {"grpc_status": status}}),
            Self::Closed => Value::Null,
            Self::Workload => json!({"unproxied": true}),
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster(name) => f.write_str(name),
            Self::Redirect(location) => write!(f, "redirect to {location}"),
            Self::Answer(status, None) => write!(f, "answer {status}"),
            Self::Answer(status, Some(lacks)) => write!(f, "answer {status}: no cluster {lacks}"),
            Self::GrpcAnswer(status) => write!(f, "gRPC answer {status}"),
            Self::Closed => f.write_str("connection closed"),
            Self::Workload => f.write_str("the workload, past its proxy"),
        }
    }
}

impl Moved {
    pub(super) fn to_json(&self) -> Value {
        json!({"from": self.from.to_json(), "to": self.to.to_json(), "share": self.share})
    }
}

impl Change {
    /// How much moves, in percent.
    pub(super) fn total(&self) -> f64 {
        self.moved.iter().map(|moved| moved.share).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let moved = self.moved.iter().map(Moved::to_json);
        let Request { method, path, headers, sni, host, port, .. } = &self.request;
        json!({
            "proxy_class": self.class,
            "proxies": self.proxies,
            "host": host,
            "port": port,
            "subset": "",
            "request": {"method": method, "path": path, "headers": headers, "sni": sni},
            "moved": moved.collect::<Vec<_>>(),
            "total_moved": self.total(),
        })
    }
}

/// The virtual hosts of one side that the other has otherwise or not at all, with the port of their
/// route configuration.
fn differing<'r>(
    routes: &'r [RouteConfiguration],
    others: &[RouteConfiguration],
    concerns: impl Fn(&VirtualHost) -> bool,
) -> Vec<(&'r RouteConfiguration, &'r VirtualHost)> {
    let mut found = Vec::new();
    for config in routes {
        let other = others.iter().find(|other| other.name == config.name);
        let hosts = other.map(|other| &*other.virtual_hosts).unwrap_or_default();
        let known: BTreeMap<&str, &VirtualHost> =
            hosts.iter().map(|host| (&*host.name, host)).collect();
        let differs = |host: &&VirtualHost| {
            known.get(&*host.name).is_none_or(|known| known != host) || concerns(host)
        };
        found.extend(config.virtual_hosts.iter().filter(differs).map(|host| (config, host)));
    }
    found
}
