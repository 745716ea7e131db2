//! Upstream's own answers: a folder of policies and of the filters that istiod makes of them.
//!
//! The folder's `cases.json` says what is compiled for whom; each expected file is one filter. Both
//! sides are compared as messages of the same type, in the JSON that the wire types print.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mesh_authz::compile::RootNamespace;
use mesh_authz::identity::{IdentitySource, TrustBundle};
use mesh_authz::rbac::{Filter, Purpose};
use mesh_authz::{Chain, Environment, Policies, Traffic, Workload};
use mesh_envoy_proto::envoy::config::listener::v3 as listener;
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use mesh_envoy_proto::json;
use mesh_envoy_proto::prost::Name;
use mesh_model::Compat;
use mesh_model::manifest::{self, Document, Limits, Node};
use mesh_model::name::{Labels, Namespace, TrustDomain};
use mesh_model::registry::{ControlPlane, Origin, Registry, Source};
use mesh_model::resource::{self, AuthorizationPolicy, Resource};
use mesh_xds_gen::rbac;
use serde::Deserialize;
use serde_json::Value;

use crate::problem::{Attempt, Problem};

/// Below an area: upstream's files.
pub(crate) const FOLDER: &str = "istio-golden";
/// The only cluster of the mesh of a case.
const CLUSTER: &str = "golden";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    environment: Surroundings,
    cases: Vec<Case>,
    /// Where the files are from.
    #[serde(default, rename = "source")]
    _source: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Surroundings {
    root_namespace: String,
    proxy: ProxyOf,
    use_filter_state: bool,
    services: Vec<ServiceOf>,
    features: BTreeMap<String, bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyOf {
    namespace: String,
    labels: BTreeMap<String, String>,
    r#type: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceOf {
    hostname: String,
    namespace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    protocol: String,
    input: String,
    outputs: Vec<String>,
    trust_domains: Vec<String>,
    custom_builder: bool,
    mesh_config: Option<Value>,
}

/// Runs every case of the folder; calls `tell` with each name and what is wrong, if anything is.
pub(crate) fn run(
    folder: &Path,
    mut tell: impl FnMut(&str, Result<(), String>),
) -> Result<(), Problem> {
    let cases = folder.join("cases.json");
    let text = fs::read_to_string(&cases).attempt(format!("read `{}`", cases.display()))?;
    let golden: Golden =
        serde_json::from_str(&text).attempt(format!("read `{}`", cases.display()))?;
    for case in &golden.cases {
        tell(&case.name, judge(folder, &golden.environment, case));
    }
    Ok(())
}

fn judge(folder: &Path, surroundings: &Surroundings, case: &Case) -> Result<(), String> {
    let got = match case.protocol.as_str() {
        "HTTP" => compiled(folder, surroundings, case, Traffic::Http, |plane, filters| {
            printed(&rbac::http_filters(&plane.config, filters))
        }),
        "TCP" => compiled(folder, surroundings, case, Traffic::Tcp, |plane, filters| {
            printed(&rbac::network_filters(&plane.config, filters))
        }),
        other => Err(format!("unknown protocol `{other}`")),
    }?;
    let expected: Result<Vec<Value>, String> =
        case.outputs.iter().map(|output| expected(folder, output, &case.protocol)).collect();
    let expected = expected?;
    if got == expected {
        return Ok(());
    }
    let lines = |filters: &[Value]| -> String {
        filters.iter().map(|filter| format!("\n    {filter}")).collect()
    };
    Err(format!("\n  expected:{}\n  got:{}", lines(&expected), lines(&got)))
}

/// Compiles the policies of a case and hands on the filters that the case asks for.
fn compiled(
    folder: &Path,
    surroundings: &Surroundings,
    case: &Case,
    traffic: Traffic,
    print: impl FnOnce(&ControlPlane, &[Filter]) -> Result<Vec<Value>, String>,
) -> Result<Vec<Value>, String> {
    let compat = compat(&surroundings.features)?;
    let registry = registry(surroundings, case, &compat)?;
    let mesh = registry.mesh();
    let plane = mesh.control_planes().next().ok_or("the mesh has no control plane")?;
    let trusted = case.trust_domains.iter().map(|name| TrustDomain::from(name.as_str()));
    let environment = Environment {
        root_namespace: RootNamespace(Namespace::from(surroundings.root_namespace.as_str())),
        trust: TrustBundle { trust_domains: trusted.collect() },
        identity: if surroundings.use_filter_state {
            IdentitySource::FilterState
        } else {
            IdentitySource::Certificate
        },
        ..Environment::of_plane(plane, &compat)
    };
    let policies = policies(folder, &case.input)?;
    let policies = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let chain = Chain::new(&policies, &workload(&surroundings.proxy)?, &environment, traffic);
    let is_custom = |filter: &Filter| match filter {
        Filter::ExternalAuthorization { .. } => true,
        Filter::Rbac(rbac) => matches!(rbac.purpose, Purpose::Custom | Purpose::BadProvider),
    };
    let asked: Vec<Filter> = chain
        .filters
        .into_iter()
        .filter(|filter| is_custom(filter) == case.custom_builder)
        .collect();
    print(plane, &asked)
}

fn compat(features: &BTreeMap<String, bool>) -> Result<Compat, String> {
    let mut compat = Compat::default();
    for (name, value) in features {
        match name.as_str() {
            "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS" => {
                compat.flags.pilot_enable_multiple_custom_authz_providers = *value;
            }
            _ => return Err(format!("unknown feature `{name}`")),
        }
    }
    Ok(compat)
}

/// A mesh of the case's settings and services.
fn registry(surroundings: &Surroundings, case: &Case, compat: &Compat) -> Result<Registry, String> {
    let source = |origin: Origin, name: &str, value: &Value| Source {
        origin,
        name: Arc::from(name),
        text: value.to_string().into_bytes(),
    };
    let services = surroundings.services.iter().enumerate().map(|(place, service)| {
        let entry = serde_json::json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": { "name": format!("service-{place}"), "namespace": service.namespace },
            "spec": {
                "hosts": [service.hostname],
                "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
                "resolution": "STATIC",
            },
        });
        source(Origin::Config, &format!("service-{place}"), &entry)
    });
    let cluster = serde_json::json!({ "name": CLUSTER, "role": "primary" });
    let settings = case.mesh_config.as_ref();
    let sources = services
        .chain(settings.map(|value| source(Origin::MeshConfig, "mesh.yaml", value)))
        .chain([source(Origin::Description(CLUSTER.into()), "cluster.yaml", &cluster)]);
    let mut registry = Registry::new(compat.clone());
    let problems = registry.load(sources);
    let errors = problems.iter().filter(|problem| problem.severity == manifest::Severity::Error);
    // A provider that cannot be used is what some cases are about.
    match errors.into_iter().find(|problem| &*problem.file != "mesh.yaml") {
        Some(problem) => Err(problem.to_string()),
        None => Ok(registry),
    }
}

