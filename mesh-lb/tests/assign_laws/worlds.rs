//! Random meshes, in the plain data of the oracle.
use std::collections::BTreeMap;

use mesh_model::name::Locality;
use mesh_testkit::oracle::assign as oracle;
use mesh_testkit::oracle::assign::{
    Ambient, Backend, Client, Fixes, Form, Gateway, Health, Kind, Rules, Setting,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A mesh in plain data.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) client: Client,
    pub(super) backends: Vec<Backend>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) rules: Rules,
}

const CLUSTERS: [&str; 4] = ["", "c1", "c2", "c3"];
const NETWORKS: [&str; 4] = ["", "n1", "n2", "n3"];
const PLACES: [&str; 9] =
    ["", "r1", "r1/z1", "r1/z1/", "r1/z1/s1", "r1/z2/s1", "r2/z1/s1", "r2/z1/s2", "r3//s1"];
const LABELS: [&str; 11] = [
    "topology.kubernetes.io/zone",
    "kubernetes.io/hostname",
    "topology.istio.io/network",
    "topology.istio.io/cluster",
    "topology.istio.io/network=n2",
    "topology.kubernetes.io/region",
    "version",
    "version=v2",
    "version=v=2",
    "track",
    "track=v2",
];

const GATEWAY_NAME: &str = "gateway.example";
const GATEWAYS: [&str; 6] =
    ["192.0.2.1", "192.0.2.2", "192.0.2.10", "2001:db8::1", "::ffff:192.0.2.3", GATEWAY_NAME];

/// Keys of distributions that do not cover each other.
const KEYS: [&[(&str, u32)]; 3] = [
    &[("r1/*", 50), ("r2/*", 50)],
    &[("r1/z1/s1", 30), ("r1/z2/*", 33), ("r2", 37)],
    &[("*", 100)],
];

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

