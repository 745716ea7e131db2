//! What fails: `cluster=c2`, `region=eu`, `zone=eu/a`, `network=n2`, `gateway=ADDR`, `endpoint=ADDR`,
//! `service=HOST,30%`.
use std::str::FromStr;

use mesh_lb::assign::{AssignedEndpoint, Target};
use mesh_model::endpoint::HealthStatus;
use mesh_model::name::Locality;

/// One thing that fails.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Selector {
    /// Everything in a cluster.
    Cluster(String),
    /// Everything in a region.
    Region(String),
    /// Everything in a zone, `region/zone`.
    Zone(String, String),
    /// Everything in a network.
    Network(String),
    /// A gateway's address, with or without its port.
    Gateway(String),
    /// An endpoint's address, with or without its port.
    Endpoint(String),
    /// A part of a service's endpoints, the first of them.
    Service(String, f64),
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "write cluster=, region=, zone=REGION/ZONE, network=, gateway=, endpoint= or service=HOST,PERCENT%";
        let Some((what, value)) = text.split_once('=') else {
            return Err(format!("`{text}` selects nothing: {help}"));
        };
        if value.is_empty() {
            return Err(format!("`{text}` names nothing: {help}"));
        }
        let owned = value.to_owned();
        Ok(match what {
            "cluster" => Self::Cluster(owned),
            "region" => Self::Region(owned),
            "zone" => match value.split_once('/') {
                Some((region, zone)) => Self::Zone(region.to_owned(), zone.to_owned()),
                None => return Err(format!("`{text}`: a zone is named REGION/ZONE")),
            },
            "network" => Self::Network(owned),
            "gateway" => Self::Gateway(owned),
            "endpoint" => Self::Endpoint(owned),
            "service" => service(text, value)?,
            _ => return Err(format!("`{what}` selects nothing: {help}")),
        })
    }
}

fn service(text: &str, value: &str) -> Result<Selector, String> {
    let (host, percent) = value.split_once(',').unwrap_or((value, "100%"));
    let percent: f64 = percent
        .trim_end_matches('%')
        .parse()
        .map_err(|_| format!("`{text}`: write service=HOST,30%"))?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(format!("`{text}`: a percentage is between 0 and 100"));
    }
    Ok(Selector::Service(host.to_owned(), percent))
}

impl Selector {
    /// Whether an endpoint in use fails; of a service's part, whether its place is among the first.
    fn selects(&self, endpoint: AssignedEndpoint<'_>, host: &str, place: (usize, usize)) -> bool {
        match (self, endpoint.target()) {
            (Self::Service(name, percent), _) => {
                let (index, total) = place;
                is_host(name, host) && is_within(index, total, *percent)
            }
            (Self::Region(region), _) => endpoint.locality().locality().region() == region,
            (Self::Zone(region, zone), _) => {
                let locality: &Locality = endpoint.locality().locality();
                locality.region() == region && locality.zone() == zone
            }
            (Self::Cluster(name), Target::Direct(e) | Target::Tunnel(e)) => {
                e.workload.cluster == name.as_str()
            }
            (Self::Cluster(name), Target::Gateway(g) | Target::DoubleTunnel(g)) => {
                g.cluster == name.as_str()
            }
            (Self::Network(name), Target::Direct(e) | Target::Tunnel(e)) => {
                e.workload.network == name.as_str()
            }
            (Self::Network(name), Target::Gateway(g) | Target::DoubleTunnel(g)) => {
                g.network == name.as_str()
            }
            (Self::Gateway(address), Target::Gateway(_) | Target::DoubleTunnel(_))
            | (Self::Endpoint(address), Target::Direct(_) | Target::Tunnel(_)) => {
                is_address(address, endpoint)
            }
            (Self::Gateway(_), Target::Direct(_) | Target::Tunnel(_))
            | (Self::Endpoint(_), Target::Gateway(_) | Target::DoubleTunnel(_)) => false,
        }
    }
}

/// A host by its full name, or by the beginning that people type.
fn is_host(typed: &str, host: &str) -> bool {
    host == typed || host.strip_prefix(typed).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a place is among the first percent of all, rounded to the nearest.
fn is_within(index: usize, total: usize, percent: f64) -> bool {
    let (Ok(index), Ok(total)) = (u32::try_from(index), u32::try_from(total)) else { return false };
    f64::from(index) < (f64::from(total) * percent / 100.0).round()
}

fn is_address(typed: &str, endpoint: AssignedEndpoint<'_>) -> bool {
    let target = endpoint.target();
    let address = target.address().to_string();
    address == typed || format!("{address}:{}", target.port()) == typed
}

/// The health of an endpoint when what is selected has failed.
pub(crate) fn health(
    selectors: &[Selector],
    endpoint: AssignedEndpoint<'_>,
    host: &str,
    place: (usize, usize),
) -> HealthStatus {
    if selectors.iter().any(|selector| selector.selects(endpoint, host, place)) {
        HealthStatus::Unhealthy
    } else {
        endpoint.health()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_and_nonsense_is_refused() {
        assert_eq!("zone=eu/a".parse(), Ok(Selector::Zone("eu".to_owned(), "a".to_owned())));
        assert_eq!(
            "service=cart.shop,30%".parse(),
            Ok(Selector::Service("cart.shop".to_owned(), 30.0))
        );
        for text in ["", "eu", "region=", "zone=a", "planet=earth", "service=a,200%"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_service_is_rounded() {
        assert!(is_within(0, 3, 30.0) && !is_within(1, 3, 30.0));
        assert!(!is_within(0, 3, 0.0) && is_within(2, 3, 100.0));
    }
}
