//! Cases of the area `endpoints-istio`.
use mesh_testkit::conformance::Answer;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::xds::{self, names};

mod assign;
mod filter;
mod hash;
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
        "lb_weight_scale_factor" => assign::scale_factor(input),
        "locality_lb" => settings::locality_lb(input),
        "locality_match" => settings::locality_match(input),
        "split_horizon" => assign::split_horizon(input),
        "subset_endpoints" => filter::subset_endpoints(input),
        "supports_unhealthy_endpoints" => filter::supports_unhealthy(input),
        "aggregate_services"
        | "alt_stat_name"
        | "apply_default_traffic_policy"
        | "augment_labels"
        | "auto_mtls"
        | "connection_pool"
        | "destination_rule_select"
        | "discovery_type"
        | "endpoint_health_status"
        | "endpoint_network"
        | "gateway_resource_gateways"
        | "h2_upgrade"
        | "healthy_panic_threshold"
        | "host_intersection"
        | "host_matches"
        | "host_more_specific"
        | "host_names_for_namespace"
        | "host_sort"
        | "host_subset_of"
        | "is_cluster_local"
        | "lb_policy"
        | "locality_weighted_lb_config"
        | "mcs_discoverability"
        | "merge_subset_traffic_policy"
        | "mesh_networks_gateways"
        | "most_specific_host_match"
        | "outlier_detection"
        | "pod_locality"
        | "proxy_locality"
        | "resolve_short_name"
        | "service_gateways"
        | "service_visible"
        | "sidecar_egress_select"
        | "traffic_distribution"
        | "transport_sockets"
        | "zone_aware_lb_config" => return Answer::NotImplemented,
        _ => Err(format!("unknown op `{op}`")),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}

/// What an operation answers: a value, or why its input is not understood.
type Answered = Result<Value, String>;

/// Reads the input of a case; unknown fields are refused by the types.
fn read<T: DeserializeOwned>(input: &Value) -> Result<T, String> {
    T::deserialize(input).map_err(|error| error.to_string())
}
