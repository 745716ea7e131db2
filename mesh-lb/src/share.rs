//! What share of a destination's traffic each priority, locality and endpoint gets.
//!
//! ```text
//! Assignment ─health─▶ host counts ─load─▶ priorities ─weights─▶ localities ─weights─▶ endpoints
//! ```
//!
//! The shares are those of Envoy with the settings that istiod gives the cluster: weighted picks in the
//! long run, before retries and connection limits.
mod explain;
mod spread;
mod table;

use std::borrow::Cow;
use std::sync::Arc;

use mesh_model::endpoint::HealthStatus;

pub use self::spread::Spread;
pub(crate) use self::table::HostTable;
use crate::assign::{AssignedEndpoint, Assignment};
use crate::load::{Availability, HostWeights, LevelHosts, LevelLoad, LocalityHosts, PriorityLoad};

/// How a host counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fitness {
    Healthy,
    Unhealthy,
    /// Draining: neither healthy nor part of the total.
    Excluded,
    /// Not there: a host before it has its address.
    Repeated,
}

impl Fitness {
    const fn of(status: HealthStatus) -> Self {
        match status {
            HealthStatus::Unknown | HealthStatus::Healthy => Self::Healthy,
            HealthStatus::Unhealthy | HealthStatus::Terminating => Self::Unhealthy,
            HealthStatus::Draining => Self::Excluded,
        }
    }
}

/// Shares of a destination's traffic, in percent of all of it. Clones share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    told: Arc<Told>,
    healths: Arc<[HealthStatus]>,
    /// What does not answer, by index; empty if everything does.
    silent: Arc<[bool]>,
    /// What outlier detection has ejected of that.
    ejected: Arc<[usize]>,
}

#[derive(Debug, Default, PartialEq)]
struct Told {
    load: PriorityLoad,
    hosts: Vec<LevelHosts>,
    localities: Vec<f64>,
    endpoints: Vec<f64>,
    /// The hosts behind it, locality by locality.
    groups: Vec<GroupHosts>,
}

impl Shares {
    /// Shares of which nothing else is known.
    #[cfg(test)]
    pub(crate) fn of_endpoints(shares: impl Iterator<Item = f64>) -> Self {
        let told = Told { endpoints: shares.collect(), ..Told::default() };
        Self { told: Arc::new(told), ..Self::default() }
    }

    /// Whether they are known to be equal: they are the same allocation.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.told, &other.told)
    }

    /// Returns the health of an endpoint that the shares were computed with, by its index among
    /// [`Assignment::endpoints`].
    pub fn health(&self, index: usize) -> Option<HealthStatus> {
        self.healths.get(index).copied()
    }

    /// Returns whether an endpoint does not answer what it is sent, although the control plane may take it for
    /// healthy; by its index as for [`health`](Self::health).
    pub fn is_silent(&self, index: usize) -> bool {
        self.silent.get(index) == Some(&true)
    }

    /// Returns whether the client has ejected an endpoint, for it does not answer.
    pub fn is_ejected(&self, index: usize) -> bool {
        self.ejected.contains(&index)
    }

    /// Returns the load of each priority, as Envoy rounds it.
    pub fn load(&self) -> &PriorityLoad {
        &self.told.load
    }

    /// Returns the host counts that the load came from.
    pub fn hosts(&self) -> &[LevelHosts] {
        &self.told.hosts
    }

    /// Returns the share of each locality, in the order of [`Assignment::localities`].
    pub fn localities(&self) -> &[f64] {
        &self.told.localities
    }

    /// Returns the share of each endpoint, in the order of [`Assignment::endpoints`].
    pub fn endpoints(&self) -> &[f64] {
        &self.told.endpoints
    }

    /// Returns whether some traffic reaches an endpoint.
    pub fn is_reachable(&self) -> bool {
        self.endpoints().iter().any(|share| *share > 0.0)
    }
}

impl Assignment {
    /// The shares where the proxy picks none of the endpoints: nobody can tell which of them clients ask
    /// for.
    pub fn no_shares(&self) -> Shares {
        HostTable::new(self, &Spread::default(), |(_, endpoint)| endpoint.health()).no_shares()
    }

    /// Computes the shares with every endpoint in the health that it is assigned with.
    pub fn shares(&self, spread: &Spread) -> Shares {
        self.shares_with(spread, |endpoint| endpoint.health())
    }

