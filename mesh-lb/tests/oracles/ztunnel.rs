//! What a ztunnel does, against its oracle.
use std::net::IpAddr;

use mesh_lb::ztunnel::select::{Mode, Resolution, Scope, Service, ServiceEndpoint, draw};
use mesh_lb::ztunnel::service::{ServiceMatch, Visibility, best_by_address};
use mesh_lb::ztunnel::workload::{ApplicationTunnel, Workload};
use mesh_testkit::oracle::ztunnel as oracle;
use proptest::collection::vec;
use proptest::prelude::*;

const SCOPES: [Scope; 6] =
    [Scope::Network, Scope::Region, Scope::Zone, Scope::SubZone, Scope::Node, Scope::Cluster];

fn workload() -> impl Strategy<Value = oracle::Workload> {
    let place = prop_oneof![3 => Just("x"), 1 => Just("y"), 1 => Just("")].prop_map(str::to_owned);
    let places = [place.clone(), place.clone(), place.clone(), place.clone(), place.clone(), place];
    let capacity = proptest::option::of(prop_oneof![3 => 0..4u32, 1 => Just(u32::MAX)]);
    (places, any::<[bool; 4]>(), capacity).prop_map(|(places, flags, capacity)| oracle::Workload {
        places,
        has_address: flags[0],
        has_gateway: flags[1],
        capacity,
        tunnel: (flags[2], flags[2] && flags[3]),
    })
}

fn ports() -> impl Strategy<Value = Vec<(u16, u16)>> {
    vec((80..83u16, prop_oneof![Just(0u16), Just(8080)]), 0..3)
}

fn service() -> impl Strategy<Value = oracle::Service> {
    let mode = prop_oneof![
        2 => Just(oracle::Mode::Any),
        2 => Just(oracle::Mode::Strict),
        4 => Just(oracle::Mode::Failover),
        1 => Just(oracle::Mode::Passthrough),
    ];
    let preferences = Just((0..SCOPES.len()).collect::<Vec<_>>()).prop_shuffle();
    let candidate = (proptest::option::weighted(0.9, workload()), ports(), any::<bool>()).prop_map(
        |(workload, ports, is_healthy)| oracle::Candidate { workload, ports, is_healthy },
    );
    (mode, preferences, 0..5usize, ports(), any::<[bool; 2]>(), vec(candidate, 0..8)).prop_map(
        |(mode, mut preferences, length, ports, [takes_ill, is_waypoint], candidates)| {
            preferences.truncate(length);
            oracle::Service { mode, preferences, ports, takes_ill, is_waypoint, candidates }
        },
    )
}

fn engine_workload(place: usize, workload: &oracle::Workload) -> Workload {
    let [network, region, zone, sub_zone, node, cluster] =
        workload.places.each_ref().map(|place| place.as_str().into());
    // A name serves as well as an address.
    let (addresses, hostname) = match (workload.has_address, place % 2) {
        (false, _) => (Vec::new(), ""),
        (true, 0) => (vec![IpAddr::from([10, 0, 0, 1])], ""),
        (true, _) => (Vec::new(), "host"),
    };
    Workload {
        uid: format!("uid-{place}").into(),
        addresses,
        hostname: hostname.into(),
        network,
        region,
        zone,
        sub_zone,
        node,
        cluster,
        network_gateway: workload.has_gateway.then(|| "gateway".into()),
        capacity: workload.capacity,
        application_tunnel: workload
            .tunnel
            .0
            .then(|| ApplicationTunnel { port: workload.tunnel.1.then_some(15_008) }),
    }
}

proptest! {
    #[test]
    fn a_connection_may_go_where_the_oracle_lets_it_go(
        service in service(),
        source in workload(),
        asked in 80..83u16,
        reversed: bool,
    ) {
        let workloads: Vec<Option<Workload>> = (0..)
            .zip(&service.candidates)
            .map(|(place, candidate)| candidate.workload.as_ref().map(|one| engine_workload(place, one)))
            .collect();
        let mut endpoints: Vec<ServiceEndpoint<'_>> = service
            .candidates
            .iter()
            .zip(&workloads)
            .map(|(candidate, workload)| ServiceEndpoint {
                workload: workload.as_ref(),
                ports: candidate.ports.clone(),
                healthy: candidate.is_healthy,
            })
            .collect();
        // Their order does not matter: the answer is by name.
        if reversed {
            endpoints.reverse();
        }
        let engine = Service {
            mode: match service.mode {
                oracle::Mode::Any => Mode::Unspecified,
                oracle::Mode::Strict => Mode::Strict,
                oracle::Mode::Failover => Mode::Failover,
                oracle::Mode::Passthrough => Mode::Passthrough,
            },
            routing_preference: service.preferences.iter().map(|at| SCOPES[*at]).collect(),
            ports: service.ports.clone(),
            allows_unhealthy: service.takes_ill,
            endpoints,
        };
        let resolution = if service.is_waypoint { Resolution::Waypoint } else { Resolution::Standard };
        let got = engine.candidates(&engine_workload(9, &source), asked, resolution);
        let expected = oracle::takers(&service, &source, asked);
        let places: Vec<(Option<&Workload>, Option<u16>)> =
            got.iter().map(|one| (Some(one.workload), one.port)).collect();
        let wanted: Vec<(Option<&Workload>, Option<u16>)> =
            expected.iter().map(|one| (workloads[one.0].as_ref(), one.2)).collect();
        prop_assert_eq!(places, wanted);
        let sum: u64 = expected.iter().map(|one| one.1).sum();
        for (got, (_, capacity, _)) in got.iter().zip(&expected) {
            prop_assert!((got.share / 100.0 * sum as f64 - *capacity as f64).abs() < 1e-3);
        }
    }

    #[test]
    fn a_draw_takes_the_ticket_that_the_oracle_takes(weights in vec(0..9u8, 0..9), random: u64) {
        let engine = weights.iter().map(|weight| u32::from(*weight));
        prop_assert_eq!(draw(engine, random), oracle::drawn(&weights, random));
    }

    #[test]
    fn an_address_means_the_service_that_the_oracle_means(
        services in vec((0..3usize, any::<[bool; 2]>(), proptest::option::of(8..11u8)), 0..9),
    ) {
        let namespaces = ["mine", "a", "b"];
        let bearers: Vec<oracle::Bearer<'_>> = services
            .iter()
            .map(|&(namespace, [canonical, private], prefix)| (namespaces[namespace], canonical, private, prefix))
            .collect();
        let of = |&(namespace, canonical, private, prefix_length): &oracle::Bearer<'static>| ServiceMatch {
            namespace,
            canonical,
            visibility: if private { Visibility::Namespace } else { Visibility::Mesh },
            prefix_length,
        };
        let engine: Vec<ServiceMatch<'_>> = bearers.iter().map(of).collect();
        prop_assert_eq!(best_by_address(&engine, "mine"), oracle::meant(&bearers, "mine"));
    }
}
