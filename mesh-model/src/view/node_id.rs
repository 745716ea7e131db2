//! How a proxy presents itself: node id, addresses, version, metadata.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/context.go` `ParseServiceNodeWithMetadata`.
use std::net::IpAddr;

use super::{IpFamilies, ProxyKind};
use crate::resource::Json;

/// A node id, `TYPE~IP~POD.NAMESPACE~DOMAIN`, together with the addresses of the node's metadata.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the four parts of an id")]
pub struct NodeId {
    /// What the proxy is used as.
    pub kind: ProxyKind,
    /// Its addresses: those of the metadata if each of them is one, else that of the id.
    pub addresses: Box<[IpAddr]>,
    /// The third part, such as `web-0.shop`.
    pub id: Box<str>,
    /// The domain it resolves short names in.
    pub dns_domain: Box<str>,
}

/// The text is not the id of a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNodeId(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum Kind {
    #[error("a node id is `TYPE~IP~POD.NAMESPACE~DOMAIN`")]
    Parts,
    #[error("a node is a `sidecar`, `router`, `waypoint` or `ztunnel`")]
    Type,
    #[error("neither the node id nor its metadata has an IP address")]
    Address,
}

impl NodeId {
    /// Reads a node id; `instance_ips` are the addresses of metadata `INSTANCE_IPS`.
    ///
    /// # Errors
    ///
    /// Where the id has not four parts, its type is unknown, or there is no address.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `ParseServiceNodeWithMetadata`.
    pub fn parse(text: &str, instance_ips: &[&str]) -> Result<Self, InvalidNodeId> {
        let parts: Vec<&str> = text.split('~').collect();
        let [kind, address, id, domain] = *parts else { return Err(InvalidNodeId(Kind::Parts)) };
        let kinds =
            [ProxyKind::Sidecar, ProxyKind::Router, ProxyKind::Waypoint, ProxyKind::Ztunnel];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind);
        let kind = kind.ok_or(InvalidNodeId(Kind::Type))?;
        let told: Result<Box<[IpAddr]>, _> = instance_ips.iter().map(|ip| ip.parse()).collect();
        let addresses = match told.ok().filter(|told| !told.is_empty()) {
            Some(told) => told,
            None => [address.parse().map_err(|_| InvalidNodeId(Kind::Address))?].into(),
        };
        Ok(Self { kind, addresses, id: id.into(), dns_domain: domain.into() })
    }

    /// Returns the namespace whose objects configure the proxy: that of metadata `NAMESPACE`, else the
    /// first label of a domain with a dot, else none.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `GetProxyConfigNamespace`.
    pub fn config_namespace<'n>(&'n self, metadata: &'n str) -> &'n str {
        let of_domain = self.dns_domain.split_once('.').map(|(first, _)| first);
        if metadata.is_empty() { of_domain.unwrap_or_default() } else { metadata }
    }

    /// Returns which families of addresses the proxy has.
    pub fn ip_families(&self) -> IpFamilies {
        IpFamilies::of(&self.addresses)
    }
}

/// Returns the first address that can be told to others: not a loopback, link-local, multicast,
/// broadcast or unspecified one.
///
/// # Upstream
///
/// istio/istio `pkg/util/net/ip.go` `GlobalUnicastIP`; Go `netip.Addr.IsGlobalUnicast`.
pub fn global_unicast(addresses: &[IpAddr]) -> Option<IpAddr> {
    let is_global = |address: &&IpAddr| match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_loopback()
                || v4.is_multicast()
                || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            let is_link_local = v6.segments().first().is_some_and(|first| first & 0xffc0 == 0xfe80);
            !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || is_link_local)
        }
    };
    addresses.iter().find(is_global).copied()
}

/// The version of a proxy, compared part by part.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a version has these three parts")]
pub struct IstioVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 65535 where the text has none.
    pub patch: u32,
}

impl IstioVersion {
    /// Later than every version: that of a proxy that does not tell its own.
    pub const MAX: Self = Self { major: 65535, minor: 65535, patch: 65535 };

    /// Reads a version, a leading `release-` left out; what is none is [`Self::MAX`].
    ///
    /// As upstream's expression has it, no digit of the first number is a 0, so that version 10 is none.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `ParseIstioVersion`.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix("release-").unwrap_or(text);
        let Some((major, rest)) = number(text).filter(|_| !leads_with_zeros(text)) else {
            return Self::MAX;
        };
        let Some((minor, rest)) = rest.strip_prefix('.').and_then(number) else {
            return Self::MAX;
        };
        let patch = rest.strip_prefix('.').and_then(number);
        Self { major, minor, patch: patch.map_or(Self::MAX.patch, |(patch, _)| patch) }
    }
}

/// Reads leading digits; a number that is too large is the largest.
fn number(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    (!digits.is_empty()).then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}

/// Whether there is a 0 among the leading digits.
fn leads_with_zeros(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).any(|digit| digit == b'0')
}

/// The value of a switch in node metadata is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a switch is the text `true` or `false`")]
pub struct InvalidSwitch(());

/// Reads a switch of node metadata: a text that Go reads as a boolean.
///
/// # Errors
///
/// Where the value is another text or no text at all; upstream then ends the stream.
///
/// # Upstream
///
/// istio/istio `pkg/model/proxy.go` `StringBool.UnmarshalJSON`.
pub fn switch(value: &Json) -> Result<bool, InvalidSwitch> {
    match value.as_str() {
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some(_) | None => Err(InvalidSwitch(())),
    }
}

/// Reads a list of node metadata: between commas, nothing trimmed; an empty text is an empty list.
///
/// # Upstream
///
/// istio/istio `pkg/model/proxy.go` `StringList.UnmarshalJSON`.
pub fn list(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(',').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_count_only_if_all_are_addresses() {
        let parse = |ips: &[&str]| NodeId::parse("sidecar~10.0.0.1~a.b~b.svc", ips).unwrap();
        assert_eq!(parse(&["10.0.0.2", "::1"]).ip_families(), IpFamilies::Dual);
        assert_eq!(*parse(&["10.0.0.2", "x"]).addresses, [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(parse(&[]).config_namespace(""), "b");
        assert_eq!(parse(&[]).config_namespace("c"), "c");
        assert!(NodeId::parse("sidecar~x~a.b~b.svc", &[]).is_err());
        assert!(NodeId::parse("proxy~10.0.0.1~a.b~b.svc", &[]).is_err());
    }

    #[test]
    fn versions_are_read_as_far_as_they_go() {
        let check = |text: &str, (major, minor, patch)| {
            assert_eq!(IstioVersion::parse(text), IstioVersion { major, minor, patch }, "{text}");
        };
        check("1.32.0-dev", (1, 32, 0));
        check("1.32-alpha.4", (1, 32, 65535));
        check("10.1.1", (65535, 65535, 65535));
        check("", (65535, 65535, 65535));
    }
}
