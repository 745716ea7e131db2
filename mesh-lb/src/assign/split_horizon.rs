//! Networks and gateways: endpoints of another network are replaced by the gateways to it.
//!
//! ```text
//! endpoint ──(network, cluster)──▶ route: direct │ through gateways │ none
//! through gateways: weight × factor ÷ number of gateways, summed by gateway
//! ```
use mesh_model::endpoint::{Address, Endpoint, Gateways, NetworkGateway};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::view::{IpFamilies, Proxy, ProxyKind};
use rustc_hash::FxHashMap;

use super::draft::{Batch, Draft, Member, Reach, Source};
use super::run::Form;
use super::{DropReason, Input, Transport, weight};

/// Replaces endpoints of other networks by gateways and scales all weights, if the mesh has
/// gateways (or ambient spans networks).
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `EndpointsByNetworkFilter`.
pub(super) fn apply<'a>(input: &'a Input<'a>, draft: &mut Draft<'a>) {
    let horizon = Horizon::new(input);
    if input.gateways.is_empty() && !horizon.is_ambient {
        return;
    }
    let factor = input.gateways.weight_scale_factor().max(1);
    let mut split = Split {
        horizon,
        factor,
        routes: Routes::default(),
        table: GatewayTable::default(),
        tallies: Vec::new(),
    };
    let mut members = std::mem::take(&mut draft.members);
    members.retain_mut(|(group, member)| split.keeps(*group, member, draft));
    split.add_gateways(&mut members, draft);
    draft.members = members;
    draft.scale = Some(factor);
    draft.refresh_weights();
}

/// What of the proxy decides how it reaches a network.
struct Horizon<'a> {
    proxy: &'a Proxy,
    gateways: &'a Gateways,
    families: IpFamilies,
    /// Ambient spans networks and the proxy is no sidecar: gateways are entered by HBONE.
    is_ambient: bool,
    /// Why nothing outside the proxy's network is used, if so (ambient only).
    stays_inside: Option<DropReason>,
    /// Ambient spans networks: what no gateway leads to is not used.
    needs_gateway: bool,
    allows_hosts: bool,
    /// Names stand for addresses that only the control plane knows.
    counts_names: bool,
    sums_over_localities: bool,
}

/// How endpoints of one network and cluster are reached.
#[derive(Clone, Debug)]
enum Route {
    None(DropReason),
    Direct,
    /// By these gateways of the table.
    Through(Vec<usize>),
}

impl<'a> Horizon<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let flags = &input.compat.flags;
        let proxy = input.proxy;
        let spans = flags.ambient_multi_network();
        let keeps_waypoint =
            proxy.kind == ProxyKind::Waypoint && !flags.ambient_enable_multi_network_waypoint;
        let keeps_ingress =
            proxy.is_ingress_gateway() && !flags.ambient_enable_multi_network_ingress;
        let stays_inside = if spans && keeps_waypoint {
            Some(DropReason::WaypointStaysInNetwork)
        } else {
            (spans && keeps_ingress).then_some(DropReason::IngressStaysInNetwork)
        };
        Self {
            proxy,
            gateways: input.gateways,
            families: proxy.ip_families(),
            is_ambient: spans && proxy.kind != ProxyKind::Sidecar,
            stays_inside,
            needs_gateway: spans,
            allows_hosts: input.form.is_dns(),
            counts_names: input.counts_names && !input.form.is_dns(),
            sums_over_localities: input.compat.fixes.gateway_weights,
        }
    }

    fn route(
        &self,
        network: &NetworkId,
        cluster: &ClusterId,
        table: &mut GatewayTable<'a>,
    ) -> Route {
        let candidates = self
            .gateways
            .of_endpoint(network, cluster)
            .iter()
            .filter(|gateway| self.speaks(gateway));
        let has_gateway = candidates.clone().next().is_some();
        let reachable = candidates.filter(|gateway| self.reaches(&gateway.address));
        let is_inside = network.is_same_or_empty(&self.proxy.network);
        let can_be_reached = reachable.clone().next().is_some();
        if self.needs_gateway && !is_inside {
            if let Some(reason) = self.stays_inside {
                return Route::None(reason);
            }
            if !can_be_reached {
                return Route::None(DropReason::NoReachableGateway);
            }
        }
        let must_leave = self.proxy.network.is_empty() && !network.is_empty() && has_gateway;
        if !must_leave && (is_inside || !has_gateway) {
            return Route::Direct;
        }
        if !can_be_reached {
            return Route::None(DropReason::NoReachableGateway);
        }
        Route::Through(reachable.map(|gateway| table.index(gateway)).collect())
    }

    /// Whether a gateway has the port that the proxy needs. A proxy that is no sidecar would be
    /// given a port of 0, which is no address; it is not.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `selectNetworkGateways`.
    fn speaks(&self, gateway: &NetworkGateway) -> bool {
        if self.is_ambient { gateway.hbone_port != 0 } else { gateway.port != 0 }
    }

    /// Whether the proxy has the address's family; with both or none known it reaches any.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `filterGatewaysByIPFamily`.
    fn reaches(&self, address: &Address) -> bool {
        let Some(address) = address.ip() else {
            let takes_any = matches!(self.families, IpFamilies::Dual | IpFamilies::Unknown);
            return self.counts_names || (self.allows_hosts && takes_any);
        };
        match self.families {
            IpFamilies::V4 => address.to_canonical().is_ipv4(),
            IpFamilies::V6 => address.to_canonical().is_ipv6(),
            IpFamilies::Dual | IpFamilies::Unknown => true,
        }
    }
}

