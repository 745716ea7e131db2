//! `traffic_distribution`, `endpoint_health_status`, `service_visible`, `aggregate_services`.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::compat::Flags;
use mesh_model::endpoint::{Discoverability, HealthStatus, Provider};
use mesh_model::name::{ClusterId, Namespace, Protocol};
use mesh_model::registry::{
    ExportTo, Service, ServicePort, Services, TrafficDistribution, merge_clusters,
};
use mesh_model::view::HostSelection;
use mesh_testkit::by_hand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Distribution {
    spec: Option<String>,
    service_annotation: Option<String>,
    namespace_annotation: Option<String>,
}

pub(super) fn traffic_distribution(input: &Value) -> Answered {
    let Distribution { spec, service_annotation, namespace_annotation } = read(input)?;
    let distribution = TrafficDistribution::resolve(
        spec.as_deref(),
        service_annotation.as_deref(),
        namespace_annotation.as_deref(),
    );
    Ok(json!(distribution.as_str()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
    persistent_session: bool,
}

pub(super) fn health_status(input: &Value) -> Answered {
    let Conditions { ready, serving, terminating, persistent_session } = read(input)?;
    let status = HealthStatus::of_conditions(ready, serving, terminating, true, persistent_session);
    Ok(json!(match status {
        HealthStatus::Unknown => "UNKNOWN",
        HealthStatus::Healthy => "HEALTHY",
        HealthStatus::Unhealthy => "UNHEALTHY",
        HealthStatus::Draining => "DRAINING",
        HealthStatus::Terminating => "TERMINATING",
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visible {
    mesh_default: Vec<String>,
    export_to: Vec<String>,
    service_ns: String,
    client_ns: String,
}

pub(super) fn visible(input: &Value) -> Answered {
    let Visible { mesh_default, export_to, service_ns, client_ns } = read(input)?;
    let parse = |values: &[String]| ExportTo::parse(values.iter().map(String::as_str));
    let service = Service {
        namespace: Namespace::from(&*service_ns),
        export_to: (!export_to.is_empty()).then(|| parse(&export_to)),
        ..by_hand::service("a.example")
    };
    let client = Namespace::from(&*client_ns);
    Ok(json!(Services::is_visible(&service, &client, &parse(&mesh_default))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Aggregate {
    registries: Vec<Registry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    /// Told by the addresses too.
    #[serde(rename = "cluster")]
    _cluster: String,
    provider: Kind,
    services: Vec<Fields>,
}

#[derive(Deserialize)]
enum Kind {
    Kubernetes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    host: String,
    namespace: String,
    ports: Vec<u16>,
    default_address: String,
    cluster_vips: BTreeMap<String, Vec<String>>,
    service_accounts: Vec<String>,
}

fn texts(list: Vec<String>) -> Box<[Arc<str>]> {
    list.into_iter().map(Arc::from).collect()
}

fn service(fields: Fields, provider: Provider) -> Service {
    let port = |number| ServicePort {
        name: "http".into(),
        number,
        protocol: Protocol::Http,
        target_port: 0,
    };
    let vips = fields.cluster_vips.into_iter();
    Service {
        namespace: Namespace::from(&*fields.namespace),
        provider,
        ports: fields.ports.into_iter().map(port).collect(),
        default_address: fields.default_address.into(),
        cluster_vips: vips.map(|(id, list)| (ClusterId::from(&*id), texts(list))).collect(),
        service_accounts: texts(fields.service_accounts),
        ..by_hand::service(&fields.host)
    }
}

pub(super) fn aggregate(input: &Value) -> Answered {
    let Aggregate { registries } = read(input)?;
    let clusters =
        registries.into_iter().map(|Registry { provider: Kind::Kubernetes, services, .. }| {
            services.into_iter().map(|fields| service(fields, Provider::Kubernetes)).collect()
        });
    let text = |service: &Arc<Service>| {
        let vips = service.cluster_vips.iter();
        let vips: serde_json::Map<_, _> = vips
            .map(|(id, list)| (id.to_string(), list.iter().map(|text| &**text).collect()))
            .collect();
        json!({
            "host": service.hostname.as_str(),
            "namespace": service.namespace.as_str(),
            "ports": service.ports.iter().map(|port| port.number).collect::<Vec<_>>(),
            "default_address": &*service.default_address,
            "cluster_vips": vips,
            "service_accounts": service.service_accounts.iter().map(|s| &**s).collect::<Vec<_>>(),
        })
    };
    Ok(merge_clusters(clusters).iter().map(text).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    discovery: bool,
    cluster_local_mode: bool,
    host: String,
    exported: bool,
}

pub(super) fn mcs_discoverability(input: &Value) -> Answered {
    let Exported { discovery, cluster_local_mode, host, exported } = read(input)?;
    let mut flags = mesh_model::Compat::default().flags;
    flags.enable_mcs_service_discovery = discovery;
    flags.enable_mcs_cluster_local = cluster_local_mode;
    Ok(json!(match Discoverability::of_service(&host, exported, &flags) {
        Discoverability::Always => "always",
        Discoverability::SameCluster => "same_cluster",
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Egress {
    hosts: Vec<String>,
    config_namespace: String,
    services: Vec<Importable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Importable {
    host: String,
    namespace: String,
    registry: Option<String>,
}

pub(super) fn sidecar_egress_select(input: &Value) -> Answered {
    let Egress { hosts, config_namespace, services } = read(input)?;
    let service = |fields: Importable| {
        let provider = match fields.registry.as_deref() {
            Some("External") => Provider::External,
            _ => Provider::Kubernetes,
        };
        let namespace = Namespace::from(&*fields.namespace);
        Arc::new(Service { namespace, provider, ..by_hand::service(&fields.host) })
    };
    let services: Vec<Arc<Service>> = services.into_iter().map(service).collect();
    let own = Namespace::from(&*config_namespace);
    let selection = HostSelection::new(hosts.iter().map(String::as_str), &own);
    let selected = selection.services(services.iter(), &Flags::default(), &own);
    Ok(selected.iter().map(|s| format!("{}/{}", s.namespace, s.hostname)).collect())
}
