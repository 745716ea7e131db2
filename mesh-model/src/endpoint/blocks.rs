//! The endpoints of a shard, kept in blocks.
//!
//! ```text
//! Endpoints ──▶ block of 16 ──▶ Endpoint, Endpoint, …
//!          └──▶ block of 16 (shared by the revision before) ──▶ …
//! ```
//!
//! Where few endpoints change, the blocks of the others are shared: neither they nor what they run in is
//! touched.
use std::fmt;
use std::sync::Arc;

use super::{Endpoint, HealthStatus};

/// How many endpoints a block holds.
const BLOCK: usize = 16;

/// The endpoints of a shard in the order of the registry.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Endpoints {
    // INVARIANT: all but the last hold as many as a block does, and the last one at least one.
    blocks: Vec<Arc<[Endpoint]>>,
}

type Iter<'e> = std::iter::FlatMap<
    std::slice::Iter<'e, Arc<[Endpoint]>>,
    std::slice::Iter<'e, Endpoint>,
    fn(&'e Arc<[Endpoint]>) -> std::slice::Iter<'e, Endpoint>,
>;

impl Endpoints {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        let last = self.blocks.last().map_or(0, |last| last.len());
        self.blocks.len().saturating_sub(1) * BLOCK + last
    }

    /// Returns whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns an endpoint by its index.
    pub fn get(&self, index: usize) -> Option<&Endpoint> {
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    /// Returns the endpoints in order.
    pub fn iter(&self) -> Iter<'_> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// The same where the endpoints of some indices, in order, have another health.
    pub(super) fn with_health(&self, changed: &[(u32, HealthStatus)]) -> Self {
        let mut blocks = self.blocks.clone();
        for (index, health) in changed {
            let Ok(index) = usize::try_from(*index) else { continue };
            let Some(block) = blocks.get_mut(index / BLOCK) else { continue };
            if let Some(endpoint) = Arc::make_mut(block).get_mut(index % BLOCK) {
                endpoint.health = *health;
            }
        }
        Self { blocks }
    }
}

impl<'e> IntoIterator for &'e Endpoints {
    type IntoIter = Iter<'e>;
    type Item = &'e Endpoint;

    fn into_iter(self) -> Iter<'e> {
        self.iter()
    }
}

impl Default for &Endpoints {
    fn default() -> Self {
        static NONE: Endpoints = Endpoints { blocks: Vec::new() };
        &NONE
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        let mut endpoints = endpoints.into_iter();
        let mut blocks = Vec::with_capacity(endpoints.size_hint().0.div_ceil(BLOCK));
        loop {
            let block: Vec<Endpoint> = endpoints.by_ref().take(BLOCK).collect();
            if block.is_empty() {
                blocks.shrink_to_fit();
                return Self { blocks };
            }
            blocks.push(block.into());
        }
    }
}

impl From<Vec<Endpoint>> for Endpoints {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        endpoints.into_iter().collect()
    }
}

impl<const N: usize> From<[Endpoint; N]> for Endpoints {
    fn from(endpoints: [Endpoint; N]) -> Self {
        endpoints.into_iter().collect()
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Address, MoreAddresses, Workload};

    fn endpoint(number: u8) -> Endpoint {
        Endpoint {
            address: Address::Ip([10, 0, 0, number].into()),
            more_addresses: MoreAddresses::default(),
            port: 80,
            port_name: "http".into(),
            service_port: 0,
            weight: 0,
            health: HealthStatus::Healthy,
            workload: Arc::new(Workload::default()),
        }
    }

    #[test]
    fn endpoints_stand_as_they_were_put_in() {
        for len in [0, 1, 15, 16, 17, 32, 50] {
            let list: Vec<Endpoint> = (0..len).map(endpoint).collect();
            let endpoints = Endpoints::from(list.clone());
            assert_eq!((endpoints.len(), endpoints.is_empty()), (list.len(), list.is_empty()));
            assert!(endpoints.iter().eq(&list) && endpoints.iter().rev().eq(list.iter().rev()));
            assert!((0..60).all(|index| endpoints.get(index) == list.get(index)));
        }
    }

    #[test]
    fn blocks_without_a_change_are_shared() {
        let mut list: Vec<Endpoint> = (0..50).map(endpoint).collect();
        let before = Endpoints::from(list.clone());
        let changed = [0, 15, 33].map(|index| (index, HealthStatus::Unhealthy));
        let after = before.with_health(&changed);
        for (index, health) in changed {
            list.get_mut(usize::try_from(index).unwrap()).unwrap().health = health;
        }
        assert_eq!(after, Endpoints::from(list));
        let blocks = before.blocks.iter().zip(&after.blocks);
        let shared: Vec<bool> = blocks.map(|(old, new)| Arc::ptr_eq(old, new)).collect();
        assert_eq!(shared, [false, true, false, true]);
    }
}
