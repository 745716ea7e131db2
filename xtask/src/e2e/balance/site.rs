//! Hosts and settings, and what both sides make of them: a cluster of Envoy and a balancer of ours.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_lb::assign::{AssignedEndpoint, Assignment, Input};
use mesh_lb::health::status::{HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::{Overprovisioning, PanicThreshold, ZoneAwareConfig};
use mesh_lb::pick::bounded_load::HashBalanceFactor;
use mesh_lb::pick::hash::HashFunction;
use mesh_lb::pick::hash_policy::{AbsentCookie, HashMethod, HashPolicy};
use mesh_lb::pick::least_request::ActiveRequestBias;
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::pick::ring_hash::RingHashConfig;
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, Selection};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_model::name::Labels;
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};
use mesh_testkit::by_hand;
use serde_json::{Value, json};

/// The client's locality, and two others that come after it in the alphabet.
pub(super) const ZONES: [&str; 3] = ["eu/a/1", "eu/b/1", "us/c/1"];
/// As many servers as a scenario may have hosts.
pub(super) const SERVERS: usize = 24;
/// The port of every server.
pub(super) const PORT: u16 = 19909;

/// The address of a server.
pub(super) fn server(at: usize) -> String {
    format!("127.90.0.{}", at + 1)
}

/// `ADDRESS:PORT` of a server, as it names itself.
pub(super) fn server_name(at: usize) -> String {
    format!("{}:{PORT}", server(at))
}

/// One host of a cluster; its number in the list is that of its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiteHost {
    pub(super) priority: usize,
    pub(super) zone: &'static str,
    pub(super) weight: u32,
    pub(super) health: HealthStatus,
}

impl SiteHost {
    pub(super) const fn healthy(priority: usize, zone: &'static str) -> Self {
        Self { priority, zone, weight: 1, health: HealthStatus::Healthy }
    }

    pub(super) const fn host_health(self) -> HostHealth {
        HostHealth::new(self.health, HealthFlags::NONE)
    }
}

/// The algorithm, as Envoy's configuration and we can both say it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Policy {
    RoundRobin,
    LeastOfTwo,
    LeastOfAll,
    Random,
    Ring { minimum: u64, maximum: u64, function: HashFunction },
    Maglev { size: u64 },
}

/// How a cluster balances.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) panic: u32,
    pub(super) factor: u32,
    pub(super) locality_weighted: bool,
    /// The bound of load in percent, for hash policies.
    pub(super) bound: Option<u32>,
    pub(super) hash: Vec<HashPolicy>,
    /// Weights of localities in percent of priority 0, the only one then.
    pub(super) distribute: Vec<(&'static str, u32)>,
    /// When zones matter, to a member of a fleet.
    pub(super) zone_aware: ZoneAwareConfig,
}

impl Settings {
    /// As istiod configures it: no panic.
    pub(super) fn of(policy: Policy) -> Self {
        Self {
            policy,
            panic: 0,
            factor: 140,
            locality_weighted: false,
            bound: None,
            hash: vec![HashPolicy { method: HashMethod::Header("x-key".into()), terminal: false }],
            distribute: Vec::new(),
            zone_aware: ZoneAwareConfig::default(),
        }
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.algorithm().is_consistent()
    }

    fn algorithm(&self) -> Algorithm {
        let bias = ActiveRequestBias::default();
        let bound = self.bound.and_then(HashBalanceFactor::new);
        match self.policy {
            Policy::RoundRobin => Algorithm::RoundRobin,
            Policy::LeastOfTwo => Algorithm::least_request(),
            Policy::LeastOfAll => Algorithm::LeastRequest { selection: Selection::FullScan, bias },
            Policy::Random => Algorithm::Random,
            Policy::Ring { minimum, maximum, function } => {
                let config = RingHashConfig::new(minimum, maximum, function).unwrap_or_default();
                Algorithm::RingHash { config, bound }
            }
            Policy::Maglev { size } => {
                Algorithm::Maglev { size: TableSize::new(size).unwrap_or_default(), bound }
            }
        }
    }
}

/// A cluster on both sides.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) balancer: Balancer,
    /// Envoy's cluster, without a name.
    pub(super) cluster: Value,
    /// What the route to it says of hashing.
    pub(super) route: Value,
}