/// Labels of a place and a version, as the control plane adds them.
fn labels(
    (cluster, network, node): (&str, &str, &str),
    locality: &str,
    version: &str,
) -> oracle::Labels {
    let place = Locality::parse(locality);
    let all = [
        ("topology.istio.io/cluster", cluster),
        ("topology.istio.io/network", network),
        ("topology.istio.io/subzone", place.sub_zone()),
        ("topology.kubernetes.io/region", place.region()),
        ("topology.kubernetes.io/zone", place.zone()),
        ("kubernetes.io/hostname", node),
        ("track", version),
        ("version", version),
    ];
    let set = all.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn client() -> impl Strategy<Value = Client> {
    let view =
        prop_oneof![3 => Just(Vec::new()), 1 => Just(vec!["n1".to_owned(), "n2".to_owned()])];
    let place = (text(&CLUSTERS), text(&NETWORKS), text(&PLACES), text(&["", "v1"]));
    let kind = select(vec![Kind::Sidecar, Kind::Sidecar, Kind::Router, Kind::Waypoint]);
    let is_ingress = prop::bool::weighted(0.3);
    let more = (text(&["", "a"]), view, any::<bool>(), kind, is_ingress);
    let addresses = (addresses(), prop::bool::weighted(0.9), prop::bool::weighted(0.1));
    (place, more, addresses).prop_map(|(place, more, (addresses, sends_tunnels, is_grpc))| {
        let (node, view, is_labelled, kind, is_ingress) = more;
        let (cluster, network, locality, version) = place;
        let parts = Locality::parse(&locality);
        let mut labels = labels((&cluster, &network, &node), &locality, &version);
        if !is_labelled {
            labels.clear();
        }
        if is_ingress {
            labels.insert("istio".to_owned(), "ingressgateway".to_owned());
        }
        let place = [parts.region(), parts.zone(), parts.sub_zone()].map(str::to_owned);
        Client {
            kind,
            sends_tunnels,
            is_grpc,
            addresses,
            cluster,
            network,
            node,
            place,
            labels,
            view,
        }
    })
}

/// Addresses of a client: of either family, of both or of none.
fn addresses() -> impl Strategy<Value = Vec<String>> {
    let (v4, v6) = ("10.9.9.9", "2001:db8:9::9");
    select(vec![vec![v4], vec![v4], vec![v6], vec![v4, v6], vec![v6, v4], vec![]])
        .prop_map(|addresses| addresses.into_iter().map(str::to_owned).collect())
}

fn backend() -> impl Strategy<Value = Backend> {
    let weight = prop_oneof![6 => 1..5_u32, 1 => 715_827_880..715_827_884_u32, 1 => Just(u32::MAX)];
    let place = (text(&CLUSTERS), text(&NETWORKS), text(&PLACES), text(&["", "v1", "v2"]));
    let odd = || prop::bool::weighted(0.15);
    let tunnel = select(vec![
        None,
        None,
        None,
        Some(("networking.istio.io/tunnel", "http")),
        Some(("networking.istio.io/tunnel", "h2,http")),
        Some(("networking.istio.io/tunnel", "https")),
        Some(("gateway.istio.io/managed", "istio.io-mesh-controller")),
    ]);
    let tunnel = (tunnel, prop::bool::weighted(0.3));
    let draining = prop_oneof![8 => Just(None), 1 => text(&["", "true"]).prop_map(Some)];
    // The number is of another port where the name is, or the name alone.
    let port = select(vec![("http", 80), ("http", 80), ("http", 80), ("http", 81), ("web", 80)]);
    (
        place,
        (text(&["", "a"]), port, tunnel),
        weight,
        (
            select(vec!["istio", "istio", "istio", "istio", "disabled", "", "other"]),
            odd(),
            odd(),
            health(),
            draining,
        ),
    )
        .prop_map(|(place, (node, port, (tunnel, is_captured)), weight, flags)| {
            let (port_name, service_port) = port;
            let (cluster, network, locality, version) = place;
            let (tls_mode, is_private, is_unknown, health, draining) = flags;
            let mut labels = labels((&cluster, &network, &node), &locality, &version);
            if let Some((key, value)) = tunnel {
                labels.insert(key.to_owned(), value.to_owned());
            }
            if let Some(text) = draining {
                labels.insert("istio.io/draining".to_owned(), text);
            }
            Backend {
                // The address is set later, so that each is unique.
                address: if is_unknown { String::new() } else { "set".to_owned() },
                labels,
                health,
                ..Backend {
                    cluster,
                    network,
                    node,
                    port_name: port_name.to_owned(),
                    service_port,
                    locality,
                    weight,
                    tls_mode: tls_mode.to_owned(),
                    is_private,
                    is_captured,
                    ..Backend::default()
                }
            }
        })
}

fn health() -> impl Strategy<Value = Health> {
    prop_oneof![
        2 => Just(Health::Unknown),
        6 => Just(Health::Healthy),
        2 => Just(Health::Unhealthy),
        2 => Just(Health::Draining),
        1 => Just(Health::Terminating),
    ]
}

fn gateway() -> impl Strategy<Value = Gateway> {
    let address = text(&GATEWAYS);
    let port = select(vec![0, 15443, 15444]);
    let port = (port, select(vec![0, 15008]));
    (address, port, text(&["n1", "n2"]), text(&CLUSTERS)).prop_map(
        |(address, (port, hbone_port), network, cluster)| Gateway {
            address,
            port,
            hbone_port,
            network,
            cluster,
        },
    )
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        2 => Just(Setting::Unset),
        7 => setting_of_localities(),
        2 => setting_of_zones(),
    ]
}

/// The setting of a rule or of the mesh that is not about zones.
fn setting_of_localities() -> impl Strategy<Value = Setting> {
    let keys = select(&KEYS[..]);
    let keys = keys.prop_map(|keys| {
        keys.iter().map(|(key, share)| ((*key).to_owned(), *share)).collect::<Vec<_>>()
    });
    let from = text(&["*", "r1/*", "r1/z1", "r2/z1/s1"]);
    prop_oneof![
        1 => Just(Setting::Off),
        2 => prop::collection::vec((from, keys), 1..3).prop_map(Setting::Distribute),
        4 => ranks().prop_map(|(labels, regions)| Setting::Failover(labels, regions)),
    ]
}

fn setting_of_zones() -> impl Strategy<Value = Setting> {
    prop_oneof![
        1 => Just(Setting::ZoneAwareOff),
        4 => ranks().prop_map(|(labels, regions)| Setting::ZoneAware(labels, regions)),
    ]
}

/// Labels and regions to rank by.
fn ranks() -> impl Strategy<Value = (Vec<String>, Vec<(String, String)>)> {
    let region = || text(&["", "r1", "r2", "r3"]);
    let regions = prop::collection::vec((region(), region()), 0..3);
    (prop::collection::vec(text(&LABELS), 0..4), regions)
}

/// Settings beside the rule's: the service's, and the mesh's of zones and of localities.
fn other_settings() -> impl Strategy<Value = (String, Setting, Setting)> {
    let prefers = prop_oneof![
        3 => Just(String::new()),
        1 => text(&["PreferSameZone", "PreferSameNode"]),
    ];
    let of_zones = prop_oneof![3 => Just(Setting::Unset), 1 => setting_of_zones()];
    let of_localities = prop_oneof![1 => Just(Setting::Unset), 1 => setting_of_localities()];
    (prefers, of_zones, of_localities)
}

