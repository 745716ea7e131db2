//! Client-side weights: what hosts report, when it counts, and that turns follow.
use mesh_lb::assign::AssignedEndpoint;
use mesh_lb::health::status::{HealthFlags, HealthStatus, HostHealth};
use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport};
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest, assigned_health};
use mesh_model::name::Duration;
use mesh_model::resource::destination_rule::BackendUtilizationLb;
use mesh_testkit::oracle;
use proptest::prelude::*;

use super::{assignment, local};

fn by_reports(weights: ClientSideWeights) -> BalancerPolicy {
    BalancerPolicy { algorithm: Algorithm::ClientSide(weights), ..BalancerPolicy::default() }
}

/// Reports of each host that is named, by which it weighs so much.
fn report(balancer: &Balancer, now_ms: u64, weights: &[(&str, f64)]) {
    for (address, weight) in weights {
        let address = format!("10.0.0.{address}:8080");
        let report = OrcaReport { rps: *weight, cpu_utilization: 1.0, ..OrcaReport::default() };
        for host in balancer.hosts().filter(|host| host.address() == address) {
            balancer.handle_report(host, &report, now_ms);
        }
    }
}

fn check(balancer: &Balancer, weights: &[u32]) {
    assert_eq!(balancer.hosts().map(mesh_lb::Host::weight).collect::<Vec<_>>(), weights);
}

#[test]
fn hosts_weigh_what_they_report_from_the_end_of_the_blackout_until_it_expires() {
    let policy = by_reports(ClientSideWeights::default());
    let configured = Balancer::new(&assignment(&local(&[5, 6, 7])), &policy);
    check(&configured, &[5, 6, 7]);
    let silent = configured.reweighed(1_000).unwrap();
    check(&silent, &[1, 1, 1]);

    report(&silent, 2_000, &[("1", 10.0), ("2", 30.0)]);
    assert!(silent.reweighed(11_999).is_none());
    let weighed = silent.reweighed(12_000).unwrap();
    check(&weighed, &[10, 30, 20]); // The median of those that are known.
    assert!(weighed.reweighed(12_000).is_none());
    check(&silent, &[1, 1, 1]);

    let expired = weighed.reweighed(182_001).unwrap();
    check(&expired, &[1, 1, 1]);
}

#[test]
fn reports_outlive_an_update_and_are_taken_up_by_it() {
    let policy = by_reports(ClientSideWeights::default());
    let before = Balancer::new(&assignment(&local(&[1, 1])), &policy);
    report(&before, 0, &[("1", 8.0), ("2", 4.0)]);
    let mut endpoints = local(&[1, 1]);
    endpoints.insert(0, ("10.0.0.9".to_owned(), "eu/west/a", 100));
    let after = before.update(&assignment(&endpoints), &policy, 10_000, assigned_health);
    check(&after, &[6, 8, 4]);
    // A request that began before may still report.
    let old = before.hosts().next().unwrap();
    let report = OrcaReport { rps: 12.0, cpu_utilization: 1.0, ..OrcaReport::default() };
    after.handle_report(old, &report, 11_000);
    check(&after.reweighed(11_000).unwrap(), &[8, 12, 4]);
}

#[test]
fn an_update_that_changes_nothing_builds_nothing() {
    let policy = by_reports(ClientSideWeights::default());
    let assignment = assignment(&local(&[3, 4]));
    let configured = Balancer::new(&assignment, &policy);
    let before = configured.update(&assignment, &policy, 0, assigned_health);
    check(&before, &[1, 1]);
    let same = before.update(&assignment, &policy, 1, assigned_health);
    assert!(same.shares_priority_with(&before, 0));
}

#[test]
fn only_client_side_weights_listen_to_reports() {
    let by_turns = BalancerPolicy { algorithm: Algorithm::RoundRobin, ..BalancerPolicy::default() };
    let weights = ClientSideWeights { blackout_ms: 0, ..ClientSideWeights::default() };
    let assignment = assignment(&local(&[2, 3]));
    let deaf = Balancer::new(&assignment, &by_turns);
    report(&deaf, 0, &[("1", 9.0)]);
    assert!(deaf.reweighed(u64::MAX).is_none());
    let hearing = deaf.update(&assignment, &by_reports(weights), 0, assigned_health);
    check(&hearing, &[1, 1]);
}

