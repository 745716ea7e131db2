//! Requests through gateways that forward connections, from a book of all connections ever made.

/// Who sends how much through what.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Clients, one after the other.
    pub clients: usize,
    /// Connections of each to each gateway address.
    pub connections: usize,
    /// Gateway addresses.
    pub gateways: usize,
    /// Endpoints behind them.
    pub backends: usize,
    /// Requests of each client.
    pub requests: usize,
    /// After so many requests a connection is closed; 0: never.
    pub closed_after: usize,
    /// Whether a gateway looks at two endpoints and takes the one with fewer connections, or at one.
    pub looks_at_two: bool,
}

/// A line of the book.
#[derive(Clone, Copy, Debug)]
struct Connection {
    client: usize,
    lane: usize,
    backend: usize,
    /// The requests that it carried.
    requests: usize,
}

/// The requests of each endpoint, and the number of connections. Each client draws a number, which says
/// the lane of its first request; each connection is made with one or two numbers.
pub fn played(setting: &Setting, mut random: impl FnMut() -> u64) -> (Vec<usize>, usize) {
    let mut book: Vec<Connection> = Vec::new();
    let Setting { clients, requests, backends, closed_after, .. } = *setting;
    // A client with more lanes than requests has the first ones only.
    let lanes = (setting.connections * setting.gateways).min(requests);
    for client in 0..clients {
        let first = random();
        if lanes == 0 || backends == 0 {
            continue;
        }
        for request in 0..requests {
            let turn = first.wrapping_add(u64::try_from(request).unwrap_or(0));
            let lane = remainder(turn, lanes);
            let is_open = |line: &Connection| closed_after == 0 || line.requests < closed_after;
            let own = book
                .iter_mut()
                .find(|line| line.client == client && line.lane == lane && is_open(line));
            if let Some(line) = own {
                line.requests += 1;
                continue;
            }
            let load = |backend: usize| {
                book.iter().filter(|line| line.backend == backend && is_open(line)).count()
            };
            let mut backend = remainder(random(), backends);
            if setting.looks_at_two {
                let other = remainder(random(), backends);
                backend = if load(other) < load(backend) { other } else { backend };
            }
            book.push(Connection { client, lane, backend, requests: 1 });
        }
    }
    let of = |backend| {
        book.iter().filter(|line| line.backend == backend).map(|line| line.requests).sum()
    };
    ((0..backends).map(of).collect(), book.len())
}

/// The same without gateways, each client sending to the endpoints in turn: it draws a number, which says
/// where it begins.
pub fn directly(setting: &Setting, mut random: impl FnMut() -> u64) -> (Vec<usize>, usize) {
    let Setting { clients, connections, backends, requests, .. } = *setting;
    let mut book: Vec<(usize, usize)> = Vec::new();
    for client in 0..clients {
        let first = random();
        let turns = (0..requests).filter(|_| backends > 0).map(|request| {
            let turn = first.wrapping_add(u64::try_from(request).unwrap_or(0));
            (client, remainder(turn, backends))
        });
        book.extend(turns);
    }
    let of = |backend| book.iter().filter(|(_, at)| *at == backend).count();
    let requests = (0..backends).map(of).collect();
    book.sort_unstable();
    book.dedup();
    (requests, book.len() * connections)
}

fn remainder(number: u64, of: usize) -> usize {
    let of = u64::try_from(of).unwrap_or(u64::MAX);
    usize::try_from(number % of).unwrap_or(0)
}
