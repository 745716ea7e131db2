//! DestinationRules of a client, and policies composed level by level.
use mesh_model::manifest::Node;
use mesh_model::name::{Duration, Hostname, Labels, Namespace};
use mesh_model::registry::{DestinationRules, ExportTo, MergedRule, Scoping};
use mesh_model::resource::destination_rule::{
    ConnectionPoolSettings, LbPolicy, LoadBalancerSettings, OutlierDetection, TrafficPolicy,
};
use mesh_model::resource::mesh_config::DefaultTrafficPolicy;
use mesh_model::resource::{DestinationRule, Resource, decode};
use mesh_model::view::destination::{subset_policy, with_mesh_default};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Select {
    root_namespace: String,
    mesh_default_export_to: Vec<String>,
    rules: Vec<Rule>,
    proxy: Client,
    service: Service,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    namespace: String,
    host: String,
    creation: i64,
    #[serde(default)]
    export_to: Vec<String>,
    workload_selector: Option<BTreeMap<String, String>>,
    #[serde(default)]
    subsets: Vec<Value>,
    traffic_policy: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    namespace: String,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    host: String,
    namespace: String,
}

impl Rule {
    fn decode(&self) -> Result<DestinationRule, String> {
        let selector = self.workload_selector.as_ref();
        let spec = json!({
            "host": self.host,
            "exportTo": self.export_to,
            "workloadSelector": selector.map(|labels| json!({ "matchLabels": labels })),
            "subsets": self.subsets,
            "trafficPolicy": self.traffic_policy,
        });
        let mut rule = rule(&spec)?;
        rule.meta.name = self.name.as_str().into();
        rule.meta.namespace = Namespace::from(&*self.namespace);
        rule.meta.creation = Some(self.creation);
        Ok(rule)
    }
}

/// Reads the fields of a rule as a manifest has them.
fn rule(spec: &Value) -> Result<DestinationRule, String> {
    let object = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": { "name": "case" },
        "spec": spec,
    });
    let decoded = decode(&Node::from(&object), &Arc::from("case"), "default");
    match decoded.resource {
        Some(Resource::DestinationRule(rule)) if decoded.diagnostics.is_empty() => Ok(rule),
        _ => Err(format!("{:?}", decoded.diagnostics)),
    }
}

pub(super) fn destination_rule_select(input: &Value) -> Answered {
    let input: Select = read(input)?;
    let rules = input.rules.iter().map(|rule| rule.decode().map(Arc::new));
    let rules: Vec<Arc<DestinationRule>> = rules.collect::<Result<_, _>>()?;
    let index = DestinationRules::new(
        rules,
        &Scoping {
            root_namespace: &Namespace::from(&*input.root_namespace),
            default_export_to: &ExportTo::parse(
                input.mesh_default_export_to.iter().map(String::as_str),
            ),
            domain: "cluster.local",
            enhanced_merge: mesh_model::Compat::default()
                .flags
                .enable_enhanced_destinationrule_merge,
        },
    );
    let client = Namespace::from(&*input.proxy.namespace);
    let owner = Namespace::from(&*input.service.namespace);
    let host = Hostname::from(&*input.service.host);
    let candidates = index.candidates(&client, &host, &owner);
    let labels: Labels = input.proxy.labels.into_iter().collect();
    let effective = DestinationRules::effective(&candidates, &client, Some(&labels));
    Ok(json!({
        "candidates": candidates.iter().map(|rule| print(rule)).collect::<Vec<_>>(),
        "effective": effective.map(print),
    }))
}

fn print(rule: &MergedRule) -> Value {
    let from = rule.from.iter().map(|(namespace, name)| format!("{namespace}/{name}"));
    set([
        ("from", json!(from.collect::<Vec<_>>())),
        ("subsets", json!(rule.subsets.iter().map(|subset| &subset.name).collect::<Vec<_>>())),
        ("traffic_policy", json!(rule.traffic_policy.as_ref().map(print_policy))),
    ])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    destination: Option<Value>,
    subset: Option<Value>,
    port: Option<u16>,
}

