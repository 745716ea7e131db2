//! What a ztunnel does, against its oracle.
use std::net::IpAddr;

use mesh_lb::ztunnel::route::{
    AddressedService, Chosen, Connection, InboundProtocol, Refused, Route, Waypoint,
};
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

fn front() -> impl Strategy<Value = oracle::Front> {
    prop_oneof![
        4 => Just(oracle::Front::Nothing),
        1 => Just(oracle::Front::Lost),
        1 => Just(oracle::Front::Here("10.0.0.9:15008".to_owned())),
        1 => proptest::option::of(Just("34.0.0.9:15008".to_owned())).prop_map(oracle::Front::Away),
    ]
}

fn way() -> impl Strategy<Value = oracle::Way> {
    let service = (any::<u16>(), any::<bool>(), front())
        .prop_map(|(port, passes, front)| ("cart.shop".to_owned(), port, passes, front));
    let address = prop_oneof![Just(("10.0.0.5", false)), Just(("fd00::5", true))];
    let address = proptest::option::weighted(
        0.8,
        address.prop_map(|(address, is_six)| (address.to_owned(), is_six)),
    );
    let gateway = proptest::option::of(Just("34.0.0.1:15008".to_owned()));
    let taker = (any::<[bool; 2]>(), address, any::<u16>(), gateway, front()).prop_map(
        |([is_near, speaks_tunnel], address, port, gateway, front)| oracle::Taker {
            is_near,
            speaks_tunnel,
            address,
            port,
            gateway,
            front,
        },
    );
    let target = prop_oneof![Just("10.1.0.1:80"), Just("[fd01::1]:80")].prop_map(str::to_owned);
    let service = proptest::option::of(service);
    (target, service, proptest::option::weighted(0.8, taker), any::<bool>()).prop_map(
        |(target, service, taker, from_front)| oracle::Way { target, service, taker, from_front },
    )
}

fn waypoint(front: &oracle::Front) -> Waypoint<'_> {
    match front {
        oracle::Front::Nothing => Waypoint::None,
        oracle::Front::Lost => Waypoint::Unresolved,
        oracle::Front::Here(dial) => Waypoint::Near(dial),
        oracle::Front::Away(gateway) => Waypoint::Far(gateway.as_deref()),
    }
}

fn connection(way: &oracle::Way) -> Connection<'_> {
    let service = way.service.as_ref();
    let service = service.map(|(hostname, port, passthrough, front)| AddressedService {
        hostname,
        port: *port,
        passthrough: *passthrough,
        waypoint: waypoint(front),
    });
    let chosen = way.taker.as_ref().map(|taker| Chosen {
        same_network: taker.is_near,
        protocol: match taker.speaks_tunnel {
            true => InboundProtocol::Hbone,
            false => InboundProtocol::Tcp,
        },
        address: taker.address.as_ref().map(|(address, _)| address.as_str()),
        port: taker.port,
        network_gateway: taker.gateway.as_deref(),
        waypoint: waypoint(&taker.front),
    });
    Connection { target: &way.target, service, chosen, from_waypoint: way.from_front }
}

fn words(made: Result<Route, Refused>) -> oracle::Made {
    match made {
        Ok(Route::Passthrough) => Ok(("passthrough", String::new(), String::new())),
        Ok(Route::Direct { dial, hbone_target }) => {
            Ok(("direct", dial, hbone_target.unwrap_or_default()))
        }
        Ok(Route::Waypoint { dial, hbone_target }) => Ok(("waypoint", dial, hbone_target)),
        Ok(Route::Gateway { dial, hbone_target }) => Ok(("gateway", dial, hbone_target)),
        Err(Refused::NoHealthyUpstream) => Err("no upstream"),
        Err(Refused::NoWaypoint) => Err("no waypoint"),
        Err(Refused::NoValidDestination) => Err("no destination"),
        Err(Refused::NoService) => Err("no service"),
        Err(_) => Err("another reason"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_connection_is_made_as_the_oracle_makes_it(way in way()) {
        prop_assert_eq!(words(connection(&way).route()), oracle::made(&way), "{:?}", way);
    }

    #[test]
    fn the_address_that_is_dialled_is_the_oracles(
        addresses in vec((0..4u8, any::<bool>()), 0..6),
        (original, is_six) in (0..4u8, any::<bool>()),
        admitted: [bool; 8],
    ) {
        let of = |(last, is_six): (u8, bool)| match is_six {
            false => IpAddr::from([10, 0, 0, last]),
            true => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last.into()]),
        };
        let admits = |(last, is_six): (u8, bool)| admitted[usize::from(last + 4 * u8::from(is_six))];
        let numbers: Vec<(bool, bool, bool)> = addresses
            .iter()
            .map(|&address| (address == (original, is_six), admits(address), address.1 == is_six))
            .collect();
        let workload = Workload { addresses: addresses.iter().copied().map(of).collect(), ..Workload::default() };
        let admits = |address: &IpAddr| addresses.iter().any(|one| of(*one) == *address && admits(*one));
        let got = workload.address_for(of((original, is_six)), admits);
        let expected = oracle::dialled(&numbers).map(|at| of(addresses[at]));
        prop_assert_eq!(got, expected);
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