    /// Computes the shares with health as `health` says.
    ///
    /// Of several hosts with one address, in whatever localities, Envoy has the first; so a gateway
    /// that stands for endpoints of several localities counts with its weight in the first of them.
    ///
    /// # Upstream
    ///
    /// envoyproxy/envoy `source/extensions/clusters/eds/eds.cc`
    /// `BatchUpdateHelper::updateLocalityEndpoints`.
    pub fn shares_with(
        &self,
        spread: &Spread,
        health: impl Fn(AssignedEndpoint<'_>) -> HealthStatus,
    ) -> Shares {
        HostTable::new(self, spread, |(_, endpoint)| health(endpoint)).shares(self, spread)
    }
}

/// The hosts of a cluster, locality after locality.
struct Hosts<'t> {
    groups: Vec<GroupHosts>,
    /// Weight and fitness of each.
    all: &'t [(u32, Fitness)],
    silent: &'t [bool],
}

/// One locality of one priority, by numbers of hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct GroupHosts {
    priority: u32,
    weight: u32,
    first: usize,
    len: usize,
    total: u32,
    healthy: u32,
    excluded: u32,
    /// The first group of the same locality and priority, if that is another one.
    first_of_locality: Option<usize>,
}

impl Hosts<'_> {
    /// The counts of each priority.
    fn levels(&self, spread: &Spread) -> Vec<LevelHosts> {
        let overprovisioning = spread.overprovisioning;
        let weights = spread.weighted_priority_health.then(HostWeights::default);
        let none = LevelHosts { overprovisioning, weights, ..LevelHosts::default() };
        let n_levels = self.groups.iter().map(|group| group.level() + 1).max();
        let mut levels = vec![none; n_levels.unwrap_or_default()];
        for group in &self.groups {
            if let Some(level) = levels.get_mut(group.level()) {
                level.healthy = level.healthy.saturating_add(group.healthy);
                level.total = level.total.saturating_add(group.total);
                level.excluded = level.excluded.saturating_add(group.excluded);
                if let Some(weights) = &mut level.weights {
                    self.weigh(group, weights);
                }
            }
        }
        levels
    }

    /// Adds the weights of the hosts of a locality.
    fn weigh(&self, group: &GroupHosts, weights: &mut HostWeights) {
        for (weight, fitness) in self.all.get(group.range()).unwrap_or_default() {
            let weight = u64::from((*weight).max(1));
            match fitness {
                Fitness::Healthy => weights.healthy += weight,
                Fitness::Excluded => weights.excluded += weight,
                Fitness::Unhealthy | Fitness::Repeated => {}
            }
            if *fitness != Fitness::Repeated {
                weights.total += weight;
            }
        }
    }

    /// The weight that each host of a locality has in a pick; 0 if it is not among the candidates.
    fn candidates(
        &self,
        spread: &Spread,
        group: &GroupHosts,
        panics: bool,
    ) -> impl Iterator<Item = f64> {
        let hosts = self.all.get(group.range()).unwrap_or_default();
        hosts.iter().map(move |(weight, fitness)| {
            let is_candidate = match fitness {
                _ if spread.on_panic.fails(panics) => false,
                Fitness::Healthy => true,
                Fitness::Unhealthy | Fitness::Excluded => panics,
                Fitness::Repeated => false,
            };
            let weight = if spread.host_weighted { f64::from(*weight) } else { 1.0 };
            if is_candidate { weight } else { 0.0 }
        })
    }

    /// The weight of each locality that is left, and their sum for each priority; none at all where
    /// hosts decide alone.
    fn weights(&self, spread: &Spread, loads: &[LevelLoad]) -> (Vec<f64>, Vec<f64>) {
        if !spread.locality_weighted {
            return (Vec::new(), Vec::new());
        }
        let weight = |group: &GroupHosts| {
            if spread.health_weighted {
                let healthy = Availability::Healthy;
                return group.locality().effective_weight(spread.overprovisioning, healthy);
            }
            let panics = loads.get(group.level()).is_some_and(|level| level.panic);
            let usable = if panics { group.total } else { group.healthy };
            if usable > 0 { f64::from(group.weight) } else { 0.0 }
        };
        let localities = joined(&self.groups);
        let weights: Vec<f64> = localities.iter().map(weight).collect();
        let mut sums = vec![0.0; loads.len()];
        for (group, weight) in localities.iter().zip(&weights) {
            let sum = sums.get_mut(group.level());
            if let Some(sum) = sum.filter(|_| group.first_of_locality.is_none()) {
                *sum += weight;
            }
        }
        (weights, sums)
    }
}

