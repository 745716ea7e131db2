//! Why, in words: computed only when somebody asks.
use std::collections::BTreeMap;
use std::fmt;

use mesh_model::endpoint::{Address, Endpoint, HealthStatus};
use mesh_model::name::{Locality, NetworkId};
use mesh_model::resource::destination_rule::Distribute;

use super::{
    AssignedEndpoint, AssignedLocality, Assignment, DropReason, Equal, LabelMatch, Nearness,
    Overflow, Reason, Target, distribute,
};

/// Why endpoints are where they are and why others are absent.
///
/// Printed, it is a line an endpoint: priority, locality, weight, address, how it is reached and the
/// reasons.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// The endpoints in use by priority, then in the order of the assignment.
    pub used: Vec<Used<'a>>,
    /// The endpoints that serve the port and are not used.
    pub unused: Vec<Unused<'a>>,
}

/// Why an endpoint is where it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Used<'a> {
    /// The endpoint.
    pub endpoint: AssignedEndpoint<'a>,
    /// Why it has its priority and its locality's weight, then how it is reached where that is not
    /// directly, then what else was changed.
    pub reasons: Vec<Said>,
}

/// Why an endpoint is not used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unused<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The first rule that it fails.
    pub reason: DropReason,
}

/// A reason: a code that stays the same over versions, and a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Said {
    /// The code, in snake case.
    pub code: &'static str,
    /// The sentence, in lower case and without a final period.
    pub text: String,
}

impl Said {
    /// A reason of the caller's own.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Whether it is about nothing but the weight.
    pub fn is_about_weight(&self) -> bool {
        matches!(self.code, "weight" | "weight_scaled" | "gateway_weight")
    }
}

impl<'a> Explanation<'a> {
    pub(super) fn new(assignment: &'a Assignment, wanted: Wanted<'_>) -> Self {
        let client = (assignment.client(), wanted);
        let told = Told::of(assignment);
        let mut used: Vec<_> = assignment
            .localities()
            .flat_map(|locality| {
                let overflow = locality.overflow().map(|found| locality_overflow(locality, found));
                let again = told.again(locality, wanted.is_grpc);
                locality.endpoints().map(move |endpoint| {
                    let mut reasons = reasons(endpoint, client);
                    reasons.extend(overflow.clone());
                    reasons.extend(again.clone());
                    Used { endpoint, reasons }
                })
            })
            .collect();
        used.sort_by_key(|used| used.endpoint.locality().priority());
        let unused = assignment.dropped().map(|(endpoint, reason)| Unused { endpoint, reason });
        Self { used, unused: unused.collect() }
    }
}

/// How often each locality is told in a priority, and the weight that is told last.
#[derive(Debug, Default)]
struct Told<'a>(BTreeMap<(&'a Locality, u32), (usize, Option<u32>)>);

impl<'a> Told<'a> {
    fn of(assignment: &'a Assignment) -> Self {
        let mut told = Self::default();
        for locality in assignment.localities() {
            let key = (locality.locality(), locality.priority());
            let (times, last) = told.0.entry(key).or_default();
            (*times, *last) = (*times + 1, locality.weight().or(*last));
        }
        told
    }

    /// That a locality is told several times: their texts are not the same, `r1/z1` and `r1/z1/`, and mean the
    /// same.
    fn again(&self, locality: AssignedLocality<'_>, is_grpc: bool) -> Option<Said> {
        let place = locality.locality();
        let (times, last) = self.0.get(&(place, locality.priority()))?;
        if *times < 2 {
            return None;
        }
        let refused =
            "a gRPC client refuses a priority that has a locality twice, and with it all endpoints";
        let what = match last {
            _ if is_grpc => refused.to_owned(),
            Some(weight) => format!(
                "Envoy takes them for one; where localities are weighted, that has the weight told last, {weight}"
            ),
            None => "Envoy takes them for one".to_owned(),
        };
        let text = format!(
            "its endpoints write {} in {times} ways, and istiod tells it as often: {what}",
            named(place)
        );
        Some(Said::new("locality_told_again", text))
    }
}

/// The labels that rank endpoints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'c> {
    /// What asks for them.
    pub(super) list: &'c str,
    /// The labels with the values that they must have; none where they are not known.
    pub(super) labels: &'c [(&'c str, &'c str)],
    /// Whether the cluster has outlier detection, be it by the mesh's default alone.
    pub(super) ejects: bool,
    /// The entry of `distribute` for the client, where it is known.
    pub(super) distribute: Option<&'c Distribute>,
    /// Whether gateways are known to have no labels of the endpoints behind them.
    pub(super) is_blind_behind: bool,
    /// Whether the client is known to be one of gRPC, without a proxy.
    pub(super) is_grpc: bool,
    /// Whether the control plane resolves the names of gateways.
    pub(super) resolves_gateways: bool,
    /// The client's network; none where it is not known.
    pub(super) network: Option<&'c NetworkId>,
}

