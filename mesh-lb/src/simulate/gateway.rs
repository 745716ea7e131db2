//! Balance through gateways that forward connections.
//!
//! ```text
//! client ─requests in turn─▶ gateway address ─one connection─▶ one endpoint, until it is closed
//! ```
//!
//! An east-west gateway sees TLS, not requests: every request of a connection goes to the endpoint
//! that was picked when the connection was made. Long-lived connections of few clients then leave
//! endpoints idle. More gateway addresses, or a limit of requests a connection, spread better.
use crate::number::{double, index};
use crate::pick::least_request::{ChoiceCount, pick_of_choices};

use super::Seeded;

/// How a gateway picks the endpoint of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what istiod configures for gateways, and the rest")]
pub enum ConnectionPick {
    /// The one of two random endpoints with fewer connections: `LEAST_REQUEST`, the default.
    #[default]
    FewerConnections,
    /// A random one.
    Random,
}

/// The most clients, and the most endpoints, that are played through.
const MANY: u32 = 1_000_000;

/// The most requests that are played through, of all clients together.
const MOST_REQUESTS: u32 = 10_000_000;

/// Who sends how much through what.
///
/// So that each call ends soon, more than 1,000,000 clients or endpoints act as so many, and requests
/// of each client beyond what makes 10,000,000 of all clients are not played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct GatewayScenario {
    /// Client proxies: 10.
    pub clients: u32,
    /// Connections of each to each gateway address, its worker threads: 2.
    pub connections: u32,
    /// Gateway addresses: 1.
    pub gateways: u32,
    /// Endpoints behind them: 10.
    pub backends: u32,
    /// Requests of each client: 1,000.
    pub requests: u32,
    /// The limit of requests a connection (`maxRequestsPerConnection`); 0: none.
    pub max_requests_per_connection: u32,
    /// How gateways pick.
    pub pick: ConnectionPick,
    /// The seed.
    pub seed: u64,
}

impl Default for GatewayScenario {
    fn default() -> Self {
        Self {
            clients: 10,
            connections: 2,
            gateways: 1,
            backends: 10,
            requests: 1_000,
            max_requests_per_connection: 0,
            pick: ConnectionPick::default(),
            seed: 0,
        }
    }
}

impl GatewayScenario {
    /// What is played of it.
    fn bounded(self) -> Self {
        let (clients, backends) = (self.clients.min(MANY), self.backends.min(MANY));
        let requests = self.requests.min(MOST_REQUESTS / clients.max(1));
        Self { clients, backends, requests, ..self }
    }
}

/// How requests spread over endpoints.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Spreading {
    requests: Vec<u64>,
    connections: u64,
}

impl Spreading {
    /// Returns the requests of each endpoint.
    pub fn requests(&self) -> &[u64] {
        &self.requests
    }

    /// Returns how many connections were made.
    pub const fn connections(&self) -> u64 {
        self.connections
    }

    /// Returns how many times the mean the busiest endpoint gets; 0 without requests.
    pub fn busiest(&self) -> f64 {
        let sum: u64 = self.requests.iter().sum();
        let most = self.requests.iter().copied().max().unwrap_or(0);
        let endpoints = u64::try_from(self.requests.len()).unwrap_or(u64::MAX);
        if sum == 0 { 0.0 } else { double(most) * double(endpoints) / double(sum) }
    }

    /// Returns how many endpoints get nothing.
    pub fn idle(&self) -> usize {
        self.requests.iter().filter(|requests| **requests == 0).count()
    }
}

/// Plays the scenario with gateways that pick an endpoint a connection, request by request: a call takes
/// as long as there are requests of all clients, and room for each endpoint;
/// [both are bounded](GatewayScenario).
///
/// # Examples
///
/// Two clients keep all but a few of a hundred endpoints idle; closing connections mends that:
///
/// ```
/// use mesh_lb::simulate::{GatewayScenario, through_gateways};
///
/// let few = GatewayScenario { clients: 2, backends: 100, ..GatewayScenario::default() };
/// assert!(through_gateways(&few).idle() >= 96);
/// let closing = GatewayScenario { max_requests_per_connection: 5, ..few };
/// assert!(through_gateways(&closing).idle() < 5);
/// ```
pub fn through_gateways(scenario: &GatewayScenario) -> Spreading {
    let scenario = &scenario.bounded();
    let mut random = Seeded::new(scenario.seed);
    let backends = usize::try_from(scenario.backends).unwrap_or(0);
    let mut played = Spreading { requests: vec![0; backends], connections: 0 };
    let mut open = vec![0_u64; backends];
    let lanes = scenario.gateways.saturating_mul(scenario.connections);
    // Who sends fewer requests than it may have connections never makes the others.
    let lanes = usize::try_from(lanes.min(scenario.requests)).unwrap_or(0);
    for _ in 0..scenario.clients {
        let mut connections: Vec<Connection> = Vec::new();
        connections.resize_with(lanes, Connection::default);
        let first = random.draw();
        for request in 0..u64::from(scenario.requests) {
            // Requests take turns among gateway addresses and worker threads.
            let turn = index(first.wrapping_add(request), connections.len());
            let Some(connection) = turn.and_then(|turn| connections.get_mut(turn)) else { break };
            connection.send(scenario, &mut random, &mut open, &mut played);
        }
    }
    played
}

