//! Which endpoints a proxy uses, at which priority and weight: the specification typed out.
//!
//! Plain texts and numbers, lists searched from end to end, sums in `u64` cut to 32 bits. It does not
//! know ambient, Unix sockets, and settings of the mesh and of services.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What a client is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Kind {
    /// Beside a workload.
    #[default]
    Sidecar,
    /// A gateway of any sort.
    Router,
    /// An ambient waypoint.
    Waypoint,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Client {
    /// What it is.
    pub kind: Kind,
    /// Its IP addresses; none: it may reach any family.
    pub addresses: Vec<String>,
    /// Its cluster.
    pub cluster: String,
    /// Its network, possibly unknown.
    pub network: String,
    /// Its node.
    pub node: String,
    /// Region, zone and sub-zone.
    pub place: [String; 3],
    /// Its labels.
    pub labels: Labels,
    /// The networks it wants to see; empty: all.
    pub view: Vec<String>,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Health {
    /// Nothing is said.
    #[default]
    Unknown,
    /// Ready.
    Healthy,
    /// Not ready.
    Unhealthy,
    /// Still serving the sessions that it has.
    Draining,
    /// Shutting down.
    Terminating,
}

/// An endpoint of the service.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Backend {
    /// Its IP address or host name, unique; empty: unknown.
    pub address: String,
    /// The name of the service port that it serves.
    pub port_name: String,
    /// The number of the service port that it serves.
    pub service_port: u16,
    /// Its cluster.
    pub cluster: String,
    /// Its network, possibly unknown.
    pub network: String,
    /// Its node.
    pub node: String,
    /// The raw text of its locality.
    pub locality: String,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Its labels.
    pub labels: Labels,
    /// Whether it speaks Istio's mutual TLS.
    pub speaks_mutual_tls: bool,
    /// How it is, if no label `istio.io/draining` says that it is draining.
    pub health: Health,
    /// Whether only its own cluster may use it.
    pub is_private: bool,
}

/// A gateway into a network.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Gateway {
    /// Its IP address; for clusters that DNS resolves, possibly a host name.
    pub address: String,
    /// Its port for mutual TLS; 0: none.
    pub port: u16,
    /// The network behind it.
    pub network: String,
    /// Its cluster, empty if it is of none.
    pub cluster: String,
}

/// What the cluster is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Form {
    /// `outbound|…`, sent by EDS.
    #[default]
    Outbound,
    /// `outbound|…`, its endpoints part of it and resolved by DNS.
    Dns,
    /// `outbound_.…`, only what speaks mutual TLS.
    SniDnat,
}

/// What is configured.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, clippy::struct_excessive_bools, reason = "plain data")]
pub struct Rules {
    /// What the cluster is.
    pub form: Form,
    /// The name of the service port.
    pub port_name: String,
    /// Its number.
    pub port: u16,
    /// The service is one that DNS resolves.
    pub is_resolved_by_dns: bool,
    /// Labels of the subset; `None` for the cluster of the whole service.
    pub subset: Option<Labels>,
    /// The service stays in its cluster.
    pub is_cluster_local: bool,
    /// The service stays on its node.
    pub is_node_local: bool,
    /// The value of the service's label `istio.io/persistent-session`; empty: it keeps no sessions.
    pub sessions: String,
    /// Unhealthy endpoints are sent.
    pub sends_unhealthy: bool,
    /// Outlier detection is configured.
    pub has_outlier_detection: bool,
    /// How localities are told apart.
    pub setting: Setting,
}

/// How localities are told apart.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_enums, reason = "plain data")]
pub enum Setting {
    /// Not at all.
    #[default]
    Off,
    /// Shares by the client's locality: entries of `from` and keys with percents. No key of an entry
    /// covers another.
    Distribute(Vec<(String, Vec<(String, u32)>)>),
    /// Labels and regions; needs outlier detection.
    Failover(Vec<String>, Vec<(String, String)>),
    /// Labels and regions, zone-aware; not for waypoints.
    ZoneAware(Vec<String>, Vec<(String, String)>),
}

/// A locality of the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Locality {
    /// Region, zone and sub-zone.
    pub place: [String; 3],
    /// The priority.
    pub priority: u32,
    /// The weight, `None` if not told.
    pub weight: Option<u32>,
    /// Its endpoints, then gateways.
    pub endpoints: Vec<Used>,
}

/// An endpoint or gateway of the answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Used {
    /// The address that is dialled.
    pub address: String,
    /// The weight.
    pub weight: u32,
    /// Whether it is a gateway.
    pub is_gateway: bool,
    /// The health that is told; of gateways nothing.
    pub health: Health,
}

