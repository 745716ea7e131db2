//! A client of the aggregated discovery service, as Envoy's protocol document describes one.
//!
//! It subscribes, takes responses in, accepts or rejects them, loses its stream and comes back, and
//! holds what it accepted. On the way it writes down what a server must not do: send again what it
//! has and did not ask for, name a resource twice.
//!
//! # Upstream
//!
//! envoyproxy/envoy `docs/root/api-docs/xds_protocol.rst`.
use std::collections::{BTreeMap, BTreeSet};

/// Which of the two protocols is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two protocols")]
pub enum Protocol {
    /// Requests list all names, responses the state of the world.
    StateOfTheWorld,
    /// Requests and responses hold changes.
    Delta,
}

/// A request on its way to the server; the fields of both protocols.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ask {
    /// The resource type.
    pub kind: String,
    /// State of the world: all names wanted.
    pub names: Vec<String>,
    /// Delta: names wanted from now on.
    pub subscribe: Vec<String>,
    /// Delta: names no longer wanted.
    pub unsubscribe: Vec<String>,
    /// Delta: what is held, name and version, in the first request of a type.
    pub initial: Vec<(String, String)>,
    /// The response that is answered, or empty.
    pub nonce: String,
    /// Why the response is not accepted.
    pub error: Option<String>,
}

/// A response on its way to the client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Delivery {
    /// The resource type.
    pub kind: String,
    /// Name and version of each resource.
    pub resources: Vec<(String, String)>,
    /// Delta: the names of what is gone.
    pub removed: Vec<String>,
    /// The name of the response.
    pub nonce: String,
}

/// What a client knows of one type.
#[derive(Clone, Debug, Default)]
struct View {
    /// A request was sent on this stream.
    started: bool,
    /// A request on this stream named something.
    named: bool,
    wanted: BTreeSet<String>,
    holds: BTreeMap<String, String>,
    nonce: String,
    /// What was asked for since the last silence; `*` for a type as a whole.
    asked: BTreeSet<String>,
    /// State of the world: what is held from a stream before, of which this server knows nothing.
    carried: BTreeSet<String>,
    /// A response came in on this stream.
    received: bool,
    /// Something was rejected: what the server believes the client to hold is no longer certain.
    rejected: bool,
}

/// The client.
#[derive(Clone, Debug)]
pub struct AdsClient {
    protocol: Protocol,
    /// Types whose state-of-the-world responses hold everything.
    full_state: BTreeSet<String>,
    /// Types that a server may send again unasked.
    repeated: BTreeSet<String>,
    views: BTreeMap<String, View>,
    complaints: Vec<String>,
}

impl AdsClient {
    /// Starts without a subscription. Of the types in `full_state`, state-of-the-world responses
    /// hold everything; those in `repeated` may come again without need.
    pub fn new(protocol: Protocol, full_state: &[&str], repeated: &[&str]) -> Self {
        let set = |kinds: &[&str]| kinds.iter().map(|&kind| kind.to_owned()).collect();
        Self {
            protocol,
            full_state: set(full_state),
            repeated: set(repeated),
            views: BTreeMap::new(),
            complaints: Vec::new(),
        }
    }

    /// Returns what the server did that it must not do.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Says that nothing is on its way in either direction, and which resources (type and name) the
    /// server has: whatever was asked for is answered, but in the state-of-the-world protocol what
    /// does not exist yet.
    pub fn silence(&mut self, exists: &BTreeSet<(String, String)>) {
        let waits = self.protocol == Protocol::StateOfTheWorld;
        for (kind, view) in &mut self.views {
            let open =
                |name: &String| name != "*" && !exists.contains(&(kind.clone(), name.clone()));
            view.asked.retain(|name| waits && open(name));
        }
    }

    /// Returns what is held of a type: name and version.
    pub fn holds(&self, kind: &str) -> BTreeMap<String, String> {
        self.views.get(kind).map(|view| view.holds.clone()).unwrap_or_default()
    }

    /// Returns the names wanted of a type, among them `*` for all.
    pub fn wanted(&self, kind: &str) -> BTreeSet<String> {
        self.views.get(kind).map(|view| view.wanted.clone()).unwrap_or_default()
    }

    /// Changes what is wanted of a type; `None` if there is nothing to say, or no way to say it.
    pub fn want(&mut self, kind: &str, wanted: BTreeSet<String>) -> Option<Ask> {
        let protocol = self.protocol;
        let view = self.views.entry(kind.to_owned()).or_default();
        if wanted == view.wanted || (!view.started && wanted.is_empty()) {
            return None;
        }
        if protocol == Protocol::StateOfTheWorld && wanted.is_empty() && !view.named {
            return None; // No names would still mean everything.
        }
        let before = std::mem::replace(&mut view.wanted, wanted);
        if !view.started {
            return Some(view.first(kind, protocol, String::new()));
        }
        let added: Vec<String> = view.wanted.difference(&before).cloned().collect();
        let gone: Vec<String> = before.difference(&view.wanted).cloned().collect();
        // A name that a wildcard still covers is answered when it is given up.
        view.ask(added.clone());
        if view.wanted.contains("*") {
            view.ask(gone.clone());
        }
        if protocol == Protocol::StateOfTheWorld {
            view.ask(["*".to_owned()]);
            if !view.received {
                // A request that answers nothing starts anew: all that exists is sent.
                view.ask(view.wanted.clone());
            }
        }
        view.forget();
        let ask = match protocol {
            Protocol::StateOfTheWorld => Ask { nonce: view.nonce.clone(), ..view.list(kind) },
            Protocol::Delta => {
                view.named |= !added.is_empty();
                Ask { kind: kind.to_owned(), subscribe: added, unsubscribe: gone, ..Ask::default() }
            }
        };
        Some(ask)
    }

