//! A mesh of one cluster, out of objects that a case describes.
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Limits, Severity, read};
use mesh_model::registry::{Change, Mesh, Origin, Registry, Source};
use mesh_model::resource::decode;
use serde_json::{Value, json};

/// The only cluster.
pub(super) const CLUSTER: &str = "c1";

/// Makes a mesh of objects, the first being the oldest, and mesh settings.
///
/// The cases are about what is generated, not about admission: an object counts once it can be read,
/// whatever rules it breaks.
pub(super) fn of_objects(objects: Vec<Value>, settings: &Value) -> Result<Arc<Mesh>, String> {
    let mut registry = Registry::new(Compat::default());
    let files = [
        ("mesh.yaml".to_owned(), settings.clone()),
        (format!("clusters/{CLUSTER}/cluster.yaml"), json!({"role": "primary"})),
    ];
    let sources = files.into_iter().map(|(path, value)| {
        let name = Arc::from(path.as_str());
        Ok(Source { origin: origin(&path)?, name, text: value.to_string().into_bytes() })
    });
    let sources = sources.collect::<Result<Vec<_>, String>>()?;
    without_errors(registry.load(sources))?;
    let changes = objects.into_iter().enumerate().map(|(age, object)| change(age, object));
    let changes = changes.collect::<Result<Vec<_>, String>>()?;
    registry.apply_all(changes.into_iter().flatten());
    Ok(registry.mesh())
}

fn origin(path: &str) -> Result<Origin, String> {
    Origin::of_path(path).ok_or_else(|| "the folder's layout is unknown".to_owned())
}

fn without_errors(found: Vec<Diagnostic>) -> Result<(), String> {
    match found.into_iter().find(|diagnostic| diagnostic.severity == Severity::Error) {
        Some(diagnostic) => Err(diagnostic.to_string()),
        None => Ok(()),
    }
}

/// Reads one object; there is none of kinds that a mesh does not use.
fn change(age: usize, mut object: Value) -> Result<Option<Change>, String> {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let created = format!("2026-01-01T{:02}:{:02}:00Z", age / 60, age % 60);
        meta.insert("creationTimestamp".to_owned(), json!(created));
    }
    let path = format!("clusters/{CLUSTER}/objects.yaml");
    let file = Arc::from(path.as_str());
    let reading = read(&path, object.to_string().as_bytes(), &Limits::default());
    without_errors(reading.diagnostics)?;
    let [document] = reading.documents.as_slice() else {
        return Err("an object is not one document".to_owned());
    };
    let decoded = decode(&document.node, &file, "default");
    without_errors(decoded.diagnostics)?;
    let origin = origin(&path)?;
    Ok(decoded.resource.map(|resource| Change::Upsert { origin, resource: Box::new(resource) }))
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
