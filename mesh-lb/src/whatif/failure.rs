//! One thing that fails: `cluster=c2`, `region=eu`, `zone=eu/a`, `network=n2`, `gateway=ADDR`,
//! `endpoint=ADDR`, `service=HOST,30%`.
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use mesh_model::endpoint::{Address, Endpoint, NetworkGateway};
use mesh_model::registry::{ControlPlane, Mesh};

use super::scenario::Ranks;

/// One thing that fails.
///
/// ```
/// use mesh_lb::whatif::Failure;
///
/// assert_eq!("region=eu".parse(), Ok(Failure::Region("eu".into())));
/// assert!("planet=earth".parse::<Failure>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a scenario acts on every kind")]
pub enum Failure {
    /// Every pod of a cluster, and its network gateways. What ServiceEntries list there and machines lie
    /// outside.
    Cluster(Box<str>),
    /// Everything in a region.
    Region(Box<str>),
    /// Everything in a zone of a region.
    Zone(Box<str>, Box<str>),
    /// Everything in a network, its gateways too.
    Network(Box<str>),
    /// A network gateway, by its address; with a port nothing but that port fails.
    Gateway(Box<str>),
    /// An endpoint, by its address with or without the port.
    Endpoint(Box<str>),
    /// A part of the endpoints of a service, the first of them, in percent of their number.
    Service(Box<str>, f64),
}

impl Failure {
    /// Returns whether an endpoint fails; `rank` is the part of the service's endpoints that come
    /// before it, in percent.
    pub(super) fn hits(&self, endpoint: &Endpoint, host: &str, rank: Rank) -> bool {
        let workload = &endpoint.workload;
        match self {
            Self::Cluster(name) => workload.place.cluster == **name && !is_outside(endpoint),
            Self::Network(name) => workload.place.network == **name,
            Self::Region(region) => parts(&workload.place.locality).0 == &**region,
            Self::Zone(region, zone) => parts(&workload.place.locality) == (region, zone),
            Self::Endpoint(address) => is_address(address, &endpoint.address, endpoint.port),
            Self::Service(name, percent) => is_host(name, host) && rank.is_within(*percent),
            Self::Gateway(_) => false,
        }
    }

    /// Returns whether there is anything in a mesh that could fail so.
    pub fn exists_in(&self, mesh: &Mesh) -> bool {
        let is_cluster =
            matches!(self, Self::Cluster(name) if mesh.clusters().any(|c| *c == **name));
        is_cluster || mesh.control_planes().any(|plane| self.exists_for(plane))
    }

    /// Returns whether anything in a mesh does fail so. A part of a service that is less than half an
    /// endpoint is none of them, and a service may have no endpoints.
    pub fn fails_in(&self, mesh: &Mesh) -> bool {
        let Self::Service(name, percent) = self else { return self.exists_in(mesh) };
        mesh.control_planes().any(|plane| {
            let services = plane.services.iter();
            let mut named = services.filter(|service| is_host(name, service.hostname.as_str()));
            named.any(|service| {
                let endpoints = plane.shards(service).map(|shards| Ranks::of_each(shards).len());
                let total = u32::try_from(endpoints.unwrap_or_default()).unwrap_or(u32::MAX);
                Rank { index: 0, total }.is_within(*percent)
            })
        })
    }

    fn exists_for(&self, plane: &ControlPlane) -> bool {
        let services = plane.services.iter();
        let mut hosts = services.filter_map(|s| Some((s.hostname.as_str(), plane.shards(s)?)));
        let all = Rank { index: 0, total: u32::MAX };
        let is_host = matches!(self, Self::Service(name, _)
            if plane.services.hosts().any(|host| is_host(name, host.as_str())));
        is_host
            || plane.named_gateways.iter().any(|gateway| self.is_of_gateway(gateway))
            || hosts.any(|(host, shards)| shards.endpoints().any(|e| self.hits(e, host, all)))
    }

    fn is_of_gateway(&self, gateway: &NetworkGateway) -> bool {
        let mut ports = [gateway.port, gateway.hbone_port].into_iter().filter(|port| *port != 0);
        self.takes_place(gateway) || ports.any(|port| self.hits_gateway(gateway, port))
    }

    /// Returns whether a gateway fails with where it is, whatever becomes of the endpoints behind it.
    pub(super) fn takes_place(&self, gateway: &NetworkGateway) -> bool {
        match self {
            Self::Cluster(name) => gateway.cluster == **name,
            Self::Network(name) => gateway.network == **name,
            Self::Region(_)
            | Self::Zone(..)
            | Self::Gateway(_)
            | Self::Endpoint(_)
            | Self::Service(..) => false,
        }
    }

    /// Returns whether it names a port of a gateway, or its address and so all ports of it.
    pub(super) fn hits_gateway(&self, gateway: &NetworkGateway, port: u16) -> bool {
        matches!(self, Self::Gateway(address) if is_address(address, &gateway.address, port))
    }
}

/// Whether an endpoint is of a cluster by name only: what a ServiceEntry lists, and machines, be they selected
/// by a ServiceEntry or a Service. Its control plane reads it there. Pods have a host name; an address in an
/// EndpointSlice that is no pod's has no name at all.
fn is_outside(endpoint: &Endpoint) -> bool {
    let is_named = !endpoint.instance.is_empty();
    endpoint.workload.hostname.is_none() && (endpoint.service_port != 0 || is_named)
}