/// An endpoint or gateway on its way into the answer.
#[derive(Clone)]
struct Entry {
    used: Used,
    labels: Labels,
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
    if rules.is_resolved_by_dns && rules.form != Form::Dns {
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
    // Subsets of clusters that DNS resolves are not ranked by labels.
    let is_labelled = rules.form != Form::Dns || rules.subset.is_none();
    let by_labels =
        |groups, labels| if is_labelled { by_labels(client, groups, labels) } else { groups };
    let groups = match &rules.setting {
        Setting::Off => groups,
        Setting::Distribute(entries) => distribute(client, groups, entries),
        Setting::Failover(..) if !rules.has_outlier_detection => groups,
        Setting::Failover(labels, regions) => {
            let is_regional = labels.is_empty() || !regions.is_empty();
            let groups = by_labels(groups, labels);
            if is_regional { by_region(client, groups, regions, 5) } else { groups }
        }
        Setting::ZoneAware(..) if client.kind == Kind::Waypoint => groups,
        Setting::ZoneAware(labels, regions) => {
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

fn is_visible(client: &Client, backend: &Backend, rules: &Rules) -> bool {
    let same_cluster = client.cluster == backend.cluster;
    let is_dns = rules.form == Form::Dns;
    let serves_port = if is_dns {
        backend.service_port == rules.port
    } else {
        backend.port_name == rules.port_name && (backend.address.is_empty() || is_ip(backend))
    };
    // EDS asks only the client's cluster for what stays on a node, DNS all.
    let is_on_node = backend.node == client.node && (same_cluster || is_dns);
    serves_port
        && rules.subset.iter().flatten().all(|(key, value)| backend.labels.get(key) == Some(value))
        && (!rules.is_node_local || is_on_node)
        && (!rules.is_cluster_local || same_cluster)
        && is_in_view(client, &backend.network)
        && (!backend.is_private || same_or_empty(&client.cluster, &backend.cluster))
        && (backend.health != Health::Unhealthy || rules.sends_unhealthy)
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
    let plain = |backend: &Backend, weight| Entry {
        used: Used {
            address: backend.address.clone(),
            weight,
            is_gateway: false,
            health: told_health(backend),
        },
        labels: backend.labels.clone(),
    };
    let all = backends.iter().map(|backend| u64::from(backend.weight)).sum::<u64>();
    let mut weight = Some(u32::try_from(all).unwrap_or(u32::MAX));
    let mut entries: Vec<(bool, Entry)> = Vec::new();
    if gateways.is_empty() {
        let direct = backends.iter().map(|b| (b.speaks_mutual_tls, plain(b, b.weight)));
        entries.extend(direct);
    } else {
        let factor = scale(gateways);
        let mut stand_ins: BTreeMap<Gateway, u64> = BTreeMap::new();
        for backend in backends {
            let scaled =
                if backend.weight < u32::MAX / factor { backend.weight * factor } else { u32::MAX };
            let ways = ways(backend, gateways);
            let leaves = client.network.is_empty() && !backend.network.is_empty();
            let is_near = same_or_empty(&client.network, &backend.network) && !leaves;
            if is_near || ways.is_empty() {
                if !backend.address.is_empty() {
                    entries.push((backend.speaks_mutual_tls, plain(backend, scaled)));
                }
            } else if backend.speaks_mutual_tls {
                let ways: Vec<_> = ways.into_iter().filter(|way| reaches(client, way)).collect();
                let n_ways = u32::try_from(ways.len()).unwrap_or(u32::MAX);
                for way in ways {
                    *stand_ins.entry(way.clone()).or_default() += u64::from(scaled / n_ways);
                }
            }
        }
        for (gateway, weight) in stand_ins {
            let labels = [
                ("topology.istio.io/cluster", gateway.cluster),
                ("topology.istio.io/network", gateway.network),
            ];
            let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
            let labels = labels.map(|(key, value)| (key.to_owned(), value)).collect();
            let weight = cut(weight).max(1);
            let (address, health) = (gateway.address, Health::Unknown);
            let used = Used { address, weight, is_gateway: true, health };
            entries.push((true, Entry { used, labels }));
        }
    }
    if rules.form == Form::SniDnat {
        entries.retain(|(speaks, _)| *speaks);
    }
    let entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    if !gateways.is_empty() || rules.form == Form::SniDnat {
        weight = (!entries.is_empty()).then(|| sum(&entries));
    }
    Group { place: parts(name), priority: 0, weight, entries }
}

/// The gateways that lead to an endpoint and that have the port it takes.
fn ways<'g>(backend: &Backend, gateways: &'g [Gateway]) -> Vec<&'g Gateway> {
    let of_network: Vec<_> = gateways.iter().filter(|g| g.network == backend.network).collect();
    let of_cluster: Vec<_> =
        of_network.iter().copied().filter(|g| g.cluster == backend.cluster).collect();
    let chosen = if of_cluster.is_empty() { of_network } else { of_cluster };
    chosen.into_iter().filter(|gateway| gateway.port != 0).collect()
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
