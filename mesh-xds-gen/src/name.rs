//! What things are called on the wire: clusters, listeners and route configurations.
//!
//! Istio packs meaning into names, and proxies, gateways and tools unpack it again:
//! `outbound|80|v1|cart.shop` says direction, port, subset and host. Each name here is parsed and
//! printed so that whatever was understood prints back to the same text. [`SubsetKey`] is the other
//! reading, istiod's own, that refuses nothing.
use std::fmt;

use mesh_model::view::ServerRoute;

/// The name of the cluster for destinations that no service explains, passed through as dialled.
pub const PASSTHROUGH_CLUSTER: &str = "PassthroughCluster";
/// The name of the cluster without endpoints.
pub const BLACK_HOLE_CLUSTER: &str = "BlackHoleCluster";
/// The name of the cluster for inbound traffic to ports that no service explains.
pub const INBOUND_PASSTHROUGH_CLUSTER: &str = "InboundPassthroughCluster";
/// The name of the dynamic forward proxy cluster of outbound policy `ALLOW_ANY_DYNAMIC_DNS`.
pub const ALLOW_ANY_DYNAMIC_DNS_CLUSTER: &str = "AllowAnyDynamicDNSCluster";
/// The name of the EDS resource in which a proxy discovers itself.
pub const LOCAL_CLUSTER: &str = "local_cluster";
/// The name of the listener that receives redirected outbound traffic.
pub const VIRTUAL_OUTBOUND_LISTENER: &str = "virtualOutbound";
/// The name of the listener that receives redirected inbound traffic.
pub const VIRTUAL_INBOUND_LISTENER: &str = "virtualInbound";

/// Which way traffic of a cluster flows, seen from the proxy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "cluster names know exactly these directions")]
pub enum Direction {
    /// Away from the workload.
    Outbound,
    /// To the workload.
    Inbound,
    /// To a service that a waypoint stands for.
    InboundVip,
}

/// How the parts of a cluster name are joined.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "cluster names are written in exactly two forms")]
pub enum Form {
    /// `outbound|80|v1|host`: CDS clusters and their EDS resources.
    Subset,
    /// `outbound_.80_.v1_.host`: SNI-DNAT clusters of gateways, and the SNI of mutual TLS.
    DnsSrv,
}

/// The name of a cluster that stands for a port of a service.
///
/// # Examples
///
/// ```
/// # use mesh_xds_gen::name::ClusterName;
/// let cart = ClusterName::outbound(80, "v1", "cart.shop.svc.cluster.local");
/// assert_eq!(cart.to_string(), "outbound|80|v1|cart.shop.svc.cluster.local");
/// assert_eq!(cart.sni().to_string(), "outbound_.80_.v1_.cart.shop.svc.cluster.local");
/// assert_eq!(ClusterName::parse("outbound|80|v1|cart.shop.svc.cluster.local"), Ok(cart));
/// ```
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `BuildSubsetKey`, `BuildInboundSubsetKey`,
/// `BuildDNSSrvSubsetKey`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClusterName<'a> {
    /// How the parts are joined.
    pub form: Form,
    /// Which way traffic flows.
    pub direction: Direction,
    /// The service's port; of [`Direction::Inbound`] the workload's.
    pub port: u16,
    /// The subset of a DestinationRule, empty for all endpoints; `PROTOCOL/SUBSET` for
    /// [`Direction::InboundVip`].
    pub subset: &'a str,
    /// The service's host name; empty for [`Direction::Inbound`].
    pub host: &'a str,
}

/// The reading of a cluster name that refuses nothing: what is not there is empty, or 0.
///
/// A part counts only if a separator follows it, so a name without separators says nothing at all,
/// and a separator inside the host leaves the host empty. A port that is no number is 0; it is
/// otherwise not limited to 16 bits.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/service.go` `ParseSubsetKey`. Ports that overflow saturate, as Go's
/// `strconv.Atoi` does.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SubsetKey<'a> {
    /// Whatever stands before the first separator.
    pub direction: &'a str,
    /// The port, 0 if there is none.
    pub port: i64,
    /// The subset.
    pub subset: &'a str,
    /// The host name.
    pub host: &'a str,
}

