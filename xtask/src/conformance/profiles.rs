//! Cases of the area `profiles`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

use super::input::{Answered, read};

mod lb;
mod model;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    let answered = match op {
        "global_unicast_ip" => model::global_unicast_ip(input),
        "injection" => model::injection(input),
        "istio_version" => model::istio_version(input),
        "metadata_bool" => model::metadata_bool(input),
        "metadata_list" => model::metadata_list(input),
        "parse_node_id" => model::parse_node_id(input),
        "pod_to_proxy" => model::pod_to_proxy(input),
        "ztunnel_load_balancing" => model::ztunnel_load_balancing(input),
        _ => return lb::answer(op, input),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}
