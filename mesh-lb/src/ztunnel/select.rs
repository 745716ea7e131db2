//! Which workloads of a service a connection may go to, and in what shares.
use super::workload::Workload;
use crate::number::double;

/// How a service prefers workloads.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these four")]
pub enum Mode {
    /// Not at all.
    #[default]
    Unspecified,
    /// Only those that agree in every preference.
    Strict,
    /// Those of the highest rank.
    Failover,
    /// Connections go where they were sent to.
    Passthrough,
}

/// What a source and a workload may agree in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these six")]
#[expect(missing_docs, reason = "the words of the protocol")]
pub enum Scope {
    Network,
    Region,
    Zone,
    SubZone,
    Node,
    Cluster,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "upstream resolves in these two ways")]
pub enum Resolution {
    /// A workload of the service that was asked for.
    #[default]
    Standard,
    /// A waypoint.
    Waypoint,
}

/// The ports of a service or an endpoint: the port of the service and the one of the workload, 0 if
/// each endpoint has its own.
pub type Ports = Vec<(u16, u16)>;

/// A service, as far as balancing looks at it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct Service<'a> {
    /// How it prefers workloads.
    pub mode: Mode,
    /// In what they are to agree with the source, the most important first.
    pub routing_preference: Vec<Scope>,
    /// Its ports.
    pub ports: Ports,
    /// Whether unhealthy endpoints are used too (`ALLOW_ALL`).
    pub allows_unhealthy: bool,
    /// Its endpoints.
    pub endpoints: Vec<ServiceEndpoint<'a>>,
}

/// A workload of a service.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a value of the protocol")]
pub struct ServiceEndpoint<'a> {
    /// The workload; none if it is not known.
    pub workload: Option<&'a Workload>,
    /// The ports of this endpoint.
    pub ports: Ports,
    /// Whether it is healthy.
    pub healthy: bool,
}

/// A workload that a connection may go to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers act on all of it")]
pub struct Candidate<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// How likely it is, in percent.
    pub share: f64,
    /// The port of the workload; if none is known a connection that it is chosen for fails.
    pub port: Option<u16>,
}

fn port(ports: &Ports, asked: u16) -> Option<u16> {
    ports.iter().find(|(service, _)| *service == asked).map(|(_, target)| *target)
}

impl<'a> Service<'a> {
    /// Returns the workloads that a connection of `source` to a port may go to, by their names (where
    /// upstream follows a hash map).
    ///
    /// # Upstream
    ///
    /// ztunnel `src/state.rs`, `ProxyState::load_balance` and `find_upstream_from_service`.
    pub fn candidates(
        &self,
        source: &Workload,
        asked: u16,
        resolution: Resolution,
    ) -> Vec<Candidate<'a>> {
        let usable = self.endpoints.iter().filter_map(|endpoint| {
            let workload = endpoint.workload?;
            let is_fit = endpoint.healthy || self.allows_unhealthy;
            let reachable = workload.is_reachable_from(&source.network);
            let has_port = self.has_port(endpoint, workload, asked, resolution);
            let rank = self.rank(source, workload)?;
            let port = self.target_port(endpoint, workload, asked);
            (is_fit && reachable && has_port).then_some((rank, workload, port))
        });
        let mut usable: Vec<_> = usable.collect();
        usable.sort_by(|a, b| a.1.uid.cmp(&b.1.uid));
        let best = usable.iter().map(|(rank, ..)| *rank).max();
        let chosen = || usable.iter().filter(|(rank, ..)| Some(*rank) == best);
        let capacity = |workload: &Workload| u64::from(workload.capacity.unwrap_or(1));
        let sum: u64 = chosen().map(|(_, workload, _)| capacity(workload)).sum();
        if sum == 0 {
            return Vec::new();
        }
        chosen()
            .map(|&(_, workload, port)| {
                let share = 100.0 * double(capacity(workload)) / double(sum);
                Candidate { workload, share, port }
            })
            .collect()
    }

    fn has_port(
        &self,
        endpoint: &ServiceEndpoint<'_>,
        workload: &Workload,
        asked: u16,
        resolution: Resolution,
    ) -> bool {
        let target = port(&self.ports, asked);
        match resolution {
            Resolution::Standard => {
                target.is_some_and(|port| port != 0)
                    || (target.is_some() && port(&endpoint.ports, asked).is_some())
            }
            Resolution::Waypoint => target.is_some() || workload.application_tunnel.is_some(),
        }
    }

    fn target_port(
        &self,
        endpoint: &ServiceEndpoint<'_>,
        workload: &Workload,
        asked: u16,
    ) -> Option<u16> {
        let tunnel = workload.application_tunnel.and_then(|tunnel| tunnel.port);
        port(&endpoint.ports, asked)
            .or_else(|| port(&self.ports, asked).filter(|port| *port != 0))
            .or_else(|| tunnel.map(|_| asked))
    }

    /// The rank of a workload; none if it is out of the question. Preferences are walked up to the
    /// first in which the two differ. If the first is the network it outweighs all others: it adds
    /// as much as they are if it agrees, and is passed over if it does not.
    fn rank(&self, source: &Workload, workload: &Workload) -> Option<usize> {
        match self.mode {
            Mode::Unspecified => return Some(0),
            Mode::Passthrough => return None,
            Mode::Strict | Mode::Failover => {}
        }
        let preferences = &self.routing_preference;
        let network_first = preferences.first() == Some(&Scope::Network);
        let (mut matched, mut bonus) = (0, 0);
        for scope in preferences {
            let agrees = scope.agrees(source, workload);
            if *scope == Scope::Network && network_first {
                if !agrees {
                    continue;
                }
                bonus = preferences.len() - 1;
            }
            if !agrees {
                break;
            }
            matched += 1;
        }
        let strict = self.mode == Mode::Strict;
        (!strict || matched == preferences.len()).then_some(matched + bonus)
    }
}

