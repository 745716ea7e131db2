//! How many keys a change moves to another host.
use std::collections::BTreeSet;

use super::Seeded;
use crate::balancer::{Balancer, Host, PickRequest};
use crate::health::status::CoarseHealth;
use crate::number::double;

/// What a change did to a number of keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value to report")]
pub struct MovedKeys {
    /// How many keys were tried.
    pub keys: u32,
    /// How many are with another host, or with none, or were with none before.
    pub moved: u32,
    /// How many of these could have stayed: their host is still there, and healthy.
    pub needlessly: u32,
}

impl MovedKeys {
    /// Returns the share that moved, in percent.
    pub fn percent(&self) -> f64 {
        if self.keys == 0 {
            0.0
        } else {
            100.0 * double(self.moved.into()) / double(self.keys.into())
        }
    }
}

/// Compares where random keys go before and after a change. It tells something for ring hash and
/// Maglev; under other algorithms keys do not matter.
pub fn moved_keys(before: &Balancer, after: &Balancer, keys: u32, seed: u64) -> MovedKeys {
    let all = BTreeSet::new();
    moved_keys_between((before, &all), (after, &all), keys, seed)
}

/// The same where hosts of some addresses do not answer: keys that go there are with none.
pub(crate) fn moved_keys_between(
    before: Answering<'_>,
    after: Answering<'_>,
    keys: u32,
    seed: u64,
) -> MovedKeys {
    let mut random = Seeded::new(seed);
    let mut result = MovedKeys { keys, ..MovedKeys::default() };
    for _ in 0..keys {
        let request = PickRequest { hash: Some(random.draw()), ..PickRequest::default() };
        let host = |(balancer, silent): Answering<'_>| {
            let pick = balancer.pick(&request, || 0)?;
            let address = pick.host.address();
            (!silent.contains(address)).then(|| address.to_owned())
        };
        let (old, new) = (host(before), host(after));
        if old != new {
            result.moved += 1;
            let is_old = |host: &Host| {
                host.health().coarse() == CoarseHealth::Healthy
                    && old.as_deref() == Some(host.address())
                    && !after.1.contains(host.address())
            };
            let stays = after.0.hosts().any(is_old);
            result.needlessly += u32::from(stays);
        }
    }
    result
}

/// A balancer, and the addresses of its hosts that do not answer.
pub(crate) type Answering<'b> = (&'b Balancer, &'b BTreeSet<Box<str>>);