/// The client's locality, and the labels that rank endpoints.
type Client<'c> = (&'c Locality, Wanted<'c>);

fn reasons(endpoint: AssignedEndpoint<'_>, client: Client<'_>) -> Vec<Said> {
    let mut reasons = vec![ranked(endpoint, client)];
    reasons.extend(reached(endpoint));
    reasons.extend(resolved(endpoint, client.1.resolves_gateways));
    reasons.extend(out_of_reach(endpoint, client.1.network));
    reasons.extend(weighed(endpoint));
    reasons.extend(endpoint.overflow().map(|found| overflow(endpoint, found)));
    let is_sent_draining = endpoint.health() == HealthStatus::Draining;
    match endpoint.target() {
        Target::Direct(source) | Target::Tunnel(source) if is_sent_draining => {
            let text = if source.health == HealthStatus::Draining {
                "it is draining and the service keeps sessions"
            } else {
                "its label makes it drain and the service keeps sessions"
            };
            reasons.push(Said { code: "draining_with_sessions", text: text.to_owned() });
        }
        Target::Direct(_) | Target::Tunnel(_) | Target::Gateway(_) | Target::DoubleTunnel(_) => {}
    }
    reasons
}

/// What the mesh's default does and does not.
const NOT_RANKED_BY: &str = "outlier detection is the mesh's defaultTrafficPolicy alone: the cluster ejects \
                             by it, but priorities look at DestinationRules only, so all are 0";

fn ranked(endpoint: AssignedEndpoint<'_>, (client, wanted): Client<'_>) -> Said {
    let locality = endpoint.locality();
    let reason = locality.reason();
    let text = match reason {
        Reason::Equal(Equal::NoOutlierDetection) if wanted.ejects => {
            return Said::new("outlier_detection_of_mesh_default", NOT_RANKED_BY);
        }
        Reason::Equal(why) => why.text().to_owned(),
        Reason::Distributed { share, .. } => distributed(locality, share, (client, wanted)),
        Reason::Undistributed => DropReason::Undistributed.text().to_owned(),
        Reason::Near(nearness) => near(nearness, locality.locality(), client),
        Reason::Labels { labels, then } => {
            let blind = if is_blind(endpoint, labels, wanted) { BLIND_BEHIND } else { "" };
            let near = then.map(|nearness| near(nearness, locality.locality(), client));
            let near = near.map(|near| format!(", then {near}")).unwrap_or_default();
            format!("{}{blind}{near}", matched(labels, wanted))
        }
    };
    Said { code: reason.code(), text }
}

/// Which key of `distribute` a locality's weight comes from, and how much of it is the locality's.
fn distributed(locality: AssignedLocality<'_>, share: u32, (client, wanted): Client<'_>) -> String {
    let place = locality.locality();
    let key = wanted.distribute.and_then(|entry| distribute::key_for(place, entry));
    let Some(key) = key else {
        let place = named(place);
        return format!(
            "distribute gives {share} percent to localities like {place} for a client in {}",
            named(client)
        );
    };
    let own = match locality.weight() {
        Some(weight) if weight != share => format!(", of which {weight} is this locality's"),
        Some(_) | None => String::new(),
    };
    format!("distribute gives {share} percent to `{key}` for a client in {}{own}", named(client))
}

/// Why a gateway matches no more labels.
const BLIND_BEHIND: &str = " (a gateway has the labels of its network and cluster alone, whatever those behind it \
                            have: istio/istio#49500)";

/// Whether a list of labels ended at one that endpoints behind a gateway may have.
fn is_blind(endpoint: AssignedEndpoint<'_>, labels: LabelMatch, wanted: Wanted<'_>) -> bool {
    let is_gateway = matches!(endpoint.target(), Target::Gateway(_) | Target::DoubleTunnel(_));
    let missed = usize::try_from(labels.matched).ok().and_then(|at| wanted.labels.get(at));
    let is_its_own =
        |label: &str| matches!(label, "topology.istio.io/network" | "topology.istio.io/cluster");
    wanted.is_blind_behind && is_gateway && missed.is_some_and(|(label, _)| !is_its_own(label))
}

