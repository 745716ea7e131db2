//! Ring hash: hosts at many places of a circle of hashes; a request goes to the next one.
use std::fmt;

use super::hash::HashFunction;
use super::weight::NormalizedWeights;
use crate::number::{double, truncated_wide};

/// The largest ring.
pub const MAX_RING_SIZE: u64 = 8_388_608;

/// How large a ring is and how its entries are hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingHashConfig {
    // INVARIANT: 1 <= minimum <= maximum <= MAX_RING_SIZE.
    minimum: u64,
    maximum: u64,
    function: HashFunction,
}

/// The sizes of a ring contradict each other or the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidRingSize {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Order { minimum: u64, maximum: u64 },
    Limit { size: u64 },
}

impl fmt::Display for InvalidRingSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Order { minimum, maximum } => {
                write!(
                    f,
                    "minimum ring size `{minimum}` is above the maximum ring size `{maximum}`"
                )
            }
            Kind::Limit { size } => {
                write!(f, "ring size `{size}` is not in the range of 1 to {MAX_RING_SIZE}")
            }
        }
    }
}

impl std::error::Error for InvalidRingSize {}

impl Default for RingHashConfig {
    fn default() -> Self {
        Self { minimum: 1024, maximum: MAX_RING_SIZE, function: HashFunction::XxHash }
    }
}

impl RingHashConfig {
    /// Returns a configuration; by default the sizes are 1,024 and 8,388,608.
    ///
    /// # Errors
    ///
    /// A size is 0 or above [`MAX_RING_SIZE`], or the minimum is above the maximum.
    pub fn new(
        minimum: u64,
        maximum: u64,
        function: HashFunction,
    ) -> Result<Self, InvalidRingSize> {
        let limits = 1..=MAX_RING_SIZE;
        if let Some(size) = [minimum, maximum].into_iter().find(|size| !limits.contains(size)) {
            return Err(InvalidRingSize { kind: Kind::Limit { size } });
        }
        if minimum > maximum {
            return Err(InvalidRingSize { kind: Kind::Order { minimum, maximum } });
        }
        Ok(Self { minimum, maximum, function })
    }

    /// Returns the number of entries that a share of 1 has: enough for the least weighted host to
    /// have a whole number of them, if the maximum allows that.
    fn scale(&self, weights: &NormalizedWeights) -> f64 {
        let least = weights.min();
        let wanted = (least * double(self.minimum)).ceil() / least;
        wanted.min(double(self.maximum))
    }
}

/// A ring: built once, then looked up without a lock.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    // INVARIANT: ascending; `hosts` has the same length.
    hashes: Box<[u64]>,
    hosts: Box<[u32]>,
    // INVARIANT: `starts[b]` is the first entry whose upper bits are at least `b`; one more than
    // there are values of the upper bits; `shift` is what is left of 64 bits, at most 63.
    starts: Box<[u32]>,
    shift: u32,
    size: u64,
    per_host: (u64, u64),
}

impl Ring {
    /// Builds the ring of `weights`; `key` names each host: what its entries are hashed from. Its
    /// metadata `hash_key`, else its host name if the configuration says so, else `ip:port`.
    ///
    /// Equal hashes keep the order of the hosts; upstream leaves their order to the sort.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::pick::ring_hash::{Ring, RingHashConfig};
    /// use mesh_lb::pick::weight::NormalizedWeights;
    ///
    /// let keys = ["127.0.0.1:90", "127.0.0.1:91", "127.0.0.1:92"];
    /// let weights = NormalizedWeights::flat(&[1, 1, 1]);
    /// let ring = Ring::new(&RingHashConfig::default(), &weights, |host| keys[host as usize]);
    /// assert_eq!(ring.len(), 1026); // 1,024 rounded up to whole hosts
    /// assert_eq!(ring.pick(12345678901234567890, 0), Some(0));
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc`,
    /// `RingHashLoadBalancer::Ring::Ring`.
    pub fn new<'k>(
        config: &RingHashConfig,
        weights: &NormalizedWeights,
        key: impl Fn(u32) -> &'k str,
    ) -> Self {
        if weights.hosts().is_empty() {
            return Self::default();
        }
        let scale = config.scale(weights);
        let size = truncated_wide(scale.ceil());
        let mut entries = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut per_host = (u64::MAX, 0);
        let mut text = Vec::new();
        let (mut current, mut target) = (0.0, 0.0);
        for &(host, weight) in weights.hosts() {
            text.clear();
            text.extend_from_slice(key(host).as_bytes());
            text.push(b'_');
            let prefix = text.len();
            target += scale * weight;
            text.push(b'0');
            let mut i = 0;
            while current < target {
                entries.push((config.function.hash(&text), host));
                i += 1;
                current += 1.0;
                count_up(&mut text, prefix);
            }
            per_host = (per_host.0.min(i), per_host.1.max(i));
        }
        Self { size, per_host, ..Self::of_entries(&entries) }
    }

    /// Sorts entries by counting the upper bits of their hashes: as many values as entries, so
    /// that what remains to be sorted by comparison is an entry or two each.
    fn of_entries(entries: &[(u64, u32)]) -> Self {
        let bits = entries.len().next_power_of_two().trailing_zeros().max(1);
        let shift = 64 - bits;
        let bucket = |hash: u64| usize::try_from(hash >> shift).unwrap_or(usize::MAX);
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for (hash, _) in entries {
            if let Some(next) = starts.get_mut(bucket(*hash) + 1) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut free = starts.clone();
        let mut sorted = vec![(0, 0); entries.len()];
        for entry in entries {
            let Some(place) = free.get_mut(bucket(entry.0)) else { continue };
            if let Some(slot) = usize::try_from(*place).ok().and_then(|at| sorted.get_mut(at)) {
                *slot = *entry;
            }
            *place += 1;
        }
        // Hosts ascend, so this order of equal hashes is that of a stable sort.
        sorted.chunk_by_mut(|a, b| bucket(a.0) == bucket(b.0)).for_each(<[_]>::sort_unstable);
        let (hashes, hosts): (Vec<u64>, Vec<u32>) = sorted.into_iter().unzip();
        let (hashes, hosts) = (hashes.into(), hosts.into());
        Self { hashes, hosts, starts: starts.into(), shift, ..Self::default() }
    }

    /// Returns the host of the first entry whose hash is at least `hash`, or of the first entry.
    /// A retried selection counts its attempts from 0 and moves on by as many entries; that does
    /// not promise another host. None if there are no hosts.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc`,
    /// `RingHashLoadBalancer::Ring::chooseHost`.
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<u32> {
        let found = self.position(hash)?;
        if attempt == 0 {
            return self.hosts.get(found).or_else(|| self.hosts.first()).copied();
        }
        let found = if found == self.hosts.len() { 0 } else { found };
        let moved = found.checked_add(usize::try_from(attempt).ok()?)?;
        self.hosts.get(moved.checked_rem(self.hosts.len())?).copied()
    }

