//! From policies to what a ztunnel gets.
use std::collections::BTreeMap;

use mesh_model::name::Namespace;
use mesh_model::resource::{
    Action as PolicyAction, AuthorizationPolicy, Condition, MutualTls, MutualTlsMode, Operation,
    PeerAuthentication, Rule, Source,
};

use super::omitted::has_layer_7;
use super::{
    Action, Authorization, Clause, Group, Lists, Match, Scope, ServiceAccountMatch, TextMatch,
};
use crate::dry_run::is_dry_run;
use crate::rule::port;
use crate::select::target_refs;

/// Converts a policy; `None` if a ztunnel does not get it: AUDIT and CUSTOM, policies attached by
/// reference, and those on trial unless `AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY` is set.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/authorization.go` `convertAuthorizationPolicy`.
pub fn convert(
    policy: &AuthorizationPolicy,
    root: &Namespace,
    sends_dry_run: bool,
) -> Option<Authorization> {
    let is_dry_run = is_dry_run(policy);
    if (is_dry_run && !sends_dry_run) || !target_refs(policy).is_empty() {
        return None;
    }
    let action = match policy.spec.action {
        PolicyAction::Allow => Action::Allow,
        PolicyAction::Deny => Action::Deny,
        PolicyAction::Audit | PolicyAction::Custom => return None,
    };
    let namespace = &policy.meta.namespace;
    let scope = match &policy.spec.selector {
        Some(selector) => Scope::WorkloadSelector(selector.match_labels.clone()),
        None if namespace == root => Scope::Global,
        None => Scope::Namespace,
    };
    let rules = policy.spec.rules.iter();
    // A rule that asks for what layer 4 does not have allows nothing.
    let kept = rules.filter(|rule| action == Action::Deny || !has_layer_7(rule));
    Some(Authorization {
        namespace: namespace.clone(),
        name: policy.meta.name.as_str().into(),
        scope,
        action,
        groups: kept.map(|rule| group(rule, namespace)).collect(),
        is_dry_run,
    })
}

fn group(rule: &Rule, namespace: &Namespace) -> Group {
    let mut clauses = Vec::new();
    if !rule.to.is_empty() {
        let matches = rule.to.iter().map(|to| to.operation.as_ref().map(of_operation));
        let matches = matches.map(Option::unwrap_or_default).collect();
        clauses.push(Clause { condition: None, matches });
    }
    if !rule.from.is_empty() {
        let matches =
            rule.from.iter().map(|from| from.source.as_ref().map(|of| of_source(of, namespace)));
        let matches = matches.map(Option::unwrap_or_default).collect();
        clauses.push(Clause { condition: None, matches });
    }
    let conditions = rule.when.iter().enumerate();
    clauses.extend(
        conditions.map(|(index, when)| Clause {
            condition: Some(index),
            matches: vec![of_condition(when)],
        }),
    );
    Group { clauses }
}

fn of_operation(operation: &Operation) -> Match {
    Match {
        destination_ports: lists(&operation.ports, &operation.not_ports, ports),
        ..Match::default()
    }
}

fn of_source(source: &Source, namespace: &Namespace) -> Match {
    let accounts = |values: &[Box<str>]| {
        let account = |value: &str| {
            let (namespace, name) = value.split_once('/').unwrap_or((namespace.as_str(), value));
            ServiceAccountMatch { namespace: namespace.into(), name: name.into() }
        };
        values.iter().map(|value| account(value)).collect()
    };
    Match {
        source_ips: lists(&source.ip_blocks, &source.not_ip_blocks, addresses),
        namespaces: lists(&source.namespaces, &source.not_namespaces, texts),
        service_accounts: lists(&source.service_accounts, &source.not_service_accounts, accounts),
        principals: lists(&source.principals, &source.not_principals, texts),
        ..Match::default()
    }
}

/// A condition of layer 4; any other becomes a match without a field.
fn of_condition(when: &Condition) -> Match {
    let (values, not_values) = (&when.values, &when.not_values);
    let mut of = Match::default();
    match &*when.key {
        "source.namespace" => of.namespaces = lists(values, not_values, texts),
        "source.principal" => of.principals = lists(values, not_values, texts),
        "source.ip" => of.source_ips = lists(values, not_values, addresses),
        "destination.ip" => of.destination_ips = lists(values, not_values, addresses),
        "destination.port" => of.destination_ports = lists(values, not_values, ports),
        _ => {}
    }
    of
}

fn lists<T>(
    values: &[Box<str>],
    not_values: &[Box<str>],
    convert: impl Fn(&[Box<str>]) -> Vec<T>,
) -> Lists<T> {
    Lists { any_of: convert(values), none_of: convert(not_values) }
}

