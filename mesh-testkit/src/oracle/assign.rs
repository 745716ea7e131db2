//! Which endpoints a proxy uses, at which priority and weight: the specification typed out.
//!
//! Plain texts and numbers, lists searched from end to end, sums in `u64` cut to 32 bits. It does not
//! know an ingress that uses a waypoint, and `local_cluster`.
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use self::world::{
    Ambient, Backend, Client, Fixes, Form, Gateway, Health, Kind, Labels, Locality, Rules, Setting,
    Used,
};

/// An endpoint or gateway on its way into the answer.
#[derive(Clone)]
struct Entry {
    used: Used,
    labels: Labels,
    way: Option<Way>,
}

/// A gateway, its parts of the weights behind it, and the labels of those.
#[derive(Clone)]
struct Way {
    gateway: Gateway,
    weight: u64,
    behind: Vec<Labels>,
}

struct Group {
    place: [String; 3],
    priority: u32,
    weight: Option<u32>,
    entries: Vec<Entry>,
}

/// Computes the localities in the order of EDS.
pub fn assign(
    client: &Client,
    backends: &[Backend],
    gateways: &[Gateway],
    rules: &Rules,
) -> Vec<Locality> {
    // EDS was asked for a service that meanwhile went over to DNS.
    if rules.is_resolved_by_dns && !rules.form.is_dns() {
        return Vec::new();
    }
    let gateways: BTreeSet<Gateway> = gateways.iter().cloned().collect();
    let gateways: Vec<Gateway> = gateways.into_iter().collect();
    let visible: Vec<&Backend> = backends.iter().filter(|b| is_visible(client, b, rules)).collect();
    let names: BTreeSet<&str> = visible.iter().map(|backend| &*backend.locality).collect();
    let mut groups = Vec::new();
    for name in names {
        let own: Vec<&Backend> =
            visible.iter().copied().filter(|backend| backend.locality == name).collect();
        groups.push(group(client, name, &own, &gateways, rules));
    }
    if rules.fixes.gateway_weights {
        groups = join_gateways(groups);
    }
    if rules.fixes.gateway_labels {
        groups.iter_mut().flat_map(|group| &mut group.entries).for_each(show_labels);
    }
    // Subsets of clusters that DNS resolves are not ranked by labels.
    let is_labelled =
        rules.form != Form::SniDnatDns && (!rules.form.is_dns() || rules.subset.is_none());
    let by_labels =
        |groups, labels| if is_labelled { by_labels(client, groups, labels) } else { groups };
    let groups = match effective(rules) {
        Effective::Preference(labels) => by_labels(groups, &labels),
        Effective::Setting(Setting::Unset | Setting::Off | Setting::ZoneAwareOff) => groups,
        Effective::Setting(Setting::Distribute(entries)) => distribute(client, groups, entries),
        Effective::Setting(Setting::Failover(..)) if !rules.has_outlier_detection => groups,
        Effective::Setting(Setting::Failover(labels, regions)) => {
            let is_regional = labels.is_empty() || !regions.is_empty();
            let groups = by_labels(groups, labels);
            if is_regional { by_region(client, groups, regions, 5) } else { groups }
        }
        Effective::Setting(Setting::ZoneAware(..)) if client.kind == Kind::Waypoint => groups,
        Effective::Setting(Setting::ZoneAware(labels, regions)) => {
            by_region(client, by_labels(groups, labels), regions, 3)
        }
    };
    let answer = groups.into_iter().map(|group| Locality {
        place: group.place,
        priority: group.priority,
        weight: group.weight,
        endpoints: group.entries.into_iter().map(|entry| entry.used).collect(),
    });
    answer.collect()
}

/// What tells localities apart in the end.
enum Effective<'r> {
    Setting(&'r Setting),
    /// The labels that the service's preference compares.
    Preference(Vec<String>),
}

/// The rule's setting, else the service's preference, else the mesh's, zones first: none is mixed with another.
fn effective(rules: &Rules) -> Effective<'_> {
    const LABELS: [&str; 5] = [
        "topology.istio.io/network",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.istio.io/subzone",
        "kubernetes.io/hostname",
    ];
    let compared = match &*rules.prefers {
        "PreferSameNode" => 5,
        "PreferSameZone" => 3,
        _ => 0,
    };
    match (&rules.setting, &rules.of_mesh_zones) {
        (Setting::Unset, _) if compared > 0 => {
            let labels = LABELS.into_iter().take(compared);
            Effective::Preference(labels.map(str::to_owned).collect())
        }
        (Setting::Unset, Setting::Unset) => Effective::Setting(&rules.of_mesh),
        (Setting::Unset, setting) | (setting, _) => Effective::Setting(setting),
    }
}

