//! `ring_hash`, `maglev`, `bounded_load`.
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::maglev::{Maglev, TableSize};
use mesh_lb::pick::ring_hash::{MAX_RING_SIZE, Ring, RingHashConfig};
use mesh_lb::pick::weight::NormalizedWeights;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Decimal, counts, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    key: String,
    weight: Option<u32>,
    normalized_weight: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Locality {
    weight: u32,
    host_weights: Vec<u32>,
}

/// A question that stands next to its answer.
#[derive(Deserialize)]
struct Lookup {
    hash: Decimal,
    #[serde(default)]
    attempt: u32,
}

#[derive(Deserialize)]
struct Sample {
    index: usize,
}

fn weights(hosts: &[Host], localities: &[Locality]) -> Result<NormalizedWeights, String> {
    if !localities.is_empty() {
        let localities =
            localities.iter().map(|locality| (locality.weight, &*locality.host_weights));
        return Ok(NormalizedWeights::by_locality(localities));
    }
    let normalized: Option<Vec<f64>> = hosts.iter().map(|host| host.normalized_weight).collect();
    if let Some(normalized) = normalized {
        return NormalizedWeights::from_normalized(&normalized)
            .ok_or_else(|| "weights are not normalized".to_owned());
    }
    let weights: Vec<u32> = hosts.iter().map(|host| host.weight.unwrap_or(1)).collect();
    Ok(NormalizedWeights::flat(&weights))
}

fn key_of<'k>(keys: &'k [String]) -> impl Fn(u32) -> &'k str {
    |host| usize::try_from(host).ok().and_then(|host| keys.get(host)).map_or("", String::as_str)
}

fn keys(hosts: Vec<Host>) -> Vec<String> {
    hosts.into_iter().map(|host| host.key).collect()
}

