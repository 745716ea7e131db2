//! Which token issuers count for a workload, and in which order.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/authentication.go` `getConfigsForWorkload`;
//! `pilot/pkg/security/authn/policy_applier.go` `newPolicyApplier`.
use mesh_model::name::Namespace;
use mesh_model::resource::{JwtRule, RequestAuthentication};

use super::attachment::Attached;
use super::{Selection, Workload, WorkloadKind};

/// Selects the rules of all RequestAuthentications of a workload, sorted by issuer.
///
/// Rules of one issuer stand in the order of their policies: the workload's namespace first, then the
/// root, then those of a waypoint's services; within a namespace by age, then name.
pub fn select_jwt_rules<'p>(
    policies: impl IntoIterator<Item = &'p RequestAuthentication>,
    workload: &Workload,
    selection: &Selection,
) -> Vec<&'p JwtRule> {
    let order = visited(workload, selection);
    let mut attached: Vec<(usize, &RequestAuthentication)> = policies
        .into_iter()
        .filter_map(|policy| {
            let visit = order.iter().position(|namespace| **namespace == policy.meta.namespace)?;
            let attached = Attached::of_request_authentication(policy);
            attached.is_attached(workload, selection).then_some((visit, policy))
        })
        .collect();
    attached.sort_by_key(|(visit, policy)| (*visit, policy.meta.age()));
    let mut rules: Vec<&JwtRule> =
        attached.into_iter().flat_map(|(_, policy)| &policy.spec.jwt_rules).collect();
    rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    rules
}

/// The namespaces whose policies count. AuthorizationPolicies are visited from the root down, these
/// from the workload up.
fn visited<'w>(workload: &'w Workload, selection: &'w Selection) -> Vec<&'w Namespace> {
    let mut order = vec![&workload.namespace, &selection.root_namespace];
    if let WorkloadKind::Waypoint(services) = &workload.kind {
        order.extend(services.iter().map(|service| &service.namespace));
    }
    order
}

#[cfg(test)]
mod tests {
    use mesh_model::name::Labels;
    use mesh_model::resource::{Meta, RequestAuthenticationSpec, WorkloadSelector};

    use super::*;

    /// `NAMESPACE/NAME[@LABEL] ISSUER…`, a policy a line; the answer lists the audiences, which are
    /// the names of the policies.
    fn check(policies: &str, expected: &str) {
        let policies: Vec<RequestAuthentication> = policies.lines().map(policy).collect();
        let workload = Workload {
            namespace: Namespace::from("shop"),
            labels: [("app", "web")].into_iter().collect(),
            kind: WorkloadKind::Proxy,
        };
        let rules = select_jwt_rules(&policies, &workload, &Selection::default());
        let found: Vec<String> =
            rules.iter().map(|rule| format!("{}:{}", rule.issuer, rule.audiences[0])).collect();
        assert_eq!(found.join(" "), expected);
    }

    fn policy(line: &str) -> RequestAuthentication {
        let mut words = line.split_whitespace();
        let (namespace, name) = words.next().unwrap().split_once('/').unwrap();
        let (name, label) = name.split_once('@').unwrap_or((name, ""));
        let app = |label: &str| [("app", label)].into_iter().collect::<Labels>();
        let selector = (!label.is_empty()).then(|| WorkloadSelector { match_labels: app(label) });
        let rules = words.map(|issuer| JwtRule {
            issuer: issuer.into(),
            audiences: vec![name.into()],
            ..JwtRule::default()
        });
        RequestAuthentication {
            meta: Meta::new(namespace, name),
            spec: RequestAuthenticationSpec {
                selector,
                jwt_rules: rules.collect(),
                ..RequestAuthenticationSpec::default()
            },
        }
    }

    #[test]
    fn rules_are_sorted_by_issuer_across_policies() {
        check("shop/a z b\nshop/c a", "a:c b:a z:a");
    }

    #[test]
    fn the_own_namespace_comes_before_the_root() {
        check("istio-system/r i\nshop/b i\nshop/a i\nother/o i", "i:a i:b i:r");
    }

    #[test]
    fn selectors_decide() {
        check("shop/a@web i\nshop/b@db i", "i:a");
    }
}
