//! Name tables.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::istio::networking::nds::v1::name_table::NameInfo;
use mesh_model::endpoint::{
    Address, Endpoint, HealthStatus, Place, Provider, Shard, Shards, Template, Workload,
};
use mesh_model::name::{ClusterId, Hostname, Namespace, NetworkId, Protocol};
use mesh_model::registry::{Resolution, Service, ServicePort};
use mesh_testkit::by_hand;
use mesh_xds_gen::name_table::{Client, Names};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    proxy: ProxyInput,
    services: Vec<ServiceInput>,
    multicluster_headless: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyInput {
    network: String,
    cluster: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ServiceInput {
    host: String,
    name: String,
    namespace: String,
    registry: String,
    resolution: String,
    addresses: Vec<String>,
    ports: Vec<u16>,
    #[serde(default)]
    publish_not_ready: bool,
    #[serde(default)]
    endpoints: Vec<EndpointInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointInput {
    addresses: Vec<String>,
    hostname: String,
    subdomain: String,
    network: String,
    cluster: String,
    health: String,
}

impl ServiceInput {
    fn service(&self) -> Result<Service, String> {
        let port = |number: &u16| ServicePort {
            name: format!("tcp-{number}").into(),
            number: *number,
            protocol: Protocol::Tcp,
            target_port: 0,
        };
        Ok(Service {
            hostname: Hostname::from(self.host.as_str()),
            name: self.name.as_str().into(),
            namespace: Namespace::from(self.namespace.as_str()),
            provider: provider(&self.registry)?,
            resolution: match self.resolution.as_str() {
                "Passthrough" => Resolution::Passthrough,
                "ClientSideLB" => Resolution::ClientSideLb,
                "Alias" => Resolution::Alias,
                other => return Err(format!("unknown resolution `{other}`")),
            },
            ports: self.ports.iter().map(port).collect(),
            publish_not_ready: self.publish_not_ready,
            ..by_hand::service(&self.host)
        })
    }

    /// One shard with the endpoints as they stand.
    fn shards(&self) -> Result<Shards, String> {
        let endpoints = self.endpoints.iter().map(EndpointInput::endpoint);
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let provider = provider(&self.registry)?;
        Ok(Shards::new([Arc::new(Shard::new(provider, ClusterId::default(), endpoints))]))
    }
}

fn provider(registry: &str) -> Result<Provider, String> {
    match registry {
        "Kubernetes" => Ok(Provider::Kubernetes),
        "External" => Ok(Provider::External),
        other => Err(format!("unknown registry `{other}`")),
    }
}

impl EndpointInput {
    fn endpoint(&self) -> Result<Endpoint, String> {
        let addresses = || self.addresses.iter().map(|address| Address::parse(address));
        Ok(Endpoint {
            address: addresses().next().unwrap_or(Address::Unknown),
            more_addresses: addresses().skip(1).collect(),
            health: match self.health.as_str() {
                "Healthy" => HealthStatus::Healthy,
                "UnHealthy" => HealthStatus::Unhealthy,
                "Draining" => HealthStatus::Draining,
                "Terminating" => HealthStatus::Terminating,
                other => return Err(format!("unknown health `{other}`")),
            },
            workload: Arc::new(Workload {
                place: Arc::new(Place {
                    network: NetworkId::from(self.network.as_str()),
                    cluster: ClusterId::from(self.cluster.as_str()),
                    ..Place::default()
                }),
                template: Arc::new(Template {
                    hostname: Some(self.hostname.as_str().into()),
                    subdomain: self.subdomain.as_str().into(),
                    ..Template::default()
                }),
                ..Workload::default()
            }),
            ..by_hand::endpoint("", &self.cluster, "")
        })
    }
}

pub(super) fn name_table(input: &Input) -> Result<Value, String> {
    let network = NetworkId::from(input.proxy.network.as_str());
    let cluster = ClusterId::from(input.proxy.cluster.as_str());
    let multicluster_headless = input.multicluster_headless;
    let client = Client { network: &network, cluster: &cluster, multicluster_headless };
    let mut names = Names::new(client);
    for service in &input.services {
        let addresses: Vec<Arc<str>> =
            service.addresses.iter().map(|address| address.as_str().into()).collect();
        names.add(&service.service()?, &addresses, service.shards()?.endpoints());
    }
    let table: BTreeMap<String, Value> =
        names.into_table().table.iter().map(|(host, info)| (host.clone(), entry(info))).collect();
    Ok(json!(table))
}

/// What is empty is absent.
fn entry(info: &NameInfo) -> Value {
    let mut members = Map::new();
    members.insert("ips".to_owned(), json!(info.ips));
    let texts = [
        ("registry", &info.registry),
        ("shortname", &info.shortname),
        ("namespace", &info.namespace),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        members.insert(name.to_owned(), json!(text));
    }
    Value::Object(members)
}
