//! Random meshes, in the plain data of the oracle and in the engine's own form.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Input, Target, Transport};
use mesh_model::Compat;
use mesh_model::endpoint::{
    Address, Discoverability, Endpoint, Gateways, HealthStatus, NetworkGateway, Shards, Workload,
};
use mesh_model::name::{ClusterId, Labels, Locality, NetworkId};
use mesh_model::registry::{Resolution, Service};
use mesh_model::resource::Json;
use mesh_model::resource::destination_rule::{
    Distribute, Failover, LoadBalancerSettings, LocalityLbSetting, ZoneAwareLbSetting,
};
use mesh_model::view::{Proxy, ProxyKind};
use mesh_testkit::by_hand;
use mesh_testkit::oracle::assign as oracle;
use mesh_testkit::oracle::assign::{
    Ambient, Backend, Client, Form, Gateway, Health, Kind, Rules, Setting,
};
use proptest::prelude::*;
use proptest::sample::select;

/// A mesh in plain data, and the engine's own form of it.
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
const LABELS: [&str; 9] = [
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
fn labels(cluster: &str, network: &str, locality: &str, version: &str) -> oracle::Labels {
    let place = Locality::parse(locality);
    let all = [
        ("topology.istio.io/cluster", cluster),
        ("topology.istio.io/network", network),
        ("topology.kubernetes.io/region", place.region()),
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
    let addresses = (addresses(), prop::bool::weighted(0.9));
    (place, more, addresses).prop_map(|(place, more, (addresses, sends_tunnels))| {
        let (node, view, is_labelled, kind, is_ingress) = more;
        let (cluster, network, locality, version) = place;
        let parts = Locality::parse(&locality);
        let mut labels = labels(&cluster, &network, &locality, &version);
        if !is_labelled {
            labels.clear();
        }
        if is_ingress {
            labels.insert("istio".to_owned(), "ingressgateway".to_owned());
        }
        let place = [parts.region(), parts.zone(), parts.sub_zone()].map(str::to_owned);
        Client { kind, sends_tunnels, addresses, cluster, network, node, place, labels, view }
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
        (prop::bool::weighted(0.8), odd(), odd(), health(), draining),
    )
        .prop_map(|(place, (node, port, (tunnel, is_captured)), weight, flags)| {
            let (port_name, service_port) = port;
            let (cluster, network, locality, version) = place;
            let (speaks_mutual_tls, is_private, is_unknown, health, draining) = flags;
            let mut labels = labels(&cluster, &network, &locality, &version);
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
                    speaks_mutual_tls,
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
    let labels = || prop::collection::vec(text(&LABELS), 0..4);
    let region = || text(&["", "r1", "r2", "r3"]);
    let regions = move || prop::collection::vec((region(), region()), 0..3);
    let keys = select(&KEYS[..]);
    let keys = keys.prop_map(|keys| {
        keys.iter().map(|(key, share)| ((*key).to_owned(), *share)).collect::<Vec<_>>()
    });
    let from = text(&["*", "r1/*", "r1/z1", "r2/z1/s1"]);
    prop_oneof![
        1 => Just(Setting::Off),
        2 => prop::collection::vec((from, keys), 1..3).prop_map(Setting::Distribute),
        4 => (labels(), regions()).prop_map(|(labels, regions)| Setting::Failover(labels, regions)),
        2 => (labels(), regions()).prop_map(|(labels, regions)| Setting::ZoneAware(labels, regions)),
    ]
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
        Form::InboundVip,
    ]);
    let sessions = prop_oneof![3 => Just(String::new()), 1 => Just("cookie".to_owned())];
    let form = (form, prop::bool::weighted(0.05), ambient());
    (subset, (form, odd(), odd(), sessions), any::<bool>(), prop::bool::weighted(0.8), setting())
        .prop_map(|(subset, flags, sends_unhealthy, has_outlier_detection, setting)| {
            let ((form, is_late, ambient), is_cluster_local, is_node_local, sessions) = flags;
            Rules {
                form,
                ambient,
                port_name: "http".to_owned(),
                port: 80,
                is_resolved_by_dns: form == Form::Dns || is_late,
                subset,
                is_cluster_local,
                is_node_local,
                sessions,
                sends_unhealthy,
                has_outlier_detection,
                setting,
            }
        })
}

pub(super) fn world() -> impl Strategy<Value = World> {
    let backends = prop::collection::vec(backend(), 0..14);
    let gateways = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(gateway(), 1..5),
    ];
    (client(), backends, gateways, rules()).prop_map(|(client, backends, gateways, rules)| {
        let mut world = World { client, backends, gateways, rules };
        // Shards follow each other by cluster.
        world.backends.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        for (index, backend) in world.backends.iter_mut().enumerate() {
            if !backend.address.is_empty() {
                backend.address = match index % 5 {
                    3 => format!("2001:db8:1::{index}"),
                    4 => format!("host-{index}.example"),
                    _ => format!("10.0.0.{index}"),
                };
            }
        }
        // Names are resolved before where they are not dialled.
        if world.rules.form != Form::Dns {
            world.gateways.retain(|gateway| gateway.address != GATEWAY_NAME);
        }
        world
    })
}

impl World {
    /// Whether ambient spans networks, so that weights are scaled without any gateway, too.
    pub(super) fn spans_networks(&self) -> bool {
        self.rules.ambient.as_ref().is_some_and(|ambient| ambient.spans_networks)
    }

    fn proxy(&self) -> Proxy {
        let [region, zone, sub_zone] = &self.client.place;
        Proxy {
            kind: match self.client.kind {
                Kind::Sidecar => ProxyKind::Sidecar,
                Kind::Router => ProxyKind::Router,
                Kind::Waypoint => ProxyKind::Waypoint,
            },
            network: NetworkId::from(self.client.network.as_str()),
            addresses: self.client.addresses.iter().filter_map(|a| a.parse().ok()).collect(),
            labels: collect(&self.client.labels),
            metadata: [("DISABLE_HBONE_SEND", !self.client.sends_tunnels)]
                .into_iter()
                .map(|(key, is_set)| (key.into(), Json::String(is_set.to_string().into())))
                .collect(),
            locality: Locality::new(region, zone, sub_zone),
            node: self.client.node.as_str().into(),
            network_view: self.client.view.iter().map(|n| NetworkId::from(n.as_str())).collect(),
            ..by_hand::proxy(&self.client.cluster, "")
        }
    }

    fn service(&self) -> Service {
        // The label for a header keeps no draining endpoints, and empty ones say nothing.
        let labels = [
            ("istio.io/persistent-session", &*self.rules.sessions),
            ("istio.io/persistent-session-header", "header"),
        ];
        Service {
            node_local: self.rules.is_node_local,
            resolution: if self.rules.is_resolved_by_dns {
                Resolution::DnsLb
            } else {
                Resolution::ClientSideLb
            },
            labels: labels.into_iter().collect(),
            ..by_hand::service("cart.shop")
        }
    }

    pub(super) fn shards(&self) -> Shards {
        by_hand::shards(self.backends.iter().enumerate().map(endpoint))
    }

    pub(super) fn gateways(&self) -> Gateways {
        Gateways::new(self.gateways.iter().map(|gateway| NetworkGateway {
            network: NetworkId::from(gateway.network.as_str()),
            cluster: ClusterId::from(gateway.cluster.as_str()),
            address: Address::parse(&gateway.address),
            port: gateway.port,
            hbone_port: gateway.hbone_port,
            service_account: "".into(),
        }))
    }

    fn load_balancer(&self) -> LoadBalancerSettings {
        let failover = |regions: &[(String, String)]| {
            let entries = regions.iter();
            entries
                .map(|(from, to)| Failover { from: from.as_str().into(), to: to.as_str().into() })
                .collect()
        };
        let words = |labels: &[String]| labels.iter().map(|label| label.as_str().into()).collect();
        let mut settings = LoadBalancerSettings::default();
        match &self.rules.setting {
            Setting::Off => {}
            Setting::Distribute(entries) => {
                let entries = entries.iter().map(|(from, keys)| Distribute {
                    from: from.as_str().into(),
                    to: keys.iter().map(|(key, share)| (key.as_str().into(), *share)).collect(),
                });
                settings.locality_lb_setting =
                    Some(LocalityLbSetting { distribute: entries.collect(), ..Default::default() });
            }
            Setting::Failover(labels, regions) => {
                settings.locality_lb_setting = Some(LocalityLbSetting {
                    failover: failover(regions),
                    failover_priority: words(labels),
                    ..Default::default()
                });
            }
            Setting::ZoneAware(labels, regions) => {
                settings.zone_aware_lb_setting = Some(ZoneAwareLbSetting {
                    failover: failover(regions),
                    failover_priority: words(labels),
                    ..Default::default()
                });
            }
        }
        settings
    }

    pub(super) fn assign(&self, shards: &Shards, gateways: &Gateways) -> Assignment {
        self.assign_with(&self.compat(), shards, gateways)
    }

    pub(super) fn compat(&self) -> Compat {
        let mut compat = Compat::default();
        let flags = &mut compat.flags;
        flags.pilot_enable_ambient = self.rules.ambient.is_some();
        // Without ambient the others mean nothing.
        let none = Ambient { prefers_tunnels: true, spans_networks: true, ..Ambient::default() };
        let ambient = self.rules.ambient.as_ref().unwrap_or(&none);
        flags.pilot_prefer_sending_hbone = ambient.prefers_tunnels;
        flags.ambient_enable_multi_network = ambient.spans_networks;
        flags.ambient_enable_multi_network_waypoint = ambient.waypoints_leave;
        flags.ambient_enable_multi_network_ingress = ambient.ingresses_leave;
        compat
    }

    fn is_captured(&self, endpoint: &Endpoint) -> bool {
        let index = endpoint.workload.instance.parse().ok();
        index.and_then(|index: usize| self.backends.get(index)).is_some_and(|b| b.is_captured)
    }

    pub(super) fn assign_with(
        &self,
        compat: &Compat,
        shards: &Shards,
        gateways: &Gateways,
    ) -> Assignment {
        self.assign_looking(compat, shards, gateways, &|_| false)
    }

    /// `looks_at_each`: whether endpoints that are alike are looked at one by one all the same.
    pub(super) fn assign_looking(
        &self,
        compat: &Compat,
        shards: &Shards,
        gateways: &Gateways,
        looks_at_each: &dyn Fn(&Endpoint) -> bool,
    ) -> Assignment {
        let (proxy, service) = (self.proxy(), self.service());
        let (load_balancer, subset) =
            (self.load_balancer(), self.rules.subset.as_ref().map(collect));
        let Some(port) = service.port(80) else { return Assignment::default() };
        Assignment::compute(&Input {
            form: match self.rules.form {
                Form::Outbound => ClusterForm::Outbound,
                Form::Dns => ClusterForm::Dns,
                Form::SniDnat => ClusterForm::SniDnat,
                Form::InboundVip => ClusterForm::InboundVip,
            },
            is_ambient_local: self.rules.ambient.as_ref().is_some_and(|a| a.keeps_in_cluster),
            is_ambient: &|endpoint| self.is_captured(endpoint),
            is_cluster_local: self.rules.is_cluster_local,
            subset: subset.as_ref(),
            load_balancer: Some(&load_balancer),
            has_outlier_detection: self.rules.has_outlier_detection,
            min_health_percent: if self.rules.sends_unhealthy { 0 } else { 50 },
            peer_mode_varies: looks_at_each,
            ..Input::new(&proxy, compat, (&service, port), shards, gateways)
        })
    }

    pub(super) fn serves_port(&self, endpoint: &Endpoint) -> bool {
        match self.rules.form {
            Form::Dns => endpoint.service_port == self.rules.port,
            Form::Outbound | Form::SniDnat | Form::InboundVip => {
                *endpoint.port_name == *self.rules.port_name
            }
        }
    }

    pub(super) fn engine(&self) -> Assignment {
        self.assign(&self.shards(), &self.gateways())
    }
}

fn collect(labels: &oracle::Labels) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn endpoint((index, backend): (usize, &Backend)) -> Endpoint {
    Endpoint {
        weight: backend.weight,
        port_name: backend.port_name.as_str().into(),
        service_port: backend.service_port,
        health: match backend.health {
            Health::Unknown => HealthStatus::Unknown,
            Health::Healthy => HealthStatus::Healthy,
            Health::Unhealthy => HealthStatus::Unhealthy,
            Health::Draining => HealthStatus::Draining,
            Health::Terminating => HealthStatus::Terminating,
        },
        workload: Arc::new(Workload {
            instance: index.to_string().into(),
            cluster: ClusterId::from(backend.cluster.as_str()),
            network: NetworkId::from(backend.network.as_str()),
            node: backend.node.as_str().into(),
            locality: backend.locality.as_str().into(),
            labels: collect(&backend.labels),
            tls_mode: if backend.speaks_mutual_tls { "istio" } else { "disabled" }.into(),
            discoverability: if backend.is_private {
                Discoverability::SameCluster
            } else {
                Discoverability::Always
            },
            ..Workload::default()
        }),
        ..by_hand::endpoint(&backend.address, "", "")
    }
}

/// An assignment as the oracle writes it.
pub(super) fn plain(assignment: &Assignment) -> Vec<oracle::Locality> {
    let localities = assignment.localities().map(|locality| {
        let place = locality.locality();
        oracle::Locality {
            place: [place.region(), place.zone(), place.sub_zone()].map(str::to_owned),
            priority: locality.priority(),
            weight: locality.weight(),
            endpoints: locality
                .endpoints()
                .map(|endpoint| oracle::Used {
                    address: endpoint.target().address().to_string(),
                    weight: endpoint.weight(),
                    is_gateway: matches!(
                        endpoint.target(),
                        Target::Gateway(_) | Target::DoubleTunnel(_)
                    ),
                    is_tunnelled: matches!(
                        endpoint.target(),
                        Target::Tunnel(_) | Target::DoubleTunnel(_)
                    ),
                    transport: match endpoint.transport() {
                        Transport::Plain => "",
                        Transport::Istio => "istio",
                        Transport::OtherTls => "other",
                        Transport::Tunnel => "http",
                    },
                    health: match endpoint.health() {
                        HealthStatus::Unknown => Health::Unknown,
                        HealthStatus::Healthy => Health::Healthy,
                        HealthStatus::Unhealthy => Health::Unhealthy,
                        HealthStatus::Draining => Health::Draining,
                        HealthStatus::Terminating => Health::Terminating,
                    },
                })
                .collect(),
        }
    });
    localities.collect()
}
