//! Picks for requests that have failed in other priorities.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::PanicThreshold;
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
use mesh_testkit::oracle::retry as oracle;
use proptest::prelude::*;

use crate::{algorithms, assignment, policy};

/// Three priorities, of one host each.
fn three() -> Vec<(String, &'static str, u32)> {
    let places = ["eu/west/a", "eu/west/b", "us/east/c"];
    let numbered = (0..).zip(places);
    numbered.map(|(n, place): (u32, _)| (format!("10.0.{n}.1"), place, 1)).collect()
}

fn previous(frequency: usize) -> PreviousPriorities {
    PreviousPriorities::new(UpdateFrequency::new(frequency).unwrap())
}

/// The priorities of attempts, each of which fails.
fn check(algorithm: Algorithm, frequency: usize, expected: &[u32]) {
    let balancer = Balancer::new(&assignment(&three()), &policy(algorithm));
    let mut previous = previous(frequency);
    let mut attempts = Vec::new();
    for _ in expected {
        let request = PickRequest { hash: Some(0), ..PickRequest::default() };
        let pick = balancer.pick_elsewhere(&request, &mut previous, 0, || 0, |_| false).unwrap();
        previous.attempt(pick.choice.priority);
        attempts.push(pick.choice.priority);
        assert!(pick.host.address().starts_with(&format!("10.0.{}.", pick.choice.priority)));
    }
    assert_eq!(attempts, expected, "{algorithm:?}");
}

#[test]
fn a_retry_leaves_the_priorities_that_were_tried() {
    for algorithm in algorithms() {
        // On a ring or table a request stays where its hash says.
        let every = if algorithm.is_consistent() { [0; 5] } else { [0, 1, 2, 0, 1] };
        check(algorithm, 1, &every);
        let every_other = if algorithm.is_consistent() { [0; 5] } else { [0, 0, 1, 1, 2] };
        check(algorithm, 2, &every_other);
    }
}

#[test]
fn a_rejected_host_is_looked_for_elsewhere_too() {
    let mut endpoints = three();
    endpoints.push(("10.0.1.2".to_owned(), "eu/west/b", 1));
    let balancer = Balancer::new(&assignment(&endpoints), &policy(Algorithm::RoundRobin));
    let pick = |retries| {
        let mut previous = previous(1);
        previous.attempt(0);
        let rejects = |host: &mesh_lb::Host| host.address() != "10.0.1.2:8080";
        let request = PickRequest::default();
        let pick = balancer.pick_elsewhere(&request, &mut previous, retries, || 0, rejects);
        pick.unwrap().host.address().to_owned()
    };
    assert_eq!([pick(0), pick(1)], ["10.0.1.1:8080", "10.0.1.2:8080"]);
}

#[test]
fn when_all_were_tried_a_rejected_host_is_followed_by_the_original_loads() {
    let mut endpoints = Vec::new();
    for (address, place, _) in three() {
        let address = address.trim_end_matches('1');
        endpoints.extend((1..5).map(|n| (format!("{address}{n}"), place, 1)));
    }
    // A quarter of the first and the last priority is healthy: all are in panic, and share by number;
    // by health, which a retry goes by, the first and the last have half each.
    let health = |endpoint: mesh_lb::assign::AssignedEndpoint<'_>| {
        let address = endpoint.target().address().to_string();
        let is_well = ["10.0.0.1", "10.0.2.1"].contains(&address.as_str());
        let status = if is_well { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        HostHealth::new(status, HealthFlags::NONE)
    };
    let spread = Spread { panic_threshold: PanicThreshold::default(), ..Spread::default() };
    let panicking = BalancerPolicy { spread, ..policy(Algorithm::RoundRobin) };
    let balancer = Balancer::with_health(&assignment(&endpoints), &panicking, 0, health);
    let mut previous = previous(1);
    (0..3).for_each(|priority| previous.attempt(priority));
    let mut tried = Vec::new();
    let rejects = |host: &mesh_lb::Host| {
        tried.push(host.address().to_owned());
        true
    };
    let last = balancer.pick_elsewhere(&PickRequest::default(), &mut previous, 1, || 40, rejects);
    tried.push(last.unwrap().host.address().to_owned());
    assert_eq!(tried, ["10.0.0.1:8080", "10.0.1.1:8080"]);
}

