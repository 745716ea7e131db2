//! Which endpoints would carry too much, over all clients that are looked at.
use std::sync::Arc;

use mesh_model::endpoint::{Address, Endpoint, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::Mesh;
use rustc_hash::FxHashMap;

use super::Outcome;
use crate::capacity::{CarriedLoad, Overload, milli_cpu, overloaded};

/// The traffic of a destination by endpoint, before and after, summed over clients.
#[derive(Clone, Debug)]
pub struct Carried<'m> {
    mesh: &'m Mesh,
    /// Networks that are not joined may use an address twice.
    loads: FxHashMap<Key, Load>,
}

type Key = (Address, u16, NetworkId, ClusterId);

/// An endpoint and what it carries.
#[derive(Clone, Debug)]
struct Load {
    workload: Arc<Workload>,
    weight: u32,
    before: f64,
    after: f64,
}

impl<'m> Carried<'m> {
    /// No traffic yet; the mesh tells what pods ask of their nodes.
    pub fn new(mesh: &'m Mesh) -> Self {
        Self { mesh, loads: FxHashMap::default() }
    }

    /// Adds the traffic of as many proxies as share an outcome, each of them one unit.
    pub fn add(&mut self, before: &Outcome, after: &Outcome, proxies: usize) {
        let proxies = f64::from(u32::try_from(proxies).unwrap_or(u32::MAX));
        before.each_received(|endpoint, share| self.load(endpoint).before += share * proxies);
        after.each_received(|endpoint, share| self.load(endpoint).after += share * proxies);
    }

    fn load(&mut self, endpoint: &Endpoint) -> &mut Load {
        let workload = &endpoint.workload;
        let (network, cluster) = (workload.network.clone(), workload.cluster.clone());
        let key = (endpoint.address.clone(), endpoint.port, network, cluster);
        self.loads.entry(key).or_insert_with(|| Load {
            workload: workload.clone(),
            weight: endpoint.effective_weight(),
            before: 0.0,
            after: 0.0,
        })
    }

    /// Returns the endpoints that would carry more than `limit` times what the busiest comparable one
    /// carries before.
    pub fn overloaded(&self, limit: f64) -> Overload {
        let mut sorted: Vec<(&Key, &Load)> = self.loads.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        let mut loads: Vec<CarriedLoad> = sorted
            .iter()
            .map(|((address, port, ..), load)| CarriedLoad {
                address: text(address, *port).into(),
                before: load.before,
                after: load.after,
                weight: Some(load.weight),
                ..CarriedLoad::default()
            })
            .collect();
        // Requests count only if every endpoint has one.
        for (load, (_, known)) in loads.iter_mut().zip(&sorted) {
            load.cpu_request = cpu_request(self.mesh, &known.workload);
            if load.cpu_request.is_none() {
                break;
            }
        }
        overloaded(&loads, limit)
    }
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
pub(super) fn dialled(endpoint: &Endpoint) -> String {
    text(&endpoint.address, endpoint.port)
}

fn text(address: &Address, port: u16) -> String {
    match address.ip() {
        Some(ip) if ip.is_ipv6() => format!("[{ip}]:{port}"),
        Some(_) | None => format!("{address}:{port}"),
    }
}

/// The CPU that a pod asks for beside its proxy, in thousandths of a core; `None` where it is no pod, or
/// nothing is asked for, or an amount cannot be read.
fn cpu_request(mesh: &Mesh, workload: &Workload) -> Option<u64> {
    let (cluster, namespace) = (workload.cluster.as_str(), workload.namespace.as_str());
    let pod = mesh.pod(cluster, namespace, &workload.instance)?;
    let ordinary = pod.spec.containers.iter().filter(|container| *container.name != *"istio-proxy");
    let asked = ordinary.map(|container| container.resources.requests.cpu.as_str());
    let mut asked = asked.filter(|text| !text.is_empty()).peekable();
    asked.peek()?;
    asked.map(milli_cpu).try_fold(0_u64, |sum, one| Some(sum.saturating_add(one?)))
}
