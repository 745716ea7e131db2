//! How a balancer picks: what istiod makes of a destination's traffic policy.
use mesh_model::compat::DataPlane;
use mesh_model::resource::destination_rule::{
    ConsistentHashLb, HashAlgorithm, HashKey, LbPolicy, LoadBalancerSettings, SimpleLb,
};
use mesh_model::view::{Destination, ProxyKind, ProxyView};

use crate::assign::{Discovery, EffectiveSetting, sends_by_key};
use crate::grpc::ring::RingSize;
use crate::load::{OnPanic, PanicThreshold, ZoneAwareConfig};
use crate::pick::bounded_load::HashBalanceFactor;
use crate::pick::client_side::ClientSideWeights;
use crate::pick::hash::HashFunction;
use crate::pick::hash_policy::{AbsentCookie, HashMethod, HashPolicy};
use crate::pick::least_request::{ActiveRequestBias, ChoiceCount};
use crate::pick::maglev::TableSize;
use crate::pick::ring_hash::{MAX_RING_SIZE, RingHashConfig};
use crate::pick::slow_start::SlowStart;
use crate::share::Spread;

/// The algorithm that picks one of the hosts of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "these are all that data planes have")]
pub enum Algorithm {
    /// In turn, by weight.
    RoundRobin,
    /// In turn, by the weights that follow from what hosts [report](super::Balancer::handle_report).
    ///
    /// No policy of istiod's configures this; whoever wants it sets it. A balancer that is just made
    /// goes by configured weights, until it is first [weighed](super::Balancer::reweighed).
    ClientSide(ClientSideWeights),
    /// The least busy of those that are looked at; by weight and load if weights differ.
    LeastRequest {
        /// Which hosts are looked at.
        selection: Selection,
        /// How much requests in flight lower a weight.
        bias: ActiveRequestBias,
    },
    /// Any, whatever the weights.
    Random,
    /// Any, the likelier the more it weighs: what a ztunnel does. Hosts that weigh nothing are never
    /// picked.
    RandomByWeight,
    /// The next one on a ring of hashes.
    RingHash {
        /// The size of the ring.
        config: RingHashConfig,
        /// How much more than its share a host may carry; none does not bound it.
        bound: Option<HashBalanceFactor>,
    },
    /// The one in the slot of a table.
    Maglev {
        /// The size of the table.
        size: TableSize,
        /// How much more than its share a host may carry; none does not bound it.
        bound: Option<HashBalanceFactor>,
    },
    /// None: connections go where they were sent to (`PASSTHROUGH`).
    Passthrough,
}

/// Which hosts least request looks at, where weights do not decide.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum Selection {
    /// So many random ones.
    Choices(ChoiceCount),
    /// All.
    FullScan,
}

impl Algorithm {
    /// Returns least request as it is without any setting: the better of two.
    pub fn least_request() -> Self {
        let selection = Selection::Choices(ChoiceCount::default());
        Self::LeastRequest { selection, bias: ActiveRequestBias::default() }
    }

    /// Returns how reports become weights, where they do.
    pub(super) const fn client_side(&self) -> Option<&ClientSideWeights> {
        match self {
            Self::ClientSide(weights) => Some(weights),
            Self::RoundRobin
            | Self::LeastRequest { .. }
            | Self::Random
            | Self::RandomByWeight
            | Self::RingHash { .. }
            | Self::Maglev { .. }
            | Self::Passthrough => None,
        }
    }

    /// Returns whether hosts take turns, whose weights only change when the balancer does.
    pub(super) const fn takes_turns(&self) -> bool {
        matches!(self, Self::RoundRobin | Self::ClientSide(_))
    }

    /// Returns whether equal requests go to equal hosts.
    #[inline]
    pub const fn is_consistent(&self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. })
    }
}

/// Everything about a destination that a balancer looks at, its endpoints aside.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct BalancerPolicy {
    /// How traffic spreads over priorities and localities.
    pub spread: Spread,
    /// When zones matter, to a caller whose [cluster](super::LocalCluster) is known. Localities that
    /// share by weight, ring and table know no zones.
    pub zone_aware: ZoneAwareConfig,
    /// The share of requests that are routed by zone, in whole percent: 100, which more act as. Below
    /// that, and above 0, a random number more is drawn for a request, before that of its zone.
    pub zone_routing_enabled: u32,
    /// How a host is picked there.
    pub algorithm: Algorithm,
    /// How new hosts are warmed up; round robin, client-side weights and least request.
    pub slow_start: SlowStart,
    /// What of a request is hashed; ring hash and Maglev.
    pub hash_policies: Vec<HashPolicy>,
    /// The random number that Envoy draws when it makes a balancer: where turns begin.
    pub seed: u64,
    /// Of how many workers the turns are kept: 1 by default, which 0 acts as; 1,024 at most, which
    /// more act as.
    ///
    /// Envoy has a balancer a worker thread, each with turns of its own. Callers whose threads pick
    /// all the time do well to do the same: give each thread its [number](super::PickRequest::worker),
    /// and no two of them change the same memory. Threads may share turns, too; then they are taken
    /// in the one order that a single thread would see, and cost more.
    pub workers: u32,
}

