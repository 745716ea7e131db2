//! Laws of the load of priorities, and its agreement with the oracle.
use mesh_lb::load::{
    Availability, DataPlane, HostWeights, LevelHosts, LevelLoad, Overprovisioning, PanicThreshold,
    Percent, PriorityLoad, explain,
};
use mesh_testkit::oracle::load as oracle;
use proptest::prelude::*;

/// Hosts by kind, of which excluded ones may be healthy too.
fn counts() -> impl Strategy<Value = [u32; 4]> {
    let size = prop_oneof![Just(0u32), Just(1), 2..8u32, 90..110u32, 1000..100_000u32];
    (size, 0.0..=1.0f64, 0.0..=1.0f64, prop_oneof![2 => Just(0.0), 1 => 0.0..=1.0f64]).prop_map(
        |(total, healthy, degraded, excluded)| {
            let part = |of: u32, share: f64| {
                (0..=of).rev().find(|&n| f64::from(n) <= f64::from(of) * share).unwrap_or(0)
            };
            let healthy = part(total, healthy);
            [total, healthy, part(total - healthy, degraded), part(total, excluded)]
        },
    )
}

fn level() -> impl Strategy<Value = LevelHosts> {
    let factor = prop_oneof![3 => Just(140u32), 1 => 1..300u32, 1 => Just(u32::MAX)];
    let weights = prop_oneof![3 => Just(None), 1 => counts().prop_map(Some)];
    (counts(), factor, weights).prop_map(
        |([total, healthy, degraded, excluded], factor, weights)| LevelHosts {
            total,
            healthy,
            degraded,
            excluded,
            overprovisioning: Overprovisioning::new(factor).unwrap_or_default(),
            weights: weights.map(|[total, healthy, degraded, excluded]| HostWeights {
                total: total.into(),
                healthy: healthy.into(),
                degraded: degraded.into(),
                excluded: excluded.into(),
            }),
        },
    )
}

fn levels() -> impl Strategy<Value = Vec<LevelHosts>> {
    proptest::collection::vec(level(), 0..9)
}

fn threshold() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0u32), Just(50), Just(100), 0..130u32]
}

fn spilled(plane: DataPlane, hosts: &[LevelHosts], threshold: u32) -> PriorityLoad {
    let mut load = PriorityLoad::default();
    load.spill(plane, hosts, PanicThreshold::new(threshold));
    load
}

fn sum(load: &PriorityLoad) -> u32 {
    load.levels().iter().map(|level| level.healthy_load.get() + level.degraded_load.get()).sum()
}

fn column(load: &PriorityLoad, of: fn(&LevelLoad) -> Percent) -> Vec<u128> {
    load.levels().iter().map(|level| of(level).get().into()).collect()
}

fn as_oracle(hosts: &LevelHosts) -> oracle::Level {
    oracle::Level {
        factor: hosts.overprovisioning.get().into(),
        hosts: [hosts.total, hosts.healthy, hosts.degraded, hosts.excluded],
        weights: hosts
            .weights
            .map(|w| [w.total, w.healthy, w.degraded, w.excluded].map(Into::into)),
    }
}

