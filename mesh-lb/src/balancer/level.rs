//! One priority of a balancer.
use mesh_model::name::Locality;

use super::host::Host;
use super::policy::BalancerPolicy;
use super::source::{Source, Table};
use crate::health::status::CoarseHealth;
use crate::load::{
    Availability, LevelHosts, LocalityHosts, LocalityScheduler, LocalityWeights, Overprovisioning,
};
use crate::pick::client_side::ReportedWeight;
use crate::pick::edf::InSlowStart;
use crate::pick::weight::NormalizedWeights;

/// What a level is built from.
#[derive(Clone, Debug)]
pub(super) struct LevelInput {
    hosts: Vec<Host>,
    localities: Vec<LocalityInput>,
    pub(super) panic: bool,
    /// Whether the level is to be built whatever there was before.
    pub(super) is_new: bool,
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
}

impl Default for LevelInput {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            localities: Vec::new(),
            panic: false,
            is_new: false,
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
        self.localities.push(LocalityInput { name: name.clone(), weight, first, end });
    }

    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// What the hosts have reported.
    pub(super) fn reports(&self) -> impl Iterator<Item = &ReportedWeight> {
        self.hosts.iter().map(|host| host.state().reported())
    }

    /// Gives each host its weight.
    pub(super) fn weigh(&mut self, weights: &[u32]) {
        self.hosts.iter_mut().zip(weights).for_each(|(host, weight)| host.weigh(*weight));
    }

    /// Counts the hosts by health.
    pub(super) fn counts(&self, overprovisioning: Overprovisioning) -> LevelHosts {
        let counts = count(&self.hosts);
        LevelHosts {
            total: counts.total,
            healthy: counts.healthy,
            degraded: counts.degraded,
            excluded: counts.excluded,
            overprovisioning,
            weights: None,
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
        healthy: number(&|host| availability(host) == Some(Availability::Healthy)),
        degraded: number(&|host| availability(host) == Some(Availability::Degraded)),
        excluded: number(&|host| host.health().is_excluded()),
    }
}

/// A priority, ready for picks.
#[derive(Debug)]
pub(super) struct Level {
    input: LevelInput,
    lists: Lists,
}

#[derive(Debug)]
enum Lists {
    /// A ring or table: localities are in its weights, degraded hosts are not in it.
    Table(Table),
    /// In panic: all hosts.
    All(Source),
    /// In panic, too, but requests fail.
    Nobody,
    ByHealth {
        healthy: OfHealth,
        degraded: OfHealth,
    },
}

/// The lists of one availability.
#[derive(Debug)]
struct OfHealth {
    /// All of the level.
    whole: Source,
    localities: Option<Localities>,
}

/// The lists of the localities of a priority, and whose turn it is.
#[derive(Debug)]
struct Localities {
    /// One a worker.
    schedulers: Box<[LocalityScheduler]>,
    lists: Box<[Source]>,
}

impl Level {
    /// Builds the level at this index; `old` is the one that was there before an update.
    pub(super) fn new(
        index: usize,
        input: LevelInput,
        policy: &BalancerPolicy,
        old: Option<&Self>,
    ) -> Self {
        let builder = Builder { index, input: &input, policy, old };
        let lists = match builder.table() {
            Some(table) => Lists::Table(table),
            None if policy.spread.on_panic.fails(input.panic) => Lists::Nobody,
            None if input.panic => Lists::All(builder.all()),
            None => Lists::ByHealth {
                healthy: builder.of_health(Availability::Healthy),
                degraded: builder.of_health(Availability::Degraded),
            },
        };
        Self { input, lists }
    }

