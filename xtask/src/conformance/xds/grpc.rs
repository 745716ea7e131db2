//! What gRPC programs take, and by which names they ask.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType, EdsClusterConfig, LbConfig, LbPolicy,
    LeastRequestLbConfig,
};
use mesh_envoy_proto::envoy::config::cluster::v3::{self as cds, Cluster};
use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::endpoint::v3 as eds;
use mesh_envoy_proto::envoy::config::listener::v3::{ApiListener, Listener};
use mesh_envoy_proto::envoy::config::route::v3 as rds;
use mesh_envoy_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig;
use mesh_envoy_proto::envoy::extensions::filters::http::{fault, router};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::pack;
use mesh_xds_gen::endpoint::socket_address;
use mesh_xds_gen::grpc::accept::{self, Refused};
use mesh_xds_gen::grpc::name::{self, ListenerNames};
use serde::Deserialize;
use serde_json::{Value, json};

/// A resource in outline.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "resource")]
pub(super) enum Outline {
    Cluster {
        r#type: String,
        config_source: Option<String>,
        lb: String,
        choice_count: Option<u32>,
        clusters: Option<Vec<String>>,
        endpoints: Option<usize>,
    },
    Endpoints {
        priorities: Vec<u32>,
        endpoint_weight: Option<u32>,
    },
    Listener {
        http_filters: Vec<String>,
    },
    Route {
        r#match: String,
        weights: Vec<u32>,
    },
}

pub(super) fn accepts(input: &Outline) -> Result<Value, String> {
    let taken: Result<(), Refused> = match input {
        Outline::Cluster { .. } => accept::cluster(&cluster(input)?),
        Outline::Endpoints { priorities, endpoint_weight } => {
            accept::endpoints(&assignment(priorities, *endpoint_weight))
        }
        Outline::Listener { http_filters } => accept::listener(&listener(http_filters)?),
        Outline::Route { r#match, weights } => accept::routes(&routes(r#match, weights)?),
    };
    Ok(json!(taken.is_ok()))
}

fn over_ads() -> core::ConfigSource {
    let ads = core::config_source::ConfigSourceSpecifier::Ads(core::AggregatedConfigSource {});
    core::ConfigSource { config_source_specifier: Some(ads), ..core::ConfigSource::default() }
}

fn cluster(outline: &Outline) -> Result<Cluster, String> {
    let Outline::Cluster { r#type, config_source, lb, choice_count, clusters, endpoints } = outline
    else {
        return Err("not a cluster".to_owned());
    };
    let lb_policy = LbPolicy::from_str_name(lb).ok_or_else(|| format!("unknown policy `{lb}`"))?;
    let least_request = choice_count.map(|count| {
        let choice_count = Some(count);
        LbConfig::LeastRequestLbConfig(LeastRequestLbConfig {
            choice_count,
            ..LeastRequestLbConfig::default()
        })
    });
    let eds_config = match config_source.as_deref() {
        None => None,
        Some("ads") => Some(over_ads()),
        Some(other) => return Err(format!("unknown config source `{other}`")),
    };
    let discovery = match DiscoveryType::from_str_name(r#type) {
        Some(discovery) => ClusterDiscoveryType::Type(discovery.into()),
        None if r#type == "AGGREGATE" => {
            let clusters = clusters.clone().unwrap_or_default();
            ClusterDiscoveryType::ClusterType(CustomClusterType {
                name: "envoy.clusters.aggregate".to_owned(),
                typed_config: Some(pack(&ClusterConfig { clusters })),
            })
        }
        None => return Err(format!("unknown type `{}`", r#type)),
    };
    Ok(Cluster {
        name: "cluster".to_owned(),
        cluster_discovery_type: Some(discovery),
        eds_cluster_config: eds_config.map(|source| EdsClusterConfig {
            eds_config: Some(source),
            ..EdsClusterConfig::default()
        }),
        lb_policy: lb_policy.into(),
        lb_config: least_request,
        load_assignment: endpoints.map(|count| eds::ClusterLoadAssignment {
            endpoints: vec![locality(0, count, None)],
            ..eds::ClusterLoadAssignment::default()
        }),
        ..cds::Cluster::default()
    })
}

/// A locality with so many endpoints, each at an address of its own.
fn locality(priority: u32, count: usize, weight: Option<u32>) -> eds::LocalityLbEndpoints {
    let endpoints = (0..count).map(|at| {
        let address = socket_address(format!("10.0.{priority}.{at}"), 80);
        let address =
            core::Address { address: Some(core::address::Address::SocketAddress(address)) };
        let endpoint = eds::Endpoint { address: Some(address), ..eds::Endpoint::default() };
        eds::LbEndpoint {
            host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
            load_balancing_weight: weight,
            ..eds::LbEndpoint::default()
        }
    });
    eds::LocalityLbEndpoints {
        locality: Some(core::Locality { zone: format!("z{priority}"), ..<_>::default() }),
        lb_endpoints: endpoints.collect(),
        load_balancing_weight: Some(1),
        priority,
        ..eds::LocalityLbEndpoints::default()
    }
}

fn assignment(priorities: &[u32], weight: Option<u32>) -> eds::ClusterLoadAssignment {
    eds::ClusterLoadAssignment {
        cluster_name: "cluster".to_owned(),
        endpoints: priorities.iter().map(|&priority| locality(priority, 1, weight)).collect(),
        ..eds::ClusterLoadAssignment::default()
    }
}

fn listener(filters: &[String]) -> Result<Listener, String> {
    let filters = filters.iter().map(|name| {
        let config = match name.as_str() {
            "fault" => pack(&fault::v3::HttpFault::default()),
            "router" => pack(&router::v3::Router::default()),
            other => return Err(format!("unknown filter `{other}`")),
        };
        let config_type = Some(hcm::http_filter::ConfigType::TypedConfig(config));
        Ok(hcm::HttpFilter { name: name.clone(), config_type, ..hcm::HttpFilter::default() })
    });
    let manager = hcm::HttpConnectionManager {
        http_filters: filters.collect::<Result<_, _>>()?,
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            config_source: Some(over_ads()),
            route_config_name: "routes".to_owned(),
        })),
        ..hcm::HttpConnectionManager::default()
    };
    Ok(Listener {
        name: "listener".to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(pack(&manager)) }),
        ..Listener::default()
    })
}

