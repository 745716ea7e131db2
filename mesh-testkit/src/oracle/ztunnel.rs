//! What a ztunnel does with a connection: who may take it, in what shares, and over which way.

/// A workload, or the source of a connection: places by their scopes.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Network, region, zone, sub-zone, node and cluster.
    pub places: [String; 6],
    /// Whether it has an address or a name.
    pub has_address: bool,
    /// Whether a gateway leads to it.
    pub has_gateway: bool,
    /// What it carries.
    pub capacity: Option<u32>,
    /// Whether it has a tunnel of its own, and whether that names a port.
    pub tunnel: (bool, bool),
}

/// A candidate of a service.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The workload, if it is known.
    pub workload: Option<Workload>,
    /// Its ports: of the service and its own.
    pub ports: Vec<(u16, u16)>,
    /// Whether it is healthy.
    pub is_healthy: bool,
}

/// How the service prefers workloads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Mode {
    /// Not at all.
    Any,
    /// Only by all preferences.
    Strict,
    /// As many as possible.
    Failover,
    /// The service has no workloads of its own.
    Passthrough,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// How it prefers workloads.
    pub mode: Mode,
    /// By which places: indexes of [`Workload::places`].
    pub preferences: Vec<usize>,
    /// Its ports: its own and those of workloads.
    pub ports: Vec<(u16, u16)>,
    /// Whether ill workloads may be used.
    pub takes_ill: bool,
    /// Whether it is looked for as a waypoint.
    pub is_waypoint: bool,
    /// Who it consists of, ascending by name.
    pub candidates: Vec<Candidate>,
}

/// Returns who may take a connection to a port: the place, the capacity and the port. The shares are the
/// capacities out of their sum; nobody is returned if that is 0.
pub fn takers(service: &Service, source: &Workload, asked: u16) -> Vec<(usize, u64, Option<u16>)> {
    let port = |ports: &[(u16, u16)]| ports.iter().find(|port| port.0 == asked).map(|port| port.1);
    let of_service = port(&service.ports);
    let mut left: Vec<(usize, &Workload, &Candidate)> = Vec::new();
    for (place, candidate) in service.candidates.iter().enumerate() {
        if let Some(workload) = &candidate.workload {
            left.push((place, workload, candidate));
        }
    }
    left.retain(|(_, _, candidate)| candidate.is_healthy || service.takes_ill);
    left.retain(|(_, workload, _)| {
        let elsewhere = workload.places.first() != source.places.first();
        workload.has_address || (elsewhere && workload.has_gateway)
    });
    left.retain(|(_, workload, candidate)| match (service.is_waypoint, of_service) {
        (false, None) => false,
        (false, Some(0)) => port(&candidate.ports).is_some(),
        (false, Some(_)) | (true, Some(_)) => true,
        (true, None) => workload.tunnel.0,
    });
    let rank = |workload: &Workload| rank(&service.preferences, source, workload);
    match service.mode {
        Mode::Any => {}
        Mode::Passthrough => left.clear(),
        Mode::Strict => {
            let agrees = |workload: &Workload| {
                service
                    .preferences
                    .iter()
                    .all(|at| workload.places.get(*at) == source.places.get(*at))
            };
            left.retain(|(_, workload, _)| agrees(workload));
        }
        Mode::Failover => {
            let best = left.iter().map(|(_, workload, _)| rank(workload)).max();
            left.retain(|(_, workload, _)| Some(rank(workload)) == best);
        }
    }
    let capacity = |workload: &Workload| u64::from(workload.capacity.unwrap_or(1));
    if left.iter().all(|(_, workload, _)| capacity(workload) == 0) {
        return Vec::new();
    }
    let target = |workload: &Workload, candidate: &Candidate| {
        let tunnelled = (workload.tunnel == (true, true)).then_some(asked);
        port(&candidate.ports).or(of_service.filter(|port| *port > 0)).or(tunnelled)
    };
    left.into_iter()
        .map(|(place, workload, candidate)| {
            (place, capacity(workload), target(workload, candidate))
        })
        .collect()
}

/// How many preferences agree before the first that does not. A network in first place is worth more
/// than all others together, and does not end the count.
fn rank(preferences: &[usize], source: &Workload, workload: &Workload) -> usize {
    let agrees = |at: &&usize| workload.places.get(**at) == source.places.get(**at);
    match preferences {
        [0, others @ ..] => {
            // A second network can only agree if the first one does.
            let rest = others.iter().take_while(agrees).count();
            let worth = if agrees(&&0) { 1 + others.len() } else { 0 };
            rest + worth
        }
        all => all.iter().take_while(agrees).count(),
    }
}

/// Writes out everything that can be drawn, each as often as it weighs, and takes one.
pub fn drawn(weights: &[u8], random: u64) -> Option<usize> {
    let tickets: Vec<usize> = weights
        .iter()
        .enumerate()
        .flat_map(|(place, weight)| (0..*weight).map(move |_| place))
        .collect();
    let ticket = random.checked_rem(u64::try_from(tickets.len()).ok()?)?;
    tickets.get(usize::try_from(ticket).ok()?).copied()
}

/// A service that has an address: its namespace, whether it is canonical, whether only its namespace
/// sees it, and the length of the prefix unless it has just this address.
pub type Bearer<'a> = (&'a str, bool, bool, Option<u8>);