#[test]
fn one_priority_weighs_apart_from_another_and_both_begin_anew() {
    let mut endpoints = local(&[1, 1]);
    endpoints
        .extend([("10.0.0.8".to_owned(), "us/east/b", 1), ("10.0.0.9".into(), "us/east/b", 1)]);
    let weights = ClientSideWeights { blackout_ms: 0, ..ClientSideWeights::default() };
    let before = Balancer::new(&assignment(&endpoints), &by_reports(weights));
    report(&before, 0, &[("9", 7.0)]);
    let after = before.reweighed(0).unwrap();
    check(&after, &[1, 1, 7, 7]);
    assert!((0..2).all(|priority| !after.shares_priority_with(&before, priority)));
}

#[test]
fn a_report_that_makes_no_sense_is_no_report() {
    let weights = ClientSideWeights {
        blackout_ms: 0,
        expiration_ms: u64::MAX,
        error_utilization_penalty: f64::NAN,
        ..ClientSideWeights::default()
    };
    let balancer = Balancer::new(&assignment(&local(&[1, 1])), &by_reports(weights));
    report(&balancer, 0, &[("1", 5.0)]); // The penalty is no number, so no weight is either.
    assert!(balancer.reweighed(u64::MAX).is_none());
    let negative = ClientSideWeights { error_utilization_penalty: -9.0, ..weights };
    let balancer = Balancer::new(&assignment(&local(&[1, 1])), &by_reports(negative));
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0] {
        let host = balancer.hosts().next().unwrap();
        for report in [
            OrcaReport { rps: 1.0, eps: odd, cpu_utilization: odd, ..OrcaReport::default() },
            OrcaReport { rps: odd, eps: -1.0, cpu_utilization: 1.0, ..OrcaReport::default() },
        ] {
            balancer.handle_report(host, &report, u64::MAX);
        }
    }
    let weighed = balancer.reweighed(0).unwrap_or(balancer);
    assert!(weighed.hosts().all(|host| host.weight() >= 1));
    assert!(weighed.pick(&PickRequest::default(), || 0).is_some());
}

