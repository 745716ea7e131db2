//! The endpoints of a shard, kept in blocks.
//!
//! ```text
//! Endpoints ──▶ Endpoint, Endpoint, …, 8 at most
//!          └──▶ block of 8 (shared by the revision before) ──▶ Endpoint, …
//! ```
//!
//! Where few endpoints change, the blocks of the others are shared: neither they nor what they run in is
//! touched.
use std::fmt;
use std::sync::{Arc, LazyLock};

use super::{Endpoint, HealthStatus};

/// How many endpoints a block holds: a change copies one, and looks at what each of its endpoints refers to; less than
/// a kilobyte is cheap to allocate.
const BLOCK: usize = 8;

/// The endpoints of a shard in the order of the registry.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Endpoints {
    /// The first block: most services have no more than that, and it is no farther than a list would be.
    first: Arc<[Endpoint]>,
    // INVARIANT: none if the first holds fewer than a block does; all but the last hold as many as a block does,
    // and the last one at least one.
    more: Vec<Arc<[Endpoint]>>,
}

type Iter<'e> = std::iter::FlatMap<
    std::iter::Chain<std::iter::Once<&'e Arc<[Endpoint]>>, std::slice::Iter<'e, Arc<[Endpoint]>>>,
    std::slice::Iter<'e, Endpoint>,
    fn(&'e Arc<[Endpoint]>) -> std::slice::Iter<'e, Endpoint>,
>;

impl Endpoints {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        let of_more = |last: &Arc<[Endpoint]>| (self.more.len() - 1) * BLOCK + last.len();
        self.first.len() + self.more.last().map_or(0, of_more)
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Returns an endpoint by its index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&Endpoint> {
        match index.checked_sub(BLOCK) {
            None => self.first.get(index),
            Some(index) => self.more.get(index / BLOCK)?.get(index % BLOCK),
        }
    }

    /// Returns the endpoints in order.
    pub fn iter(&self) -> Iter<'_> {
        std::iter::once(&self.first).chain(&self.more).flat_map(|block| block.iter())
    }

    /// The same where the endpoints of some indices, in order, have another health.
    pub(super) fn with_health(&self, changed: &[(u32, HealthStatus)]) -> Self {
        let mut new = self.clone();
        for (index, health) in changed {
            let Ok(index) = usize::try_from(*index) else { continue };
            let block = match (index / BLOCK).checked_sub(1) {
                None => Some(&mut new.first),
                Some(block) => new.more.get_mut(block),
            };
            let endpoint = block.and_then(|block| Arc::make_mut(block).get_mut(index % BLOCK));
            if let Some(endpoint) = endpoint {
                endpoint.health = *health;
            }
        }
        new
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
        static NONE: LazyLock<Endpoints> = LazyLock::new(Endpoints::default);
        &NONE
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        // Who has ended may go on: a block would then follow one that is not full.
        let mut endpoints = endpoints.into_iter().fuse();
        let mut block = || -> Arc<[Endpoint]> { endpoints.by_ref().take(BLOCK).collect() };
        let first = block();
        let mut more = Vec::new();
        loop {
            let next = block();
            if next.is_empty() {
                more.shrink_to_fit();
                return Self { first, more };
            }
            more.push(next);
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
            instance: "".into(),
            workload: Arc::new(Workload::default()),
        }
    }

    #[test]
    fn endpoints_stand_as_they_were_put_in() {
        for len in [0, 1, 7, 8, 9, 16, 50] {
            let list: Vec<Endpoint> = (0..len).map(endpoint).collect();
            let endpoints = Endpoints::from(list.clone());
            assert_eq!((endpoints.len(), endpoints.is_empty()), (list.len(), list.is_empty()));
            assert!(endpoints.iter().eq(&list) && endpoints.iter().rev().eq(list.iter().rev()));
            assert!((0..60).all(|index| endpoints.get(index) == list.get(index)));
        }
    }

    #[test]
    fn what_has_ended_is_not_asked_again() {
        let mut asked = 0;
        let endpoints: Endpoints = std::iter::from_fn(|| {
            asked += 1;
            (asked != 4).then(|| endpoint(asked)).filter(|_| asked < 30)
        })
        .collect();
        assert_eq!((endpoints.len(), endpoints.get(2)), (3, Some(&endpoint(3))));
    }

    #[test]
    fn blocks_without_a_change_are_shared() {
        let mut list: Vec<Endpoint> = (0..50).map(endpoint).collect();
        let before = Endpoints::from(list.clone());
        let changed = [0, 7, 17].map(|index| (index, HealthStatus::Unhealthy));
        let after = before.with_health(&changed);
        for (index, health) in changed {
            list.get_mut(usize::try_from(index).unwrap()).unwrap().health = health;
        }
        assert_eq!(after, Endpoints::from(list));
        let blocks = before.more.iter().zip(&after.more);
        let shared: Vec<bool> = blocks.map(|(old, new)| Arc::ptr_eq(old, new)).collect();
        assert!(!Arc::ptr_eq(&before.first, &after.first));
        assert_eq!(shared, [true, false, true, true, true, true]);
    }
}
