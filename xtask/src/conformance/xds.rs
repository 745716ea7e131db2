//! Cases of the area `xds`.
use mesh_testkit::conformance::Answer;
use serde::de::DeserializeOwned;
use serde_json::Value;

mod allocation;
mod delta_cds;
mod gateway;
mod grpc;
mod listeners;
mod mesh;
mod name_table;
pub(super) mod names;
mod ports;
mod routes;
mod session;
mod snapshot;
mod telemetry;

/// Computes one case.
pub(crate) fn answer(op: &str, input: &Value) -> Answer {
    match op {
        "build_name" => run(input, names::build),
        "parse_name" => run(input, names::parse),
        "listener_name" => run(input, names::listener),
        "gateway_rds_name" => run(input, names::gateway_rds),
        "gateway" => run(input, gateway::chains),
        "sotw" => run(input, session::sotw),
        "delta" => run(input, session::delta),
        "snapshot_consistent" => run(input, snapshot::consistent),
        "resource_version" => run(input, snapshot::version),
        "sort_hosts_by_specificity" => run(input, routes::hosts_by_specificity),
        "virtual_host_domains" => run(input, routes::virtual_host_domains),
        "route_config" => run(input, routes::route_config),
        "translate_routes" => run(input, routes::translate),
        "sort_vhost_routes" => run(input, routes::sort_routes),
        "retry_policy" => run(input, routes::retry_policy),
        "delegate_match_conflict" => run(input, routes::delegate_match_conflict),
        "name_table" => run(input, name_table::name_table),
        "telemetry" => run(input, telemetry::telemetry),
        "protocol_selection" => run(input, ports::protocol),
        "outbound_listeners" => run(input, listeners::outbound),
        "inbound_chains" => run(input, listeners::inbound),
        "delta_cds" => run(input, delta_cds::delta),
        "grpc_accept" => run(input, grpc::accepts),
        "listener_name_filter" => run(input, grpc::listener_names),
        "expand_fqdn" => run(input, grpc::expand),
        "auto_allocate_legacy" => run(input, allocation::by_name),
        "auto_allocate_controller" => run(input, allocation::pools),
        "auto_allocate_eligible_hosts" => run(input, allocation::hosts),
        _ => Answer::Rejected(format!("unknown op `{op}`")),
    }
}

/// Reads the input, unknown fields being errors, and lets the operation answer.
pub(super) fn run<I: DeserializeOwned>(
    input: &Value,
    operation: fn(&I) -> Result<Value, String>,
) -> Answer {
    let answer = I::deserialize(input)
        .map_err(|error| error.to_string())
        .and_then(|input| operation(&input));
    answer.map_or_else(Answer::Rejected, Answer::Value)
}