fn texts(values: &[Box<str>]) -> Vec<TextMatch> {
    let text = |value: &str| {
        if value == "*" {
            TextMatch::Presence
        } else if let Some(suffix) = value.strip_prefix('*') {
            TextMatch::Suffix(suffix.into())
        } else if let Some(prefix) = value.strip_suffix('*') {
            TextMatch::Prefix(prefix.into())
        } else {
            TextMatch::Exact(value.into())
        }
    };
    values.iter().map(|value| text(value)).collect()
}

/// Values that are no port or no address are left out, whatever the action.
fn ports(values: &[Box<str>]) -> Vec<u16> {
    values.iter().filter_map(|value| port(value).ok()).collect()
}

fn addresses(values: &[Box<str>]) -> Vec<mesh_model::name::Cidr> {
    values.iter().filter_map(|value| value.parse().ok()).collect()
}

/// The policy that every workload with effective mode STRICT refers to: connections without an
/// identity are denied.
pub fn static_strict(root: &Namespace) -> Authorization {
    Authorization {
        namespace: root.clone(),
        name: "istio_converted_static_strict".into(),
        // Workloads refer to it by name, never by labels.
        scope: Scope::WorkloadSelector(mesh_model::name::Labels::default()),
        action: Action::Deny,
        groups: vec![Group { clauses: vec![clause(anonymous())] }],
        is_dry_run: false,
    }
}

/// Converts a PeerAuthentication with modes of single ports, given those of its namespace and of the
/// mesh that it inherits from; `None` if the workloads concerned need no policy of their own.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/authorization.go` `convertPeerAuthentication`.
pub fn convert_peer_authentication(
    policy: &PeerAuthentication,
    root: &Namespace,
    of_namespace: Option<&PeerAuthentication>,
    of_mesh: Option<&PeerAuthentication>,
) -> Option<Authorization> {
    let none = BTreeMap::new();
    let ports = policy.spec.port_level_mtls.as_ref().unwrap_or(&none);
    let selector = policy.spec.selector.as_ref();
    if policy.meta.namespace == *root || selector.is_none() || ports.is_empty() {
        return None;
    }
    let own = mode(Some(policy));
    let inherited = Inherited { namespace: of_namespace.map(mode_of), mesh: of_mesh.map(mode_of) };
    let built = PortRules::new(own, &inherited, ports);
    let groups = built.groups(own, &inherited)?;
    Some(Authorization {
        namespace: policy.meta.namespace.clone(),
        name: port_policy_name(&policy.meta.name).into(),
        scope: Scope::WorkloadSelector(selector?.match_labels.clone()),
        action: Action::Deny,
        groups,
        is_dry_run: false,
    })
}

/// The name of what a PeerAuthentication with modes of single ports becomes; no object can have it.
pub(super) fn port_policy_name(name: &str) -> String {
    format!("converted_peer_authentication_{name}")
}

fn mode(policy: Option<&PeerAuthentication>) -> MutualTlsMode {
    policy.map_or(MutualTlsMode::Unset, mode_of)
}

pub(super) fn mode_of(policy: &PeerAuthentication) -> MutualTlsMode {
    policy.spec.mtls.as_ref().map_or(MutualTlsMode::Unset, |mtls| mtls.mode)
}

/// The modes above a workload's; `None` where there is no policy.
struct Inherited {
    namespace: Option<MutualTlsMode>,
    mesh: Option<MutualTlsMode>,
}

impl Inherited {
    /// Whether what a workload inherits is STRICT.
    fn is_strict(&self) -> bool {
        match self.namespace.unwrap_or(MutualTlsMode::Unset) {
            MutualTlsMode::Strict => true,
            MutualTlsMode::Unset => self.mesh == Some(MutualTlsMode::Strict),
            MutualTlsMode::Disable | MutualTlsMode::Permissive => false,
        }
    }

    /// Whether upstream takes a STRICT port for implied by what a workload inherits. A STRICT mesh
    /// counts even where the workload's own mode is another: a slip of upstream's, by which such a port
    /// is not protected.
    fn implies_strict(&self, own: MutualTlsMode) -> bool {
        let is_of_namespace = self.namespace == Some(MutualTlsMode::Strict);
        if is_of_namespace { own == MutualTlsMode::Unset } else { self.is_strict() }
    }

    /// Whether upstream takes what a workload inherits for not STRICT where a port is freed of it; a
    /// namespace's policy without a mode hides a STRICT mesh here.
    fn is_lax(&self) -> bool {
        self.namespace.or(self.mesh) != Some(MutualTlsMode::Strict)
    }
}

