//! `eds`, `split_horizon`, `lb_weight_scale_factor`: endpoints of one service for one proxy.
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use mesh_lb::assign::{AssignedEndpoint, Assignment, ClusterForm, Input};
use mesh_model::Compat;
use mesh_model::endpoint::{
    Address, Endpoint, Gateways, HealthStatus, NetworkGateway, Place, Provider, Shard, Shards,
    Template, Workload,
};
use mesh_model::name::{ClusterId, Labels, NetworkId};
use mesh_model::registry::Service;
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;
use mesh_model::view::{Proxy, ProxyKind};
use mesh_testkit::by_hand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::settings::{
    LocalityFields, LocalityParts, RuleFields, ZoneAwareFields, distribution, print_locality,
};
use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EdsInput {
    proxy: ProxyFields,
    endpoints: Vec<EndpointFields>,
    #[serde(default)]
    gateways: Vec<GatewayFields>,
    #[serde(default)]
    settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyFields {
    locality: Option<LocalityParts>,
    #[serde(default)]
    network: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    ip_mode: Option<String>,
    #[serde(default)]
    requested_network_view: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointFields {
    address: String,
    port: u16,
    #[serde(default)]
    locality: String,
    #[serde(default)]
    network: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    weight: u32,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    tls_mode: String,
    health: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayFields {
    network: String,
    #[serde(default)]
    cluster: String,
    address: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    hbone_port: u16,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServiceFields {
    pub(super) cluster_local: bool,
    node_local: bool,
    pub(super) send_unhealthy: bool,
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    outlier_detection: bool,
    mesh_locality_lb: Option<LocalityFields>,
    mesh_zone_aware_lb: Option<ZoneAwareFields>,
    dr_load_balancer: Option<RuleFields>,
    traffic_distribution: Option<String>,
    subset_labels: Option<BTreeMap<String, String>>,
    service: ServiceFields,
    peer_mtls_mode: Option<String>,
    dr_tls_mode: Option<String>,
    prefer_hbone_send: bool,
    ambient_multi_network: bool,
    waypoint_multi_network: Option<bool>,
    ingress_multi_network: bool,
    sni_dnat: bool,
}

impl ProxyFields {
    pub(super) fn proxy(self) -> Result<Proxy, String> {
        let v4 = IpAddr::from(Ipv4Addr::new(10, 255, 0, 1));
        let v6 = IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
        let addresses = match self.ip_mode.as_deref() {
            None | Some("ipv4") => vec![v4],
            Some("ipv6") => vec![v6],
            Some("dual") => vec![v4, v6],
            Some("unknown") => Vec::new(),
            Some(mode) => return Err(format!("unknown ip_mode `{mode}`")),
        };
        let kind = match self.kind.as_deref() {
            None | Some("sidecar") => ProxyKind::Sidecar,
            Some("router") => ProxyKind::Router,
            Some("waypoint") => ProxyKind::Waypoint,
            Some("ztunnel") => ProxyKind::Ztunnel,
            Some(kind) => return Err(format!("unknown proxy type `{kind}`")),
        };
        let locality = self.locality.map(|parts| parts.locality()).unwrap_or_default();
        let view = self.requested_network_view.iter().map(|name| NetworkId::from(name.as_str()));
        Ok(Proxy {
            kind,
            locality,
            addresses: addresses.into(),
            network: NetworkId::from(self.network.as_str()),
            labels: self.labels.into_iter().collect(),
            node: self.node.into(),
            network_view: view.collect(),
            ..by_hand::proxy(&self.cluster, "")
        })
    }
}

impl ServiceFields {
    pub(super) fn service(&self) -> Service {
        let labels = self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        Service {
            node_local: self.node_local,
            labels: labels.collect(),
            ..by_hand::service("cart.shop.svc.cluster.local")
        }
    }
}

pub(super) fn gateways(fields: &[GatewayFields]) -> Gateways {
    Gateways::new(fields.iter().map(|gateway| NetworkGateway {
        network: NetworkId::from(gateway.network.as_str()),
        cluster: ClusterId::from(gateway.cluster.as_str()),
        address: Address::parse(&gateway.address),
        port: gateway.port,
        hbone_port: gateway.hbone_port,
        service_account: "".into(),
    }))
}

pub(super) fn health(name: Option<&str>) -> Result<HealthStatus, String> {
    match name {
        None | Some("HEALTHY") => Ok(HealthStatus::Healthy),
        Some("UNKNOWN") => Ok(HealthStatus::Unknown),
        Some("UNHEALTHY") => Ok(HealthStatus::Unhealthy),
        Some("DRAINING") => Ok(HealthStatus::Draining),
        Some("TERMINATING") => Ok(HealthStatus::Terminating),
        Some(name) => Err(format!("unknown health `{name}`")),
    }
}

fn endpoint(fields: EndpointFields) -> Result<Endpoint, String> {
    // A path is an address without port.
    let address = match fields.port {
        0 => Address::Unix(fields.address.as_str().into()),
        _ => Address::parse(&fields.address),
    };
    Ok(Endpoint {
        address,
        port: fields.port,
        weight: fields.weight,
        health: health(fields.health.as_deref())?,
        workload: Arc::new(Workload {
            labels: fields.labels.into_iter().collect(),
            place: Arc::new(Place {
                cluster: ClusterId::from(fields.cluster.as_str()),
                network: NetworkId::from(fields.network.as_str()),
                locality: fields.locality.as_str().into(),
                ..Place::default()
            }),
            template: Arc::new(Template {
                tls_mode: fields.tls_mode.as_str().into(),
                ..Template::default()
            }),
        }),
        ..by_hand::endpoint("", "", "")
    })
}

fn compat(settings: &Settings) -> Compat {
    let mut compat = Compat::default();
    let flags = &mut compat.flags;
    flags.pilot_enable_ambient = settings.ambient_multi_network || settings.prefer_hbone_send;
    flags.pilot_prefer_sending_hbone = settings.prefer_hbone_send;
    flags.ambient_enable_multi_network = settings.ambient_multi_network;
    flags.ambient_enable_multi_network_waypoint = settings.waypoint_multi_network.unwrap_or(true);
    flags.ambient_enable_multi_network_ingress = settings.ingress_multi_network;
    flags.pilot_send_unhealthy_endpoints = settings.service.send_unhealthy;
    compat
}

fn tls_mode(name: &str) -> Result<ClientTlsMode, String> {
    let all = [
        ClientTlsMode::Disable,
        ClientTlsMode::Simple,
        ClientTlsMode::Mutual,
        ClientTlsMode::IstioMutual,
    ];
    let found = all.into_iter().find(|mode| mode.as_str() == name);
    found.ok_or_else(|| format!("unknown TLS mode `{name}`"))
}

fn peer_mode(name: Option<&str>) -> Result<MutualTlsMode, String> {
    let all = [MutualTlsMode::Disable, MutualTlsMode::Permissive, MutualTlsMode::Strict];
    let name = name.unwrap_or("PERMISSIVE");
    let found = all.into_iter().find(|mode| mode.as_str() == name);
    found.ok_or_else(|| format!("unknown mutual TLS mode `{name}`"))
}

/// Computes the assignment and prints its localities, endpoints as `print` says.
fn answer(input: &Value, print: fn(AssignedEndpoint<'_>) -> Value) -> Answered {
    let EdsInput { proxy, endpoints, gateways: gateway_fields, settings } = read(input)?;
    let (proxy, gateways) = (proxy.proxy()?, gateways(&gateway_fields));
    let compat = compat(&settings);
    let mut service = settings.service.service();
    service.traffic_distribution =
        distribution(settings.traffic_distribution.as_deref().unwrap_or("Any"))?;
    let endpoints: Vec<Endpoint> = endpoints.into_iter().map(endpoint).collect::<Result<_, _>>()?;
    // One shard, so that the endpoints keep their order.
    let shard = Shard::new(Provider::Kubernetes, proxy.cluster.clone(), endpoints);
    let shards = Shards::new([Arc::new(shard)]);
    let mesh_locality =
        settings.mesh_locality_lb.unwrap_or_else(LocalityFields::mesh_default).setting();
    let mesh_zone_aware = settings.mesh_zone_aware_lb.map(ZoneAwareFields::setting);
    let load_balancer = settings.dr_load_balancer.map(RuleFields::load_balancer);
    let subset: Option<Labels> = settings.subset_labels.map(|labels| labels.into_iter().collect());
    let peer_mode = peer_mode(settings.peer_mtls_mode.as_deref())?;
    let peer_mode = |_: &Endpoint| peer_mode;
    let port = service.port(80).ok_or("the service has no port 80")?;
    let assignment = Assignment::compute(&Input {
        form: if settings.sni_dnat { ClusterForm::SniDnat } else { ClusterForm::Outbound },
        is_cluster_local: settings.service.cluster_local,
        subset: subset.as_ref(),
        load_balancer: load_balancer.as_ref(),
        has_outlier_detection: settings.outlier_detection,
        tls_mode: settings.dr_tls_mode.as_deref().map(tls_mode).transpose()?,
        mesh_locality: Some(&mesh_locality),
        mesh_zone_aware: mesh_zone_aware.as_ref(),
        peer_mode: &peer_mode,
        ..Input::new(&proxy, &compat, (&service, port), &shards, &gateways)
    });
    let localities = assignment.localities().map(|locality| {
        json!({
            "locality": print_locality(locality.locality()), "priority": locality.priority(),
            "weight": locality.weight(),
            "endpoints": locality.endpoints().map(print).collect::<Vec<_>>(),
        })
    });
    Ok(json!({ "localities": localities.collect::<Vec<_>>() }))
}

pub(super) fn eds(input: &Value) -> Answered {
    answer(input, |endpoint| json!(endpoint.target().address().to_string()))
}

pub(super) fn split_horizon(input: &Value) -> Answered {
    answer(input, |endpoint| {
        let target = endpoint.target();
        let via = match target.via() {
            "double_tunnel" => "double_hbone_gateway",
            via => via,
        };
        json!({
            "address": target.address().to_string(), "port": target.port(),
            "weight": endpoint.weight(), "via": via,
        })
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleInput {
    gateways: Vec<GatewayFields>,
}

pub(super) fn scale_factor(input: &Value) -> Answered {
    let input: ScaleInput = read(input)?;
    Ok(json!(gateways(&input.gateways).weight_scale_factor()))
}
