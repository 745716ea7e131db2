//! Endpoints that pass the filter, by locality.
use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{Endpoint, HealthStatus};
use mesh_model::name::Locality;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;
use rustc_hash::FxHashMap;

use super::draft::{Draft, EndpointId, Member, Reach, Source};
use super::filter::{self, Filter};
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
    for (shard, endpoints) in input.shards.iter().enumerate() {
        let skipped = whole_service.or_else(|| filter.shard(endpoints));
        for (index, endpoint) in endpoints.endpoints.iter().enumerate() {
            if !filter.serves_port(endpoint) {
                continue;
            }
            let id = EndpointId {
                shard: u32::try_from(shard).unwrap_or(u32::MAX),
                index: u32::try_from(index).unwrap_or(u32::MAX),
            };
            match skipped.map_or_else(|| filter.check(endpoint), Err) {
                Ok(()) => localities.push(endpoint, converter.member(id, endpoint)),
                Err(reason) => draft.drop(id, reason),
            }
        }
    }
    draft.groups = localities.into_groups();
    draft
}

/// The groups so far, in the order of their first endpoints.
#[derive(Default)]
struct Localities<'a> {
    by_text: FxHashMap<&'a str, usize>,
    groups: Vec<(&'a str, Vec<Member>)>,
    /// The group of the last endpoint: neighbours mostly share it.
    last: usize,
}

impl<'a> Localities<'a> {
    fn push(&mut self, endpoint: &'a Endpoint, member: Member) {
        let text = &*endpoint.workload.locality;
        if self.groups.get(self.last).is_none_or(|(last, _)| *last != text) {
            self.last = *self.by_text.entry(text).or_insert_with(|| {
                self.groups.push((text, Vec::new()));
                self.groups.len() - 1
            });
        }
        if let Some((_, members)) = self.groups.get_mut(self.last) {
            members.push(member);
        }
    }

    fn into_groups(mut self) -> Vec<Group<Member>> {
        self.groups.sort_by_key(|(text, _)| *text);
        let group = |(text, members): (&str, Vec<Member>)| Group {
            locality: Some(Locality::parse(text)),
            weight: Some(members.iter().fold(0, |sum, member| member.weight.saturating_add(sum))),
            priority: 0,
            members,
            reason: Reason::default(),
        };
        self.groups.into_iter().map(group).collect()
    }
}

/// How endpoints become members: their health, and whether they are spoken to by mutual TLS or
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

    fn member(&self, id: EndpointId, endpoint: &Endpoint) -> Member {
        let is_draining = self.may_drain && filter::is_labelled_draining(endpoint);
        let is_tunnelled = self.is_tunnelled(endpoint);
        Member {
            source: Source::Endpoint(id),
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
