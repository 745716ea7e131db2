//! What is said of each endpoint that serves the port, before any is compared with another: whether it is used,
//! and how.
use std::sync::Arc;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{
    COMMON_LABELS, Cohort, CohortOf, Endpoint, HealthStatus, Kind, Shard, Shards, SpokenTls,
};
use mesh_model::registry::Resolution;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;

use super::draft::{Batch, Reach, Which};
use super::filter::{Filter, Standing};
use super::run::Form;
use super::{ClusterForm, DropReason, Input, Transport};

/// What is said of a kind of endpoints, or of one by itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Verdict {
    pub(super) batch: Batch,
    /// How many endpoints.
    pub(super) count: u32,
    /// How they are used, or why they are not.
    pub(super) outcome: Result<Form, DropReason>,
    /// The address of their locality's text.
    pub(super) place: usize,
}

/// Verdicts about the endpoints of one service after the other, for one proxy and the gateways and switches of
/// one mesh. Those about the last service are kept: inputs of one port mostly differ in the subset alone.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    shards: Shards,
    /// Of whatever subset, by what they are read from.
    whole: Vec<(Asked, Vec<Verdict>)>,
    subset: Vec<Verdict>,
}

/// What verdicts of whatever subset are read from, beside the endpoints, the proxy, the gateways and the
/// switches.
#[derive(Debug, PartialEq)]
struct Asked {
    form: ClusterForm,
    port: (u16, Arc<str>),
    resolution: Resolution,
    tls_mode: Option<ClientTlsMode>,
    /// Whether the service stays on nodes, in clusters by rule, and in clusters by scope.
    is_local: [bool; 3],
    keeps_sessions: bool,
    keeps_unhealthy: bool,
    looks_at_each: bool,
}

/// Says of the endpoints that serve the port which are used, and how, in the order of the shards.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `snapshotShards`.
pub(super) fn of(input: &Input<'_>) -> Vec<Verdict> {
    let judge = Judge::new(input);
    let mut verdicts = judge.whole();
    if input.subset.is_some() {
        verdicts.iter_mut().for_each(|verdict| *verdict = judge.in_subset(verdict));
    }
    verdicts
}

impl Verdicts {
    /// The same as [`of`], read once of inputs that differ in the subset alone.
    pub(super) fn judge(&mut self, input: &Input<'_>) -> &[Verdict] {
        let judge = Judge::new(input);
        let asked = judge.asked();
        if !self.shards.is_same(input.shards) {
            self.shards = input.shards.clone();
            self.whole.clear();
        }
        let known = self.whole.iter().position(|(of, _)| *of == asked);
        let at = known.unwrap_or_else(|| {
            self.whole.push((asked, judge.whole()));
            self.whole.len() - 1
        });
        let whole = self.whole.get(at).map(|(_, verdicts)| &**verdicts).unwrap_or_default();
        if input.subset.is_none() {
            return whole;
        }
        self.subset.clear();
        self.subset.extend(whole.iter().map(|verdict| judge.in_subset(verdict)));
        &self.subset
    }
}

/// What an input asks of endpoints, read once.
struct Judge<'a> {
    input: &'a Input<'a>,
    filter: Filter<'a>,
    converter: Converter<'a>,
    /// Whether those of a kind may be told apart.
    looks_at_each: bool,
    /// Why none is used, if so.
    skipped: Option<DropReason>,
}

