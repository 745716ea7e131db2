//! Laws of the sessions: whatever is lost, rejected, reordered or interrupted, the client ends with
//! what it subscribes to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail like tests")]
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use mesh_testkit::oracle::ads_client::{AdsClient, Ask, Delivery, Protocol};
use mesh_xds_gen::delta::{
    ErrorDetail, RejectedNames, Retirement, SessionConfig, incremental, sotw,
};
use mesh_xds_gen::snapshot::{Reference, Resource, Snapshot, TypeUrl, Version};
use proptest::prelude::*;

const KINDS: [TypeUrl; 4] =
    [TypeUrl::CLUSTER, TypeUrl::ENDPOINT, TypeUrl::LISTENER, TypeUrl::ROUTE];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Type → name → content.
type Contents = BTreeMap<TypeUrl, BTreeMap<&'static str, u32>>;

#[derive(Clone, Debug)]
enum Op {
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
                session.handle_request(&request).unwrap();
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
                session.handle_request(&request).unwrap();
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
struct World {
    protocol: Protocol,
    config: SessionConfig,
    server: Server,
    client: AdsClient,
    to_server: VecDeque<Ask>,
    to_client: VecDeque<Delivery>,
    snapshot: Arc<Snapshot>,
    streams: u64,
}

impl World {
    fn new(protocol: Protocol, config: SessionConfig, repeated: &[&str]) -> Self {
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

    fn publish(&mut self, snapshot: &Snapshot) {
        self.snapshot = Arc::new(snapshot.sharing(&self.snapshot));
        self.server.publish(self.snapshot.clone());
    }

    fn step(&mut self, op: Op) {
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
    fn settle(&mut self) {
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
    fn check_converged(&self) -> Result<(), TestCaseError> {
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
            prop_assert_eq!(holds, expected, "{}", kind);
        }
        Ok(())
    }
}

fn snapshot(contents: &Contents) -> Snapshot {
    Snapshot::new(contents.iter().flat_map(|(kind, resources)| {
        resources
            .iter()
            .map(|(name, content)| Resource::new(kind.clone(), *name, content.to_be_bytes()))
    }))
}

/// Everything, with contents that were never there before.
fn all_new() -> Contents {
    let resources: BTreeMap<_, _> = NAMES.iter().map(|name| (*name, 99)).collect();
    KINDS.into_iter().map(|kind| (kind, resources.clone())).collect()
}

fn kind() -> impl Strategy<Value = TypeUrl> {
    prop::sample::select(KINDS.to_vec())
}

fn contents() -> impl Strategy<Value = Contents> {
    let resources =
        prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), 0..3_u32, 0..4);
    prop::collection::btree_map(kind(), resources, 0..5)
}

fn wanted(protocol: Protocol) -> impl Strategy<Value = Op> {
    let names = prop::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len());
    (kind(), names, any::<bool>()).prop_map(move |(kind, names, star)| {
        let mut wanted: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        if star && (protocol == Protocol::Delta || kind.is_full_state()) {
            wanted.insert("*".to_owned());
        }
        Op::Want { kind, wanted }
    })
}

fn ops(protocol: Protocol, rejects: bool) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        2 => contents().prop_map(Op::Publish),
        3 => wanted(protocol),
        1 => (kind(), prop::sample::select(NAMES.to_vec()))
            .prop_map(|(kind, name)| Op::WantAgain { kind, name }),
        5 => Just(Op::Serve),
        5 => Just(Op::Poll),
        5 => prop::bool::weighted(0.7)
            .prop_map(move |accept| Op::Receive { accept: accept || !rejects }),
        1 => Just(Op::Settle),
        1 => any::<bool>().prop_map(|keep_nonces| Op::Reconnect { keep_nonces }),
    ];
    prop::collection::vec(op, 0..60)
}

fn config() -> impl Strategy<Value = SessionConfig> {
    (any::<bool>(), any::<bool>()).prop_map(|(patient, adopt)| SessionConfig {
        retirement: if patient { Retirement::MakeBeforeBreak } else { Retirement::AtOnce },
        rejected_names: if adopt { RejectedNames::Adopted } else { RejectedNames::Ignored },
        ..SessionConfig::default()
    })
}

