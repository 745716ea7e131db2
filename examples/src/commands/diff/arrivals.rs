//! Connections to workloads with which something else happens, by class of proxies.
//!
//! ```text
//! listeners and clusters of what arrives that differ, once for proxies sent the same
//!   ─▶ each port, over plain text, the mesh's mutual TLS and another TLS ─▶ received before and after
//! ```
//!
//! Who may call, and whether plain text is refused, is told by the decisions.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::TrafficDirection;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_model::registry::Mesh;
use mesh_model::view::ProxyKind;
use mesh_xds_gen::name::{
    BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, VIRTUAL_INBOUND_LISTENER,
};
use mesh_xds_gen::resolve::{self, Arrival, Configuration, Outcome, Over, Received, Speaks};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};
use prost::Message;
use serde_json::{Value, json};

use self::facts::Facts;
use super::Sides;
use super::routes::{End, Moved, ends_of, shift, socket};
use super::sent::Sent;

mod facts;

/// Connections with which something else happens, for the proxies for which it does alike.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) class: String,
    pub(super) proxies: Vec<String>,
    pub(super) arrivals: Vec<Arriving>,
    pub(super) difference: Difference,
}

/// What is different of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Where it ends.
    pub(super) moved: Vec<Moved>,
    /// How it is treated, if it ends anywhere on both sides.
    pub(super) otherwise: Vec<Otherwise>,
}

/// Something that holds of a connection, before and after; `None`: it does not, or is too much to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Otherwise {
    pub(super) what: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// A connection as it arrives.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Arriving {
    /// The port; `None`: any that nothing is said of.
    pub(super) port: Option<u16>,
    over: Over,
    speaks: Speaks,
}

/// What becomes of connections otherwise, so far.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<Change>);

/// What arrives otherwise at one proxy, what is alike together.
type Found = Vec<(Vec<Arriving>, Difference)>;

impl Changes {
    /// Compares what becomes of connections to proxies of one neighbourhood; once for those that
    /// are sent the same.
    pub(super) fn add(&mut self, sides: Sides<'_>, proxies: &[Sent<'_>]) {
        let mut known: Vec<([Vec<&Arc<Resource>>; 2], Found)> = Vec::new();
        for proxy in proxies {
            let received = [&proxy.was, &proxy.is].map(received);
            let [was, is] = &received;
            // A proxy that comes or goes changes nothing for a connection: its workload does. What comes
            // to a gateway is among the routes.
            let is_sidecar = |mesh: &Mesh| {
                mesh.proxy(proxy.reference).is_ok_and(|it| it.kind == ProxyKind::Sidecar)
            };
            if are_like(was, is) || !sides.each().into_iter().all(is_sidecar) {
                continue;
            }
            let is_like = |of: &[Vec<&Arc<Resource>>; 2]| {
                of.iter().zip(&received).all(|(a, b)| are_like(a, b))
            };
            if let Some((_, found)) = known.iter().find(|(of, _)| is_like(of)) {
                self.add_proxy(proxy, found.clone());
                continue;
            }
            let found = of_proxy(&received.each_ref().map(|of| Side::of(of)), sides);
            self.add_proxy(proxy, found.clone());
            known.push((received, found));
        }
    }

    fn add_proxy(&mut self, proxy: &Sent<'_>, found: Found) {
        for (arrivals, difference) in found {
            let same = self.0.iter_mut().find(|it| {
                it.class == proxy.class && it.arrivals == arrivals && it.difference == difference
            });
            match same {
                Some(same) => same.proxies.push(proxy.reference.to_owned()),
                None => self.0.push(Change {
                    class: proxy.class.clone(),
                    proxies: vec![proxy.reference.to_owned()],
                    arrivals,
                    difference,
                }),
            }
        }
    }

    /// All of them, by their first proxies.
    pub(super) fn end(self) -> Vec<Change> {
        let mut found = self.0;
        found.iter_mut().for_each(|change| change.proxies.sort_unstable());
        found.sort_by(|a, b| (&a.proxies, &a.arrivals).cmp(&(&b.proxies, &b.arrivals)));
        found
    }
}

/// What a proxy is sent of what it receives.
fn received(snapshot: &Snapshot) -> Vec<&Arc<Resource>> {
    let of =
        |type_url: TypeUrl| snapshot.collection(&type_url).into_iter().flat_map(|of| of.iter());
    let listeners = of(TypeUrl::LISTENER).filter(|resource| is_inbound(resource));
    let clusters = of(TypeUrl::CLUSTER).filter(|resource| is_own_cluster(resource.name()));
    listeners.chain(clusters).collect()
}