/// The routes that were decided, by network and cluster.
#[derive(Default)]
struct Routes<'a> {
    by_place: FxHashMap<(&'a str, &'a str), usize>,
    routes: Vec<Route>,
    /// The last answer: neighbours are mostly of one cluster.
    last: Option<(&'a NetworkId, &'a ClusterId, usize)>,
}

impl<'a> Routes<'a> {
    fn of(
        &mut self,
        endpoint: &'a Endpoint,
        horizon: &Horizon<'a>,
        table: &mut GatewayTable<'a>,
    ) -> Option<&Route> {
        let (network, cluster) =
            (&endpoint.workload.place.network, &endpoint.workload.place.cluster);
        let index = match self.last {
            Some((n, c, index)) if n == network && c == cluster => index,
            _ => {
                let routes = &mut self.routes;
                let key = (network.as_str(), cluster.as_str());
                *self.by_place.entry(key).or_insert_with(|| {
                    routes.push(horizon.route(network, cluster, table));
                    routes.len() - 1
                })
            }
        };
        self.last = Some((network, cluster, index));
        self.routes.get(index)
    }
}

/// The gateways in use, each once.
#[derive(Default)]
struct GatewayTable<'a> {
    by_gateway: FxHashMap<&'a NetworkGateway, usize>,
    gateways: Vec<&'a NetworkGateway>,
    /// The tally that a gateway's weight goes to at present.
    tally_of: Vec<Option<usize>>,
}

impl<'a> GatewayTable<'a> {
    fn index(&mut self, gateway: &'a NetworkGateway) -> usize {
        let Self { by_gateway, gateways, tally_of } = self;
        *by_gateway.entry(gateway).or_insert_with(|| {
            gateways.push(gateway);
            tally_of.push(None);
            gateways.len() - 1
        })
    }
}

/// What a gateway stands for in one locality.
struct Tally {
    group: usize,
    gateway: usize,
    weight: u32,
    fronts: Vec<(Batch, Form)>,
}

struct Split<'a> {
    horizon: Horizon<'a>,
    factor: u32,
    routes: Routes<'a>,
    table: GatewayTable<'a>,
    tallies: Vec<Tally>,
}

