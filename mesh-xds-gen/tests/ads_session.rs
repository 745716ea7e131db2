//! Laws of the sessions: whatever is lost, rejected, reordered or interrupted, the client ends with
//! what it subscribes to.
#![expect(clippy::panic, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;

use mesh_testkit::oracle::ads_client::Protocol;
use mesh_xds_gen::delta::{RejectedNames, Retirement, SessionConfig};
use mesh_xds_gen::snapshot::{Reference, Resource, Snapshot, TypeUrl, Version};
use proptest::prelude::*;

use self::world::{Contents, KINDS, NAMES, Op, World, all_new};

#[path = "conversation/world.rs"]
mod world;

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
    world.check_converged().map_err(TestCaseError::fail)?;
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
    let route = Resource::new(TypeUrl::ROUTE, "80", cluster.to_be_bytes().to_vec());
    Snapshot::new([
        Resource::new(TypeUrl::CLUSTER, &*name, "cluster"),
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
