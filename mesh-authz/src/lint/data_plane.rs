//! Policies that what carries the mesh carries out in another way than an Envoy, or not at all.
//!
//! ```text
//! CUSTOM, AUDIT ──▶ ztunnel, gRPC server: not told of them
//! fields of requests, trust domains ──▶ ztunnel: an ALLOW rule is gone, a DENY rule never fires or is wider
//! selector without labels ──▶ ztunnel: selects nothing
//! aliases of trust domains, patterns ──▶ ztunnel, gRPC server: see `verbatim`
//! server names, remote addresses, metadata ──▶ gRPC server: see `unseen`
//! on trial, ALLOW without rules ──▶ gRPC server: enforced, and not there
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/serviceregistry/ambient/authorization.go` `convertAuthorizationPolicy`;
//! `pilot/pkg/networking/grpcgen/lds.go` `buildRBAC`.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::compat::DataPlane;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::name::Namespace;
use mesh_model::resource::{Action, AuthorizationPolicy, Rule, Source};

use super::{Kind, Plane, names};
use crate::compile::Chain;
use crate::dry_run::is_dry_run;
use crate::identity::TrustBundle;
use crate::rbac::{Filter, Purpose};
use crate::rule::Unusable;
use crate::select::target_refs;
use crate::ztunnel::{convert, omitted};

mod unseen;
mod verbatim;

/// What is told of a policy, whatever workload shows it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Told {
    code: &'static str,
    field: String,
    severity: Severity,
    /// What happens there; the workloads stand before it.
    effect: String,
    help: &'static str,
}

/// The findings of each policy, with the workloads that show them.
type Findings<'p> = BTreeMap<(&'p Namespace, &'p str, Told), Vec<String>>;

pub(super) fn check<'p>(plane: &Plane<'p>, found: &mut Vec<Diagnostic>) {
    let mut all = Findings::<'p>::new();
    for kind in &plane.kinds {
        let is_ztunnel = kind.data_plane == DataPlane::Ztunnel;
        if !is_ztunnel && kind.data_plane != DataPlane::Grpc {
            continue;
        }
        let lacks_allow = !is_ztunnel && {
            let chain = Chain::of_grpc_server(plane.mesh, plane.plane, &kind.proxy);
            !chain.filters.iter().any(is_allow)
        };
        let trust = &plane.environment.trust;
        let mut tell = |policy: &'p AuthorizationPolicy, told: Vec<Told>| {
            for told in told {
                let key = (&policy.meta.namespace, &*policy.meta.name, told);
                all.entry(key).or_default().push(kind.proxy.reference());
            }
        };
        for policy in kind.policies(plane) {
            let told = if is_ztunnel {
                of_ztunnel(policy, &plane.selection.root_namespace, trust)
            } else {
                of_grpc(policy, lacks_allow, trust)
            };
            tell(policy, told);
        }
        if is_ztunnel {
            selecting_nothing(plane, kind)
                .for_each(|policy| tell(policy, vec![unselected(policy)]));
        }
    }
    for ((namespace, name, told), workloads) in all {
        let message = format!("{} {}", names(&workloads), told.effect);
        let subject = plane.subject(namespace, name);
        let texts = (message, told.help);
        found.push(match told.severity {
            Severity::Error => subject.error(told.code, &told.field, texts),
            Severity::Warning => subject.warning(told.code, &told.field, texts),
            Severity::Info => subject.info(told.code, &told.field, texts),
        });
    }
}

fn is_allow(filter: &Filter) -> bool {
    matches!(filter, Filter::Rbac(filter) if filter.purpose == Purpose::Allow)
}

/// The policies that a ztunnel is told of and no workload behind it has, because their selectors have no
/// labels; an Envoy would have them.
fn selecting_nothing<'p>(
    plane: &Plane<'p>,
    kind: &Kind,
) -> impl Iterator<Item = &'p AuthorizationPolicy> {
    let near = [&plane.selection.root_namespace, &kind.proxy.namespace];
    let near = plane.plane.authorization_policies.of_namespaces(&near).into_iter();
    near.filter(|policy| {
        let selector = policy.spec.selector.as_ref();
        selector.is_some_and(|selector| selector.match_labels.is_empty())
            && target_refs(policy).is_empty()
            && matches!(policy.spec.action, Action::Allow | Action::Deny)
            && !is_dry_run(policy)
    })
}

/// What a policy that no ztunnel takes for anybody's means.
fn unselected(policy: &AuthorizationPolicy) -> Told {
    let effect = match policy.spec.action {
        Action::Allow => "nobody is kept out by it",
        Action::Deny | Action::Audit | Action::Custom => "what it means to deny gets through",
    };
    Told {
        code: "HZ-AUTHZ-ZTUNNEL-SELECTOR",
        field: "spec.selector".to_owned(),
        severity: Severity::Error,
        effect: format!(
            "are behind ztunnels, for which a selector without labels selects nothing: {effect}"
        ),
        help: "leave the selector out to mean every workload",
    }
}

/// Nothing of a policy on trial: it keeps nobody out, and lets nobody in.
fn of_ztunnel(policy: &AuthorizationPolicy, root: &Namespace, trust: &TrustBundle) -> Vec<Told> {
    if is_dry_run(policy) {
        return Vec::new();
    }
    if matches!(policy.spec.action, Action::Audit | Action::Custom) {
        return vec![unheard("HZ-AUTHZ-ZTUNNEL-ACTION", policy.spec.action, BY_WAYPOINT)];
    }
    let Some(converted) = convert(policy, root, false) else { return Vec::new() };
    let is_allow = policy.spec.action == Action::Allow;
    let mut groups = converted.groups.iter();
    let mut found = Vec::new();
    for (index, (rule, omissions)) in policy.spec.rules.iter().zip(omitted(policy)).enumerate() {
        let has = |why| omissions.iter().any(|omission| omission.why == why);
        let omitted = omissions.iter().filter(|omission| omission.why == Unusable::Layer4);
        let lost: BTreeSet<String> =
            omitted.map(|omission| format!("`{}`", omission.field)).collect();
        let is_dropped = omissions.iter().any(|omission| omission.drops_rule);
        let has_gap = !is_dropped && groups.next().is_some_and(|group| group.has_gap());
        let mut tell = |code, (severity, effect), help| {
            let field = format!("spec.rules[{index}]");
            found.push(Told { code, field, severity, effect, help });
        };
        if !lost.is_empty() {
            let lost = Vec::from_iter(lost).join(", ");
            let (severity, effect) = of_layer_7(is_allow, has_gap);
            let effect = format!("are behind ztunnels, which do not compare {lost}: {effect}");
            tell("HZ-AUTHZ-ZTUNNEL-L7", (severity, effect), BY_WAYPOINT);
        }
        if has(Unusable::Untold) && !is_dropped {
            let (severity, effect) = of_trust_domains(is_allow, rule);
            let effect = (severity, effect.to_owned());
            tell("HZ-AUTHZ-ZTUNNEL-TRUST-DOMAINS", effect, "name principals of the trust domain");
        }
        if !is_dropped {
            let (rule, action) = ((index, rule), policy.spec.action);
            found.extend(verbatim::trust_domains(rule, action, trust, true));
            found.extend(verbatim::namespaces(rule, action));
        }
    }
    found
}

/// What to do about what only an Envoy does.
const BY_WAYPOINT: &str =
    "put the service behind a waypoint, and attach the policy to it by `targetRefs`";

/// What becomes of a rule that asks for what ztunnels do not compare.
const fn of_layer_7(is_allow: bool, has_gap: bool) -> (Severity, &'static str) {
    match (is_allow, has_gap) {
        (true, _) => (
            Severity::Warning,
            "they are not told of the rule, and what it alone would allow is denied",
        ),
        (false, true) => (
            Severity::Error,
            "what asks for nothing else never matches, and what it means to deny gets through",
        ),
        (false, false) => (
            Severity::Warning,
            "the rule is left with its other fields, and denies more than meant",
        ),
    }
}

/// What becomes of a rule about trust domains, of which ztunnels are not told.
fn of_trust_domains(is_allow: bool, rule: &Rule) -> (Severity, &'static str) {
    let sources = rule.from.iter().filter_map(|from| from.source.as_ref());
    let mut of_domains = sources.filter(|source| has_domains(source));
    let is_wider = of_domains.any(has_others);
    match (is_allow, is_wider) {
        (true, true) => (
            Severity::Error,
            "are behind ztunnels, which are not told of trust domains: the rule allows peers of any of them",
        ),
        (true, false) => (
            Severity::Warning,
            "are behind ztunnels, which are not told of trust domains: what asks for nothing else never \
             matches, and what it alone would allow is denied",
        ),
        (false, true) => (
            Severity::Warning,
            "are behind ztunnels, which are not told of trust domains: the rule denies peers of any of them",
        ),
        (false, false) => (
            Severity::Error,
            "are behind ztunnels, which are not told of trust domains: what asks for nothing else never \
             matches, and what it means to deny gets through",
        ),
    }
}

fn has_domains(source: &Source) -> bool {
    !source.trust_domains.is_empty() || !source.not_trust_domains.is_empty()
}

/// Whether a ztunnel is told anything of a source.
fn has_others(source: &Source) -> bool {
    let principals = [&source.principals, &source.not_principals];
    let namespaces = [&source.namespaces, &source.not_namespaces];
    let accounts = [&source.service_accounts, &source.not_service_accounts];
    let addresses = [&source.ip_blocks, &source.not_ip_blocks];
    let mut lists = [principals, namespaces, accounts, addresses].into_iter().flatten();
    lists.any(|list| !list.is_empty())
}

fn of_grpc(policy: &AuthorizationPolicy, lacks_allow: bool, trust: &TrustBundle) -> Vec<Told> {
    let action = policy.spec.action;
    if matches!(action, Action::Audit | Action::Custom) {
        let help = "run the server with a proxy beside it";
        return vec![unheard("HZ-AUTHZ-GRPC-ACTION", action, help)];
    }
    let mut found = Vec::new();
    if is_dry_run(policy) {
        found.push(Told {
            code: "HZ-AUTHZ-GRPC-DRY-RUN",
            field: "metadata.annotations[istio.io/dry-run]".to_owned(),
            severity: Severity::Warning,
            effect:
                "are gRPC servers without a proxy, which enforce policies on trial like all others"
                    .to_owned(),
            help: "select other workloads only, or run the server with a proxy beside it",
        });
    }
    if action == Action::Allow && policy.spec.rules.is_empty() && lacks_allow {
        found.push(Told {
            code: "HZ-AUTHZ-GRPC-EMPTY-ALLOW",
            field: "spec.rules".to_owned(),
            severity: Severity::Error,
            effect: "are gRPC servers without a proxy, which are not told of a policy without rules: everything \
                     that is not denied is allowed there"
                .to_owned(),
            help: "deny all by a DENY policy with the rule `{}`",
        });
    }
    for rule in policy.spec.rules.iter().enumerate() {
        found.extend(verbatim::trust_domains(rule, action, trust, false));
        found.extend(unseen::fields(rule, action));
    }
    found
}

/// A policy of which a data plane is not told, by its action.
fn unheard(code: &'static str, action: Action, help: &'static str) -> Told {
    let (severity, effect) = if action == Action::Custom {
        (
            Severity::Error,
            "have no proxy that asks external authorizers: what the one of the policy would deny gets through",
        )
    } else {
        (
            Severity::Warning,
            "have no proxy that marks requests for the access log: the policy does nothing",
        )
    };
    Told { code, field: "spec.action".to_owned(), severity, effect: effect.to_owned(), help }
}