/// How a listener's bytes arrive.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "listener names know exactly these transports")]
pub enum Transport {
    /// Over TCP, or a Unix socket.
    Tcp,
    /// Over UDP, as HTTP/3.
    Quic,
}

/// The name of a listener: `0.0.0.0_80`, `udp_0.0.0.0_443`, `unix:///run/x.sock_0`.
///
/// Reads back what it prints unless a TCP bind starts with `udp_`, which no address does.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/gateway.go` `getListenerName`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerName<'a> {
    /// The address to listen on, as text; a Unix socket keeps its scheme.
    pub bind: &'a str,
    /// The port, 0 for a Unix socket.
    pub port: u16,
    /// How the bytes arrive.
    pub transport: Transport,
}

/// The name of a route configuration that is fetched through RDS.
///
/// The forms for gateways and sidecars share one namespace; where a text fits both, the gateway's
/// is taken.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `gatewayRDSRouteName` and
/// `pilot/pkg/networking/core/listener.go`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum RouteName<'a> {
    /// `80`: all HTTP services of a port, at a sidecar.
    Port(u16),
    /// `HOST:PORT`: one service whose protocol is sniffed, on its own address, at a sidecar.
    Service {
        /// The service's host name.
        host: &'a str,
        /// The service's port.
        port: u16,
    },
    /// `unix://…`: a Unix socket that a Sidecar's egress listens on, scheme included.
    UnixSocket(&'a str),
    /// `http_proxy`: the explicit proxy port of a sidecar.
    HttpProxy,
    /// `http.PORT[.BIND]`: plain HTTP servers of a gateway.
    GatewayHttp {
        /// The port that is listened on (a service's target port).
        port: u16,
        /// The server's `bind`, empty if it has none.
        bind: &'a str,
    },
    /// `https.PORT.PORTNAME.GATEWAY.NAMESPACE[.BIND]`: a server that terminates TLS.
    ///
    /// Only the bind may contain a dot: a port or gateway name with one does not read back as it
    /// was, as upstream.
    GatewayHttps {
        /// The server's own port number, not the one listened on.
        port: u16,
        /// The name of the server's port.
        port_name: &'a str,
        /// The name of the Gateway.
        gateway: &'a str,
        /// The namespace of the Gateway.
        namespace: &'a str,
        /// The server's `bind`, empty if it has none.
        bind: &'a str,
    },
}

/// What decides the route configuration of a Gateway server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct GatewayServer<'a> {
    /// `port.protocol` as written; the case does not matter.
    pub protocol: &'a str,
    /// `port.number`.
    pub port: u16,
    /// The port that is listened on for it.
    pub resolved_port: u16,
    /// `port.name`.
    pub port_name: &'a str,
    /// The name of the Gateway.
    pub gateway: &'a str,
    /// The namespace of the Gateway.
    pub namespace: &'a str,
    /// `bind`, empty if absent.
    pub bind: &'a str,
    /// What happens to TLS.
    pub tls: ServerTls,
}

/// What a Gateway server does with TLS, as far as names depend on it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "TLS is passed on or it is not")]
pub enum ServerTls {
    /// There is none, or it ends here.
    Terminated,
    /// Modes `PASSTHROUGH` and `AUTO_PASSTHROUGH`.
    PassedThrough,
}

/// The text is not a name of the kind that was asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct InvalidName {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    Cluster,
    Listener,
    Route,
}

impl Direction {
    /// Returns the word that stands for the direction: `outbound`, `inbound`, `inbound-vip`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::InboundVip => "inbound-vip",
        }
    }

    /// Reads the word that stands for a direction.
    ///
    /// # Errors
    ///
    /// The text is none of the three words.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        [Self::Outbound, Self::Inbound, Self::InboundVip]
            .into_iter()
            .find(|direction| direction.as_str() == text)
            .ok_or(InvalidName { kind: Kind::Cluster })
    }
}

impl Form {
    fn separator(self) -> &'static str {
        match self {
            Self::Subset => "|",
            Self::DnsSrv => "_.",
        }
    }

    fn of(name: &str) -> Self {
        let dns_srv = name.starts_with("outbound_") || name.starts_with("inbound_");
        if dns_srv { Self::DnsSrv } else { Self::Subset }
    }
}

