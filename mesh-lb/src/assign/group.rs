//! Endpoints that pass the filter, by locality.
use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{COMMON_LABELS, CohortOf, Endpoint, HealthStatus, Shards};
use mesh_model::name::Locality;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;
use rustc_hash::FxHashMap;

use super::draft::{Batch, Draft, Member, Reach, Source, Which};
use super::filter::{self, Filter};
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
    let mut localities = Localities::default();
    let whole_service = filter.whole_service();
    let looks_at_each = looks_at_each(input);
    for (shard_index, shard) in (0_u32..).zip(input.shards.iter()) {
        let skipped = whole_service.or_else(|| filter.shard(shard));
        for (cohort_index, of) in (0_u32..).zip(shard.cohorts()) {
            let Some(first) = of.endpoint(0).filter(|first| filter.serves_port(first)) else {
                continue;
            };
            let batch = |which| Batch { shard: shard_index, cohort: cohort_index, which };
            let cohort = of.cohort();
            let mut add = |batch, count, endpoint: &Endpoint| match skipped
                .map_or_else(|| filter.check(endpoint), Err)
            {
                Ok(()) => {
                    let form = converter.form(endpoint);
                    let member = Member { source: Source::Endpoints(batch), count, form };
                    localities.push((&first.workload.locality, cohort.locality()), member);
                }
                Err(reason) => draft.drop(batch, reason),
            };
            if skipped.is_none() && (looks_at_each || converter.looks_at_each(of)) {
                for (place, endpoint) in (0_u32..).zip(of.endpoints()) {
                    add(batch(Which::Place(place)), 1, endpoint);
                }
                continue;
            }
            for (kind, (number, endpoint)) in cohort.kinds().zip((0_u32..).zip(of.kinds())) {
                add(batch(Which::Kind(number)), kind.len, endpoint);
            }
        }
    }
    draft.groups = localities.into_groups(input.shards);
    draft
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

/// The groups so far, in the order of their first endpoints.
#[derive(Default)]
struct Localities<'a> {
    by_text: FxHashMap<&'a str, usize>,
    groups: Vec<(&'a str, &'a Locality, Vec<Member>)>,
    /// The group of the last endpoint: neighbours mostly share it.
    last: usize,
}

impl<'a> Localities<'a> {
    fn push(&mut self, (text, locality): (&'a str, &'a Locality), member: Member) {
        if self.groups.get(self.last).is_none_or(|(last, ..)| *last != text) {
            self.last = *self.by_text.entry(text).or_insert_with(|| {
                self.groups.push((text, locality, Vec::new()));
                self.groups.len() - 1
            });
        }
        if let Some((_, _, members)) = self.groups.get_mut(self.last) {
            members.push(member);
        }
    }

    fn into_groups(mut self, shards: &Shards) -> Vec<Group<Member>> {
        self.groups.sort_by_key(|(text, ..)| *text);
        let group = |(_, locality, mut members): (&str, &Locality, Vec<Member>)| {
            restore_order(&mut members, shards);
            let sum = |sum: u32, member: &Member| {
                member.form.weight.saturating_mul(member.count).saturating_add(sum)
            };
            Group {
                locality: Some(locality.clone()),
                weight: Some(members.iter().fold(0, sum)),
                priority: 0,
                members,
                reason: Reason::default(),
            }
        };
        self.groups.into_iter().map(group).collect()
    }
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

    /// Whether what workloads demand may differ within a kind of a cohort.
    fn looks_at_each(&self, of: CohortOf<'_>) -> bool {
        let input = self.input;
        input.tls_mode.is_none()
            && of.kinds().any(|first| {
                &*first.workload.tls_mode == "istio" && (input.peer_mode_varies)(first)
            })
    }

    fn form(&self, endpoint: &Endpoint) -> Form {
        let is_draining = self.may_drain && filter::is_labelled_draining(endpoint);
        let is_tunnelled = self.is_tunnelled(endpoint);
        Form {
            weight: endpoint.effective_weight(),
            health: if is_draining { HealthStatus::Draining } else { endpoint.health },
            reach: if is_tunnelled { Reach::Tunnel } else { Reach::Direct },
            transport: if is_tunnelled && self.input.form != ClusterForm::InboundVip {
                Transport::Tunnel
            } else {
                self.tls(endpoint)
            },
        }
    }

    fn is_tunnelled(&self, endpoint: &Endpoint) -> bool {
        let speaks_mutual_tls = &*endpoint.workload.tls_mode == "istio";
        self.may_tunnel
            && (self.prefers_tunnel || !speaks_mutual_tls)
            && (accepts_tunnel(endpoint)
                || (self.input.compat.flags.pilot_enable_ambient
                    && (self.input.is_ambient)(endpoint)))
    }

    fn tls(&self, endpoint: &Endpoint) -> Transport {
        let mode = &*endpoint.workload.tls_mode;
        let is_on = match self.input.tls_mode {
            Some(asked) => asked == ClientTlsMode::IstioMutual,
            None => mode == "istio" && (self.input.peer_mode)(endpoint) != MutualTlsMode::Disable,
        };
        match mode {
            "istio" if is_on => Transport::Istio,
            "" | "disabled" => Transport::Plain,
            _ if is_on => Transport::OtherTls,
            _ => Transport::Plain,
        }
    }
}

/// Whether labels say that the endpoint accepts HBONE: a waypoint, or a list that contains `http`.
fn accepts_tunnel(endpoint: &Endpoint) -> bool {
    let labels = &endpoint.workload.labels;
    labels.get("gateway.istio.io/managed") == Some("istio.io-mesh-controller")
        || labels
            .get("networking.istio.io/tunnel")
            .is_some_and(|list| list.split(',').any(|protocol| protocol == "http"))
}