impl GroupHosts {
    /// Counts a host.
    fn add(&mut self, fitness: Fitness) {
        self.len += 1;
        self.total += u32::from(fitness != Fitness::Repeated);
        self.healthy += u32::from(fitness == Fitness::Healthy);
        self.excluded += u32::from(fitness == Fitness::Excluded);
    }

    /// The priority as an index.
    fn level(&self) -> usize {
        usize::try_from(self.priority).unwrap_or(usize::MAX - 1)
    }

    const fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.len
    }

    const fn locality(&self) -> LocalityHosts {
        LocalityHosts {
            weight: self.weight,
            total: self.total,
            healthy: self.healthy,
            degraded: 0,
            excluded: self.excluded,
        }
    }
}

/// The groups with what all groups of their localities count; a locality has the weight of the last.
///
/// # Upstream
///
/// envoyproxy/envoy `source/common/upstream/upstream_impl.cc`
/// `PriorityStateManager::initializePriorityFor`.
fn joined(groups: &[GroupHosts]) -> Cow<'_, [GroupHosts]> {
    // Mostly each is of a locality of its own.
    if groups.iter().all(|group| group.first_of_locality.is_none()) {
        return Cow::Borrowed(groups);
    }
    let mut joined = groups.to_vec();
    for group in groups {
        if let Some(first) = group.first_of_locality.and_then(|first| joined.get_mut(first)) {
            first.weight = group.weight;
            first.total = first.total.saturating_add(group.total);
            first.healthy = first.healthy.saturating_add(group.healthy);
            first.excluded = first.excluded.saturating_add(group.excluded);
        }
    }
    for index in 0..joined.len() {
        let first = joined.get(index).and_then(|group| group.first_of_locality);
        let whole = first.and_then(|first| joined.get(first)).copied();
        if let Some((group, whole)) = joined.get_mut(index).zip(whole) {
            *group = GroupHosts { first_of_locality: first, ..whole };
        }
    }
    Cow::Owned(joined)
}

/// The shares of hosts, with what they were computed from.
fn told(spread: &Spread, hosts: Hosts<'_>) -> Told {
    let told = compute(spread, &hosts);
    Told { groups: hosts.groups, ..told }
}

fn compute(spread: &Spread, hosts: &Hosts<'_>) -> Told {
    let levels = hosts.levels(spread);
    let mut load = PriorityLoad::default();
    load.spill(spread.data_plane, &levels, spread.panic_threshold);
    let loads = load.levels();
    // First the weight of each host and the sums of localities and priorities, then what that comes to.
    let mut endpoints: Vec<f64> = Vec::with_capacity(hosts.all.len());
    let mut localities: Vec<f64> = Vec::with_capacity(hosts.groups.len());
    let mut totals = vec![0.0; loads.len()];
    for group in &hosts.groups {
        let panics = loads.get(group.level()).is_some_and(|level| level.panic);
        endpoints.extend(hosts.candidates(spread, group, panics));
        let sum = endpoints.get(group.range()).unwrap_or_default().iter().sum();
        localities.push(sum);
        if let Some(total) = totals.get_mut(group.level()) {
            *total += sum;
        }
    }
    let (weights, sums) = hosts.weights(spread, loads);
    join(&hosts.groups, &mut localities);
    for (index, (group, locality)) in hosts.groups.iter().zip(&mut localities).enumerate() {
        let sum = *locality;
        let level = loads.get(group.level());
        // Hosts decide in panic (but on rings and tables), and where no locality has a weight.
        let weighs = !spread.health_weighted || !level.is_some_and(|level| level.panic);
        let weights = weights.get(index).zip(sums.get(group.level()));
        let fraction = match weights.filter(|(_, sum)| weighs && **sum > 0.0) {
            Some((weight, sum)) => weight / sum,
            None => sum / totals.get(group.level()).copied().unwrap_or_default(),
        };
        let share = level.map_or(0, |level| level.healthy_load.get());
        let of_group = endpoints.get_mut(group.range()).unwrap_or_default();
        for host in of_group.iter_mut() {
            *host = if sum > 0.0 { f64::from(share) * fraction * *host / sum } else { 0.0 };
        }
        let silent = hosts.silent.get(group.range()).unwrap_or_default();
        for (host, _) in of_group.iter_mut().zip(silent).filter(|(_, is_silent)| **is_silent) {
            *host = 0.0;
        }
        *locality = of_group.iter().sum();
    }
    Told { load, hosts: levels, localities, endpoints, groups: Vec::new() }
}

