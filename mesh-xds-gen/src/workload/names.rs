//! By which names ztunnels ask for what they need: addresses of a network, and keys of services.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use mesh_envoy_proto::istio::workload::{Address, NetworkAddress, address};

use super::Ambient;

/// The names of a service or workload beside its own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Names {
    /// Its addresses as `NETWORK/IP`, of a range `NETWORK/IP/LENGTH`: what a client is told.
    pub aliases: Vec<Arc<str>>,
    /// The names under which it is found: of a workload its addresses, its services' names and their
    /// addresses, of a service its addresses, of a range the first one. An address that a workload has
    /// means no service, and one of several services only the first, by name (upstream: any one).
    pub brought_by: Vec<Arc<str>>,
}

impl Ambient {
    /// Returns the other names of services and workloads, by their own.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/service.go` `AddressInfo.Aliases`;
    /// `pilot/pkg/serviceregistry/ambient/ambientindex.go` `Lookup`, read the other way round.
    pub fn names(&self) -> BTreeMap<&str, Names> {
        let own = self.addresses.iter().map(|(key, found)| (key.as_str(), aliases(found)));
        let aliases: BTreeMap<&str, Vec<Arc<str>>> = own.collect();
        let vips = self.vips();
        let vips_of = |key: &str| vips.get(key).into_iter().flatten().cloned();
        let named = self.addresses.iter().map(|(key, found)| {
            let own = aliases.get(key.as_str()).cloned().unwrap_or_default();
            let mut names: BTreeSet<Arc<str>> = vips_of(key).collect();
            if let Some(address::Type::Workload(workload)) = &found.r#type {
                names.extend(own.iter().cloned());
                for service in workload.services.keys() {
                    names.insert(service.as_str().into());
                    names.extend(vips_of(service));
                }
            }
            let brought_by = names.into_iter().collect();
            (key.as_str(), Names { aliases: own, brought_by })
        });
        named.collect()
    }

    /// The addresses that mean a service, by the service.
    fn vips(&self) -> BTreeMap<&str, Vec<Arc<str>>> {
        let is_workload =
            |found: &&Address| matches!(found.r#type, Some(address::Type::Workload(_)));
        let of_workloads: BTreeSet<Arc<str>> =
            self.addresses.values().filter(is_workload).flat_map(aliases).collect();
        let mut taken = of_workloads;
        let mut vips: BTreeMap<&str, Vec<Arc<str>>> = BTreeMap::new();
        for (key, found) in &self.addresses {
            let Some(address::Type::Service(service)) = &found.r#type else { continue };
            for address in &service.addresses {
                let vip = of_network(&address.network, &address.address);
                if let Some(vip) = vip.filter(|vip| taken.insert(vip.clone())) {
                    vips.entry(key).or_default().push(vip);
                }
            }
        }
        vips
    }
}

fn aliases(found: &Address) -> Vec<Arc<str>> {
    match &found.r#type {
        Some(address::Type::Workload(workload)) => {
            let network = &workload.network;
            workload.addresses.iter().filter_map(|octets| of_network(network, octets)).collect()
        }
        Some(address::Type::Service(service)) => {
            service.addresses.iter().filter_map(of_service).collect()
        }
        None => Vec::new(),
    }
}

fn of_service(address: &NetworkAddress) -> Option<Arc<str>> {
    let alias = of_network(&address.network, &address.address)?;
    Some(match address.length {
        Some(length) => format!("{alias}/{length}").into(),
        None => alias,
    })
}

fn of_network(network: &str, octets: &[u8]) -> Option<Arc<str>> {
    let address = match <[u8; 4]>::try_from(octets) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
    };
    Some(format!("{network}/{address}").into())
}
