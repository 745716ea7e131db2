//! Connections through a ztunnel, and the same ones to a sidecar.
use std::net::IpAddr;

use mesh_authz::identity::Peer;
use mesh_authz::ztunnel::{L4Connection, L4Decision, convert, decide};
use mesh_authz::{Authorizer, Connection, Environment, Policies, Request};
use mesh_model::name::Identity;
use serde_json::{Value, json};

use super::json::{self, Fields, Rejection, text};
use super::{policies, request, root_namespace, workload};

pub(super) fn decide_ztunnel(input: &Value) -> Result<Value, Rejection> {
    let mut fields = Fields::of(input)?;
    let root = root_namespace(&mut fields)?;
    let workload = workload(fields.required("workload")?)?;
    let policies = policies(fields.required("policies")?)?;
    let mut connection = Fields::of(fields.required("connection")?)?;
    fields.end()?;
    let source_ip: IpAddr = request::address(text(&mut connection, "source_ip")?)?;
    let destination_ip = request::address(text(&mut connection, "destination_ip")?)?;
    let destination_port = request::port(connection.required("destination_port")?)?;
    let identity = connection.take("source_identity").map(json::as_text).transpose()?;
    connection.end()?;

    let parsed: Option<Identity> = identity.and_then(|identity| identity.parse().ok());
    let converted: Vec<_> =
        policies.iter().filter_map(|policy| convert(policy, &root.0, false)).collect();
    let concerned = converted
        .iter()
        .filter(|policy| policy.concerns(&workload.namespace, &workload.labels, &root.0));
    let decision = decide(
        concerned,
        &L4Connection {
            source_ip,
            source_identity: parsed.as_ref(),
            destination_ip,
            destination_port,
        },
    );

    let environment = Environment { root_namespace: root, ..Environment::default() };
    let all = Policies { understood: policies.iter().collect(), broken: Vec::new() };
    let names: Vec<&str> = identity.into_iter().collect();
    let sidecar = Authorizer::new(&all, &workload, &environment);
    let sidecar = sidecar.decide(&Request {
        connection: Connection {
            source_ip,
            remote_ip: None,
            destination_ip,
            destination_port,
            peer: identity.map(|_| Peer { uri_sans: &names, ..Peer::default() }),
            sni: None,
        },
        http: None,
        metadata: None,
    });
    let name = |is_allowed| if is_allowed { "ALLOW" } else { "DENY" };
    Ok(json!({
        "decision": name(matches!(decision, L4Decision::Allow(_))),
        "sidecar_tcp_decision": name(sidecar.is_allowed()),
    }))
}
