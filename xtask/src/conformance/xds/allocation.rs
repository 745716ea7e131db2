//! `auto_allocate_legacy`, `auto_allocate_controller`, `auto_allocate_eligible_hosts`.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_model::manifest::Node;
use mesh_model::registry::AutoAllocated;
use mesh_model::registry::allocation::{self, AddressPool};
use mesh_model::resource::{Resource, decode};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    keys: Vec<String>,
}

pub(super) fn by_name(input: &Names) -> Result<Value, String> {
    let addresses = allocation::by_name(input.keys.iter().map(String::as_str));
    let printed = input.keys.iter().zip(addresses).map(|(key, found)| (key, found.map(print)));
    Ok(json!(printed.collect::<BTreeMap<_, _>>()))
}

fn print(addresses: AutoAllocated) -> Value {
    json!({ "ipv4": addresses.v4, "ipv6": addresses.v6 })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pools {
    ipv4_prefix: String,
    ipv6_prefix: String,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "op", rename_all = "snake_case")]
enum Operation {
    Allocate { host: String, owner: String },
    Mark { address: IpAddr, owner: String },
    Free { address: IpAddr, owner: String },
}

pub(super) fn pools(input: &Pools) -> Result<Value, String> {
    let pool = |prefix: &str| match prefix.parse() {
        Ok(range) => Ok(AddressPool::new(range)),
        Err(problem) => Err(format!("{problem}")),
    };
    let mut pools = [pool(&input.ipv4_prefix)?, pool(&input.ipv6_prefix)?];
    let mut allocated = Vec::new();
    for operation in &input.operations {
        match operation {
            Operation::Allocate { host, owner } => {
                let [v4, v6] = pools.each_mut().map(|pool| pool.allocate(owner));
                let is_exhausted = v4.is_none() && v6.is_none();
                let entry = json!({ "host": host, "ipv4": v4, "ipv6": v6 });
                allocated.push(if is_exhausted { Value::Null } else { entry });
            }
            Operation::Mark { address, owner } => {
                for pool in &mut pools {
                    pool.claim(*address, owner);
                }
            }
            Operation::Free { address, owner } => {
                pools.iter_mut().for_each(|pool| pool.free(*address, owner));
            }
        }
    }
    Ok(allocated.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    resolution: String,
    addresses: Vec<String>,
    labels: BTreeMap<String, String>,
    hosts: Vec<String>,
}

pub(super) fn hosts(input: &Entry) -> Result<Value, String> {
    let object = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": "case", "labels": input.labels },
        "spec": {
            "hosts": input.hosts, "addresses": input.addresses, "resolution": input.resolution
        },
    });
    match decode(&Node::from(&object), &Arc::from("case"), "default").resource {
        Some(Resource::ServiceEntry(entry)) => Ok(json!(allocation::hosts(&entry))),
        _ => Err(format!("not an entry: {object}")),
    }
}