fn routes(matching: &str, weights: &[u32]) -> Result<rds::RouteConfiguration, String> {
    if matching != "prefix" {
        return Err(format!("unknown match `{matching}`"));
    }
    let clusters = weights.iter().map(|&weight| rds::weighted_cluster::ClusterWeight {
        name: "cluster".to_owned(),
        weight: Some(weight),
        ..<_>::default()
    });
    let weighted = rds::WeightedCluster { clusters: clusters.collect(), ..<_>::default() };
    let specifier = rds::route_action::ClusterSpecifier::WeightedClusters(weighted);
    let action = rds::RouteAction { cluster_specifier: Some(specifier), ..<_>::default() };
    let route = rds::Route {
        r#match: Some(rds::RouteMatch {
            path_specifier: Some(rds::route_match::PathSpecifier::Prefix("/".to_owned())),
            ..<_>::default()
        }),
        action: Some(rds::route::Action::Route(action)),
        ..rds::Route::default()
    };
    Ok(rds::RouteConfiguration {
        name: "routes".to_owned(),
        virtual_hosts: vec![rds::VirtualHost { routes: vec![route], ..<_>::default() }],
        ..rds::RouteConfiguration::default()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    proxy_dns_domain: String,
    names: Vec<String>,
}

/// The namespace is the first label of the domain.
fn namespace(domain: &str) -> &str {
    domain.split('.').next().unwrap_or_default()
}

pub(super) fn listener_names(input: &Names) -> Result<Value, String> {
    let domain = &input.proxy_dns_domain;
    let names = input.names.iter().map(String::as_str);
    let names = ListenerNames::of(names, namespace(domain), domain);
    let by_host: BTreeMap<&str, Value> = names
        .iter()
        .map(|(host, wanted)| (host, json!({"requested": wanted.requested, "ports": wanted.ports})))
        .collect();
    Ok(json!(by_host))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Short {
    proxy_dns_domain: String,
    name: String,
}

pub(super) fn expand(input: &Short) -> Result<Value, String> {
    let domain = &input.proxy_dns_domain;
    Ok(json!(name::expand(&input.name, namespace(domain), domain).unwrap_or_default()))
}
