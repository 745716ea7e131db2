//! Cases of the area `profiles`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

mod lb;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    match op {
        "global_unicast_ip"
        | "injection"
        | "istio_version"
        | "metadata_bool"
        | "metadata_list"
        | "parse_node_id"
        | "pod_to_proxy"
        | "ztunnel_load_balancing" => Answer::NotImplemented,
        _ => lb::answer(op, input),
    }
}
