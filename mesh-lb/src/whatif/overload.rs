//! Which endpoints would carry too much, over all clients that are looked at.
use mesh_model::endpoint::{Address, Endpoint, Place, Shards};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::{Autoscalers, Mesh, Replicas};
use mesh_model::resource::Pod;
use rustc_hash::FxHashMap;

use super::common::{Common, Portion};
use super::crowd::Renumbered;
use crate::assign::Id;
use crate::capacity::{CarriedLoad, Overloaded, Scaling, exceeding, milli_cpu};
use crate::share::Shares;

/// The endpoints that can carry traffic to a destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers<'m> {
    by_key: FxHashMap<Key<'m>, u32>,
    // INVARIANT: in the order of the keys.
    all: Vec<Carrier<'m>>,
    numbers: Numbers,
}

/// The numbers of the endpoints of some shards, by where they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(Vec<Box<[Option<u32>]>>);

impl Numbers {
    pub(super) fn of(&self, (shard, index): Id) -> Option<u32> {
        let shard = self.0.get(usize::try_from(shard).ok()?)?;
        *shard.get(usize::try_from(index).ok()?)?
    }
}

/// Networks that are not joined may use an address twice.
type Key<'e> = (&'e Address, u16, &'e NetworkId, &'e ClusterId);

#[derive(Clone, Copy, Debug)]
struct Carrier<'m> {
    endpoint: &'m Endpoint,
    /// Thousandths of a core.
    cpu_request: Option<u64>,
    scaling: Option<Scaling>,
}

impl<'m> Carriers<'m> {
    /// Those of a service; the mesh tells what pods ask of their nodes, and how far their workloads may
    /// grow.
    pub(super) fn new((mesh, autoscalers): (&Mesh, &Autoscalers<'_>), shards: &'m Shards) -> Self {
        let mut sorted: Vec<&'m Endpoint> = shards.endpoints().collect();
        sorted.sort_by(|a, b| key(a).cmp(&key(b)));
        sorted.dedup_by(|a, b| key(a) == key(b));
        let carrier = |endpoint: &'m Endpoint| {
            let pod = pod(mesh, endpoint);
            let cpu_request = pod.and_then(cpu_request);
            let cluster = endpoint.workload.place.cluster.as_str();
            let replicas = pod.and_then(|pod| autoscalers.replicas(cluster, pod));
            let scaling = replicas
                .map(|Replicas { current, max }| Scaling { replicas: current, max_replicas: max });
            Carrier { endpoint, cpu_request, scaling }
        };
        let mut carriers = Self::of_sorted(sorted.into_iter().map(carrier).collect());
        carriers.numbers = carriers.numbers_of(shards);
        carriers
    }

    /// Those of several, each once; shards have no numbers among them.
    pub(super) fn joined<'c>(several: impl Iterator<Item = &'c Self>) -> Self
    where
        'm: 'c,
    {
        let mut all: Vec<Carrier<'m>> = several.flat_map(|one| &one.all).copied().collect();
        all.sort_by(|a, b| key(a.endpoint).cmp(&key(b.endpoint)));
        all.dedup_by(|a, b| key(a.endpoint) == key(b.endpoint));
        Self::of_sorted(all)
    }

    fn of_sorted(all: Vec<Carrier<'m>>) -> Self {
        let by_key = (0_u32..).zip(&all).map(|(number, one)| (key(one.endpoint), number)).collect();
        Self { by_key, all, numbers: Numbers::default() }
    }

    /// The numbers here of all that others have, one that is not among these as the last of all
    /// numbers.
    pub(super) fn numbers_in(&self, others: &Self) -> Box<[u32]> {
        let number = |one: &Carrier<'m>| self.by_key.get(&key(one.endpoint)).copied();
        others.all.iter().map(|one| number(one).unwrap_or(u32::MAX)).collect()
    }

    /// The numbers of the endpoints of other shards; one that is not among these has none.
    pub(super) fn numbers_of(&self, shards: &Shards) -> Numbers {
        let number = |endpoint| self.by_key.get(&key(endpoint)).copied();
        let of_shard = shards.iter().map(|shard| shard.endpoints().iter().map(number).collect());
        Numbers(of_shard.collect())
    }

    /// The numbers of its own endpoints.
    pub(super) const fn numbers(&self) -> &Numbers {
        &self.numbers
    }
}

fn key(endpoint: &Endpoint) -> Key<'_> {
    let Place { network, cluster, .. } = &*endpoint.workload.place;
    (&endpoint.address, endpoint.port, network, cluster)
}

/// The traffic of a destination by endpoint, before and after, summed over clients.
#[derive(Debug)]
pub(super) struct Carried<'c, 'm> {
    carriers: &'c Carriers<'m>,
    loads: Vec<CarriedLoad>,
    is_known: Vec<bool>,
}