/// The region and the zone of a locality's text.
fn parts(locality: &str) -> (&str, &str) {
    let mut parts = locality.split('/');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The place of an endpoint among those of its service.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rank {
    pub(super) index: u32,
    pub(super) total: u32,
}

impl Rank {
    /// Whether the place is among the first percent of all, their number rounded to the nearest.
    fn is_within(self, percent: f64) -> bool {
        f64::from(self.index) < (f64::from(self.total) * percent / 100.0).round()
    }
}

/// A host by its full name, or by the beginning that people type.
fn is_host(typed: &str, host: &str) -> bool {
    host == typed || host.strip_prefix(typed).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether somebody means this address, however it is written: an IPv6 address with or without brackets,
/// with or without the port.
fn is_address(typed: &str, address: &Address, port: u16) -> bool {
    let Some(ip) = address.ip() else {
        let text = address.to_string();
        return typed.strip_prefix(&*text).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|of| of == port.to_string())
        });
    };
    let bare = typed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(typed);
    match (bare.parse::<IpAddr>(), typed.parse::<SocketAddr>()) {
        (Ok(typed), _) => typed == ip,
        (Err(_), Ok(typed)) => typed == SocketAddr::new(ip, port),
        (Err(_), Err(_)) => false,
    }
}

/// The text does not say what fails.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidFailure {
    text: Box<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Form,
    Nameless,
    Unknown,
    Zone,
    Percent,
}

impl fmt::Display for InvalidFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORMS: &str = "cluster=, region=, zone=REGION/ZONE, network=, gateway=, endpoint= or \
                             service=HOST,PERCENT%";
        let text = &self.text;
        match self.kind {
            Kind::Form => write!(f, "`{text}` selects nothing: write {FORMS}"),
            Kind::Nameless => write!(f, "`{text}` names nothing after the `=`"),
            Kind::Unknown => write!(f, "`{text}` selects by no known property: write {FORMS}"),
            Kind::Zone => write!(f, "`{text}`: a zone is written REGION/ZONE"),
            Kind::Percent => {
                write!(f, "`{text}`: a part of a service is written HOST,PERCENT% with 0 to 100")
            }
        }
    }
}

impl std::error::Error for InvalidFailure {}

impl FromStr for Failure {
    type Err = InvalidFailure;

    fn from_str(text: &str) -> Result<Self, InvalidFailure> {
        let invalid = |kind| InvalidFailure { text: text.into(), kind };
        let (what, value) = text.split_once('=').ok_or_else(|| invalid(Kind::Form))?;
        if value.is_empty() {
            return Err(invalid(Kind::Nameless));
        }
        Ok(match what {
            "cluster" => Self::Cluster(value.into()),
            "region" => Self::Region(value.into()),
            "zone" => {
                let (region, zone) = value.split_once('/').ok_or_else(|| invalid(Kind::Zone))?;
                Self::Zone(region.into(), zone.into())
            }
            "network" => Self::Network(value.into()),
            "gateway" => Self::Gateway(value.into()),
            "endpoint" => Self::Endpoint(value.into()),
            "service" => {
                let (host, percent) = value.split_once(',').unwrap_or((value, "100%"));
                let percent = percent.trim_end_matches('%').parse().ok();
                let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
                Self::Service(host.into(), percent.ok_or_else(|| invalid(Kind::Percent))?)
            }
            _ => return Err(invalid(Kind::Unknown)),
        })
    }
}

impl fmt::Display for Failure {
    /// Prints the text that it is read from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(name) => write!(f, "cluster={name}"),
            Self::Region(name) => write!(f, "region={name}"),
            Self::Zone(region, zone) => write!(f, "zone={region}/{zone}"),
            Self::Network(name) => write!(f, "network={name}"),
            Self::Gateway(address) => write!(f, "gateway={address}"),
            Self::Endpoint(address) => write!(f, "endpoint={address}"),
            Self::Service(host, percent) => write!(f, "service={host},{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_was_read() {
        for text in [
            "cluster=c2",
            "region=eu",
            "zone=eu/a",
            "network=n2",
            "gateway=34.1.1.1:15443",
            "endpoint=10.0.0.1",
            "service=cart.shop,30%",
        ] {
            assert_eq!(text.parse::<Failure>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_in_a_sentence() {
        for text in ["", "eu", "region=", "zone=a", "planet=earth", "service=a,200%", "service=a,x"]
        {
            let sentence = text.parse::<Failure>().unwrap_err().to_string();
            assert!(sentence.starts_with(&format!("`{text}`")), "{sentence}");
        }
    }

    #[test]
    fn an_address_is_meant_however_it_is_written() {
        let check = |typed: &str, address: &str, is_meant: bool| {
            assert_eq!(is_address(typed, &Address::parse(address), 80), is_meant, "{typed}");
        };
        for typed in ["2001:db8::1", "[2001:db8::1]", "2001:0db8::0001", "[2001:db8::1]:80"] {
            check(typed, "2001:db8::1", true);
        }
        check("[2001:db8::1]:81", "2001:db8::1", false);
        check("10.0.0.1:80", "10.0.0.1", true);
        check("10.0.0.1:81", "10.0.0.1", false);
        check("10.0.0.11", "10.0.0.1", false);
        check("gw.example.com", "gw.example.com", true);
        check("gw.example.com:80", "gw.example.com", true);
        check("gw.example.com.org", "gw.example.com", false);
    }

    #[test]
    fn a_part_of_a_service_is_rounded_to_whole_endpoints() {
        let is_within = |index, total, percent| Rank { index, total }.is_within(percent);
        assert!(is_within(0, 3, 30.0) && !is_within(1, 3, 30.0));
        assert!(!is_within(0, 3, 0.0) && is_within(2, 3, 100.0));
    }
}
