//! The plan of one destination: endpoints, shares, reasons, and the ladder of failover.
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Discovery, Excess};
use mesh_lb::load::{DataPlane, OnPanic};
use mesh_lb::share::{Shares, Spread};
use mesh_lb::whatif::{self, Outcome, Scenario};
use mesh_lb::{Balancer, BalancerPolicy, LocalCluster};
use mesh_model::endpoint::HealthStatus;
use mesh_model::name::Locality;
use mesh_model::registry::Absences;
use mesh_model::resource::destination_rule::{HashAlgorithm, LbPolicy, SimpleLb};
use mesh_model::view::{Destination, ProxyView};
use mesh_xds_gen::name::ClusterName;
use serde_json::{Value, json};

use super::endpoint::{Dropped, PlannedEndpoint, asked_for, endpoints};
use crate::json;

/// Which clusters of a proxy are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Those for requests of its own.
    Own,
    /// Those that it passes mutual TLS through to.
    PassedThrough,
}

impl Mode {
    /// Whether a destination has such a cluster: mutual TLS is passed through inside the mesh alone.
    pub(crate) fn has(self, destination: &Destination<'_>) -> bool {
        self == Self::Own || !destination.service.mesh_external
    }

    fn form(self, destination: &Destination<'_>) -> ClusterForm {
        let resolution = destination.service.resolution;
        match self {
            Self::Own => ClusterForm::of(resolution),
            Self::PassedThrough => ClusterForm::sni_dnat_of(resolution),
        }
    }
}

/// Where the traffic of one destination goes.
#[derive(Debug)]
pub(crate) struct Plan<'m> {
    pub(crate) destination: Destination<'m>,
    pub(crate) mode: Mode,
    pub(crate) discovery: Discovery,
    pub(crate) spread: Spread,
    pub(crate) shares: Shares,
    pub(crate) localities: Vec<PlannedLocality>,
    /// By priority, locality, address and port.
    pub(crate) endpoints: Vec<PlannedEndpoint>,
    pub(crate) dropped: Vec<Dropped>,
    /// The arithmetic, if it is asked for.
    pub(crate) steps: Option<Vec<String>>,
    assignment: Assignment,
    /// Whether there is one among the endpoints that the proxy takes for healthy and that does not answer.
    has_silent: bool,
    /// For what weights the proxy refuses all endpoints.
    excess: Option<Excess>,
}

/// One locality of one priority.
#[derive(Debug)]
pub(crate) struct PlannedLocality {
    pub(crate) locality: Locality,
    pub(crate) priority: u32,
    pub(crate) weight: Option<u32>,
    pub(crate) share: f64,
}

