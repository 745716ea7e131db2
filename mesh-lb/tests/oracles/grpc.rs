//! What a gRPC client does, against its oracles.
use std::sync::atomic::AtomicU32;

use mesh_lb::grpc::assignment::{
    Accepted, Endpoint, GrpcLocality, WeightScheme, endpoint_weights, leaves,
};
use mesh_lb::grpc::connectivity::{Connectivity, aggregate, aggregate_ring};
use mesh_lb::grpc::level_names::LevelNames;
use mesh_lb::grpc::outlier::{
    FailurePercentageEjection, GrpcOutlierConfig, GrpcOutlierDetector, SuccessRateEjection,
};
use mesh_lb::grpc::priority::PriorityPolicy;
use mesh_lb::grpc::ring::{GrpcRing, RingAnswer, RingPick, RingSize};
use mesh_lb::grpc::share::{DropOverload, GrpcPolicy, shares};
use mesh_lb::grpc::wrr::{EndpointWeight, LoadReport, StrideScheduler, WeightConfig};
use mesh_lb::health::status::HealthStatus;
use mesh_model::name::Locality;
use mesh_testkit::oracle::grpc::channel::{self, Event, State};
use mesh_testkit::oracle::grpc::reports::Line;
use mesh_testkit::oracle::grpc::share::Outcome;
use mesh_testkit::oracle::grpc::{assignment, outlier, reports, share};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 1..5u32, 1 => Just(0u32), 1 => Just(u32::MAX), 1 => Just(u32::MAX / 2)]
}

fn told_locality() -> impl Strategy<Value = assignment::Locality> {
    let address = (0..60u8).prop_map(|address| address.to_string());
    let endpoint = (vec(address, 1..3), option::of(prop_oneof![9 => 1..5u32, 1 => weight()]))
        .prop_map(|(addresses, weight)| assignment::Endpoint { addresses, weight });
    let name = option::weighted(0.95, (0..9u8).prop_map(|name| format!("region-{name}")));
    let priority = prop_oneof![4 => Just(0u32), 3 => Just(1), 1 => 2..4u32];
    (name, priority, weight(), vec(endpoint, 0..3)).prop_map(
        |(name, priority, weight, endpoints)| assignment::Locality {
            name,
            priority,
            weight,
            endpoints,
        },
    )
}

fn engine_locality(told: &assignment::Locality) -> GrpcLocality {
    let endpoint = |one: &assignment::Endpoint| {
        let mut addresses = one.addresses.iter().map(|address| address.as_str().into());
        Endpoint {
            address: addresses.next().unwrap_or_default(),
            additional_addresses: addresses.collect(),
            weight: one.weight,
            ..Endpoint::default()
        }
    };
    GrpcLocality {
        name: told.name.as_deref().map(Locality::parse),
        priority: told.priority,
        weight: told.weight,
        endpoints: told.endpoints.iter().map(endpoint).collect(),
    }
}

