//! What share of a gRPC client's RPCs each endpoint gets, for given states of connections.
use super::assignment::{Accepted, Endpoint};
use super::connectivity::{Connectivity, aggregate, aggregate_ring};
use super::ring::{GrpcRing, RingPick, RingSize};
use crate::number::double;

/// How a cluster picks among the endpoints of a level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum GrpcPolicy {
    /// A locality by weight, then its endpoints in turn, whatever their weights.
    #[default]
    RoundRobin,
    /// The whole level alike: neither weights of localities nor of endpoints count.
    LeastRequest,
    /// A ring over the whole level: both weights count.
    RingHash(RingSize),
}

/// RPCs that are dropped to shed load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DropOverload {
    // INVARIANT: at most 1,000,000.
    per_million: u64,
}

impl DropOverload {
    /// Returns a share of RPCs to drop, at most all; none if the denominator is not one of 100,
    /// 10,000 and 1,000,000, for which a client refuses the assignment.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let known = matches!(denominator, 100 | 10_000 | 1_000_000);
        let per_million = u64::from(numerator) * 1_000_000 / u64::from(denominator.max(1));
        known.then_some(Self { per_million: per_million.min(1_000_000) })
    }

    /// Returns the share in parts of 1,000,000.
    pub const fn per_million(self) -> u64 {
        self.per_million
    }
}

/// Shares of all RPCs, in percent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value to report")]
pub struct GrpcShares {
    /// The level in use.
    pub level: u32,
    /// Its state.
    pub state: Connectivity,
    /// The localities that RPCs are sent to: the place in [`Accepted::localities`] and the share.
    pub localities: Vec<(usize, f64)>,
    /// The endpoints that are ready there: the place of the locality, the place in it, the share.
    pub endpoints: Vec<(usize, usize, f64)>,
    /// RPCs that wait for a connection.
    pub queued: f64,
    /// RPCs that fail, unless they say that they wait.
    pub failed: f64,
    /// RPCs that are dropped, by category, each of what is left by then.
    pub dropped: Vec<f64>,
}

/// Returns where RPCs go: to the first level that is ready, idle or still within its time to connect,
/// or to the last one.
///
/// `connectivity` is asked for usable endpoints only; `timed_out` says of a level whether it has been
/// connecting for too long. Nothing is dropped while no RPC can be sent.
///
/// # Upstream
///
/// grpc-go `internal/xds/balancer/priority`, `internal/xds/balancer/clusterimpl/picker.go`,
/// `internal/xds/balancer/wrrlocality`, `balancer/ringhash`.
pub fn shares(
    policy: GrpcPolicy,
    accepted: &Accepted<'_>,
    drops: &[DropOverload],
    connectivity: impl Fn(&Endpoint) -> Connectivity,
    timed_out: impl Fn(u32) -> bool,
) -> GrpcShares {
    let levels = accepted.levels();
    let state_of = |level| level_state(policy, accepted, level, &connectivity);
    let eligible = |level: &u32| match state_of(*level) {
        Connectivity::Ready | Connectivity::Idle => true,
        Connectivity::Connecting => !timed_out(*level),
        Connectivity::TransientFailure => false,
    };
    let level = (0..levels).find(eligible).unwrap_or(levels - 1);
    let mut shares = GrpcShares { level, state: state_of(level), ..GrpcShares::default() };
    match shares.state {
        Connectivity::Connecting | Connectivity::Idle => shares.queued = 100.0,
        Connectivity::TransientFailure => shares.failed = 100.0,
        Connectivity::Ready => {
            let kept = shares.drop_overloads(drops);
            match policy {
                GrpcPolicy::RoundRobin => shares.by_locality(accepted, kept, &connectivity),
                GrpcPolicy::LeastRequest => shares.alike(accepted, kept, &connectivity),
                GrpcPolicy::RingHash(size) => {
                    shares.by_ring(size, accepted, kept, &connectivity);
                }
            }
        }
    }
    shares
}

fn level_state(
    policy: GrpcPolicy,
    accepted: &Accepted<'_>,
    level: u32,
    connectivity: &impl Fn(&Endpoint) -> Connectivity,
) -> Connectivity {
    let endpoints = accepted.level(level).flat_map(|(_, locality)| &locality.endpoints);
    let states = endpoints.filter(|endpoint| endpoint.is_usable()).map(connectivity);
    match policy {
        GrpcPolicy::RoundRobin | GrpcPolicy::LeastRequest => aggregate(states),
        GrpcPolicy::RingHash(_) => aggregate_ring(states),
    }
}

impl GrpcShares {
    /// Returns what is left of 100 after all categories have dropped their part.
    fn drop_overloads(&mut self, drops: &[DropOverload]) -> f64 {
        let mut left = 100.0;
        for drop in drops {
            let dropped = left * double(drop.per_million) / 1e6;
            self.dropped.push(dropped);
            left -= dropped;
        }
        left
    }

    /// Localities with a ready endpoint share by their weights, which failed endpoints do not lower.
    fn by_locality(
        &mut self,
        accepted: &Accepted<'_>,
        kept: f64,
        connectivity: &impl Fn(&Endpoint) -> Connectivity,
    ) {
        let ready = ready(accepted, self.level, connectivity);
        let weight = |place: usize| {
            accepted.localities().get(place).map_or(0.0, |locality| f64::from(locality.weight))
        };
        let sum: f64 = ready.iter().map(|(place, _)| weight(*place)).sum();
        for (place, endpoints) in ready {
            let share = kept * weight(place) / sum;
            self.localities.push((place, share));
            let each = share / count(endpoints.len());
            self.endpoints.extend(endpoints.into_iter().map(|index| (place, index, each)));
        }
    }

