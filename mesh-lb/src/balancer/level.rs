//! One priority of a balancer.
use std::sync::Arc;

use mesh_model::name::Locality;

use super::host::Host;
use super::places::{List, Places};
use super::policy::BalancerPolicy;
use super::source::{Kind, Source, Table};
use super::zones::in_order;
use crate::grpc::assignment::fixed_point;
use crate::health::status::CoarseHealth;
use crate::load::{
    Availability, DataPlane, HostWeights, LevelHosts, LocalityHosts, LocalityScheduler,
    LocalityWeights, OnPanic, Zone, ZoneChoice,
};
use crate::pick::client_side::ReportedWeight;
use crate::pick::edf::InSlowStart;
use crate::pick::maglev::Maglev;
use crate::pick::ring_hash::Ring;
use crate::pick::slow_start::LatestHost;
use crate::pick::weight::NormalizedWeights;
use crate::share::Spread;
use crate::subset::SubsetLocalityWeights;

/// What a level is built from.
#[derive(Clone, Debug)]
pub(super) struct LevelInput {
    hosts: Vec<Host>,
    localities: Vec<LocalityInput>,
    /// Whether the first locality is the caller's own.
    pub(super) has_local_locality: bool,
    pub(super) panic: bool,
    /// Whether requests may be routed by zone.
    pub(super) is_zoned: bool,
    pub(super) in_slow_start: InSlowStart,
    /// The time, if hosts are warmed up at all.
    pub(super) now_ms: Option<u64>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct LocalityInput {
    name: Locality,
    /// None of them has one if localities are not weighted.
    weight: Option<u32>,
    /// The places of its hosts.
    first: u32,
    end: u32,
    /// The sum of the weights that its healthy hosts are assigned with.
    healthy_weight: u64,
}

impl Default for LevelInput {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            localities: Vec::new(),
            has_local_locality: false,
            panic: false,
            is_zoned: false,
            in_slow_start: InSlowStart::No,
            now_ms: None,
        }
    }
}

impl LevelInput {
    pub(super) fn push_locality(
        &mut self,
        name: &Locality,
        weight: Option<u32>,
        hosts: impl Iterator<Item = Host>,
    ) {
        let place = |hosts: &Vec<Host>| u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let first = place(&self.hosts);
        self.hosts.extend(hosts);
        let end = place(&self.hosts);
        let mut locality =
            LocalityInput { name: name.clone(), weight, first, end, healthy_weight: 0 };
        locality.healthy_weight = healthy_weight(self.of_locality(&locality));
        self.localities.push(locality);
    }

    /// Returns the same with no hosts but those at these places, ascending, and what localities weigh
    /// then. A locality that loses all of its hosts stays.
    pub(super) fn only(&self, kept: &[u32], weights: SubsetLocalityWeights) -> Self {
        let place = |at: &u32| self.hosts.get(usize::try_from(*at).ok()?).cloned();
        let mut only = Self {
            hosts: kept.iter().filter_map(place).collect(),
            localities: Vec::new(),
            has_local_locality: self.has_local_locality,
            ..Self::default()
        };
        let before = |place: u32| {
            let before = kept.partition_point(|kept| *kept < place);
            u32::try_from(before).unwrap_or(u32::MAX)
        };
        let localities = self.localities.iter().map(|locality| {
            let (first, end) = (before(locality.first), before(locality.end));
            let weight = weights.of(locality.weight, locality.end - locality.first, end - first);
            let name = locality.name.clone();
            let mut locality = LocalityInput { name, weight, first, end, healthy_weight: 0 };
            locality.healthy_weight = healthy_weight(only.of_locality(&locality));
            locality
        });
        only.localities = localities.collect();
        only
    }

    /// Tells the beginning of slow start of each healthy host.
    pub(super) fn observe(&self, latest: &mut LatestHost, now_ms: u64) {
        let healthy = self.hosts.iter().filter(|host| is_healthy(host));
        healthy.for_each(|host| host.state().observe(latest, now_ms));
    }

    /// Puts the localities in order. One without hosts does not exist.
    pub(super) fn order_localities(&mut self, own: &Locality) {
        self.localities.retain(|locality| locality.first < locality.end);
        self.localities.sort_by_cached_key(|locality| in_order(&locality.name, own));
        let first = self.localities.first();
        self.has_local_locality = first.is_some_and(|first| first.name == *own);
    }

