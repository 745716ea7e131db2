//! Ring hash of a gRPC client: Envoy's ring, another size, and connections made on demand.
use std::fmt;

use super::assignment::Accepted;
use super::connectivity::Connectivity;
use crate::pick::hash::HashFunction;
use crate::pick::ring_hash::{MAX_RING_SIZE, Ring, RingHashConfig};
use crate::pick::weight::NormalizedWeights;

/// The size beyond which a client caps rings: `GRPC_RING_HASH_CAP`.
pub const RING_SIZE_CAP: u64 = 4096;

/// The sizes of a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RingSize {
    // INVARIANT: 1 <= minimum <= maximum <= RING_SIZE_CAP.
    minimum: u64,
    maximum: u64,
}

/// The sizes of a ring exceed 8,388,608, or the minimum exceeds the maximum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidRingSize {
    minimum: u64,
    maximum: u64,
}

impl fmt::Display for InvalidRingSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minimum, maximum } = self;
        write!(f, "ring sizes `{minimum}` to `{maximum}` are not in order within {MAX_RING_SIZE}")
    }
}

impl std::error::Error for InvalidRingSize {}

impl Default for RingSize {
    fn default() -> Self {
        Self { minimum: 1024, maximum: RING_SIZE_CAP }
    }
}

impl RingSize {
    /// Returns the sizes that a cluster asks for, capped at [`RING_SIZE_CAP`].
    ///
    /// Unset stands for 1,024 and 8,388,608, an explicit 0 for 1,024 and 4,096: a maximum below
    /// 1,024 needs an explicit minimum.
    ///
    /// # Errors
    ///
    /// A size is above 8,388,608, or the minimum is above the maximum.
    ///
    /// # Upstream
    ///
    /// grpc-go `internal/xds/xdsclient/xdsresource/unmarshal_cds.go`; `balancer/ringhash/config.go`,
    /// `parseConfig`.
    pub fn new(minimum: Option<u64>, maximum: Option<u64>) -> Result<Self, InvalidRingSize> {
        let (minimum, maximum) = (minimum.unwrap_or(1024), maximum.unwrap_or(MAX_RING_SIZE));
        let invalid = InvalidRingSize { minimum, maximum };
        let filled = |size, default| if size == 0 { default } else { size };
        let (minimum, maximum) = (filled(minimum, 1024), filled(maximum, RING_SIZE_CAP));
        if minimum > MAX_RING_SIZE || maximum > MAX_RING_SIZE || minimum > maximum {
            return Err(invalid);
        }
        Ok(Self { minimum: minimum.min(RING_SIZE_CAP), maximum: maximum.min(RING_SIZE_CAP) })
    }

    /// Returns the least number of entries.
    pub const fn minimum(self) -> u64 {
        self.minimum
    }

    /// Returns the greatest number of entries.
    pub const fn maximum(self) -> u64 {
        self.maximum
    }
}

/// A ring over the endpoints of one level.
#[derive(Clone, Debug, Default)]
pub struct GrpcRing {
    ring: Ring,
    /// The endpoint of each host of the ring, whose hosts are sorted by key.
    order: Vec<u32>,
}

/// Where an RPC goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on each")]
pub enum RingPick {
    /// To this endpoint.
    Picked(u32),
    /// It waits for this endpoint; with a random hash it waits for any.
    Queued(Option<u32>),
    /// It fails, with the error of this endpoint; none on a ring without endpoints.
    Failed(Option<u32>),
}

/// The answer to a pick.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "both parts matter to callers")]
pub struct RingAnswer {
    /// Where the RPC goes.
    pub pick: RingPick,
    /// An idle endpoint to be connected to now.
    pub connect: Option<u32>,
}