impl<'a> ClusterName<'a> {
    /// Names the cluster of a service's port; the empty subset stands for all its endpoints.
    pub fn outbound(port: u16, subset: &'a str, host: &'a str) -> Self {
        Self { form: Form::Subset, direction: Direction::Outbound, port, subset, host }
    }

    /// Names the cluster of a port of the workload itself.
    pub fn inbound(port: u16) -> Self {
        Self { form: Form::Subset, direction: Direction::Inbound, port, subset: "", host: "" }
    }

    /// Returns the same name in the form used as server name (SNI).
    pub fn sni(self) -> Self {
        Self { form: Form::DnsSrv, ..self }
    }

    /// Reads a name that prints back to the same text.
    ///
    /// # Errors
    ///
    /// The text lacks a part, has one too many, or its port is not a canonical number of 16 bits.
    pub fn parse(name: &'a str) -> Result<Self, InvalidName> {
        let form = Form::of(name);
        let mut parts = name.split(form.separator());
        let (Some(direction), Some(port), Some(subset), Some(host), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidName { kind: Kind::Cluster });
        };
        let direction = Direction::parse(direction)?;
        let port = canonical_port(port).ok_or(InvalidName { kind: Kind::Cluster })?;
        Ok(Self { form, direction, port, subset, host })
    }
}

impl fmt::Display for ClusterName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl ClusterName<'_> {
    /// Writes the name after what a text holds.
    pub(crate) fn push_to(&self, text: &mut String) {
        let written = self.write(text);
        debug_assert!(written.is_ok(), "a text has place for every name");
    }

    fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let Self { form, direction, port, subset, host } = self;
        let separator = form.separator();
        to.write_str(direction.as_str())?;
        to.write_str(separator)?;
        write!(to, "{port}")?;
        // What is written at once costs less than what is formatted.
        [separator, subset, separator, host].into_iter().try_for_each(|part| to.write_str(part))
    }
}

impl<'a> SubsetKey<'a> {
    /// Reads any text.
    pub fn parse(name: &'a str) -> Self {
        // A single byte is looked for much faster than a text, and the parts are short.
        match Form::of(name) {
            Form::Subset => Self::split(name, |text| {
                let (before, behind) =
                    text.split_at_checked(text.bytes().position(|byte| byte == b'|')?)?;
                Some((before, behind.get(1..)?))
            }),
            Form::DnsSrv => Self::split(name, |text| text.split_once("_.")),
        }
    }

    /// Reads a text by what splits it at its first separator.
    fn split(name: &'a str, split: impl Fn(&'a str) -> Option<(&'a str, &'a str)>) -> Self {
        let mut key = Self::default();
        let Some((direction, rest)) = split(name) else { return key };
        key.direction = direction;
        let Some((port, rest)) = split(rest) else { return key };
        key.port = lenient_number(port);
        let Some((subset, rest)) = split(rest) else { return key };
        key.subset = subset;
        if split(rest).is_none() {
            key.host = rest;
        }
        key
    }
}

impl<'a> ListenerName<'a> {
    /// Reads a name that prints back to the same text.
    ///
    /// # Errors
    ///
    /// The text does not end in `_` and a canonical number of 16 bits.
    pub fn parse(name: &'a str) -> Result<Self, InvalidName> {
        let (transport, rest) = match name.strip_prefix("udp_") {
            Some(rest) => (Transport::Quic, rest),
            None => (Transport::Tcp, name),
        };
        rest.rsplit_once('_')
            .and_then(|(bind, port)| Some(Self { bind, port: canonical_port(port)?, transport }))
            .ok_or(InvalidName { kind: Kind::Listener })
    }
}

impl fmt::Display for ListenerName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.transport {
            Transport::Tcp => "",
            Transport::Quic => "udp_",
        };
        write!(f, "{prefix}{}_{}", self.bind, self.port)
    }
}

