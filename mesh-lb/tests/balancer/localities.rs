//! Where the turns of localities go on, and where they begin anew.
use std::collections::BTreeMap;

use mesh_lb::assign::Assignment;
use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport};
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest, assigned_health};
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};

use crate::{assignment_with, draws, policy};

/// Two localities, of which the first gets 80 of 100 and may have a host more.
fn weighted(more: bool) -> Assignment {
    let mut hosts = vec![
        ("10.0.0.1".to_owned(), "eu/west/a", 1),
        ("10.0.0.2".to_owned(), "eu/west/a", 1),
        ("10.0.1.1".to_owned(), "eu/west/b", 1),
        ("10.0.1.2".to_owned(), "eu/west/b", 1),
    ];
    hosts.extend(more.then(|| ("10.0.0.3".to_owned(), "eu/west/a", 1)));
    let to = [("eu/west/a".into(), 80), ("eu/west/b".into(), 20)].into_iter().collect();
    let distribute = vec![Distribute { from: "eu/west/a".into(), to }];
    let setting =
        LocalityLbSetting { enabled: Some(true), distribute, ..LocalityLbSetting::default() };
    assignment_with(&hosts, &setting)
}

fn by_weight(algorithm: Algorithm, seed: u64) -> BalancerPolicy {
    let spread = Spread { locality_weighted: true, ..Spread::default() };
    BalancerPolicy { spread, seed, ..policy(algorithm) }
}

/// Picks once more and counts whether that is in the second locality.
fn pick(balancer: &Balancer, now_ms: u64, counts: &mut BTreeMap<bool, u32>) {
    let request = PickRequest { now_ms, ..PickRequest::default() };
    let picked = balancer.pick(&request, || 0);
    let is_second = picked.is_some_and(|pick| pick.host.address().starts_with("10.0.1."));
    *counts.entry(is_second).or_default() += 1;
}

fn check(counts: &BTreeMap<bool, u32>, expected: std::ops::RangeInclusive<u32>) {
    let second = counts.get(&true).copied().unwrap_or(0);
    assert!(expected.contains(&second), "{counts:?}");
}

#[test]
fn no_locality_starves_although_updates_are_as_frequent_as_picks() {
    for seed in [0, 1, 12_345] {
        let policy = by_weight(Algorithm::RoundRobin, seed);
        let mut balancer = Balancer::new(&weighted(false), &policy);
        let mut counts = BTreeMap::new();
        for time in 1..=1000 {
            let hosts = weighted(time % 2 == 1);
            balancer = balancer.update(&hosts, &policy, time, assigned_health);
            pick(&balancer, time, &mut counts);
        }
        check(&counts, 140..=260);
    }
}

#[test]
fn the_same_changes_give_the_same_picks() {
    let policy = by_weight(Algorithm::RoundRobin, 7);
    let played = || {
        let mut balancer = Balancer::new(&weighted(false), &policy);
        let picks = (0..50).map(|time| {
            balancer = balancer.update(&weighted(time % 3 == 1), &policy, time, assigned_health);
            balancer.pick(&PickRequest::default(), || 0).unwrap().host.address().to_owned()
        });
        picks.collect::<Vec<_>>()
    };
    assert_eq!(played(), played());
}

#[test]
fn localities_go_on_in_their_turns_when_hosts_are_weighed() {
    let weights = ClientSideWeights { blackout_ms: 0, ..ClientSideWeights::default() };
    let policy = by_weight(Algorithm::ClientSide(weights), 0);
    let mut balancer = Balancer::new(&weighted(false), &policy);
    let steady = Balancer::new(&weighted(false), &policy);
    let (mut counts, mut expected) = (BTreeMap::new(), BTreeMap::new());
    let mut random = draws(11);
    for time in (1..=1000).map(|second| second * 1000) {
        for host in balancer.hosts() {
            let percent = f64::from(u32::try_from(random() % 80).unwrap());
            let cpu_utilization = 0.1 + percent / 100.0;
            let report = OrcaReport { rps: 100.0, cpu_utilization, ..OrcaReport::default() };
            balancer.handle_report(host, &report, time);
        }
        balancer = balancer.reweighed(time).unwrap();
        pick(&balancer, time, &mut counts);
        pick(&steady, time, &mut expected);
    }
    assert_eq!(counts, expected);
    check(&counts, 199..=201);
}