/// Of a listener, which way its traffic goes: the rest is not read.
#[derive(Clone, Copy, PartialEq, Message)]
struct Direction {
    #[prost(int32, tag = "16")]
    traffic_direction: i32,
}

/// Whether a listener is for what comes in to a workload.
pub(super) fn is_inbound(listener: &Resource) -> bool {
    let inbound = i32::from(TrafficDirection::Inbound);
    Direction::decode(&**listener.bytes()).is_ok_and(|it| it.traffic_direction == inbound)
}

/// Whether a cluster is the workload itself, or where connections to it end.
fn is_own_cluster(name: &str) -> bool {
    [INBOUND_PASSTHROUGH_CLUSTER, BLACK_HOLE_CLUSTER].contains(&name)
        || name.starts_with("inbound|")
}

fn are_like(one: &[&Arc<Resource>], other: &[&Arc<Resource>]) -> bool {
    let is_same = |(a, b): (&&Arc<Resource>, &&Arc<Resource>)| {
        Arc::ptr_eq(a, b) || (a.name() == b.name() && a.bytes() == b.bytes())
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

/// What one side has of what arrives.
#[derive(Debug)]
struct Side {
    listeners: Vec<Listener>,
    clusters: Vec<Cluster>,
}

impl Side {
    fn of(received: &[&Arc<Resource>]) -> Self {
        Self {
            listeners: decoded(received, &TypeUrl::LISTENER),
            clusters: decoded(received, &TypeUrl::CLUSTER),
        }
    }

    /// The listener that a connection to a port comes to: a socket of that port, else the one that
    /// redirected connections come to; without any the workload has it at once.
    fn receiver(&self, port: u16) -> Option<&Listener> {
        let is_captured = |it: &&Listener| it.name == VIRTUAL_INBOUND_LISTENER;
        let sockets = self.listeners.iter().filter(|it| !is_captured(it));
        let mut at_port =
            sockets.filter(|it| socket(it).is_some_and(|(_, at)| at == u32::from(port)));
        at_port.next().or_else(|| self.listeners.iter().find(is_captured))
    }

    /// The ports that something is said of.
    fn ports(&self) -> impl Iterator<Item = u16> {
        let ports = self.listeners.iter().flat_map(|listener| {
            let own = socket(listener).map(|(_, port)| port);
            let chains = listener.filter_chains.iter();
            let named = chains.filter_map(|chain| chain.filter_chain_match.as_ref());
            own.into_iter().chain(named.filter_map(|given| given.destination_port))
        });
        ports.filter_map(|port| u16::try_from(port).ok())
    }
}

/// The messages of a type. They were encoded here: none is left out.
fn decoded<M: Message + Default>(resources: &[&Arc<Resource>], type_url: &TypeUrl) -> Vec<M> {
    let of_type = resources.iter().filter(|resource| resource.type_url() == type_url);
    of_type.filter_map(|resource| M::decode(&**resource.bytes()).ok()).collect()
}

/// What arrives otherwise at one proxy.
fn of_proxy(sides: &[Side; 2], meshes: Sides<'_>) -> Found {
    let known: BTreeSet<u16> = sides.iter().flat_map(|side| side.ports()).collect();
    let other = (1..=u16::MAX).rev().find(|port| !known.contains(port));
    let ports = other.map(|port| (None, port)).into_iter();
    let ports = ports.chain(known.iter().map(|port| (Some(*port), *port)));
    let mut found: Found = Vec::new();
    for (told, port) in ports {
        for (over, speaks) in KINDS {
            let arrival = Arrival { port, over, speaks };
            let ends = BySide::new(sides, meshes, &arrival);
            let difference = ends.difference();
            if difference == Difference::default() || ends.is_told_by_decisions() {
                continue;
            }
            let arriving = Arriving { port: told, over, speaks };
            match found.iter_mut().find(|(_, known)| *known == difference) {
                Some((alike, _)) => alike.push(arriving),
                None => found.push((vec![arriving], difference)),
            }
        }
    }
    found
}

/// The kinds of connections that chains tell apart.
const KINDS: [(Over, Speaks); 6] = [
    (Over::PlainText, Speaks::Http),
    (Over::PlainText, Speaks::Bytes),
    (Over::MutualTls, Speaks::Http),
    (Over::MutualTls, Speaks::Bytes),
    (Over::Tls, Speaks::Http),
    (Over::Tls, Speaks::Bytes),
];

/// What happens to one connection, before and after; `None`: the workload has it at once.
struct BySide<'s> {
    sides: &'s [Side; 2],
    received: [Option<(&'s Listener, Received<'s>)>; 2],
    /// The same over mutual TLS.
    trusted: [Option<Received<'s>>; 2],
    over: Over,
}

impl<'s> BySide<'s> {
    fn new(sides: &'s [Side; 2], meshes: Sides<'_>, arrival: &Arrival) -> Self {
        let [old, new] = meshes.each();
        let received = |(side, mesh): (&'s Side, &Mesh), over| {
            let configuration = Configuration {
                listeners: &side.listeners,
                routes: &[],
                clusters: &side.clusters,
                envoy: mesh.compat().envoy,
            };
            let arrival = Arrival { over, ..*arrival };
            let listener = side.receiver(arrival.port)?;
            Some((listener, resolve::receive(&configuration, listener, &arrival)))
        };
        let [was, is] = sides;
        let both = |over| [received((was, old), over), received((is, new), over)];
        Self {
            sides,
            received: both(arrival.over),
            trusted: both(Over::MutualTls).map(|it| it.map(|(_, received)| received)),
            over: arrival.over,
        }
    }

    fn difference(&self) -> Difference {
        let [from, to] = self.received.each_ref().map(|received| match received {
            None => BTreeMap::from([(End::Workload, 100.0)]),
            Some((_, received)) => ends_of(&received.resolution),
        });
        let moved = shift(&from, &to);
        let ends =
            |received: &Received<'_>| matches!(received.resolution.outcome, Outcome::Forwarded(_));
        let [was, is] = &self.received;
        let otherwise = match (was, is) {
            (Some((of_old, was)), Some((of_new, is))) if ends(was) && ends(is) => {
                let [old, new] = self.sides;
                let before = Facts::of(of_old, was, &old.clusters, self.over);
                before.otherwise(&Facts::of(of_new, is, &new.clusters, self.over))
            }
            _ => Vec::new(),
        };
        Difference { moved, otherwise }
    }

    /// Whether it is plain text that one side refuses where it takes mutual TLS.
    fn is_told_by_decisions(&self) -> bool {
        let is_closed = |of: &Received<'_>| of.resolution.outcome == Outcome::Closed;
        let mut sides = self.received.iter().zip(&self.trusted);
        let is_refused = |(plain, trusted): (&Option<(_, Received<'_>)>, &Option<Received<'_>>)| {
            plain.as_ref().is_some_and(|(_, it)| is_closed(it))
                && trusted.as_ref().is_some_and(|it| !is_closed(it))
        };
        self.over == Over::PlainText && sides.any(is_refused)
    }
}

impl Arriving {
    const fn transport(&self) -> &'static str {
        match self.over {
            Over::PlainText => "plain_text",
            Over::MutualTls => "mutual_tls",
            Over::Tls => "tls",
        }
    }

    const fn protocol(&self) -> &'static str {
        match self.speaks {
            Speaks::Http => "http",
            Speaks::Bytes => "tcp",
        }
    }

    fn to_json(self) -> Value {
        json!({"port": self.port, "transport": self.transport(), "protocol": self.protocol()})
    }
}

impl std::fmt::Display for Arriving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "port {port}, ")?,
            None => f.write_str("any other port, ")?,
        }
        let what = match self.speaks {
            Speaks::Http => "HTTP",
            Speaks::Bytes => "TCP",
        };
        f.write_str(what)?;
        match self.over {
            Over::PlainText => f.write_str(" in plain text"),
            Over::MutualTls => f.write_str(" over mutual TLS"),
            Over::Tls => f.write_str(" over TLS of the client's own"),
        }
    }
}

impl Change {
    pub(super) fn to_json(&self) -> Value {
        let Difference { moved, otherwise } = &self.difference;
        let otherwise = otherwise
            .iter()
            .map(|it| json!({"what": it.what, "before": it.before, "after": it.after}));
        json!({
            "proxy_class": self.class,
            "proxies": self.proxies,
            "arriving": self.arrivals.iter().map(|it| it.to_json()).collect::<Vec<_>>(),
            "moved": moved.iter().map(Moved::to_json).collect::<Vec<_>>(),
            "changes": otherwise.collect::<Vec<_>>(),
        })
    }
}
