//! The paved path: an assignment and a policy in, one endpoint a request out.
//!
//! ```text
//! request ─hash─▶ priority ─▶ locality ─▶ list of hosts ─▶ host        (ring and table: ─▶ host)
//!            └ loads, panic    └ weights     └ round robin, least request, random
//! ```
//!
//! A [`Balancer`] is built once and then shared: picks take `&self`, no lock, and allocate nothing.
//! When endpoints or their health change a new one is [made of it](Balancer::update), and when hosts
//! have [reported](Balancer::handle_report) other loads, too; what upstream keeps over an update is kept.
mod host;
mod level;
mod places;
mod policy;
mod retried;
mod source;
mod subset;
mod zones;

use std::sync::Arc;

use mesh_model::endpoint::HealthStatus as AssignedHealth;
use rustc_hash::{FxHashMap, FxHashSet};

pub use self::host::{Host, HostFacts, InFlight};
use self::host::{HostState, Traffic};
use self::level::{Found, Level, LevelInput, Wanted, Way};
use self::places::Places;
pub use self::policy::{Algorithm, BalancerPolicy, Selection};
use self::source::Draw;
pub use self::subset::SubsetBalancer;
pub use self::zones::LocalCluster;
use self::zones::ZoneRules;
use crate::assign::{AssignedEndpoint, Assignment};
use crate::health::status::{CoarseHealth, HealthFlags, HealthStatus, HostHealth};
use crate::load::{LevelHosts, LevelLoad, PriorityChoice, PriorityLoad, ZoneChoice};
use crate::pick::client_side::OrcaReport;
use crate::pick::hash_policy::{HashInput, RequestHash, hash};
use crate::pick::slow_start::LatestHost;

/// What a pick wants to know of a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct PickRequest {
    /// The hash of the request ([`Balancer::hash`]); without one a random number stands for it.
    /// Looked at by ring hash and Maglev only.
    pub hash: Option<u64>,
    /// Which attempt at a retried selection this is, from 0. Ring and table move on with it.
    pub attempt: u32,
    /// The time in milliseconds, of a clock that only moves forward; looked at in slow start only.
    pub now_ms: u64,
    /// Whose turn is taken: the number of the thread that asks, from 0, if the policy tells
    /// [workers](BalancerPolicy::workers) apart. It counts modulo their number.
    pub worker: u32,
}

/// The endpoint of one request.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers act on all of it")]
pub struct Pick<'b> {
    /// The endpoint.
    pub host: &'b Host,
    /// The priority that was drawn, and whether its healthy or its degraded hosts.
    pub choice: PriorityChoice,
    /// Whether the priority was in panic, so that health did not count.
    pub panic: bool,
}

impl Pick<'_> {
    /// Takes note that the request is on its way, until the guard is dropped: what least request and
    /// bounded load look at. Does not allocate.
    pub fn start(&self) -> InFlight {
        self.host.start()
    }
}

/// Picks endpoints of one assignment under one policy.
///
/// # Examples
///
/// ```
/// use mesh_lb::assign::{Assignment, Input};
/// use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
/// use mesh_model::{Compat, endpoint::Gateways};
/// use mesh_testkit::by_hand;
///
/// let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
/// let shards = by_hand::shards(
///     ["10.0.0.1", "10.0.0.2"].map(|address| by_hand::endpoint(address, "c1", "eu/west/a")),
/// );
/// let (compat, gateways) = (Compat::default(), Gateways::default());
/// let port = service.port(80).unwrap();
/// let input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
/// let assignment = Assignment::compute(&input);
///
/// let policy = BalancerPolicy { algorithm: Algorithm::RoundRobin, ..BalancerPolicy::default() };
/// let balancer = Balancer::new(&assignment, &policy);
/// let pick = |_| balancer.pick(&PickRequest::default(), || 0).map(|pick| pick.host.address());
/// assert_eq!([0, 1, 2].map(pick), ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.1:8080"].map(Some));
/// ```
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
/// `ZoneAwareLoadBalancerBase::chooseHost`.
#[derive(Debug)]
pub struct Balancer {
    policy: BalancerPolicy,
    load: PriorityLoad,
    /// The choice of each hundredth of the hashes; a single one if all are the same, none without
    /// priorities.
    choices: Box<[Choice]>,
    levels: Box<[Arc<Level>]>,
    /// Where the lists of each priority have got to, of those too that are no more.
    places: Box<[Arc<Places>]>,
    /// What follows from the cluster of the callers, if it is known.
    zones: Option<Box<ZoneRules>>,
    latest: LatestHost,
    traffic: Arc<Traffic>,
    // INVARIANT: that of the policy, at least 1.
    workers: u32,
}

