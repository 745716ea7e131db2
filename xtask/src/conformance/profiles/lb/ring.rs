//! `grpc_ring_size`, `grpc_ring_pick`, `grpc_wrr_weights`, `grpc_hash_policy`.
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

use mesh_lb::grpc::connectivity::Connectivity;
use mesh_lb::grpc::hash_policy::{GrpcHashMethod, GrpcHashPolicy, hash};
use mesh_lb::grpc::ring::{GrpcRing, RingPick, RingSize};
use mesh_lb::grpc::wrr::StrideScheduler;
use serde::Deserialize;
use serde_json::{Value, json};

use super::grpc::connectivity;
use super::{Answered, Decimal, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SizeInput {
    minimum_ring_size: Option<u64>,
    maximum_ring_size: Option<u64>,
}

pub(super) fn ring_size(input: &Value) -> Answered {
    let input: SizeInput = read(input)?;
    Ok(match RingSize::new(input.minimum_ring_size, input.maximum_ring_size) {
        Ok(size) => json!({ "minimum": size.minimum(), "maximum": size.maximum() }),
        Err(error) => json!({ "error": error.to_string() }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PickInput {
    hosts: BTreeMap<String, u32>,
    minimum_ring_size: Option<u64>,
    maximum_ring_size: Option<u64>,
    hash: Decimal,
    #[serde(default)]
    random_hash: bool,
    states: BTreeMap<String, String>,
}

pub(super) fn ring_pick(input: &Value) -> Answered {
    let input: PickInput = read(input)?;
    let size = RingSize::new(input.minimum_ring_size, input.maximum_ring_size)
        .map_err(|error| error.to_string())?;
    let hosts: Vec<(&str, u32)> =
        input.hosts.iter().map(|(key, &weight)| (key.as_str(), weight)).collect();
    let states: Vec<Connectivity> = hosts
        .iter()
        .map(|(key, _)| {
            let state = input.states.get(*key).ok_or_else(|| format!("no state of `{key}`"))?;
            connectivity(state)
        })
        .collect::<Result<_, String>>()?;
    let ring = GrpcRing::new(size, &hosts);
    let at = |host: u32| usize::try_from(host).unwrap_or(usize::MAX);
    let state = |host: u32| states.get(at(host)).copied().unwrap_or_default();
    let key = |host: u32| hosts.get(at(host)).map(|host| host.0);
    let answer = if input.random_hash {
        ring.pick_random(input.hash.0, state)
    } else {
        ring.pick(input.hash.0, state)
    };
    let (result, host) = match answer.pick {
        RingPick::Picked(host) => ("picked", Some(host)),
        RingPick::Queued(host) => ("queued", host),
        RingPick::Failed(host) => ("failed", host),
    };
    let entries: Vec<Value> =
        ring.entries().map(|(hash, host)| json!([hash.to_string(), key(host)])).collect();
    let connect: Vec<&str> = answer.connect.and_then(key).into_iter().collect();
    let host = host.and_then(key);
    Ok(json!({ "ring": entries, "result": result, "host": host, "connect": connect }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrrInput {
    weights: Vec<f64>,
    #[serde(default)]
    counter: u32,
    picks: Option<usize>,
}

pub(super) fn wrr_weights(input: &Value) -> Answered {
    let input: WrrInput = read(input)?;
    let scheduler = StrideScheduler::new(&input.weights);
    let weights = scheduler.weights();
    let name = if weights.is_some() { "static_stride" } else { "round_robin" };
    let mut answer = json!({ "scheduler": name, "weights": weights });
    if let (Some(picks), Some(members)) = (input.picks, answer.as_object_mut()) {
        let counter = AtomicU32::new(input.counter);
        let sequence: Vec<u32> = (0..picks).filter_map(|_| scheduler.pick(&counter)).collect();
        members.insert("sequence".to_owned(), json!(sequence));
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashInput {
    hash_policy: Vec<Policy>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    channel_id: Option<Decimal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    header: Option<String>,
    #[serde(default)]
    channel_id: bool,
    #[serde(default)]
    terminal: bool,
}

pub(super) fn hash_policy(input: &Value) -> Answered {
    let input: HashInput = read(input)?;
    let policies: Vec<GrpcHashPolicy> = input
        .hash_policy
        .iter()
        .map(|policy| GrpcHashPolicy {
            method: match &policy.header {
                Some(header) => GrpcHashMethod::Header(header.as_str().into()),
                None if policy.channel_id => GrpcHashMethod::ChannelId,
                None => GrpcHashMethod::Unsupported,
            },
            terminal: policy.terminal,
        })
        .collect();
    let headers: Vec<(&str, &str)> =
        input.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let channel_id = input.channel_id.map_or(0, |id| id.0);
    let hash = hash(&policies, &headers, channel_id, |_, value| value);
    Ok(json!({ "hash": hash.map(|hash| hash.to_string()) }))
}