/// Runs a conversation and checks that it ends, with the client up to date, and nothing said in
/// vain.
fn check(
    protocol: Protocol,
    config: SessionConfig,
    ops: Vec<Op>,
    rejects: bool,
) -> Result<(), TestCaseError> {
    // Endpoints are sent again for clusters that start anew.
    let mut world = World::new(protocol, config, &[TypeUrl::ENDPOINT.as_str()]);
    for op in ops {
        world.step(op);
    }
    world.settle();
    if rejects {
        // What was rejected is not sent again until it changes.
        world.step(Op::Publish(all_new()));
        world.settle();
    }
    world.check_converged()?;
    prop_assert!(world.client.complaints().is_empty(), "{:?}", world.client.complaints());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_sotw_client_ends_with_the_newest_snapshot(
        config in config(), ops in ops(Protocol::StateOfTheWorld, false),
    ) {
        check(Protocol::StateOfTheWorld, config, ops, false)?;
    }

    #[test]
    fn a_delta_client_ends_with_the_newest_snapshot(
        config in config(), ops in ops(Protocol::Delta, false),
    ) {
        check(Protocol::Delta, config, ops, false)?;
    }

    /// With [`RejectedNames::Ignored`] a name that comes with a rejection may wait for ever, as
    /// upstream.
    #[test]
    fn a_sotw_client_that_rejects_ends_with_the_next_snapshot(
        config in config(), ops in ops(Protocol::StateOfTheWorld, true),
    ) {
        let config = SessionConfig { rejected_names: RejectedNames::Adopted, ..config };
        check(Protocol::StateOfTheWorld, config, ops, true)?;
    }

    #[test]
    fn a_delta_client_that_rejects_ends_with_the_next_snapshot(
        config in config(), ops in ops(Protocol::Delta, true),
    ) {
        check(Protocol::Delta, config, ops, true)?;
    }

    /// Without clusters on the stream not even endpoints come twice.
    #[test]
    fn nothing_is_sent_that_a_delta_client_holds(ops in ops(Protocol::Delta, false)) {
        let mut world = World::new(Protocol::Delta, SessionConfig::default(), &[]);
        for op in ops {
            if !matches!(&op, Op::Want { kind, .. } if *kind == TypeUrl::CLUSTER) {
                world.step(op);
            }
        }
        world.settle();
        prop_assert!(world.client.complaints().is_empty(), "{:?}", world.client.complaints());
    }

    /// A rejection is never a reason to send: not even to a client that rejects everything.
    #[test]
    fn a_client_that_rejects_everything_is_left_alone(
        sotw: bool, config in config(), contents in contents(),
    ) {
        let protocol = if sotw { Protocol::StateOfTheWorld } else { Protocol::Delta };
        let mut world = World::new(protocol, config, &[]);
        world.step(Op::Publish(contents));
        let all = BTreeSet::from(NAMES.map(str::to_owned));
        for kind in KINDS {
            world.step(Op::Want { kind, wanted: all.clone() });
        }
        let mut sent = 0;
        for _ in 0..50 {
            world.step(Op::Serve);
            world.step(Op::Poll);
            sent += world.to_client.len();
            world.step(Op::Receive { accept: false });
        }
        // One response a type.
        prop_assert!(sent <= KINDS.len(), "{sent}");
        prop_assert!(world.to_server.is_empty());
    }
}

/// A route that moves from cluster to cluster, each cluster gone as soon as the route has left it.
fn moving(cluster: u32) -> Snapshot {
    let name = format!("cluster-{cluster}");
    let route = Resource::new(TypeUrl::ROUTE, "80", cluster.to_be_bytes());
    Snapshot::new([
        Resource::new(TypeUrl::CLUSTER, &*name, *b"cluster"),
        route.with_references([Reference::cluster(&*name)]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_route_never_points_to_a_cluster_that_is_gone(
        sotw: bool, ops in prop::collection::vec(0..8_u32, 0..80),
    ) {
        let protocol = if sotw { Protocol::StateOfTheWorld } else { Protocol::Delta };
        let config =
            SessionConfig { retirement: Retirement::MakeBeforeBreak, ..SessionConfig::default() };
        let mut world = World::new(protocol, config, &[]);
        world.publish(&moving(0));
        let want = |kind, name: &str| Op::Want { kind, wanted: BTreeSet::from([name.to_owned()]) };
        world.step(want(TypeUrl::CLUSTER, "*"));
        world.step(want(TypeUrl::ROUTE, "80"));
        world.settle();
        for op in ops {
            match op {
                0..3 => world.publish(&moving(op)),
                3..5 => world.step(Op::Serve),
                5..7 => world.step(Op::Poll),
                _ => world.step(Op::Receive { accept: true }),
            }
            check_route(&world)?;
        }
        for _ in 0..30 {
            for op in [Op::Serve, Op::Poll, Op::Receive { accept: true }] {
                world.step(op);
                check_route(&world)?;
            }
        }
        let clusters = world.client.holds(TypeUrl::CLUSTER.as_str());
        prop_assert_eq!(clusters.len(), 1, "the clusters that are gone are pruned");
    }
}

fn check_route(world: &World) -> Result<(), TestCaseError> {
    let route = world.client.holds(TypeUrl::ROUTE.as_str()).remove("80");
    let version = |cluster: &u32| Version::of(&cluster.to_be_bytes()).to_string();
    let cluster = (0..3).find(|cluster| route == Some(version(cluster)));
    let clusters = world.client.holds(TypeUrl::CLUSTER.as_str());
    let name = cluster.map(|cluster| format!("cluster-{cluster}")).unwrap_or_default();
    prop_assert!(clusters.contains_key(&name), "the route points to `{}`", name);
    Ok(())
}
