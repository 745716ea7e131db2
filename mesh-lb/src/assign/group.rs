//! Endpoints that pass the filter, by locality.
use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{
    COMMON_LABELS, Cohort, CohortOf, Endpoint, HealthStatus, Kind, Shards, SpokenTls, Workload,
};
use mesh_model::name::Locality;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;
use rustc_hash::FxHashMap;

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
        for (cohort_index, of) in (0_u32..).zip(shard.cohorts()) {
            let cohort = of.cohort();
            if !filter.serves_port(cohort) {
                continue;
            }
            // Neighbours are mostly of one cluster, network and namespace.
            if origin.as_ref().is_none_or(|origin| !origin.is_of(cohort)) {
                origin = Some(Origin::new(cohort, &filter));
            }
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
    draft.groups = localities.into_groups(input.shards);
    draft
}

/// What is found out once of endpoints that are of one cluster, network and namespace.
struct Origin<'a> {
    workload: &'a Workload,
    standing: Standing,
    /// The effective PeerAuthentication, where all have the same.
    mode: Option<MutualTlsMode>,
    /// Whether they may have different ones.
    varies: Option<bool>,
}

impl<'a> Origin<'a> {
    fn new(cohort: &'a Cohort, filter: &Filter<'_>) -> Self {
        let workload = &**cohort.workload();
        Self { workload, standing: filter.standing(workload), mode: None, varies: None }
    }

    fn is_of(&self, cohort: &Cohort) -> bool {
        let (ours, theirs) = (self.workload, cohort.workload());
        ours.cluster == theirs.cluster
            && ours.network == theirs.network
            && ours.namespace == theirs.namespace
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

/// So many localities are looked through; if there are more, they are found by their texts.
const LOOKED_THROUGH: usize = 16;

/// The groups so far, in the order of their first endpoints.
struct Localities<'a> {
    groups: Vec<Place<'a>>,
    // INVARIANT: empty, or all groups.
    by_text: FxHashMap<&'a str, usize>,
    /// The members of all groups, each with its group.
    members: Vec<(usize, Member)>,
    /// The group of the last endpoint: neighbours mostly share it.
    last: usize,
}

/// A locality, and how many members it has.
struct Place<'a> {
    text: &'a str,
    locality: &'a Locality,
    len: usize,
}

impl<'a> Localities<'a> {
    /// None yet, with room for those of shards.
    fn of(shards: &Shards) -> Self {
        let len = shards.iter().map(|shard| shard.cohorts().len()).sum();
        Self {
            groups: Vec::with_capacity(len),
            members: Vec::with_capacity(len),
            by_text: FxHashMap::default(),
            last: 0,
        }
    }

    fn push(&mut self, cohort: &'a Cohort, member: Member) {
        let text = &*cohort.workload().locality;
        if self.groups.get(self.last).is_none_or(|last| !is_same(last.text, text)) {
            self.last = self.find(text, cohort.locality());
        }
        if let Some(group) = self.groups.get_mut(self.last) {
            group.len += 1;
            self.members.push((self.last, member));
        }
    }

    /// The group of a locality's text, which is made if there is none.
    fn find(&mut self, text: &'a str, locality: &'a Locality) -> usize {
        let Self { groups, by_text, .. } = self;
        let known = if by_text.is_empty() {
            groups.iter().position(|known| is_same(known.text, text))
        } else {
            by_text.get(text).copied()
        };
        if let Some(known) = known {
            return known;
        }
        let new = groups.len();
        groups.push(Place { text, locality, len: 0 });
        if !by_text.is_empty() {
            by_text.insert(text, new);
        } else if groups.len() > LOOKED_THROUGH {
            by_text.extend(groups.iter().enumerate().map(|(at, group)| (group.text, at)));
        }
        new
    }

    fn into_groups(self, shards: &Shards) -> Vec<Group<Member>> {
        let Self { groups, members, .. } = self;
        let mut order: Vec<(&str, usize)> =
            groups.iter().map(|group| group.text).zip(0..).collect();
        order.sort_unstable();
        let group = |place: &Place<'_>| Group {
            locality: Some(place.locality.clone()),
            weight: Some(0),
            priority: 0,
            members: Vec::with_capacity(place.len),
            reason: Reason::default(),
        };
        let mut sorted: Vec<Group<Member>> =
            order.iter().filter_map(|(_, at)| groups.get(*at)).map(group).collect();
        let mut ranks = vec![0_usize; order.len()];
        for (rank, (_, at)) in order.into_iter().enumerate() {
            if let Some(place) = ranks.get_mut(at) {
                *place = rank;
            }
        }
        for (at, member) in members {
            if let Some(group) = ranks.get(at).and_then(|rank| sorted.get_mut(*rank)) {
                let more = member.form.weight.saturating_mul(member.count);
                group.weight = group.weight.map(|sum| sum.saturating_add(more));
                group.members.push(member);
            }
        }
        sorted.iter_mut().for_each(|group| restore_order(&mut group.members, shards));
        sorted
    }
}

/// Whether two texts are equal; mostly they are one.
fn is_same(a: &str, b: &str) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Puts endpoints in the order of their shard where it has two cohorts in one locality that serve the
/// port.
fn restore_order(members: &mut Vec<Member>, shards: &Shards) {
    let batches = |pair: &[Member]| match pair {
        [
            Member { source: Source::Endpoints(a), .. },
            Member { source: Source::Endpoints(b), .. },
        ] => a.shard == b.shard && a.cohort != b.cohort,
        _ => false,
    };
    if !members.windows(2).any(batches) {
        return;
    }
    let each = members.iter().flat_map(|member| {
        let Source::Endpoints(batch) = member.source else { return Vec::new() };
        let one = |(place, id)| {
            let which = Which::Place(place);
            let source = Source::Endpoints(Batch { which, ..batch });
            (id, Member { source, count: 1, form: member.form })
        };
        batch.places(shards).zip(batch.ids(shards)).map(one).collect()
    });
    let mut each: Vec<((u32, u32), Member)> = each.collect();
    each.sort_by_key(|(id, _)| *id);
    *members = each.into_iter().map(|(_, member)| member).collect();
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