#[test]
fn reports_allocate_nothing() {
    let policy = by_reports(ClientSideWeights::default());
    let balancer = Balancer::new(&assignment(&local(&[1])), &policy);
    let (host, report) = (balancer.hosts().next().unwrap(), OrcaReport::default());
    let info = allocation_counter::measure(|| {
        balancer.handle_report(host, &OrcaReport { rps: 1.0, cpu_utilization: 1.0, ..report }, 7);
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_traffic_policy_may_ask_for_weights_by_load() {
    let settings = BackendUtilizationLb {
        weight_stabilization_period: Some(Duration::from_secs(5)),
        weight_update_period: Some(Duration::from_millis(1)),
        weight_expiration_period: Some(Duration::from_secs(-1)),
        error_utilization_penalty_percent: 150,
        ..BackendUtilizationLb::default()
    };
    let weights = ClientSideWeights::from(&settings);
    let [blackout, expiration] = [weights.blackout_ms, weights.expiration_ms];
    assert_eq!([blackout, expiration, weights.period_ms()], [5_000, 0, 100]);
    assert_eq!(weights.error_utilization_penalty.to_bits(), 1.5_f64.to_bits());
    let unset = ClientSideWeights::from(&BackendUtilizationLb::default());
    assert_eq!(unset, ClientSideWeights { error_utilization_penalty: 0.0, ..Default::default() });
}

/// When, queries, errors and load of a report.
type Told = (u64, u32, u32, u32);

/// What each host tells, and when the balancer is weighed anew.
fn reports() -> impl Strategy<Value = (Vec<Vec<Told>>, Vec<u64>)> {
    let told = (0..40u64, 0..100u32, 0..4u32, 0..4u32);
    let hosts = proptest::collection::vec(proptest::collection::vec(told, 0..8), 1..6);
    (hosts, proptest::collection::vec(0..60u64, 1..6)).prop_map(|(mut hosts, mut asked)| {
        hosts.iter_mut().for_each(|reports| reports.sort_by_key(|report| report.0));
        asked.sort_unstable();
        (hosts, asked)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// From reports to picks: the oracle's weights, and the oracle's turns by them.
    #[test]
    fn turns_follow_the_reports_as_by_the_oracle(
        (hosts, asked) in reports(),
        (blackout_ms, expiration_ms) in (0..20u64, 0..20u64),
        seed in 0..1_000u64,
        updates: bool,
    ) {
        let penalty = 1.0;
        let weights = ClientSideWeights { blackout_ms, expiration_ms, ..Default::default() };
        let policy = BalancerPolicy { seed, ..by_reports(weights) };
        let assignment = assignment(&local(&vec![1; hosts.len()]));
        let mut balancer = Balancer::new(&assignment, &policy);
        let numbers: Vec<oracle::pick::Reports> = hosts
            .iter()
            .map(|reports| {
                let told = |&(then, rps, eps, busy): &Told| (then, rps.into(), eps.into(), busy.into());
                reports.iter().map(told).collect()
            })
            .collect();
        let periods = (blackout_ms, expiration_ms);
        let expected = oracle::pick::reported_weights(&numbers, &asked, periods, penalty);
        let (mut turn, mut before) = (seed, None);
        for (&now, expected) in asked.iter().zip(&expected) {
            for (host, reports) in balancer.hosts().zip(&numbers) {
                let is_new = |then: u64| then <= now && before.is_none_or(|before| then > before);
                for &(then, rps, eps, cpu_utilization) in reports.iter().filter(|one| is_new(one.0)) {
                    let report = OrcaReport { rps, eps, cpu_utilization, ..OrcaReport::default() };
                    balancer.handle_report(host, &report, then);
                }
            }
            before = Some(now);
            let weighed = if updates {
                let weighed = balancer.update(&assignment, &policy, now, assigned_health);
                (!weighed.shares_priority_with(&balancer, 0)).then_some(weighed)
            } else {
                balancer.reweighed(now)
            };
            let Some(weighed) = weighed else {
                prop_assert!(balancer.hosts().map(mesh_lb::Host::weight).eq(expected.iter().copied()));
                continue;
            };
            balancer = weighed;
            let picks: Vec<usize> = (0..20)
                .map(|_| {
                    let pick = balancer.pick(&PickRequest::default(), || 0).unwrap();
                    balancer.hosts().position(|host| std::ptr::eq(host, pick.host)).unwrap()
                })
                .collect();
            let doubles: Vec<f64> = expected.iter().copied().map(f64::from).collect();
            let wanted = if doubles.iter().all(|weight| *weight == doubles[0]) {
                // Equals take turns from where equals have got to.
                turn += 20;
                (turn - 20..turn).map(|turn| usize::try_from(turn).unwrap() % hosts.len()).collect()
            } else {
                oracle::pick::earliest_deadline_first(&doubles, seed, 20)
            };
            prop_assert_eq!(picks, wanted);
        }
    }
}

#[test]
fn loads_stay_until_the_next_update_although_health_goes_by_weight() {
    let mut endpoints = local(&[1, 1]);
    endpoints.push(("10.0.1.1".to_owned(), "us/east/b", 1));
    let hosts = assignment(&endpoints);
    let spread = Spread { weighted_priority_health: true, ..Spread::default() };
    let policy = BalancerPolicy { spread, ..by_reports(ClientSideWeights::default()) };
    let health = |endpoint: AssignedEndpoint<'_>| {
        let is_second = endpoint.target().address().to_string() == "10.0.0.2";
        let status = if is_second { HealthStatus::Unhealthy } else { HealthStatus::Healthy };
        HostHealth::new(status, HealthFlags::NONE)
    };
    let loads = |balancer: &Balancer| {
        let levels = balancer.load().levels().iter();
        levels.map(|level| level.healthy_load.get()).collect::<Vec<_>>()
    };
    let balancer = Balancer::with_health(&hosts, &policy, 0, health);
    report(&balancer, 0, &[("1", 10.0), ("2", 90.0)]);
    assert_eq!(loads(&balancer), [70, 30]);
    let weighed = balancer.reweighed(10_000).unwrap();
    assert_eq!(loads(&weighed), [70, 30]);
    assert_eq!(loads(&weighed.update(&hosts, &policy, 10_000, health)), [14, 86]);
}