/// What becomes of one hundredth of the hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
// A pick finds it without multiplying.
#[repr(align(16))]
struct Choice {
    choice: PriorityChoice,
    /// Whether the priority is in panic.
    panic: bool,
    way: Way,
}

impl Choice {
    /// Takes a priority; whether it is in panic `levels` say.
    fn new(choice: PriorityChoice, levels: &[LevelLoad]) -> Self {
        let level = usize::try_from(choice.priority).ok().and_then(|level| levels.get(level));
        let panic = level.is_some_and(|level| level.panic);
        Self { choice, panic, way: Level::way(choice.availability, panic) }
    }
}

/// What a balancer is assembled with, its endpoints aside.
struct Change<'p> {
    policy: &'p BalancerPolicy,
    latest: LatestHost,
    now_ms: u64,
    local: Option<Arc<LocalCluster>>,
    /// The priorities in which turns begin anew although nothing of them has changed, by index.
    begun: &'p [bool],
}

impl Balancer {
    /// Builds a balancer of endpoints in the health that they are assigned with, at time 0.
    pub fn new(assignment: &Assignment, policy: &BalancerPolicy) -> Self {
        Self::with_health(assignment, policy, 0, assigned_health)
    }

    /// Builds a balancer at a time, of endpoints in the health that `health` says; it may say more
    /// than that ([`HostFacts`]).
    pub fn with_health<F: Into<HostFacts>>(
        assignment: &Assignment,
        policy: &BalancerPolicy,
        now_ms: u64,
        health: impl Fn(AssignedEndpoint<'_>) -> F,
    ) -> Self {
        let nothing = Self::nothing(policy, now_ms);
        let mut change = nothing.change(policy, now_ms);
        let inputs = nothing.inputs(assignment, now_ms, &mut change.latest, health);
        nothing.assembled(inputs, change)
    }

    /// The balancer of no endpoints.
    fn nothing(policy: &BalancerPolicy, now_ms: u64) -> Self {
        Self {
            policy: policy.clone(),
            load: PriorityLoad::default(),
            choices: Box::default(),
            levels: Box::default(),
            places: Box::default(),
            zones: None,
            latest: LatestHost::new(&policy.slow_start, now_ms),
            traffic: Arc::default(),
            workers: policy.worker_count(),
        }
    }

    /// Builds the balancer that takes the place of this one after a change of endpoints, health or
    /// policy. This one stays as it is, for those who still hold it.
    ///
    /// Kept are, of hosts that stay, by address: requests in flight, the beginning of slow start, and
    /// what they have reported, which is taken up as [`Balancer::reweighed`] does. A host that comes
    /// back later is a new one, and its old requests count only in [`Balancer::active`].
    ///
    /// Turns among hosts of equal weight go on, whatever becomes of a list and for however long: a list
    /// is known by its place (the priority; the index of the locality, if localities are told apart;
    /// healthy, degraded, or all hosts in panic). Turns by weight begin at the seed again in priorities
    /// of which anything has changed: a host, its health, weight or metadata. Turns of localities begin anew
    /// in them, too, each time elsewhere, or updates that are as frequent as picks would starve a
    /// locality: upstream draws a random number then; here it follows from the seed and from how often
    /// the priority has changed, so that the same changes give the same picks. Where hosts are warmed
    /// up a [pass](Self::handle_health_check_pass) is a change, too. The others are kept as they are,
    /// with rings and tables, which are not built again; that a priority panics since another one is
    /// ill, or does so no longer, changes nothing of it (but its ring or table). Only what health checks
    /// or outlier detection [find](HostHealth::found) of a host is a change of all priorities, other than
    /// what EDS tells.
    ///
    /// One thing is not upstream's: a change of policy makes Envoy begin with a new cluster, of which
    /// nothing is old; [`Balancer::with_health`] does that.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`,
    /// `EdfLoadBalancerBase::refresh`: an update refreshes the priorities that it touches;
    /// `source/extensions/load_balancing_policies/round_robin/round_robin_lb.h`, `refreshHostSource`;
    /// `source/common/upstream/upstream_impl.cc`, `ClusterImplBase::reloadHealthyHostsHelper`.
    pub fn update<F: Into<HostFacts>>(
        &self,
        assignment: &Assignment,
        policy: &BalancerPolicy,
        now_ms: u64,
        health: impl Fn(AssignedEndpoint<'_>) -> F,
    ) -> Self {
        let mut change = self.change(policy, now_ms);
        let inputs = self.inputs(assignment, now_ms, &mut change.latest, health);
        let begun = self.begun_by(&inputs);
        self.renewed(inputs, Change { begun: &begun, ..change })
    }

    /// Which priorities begin their turns anew although nothing of them may have changed: all, if
    /// anything is found of a host that was not found before.
    fn begun_by(&self, inputs: &[LevelInput]) -> Vec<bool> {
        // Of a single priority that is a change by itself.
        if inputs.len() < 2 {
            return Vec::new();
        }
        let found = |host: &Host| (Arc::as_ptr(host.state()), host.health().found());
        let before: FxHashMap<*const HostState, HealthFlags> = self.hosts().map(found).collect();
        let is_new = |host: &Host| {
            let (state, found) = found(host);
            before.get(&state).is_some_and(|before| *before != found)
        };
        let is_found = inputs.iter().flat_map(LevelInput::hosts).any(is_new);
        vec![is_found; inputs.len()]
    }

    /// A change that leaves what does not follow from the policy as it is.
    fn change<'p>(&self, policy: &'p BalancerPolicy, now_ms: u64) -> Change<'p> {
        let latest = if policy.slow_start == self.policy.slow_start {
            self.latest
        } else {
            LatestHost::new(&policy.slow_start, now_ms)
        };
        Change { policy, latest, now_ms, local: self.local_cluster(), begun: &[] }
    }

