//! A balancer a subset, found by what requests ask of their hosts' metadata.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::host::{Host, HostFacts};
use super::level::LevelInput;
use super::{Balancer, BalancerPolicy, Change, LocalCluster, Pick, PickRequest};
use crate::assign::{AssignedEndpoint, Assignment};
use crate::load::{Availability, PriorityChoice};
use crate::retry::previous_priorities::PreviousPriorities;
use crate::subset::{Candidates, Criteria, SubsetConfig, SubsetHost, SubsetHosts, Subsets};

/// Picks endpoints among those that have what a request asks for: Envoy's subset balancer.
///
/// Each subset has a [`Balancer`] of its own, with its own load, panic and turns; what is known of a
/// host (its requests in flight, its reports) is known in all of them. Where no subset is found the
/// fallbacks of the configuration say who is picked among. Picks take `&self`, no lock, and allocate
/// nothing, unless criteria have to be reduced or merged.
///
/// This is `lb_subset_config` of one cluster, which istiod does not configure; the subsets of a
/// `DestinationRule` are clusters of their own.
///
/// # Examples
///
/// ```
/// use mesh_lb::assign::{Assignment, Input};
/// use mesh_lb::subset::{Criteria, MetadataValue, Selector, SubsetConfig};
/// use mesh_lb::{BalancerPolicy, HostFacts, PickRequest, SubsetBalancer, assigned_health};
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
/// let pair = |value: &str| [("version".into(), MetadataValue::Text(value.into()))].into();
/// let config = SubsetConfig {
///     selectors: vec![Selector::new(vec!["version".into()], None).unwrap()],
///     ..SubsetConfig::default()
/// };
/// let policy = BalancerPolicy::default();
/// let balancer = SubsetBalancer::new(&assignment, &policy, &config, 0, |endpoint| {
///     let is_first = endpoint.target().address().to_string() == "10.0.0.1";
///     let metadata = pair(if is_first { "1" } else { "2" });
///     HostFacts::from(assigned_health(endpoint)).with_metadata(metadata)
/// });
/// let pick = |version: &str| {
///     let pick = balancer.pick(&Criteria::new(pair(version)), &PickRequest::default(), || 0);
///     pick.map(|pick| pick.host.address())
/// };
/// assert_eq!(["1", "2", "3"].map(pick), [Some("10.0.0.1:8080"), Some("10.0.0.2:8080"), None]);
/// ```
///
/// # Upstream
///
/// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`, `SubsetLoadBalancer`.
#[derive(Debug)]
pub struct SubsetBalancer {
    config: SubsetConfig,
    // Weighs hosts as they are assigned, unless there are no subsets at all.
    all: Arc<Balancer>,
    subsets: Subsets,
    /// By the numbers of the lists of subsets; none where nobody is ever picked. In that of all hosts
    /// localities may weigh something else than in `all`.
    inner: Box<[Option<Arc<Balancer>>]>,
}