fn workload(proxy: &ProxyOf) -> Result<Workload, String> {
    if proxy.r#type != "sidecar" {
        return Err(format!("unknown type of proxy `{}`", proxy.r#type));
    }
    let labels = proxy.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    Ok(Workload {
        namespace: Namespace::from(proxy.namespace.as_str()),
        labels: labels.collect::<Labels>(),
        ..Workload::default()
    })
}

/// The policies of a file, without admission.
fn policies(folder: &Path, file: &str) -> Result<Vec<AuthorizationPolicy>, String> {
    let policy = |document: Document| {
        let decoded = resource::decode(&document.node, &document.file, "default");
        match (decoded.diagnostics.first(), decoded.resource) {
            (None, Some(Resource::AuthorizationPolicy(policy))) => Ok(policy),
            (Some(problem), _) => Err(problem.to_string()),
            (None, _) => Err(format!("`{file}` holds something else than AuthorizationPolicies")),
        }
    };
    documents(folder, file)?.into_iter().map(policy).collect()
}

fn documents(folder: &Path, file: &str) -> Result<Vec<Document>, String> {
    let path = folder.join(file);
    let text = fs::read(&path).map_err(|error| format!("cannot read `{file}`: {error}"))?;
    let reading = manifest::read(file, &text, &Limits::default());
    match reading.diagnostics.first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(reading.documents),
    }
}

/// The filter of an expected file, read as a message and printed again.
fn expected(folder: &Path, file: &str, protocol: &str) -> Result<Value, String> {
    let [document] = <[Document; 1]>::try_from(documents(folder, file)?)
        .map_err(|found| format!("`{file}` holds {} filters", found.len()))?;
    let value = plain(&document.node);
    let read = if protocol == "HTTP" {
        json::from_value::<HttpFilter>(&value).and_then(|filter| json::to_value(&filter))
    } else {
        json::from_value::<listener::Filter>(&value).and_then(|filter| json::to_value(&filter))
    };
    read.map_err(|error| format!("`{file}`: {error}"))
}

fn printed<M: Name>(messages: &[M]) -> Result<Vec<Value>, String> {
    let printed: Result<Vec<Value>, json::JsonError> =
        messages.iter().map(json::to_value).collect();
    printed.map_err(|error| error.to_string())
}

/// A node without its places; as deep as the reader allows.
fn plain(node: &Node) -> Value {
    match &node.value {
        manifest::Value::Null => Value::Null,
        manifest::Value::Bool(value) => Value::from(*value),
        manifest::Value::Integer(value) => {
            i64::try_from(*value).map_or_else(|_| Value::from(value.to_string()), Value::from)
        }
        manifest::Value::Float(value) => Value::from(*value),
        manifest::Value::String(text) => Value::from(&**text),
        manifest::Value::List(items) => items.iter().map(plain).collect(),
        manifest::Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.to_string(), plain(&entry.node))).collect()
        }
    }
}
