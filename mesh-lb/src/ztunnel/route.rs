//! How a connection reaches the workload that was chosen for it.
use std::fmt;

/// What a workload or waypoint speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two")]
pub enum InboundProtocol {
    /// Tunnels over HTTP/2 CONNECT with mutual TLS, on port 15008.
    Hbone,
    /// Plain TCP.
    Tcp,
}

/// The port on which workloads take tunnels.
pub const HBONE_PORT: u16 = 15008;

/// The service that a connection was addressed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data in")]
pub struct AddressedService<'a> {
    /// Its host name.
    pub hostname: &'a str,
    /// The port that was asked for.
    pub port: u16,
    /// Whether its connections go where they were sent to.
    pub passthrough: bool,
    /// The waypoint in front of it.
    pub waypoint: Waypoint<'a>,
}

/// What came of looking for a waypoint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers know which")]
pub enum Waypoint<'a> {
    /// None is configured.
    #[default]
    None,
    /// One is configured, and no endpoint of it was found.
    Unresolved,
    /// It is dialled at this address and port.
    Near(&'a str),
    /// It is in another network, behind this gateway; none if it has no gateway.
    Far(Option<&'a str>),
}

/// The workload that was chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data in")]
pub struct Chosen<'a> {
    /// Whether it is in the network of the source.
    pub same_network: bool,
    /// What it speaks.
    pub protocol: InboundProtocol,
    /// The address to dial; none if it is only reached through a gateway.
    pub address: Option<&'a str>,
    /// Its port.
    pub port: u16,
    /// Its gateway in its network, as it resolves; none if there is none or it does not resolve.
    pub network_gateway: Option<&'a str>,
    /// The waypoint in front of the workload itself.
    pub waypoint: Waypoint<'a>,
}

/// Everything that a route follows from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data in")]
pub struct Connection<'a> {
    /// The address and port that the connection was sent to.
    pub target: &'a str,
    /// The service that has this address.
    pub service: Option<AddressedService<'a>>,
    /// The workload that was chosen, of the service or because it has this address.
    pub chosen: Option<Chosen<'a>>,
    /// Whether the caller is the waypoint of that workload.
    pub from_waypoint: bool,
}

/// Where a connection is opened to, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on each")]
pub enum Route {
    /// Plain TCP to where it was sent to.
    Passthrough,
    /// To the workload.
    Direct {
        /// The address and port to dial.
        dial: String,
        /// The address and port that the tunnel leads to; none without tunnel.
        hbone_target: Option<String>,
    },
    /// Through a tunnel to a waypoint.
    Waypoint {
        /// The address and port to dial.
        dial: String,
        /// The address and port that the tunnel leads to: where the connection was sent to.
        hbone_target: String,
    },
    /// Through a tunnel in a tunnel to the gateway of another network.
    Gateway {
        /// The address and port to dial.
        dial: String,
        /// The host name and port of the service.
        hbone_target: String,
    },
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// The service has no workload to offer.
    NoHealthyUpstream,
    /// The waypoint has no workload to offer.
    NoWaypoint,
    /// The workload has no address, or no gateway leads to it.
    NoValidDestination,
    /// The workload is in another network, and was not addressed by a service.
    NoService,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHealthyUpstream => "the service has no healthy workload",
            Self::NoWaypoint => "the waypoint has no workload",
            Self::NoValidDestination => "no address or gateway leads to the workload",
            Self::NoService => "a workload of another network is reached by a service only",
        })
    }
}

impl std::error::Error for Refused {}

impl Connection<'_> {
    /// Returns how the connection is made.
    ///
    /// # Errors
    ///
    /// Nothing may or can take it.
    ///
    /// # Upstream
    ///
    /// ztunnel `src/proxy/outbound.rs`, `OutboundConnection::build_request`.
    pub fn route(&self) -> Result<Route, Refused> {
        if let Some(service) = &self.service
            && let Some(route) = self.through(service.waypoint, Some(service))?
        {
            return Ok(route);
        }
        let Some(chosen) = &self.chosen else {
            return match &self.service {
                Some(service) if !service.passthrough => Err(Refused::NoHealthyUpstream),
                Some(_) | None => Ok(Route::Passthrough),
            };
        };
        if !chosen.same_network {
            return through_gateway(chosen.network_gateway, self.service.as_ref());
        }
        // A service's own waypoint was looked at above: that of its workloads does not count.
        if self.service.is_none()
            && !self.from_waypoint
            && let Some(route) = self.through(chosen.waypoint, None)?
        {
            return Ok(route);
        }
        let address = chosen.address.ok_or(Refused::NoValidDestination)?;
        let workload = socket(address, chosen.port);
        Ok(match chosen.protocol {
            InboundProtocol::Tcp => Route::Direct { dial: workload, hbone_target: None },
            InboundProtocol::Hbone => {
                Route::Direct { dial: socket(address, HBONE_PORT), hbone_target: Some(workload) }
            }
        })
    }

    fn through(
        &self,
        waypoint: Waypoint<'_>,
        service: Option<&AddressedService<'_>>,
    ) -> Result<Option<Route>, Refused> {
        match waypoint {
            Waypoint::None => Ok(None),
            Waypoint::Unresolved => Err(Refused::NoWaypoint),
            Waypoint::Near(dial) => Ok(Some(Route::Waypoint {
                dial: dial.to_owned(),
                hbone_target: self.target.to_owned(),
            })),
            Waypoint::Far(gateway) => through_gateway(gateway, service).map(Some),
        }
    }
}