/// A locality in words.
fn named(locality: &Locality) -> String {
    if locality.is_empty() { "an unknown place".to_owned() } else { format!("`{locality}`") }
}

/// A region in words.
fn region(locality: &Locality) -> String {
    match locality.region() {
        "" => "an unknown region".to_owned(),
        region => format!("region `{region}`"),
    }
}

fn near(nearness: Nearness, locality: &Locality, client: &Locality) -> String {
    match nearness {
        Nearness::SameSubZone if client.is_empty() => {
            "neither it nor the client says where it is, which counts as the same place".to_owned()
        }
        Nearness::SameSubZone => {
            format!("same region, zone and sub-zone as the client, `{client}`")
        }
        Nearness::SameZone => format!(
            "same zone `{}/{}` as the client, another sub-zone",
            client.region(),
            client.zone()
        ),
        // Only zone-aware load balancing ranks so what is in the client's zone.
        Nearness::SameRegion if locality.zone() == client.zone() => format!(
            "same region `{}` as the client; zone-aware load balancing ranks by nothing finer",
            client.region()
        ),
        Nearness::SameRegion => {
            format!("same region `{}` as the client, another zone", client.region())
        }
        Nearness::FailoverTarget => {
            format!("{}, to which {} fails over", region(locality), region(client))
        }
        Nearness::OtherRegion => {
            format!("in {}, the client in {}", region(locality), region(client))
        }
    }
}

/// Which labels match, and which is the first that does not.
fn matched(labels: LabelMatch, Wanted { list, labels: wanted, .. }: Wanted<'_>) -> String {
    let LabelMatch { matched, of, is_other_network } = labels;
    if wanted.is_empty() {
        return if is_other_network {
            let (matched, of) = (matched.saturating_sub(1), of.saturating_sub(1));
            format!("another network; of {list} {matched} of {of} further labels match")
        } else {
            format!("of {list} {matched} of {of} labels match")
        };
    }
    let count = usize::try_from(matched).unwrap_or(usize::MAX);
    let pair = |(label, value): &(&str, &str)| match *value {
        "" => format!("`{label}` (absent)"),
        value => format!("`{label}={value}`"),
    };
    let skipped = usize::from(is_other_network);
    let met: Vec<String> = wanted.iter().take(count).skip(skipped).map(pair).collect();
    let met = match met.as_slice() {
        [] => format!("no label of {list} matches"),
        met => format!("of {list} {} match", met.join(", ")),
    };
    let missed =
        wanted.get(count).map(|one| format!("; {} does not, which ends the list", pair(one)));
    let network =
        if is_other_network { "another network, so after all of the client's own; " } else { "" };
    format!("{network}{met}{}", missed.unwrap_or_default())
}

/// Why the weight is not 1, where it is not.
fn weighed(endpoint: AssignedEndpoint<'_>) -> Option<Said> {
    let weight = endpoint.weight();
    let (code, text) = match endpoint.target() {
        Target::Direct(own) | Target::Tunnel(own) if own.effective_weight() != weight => (
            "weight_scaled",
            format!(
                "weight {weight} for its own {}: all are multiplied so that gateways can divide theirs",
                own.effective_weight()
            ),
        ),
        Target::Direct(_) | Target::Tunnel(_) if weight == u32::MAX => {
            ("weight", format!("weight {weight} is its own, and as high as weights go"))
        }
        Target::Direct(_) | Target::Tunnel(_) if weight != 1 => {
            ("weight", format!("weight {weight} is its own"))
        }
        Target::Direct(_) | Target::Tunnel(_) => return None,
        Target::Gateway(_) | Target::DoubleTunnel(_) => {
            let behind = endpoint.fronts().map(|front| u64::from(front.effective_weight()));
            let sum: u64 = behind.sum();
            ("gateway_weight", format!("weight {weight} for {sum} behind it"))
        }
    };
    Some(Said { code, text })
}

/// That a weight is not what it stands for.
fn overflow(endpoint: AssignedEndpoint<'_>, Overflow { exact, weight }: Overflow) -> Said {
    let text = match endpoint.target() {
        Target::Direct(_) | Target::Tunnel(_) => format!(
            "multiplied its weight would be {exact}, which 32 bits do not leave room for: {weight} is as high as \
             weights go"
        ),
        Target::Gateway(_) | Target::DoubleTunnel(_) => format!(
            "its part of the weights behind it is {exact}, which 32 bits do not leave room for: istiod's sum, \
             which wraps, is {weight}"
        ),
    };
    Said::new("weight_overflow", text)
}

