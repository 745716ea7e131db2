//! What an east-west gateway passes on.
use mesh_model::name::{Hostname, Protocol};
use mesh_model::registry::ServicePort;
use mesh_xds_gen::listener::passed_through;
use serde::Deserialize;
use serde_json::{Value, json};

/// An `AUTO_PASSTHROUGH` server and the services that its gateway sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    server_hosts: Vec<String>,
    services: Vec<Service>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    host: String,
    ports: Vec<Port>,
    #[serde(default)]
    subsets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    port: u16,
    protocol: String,
}

pub(super) fn chains(input: &Gateway) -> Result<Value, String> {
    let mut found = Vec::new();
    for service in &input.services {
        let host = Hostname::from(&*service.host);
        for port in &service.ports {
            let port = ServicePort {
                name: "".into(),
                number: port.port,
                protocol: Protocol::parse(&port.protocol),
                target_port: port.port,
            };
            let subsets = service.subsets.iter().map(String::as_str);
            found.extend(passed_through(&input.server_hosts, &host, &port, subsets));
        }
    }
    let chain = |chain: &mesh_xds_gen::listener::PassedThrough| {
        json!({
            "server_names": [chain.cluster],
            "alpn": chain.application_protocols,
            "cluster": chain.cluster,
        })
    };
    Ok(found.iter().map(chain).collect())
}
