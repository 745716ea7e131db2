//! Endpoints: what EDS says of a cluster.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `BuildClusterLoadAssignment`,
//! `buildEnvoyLbEndpoint`; `ep_filters.go` `EndpointsByNetworkFilter`.
use bytes::Bytes;
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::endpoint::v3 as proto;
use mesh_lb::assign::{AssignedEndpoint, AssignedLocality, Assignment, Layouts, Target};
use mesh_model::endpoint::{self, HealthStatus};
use mesh_model::name::Locality;
use mesh_model::view::ProxyView;

use crate::encode::Pool;
use crate::name::SubsetKey;

mod cast;
mod encode;
mod metadata;
mod served;
mod twin;
mod whole;

pub use self::encode::Encoder;
use self::served::{Asked, Served, for_services};

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
    let mut layouts = Layouts::new(view);
    for_services(view, names, |served, asked| {
        for &Asked { place, name, key } in asked {
            let meant = served.and_then(|served| served.meant(name, key));
            let pair = served.zip(meant);
            let assignment = pair.map(|(of, meant)| of.compute_with(&meant, &mut layouts));
            with(place, name, assignment.unwrap_or_default());
        }
    });
}

/// Computes the same and hands out the bytes of each, as [`Encoder::encode`] makes them.
///
/// Ports of a service mostly have the same endpoints, at another port: what was made for one is then
/// used for the other.
///
/// # Examples
///
/// ```
/// # use mesh_model::registry::{Origin, Registry, Source};
/// use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
/// use mesh_testkit::by_hand;
/// use mesh_xds_gen::endpoint::{self, Encoder};
/// use prost::Message;
///
/// let mut registry = Registry::default();
/// # let text = "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}";
/// # let origin = Origin::Cluster("c1".into());
/// # registry.load([Source { origin, name: "cart.yaml".into(), text: text.into() }]);
/// let mesh = registry.mesh();
/// let proxy = by_hand::proxy("c1", "eu/a");
/// let view = mesh.view(&proxy).unwrap();
/// let name = "outbound|80||cart.shop.svc.cluster.local";
/// endpoint::encoded(&view, [name], &mut Encoder::default(), |_, name, bytes| {
///     let message = ClusterLoadAssignment::decode(&*bytes).unwrap();
///     assert_eq!(message, endpoint::cluster_load_assignment(&view, name));
/// });
/// ```
pub fn encoded<'n>(
    view: &ProxyView<'_>,
    names: impl IntoIterator<Item = &'n str>,
    encoder: &mut Encoder,
    mut with: impl FnMut(usize, &'n str, Bytes),
) {
    let (mut layouts, mut pool) = (Layouts::new(view), Pool::default());
    for_services(view, names, |served, asked| {
        let has_subsets = asked.iter().any(|asked| !asked.is_whole());
        let mut last = None;
        for of in asked {
            let &Asked { place, name, key } = of;
            let meant = served.and_then(|served| served.meant(name, key));
            let pair = served.zip(last.as_ref()).zip(meant.as_ref());
            let ports = pair.and_then(|((served, last), meant)| served.twins(last, meant));
            let again = ports.and_then(|ports| encoder.encode_again(name, ports, &mut pool));
            let bytes = again.unwrap_or_else(|| {
                let pair = served.zip(meant.as_ref());
                let assignment = pair.map(|(of, meant)| of.compute_with(meant, &mut layouts));
                let assignment = assignment.unwrap_or_default();
                if has_subsets && of.is_whole() {
                    encoder.encode_whole(name, &assignment, &mut pool)
                } else {
                    encoder.encode_in(name, &assignment, &mut pool)
                }
            });
            last = meant;
            with(place, name, bytes);
        }
    });
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

/// An address and port; whatever has port 0 is a Unix socket, an IP (of a slice whose port has no number), too.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `BuildAddress`.
pub fn address_of(address: &endpoint::Address, port: u16) -> core::Address {
    let text = address.to_string();
    let address = match (address, port) {
        (endpoint::Address::Unix(_), _) | (_, 0) => {
            core::address::Address::Pipe(core::Pipe { path: text, ..Default::default() })
        }
        (endpoint::Address::Ip(_) | endpoint::Address::Host(_) | endpoint::Address::Unknown, _) => {
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