impl<'a> Judge<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let filter = Filter::new(input);
        let (converter, skipped) = (Converter::new(input), filter.whole_service());
        Self { input, filter, converter, looks_at_each: looks_at_each(input), skipped }
    }

    fn asked(&self) -> Asked {
        let Input { service, port, .. } = self.input;
        Asked {
            form: self.input.form,
            port: (port.number, Arc::clone(&port.name)),
            resolution: service.resolution,
            tls_mode: self.input.tls_mode,
            is_local: [
                service.node_local,
                self.input.is_cluster_local,
                self.input.is_ambient_local,
            ],
            keeps_sessions: self.converter.may_drain,
            keeps_unhealthy: self.filter.keeps_unhealthy(),
            looks_at_each: self.looks_at_each,
        }
    }

    /// Why a shard is not used, if so.
    fn skipped(&self, shard: &Shard) -> Option<DropReason> {
        self.skipped.or_else(|| self.filter.shard(shard))
    }

    /// What is said of endpoints of whatever subset.
    fn whole(&self) -> Vec<Verdict> {
        let shards = self.input.shards;
        // Each cohort is read here first, so that one does not wait for the memory of another.
        let kinds = |shard: &Arc<Shard>| -> usize {
            shard.cohorts().map(|of| of.cohort().kinds().len()).sum()
        };
        let mut verdicts = Vec::with_capacity(shards.iter().map(kinds).sum());
        let mut port = Port { filter: &self.filter, last: None };
        let mut origin: Option<Origin<'_>> = None;
        for (shard_index, shard) in (0_u32..).zip(shards.iter()) {
            let skipped = self.skipped(shard);
            let mut is_last_ones = false;
            for (cohort_index, of) in (0_u32..).zip(shard.cohorts()) {
                let cohort = of.cohort();
                is_last_ones &= of.is_of_same_as_before();
                if !port.is_served_by(cohort) {
                    continue;
                }
                // Neighbours are mostly of one cluster, network and namespace.
                if !is_last_ones && origin.as_ref().is_none_or(|origin| !origin.is_of(cohort)) {
                    origin = Some(Origin::new(cohort, &self.filter));
                }
                is_last_ones = true;
                let Some(origin) = &mut origin else { continue };
                let place = cohort.locality().text().as_ptr().addr();
                let mut add = |which, count, outcome| {
                    let batch = Batch { shard: shard_index, cohort: cohort_index, which };
                    verdicts.push(Verdict { batch, count, outcome, place });
                };
                let kinds = cohort.kinds();
                if let Some(reason) = skipped {
                    for (number, kind) in (0..).zip(kinds) {
                        add(Which::Kind(number), kind.len, Err(reason));
                    }
                } else if self.looks_at_each || self.converter.looks_at_each(of, &mut origin.varies)
                {
                    for ((place, number), endpoint) in (0..).zip(0..).zip(of.endpoints()) {
                        if let Some(kind) = kinds.get(cohort.kind_of(number)) {
                            add(Which::Place(place), 1, self.of_endpoint(origin, kind, endpoint));
                        }
                    }
                } else {
                    for (number, kind) in (0..).zip(kinds) {
                        if let Some(outcome) = self.of_kind(origin, kind, of) {
                            add(Which::Kind(number), kind.len, outcome);
                        }
                    }
                }
            }
        }
        verdicts
    }

    /// What is said of one endpoint.
    fn of_endpoint(
        &self,
        origin: &Origin<'_>,
        kind: &Kind,
        endpoint: &Endpoint,
    ) -> Result<Form, DropReason> {
        self.filter.check(origin.standing, kind, endpoint)?;
        Ok(self.converter.form(kind, endpoint, || (self.input.peer_mode)(endpoint)))
    }

    /// What is said of a kind, as its first endpoint shows it.
    fn of_kind(
        &self,
        origin: &mut Origin<'a>,
        kind: &'a Kind,
        of: CohortOf<'a>,
    ) -> Option<Result<Form, DropReason>> {
        let outcome = match &origin.last {
            // Nothing else is asked of endpoints that are not looked at one by one.
            Some((last, outcome)) if last.is_judged_as(kind) => *outcome,
            Some(_) | None => {
                let first = of.endpoint(usize::try_from(kind.first).ok()?)?;
                let outcome = self.of_first(origin, kind, first);
                origin.last = Some((kind, outcome));
                outcome
            }
        };
        Some(outcome.map(|form| Form { weight: kind.weight, ..form }))
    }

    fn of_first(
        &self,
        origin: &mut Origin<'_>,
        kind: &Kind,
        endpoint: &Endpoint,
    ) -> Result<Form, DropReason> {
        self.filter.check(origin.standing, kind, endpoint)?;
        let mode = &mut origin.mode;
        Ok(self
            .converter
            .form(kind, endpoint, || *mode.get_or_insert_with(|| (self.input.peer_mode)(endpoint))))
    }

    /// The verdict about endpoints of which the subset is asked for: before all that does not concern a whole shard or
    /// whether there is anything to dial.
    fn in_subset(&self, verdict: &Verdict) -> Verdict {
        let shards = self.input.shards;
        let is_decided = match verdict.outcome {
            Ok(_) => false,
            Err(DropReason::HostName) => true,
            Err(_) => verdict.batch.shard_of(shards).is_none_or(|of| self.skipped(of).is_some()),
        };
        let first = verdict.batch.endpoint(shards);
        if is_decided || first.is_none_or(|first| self.filter.is_in_subset(first)) {
            return *verdict;
        }
        Verdict { outcome: Err(DropReason::Subset), ..*verdict }
    }
}

/// Whether the port is served, by the names of ports, of which one is mostly the last one.
struct Port<'a> {
    filter: &'a Filter<'a>,
    last: Option<(&'a str, u16, bool)>,
}

impl<'a> Port<'a> {
    fn is_served_by(&mut self, cohort: &'a Cohort) -> bool {
        let (name, number) = (&**cohort.port_name(), cohort.service_port());
        match self.last {
            Some((last, of, serves)) if std::ptr::eq(last, name) && of == number => serves,
            Some(_) | None => {
                let serves = self.filter.serves_port(cohort);
                self.last = Some((name, number, serves));
                serves
            }
        }
    }
}

