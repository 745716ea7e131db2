//! Laws of picking, and its agreement with the oracles.
use mesh_lb::load::{Availability, LocalityHosts, LocalityWeights, Overprovisioning};
use mesh_lb::load::{Zone, ZoneAwareConfig, ZoneRouting, Zones};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::hash::{HashFunction, xx_hash_64};
use mesh_lb::pick::least_request::{ChoiceCount, pick_of_all, pick_of_choices};
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_testkit::oracle::pick as oracle;
use proptest::prelude::*;

fn picks(weights: &[f64], seed: u64, count: usize) -> Vec<usize> {
    let weight = |entry: u32| weights.get(entry as usize).copied().unwrap_or(0.0);
    let entries = u32::try_from(weights.len()).unwrap_or(u32::MAX);
    let edf = Edf::with_picks(entries, seed, weight);
    (0..count).filter_map(|_| edf.pick(weight)).map(|entry| entry as usize).collect()
}

fn weights() -> impl Strategy<Value = Vec<f64>> {
    let weight =
        prop_oneof![(1..10u32).prop_map(f64::from), (1..2000u32).prop_map(f64::from), 0.01..5.0f64];
    proptest::collection::vec(weight, 1..12)
}

proptest! {
    #[test]
    fn earliest_deadline_first_agrees_with_the_oracle(weights in weights(), seed in 0..5_000u64) {
        prop_assert_eq!(picks(&weights, seed, 40), oracle::earliest_deadline_first(&weights, seed, 40));
    }

    /// Over one whole cycle of whole weights every entry is picked as often as its weight says.
    #[test]
    fn a_cycle_is_fair(weights in proptest::collection::vec(1..9u32, 1..9)) {
        let sum: u32 = weights.iter().sum();
        let doubles: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let sequence = picks(&doubles, 0, sum as usize);
        for (entry, weight) in weights.iter().enumerate() {
            let picked = sequence.iter().filter(|&&pick| pick == entry).count();
            prop_assert!(picked.abs_diff(*weight as usize) <= 1);
        }
    }

    /// A locality never gets more than its configured weight, nor less because another is ill.
    #[test]
    fn illness_only_lowers_the_weight_of_the_ill(
        hosts in proptest::collection::vec((0..100u32, 0..9u32, 0..9u32), 1..8),
        factor in 1..300u32,
    ) {
        let localities: Vec<LocalityHosts> = hosts
            .iter()
            .map(|&(weight, healthy, ill)| LocalityHosts {
                weight, healthy, total: healthy + ill, ..LocalityHosts::default()
            })
            .collect();
        let factor = Overprovisioning::new(factor).unwrap_or_default();
        if let Some(weights) = LocalityWeights::new(&localities, factor, Availability::Healthy) {
            for (effective, locality) in weights.effective().iter().zip(&localities) {
                prop_assert!(*effective <= f64::from(locality.weight));
                prop_assert!(*effective >= 0.0);
                prop_assert!(locality.healthy > 0 || *effective == 0.0);
            }
            let fractions = weights.fractions().unwrap_or_else(|| vec![1.0]);
            prop_assert!((fractions.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    /// Requests only ever leave for a locality that has more hosts than callers.
    #[test]
    fn zone_routing_never_leaves_for_a_locality_without_spare_hosts(
        zones in proptest::collection::vec((0..20u32, 0..20u32), 2..8),
        draws in proptest::collection::vec(any::<u64>(), 2),
    ) {
        let of = |hosts: Vec<u32>| -> Vec<Zone<usize>> {
            hosts
                .into_iter()
                .enumerate()
                .map(|(locality, healthy)| Zone { locality, total: healthy, healthy, healthy_weight: healthy.into() })
                .collect()
        };
        let local = of(zones.iter().map(|zone| zone.0).collect());
        let upstream = of(zones.iter().map(|zone| zone.1).collect());
        let routing = ZoneRouting::new(
            &ZoneAwareConfig::default(),
            &Zones { zones: &local, has_local_locality: true },
            &Zones { zones: &upstream, has_local_locality: true },
        );
        if let Ok(routing) = routing {
            let mut draws = draws.into_iter();
            let pick = routing.pick(|| draws.next().unwrap_or(0));
            let share = routing.shares()[pick.locality];
            let spare = share.upstream > share.local;
            let no_capacity = routing.residual_capacity().last() == Some(&0);
            prop_assert!(pick.locality == 0 || spare || no_capacity);
        }
    }
}

fn check_maglev<'k>(size: u64, weights: &[u32], key: impl Fn(u32) -> &'k str) {
    let normalized = NormalizedWeights::flat(weights);
    let maglev = Maglev::new(TableSize::new(size).unwrap_or_default(), &normalized, &key);
    let mut hosts: Vec<(u32, f64, u64, u64)> = normalized
        .hosts()
        .iter()
        .map(|&(host, weight)| {
            let bytes = key(host).as_bytes();
            (host, weight, xx_hash_64(bytes, 0), xx_hash_64(bytes, 1))
        })
        .collect();
    hosts.sort_by_key(|host| key(host.0));
    assert_eq!(maglev.table(), oracle::maglev(size, &hosts));
}

fn key(host: u32) -> &'static str {
    const KEYS: [&str; 10] = ["k", "d", "a", "10.0.0.1:80", "b", "c", "zz", "", "e", "f"];
    KEYS.get(host as usize).copied().unwrap_or("other")
}

proptest! {
    #[test]
    fn a_ring_agrees_with_the_oracle(
        weights in proptest::collection::vec(1..20u32, 0..10),
        (minimum, maximum) in (1..300u64, 0..300u64).prop_map(|(low, more)| (low, low + more)),
        hash: u64,
    ) {
        let config = RingHashConfig::new(minimum, maximum, HashFunction::XxHash).unwrap_or_default();
        let ring = Ring::new(&config, &NormalizedWeights::flat(&weights), key);
        let entries: Vec<(u64, u32)> = ring.entries().collect();
        prop_assert_eq!(ring.pick(hash, 0), oracle::ring(&entries, hash));
        for (entry, host) in &entries {
            prop_assert_eq!(ring.pick(*entry, 0), oracle::ring(&entries, *entry));
            prop_assert_eq!(ring.pick(entry.wrapping_add(1), 0), oracle::ring(&entries, entry.wrapping_add(1)));
            prop_assert!((*host as usize) < weights.len());
        }
    }

    #[test]
    fn a_maglev_table_agrees_with_the_oracle(
        weights in proptest::collection::vec(1..20u32, 0..10),
        size in prop_oneof![Just(2u64), Just(7), Just(101), Just(251)],
    ) {
        check_maglev(size, &weights, key);
    }

    /// Hosts that are busy alike are drawn between, and no number is drawn in vain.
    #[test]
    fn the_least_busy_host_is_the_oracles(
        active in proptest::collection::vec(0..4u64, 0..12),
        choices in 2..5u32,
        draws in proptest::collection::vec(any::<u64>(), 12),
    ) {
        let of = |host: usize| active[host];
        let mut drawn = draws.iter().copied();
        let count = ChoiceCount::new(choices).unwrap();
        let picked = pick_of_choices(active.len(), count, of, || drawn.next().unwrap());
        let used = draws.len() - drawn.len();
        prop_assert_eq!(picked, oracle::least_of_drawn(&active, &draws[..used]));
        prop_assert_eq!(used, if active.is_empty() { 0 } else { choices as usize });

        let mut drawn = draws.iter().copied();
        let picked = pick_of_all(active.len(), of, || drawn.next().unwrap());
        let used = draws.len() - drawn.len();
        prop_assert_eq!((picked, used), oracle::least_of_all(&active, &draws));
    }

    /// Every way to fill a table: while much is free, while little is, and at the end.
    #[test]
    fn large_maglev_tables_of_many_hosts_agree_with_the_oracle(
        weights in prop_oneof![
            proptest::collection::vec(1..6u32, 1..150),
            (1..150usize).prop_map(|hosts| vec![1; hosts]),
        ],
        size in prop_oneof![Just(127u64), Just(1009), Just(2039)],
    ) {
        let keys: Vec<String> = (0..weights.len()).map(|host| format!("10.0.0.{host}:80")).collect();
        check_maglev(size, &weights, |host| keys.get(host as usize).map_or("", String::as_str));
    }

    /// The host that is chosen is never more overloaded than the one that the table named.
    #[test]
    fn bounded_load_never_makes_it_worse(
        hosts in proptest::collection::vec((1..5u32, 0..30u64), 1..12),
        factor in 100..300u32,
        hash: u64,
    ) {
        let weights: Vec<u32> = hosts.iter().map(|host| host.0).collect();
        let weights = NormalizedWeights::flat(&weights);
        let active = |host: u32| hosts.get(host as usize).map_or(0, |host| host.1);
        let total = hosts.iter().map(|host| host.1).sum::<u64>();
        let Some(factor) = HashBalanceFactor::new(factor) else { return Ok(()) };
        let slots = factor.slots(u32::try_from(total).unwrap_or(0));
        let overload = |host: u32| slots.overload(weights.of(host), active(host));
        let picked = slots.pick(0, hash, &weights, active, &mut vec![0; weights.hosts().len()]);
        prop_assert!(overload(picked) <= overload(0));
        // A factor of at least 100 leaves room somewhere.
        prop_assert!(overload(picked) <= 1.0);
    }
}

#[test]
fn a_lookup_does_not_allocate() {
    let weights = NormalizedWeights::flat(&[1; 10]);
    let ring = Ring::new(&RingHashConfig::default(), &weights, key);
    let maglev = Maglev::new(TableSize::default(), &weights, key);
    let info = allocation_counter::measure(|| {
        std::hint::black_box((ring.pick(77, 0), maglev.pick(77, 1)));
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_weighted_pick_does_not_allocate() {
    let weight = |entry: u32| f64::from(entry + 1);
    let edf = Edf::with_picks(1000, 7, weight);
    let info = allocation_counter::measure(|| {
        std::hint::black_box(edf.pick(weight));
    });
    assert_eq!(info.count_total, 0);
}
