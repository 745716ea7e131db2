//! Endpoints that pass the filter, by locality.
use std::cmp::Ordering;

use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{
    COMMON_LABELS, Cohort, CohortOf, Endpoint, HealthStatus, Kind, Shards, SpokenTls,
};
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;

use super::draft::{Batch, Draft, Member, Reach, Source, Which};
use super::filter::{Filter, Standing};
use super::run::Form;
use super::{ClusterForm, Group, Input, Reason, Transport};

/// Filters the endpoints and groups the rest by the raw text of their locality, in its order.
///
/// Texts that mean the same locality (`r1/z1` and `r1/z1/`) stay apart, as upstream. Within a group
/// endpoints keep the order of the shards; a group's weight is the saturating sum.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `snapshotShards`, `generate`.
pub(super) fn apply<'a>(input: &'a Input<'a>) -> Draft<'a> {
    let mut draft = Draft::new(input.shards, input.form);
    let filter = Filter::new(input);
    let converter = Converter::new(input);
    let mut localities = Localities::of(input.shards);
    let whole_service = filter.whole_service();
    let looks_at_each = looks_at_each(input);
    let mut origin: Option<Origin<'_>> = None;
    for (shard_index, shard) in (0_u32..).zip(input.shards.iter()) {
        let skipped = whole_service.or_else(|| filter.shard(shard));
        let mut is_last_ones = false;
        for (cohort_index, of) in (0_u32..).zip(shard.cohorts()) {
            let cohort = of.cohort();
            is_last_ones &= of.is_of_same_as_before();
            if !filter.serves_port(cohort) {
                continue;
            }
            // Neighbours are mostly of one cluster, network and namespace.
            if !is_last_ones && origin.as_ref().is_none_or(|origin| !origin.is_of(cohort)) {
                origin = Some(Origin::new(cohort, &filter));
            }
            is_last_ones = true;
            let Some(Origin { standing, mode, varies, .. }) = &mut origin else { continue };
            // Asked of each endpoint, or of one for all.
            let each = skipped.is_none() && (looks_at_each || converter.looks_at_each(of, varies));
            let mut add = |which, (kind, count): (&Kind, u32), endpoint: &Endpoint| {
                let batch = Batch { shard: shard_index, cohort: cohort_index, which };
                match skipped.map_or_else(|| filter.check(*standing, kind, endpoint), Err) {
                    Ok(()) => {
                        let known = if each { None } else { *mode };
                        let form = converter.form(kind, endpoint, || {
                            known.unwrap_or_else(|| *mode.insert((input.peer_mode)(endpoint)))
                        });
                        let member = Member { source: Source::Endpoints(batch), count, form };
                        localities.push(cohort, member);
                    }
                    Err(reason) => draft.drop(batch, reason),
                }
            };
            let kinds = cohort.kinds();
            if each {
                for ((place, number), endpoint) in (0_u32..).zip(0..).zip(of.endpoints()) {
                    if let Some(kind) = kinds.get(cohort.kind_of(number)) {
                        add(Which::Place(place), (kind, 1), endpoint);
                    }
                }
                continue;
            }
            for ((number, kind), endpoint) in (0_u32..).zip(kinds).zip(of.kinds()) {
                add(Which::Kind(number), (kind, kind.len), endpoint);
            }
        }
    }
    localities.end(&mut draft);
    draft
}

/// What is found out once of endpoints that are of one cluster, network and namespace.
struct Origin<'a> {
    cohort: &'a Cohort,
    standing: Standing,
    /// The effective PeerAuthentication, where all have the same.
    mode: Option<MutualTlsMode>,
    /// Whether they may have different ones.
    varies: Option<bool>,
}