/// Returns the service that a client in a namespace means.
pub fn meant(services: &[Bearer<'_>], client: &str) -> Option<usize> {
    let seen: Vec<(usize, Bearer<'_>)> = services
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, (namespace, _, is_private, _))| !is_private || *namespace == client)
        .collect();
    let exact: Vec<(usize, Bearer<'_>)> =
        seen.iter().copied().filter(|(_, service)| service.3.is_none()).collect();
    let place = |found: Option<&(usize, Bearer<'_>)>| found.map(|(place, _)| *place);
    if !exact.is_empty() {
        let own = exact.iter().find(|(_, service)| service.0 == client);
        let canonical = exact.iter().rfind(|(_, service)| service.1);
        return place(own.or(canonical).or(exact.first()));
    }
    // The one that no other one goes before.
    let goes_before = |one: Bearer<'_>, other: Bearer<'_>| {
        let key = |(namespace, canonical, _, length): Bearer<'_>| {
            (namespace == client, length, canonical)
        };
        key(one) > key(other)
    };
    place(seen.iter().find(|one| !seen.iter().any(|other| goes_before(other.1, one.1))))
}

/// What stands before a service or a workload.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Front {
    /// Nothing.
    Nothing,
    /// A waypoint that nobody finds.
    Lost,
    /// A waypoint that is dialled here.
    Here(String),
    /// A waypoint in another network, and the gateway to it.
    Away(Option<String>),
}

/// A connection, and everything that was found out about it.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where it was sent to.
    pub target: String,
    /// The service that has this address: its name, the port, whether it passes connections through, and
    /// what stands before it.
    pub service: Option<(String, u16, bool, Front)>,
    /// The workload that was chosen.
    pub taker: Option<Taker>,
    /// Whether the caller is what stands before that workload.
    pub from_front: bool,
}

/// The workload that was chosen.
#[derive(Clone, Debug)]
pub struct Taker {
    /// Whether it is in the network of the caller.
    pub is_near: bool,
    /// Whether it speaks through tunnels.
    pub speaks_tunnel: bool,
    /// The address to dial, and whether it is one of IPv6.
    pub address: Option<(String, bool)>,
    /// Its port.
    pub port: u16,
    /// The gateway to it.
    pub gateway: Option<String>,
    /// What stands before it.
    pub front: Front,
}

/// How a connection is made: a word, what is dialled and what is asked for there; or why it is not.
pub type Made = Result<(&'static str, String, String), &'static str>;

/// Returns how a connection is made: of all the rules, each with its whole condition, the only one that
/// holds.
///
/// # Errors
///
/// It is refused.
pub fn made(way: &Way) -> Made {
    let service = way.service.as_ref();
    let of_service = service.map_or(&Front::Nothing, |service| &service.3);
    let asked = service.map(|(name, port, ..)| format!("{name}:{port}"));
    let is_fronted = *of_service != Front::Nothing;
    let near = way.taker.as_ref().filter(|taker| taker.is_near);
    let far = way.taker.as_ref().filter(|taker| !taker.is_near);
    // Its own front counts for a workload that was addressed itself, and not by that front.
    let of_workload = match near {
        Some(taker) if service.is_none() && !way.from_front => &taker.front,
        _ => &Front::Nothing,
    };
    let front = if is_fronted { of_service } else { of_workload };
    let is_open = *front == Front::Nothing;
    let passes = service.is_none_or(|service| service.2);
    let refused = |why| Some(Err(why));
    let gateway = |gateway: &Option<String>| match (&asked, gateway) {
        (None, _) => Err("no service"),
        (Some(_), None) => Err("no destination"),
        (Some(asked), Some(gateway)) => Ok(("gateway", gateway.clone(), asked.clone())),
    };
    let text = |(address, is_six): &(String, bool), port: u16| match is_six {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    };
    let direct = |taker: &Taker| match (&taker.address, taker.speaks_tunnel) {
        (None, _) => Err("no destination"),
        (Some(address), false) => Ok(("direct", text(address, taker.port), String::new())),
        (Some(address), true) => Ok(("direct", text(address, 15008), text(address, taker.port))),
    };
    let rules: [Option<Made>; 7] = [
        (*front == Front::Lost).then_some("no waypoint").and_then(refused),
        match front {
            Front::Here(dial) => Some(Ok(("waypoint", dial.clone(), way.target.clone()))),
            Front::Nothing | Front::Lost | Front::Away(_) => None,
        },
        match front {
            Front::Away(to) => Some(gateway(to)),
            Front::Nothing | Front::Lost | Front::Here(_) => None,
        },
        (is_open && way.taker.is_none() && passes)
            .then(|| Ok(("passthrough", String::new(), String::new()))),
        (is_open && way.taker.is_none() && !passes).then_some("no upstream").and_then(refused),
        far.filter(|_| is_open).map(|taker| gateway(&taker.gateway)),
        near.filter(|_| is_open).map(direct),
    ];
    let mut holding = rules.into_iter().flatten();
    match (holding.next(), holding.next()) {
        (Some(made), None) => made,
        (None, _) | (Some(_), Some(_)) => Err("the rules do not fit each other"),
    }
}

/// Returns the place of the address that is dialled. Of each of `addresses`: whether the connection was
/// sent to it, whether the service admits it, and whether it is of the family of the connection.
pub fn dialled(addresses: &[(bool, bool, bool)]) -> Option<usize> {
    let worth = |(is_asked, is_admitted, is_akin): (bool, bool, bool)| match () {
        () if is_asked => 3,
        () if is_admitted && is_akin => 2,
        () if is_admitted => 1,
        () => 0,
    };
    let best = addresses.iter().copied().map(worth).max().filter(|best| *best > 0)?;
    addresses.iter().position(|address| worth(*address) == best)
}