/// Makes what each group has what all groups of its locality have.
fn join(groups: &[GroupHosts], sums: &mut [f64]) {
    let twins =
        || groups.iter().enumerate().filter_map(|(at, of)| Some((at, of.first_of_locality?)));
    for (at, first) in twins() {
        let own = sums.get(at).copied().unwrap_or_default();
        if let Some(sum) = sums.get_mut(first) {
            *sum += own;
        }
    }
    for (at, first) in twins() {
        let whole = sums.get(first).copied().unwrap_or_default();
        if let Some(sum) = sums.get_mut(at) {
            *sum = whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{OnPanic, PanicThreshold};

    /// Priority, weight, healthy hosts and unhealthy ones.
    type Group = (u32, u32, usize, usize);

    const fn group(priority: u32, weight: u32, healthy: usize, unhealthy: usize) -> Group {
        (priority, weight, healthy, unhealthy)
    }

    fn check(spread: &Spread, groups: &[Group], localities: &[f64]) {
        let mut all = Vec::new();
        let group = |&(priority, weight, healthy, unhealthy): &Group| {
            let first = all.len();
            let mut group = GroupHosts { priority, weight, first, ..GroupHosts::default() };
            all.resize(first + healthy, (1, Fitness::Healthy));
            all.resize(first + healthy + unhealthy, (1, Fitness::Unhealthy));
            all[first..].iter().for_each(|(_, fitness)| group.add(*fitness));
            group
        };
        let groups = groups.iter().map(group).collect();
        let shares = compute(spread, &Hosts { groups, all: &all, silent: &[] });
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3;
        assert!(shares.localities.iter().zip(localities).all(close), "{:?}", shares.localities);
        let endpoints: f64 = shares.endpoints.iter().sum();
        assert!((endpoints - localities.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn groups_of_one_locality_share_its_weight_which_is_the_last_ones() {
        let weighted = Spread { locality_weighted: true, ..Spread::default() };
        let mut groups: Vec<GroupHosts> = Vec::new();
        let all = [(1, Fitness::Healthy); 4];
        for (index, weight) in [9, 1, 2].into_iter().enumerate() {
            let mut group = GroupHosts { weight, first: index, ..GroupHosts::default() };
            group.add(Fitness::Healthy);
            groups.push(group);
        }
        groups[1].first_of_locality = Some(0);
        let shares = compute(&weighted, &Hosts { groups, all: &all[..3], silent: &[] });
        let expected = [100.0 / 6.0, 100.0 / 6.0, 200.0 / 3.0];
        let found = shares.endpoints.iter().zip(expected);
        assert!(found.clone().all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", shares.endpoints);
        assert!(shares.localities.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn a_half_healthy_priority_spills_the_rest() {
        check(&Spread::default(), &[group(0, 2, 1, 1), group(1, 2, 2, 0)], &[70.0, 30.0]);
    }

    #[test]
    fn localities_share_by_hosts_unless_they_are_weighted() {
        let groups = [group(0, 9, 1, 0), group(0, 1, 3, 0)];
        check(&Spread::default(), &groups, &[25.0, 75.0]);
        let weighted = Spread { locality_weighted: true, ..Spread::default() };
        check(&weighted, &groups, &[90.0, 10.0]);
    }

    #[test]
    fn on_rings_localities_keep_their_weights_as_long_as_one_host_is_left() {
        let ring = Spread { locality_weighted: true, health_weighted: false, ..Spread::default() };
        check(&ring, &[group(0, 4, 1, 1), group(0, 4, 2, 0)], &[50.0, 50.0]);
        check(&ring, &[group(0, 4, 0, 2), group(0, 4, 2, 0)], &[0.0, 100.0]);
        let panic = Spread { panic_threshold: PanicThreshold::new(100), ..ring };
        check(&panic, &[group(0, 1, 0, 2), group(0, 3, 2, 0)], &[25.0, 75.0]);
        let by_health = Spread { health_weighted: true, ..ring };
        check(&by_health, &[group(0, 4, 1, 1), group(0, 4, 2, 0)], &[41.176, 58.824]);
    }

    #[test]
    fn nothing_is_reachable_where_nothing_is_healthy_and_panic_is_off() {
        let groups = [group(0, 2, 0, 2)];
        check(&Spread::default(), &groups, &[0.0]);
        let panic = Spread { panic_threshold: PanicThreshold::new(50), ..Spread::default() };
        check(&panic, &groups, &[100.0]);
        let failing = Spread { on_panic: OnPanic::Fail, ..panic };
        check(&failing, &groups, &[0.0]);
        check(&failing, &[group(0, 1, 1, 9), group(1, 1, 6, 4)], &[0.0, 85.0]);
    }
}
