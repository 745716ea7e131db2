//! The key by which a consistent hash knows requests again.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/route/route.go` `ConsistentHashToHashPolicy`,
//! `HashForHTTPDestination`, `hashForService`.
use mesh_envoy_proto::envoy::config::route::v3::route_action::HashPolicy;
use mesh_envoy_proto::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter,
};
use mesh_model::registry::Service;
use mesh_model::resource::destination_rule::{
    ConsistentHashLb, HashKey, HttpCookie, LbPolicy, LoadBalancerSettings, TrafficPolicy,
};
use mesh_model::resource::virtual_service::Destination;
use mesh_model::view::ProxyView;

use super::value::duration;

/// The hash policy of a route; none where the rule names no key.
pub fn policy(hash: &ConsistentHashLb) -> Option<HashPolicy> {
    let specifier = match hash.key.as_ref()? {
        HashKey::HttpHeaderName(name) => {
            PolicySpecifier::Header(Header { header_name: name.to_string(), ..Default::default() })
        }
        HashKey::HttpCookie(wanted) => PolicySpecifier::Cookie(cookie(wanted)),
        HashKey::UseSourceIp(source_ip) => {
            PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: *source_ip })
        }
        HashKey::HttpQueryParameterName(name) => {
            PolicySpecifier::QueryParameter(QueryParameter { name: name.to_string() })
        }
    };
    Some(HashPolicy { policy_specifier: Some(specifier), ..Default::default() })
}

fn cookie(wanted: &HttpCookie) -> Cookie {
    let attribute = |attribute: &mesh_model::resource::destination_rule::CookieAttribute| {
        CookieAttribute { name: attribute.name.to_string(), value: attribute.value.to_string() }
    };
    Cookie {
        name: wanted.name.to_string(),
        ttl: wanted.ttl.map(duration),
        path: wanted.path.to_string(),
        attributes: wanted.attributes.iter().map(attribute).collect(),
    }
}

/// The consistent hash for a destination of a route: that of the subset's port, of the subset, of
/// the port, of the host. Ports count only if the destination names one.
pub(super) fn of_destination<'m>(
    view: &ProxyView<'m>,
    destination: &Destination,
) -> Option<&'m ConsistentHashLb> {
    let rule = view.rule(view.scope().service(&destination.host)?)?;
    let port = destination.port.as_ref().map(|port| port.number);
    let at_port = |policy| port.and_then(|port| of_port(policy, port));
    let of_rule = rule.traffic_policy.as_ref();
    let of_subset =
        rule.subset(&destination.subset).and_then(|subset| subset.traffic_policy.as_ref());
    of_subset
        .and_then(at_port)
        .or_else(|| of_subset.and_then(of_policy))
        .or_else(|| of_rule.and_then(at_port))
        .or_else(|| of_rule.and_then(of_policy))
}

/// The consistent hash of a service's port where no VirtualService is in the way.
pub(super) fn of_service<'m>(
    view: &ProxyView<'m>,
    service: &Service,
    port: u16,
) -> Option<&'m ConsistentHashLb> {
    let known = view.scope().service(service.hostname.as_str())?;
    let policy = view.rule(known)?.traffic_policy.as_ref()?;
    of_port(policy, u32::from(port)).or_else(|| of_policy(policy))
}

fn of_port(policy: &TrafficPolicy, port: u32) -> Option<&ConsistentHashLb> {
    let is_for = |number: u32| number == port;
    let entry = policy
        .port_level_settings
        .iter()
        .find(|entry| is_for(entry.port.as_ref().map_or(0, |port| port.number)))?;
    of_settings(entry.load_balancer.as_ref())
}

fn of_policy(policy: &TrafficPolicy) -> Option<&ConsistentHashLb> {
    of_settings(policy.load_balancer.as_ref())
}

fn of_settings(settings: Option<&LoadBalancerSettings>) -> Option<&ConsistentHashLb> {
    match settings?.policy.as_ref()? {
        LbPolicy::ConsistentHash(hash) => Some(hash),
        LbPolicy::Simple(_) | LbPolicy::BackendUtilization(_) => None,
    }
}