impl<'m> Plan<'m> {
    pub(crate) fn new(
        (view, mode): (&ProxyView<'m>, Mode),
        destination: Destination<'m>,
        unhealthy: &Scenario,
        absences: &Absences<'_>,
    ) -> Self {
        let outcome = unhealthy.outcome_of_form(view, &destination, mode.form(&destination));
        let has_silent = has_silent(&outcome);
        let Outcome { assignment, discovery, spread, shares, .. } = outcome;
        let mut localities: Vec<PlannedLocality> = assignment
            .localities()
            .zip(shares.localities())
            .map(|(locality, share)| PlannedLocality {
                locality: locality.locality().clone(),
                priority: locality.priority(),
                weight: locality.weight(),
                share: *share,
            })
            .collect();
        let explanation = assignment.explain_to(view, &destination);
        let mut endpoints =
            endpoints((&assignment, spread.one_host_an_address), &shares, explanation);
        let mut dropped: Vec<Dropped> = Vec::new();
        if discovery.picks() {
            dropped.extend(assignment.dropped().map(Dropped::of));
        } else {
            (endpoints, dropped) = asked_for(&assignment, &view.proxy().network);
            localities.clear();
        }
        let absent = absences.of(view.plane(), &destination.service, &destination.port);
        dropped.extend(absent.iter().map(Dropped::absent));
        dropped.sort_by(|a, b| a.key().cmp(&b.key()));
        let steps = None;
        let excess = discovery.picks().then(|| assignment.excess(view, &destination)).flatten();
        Self {
            destination,
            mode,
            discovery,
            spread,
            shares,
            localities,
            endpoints,
            dropped,
            steps,
            assignment,
            has_silent,
            excess,
        }
    }

    /// Adds the arithmetic; `callers` are those of the proxy's own workload, if it knows them.
    pub(crate) fn explain(&mut self, view: &ProxyView<'_>, callers: Option<&Arc<LocalCluster>>) {
        if !self.discovery.picks() {
            self.steps = Some(Vec::new());
            return;
        }
        let mut steps = self.assignment.explain_shares(&self.spread, &self.shares);
        let zones = callers.and_then(|callers| {
            let policy = BalancerPolicy::of(view, &self.destination);
            let balancer = Balancer::new(&self.assignment, &policy);
            balancer.with_local_cluster(Arc::clone(callers), 0).explain_zones()
        });
        if let Some(zones) = zones {
            steps.extend(zones);
            steps.push("the shares of endpoints here do not count zones".to_owned());
        }
        self.steps = Some(steps);
    }

    /// What plans are sorted by.
    pub(crate) fn key(&self) -> (&str, u16, &str) {
        let destination = &self.destination;
        (destination.service.hostname.as_str(), destination.port.number, &destination.subset)
    }

    /// `outbound|PORT|SUBSET|HOST`, or `outbound_.PORT_.SUBSET_.HOST` where mutual TLS is passed through.
    pub(crate) fn cluster_name(&self) -> String {
        let (host, port, subset) = self.key();
        let name = ClusterName::outbound(port, subset, host);
        match self.mode {
            Mode::Own => name.to_string(),
            Mode::PassedThrough => name.sni().to_string(),
        }
    }

    /// Whether the client ejects: gRPC's are sent no outlier detection, and fail over by what they can connect
    /// to alone.
    pub(crate) fn has_outlier_detection(&self) -> bool {
        if self.is_grpc() {
            return false;
        }
        let policy = self.destination.cluster_policy.as_deref();
        policy.is_some_and(|policy| policy.outlier_detection.is_some())
    }

    fn is_grpc(&self) -> bool {
        self.spread.data_plane == DataPlane::Grpc
    }

    /// What the cluster has of outlier detection, in words.
    pub(crate) fn outlier_detection(&self) -> &'static str {
        let by_rule = self.destination.policy.as_deref();
        let is_by_rule = by_rule.is_some_and(|policy| policy.outlier_detection.is_some());
        match (self.has_outlier_detection(), is_by_rule) {
            (true, true) => "outlier detection",
            (true, false) => "outlier detection of the mesh's default",
            (false, _) => "no outlier detection",
        }
    }

