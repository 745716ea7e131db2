//! Cases of the area `profiles`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

/// Computes one case.
pub(crate) fn answer(op: &str, _input: &Value) -> Answer {
    match op {
        "global_unicast_ip"
        | "grpc_eds_accept"
        | "grpc_endpoint_weights"
        | "grpc_hash_policy"
        | "grpc_outlier_config"
        | "grpc_outlier_sweeps"
        | "grpc_priority"
        | "grpc_ring_pick"
        | "grpc_ring_size"
        | "grpc_shares"
        | "grpc_wrr_weights"
        | "health_check_timeline"
        | "http_check_result"
        | "injection"
        | "istio_version"
        | "metadata_bool"
        | "metadata_list"
        | "overloaded"
        | "parse_node_id"
        | "pod_to_proxy"
        | "ztunnel_load_balancing"
        | "ztunnel_route"
        | "ztunnel_select"
        | "ztunnel_service_by_vip" => Answer::NotImplemented,
        _ => Answer::Rejected(format!("unknown op `{op}`")),
    }
}