impl<'a> RouteName<'a> {
    /// Names the route configuration of a Gateway server; `None` if the server does not route HTTP.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/gateway.go` `gatewayRDSRouteName`.
    pub fn of_server(server: &GatewayServer<'a>) -> Option<Self> {
        const PLAIN: [&str; 5] = ["http", "http2", "grpc", "grpc-web", "http_proxy"];
        let &GatewayServer { protocol, port, port_name, gateway, namespace, bind, .. } = server;
        if PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(protocol)) {
            return Some(Self::GatewayHttp { port: server.resolved_port, bind });
        }
        let routed = protocol.eq_ignore_ascii_case("https") && server.tls == ServerTls::Terminated;
        routed.then_some(Self::GatewayHttps { port, port_name, gateway, namespace, bind })
    }

    /// Reads a name that prints back to the same text.
    ///
    /// # Errors
    ///
    /// The text has none of the forms.
    pub fn parse(name: &'a str) -> Result<Self, InvalidName> {
        if name == "http_proxy" {
            return Ok(Self::HttpProxy);
        }
        if name.starts_with("unix://") {
            return Ok(Self::UnixSocket(name));
        }
        canonical_port(name)
            .map(Self::Port)
            .or_else(|| Self::parse_http(name.strip_prefix("http.")?))
            .or_else(|| Self::parse_https(name.strip_prefix("https.")?))
            .or_else(|| {
                let (host, port) = name.rsplit_once(':')?;
                Some(Self::Service { host, port: canonical_port(port)? })
            })
            .ok_or(InvalidName { kind: Kind::Route })
    }

    fn parse_http(rest: &'a str) -> Option<Self> {
        let (port, bind) = match rest.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (rest, ""),
        };
        Some(Self::GatewayHttp { port: canonical_port(port)?, bind })
    }

    fn parse_https(rest: &'a str) -> Option<Self> {
        let mut parts = rest.splitn(5, '.');
        let (port, port_name, gateway, namespace) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let bind = match parts.next() {
            Some("") => return None,
            bind => bind.unwrap_or_default(),
        };
        let port = canonical_port(port)?;
        Some(Self::GatewayHttps { port, port_name, gateway, namespace, bind })
    }
}

impl<'a> From<&'a ServerRoute> for RouteName<'a> {
    fn from(route: &'a ServerRoute) -> Self {
        match route {
            ServerRoute::Http { port, bind } => Self::GatewayHttp { port: *port, bind },
            ServerRoute::Https { port, port_name, gateway, namespace, bind } => {
                let namespace = namespace.as_str();
                Self::GatewayHttps { port: *port, port_name, gateway, namespace, bind }
            }
        }
    }
}

impl fmt::Display for RouteName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = |f: &mut fmt::Formatter<'_>, bind: &str| match bind {
            "" => Ok(()),
            _ => write!(f, ".{bind}"),
        };
        match self {
            Self::Port(port) => write!(f, "{port}"),
            Self::Service { host, port } => write!(f, "{host}:{port}"),
            Self::UnixSocket(path) => f.write_str(path),
            Self::HttpProxy => f.write_str("http_proxy"),
            Self::GatewayHttp { port, bind } => {
                write!(f, "http.{port}")?;
                suffix(f, bind)
            }
            Self::GatewayHttps { port, port_name, gateway, namespace, bind } => {
                write!(f, "https.{port}.{port_name}.{gateway}.{namespace}")?;
                suffix(f, bind)
            }
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Cluster => "cluster name is not of the form `DIRECTION|PORT|SUBSET|HOST`",
            Kind::Listener => "listener name is not of the form `BIND_PORT`",
            Kind::Route => "route configuration name has no known form",
        })
    }
}

impl std::error::Error for InvalidName {}

/// Reads a number of 16 bits without sign, blanks or leading zeros, so that it prints back as it
/// was.
fn canonical_port(text: &str) -> Option<u16> {
    let canonical = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// Reads a number as Go's `strconv.Atoi` with its error ignored: 0 if it is none, the limit if it
/// is beyond.
fn lenient_number(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let limit = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    text.parse().unwrap_or(limit)
}

/// `HOST:PORT`, brackets around IPv6 addresses.
pub(crate) fn host_port(host: &str, port: u32) -> String {
    let port = port.to_string();
    if host.contains(':') { ["[", host, "]:", &port].concat() } else { [host, ":", &port].concat() }
}

#[cfg(test)]
mod tests;