    /// Returns the localities, as zone-aware routing looks at them.
    pub(super) fn zones(&self) -> Vec<Zone<&Locality>> {
        let zones = self.localities.iter().map(|locality| {
            let LocalityHosts { total, healthy, .. } = count(self.of_locality(locality));
            let healthy_weight = locality.healthy_weight;
            Zone { locality: &locality.name, total, healthy, healthy_weight }
        });
        zones.collect()
    }

    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The number of its hosts.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// What the hosts have reported.
    pub(super) fn reports(&self) -> impl Iterator<Item = &ReportedWeight> {
        self.hosts.iter().map(|host| host.state().reported())
    }

    /// Gives each host its weight.
    pub(super) fn weigh(&mut self, weights: &[u32]) {
        self.hosts.iter_mut().zip(weights).for_each(|(host, weight)| host.weigh(*weight));
    }

    /// Counts the hosts by health, and weighs them if that is asked for.
    pub(super) fn counts(&self, spread: &Spread) -> LevelHosts {
        let counts = count(&self.hosts);
        LevelHosts {
            total: counts.total,
            healthy: counts.healthy,
            degraded: counts.degraded,
            excluded: counts.excluded,
            overprovisioning: spread.overprovisioning,
            weights: spread.weighted_priority_health.then(|| weights(&self.hosts)),
        }
    }

    fn of_locality(&self, locality: &LocalityInput) -> &[Host] {
        let places = usize::try_from(locality.first).ok().zip(usize::try_from(locality.end).ok());
        places.and_then(|(first, end)| self.hosts.get(first..end)).unwrap_or_default()
    }
}

/// The places of the hosts of this availability (none: of all), the first of which is at `first`.
fn places(first: u32, hosts: &[Host], wanted: Option<Availability>) -> Box<[u32]> {
    let fits = |host: &Host| wanted.is_none() || availability(host) == wanted;
    (first..).zip(hosts).filter(|(_, host)| fits(host)).map(|(place, _)| place).collect()
}

fn healthy_weight(hosts: &[Host]) -> u64 {
    let healthy = hosts.iter().filter(|host| is_healthy(host));
    healthy.map(|host| u64::from(host.weight())).sum()
}

fn is_healthy(host: &Host) -> bool {
    availability(host) == Some(Availability::Healthy)
}

const fn availability(host: &Host) -> Option<Availability> {
    match host.health().coarse() {
        CoarseHealth::Healthy => Some(Availability::Healthy),
        CoarseHealth::Degraded => Some(Availability::Degraded),
        CoarseHealth::Unhealthy => None,
    }
}

fn count(hosts: &[Host]) -> LocalityHosts {
    let number = |fits: &dyn Fn(&Host) -> bool| {
        u32::try_from(hosts.iter().filter(|host| fits(host)).count()).unwrap_or(u32::MAX)
    };
    LocalityHosts {
        weight: 0,
        total: number(&|_| true),
        healthy: number(&is_healthy),
        degraded: number(&|host| availability(host) == Some(Availability::Degraded)),
        excluded: number(&|host| host.health().is_excluded()),
    }
}

/// The same as sums of weights, which are those that hosts have now; one of nothing is one, as upstream.
fn weights(hosts: &[Host]) -> HostWeights {
    let sum = |fits: &dyn Fn(&Host) -> bool| {
        hosts.iter().filter(|host| fits(host)).map(|host| u64::from(host.weight().max(1))).sum()
    };
    HostWeights {
        total: sum(&|_| true),
        healthy: sum(&is_healthy),
        degraded: sum(&|host| availability(host) == Some(Availability::Degraded)),
        excluded: sum(&|host| host.health().is_excluded()),
    }
}

/// A priority, ready for picks.
#[derive(Debug)]
pub(super) struct Level {
    input: LevelInput,
    /// How requests find a host: the first way.
    route: Route,
    /// How those do that go to degraded hosts, and those in panic: the second way and the third. A ring
    /// or table has none but the first.
    others: Option<Box<[Route; 2]>>,
}

/// One of the ways of a level.
pub(super) type Way = u8;

#[derive(Debug)]
struct Route {
    // First, since each pick looks at it first.
    split: Split,
    /// All hosts of the priority, of one availability outside panic.
    whole: Source,
    /// A list for each locality, where localities are told apart.
    lists: Box<[Source]>,
}

