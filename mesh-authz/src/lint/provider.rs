//! External authorizers that nobody asks.
use std::collections::BTreeMap;

use mesh_model::compat::DataPlane;
use mesh_model::manifest::Diagnostic;
use mesh_model::resource::{Action, AuthorizationPolicy, Operation, Rule};

use super::{Kind, Plane, names};
use crate::compile::ProviderKind;

/// A port that is not HTTP, of a service.
struct TcpPort<'m> {
    host: &'m str,
    number: u16,
    /// The port of the workload.
    target: u16,
}

/// `HZ-AUTHZ-PROVIDER-TCP`: a provider that is asked over HTTP, on ports that are not HTTP. No filter stands
/// there.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/builder/builder.go` `buildTCP`.
pub(super) fn check(plane: &Plane<'_>, found: &mut Vec<Diagnostic>) {
    let is_http = |policy: &&AuthorizationPolicy| {
        let name = policy.spec.provider.as_ref().map_or("", |provider| &*provider.name);
        policy.spec.action == Action::Custom
            && plane.environment.providers.get(name) == Some(&ProviderKind::Http)
    };
    let all = plane.plane.authorization_policies.iter().map(AsRef::as_ref);
    if !all.into_iter().any(|policy| is_http(&policy)) {
        return;
    }
    let ports = tcp_ports(plane);
    let mut reached: BTreeMap<_, (usize, &TcpPort<'_>, Vec<String>)> = BTreeMap::new();
    for kind in &plane.kinds {
        // Others ask nobody, which is told of them.
        if !matches!(kind.data_plane, DataPlane::IstioProxy | DataPlane::Envoy) {
            continue;
        }
        let Some(ports) = ports.get(&key_of(kind)) else { continue };
        for policy in kind.policies(plane).into_iter().filter(is_http) {
            let rules = || policy.spec.rules.iter().enumerate();
            let mut hits = ports.iter().flat_map(|port| {
                rules().filter(|(_, rule)| concerns(rule, port.target)).map(move |it| (it.0, port))
            });
            let Some((rule, port)) = hits.next() else { continue };
            let key = (&policy.meta.namespace, &*policy.meta.name);
            let entry = reached.entry(key).or_insert((rule, port, Vec::new()));
            entry.2.push(kind.proxy.reference());
        }
    }
    for ((namespace, name), (rule, port, workloads)) in reached {
        let message = format!(
            "the provider is asked over HTTP, and port {} of `{}` is not HTTP: nobody asks it about \
             connections there to {}, and what it would deny gets through",
            port.number,
            port.host,
            names(&workloads)
        );
        let help = "use a provider of `envoyExtAuthzGrpc`, or name the HTTP ports in the rule";
        let field = format!("spec.rules[{rule}]");
        let subject = plane.subject(namespace, name);
        found.push(subject.error("HZ-AUTHZ-PROVIDER-TCP", &field, (message, help)));
    }
}

/// Cluster, namespace and name of a workload.
type Key<'m> = (&'m str, &'m str, &'m str);

fn key_of(kind: &Kind) -> Key<'_> {
    let proxy = &kind.proxy;
    (proxy.cluster.as_str(), proxy.namespace.as_str(), &proxy.name)
}

/// The ports of each workload that are not HTTP.
fn tcp_ports<'m>(plane: &Plane<'m>) -> BTreeMap<Key<'m>, Vec<TcpPort<'m>>> {
    let mut found: BTreeMap<Key<'_>, Vec<TcpPort<'_>>> = BTreeMap::new();
    for service in plane.plane.services.iter() {
        let Some(shards) = plane.plane.shards(service) else { continue };
        let tcp: Vec<_> = service.ports.iter().filter(|port| port.protocol.is_tcp()).collect();
        if tcp.is_empty() {
            continue;
        }
        for endpoint in shards.endpoints() {
            let Some(port) = tcp.iter().find(|port| *port.name == *endpoint.port_name) else {
                continue;
            };
            let workload = &endpoint.workload;
            let key =
                (workload.place.cluster.as_str(), workload.namespace.as_str(), &*endpoint.instance);
            found.entry(key).or_default().push(TcpPort {
                host: service.hostname.as_str(),
                number: port.number,
                target: endpoint.port,
            });
        }
    }
    found
}

/// Whether a rule may match connections to a port.
fn concerns(rule: &Rule, port: u16) -> bool {
    let names = |list: &[Box<str>]| list.iter().any(|one| one.parse() == Ok(port));
    let by_operation =
        |of: &Operation| (of.ports.is_empty() || names(&of.ports)) && !names(&of.not_ports);
    let mut operations = rule.to.iter().filter_map(|to| to.operation.as_ref());
    let by_condition =
        rule.when.iter().filter(|when| *when.key == *"destination.port").all(|when| {
            (when.values.is_empty() || names(&when.values)) && !names(&when.not_values)
        });
    by_condition && (rule.to.is_empty() || operations.any(by_operation))
}