    /// Returns the place of the first entry whose hash is at least `hash`, the number of entries if
    /// there is none; none on a ring without entries.
    #[inline]
    pub(crate) fn position(&self, hash: u64) -> Option<usize> {
        let bucket = usize::try_from(hash >> self.shift).ok()?;
        let start = usize::try_from(*self.starts.get(bucket)?).ok()?;
        let end = usize::try_from(*self.starts.get(bucket + 1)?).ok()?;
        let within = self.hashes.get(start..end)?.partition_point(|&entry| entry < hash);
        Some(start + within)
    }

    /// Returns the host of the entry at a place.
    pub(crate) fn host(&self, place: usize) -> Option<u32> {
        self.hosts.get(place).copied()
    }

    /// Returns the size that Envoy reports: what a share of 1 has, rounded up. Rounding hosts in
    /// turn can leave the number of entries beside it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of entries.
    pub const fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Returns whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Returns the entries, ascending by hash.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (u64, u32)> + ExactSizeIterator {
        self.hashes.iter().copied().zip(self.hosts.iter().copied())
    }

    /// Returns the least and the greatest number of entries that a host has.
    pub const fn entries_per_host(&self) -> (u64, u64) {
        self.per_host
    }
}

/// Adds one to the decimal number that `text` ends with, which begins at `prefix`.
fn count_up(text: &mut Vec<u8>, prefix: usize) {
    for digit in text.iter_mut().skip(prefix).rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    text.insert(prefix, b'1');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minimum: u64, maximum: u64, expected: Result<(), &str>) {
        let config = RingHashConfig::new(minimum, maximum, HashFunction::XxHash);
        let got = config.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn sizes_must_be_ordered_and_within_the_limit() {
        check(1, 1, Ok(()));
        check(20, 10, Err("minimum ring size `20` is above the maximum ring size `10`"));
        check(0, 10, Err("ring size `0` is not in the range of 1 to 8388608"));
        check(1, 8_388_609, Err("ring size `8388609` is not in the range of 1 to 8388608"));
    }

    #[test]
    fn a_ring_without_hosts_picks_none() {
        let ring = Ring::new(&RingHashConfig::default(), &NormalizedWeights::default(), |_| "");
        assert_eq!((ring.pick(7, 0), ring.pick(7, 3)), (None, None));
    }

    #[test]
    fn a_retry_moves_on_by_entries_and_wraps() {
        let config = RingHashConfig::new(1, 3, HashFunction::XxHash).unwrap();
        let keys = ["a", "b", "c"];
        let weights = NormalizedWeights::flat(&[1, 1, 1]);
        let ring = Ring::new(&config, &weights, |host| keys[host as usize]);
        let order: Vec<u32> = ring.entries().map(|entry| entry.1).collect();
        let picks: Vec<Option<u32>> = (0..5).map(|attempt| ring.pick(0, attempt)).collect();
        assert_eq!(picks, [0, 1, 2, 0, 1].map(|entry| Some(order[entry])));
        assert_eq!(ring.pick(u64::MAX, 0), Some(order[0]));
    }
}