/// What is found out once of endpoints that are of one cluster, network and namespace.
struct Origin<'a> {
    cohort: &'a Cohort,
    standing: Standing,
    /// The effective PeerAuthentication, where all have the same.
    mode: Option<MutualTlsMode>,
    /// Whether they may have different ones.
    varies: Option<bool>,
    /// The last kind, and what is said of it, subsets aside.
    last: Option<(&'a Kind, Result<Form, DropReason>)>,
}

impl<'a> Origin<'a> {
    fn new(cohort: &'a Cohort, filter: &Filter<'_>) -> Self {
        let standing = filter.standing(cohort.workload());
        Self { cohort, standing, mode: None, varies: None, last: None }
    }

    fn is_of(&self, cohort: &Cohort) -> bool {
        self.cohort.is_of_same(cohort)
    }
}

/// Whether a rule reads of endpoints what those of a kind may differ in: nodes, other labels than the
/// common ones, or what the caller says of each.
fn looks_at_each(input: &Input<'_>) -> bool {
    let is_common = |label: &str| COMMON_LABELS.contains(&label);
    input.service.node_local
        || input.form == ClusterForm::SelfDiscovery
        || input.compat.flags.pilot_enable_ambient
        || input.subset.is_some_and(|labels| !labels.iter().all(|(label, _)| is_common(label)))
        || ranks_by_other_labels(input)
}

fn ranks_by_other_labels(input: &Input<'_>) -> bool {
    let setting = input.setting();
    let ranks = input.has_outlier_detection || setting.forces_failover();
    let is_common =
        |entry: &str| entry.split('=').next().is_some_and(|label| COMMON_LABELS.contains(&label));
    ranks && !setting.failover_priority().all(is_common)
}

/// How endpoints are used: their health, and whether they are spoken to by mutual TLS or
/// through a tunnel.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `buildEnvoyLbEndpoint`,
/// `supportTunnel`; `pilot/pkg/xds/endpoints/mtls_checker.go` `checkMtlsEnabled`.
struct Converter<'a> {
    input: &'a Input<'a>,
    /// Draining endpoints that are still here are used; others need not be asked for the label.
    may_drain: bool,
    may_tunnel: bool,
    /// HBONE is preferred where an endpoint also speaks Istio's mutual TLS.
    prefers_tunnel: bool,
}

impl<'a> Converter<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let flags = &input.compat.flags;
        let is_grpc = input.proxy.data_plane == DataPlane::Grpc;
        Self {
            input,
            may_drain: input.service.keeps_sessions(),
            may_tunnel: !is_grpc && !input.proxy.metadata_bool("DISABLE_HBONE_SEND"),
            prefers_tunnel: input.form == ClusterForm::InboundVip
                || (flags.pilot_enable_ambient && flags.pilot_prefer_sending_hbone),
        }
    }

    /// Whether what workloads demand may differ within a cohort; `varies` keeps the answer for its
    /// namespace.
    fn looks_at_each(&self, of: CohortOf<'_>, varies: &mut Option<bool>) -> bool {
        let input = self.input;
        input.tls_mode.is_none()
            && of.cohort().kinds().iter().any(|kind| kind.tls == SpokenTls::Istio)
            && *varies.get_or_insert_with(|| {
                of.endpoint(0).is_some_and(|first| (input.peer_mode_varies)(first))
            })
    }

    fn form(
        &self,
        kind: &Kind,
        endpoint: &Endpoint,
        peer_mode: impl FnOnce() -> MutualTlsMode,
    ) -> Form {
        let is_draining = self.may_drain && kind.is_labelled_draining;
        let is_tunnelled = self.is_tunnelled(kind, endpoint);
        Form {
            weight: kind.weight,
            health: if is_draining { HealthStatus::Draining } else { kind.health },
            reach: if is_tunnelled { Reach::Tunnel } else { Reach::Direct },
            transport: if is_tunnelled && self.input.form != ClusterForm::InboundVip {
                Transport::Tunnel
            } else {
                self.tls(kind, peer_mode)
            },
        }
    }

    fn is_tunnelled(&self, kind: &Kind, endpoint: &Endpoint) -> bool {
        let speaks_mutual_tls = kind.tls == SpokenTls::Istio;
        self.may_tunnel
            && (self.prefers_tunnel || !speaks_mutual_tls)
            && (kind.accepts_tunnel
                || (self.input.compat.flags.pilot_enable_ambient
                    && (self.input.is_ambient)(endpoint)))
    }

    fn tls(&self, kind: &Kind, peer_mode: impl FnOnce() -> MutualTlsMode) -> Transport {
        let is_on = match self.input.tls_mode {
            Some(asked) => asked == ClientTlsMode::IstioMutual,
            None => kind.tls == SpokenTls::Istio && peer_mode() != MutualTlsMode::Disable,
        };
        match kind.tls {
            SpokenTls::Istio if is_on => Transport::Istio,
            SpokenTls::Other if is_on => Transport::OtherTls,
            SpokenTls::Istio | SpokenTls::Plain | SpokenTls::Other => Transport::Plain,
        }
    }
}
