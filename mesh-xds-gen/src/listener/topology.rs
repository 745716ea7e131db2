//! What a gateway knows of what is in front of it: trusted proxies, certificates, networks.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayConnectionManager`;
//! `pilot/pkg/networking/util/util.go` `MeshNetworksToEnvoyInternalAddressConfig`.
use std::net::IpAddr;

use mesh_envoy_proto::envoy::config::core::v3::CidrRange;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as proto;
use mesh_model::name::Cidr;
use mesh_model::resource::MeshNetworks;
use mesh_model::resource::mesh_networks::NetworkEndpoints;
use proto::HttpConnectionManager;
use proto::http_connection_manager::{
    ForwardClientCertDetails, InternalAddressConfig, SetCurrentClientCertDetails,
};

use super::context::Context;
use super::headers::forwarded;

/// Writes what a gateway believes of its clients.
pub(super) fn apply(context: &Context<'_, '_>, manager: &mut HttpConnectionManager) {
    let topology = context.settings.gateway_topology.as_ref();
    let asked = topology.and_then(|topology| forwarded(topology.forward_client_cert_details));
    let details = asked.unwrap_or(ForwardClientCertDetails::SanitizeSet);
    manager.xff_num_trusted_hops = topology.map_or(0, |topology| topology.num_trusted_proxies);
    manager.forward_client_cert_details = details.into();
    let is_told = matches!(
        details,
        ForwardClientCertDetails::AppendForward | ForwardClientCertDetails::SanitizeSet
    );
    manager.set_current_client_cert_details = is_told.then(|| SetCurrentClientCertDetails {
        subject: Some(true),
        cert: true,
        dns: true,
        uri: true,
        ..SetCurrentClientCertDetails::default()
    });
    manager.internal_address_config = internal(context.view.mesh().networks());
}

/// Whether connections begin with the PROXY protocol.
pub(super) fn reads_proxy_protocol(context: &Context<'_, '_>) -> bool {
    let topology = context.settings.gateway_topology.as_ref();
    topology.is_some_and(|topology| topology.proxy_protocol.is_some())
}

/// The addresses of the mesh's networks; `None` if none is given by address.
fn internal(networks: &MeshNetworks) -> Option<InternalAddressConfig> {
    let members = networks.networks.values().flat_map(|network| &network.endpoints);
    let mut ranges: Vec<(IpAddr, u8)> = members
        .filter_map(|member| match member {
            NetworkEndpoints::FromCidr(range) => range.parse::<Cidr>().ok(),
            NetworkEndpoints::FromRegistry(_) | NetworkEndpoints::Nothing => None,
        })
        .map(|range| (range.address(), range.prefix_len()))
        .collect();
    ranges.sort_unstable();
    let range = |(address, length): (IpAddr, u8)| CidrRange {
        address_prefix: address.to_string(),
        prefix_len: Some(length.into()),
    };
    (!ranges.is_empty()).then(|| InternalAddressConfig {
        cidr_ranges: ranges.into_iter().map(range).collect(),
        ..InternalAddressConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::mesh_networks::Network;

    use super::*;

    fn check(ranges: &[&str], expected: &[&str]) {
        let member = |range: &&str| NetworkEndpoints::FromCidr((*range).into());
        let endpoints = ranges.iter().map(member).collect();
        let network = Network { endpoints, ..Network::default() };
        let networks = MeshNetworks { networks: [("n".into(), network)].into() };
        let found = internal(&networks).unwrap_or_default().cidr_ranges;
        let found = found.iter().map(|range| {
            format!("{}/{}", range.address_prefix, range.prefix_len.unwrap_or_default())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ranges_are_sorted_by_address_and_then_by_length() {
        check(
            &["10.1.0.5/16", "fd00::/8", "10.0.0.0/16", "10.0.0.0/8", "nothing", "192.0.2.1"],
            &["10.0.0.0/8", "10.0.0.0/16", "10.1.0.5/16", "192.0.2.1/32", "fd00::/8"],
        );
    }

    #[test]
    fn networks_without_addresses_say_nothing() {
        assert_eq!(internal(&MeshNetworks::default()), None);
    }
}
