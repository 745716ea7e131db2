//! What a ztunnel is told of who may call whom.
//!
//! # Upstream
//!
//! istio/istio `pkg/workloadapi/security/authorization.proto`; names as in
//! `pilot/pkg/xds/workload.go` `WorkloadRBACGenerator`.
use std::net::IpAddr;

use mesh_authz::ztunnel::{
    self, Action, Authorization, Clause, Group, Lists, Match, Scope, ServiceAccountMatch, TextMatch,
};
use mesh_envoy_proto::istio::security as proto;
use mesh_model::name::Cidr;
use mesh_model::registry::{ControlPlane, Mesh};

/// Returns the authorizations of a control plane, each under its resource name `NAMESPACE/NAME`,
/// sorted by namespace and name.
pub fn authorizations(mesh: &Mesh, plane: &ControlPlane) -> Vec<(String, proto::Authorization)> {
    let converted = ztunnel::authorizations(mesh, plane);
    converted
        .iter()
        .map(|policy| (format!("{}/{}", policy.namespace, policy.name), authorization(policy)))
        .collect()
}

/// Writes a policy down as a ztunnel reads it.
pub fn authorization(policy: &Authorization) -> proto::Authorization {
    let scope = match policy.scope {
        Scope::Global => proto::Scope::Global,
        Scope::Namespace => proto::Scope::Namespace,
        Scope::WorkloadSelector(_) => proto::Scope::WorkloadSelector,
    };
    let action = match policy.action {
        Action::Allow => proto::Action::Allow,
        Action::Deny => proto::Action::Deny,
    };
    proto::Authorization {
        name: policy.name.to_string(),
        namespace: policy.namespace.to_string(),
        scope: scope.into(),
        action: action.into(),
        groups: policy.groups.iter().map(group).collect(),
        dry_run: policy.is_dry_run,
        ..proto::Authorization::default()
    }
}

fn group(group: &Group) -> proto::Group {
    proto::Group { rules: group.clauses.iter().map(clause).collect() }
}

fn clause(clause: &Clause) -> proto::Rules {
    proto::Rules { matches: clause.matches.iter().map(one).collect() }
}

fn one(of: &Match) -> proto::Match {
    let (namespaces, not_namespaces) = both(&of.namespaces, text);
    let (principals, not_principals) = both(&of.principals, text);
    let (source_ips, not_source_ips) = both(&of.source_ips, address);
    let (destination_ips, not_destination_ips) = both(&of.destination_ips, address);
    let (destination_ports, not_destination_ports) =
        both(&of.destination_ports, |port| u32::from(*port));
    let (service_accounts, not_service_accounts) = both(&of.service_accounts, account);
    proto::Match {
        namespaces,
        not_namespaces,
        principals,
        not_principals,
        source_ips,
        not_source_ips,
        destination_ips,
        not_destination_ips,
        destination_ports,
        not_destination_ports,
        service_accounts,
        not_service_accounts,
        extensions: Vec::new(),
    }
}

fn both<T, U>(lists: &Lists<T>, write: impl Fn(&T) -> U) -> (Vec<U>, Vec<U>) {
    (lists.any_of.iter().map(&write).collect(), lists.none_of.iter().map(&write).collect())
}

fn text(test: &TextMatch) -> proto::StringMatch {
    use proto::string_match::MatchType;
    let written = match test {
        TextMatch::Exact(text) => MatchType::Exact(text.to_string()),
        TextMatch::Prefix(text) => MatchType::Prefix(text.to_string()),
        TextMatch::Suffix(text) => MatchType::Suffix(text.to_string()),
        TextMatch::Presence => MatchType::Presence(()),
    };
    proto::StringMatch { match_type: Some(written) }
}

fn address(range: &Cidr) -> proto::Address {
    let address = match range.address() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    proto::Address { address, length: range.prefix_len().into() }
}

fn account(account: &ServiceAccountMatch) -> proto::ServiceAccountMatch {
    proto::ServiceAccountMatch {
        namespace: account.namespace.to_string(),
        service_account: account.name.to_string(),
    }
}