proptest! {
    /// Traffic is neither lost nor invented, unless truncation hides all health.
    #[test]
    fn envoy_loads_sum_to_one_hundred(hosts in levels(), threshold in threshold()) {
        let load = spilled(DataPlane::Envoy, &hosts, threshold);
        let hidden = load.normalized_total_availability() == Percent::NONE
            && threshold > 0
            && !load.is_total_panic();
        let expected = if hosts.is_empty() || hidden { 0 } else { 100 };
        prop_assert_eq!(sum(&load), expected);
    }

    #[test]
    fn whole_priority_loads_are_all_or_nothing(hosts in levels(), threshold in threshold()) {
        let grpc = spilled(DataPlane::Grpc, &hosts, threshold);
        prop_assert_eq!(sum(&grpc), if hosts.is_empty() { 0 } else { 100 });
        let ztunnel = spilled(DataPlane::Ztunnel, &hosts, threshold);
        let alive = hosts.iter().any(|level| level.healthy > 0);
        prop_assert_eq!(sum(&ztunnel), if alive { 100 } else { 0 });
    }

    #[test]
    fn agrees_with_the_oracle(hosts in levels(), threshold in threshold()) {
        let load = spilled(DataPlane::Envoy, &hosts, threshold);
        let expected = oracle::spill(&hosts.iter().map(as_oracle).collect::<Vec<_>>(), threshold.into());
        prop_assert_eq!(column(&load, |level| level.health), expected.health);
        prop_assert_eq!(column(&load, |level| level.degraded_health), expected.degraded_health);
        prop_assert_eq!(column(&load, |level| level.healthy_load), expected.healthy_load);
        prop_assert_eq!(column(&load, |level| level.degraded_load), expected.degraded_load);
        let panic: Vec<bool> = load.levels().iter().map(|level| level.panic).collect();
        prop_assert_eq!(panic, expected.panic);
    }

    #[test]
    fn every_hash_lands_where_the_oracle_says(hosts in levels(), threshold in threshold(), hash: u64) {
        let load = spilled(DataPlane::Envoy, &hosts, threshold);
        let choice = load.choose(hash);
        let expected = oracle::choose(
            hash,
            &column(&load, |level| level.healthy_load),
            &column(&load, |level| level.degraded_load),
        );
        let got = (usize::try_from(choice.priority).unwrap(), choice.availability == Availability::Degraded);
        prop_assert_eq!(got, expected);
    }

    /// What a used value computes does not depend on what it computed before.
    #[test]
    fn a_reused_value_forgets_the_past(before in levels(), hosts in levels(), threshold in threshold()) {
        let mut load = spilled(DataPlane::Envoy, &before, threshold);
        load.spill(DataPlane::Envoy, &hosts, PanicThreshold::new(threshold));
        prop_assert_eq!(load, spilled(DataPlane::Envoy, &hosts, threshold));
    }

    /// A host that recovers never takes healthy capacity away from its own priority.
    #[test]
    fn more_healthy_hosts_never_mean_less_health(hosts in level(), more in 1..5u32) {
        let better = LevelHosts { healthy: hosts.healthy.saturating_add(more), ..hosts };
        let health = |hosts| spilled(DataPlane::Envoy, &[hosts], 0).levels()[0].health;
        prop_assert!(health(better) >= health(hosts));
    }

    #[test]
    fn an_explanation_always_exists(hosts in proptest::collection::vec(level(), 1..9), threshold in threshold()) {
        for plane in [DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel] {
            let load = spilled(plane, &hosts, threshold);
            prop_assert!(!explain(plane, &hosts, PanicThreshold::new(threshold), &load).is_empty());
        }
    }

    /// Who follows the steps comes to the loads.
    #[test]
    fn the_steps_of_an_explanation_come_to_the_loads(hosts in levels(), threshold in threshold()) {
        let load = spilled(DataPlane::Envoy, &hosts, threshold);
        let steps = explain(DataPlane::Envoy, &hosts, PanicThreshold::new(threshold), &load);
        let loads: Vec<(u32, u32)> =
            load.levels().iter().map(|l| (l.healthy_load.get(), l.degraded_load.get())).collect();
        prop_assert_eq!(followed(&steps, hosts.len()), loads, "{:#?}", steps);
    }
}

/// Healthy and degraded load of each priority, as the steps say.
fn followed(steps: &[String], priorities: usize) -> Vec<(u32, u32)> {
    let mut loads = vec![(0, 0); priorities];
    for step in steps {
        if step.starts_with("every priority panics") {
            loads.fill((0, 0));
        }
        if step.contains("priority 0 gets 100") {
            loads.iter_mut().take(1).for_each(|load| load.0 = 100);
        }
        let Some((number, what)) = step.strip_prefix("priority ").and_then(|s| s.split_once(": "))
        else {
            continue;
        };
        let Some(load) = number.parse().ok().and_then(|at: usize| loads.get_mut(at)) else {
            continue;
        };
        let result = |what: &str| -> u32 {
            let sum = what.split(", leaves ").next().and_then(|sum| sum.rsplit("= ").next());
            sum.and_then(|sum| sum.parse().ok()).unwrap_or(u32::MAX)
        };
        let rest = |what: &str| what.split(' ').nth(2).and_then(|rest| rest.parse::<u32>().ok());
        if what.starts_with("load = ") {
            load.0 = result(what);
        } else if what.starts_with("degraded load = ") {
            load.1 = result(what);
        } else if what.ends_with(", as degraded load") {
            load.1 += rest(what).unwrap_or(u32::MAX);
        } else if what.ends_with(", as load") {
            load.0 += rest(what).unwrap_or(u32::MAX);
        }
    }
    loads
}

#[test]
fn a_warm_spill_does_not_allocate() {
    let hosts = [25, 25, 20, 10, 5].map(|healthy| LevelHosts::healthy_of(healthy, 100));
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &hosts, PanicThreshold::default());
    let info = allocation_counter::measure(|| {
        for plane in [DataPlane::Envoy, DataPlane::Grpc, DataPlane::Ztunnel] {
            load.spill(plane, &hosts, PanicThreshold::default());
            std::hint::black_box(load.choose(7));
        }
    });
    assert_eq!(info.count_total, 0);
}