/// The rules that the modes of single ports make.
#[derive(Default)]
struct PortRules {
    /// Ports that are STRICT where the workload is not.
    strict: Vec<u16>,
    /// Ports that are not STRICT where the workload is.
    free: Vec<u16>,
}

impl PortRules {
    fn new(own: MutualTlsMode, above: &Inherited, ports: &BTreeMap<u32, MutualTls>) -> Self {
        use MutualTlsMode::{Disable, Permissive, Strict, Unset};
        let mut rules = Self::default();
        for (port, entry) in ports {
            let Ok(port) = u16::try_from(*port) else { continue };
            match entry.mode {
                Strict => {
                    if own != Strict && !above.implies_strict(own) {
                        rules.strict.push(port);
                    }
                }
                Permissive | Disable => match own {
                    Permissive | Disable => {}
                    Unset if above.is_lax() => {}
                    Unset | Strict => rules.free.push(port),
                },
                Unset => {}
            }
        }
        rules
    }

    fn groups(&self, own: MutualTlsMode, above: &Inherited) -> Option<Vec<Group>> {
        let is_strict = own == MutualTlsMode::Strict;
        if is_strict && self.free.is_empty() {
            return None; // The static policy says all.
        }
        let mut groups: Vec<Group> = Vec::new();
        for port in &self.strict {
            let mut of = anonymous();
            of.destination_ports.any_of.push(*port);
            groups.push(Group { clauses: vec![clause(of)] });
        }
        let mut clauses = Vec::new();
        if is_strict {
            clauses.push(clause(anonymous()));
        }
        for port in &self.free {
            let mut of = Match::default();
            of.destination_ports.none_of.push(*port);
            clauses.push(clause(of));
        }
        if above.is_strict() && !self.free.is_empty() {
            clauses.push(clause(anonymous()));
        }
        if !clauses.is_empty() {
            groups.push(Group { clauses });
        }
        (!groups.is_empty()).then_some(groups)
    }
}

/// A connection without an identity.
fn anonymous() -> Match {
    Match {
        principals: Lists { any_of: Vec::new(), none_of: vec![TextMatch::Presence] },
        ..Match::default()
    }
}

fn clause(of: Match) -> Clause {
    Clause { condition: None, matches: vec![of] }
}

#[cfg(test)]
mod tests {
    use mesh_model::resource::{Meta, PeerAuthenticationSpec, WorkloadSelector};

    use super::*;
    use crate::ztunnel::L4Connection;

    fn policy(mode: MutualTlsMode, ports: &[(u32, MutualTlsMode)]) -> PeerAuthentication {
        let mtls = Some(MutualTls { mode });
        let ports = ports.iter().map(|(port, mode)| (*port, MutualTls { mode: *mode }));
        PeerAuthentication {
            meta: Meta::new("shop", "p"),
            spec: PeerAuthenticationSpec {
                selector: Some(WorkloadSelector {
                    match_labels: [("app", "cart")].into_iter().collect(),
                }),
                mtls,
                port_level_mtls: Some(ports.collect()),
            },
        }
    }

    /// Which of ports 80 and 81 deny plain text; `none` if there is no policy.
    fn check(own: MutualTlsMode, mesh: MutualTlsMode, port_80: MutualTlsMode, expected: &str) {
        let mesh = policy(mesh, &[]);
        let converted = convert_peer_authentication(
            &policy(own, &[(80, port_80)]),
            &Namespace::from("istio-system"),
            None,
            Some(&mesh),
        );
        let denies = |port| {
            let connection = L4Connection {
                source_ip: [10, 0, 0, 1].into(),
                source_identity: None,
                destination_ip: [10, 0, 0, 2].into(),
                destination_port: port,
            };
            converted.as_ref().is_some_and(|policy| policy.matches(&connection))
        };
        let denied = match (converted.is_some(), denies(80), denies(81)) {
            (false, ..) => "none",
            (true, true, true) => "80 81",
            (true, true, false) => "80",
            (true, false, true) => "81",
            (true, false, false) => "",
        };
        assert_eq!(denied, expected);
    }

    #[test]
    fn a_port_differs_from_what_the_workload_inherits() {
        use MutualTlsMode::{Disable, Permissive, Strict, Unset};
        check(Permissive, Unset, Strict, "80");
        check(Strict, Unset, Strict, "none");
        check(Strict, Unset, Disable, "81");
        check(Unset, Strict, Permissive, "81");
        check(Unset, Strict, Strict, "none");
        check(Unset, Permissive, Permissive, "none");
        check(Permissive, Strict, Disable, "none");
        // Upstream's slip: the port should deny plain text.
        check(Permissive, Strict, Strict, "none");
    }
}
