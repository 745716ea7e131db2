//! Which endpoints would carry too much, over all clients that are looked at.
use std::collections::BTreeMap;

use super::Outcome;
use crate::capacity::{CarriedLoad, Overload, overloaded};

/// The traffic of a destination by endpoint, before and after, summed over clients.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    loads: BTreeMap<String, CarriedLoad>,
}

impl Carried {
    /// Adds the traffic of as many proxies as share an outcome, each of them one unit.
    pub fn add(&mut self, before: &Outcome, after: &Outcome, proxies: usize) {
        let proxies = f64::from(u32::try_from(proxies).unwrap_or(u32::MAX));
        for (endpoint, share) in before.received() {
            self.load(endpoint).before += share * proxies;
        }
        for (endpoint, share) in after.received() {
            self.load(endpoint).after += share * proxies;
        }
    }

    fn load(&mut self, endpoint: &mesh_model::endpoint::Endpoint) -> &mut CarriedLoad {
        let text = match endpoint.address.ip() {
            Some(ip) if ip.is_ipv6() => format!("[{ip}]:{}", endpoint.port),
            Some(_) | None => format!("{}:{}", endpoint.address, endpoint.port),
        };
        // Networks that are not joined may use an address twice.
        let key = format!("{text} {} {}", endpoint.workload.network, endpoint.workload.cluster);
        self.loads.entry(key).or_insert_with(|| CarriedLoad {
            address: text.into(),
            weight: Some(endpoint.effective_weight()),
            ..CarriedLoad::default()
        })
    }

    /// Returns the endpoints that would carry more than `limit` times what the busiest comparable one
    /// carries before.
    pub fn overloaded(&self, limit: f64) -> Overload {
        let loads: Vec<CarriedLoad> = self.loads.values().cloned().collect();
        overloaded(&loads, limit)
    }
}