impl<'c, 'm> Carried<'c, 'm> {
    /// No traffic yet.
    pub(super) fn new(carriers: &'c Carriers<'m>) -> Self {
        let load = |carrier: &Carrier<'_>| CarriedLoad {
            weight: Some(carrier.endpoint.effective_weight()),
            cpu_request: carrier.cpu_request,
            scaling: carrier.scaling,
            ..CarriedLoad::default()
        };
        let loads: Vec<CarriedLoad> = carriers.all.iter().map(load).collect();
        Self { carriers, is_known: vec![false; loads.len()], loads }
    }

    /// Compares with the endpoints that clients use.
    pub(super) fn compare(&mut self, common: &Common, renumbered: Renumbered<'_>) {
        for portion in common.portions() {
            let index = index(portion, renumbered);
            if let Some(is_known) = index.and_then(|index| self.is_known.get_mut(index)) {
                *is_known = true;
            }
        }
    }

    /// Adds the traffic of as many proxies as share an outcome, each of them one unit.
    pub(super) fn add(
        &mut self,
        before: (&Common, &Shares),
        after: (&Common, &Shares),
        (proxies, renumbered): (usize, Renumbered<'_>),
    ) {
        let proxies = f64::from(u32::try_from(proxies).unwrap_or(u32::MAX));
        self.each(before, renumbered, |load, share| load.before += share * proxies);
        self.each(after, renumbered, |load, share| load.after += share * proxies);
    }

    fn each(
        &mut self,
        (common, shares): (&Common, &Shares),
        renumbered: Renumbered<'_>,
        mut add: impl FnMut(&mut CarriedLoad, f64),
    ) {
        let shares = shares.endpoints();
        for portion in common.portions() {
            let index = index(portion, renumbered);
            let load = index.and_then(|index| self.loads.get_mut(index));
            if let Some((load, share)) = load.zip(shares.get(portion.sent_to)) {
                add(load, share * portion.fraction);
            }
        }
    }

    /// The endpoints that would carry more than `limit` times what the busiest comparable one carries
    /// before, by their indices. Endpoints that no client uses are not compared with.
    pub(super) fn overloaded(self, limit: f64) -> Vec<(usize, Overloaded)> {
        let Self { carriers, loads, is_known } = self;
        let used: Vec<(usize, CarriedLoad)> = loads
            .into_iter()
            .enumerate()
            .zip(is_known)
            .filter_map(|(load, is_known)| is_known.then_some(load))
            .collect();
        let (indices, loads): (Vec<usize>, Vec<CarriedLoad>) = used.into_iter().unzip();
        let (_, _, exceeding) = exceeding(&loads, limit);
        let mut overloaded: Vec<(usize, Overloaded)> = exceeding
            .iter()
            .filter_map(|over| {
                let index = *indices.get(over.index)?;
                let carrier = carriers.all.get(index)?;
                Some((index, over.named(dialled(carrier.endpoint).into())))
            })
            .collect();
        overloaded.sort_by(|a, b| a.1.address.cmp(&b.1.address));
        overloaded
    }
}

/// The index of the endpoint that a portion is for.
pub(super) fn index(portion: &Portion, renumbered: Renumbered<'_>) -> Option<usize> {
    let own = usize::try_from(portion.carrier).ok()?;
    match renumbered {
        Some(numbers) => usize::try_from(*numbers.get(own)?).ok(),
        None => Some(own),
    }
}

/// `ADDRESS:PORT`, an IPv6 address in brackets; where there is none, whose it is.
fn dialled(endpoint: &Endpoint) -> String {
    let Endpoint { address, port, .. } = endpoint;
    match address.ip() {
        Some(ip) if ip.is_ipv6() => format!("[{ip}]:{port}"),
        None if *address == Address::Unknown => endpoint.shown_address(),
        Some(_) | None => format!("{address}:{port}"),
    }
}

/// The pod of an endpoint, if it is of one.
fn pod<'m>(mesh: &'m Mesh, endpoint: &Endpoint) -> Option<&'m Pod> {
    let workload = &endpoint.workload;
    let (cluster, namespace) = (workload.place.cluster.as_str(), workload.namespace.as_str());
    mesh.pod(cluster, namespace, &endpoint.instance).map(|pod| &**pod)
}

/// The CPU that a pod asks for beside its proxy, in thousandths of a core; `None` where nothing is asked
/// for, or an amount cannot be read.
fn cpu_request(pod: &Pod) -> Option<u64> {
    let ordinary = pod.spec.containers.iter().filter(|container| *container.name != *"istio-proxy");
    let asked = ordinary.map(|container| container.resources.requests.cpu.as_str());
    let mut asked = asked.filter(|text| !text.is_empty()).peekable();
    asked.peek()?;
    asked.map(milli_cpu).try_fold(0_u64, |sum, one| Some(sum.saturating_add(one?)))
}