impl<'a> Origin<'a> {
    fn new(cohort: &'a Cohort, filter: &Filter<'_>) -> Self {
        Self { cohort, standing: filter.standing(cohort.workload()), mode: None, varies: None }
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

/// Whether two inputs of one service port, supply and proxy ask the same of endpoints, subsets aside, and of
/// none by itself.
pub(super) fn reads_alike(one: &Input<'_>, other: &Input<'_>) -> bool {
    let is_of_same = std::ptr::eq(one.shards, other.shards)
        && one.form == other.form
        && (one.port.number, &one.port.name) == (other.port.number, &other.port.name);
    is_of_same
        && one.tls_mode == other.tls_mode
        && Filter::new(one).keeps_as(&Filter::new(other))
        && ![one, other].into_iter().any(looks_at_each)
}

fn ranks_by_other_labels(input: &Input<'_>) -> bool {
    let setting = input.setting();
    let ranks = input.has_outlier_detection || setting.forces_failover();
    let is_common =
        |entry: &str| entry.split('=').next().is_some_and(|label| COMMON_LABELS.contains(&label));
    ranks && !setting.failover_priority().all(is_common)
}

/// What passed the filter, each with its locality's text and its cohort, in the order of the shards.
struct Localities<'a>(Vec<(&'a str, &'a Cohort, Member)>);

impl<'a> Localities<'a> {
    /// None yet, with room for those of shards.
    fn of(shards: &Shards) -> Self {
        Self(Vec::with_capacity(shards.iter().map(|shard| shard.cohorts().len()).sum()))
    }

    fn push(&mut self, cohort: &'a Cohort, member: Member) {
        self.0.push((cohort.locality().text(), cohort, member));
    }

    /// Puts the groups into a draft, by their texts, and their members.
    fn end(self, draft: &mut Draft<'a>) {
        let Self(mut members) = self;
        // Stable, and soon done: what is of one cluster mostly lies in one region.
        members.sort_by(|(one, ..), (other, ..)| ordering(one, other));
        draft.members.reserve_exact(members.len());
        // Mostly each is in a locality of its own.
        draft.groups.reserve_exact(members.len());
        let mut last = None;
        for (text, cohort, member) in members {
            if last.is_none_or(|last| !is_same(last, text)) {
                draft.groups.push(Group {
                    locality: Some(cohort.locality()),
                    weight: Some(0),
                    priority: 0,
                    members: Vec::new(),
                    reason: Reason::default(),
                });
            }
            last = Some(text);
            if let Some(group) = draft.groups.last_mut() {
                let more = member.form.weight.saturating_mul(member.count);
                group.weight = group.weight.map(|sum| sum.saturating_add(more));
            }
            draft.members.push((draft.groups.len().saturating_sub(1), member));
        }
        restore_order(&mut draft.members, draft.shards);
    }
}

/// The order of two texts, which mostly are one.
fn ordering(a: &str, b: &str) -> Ordering {
    if std::ptr::eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

/// Whether two texts are equal; mostly they are one.
fn is_same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Puts endpoints in the order of their shard where it has two cohorts in one locality that serve the
/// port.
fn restore_order(members: &mut Vec<(usize, Member)>, shards: &Shards) {
    let is_mixed = |pair: &[(usize, Member)]| match pair {
        [
            (one, Member { source: Source::Endpoints(a), .. }),
            (other, Member { source: Source::Endpoints(b), .. }),
        ] => one == other && a.shard == b.shard && a.cohort != b.cohort,
        _ => false,
    };
    if !members.windows(2).any(is_mixed) {
        return;
    }
    let mut restored = Vec::with_capacity(members.len());
    for group in members.chunk_by(|(one, _), (other, _)| one == other) {
        if group.windows(2).any(is_mixed) {
            restored.extend(one_by_one(group, shards));
        } else {
            restored.extend_from_slice(group);
        }
    }
    *members = restored;
}

/// Each endpoint of a group as a member of its own, in the order of the shards.
fn one_by_one(
    group: &[(usize, Member)],
    shards: &Shards,
) -> impl Iterator<Item = (usize, Member)> + use<> {
    let each = group.iter().flat_map(|(number, member)| {
        let Source::Endpoints(batch) = member.source else { return Vec::new() };
        let one = |(place, id)| {
            let which = Which::Place(place);
            let source = Source::Endpoints(Batch { which, ..batch });
            (id, (*number, Member { source, count: 1, form: member.form }))
        };
        batch.places(shards).zip(batch.ids(shards)).map(one).collect()
    });
    let mut each: Vec<((u32, u32), (usize, Member))> = each.collect();
    each.sort_by_key(|(id, _)| *id);
    each.into_iter().map(|(_, member)| member)
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
