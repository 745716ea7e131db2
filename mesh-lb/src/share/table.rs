//! The hosts that Envoy makes of an assignment: one for each address, fit or not, silent or ejected.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::endpoint::{Address, HealthStatus};
use mesh_model::name::Locality;
use rustc_hash::FxHashSet;

use super::{Fitness, GroupHosts, Hosts, Shares, Spread, Told, told};
use crate::assign::{AssignedEndpoint, AssignedLocality, Assignment};
use crate::load::DataPlane;

/// The hosts of an assignment, and of all others on its basis: only priorities and weights of localities
/// are not in it.
#[derive(Clone, Debug)]
pub(crate) struct HostTable {
    /// The localities in order, without priorities and weights.
    groups: Vec<GroupHosts>,
    /// Weight and fitness of each.
    all: Vec<(u32, Fitness)>,
    healths: Arc<[HealthStatus]>,
    /// What is sent to and does not answer, by index; empty if everything does.
    silent: Arc<[bool]>,
    /// How many of those are ejected, the first by priority, then by index; none if all are.
    ejected: usize,
    /// All of them by index, if all are ejected.
    gone: Arc<[usize]>,
    /// For each group the first one of its locality; empty if they are all of different ones.
    twins: Box<[usize]>,
}

impl HostTable {
    /// The hosts with health as `health` says.
    pub(crate) fn new(
        assignment: &Assignment,
        spread: &Spread,
        health: impl Fn((usize, AssignedEndpoint<'_>)) -> HealthStatus,
    ) -> Self {
        let len = assignment.localities().map(AssignedLocality::len).sum();
        let mut groups = Vec::with_capacity(assignment.localities().len());
        let mut all = Vec::with_capacity(len);
        let mut healths = Vec::with_capacity(len);
        let few = Vec::with_capacity(len.min(LOOKED_THROUGH));
        let mut seen = Seen { few, many: FxHashSet::default() };
        let is_envoy = matches!(spread.data_plane, DataPlane::IstioProxy | DataPlane::Envoy);
        let keeps_first = is_envoy && spread.one_host_an_address;
        for locality in assignment.localities() {
            let mut group = GroupHosts { first: all.len(), ..GroupHosts::default() };
            for endpoint in locality.endpoints() {
                let status = health((all.len(), endpoint));
                healths.push(status);
                let target = endpoint.target();
                // Envoy keeps the first of several hosts with one address.
                let is_repeated = keeps_first && !seen.is_new((target.address(), target.port()));
                let (weight, fitness) = match is_repeated {
                    true => (0, Fitness::Repeated),
                    false => (endpoint.weight(), Fitness::of(status)),
                };
                all.push((weight, fitness));
                group.add(fitness);
            }
            groups.push(group);
        }
        let twins = if spread.locality_weighted { twins(assignment) } else { Box::default() };
        Self {
            groups,
            all,
            healths: healths.into(),
            silent: Arc::default(),
            ejected: 0,
            gone: Arc::default(),
            twins,
        }
    }

    /// The same while some are sent their share and do not answer: what they are sent is lost.
    pub(crate) fn without_answer_of(mut self, silent: Vec<bool>) -> Self {
        if silent.contains(&true) {
            let health = |(health, is_silent): (&HealthStatus, &bool)| match is_silent {
                true => HealthStatus::Unhealthy,
                false => *health,
            };
            self.healths = self.healths.iter().zip(&silent).map(health).collect();
            self.silent = silent.into();
        }
        self
    }

    /// The same with the most of those ejected that `ejectable` lets, given their number and that of
    /// all hosts.
    pub(crate) fn ejecting(mut self, ejectable: impl FnOnce(usize, usize) -> usize) -> Self {
        let hosts = self.all.iter().filter(|(_, fitness)| *fitness != Fitness::Repeated).count();
        let silent = self.silent_hosts().count();
        self.ejected = ejectable(silent, hosts);
        if self.ejected >= silent {
            // Whatever the priorities are.
            self.gone = self.silent_hosts().collect();
            eject(&self.gone, &mut self.groups, &mut self.all);
            self.ejected = 0;
        }
        self
    }

    /// The hosts that would be sent something and do not answer, by index.
    fn silent_hosts(&self) -> impl Iterator<Item = usize> {
        let all = self.all.iter().zip(&*self.silent).enumerate();
        all.filter(|(_, ((_, fitness), is_silent))| **is_silent && *fitness == Fitness::Healthy)
            .map(|(index, _)| index)
    }

    /// The shares of an assignment on the basis.
    pub(crate) fn shares(&self, assignment: &Assignment, spread: &Spread) -> Shares {
        let mut groups = self.groups.clone();
        for (group, locality) in groups.iter_mut().zip(assignment.localities()) {
            group.priority = locality.priority();
            group.weight = locality.weight().unwrap_or_default();
        }
        for (index, twin) in self.twins.iter().enumerate() {
            let priority = groups.get(index).map(|group| group.priority);
            let mut known = groups.iter().zip(&self.twins).take(index);
            let is_same =
                |(one, of): (&GroupHosts, &usize)| of == twin && Some(one.priority) == priority;
            let first = known.clone().position(is_same);
            // A weight that is not told leaves the one told before.
            let last = known.rfind(|one| is_same(*one)).map(|(one, _)| one.weight);
            let is_told =
                assignment.localities().nth(index).is_some_and(|of| of.weight().is_some());
            if let Some(group) = groups.get_mut(index) {
                group.first_of_locality = first;
                group.weight = last.filter(|_| !is_told).unwrap_or(group.weight);
            }
        }
        let (told, ejected) = match self.ejected {
            0 => {
                let hosts = Hosts { groups, all: &self.all, silent: &self.silent };
                (told(spread, hosts), Arc::clone(&self.gone))
            }
            _ => self.told_with_ejected(spread, groups),
        };
        self.with(told, ejected)
    }

    /// The same where some are ejected and others not: which, their priorities decide.
    fn told_with_ejected(
        &self,
        spread: &Spread,
        mut groups: Vec<GroupHosts>,
    ) -> (Told, Arc<[usize]>) {
        let priority = |index: &usize| {
            let group = groups.partition_point(|group| group.range().end <= *index);
            groups.get(group).map(|group| group.priority)
        };
        let mut hosts: Vec<usize> = self.silent_hosts().collect();
        hosts.sort_by_key(priority);
        hosts.truncate(self.ejected);
        let mut all = self.all.clone();
        eject(&hosts, &mut groups, &mut all);
        (told(spread, Hosts { groups, all: &all, silent: &self.silent }), hosts.into())
    }

    /// The shares where the proxy picks none of them.
    pub(crate) fn no_shares(&self) -> Shares {
        let told = Told {
            localities: vec![0.0; self.groups.len()],
            endpoints: vec![0.0; self.all.len()],
            ..Told::default()
        };
        self.with(told, Arc::default())
    }

    fn with(&self, told: Told, ejected: Arc<[usize]>) -> Shares {
        let (healths, silent) = (Arc::clone(&self.healths), Arc::clone(&self.silent));
        Shares { told: Arc::new(told), healths, silent, ejected }
    }
}

/// Makes hosts, given by index, unhealthy: nothing is sent to them any more but in panic, and still they do not
/// answer.
fn eject(hosts: &[usize], groups: &mut [GroupHosts], all: &mut [(u32, Fitness)]) {
    for &index in hosts {
        if let Some((_, fitness)) = all.get_mut(index) {
            *fitness = Fitness::Unhealthy;
        }
        if let Some(group) = groups.iter_mut().find(|group| group.range().contains(&index)) {
            group.healthy = group.healthy.saturating_sub(1);
        }
    }
}

/// For each locality of an assignment the first one that is the same to Envoy: istiod tells them apart by
/// their raw texts (`r1/z1` and `r1/z1/`) and by how well labels match. Empty if there are none.
fn twins(assignment: &Assignment) -> Box<[usize]> {
    let mut first: BTreeMap<&Locality, usize> = BTreeMap::new();
    let localities = assignment.localities().enumerate();
    let twins: Box<[usize]> =
        localities.map(|(index, of)| *first.entry(of.locality()).or_insert(index)).collect();
    if first.len() == twins.len() { Box::default() } else { twins }
}

/// So many addresses are looked through; of more a set is made.
const LOOKED_THROUGH: usize = 24;

/// The addresses so far.
struct Seen<'a> {
    few: Vec<(&'a Address, u16)>,
    // INVARIANT: empty, or all addresses.
    many: FxHashSet<(&'a Address, u16)>,
}

impl<'a> Seen<'a> {
    /// Whether an address was not there; it is then.
    fn is_new(&mut self, address: (&'a Address, u16)) -> bool {
        if self.few.len() < LOOKED_THROUGH {
            let is_new = !self.few.contains(&address);
            self.few.extend(is_new.then_some(address));
            return is_new;
        }
        if self.many.is_empty() {
            self.many.extend(&self.few);
        }
        self.many.insert(address)
    }
}
