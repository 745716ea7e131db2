//! Random meshes in the engine's own form, and its answers as the oracle writes them.
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Input, Target, Transport};
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::endpoint::{
    Address, Discoverability, Endpoint, Gateways, HealthStatus, NetworkGateway, Place, Shards,
    Template, Workload,
};
use mesh_model::name::{ClusterId, Labels, Locality, NetworkId};
use mesh_model::registry::{Resolution, Service, TrafficDistribution};
use mesh_model::resource::destination_rule::{
    ClientTlsMode, Distribute, Failover, LoadBalancerSettings, LocalityLbSetting,
    ZoneAwareLbSetting,
};
use mesh_model::resource::{Json, MutualTlsMode};
use mesh_model::view::{Proxy, ProxyKind};
use mesh_testkit::by_hand;
use mesh_testkit::oracle::assign as oracle;
use mesh_testkit::oracle::assign::{Ambient, Backend, Form, Health, Kind, Setting};

use super::worlds::World;

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
            data_plane: if self.client.is_grpc { DataPlane::Grpc } else { DataPlane::IstioProxy },
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
            traffic_distribution: match &*self.rules.prefers {
                "PreferSameZone" => TrafficDistribution::SameZone,
                "PreferSameNode" => TrafficDistribution::SameNode,
                _ => TrafficDistribution::Any,
            },
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
        compat.fixes.gateway_weights = self.rules.fixes.gateway_weights;
        compat.fixes.gateway_labels = self.rules.fixes.gateway_labels;
        compat
    }

    fn is_captured(&self, endpoint: &Endpoint) -> bool {
        let index = endpoint.instance.parse().ok();
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
        let subset = self.rules.subset.as_ref().map(collect);
        let of_rule = load_balancer(&self.rules.setting);
        let of_mesh = load_balancer(&self.rules.of_mesh);
        let of_zones = load_balancer(&self.rules.of_mesh_zones);
        let Some(port) = service.port(80) else { return Assignment::default() };
        Assignment::compute(&Input {
            form: match self.rules.form {
                Form::Outbound => ClusterForm::Outbound,
                Form::Dns => ClusterForm::Dns,
                Form::SniDnat => ClusterForm::SniDnat,
                Form::SniDnatDns => ClusterForm::SniDnatDns,
                Form::InboundVip => ClusterForm::InboundVip,
            },
            is_ambient_local: self.rules.ambient.as_ref().is_some_and(|a| a.keeps_in_cluster),
            is_ambient: &|endpoint| self.is_captured(endpoint),
            is_cluster_local: self.rules.is_cluster_local,
            subset: subset.as_ref(),
            load_balancer: Some(&of_rule),
            mesh_locality: of_mesh.locality_lb_setting.as_ref(),
            mesh_zone_aware: of_zones.zone_aware_lb_setting.as_ref(),
            tls_mode: self.rules.tls.as_deref().map(tls_mode),
            peer_mode: &|_| match self.rules.refuses_mutual_tls {
                true => MutualTlsMode::Disable,
                false => MutualTlsMode::Permissive,
            },
            has_outlier_detection: self.rules.has_outlier_detection,
            min_health_percent: if self.rules.sends_unhealthy { 0 } else { 50 },
            peer_mode_varies: looks_at_each,
            ..Input::new(&proxy, compat, (&service, port), shards, gateways)
        })
    }

    pub(super) fn serves_port(&self, endpoint: &Endpoint) -> bool {
        match self.rules.form {
            Form::Dns | Form::SniDnatDns => endpoint.service_port == self.rules.port,
            Form::Outbound | Form::SniDnat | Form::InboundVip => {
                *endpoint.port_name == *self.rules.port_name
            }
        }
    }

    pub(super) fn engine(&self) -> Assignment {
        self.assign(&self.shards(), &self.gateways())
    }
}

/// A setting as a rule, or the mesh, has it.
fn load_balancer(setting: &Setting) -> LoadBalancerSettings {
    let failover = |regions: &[(String, String)]| {
        let entries = regions.iter();
        entries
            .map(|(from, to)| Failover { from: from.as_str().into(), to: to.as_str().into() })
            .collect()
    };
    let words = |labels: &[String]| labels.iter().map(|label| label.as_str().into()).collect();
    let locality = |setting| LoadBalancerSettings {
        locality_lb_setting: Some(setting),
        ..LoadBalancerSettings::default()
    };
    let zone_aware = |setting| LoadBalancerSettings {
        zone_aware_lb_setting: Some(setting),
        ..LoadBalancerSettings::default()
    };
    match setting {
        Setting::Unset => LoadBalancerSettings::default(),
        Setting::Off => {
            // What else it says does not count.
            let regions = failover(&[("r1".to_owned(), "r2".to_owned())]);
            locality(LocalityLbSetting {
                enabled: Some(false),
                failover: regions,
                ..Default::default()
            })
        }
        Setting::Distribute(entries) => {
            let entries = entries.iter().map(|(from, keys)| Distribute {
                from: from.as_str().into(),
                to: keys.iter().map(|(key, share)| (key.as_str().into(), *share)).collect(),
            });
            locality(LocalityLbSetting { distribute: entries.collect(), ..Default::default() })
        }
        Setting::Failover(labels, regions) => locality(LocalityLbSetting {
            failover: failover(regions),
            failover_priority: words(labels),
            ..Default::default()
        }),
        Setting::ZoneAwareOff => {
            zone_aware(ZoneAwareLbSetting { enabled: Some(false), ..Default::default() })
        }
        Setting::ZoneAware(labels, regions) => zone_aware(ZoneAwareLbSetting {
            failover: failover(regions),
            failover_priority: words(labels),
            ..Default::default()
        }),
    }
}

fn tls_mode(mode: &str) -> ClientTlsMode {
    match mode {
        "ISTIO_MUTUAL" => ClientTlsMode::IstioMutual,
        "SIMPLE" => ClientTlsMode::Simple,
        "MUTUAL" => ClientTlsMode::Mutual,
        _ => ClientTlsMode::Disable,
    }
}

fn collect(labels: &oracle::Labels) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn endpoint((index, backend): (usize, &Backend)) -> Endpoint {
    let made = by_hand::endpoint(&backend.address, "", "");
    let more = backend.more_addresses.iter().map(|address| Address::parse(address));
    Endpoint {
        port: if backend.address.starts_with("unix://") { 0 } else { made.port },
        more_addresses: more.collect(),
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
        instance: index.to_string().into(),
        workload: Arc::new(Workload {
            labels: collect(&backend.labels),
            place: Arc::new(Place {
                cluster: ClusterId::from(backend.cluster.as_str()),
                network: NetworkId::from(backend.network.as_str()),
                node: backend.node.as_str().into(),
                locality: backend.locality.as_str().into(),
            }),
            template: Arc::new(Template {
                tls_mode: backend.tls_mode.as_str().into(),
                discoverability: if backend.is_private {
                    Discoverability::SameCluster
                } else {
                    Discoverability::Always
                },
                ..Template::default()
            }),
        }),
        ..made
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
