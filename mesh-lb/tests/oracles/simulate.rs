//! What is played against books of all that happened: connections, ejections, keys.
use mesh_lb::assign::{Assignment, Input};
use mesh_lb::health::outlier::{EjectionTime, OutlierConfig};
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::pick::ring_hash::RingHashConfig;
use mesh_lb::simulate::{
    ConnectionPick, EjectionScenario, GatewayScenario, Seeded, directly, moved_keys,
    play_ejections, through_gateways,
};
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_testkit::by_hand;
use mesh_testkit::oracle::connections::{self, Setting, played};
use mesh_testkit::oracle::ejections::{self, Client, Fate};
use mesh_testkit::oracle::keys::moved;
use mesh_testkit::oracle::outlier::Rules;
use proptest::prelude::*;

proptest! {
    /// The same numbers make the same connections, and each endpoint gets the same requests.
    #[test]
    fn connections_are_those_of_the_book(
        (clients, connections, gateways) in (0..5u32, 0..4u32, 0..4u32),
        (backends, requests, closed_after) in (0..9u32, 0..40u32, prop_oneof![Just(0), 1..7u32]),
        looks_at_two: bool,
        seed: u64,
    ) {
        let pick =
            if looks_at_two { ConnectionPick::FewerConnections } else { ConnectionPick::Random };
        let scenario = GatewayScenario {
            clients,
            connections,
            gateways,
            backends,
            requests,
            max_requests_per_connection: closed_after,
            pick,
            seed,
        };
        let spreading = through_gateways(&scenario);
        let wide = |number: u32| number as usize;
        let setting = Setting {
            clients: wide(clients),
            connections: wide(connections),
            gateways: wide(gateways),
            backends: wide(backends),
            requests: wide(requests),
            closed_after: wide(closed_after),
            looks_at_two,
        };
        let mut random = Seeded::new(seed);
        let (expected, made) = played(&setting, || random.draw());
        let expected: Vec<u64> = expected.into_iter().map(|requests| requests as u64).collect();
        prop_assert_eq!(spreading.requests(), expected);
        prop_assert_eq!(spreading.connections(), made as u64);
        let spreading = directly(&scenario);
        let mut random = Seeded::new(seed);
        let (expected, made) = connections::directly(&setting, || random.draw());
        let expected: Vec<u64> = expected.into_iter().map(|requests| requests as u64).collect();
        prop_assert_eq!(spreading.requests(), expected);
        prop_assert_eq!(spreading.connections(), made as u64);
    }

    /// Requests have the fates that the diary says, whoever is ejected by then.
    #[test]
    fn ejections_are_those_of_the_diary(
        (gateways, others, backends, bad) in (0..4usize, 0..4usize, 0..5usize, 0..5usize),
        (requests, spreads, seed) in (0..150u64, any::<bool>(), any::<u64>()),
        (errors, gateway_errors, enforced) in (0..4usize, 0..4usize, any::<[bool; 3]>()),
        (max_percent, always_one) in (0..110usize, any::<bool>()),
        (interval, base) in (5..40u64, 1..30u64),
    ) {
        let chance = |at: usize| if enforced[at] { 100 } else { 0 };
        let rules = Rules {
            consecutive: [errors, gateway_errors, 0],
            enforcing: [chance(0), chance(1), 0, chance(2), 0, 0, 0],
            success_rate: (2, 2, 500),
            failure_percentage: (2, 2, 85),
            interval,
            time: (base, 4 * base, 0),
            max_percent,
            always_one,
            split: false,
        };
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let outlier_detection = OutlierConfig {
            consecutive_5xx: narrow(errors),
            enforcing_consecutive_5xx: chance(0).try_into().unwrap_or(0),
            consecutive_gateway_failure: narrow(gateway_errors),
            enforcing_consecutive_gateway_failure: chance(1).try_into().unwrap_or(0),
            enforcing_success_rate: chance(2).try_into().unwrap_or(0),
            success_rate_minimum_hosts: 2,
            success_rate_request_volume: 2,
            success_rate_stdev_factor: 500,
            failure_percentage_minimum_hosts: 2,
            failure_percentage_request_volume: 2,
            interval_ms: interval,
            ejection_time: EjectionTime::new(base, Some(4 * base)).unwrap_or_default(),
            max_ejection_percent: narrow(max_percent),
            always_eject_one_host: always_one,
            ..OutlierConfig::default()
        };
        let outcome = play_ejections(&EjectionScenario {
            gateways: narrow(gateways),
            others: narrow(others),
            backends: narrow(backends),
            bad: narrow(bad),
            requests: u32::try_from(requests).unwrap_or(0),
            spreads_requests: spreads,
            outlier_detection,
            seed,
        });
        let client = Client { gateways, others, backends, bad, requests, spreads };
        let mut random = Seeded::new(seed);
        let (fates, ejections, away) = ejections::played(&client, rules, || random.draw());
        let count = |fate: Fate| fates.iter().filter(|one| **one == fate).count() as u64;
        let expected = [Fate::Good, Fate::Elsewhere, Fate::Bad, Fate::Refused].map(count);
        let got = [outcome.remote, outcome.elsewhere, outcome.failed, outcome.refused];
        prop_assert_eq!(got, expected);
        prop_assert_eq!((outcome.ejections, outcome.ejected_ms), (ejections as u64, away as u64));
    }

    /// Keys move that are picked another host, and needlessly those whose host is still there.
    #[test]
    fn keys_move_as_key_by_key(
        (before, after) in (proptest::collection::vec(1..9u8, 0..5), proptest::collection::vec(1..9u8, 0..5)),
        is_ring: bool,
        seed: u64,
    ) {
        let algorithm = if is_ring {
            Algorithm::RingHash { config: RingHashConfig::default(), bound: None }
        } else {
            Algorithm::Maglev { size: TableSize::new(101).unwrap_or_default(), bound: None }
        };
        let policy = BalancerPolicy { algorithm, ..BalancerPolicy::default() };
        let [before, after] =
            [before, after].map(|hosts| Balancer::new(&assignment(&hosts), &policy));
        const KEYS: u32 = 200;
        let answer = moved_keys(&before, &after, KEYS, seed);
        let hosts = |balancer: &Balancer| -> Vec<Option<String>> {
            let mut random = Seeded::new(seed);
            let picks = (0..KEYS).map(|_| {
                let request = PickRequest { hash: Some(random.draw()), ..PickRequest::default() };
                Some(balancer.pick(&request, || 0)?.host.address().to_owned())
            });
            picks.collect()
        };
        let (old, new) = (hosts(&before), hosts(&after));
        let [old, new] = [&old, &new].map(|all| all.iter().map(Option::as_deref).collect::<Vec<_>>());
        let fit: Vec<&str> = after.hosts().map(mesh_lb::Host::address).collect();
        let (moved, needlessly) = moved(&old, &new, &fit);
        prop_assert_eq!(answer.keys, KEYS);
        prop_assert_eq!((answer.moved as usize, answer.needlessly as usize), (moved, needlessly));
    }
}

/// Hosts of one locality, by the last part of their addresses.
fn assignment(hosts: &[u8]) -> Assignment {
    let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    let shards = by_hand::shards(
        hosts.iter().map(|host| by_hand::endpoint(&format!("10.0.0.{host}"), "c1", "eu/west/a")),
    );
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let Some(port) = service.port(80) else { return Assignment::default() };
    Assignment::compute(&Input::new(&proxy, &compat, (&service, port), &shards, &gateways))
}