/// What a request's host is picked from.
#[derive(Debug)]
enum Split {
    /// Nothing: in panic requests are to fail.
    Nobody,
    /// A ring or table: localities are in its weights, degraded hosts are not in it.
    Ring(Ring),
    Maglev(Maglev),
    /// The same with hosts that are passed over if they carry too much.
    Bounded(Box<Table>),
    /// All hosts.
    Not,
    /// The list of a locality, each in its turn; a scheduler a worker.
    ByWeight(Arc<[LocalityScheduler]>),
    /// The list of the one locality that has hosts and weight.
    Only(usize),
    /// The list of a locality, if the zones say so.
    ByZone,
}

/// What is found for a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'l> {
    /// The place of its host.
    Host(u32),
    /// What its host is picked from.
    List(&'l Source),
    Bounded(&'l Table),
}

/// What is asked for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) way: Way,
    pub(super) hash: u64,
    pub(super) attempt: u32,
    pub(super) worker: usize,
}

impl Split {
    fn of(table: Table) -> Self {
        match table {
            Table { kind: Kind::Ring(ring), bound: None } => Self::Ring(ring),
            Table { kind: Kind::Maglev(maglev), bound: None } => Self::Maglev(maglev),
            bounded => Self::Bounded(Box::new(bounded)),
        }
    }
}

impl Level {
    /// Builds the level at this index, whose lists go on where `places` says.
    ///
    /// All of its lists are built at once: a priority that panics because another one fails does not
    /// begin any of its turns anew, and neither does it when it calms down.
    pub(super) fn new(
        index: usize,
        input: LevelInput,
        policy: &BalancerPolicy,
        places: &mut Places,
    ) -> Self {
        // A seed a level, the same for both availabilities.
        let of_level = u64::try_from(index).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let turns = Turns::At(places.begin().wrapping_add(of_level));
        let (route, others) = Builder { turns, input: &input, policy, places }.routes();
        Self { input, route, others }
    }

    /// Builds the level with other weights of its hosts, and nothing else: localities go on in their
    /// turns.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `EdfLoadBalancerBase::refresh`: the schedulers of hosts.
    pub(super) fn reweighed(
        &self,
        input: LevelInput,
        policy: &BalancerPolicy,
        places: &mut Places,
    ) -> Self {
        let turns = Turns::Of(self);
        let (route, others) = Builder { turns, input: &input, policy, places }.routes();
        Self { input, route, others }
    }

    /// Which way requests go that are to go to these hosts.
    pub(super) const fn way(availability: Availability, panic: bool) -> Way {
        match availability {
            _ if panic => 2,
            Availability::Degraded => 1,
            Availability::Healthy => 0,
        }
    }

    /// Whether nothing has changed that the level is built from. Panic only says which of its lists is
    /// asked, but it is another table that is built for it.
    pub(super) fn is_of(&self, input: &LevelInput, policy: &BalancerPolicy) -> bool {
        (self.input.panic == input.panic || !policy.algorithm.is_consistent())
            && self.input.is_zoned == input.is_zoned
            && self.input.has_local_locality == input.has_local_locality
            && self.input.localities == input.localities
            && self.input.hosts.len() == input.hosts.len()
            && self
                .input
                .hosts
                .iter()
                .zip(&input.hosts)
                .all(|(a, b)| a.is_like(b) && (a.is_as_warm(b) || !policy.warms_up()))
    }

    pub(super) const fn input(&self) -> &LevelInput {
        &self.input
    }

    #[inline]
    pub(super) fn hosts(&self) -> &[Host] {
        &self.input.hosts
    }

    #[inline]
    pub(super) fn host(&self, place: u32) -> Option<&Host> {
        self.input.hosts.get(usize::try_from(place).ok()?)
    }

    #[inline]
    fn route(&self, way: Way) -> &Route {
        match (way, self.others.as_deref()) {
            (0, _) | (_, None) => &self.route,
            (1, Some([degraded, _])) => degraded,
            (_, Some([_, panic])) => panic,
        }
    }

