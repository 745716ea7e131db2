//! The clusters that a change builds and removes.
use std::sync::Arc;

use mesh_model::registry::Mesh;
use mesh_xds_gen::cluster::delta::{self, Changed};
use serde::Deserialize;
use serde_json::{Value, json};

use super::mesh;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    proxy_namespace: String,
    root_namespace: String,
    services: Vec<ServiceInput>,
    destination_rules: Vec<RuleInput>,
    previous_destination_rules: Vec<RuleInput>,
    updated: Vec<Key>,
    watched: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceInput {
    host: String,
    namespace: String,
    ports: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleInput {
    name: String,
    namespace: String,
    host: String,
    subsets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    kind: String,
    name: String,
    namespace: String,
}

impl ServiceInput {
    fn object(&self) -> Value {
        let ports = self.ports.iter().map(
            |number| json!({"name": format!("p{number}"), "number": number, "protocol": "HTTP"}),
        );
        let ports: Vec<Value> = ports.collect();
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": self.host, "namespace": self.namespace},
            "spec": {"hosts": [self.host], "ports": ports, "resolution": "STATIC"},
        })
    }
}

impl RuleInput {
    fn object(&self) -> Value {
        let subset = |name| json!({"name": name, "labels": {"version": name}});
        let subsets: Vec<Value> = self.subsets.iter().map(subset).collect();
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"host": self.host, "subsets": subsets},
        })
    }
}

impl Key {
    fn changed(&self) -> Changed<'_> {
        let (namespace, name) = (&*self.namespace, &*self.name);
        match self.kind.as_str() {
            "ServiceEntry" => Changed::Service(name),
            "DestinationRule" => Changed::DestinationRule { namespace, name },
            "PeerAuthentication" => Changed::PeerAuthentication(namespace),
            "VirtualService" | "Sidecar" => Changed::Scope,
            _ => Changed::Other,
        }
    }
}

impl Change {
    fn mesh(&self, rules: &[RuleInput]) -> Result<Arc<Mesh>, String> {
        let pod = mesh::pod("10.0.0.1", &self.proxy_namespace);
        let services = self.services.iter().map(ServiceInput::object);
        let objects = std::iter::once(pod).chain(services);
        let objects = objects.chain(rules.iter().map(RuleInput::object)).collect();
        mesh::of_objects(objects, &json!({"rootNamespace": self.root_namespace}))
    }
}

pub(super) fn delta(input: &Change) -> Result<Value, String> {
    let reference = mesh::reference(&input.proxy_namespace);
    let before = input.mesh(&input.previous_destination_rules)?;
    let after = input.mesh(&input.destination_rules)?;
    let proxy = after.proxy(&reference).map_err(|error| error.to_string())?;
    let view = after.view(&proxy).ok_or("no control plane serves the proxy")?;
    let previous = before.view(&proxy);
    let changes: Vec<Changed<'_>> = input.updated.iter().map(Key::changed).collect();
    let watched = input.watched.iter().map(String::as_str);
    let found = delta::delta(&view, previous.as_ref(), &changes, watched);
    let clusters: Vec<&str> = found.clusters.iter().map(|cluster| &*cluster.name).collect();
    Ok(json!({
        "used_delta": found.is_partial, "removed": found.removed, "clusters": clusters,
    }))
}
