//! The filters of a gRPC server that reads its policies itself.
//!
//! ```text
//! DENY ─▶ ALLOW        no CUSTOM, no AUDIT; policies on trial are enforced
//! ```
//!
//! Values are taken as they are: no trust domain stands for another.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/grpcgen/lds.go` `buildInboundFilterChain`, `buildRBAC`.
use std::sync::Arc;

use mesh_model::name::Namespace;
use mesh_model::resource::{Action, AuthorizationPolicy};

use super::{Chain, CompiledPolicy, CompiledRule, Environment, Policies};
use crate::rbac::{Body, Filter, Origin, Policy, Purpose, RbacFilter, Rules};
use crate::rule::{Compiler, Context, Omission, Unusable};
use crate::select::{BrokenPolicy, Subject, Workload};

impl Chain {
    /// Compiles the policies of a workload for a proxyless gRPC server.
    ///
    /// Upstream's oddities are kept: a filter without policies is left out, so an ALLOW policy
    /// without rules allows everything; an ALLOW rule with a value that cannot be used stays, and
    /// matches nothing; a template for paths makes the server refuse its listener, so that the rule is
    /// taken for what denies most; and two policies whose namespaces and names join to one text share their
    /// rules' names, of which the later counts.
    pub fn of_grpc(
        policies: &Policies<'_>,
        workload: &Workload,
        environment: &Environment,
    ) -> Self {
        let (selected, mut broken) = super::selected(policies, workload, environment);
        // Nothing looks at tokens there.
        broken.deny.retain(|policy| policy.subject == Subject::Connections);
        let mut chain = Self::default();
        chain.add(Purpose::Deny, &selected.deny, &broken.deny, environment);
        chain.add(Purpose::Allow, &selected.allow, &broken.allow, environment);
        chain
    }

    fn add(
        &mut self,
        purpose: Purpose,
        policies: &[&AuthorizationPolicy],
        broken: &[&BrokenPolicy],
        environment: &Environment,
    ) {
        let compiled = policies.iter().map(|policy| compile(policy, environment));
        let compiled: Vec<CompiledPolicy> =
            compiled.chain(broken.iter().map(|policy| stand_in(policy, purpose))).collect();
        let rules = compiled.iter().flat_map(|policy| &policy.rules);
        let found: Vec<Arc<Policy>> = rules.filter_map(|rule| rule.policy.clone()).collect();
        self.compiled.extend(compiled);
        if !found.is_empty() {
            self.filters.push(Filter::Rbac(RbacFilter {
                purpose,
                rules: Some(Rules::new(found)),
                shadow_rules: None,
            }));
        }
    }
}

fn compile(policy: &AuthorizationPolicy, environment: &Environment) -> CompiledPolicy {
    let rules = policy.spec.rules.iter().enumerate().map(|(index, rule)| {
        let mut compiler = Compiler::new(Context {
            is_tcp: false,
            is_allow: policy.spec.action == Action::Allow,
            identity: environment.identity,
            trust: None,
            namespace: policy.meta.namespace.as_str(),
            envoy: environment.compat.envoy,
            takes_templates: false,
        });
        let body = match compiler.rule(rule) {
            Ok(body) => Some(body),
            Err(_) if compiler.omissions.iter().any(has_unknown_key) => None,
            Err(_) => Some(nothing()),
        };
        let origin = Origin {
            namespace: policy.meta.namespace.clone(),
            name: policy.meta.name.as_str().into(),
            rule: index,
            action: policy.spec.action,
            is_broken: false,
        };
        let policy = body.map(|body| named(origin, body));
        CompiledRule { policy, omissions: compiler.omissions }
    });
    CompiledPolicy {
        namespace: policy.meta.namespace.clone(),
        name: policy.meta.name.as_str().into(),
        action: policy.spec.action,
        is_dry_run: false,
        rules: rules.collect(),
    }
}

/// Such a rule is left out before it has a place in the filter.
fn has_unknown_key(omission: &Omission) -> bool {
    omission.why == Unusable::Key
}

/// What upstream leaves of a rule that it cannot express: neither permissions nor principals.
fn nothing() -> Body {
    Body::Rule { permissions: Box::default(), principals: Box::default() }
}

/// What stands in for a policy that could not be understood.
fn stand_in(policy: &BrokenPolicy, purpose: Purpose) -> CompiledPolicy {
    let action = policy.action.unwrap_or(Action::Deny);
    let origin = Origin {
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
        rule: 0,
        action,
        is_broken: true,
    };
    let body = if purpose == Purpose::Allow { nothing() } else { Body::always() };
    CompiledPolicy {
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
        action,
        is_dry_run: false,
        rules: vec![CompiledRule { policy: Some(named(origin, body)), omissions: Vec::new() }],
    }
}

fn named(origin: Origin, body: Body) -> Arc<Policy> {
    let name = policy_name(&origin.namespace, &origin.name, origin.rule);
    Arc::new(Policy { name, origin, body })
}

fn policy_name(namespace: &Namespace, name: &str, rule: usize) -> Box<str> {
    format!("{namespace}-{name}-{rule}").into()
}