#[test]
fn a_priority_in_panic_is_in_panic_for_a_retry_too() {
    let dead = |_: mesh_lb::assign::AssignedEndpoint<'_>| {
        HostHealth::new(HealthStatus::Unhealthy, HealthFlags::NONE)
    };
    let spread = Spread { panic_threshold: PanicThreshold::default(), ..Spread::default() };
    let panicking = BalancerPolicy { spread, ..policy(Algorithm::RoundRobin) };
    let balancer = Balancer::with_health(&assignment(&three()), &panicking, 0, dead);
    let mut previous = previous(1);
    previous.attempt(0);
    let request = PickRequest::default();
    // Nobody has health: the original loads stand, of total panic.
    let pick = balancer.pick_elsewhere(&request, &mut previous, 0, || 0, |_| false).unwrap();
    assert!(pick.panic);
    assert_eq!(pick.choice.priority, 0);
}

#[test]
fn a_warm_retry_allocates_nothing_more_than_what_it_remembers() {
    let balancer = Balancer::new(&assignment(&three()), &policy(Algorithm::RoundRobin));
    let mut previous = previous(1);
    let request = PickRequest::default();
    let mut attempt = || {
        let pick = balancer.pick_elsewhere(&request, &mut previous, 1, || 0, |_| false).unwrap();
        previous.attempt(pick.choice.priority);
    };
    (0..20).for_each(|_| attempt());
    let info = allocation_counter::measure(|| (0..20).for_each(|_| attempt()));
    assert_eq!(info.count_total, 0);
}

/// Healthy, degraded and ill hosts of a priority.
fn level() -> impl Strategy<Value = [u32; 3]> {
    (0..3_u32, 0..2_u32, 0..3_u32).prop_map(|(healthy, degraded, ill)| [healthy, degraded, ill])
}

proptest! {
    /// Each attempt goes where the loads of the oracle say.
    #[test]
    fn attempts_go_where_the_oracle_says(
        levels in proptest::collection::vec(level(), 3),
        frequency in 1..4_usize,
        draws in proptest::collection::vec(any::<u64>(), 1..8),
    ) {
        let places = ["eu/west/a", "eu/west/b", "us/east/c"];
        let kinds = (0..).zip(places).zip(&levels).flat_map(|((level, place), counts)| {
            let kinds = (0..3_u32).zip(counts).flat_map(|(kind, n)| (0..*n).map(move |at| (kind, at)));
            kinds.map(move |(kind, at)| (format!("10.{kind}.{level}.{at}"), place, 1))
        });
        let endpoints: Vec<(String, &str, u32)> = kinds.collect();
        let health = |endpoint: mesh_lb::assign::AssignedEndpoint<'_>| {
            let address = endpoint.target().address().to_string();
            let flags: &[HealthFlag] = match address.as_bytes().get(3) {
                Some(b'0') => &[],
                Some(b'1') => &[HealthFlag::DegradedActiveHc],
                _ => &[HealthFlag::FailedActiveHc],
            };
            HostHealth::new(HealthStatus::Healthy, HealthFlags::of(flags))
        };
        let random = policy(Algorithm::Random);
        let balancer = Balancer::with_health(&assignment(&endpoints), &random, 0, health);
        let own = balancer.load().levels();
        let parts: Vec<(u32, u32)> =
            own.iter().map(|level| (level.health.get(), level.degraded_health.get())).collect();
        let original: Vec<(u32, u32)> =
            own.iter().map(|level| (level.healthy_load.get(), level.degraded_load.get())).collect();
        let (mut previous, mut attempts) = (previous(frequency), Vec::new());
        for draw in draws {
            let request = PickRequest::default();
            let told =
                oracle::previous_priorities(&parts, &original, frequency, &attempts).pop();
            let loads = told.unwrap_or_else(|| original.clone());
            let healthy = (0..).zip(&loads).map(|(at, load)| (at, load.0, false));
            let degraded = (0..).zip(&loads).map(|(at, load)| (at, load.1, true));
            let hundredths: Vec<(u32, bool)> = healthy
                .chain(degraded)
                .flat_map(|(at, load, is_degraded)| (0..load).map(move |_| (at, is_degraded)))
                .collect();
            let expected = hundredths.get((draw % 100) as usize).copied();
            let pick = balancer.pick_elsewhere(&request, &mut previous, 0, || draw, |_| false);
            let got = pick.map(|pick| {
                let is_degraded =
                    pick.choice.availability == mesh_lb::load::Availability::Degraded;
                (pick.choice.priority, is_degraded)
            });
            let Some(got) = got else { break };
            prop_assert_eq!(Some(got), expected);
            previous.attempt(got.0);
            attempts.push(got.0 as usize);
        }
    }
}