impl GrpcRing {
    /// Builds the ring of endpoints that are given by what names them and by their weights.
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/ringhash/ring.go`, `newRing`: endpoints sorted by key, then Envoy's ring.
    pub fn new(size: RingSize, endpoints: &[(&str, u32)]) -> Self {
        let mut sorted: Vec<(&str, u32, u32)> =
            (0..).zip(endpoints).map(|(index, &(key, weight))| (key, index, weight)).collect();
        sorted.sort_unstable();
        let weights: Vec<u32> = sorted.iter().map(|&(.., weight)| weight).collect();
        let config = RingHashConfig::new(size.minimum, size.maximum, HashFunction::XxHash);
        let ring =
            Ring::new(&config.unwrap_or_default(), &NormalizedWeights::flat(&weights), |host| {
                let host = usize::try_from(host).ok();
                host.and_then(|host| sorted.get(host)).map_or("", |endpoint| endpoint.0)
            });
        Self { ring, order: sorted.iter().map(|&(_, index, _)| index).collect() }
    }

    /// Builds the ring of the usable endpoints of a level, numbered in the order of the assignment.
    pub fn of_level(size: RingSize, accepted: &Accepted<'_>, level: u32) -> Self {
        let localities: Vec<_> = accepted.level(level).map(|(_, locality)| locality).collect();
        let scheme = super::assignment::WeightScheme::FixedPoint;
        let weights = super::assignment::endpoint_weights(scheme, &localities);
        let endpoints: Vec<(&str, u32)> = localities
            .iter()
            .zip(&weights)
            .flat_map(|(locality, weights)| locality.endpoints.iter().zip(weights))
            .filter(|(endpoint, _)| endpoint.is_usable())
            .map(|(endpoint, &weight)| (endpoint.key(), weight))
            .collect();
        Self::new(size, &endpoints)
    }

    /// Returns the entries, ascending by hash: the hash and the endpoint.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (u64, u32)> + ExactSizeIterator + '_ {
        self.ring.entries().map(|(hash, host)| (hash, self.endpoint(host)))
    }

    fn endpoint(&self, host: u32) -> u32 {
        usize::try_from(host).ok().and_then(|host| self.order.get(host)).copied().unwrap_or(host)
    }

    /// The entries from the first one whose hash is at least `hash`, once around.
    fn walk(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let first = self.ring.position(hash).unwrap_or(0);
        let places = (first..self.ring.len()).chain(0..first);
        places.filter_map(|place| self.ring.host(place)).map(|host| self.endpoint(host))
    }

    /// Picks for an RPC with this hash: endpoints that fail are passed over, all others are not. An
    /// RPC waits for an endpoint that is not connected yet although another one may be ready.
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/ringhash/picker.go`, `picker.Pick`.
    pub fn pick(&self, hash: u64, state: impl Fn(u32) -> Connectivity) -> RingAnswer {
        for endpoint in self.walk(hash) {
            match state(endpoint) {
                Connectivity::Ready => {
                    return RingAnswer { pick: RingPick::Picked(endpoint), connect: None };
                }
                Connectivity::Connecting => {
                    return RingAnswer { pick: RingPick::Queued(Some(endpoint)), connect: None };
                }
                Connectivity::Idle => {
                    let pick = RingPick::Queued(Some(endpoint));
                    return RingAnswer { pick, connect: Some(endpoint) };
                }
                Connectivity::TransientFailure => {}
            }
        }
        RingAnswer { pick: RingPick::Failed(self.walk(hash).next()), connect: None }
    }

    /// Picks for an RPC without hash, for which a random one was drawn: the first ready endpoint
    /// from there. On the way one idle endpoint is connected to, unless one is connecting already.
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/ringhash/picker.go`, `picker.Pick`; gRFC A76.
    pub fn pick_random(&self, hash: u64, state: impl Fn(u32) -> Connectivity) -> RingAnswer {
        let mut waits = self.order.iter().any(|&index| state(index) == Connectivity::Connecting);
        let mut connect = None;
        for endpoint in self.walk(hash) {
            match state(endpoint) {
                Connectivity::Ready => {
                    return RingAnswer { pick: RingPick::Picked(endpoint), connect };
                }
                Connectivity::Idle if !waits => {
                    waits = true;
                    connect = Some(endpoint);
                }
                Connectivity::Idle | Connectivity::Connecting | Connectivity::TransientFailure => {}
            }
        }
        let failed = || RingPick::Failed(self.walk(hash).next());
        let pick = if waits { RingPick::Queued(None) } else { failed() };
        RingAnswer { pick, connect }
    }
}

#[cfg(test)]
mod tests {
    use super::Connectivity::{Connecting, Idle, Ready, TransientFailure};
    use super::*;

    fn check(minimum: Option<u64>, maximum: Option<u64>, expected: Option<(u64, u64)>) {
        let size = RingSize::new(minimum, maximum).ok();
        assert_eq!(size.map(|size| (size.minimum, size.maximum)), expected);
    }

    #[test]
    fn a_maximum_below_the_default_minimum_needs_a_minimum() {
        check(None, Some(10), None);
        check(Some(1), Some(10), Some((1, 10)));
        check(Some(0), Some(0), Some((1024, 4096)));
        check(Some(5_000), Some(0), None);
        check(Some(5_000), None, Some((4096, 4096)));
    }

    #[test]
    fn a_random_hash_finds_what_is_ready_and_wakes_one_idle_endpoint() {
        let ring = GrpcRing::new(RingSize::default(), &[("a", 1), ("b", 1), ("c", 1)]);
        let answer =
            |states: [Connectivity; 3]| ring.pick_random(0, |endpoint| states[endpoint as usize]);
        assert_eq!(answer([TransientFailure, Ready, TransientFailure]).pick, RingPick::Picked(1));
        let idle = answer([TransientFailure, TransientFailure, Idle]);
        assert_eq!(idle, RingAnswer { pick: RingPick::Queued(None), connect: Some(2) });
        let connecting = answer([Connecting, Idle, Idle]);
        assert_eq!(connecting, RingAnswer { pick: RingPick::Queued(None), connect: None });
        assert!(matches!(answer([TransientFailure; 3]).pick, RingPick::Failed(Some(_))));
    }

    #[test]
    fn a_ring_without_endpoints_fails() {
        let ring = GrpcRing::new(RingSize::default(), &[]);
        assert_eq!(ring.pick(7, |_| Ready).pick, RingPick::Failed(None));
        assert_eq!(ring.pick_random(7, |_| Ready).pick, RingPick::Failed(None));
    }
}