impl Scope {
    fn agrees(self, source: &Workload, workload: &Workload) -> bool {
        match self {
            Self::Network => source.network == workload.network,
            Self::Region => source.region == workload.region,
            Self::Zone => source.zone == workload.zone,
            Self::SubZone => source.sub_zone == workload.sub_zone,
            Self::Node => source.node == workload.node,
            Self::Cluster => source.cluster == workload.cluster,
        }
    }
}

/// Returns one of several things by weight; none if all weights are 0. Workloads are drawn so by
/// their capacity, the waypoints of a service by their weight.
pub fn draw(weights: impl Iterator<Item = u32> + Clone, random: u64) -> Option<usize> {
    let sum: u64 = weights.clone().map(u64::from).sum();
    let mut left = random.checked_rem(sum)?;
    weights.map(u64::from).position(|weight| {
        let found = left < weight;
        left = left.saturating_sub(weight);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks of workloads `NETWORK/REGION/ZONE` for a source `n/r/z`.
    fn check(mode: Mode, preferences: &[Scope], workloads: &[&str], expected: &[Option<usize>]) {
        let workload = |text: &str| {
            let parts: Vec<&str> = text.split('/').collect();
            Workload {
                network: parts[0].into(),
                region: parts[1].into(),
                zone: parts[2].into(),
                ..Workload::default()
            }
        };
        let routing_preference = preferences.to_vec();
        let service = Service { mode, routing_preference, ..Service::default() };
        let rank = |text: &&str| service.rank(&workload("n/r/z"), &workload(text));
        assert_eq!(workloads.iter().map(rank).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_network_in_first_place_outweighs_all_others() {
        use Scope::{Network, Region, Zone};
        let workloads = ["n/r/z", "n/r/x", "n/x/z", "x/r/z", "x/r/x", "x/x/z"];
        let ranks = [5, 4, 3, 2, 1, 0].map(Some);
        check(Mode::Failover, &[Network, Region, Zone], &workloads, &ranks);
        let strict = [Some(5), None, None, None, None, None];
        check(Mode::Strict, &[Network, Region, Zone], &workloads, &strict);
    }

    #[test]
    fn a_network_elsewhere_is_a_scope_like_others() {
        use Scope::{Network, Region};
        check(
            Mode::Failover,
            &[Region, Network],
            &["n/r/z", "x/r/z", "n/x/z"],
            &[2, 1, 0].map(Some),
        );
    }

    #[test]
    fn things_without_weight_are_never_drawn() {
        let draws = |random| draw([0, 2, 0, 1].into_iter(), random);
        assert_eq!([0, 1, 2, 3].map(draws), [1, 1, 3, 1].map(Some));
        assert_eq!(draw([0, 0].into_iter(), 7), None);
    }
}
