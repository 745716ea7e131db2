//! Where lists have got to in their turns, over updates that make them come and go.
use std::collections::BTreeMap;

use mesh_lb::assign::{AssignedEndpoint, Assignment};
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::{Availability, PanicThreshold};
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};
use mesh_testkit::oracle;
use proptest::prelude::*;

use crate::{assignment, assignment_with, local, policy};

fn by_turns(spread: Spread) -> BalancerPolicy {
    BalancerPolicy { spread, ..policy(Algorithm::RoundRobin) }
}

/// As Envoy is without Istio: a priority of which less than half is healthy may panic.
fn panicking() -> BalancerPolicy {
    by_turns(Spread { panic_threshold: PanicThreshold::default(), ..Spread::default() })
}

/// A priority of these weights, and one of two hosts below it.
fn two_priorities(weights: &[u32]) -> Assignment {
    let mut endpoints = local(weights);
    endpoints.extend([1, 2].map(|n| (format!("10.0.1.{n}"), "us/east/b", 1)));
    assignment(&endpoints)
}

/// Health by address: the named ones are ill.
fn sick(names: &[&str]) -> impl Fn(AssignedEndpoint<'_>) -> HostHealth {
    move |endpoint| {
        let is_sick = names.contains(&&*endpoint.target().address().to_string());
        let status = if is_sick { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
        HostHealth::new(status, HealthFlags::NONE)
    }
}

/// The addresses of so many picks of the first priority, the ports left out.
fn check(balancer: &Balancer, expected: &[&str]) {
    let pick = |_| {
        let pick = balancer.pick(&PickRequest::default(), || 0)?;
        Some(pick.host.address().trim_end_matches(":8080"))
    };
    let picks: Vec<_> = (0..expected.len()).map(pick).collect();
    assert_eq!(picks, expected.iter().copied().map(Some).collect::<Vec<_>>());
}

const ILL: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const ALL_BELOW_ILL: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1", "10.0.1.2"];

#[test]
fn turns_go_on_where_they_were_before_a_panic_and_in_the_last_one() {
    let (assignment, policy) = (two_priorities(&[1; 5]), panicking());
    let calm = Balancer::with_health(&assignment, &policy, 0, sick(&ILL));
    check(&calm, &["10.0.0.4"]);
    let panic = calm.update(&assignment, &policy, 0, sick(&ALL_BELOW_ILL));
    assert!(panic.load().is_total_panic() && !calm.load().levels()[0].panic);
    check(&panic, &["10.0.0.1", "10.0.0.2"]);
    let calm = panic.update(&assignment, &policy, 0, sick(&ILL));
    check(&calm, &["10.0.0.5"]);
    // The hosts themselves may change meanwhile, too.
    let panic = calm.update(&two_priorities(&[1; 6]), &policy, 0, sick(&ALL_BELOW_ILL));
    assert!(!panic.load().levels()[0].panic);
    check(&panic, &["10.0.0.6"]);
    let panic = panic.update(&assignment, &policy, 0, sick(&ALL_BELOW_ILL));
    check(&panic, &["10.0.0.3", "10.0.0.4"]);
}

#[test]
fn a_panic_that_another_priority_brings_leaves_turns_by_weight_alone() {
    let (assignment, policy) = (two_priorities(&[1, 2, 3, 4, 5]), panicking());
    let address = |place: usize| format!("10.0.0.{}", place + 1);
    let schedule = |weights: &[f64]| oracle::pick::earliest_deadline_first(weights, 0, 6);
    let of_healthy: Vec<_> = schedule(&[4.0, 5.0]).into_iter().map(|n| address(n + 3)).collect();
    let of_all: Vec<_> = schedule(&[1.0, 2.0, 3.0, 4.0, 5.0]).into_iter().map(address).collect();
    let part = |of: &[String], from: usize, balancer: &Balancer| {
        check(balancer, &of[from..from + 2].iter().map(String::as_str).collect::<Vec<_>>());
    };
    let mut balancer = Balancer::with_health(&assignment, &policy, 0, sick(&ILL));
    let first = balancer.update(&assignment, &policy, 0, sick(&ILL));
    for turn in [0, 2, 4] {
        part(&of_healthy, turn, &balancer);
        let panic = balancer.update(&assignment, &policy, 0, sick(&ALL_BELOW_ILL));
        assert!(panic.shares_priority_with(&first, 0) && !panic.shares_priority_with(&first, 1));
        part(&of_all, turn, &panic);
        balancer = panic.update(&assignment, &policy, 0, sick(&ILL));
    }
}

#[test]
fn turns_by_weight_begin_anew_when_their_priority_changes() {
    let (assignment, policy) = (two_priorities(&[1, 2]), panicking());
    let balancer = Balancer::new(&assignment, &policy);
    check(&balancer, &["10.0.0.2", "10.0.0.1"]);
    let changed = balancer.update(&two_priorities(&[1, 2, 1]), &policy, 0, sick(&[]));
    let same = changed.update(&assignment, &policy, 0, sick(&[]));
    check(&same, &["10.0.0.2", "10.0.0.1", "10.0.0.2"]);
}

#[test]
fn turns_of_a_locality_outlast_a_time_without_weights() {
    let endpoints: Vec<_> = (1..)
        .zip(["eu/west/a", "eu/west/a", "eu/west/a", "eu/west/b", "eu/west/b"])
        .map(|(n, place): (u32, _)| (format!("10.0.0.{n}"), place, 1))
        .collect();
    let to = [("eu/west/a".into(), 100)].into_iter().collect();
    let distribute = vec![Distribute { from: "eu/west/a".into(), to }];
    let setting =
        LocalityLbSetting { enabled: Some(true), distribute, ..LocalityLbSetting::default() };
    let weighted = assignment_with(&endpoints, &setting);
    let policy = by_turns(Spread { locality_weighted: true, ..Spread::default() });

    let balancer = Balancer::new(&weighted, &policy);
    check(&balancer, &["10.0.0.1", "10.0.0.2"]);
    // Without a healthy host there is no scheduler, and without weights neither.
    let nobody = balancer.update(&weighted, &policy, 0, sick(&ILL));
    assert!(nobody.pick(&PickRequest::default(), || 0).is_none());
    let back = nobody.update(&weighted, &policy, 0, sick(&[]));
    check(&back, &["10.0.0.3", "10.0.0.1"]);
    let unweighted = back.update(&weighted, &by_turns(Spread::default()), 0, sick(&[]));
    check(&unweighted, &["10.0.0.1"]);
    let back = unweighted.update(&weighted, &policy, 0, sick(&[]));
    check(&back, &["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn turns_outlast_a_time_without_endpoints_and_one_without_their_priority() {
    let (assignment, policy) = (two_priorities(&[1; 3]), panicking());
    let balancer = Balancer::new(&assignment, &policy);
    check(&balancer, &["10.0.0.1", "10.0.0.2"]);
    let below = |balancer: &Balancer| {
        let sick = balancer.update(&assignment, &policy, 0, sick(&ILL));
        sick.pick(&PickRequest::default(), || 0).unwrap().host.address().to_owned()
    };
    assert_eq!(below(&balancer), "10.0.1.1:8080");
    let nobody = balancer.update(&Assignment::default(), &policy, 0, sick(&[]));
    assert!(nobody.pick(&PickRequest::default(), || 0).is_none());
    let one = nobody.update(&crate::assignment(&local(&[1; 3])), &policy, 0, sick(&[]));
    check(&one, &["10.0.0.3", "10.0.0.1"]);
    assert_eq!(below(&one), "10.0.1.2:8080");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A number for each place of a list, counted up at each pick from it, says who is picked, whatever
    /// happens meanwhile.
    #[test]
    fn turns_are_counted_by_the_place_of_their_list(
        seed in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        steps in proptest::collection::vec(
            (1..5_usize, proptest::collection::vec(any::<bool>(), 7), any::<bool>(), 0..100_u64),
            1..12,
        ),
    ) {
        let policy = BalancerPolicy { seed, ..panicking() };
        let mut turns: BTreeMap<(u32, Option<Availability>), u64> = BTreeMap::new();
        let mut balancer = Balancer::new(&Assignment::default(), &policy);
        for (here, sick, are_both, draw) in steps {
            let mut hosts = local(&vec![1; here]);
            let below = (1..3_u32).map(|n| (format!("10.0.1.{n}"), "us/east/b", 1));
            hosts.extend(below.take(if are_both { 2 } else { 0 }));
            let ill: Vec<String> =
                hosts.iter().zip(sick).filter(|(_, sick)| *sick).map(|(h, _)| h.0.clone()).collect();
            let ill: Vec<&str> = ill.iter().map(String::as_str).collect();
            balancer = balancer.update(&assignment(&hosts), &policy, 0, super::places::sick(&ill));
            for draw in [draw, draw + 31, draw + 62] {
                let Some(pick) = balancer.pick(&PickRequest::default(), || draw) else { continue };
                let priority = pick.choice.priority;
                let availability = (!pick.panic).then_some(pick.choice.availability);
                let turn = turns.entry((priority, availability)).or_insert(seed);
                let place = if priority == 0 { "10.0.0." } else { "10.0.1." };
                let fit = hosts.iter().map(|host| &*host.0).filter(|address| {
                    address.starts_with(place) && (pick.panic || !ill.contains(address))
                });
                let fit: Vec<&str> = fit.collect();
                let expected = fit[usize::try_from(*turn % fit.len() as u64).unwrap()];
                prop_assert_eq!(pick.host.address(), format!("{expected}:8080"));
                *turn = turn.wrapping_add(1);
            }
        }
    }
}

/// What checks find of hosts, by address.
fn failing(names: &'static [&'static str]) -> impl Fn(AssignedEndpoint<'_>) -> HostHealth {
    move |endpoint| {
        let is_failing = names.contains(&&*endpoint.target().address().to_string());
        let flags: &[HealthFlag] = if is_failing { &[HealthFlag::FailedOutlierCheck] } else { &[] };
        HostHealth::new(HealthStatus::Healthy, HealthFlags::of(flags))
    }
}

#[test]
fn what_checks_find_of_a_host_begins_turns_by_weight_anew_everywhere() {
    let mut endpoints = local(&[1, 2]);
    endpoints.push(("10.0.1.1".to_owned(), "us/east/b", 1));
    let assignment = assignment(&endpoints);
    let policy = by_turns(Spread::default());
    // By turns: 2, 1, 2 and again.
    let begun = || {
        let balancer = Balancer::with_health(&assignment, &policy, 0, failing(&[]));
        check(&balancer, &["10.0.0.2"]);
        balancer
    };
    let below = &["10.0.1.1"];
    check(&begun().update(&assignment, &policy, 0, failing(below)), &["10.0.0.2", "10.0.0.1"]);
    // What EDS tells of another priority is no change of this one.
    check(&begun().update(&assignment, &policy, 0, sick(below)), &["10.0.0.1", "10.0.0.2"]);
    let ejected = begun().update(&assignment, &policy, 0, failing(below));
    check(&ejected, &["10.0.0.2"]);
    // Nor is what was found before.
    check(&ejected.update(&assignment, &policy, 0, failing(below)), &["10.0.0.1", "10.0.0.2"]);
    let back = ejected.update(&assignment, &policy, 0, failing(&[]));
    check(&back, &["10.0.0.2", "10.0.0.1"]);
    // A ring or table is not built again.
    let maglev = Algorithm::Maglev { size: TableSize::default(), bound: None };
    let maglev = BalancerPolicy { algorithm: maglev, ..policy.clone() };
    let before = Balancer::with_health(&assignment, &maglev, 0, failing(&[]));
    let after = before.update(&assignment, &maglev, 0, failing(below));
    assert!(after.shares_priority_with(&before, 0) && !after.shares_priority_with(&before, 1));
}