impl Site {
    pub(super) fn new(hosts: &[SiteHost], settings: &Settings) -> Self {
        let assignment = assignment(hosts, settings);
        let health: BTreeMap<String, HostHealth> =
            hosts.iter().enumerate().map(|(at, host)| (server(at), host.host_health())).collect();
        let of_endpoint = |endpoint: AssignedEndpoint<'_>| {
            let known = health.get(&endpoint.target().address().to_string()).copied();
            known.unwrap_or(HostHealth::new(HealthStatus::Unhealthy, HealthFlags::NONE))
        };
        let policy = BalancerPolicy {
            spread: Spread {
                panic_threshold: PanicThreshold::new(settings.panic),
                locality_weighted: settings.locality_weighted,
                overprovisioning: Overprovisioning::new(settings.factor).unwrap_or_default(),
                ..Spread::default()
            },
            zone_aware: settings.zone_aware,
            algorithm: settings.algorithm(),
            hash_policies: settings.hash.clone(),
            ..BalancerPolicy::default()
        };
        Self {
            balancer: Balancer::with_health(&assignment, &policy, 0, of_endpoint),
            cluster: cluster(&assignment, of_endpoint, settings),
            route: json!({"hash_policy": settings.hash.iter().map(hash_policy).collect::<Vec<_>>()}),
        }
    }
}

/// The assignment of hosts with these priorities: a host of priority 0 has all the labels that the
/// client fails over by, and one less for each further priority.
pub(super) fn assignment(hosts: &[SiteHost], settings: &Settings) -> Assignment {
    const LABELS: [&str; 4] = ["near-1", "near-2", "near-3", "near-4"];
    let all = |count: usize| LABELS.into_iter().take(count).map(|label| (label, "yes"));
    let mut client = by_hand::proxy("c1", "eu/a/1");
    client.labels = all(LABELS.len()).collect();
    let endpoints = hosts.iter().enumerate().map(|(at, host)| {
        let mut endpoint = by_hand::endpoint(&server(at), "c1", host.zone);
        (endpoint.port, endpoint.weight) = (PORT, host.weight);
        let labels: Labels = all(LABELS.len().saturating_sub(host.priority)).collect();
        Arc::make_mut(&mut endpoint.workload).labels = labels;
        endpoint
    });
    let shards = by_hand::shards(endpoints);
    let to = settings.distribute.iter().map(|&(zone, weight)| (zone.into(), weight)).collect();
    let mut setting = LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() };
    if settings.distribute.is_empty() {
        setting.failover_priority = LABELS.map(Into::into).into();
    } else {
        setting.distribute = vec![Distribute { from: "*".into(), to }];
    }
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let service = by_hand::service("cart.shop");
    let Some(port) = service.port(80) else { return Assignment::default() };
    let mut input = Input::new(&client, &compat, (&service, port), &shards, &gateways);
    input.mesh_locality = Some(&setting);
    input.has_outlier_detection = true;
    Assignment::compute(&input)
}

fn cluster(
    assignment: &Assignment,
    health: impl Fn(AssignedEndpoint<'_>) -> HostHealth,
    settings: &Settings,
) -> Value {
    let localities: Vec<Value> = assignment
        .localities()
        .map(|locality| {
            let endpoints: Vec<Value> = locality
                .endpoints()
                .map(|endpoint| {
                    let at = endpoint.target();
                    let status = health(endpoint).detailed();
                    lb_endpoint(&at.address().to_string(), at.port(), status, endpoint.weight())
                })
                .collect();
            let name = locality.locality();
            json!({
                "locality": place(&[name.region(), name.zone(), name.sub_zone()]),
                "priority": locality.priority(),
                "load_balancing_weight": locality.weight(),
                "lb_endpoints": endpoints,
            })
        })
        .collect();
    let mut cluster = static_cluster(&localities, settings.factor);
    set(&mut cluster, "common_lb_config", common(settings));
    for (key, value) in algorithm(settings) {
        set(&mut cluster, key, value);
    }
    cluster
}

/// A cluster whose endpoints are part of its configuration.
pub(super) fn static_cluster(localities: &[Value], factor: u32) -> Value {
    let policy = json!({"overprovisioning_factor": factor});
    json!({
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "any", "endpoints": localities, "policy": policy},
    })
}