impl SubsetBalancer {
    /// Builds a balancer at a time, of endpoints of which `facts` says what is known. The configuration
    /// stays what it is: another one makes another balancer. Without selectors there are no subsets,
    /// and all endpoints are picked among, whatever is asked.
    pub fn new<F: Into<HostFacts>>(
        assignment: &Assignment,
        policy: &BalancerPolicy,
        config: &SubsetConfig,
        now_ms: u64,
        facts: impl Fn(AssignedEndpoint<'_>) -> F,
    ) -> Self {
        let nobody = Self {
            config: config.clone(),
            all: Arc::new(Balancer::nothing(policy, now_ms)),
            subsets: Subsets::new(config, &[]),
            inner: Box::default(),
        };
        let all = Balancer::with_health(assignment, policy, now_ms, facts);
        nobody.around(all, now_ms, Balancer::assembled)
    }

    /// Builds the balancer that takes the place of this one after a change of endpoints, of what is
    /// known of them, or of policy. This one stays as it is.
    ///
    /// What [`Balancer::update`] keeps is kept in each subset for as long as it has a host; one that
    /// comes back later is new. Turns by weight begin at the seed again in all subsets of a priority of
    /// which anything has changed, be it of the subset or not.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::refreshSubsets`, `purgeEmptySubsets`.
    pub fn update<F: Into<HostFacts>>(
        &self,
        assignment: &Assignment,
        policy: &BalancerPolicy,
        now_ms: u64,
        facts: impl Fn(AssignedEndpoint<'_>) -> F,
    ) -> Self {
        let mut change = self.all.change(policy, now_ms);
        let inputs = self.all.inputs(assignment, now_ms, &mut change.latest, facts);
        let begun = self.all.begun_by(&inputs);
        let change = Change { begun: &begun, ..change };
        let all = match self.is_off() {
            true => self.all.renewed(inputs, change),
            false => self.all.assembled(inputs, change),
        };
        self.around(all, now_ms, Balancer::renewed)
    }

    /// Builds the balancers of the subsets of `all`, each with what the old one of its name has.
    fn around(
        &self,
        all: Balancer,
        now_ms: u64,
        build: fn(&Balancer, Vec<LevelInput>, Change<'_>) -> Balancer,
    ) -> Self {
        let nothing = BTreeMap::new();
        let hosts = (0..).zip(&all.levels).flat_map(|(priority, level)| {
            level.hosts().iter().map(move |host| (priority, host.metadata()))
        });
        let hosts: Vec<SubsetHost<'_>> = hosts
            .map(|(priority, metadata)| SubsetHost {
                priority,
                metadata: Cow::Borrowed(metadata.unwrap_or(&nothing)),
            })
            .collect();
        let subsets = Subsets::new(&self.config, &hosts);
        let is_begun = |level| !all.shares_priority_with(&self.all, level);
        let begun: Vec<bool> = (0..all.levels.len()).map(is_begun).collect();
        let new = Balancer {
            traffic: Arc::clone(&all.traffic),
            ..Balancer::nothing(&all.policy, now_ms)
        };
        let balancer = |(name, hosts)| {
            let old =
                self.subsets.number(name).and_then(|number| self.inner.get(number)?.as_deref());
            let old = old.unwrap_or(&new);
            let inputs = self.inputs(&all, hosts);
            let mut change = Change { begun: &begun, ..old.change(&all.policy, now_ms) };
            change.local = all.local_cluster();
            inputs.iter().for_each(|input| input.observe(&mut change.latest, now_ms));
            Arc::new(build(old, inputs, change))
        };
        let inner = match self.is_off() {
            true => Box::default(),
            false => subsets.lists().map(|list| list.map(balancer)).collect(),
        };
        Self { config: self.config.clone(), all: Arc::new(all), subsets, inner }
    }

    /// What the priorities of a subset are built from. All priorities exist in it.
    fn inputs(&self, all: &Balancer, hosts: &SubsetHosts) -> Vec<LevelInput> {
        let numbers = hosts.levels().iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        let mut first = 0_u32;
        let inputs = all.levels.iter().zip(numbers).map(|(level, numbers)| {
            let places: Vec<u32> =
                numbers.iter().map(|number| number.wrapping_sub(first)).collect();
            first = first.saturating_add(level.input().len());
            level.input().only(&places, self.config.locality_weights)
        });
        inputs.collect()
    }

    /// Whether there are no subsets, by configuration.
    const fn is_off(&self) -> bool {
        self.config.selectors.is_empty()
    }

    /// Returns the endpoint for a request that asks for these values; none if there is none to send it
    /// to. As [`Balancer::pick`] otherwise: each balancer that is tried draws.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/subset/subset_lb.cc`,
    /// `SubsetLoadBalancer::chooseHost`.
    pub fn pick(
        &self,
        criteria: &Criteria,
        request: &PickRequest,
        mut random: impl FnMut() -> u64,
    ) -> Option<Pick<'_>> {
        self.select(criteria, |balancer| balancer.pick(request, &mut random))
    }

    /// Picks again while `rejects` says no, as [`Balancer::pick_unless`]. The only host of a subset of
    /// single hosts is taken even if it is rejected.
    pub fn pick_unless(
        &self,
        criteria: &Criteria,
        request: &PickRequest,
        retries: u32,
        mut random: impl FnMut() -> u64,
        mut rejects: impl FnMut(&Host) -> bool,
    ) -> Option<Pick<'_>> {
        self.select(criteria, |balancer| {
            balancer.pick_unless(request, retries, &mut random, &mut rejects)
        })
    }

    /// Picks for a retry of a request, as [`Balancer::pick_elsewhere`], by the loads inside the subset.
    pub fn pick_elsewhere(
        &self,
        criteria: &Criteria,
        request: &PickRequest,
        previous: &mut PreviousPriorities,
        retries: u32,
        mut random: impl FnMut() -> u64,
        mut rejects: impl FnMut(&Host) -> bool,
    ) -> Option<Pick<'_>> {
        self.select(criteria, |balancer| {
            balancer.pick_elsewhere(request, previous, retries, &mut random, &mut rejects)
        })
    }

