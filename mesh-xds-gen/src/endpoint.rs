//! Endpoints: what EDS says of a cluster.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `BuildClusterLoadAssignment`,
//! `buildEnvoyLbEndpoint`; `ep_filters.go` `EndpointsByNetworkFilter`.
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::endpoint::v3 as proto;
use mesh_lb::assign::{
    AssignedEndpoint, AssignedLocality, Assignment, ClusterForm, Supply, Target,
};
use mesh_model::endpoint::{self, HealthStatus, Shards};
use mesh_model::name::Locality;
use mesh_model::registry::{MergedRule, Service};
use mesh_model::view::ProxyView;

use crate::name::SubsetKey;

mod encode;
mod metadata;

pub use self::encode::Encoder;

/// Returns the endpoints of a cluster by its name; a cluster that means nothing has none.
pub fn cluster_load_assignment(view: &ProxyView<'_>, name: &str) -> proto::ClusterLoadAssignment {
    let assignment = assignment(view, name).unwrap_or_default();
    from_assignment(name, &assignment)
}

/// Returns what a cluster's endpoints are computed from; `None` if its name means no service port
/// that the proxy sees.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `NewEndpointBuilder`.
pub fn assignment(view: &ProxyView<'_>, name: &str) -> Option<Assignment> {
    let key = SubsetKey::parse(name);
    Served::new(view, key.host)?.assignment(name, key)
}

/// Computes the same of many clusters and hands out each, with its place among the names; one that means
/// nothing is empty.
///
/// Those of one service come one after the other, whatever the order of the names: what they have in
/// common is then looked up once, and is near.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `NewEndpointBuilder`, for each name.
pub fn assignments<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
    mut with: impl FnMut(usize, &'n str, Assignment),
) {
    let names = names.into_iter().enumerate();
    let mut asked: Vec<(usize, &str, SubsetKey<'_>)> =
        names.map(|(place, name)| (place, name, SubsetKey::parse(name))).collect();
    asked.sort_by(|(.., a), (.., b)| (a.host, a.port).cmp(&(b.host, b.port)));
    for of_host in asked.chunk_by(|(.., a), (.., b)| a.host == b.host) {
        let served = of_host.first().and_then(|(.., key)| Served::new(view, key.host));
        for &(place, name, key) in of_host {
            let assignment = served.as_ref().and_then(|served| served.assignment(name, key));
            with(place, name, assignment.unwrap_or_default());
        }
    }
}

/// A service as a proxy sees it, and its endpoints.
struct Served<'v, 'm> {
    view: &'v ProxyView<'m>,
    service: Arc<Service>,
    rule: Option<&'m MergedRule>,
    shards: Option<&'m Arc<Shards>>,
}

impl<'v, 'm> Served<'v, 'm> {
    /// The service of a host; `None` if the proxy sees none.
    fn new(view: &'v ProxyView<'m>, host: &str) -> Option<Self> {
        let service = view.scope().service(host)?.clone();
        let (rule, shards) = (view.rule(&service), view.shards(&service));
        Some(Self { view, service, rule, shards })
    }

    /// What the endpoints of one of its clusters are computed from.
    fn assignment(&self, name: &str, key: SubsetKey<'_>) -> Option<Assignment> {
        let Self { view, service, rule, .. } = self;
        let form = match key.direction {
            "outbound" if name.starts_with("outbound_") => ClusterForm::SniDnat,
            "outbound" => ClusterForm::Outbound,
            _ => return None,
        };
        let port = service.port(u16::try_from(key.port).ok()?)?.clone();
        let destination = view.destination_by(*rule, (service.clone(), port), key.subset.into());
        let none = Shards::default();
        let supply = Supply {
            shards: self.shards.map_or(&none, AsRef::as_ref),
            gateways: view.gateways(false),
            counts_names: false,
            compat: view.mesh().compat(),
        };
        Some(Assignment::of_supply(view, &destination, form, supply))
    }
}

/// Writes an assignment as EDS sends it, and as DNS clusters hold it.
pub fn from_assignment(name: &str, assignment: &Assignment) -> proto::ClusterLoadAssignment {
    let key = SubsetKey::parse(name);
    let service = format!("{}:{}", key.host, key.port);
    let localities = assignment.localities();
    proto::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: localities.map(|locality| locality_endpoints(locality, &service)).collect(),
        ..Default::default()
    }
}

