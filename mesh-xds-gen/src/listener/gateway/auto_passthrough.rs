//! East-west: mutual TLS is passed on, unread, to the cluster that its server name spells.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `builtAutoPassthroughFilterChains`.
use mesh_model::name::{Hostname, Protocol};
use mesh_model::registry::{Service, ServicePort};

use super::super::context::Context;
use super::super::tcp::{ListenPort, to_passed_through};
use super::Chain;
use crate::name::ClusterName;

/// What proxies of the mesh offer in mutual TLS; whoever offers none of it is not passed on.
const MESH: [&str; 5] =
    ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/// A chain of an east-west gateway: connections by server name, and the cluster of that name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PassedThrough {
    /// The server name and the cluster.
    pub cluster: String,
    /// The application protocols, of which the client offers one.
    pub application_protocols: &'static [&'static str],
    /// The subset, empty for all of the service.
    pub subset: String,
}

/// What is passed on to the ports of a service inside the mesh, of a gateway for these hosts: each
/// port as a whole, then each subset; none if the service is of none of the hosts.
///
/// # Examples
///
/// ```
/// use mesh_model::name::{Hostname, Protocol};
/// use mesh_model::registry::ServicePort;
/// use mesh_xds_gen::listener::passed_through;
///
/// let host = Hostname::from("cart.shop.svc.cluster.local");
/// let port = ServicePort { name: "http".into(), number: 80, protocol: Protocol::Http, target_port: 80 };
/// let found = passed_through(&["*.local".to_owned()], &host, &port, ["v1"]);
/// assert_eq!(found[1].cluster, "outbound_.80_.v1_.cart.shop.svc.cluster.local");
/// ```
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/gateway.go` `builtAutoPassthroughFilterChains`.
pub fn passed_through<'s>(
    hosts: &[String],
    host: &Hostname,
    port: &ServicePort,
    subsets: impl IntoIterator<Item = &'s str>,
) -> Vec<PassedThrough> {
    let is_open = hosts.iter().any(|open| host.is_subset_of(open));
    if port.protocol == Protocol::Udp || !is_open {
        return Vec::new();
    }
    let chain = |subset: &str| PassedThrough {
        cluster: ClusterName::outbound(port.number, subset, host.as_str()).sni().to_string(),
        application_protocols: &MESH,
        subset: subset.to_owned(),
    };
    std::iter::once("").chain(subsets).map(chain).collect()
}

/// The chains to every service inside the mesh that is of one of these hosts.
pub(super) fn chains(context: &Context<'_, '_>, hosts: &[String]) -> Vec<Chain> {
    let services = context.view.services().iter().filter(|service| !service.mesh_external);
    services.flat_map(|service| of_service(context, hosts, service)).collect()
}

fn of_service(context: &Context<'_, '_>, hosts: &[String], service: &Service) -> Vec<Chain> {
    let rule = context.view.rule(service);
    let subsets = rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default();
    let mut found = Vec::new();
    for port in &service.ports {
        let names = subsets.iter().map(|subset| &*subset.name);
        for passed in passed_through(hosts, &service.hostname, port, names) {
            found.push(chain(context, service, port, passed));
        }
    }
    found
}

fn chain(
    context: &Context<'_, '_>,
    service: &Service,
    port: &ServicePort,
    passed: PassedThrough,
) -> Chain {
    let (number, protocol) = (port.number, port.protocol);
    let listen = ListenPort { number, protocol, name: &port.name };
    let application_protocols = passed.application_protocols.iter();
    Chain {
        filters: to_passed_through(context, &passed.cluster, service, &passed.subset, listen),
        application_protocols: application_protocols.map(ToString::to_string).collect(),
        sni_hosts: vec![passed.cluster],
        ..Chain::default()
    }
}
