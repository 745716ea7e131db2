//! Connections through gateways against the book of all connections.
use mesh_lb::simulate::{ConnectionPick, GatewayScenario, Seeded, through_gateways};
use mesh_testkit::oracle::connections::{Setting, played};
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
        let spreading = through_gateways(&GatewayScenario {
            clients,
            connections,
            gateways,
            backends,
            requests,
            max_requests_per_connection: closed_after,
            pick,
            seed,
        });
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
    }
}