    /// Whether nothing has changed that the level is built from.
    pub(super) fn is_of(&self, input: &LevelInput) -> bool {
        !input.is_new
            && self.input.panic == input.panic
            && self.input.in_slow_start == input.in_slow_start
            && self.input.localities == input.localities
            && self.input.hosts.len() == input.hosts.len()
            && self.input.hosts.iter().zip(&input.hosts).all(|(a, b)| a.is_like(b))
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

    pub(super) const fn is_panicking(&self) -> bool {
        self.input.panic
    }

    #[inline]
    pub(super) const fn table(&self) -> Option<&Table> {
        match &self.lists {
            Lists::Table(table) => Some(table),
            Lists::All(_) | Lists::Nobody | Lists::ByHealth { .. } => None,
        }
    }

    /// Draws the list that a request's host is picked from.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `ZoneAwareLoadBalancerBase::hostSourceToUse`.
    #[inline]
    pub(super) fn source(&self, wanted: Availability, worker: usize) -> Option<&Source> {
        if let Lists::All(source) = &self.lists {
            return Some(source);
        }
        let list = self.of_health(wanted)?;
        match &list.localities {
            None => Some(&list.whole),
            Some(localities) => {
                let locality = localities.schedulers.get(worker)?.pick();
                localities.lists.get(usize::try_from(locality).ok()?)
            }
        }
    }

    #[inline]
    const fn of_health(&self, wanted: Availability) -> Option<&OfHealth> {
        match (&self.lists, wanted) {
            (Lists::ByHealth { healthy, .. }, Availability::Healthy) => Some(healthy),
            (Lists::ByHealth { degraded, .. }, Availability::Degraded) => Some(degraded),
            (Lists::Table(_) | Lists::All(_) | Lists::Nobody, _) => None,
        }
    }
}

/// Upstream keeps turns by the place of a list: the priority, the kind, the index of the locality.
struct Builder<'a> {
    index: usize,
    input: &'a LevelInput,
    policy: &'a BalancerPolicy,
    old: Option<&'a Level>,
}

impl Builder<'_> {
    fn source(&self, hosts: Box<[u32]>, old: Option<&Source>) -> Source {
        Source::new(hosts, old, self.input, self.policy)
    }

    fn all(&self) -> Source {
        let old = self.old.and_then(|old| match &old.lists {
            Lists::All(source) => Some(source),
            Lists::Table(_) | Lists::Nobody | Lists::ByHealth { .. } => None,
        });
        self.source(places(0, &self.input.hosts, None), old)
    }

    fn of_health(&self, wanted: Availability) -> OfHealth {
        let old = self.old.and_then(|old| old.of_health(wanted));
        let localities = self.schedulers(wanted).map(|schedulers| {
            let lists = self.input.localities.iter().enumerate().map(|(index, locality)| {
                let hosts = self.input.of_locality(locality);
                let old = old.and_then(|old| old.localities.as_ref()?.lists.get(index));
                self.source(places(locality.first, hosts, Some(wanted)), old)
            });
            Localities { schedulers, lists: lists.collect() }
        });
        let hosts = places(0, &self.input.hosts, Some(wanted));
        OfHealth { whole: self.source(hosts, old.map(|old| &old.whole)), localities }
    }

    /// Whether localities share by weight: that is asked for, and there are weights.
    fn is_weighted(&self) -> bool {
        let has_weight = |locality: &LocalityInput| locality.weight.is_some();
        self.policy.spread.locality_weighted && self.input.localities.iter().any(has_weight)
    }

    fn schedulers(&self, wanted: Availability) -> Option<Box<[LocalityScheduler]>> {
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
        let factor = self.policy.spread.overprovisioning;
        // A seed a level, the same for both availabilities.
        let level = u64::try_from(self.index).unwrap_or(0);
        let of_level = level.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let weights = LocalityWeights::new(&localities, factor, wanted)?;
        (0..self.policy.n_workers())
            .map(|worker| weights.scheduler(self.policy.seed_of(worker).wrapping_add(of_level)))
            .collect()
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
        let weights = if self.is_weighted() {
            let localities: Vec<(u32, Vec<u32>)> = self
                .input
                .localities
                .iter()
                .map(|one| (one.weight.unwrap_or(0), weights(self.input.of_locality(one))))
                .collect();
            NormalizedWeights::by_locality(localities.iter().map(|(w, hosts)| (*w, &**hosts)))
        } else {
            NormalizedWeights::flat(&weights(&self.input.hosts))
        };
        let hosts = places(0, &self.input.hosts, wanted);
        Table::new(&self.policy.algorithm, hosts, weights, &self.input.hosts)
    }
}