    /// Builds the balancer of these levels, whose hosts weigh what they have reported where that
    /// counts.
    fn renewed(&self, mut inputs: Vec<LevelInput>, change: Change<'_>) -> Self {
        if let Some(weights) = change.policy.algorithm.client_side() {
            for input in &mut inputs {
                let weights = weights.of_hosts(input.reports(), change.now_ms);
                input.weigh(&weights);
            }
        }
        self.assembled(inputs, change)
    }

    /// Takes note that an active health check has passed a host that counted as failed until then:
    /// [slow start](crate::pick::slow_start) begins again, now. To be called at each
    /// [event](crate::health::active::CheckEvent::passed) that says so, before the
    /// [update](Self::update) that brings the new health; of several passes the last one counts.
    /// Nothing else begins it again, no end of an ejection and no news of EDS. Takes no lock and does
    /// not allocate.
    ///
    /// `host` may be that of an older balancer which this one was made of.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/health_checkers/common/health_checker_base_impl.cc`,
    /// `ActiveHealthCheckSession::handleSuccess`: `setLastHcPassTime`.
    pub fn handle_health_check_pass(&self, host: &Host, now_ms: u64) {
        host.state().pass(now_ms);
    }

    /// Takes a report of a host's load, for [`Algorithm::ClientSide`]; others do not listen. Nothing
    /// is picked differently until the balancer is [weighed](Self::reweighed) or
    /// [updated](Self::update). Takes no lock and does not allocate.
    ///
    /// `host` may be that of an older balancer which this one was made of.
    pub fn handle_report(&self, host: &Host, report: &OrcaReport<'_>, now_ms: u64) {
        if let Some(weights) = self.policy.algorithm.client_side() {
            host.state().reported().handle_report(weights, report, now_ms);
        }
    }

