//! Requests that routes send elsewhere, by class of proxies.
//!
//! ```text
//! resources that differ ─▶ virtual hosts and listeners that may ─▶ a request for each of their routes
//!                                                                   resolved before and after ─▶ moved shares
//! ```
use std::collections::{BTreeMap, BTreeSet};

use mesh_envoy_proto::envoy::config::core::v3::address::Address as Kind;
use mesh_envoy_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use mesh_model::registry::Mesh;
use mesh_model::view::ProxyView;
use mesh_xds_gen::Resources;
use mesh_xds_gen::resolve::{self, AbortStatus, Configuration, Outcome, Request, Resolution};
use serde_json::{Value, json};

use super::traffic::class_of;
use super::{Sides, resources};

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
}

/// Compares what becomes of requests to proxies whose resources differ.
pub(super) fn changes(sides: Sides<'_>, resources: &[resources::Change]) -> Vec<Change> {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for change in resources.iter().filter(|change| change.routes_traffic()) {
        for proxy in &change.proxies {
            names.entry(proxy).or_default().extend(change.names());
        }
    }
    let mut changes: Vec<Change> = Vec::new();
    for (reference, names) in names {
        for (class, request, moved) in of_proxy(sides, reference, &names) {
            let is_alike = |change: &&mut Change| {
                change.class == class && change.request == request && change.moved == moved
            };
            match changes.iter_mut().find(is_alike) {
                Some(change) => change.proxies.push(reference.to_owned()),
                None => {
                    let proxies = vec![reference.to_owned()];
                    changes.push(Change { class, proxies, request, moved });
                }
            }
        }
    }
    changes
}

/// The requests of one proxy that end elsewhere.
fn of_proxy(
    sides: Sides<'_>,
    reference: &str,
    names: &BTreeSet<&str>,
) -> Vec<(String, Request, Vec<Moved>)> {
    // A proxy that comes or goes is no traffic that moves.
    let [Ok(was), Ok(is)] = sides.each().map(|mesh| mesh.proxy(reference)) else {
        return Vec::new();
    };
    let (Some(before), Some(after)) = (sides.old.view(&was), sides.new.view(&is)) else {
        return Vec::new();
    };
    let held = [&before, &after].map(Resources::new);
    let mut requests: Vec<Request> = Vec::new();
    for request in sample::of_routes(&held, names).into_iter().chain(of_listeners(&held, names)) {
        if !requests.contains(&request) {
            requests.push(request);
        }
    }
    let [old, new] = &held;
    let ends = |mesh: &Mesh, held: &Resources, view: &ProxyView<'_>, request: &Request| {
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
    let class = class_of(&is);
    let moved = requests.into_iter().filter_map(|request| {
        let from = ends(sides.old, old, &before, &request);
        let to = ends(sides.new, new, &after, &request);
        let moved = shift(&from, &to);
        (!moved.is_empty()).then(|| (class.clone(), request, moved))
    });
    moved.collect()
}

/// A request to each listener that differs, and to each server name that it knows.
fn of_listeners(held: &[Resources; 2], names: &BTreeSet<&str>) -> Vec<Request> {
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

fn socket(listener: &Listener) -> Option<(&str, u32)> {
    match &listener.address.as_ref()?.address {
        Some(Kind::SocketAddress(socket)) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => Some((&socket.address, port)),
            Some(PortSpecifier::NamedPort(_)) | None => None,
        },
        Some(Kind::Pipe(_) | Kind::EnvoyInternalAddress(_)) | None => None,
    }
}

/// Where shares of a request end, in percent.
fn ends_of(found: &Resolution) -> BTreeMap<End, f64> {
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
fn shift(before: &BTreeMap<End, f64>, after: &BTreeMap<End, f64>) -> Vec<Moved> {
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
        }
    }
}

impl Change {
    /// How much moves, in percent.
    pub(super) fn total(&self) -> f64 {
        self.moved.iter().map(|moved| moved.share).sum()
    }

    pub(super) fn to_json(&self) -> Value {
        let moved = self.moved.iter().map(|moved| {
            json!({"from": moved.from.to_json(), "to": moved.to.to_json(), "share": moved.share})
        });
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
