//! A server, a model client, and what is on its way between them: conversations that property tests
//! and a fuzz target make up.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesh_testkit::oracle::ads_client::{AdsClient, Ask, Delivery, Protocol};
use mesh_xds_gen::delta::{ErrorDetail, SessionConfig, incremental, sotw};
use mesh_xds_gen::snapshot::{Resource, Snapshot, TypeUrl};

pub(crate) const KINDS: [TypeUrl; 4] =
    [TypeUrl::CLUSTER, TypeUrl::ENDPOINT, TypeUrl::LISTENER, TypeUrl::ROUTE];
pub(crate) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Type → name → content.
pub(crate) type Contents = BTreeMap<TypeUrl, BTreeMap<&'static str, u32>>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Publish(Contents),
    Want {
        kind: TypeUrl,
        wanted: BTreeSet<String>,
    },
    WantAgain {
        kind: TypeUrl,
        name: &'static str,
    },
    /// The server reads a request.
    Serve,
    /// The server writes a response.
    Poll,
    /// The client reads a response.
    Receive {
        accept: bool,
    },
    Reconnect {
        keep_nonces: bool,
    },
    /// Everything arrives.
    Settle,
}

#[derive(Debug)]
enum Server {
    Sotw(sotw::Session),
    Delta(incremental::Session),
}

impl Server {
    fn new(protocol: Protocol, config: SessionConfig, stream: u64) -> Self {
        match protocol {
            Protocol::StateOfTheWorld => Self::Sotw(sotw::Session::new(config, stream)),
            Protocol::Delta => Self::Delta(incremental::Session::new(config, stream)),
        }
    }

    fn publish(&mut self, snapshot: Arc<Snapshot>) {
        match self {
            Self::Sotw(session) => session.handle_snapshot(snapshot),
            Self::Delta(session) => session.handle_snapshot(snapshot),
        }
    }

    fn serve(&mut self, ask: Ask) {
        let type_url = TypeUrl::new(&ask.kind);
        let error = ask.error.map(|message| ErrorDetail { code: 3, message });
        let (node, nonce) = ("node".to_owned(), ask.nonce);
        match self {
            Self::Sotw(session) => {
                let names = ask.names;
                let request = sotw::Request { node, type_url, names, nonce, error };
                let handled = session.handle_request(&request);
                assert_eq!(handled, Ok(()), "the model client asks nothing that is invalid");
            }
            Self::Delta(session) => {
                let request = incremental::Request {
                    node,
                    type_url,
                    subscribe: ask.subscribe,
                    unsubscribe: ask.unsubscribe,
                    initial_versions: ask.initial,
                    nonce,
                    error,
                };
                let handled = session.handle_request(&request);
                assert_eq!(handled, Ok(()), "the model client asks nothing that is invalid");
            }
        }
    }

    fn poll(&mut self) -> Option<Delivery> {
        let (type_url, nonce, resources, removed) = match self {
            Self::Sotw(session) => {
                let response = session.poll_response()?;
                (response.type_url, response.nonce, response.resources, Vec::new())
            }
            Self::Delta(session) => {
                let response = session.poll_response()?;
                (response.type_url, response.nonce, response.resources, response.removed)
            }
        };
        let version = |it: &Arc<Resource>| (it.name().to_string(), it.version().to_string());
        Some(Delivery {
            kind: type_url.to_string(),
            resources: resources.iter().map(version).collect(),
            removed: removed.iter().map(ToString::to_string).collect(),
            nonce: nonce.to_string(),
        })
    }
}

/// A server, a client, and what is on its way between them.
pub(crate) struct World {
    protocol: Protocol,
    config: SessionConfig,
    server: Server,
    pub(crate) client: AdsClient,
    pub(crate) to_server: VecDeque<Ask>,
    pub(crate) to_client: VecDeque<Delivery>,
    snapshot: Arc<Snapshot>,
    streams: u64,
}