fn through_gateway(
    gateway: Option<&str>,
    service: Option<&AddressedService<'_>>,
) -> Result<Route, Refused> {
    let service = service.ok_or(Refused::NoService)?;
    let dial = gateway.ok_or(Refused::NoValidDestination)?.to_owned();
    let hbone_target = format!("{}:{}", service.hostname, service.port);
    Ok(Route::Gateway { dial, hbone_target })
}

fn socket(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: AddressedService<'_> = AddressedService {
        hostname: "cart.shop",
        port: 80,
        passthrough: false,
        waypoint: Waypoint::None,
    };
    const CHOSEN: Chosen<'_> = Chosen {
        same_network: true,
        protocol: InboundProtocol::Hbone,
        address: Some("10.0.0.5"),
        port: 8080,
        network_gateway: None,
        waypoint: Waypoint::None,
    };

    fn check(connection: Connection<'_>, expected: Result<&str, Refused>) {
        let dial = connection.route().map(|route| match route {
            Route::Passthrough => "passthrough".to_owned(),
            Route::Direct { dial, .. } => format!("direct {dial}"),
            Route::Waypoint { dial, hbone_target } => format!("waypoint {dial} {hbone_target}"),
            Route::Gateway { dial, hbone_target } => format!("gateway {dial} {hbone_target}"),
        });
        assert_eq!(dial, expected.map(str::to_owned));
    }

    #[test]
    fn a_services_waypoint_goes_before_everything() {
        let waypoint = Waypoint::Near("10.0.0.9:15008");
        let service = Some(AddressedService { waypoint, ..SERVICE });
        let connection = Connection { target: "10.1.0.1:80", service, ..Connection::default() };
        check(connection, Ok("waypoint 10.0.0.9:15008 10.1.0.1:80"));
        let far = AddressedService { waypoint: Waypoint::Far(Some("34.0.0.1:15008")), ..SERVICE };
        let connection = Connection { service: Some(far), ..connection };
        check(connection, Ok("gateway 34.0.0.1:15008 cart.shop:80"));
        let broken = AddressedService { waypoint: Waypoint::Unresolved, ..SERVICE };
        check(Connection { service: Some(broken), ..connection }, Err(Refused::NoWaypoint));
    }

    #[test]
    fn a_workloads_waypoint_counts_when_the_workload_was_addressed() {
        let chosen = Some(Chosen { waypoint: Waypoint::Near("10.0.0.9:15008"), ..CHOSEN });
        let connection = Connection { target: "10.0.0.5:80", chosen, ..Connection::default() };
        check(connection, Ok("waypoint 10.0.0.9:15008 10.0.0.5:80"));
        check(Connection { from_waypoint: true, ..connection }, Ok("direct 10.0.0.5:15008"));
        check(Connection { service: Some(SERVICE), ..connection }, Ok("direct 10.0.0.5:15008"));
    }

    #[test]
    fn another_network_needs_a_gateway_and_a_service() {
        let chosen = Some(Chosen { same_network: false, ..CHOSEN });
        let connection = Connection { chosen, ..Connection::default() };
        check(connection, Err(Refused::NoService));
        let connection = Connection { service: Some(SERVICE), ..connection };
        check(connection, Err(Refused::NoValidDestination));
    }

    #[test]
    fn only_a_service_can_be_without_workload() {
        check(Connection::default(), Ok("passthrough"));
        let service = Some(SERVICE);
        check(Connection { service, ..Connection::default() }, Err(Refused::NoHealthyUpstream));
        let service = Some(AddressedService { passthrough: true, ..SERVICE });
        check(Connection { service, ..Connection::default() }, Ok("passthrough"));
    }

    #[test]
    fn an_ipv6_address_is_put_in_brackets() {
        let chosen = Some(Chosen { address: Some("fd00::5"), ..CHOSEN });
        check(Connection { chosen, ..Connection::default() }, Ok("direct [fd00::5]:15008"));
    }
}