    /// Delta: asks once more for a name that is wanted already.
    pub fn want_again(&mut self, kind: &str, name: &str) -> Option<Ask> {
        let view = self.views.get_mut(kind)?;
        if self.protocol != Protocol::Delta || !view.started || !view.wanted.contains(name) {
            return None;
        }
        view.ask([name.to_owned()]);
        let (kind, subscribe) = (kind.to_owned(), vec![name.to_owned()]);
        Some(Ask { kind, subscribe, ..Ask::default() })
    }

    /// Takes a response in, accepting it or not, and answers it.
    pub fn receive(&mut self, delivery: &Delivery, accept: bool) -> Ask {
        let kind = delivery.kind.as_str();
        let full = self.protocol == Protocol::StateOfTheWorld && self.full_state.contains(kind);
        let view = self.views.entry(kind.to_owned()).or_default();
        let complaint = view.complain(delivery, full);
        if !self.repeated.contains(kind) {
            self.complaints.extend(complaint);
        }
        view.received = true;
        view.carried.retain(|name| delivery.resources.iter().all(|(sent, _)| sent != name));
        view.nonce.clone_from(&delivery.nonce);
        if accept {
            view.apply(delivery, full);
        }
        view.rejected |= !accept;
        let list = match self.protocol {
            Protocol::StateOfTheWorld => view.list(kind),
            Protocol::Delta => Ask { kind: kind.to_owned(), ..Ask::default() },
        };
        let error = (!accept).then(|| "not to my taste".to_owned());
        Ask { nonce: delivery.nonce.clone(), error, ..list }
    }

    /// Opens a new stream: the first request of each type that is wanted. A client may carry on
    /// with nonces of the stream before, though it should not.
    pub fn reconnect(&mut self, keep_nonces: bool) -> Vec<Ask> {
        let protocol = self.protocol;
        let mut asks = Vec::new();
        for (kind, view) in &mut self.views {
            let (wanted, holds) =
                (std::mem::take(&mut view.wanted), std::mem::take(&mut view.holds));
            let nonce = if keep_nonces { std::mem::take(&mut view.nonce) } else { String::new() };
            *view = View { wanted, holds, nonce: nonce.clone(), ..View::default() };
            if !view.wanted.is_empty() {
                asks.push(view.first(kind, protocol, nonce));
            }
        }
        asks
    }
}

impl View {
    fn covers(&self, name: &str) -> bool {
        self.wanted.contains("*") || self.wanted.contains(name)
    }

    fn forget(&mut self) {
        let Self { wanted, holds, .. } = self;
        holds.retain(|name, _| wanted.contains("*") || wanted.contains(name));
    }

    fn ask(&mut self, names: impl IntoIterator<Item = String>) {
        self.asked.extend(names);
    }

    fn is_asked(&self, name: &str) -> bool {
        self.asked.contains(name)
    }

    /// The names of a request; everything is asked for without names until something was named.
    fn list(&mut self, kind: &str) -> Ask {
        let only_star = self.wanted.len() == 1 && self.wanted.contains("*");
        let names: Vec<String> = if only_star && !self.named {
            Vec::new()
        } else {
            self.wanted.iter().cloned().collect()
        };
        self.named |= !names.is_empty();
        Ask { kind: kind.to_owned(), names, ..Ask::default() }
    }

    fn first(&mut self, kind: &str, protocol: Protocol, nonce: String) -> Ask {
        self.started = true;
        self.forget();
        let new: Vec<String> =
            self.wanted.iter().filter(|name| !self.holds.contains_key(*name)).cloned().collect();
        self.ask(new);
        let list = self.list(kind);
        match protocol {
            Protocol::StateOfTheWorld => {
                // All that exists is sent, held or not.
                self.ask(["*".to_owned()]);
                self.carried = self.holds.keys().cloned().collect();
                Ask { nonce, ..list }
            }
            Protocol::Delta => Ask {
                kind: kind.to_owned(),
                subscribe: list.names,
                initial: self.holds.clone().into_iter().collect(),
                ..Ask::default()
            },
        }
    }

    fn complain(&self, delivery: &Delivery, full: bool) -> Option<String> {
        let names: BTreeSet<&String> =
            delivery.resources.iter().map(|(name, _)| name).chain(&delivery.removed).collect();
        if names.len() < delivery.resources.len() + delivery.removed.len() {
            return Some(format!("a name is there twice: {delivery:?}"));
        }
        if self.rejected {
            return None;
        }
        if full {
            let held: BTreeMap<_, _> = delivery.resources.iter().cloned().collect();
            let repeated = self.started && !self.is_asked("*") && held == self.holds;
            return repeated.then(|| format!("nothing is new: {delivery:?}"));
        }
        let everything = self.wanted.contains("*") && self.is_asked("*");
        let excused = |name: &str| everything || self.is_asked(name) || self.carried.contains(name);
        let repeated = |(name, version): &&(String, String)| {
            self.holds.get(name) == Some(version) && !excused(name)
        };
        let repeated = delivery.resources.iter().find(repeated);
        repeated.map(|(name, _)| format!("`{name}` is held and was not asked for: {delivery:?}"))
    }

    fn apply(&mut self, delivery: &Delivery, full: bool) {
        if full {
            self.holds.clear();
        }
        for (name, version) in &delivery.resources {
            if self.covers(name) {
                self.holds.insert(name.clone(), version.clone());
            }
        }
        for name in &delivery.removed {
            self.holds.remove(name);
        }
    }
}
