//! Picks: turns by weight are those of the oracle, planned ahead as by a tree; rings and tables have its
//! entries; bounded load finds its host.
#![cfg_attr(fuzzing, no_main)]

use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::edf::Edf;
use mesh_lb::pick::hash::{HashFunction, xx_hash_64};
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
use mesh_lb::pick::turns::Turns;
use mesh_lb::pick::weight::NormalizedWeights;
use mesh_testkit::oracle::pick as oracle;

/// How many turns are compared.
const PICKS: usize = 200;

mesh_fuzz::target!(|bytes| {
    let [seed_low, seed_high, odds, hosts @ ..] = bytes else { return };
    let seed = u64::from(*seed_low) | u64::from(*seed_high) << 8;
    let hosts: Vec<u8> = hosts.iter().copied().take(12).collect();
    if hosts.is_empty() {
        return;
    }
    let weights: Vec<f64> = hosts.iter().map(|&weight| f64::from(weight) / 4.0 + 0.25).collect();
    let weight = |entry: u32| weights.get(entry as usize).copied().unwrap_or(0.0);
    let edf = Edf::with_picks(u32::try_from(weights.len()).unwrap_or(0), seed, weight);
    let tree: Vec<usize> =
        (0..PICKS).filter_map(|_| edf.pick(weight)).map(|e| e as usize).collect();
    let turns = Turns::with_picks(&weights, seed);
    let queues: Vec<usize> =
        (0..PICKS).filter_map(|_| turns.pick()).map(|entry| entry as usize).collect();
    let expected = oracle::earliest_deadline_first(&weights, seed, PICKS);
    assert_eq!(tree, expected);
    assert_eq!(queues, expected);
    tables(&hosts, *odds);
    bounded(&hosts, *odds, seed);
});

fn tables(hosts: &[u8], odds: u8) {
    let weights: Vec<u32> = hosts.iter().map(|&weight| u32::from(weight) + 1).collect();
    let weights = NormalizedWeights::flat(&weights);
    let keys: Vec<String> = (0..hosts.len()).map(|host| format!("10.0.{odds}.{host}:80")).collect();
    let key = |host: u32| keys.get(host as usize).map_or("", String::as_str);
    let shares: Vec<f64> = weights.hosts().iter().map(|host| host.1).collect();

    let (minimum, maximum) = (u64::from(odds) + 1, u64::from(odds) * 4 + 1);
    let config = RingHashConfig::new(minimum, maximum, HashFunction::XxHash).unwrap_or_default();
    let ring = Ring::new(&config, &weights, key);
    let entries: Vec<(u64, usize)> =
        ring.entries().map(|(hash, host)| (hash, host as usize)).collect();
    let hash =
        |host: usize, entry: u32| xx_hash_64(format!("{}_{entry}", key(host as u32)).as_bytes(), 0);
    let sizes = (f64::from(odds) + 1.0, f64::from(odds) * 4.0 + 1.0);
    assert_eq!(entries, oracle::ring_entries(&shares, sizes, hash));

    let maglev = Maglev::new(TableSize::new(101).unwrap_or_default(), &weights, key);
    let mut told: Vec<(u32, f64, u64, u64)> = weights
        .hosts()
        .iter()
        .map(|&(host, share)| {
            let key = key(host).as_bytes();
            (host, share, xx_hash_64(key, 0), xx_hash_64(key, 1))
        })
        .collect();
    told.sort_by_key(|host| key(host.0));
    assert_eq!(maglev.table(), oracle::maglev(101, &told));
}

/// The weights of hosts are their requests in flight, too.
fn bounded(hosts: &[u8], odds: u8, hash: u64) {
    let weights = NormalizedWeights::flat(&vec![1; hosts.len()]);
    let active: Vec<u32> = hosts.iter().copied().map(u32::from).collect();
    let factor = 100 + u32::from(odds);
    let Some(bound) = HashBalanceFactor::new(factor) else { return };
    let base = usize::from(odds) % hosts.len();
    let of = |host: u32| active.get(host as usize).copied().unwrap_or(0).into();
    let mut scratch = vec![0; hosts.len()];
    let slots = bound.slots(active.iter().sum());
    let got = slots.pick(base as u32, hash, &weights, of, &mut scratch);
    let told: Vec<(f64, u32)> =
        weights.hosts().iter().zip(&active).map(|(host, active)| (host.1, *active)).collect();
    assert_eq!(got as usize, oracle::bounded_load(base, hash, factor, &told));
}
