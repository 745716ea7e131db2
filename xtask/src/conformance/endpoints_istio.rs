//! Cases of the area `endpoints-istio`.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

use super::xds::{self, names};

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    match op {
        "build_cluster_name" => xds::run(input, names::build_cluster),
        "parse_cluster_name" => xds::run(input, names::parse),
        _ => Answer::Rejected(format!("unknown op `{op}`")),
    }
}
