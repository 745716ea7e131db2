//! What a cluster says: `discovery_type`, `lb_policy`, `outlier_detection`, `connection_pool` and
//! their kin; TLS is in `tls`.
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3 as proto;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbConfig, LbPolicy, SlowStartConfig,
};
use mesh_lb::assign::EffectiveSetting;
use mesh_model::compat::Flags;
use mesh_model::endpoint::Provider;
use mesh_model::manifest::Node;
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, TrafficDistribution};
use mesh_model::resource::destination_rule::{
    ConnectionPoolSettings, H2UpgradePolicy, HttpSettings, LoadBalancerSettings, TrafficPolicy,
};
use mesh_model::resource::mesh_config::MeshH2UpgradePolicy;
use mesh_model::resource::{self, MeshConfig, Resource};
use mesh_model::view::ProxyKind;
use mesh_testkit::by_hand;
use mesh_xds_gen::cluster::http::{self, HttpOptions};
use mesh_xds_gen::cluster::stat_name::StatName;
use mesh_xds_gen::cluster::{connection_pool, discovery, load_balancer, locality, outlier};
use mesh_xds_gen::name::ClusterName;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::settings::{LocalityFields, ZoneAwareFields};
use super::{Answered, read};

mod print;
mod tls;

pub(super) fn answer(op: &str, input: &Value) -> Answered {
    match op {
        "alt_stat_name" => alternative_name(input),
        "auto_mtls" => tls::automatic(input),
        "connection_pool" => pool(input),
        "discovery_type" => discovery_type(input),
        "h2_upgrade" => upgrade(input),
        "healthy_panic_threshold" => panic_threshold(input),
        "lb_policy" => policy(input),
        "locality_weighted_lb_config" => locality_weighted(input),
        "outlier_detection" => outliers(input),
        "transport_sockets" => tls::sockets(input),
        "zone_aware_lb_config" => zone_aware(input),
        _ => Err(format!("unknown op `{op}`")),
    }
}

/// Reads a traffic policy as a rule would have it.
fn traffic_policy(fields: Value) -> Result<TrafficPolicy, String> {
    let object = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": "case" }, "spec": { "host": "case", "trafficPolicy": fields },
    });
    let mut decoded = resource::decode(&Node::from(&object), &Arc::from("case"), "default");
    // An unknown field is a warning of the decoder and a failure here.
    if let Some(problem) = decoded.diagnostics.pop() {
        return Err(problem.to_string());
    }
    match decoded.resource {
        Some(Resource::DestinationRule(rule)) => Ok(rule.spec.traffic_policy.unwrap_or_default()),
        _ => Err(format!("not a traffic policy: {object}")),
    }
}

/// The value of a name in upstream's spelling.
fn named<T: Copy>(name: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|&(_, value)| value).ok_or_else(|| format!("unknown name `{name}`"))
}

fn protocol(name: &str) -> Result<Protocol, String> {
    match Protocol::parse(name) {
        Protocol::Unsupported if name != "UnsupportedProtocol" => {
            Err(format!("unknown protocol `{name}`"))
        }
        protocol => Ok(protocol),
    }
}

fn proxy_kind(name: &str) -> Result<ProxyKind, String> {
    let kinds = [ProxyKind::Sidecar, ProxyKind::Router, ProxyKind::Waypoint, ProxyKind::Ztunnel];
    named(name, &kinds.map(|kind| (kind.as_str(), kind)))
}

fn provider(name: &str) -> Result<Provider, String> {
    let providers = [Provider::Kubernetes, Provider::External];
    named(name, &providers.map(|provider| (provider.as_str(), provider)))
}

const DISCOVERY_TYPES: [DiscoveryType; 5] = [
    DiscoveryType::Static,
    DiscoveryType::StrictDns,
    DiscoveryType::LogicalDns,
    DiscoveryType::Eds,
    DiscoveryType::OriginalDst,
];

fn kind_named(name: &str) -> Result<DiscoveryType, String> {
    DiscoveryType::from_str_name(name).ok_or_else(|| format!("unknown type `{name}`"))
}

/// A cluster of a type, after a policy.
fn balanced(
    kind: DiscoveryType,
    settings: Option<&LoadBalancerSettings>,
    protocol: Protocol,
    flags: &Flags,
) -> proto::Cluster {
    let mut cluster = proto::Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
        ..proto::Cluster::default()
    };
    load_balancer::apply(&mut cluster, settings, protocol, flags);
    cluster
}

