//! Cases of the area `endpoints-istio`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

use super::input::{Answered, read};
use super::xds::{self, names};

mod assign;
mod clusters;
mod filter;
mod hash;
mod hosts;
mod place;
mod rules;
mod service;
mod settings;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    let answered = match op {
        "build_cluster_name" => return xds::run(input, names::build_cluster),
        "hash_policy" => return xds::run(input, hash::hash_policy),
        "parse_cluster_name" => return xds::run(input, names::parse),
        "eds" => assign::eds(input),
        "effective_lb_setting" => settings::effective(input),
        "endpoint_visible" => filter::endpoint_visible(input),
        "host_intersection"
        | "host_matches"
        | "host_more_specific"
        | "host_names_for_namespace"
        | "host_sort"
        | "host_subset_of"
        | "is_cluster_local"
        | "most_specific_host_match"
        | "resolve_short_name" => hosts::answer(op, input),
        "aggregate_services" => service::aggregate(input),
        "augment_labels" => place::augment_labels(input),
        "endpoint_health_status" => service::health_status(input),
        "endpoint_network" => place::endpoint_network(input),
        "mesh_networks_gateways" => place::mesh_networks_gateways(input),
        "pod_locality" => place::pod_locality(input),
        "proxy_locality" => place::proxy_locality(input),
        "service_gateways" => place::service_gateways(input),
        "service_visible" => service::visible(input),
        "traffic_distribution" => service::traffic_distribution(input),
        "lb_weight_scale_factor" => assign::scale_factor(input),
        "locality_lb" => settings::locality_lb(input),
        "locality_match" => settings::locality_match(input),
        "split_horizon" => assign::split_horizon(input),
        "subset_endpoints" => filter::subset_endpoints(input),
        "supports_unhealthy_endpoints" => filter::supports_unhealthy(input),
        "alt_stat_name"
        | "auto_mtls"
        | "connection_pool"
        | "discovery_type"
        | "h2_upgrade"
        | "healthy_panic_threshold"
        | "lb_policy"
        | "locality_weighted_lb_config"
        | "outlier_detection"
        | "transport_sockets"
        | "zone_aware_lb_config" => clusters::answer(op, input),
        "apply_default_traffic_policy" => rules::apply_default_traffic_policy(input),
        "gateway_resource_gateways" => place::gateway_resource_gateways(input),
        "destination_rule_select" => rules::destination_rule_select(input),
        "merge_subset_traffic_policy" => rules::merge_subset_traffic_policy(input),
        "mcs_discoverability" => service::mcs_discoverability(input),
        "sidecar_egress_select" => service::sidecar_egress_select(input),
        _ => Err(format!("unknown op `{op}`")),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}