/// Leaves each gateway in the first locality that it is in, with all of its weight.
fn join_gateways(mut groups: Vec<Group>) -> Vec<Group> {
    let mut whole: BTreeMap<Gateway, Way> = BTreeMap::new();
    for way in groups.iter().flat_map(|group| &group.entries).filter_map(|entry| entry.way.clone())
    {
        let known = whole.entry(way.gateway.clone()).or_insert(Way {
            weight: 0,
            behind: vec![],
            ..way.clone()
        });
        known.weight += way.weight;
        known.behind.extend(way.behind);
    }
    for group in &mut groups {
        let before = group.entries.len();
        group.entries.retain_mut(|entry| {
            let Some(way) = &entry.way else { return true };
            let Some(way) = whole.remove(&way.gateway) else { return false };
            entry.used.weight = u32::try_from(way.weight).unwrap_or(u32::MAX).max(1);
            entry.way = Some(way);
            true
        });
        let is_changed =
            before != group.entries.len() || group.entries.iter().any(|e| e.way.is_some());
        if is_changed {
            group.weight = (!group.entries.is_empty()).then(|| sum(&group.entries));
        }
    }
    groups
}

/// Gives a gateway the labels that all behind it have, apart from its own.
fn show_labels(entry: &mut Entry) {
    let Some(way) = &entry.way else { return };
    let Some(first) = way.behind.first() else { return };
    for (key, value) in first {
        let is_own = matches!(&**key, "topology.istio.io/cluster" | "topology.istio.io/network");
        if !is_own && way.behind.iter().all(|labels| labels.get(key) == Some(value)) {
            entry.labels.insert(key.clone(), value.clone());
        }
    }
}

fn is_visible(client: &Client, backend: &Backend, rules: &Rules) -> bool {
    let same_cluster = client.cluster == backend.cluster;
    let is_dns = rules.form.is_dns();
    let serves_port = if is_dns {
        backend.service_port == rules.port
    } else {
        backend.port_name == rules.port_name
            && (backend.address.is_empty() || is_ip(backend) || is_socket(backend))
    };
    // EDS asks only the client's cluster for what stays on a node, DNS all.
    let is_on_node = backend.node == client.node && (same_cluster || is_dns);
    serves_port
        && rules.subset.iter().flatten().all(|(key, value)| backend.labels.get(key) == Some(value))
        && (!rules.is_node_local || is_on_node)
        && (!rules.is_cluster_local || same_cluster)
        && (!rules.ambient.as_ref().is_some_and(|ambient| ambient.keeps_in_cluster) || same_cluster)
        && is_in_view(client, &backend.network)
        && (!backend.is_private || same_or_empty(&client.cluster, &backend.cluster))
        && (backend.health != Health::Unhealthy
            || rules.sends_unhealthy
            || !rules.prefers.is_empty())
        && backend.health != Health::Terminating
        && (told_health(backend) != Health::Draining || !rules.sessions.is_empty())
}

fn told_health(backend: &Backend) -> Health {
    let is_labelled = backend.labels.get("istio.io/draining").is_some_and(|text| !text.is_empty());
    if is_labelled { Health::Draining } else { backend.health }
}

fn is_ip(backend: &Backend) -> bool {
    backend.address.parse::<IpAddr>().is_ok()
}

fn is_socket(backend: &Backend) -> bool {
    backend.address.starts_with("unix://")
}

fn speaks_mutual_tls(backend: &Backend) -> bool {
    backend.tls_mode == "istio"
}

fn is_in_view(client: &Client, network: &str) -> bool {
    network.is_empty() || client.view.is_empty() || client.view.iter().any(|name| name == network)
}

fn same_or_empty(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || a == b
}

fn parts(text: &str) -> [String; 3] {
    let mut parts = text.split('/').chain(["", "", ""]);
    std::array::from_fn(|_| parts.next().unwrap_or_default().to_owned())
}