fn fixes() -> impl Strategy<Value = Fixes> {
    let rarely = || prop::bool::weighted(0.2);
    (rarely(), rarely())
        .prop_map(|(gateway_weights, gateway_labels)| Fixes { gateway_weights, gateway_labels })
}

fn ambient() -> impl Strategy<Value = Option<Ambient>> {
    let (often, rarely) = (prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    let switches = (any::<bool>(), often, any::<bool>(), any::<bool>(), rarely);
    let ambient = switches.prop_map(|switches| {
        let (prefers_tunnels, spans_networks, waypoints_leave, ingresses_leave, keeps_in_cluster) =
            switches;
        Ambient {
            prefers_tunnels,
            spans_networks,
            waypoints_leave,
            ingresses_leave,
            keeps_in_cluster,
        }
    });
    prop::option::of(ambient)
}

fn rules() -> impl Strategy<Value = Rules> {
    let odd = || prop::bool::weighted(0.1);
    let subset = prop_oneof![
        3 => Just(None),
        1 => Just(Some(BTreeMap::new())),
        1 => Just(Some(BTreeMap::from([("version".to_owned(), "v1".to_owned())]))),
    ];
    let form = select(vec![
        Form::Outbound,
        Form::Outbound,
        Form::SniDnat,
        Form::Dns,
        Form::Dns,
        Form::SniDnatDns,
        Form::InboundVip,
    ]);
    let sessions = prop_oneof![3 => Just(String::new()), 1 => Just("cookie".to_owned())];
    let form = (form, prop::bool::weighted(0.05), ambient());
    let tls = prop_oneof![
        4 => Just(None),
        2 => text(&["ISTIO_MUTUAL", "DISABLE", "SIMPLE", "MUTUAL"]).prop_map(Some),
    ];
    let health = (any::<bool>(), prop::bool::weighted(0.8));
    let settings = (setting(), other_settings(), fixes());
    (subset, (form, odd(), odd(), sessions), health, (tls, odd()), settings).prop_map(
        |(subset, flags, health, (tls, refuses_mutual_tls), settings)| {
            let ((form, is_late, ambient), is_cluster_local, is_node_local, sessions) = flags;
            let (sends_unhealthy, has_outlier_detection) = health;
            let (setting, (prefers, of_mesh_zones, of_mesh), fixes) = settings;
            Rules {
                form,
                ambient,
                port_name: "http".to_owned(),
                port: 80,
                is_resolved_by_dns: form.is_dns() || is_late,
                subset,
                is_cluster_local,
                is_node_local,
                sessions,
                sends_unhealthy,
                has_outlier_detection,
                setting,
                tls,
                refuses_mutual_tls,
                prefers,
                of_mesh_zones,
                of_mesh,
                fixes,
            }
        },
    )
}

pub(super) fn world() -> impl Strategy<Value = World> {
    let backends = prop::collection::vec(backend(), 0..14);
    let gateways = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(gateway(), 1..5),
    ];
    let world = (client(), backends, gateways, rules(), prop::bool::weighted(0.15));
    world.prop_map(|(client, backends, gateways, rules, is_close)| {
        let mut world = World { client, backends, gateways, rules };
        if is_close {
            world.draw_near();
        }
        // Shards follow each other by cluster.
        world.backends.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        for (index, backend) in world.backends.iter_mut().enumerate() {
            if index % 4 == 1 {
                backend.more_addresses =
                    vec![format!("10.0.1.{index}"), format!("2001:db8:2::{index}")];
            }
            if !backend.address.is_empty() {
                backend.address = match index % 6 {
                    3 => format!("2001:db8:1::{index}"),
                    4 => format!("host-{index}.example"),
                    5 => format!("unix:///run/{index}.sock"),
                    _ => format!("10.0.0.{index}"),
                };
            }
        }
        // Names are resolved before where they are not dialled.
        if !world.rules.form.is_dns() {
            world.gateways.retain(|gateway| gateway.address != GATEWAY_NAME);
        }
        world
    })
}

impl World {
    /// Puts all endpoints where the client is, so that what is compared last decides.
    fn draw_near(&mut self) {
        let Client { network, place, .. } = &self.client;
        let locality = place.join("/");
        for backend in &mut self.backends {
            (backend.network, backend.locality) = (network.clone(), locality.clone());
            let place = (&*backend.cluster, &**network, &*backend.node);
            let version = backend.labels.get("version").cloned().unwrap_or_default();
            backend.labels.retain(|key, _| !key.starts_with("topology."));
            backend.labels.extend(labels(place, &locality, &version));
        }
    }
}