fn type_of(cluster: &proto::Cluster) -> Option<&'static str> {
    let Some(ClusterDiscoveryType::Type(number)) = cluster.cluster_discovery_type else {
        return None;
    };
    let found = DISCOVERY_TYPES.into_iter().find(|kind| i32::from(*kind) == number);
    found.map(|kind| kind.as_str_name())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscoveryInput {
    resolution: String,
    proxy_type: String,
    registry: String,
    connect_strategy: String,
    eds_for_headless: bool,
    lb_simple: Option<String>,
}

fn discovery_type(input: &Value) -> Answered {
    let input: DiscoveryInput = read(input)?;
    let resolutions = [
        ("ClientSideLB", Resolution::ClientSideLb),
        ("DNSLB", Resolution::DnsLb),
        ("DNSRoundRobinLB", Resolution::DnsRoundRobinLb),
        ("Passthrough", Resolution::Passthrough),
        ("Alias", Resolution::Alias),
        ("DynamicDNS", Resolution::DynamicDns),
    ];
    let mut service = by_hand::service("case");
    service.resolution = named(&input.resolution, &resolutions)?;
    service.provider = provider(&input.registry)?;
    let strategies = [("DEFAULT", false), ("RACE_FIRST_TCP_CONNECT", true)];
    service.race_connects = named(&input.connect_strategy, &strategies)?;
    let mut flags = Flags::default();
    flags.pilot_enable_eds_for_headless_services = input.eds_for_headless;
    let kind = discovery::of_service(&service, proxy_kind(&input.proxy_type)?, &flags);
    let policy = traffic_policy(match input.lb_simple {
        Some(simple) => json!({ "loadBalancer": { "simple": simple } }),
        None => json!({}),
    })?;
    let cluster = balanced(kind, policy.load_balancer.as_ref(), Protocol::Http, &flags);
    Ok(json!(type_of(&cluster)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyInput {
    load_balancer: Value,
    discovery_type: String,
    port_protocol: String,
    redis_filter: bool,
}

fn policy(input: &Value) -> Answered {
    let input: PolicyInput = read(input)?;
    let rule = traffic_policy(json!({ "loadBalancer": input.load_balancer }))?;
    let mut flags = Flags::default();
    flags.pilot_enable_redis_filter = input.redis_filter;
    let kind = kind_named(&input.discovery_type)?;
    let protocol = protocol(&input.port_protocol)?;
    let cluster = balanced(kind, rule.load_balancer.as_ref(), protocol, &flags);
    let mut fields = Map::new();
    let policy = LbPolicy::try_from(cluster.lb_policy).map_err(|error| error.to_string())?;
    fields.insert("lb_policy".to_owned(), policy.as_str_name().into());
    if let Some(changed) = type_of(&cluster).filter(|name| *name != input.discovery_type) {
        fields.insert("discovery_type".to_owned(), changed.into());
    }
    let mut slow_start = |slow: &Option<SlowStartConfig>| {
        if let Some(slow) = slow {
            fields.insert("slow_start".to_owned(), print::slow_start(slow));
        }
    };
    match &cluster.lb_config {
        Some(LbConfig::RoundRobinLbConfig(config)) => slow_start(&config.slow_start_config),
        Some(LbConfig::LeastRequestLbConfig(config)) => slow_start(&config.slow_start_config),
        Some(LbConfig::RingHashLbConfig(config)) => {
            fields.insert("minimum_ring_size".to_owned(), json!(config.minimum_ring_size));
        }
        Some(LbConfig::MaglevLbConfig(config)) => {
            fields.insert("table_size".to_owned(), json!(config.table_size));
        }
        Some(LbConfig::OriginalDstLbConfig(_)) | None => {}
    }
    Ok(fields.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutlierInput {
    outlier_detection: Value,
    forces_unhealthy_endpoints: bool,
    #[serde(default = "yes")]
    default_send_unhealthy: bool,
}

const fn yes() -> bool {
    true
}

impl OutlierInput {
    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags.pilot_send_unhealthy_endpoints = self.forces_unhealthy_endpoints;
        flags.pilot_auto_send_unhealthy_endpoints = self.default_send_unhealthy;
        flags
    }

    fn threshold(&self, policy: &TrafficPolicy) -> Value {
        let rule = policy.outlier_detection.as_ref();
        let any = TrafficDistribution::Any;
        json!(outlier::healthy_panic_threshold(rule, any, &self.flags()))
    }
}

fn outliers(input: &Value) -> Answered {
    let input: OutlierInput = read(input)?;
    let policy = traffic_policy(json!({ "outlierDetection": input.outlier_detection }))?;
    let rule = policy.outlier_detection.as_ref();
    let detection = rule.map(|rule| print::outliers(&outlier::detection(rule)));
    Ok(json!({ "outlier": detection, "healthy_panic_threshold": input.threshold(&policy) }))
}

fn panic_threshold(input: &Value) -> Answered {
    let input: OutlierInput = read(input)?;
    let policy = traffic_policy(json!({ "outlierDetection": input.outlier_detection }))?;
    Ok(input.threshold(&policy))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolInput {
    connection_pool: Value,
    retry_budget: Value,
    mesh: MeshFields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshFields {
    connect_timeout: String,
}

fn pool(input: &Value) -> Answered {
    let input: PoolInput = read(input)?;
    let fields =
        json!({ "connectionPool": input.connection_pool, "retryBudget": input.retry_budget });
    let policy = traffic_policy(fields)?;
    let pool = policy.connection_pool.as_ref();
    let mut config = MeshConfig::default();
    let timeout = input.mesh.connect_timeout.parse();
    config.connect_timeout = Some(timeout.map_err(|_| "connect_timeout is no duration")?);
    let thresholds = connection_pool::thresholds(pool, policy.retry_budget.as_ref());
    let mut options = HttpOptions::default();
    options.apply_pool(pool);
    let common = options.finish().and_then(|options| options.common_http_protocol_options);
    let timeout = connection_pool::connect_timeout(pool, &config);
    Ok(print::pool(&thresholds, timeout, &common.unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpgradeInput {
    port_protocol: String,
    mesh_policy: String,
    destination_rule_policy: String,
    use_client_protocol: bool,
}

fn upgrade(input: &Value) -> Answered {
    let input: UpgradeInput = read(input)?;
    let of_rule = [
        ("DEFAULT", H2UpgradePolicy::Default),
        ("UPGRADE", H2UpgradePolicy::Upgrade),
        ("DO_NOT_UPGRADE", H2UpgradePolicy::DoNotUpgrade),
    ];
    let of_mesh = [
        ("UPGRADE", MeshH2UpgradePolicy::Upgrade),
        ("DO_NOT_UPGRADE", MeshH2UpgradePolicy::DoNotUpgrade),
    ];
    let http = HttpSettings {
        h2_upgrade_policy: named(&input.destination_rule_policy, &of_rule)?,
        use_client_protocol: input.use_client_protocol,
        ..HttpSettings::default()
    };
    let pool = ConnectionPoolSettings { tcp: None, http: Some(http) };
    let mesh = named(&input.mesh_policy, &of_mesh)?;
    Ok(http::upgrades(Some(&pool), protocol(&input.port_protocol)?, mesh).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightedInput {
    feature_always: bool,
    setting: Option<LocalityFields>,
    force_failover: bool,
    outlier_detection: bool,
}

fn locality_weighted(input: &Value) -> Answered {
    let input: WeightedInput = read(input)?;
    let setting = input.setting.map(LocalityFields::setting);
    let setting = setting.as_ref().map_or(EffectiveSetting::None, EffectiveSetting::Locality);
    let mut flags = Flags::default();
    flags.enable_locality_weighted_lb_config = input.feature_always;
    let fails_over = input.outlier_detection || input.force_failover;
    let found = locality::specifier(setting, fails_over, ProxyKind::Sidecar, &flags);
    Ok(matches!(found, Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_))).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ZoneAwareInput {
    setting: ZoneAwareFields,
    waypoint: bool,
}

fn zone_aware(input: &Value) -> Answered {
    let input: ZoneAwareInput = read(input)?;
    let setting = input.setting.setting();
    let setting = EffectiveSetting::ZoneAware(&setting);
    let kind = if input.waypoint { ProxyKind::Waypoint } else { ProxyKind::Sidecar };
    let found = locality::specifier(setting, false, kind, &Flags::default());
    let Some(LocalityConfigSpecifier::ZoneAwareLbConfig(config)) = found else {
        return Ok(json!({ "zone_aware_lb_config": null }));
    };
    Ok(json!({ "zone_aware_lb_config": print::zone_aware(&config) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatNameInput {
    pattern: Option<String>,
    host: String,
    subset: String,
    port: u16,
    port_name: String,
    registry: String,
    service_name: String,
    service_namespace: String,
}

fn alternative_name(input: &Value) -> Answered {
    let input: StatNameInput = read(input)?;
    let kubernetes = (input.service_name.as_str(), input.service_namespace.as_str());
    let name = StatName {
        host: &input.host,
        kubernetes: (provider(&input.registry)? == Provider::Kubernetes).then_some(kubernetes),
        subset: &input.subset,
        port: input.port,
        port_name: &input.port_name,
        target_port: 0,
    };
    let cluster = ClusterName::outbound(input.port, &input.subset, &input.host).to_string();
    Ok(name.alternative(&input.pattern.unwrap_or_default(), &cluster).into())
}