    /// How the cluster finds its endpoints.
    pub(crate) const fn kind(&self) -> &'static str {
        self.discovery.as_str()
    }

    /// The balancer of the cluster.
    pub(crate) fn lb(&self) -> &'static str {
        if !self.discovery.picks() {
            return "CLUSTER_PROVIDED";
        }
        let policy = self.destination.cluster_policy.as_deref();
        let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
        match settings.and_then(|settings| settings.policy.as_ref()) {
            // gRPC's clients are sent no other ones.
            Some(LbPolicy::Simple(SimpleLb::LeastRequest)) if self.is_grpc() => "LEAST_REQUEST",
            Some(LbPolicy::Simple(_) | LbPolicy::BackendUtilization(_)) | None
                if self.is_grpc() =>
            {
                "ROUND_ROBIN"
            }
            Some(LbPolicy::ConsistentHash(hash)) => match &hash.algorithm {
                Some(HashAlgorithm::Maglev(_)) => "MAGLEV",
                Some(HashAlgorithm::RingHash(_)) | None => "RING_HASH",
            },
            Some(LbPolicy::Simple(SimpleLb::RoundRobin)) => "ROUND_ROBIN",
            Some(LbPolicy::Simple(SimpleLb::Random)) => "RANDOM",
            Some(LbPolicy::Simple(SimpleLb::Passthrough)) => "CLUSTER_PROVIDED",
            Some(LbPolicy::Simple(
                SimpleLb::Unspecified | SimpleLb::LeastConn | SimpleLb::LeastRequest,
            ))
            | Some(LbPolicy::BackendUtilization(_))
            | None => "LEAST_REQUEST",
        }
    }

    /// Why the proxy picks no endpoint, or none that answers, where that is so.
    pub(crate) fn emptiness(&self) -> Option<(&'static str, String)> {
        if let Some(excess) = &self.excess {
            return Some(("refused_weights", refused(excess)));
        }
        match self.discovery {
            Discovery::OriginalDestination => {
                let text = "the address that the client asked for is dialled".to_owned();
                return Some(("original_destination", text));
            }
            Discovery::DynamicForwardProxy => {
                let text = "the host that the client asked for is looked up".to_owned();
                return Some(("dynamic_dns", text));
            }
            Discovery::Alias => return Some(("alias", self.alias())),
            _ if !self.endpoints.is_empty() => return self.sickness().or_else(|| self.loss()),
            Discovery::Eds | Discovery::StrictDns | Discovery::LogicalDns => {}
        }
        let (host, _, subset) = self.key();
        let count = self.dropped.len();
        let is_outside = |one: &Dropped| one.code == "not_in_subset";
        let (code, text) = if count == 0 {
            ("no_endpoints", format!("no cluster has an endpoint of `{host}`"))
        } else if !subset.is_empty() && self.dropped.iter().all(is_outside) {
            let has = match count {
                1 => "its only endpoint lacks".to_owned(),
                count => format!("none of {count} endpoints has"),
            };
            ("empty_subset", format!("{has} the labels of subset `{subset}`"))
        } else {
            let text = match count {
                1 => "its only endpoint is left out".to_owned(),
                count => format!("all {count} endpoints are left out, each for its reason"),
            };
            ("all_left_out", text)
        };
        Some((code, format!("{text}: every request fails")))
    }

    /// Where requests to another name of a service go.
    fn alias(&self) -> String {
        let service = &self.destination.service;
        let (host, of) = (service.hostname.as_str(), service.alias_of.as_ref());
        let of = of.map_or_else(|| "another host".to_owned(), |of| format!("`{of}`"));
        format!(
            "`{host}` is another name of {of}: there is no cluster of its own, see that of {of}"
        )
    }

    /// What part of the requests is not answered, and why, where others are.
    fn loss(&self) -> Option<(&'static str, String)> {
        let lost = 100.0 - self.shares.endpoints().iter().sum::<f64>();
        let panics = self.shares.load().levels().iter().any(|level| level.panic);
        let why = match self.spread.on_panic {
            OnPanic::Fail if panics => "in panic a priority fails its traffic",
            OnPanic::Send if panics => "in panic Envoy sends to what does not answer, too",
            OnPanic::Fail | OnPanic::Send => {
                "they go on to what does not answer, and nothing ejects it"
            }
        };
        (lost > 0.005).then(|| ("partly_lost", format!("{lost:.2}% of the requests fail: {why}")))
    }

    /// Why none of the endpoints answers, where that is so.
    fn sickness(&self) -> Option<(&'static str, String)> {
        if self.shares.is_reachable() {
            return None;
        }
        let is_healthy = |one: &&PlannedEndpoint| one.health_word() == "healthy";
        let healthy = self.endpoints.iter().filter(is_healthy).count();
        if self.has_silent {
            let (code, text) = match healthy {
                0 => {
                    ("none_answers", "nobody answers at any of its endpoints, each for its reason")
                }
                _ => (
                    "sent_to_silence",
                    "all goes to what does not answer, and nothing ejects it; those that would answer get \
                     nothing",
                ),
            };
            return Some((code, format!("{text}: every request fails")));
        }
        let panics = self.shares.load().levels().iter().any(|level| level.panic);
        let (code, text) = match (healthy, self.endpoints.len()) {
            (healthy, count) if healthy > 0 && !panics => (
                "rounded_to_nothing",
                format!(
                    "{healthy} of its {count} endpoints are healthy, which Envoy rounds down to no load"
                ),
            ),
            (0, 1) => ("none_healthy", "its only endpoint is not healthy".to_owned()),
            (0, count) => ("none_healthy", format!("none of its {count} endpoints is healthy")),
            (healthy, count) => (
                "fails_in_panic",
                format!("{healthy} of its {count} endpoints are healthy, too few not to panic"),
            ),
        };
        Some((code, format!("{text}: every request fails")))
    }

    /// The load of each priority for each healthy share of the first one, the others unchanged.
    pub(crate) fn ladder(&self) -> [(u32, Vec<u32>); 5] {
        whatif::ladder(&self.spread, &self.shares)
    }

    /// Whether nothing answers while that share of the first priority is healthy, in percent, the others
    /// unchanged; the load of Envoy is then 100 for the first one, which has no host to take it.
    pub(crate) fn fails_at(&self, healthy: u32) -> bool {
        let mut levels = self.shares.hosts().iter();
        let is_fit = levels.next().is_some_and(|first| healthy > 0 && first.total > first.excluded);
        let panics = self.spread.panic_threshold.get() > 0 && self.spread.on_panic == OnPanic::Send;
        !is_fit && !panics && levels.all(|level| !level.is_available())
    }

    pub(crate) fn to_json(&self) -> Value {
        let (host, port, subset) = self.key();
        let load = self.shares.load().levels();
        let priorities: Vec<Value> = (0_u32..)
            .zip(load)
            .map(|(priority, level)| {
                let of_level = self.localities.iter().filter(|l| l.priority == priority);
                json!({
                    "priority": priority,
                    "load": level.healthy_load.get(),
                    "panic": level.panic,
                    "localities": of_level.map(PlannedLocality::to_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        let ladder = self.ladder().into_iter();
        let mut answer = json!({
            "host": host,
            "port": port,
            "subset": subset,
            "cluster_name": self.cluster_name(),
            "type": self.kind(),
            "lb": self.lb(),
            "outlier_detection": self.has_outlier_detection(),
            "panic_threshold": self.spread.panic_threshold.get(),
            "priorities": priorities,
            "endpoints": self.endpoints.iter().map(PlannedEndpoint::to_json).collect::<Vec<_>>(),
            "dropped": self.dropped.iter().map(Dropped::to_json).collect::<Vec<_>>(),
            "reason": self.emptiness().map(|(code, text)| json!({"code": code, "text": text})),
            "ladder": ladder
                .map(|(healthy, loads)| {
                    json!({"healthy": healthy, "loads": loads, "fails": self.fails_at(healthy)})
                })
                .collect::<Vec<_>>(),
        });
        if let (Some(steps), Some(answer)) = (&self.steps, answer.as_object_mut()) {
            answer.insert("steps".to_owned(), json!(steps));
        }
        answer
    }
}

/// What becomes of endpoints that the proxy refuses.
fn refused(excess: &Excess) -> String {
    format!(
        "{}, more than 32 bits hold: the proxy refuses all its endpoints and keeps those that it had before; after a \
         start it has none, and every request fails",
        excess.text()
    )
}

/// Whether the control plane takes an endpoint for healthy that does not answer: a gateway with nothing behind it
/// that is ready, an endpoint that nobody gets to, or one of which no health is told.
fn has_silent(outcome: &Outcome) -> bool {
    let is_fit = |health| matches!(health, HealthStatus::Unknown | HealthStatus::Healthy);
    let mut endpoints = outcome.assignment.endpoints().enumerate();
    endpoints.any(|(index, endpoint)| {
        is_fit(endpoint.health()) && outcome.shares.health(index) == Some(HealthStatus::Unhealthy)
    })
}

impl PlannedLocality {
    fn to_json(&self) -> Value {
        json!({
            "locality": json::locality(&self.locality),
            "weight": self.weight,
            "share": self.share,
        })
    }
}
