//! Ring hash: hosts at many places of a circle of hashes; a request goes to the next one.
use std::fmt;

use super::hash::{HashFunction, Short};
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

    /// Returns the least number of entries.
    pub const fn minimum(&self) -> u64 {
        self.minimum
    }

    /// Returns the greatest number of entries.
    pub const fn maximum(&self) -> u64 {
        self.maximum
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
        let (mut current, mut target) = (0.0, 0.0);
        for &(host, weight) in weights.hosts() {
            target += scale * weight;
            let mut numbered = Numbered::new(key(host), config.function);
            let mut i = 0;
            while current < target {
                entries.push((numbered.next_hash(), host));
                i += 1;
                current += 1.0;
            }
            per_host = (per_host.0.min(i), per_host.1.max(i));
        }
        Self { size, per_host, ..Self::of_entries(entries) }
    }

    fn of_entries(mut entries: Vec<(u64, u32)>) -> Self {
        // Hosts ascend, so this order of equal hashes is that of a stable sort.
        sort(&mut entries);
        let bits = entries.len().next_power_of_two().trailing_zeros().max(1);
        let shift = 64 - bits;
        let hashes: Box<[u64]> = entries.iter().map(|entry| entry.0).collect();
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (place, hash) in (0_u32..).zip(&hashes) {
            while u64::try_from(starts.len()).is_ok_and(|bucket| bucket <= hash >> shift) {
                starts.push(place);
            }
        }
        starts.resize((1 << bits) + 1, u32::try_from(hashes.len()).unwrap_or(u32::MAX));
        let hosts = entries.iter().map(|entry| entry.1).collect();
        Self { hashes, hosts, starts: starts.into(), shift, ..Self::default() }
    }

    /// Gives the hosts other numbers.
    pub(crate) fn rename(&mut self, name: impl Fn(u32) -> u32) {
        self.hosts.iter_mut().for_each(|host| *host = name(*host));
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

/// Sorts many entries by counting the uppermost 8 bits of their hashes, then the 8 after them, within
/// what fits in the nearest cache; what remains to be compared is an entry or two each.
fn sort(entries: &mut [(u64, u32)]) {
    const MANY: usize = 1 << 14;
    if entries.len() < MANY {
        entries.sort_unstable();
        return;
    }
    let mut halfway = vec![(0, 0); entries.len()];
    let ends = distribute(entries, &mut halfway, |hash| hash.to_be_bytes()[0]);
    let mut start = 0;
    for end in ends {
        let range = start..end;
        start = end;
        if let (Some(from), Some(to)) = (halfway.get(range.clone()), entries.get_mut(range)) {
            distribute(from, to, |hash| hash.to_be_bytes()[1]);
        }
    }
    for near in entries.chunk_by_mut(|a, b| a.0 >> 48 == b.0 >> 48) {
        match near {
            [_] => {}
            [one, other] => {
                if other < one {
                    std::mem::swap(one, other);
                }
            }
            several => several.sort_unstable(),
        }
    }
}

/// Copies entries to `sorted`, which is as long, in the order of a byte of their hashes; those with the
/// same keep their order. Returns where those of each byte end.
fn distribute(
    entries: &[(u64, u32)],
    sorted: &mut [(u64, u32)],
    byte: impl Fn(u64) -> u8,
) -> [usize; 256] {
    let mut next = [0_usize; 256];
    let count = |next: &mut [usize; 256], hash| -> usize {
        let next = next.get_mut(usize::from(byte(hash)));
        next.map_or(0, |next| std::mem::replace(next, *next + 1))
    };
    for entry in entries {
        count(&mut next, entry.0);
    }
    let mut sum = 0;
    for next in &mut next {
        sum += std::mem::replace(next, sum);
    }
    for entry in entries {
        if let Some(place) = sorted.get_mut(count(&mut next, entry.0)) {
            *place = *entry;
        }
    }
    next
}

/// The hashes of `KEY_0`, `KEY_1` and so on.
struct Numbered {
    function: HashFunction,
    /// Where the digits begin.
    digits: usize,
    text: Vec<u8>,
    short: Option<Short>,
}

impl Numbered {
    fn new(key: &str, function: HashFunction) -> Self {
        let mut text = Vec::with_capacity(key.len() + 12);
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(b"_0");
        let digits = text.len() - 1;
        let mut numbered = Self { function, digits, text, short: None };
        numbered.shorten();
        numbered
    }

    /// Looks at the text anew, once it is longer.
    fn shorten(&mut self) {
        self.short = match self.function {
            HashFunction::XxHash => Short::new(&self.text, self.digits),
            HashFunction::MurmurHash2 => None,
        };
    }

    #[inline]
    fn next_hash(&mut self) -> u64 {
        let hash = match &self.short {
            Some(short) => short.hash(&self.text),
            None => self.function.hash(&self.text),
        };
        self.count_up();
        hash
    }

    #[inline]
    fn count_up(&mut self) {
        match self.text.last_mut() {
            Some(digit) if *digit < b'9' => *digit += 1,
            _ => self.carry(),
        }
    }

    fn carry(&mut self) {
        for digit in self.text.iter_mut().skip(self.digits).rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.text.insert(self.digits, b'1');
        self.shorten();
    }
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
