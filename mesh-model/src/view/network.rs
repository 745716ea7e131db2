//! At which addresses a proxy finds a service.
use std::net::IpAddr;
use std::sync::Arc;

use super::{IpFamilies, Proxy, ProxyKind};
use crate::registry::{AutoAllocated, Service, UNSPECIFIED};

impl Proxy {
    /// Whether addresses that the control plane allocated are used: with DNS capture, and by
    /// waypoints; those that follow from names (`PILOT_ENABLE_IP_AUTOALLOCATE` off) only by proxies that
    /// ask for them.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/service.go` `nodeUsesAutoallocatedIPs`.
    pub fn uses_auto_allocated(&self, allocated: &AutoAllocated) -> bool {
        let may = !allocated.by_name || self.metadata_bool("DNS_AUTO_ALLOCATE");
        may && (self.kind == ProxyKind::Waypoint || self.metadata_bool("DNS_CAPTURE"))
    }

    /// Whether a proxy of these families can use an address.
    fn supports(&self, address: &str) -> bool {
        match (self.ip_families(), address.parse::<IpAddr>()) {
            (IpFamilies::V4, Ok(address)) => address.is_ipv4(),
            (IpFamilies::V6, Ok(address)) => address.is_ipv6(),
            (IpFamilies::V4, Err(_)) => !address.contains(':'),
            (IpFamilies::V6, Err(_)) => address.contains(':'),
            (IpFamilies::Dual | IpFamilies::Unknown, _) => true,
        }
    }
}

/// Returns all addresses that a proxy knows a service by: those of its own cluster, else the
/// allocated ones, else the default one; one family unless dual stack is on.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `getAllAddressesForProxy`.
pub fn addresses(service: &Service, proxy: &Proxy, dual_stack: bool) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = service.vips_in(&proxy.cluster).to_vec();
    if found.is_empty() && proxy.uses_auto_allocated(&service.auto_allocated) {
        let allocated = [service.auto_allocated.v4, service.auto_allocated.v6];
        found = allocated.into_iter().flatten().map(|ip| Arc::from(ip.to_string())).collect();
    }
    let families = proxy.ip_families();
    if !(dual_stack && families == IpFamilies::Dual) {
        found = of_one_family(found, proxy);
    }
    if !found.is_empty() {
        return found;
    }
    let default = service.default_address.clone();
    if !service.cluster_vips.is_empty() && default.parse::<IpAddr>().is_ok() {
        return of_one_family(vec![default], proxy);
    }
    vec![default]
}

/// The addresses of the proxy's family; for a proxy of both, those of the first one's.
fn of_one_family(addresses: Vec<Arc<str>>, proxy: &Proxy) -> Vec<Arc<str>> {
    let first_is_v6 = addresses.first().is_some_and(|address| address.contains(':'));
    let keeps = |address: &Arc<str>| match proxy.ip_families() {
        IpFamilies::V4 | IpFamilies::V6 => proxy.supports(address),
        IpFamilies::Dual => address.contains(':') == first_is_v6,
        IpFamilies::Unknown => true,
    };
    addresses.into_iter().filter(keeps).collect()
}

/// Returns the one address that a listener of a proxy binds to for a service: the first of its own
/// cluster's that the proxy can use, else an allocated one where the default is none, else the
/// default one, whatever its family.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `GetAddressForProxy`.
pub fn address(service: &Service, proxy: &Proxy) -> Arc<str> {
    let own = service.vips_in(&proxy.cluster).iter().find(|address| proxy.supports(address));
    if let Some(address) = own {
        return address.clone();
    }
    if *service.default_address == *UNSPECIFIED
        && proxy.uses_auto_allocated(&service.auto_allocated)
    {
        let allocated = match proxy.ip_families() {
            IpFamilies::V6 => service.auto_allocated.v6,
            IpFamilies::V4 | IpFamilies::Dual | IpFamilies::Unknown => service.auto_allocated.v4,
        };
        if let Some(address) = allocated {
            return Arc::from(address.to_string());
        }
    }
    service.default_address.clone()
}
