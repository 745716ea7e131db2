//! One endpoint of a plan, and one that is left out.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use mesh_lb::assign::{AssignedEndpoint, Assignment, DropReason, Explanation, Said, Target};
use mesh_lb::share::Shares;
use mesh_model::endpoint::{Address, Endpoint, HealthStatus};
use mesh_model::name::{Locality, NetworkId};
use mesh_model::registry::Absent;
use serde_json::{Value, json};

use crate::json;

/// One endpoint, or a gateway that stands for some.
#[derive(Debug)]
pub(crate) struct PlannedEndpoint {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) via: &'static str,
    pub(crate) workload: Option<String>,
    pub(crate) cluster: String,
    pub(crate) network: String,
    pub(crate) locality: Locality,
    pub(crate) health: HealthStatus,
    pub(crate) weight: u32,
    pub(crate) priority: u32,
    pub(crate) share: f64,
    pub(crate) reasons: Vec<Said>,
    pub(crate) fronts: Vec<String>,
}

/// An endpoint that is left out.
#[derive(Debug)]
pub(crate) struct Dropped {
    pub(crate) address: String,
    pub(crate) cluster: String,
    pub(crate) network: String,
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

/// What an assignment sends to, by priority, locality, address and port.
pub(super) fn endpoints(
    (assignment, keeps_first): (&Assignment, bool),
    shares: &Shares,
    explanation: Explanation<'_>,
) -> Vec<PlannedEndpoint> {
    // The explanation is by priority, then in the order of the assignment.
    let mut order: Vec<(u32, usize)> =
        assignment.endpoints().enumerate().map(|(i, e)| (e.locality().priority(), i)).collect();
    order.sort_unstable();
    let repeated = if keeps_first { repeated(assignment) } else { Vec::new() };
    let first_of = |index: usize| repeated.get(index).copied().flatten();
    let mut planned: Vec<PlannedEndpoint> = explanation
        .used
        .into_iter()
        .zip(order)
        .map(|(mut used, (priority, index))| {
            if let Some(first) = first_of(index) {
                let text = why_repeated(first, used.endpoint.target());
                used.reasons.push(Said::new("repeated_address", text));
            }
            let endpoint = used.endpoint;
            let target = endpoint.target();
            let (workload, cluster, network) = match target {
                Target::Direct(e) | Target::Tunnel(e) => {
                    (named(e), &e.workload.place.cluster, &e.workload.place.network)
                }
                Target::Gateway(g) | Target::DoubleTunnel(g) => (None, &g.cluster, &g.network),
            };
            PlannedEndpoint {
                address: target.address().to_string(),
                port: target.port(),
                via: target.via(),
                workload,
                cluster: cluster.to_string(),
                network: network.to_string(),
                locality: endpoint.locality().locality().clone(),
                health: shares.health(index).unwrap_or_else(|| endpoint.health()),
                weight: endpoint.weight(),
                priority,
                share: shares.endpoints().get(index).copied().unwrap_or_default(),
                reasons: used.reasons,
                fronts: endpoint
                    .fronts()
                    .map(|front| host_port(&front.address.to_string(), front.port))
                    .collect(),
            }
        })
        .collect();
    planned.sort_by(|a, b| {
        (a.priority, &a.locality, &a.address, a.port).cmp(&(
            b.priority,
            &b.locality,
            &b.address,
            b.port,
        ))
    });
    planned
}

/// What is known where the proxy keeps the destination that the client asks for: endpoints that it may ask
/// for, and others. Nobody sends the proxy any, so that neither subsets nor health leave one out.
pub(super) fn asked_for(
    assignment: &Assignment,
    own: &NetworkId,
) -> (Vec<PlannedEndpoint>, Vec<Dropped>) {
    let (mut known, mut others) = (Vec::new(), Vec::new());
    let out_of_reach = |endpoint: &Endpoint| Dropped::new(endpoint, "other_network", OUT_OF_REACH);
    let mut add = |endpoint: &Endpoint, reason: Option<DropReason>| match reason {
        Some(DropReason::NoMutualTls | DropReason::NoReachableGateway) => {
            others.push(out_of_reach(endpoint));
        }
        _ if !endpoint.workload.place.network.is_same_or_empty(own) => {
            others.push(out_of_reach(endpoint));
        }
        Some(reason) if !reason.is_of_picking() => others.push(Dropped::of((endpoint, reason))),
        reason => known.push(PlannedEndpoint::asked_for(endpoint, reason)),
    };
    for used in assignment.endpoints() {
        if let Target::Direct(endpoint) | Target::Tunnel(endpoint) = used.target() {
            add(endpoint, None);
        }
    }
    assignment.dropped().for_each(|(endpoint, reason)| add(endpoint, Some(reason)));
    others.extend(assignment.endpoints().flat_map(AssignedEndpoint::fronts).map(out_of_reach));
    known.sort_by(|a, b| (&a.locality, &a.address, a.port).cmp(&(&b.locality, &b.address, b.port)));
    others.sort_by(|a, b| a.key().cmp(&b.key()));
    // Several gateways stand for one endpoint.
    others.dedup_by(|a, b| a.key() == b.key());
    (known, others)
}

/// What is known of an endpoint that clients may ask for.
const ASKED_FOR: &str = "dialled if the client asks for its address";

/// The same where it has not the labels of the subset.
const ASKED_FOR_OUTSIDE: &str = "dialled if the client asks for its address, although its labels are not \
                                 those of the subset: no endpoints are sent, so that none is left out";

/// Why an endpoint behind a gateway is not reached where the client chooses.
const OUT_OF_REACH: &str =
    "the address that the client asked for is dialled as it is, and this one is in another network";

/// Why a host gets nothing that has the address of another one, the first.
fn why_repeated(first: Target<'_>, again: Target<'_>) -> &'static str {
    match (first, again) {
        (
            Target::Direct(first) | Target::Tunnel(first),
            Target::Direct(again) | Target::Tunnel(again),
        ) if (&first.instance, &first.workload) == (&again.instance, &again.workload) => {
            "its ServiceEntry has several addresses, for each of which istiod lists it again; Envoy keeps the \
             first of several hosts with one address, so this one gets nothing"
        }
        (
            Target::Gateway(first) | Target::DoubleTunnel(first),
            Target::Gateway(again) | Target::DoubleTunnel(again),
        ) if first.network != again.network => {
            "one address stands for several networks; Envoy keeps the first of several hosts with one address, \
             so this one gets nothing"
        }
        (_, Target::Gateway(_) | Target::DoubleTunnel(_)) => {
            "Envoy keeps the first of several hosts with one address, so this one gets nothing \
             (istio/istio#56355)"
        }
        (_, Target::Direct(_) | Target::Tunnel(_)) => {
            "Envoy keeps the first of several hosts with one address, so this one gets nothing"
        }
    }
}

