//! Cases of mesh-lb: gRPC clients, ztunnel, active health checks, capacity.
use mesh_testkit::conformance::Answer;
use serde_json::Value;

use super::super::input::{Answered, Decimal, read};

mod capacity;
mod grpc;
mod health;
mod outlier;
mod priority;
mod ring;
mod ztunnel;

/// Computes one case.
pub(super) fn answer(op: &str, input: &Value) -> Answer {
    let answered = match op {
        "grpc_eds_accept" => grpc::eds_accept(input),
        "grpc_endpoint_weights" => grpc::endpoint_weights(input),
        "grpc_hash_policy" => ring::hash_policy(input),
        "grpc_outlier_config" => outlier::config(input),
        "grpc_outlier_sweeps" => outlier::sweeps(input),
        "grpc_priority" => priority::priority(input),
        "grpc_ring_pick" => ring::ring_pick(input),
        "grpc_ring_size" => ring::ring_size(input),
        "grpc_shares" => grpc::shares(input),
        "grpc_wrr_weights" => ring::wrr_weights(input),
        "health_check_timeline" => health::timeline(input),
        "http_check_result" => health::http_check_result(input),
        "overloaded" => capacity::overloaded(input),
        "ztunnel_route" => ztunnel::route(input),
        "ztunnel_select" => ztunnel::select(input),
        "ztunnel_service_by_vip" => ztunnel::service_by_vip(input),
        _ => Err(format!("unknown op `{op}`")),
    };
    answered.map_or_else(Answer::Rejected, Answer::Value)
}
