//! A snapshot as two files that Envoy reads instead of asking a server.
//!
//! Resources refer to endpoints and routes by name, over ADS; here these stand where they are
//! referred to. (A file of its own each would need an inotify instance each, of which a system has
//! few.) Secrets still come from the server.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::e2e::mesh::list;
use crate::problem::{Attempt, Problem};

/// Endpoints and routes by type and name.
type Parts = BTreeMap<(&'static str, String), Value>;

/// Names of Kubernetes secrets that a resource refers to.
pub(super) fn secrets(resource: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut pending = vec![resource];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => {
                names.extend(text.strip_prefix("kubernetes://").map(str::to_owned));
            }
            Value::Array(values) => pending.extend(values),
            Value::Object(members) => pending.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    names
}

/// Writes the files beside the snapshot, and returns the bootstrap that names them.
pub(super) fn bootstrap(template: &Value, out: &Path) -> Result<Value, Problem> {
    let mut parts = Parts::new();
    for (kind, key) in [("endpoints", "clusterName"), ("routes", "name")] {
        for part in list(out, kind)? {
            let name = part.get(key).and_then(Value::as_str).unwrap_or_default();
            parts.insert((kind, name.to_owned()), part);
        }
    }
    let clusters = write(out, "clusters", "envoy.config.cluster.v3.Cluster", &parts)?;
    let listeners = write(out, "listeners", "envoy.config.listener.v3.Listener", &parts)?;
    let mut bootstrap = template.clone();
    if let Some(members) = bootstrap.as_object_mut() {
        let dynamic = json!({"cdsConfig": source(&clusters), "ldsConfig": source(&listeners)});
        members.insert("dynamicResources".to_owned(), dynamic);
    }
    Ok(bootstrap)
}

fn source(path: &Path) -> Value {
    json!({"pathConfigSource": {"path": path.display().to_string()}, "resourceApiVersion": "V3"})
}

/// Writes all resources of a type into one file.
fn write(out: &Path, kind: &str, type_name: &str, parts: &Parts) -> Result<PathBuf, Problem> {
    let mut resources = list(out, kind)?;
    for resource in &mut resources {
        complete(resource, parts)?;
        if let Some(members) = resource.as_object_mut() {
            members.insert("@type".to_owned(), format!("type.googleapis.com/{type_name}").into());
        }
    }
    let path = out.join(format!("{kind}-whole.json"));
    let response = json!({"versionInfo": "1", "resources": resources});
    std::fs::write(&path, response.to_string()).attempt(format!("write `{}`", path.display()))?;
    Ok(path)
}

/// Puts endpoints and routes where a resource refers to them.
fn complete(resource: &mut Value, parts: &Parts) -> Result<(), Problem> {
    let own = text(resource, "name");
    let eds = resource.as_object_mut().and_then(|members| members.remove("edsClusterConfig"));
    if let Some(eds) = eds {
        let service = text(&eds, "serviceName");
        let endpoints = part(parts, "endpoints", if service.is_empty() { &own } else { &service })?;
        if let Some(members) = resource.as_object_mut() {
            members.insert("type".to_owned(), "STATIC".into());
            members.insert("loadAssignment".to_owned(), endpoints);
        }
    }
    let mut pending = vec![resource];
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(values) => pending.extend(values),
            Value::Object(members) => {
                if let Some(rds) = members.remove("rds") {
                    let routes = part(parts, "routes", &text(&rds, "routeConfigName"))?;
                    members.insert("routeConfig".to_owned(), routes);
                }
                let is_over_ads = |secret: &Value| secret.get("ads").is_some();
                if members.get("sdsConfig").is_some_and(is_over_ads) {
                    members.insert("sdsConfig".to_owned(), from_server());
                }
                pending.extend(members.values_mut());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Ok(())
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn part(parts: &Parts, kind: &'static str, name: &str) -> Result<Value, Problem> {
    let missing = || Problem(format!("the snapshot has no {kind} of `{name}`"));
    parts.get(&(kind, name.to_owned())).cloned().ok_or_else(missing)
}

fn from_server() -> Value {
    let services = json!([{"envoyGrpc": {"clusterName": "sds-grpc"}}]);
    let api = json!({
        "apiType": "GRPC", "transportApiVersion": "V3", "setNodeOnFirstMessageOnly": true,
        "grpcServices": services,
    });
    json!({"apiConfigSource": api, "resourceApiVersion": "V3"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_over_ads_become_what_they_refer_to() {
        let parts: Parts = [("endpoints", "e"), ("routes", "r")]
            .map(|(kind, name)| ((kind, name.to_owned()), json!(name)))
            .into();
        let ads = json!({"ads": {}});
        let mut value = json!({
            "name": "e",
            "edsClusterConfig": {"edsConfig": ads},
            "list": [{"rds": {"configSource": ads, "routeConfigName": "r"}}, {"sdsConfig": ads}],
        });
        complete(&mut value, &parts).unwrap();
        let list = json!([{"routeConfig": "r"}, {"sdsConfig": from_server()}]);
        let expected = json!({"name": "e", "type": "STATIC", "loadAssignment": "e", "list": list});
        assert_eq!(value, expected);
        assert!(complete(&mut json!({"name": "x", "edsClusterConfig": {}}), &parts).is_err());
    }

    #[test]
    fn secrets_are_found_wherever_they_are() {
        let value = json!({"a": [{"name": "kubernetes://one"}, "x"], "b": "kubernetes://two"});
        let mut names = secrets(&value);
        names.sort();
        assert_eq!(names, ["one", "two"]);
    }
}