/// One locality before priorities: direct endpoints, then gateways.
fn group(
    client: &Client,
    name: &str,
    backends: &[&Backend],
    gateways: &[Gateway],
    rules: &Rules,
) -> Group {
    let plain = |backend: &Backend, weight| {
        let is_tunnelled = is_tunnelled(client, backend, rules);
        Entry {
            used: Used {
                address: backend.address.trim_start_matches("unix://").to_owned(),
                weight,
                is_gateway: false,
                is_tunnelled,
                transport: transport(backend, is_tunnelled, rules),
                health: told_health(backend),
            },
            labels: backend.labels.clone(),
            way: None,
        }
    };
    let by_tunnel = spans(rules) && client.kind != Kind::Sidecar;
    let has_split = !gateways.is_empty() || by_tunnel;
    let all = backends.iter().map(|backend| u64::from(backend.weight)).sum::<u64>();
    let mut weight = Some(u32::try_from(all).unwrap_or(u32::MAX));
    let mut entries: Vec<Entry> = Vec::new();
    if has_split {
        let factor = scale(gateways);
        let mut stand_ins: BTreeMap<Gateway, Way> = BTreeMap::new();
        for backend in backends {
            let scaled =
                if backend.weight < u32::MAX / factor { backend.weight * factor } else { u32::MAX };
            let ways = ways(backend, gateways, by_tunnel);
            let is_direct = ways.is_empty();
            let ways: Vec<_> = ways.into_iter().filter(|way| reaches(client, way)).collect();
            let may_be_near = same_or_empty(&client.network, &backend.network);
            if spans(rules) && !may_be_near && (stays(client, rules) || ways.is_empty()) {
                continue;
            }
            let leaves = client.network.is_empty() && !backend.network.is_empty();
            let own = plain(backend, scaled);
            if is_direct || (may_be_near && !leaves) {
                // A socket has no host to connect to, which only a tunnel does without.
                let has_host = !is_socket(backend) || own.used.is_tunnelled;
                if !backend.address.is_empty() && has_host {
                    entries.push(own);
                }
            } else if by_tunnel || own.used.transport == "istio" {
                let n_ways = u32::try_from(ways.len()).unwrap_or(u32::MAX);
                for way in ways {
                    let gateway = way.clone();
                    let way = stand_ins.entry(gateway.clone()).or_insert(Way {
                        gateway,
                        weight: 0,
                        behind: Vec::new(),
                    });
                    way.weight += u64::from(scaled / n_ways);
                    way.behind.push(backend.labels.clone());
                }
            }
        }
        let is_inbound = rules.form == Form::InboundVip;
        let transport = match (by_tunnel, is_inbound) {
            (false, _) => "istio",
            (true, false) => "http",
            (true, true) => "",
        };
        entries.extend(stand_ins.into_values().map(|way| {
            let gateway = way.gateway.clone();
            let labels = [
                ("topology.istio.io/cluster", gateway.cluster),
                ("topology.istio.io/network", gateway.network),
            ];
            let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
            let used = Used {
                address: gateway.address,
                weight: cut(way.weight).max(1),
                is_gateway: true,
                is_tunnelled: by_tunnel,
                transport,
                health: Health::Unknown,
            };
            let labels = labels.map(|(key, value)| (key.to_owned(), value)).collect();
            Entry { used, labels, way: Some(way) }
        }));
    } else {
        entries.extend(backends.iter().map(|backend| plain(backend, backend.weight)));
    }
    let passes_through = matches!(rules.form, Form::SniDnat | Form::SniDnatDns);
    if passes_through {
        entries.retain(|entry| entry.used.transport == "istio");
    }
    if has_split || passes_through {
        weight = (!entries.is_empty()).then(|| sum(&entries));
    }
    Group { place: parts(name), priority: 0, weight, entries }
}

/// Whether ambient spans networks.
fn spans(rules: &Rules) -> bool {
    rules.ambient.as_ref().is_some_and(|ambient| ambient.spans_networks)
}

