//! Which endpoints would carry too much, over all clients that are looked at.
use std::collections::BTreeMap;

use mesh_model::endpoint::{Endpoint, Workload};
use mesh_model::registry::Mesh;

use super::Outcome;
use crate::capacity::{CarriedLoad, Overload, milli_cpu, overloaded};

/// The traffic of a destination by endpoint, before and after, summed over clients.
#[derive(Clone, Debug)]
pub struct Carried<'m> {
    mesh: &'m Mesh,
    loads: BTreeMap<String, CarriedLoad>,
}

impl<'m> Carried<'m> {
    /// No traffic yet; the mesh tells what pods ask of their nodes.
    pub const fn new(mesh: &'m Mesh) -> Self {
        Self { mesh, loads: BTreeMap::new() }
    }

    /// Adds the traffic of as many proxies as share an outcome, each of them one unit.
    pub fn add(&mut self, before: &Outcome, after: &Outcome, proxies: usize) {
        let proxies = f64::from(u32::try_from(proxies).unwrap_or(u32::MAX));
        for (endpoint, share) in before.received() {
            self.load(endpoint).before += share * proxies;
        }
        for (endpoint, share) in after.received() {
            self.load(endpoint).after += share * proxies;
        }
    }

    fn load(&mut self, endpoint: &Endpoint) -> &mut CarriedLoad {
        let text = match endpoint.address.ip() {
            Some(ip) if ip.is_ipv6() => format!("[{ip}]:{}", endpoint.port),
            Some(_) | None => format!("{}:{}", endpoint.address, endpoint.port),
        };
        // Networks that are not joined may use an address twice.
        let key = format!("{text} {} {}", endpoint.workload.network, endpoint.workload.cluster);
        let mesh = self.mesh;
        self.loads.entry(key).or_insert_with(|| CarriedLoad {
            address: text.into(),
            cpu_request: cpu_request(mesh, &endpoint.workload),
            weight: Some(endpoint.effective_weight()),
            ..CarriedLoad::default()
        })
    }

    /// Returns the endpoints that would carry more than `limit` times what the busiest comparable one
    /// carries before.
    pub fn overloaded(&self, limit: f64) -> Overload {
        let loads: Vec<CarriedLoad> = self.loads.values().cloned().collect();
        overloaded(&loads, limit)
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
