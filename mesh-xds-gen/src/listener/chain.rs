//! A filter chain of an outbound listener before it is written: what matches, and what then happens.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener.go` `filterChainOpts`.
use std::collections::BTreeSet;
use std::net::IpAddr;

use mesh_envoy_proto::envoy::config::core::v3::{CidrRange, Metadata};
use mesh_envoy_proto::envoy::config::listener::v3::{Filter, FilterChainMatch};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use mesh_model::name::{Cidr, Protocol};
use mesh_model::registry::UNSPECIFIED;

/// A filter chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub(super) metadata: Option<Metadata>,
    pub(super) sni_hosts: Vec<String>,
    pub(super) cidrs: Vec<String>,
    /// Whether only plain-text HTTP matches.
    pub(super) needs_http: bool,
    pub(super) content: Content,
}

/// What happens to a connection.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// These filters.
    Network(Vec<Filter>),
    /// It is read as HTTP, with the routes of this name, perhaps after what looks hosts up.
    Http { routes: String, protocol: Protocol, lookup: Option<Box<HttpFilter>> },
}

impl Default for Content {
    fn default() -> Self {
        Self::Network(Vec::new())
    }
}

/// The transport of plain text.
pub(super) const RAW_BUFFER: &str = "raw_buffer";
/// What the HTTP inspector finds.
pub(super) const PLAINTEXT_HTTP: [&str; 2] = ["http/1.1", "h2c"];

/// The same as a chain matches it: HTTP/1.0, too, where it is allowed, which would only be refused otherwise.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener.go` `plaintextHTTPALPNs`.
pub(super) fn plaintext_http(allows_http10: bool) -> Vec<String> {
    let legacy = allows_http10.then_some("http/1.0");
    legacy.into_iter().chain(PLAINTEXT_HTTP).map(str::to_owned).collect()
}

impl Chain {
    /// Whether every connection matches.
    pub(super) fn matches_all(&self) -> bool {
        !self.needs_http && self.cidrs.is_empty() && !self.names_hosts()
    }

    fn names_hosts(&self) -> bool {
        !self.sni_hosts.is_empty() && self.sni_hosts.iter().all(|host| host != "*")
    }

    /// Whether the other's connections are this one's: the same transport, hosts and ranges.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/listener.go` `conflictsWith`.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        let hosts = |chain: &Self| -> BTreeSet<String> {
            chain.sni_hosts.iter().filter(|host| *host != "*").cloned().collect()
        };
        let ranges = |chain: &Self| -> BTreeSet<(IpAddr, u8)> {
            let ranges = chain.cidrs.iter().filter(|text| **text != *UNSPECIFIED);
            let ranges = ranges.filter_map(|text| text.parse::<Cidr>().ok());
            ranges.map(|range| masked(&range)).collect()
        };
        self.needs_http == other.needs_http
            && hosts(self) == hosts(other)
            && ranges(self) == ranges(other)
    }

    /// The match as it is written; `None` for a chain that matches everything.
    pub(super) fn filter_chain_match(&self, allows_http10: bool) -> Option<FilterChainMatch> {
        if self.matches_all() {
            return None;
        }
        let mut found = FilterChainMatch::default();
        if self.needs_http {
            RAW_BUFFER.clone_into(&mut found.transport_protocol);
            found.application_protocols = plaintext_http(allows_http10);
        }
        if self.names_hosts() {
            found.server_names = self.sni_hosts.clone();
            found.server_names.sort();
        }
        let mut cidrs: Vec<&String> = self.cidrs.iter().collect();
        cidrs.sort();
        found.prefix_ranges = cidrs.into_iter().filter_map(|text| range(text)).collect();
        Some(found)
    }
}

/// A range without the bits of hosts.
fn masked(range: &Cidr) -> (IpAddr, u8) {
    let length = range.prefix_len();
    let address = match range.address() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    };
    (address, length)
}

/// A range as it is written, the bits of hosts kept; `None` for the address of nothing and for what
/// is no range.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `AddrStrToCidrRange`.
fn range(text: &str) -> Option<CidrRange> {
    let range: Cidr = text.parse().ok()?;
    let address = text.split('/').next().unwrap_or_default();
    (address != UNSPECIFIED).then(|| CidrRange {
        address_prefix: address.to_owned(),
        prefix_len: Some(range.prefix_len().into()),
    })
}
