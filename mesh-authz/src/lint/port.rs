//! Ports that no request arrives at.
//!
//! A policy at a workload sees the port that the workload listens on; people write the one that clients dial.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/security/authz/model/generator.go` `destPortGenerator`: the port of the connection as the
//! server's proxy has it.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::manifest::Diagnostic;
use mesh_model::name::Namespace;
use mesh_model::resource::{AuthorizationPolicy, Rule};
use mesh_model::view::ProxyKind;

use super::Plane;

/// The key of a condition on the port.
const KEY: &str = "destination.port";

/// The ports of the workloads of a policy.
#[derive(Debug, Default)]
struct Ports {
    /// Those that they listen on.
    listened: BTreeSet<u16>,
    /// Those that clients dial, with the service and where its requests arrive.
    dialled: BTreeMap<u16, (String, u16)>,
    /// Whether a workload is behind no service: it may listen on any.
    may_be_any: bool,
}

/// `HZ-AUTHZ-SERVICE-PORT`: a port of a service at which none of the policy's workloads listens. Waypoints see
/// what clients dial; where a workload is behind no service nothing is told.
pub(super) fn check(plane: &Plane<'_>, found: &mut Vec<Diagnostic>) {
    let policies = plane.plane.authorization_policies.iter();
    if policies.clone().all(|policy| asked(policy).is_empty()) {
        return;
    }
    let mut ports: BTreeMap<(&Namespace, &str), Ports> = BTreeMap::new();
    for kind in plane.kinds.iter().filter(|kind| kind.proxy.kind != ProxyKind::Waypoint) {
        let concerned = kind.policies(plane);
        let mut concerned = concerned.iter().filter(|policy| !asked(policy).is_empty()).peekable();
        if concerned.peek().is_none() {
            continue;
        }
        let view = plane.mesh.view(&kind.proxy);
        let targets = view.map(|view| view.service_targets()).unwrap_or_default();
        for policy in concerned {
            let known = ports.entry((&policy.meta.namespace, &*policy.meta.name)).or_default();
            known.may_be_any |= targets.is_empty();
            for target in &targets {
                known.may_be_any |= target.target_port == 0;
                known.listened.insert(target.target_port);
                let service = format!("{}/{}", target.service.namespace, target.service.name);
                let dialled = known.dialled.entry(target.port.number);
                dialled.or_insert((service, target.target_port));
            }
        }
    }
    for policy in policies {
        let Some(ports) = ports.get(&(&policy.meta.namespace, &*policy.meta.name)) else {
            continue;
        };
        let subject = plane.subject(&policy.meta.namespace, &policy.meta.name);
        for (field, port) in asked(policy) {
            let Some((service, arrives)) = ports.dialled.get(&port) else { continue };
            if ports.may_be_any || ports.listened.contains(&port) {
                continue;
            }
            let message = format!(
                "`{port}` is the port that clients of `{service}` dial: its requests arrive at {arrives}, and none \
                 of the policy's workloads listens on {port}"
            );
            let help = "write the port that the workload listens on (`targetPort`)";
            found.push(subject.warning("HZ-AUTHZ-SERVICE-PORT", &field, (message, help)));
        }
    }
}

/// The ports that a policy asks for or excludes, each with its field.
fn asked(policy: &AuthorizationPolicy) -> Vec<(String, u16)> {
    let rules = policy.spec.rules.iter().enumerate();
    rules.flat_map(|(index, rule)| of_rule(index, rule)).collect()
}

fn of_rule(index: usize, rule: &Rule) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    let mut add = |field: String, values: &[Box<str>]| {
        let values = values.iter().enumerate();
        found.extend(
            values.filter_map(|(at, value)| Some((format!("{field}[{at}]"), value.parse().ok()?))),
        );
    };
    for (at, to) in rule.to.iter().enumerate() {
        let Some(operation) = &to.operation else { continue };
        let field = format!("spec.rules[{index}].to[{at}].operation");
        add(format!("{field}.ports"), &operation.ports);
        add(format!("{field}.notPorts"), &operation.not_ports);
    }
    for (at, when) in rule.when.iter().enumerate().filter(|(_, when)| &*when.key == KEY) {
        let field = format!("spec.rules[{index}].when[{at}]");
        add(format!("{field}.values"), &when.values);
        add(format!("{field}.notValues"), &when.not_values);
    }
    found
}
