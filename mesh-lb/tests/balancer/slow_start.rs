//! When a host is warmed up: as it comes, and each time that a health check brings it back.
use mesh_lb::assign::AssignedEndpoint;
use mesh_lb::health::active::{CheckResult, HealthCheckConfig, HealthSession, Traffic};
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::pick::slow_start::SlowStart;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest, assigned_health};

use crate::{assignment, local, policy};

const WINDOW_MS: u64 = 10_000;
const SECOND: &str = "10.0.0.2";

fn by_turns() -> BalancerPolicy {
    let slow_start = SlowStart { window_ms: WINDOW_MS, ..SlowStart::default() };
    BalancerPolicy { slow_start, ..policy(Algorithm::RoundRobin) }
}

/// A health check has passed the second host.
fn pass(balancer: &Balancer, now_ms: u64) {
    let second = balancer.hosts().filter(|host| host.address().starts_with(SECOND));
    second.for_each(|host| balancer.handle_health_check_pass(host, now_ms));
}

/// The second host has these flags, the others none.
fn with_flags(flags: HealthFlags) -> impl Fn(AssignedEndpoint<'_>) -> HostHealth {
    move |endpoint| {
        let is_second = endpoint.target().address().to_string() == SECOND;
        HostHealth::new(HealthStatus::Healthy, if is_second { flags } else { HealthFlags::NONE })
    }
}

/// How often 1,100 picks at a time find the second of two hosts.
fn check(balancer: &Balancer, now_ms: u64, expected: std::ops::RangeInclusive<usize>) {
    let request = PickRequest { now_ms, ..PickRequest::default() };
    let address = |_| Some(balancer.pick(&request, || 0)?.host.address());
    let found = (0..1100).filter_map(address).filter(|address| address.starts_with(SECOND));
    let found = found.count();
    assert!(expected.contains(&found), "{found}");
}

#[test]
fn a_new_host_is_warmed_up() {
    let old = Balancer::new(&assignment(&local(&[1])), &by_turns());
    let later = 100_000;
    let new = old.update(&assignment(&local(&[1, 1])), &by_turns(), later, assigned_health);
    check(&new, later, 95..=105); // A tenth of the weight: 1 of 11.
    check(&new, later + 2 * WINDOW_MS, 540..=560);
}

#[test]
fn a_host_that_a_health_check_brings_back_is_warmed_up_again() {
    let (hosts, policy) = (assignment(&local(&[1, 1])), by_turns());
    let mut balancer = Balancer::new(&hosts, &policy);
    check(&balancer, 50_000, 540..=560);
    let config = HealthCheckConfig::new(1_000, 5_000, 2, 3);
    let mut session = HealthSession::new(config, HealthFlags::NONE, 50_000, || 0);
    let results = [CheckResult::Failed].into_iter().chain([CheckResult::Success; 3]);
    let mut passes = Vec::new();
    for result in results {
        let now_ms = session.poll_timeout();
        session.handle_timeout(now_ms, Traffic::Seen, || 0);
        let event = session.handle_result(result, now_ms, Traffic::Seen, || 0).unwrap();
        if event.passed {
            pass(&balancer, now_ms);
            passes.push(now_ms);
        }
        balancer = balancer.update(&hosts, &policy, now_ms, with_flags(session.flags()));
        let is_failed = session.flags().contains(HealthFlag::FailedActiveHc);
        check(&balancer, now_ms, if is_failed { 0..=0 } else { 95..=105 });
    }
    // Three passes, the last of which counts.
    let [_, _, last] = passes[..] else { panic!("{passes:?}") };
    check(&balancer, last + WINDOW_MS / 2, 360..=380);
    check(&balancer, last + WINDOW_MS, 540..=560);
}

#[test]
fn nothing_but_a_health_check_warms_a_host_up_again() {
    let (hosts, policy) = (assignment(&local(&[1, 1])), by_turns());
    let balancer = Balancer::new(&hosts, &policy);
    let ejected = HealthFlags::of(&[HealthFlag::FailedOutlierCheck]);
    let without = balancer.update(&hosts, &policy, 50_000, with_flags(ejected));
    check(&without, 50_000, 0..=0);
    let back = without.update(&hosts, &policy, 60_000, with_flags(HealthFlags::NONE));
    check(&back, 60_000, 545..=555);
    // A pass that is told before the host is healthy changes nothing of a degraded one either.
    let degraded = HealthFlags::of(&[HealthFlag::DegradedActiveHc]);
    pass(&back, 70_000);
    let degraded = back.update(&hosts, &policy, 70_000, with_flags(degraded));
    check(&degraded, 70_000, 0..=0);
}

#[test]
fn a_pass_counts_although_the_failure_before_it_was_never_told() {
    for weights in [[1, 1], [2, 2]] {
        let (hosts, policy) = (assignment(&local(&weights)), by_turns());
        let balancer = Balancer::new(&hosts, &policy);
        let balancer = balancer.update(&hosts, &policy, 100_000, assigned_health);
        pass(&balancer, 301_000);
        let warming = balancer.update(&hosts, &policy, 301_000, assigned_health);
        check(&warming, 301_000, 95..=105);
        let same = warming.update(&hosts, &policy, 302_000, assigned_health);
        assert!(same.shares_priority_with(&warming, 0));
    }
    // What does not look at it goes on as it was.
    let cold = policy(Algorithm::RoundRobin);
    let balancer = Balancer::new(&assignment(&local(&[1, 2])), &cold);
    pass(&balancer, 301_000);
    let same = balancer.update(&assignment(&local(&[1, 2])), &cold, 301_000, assigned_health);
    assert!(same.shares_priority_with(&balancer, 0));
}

#[test]
fn the_end_of_time_is_a_time() {
    let (hosts, policy) = (assignment(&local(&[1, 1])), by_turns());
    let balancer = Balancer::new(&hosts, &policy);
    pass(&balancer, u64::MAX);
    let back = balancer.update(&hosts, &policy, u64::MAX, assigned_health);
    check(&back, u64::MAX, 95..=105);
    let old = Balancer::new(&assignment(&local(&[1])), &by_turns());
    let new = old.update(&hosts, &policy, u64::MAX, assigned_health);
    check(&new, u64::MAX, 95..=105);
}