/// Whether a client has to stay in its network where ambient spans several.
fn stays(client: &Client, rules: &Rules) -> bool {
    let ambient = rules.ambient.clone().unwrap_or_default();
    let is = |key: &str, wanted: &str| client.labels.get(key).is_some_and(|value| value == wanted);
    let is_ingress = is("istio", "ingressgateway")
        || is("gateway.istio.io/managed", "istio.io-gateway-controller");
    match client.kind {
        Kind::Sidecar => false,
        Kind::Router => is_ingress && !ambient.ingresses_leave,
        Kind::Waypoint => !ambient.waypoints_leave,
    }
}

/// Whether an endpoint is dialled by HBONE.
fn is_tunnelled(client: &Client, backend: &Backend, rules: &Rules) -> bool {
    let label = |key: &str| backend.labels.get(key).cloned().unwrap_or_default();
    let accepts = label("networking.istio.io/tunnel").split(',').any(|word| word == "http")
        || label("gateway.istio.io/managed") == "istio.io-mesh-controller"
        || (rules.ambient.is_some() && backend.is_captured);
    let prefers = rules.form == Form::InboundVip
        || rules.ambient.as_ref().is_some_and(|ambient| ambient.prefers_tunnels);
    let may_send = client.sends_tunnels && !client.is_grpc;
    accepts && may_send && (prefers || !speaks_mutual_tls(backend))
}

fn transport(backend: &Backend, is_tunnelled: bool, rules: &Rules) -> &'static str {
    if is_tunnelled && rules.form != Form::InboundVip {
        return "http";
    }
    let is_on = match &rules.tls {
        Some(mode) => mode == "ISTIO_MUTUAL",
        None => speaks_mutual_tls(backend) && !rules.refuses_mutual_tls,
    };
    match &*backend.tls_mode {
        "" | "disabled" => "",
        "istio" if is_on => "istio",
        _ if is_on => "other",
        _ => "",
    }
}

/// The gateways that lead to an endpoint and that have the port it takes.
fn ways<'g>(backend: &Backend, gateways: &'g [Gateway], by_tunnel: bool) -> Vec<&'g Gateway> {
    let of_network: Vec<_> = gateways.iter().filter(|g| g.network == backend.network).collect();
    let of_cluster: Vec<_> =
        of_network.iter().copied().filter(|g| g.cluster == backend.cluster).collect();
    let chosen = if of_cluster.is_empty() { of_network } else { of_cluster };
    let port = |gateway: &Gateway| if by_tunnel { gateway.hbone_port } else { gateway.port };
    chosen.into_iter().filter(|gateway| port(gateway) != 0).collect()
}

/// Whether a client has the family of a gateway's address. IPv4 written as IPv6 is IPv4; host names
/// are of neither.
fn reaches(client: &Client, gateway: &Gateway) -> bool {
    let has_v4 = client.addresses.iter().any(|text| text.parse::<Ipv4Addr>().is_ok());
    let has_v6 = client.addresses.iter().any(|text| text.parse::<Ipv6Addr>().is_ok());
    let (is_v4, is_v6) = match gateway.address.parse() {
        Ok(IpAddr::V4(_)) => (true, false),
        Ok(IpAddr::V6(address)) => {
            let is_v4 = address.to_ipv4_mapped().is_some();
            (is_v4, !is_v4)
        }
        Err(_) => (false, false),
    };
    has_v4 == has_v6 || (has_v4 && is_v4) || (has_v6 && is_v6)
}

/// The least number that every list of gateways divides.
fn scale(gateways: &[Gateway]) -> u32 {
    let mut sizes: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for gateway in gateways {
        *sizes.entry((&gateway.network, None)).or_default() += 1;
        *sizes.entry((&gateway.network, Some(&gateway.cluster))).or_default() += 1;
    }
    let divides = |factor: u32| {
        sizes.values().all(|&size| usize::try_from(factor).is_ok_and(|factor| factor % size == 0))
    };
    (1..=u32::MAX).find(|&factor| divides(factor)).unwrap_or(1)
}

fn sum(entries: &[Entry]) -> u32 {
    cut(entries.iter().map(|entry| u64::from(entry.used.weight)).sum())
}

/// What is left of a number in 32 bits.
fn cut(number: u64) -> u32 {
    u32::try_from(number % (1 << 32)).unwrap_or_default()
}

