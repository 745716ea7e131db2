//! `ztunnel_select`, `ztunnel_service_by_vip`, `ztunnel_route`.
use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_lb::ztunnel::route::{
    AddressedService, Chosen as ChosenWorkload, Connection, InboundProtocol, Refused, Route,
    Waypoint,
};
use mesh_lb::ztunnel::select::{Mode, Ports, Resolution, Scope, Service, ServiceEndpoint};
use mesh_lb::ztunnel::service::{ServiceMatch, Visibility, best_by_address};
use mesh_lb::ztunnel::workload::{ApplicationTunnel, Workload};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectInput {
    source: WorkloadInput,
    service: ServiceInput,
    workloads: Vec<WorkloadInput>,
    port: u16,
    resolution: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadInput {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    network: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    zone: String,
    #[serde(default)]
    subzone: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    cluster: String,
    network_gateway: Option<String>,
    capacity: Option<u32>,
    application_tunnel: Option<Tunnel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tunnel {
    #[serde(rename = "protocol")]
    _protocol: Option<String>,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceInput {
    mode: Option<String>,
    #[serde(default)]
    routing_preference: Vec<String>,
    #[serde(default)]
    ports: BTreeMap<u16, u16>,
    health_policy: Option<String>,
    #[serde(default)]
    endpoints: Vec<EndpointInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointInput {
    workload: String,
    #[serde(default)]
    ports: BTreeMap<u16, u16>,
    status: Option<String>,
}

impl WorkloadInput {
    fn workload(&self) -> Workload {
        Workload {
            uid: self.uid.as_str().into(),
            addresses: self.addresses.clone(),
            hostname: self.hostname.as_str().into(),
            network: self.network.as_str().into(),
            region: self.region.as_str().into(),
            zone: self.zone.as_str().into(),
            sub_zone: self.subzone.as_str().into(),
            node: self.node.as_str().into(),
            cluster: self.cluster.as_str().into(),
            network_gateway: self.network_gateway.as_deref().map(Into::into),
            capacity: self.capacity,
            application_tunnel: self
                .application_tunnel
                .as_ref()
                .map(|tunnel| ApplicationTunnel { port: tunnel.port }),
        }
    }
}

fn mode(name: Option<&str>) -> Result<Mode, String> {
    Ok(match name {
        None | Some("UNSPECIFIED") => Mode::Unspecified,
        Some("STRICT") => Mode::Strict,
        Some("FAILOVER") => Mode::Failover,
        Some("PASSTHROUGH") => Mode::Passthrough,
        Some(other) => return Err(format!("unknown mode `{other}`")),
    })
}

fn scope(name: &str) -> Result<Scope, String> {
    Ok(match name {
        "NETWORK" => Scope::Network,
        "REGION" => Scope::Region,
        "ZONE" => Scope::Zone,
        "SUBZONE" => Scope::SubZone,
        "NODE" => Scope::Node,
        "CLUSTER" => Scope::Cluster,
        other => return Err(format!("unknown scope `{other}`")),
    })
}

pub(super) fn select(input: &Value) -> Answered {
    let input: SelectInput = read(input)?;
    let workloads: Vec<Workload> = input.workloads.iter().map(WorkloadInput::workload).collect();
    let ports = |ports: &BTreeMap<u16, u16>| ports.iter().map(|(&a, &b)| (a, b)).collect::<Ports>();
    let endpoints = input.service.endpoints.iter().map(|endpoint| {
        let healthy = match endpoint.status.as_deref() {
            None | Some("HEALTHY") => true,
            Some("UNHEALTHY") => false,
            Some(other) => return Err(format!("unknown status `{other}`")),
        };
        let workload = workloads.iter().find(|workload| *workload.uid == *endpoint.workload);
        Ok(ServiceEndpoint { workload, ports: ports(&endpoint.ports), healthy })
    });
    let service = Service {
        mode: mode(input.service.mode.as_deref())?,
        routing_preference: input
            .service
            .routing_preference
            .iter()
            .map(|name| scope(name))
            .collect::<Result<_, String>>()?,
        ports: ports(&input.service.ports),
        allows_unhealthy: match input.service.health_policy.as_deref() {
            None | Some("ONLY_HEALTHY") => false,
            Some("ALLOW_ALL") => true,
            Some(other) => return Err(format!("unknown health policy `{other}`")),
        },
        endpoints: endpoints.collect::<Result<_, String>>()?,
    };
    let resolution = match input.resolution.as_deref() {
        None | Some("standard") => Resolution::Standard,
        Some("waypoint") => Resolution::Waypoint,
        Some(other) => return Err(format!("unknown resolution `{other}`")),
    };
    let candidates = service.candidates(&input.source.workload(), input.port, resolution);
    let candidates: Vec<Value> = candidates
        .iter()
        .map(|one| json!({ "workload": one.workload.uid, "share": one.share, "port": one.port }))
        .collect();
    Ok(json!({ "candidates": candidates }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VipInput {
    services: Vec<VipService>,
    client_namespace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VipService {
    name: String,
    namespace: String,
    #[serde(default)]
    canonical: bool,
    visibility: Option<String>,
    prefix_length: Option<u8>,
}

pub(super) fn service_by_vip(input: &Value) -> Answered {
    let input: VipInput = read(input)?;
    let services: Vec<ServiceMatch<'_>> = input
        .services
        .iter()
        .map(|service| {
            let visibility = match service.visibility.as_deref() {
                None | Some("MESH") => Visibility::Mesh,
                Some("NAMESPACE") => Visibility::Namespace,
                Some(other) => return Err(format!("unknown visibility `{other}`")),
            };
            Ok(ServiceMatch {
                namespace: &service.namespace,
                canonical: service.canonical,
                visibility,
                prefix_length: service.prefix_length,
            })
        })
        .collect::<Result<_, String>>()?;
    let best = best_by_address(&services, &input.client_namespace);
    let service = best.and_then(|index| input.services.get(index));
    let name = service.map(|service| format!("{}/{}", service.namespace, service.name));
    Ok(json!({ "service": name }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteInput {
    service: Option<RouteService>,
    workload: Option<Chosen>,
    chosen: Option<Chosen>,
    target: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteService {
    mode: Option<String>,
    candidates: Option<u32>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    port: u16,
    waypoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    same_network: Option<bool>,
    protocol: Option<String>,
    address: Option<String>,
    #[serde(default)]
    port: u16,
    network_gateway: Option<String>,
    waypoint: Option<String>,
}

impl Chosen {
    fn chosen(&self) -> Result<ChosenWorkload<'_>, String> {
        Ok(ChosenWorkload {
            same_network: self.same_network.unwrap_or(true),
            protocol: match self.protocol.as_deref() {
                None | Some("HBONE") => InboundProtocol::Hbone,
                Some("TCP") => InboundProtocol::Tcp,
                Some(other) => return Err(format!("unknown protocol `{other}`")),
            },
            address: self.address.as_deref(),
            port: self.port,
            network_gateway: self.network_gateway.as_deref(),
            waypoint: near(self.waypoint.as_deref()),
        })
    }
}

fn near(waypoint: Option<&str>) -> Waypoint<'_> {
    waypoint.map_or(Waypoint::None, Waypoint::Near)
}

pub(super) fn route(input: &Value) -> Answered {
    let input: RouteInput = read(input)?;
    let service = input
        .service
        .as_ref()
        .map(|service| {
            Ok::<_, String>(AddressedService {
                hostname: &service.hostname,
                port: service.port,
                passthrough: mode(service.mode.as_deref())? == Mode::Passthrough,
                waypoint: near(service.waypoint.as_deref()),
            })
        })
        .transpose()?;
    let left = input.service.as_ref().and_then(|service| service.candidates);
    let chosen = match left {
        Some(0) => None,
        Some(_) | None => input.chosen.as_ref().or(input.workload.as_ref()),
    };
    let connection = Connection {
        target: input.target.as_deref().unwrap_or(""),
        service,
        chosen: chosen.map(Chosen::chosen).transpose()?,
        from_waypoint: false,
    };
    Ok(match connection.route() {
        Ok(route) => printed(route),
        Err(refused) => json!({ "action": "error", "reason": reason(refused) }),
    })
}

fn printed(route: Route) -> Value {
    let tunnel = |action: &str, protocol: &str, dial: String, target: String| json!({ "action": action, "protocol": protocol, "dial": dial, "hbone_target": target });
    match route {
        Route::Passthrough => json!({ "action": "passthrough", "protocol": "TCP" }),
        Route::Direct { dial, hbone_target: Some(target) } => {
            tunnel("direct", "HBONE", dial, target)
        }
        Route::Direct { dial, hbone_target: None } => {
            json!({ "action": "direct", "protocol": "TCP", "dial": dial, "hbone_target": null })
        }
        Route::Waypoint { dial, hbone_target } => tunnel("waypoint", "HBONE", dial, hbone_target),
        Route::Gateway { dial, hbone_target } => {
            tunnel("gateway", "DOUBLE_HBONE", dial, hbone_target)
        }
    }
}

fn reason(refused: Refused) -> &'static str {
    match refused {
        Refused::NoHealthyUpstream => "no_healthy_upstream",
        Refused::NoWaypoint => "no_waypoint",
        Refused::NoValidDestination => "no_valid_destination",
        Refused::NoService => "no_service",
        _ => "refused",
    }
}
