//! Requests that the policies of both sides tell apart.
//!
//! For each rule: one that meets all of it, and one for each of its fields that misses only that; beside
//! them the plainest ones, with and without an identity.
use std::collections::BTreeSet;

use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::resource::AuthorizationPolicy;
use mesh_model::view::Proxy;
use serde_json::{Map, Value, json};

use super::Sides;

/// So many requests are tried on a workload at most.
const LIMIT: usize = 2000;

/// Returns requests for a workload, as request files, without repetition.
pub(super) fn requests(sides: Sides<'_>, to: &Proxy) -> Vec<Value> {
    let ports = ports(sides, to);
    let mut policies: Vec<&AuthorizationPolicy> = Vec::new();
    for mesh in sides.each() {
        let plane: Option<&ControlPlane> =
            mesh.control_plane_of(to.cluster.as_str()).map(AsRef::as_ref);
        let known = plane.into_iter().flat_map(|plane| &plane.authorization_policies);
        policies.extend(known.map(AsRef::as_ref));
    }
    let own = format!("{}/ns/{}/sa/default", sides.new.config().trust_domain, to.namespace);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut add = |request: Value| {
        if found.len() < LIMIT && seen.insert(request.to_string()) {
            found.push(request);
        }
    };
    for port in &ports {
        add(plain(*port));
        add(with_principal(&plain(*port), &own));
    }
    for policy in policies {
        for rule in policy.spec.rules.iter() {
            for port in &ports {
                for request in of_rule(rule, *port, &own) {
                    add(request);
                }
            }
        }
    }
    found
}

/// The ports at which services reach the workload, on either side; 80 if none does.
fn ports(sides: Sides<'_>, to: &Proxy) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for mesh in sides.each() {
        ports.extend(ports_of(mesh, to));
    }
    if ports.is_empty() {
        ports.insert(80);
    }
    ports
}

fn ports_of(mesh: &Mesh, to: &Proxy) -> Vec<u16> {
    let Some(plane) = mesh.control_plane_of(to.cluster.as_str()) else { return Vec::new() };
    let all = plane.shards.values().flat_map(|shards| shards.endpoints());
    let own = all.filter(|endpoint| {
        let workload = &endpoint.workload;
        workload.cluster == to.cluster
            && workload.namespace == to.namespace
            && *workload.instance == *to.name
    });
    own.map(|endpoint| endpoint.port).collect()
}

fn plain(port: u16) -> Value {
    json!({
        "destination_port": port, "method": "GET", "path": "/", "host": "service",
        "source_ip": "192.0.2.1", "peer": null,
    })
}

fn with_principal(request: &Value, principal: &str) -> Value {
    with(request, "peer", json!({"uri_sans": [format!("spiffe://{principal}")]}))
}

fn with(request: &Value, field: &str, value: Value) -> Value {
    let mut request = request.clone();
    if let Some(map) = request.as_object_mut() {
        map.insert(field.to_owned(), value);
    }
    request
}

/// Requests that meet a rule, one for each pair of source and operation, and those that just miss it.
fn of_rule(rule: &mesh_model::resource::Rule, port: u16, own: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let base = conditions(rule, &with_principal(&plain(port), own));
    let mut sources: Vec<Vec<Value>> = rule
        .from
        .iter()
        .filter_map(|from| from.source.as_ref())
        .map(|s| of_source(s, &base))
        .collect();
    if sources.is_empty() {
        sources.push(vec![base.clone(), with(&base, "peer", Value::Null)]);
    }
    for request in sources.iter().flatten() {
        let mut operations = rule.to.iter().filter_map(|to| to.operation.as_ref()).peekable();
        if operations.peek().is_none() {
            found.push(request.clone());
        }
        for operation in operations {
            found.extend(of_operation(operation, request));
        }
    }
    found
}