fn covers(rule: &str, [own_region, own_zone, own_sub_zone]: &[String; 3]) -> bool {
    let [region, zone, sub_zone] = parts(rule);
    let any = |text: &str| text.is_empty() || text == "*";
    (region == "*" || region == *own_region)
        && (any(&zone) || zone == *own_zone)
        && (any(&sub_zone) || sub_zone == *own_sub_zone)
}

fn distribute(
    client: &Client,
    mut groups: Vec<Group>,
    entries: &[(String, Vec<(String, u32)>)],
) -> Vec<Group> {
    let Some((_, keys)) = entries.iter().find(|(from, _)| covers(from, &client.place)) else {
        return groups;
    };
    let mut claimed = BTreeSet::new();
    for (key, share) in keys {
        let is_meant = |group: &Group| covers(key, &group.place);
        let weights = groups.iter().filter(|group| is_meant(group)).map(|g| g.weight.unwrap_or(1));
        let total = cut(weights.map(u64::from).sum());
        for group in groups.iter_mut().filter(|group| is_meant(group)) {
            let product = cut(u64::from(group.weight.unwrap_or(1)) * u64::from(*share));
            if product > 0 && total > 0 {
                let quotient = f64::from(product) / f64::from(total);
                group.weight = format!("{:.0}", quotient.ceil()).parse().ok();
            }
            claimed.insert(group.place.clone());
        }
    }
    for group in groups.iter_mut().filter(|group| !claimed.contains(&group.place)) {
        group.entries.clear();
    }
    groups
}

fn by_labels(client: &Client, groups: Vec<Group>, labels: &[String]) -> Vec<Group> {
    if labels.is_empty() || client.labels.is_empty() {
        return groups;
    }
    let mut parts = Vec::new();
    for group in groups {
        for rank in 0..=2 * labels.len() {
            let has_rank = |entry: &&Entry| label_rank(client, entry, labels) == rank;
            let entries: Vec<Entry> = group.entries.iter().filter(has_rank).cloned().collect();
            if !entries.is_empty() {
                let priority = u32::try_from(rank).unwrap_or(u32::MAX);
                let weight = Some(sum(&entries));
                parts.push(Group { place: group.place.clone(), priority, weight, entries });
            }
        }
    }
    close_gaps(parts)
}

fn label_rank(client: &Client, entry: &Entry, labels: &[String]) -> usize {
    let value = |labels: &Labels, key: &str| labels.get(key).cloned().unwrap_or_default();
    let fixed: BTreeMap<&str, &str> = labels
        .iter()
        .filter(|label| label.matches('=').count() == 1)
        .filter_map(|label| label.split_once('='))
        .collect();
    let mut adjust = 0;
    for (index, label) in labels.iter().enumerate() {
        let key = label.split('=').next().unwrap_or_default();
        let wanted = match fixed.get(key) {
            Some(fixed) => (*fixed).to_owned(),
            None => value(&client.labels, key),
        };
        if wanted != value(&entry.labels, key) {
            if index == 0 && label == "topology.istio.io/network" {
                adjust = labels.len();
            } else {
                return labels.len() - index + adjust;
            }
        }
    }
    adjust
}

/// Five steps: sub-zone, zone, region, target, others; three: region, target, others.
fn by_region(
    client: &Client,
    mut groups: Vec<Group>,
    regions: &[(String, String)],
    steps: u32,
) -> Vec<Group> {
    let [region, zone, sub_zone] = &client.place;
    let target = regions.iter().find(|(from, _)| from == region).map(|(_, to)| to);
    for group in &mut groups {
        let [group_region, group_zone, group_sub_zone] = &group.place;
        let is_target = target == Some(group_region);
        let base = if steps == 3 {
            if group_region == region { 0 } else { 2 - u32::from(is_target) }
        } else if group_region != region {
            if target.is_none() || is_target { 3 } else { 4 }
        } else if group_zone != zone {
            2
        } else {
            u32::from(group_sub_zone != sub_zone)
        };
        group.priority = group.priority * steps + base;
    }
    close_gaps(groups)
}

fn close_gaps(mut groups: Vec<Group>) -> Vec<Group> {
    let used: BTreeSet<u32> = groups.iter().map(|group| group.priority).collect();
    for group in &mut groups {
        let below = used.iter().filter(|priority| **priority < group.priority).count();
        group.priority = u32::try_from(below).unwrap_or(u32::MAX);
    }
    groups
}