/// The same of a locality.
fn locality_overflow(locality: AssignedLocality<'_>, Overflow { exact, weight }: Overflow) -> Said {
    let sum = format!("the weights of its locality sum to {exact}");
    let text = match locality.reason() {
        Reason::Distributed { share, .. } => format!(
            "{sum}; {share} percent of that, or the total of all that share them, is more than 32 bits hold, and \
             {weight} is what istiod's arithmetic leaves"
        ),
        Reason::Equal(_) | Reason::Undistributed | Reason::Near(_) | Reason::Labels { .. } => {
            let how = if weight == u32::MAX { "ends" } else { "wraps" };
            format!("{sum}, more than 32 bits hold: istiod's sum {how} at {weight}")
        }
    };
    Said::new("locality_weight_overflow", text)
}

/// That the client's network has no way to the endpoint's, as far as the mesh is described.
fn out_of_reach(endpoint: AssignedEndpoint<'_>, own: Option<&NetworkId>) -> Option<Said> {
    let (Target::Direct(to) | Target::Tunnel(to)) = endpoint.target() else { return None };
    let (own, network) = (own?, &to.workload.place.network);
    (!network.is_same_or_empty(own)).then(|| {
        let text = format!(
            "its network `{network}` has no gateway for the client, which is in `{own}`: its own address is \
             sent, and nobody gets there from another network"
        );
        Said::new("other_network_without_gateway", text)
    })
}

/// How an endpoint is reached, where that is not simply its address.
fn reached(endpoint: AssignedEndpoint<'_>) -> Option<Said> {
    let (code, gateway) = match endpoint.target() {
        Target::Direct(_) => return None,
        Target::Tunnel(_) => {
            let text = "it accepts HBONE, which is preferred to mutual TLS here".to_owned();
            return Some(Said { code: "tunnel", text });
        }
        Target::Gateway(gateway) => ("gateway", gateway),
        Target::DoubleTunnel(gateway) => ("double_tunnel_gateway", gateway),
    };
    let mut fronts: Vec<(String, usize)> = Vec::new();
    for address in endpoint.fronts().map(Endpoint::shown_address) {
        match fronts.iter_mut().find(|(known, _)| *known == address) {
            Some((_, times)) => *times += 1,
            None => fronts.push((address, 1)),
        }
    }
    let named = fronts.iter().map(|(address, times)| match times {
        1 => address.clone(),
        times => format!("{address} ({times} times)"),
    });
    let text = format!(
        "gateway of network `{}`; stands for {} of its endpoints: {}{}",
        gateway.network,
        fronts.len(),
        named.collect::<Vec<_>>().join(", "),
        unready(endpoint)
    );
    Some(Said { code, text })
}

/// That what is sent is not the name of a gateway.
fn resolved(endpoint: AssignedEndpoint<'_>, is_resolved: bool) -> Option<Said> {
    let target = endpoint.target();
    let is_name = matches!(target, Target::Gateway(gateway) | Target::DoubleTunnel(gateway)
        if matches!(gateway.address, Address::Host(_)));
    (is_resolved && is_name).then(|| {
        let text = format!(
            "the control plane sends the addresses of `{}`, which only it resolves",
            target.address()
        );
        Said::new("gateway_resolved_by_control_plane", text)
    })
}

/// What becomes of the endpoints behind a gateway that are not ready: clients see the gateway alone.
fn unready(endpoint: AssignedEndpoint<'_>) -> String {
    let count = endpoint.fronts().count();
    let is_unready = |front: &&Endpoint| front.health == HealthStatus::Unhealthy;
    match (endpoint.fronts().filter(is_unready).count(), count) {
        (0, _) => String::new(),
        (1, 1) => ", which is not ready, and clients are not told".to_owned(),
        (unready, count) if unready == count => {
            ", none of which is ready, and clients are not told".to_owned()
        }
        (1, _) => ", one of which is not ready, and clients are not told".to_owned(),
        (unready, _) => format!(", {unready} of which are not ready, and clients are not told"),
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Used { endpoint, reasons } in &self.used {
            let (target, locality) = (endpoint.target(), endpoint.locality());
            write!(
                f,
                "P{} {} {}:{} weight {} {}",
                locality.priority(),
                locality.locality(),
                target.address(),
                target.port(),
                endpoint.weight(),
                target.via()
            )?;
            for reason in reasons {
                write!(f, "; {}", reason.text)?;
            }
            writeln!(f)?;
        }
        for Unused { endpoint, reason } in &self.unused {
            writeln!(f, "-- {}:{} {}", endpoint.address, endpoint.port, reason.text())?;
        }
        Ok(())
    }
}