/// Requests from a source, then some from elsewhere.
fn of_source(source: &mesh_model::resource::Source, base: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let domain = "cluster.local";
    for text in &source.principals {
        found.push(with_principal(base, &filled(text)));
    }
    for text in &source.namespaces {
        found.push(with_principal(base, &format!("{domain}/ns/{}/sa/default", filled(text))));
    }
    for text in &source.service_accounts {
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        found.push(with_principal(base, &format!("{domain}/ns/{namespace}/sa/{name}")));
    }
    for text in source.ip_blocks.iter().chain(&source.not_ip_blocks) {
        found.push(with(base, "source_ip", address(text)));
    }
    for text in source.remote_ip_blocks.iter().chain(&source.not_remote_ip_blocks) {
        found.push(with(base, "remote_ip", address(text)));
    }
    for text in source.not_principals.iter() {
        found.push(with_principal(base, &filled(text)));
    }
    for text in source.not_namespaces.iter() {
        found.push(with_principal(base, &format!("{domain}/ns/{}/sa/default", filled(text))));
    }
    for text in &source.request_principals {
        let text = filled(text);
        let (issuer, subject) = text.split_once('/').unwrap_or((text.as_str(), ""));
        found.push(with(base, "jwt", json!({"claims": {"iss": issuer, "sub": subject}})));
    }
    found.push(with_principal(base, "elsewhere.example/ns/nobody/sa/nobody"));
    found.push(with(base, "peer", Value::Null));
    found
}

/// Requests for an operation, then one that misses each of its fields.
fn of_operation(operation: &mesh_model::resource::Operation, request: &Value) -> Vec<Value> {
    let mut hit = request.clone();
    let fields: [(&str, &[Box<str>], &[Box<str>]); 3] = [
        ("method", &operation.methods, &operation.not_methods),
        ("path", &operation.paths, &operation.not_paths),
        ("host", &operation.hosts, &operation.not_hosts),
    ];
    let mut found = Vec::new();
    for (field, wanted, _) in fields {
        if let Some(first) = wanted.first() {
            hit = with(&hit, field, filled(first).into());
        }
    }
    if let Some(port) = operation.ports.first().and_then(|text| text.parse::<u16>().ok()) {
        hit = with(&hit, "destination_port", port.into());
    }
    for (field, wanted, unwanted) in fields {
        for text in wanted.iter().skip(1).chain(unwanted) {
            found.push(with(&hit, field, filled(text).into()));
        }
        if !wanted.is_empty() {
            let other = if field == "method" { "OPTIONS" } else { "/elsewhere" };
            found.push(with(&hit, field, other.into()));
        }
    }
    found.push(hit);
    found
}

/// Sets what the conditions of a rule ask for, as far as a request can say it.
fn conditions(rule: &mesh_model::resource::Rule, request: &Value) -> Value {
    let mut request = request.clone();
    let mut headers = Vec::new();
    let mut claims = Map::new();
    for condition in &rule.when {
        let Some(value) = condition.values.first() else { continue };
        let value = filled(value);
        let inside = |prefix: &str| {
            let rest = condition.key.strip_prefix(prefix)?;
            Some(rest.trim_start_matches('[').trim_end_matches(']').to_owned())
        };
        if let Some(name) = inside("request.headers") {
            headers.push(json!([name, value]));
        } else if let Some(name) = inside("request.auth.claims") {
            claims.insert(name, value.into());
        } else if *condition.key == *"source.principal" {
            request = with_principal(&request, &value);
        } else if *condition.key == *"connection.sni" {
            request = with(&request, "sni", value.into());
        } else if let Ok(port) = value.parse::<u16>()
            && *condition.key == *"destination.port"
        {
            request = with(&request, "destination_port", port.into());
        } else if *condition.key == *"source.ip" {
            request = with(&request, "source_ip", address(&value));
        }
    }
    if !headers.is_empty() {
        request = with(&request, "headers", headers.into());
    }
    if !claims.is_empty() {
        request = with(&request, "jwt", json!({"claims": claims}));
    }
    request
}

/// A text that a pattern with wildcards matches.
fn filled(pattern: &str) -> String {
    pattern.replace("{**}", "x").replace("{*}", "x").replace('*', "x")
}

/// The first address of a range.
fn address(range: &str) -> Value {
    range.split('/').next().unwrap_or_default().into()
}