impl<'a> Split<'a> {
    /// Scales a member that is reached directly; counts one that gateways stand for, which goes.
    fn keeps(&mut self, group: usize, member: &mut Member, draft: &mut Draft<'a>) -> bool {
        let Source::Endpoints(batch) = member.source else { return false };
        let Some(endpoint) = batch.endpoint(draft.shards) else { return false };
        let form = &mut member.form;
        form.weight = weight::scaled(form.weight, self.factor);
        let dropped = match self.routes.of(endpoint, &self.horizon, &mut self.table) {
            None => return false,
            Some(Route::None(reason)) => *reason,
            Some(Route::Direct) if has_host(endpoint, form.reach) => return true,
            Some(Route::Direct) => DropReason::NoHost,
            Some(Route::Through(gateways)) => {
                if self.horizon.is_ambient || form.transport == Transport::Istio {
                    let share = share(form.weight, gateways.len());
                    for &gateway in gateways {
                        let sums = self.horizon.sums_over_localities;
                        let tally =
                            tally(&mut self.tallies, &mut self.table, (group, gateway), sums);
                        if let Some(tally) = tally {
                            tally.add(share, member, batch, sums);
                        }
                    }
                    return false;
                }
                DropReason::NoMutualTls
            }
        };
        draft.drop(batch, dropped);
        false
    }

    /// Appends the gateways to their localities, by address and port.
    fn add_gateways(self, members: &mut Vec<(usize, Member)>, draft: &mut Draft<'a>) {
        let Self { horizon, table, mut tallies, .. } = self;
        let texts: Vec<String> =
            table.gateways.iter().map(|gateway| gateway.address.to_string()).collect();
        tallies.sort_by_key(|tally| {
            let gateway = table.gateways.get(tally.gateway).copied();
            (tally.group, texts.get(tally.gateway), gateway.map(|gateway| gateway.port), gateway)
        });
        let reach = if horizon.is_ambient { Reach::DoubleTunnel } else { Reach::Gateway };
        for tally in tallies {
            let source = draft.front(tally.gateway, tally.fronts);
            let weight = tally.weight.max(1);
            members.push((tally.group, Member::gateway(source, reach, weight, draft.form())));
        }
        // Stable: gateways come after the endpoints of their locality, as they are ordered here.
        members.sort_by_key(|(group, _)| *group);
        draft.gateways = table.gateways;
    }
}

/// Finds or makes the tally of a gateway in a locality; with `sums` the one of its first locality.
fn tally<'t>(
    tallies: &'t mut Vec<Tally>,
    table: &mut GatewayTable<'_>,
    (group, gateway): (usize, usize),
    sums: bool,
) -> Option<&'t mut Tally> {
    let slot = table.tally_of.get_mut(gateway)?;
    let is_current =
        |index: &usize| sums || tallies.get(*index).is_some_and(|tally| tally.group == group);
    let index = match slot.filter(is_current) {
        Some(index) => index,
        None => {
            tallies.push(Tally { group, gateway, weight: 0, fronts: Vec::new() });
            tallies.len() - 1
        }
    };
    *slot = Some(index);
    tallies.get_mut(index)
}

/// The part of a weight that each of several gateways gets, rounded down.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/ep_filters.go` `splitWeightAmongGateways`.
fn share(weight: u32, n_gateways: usize) -> u32 {
    u32::try_from(n_gateways).ok().and_then(|count| weight.checked_div(count)).unwrap_or(0)
}

/// Whether the address has a host to connect to: a path has none unless a tunnel's id names it.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `GetEndpointHost`.
pub(super) fn has_host(endpoint: &Endpoint, reach: Reach) -> bool {
    let is_named = match &endpoint.address {
        Address::Ip(_) => true,
        Address::Host(text) | Address::Unix(text) => !text.is_empty(),
        Address::Unknown => false,
    };
    is_named && (endpoint.port != 0 || reach == Reach::Tunnel)
}

impl Tally {
    /// Adds a share for each endpoint of a batch.
    fn add(&mut self, share: u32, member: &Member, batch: Batch, saturates: bool) {
        self.weight = if saturates {
            share.saturating_mul(member.count).saturating_add(self.weight)
        } else {
            share.wrapping_mul(member.count).wrapping_add(self.weight)
        };
        self.fronts.push((batch, member.form));
    }
}
