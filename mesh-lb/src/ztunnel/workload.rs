//! The workloads that a ztunnel knows.
use std::net::IpAddr;

/// A workload, as far as balancing looks at it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct Workload {
    /// Its unique name.
    pub uid: Box<str>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// A name to resolve instead; empty if there is none.
    pub hostname: Box<str>,
    /// Its network.
    pub network: Box<str>,
    /// Its region.
    pub region: Box<str>,
    /// Its zone.
    pub zone: Box<str>,
    /// Its sub-zone.
    pub sub_zone: Box<str>,
    /// The node that it runs on.
    pub node: Box<str>,
    /// Its cluster.
    pub cluster: Box<str>,
    /// The gateway through which other networks reach it.
    pub network_gateway: Option<Box<str>>,
    /// How much it carries in relation to others; unset is 1.
    pub capacity: Option<u32>,
    /// How a proxy that is no ztunnel's peer wants its connections.
    pub application_tunnel: Option<ApplicationTunnel>,
}

/// A tunnel that the workload itself understands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct ApplicationTunnel {
    /// The port that it is offered on; unset is the port asked for.
    pub port: Option<u16>,
}

impl Workload {
    /// Returns whether a source in this network can reach the workload at all: it has an address or a
    /// name, or it is in another network and has a gateway there.
    pub fn is_reachable_from(&self, network: &str) -> bool {
        let has_address = !self.addresses.is_empty() || !self.hostname.is_empty();
        has_address || (&*self.network != network && self.network_gateway.is_some())
    }

    /// Returns which address to dial for a connection that went to `original`: itself if it is one
    /// of the workload's; else, among those that `admits` lets through, the first of its family,
    /// else the first. None has to be resolved by name, or reached through a gateway.
    ///
    /// # Upstream
    ///
    /// ztunnel `src/state.rs`, `DemandProxyState::pick_workload_destination_or_resolve`.
    pub fn address_for(
        &self,
        original: IpAddr,
        admits: impl Fn(&IpAddr) -> bool,
    ) -> Option<IpAddr> {
        if self.addresses.contains(&original) {
            return Some(original);
        }
        let admitted = || self.addresses.iter().copied().filter(|address| admits(address));
        let same_family = |address: &IpAddr| address.is_ipv4() == original.is_ipv4();
        admitted().find(same_family).or_else(|| admitted().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], original: &str, admits: fn(&IpAddr) -> bool, expected: &str) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let workload = Workload { addresses, ..Workload::default() };
        let got = workload.address_for(original.parse().unwrap(), admits);
        assert_eq!(got, expected.parse().ok());
    }

    #[test]
    fn a_connection_keeps_its_family_if_it_can() {
        check(&["10.0.0.1", "fd00::1"], "fd00::9", |_| true, "fd00::1");
        check(&["10.0.0.1", "fd00::1"], "fd00::9", IpAddr::is_ipv4, "10.0.0.1");
        check(&["10.0.0.1", "fd00::1"], "fd00::1", IpAddr::is_ipv4, "fd00::1");
        check(&["10.0.0.1"], "fd00::9", IpAddr::is_ipv6, "none");
    }
}