    fn alike(
        &mut self,
        accepted: &Accepted<'_>,
        kept: f64,
        connectivity: &impl Fn(&Endpoint) -> Connectivity,
    ) {
        let ready = ready(accepted, self.level, connectivity);
        let each = kept / count(ready.iter().map(|(_, endpoints)| endpoints.len()).sum());
        for (place, endpoints) in ready {
            self.localities.push((place, each * count(endpoints.len())));
            self.endpoints.extend(endpoints.into_iter().map(|index| (place, index, each)));
        }
    }

    /// Each entry of the ring stands for the hashes between the one before it and itself.
    fn by_ring(
        &mut self,
        size: RingSize,
        accepted: &Accepted<'_>,
        kept: f64,
        connectivity: &impl Fn(&Endpoint) -> Connectivity,
    ) {
        let usable: Vec<(usize, usize, Connectivity)> = accepted
            .level(self.level)
            .flat_map(|(place, locality)| {
                let usable = locality.endpoints.iter().enumerate().filter(|(_, e)| e.is_usable());
                usable.map(move |(index, endpoint)| (place, index, connectivity(endpoint)))
            })
            .collect();
        let of = |number: u32| usize::try_from(number).ok().and_then(|number| usable.get(number));
        let state = |number| of(number).map_or(Connectivity::TransientFailure, |found| found.2);
        let ring = GrpcRing::of_level(size, accepted, self.level);
        let mut arcs = vec![0.0; usable.len()];
        let mut before = ring.entries().next_back().map_or(0, |(hash, _)| hash);
        for (hash, _) in ring.entries() {
            let arc = double(hash.wrapping_sub(before));
            // A single entry is all of the ring.
            let part = if ring.entries().len() == 1 { 1.0 } else { arc / 2.0_f64.powi(64) };
            before = hash;
            let share = kept * part;
            match ring.pick(hash, state).pick {
                RingPick::Picked(number) => {
                    if let Some(sum) = usize::try_from(number).ok().and_then(|n| arcs.get_mut(n)) {
                        *sum += share;
                    }
                }
                RingPick::Queued(_) => self.queued += share,
                RingPick::Failed(_) => self.failed += share,
            }
        }
        for (&(place, index, state), share) in usable.iter().zip(arcs) {
            if state == Connectivity::Ready {
                self.endpoints.push((place, index, share));
                match self.localities.iter_mut().find(|(locality, _)| *locality == place) {
                    Some((_, sum)) => *sum += share,
                    None => self.localities.push((place, share)),
                }
            }
        }
    }
}

/// The localities of a level that have ready endpoints, and which ones.
fn ready(
    accepted: &Accepted<'_>,
    level: u32,
    connectivity: &impl Fn(&Endpoint) -> Connectivity,
) -> Vec<(usize, Vec<usize>)> {
    let is_ready =
        |endpoint: &Endpoint| endpoint.is_usable() && connectivity(endpoint) == Connectivity::Ready;
    accepted
        .level(level)
        .map(|(place, locality)| {
            let endpoints = locality.endpoints.iter().enumerate();
            let ready = endpoints.filter(|(_, endpoint)| is_ready(endpoint));
            (place, ready.map(|(index, _)| index).collect::<Vec<_>>())
        })
        .filter(|(_, endpoints)| !endpoints.is_empty())
        .collect()
}

fn count(number: usize) -> f64 {
    double(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use mesh_model::name::Locality;

    use super::Connectivity::{Connecting, Idle, Ready, TransientFailure};
    use super::*;
    use crate::grpc::assignment::GrpcLocality;

    /// One locality a level, weight 1; of each endpoint its state.
    fn check(policy: GrpcPolicy, levels: &[&[Connectivity]], expected: (u32, Connectivity)) {
        let localities: Vec<GrpcLocality> = (0..)
            .zip(levels)
            .map(|(priority, states)| GrpcLocality {
                name: Some(Locality::parse("eu")),
                priority,
                weight: 1,
                endpoints: (0..states.len())
                    .map(|index| Endpoint {
                        address: format!("{priority}-{index}").into(),
                        ..Endpoint::default()
                    })
                    .collect(),
            })
            .collect();
        let accepted = Accepted::new(&localities).unwrap();
        let state = |endpoint: &Endpoint| {
            let (level, index) = endpoint.address.split_once('-').unwrap();
            levels[level.parse::<usize>().unwrap()][index.parse::<usize>().unwrap()]
        };
        let shares = shares(policy, &accepted, &[], state, |_| false);
        assert_eq!((shares.level, shares.state), expected);
        let sent: f64 = shares.endpoints.iter().map(|endpoint| endpoint.2).sum();
        assert!((sent + shares.queued + shares.failed - 100.0).abs() < 1e-9);
    }

    #[test]
    fn one_ready_endpoint_keeps_all_traffic_in_its_level() {
        check(GrpcPolicy::RoundRobin, &[&[Ready, TransientFailure], &[Ready]], (0, Ready));
        let ring = GrpcPolicy::RingHash(RingSize::default());
        check(ring, &[&[Ready, TransientFailure, Idle], &[Ready]], (0, Ready));
    }

    #[test]
    fn a_level_without_endpoints_is_passed_over() {
        check(GrpcPolicy::LeastRequest, &[&[], &[Connecting]], (1, Connecting));
        check(GrpcPolicy::LeastRequest, &[], (0, TransientFailure));
    }

    #[test]
    fn a_drop_knows_three_denominators() {
        assert_eq!(DropOverload::new(250, 100).map(DropOverload::per_million), Some(1_000_000));
        assert_eq!(DropOverload::new(5, 10_000).map(DropOverload::per_million), Some(500));
        assert_eq!(DropOverload::new(5, 1_000), None);
    }
}