fn lookups(expect: &Value, pick: impl Fn(u64, u32) -> Option<u32>) -> Answered {
    let asked: Vec<Lookup> = expect.get("lookups").map_or(Ok(Vec::new()), read)?;
    let answers = asked.iter().map(|Lookup { hash, attempt }| {
        json!({ "hash": hash.0.to_string(), "attempt": attempt, "host": pick(hash.0, *attempt) })
    });
    Ok(answers.collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RingInput {
    hash_function: Option<String>,
    minimum_ring_size: Option<u64>,
    maximum_ring_size: Option<u64>,
    hosts: Vec<Host>,
    #[serde(default)]
    localities: Vec<Locality>,
}

fn ring_config(
    function: Option<&str>,
    minimum: Option<u64>,
    maximum: Option<u64>,
) -> Result<Result<RingHashConfig, String>, String> {
    let function = match function {
        None | Some("XX_HASH" | "DEFAULT_HASH") => HashFunction::XxHash,
        Some("MURMUR_HASH_2") => HashFunction::MurmurHash2,
        Some(other) => return Err(format!("unknown hash function `{other}`")),
    };
    let (minimum, maximum) = (minimum.unwrap_or(1024), maximum.unwrap_or(MAX_RING_SIZE));
    Ok(RingHashConfig::new(minimum, maximum, function).map_err(|error| error.to_string()))
}

pub(super) fn ring_hash(input: &Value, expect: &Value) -> Answered {
    let input: RingInput = read(input)?;
    let sizes = (input.minimum_ring_size, input.maximum_ring_size);
    let config = match ring_config(input.hash_function.as_deref(), sizes.0, sizes.1)? {
        Ok(config) => config,
        Err(error) => return Ok(json!({ "error": error })),
    };
    let weights = weights(&input.hosts, &input.localities)?;
    let keys = keys(input.hosts);
    let ring = Ring::new(&config, &weights, key_of(&keys));
    let entry = |(hash, host): (u64, u32)| json!({ "hash": hash.to_string(), "host": host });
    let entries: Vec<Value> = ring.entries().map(entry).collect();
    let asked = |name: &str| expect.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    let (first, last) = (asked("first_entries"), asked("last_entries"));
    let hosts: Vec<u32> = ring.entries().map(|(_, host)| host).collect();
    Ok(json!({
        "size": ring.size(),
        "entries": ring.len(),
        "min_hashes_per_host": ring.entries_per_host().0,
        "max_hashes_per_host": ring.entries_per_host().1,
        "entries_per_host": counts(keys.len(), &hosts),
        "first_entries": entries.get(..first),
        "last_entries": entries.get(entries.len().saturating_sub(last)..),
        "ring": entries,
        "lookups": lookups(expect, |hash, attempt| ring.pick(hash, attempt))?,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaglevInput {
    table_size: Option<u64>,
    hosts: Vec<Host>,
    #[serde(default)]
    localities: Vec<Locality>,
}

fn table_size(size: Option<u64>) -> Result<TableSize, String> {
    size.map_or(Ok(TableSize::default()), TableSize::new).map_err(|error| error.to_string())
}

pub(super) fn maglev(input: &Value, expect: &Value) -> Answered {
    let input: MaglevInput = read(input)?;
    let size = match table_size(input.table_size) {
        Ok(size) => size,
        Err(error) => return Ok(json!({ "error": error })),
    };
    let weights = weights(&input.hosts, &input.localities)?;
    let keys = keys(input.hosts);
    let maglev = Maglev::new(size, &weights, key_of(&keys));
    let asked: Vec<Sample> = expect.get("table_samples").map_or(Ok(Vec::new()), read)?;
    let sample =
        |Sample { index }: &Sample| json!({ "index": index, "host": maglev.table().get(*index) });
    Ok(json!({
        "entries_per_host": counts(keys.len(), maglev.table()),
        "table": maglev.table(),
        "table_samples": asked.iter().map(sample).collect::<Vec<_>>(),
        "lookups": lookups(expect, |hash, attempt| maglev.pick(hash, attempt))?,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoundedInput {
    base_policy: String,
    table_size: Option<u64>,
    hash_function: Option<String>,
    minimum_ring_size: Option<u64>,
    maximum_ring_size: Option<u64>,
    hash_balance_factor: u32,
    hosts: Vec<BusyHost>,
    cluster_rq_active: u32,
    hash: Decimal,
    #[serde(default)]
    attempt: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BusyHost {
    key: String,
    weight: u32,
    rq_active: u64,
}

pub(super) fn bounded_load(input: &Value) -> Answered {
    let input: BoundedInput = read(input)?;
    let host_weights: Vec<u32> = input.hosts.iter().map(|host| host.weight).collect();
    let weights = NormalizedWeights::flat(&host_weights);
    let keys: Vec<String> = input.hosts.iter().map(|host| host.key.clone()).collect();
    let base = match input.base_policy.as_str() {
        "maglev" => {
            let maglev = Maglev::new(table_size(input.table_size)?, &weights, key_of(&keys));
            maglev.pick(input.hash.0, input.attempt)
        }
        "ring_hash" => {
            let sizes = (input.minimum_ring_size, input.maximum_ring_size);
            let config = ring_config(input.hash_function.as_deref(), sizes.0, sizes.1)??;
            Ring::new(&config, &weights, key_of(&keys)).pick(input.hash.0, input.attempt)
        }
        other => return Err(format!("unknown base policy `{other}`")),
    };
    let factor = HashBalanceFactor::new(input.hash_balance_factor)
        .ok_or_else(|| "hash balance factor below 100".to_owned())?;
    let slots = factor.slots(input.cluster_rq_active);
    let active = |host: u32| {
        let host = usize::try_from(host).ok().and_then(|host| input.hosts.get(host));
        host.map_or(0, |host| host.rq_active)
    };
    let pick = |base| {
        slots.pick(base, input.hash.0, &weights, active, &mut vec![0; weights.hosts().len()])
    };
    let overload = |&(host, weight): &(u32, f64)| slots.overload(weight, active(host));
    Ok(json!({
        "base_host": base,
        "total_slots": slots.total(),
        "slots": weights.hosts().iter().map(|host| slots.of(host.1)).collect::<Vec<_>>(),
        "overload_factor": weights.hosts().iter().map(overload).collect::<Vec<_>>(),
        "host": base.map(pick),
    }))
}
