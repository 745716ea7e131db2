//! Route configurations, routes, and what they are made of.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use mesh_envoy_proto::envoy::config::route::v3::{RetryPolicy, Route, RouteMatch};
use mesh_model::endpoint::Provider;
use mesh_model::manifest::{Limits, read};
use mesh_model::name::{Hostname, Namespace, Protocol};
use mesh_model::registry::delegates::has_conflict;
use mesh_model::registry::{Resolution, Service, ServicePort};
use mesh_model::resource::virtual_service::{HttpMatchRequest, HttpRoute};
use mesh_model::resource::{self, Resource, VirtualService};
use mesh_model::view::Proxy;
use mesh_testkit::by_hand;
use mesh_xds_gen::route::domains::{Domains, ServiceNames};
use mesh_xds_gen::route::retry::{self, PreviousHosts};
use mesh_xds_gen::route::{Outbound, OutboundPolicy, ProxyHeaders, Translation, catch_all_last};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostList {
    hosts: Vec<String>,
}

pub(super) fn hosts_by_specificity(input: &HostList) -> Result<Value, String> {
    let mut hosts: Vec<Hostname> = input.hosts.iter().map(|host| host.as_str().into()).collect();
    hosts.sort_by(Hostname::by_specificity);
    Ok(hosts.iter().map(Hostname::as_str).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainsInput {
    hostname: String,
    aliases: Vec<String>,
    proxy_dns_domain: String,
    kubernetes_headless: bool,
    addresses: Vec<String>,
    port_suffix: u32,
}

pub(super) fn virtual_host_domains(input: &DomainsInput) -> Result<Value, String> {
    let hosts: Vec<&str> =
        std::iter::once(&input.hostname).chain(&input.aliases).map(String::as_str).collect();
    let addresses: Vec<&str> = input.addresses.iter().map(String::as_str).collect();
    let domains = Domains::of(&ServiceNames {
        hosts: &hosts,
        proxy_domain: &input.proxy_dns_domain,
        headless: input.kubernetes_headless,
        addresses: &addresses,
        port: (input.port_suffix != 0).then_some(input.port_suffix),
    });
    Ok(domains.all.into())
}

/// A VirtualService as the cases write it: a destination's fields lie in the route.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleInput {
    name: String,
    namespace: String,
    hosts: Vec<String>,
    http: Vec<HttpInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpInput {
    name: Option<String>,
    r#match: Option<Value>,
    route: Vec<RouteInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteInput {
    host: String,
    subset: Option<String>,
    port: Option<u32>,
    weight: Option<i32>,
}

impl RuleInput {
    fn rule(&self) -> Result<VirtualService, String> {
        let http = self.http.iter().map(|http| {
            let route = http.route.iter().map(|to| {
                let port = to.port.map(|number| json!({"number": number}));
                let to_host = json!({"host": to.host, "subset": to.subset, "port": port});
                json!({"destination": to_host, "weight": to.weight})
            });
            let route: Vec<Value> = route.collect();
            json!({"name": http.name, "match": http.r#match, "route": route})
        });
        let http: Vec<Value> = http.collect();
        rule(&self.namespace, &self.name, &json!({"hosts": self.hosts, "http": http}))
    }
}

/// Reads a VirtualService as manifests are read; whatever is found wrong is an error here.
fn rule(namespace: &str, name: &str, spec: &Value) -> Result<VirtualService, String> {
    let document = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    });
    let reading = read("case", document.to_string().as_bytes(), &Limits::default());
    let [document] = reading.documents.as_slice() else { return Err("no document".to_owned()) };
    let decoded = resource::decode(&document.node, &document.file, namespace);
    if let Some(found) = decoded.diagnostics.first() {
        return Err(found.to_string());
    }
    match decoded.resource {
        Some(Resource::VirtualService(rule)) => Ok(rule),
        _ => Err("no VirtualService".to_owned()),
    }
}

/// The only HTTP route of a rule.
fn http_route(route: &Value) -> Result<HttpRoute, String> {
    let rule = rule("default", "case", &json!({"hosts": ["a.com"], "http": [route]}))?;
    rule.spec.http.into_iter().next().ok_or_else(|| "no route".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigInput {
    route_name: String,
    proxy_dns_domain: String,
    proxy_namespace: String,
    outbound_policy: String,
    services: Vec<ServiceInput>,
    virtual_services: Vec<RuleInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceInput {
    host: String,
    namespace: String,
    address: String,
    #[serde(default)]
    headless: bool,
    ports: Vec<PortInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortInput {
    port: u16,
    protocol: String,
}

impl ServiceInput {
    fn service(&self) -> Service {
        let port = |port: &PortInput| ServicePort {
            name: port.protocol.to_lowercase().into(),
            number: port.port,
            protocol: Protocol::parse(&port.protocol),
            target_port: 0,
        };
        let resolution =
            if self.headless { Resolution::Passthrough } else { Resolution::ClientSideLb };
        Service {
            namespace: Namespace::from(self.namespace.as_str()),
            ports: self.ports.iter().map(port).collect(),
            default_address: self.address.as_str().into(),
            resolution,
            provider: Provider::Kubernetes,
            ..by_hand::service(&self.host)
        }
    }
}

pub(super) fn route_config(input: &ConfigInput) -> Result<Value, String> {
    let proxy = Proxy {
        namespace: Namespace::from(input.proxy_namespace.as_str()),
        dns_domain: input.proxy_dns_domain.as_str().into(),
        addresses: Box::from([std::net::Ipv4Addr::new(10, 0, 0, 1).into()]),
        ..by_hand::proxy("c1", "")
    };
    let services: Vec<Arc<Service>> =
        input.services.iter().map(|service| Arc::new(service.service())).collect();
    let rules: Vec<Arc<VirtualService>> = input
        .virtual_services
        .iter()
        .map(|rule| rule.rule().map(Arc::new))
        .collect::<Result<_, _>>()?;
    let policy = match input.outbound_policy.as_str() {
        "ALLOW_ANY" => OutboundPolicy::AllowAny(None),
        "REGISTRY_ONLY" => OutboundPolicy::RegistryOnly,
        "ALLOW_ANY_DYNAMIC_DNS" => OutboundPolicy::AllowAnyDynamicDns,
        other => return Err(format!("unknown policy `{other}`")),
    };
    let outbound = Outbound {
        proxy: &proxy,
        services: &services,
        virtual_services: &rules,
        is_http_proxy: false,
        policy,
        default_retry: None,
        headers: ProxyHeaders::default(),
        dual_stack: false,
        view: None,
    };
    let hosts = outbound.configuration(&input.route_name).virtual_hosts;
    let domains: BTreeMap<&str, &[String]> =
        hosts.iter().map(|host| (host.name.as_str(), host.domains.as_slice())).collect();
    let clusters: BTreeMap<&str, &str> = hosts
        .iter()
        .filter_map(|host| Some((host.name.as_str(), cluster(host.routes.first()?)?)))
        .collect();
    Ok(json!({"virtual_hosts": domains, "first_route_cluster": clusters}))
}

fn cluster(route: &Route) -> Option<&str> {
    if let Some(Action::Route(action)) = &route.action
        && let Some(ClusterSpecifier::Cluster(cluster)) = &action.cluster_specifier
    {
        return Some(cluster);
    }
    None
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TranslateInput {
    virtual_service: RuleInput,
    listener_port: u32,
    proxy: ProxyInput,
    bound_gateways: Vec<String>,
    services: Vec<PortsInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyInput {
    labels: BTreeMap<String, String>,
    namespace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortsInput {
    host: String,
    ports: Vec<u16>,
}

impl PortsInput {
    fn service(&self) -> Service {
        let port = |number: &u16| ServicePort {
            name: "http".into(),
            number: *number,
            protocol: Protocol::Http,
            target_port: 0,
        };
        Service { ports: self.ports.iter().map(port).collect(), ..by_hand::service(&self.host) }
    }
}

pub(super) fn translate(input: &TranslateInput) -> Result<Value, String> {
    let labels = input.proxy.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let proxy = Proxy {
        labels: labels.collect(),
        namespace: Namespace::from(input.proxy.namespace.as_str()),
        ..by_hand::proxy("c1", "")
    };
    let services = input
        .services
        .iter()
        .map(|service| (Hostname::from(service.host.as_str()), Arc::new(service.service())));
    let services: BTreeMap<_, _> = services.collect();
    let gateways: Vec<&str> = input.bound_gateways.iter().map(String::as_str).collect();
    let translation = Translation {
        proxy: &proxy,
        listener_port: input.listener_port,
        gateways: &gateways,
        is_tls: false,
        services: &services,
        default_retry: None,
        headers: ProxyHeaders::default(),
        view: None,
    };
    let routes = translation.routes(&input.virtual_service.rule()?);
    if routes.is_empty() {
        return Ok(json!({"error": "no routes"}));
    }
    Ok(routes.iter().map(outline).collect())
}

/// A route as the cases write it.
fn outline(route: &Route) -> Value {
    let mut shown = Map::new();
    if !route.name.is_empty() {
        shown.insert("name".to_owned(), json!(route.name));
    }
    shown.insert("match".to_owned(), route.r#match.as_ref().map(match_outline).into());
    if let Some(Action::Route(action)) = &route.action {
        match &action.cluster_specifier {
            Some(ClusterSpecifier::Cluster(cluster)) => {
                shown.insert("cluster".to_owned(), json!(cluster));
            }
            Some(ClusterSpecifier::WeightedClusters(weighted)) => {
                let entry = |to: &ClusterWeight| json!({"name": to.name, "weight": to.weight});
                let clusters: Vec<Value> = weighted.clusters.iter().map(entry).collect();
                shown.insert("weighted_clusters".to_owned(), clusters.into());
            }
            _ => {}
        }
        if let Some(timeout) = &action.timeout {
            shown.insert("timeout".to_owned(), json!(format!("{}s", timeout.seconds)));
        }
        if let Some(policy) = &action.retry_policy {
            shown.insert("retry".to_owned(), retry_outline(policy));
        }
    }
    Value::Object(shown)
}

fn match_outline(condition: &RouteMatch) -> Value {
    let mut shown = Map::new();
    match &condition.path_specifier {
        Some(PathSpecifier::Prefix(text)) => shown.insert("prefix".to_owned(), json!(text)),
        Some(PathSpecifier::Path(text)) => shown.insert("path".to_owned(), json!(text)),
        Some(PathSpecifier::SafeRegex(regex)) => {
            shown.insert("regex".to_owned(), json!(regex.regex))
        }
        _ => None,
    };
    if let Some(sensitive) = condition.case_sensitive {
        shown.insert("case_sensitive".to_owned(), json!(sensitive));
    }
    Value::Object(shown)
}

fn retry_outline(policy: &RetryPolicy) -> Value {
    let mut shown = json!({
        "num_retries": policy.num_retries,
        "retry_on": policy.retry_on,
        "host_selection_retry_max_attempts": policy.host_selection_retry_max_attempts,
    });
    let predicates: Vec<&str> =
        policy.retry_host_predicate.iter().map(|predicate| predicate.name.as_str()).collect();
    if let Value::Object(shown) = &mut shown {
        if !predicates.is_empty() {
            shown.insert("retry_host_predicate".to_owned(), json!(predicates));
        }
        if !policy.retriable_status_codes.is_empty() {
            let codes = json!(policy.retriable_status_codes);
            shown.insert("retriable_status_codes".to_owned(), codes);
        }
    }
    shown
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryInput {
    policy: Value,
}

pub(super) fn retry_policy(input: &RetryInput) -> Result<Value, String> {
    let retries = http_route(&json!({"retries": input.policy}))?.retries;
    let policy = retry::policy(retries.as_ref(), PreviousHosts::Avoided);
    Ok(policy.as_ref().map(retry_outline).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SortInput {
    routes: Vec<BTreeMap<String, String>>,
}

pub(super) fn sort_routes(input: &SortInput) -> Result<Value, String> {
    let route = |fields: &BTreeMap<String, String>| {
        let (kind, text) = fields.first_key_value().ok_or("a route without path")?;
        let path = match kind.as_str() {
            "prefix" => PathSpecifier::Prefix(text.clone()),
            "path" => PathSpecifier::Path(text.clone()),
            "regex" => PathSpecifier::SafeRegex(
                mesh_envoy_proto::envoy::r#type::matcher::v3::RegexMatcher {
                    regex: text.clone(),
                    ..Default::default()
                },
            ),
            other => return Err(format!("unknown path `{other}`")),
        };
        let condition = RouteMatch { path_specifier: Some(path), ..Default::default() };
        Ok(Route { r#match: Some(condition), ..Default::default() })
    };
    let mut routes: Vec<Route> = input.routes.iter().map(route).collect::<Result<_, String>>()?;
    catch_all_last(&mut routes);
    Ok(routes.iter().filter_map(|route| route.r#match.as_ref()).map(match_outline).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConflictInput {
    root: Value,
    delegate: Value,
}

pub(super) fn delegate_match_conflict(input: &ConflictInput) -> Result<Value, String> {
    let condition = |condition: &Value| -> Result<HttpMatchRequest, String> {
        let route = http_route(&json!({"match": [condition]}))?;
        route.matches.into_iter().next().ok_or_else(|| "no match".to_owned())
    };
    Ok(has_conflict(&condition(&input.root)?, &condition(&input.delegate)?).into())
}
