//! A mesh of one cluster, out of objects that a case describes.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Node, Severity};
use mesh_model::registry::{Change, Mesh, Origin, Registry, Source};
use mesh_model::resource::decode;
use serde_json::{Value, json};

/// The only cluster.
pub(super) const CLUSTER: &str = "c1";

/// Reads objects as those of a mesh folder, the first being the oldest, and mesh settings.
pub(super) fn of_objects(objects: Vec<Value>, settings: &Value) -> Result<Arc<Mesh>, String> {
    let aged = objects.into_iter().enumerate().map(|(age, mut object)| {
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            let created = format!("2026-01-01T{:02}:{:02}:00Z", age / 60, age % 60);
            meta.insert("creationTimestamp".to_owned(), json!(created));
        }
        object
    });
    let changes = aged.map(|object| upsert(&object)).collect::<Result<Vec<_>, _>>()?;
    let files = [
        ("mesh.yaml".to_owned(), settings.clone()),
        (format!("clusters/{CLUSTER}/cluster.yaml"), json!({"role": "primary"})),
    ];
    let sources = files.into_iter().map(|(path, value)| {
        let origin = Origin::of_path(&path).ok_or("the folder's layout is unknown")?;
        Ok(Source { origin, name: Arc::from(path), text: value.to_string().into_bytes() })
    });
    let sources = sources.collect::<Result<Vec<_>, String>>()?;
    let mut registry = Registry::new(Compat::default());
    let found = registry.load(sources);
    match found.into_iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
        Some(diagnostic) => Err(diagnostic.to_string()),
        None => {
            registry.apply_all(changes);
            Ok(registry.mesh())
        }
    }
}

/// An object as it decodes: cases hold some that admission would refuse.
fn upsert(object: &Value) -> Result<Change, String> {
    let decoded = decode(&Node::from(object), &Arc::from("case"), "default");
    let error = decoded.diagnostics.iter().find(|found| found.severity == Severity::Error);
    match (decoded.resource, error) {
        (Some(resource), None) => Ok(Change::Upsert {
            origin: Origin::Cluster(CLUSTER.into()),
            resource: Box::new(resource),
        }),
        (_, Some(error)) => Err(error.to_string()),
        (None, None) => Err(format!("no object of a mesh: {object}")),
    }
}

/// A pod of the application `app` in the namespace `default`, with its proxy.
pub(super) fn pod(address: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "app-0", "namespace": namespace, "labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}

/// How the command names the proxy of that pod.
pub(super) fn reference(namespace: &str) -> String {
    format!("{CLUSTER}/{namespace}/app-0")
}