impl Default for BalancerPolicy {
    /// What istiod configures without any rule: least request.
    fn default() -> Self {
        Self {
            spread: Spread::default(),
            zone_aware: ZoneAwareConfig::default(),
            zone_routing_enabled: 100,
            algorithm: Algorithm::least_request(),
            slow_start: SlowStart::default(),
            hash_policies: Vec::new(),
            seed: 0,
            workers: 1,
        }
    }
}

impl BalancerPolicy {
    /// Whether a priority can panic at all.
    pub(super) fn may_panic(&self) -> bool {
        let of_envoy = match self.spread.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy => true,
            DataPlane::Grpc | DataPlane::Ztunnel => false,
        };
        of_envoy && self.spread.panic_threshold != PanicThreshold::OFF
    }

    /// Whether it matters when a host turned healthy.
    pub(super) fn warms_up(&self) -> bool {
        let is_scheduled = self.algorithm.takes_turns()
            || matches!(self.algorithm, Algorithm::LeastRequest { .. });
        is_scheduled && self.slow_start.window_ms > 0
    }

    pub(super) fn worker_count(&self) -> u32 {
        self.workers.clamp(1, 1024)
    }

    pub(super) fn n_workers(&self) -> usize {
        usize::try_from(self.worker_count()).unwrap_or(1)
    }

    /// Where the turns of a worker begin; those of the first one at the seed itself.
    pub(super) fn seed_of(&self, worker: usize) -> u64 {
        let worker = u64::try_from(worker).unwrap_or(0);
        self.seed.wrapping_add(worker.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// Returns what istiod configures for a destination.
    ///
    /// Sizes that Envoy would refuse (a ring above 8,388,608, a table that is no prime number) act
    /// as the default size. Rings of gRPC clients are [capped](crate::grpc::ring::RING_SIZE_CAP). A
    /// ztunnel draws by weight, whatever the rules. Where [commands are sent one by
    /// one](crate::assign::is_sharded) the table is of the default size, and the key of a command, not of a
    /// request, is what is hashed.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyLoadBalancer`,
    /// `ApplyRingHashLoadBalancer`; `core/route/route.go` `consistentHashToHashPolicy`.
    pub fn of(view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        let policy = destination.cluster_policy.as_deref();
        let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
        let spread = Spread::of(view, destination);
        let of_settings = || Self::of_settings(settings).with_zones_of(view, destination);
        match spread.data_plane {
            DataPlane::IstioProxy | DataPlane::Envoy if picks_by_key(view, destination) => {
                let algorithm = Algorithm::Maglev { size: TableSize::default(), bound: None };
                Self { spread, algorithm, ..Self::default() }.with_zones_of(view, destination)
            }
            DataPlane::IstioProxy | DataPlane::Envoy => Self { spread, ..of_settings() },
            DataPlane::Grpc => Self { spread, ..of_settings() }.of_grpc(settings),
            // A ztunnel reads no rule of a destination's.
            DataPlane::Ztunnel => {
                Self { spread, algorithm: Algorithm::RandomByWeight, ..Self::default() }
            }
        }
    }

    /// A gRPC client knows neither random picks nor slow start, takes turns by default, and caps the
    /// size of its rings.
    fn of_grpc(self, settings: Option<&LoadBalancerSettings>) -> Self {
        let policy = settings.and_then(|settings| settings.policy.as_ref());
        let algorithm = match self.algorithm {
            Algorithm::LeastRequest { .. } if is_stated(policy) => self.algorithm,
            Algorithm::RingHash { config, bound } => {
                let size = RingSize::new(Some(config.minimum()), None).unwrap_or_default();
                let (minimum, maximum) = (size.minimum(), size.maximum());
                let config = RingHashConfig::new(minimum, maximum, HashFunction::XxHash);
                Algorithm::RingHash { config: config.unwrap_or_default(), bound }
            }
            Algorithm::RoundRobin
            | Algorithm::LeastRequest { .. }
            | Algorithm::ClientSide(_)
            | Algorithm::Random
            | Algorithm::RandomByWeight
            | Algorithm::Maglev { .. }
            | Algorithm::Passthrough => Algorithm::RoundRobin,
        };
        Self { algorithm, slow_start: SlowStart::default(), ..self }
    }

    /// Returns the spread as the algorithm follows it, for [shares](crate::assign::Assignment::shares_with):
    /// on ring and table weights of localities stand and nothing fails in panic, and random picks look
    /// at no weight of a host, whatever the spread says.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::load::OnPanic;
    /// use mesh_lb::pick::ring_hash::RingHashConfig;
    /// use mesh_lb::share::Spread;
    /// use mesh_lb::{Algorithm, BalancerPolicy};
    ///
    /// let spread = Spread { on_panic: OnPanic::Fail, ..Spread::default() };
    /// let policy = BalancerPolicy { spread, ..BalancerPolicy::default() };
    /// assert_eq!(policy.spread_in_force(), spread);
    /// let algorithm = Algorithm::RingHash { config: RingHashConfig::default(), bound: None };
    /// let policy = BalancerPolicy { algorithm, ..policy };
    /// assert_eq!(policy.spread_in_force().on_panic, OnPanic::Send);
    /// ```
    pub const fn spread_in_force(&self) -> Spread {
        match self.algorithm {
            Algorithm::RingHash { .. } | Algorithm::Maglev { .. } => {
                Spread { health_weighted: false, on_panic: OnPanic::Send, ..self.spread }
            }
            Algorithm::Random => Spread { host_weighted: false, ..self.spread },
            Algorithm::RoundRobin
            | Algorithm::ClientSide(_)
            | Algorithm::LeastRequest { .. }
            | Algorithm::RandomByWeight
            | Algorithm::Passthrough => self.spread,
        }
    }

    /// Zones matter as the effective setting says; where it says nothing of zones, as in any Envoy.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/loadbalancer/loadbalancer.go` `ApplyToCluster`.
    fn with_zones_of(mut self, view: &ProxyView<'_>, destination: &Destination<'_>) -> Self {
        let policy = destination.cluster_policy.as_deref();
        let config = &view.plane().config;
        let setting = EffectiveSetting::new(
            policy.and_then(|policy| policy.load_balancer.as_ref()),
            destination.service.traffic_distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        let zones = match setting {
            EffectiveSetting::ZoneAware(zones) if view.proxy().kind != ProxyKind::Waypoint => zones,
            EffectiveSetting::ZoneAware(_)
            | EffectiveSetting::None
            | EffectiveSetting::Locality(_)
            | EffectiveSetting::Distribution(_) => return self,
        };
        if zones.enabled == Some(false) {
            self.zone_routing_enabled = 0;
        }
        if let Some(least) = zones.min_cluster_size {
            self.zone_aware.min_cluster_size = least.into();
        }
        self
    }

    /// Returns what `loadBalancer` of a traffic policy says of picking a host; the spread is the
    /// default.
    pub fn of_settings(settings: Option<&LoadBalancerSettings>) -> Self {
        let policy = settings.and_then(|settings| settings.policy.as_ref());
        let (algorithm, hash_policies) = match policy {
            Some(LbPolicy::ConsistentHash(hash)) => {
                (consistent(hash), hash_policy(hash).into_iter().collect())
            }
            Some(LbPolicy::Simple(simple)) => (of_simple(*simple), Vec::new()),
            Some(LbPolicy::BackendUtilization(_)) | None => {
                (Algorithm::least_request(), Vec::new())
            }
        };
        let slow_start = settings.map(slow_start).unwrap_or_default();
        Self { algorithm, hash_policies, slow_start, ..Self::default() }
    }
}

/// Whether the proxy reads commands, and sends each to the host that its key says.
fn picks_by_key(view: &ProxyView<'_>, destination: &Destination<'_>) -> bool {
    sends_by_key(view, destination) && Discovery::of(view, destination).picks()
}

fn is_stated(policy: Option<&LbPolicy>) -> bool {
    let stated = [SimpleLb::LeastRequest, SimpleLb::LeastConn];
    matches!(policy, Some(LbPolicy::Simple(simple)) if stated.contains(simple))
}

fn of_simple(simple: SimpleLb) -> Algorithm {
    match simple {
        SimpleLb::Random => Algorithm::Random,
        SimpleLb::Passthrough => Algorithm::Passthrough,
        SimpleLb::RoundRobin => Algorithm::RoundRobin,
        SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest => {
            Algorithm::least_request()
        }
    }
}

fn consistent(hash: &ConsistentHashLb) -> Algorithm {
    let ring = |minimum: u64| {
        let minimum = if minimum == 0 { 1024 } else { minimum };
        let config = RingHashConfig::new(minimum, MAX_RING_SIZE, HashFunction::XxHash);
        Algorithm::RingHash { config: config.unwrap_or_default(), bound: None }
    };
    match &hash.algorithm {
        Some(HashAlgorithm::Maglev(maglev)) => {
            let size = TableSize::new(maglev.table_size).unwrap_or_default();
            Algorithm::Maglev { size, bound: None }
        }
        Some(HashAlgorithm::RingHash(settings)) => ring(settings.minimum_ring_size),
        None => ring(hash.minimum_ring_size),
    }
}

fn hash_policy(hash: &ConsistentHashLb) -> Option<HashPolicy> {
    let method = match hash.key.as_ref()? {
        HashKey::HttpHeaderName(name) => HashMethod::Header(name.clone()),
        HashKey::HttpCookie(cookie) => {
            let absent = cookie.ttl.map_or(AbsentCookie::Ignore, |_| AbsentCookie::Generate);
            HashMethod::Cookie { name: cookie.name.clone(), absent }
        }
        HashKey::UseSourceIp(true) => HashMethod::SourceIp,
        HashKey::UseSourceIp(false) => return None,
        HashKey::HttpQueryParameterName(name) => HashMethod::QueryParameter(name.clone()),
    };
    Some(HashPolicy { method, terminal: false })
}

fn slow_start(settings: &LoadBalancerSettings) -> SlowStart {
    let window = match &settings.warmup {
        Some(warmup) => warmup.duration,
        None => settings.warmup_duration_secs,
    };
    let window_ms = window.and_then(|window| u64::try_from(window.as_millis()).ok()).unwrap_or(0);
    let default = SlowStart { window_ms, ..SlowStart::default() };
    settings.warmup.as_ref().map_or(default, |warmup| SlowStart {
        aggression: warmup.aggression.unwrap_or(default.aggression),
        min_weight_percent: warmup.minimum_percent.unwrap_or(default.min_weight_percent),
        ..default
    })
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::destination_rule::{HttpCookie, MagLev, RingHash};

    use super::*;

    fn check(policy: Option<LbPolicy>, expected: Algorithm) {
        let settings = LoadBalancerSettings { policy, ..LoadBalancerSettings::default() };
        assert_eq!(BalancerPolicy::of_settings(Some(&settings)).algorithm, expected);
    }

    #[test]
    fn least_request_is_what_nothing_stands_for() {
        assert_eq!(BalancerPolicy::of_settings(None), BalancerPolicy::default());
        check(Some(LbPolicy::Simple(SimpleLb::Unspecified)), Algorithm::least_request());
        check(Some(LbPolicy::Simple(SimpleLb::Passthrough)), Algorithm::Passthrough);
    }

    #[test]
    fn a_size_that_envoy_refuses_acts_as_the_default() {
        let hash = |algorithm| {
            let hash = ConsistentHashLb { algorithm: Some(algorithm), ..Default::default() };
            Some(LbPolicy::ConsistentHash(hash))
        };
        let maglev = |table_size| hash(HashAlgorithm::Maglev(MagLev { table_size }));
        let size = TableSize::default();
        check(maglev(8), Algorithm::Maglev { size, bound: None });
        check(maglev(0), Algorithm::Maglev { size, bound: None });
        let ring = hash(HashAlgorithm::RingHash(RingHash { minimum_ring_size: u64::MAX }));
        check(ring, Algorithm::RingHash { config: RingHashConfig::default(), bound: None });
    }

    #[test]
    fn a_cookie_is_made_only_if_it_has_a_lifetime() {
        let key = Some(HashKey::HttpCookie(HttpCookie { name: "s".into(), ..Default::default() }));
        let hash = ConsistentHashLb { key, ..Default::default() };
        let settings = LoadBalancerSettings {
            policy: Some(LbPolicy::ConsistentHash(hash)),
            ..LoadBalancerSettings::default()
        };
        let method = HashMethod::Cookie { name: "s".into(), absent: AbsentCookie::Ignore };
        let policies = BalancerPolicy::of_settings(Some(&settings)).hash_policies;
        assert_eq!(policies, [HashPolicy { method, terminal: false }]);
    }
}