impl World {
    pub(crate) fn new(protocol: Protocol, config: SessionConfig, repeated: &[&str]) -> Self {
        let full = [TypeUrl::CLUSTER, TypeUrl::LISTENER];
        let full = full.each_ref().map(TypeUrl::as_str);
        Self {
            protocol,
            config,
            server: Server::new(protocol, config, 0),
            client: AdsClient::new(protocol, &full, repeated),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            snapshot: Arc::default(),
            streams: 0,
        }
    }

    pub(crate) fn publish(&mut self, snapshot: &Snapshot) {
        self.snapshot = Arc::new(snapshot.sharing(&self.snapshot));
        self.server.publish(self.snapshot.clone());
    }

    pub(crate) fn step(&mut self, op: Op) {
        match op {
            Op::Publish(contents) => self.publish(&snapshot(&contents)),
            Op::Want { kind, wanted } => {
                self.to_server.extend(self.client.want(kind.as_str(), wanted));
            }
            Op::WantAgain { kind, name } => {
                self.to_server.extend(self.client.want_again(kind.as_str(), name));
            }
            Op::Serve => {
                if let Some(ask) = self.to_server.pop_front() {
                    self.server.serve(ask);
                }
            }
            Op::Poll => self.to_client.extend(self.server.poll()),
            Op::Receive { accept } => {
                if let Some(delivery) = self.to_client.pop_front() {
                    self.to_server.push_back(self.client.receive(&delivery, accept));
                }
            }
            Op::Settle => self.settle(),
            Op::Reconnect { keep_nonces } => {
                self.streams += 1;
                self.server = Server::new(self.protocol, self.config, self.streams);
                self.server.publish(self.snapshot.clone());
                self.to_client.clear();
                self.to_server = self.client.reconnect(keep_nonces).into();
            }
        }
    }

    /// Lets everything arrive, until there is nothing left to say.
    pub(crate) fn settle(&mut self) {
        // Before the first snapshot a server is silent. The same one again says nothing.
        self.server.publish(self.snapshot.clone());
        for _ in 0..1_000 {
            let before = self.to_server.len() + self.to_client.len();
            self.step(Op::Serve);
            self.step(Op::Poll);
            self.step(Op::Receive { accept: true });
            if before + self.to_server.len() + self.to_client.len() == 0 {
                let exists = self.snapshot.types().flat_map(|(kind, it)| {
                    it.iter().map(|it| (kind.to_string(), it.name().to_string()))
                });
                self.client.silence(&exists.collect());
                return;
            }
        }
        panic!("the conversation does not end: {:?} {:?}", self.to_server, self.to_client);
    }

    /// Says how the client's state differs from what it wants of the newest snapshot.
    pub(crate) fn check_converged(&self) -> Result<(), String> {
        for kind in KINDS {
            let wanted = self.client.wanted(kind.as_str());
            let mut holds = self.client.holds(kind.as_str());
            let collection = self.snapshot.collection(&kind).cloned().unwrap_or_default();
            let covers = |name: &str| wanted.contains("*") || wanted.contains(name);
            let expected: BTreeMap<String, String> = collection
                .iter()
                .filter(|it| covers(it.name()))
                .map(|it| (it.name().to_string(), it.version().to_string()))
                .collect();
            if self.protocol == Protocol::StateOfTheWorld && !kind.is_full_state() {
                // Absence says nothing there: the client may keep what is gone.
                holds.retain(|name, _| expected.contains_key(name));
            }
            if holds != expected {
                return Err(format!("of {kind} the client holds {holds:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

pub(crate) fn snapshot(contents: &Contents) -> Snapshot {
    Snapshot::new(contents.iter().flat_map(|(kind, resources)| {
        resources.iter().map(|(name, content)| {
            Resource::new(kind.clone(), *name, content.to_be_bytes().to_vec())
        })
    }))
}

/// Everything, with contents that were never there before.
pub(crate) fn all_new() -> Contents {
    let resources: BTreeMap<_, _> = NAMES.iter().map(|name| (*name, 99)).collect();
    KINDS.into_iter().map(|kind| (kind, resources.clone())).collect()
}
