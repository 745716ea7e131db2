//! Engines of load, pick and retry, each against its oracle.
mod accounts;
mod grpc;
mod hash;
mod latency;
mod retry;
mod simulate;
mod ztunnel;

use mesh_lb::health::active::{CheckResult, Due, HealthCheckConfig, HealthSession, Traffic};
use mesh_lb::health::status::{CoarseHealth, HealthFlag, HealthFlags};
use mesh_lb::load::{
    Availability, DataPlane, LevelHosts, LocalityBasis, LocalityHosts, LocalityWeights,
    Overprovisioning, PanicThreshold, PriorityLoad, Zone, ZoneAwareConfig, ZoneRouting, Zones,
};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport, ReportedWeight};
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
use mesh_lb::pick::slow_start::SlowStart;
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_lb::retry::budget::RetryBudget;
use mesh_lb::retry::circuit_breaker::RetryLimit;
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use mesh_testkit::oracle;
use mesh_testkit::oracle::health::Found;
use proptest::collection::vec;
use proptest::prelude::*;

/// Weight, able and other hosts, of the others some excluded.
fn locality() -> impl Strategy<Value = (u32, u32, u32, u32)> {
    let weight = prop_oneof![3 => 0..10u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    (weight, 0..6u32, 0..6u32, 0..9u32).prop_map(|(weight, able, ill, excluded)| {
        (weight, able + ill, able, excluded.min(able + ill))
    })
}

proptest! {
    #[test]
    fn localities_keep_the_weight_that_the_oracle_leaves_them(
        localities in vec(locality(), 0..8),
        factor in prop_oneof![Just(140u32), 1..400u32, Just(u32::MAX)],
        degraded: bool,
    ) {
        let of = |&(weight, total, able, excluded): &(u32, u32, u32, u32)| LocalityHosts {
            weight,
            total,
            healthy: if degraded { 0 } else { able },
            degraded: if degraded { able } else { 0 },
            excluded,
        };
        let hosts: Vec<LocalityHosts> = localities.iter().map(of).collect();
        let availability = if degraded { Availability::Degraded } else { Availability::Healthy };
        let factor_of = Overprovisioning::new(factor).unwrap_or_default();
        let got = LocalityWeights::new(&hosts, factor_of, availability);
        let got = got.map(|weights| weights.effective().to_vec());
        prop_assert_eq!(got, oracle::load::locality_weights(&localities, factor));
    }

    #[test]
    fn zones_are_routed_as_the_oracle_routes_them(
        fleet in vec((0..5u32, 0..9u32, 0..4u32, 1..5u32), 0..6),
        hosts in vec((0..5u32, 0..9u32, 0..4u32, 1..5u32), 0..6),
        (fleet_is_local, hosts_are_local) in any::<(bool, bool)>(),
        (min_cluster_size, force, by_weight) in (0..12u64, proptest::option::of(0..6u32), any::<bool>()),
        draws in vec(any::<[u64; 2]>(), 20),
    ) {
        let unique = |zones: &[(u32, u32, u32, u32)]| -> Vec<Zone<u32>> {
            let mut seen = std::collections::BTreeSet::new();
            let kept = zones.iter().filter(|zone| seen.insert(zone.0));
            kept.map(|&(locality, healthy, ill, weight)| Zone {
                locality,
                total: healthy + ill,
                healthy,
                healthy_weight: (healthy * weight).into(),
            })
            .collect()
        };
        let told = |zones: &[Zone<u32>]| -> Vec<oracle::zone::Zone> {
            let of = |zone: &Zone<u32>| oracle::zone::Zone {
                locality: zone.locality,
                total: zone.total.into(),
                healthy: zone.healthy.into(),
                weight: zone.healthy_weight,
            };
            zones.iter().map(of).collect()
        };
        let (fleet, hosts) = (unique(&fleet), unique(&hosts));
        let basis =
            if by_weight { LocalityBasis::HealthyHostsWeight } else { LocalityBasis::HealthyHostsNum };
        let config = ZoneAwareConfig {
            min_cluster_size,
            force_local_zone_min_size: force,
            locality_basis: basis,
        };
        let got = ZoneRouting::new(
            &config,
            &Zones { zones: &fleet, has_local_locality: fleet_is_local },
            &Zones { zones: &hosts, has_local_locality: hosts_are_local },
        );
        let rules = oracle::zone::Rules { min_cluster_size, force_local: force.map(Into::into), by_weight };
        let expected = oracle::zone::routing(
            rules,
            (&told(&fleet), fleet_is_local),
            (&told(&hosts), hosts_are_local),
        );
        prop_assert_eq!(got.is_ok(), expected.is_some());
        if let (Ok(got), Some(expected)) = (got, expected) {
            prop_assert_eq!(got.local_percent_to_route(), expected.stays);
            for draws in draws {
                let mut next = draws.into_iter();
                let pick = got.pick(|| next.next().unwrap_or(0)).locality;
                // Nothing is drawn where everything stays.
                let is_direct = got.is_direct();
                let wanted = if is_direct { 0 } else { oracle::zone::locality(&expected, hosts.len(), draws) };
                prop_assert_eq!(pick, wanted);
            }
        }
    }

    #[test]
    fn a_ring_has_the_entries_of_the_oracle(
        weights in vec(prop_oneof![1..20u32, Just(1000u32)], 0..10),
        (minimum, maximum) in (1..400u32, 0..400u32).prop_map(|(low, more)| (low, low + more)),
        murmur: bool,
    ) {
        let function = if murmur { HashFunction::MurmurHash2 } else { HashFunction::XxHash };
        let keys: Vec<String> = (0..weights.len()).map(|host| format!("10.0.0.{host}:80")).collect();
        let key = |host: u32| keys.get(host as usize).map_or("", String::as_str);
        let config = RingHashConfig::new(minimum.into(), maximum.into(), function).unwrap_or_default();
        let normalized = NormalizedWeights::flat(&weights);
        let ring = Ring::new(&config, &normalized, key);
        let got: Vec<(u64, usize)> = ring.entries().map(|(hash, host)| (hash, host as usize)).collect();
        let shares: Vec<f64> = normalized.hosts().iter().map(|host| host.1).collect();
        let hash = |host: usize, entry: u32| {
            function.hash(format!("{}_{entry}", keys[host]).as_bytes())
        };
        let sizes = (f64::from(minimum), f64::from(maximum));
        prop_assert_eq!(got, oracle::pick::ring_entries(&shares, sizes, hash));
    }

    #[test]
    fn bounded_load_finds_the_host_of_the_oracle(
        hosts in vec((1..5u32, 0..30u32), 1..12),
        base in 0..12usize,
        factor in 100..300u32,
        hash: u64,
    ) {
        let weights: Vec<u32> = hosts.iter().map(|host| host.0).collect();
        let weights = NormalizedWeights::flat(&weights);
        let base = base % hosts.len();
        let active = |host: u32| hosts.get(host as usize).map_or(0, |host| host.1.into());
        let all: u32 = hosts.iter().map(|host| host.1).sum();
        let Some(bound) = HashBalanceFactor::new(factor) else { return Ok(()) };
        let mut scratch = vec![0; hosts.len()];
        let from = u32::try_from(base).unwrap_or(0);
        let got = bound.slots(all).pick(from, hash, &weights, active, &mut scratch);
        let told: Vec<(f64, u32)> =
            weights.hosts().iter().zip(&hosts).map(|(weight, host)| (weight.1, host.1)).collect();
        prop_assert_eq!(got as usize, oracle::pick::bounded_load(base, hash, factor, &told));
    }

    #[test]
    fn hosts_weigh_what_they_reported_as_by_the_oracle(
        hosts in vec(vec((0..40u64, 0..100u32, 0..4u32, 0..4u32), 0..8), 0..6),
        asked in vec(0..60u64, 1..6),
        (blackout, expiration) in (0..20u64, 0..20u64),
        penalty in prop_oneof![Just(1.0f64), Just(0.0)],
    ) {
        let hosts: Vec<oracle::pick::Reports> = hosts
            .into_iter()
            .map(|mut reports| {
                reports.sort_by_key(|report| report.0);
                let told = |(then, queries, errors, busy): (u64, u32, u32, u32)| {
                    (then, f64::from(queries), f64::from(errors), f64::from(busy))
                };
                reports.into_iter().map(told).collect()
            })
            .collect();
        let mut asked = asked;
        asked.sort_unstable();
        let config = ClientSideWeights {
            blackout_ms: blackout,
            expiration_ms: expiration,
            error_utilization_penalty: penalty,
            ..ClientSideWeights::default()
        };
        let engine: Vec<ReportedWeight> = hosts.iter().map(|_| ReportedWeight::default()).collect();
        let (mut got, mut before) = (Vec::new(), None);
        for &now in &asked {
            for (host, reports) in engine.iter().zip(&hosts) {
                let is_new = |then: u64| then <= now && before.is_none_or(|before| then > before);
                for &(then, rps, eps, cpu_utilization) in reports.iter().filter(|one| is_new(one.0)) {
                    let report = OrcaReport { rps, eps, cpu_utilization, ..OrcaReport::default() };
                    host.handle_report(&config, &report, then);
                }
            }
            before = Some(now);
            got.push(config.of_hosts(&engine, now));
        }
        let expected =
            oracle::pick::reported_weights(&hosts, &asked, (blackout, expiration), penalty);
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn hosts_are_warmed_up_as_by_the_oracle(
        weight in 1..1000u32,
        (since, window) in (0..200u32, 1..200u32),
        aggression in prop_oneof![Just(1.0f64), 0.1..5.0f64],
        floor in 0.0..100.0f64,
    ) {
        let slow_start =
            SlowStart { window_ms: window.into(), aggression, min_weight_percent: floor };
        let got = slow_start.weight(f64::from(weight), CoarseHealth::Healthy, Some(since.into()));
        let expected =
            oracle::pick::slow_start(f64::from(weight), since, window, aggression, floor);
        prop_assert!((got - expected).abs() <= 1e-9 * expected, "{} {}", got, expected);
    }

    #[test]
    fn a_retry_avoids_the_priorities_that_the_oracle_avoids(
        hosts in vec((0..5u32, 0..3u32, 0..3u32), 1..6),
        frequency in 1..4usize,
        attempts in vec(0..7usize, 0..12),
        threshold in prop_oneof![Just(0u32), Just(50)],
    ) {
        let hosts: Vec<LevelHosts> = hosts
            .iter()
            .map(|&(healthy, degraded, ill)| LevelHosts {
                degraded,
                ..LevelHosts::healthy_of(healthy, healthy + degraded + ill)
            })
            .collect();
        let mut load = PriorityLoad::default();
        load.spill(DataPlane::Envoy, &hosts, PanicThreshold::new(threshold));
        let told = |of: &dyn Fn(&mesh_lb::load::LevelLoad) -> (u32, u32)| -> Vec<(u32, u32)> {
            load.levels().iter().map(of).collect()
        };
        let health = told(&|level| (level.health.get(), level.degraded_health.get()));
        let original = told(&|level| (level.healthy_load.get(), level.degraded_load.get()));
        let Some(every) = UpdateFrequency::new(frequency) else { return Ok(()) };
        let mut retries = PreviousPriorities::new(every);
        let mut got = Vec::new();
        for attempt in &attempts {
            retries.attempt(u32::try_from(*attempt).unwrap_or(0));
            let loads = retries.loads(load.levels());
            got.push(
                loads
                    .iter()
                    .map(|level| (level.healthy_load.get(), level.degraded_load.get()))
                    .collect::<Vec<_>>(),
            );
        }
        let expected =
            oracle::retry::previous_priorities(&health, &original, frequency, &attempts);
        prop_assert_eq!(got, expected);
    }

    /// Whole percents, so that the share can be counted out in integers.
    #[test]
    fn a_retry_budget_is_a_share_with_a_floor(
        percent in 0..200u32,
        (active, pending) in (0..5_000u64, 0..5_000u64),
        floor in 0..20u32,
    ) {
        let budget = RetryBudget { budget_percent: f64::from(percent), min_retry_concurrency: floor };
        let got = RetryLimit::Budget(budget).max(active, pending);
        let exact = u64::from(percent) * (active + pending);
        // A share that is whole may be a hair less as a double.
        let is_whole = exact.is_multiple_of(100);
        let share = exact / 100;
        let allowed = [share.max(floor.into()), share.saturating_sub(1).max(floor.into())];
        prop_assert!(got == allowed[0] || (is_whole && got == allowed[1]), "{} {:?}", got, allowed);
    }
}

proptest! {
    /// A host turns as the whole history of its checks says, at whatever times they come.
    #[test]
    fn checks_turn_a_host_as_the_oracle_says(
        is_new: bool,
        thresholds in (0..4usize, 0..4usize),
        findings in vec((0..6u8, 0..40u64), 0..40),
    ) {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let config = HealthCheckConfig::new(30, 50, narrow(thresholds.0), narrow(thresholds.1));
        let flags = if is_new { HealthFlags::of(&[HealthFlag::FailedActiveHc]) } else { HealthFlags::NONE };
        let mut session = HealthSession::new(config, flags, 0, || 0);
        let (mut got, mut told) = (Vec::new(), Vec::new());
        for (kind, latency) in findings {
            let start = session.poll_timeout();
            prop_assert_eq!(session.handle_timeout(start, Traffic::Seen, || 0), Due::Check);
            let (found, result) = match kind {
                0 => (Found::Well, CheckResult::Success),
                1 => (Found::Well, CheckResult::Degraded),
                2 => (Found::Ill, CheckResult::Failed),
                3 => (Found::Unknown, CheckResult::Network),
                4 => (Found::Unknown, CheckResult::Retriable),
                _ => (Found::Ill, CheckResult::Passive),
            };
            // Who is asked for longer than the timeout has not answered, whatever it was about to say.
            let found = if result == CheckResult::Passive {
                session.handle_passive_failure();
                told.push(found);
                got.push(session.flags().contains(HealthFlag::FailedActiveHc));
                session.handle_result(CheckResult::Network, start + 1, Traffic::Seen, || 0);
                Found::Unknown
            } else if latency >= 30 {
                let at = session.poll_timeout();
                prop_assert_eq!(at, start + 30);
                session.handle_timeout(at, Traffic::Seen, || 0);
                Found::Unknown
            } else {
                session.handle_result(result, start + latency, Traffic::Seen, || 0);
                found
            };
            told.push(found);
            got.push(session.flags().contains(HealthFlag::FailedActiveHc));
        }
        prop_assert_eq!(got, oracle::health::failed_after(is_new, thresholds, &told));
    }
}