    /// Finds the host of a request, or draws what it is picked from; `zone` is asked for its zone if zones
    /// are told apart.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::hostSourceToUse`.
    #[inline]
    pub(super) fn find(
        &self,
        wanted: Wanted,
        zone: impl FnOnce() -> ZoneChoice,
    ) -> Option<Found<'_>> {
        let route = self.route(wanted.way);
        let locality = match &route.split {
            Split::ByWeight(schedulers) => {
                usize::try_from(schedulers.get(wanted.worker)?.pick()).ok()?
            }
            Split::Only(locality) => *locality,
            Split::Not => return Some(Found::List(&route.whole)),
            Split::Maglev(maglev) => {
                return maglev.pick(wanted.hash, wanted.attempt).map(Found::Host);
            }
            Split::Ring(ring) => return ring.pick(wanted.hash, wanted.attempt).map(Found::Host),
            Split::Bounded(table) => return Some(Found::Bounded(table)),
            Split::Nobody => return None,
            Split::ByZone => match zone() {
                ZoneChoice::Locality(pick) => pick.locality,
                ZoneChoice::Anywhere => return Some(Found::List(&route.whole)),
                ZoneChoice::NoHost => return None,
            },
        };
        route.lists.get(locality).map(Found::List)
    }
}

impl Route {
    /// Tables and those who find nobody have no lists.
    fn without_lists(split: Split) -> Self {
        Self { split, whole: Source::default(), lists: Box::default() }
    }
}

/// Where localities begin in their turns.
#[derive(Clone, Copy)]
enum Turns<'a> {
    /// At so much beyond the seed of a worker.
    At(u64),
    /// Where those of this level are, whose localities are the same.
    Of(&'a Level),
}

/// Upstream keeps turns by the place of a list: the priority, the kind, the index of the locality.
struct Builder<'a> {
    turns: Turns<'a>,
    input: &'a LevelInput,
    policy: &'a BalancerPolicy,
    places: &'a mut Places,
}

