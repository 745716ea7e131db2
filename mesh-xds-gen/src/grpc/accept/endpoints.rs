//! Endpoints.
use std::collections::{BTreeMap, BTreeSet};

use mesh_envoy_proto::envoy::config::core::v3::{self as core, address::Address};
use mesh_envoy_proto::envoy::config::endpoint::v3::cluster_load_assignment::policy::DropOverload;
use mesh_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use mesh_envoy_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use mesh_envoy_proto::envoy::r#type::v3::fractional_percent::DenominatorType;

use super::{Refused, demand, refuse};

/// Takes or refuses the endpoints of a cluster.
///
/// Localities without weight are not looked at: they do not exist.
///
/// # Errors
///
/// Where a gRPC client refuses them: gaps between priorities, duplicates, or a weight of 0.
pub fn endpoints(assignment: &ClusterLoadAssignment) -> Result<(), Refused> {
    demand(!assignment.cluster_name.is_empty(), "endpoints have no cluster")?;
    let drops = assignment.policy.iter().flat_map(|policy| &policy.drop_overloads);
    drops.into_iter().try_for_each(drop_overload)?;
    let mut seen = Seen::default();
    assignment.endpoints.iter().try_for_each(|locality| seen.locality(locality))?;
    let priorities = seen.priorities.keys();
    let is_whole = priorities.zip(0..).all(|(found, expected)| *found == expected);
    demand(is_whole, "priorities are not contiguous from 0")
}

fn drop_overload(drop: &DropOverload) -> Result<(), Refused> {
    let denominator = drop.drop_percentage.as_ref().map_or(0, |share| share.denominator);
    let is_known = DenominatorType::try_from(denominator).is_ok();
    demand(is_known, "the denominator of a drop is unknown")
}

/// What localities and endpoints there were.
#[derive(Default)]
struct Seen<'a> {
    priorities: BTreeMap<u32, Level<'a>>,
    addresses: BTreeSet<(&'a str, u32)>,
}

#[derive(Default)]
struct Level<'a> {
    localities: BTreeSet<[&'a str; 3]>,
    weight: u64,
}

impl<'a> Seen<'a> {
    fn locality(&mut self, locality: &'a LocalityLbEndpoints) -> Result<(), Refused> {
        let Some(name) = &locality.locality else { return refuse("a locality has no name") };
        let weight = locality.load_balancing_weight.unwrap_or(0);
        if weight == 0 {
            return Ok(());
        }
        let level = self.priorities.entry(locality.priority).or_default();
        level.weight += u64::from(weight);
        let is_counted = level.weight <= u64::from(u32::MAX);
        demand(is_counted, "the weights of a priority are above 4294967295")?;
        let name = [&*name.region, &*name.zone, &*name.sub_zone];
        demand(level.localities.insert(name), "a priority has a locality twice")?;
        let mut sum = 0_u64;
        for endpoint in &locality.lb_endpoints {
            let weight = endpoint.load_balancing_weight.unwrap_or(1);
            demand(weight != 0, "an endpoint has the weight 0")?;
            sum += u64::from(weight);
            self.endpoint(endpoint)?;
        }
        demand(sum <= u64::from(u32::MAX), "the weights of a locality are above 4294967295")
    }

    fn endpoint(&mut self, endpoint: &'a LbEndpoint) -> Result<(), Refused> {
        let all = match &endpoint.host_identifier {
            Some(HostIdentifier::Endpoint(endpoint)) => addresses(endpoint),
            Some(HostIdentifier::EndpointName(_)) | None => Vec::new(),
        };
        for address in all {
            demand(self.addresses.insert(address), "an address is there twice")?;
        }
        Ok(())
    }
}

fn addresses(endpoint: &Endpoint) -> Vec<(&str, u32)> {
    let more = endpoint.additional_addresses.iter().map(|more| more.address.as_ref());
    let all = std::iter::once(endpoint.address.as_ref()).chain(more);
    all.flatten().filter_map(socket).collect()
}

fn socket(address: &core::Address) -> Option<(&str, u32)> {
    use core::socket_address::PortSpecifier;
    let Some(Address::SocketAddress(socket)) = &address.address else { return None };
    let port = match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => port,
        Some(PortSpecifier::NamedPort(_)) | None => 0,
    };
    Some((&socket.address, port))
}
