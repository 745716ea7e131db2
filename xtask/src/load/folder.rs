//! A mesh folder of any size, and one file in it that changes.
use std::path::PathBuf;

use mesh_model::Compat;
use mesh_model::registry::Registry;
use mesh_testkit::synthetic::Synthetic;
use serde_json::{Value, json};

use crate::problem::{Attempt, Problem};

/// The cluster whose endpoints change.
pub(super) const PROBE: &str = "outbound|8080||probe.ns-0.svc.cluster.local";

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Whose Envoys can connect.
    pub(super) proxies: Vec<String>,
}

impl Folder {
    /// Writes a synthetic mesh of two clusters with one service more, `probe`.
    pub(super) fn create(
        path: PathBuf,
        services: usize,
        endpoints: usize,
    ) -> Result<Self, Problem> {
        if path.exists() {
            std::fs::remove_dir_all(&path).attempt(format!("empty `{}`", path.display()))?;
        }
        let mesh = Synthetic { services, endpoints, clusters: 2, ..Synthetic::default() };
        let sources = mesh.sources();
        for source in &sources {
            let file = path.join(&*source.name);
            let parent = file.parent().unwrap_or(&path);
            std::fs::create_dir_all(parent).attempt(format!("create `{}`", parent.display()))?;
            std::fs::write(&file, &source.text).attempt(format!("write `{}`", file.display()))?;
        }
        let mut registry = Registry::new(Compat::default());
        registry.load(sources);
        let folder = Self { path, proxies: registry.mesh().proxies().collect() };
        folder.write("probe.json", &service())?;
        folder.write("probe-endpoints.json", &slice(0))?;
        Ok(folder)
    }

    /// Replaces the endpoint of `probe`, all at once.
    pub(super) fn change(&mut self, number: u8) -> Result<(), Problem> {
        self.write("probe-endpoints.json", &slice(number))
    }

    fn write(&self, name: &str, object: &Value) -> Result<(), Problem> {
        // Beside the folder, so that nobody reads half of it.
        let (new, file) =
            (self.path.with_extension("new"), self.path.join("clusters/c0").join(name));
        std::fs::write(&new, object.to_string()).attempt(format!("write `{}`", new.display()))?;
        std::fs::rename(&new, &file).attempt(format!("replace `{}`", file.display()))
    }
}

/// The address by which a change is known.
pub(super) fn address_of(number: u8) -> String {
    format!("10.250.0.{number}")
}

fn meta(name: &str, labels: &Value) -> Value {
    json!({
        "name": name, "namespace": "ns-0", "creationTimestamp": "2026-05-04T08:00:00Z",
        "labels": labels,
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta("probe", &json!({})),
        "spec": {
            "clusterIP": "172.16.254.1", "clusterIPs": ["172.16.254.1"],
            "selector": {"app": "probe"},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        },
    })
}

fn slice(number: u8) -> Value {
    let labels = json!({"kubernetes.io/service-name": "probe"});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": meta("probe-0", &labels),
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{
            "addresses": [address_of(number)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": "c0-node-0",
        }],
    })
}