impl Builder<'_> {
    /// The first way and the others.
    fn routes(&mut self) -> (Route, Option<Box<[Route; 2]>>) {
        if let Some(table) = self.table() {
            return (Route::without_lists(Split::of(table)), None);
        }
        let [route, degraded] =
            [Availability::Healthy, Availability::Degraded].map(|wanted| self.route(Some(wanted)));
        let panic = match self.policy.spread.on_panic {
            OnPanic::Send if self.policy.may_panic() => self.route(None),
            OnPanic::Send | OnPanic::Fail => Route::without_lists(Split::Nobody),
        };
        (route, Some(Box::new([degraded, panic])))
    }

    fn source(&mut self, hosts: Box<[u32]>, list: List) -> Source {
        let turns = |worker| self.places.turns(list, worker, self.policy);
        Source::new(hosts, turns, self.input, self.policy)
    }

    fn route(&mut self, wanted: Option<Availability>) -> Route {
        let split = self.split(wanted);
        let are_apart = matches!(split, Split::ByWeight(_) | Split::Only(_) | Split::ByZone);
        let localities = if are_apart { &*self.input.localities } else { &[] };
        let lists = localities.iter().enumerate().map(|(index, locality)| {
            let hosts = places(locality.first, self.input.of_locality(locality), wanted);
            self.source(hosts, List { wanted, locality: Some(index) })
        });
        let lists = lists.collect();
        let hosts = places(0, &self.input.hosts, wanted);
        Route { split, whole: self.source(hosts, List { wanted, locality: None }), lists }
    }

    /// In panic hosts are told apart by nothing but weights that stand.
    fn split(&self, wanted: Option<Availability>) -> Split {
        let is_zoned = self.input.is_zoned && wanted.is_some();
        let unweighted = if is_zoned { Split::ByZone } else { Split::Not };
        self.by_weight(wanted).unwrap_or(unweighted)
    }

    /// Whether localities share by weight: that is asked for, and there are weights.
    fn is_weighted(&self) -> bool {
        let has_weight = |locality: &LocalityInput| locality.weight.is_some();
        self.policy.spread.locality_weighted && self.input.localities.iter().any(has_weight)
    }

    fn by_weight(&self, wanted: Option<Availability>) -> Option<Split> {
        if !self.is_weighted() {
            return None;
        }
        let localities: Vec<LocalityHosts> = self
            .input
            .localities
            .iter()
            .map(|locality| LocalityHosts {
                weight: locality.weight.unwrap_or(0),
                ..count(self.input.of_locality(locality))
            })
            .collect();
        let Spread { overprovisioning, health_weighted, .. } = self.policy.spread;
        let weights = match wanted {
            Some(wanted) if health_weighted => {
                LocalityWeights::new(&localities, overprovisioning, wanted)?
            }
            None if health_weighted => return None,
            Some(_) | None => LocalityWeights::standing(&localities, wanted)?,
        };
        let mut weighty =
            weights.effective().iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        if let (Some((only, _)), None) = (weighty.next(), weighty.next()) {
            return Some(Split::Only(only));
        }
        let seed = match self.turns {
            Turns::At(seed) => seed,
            Turns::Of(level) => {
                let way = wanted.map_or(Level::way(Availability::Healthy, true), |wanted| {
                    Level::way(wanted, false)
                });
                if let Split::ByWeight(schedulers) = &level.route(way).split {
                    return Some(Split::ByWeight(Arc::clone(schedulers)));
                }
                0
            }
        };
        let schedulers: Option<_> = (0..self.policy.n_workers())
            .map(|worker| weights.scheduler(self.policy.seed_of(worker).wrapping_add(seed)))
            .collect();
        schedulers.map(Split::ByWeight)
    }

    fn table(&self) -> Option<Table> {
        if !self.policy.algorithm.is_consistent() {
            return None;
        }
        let wanted = (!self.input.panic).then_some(Availability::Healthy);
        let weights = |hosts: &[Host]| -> Vec<u32> {
            let fits = |host: &&Host| wanted.is_none() || availability(host) == wanted;
            hosts.iter().filter(fits).map(Host::weight).collect()
        };
        if self.policy.spread.data_plane == DataPlane::Grpc {
            let (hosts, weights) = self.of_grpc();
            let weights = NormalizedWeights::flat(&weights);
            return Table::new(&self.policy.algorithm, hosts, weights, &self.input.hosts);
        }
        if !self.is_weighted() {
            let hosts = places(0, &self.input.hosts, wanted);
            let weights = NormalizedWeights::flat(&weights(&self.input.hosts));
            return Table::new(&self.policy.algorithm, hosts, weights, &self.input.hosts);
        }
        let (mut hosts, mut localities) = (Vec::new(), Vec::new());
        for locality in &self.input.localities {
            let of_locality = self.input.of_locality(locality);
            hosts.extend(places(locality.first, of_locality, wanted));
            localities.push((locality.weight.unwrap_or(0), weights(of_locality)));
        }
        let weights =
            NormalizedWeights::by_locality(localities.iter().map(|(w, hosts)| (*w, &**hosts)));
        Table::new(&self.policy.algorithm, hosts.into(), weights, &self.input.hosts)
    }

    /// The healthy hosts and their weights on a ring of gRPC, which are shares of the level.
    ///
    /// # Upstream
    ///
    /// grpc-go `balancer/ringhash/ring.go`, `newRing`: endpoints sorted by key.
    fn of_grpc(&self) -> (Box<[u32]>, Vec<u32>) {
        let of = |locality: &LocalityInput| {
            let hosts = self.input.of_locality(locality).iter();
            hosts.map(Host::weight).collect::<Vec<_>>()
        };
        let all: Vec<Vec<u32>> = self.input.localities.iter().map(of).collect();
        // A locality without weight weighs as much as its hosts.
        let stated = self.is_weighted();
        let weights = self.input.localities.iter().zip(&all).map(|(locality, hosts)| {
            let sum = hosts.iter().copied().fold(0, u32::saturating_add);
            if stated { locality.weight.unwrap_or(0) } else { sum }
        });
        let localities: Vec<u32> = weights.collect();
        let level = localities.iter().copied().map(u64::from).sum();
        let mut sorted: Vec<(&str, u32, u32)> = Vec::new();
        for ((locality, hosts), weight) in self.input.localities.iter().zip(&all).zip(&localities) {
            if *weight == 0 {
                continue; // There is no such locality to a client.
            }
            let shares = fixed_point(hosts, *weight, level);
            let hosts = self.input.of_locality(locality);
            let numbered = (locality.first..).zip(hosts).zip(shares);
            let healthy = numbered.filter(|((_, host), _)| is_healthy(host));
            sorted.extend(healthy.map(|((place, host), share)| (host.hash_key(), place, share)));
        }
        sorted.sort_unstable();
        let places = sorted.iter().map(|(_, place, _)| *place).collect();
        (places, sorted.iter().map(|(.., share)| *share).collect())
    }
}