    fn select<'b>(
        &'b self,
        criteria: &Criteria,
        mut pick: impl FnMut(&'b Balancer) -> Option<Pick<'b>>,
    ) -> Option<Pick<'b>> {
        if self.is_off() {
            return pick(&self.all);
        }
        self.subsets.select(criteria, |candidates| match candidates {
            Candidates::Single(host) => self.single(host),
            Candidates::Hosts(hosts) => pick(self.inner.get(hosts.number())?.as_deref()?),
        })
    }

    /// Returns the host of this number among all hosts, whatever its health.
    fn single(&self, mut number: u32) -> Option<Pick<'_>> {
        for (priority, level) in (0..).zip(&self.all.levels) {
            if let Some(host) = level.host(number) {
                let choice = PriorityChoice { priority, availability: Availability::Healthy };
                return Some(Pick { host, choice, panic: false });
            }
            number = number.checked_sub(level.input().len())?;
        }
        None
    }

    /// Returns the balancer of a caller that is one of this cluster: its subsets are routed by zone as
    /// [`Balancer::with_local_cluster`] says.
    pub fn with_local_cluster(&self, local: &Arc<LocalCluster>, now_ms: u64) -> Self {
        let within = |balancer: &Arc<Balancer>| {
            Arc::new(balancer.with_local_cluster(Arc::clone(local), now_ms))
        };
        self.mapped(within(&self.all), within)
    }

    /// Returns the balancer that goes by what hosts have reported up to now, in each subset as
    /// [`Balancer::reweighed`] does; none if no weight changes in any.
    pub fn reweighed(&self, now_ms: u64) -> Option<Self> {
        let all = self.is_off().then(|| self.all.reweighed(now_ms)).flatten();
        let mut changed = all.is_some();
        let all = all.map_or_else(|| Arc::clone(&self.all), Arc::new);
        let weighed = self.mapped(all, |balancer| {
            let weighed = balancer.reweighed(now_ms);
            changed |= weighed.is_some();
            weighed.map_or_else(|| Arc::clone(balancer), Arc::new)
        });
        changed.then_some(weighed)
    }

    fn mapped(
        &self,
        all: Arc<Balancer>,
        mut map: impl FnMut(&Arc<Balancer>) -> Arc<Balancer>,
    ) -> Self {
        let inner = self.inner.iter().map(|one| one.as_ref().map(&mut map)).collect();
        Self { config: self.config.clone(), all, subsets: self.subsets.clone(), inner }
    }

    /// Returns the balancer of all endpoints, which are picked among if there are no subsets. Its hosts
    /// are those of every subset: it takes their [reports](Balancer::handle_report) and the
    /// [passes](Balancer::handle_health_check_pass) of their health checks.
    pub fn all(&self) -> &Balancer {
        &self.all
    }
}