fn locality_endpoints(locality: AssignedLocality<'_>, service: &str) -> proto::LocalityLbEndpoints {
    proto::LocalityLbEndpoints {
        locality: Some(envoy_locality(locality.locality())),
        lb_endpoints: locality.endpoints().map(|e| lb_endpoint(e, service)).collect(),
        load_balancing_weight: locality.weight(),
        priority: locality.priority(),
        ..Default::default()
    }
}

/// A locality as Envoy has it.
pub fn envoy_locality(locality: &Locality) -> core::Locality {
    core::Locality {
        region: locality.region().to_owned(),
        zone: locality.zone().to_owned(),
        sub_zone: locality.sub_zone().to_owned(),
    }
}

fn lb_endpoint(endpoint: AssignedEndpoint<'_>, service: &str) -> proto::LbEndpoint {
    let target = endpoint.target();
    let more: &[endpoint::Address] = match target {
        Target::Direct(endpoint) => &endpoint.more_addresses,
        Target::Tunnel(_) | Target::Gateway(_) | Target::DoubleTunnel(_) => &[],
    };
    let more = more.iter().map(|address| {
        let address = Some(address_of(address, target.port()));
        proto::endpoint::AdditionalAddress { address }
    });
    let address = match target {
        Target::Tunnel(_) => internal_address("connect_originate", host_port(target)),
        Target::DoubleTunnel(_) => internal_address("inner_connect_originate", host_port(target)),
        Target::Direct(_) | Target::Gateway(_) => address_of(target.address(), target.port()),
    };
    proto::LbEndpoint {
        health_status: health_status(endpoint.health()).into(),
        metadata: Some(metadata::of(endpoint, service)),
        load_balancing_weight: Some(endpoint.weight()),
        host_identifier: Some(proto::lb_endpoint::HostIdentifier::Endpoint(proto::Endpoint {
            address: Some(address),
            additional_addresses: more.collect(),
            ..Default::default()
        })),
    }
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
fn host_port(target: Target<'_>) -> String {
    match target.address().ip() {
        Some(ip) => std::net::SocketAddr::new(ip, target.port()).to_string(),
        None => format!("{}:{}", target.address(), target.port()),
    }
}

/// An address and port; port 0 is a Unix socket.
pub fn address_of(address: &endpoint::Address, port: u16) -> core::Address {
    let text = address.to_string();
    let address = match address {
        endpoint::Address::Unix(_) => {
            core::address::Address::Pipe(core::Pipe { path: text, ..Default::default() })
        }
        endpoint::Address::Ip(_) | endpoint::Address::Host(_) | endpoint::Address::Unknown => {
            core::address::Address::SocketAddress(socket_address(text, port))
        }
    };
    core::Address { address: Some(address) }
}

/// A TCP socket address.
pub fn socket_address(address: String, port: u16) -> core::SocketAddress {
    core::SocketAddress {
        address,
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    }
}

fn internal_address(listener: &str, id: String) -> core::Address {
    use core::envoy_internal_address::AddressNameSpecifier;
    let internal = core::EnvoyInternalAddress {
        endpoint_id: id,
        address_name_specifier: Some(AddressNameSpecifier::ServerListenerName(listener.to_owned())),
    };
    core::Address { address: Some(core::address::Address::EnvoyInternalAddress(internal)) }
}

const fn health_status(health: HealthStatus) -> core::HealthStatus {
    match health {
        HealthStatus::Unknown => core::HealthStatus::Unknown,
        HealthStatus::Healthy => core::HealthStatus::Healthy,
        HealthStatus::Unhealthy | HealthStatus::Terminating => core::HealthStatus::Unhealthy,
        HealthStatus::Draining => core::HealthStatus::Draining,
    }
}