/// Plays the scenario without gateways: every request is balanced by the client itself, in turn.
pub fn directly(scenario: &GatewayScenario) -> Spreading {
    let scenario = &scenario.bounded();
    let mut random = Seeded::new(scenario.seed);
    let backends = usize::try_from(scenario.backends).unwrap_or(0);
    let mut played = Spreading { requests: vec![0; backends], connections: 0 };
    for _ in 0..scenario.clients {
        let first = random.draw();
        for request in 0..u64::from(scenario.requests) {
            let turn = index(first.wrapping_add(request), backends);
            if let Some(count) = turn.and_then(|turn| played.requests.get_mut(turn)) {
                *count += 1;
            }
        }
        let pools = scenario.backends.min(scenario.requests);
        let connections = u64::from(pools) * u64::from(scenario.connections);
        played.connections = played.connections.saturating_add(connections);
    }
    played
}

#[derive(Debug, Default)]
struct Connection {
    backend: Option<usize>,
    sent: u32,
}

impl Connection {
    fn send(
        &mut self,
        scenario: &GatewayScenario,
        random: &mut Seeded,
        open: &mut [u64],
        played: &mut Spreading,
    ) {
        if self.backend.is_none() {
            self.backend = pick(scenario.pick, random, open);
            played.connections += u64::from(self.backend.is_some());
            self.sent = 0;
        }
        let Some(backend) = self.backend else { return };
        if let Some(count) = played.requests.get_mut(backend) {
            *count += 1;
        }
        self.sent += 1;
        if self.sent == scenario.max_requests_per_connection {
            self.backend = None;
            if let Some(count) = open.get_mut(backend) {
                *count = count.saturating_sub(1);
            }
        }
    }
}

fn pick(how: ConnectionPick, random: &mut Seeded, open: &mut [u64]) -> Option<usize> {
    let backend = match how {
        ConnectionPick::Random => index(random.draw(), open.len()),
        ConnectionPick::FewerConnections => {
            let active = |backend: usize| open.get(backend).copied().unwrap_or(0);
            pick_of_choices(open.len(), ChoiceCount::default(), active, || random.draw())
        }
    }?;
    *open.get_mut(backend)? += 1;
    Some(backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The busiest endpoint, in terms of the mean.
    fn check(scenario: GatewayScenario, expected: std::ops::Range<f64>) {
        let played = through_gateways(&scenario);
        let all = u64::from(scenario.clients) * u64::from(scenario.requests);
        assert_eq!(played.requests().iter().sum::<u64>(), all);
        let busiest = played.busiest();
        assert!(expected.contains(&busiest), "{busiest}");
    }

    #[test]
    fn clients_that_balance_requests_themselves_are_even() {
        let busiest = directly(&GatewayScenario::default()).busiest();
        assert!((busiest - 1.0).abs() < 0.01, "{busiest}");
    }

    #[test]
    fn few_connections_leave_endpoints_idle() {
        let few = GatewayScenario { clients: 2, backends: 20, ..GatewayScenario::default() };
        check(few, 4.9..20.1);
        assert!(through_gateways(&few).idle() >= 16);
    }

    #[test]
    fn more_gateway_addresses_or_shorter_connections_even_it_out() {
        let few = GatewayScenario { clients: 2, backends: 20, ..GatewayScenario::default() };
        check(GatewayScenario { gateways: 20, ..few }, 1.0..2.6);
        let many = GatewayScenario { requests: 20_000, ..few };
        check(GatewayScenario { max_requests_per_connection: 10, ..many }, 1.0..1.4);
    }

    #[test]
    fn nothing_is_sent_without_gateways_or_endpoints() {
        for scenario in [
            GatewayScenario { gateways: 0, ..GatewayScenario::default() },
            GatewayScenario { backends: 0, ..GatewayScenario::default() },
        ] {
            let played = through_gateways(&scenario);
            assert!(played.busiest() == 0.0 && played.connections() == 0);
        }
    }

    #[test]
    fn a_seed_says_everything() {
        let with = |seed| through_gateways(&GatewayScenario { seed, ..GatewayScenario::default() });
        assert_eq!(with(3), with(3));
        assert_ne!(with(3), with(4));
    }
}