/// For each endpoint the first with its address, if that is one before it, in the order of the
/// assignment.
fn repeated(assignment: &Assignment) -> Vec<Option<Target<'_>>> {
    let mut seen = BTreeMap::new();
    let targets = assignment.endpoints().map(|endpoint| endpoint.target());
    let repeated = targets.map(|target| match seen.entry((target.address(), target.port())) {
        Entry::Vacant(place) => {
            place.insert(target);
            None
        }
        Entry::Occupied(first) => Some(*first.get()),
    });
    repeated.collect()
}

fn named(endpoint: &Endpoint) -> Option<String> {
    let Endpoint { instance, workload, .. } = endpoint;
    (!instance.is_empty()).then(|| format!("{}/{instance}", workload.namespace))
}

/// `ADDRESS:PORT`, an IPv6 address in brackets; the address alone where there is no port, as of a Unix
/// socket.
pub(crate) fn host_port(address: &str, port: u16) -> String {
    if port == 0 {
        return address.to_owned();
    }
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

impl PlannedEndpoint {
    /// One that is dialled if a client asks for it, and why it would not be picked.
    fn asked_for(endpoint: &Endpoint, left_out: Option<DropReason>) -> Self {
        let text = match left_out {
            Some(DropReason::Subset) => ASKED_FOR_OUTSIDE,
            _ => ASKED_FOR,
        };
        Self {
            address: endpoint.address.to_string(),
            port: endpoint.port,
            via: "direct",
            workload: named(endpoint),
            cluster: endpoint.workload.place.cluster.to_string(),
            network: endpoint.workload.place.network.to_string(),
            locality: Locality::parse(&endpoint.workload.place.locality),
            health: endpoint.health,
            weight: endpoint.effective_weight(),
            priority: 0,
            share: 0.0,
            reasons: vec![Said::new("original_destination", text)],
            fronts: Vec::new(),
        }
    }

    /// `ADDRESS:PORT` for people; where there is no address, whose it is.
    pub(crate) fn shown(&self) -> String {
        match &self.workload {
            Some(name) if self.address.is_empty() => format!("no address ({name})"),
            None if self.address.is_empty() => "no address".to_owned(),
            _ => host_port(&self.address, self.port),
        }
    }

    pub(crate) fn health_word(&self) -> &'static str {
        match self.health {
            HealthStatus::Unknown | HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy | HealthStatus::Terminating => "unhealthy",
            HealthStatus::Draining => "draining",
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let first = self.reasons.first();
        let text: Vec<&str> = self.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let is_gateway = self.workload.is_none() && !self.fronts.is_empty();
        json!({
            "address": self.address,
            "port": self.port,
            "dial": host_port(&self.address, self.port),
            "via": self.via,
            "workload": self.workload,
            "cluster": self.cluster,
            "network": self.network,
            "locality": json::locality(&self.locality),
            "health": self.health_word(),
            "weight": self.weight,
            "priority": self.priority,
            "share": self.share,
            "fronts": is_gateway.then_some(&self.fronts),
            "reason": {
                "code": first.map_or("", |reason| reason.code),
                "text": text.join("; "),
            },
            "reasons": self
                .reasons
                .iter()
                .map(|reason| json!({"code": reason.code, "text": reason.text}))
                .collect::<Vec<_>>(),
        })
    }
}

impl Dropped {
    /// One that an assignment leaves out.
    pub(super) fn of((endpoint, reason): (&Endpoint, DropReason)) -> Self {
        Self::new(endpoint, reason.code(), reason.text())
    }

    pub(super) fn key(&self) -> (&str, &str) {
        (&self.address, &self.cluster)
    }

    fn new(endpoint: &Endpoint, code: &'static str, text: &str) -> Self {
        Self {
            address: match endpoint.address {
                Address::Unknown => endpoint.shown_address(),
                Address::Ip(_) | Address::Host(_) | Address::Unix(_) => {
                    host_port(&endpoint.address.to_string(), endpoint.port)
                }
            },
            cluster: endpoint.workload.place.cluster.to_string(),
            network: endpoint.workload.place.network.to_string(),
            code,
            text: text.to_owned(),
        }
    }

    /// What stands behind the service and was never an endpoint of it.
    pub(super) fn absent(absent: &Absent) -> Self {
        Self {
            address: host_port(&absent.address.to_string(), absent.port.unwrap_or_default()),
            cluster: absent.cluster.to_string(),
            network: absent.network.to_string(),
            code: absent.reason.code(),
            text: absent.reason.to_string(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "address": self.address,
            "cluster": self.cluster,
            "network": self.network,
            "reason": {"code": self.code, "text": self.text},
        })
    }
}