    /// Returns the balancer that goes by what hosts have reported up to now; none if no weight changes,
    /// or weights are not those of reports. This one stays as it is.
    ///
    /// To be asked every [so often](crate::pick::client_side::ClientSideWeights::period_ms). A host
    /// whose reports do not count (too few, too old) weighs as the median of its priority. If one
    /// weight changes all schedulers of hosts begin anew, those of other priorities too. Localities go
    /// on in their turns, and priorities keep their loads until the next [update](Self::update), even
    /// if their health goes [by weight](crate::share::Spread::weighted_priority_health).
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport};
    /// use mesh_lb::{Algorithm, Balancer, BalancerPolicy, PickRequest};
    /// # use mesh_lb::assign::{Assignment, Input};
    /// # use mesh_model::{Compat, endpoint::Gateways};
    /// # use mesh_testkit::by_hand;
    /// # let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
    /// # let shards = by_hand::shards(
    /// #     ["10.0.0.1", "10.0.0.2"].map(|address| by_hand::endpoint(address, "c1", "eu/west/a")),
    /// # );
    /// # let (compat, gateways) = (Compat::default(), Gateways::default());
    /// # let port = service.port(80).unwrap();
    /// # let input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
    /// # let assignment = Assignment::compute(&input);
    ///
    /// let algorithm = Algorithm::ClientSide(ClientSideWeights::default());
    /// let policy = BalancerPolicy { algorithm, ..BalancerPolicy::default() };
    /// let balancer = Balancer::new(&assignment, &policy);
    /// for (host, cpu_utilization) in balancer.hosts().zip([0.25, 0.5]) {
    ///     let report = OrcaReport { rps: 10.0, cpu_utilization, ..OrcaReport::default() };
    ///     balancer.handle_report(host, &report, 0);
    /// }
    /// assert!(balancer.reweighed(9_999).is_none()); // Too early: all of them weigh 1.
    /// let balancer = balancer.reweighed(10_000).unwrap();
    /// assert!(balancer.hosts().map(|host| host.weight()).eq([40, 20]));
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/orca_weight_manager.cc`,
    /// `OrcaWeightManager::updateWeightsOnMainThread`; `load_balancer_impl.cc` there,
    /// `EdfLoadBalancerBase::refresh`, which computes nothing else.
    pub fn reweighed(&self, now_ms: u64) -> Option<Self> {
        let weights = self.policy.algorithm.client_side()?;
        let of_level = |level: &Arc<Level>| weights.of_hosts(level.input().reports(), now_ms);
        let weights: Vec<Vec<u32>> = self.levels.iter().map(of_level).collect();
        let stay = |(level, weights): (&Arc<Level>, &Vec<u32>)| {
            level.hosts().iter().map(Host::weight).eq(weights.iter().copied())
        };
        if self.levels.iter().zip(&weights).all(stay) {
            return None;
        }
        let mut places = self.places.to_vec();
        let weighed = self.levels.iter().zip(&weights).zip(&mut places);
        let levels = weighed.map(|((level, weights), places)| {
            let mut input = level.input().clone();
            input.weigh(weights);
            input.in_slow_start = self.latest.in_slow_start(now_ms);
            input.now_ms = (self.policy.slow_start.window_ms > 0).then_some(now_ms);
            Arc::new(level.reweighed(input, &self.policy, Arc::make_mut(places)))
        });
        Some(Self {
            levels: levels.collect(),
            policy: self.policy.clone(),
            load: self.load.clone(),
            choices: self.choices.clone(),
            places: places.into(),
            zones: self.zones.clone(),
            latest: self.latest,
            traffic: Arc::clone(&self.traffic),
            workers: self.workers,
        })
    }

    /// Builds the balancer of these levels, of what this one has where that is the same.
    fn assembled(&self, inputs: Vec<LevelInput>, change: Change<'_>) -> Self {
        let Change { policy, latest, now_ms, local, begun } = change;
        let hosts: Vec<LevelHosts> =
            inputs.iter().map(|input| input.counts(&policy.spread)).collect();
        let mut load = PriorityLoad::default();
        load.spill(policy.spread.data_plane, &hosts, policy.spread.panic_threshold);
        let in_slow_start = latest.in_slow_start(now_ms);
        let now_ms = (policy.slow_start.window_ms > 0).then_some(now_ms);
        let same_policy = *policy == self.policy;
        let zones = local.map(|local| Box::new(ZoneRules::new(local, inputs.first(), policy)));
        let (mut levels, mut places) = (Vec::new(), self.places.to_vec());
        places.resize(inputs.len().max(places.len()), Arc::default());
        let parts = inputs.into_iter().zip(load.levels()).zip(&mut places).enumerate();
        for (index, ((mut input, load), places)) in parts {
            (input.panic, input.in_slow_start, input.now_ms) = (load.panic, in_slow_start, now_ms);
            input.is_zoned = index == 0 && zones.is_some();
            // A ring or table has no turns to begin.
            let goes_on = policy.algorithm.is_consistent() || begun.get(index) != Some(&true);
            let old = self.levels.get(index).filter(|_| same_policy && goes_on);
            levels.push(match old.filter(|old| old.is_of(&input, policy)) {
                Some(same) => Arc::clone(same),
                None => Arc::new(Level::new(index, input, policy, Arc::make_mut(places))),
            });
        }
        Self {
            policy: policy.clone(),
            choices: choices(&load),
            load,
            levels: levels.into(),
            places: places.into(),
            zones,
            latest,
            traffic: Arc::clone(&self.traffic),
            workers: policy.worker_count(),
        }
    }

    /// Sorts the endpoints of an assignment into priorities. A priority without endpoints below
    /// another one exists, and is empty. Of several endpoints with one address the first counts.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/clusters/eds/eds.cc`, `BatchUpdateHelper::updateLocalityEndpoints`.
    fn inputs<F: Into<HostFacts>>(
        &self,
        assignment: &Assignment,
        now_ms: u64,
        latest: &mut LatestHost,
        health: impl Fn(AssignedEndpoint<'_>) -> F,
    ) -> Vec<LevelInput> {
        let known: FxHashMap<&str, &Arc<HostState>> =
            self.hosts().map(|host| (host.address(), host.state())).collect();
        let mut seen: FxHashSet<Box<str>> = FxHashSet::default();
        let levels = usize::try_from(assignment.n_priorities()).unwrap_or(0);
        let mut inputs: Vec<LevelInput> = Vec::new();
        inputs.resize_with(levels, LevelInput::default);
        for locality in assignment.localities() {
            let level = usize::try_from(locality.priority()).unwrap_or(usize::MAX);
            let Some(input) = inputs.get_mut(level) else { continue };
            let endpoints = locality.endpoints().filter_map(|endpoint| {
                let facts: HostFacts = health(endpoint).into();
                let address = Host::address_of(endpoint);
                if !seen.insert(address.clone()) {
                    return None;
                }
                let state = known.get(&*address).map_or_else(
                    || Arc::new(HostState::new(Arc::clone(&self.traffic))),
                    |state| Arc::clone(state),
                );
                if facts.health().coarse() == CoarseHealth::Healthy {
                    state.observe(latest, now_ms);
                }
                Some(Host::new(endpoint, address, facts, state))
            });
            input.push_locality(locality.locality(), locality.weight(), endpoints);
        }
        inputs.iter_mut().for_each(|input| input.order_localities(assignment.client()));
        inputs
    }

    /// Returns the endpoint for a request; none if there is none to send it to.
    ///
    /// `random` is drawn in the order of upstream: once for the priority, unless the request has a
    /// hash that says it; for the zone, if [zones](Self::with_local_cluster) matter; then as often as
    /// least request samples. Does not allocate, unless bounded
    /// load passes over the first host of more than 1,024.
    #[inline]
    pub fn pick(&self, request: &PickRequest, mut random: impl FnMut() -> u64) -> Option<Pick<'_>> {
        let hash = self.hash_or_draw(request, &mut random);
        let chosen = match &*self.choices {
            [only] => only,
            choices => choices.get(usize::try_from(hash % 100).ok()?)?,
        };
        self.pick_of(chosen, hash, request, random)
    }

    #[inline]
    fn hash_or_draw(&self, request: &PickRequest, random: impl FnOnce() -> u64) -> u64 {
        match request.hash {
            Some(hash) if self.policy.algorithm.is_consistent() => hash,
            Some(_) | None => random(),
        }
    }

    /// Picks a host of the priority that is chosen.
    #[inline]
    fn pick_of(
        &self,
        chosen: &Choice,
        hash: u64,
        request: &PickRequest,
        mut random: impl FnMut() -> u64,
    ) -> Option<Pick<'_>> {
        let level = self.levels.get(usize::try_from(chosen.choice.priority).ok()?)?;
        let worker = self.worker(request.worker);
        let zone = || match &self.zones {
            None => ZoneChoice::Anywhere,
            Some(zones) => zones.choose(&self.policy, &mut random),
        };
        let (way, attempt) = (chosen.way, request.attempt);
        let host = match level.find(Wanted { way, hash, attempt, worker }, zone)? {
            Found::Host(host) => host,
            Found::List(source) => {
                let (policy, hosts, now_ms) = (&self.policy, level.hosts(), request.now_ms);
                source.pick(Draw { policy, hosts, worker, now_ms }, hash, random)?
            }
            Found::Bounded(table) => table.pick(level, hash, attempt, &self.traffic)?,
        };
        let Choice { choice, panic, .. } = *chosen;
        Some(Pick { host: level.host(host)?, choice, panic })
    }

    /// The place of the turns of a worker.
    #[inline]
    fn worker(&self, number: u32) -> usize {
        let workers = self.workers;
        usize::try_from(if number < workers { number } else { number % workers }).unwrap_or(0)
    }

    /// Hashes a request as the policy says, for [`PickRequest::hash`].
    pub fn hash(&self, input: &HashInput<'_>) -> RequestHash<'_> {
        hash(&self.policy.hash_policies, input)
    }

    /// Returns the load of each priority.
    pub const fn load(&self) -> &PriorityLoad {
        &self.load
    }

    /// Returns all endpoints, priority after priority, locality after locality.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.levels.iter().flat_map(|level| level.hosts())
    }

    /// Returns the number of requests in flight, by the guards that are held.
    pub fn active(&self) -> u32 {
        self.traffic.active()
    }

    /// Returns the policy.
    pub const fn policy(&self) -> &BalancerPolicy {
        &self.policy
    }

    /// Returns whether a priority is the very one of another balancer: nothing of it was built again.
    pub fn shares_priority_with(&self, other: &Self, priority: usize) -> bool {
        match (self.levels.get(priority), other.levels.get(priority)) {
            (Some(level), Some(other)) => Arc::ptr_eq(level, other),
            (Some(_) | None, Some(_) | None) => false,
        }
    }
}

/// Returns the choice of each hundredth of the hashes, or the only one.
fn choices(load: &PriorityLoad) -> Box<[Choice]> {
    let hundredths = if load.levels().is_empty() { 0..0 } else { 0..100 };
    let mut choices: Vec<Choice> =
        hundredths.map(|one| Choice::new(load.choose(one), load.levels())).collect();
    if choices.windows(2).all(|pair| pair.first() == pair.last()) {
        choices.truncate(1);
    }
    choices.into()
}

/// Returns the health that an endpoint is assigned with, as Envoy reads it.
pub fn assigned_health(endpoint: AssignedEndpoint<'_>) -> HostHealth {
    let status = match endpoint.health() {
        AssignedHealth::Unknown => HealthStatus::Unknown,
        AssignedHealth::Healthy => HealthStatus::Healthy,
        AssignedHealth::Unhealthy | AssignedHealth::Terminating => HealthStatus::Unhealthy,
        AssignedHealth::Draining => HealthStatus::Draining,
    };
    HostHealth::new(status, HealthFlags::NONE)
}