pub(super) fn merge_subset_traffic_policy(input: &Value) -> Answered {
    let input: Merge = read(input)?;
    let policy = |written: Option<Value>| match written {
        Some(written) => {
            let spec = json!({ "host": "case", "trafficPolicy": with_ports(written) });
            Ok(rule(&spec)?.spec.traffic_policy)
        }
        None => Ok::<_, String>(None),
    };
    let (destination, subset) = (policy(input.destination)?, policy(input.subset)?);
    let merged = subset_policy(destination.map(Into::into), subset.as_ref(), input.port);
    Ok(json!(merged.as_deref().map(print_policy)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithDefault {
    mesh_default: Option<Value>,
    policy: Option<Value>,
}

/// Applies what `MeshConfig.defaultTrafficPolicy` says; the blocks that it has are those of rules.
pub(super) fn apply_default_traffic_policy(input: &Value) -> Answered {
    let input: WithDefault = read(input)?;
    let mesh_default = input.mesh_default.map(|blocks| {
        let fields: DefaultBlocks = read(&blocks)?;
        let policy = rule(&json!({ "host": "case", "trafficPolicy": fields }))?;
        let TrafficPolicy { connection_pool, outlier_detection, .. } =
            policy.spec.traffic_policy.unwrap_or_default();
        Ok::<_, String>(DefaultTrafficPolicy { connection_pool, outlier_detection })
    });
    let policy = match input.policy {
        Some(policy) => rule(&json!({ "host": "case", "trafficPolicy": policy }))?,
        None => DestinationRule::default(),
    };
    let applied = with_mesh_default(
        policy.spec.traffic_policy.map(Into::into),
        mesh_default.transpose()?.as_ref(),
    );
    Ok(json!(applied.as_deref().map(print_policy)))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DefaultBlocks {
    connection_pool: Option<Value>,
    outlier_detection: Option<Value>,
}

/// The cases write the port of an entry as a number.
fn with_ports(mut policy: Value) -> Value {
    let entries = policy.get_mut("port_level_settings").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if let Some(port) = entry.get("port").and_then(Value::as_u64) {
            entry["port"] = json!({ "number": port });
        }
    }
    policy
}

/// The fields that say something.
fn set<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn number(number: impl Into<i64>) -> Value {
    json!(Some(number.into()).filter(|number| *number != 0))
}

fn text(text: &str) -> Value {
    json!(Some(text).filter(|text| !text.is_empty()))
}

fn duration(duration: Option<Duration>) -> Value {
    json!(duration.map(|duration| duration.to_string()))
}

/// Prints what the cases have of policies.
fn print_policy(policy: &TrafficPolicy) -> Value {
    let tunnel = policy.tunnel.as_ref().map(|tunnel| {
        set([
            ("protocol", text(&tunnel.protocol)),
            ("target_host", text(&tunnel.target_host)),
            ("target_port", number(tunnel.target_port)),
        ])
    });
    let budget = policy.retry_budget.as_ref().map(|budget| {
        set([
            ("percent", json!(budget.percent)),
            ("min_retry_concurrency", number(budget.min_retry_concurrency)),
            ("budget_interval", duration(budget.budget_interval)),
        ])
    });
    set([
        ("load_balancer", json!(policy.load_balancer.as_ref().map(print_balancer))),
        ("connection_pool", json!(policy.connection_pool.as_ref().map(print_pool))),
        ("outlier_detection", json!(policy.outlier_detection.as_ref().map(print_outlier))),
        ("tls", json!(policy.tls.as_ref().map(|tls| json!({ "mode": tls.mode.as_str() })))),
        ("tunnel", json!(tunnel)),
        ("retry_budget", json!(budget)),
    ])
}

fn print_balancer(block: &LoadBalancerSettings) -> Value {
    let simple = match &block.policy {
        Some(LbPolicy::Simple(simple)) => Some(simple.as_str()),
        Some(LbPolicy::ConsistentHash(_) | LbPolicy::BackendUtilization(_)) | None => None,
    };
    set([("simple", json!(simple))])
}

fn print_pool(block: &ConnectionPoolSettings) -> Value {
    let tcp = block.tcp.as_ref().map(|tcp| {
        set([
            ("max_connections", number(tcp.max_connections)),
            ("connect_timeout", duration(tcp.connect_timeout)),
        ])
    });
    let http = block.http.as_ref().map(|http| {
        set([
            ("http1_max_pending_requests", number(http.http1_max_pending_requests)),
            ("http2_max_requests", number(http.http2_max_requests)),
            ("max_requests_per_connection", number(http.max_requests_per_connection)),
            ("max_retries", number(http.max_retries)),
        ])
    });
    set([("tcp", json!(tcp)), ("http", json!(http))])
}

fn print_outlier(block: &OutlierDetection) -> Value {
    set([
        ("consecutive_errors", number(block.consecutive_errors)),
        ("consecutive_5xx_errors", json!(block.consecutive_5xx_errors)),
        ("consecutive_gateway_errors", json!(block.consecutive_gateway_errors)),
        ("interval", duration(block.interval)),
        ("base_ejection_time", duration(block.base_ejection_time)),
        ("max_ejection_percent", number(block.max_ejection_percent)),
        ("min_health_percent", number(block.min_health_percent)),
    ])
}