pub(super) fn lb_endpoint(address: &str, port: u16, health: HealthStatus, weight: u32) -> Value {
    let socket = json!({"address": address, "port_value": port});
    json!({
        "health_status": status(health),
        "load_balancing_weight": weight,
        "endpoint": {"address": {"socket_address": socket}},
    })
}

/// A locality as Envoy writes it.
pub(super) fn place(parts: &[&str]) -> Value {
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    json!({"region": part(0), "zone": part(1), "sub_zone": part(2)})
}

pub(super) fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(key.to_owned(), value);
    }
}

pub(in crate::e2e) const fn status(health: HealthStatus) -> &'static str {
    match health {
        HealthStatus::Unknown => "UNKNOWN",
        HealthStatus::Healthy => "HEALTHY",
        HealthStatus::Unhealthy => "UNHEALTHY",
        HealthStatus::Draining => "DRAINING",
        HealthStatus::Timeout => "TIMEOUT",
        HealthStatus::Degraded => "DEGRADED",
    }
}

/// Zones would matter by themselves, as the Envoy knows its own cluster.
pub(super) fn no_zones() -> Value {
    json!({"routing_enabled": {"value": 0}})
}

fn common(settings: &Settings) -> Value {
    let mut common = json!({"healthy_panic_threshold": {"value": settings.panic}});
    if settings.policy != Policy::LeastOfAll {
        let key = if settings.locality_weighted {
            ("locality_weighted_lb_config", json!({}))
        } else {
            ("zone_aware_lb_config", no_zones())
        };
        set(&mut common, key.0, key.1);
    }
    if let Some(bound) = settings.bound {
        let bound = json!({"hash_balance_factor": bound});
        set(&mut common, "consistent_hashing_lb_config", bound);
    }
    common
}

fn algorithm(settings: &Settings) -> Vec<(&'static str, Value)> {
    let named = |name: &str| ("lb_policy", json!(name));
    match settings.policy {
        Policy::RoundRobin => vec![named("ROUND_ROBIN")],
        Policy::LeastOfTwo => vec![named("LEAST_REQUEST")],
        Policy::LeastOfAll => {
            let localities = if settings.locality_weighted {
                json!({"locality_weighted_lb_config": {}})
            } else {
                json!({"zone_aware_lb_config": no_zones()})
            };
            let least = json!({"selection_method": "FULL_SCAN", "locality_lb_config": localities});
            vec![extension("least_request", "LeastRequest", least)]
        }
        Policy::Random => vec![named("RANDOM")],
        Policy::Ring { minimum, maximum, function } => {
            let function = match function {
                HashFunction::XxHash => "XX_HASH",
                HashFunction::MurmurHash2 => "MURMUR_HASH_2",
            };
            let config = json!({
                "minimum_ring_size": minimum,
                "maximum_ring_size": maximum,
                "hash_function": function,
            });
            vec![named("RING_HASH"), ("ring_hash_lb_config", config)]
        }
        Policy::Maglev { size } => {
            vec![named("MAGLEV"), ("maglev_lb_config", json!({"table_size": size}))]
        }
    }
}

/// A policy that only an extension can express.
pub(super) fn extension(name: &str, message: &str, mut config: Value) -> (&'static str, Value) {
    let package = format!("envoy.extensions.load_balancing_policies.{name}.v3.{message}");
    set(&mut config, "@type", json!(format!("type.googleapis.com/{package}")));
    let name = format!("envoy.load_balancing_policies.{name}");
    let typed = json!({"typed_extension_config": {"name": name, "typed_config": config}});
    ("load_balancing_policy", json!({"policies": [typed]}))
}

fn hash_policy(policy: &HashPolicy) -> Value {
    let mut text = match &policy.method {
        HashMethod::Header(name) => json!({"header": {"header_name": name}}),
        HashMethod::Cookie { name, absent } => {
            let mut cookie = json!({"name": name});
            if *absent == AbsentCookie::Generate {
                set(&mut cookie, "ttl", json!("0s"));
            }
            json!({"cookie": cookie})
        }
        HashMethod::SourceIp => json!({"connection_properties": {"source_ip": true}}),
        HashMethod::QueryParameter(name) => json!({"query_parameter": {"name": name}}),
        HashMethod::FilterState(key) => json!({"filter_state": {"key": key}}),
        // A method that this part has not learned yet fails on Envoy's side.
        other => json!({"unknown": format!("{other:?}")}),
    };
    set(&mut text, "terminal", json!(policy.terminal));
    text
}