proptest! {
    #[test]
    fn an_assignment_is_accepted_when_the_oracle_accepts_it(told in vec(told_locality(), 0..5)) {
        let engine: Vec<GrpcLocality> = told.iter().map(engine_locality).collect();
        let got = Accepted::new(&engine).ok().map(|accepted| accepted.localities().to_vec());
        let expected = assignment::accepted(&told);
        let expected: Option<Vec<&GrpcLocality>> =
            expected.map(|places| places.into_iter().map(|place| &engine[place]).collect());
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn endpoints_of_a_level_weigh_what_the_oracle_says(
        level in vec((prop_oneof![1..9u32, any::<u32>()], vec(prop_oneof![1..9u32, 1..u32::MAX / 4], 0..4)), 0..4),
        simple: bool,
    ) {
        let localities: Vec<GrpcLocality> = level
            .iter()
            .map(|(weight, endpoints)| GrpcLocality {
                weight: *weight,
                endpoints: endpoints
                    .iter()
                    .map(|weight| Endpoint { weight: Some(*weight), ..Endpoint::default() })
                    .collect(),
                ..GrpcLocality::default()
            })
            .collect();
        let scheme = if simple { WeightScheme::Product } else { WeightScheme::FixedPoint };
        let got = endpoint_weights(scheme, &localities.iter().collect::<Vec<_>>());
        let got: Vec<Vec<u128>> =
            got.into_iter().map(|all| all.into_iter().map(u128::from).collect()).collect();
        prop_assert_eq!(got, assignment::weights(&level, simple));
    }

    #[test]
    fn an_aggregate_has_the_leaves_of_the_oracle(
        members in vec(vec(0..12usize, 0..4), 6),
        chain in prop_oneof![4 => Just(0usize), 1 => 10..20usize],
    ) {
        // Six aggregates that may contain each other, and one in one in one…
        let mut graph: Vec<(String, Vec<String>)> = members
            .iter()
            .enumerate()
            .map(|(at, inside)| (format!("c{at}"), inside.iter().map(|one| format!("c{one}")).collect()))
            .collect();
        graph.extend((0..chain).map(|at| (format!("d{at}"), vec![format!("d{}", at + 1), "c0".into()])));
        let inside = |name: &str| {
            let found = graph.iter().find(|(cluster, _)| cluster == name);
            found.map(|(_, inside)| inside.iter().map(String::as_str))
        };
        for root in ["c0", "d0"] {
            let got = leaves(root, &inside).ok();
            let expected = assignment::leaves(root, &graph);
            let expected = expected.as_ref().map(|all| all.iter().map(String::as_str).collect());
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn levels_keep_the_names_that_the_oracle_keeps(
        assignments in vec(vec(proptest::collection::btree_set(0..6u8, 1..4), 0..4), 1..6),
    ) {
        let told: Vec<Vec<Vec<String>>> = assignments
            .iter()
            .map(|levels| {
                let level = |one: &std::collections::BTreeSet<u8>| {
                    one.iter().map(|name| format!("region-{name}")).collect()
                };
                levels.iter().map(level).collect()
            })
            .collect();
        let mut names = LevelNames::default();
        let mut got = Vec::new();
        for levels in &told {
            let parsed: Vec<Vec<Locality>> = levels
                .iter()
                .map(|level| level.iter().map(|name| Locality::parse(name)).collect())
                .collect();
            let levels: Vec<Vec<&Locality>> =
                parsed.iter().map(|level| level.iter().collect()).collect();
            got.push(names.update(&levels));
        }
        prop_assert_eq!(got, assignment::level_names(&told));
    }
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        1 => Just(State::Idle),
        1 => Just(State::Connecting),
        3 => Just(State::Ready),
        2 => Just(State::Failing),
    ]
}

const fn connectivity(state: State) -> Connectivity {
    match state {
        State::Idle => Connectivity::Idle,
        State::Connecting => Connectivity::Connecting,
        State::Ready => Connectivity::Ready,
        State::Failing => Connectivity::TransientFailure,
    }
}

fn event() -> impl Strategy<Value = (u32, Event)> {
    let pause = prop_oneof![6 => 0..4u32, 2 => 8..12u32, 1 => 895..905u32];
    let event = prop_oneof![
        8 => (0..4u32, state()).prop_map(|(name, state)| Event::Report(name, state)),
        1 => vec(0..4u32, 0..5).prop_map(Event::Update),
        1 => Just(Event::Nothing),
    ];
    (pause, event)
}

proptest! {
    #[test]
    fn a_channel_uses_the_level_that_the_oracle_uses(
        levels in vec(0..4u32, 1..5),
        events in vec(event(), 0..40),
    ) {
        let mut all = vec![(0, Event::Update(levels))];
        all.extend(events);
        let mut policy = PriorityPolicy::default();
        let (mut got, mut now) = (Vec::new(), 0);
        for (pause, event) in &all {
            now += u64::from(*pause) * 1000;
            policy.handle_timeout(now);
            match event {
                Event::Nothing => {}
                Event::Update(names) => policy.handle_update(names, now),
                Event::Report(name, state) => policy.handle_state(*name, connectivity(*state), now),
            }
            got.push((policy.in_use(), policy.state()));
        }
        let expected = channel::in_use(&all);
        let expected: Vec<_> =
            expected.into_iter().map(|(used, state)| (used, connectivity(state))).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_level_is_in_the_state_that_the_oracle_says(states in vec(state(), 0..5)) {
        let engine = || states.iter().copied().map(connectivity);
        prop_assert_eq!(aggregate(engine()), connectivity(channel::of_all(&states)));
        prop_assert_eq!(aggregate_ring(engine()), connectivity(channel::of_ring(&states)));
    }
}

fn share_locality() -> impl Strategy<Value = (u32, u32, Vec<(bool, State, u32)>)> {
    let endpoint = (prop::bool::weighted(0.8), state(), 1..4u32);
    (0..3u32, prop_oneof![4 => 1..6u32, 1 => Just(u32::MAX / 4)], vec(endpoint, 0..5))
}

proptest! {
    #[test]
    fn rpcs_go_where_the_oracle_sends_them(
        localities in vec(share_locality(), 0..5),
        policy in prop_oneof![
            Just(share::Policy::Turns),
            Just(share::Policy::Least),
            (1..40u32, 0..40u32).prop_map(|(low, more)| share::Policy::Ring(low, low + more)),
        ],
        drops in vec(0..101u32, 0..3),
        tired in vec(0..3u32, 0..3),
    ) {
        // Levels without gap, as a client accepts them.
        let mut levels: Vec<u32> = localities.iter().map(|one| one.0).collect();
        levels.sort_unstable();
        levels.dedup();
        let level = |old: u32| (0..).zip(&levels).find(|(_, one)| **one == old).map_or(0, |one| one.0);
        let key = |place: usize, at: usize| format!("10.0.{place}.{at}:80");
        let told: Vec<share::Locality> = localities
            .iter()
            .enumerate()
            .map(|(place, (old, weight, endpoints))| share::Locality {
                level: level(*old),
                weight: *weight,
                endpoints: endpoints
                    .iter()
                    .enumerate()
                    .map(|(at, &(is_usable, state, weight))| share::Endpoint {
                        is_usable, state, weight, key: key(place, at),
                    })
                    .collect(),
            })
            .collect();
        let engine: Vec<GrpcLocality> = told
            .iter()
            .enumerate()
            .map(|(place, one)| GrpcLocality {
                name: Some(Locality::parse(&format!("region-{place}"))),
                priority: one.level,
                weight: one.weight,
                endpoints: one
                    .endpoints
                    .iter()
                    .map(|one| Endpoint {
                        address: one.key.as_str().into(),
                        weight: Some(one.weight),
                        health: if one.is_usable { HealthStatus::Healthy } else { HealthStatus::Degraded },
                        ..Endpoint::default()
                    })
                    .collect(),
            })
            .collect();
        let accepted = Accepted::new(&engine);
        prop_assert!(accepted.is_ok());
        let Ok(accepted) = accepted else { return Ok(()) };
        let engine_policy = match policy {
            share::Policy::Turns => GrpcPolicy::RoundRobin,
            share::Policy::Least => GrpcPolicy::LeastRequest,
            share::Policy::Ring(low, high) => {
                GrpcPolicy::RingHash(RingSize::new(Some(low.into()), Some(high.into())).unwrap_or_default())
            }
        };
        let state_of = |endpoint: &Endpoint| {
            let all = told.iter().flat_map(|one| &one.endpoints);
            let found = all.into_iter().find(|one| *one.key == *endpoint.address);
            connectivity(found.map_or(State::Failing, |one| one.state))
        };
        let overloads: Vec<DropOverload> =
            drops.iter().filter_map(|percent| DropOverload::new(*percent, 100)).collect();
        let got = shares(engine_policy, &accepted, &overloads, state_of, |level| tired.contains(&level));
        let millions: Vec<u32> = drops.iter().map(|percent| (percent * 10_000).min(1_000_000)).collect();
        let expected = share::shares(policy, &told, &millions, &tired);
        prop_assert_eq!((got.level, got.state), (expected.level.0, connectivity(expected.level.1)));
        let near = |got: f64, wanted: f64| (got - wanted).abs() < 1e-7;
        prop_assert!(near(got.queued, expected.waiting) && near(got.failed, expected.failing));
        prop_assert_eq!(got.dropped.len(), expected.dropped.len());
        prop_assert!(got.dropped.iter().zip(&expected.dropped).all(|(got, wanted)| near(*got, *wanted)));
        let places: Vec<(usize, usize)> = got.endpoints.iter().map(|one| (one.0, one.1)).collect();
        prop_assert_eq!(places, expected.endpoints.iter().map(|one| one.0).collect::<Vec<_>>());
        for (got, wanted) in got.endpoints.iter().zip(&expected.endpoints) {
            prop_assert!(near(got.2, wanted.1), "{:?} {:?}", got, wanted);
        }
        for (place, share) in &got.localities {
            let here = expected.endpoints.iter().filter(|one| one.0.0 == *place);
            prop_assert!(near(*share, here.map(|one| one.1).sum()));
        }
    }

    #[test]
    fn a_ring_answers_as_the_oracle_answers(
        endpoints in vec((0..9u8, 1..5u32, state()), 0..7),
        (low, more) in (1..60u32, 0..60u32),
        hash: u64,
    ) {
        // Two endpoints may have one key.
        let keys: Vec<String> = endpoints.iter().map(|one| format!("key-{}", one.0)).collect();
        let all: Vec<(&str, u32)> =
            keys.iter().map(String::as_str).zip(endpoints.iter().map(|one| one.1)).collect();
        let states: Vec<State> = endpoints.iter().map(|one| one.2).collect();
        let size = RingSize::new(Some(low.into()), Some((low + more).into())).unwrap_or_default();
        let ring = GrpcRing::new(size, &all);
        let entries = share::entries(&all, (low, low + more));
        let got: Vec<(u64, usize)> = ring.entries().map(|(hash, host)| (hash, host as usize)).collect();
        prop_assert_eq!(&got, &entries);
        let state = |endpoint: u32| connectivity(states[endpoint as usize]);
        let plain = |answer: RingAnswer| {
            let outcome = match answer.pick {
                RingPick::Picked(host) => Outcome::Sent(host as usize),
                RingPick::Queued(host) => Outcome::Waits(host.map(|host| host as usize)),
                RingPick::Failed(host) => Outcome::Fails(host.map(|host| host as usize)),
            };
            (outcome, answer.connect.map(|host| host as usize))
        };
        let exact = entries.iter().map(|entry| entry.0);
        for hash in exact.chain([hash, 0, u64::MAX]) {
            prop_assert_eq!(plain(ring.pick(hash, state)), share::answer(&entries, &states, hash));
            let random = plain(ring.pick_random(hash, state));
            prop_assert_eq!(random, share::answer_to_any(&entries, &states, hash));
        }
    }
}

fn rule() -> impl Strategy<Value = Option<outlier::Rule>> {
    let bound = prop_oneof![Just(500u32), Just(1900), 0..101u32];
    let rule = (bound, prop_oneof![Just(100u64), Just(50)], 0..5usize, 0..30u32);
    option::of(rule.prop_map(|(bound, chance, endpoints, requests)| outlier::Rule {
        bound,
        chance,
        endpoints,
        requests,
    }))
}

proptest! {
    #[test]
    fn endpoints_are_ejected_when_the_oracle_ejects_them(
        rate in rule(),
        failures in rule(),
        time in (1..40u64, 0..100u64),
        max_percent in prop_oneof![Just(10u32), 0..101u32],
        intervals in vec(vec((0..30u32, 0..30u32), 5), 1..12),
        draw: u64,
    ) {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let config = GrpcOutlierConfig {
            interval_ms: 10,
            base_ejection_time_ms: time.0,
            max_ejection_time_ms: time.1,
            max_ejection_percent: max_percent,
            success_rate: rate.map(|rule| SuccessRateEjection {
                stdev_factor: rule.bound,
                enforcement_percentage: u32::try_from(rule.chance).unwrap_or(100),
                minimum_hosts: narrow(rule.endpoints),
                request_volume: rule.requests,
            }),
            failure_percentage: failures.map(|rule| FailurePercentageEjection {
                threshold: rule.bound,
                enforcement_percentage: u32::try_from(rule.chance).unwrap_or(100),
                minimum_hosts: narrow(rule.endpoints),
                request_volume: rule.requests,
            }),
        };
        let intervals: Vec<(u64, Vec<(u32, u32)>)> =
            (1..).map(|sweep| sweep * 10).zip(intervals).collect();
        let mut detector = GrpcOutlierDetector::new(config, 5);
        let mut got = Vec::new();
        for (now, results) in &intervals {
            for (endpoint, (ok, failed)) in results.iter().enumerate() {
                (0..*ok).for_each(|_| detector.handle_result(endpoint, true));
                (0..*failed).for_each(|_| detector.handle_result(endpoint, false));
            }
            detector.handle_sweep(*now, || draw);
            got.push(outlier::After {
                ejected: (0..5).map(|one| detector.is_ejected(one)).collect(),
                multipliers: (0..5).map(|one| detector.multiplier(one)).collect(),
                counted: detector.counted(),
            });
        }
        let rules = outlier::Rules { rate, failures, time, max_percent };
        let mut expected = outlier::sweeps(rules, &intervals, draw);
        if config.is_off() {
            // Nothing is even counted.
            expected.iter_mut().for_each(|after| after.multipliers = vec![0; 5]);
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn reports_weigh_what_the_oracle_says(
        diary in vec((0..15u64, prop_oneof![
            2 => Just(Line::Asked),
            3 => (0..3u8, 0..3u8, 0..3u8, 0..3u8).prop_map(|(queries, errors, application, cpu)| {
                let [queries, errors, application, cpu] = [queries, errors, application, cpu].map(f64::from);
                Line::Report(queries, errors, application, cpu)
            }),
        ]), 0..30),
        (blackout, expiration) in (0..20u64, 1..30u64),
        penalty in prop_oneof![Just(1.0), Just(0.0), Just(2.5)],
    ) {
        let config = WeightConfig {
            blackout_ms: blackout,
            expiration_ms: expiration,
            error_utilization_penalty: penalty,
        };
        let mut now = 0;
        let diary: Vec<(u64, Line)> = diary
            .into_iter()
            .map(|(pause, line)| {
                now += pause;
                (now, line)
            })
            .collect();
        let mut weight = EndpointWeight::default();
        let mut got = Vec::new();
        for &(now, line) in &diary {
            match line {
                Line::Asked => got.push(weight.weight(&config, now)),
                Line::Report(rps, eps, application_utilization, cpu_utilization) => {
                    let report = LoadReport { rps, eps, application_utilization, cpu_utilization };
                    weight.handle_report(&config, &report, now);
                }
            }
        }
        prop_assert_eq!(got, reports::weights(reports::Rules { blackout, expiration, penalty }, &diary));
    }

    #[test]
    fn endpoints_take_the_turns_of_the_oracle(
        weights in vec(prop_oneof![3 => 1.0..100.0f64, 1 => Just(0.0), 1 => Just(7.0)], 0..6),
        counter: u32,
    ) {
        let scheduler = StrideScheduler::new(&weights);
        let scaled = reports::scaled(&weights);
        prop_assert_eq!(scheduler.weights(), scaled.as_deref());
        let shared = AtomicU32::new(counter);
        let got: Vec<u32> = (0..20).filter_map(|_| scheduler.pick(&shared)).collect();
        let endpoints = u32::try_from(weights.len()).unwrap_or(0);
        prop_assert_eq!(got, reports::turns(endpoints, scaled.as_deref(), counter, 20));
    }
}
