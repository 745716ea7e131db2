//! What policies say that older releases do not know: since when, who has to know it, and what happens else.
//!
//! A control plane passes over fields that it does not know, and leaves out rules with keys of conditions that
//! it does not know. A proxy refuses a listener with a test that it does not know, and keeps the one that it
//! had. A ztunnel passes over fields.
//!
//! # Upstream
//!
//! istio/istio, the first branch `release-1.N` that has it: `pilot/pkg/security/authz/model/model.go` `New`
//! (`serviceAccounts`, `trustDomains`, `remoteIpBlocks`), `pilot/pkg/security/authz/matcher/template.go`,
//! `pilot/pkg/model/policyattachment.go` (1.20: `targetRef`, of Gateways only; 1.22: `targetRefs`, and Services),
//! `pilot/pkg/security/authz/builder/builder.go` (dry run),
//! `pilot/pkg/security/authn/policy_applier.go`, `pkg/workloadapi/security/authorization.proto`;
//! istio/ztunnel `src/rbac.rs`; envoyproxy/envoy pull request 31447 (`uri_template`, Istio 1.22's Envoy).
use mesh_model::Compat;
use mesh_model::name::Namespace;
use mesh_model::resource::{
    Action, AuthorizationPolicy, Meta, PolicyTargetReference, RequestAuthentication, Source,
};

use super::Version;
use crate::dry_run::is_dry_run;
use crate::rbac::Place;
use crate::rule::{List, lists};
use crate::select::{target_refs, target_refs_of_tokens};

/// A policy of either kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Policy<'p> {
    Calls(&'p AuthorizationPolicy),
    Tokens(&'p RequestAuthentication),
}

impl<'p> Policy<'p> {
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Calls(_) => "AuthorizationPolicy",
            Self::Tokens(_) => "RequestAuthentication",
        }
    }

    pub(super) const fn meta(self) -> &'p Meta {
        match self {
            Self::Calls(policy) => &policy.meta,
            Self::Tokens(policy) => &policy.meta,
        }
    }

    /// What it does; tokens that are refused are denied.
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Calls(policy) => policy.spec.action,
            Self::Tokens(_) => Action::Deny,
        }
    }

    /// Whether the references stand in the list.
    const fn has_list(self) -> bool {
        match self {
            Self::Calls(policy) => !policy.spec.target_refs.is_empty(),
            Self::Tokens(policy) => !policy.spec.target_refs.is_empty(),
        }
    }

    const fn place_of_refs(self) -> &'static str {
        if self.has_list() { "spec.targetRefs" } else { "spec.targetRef" }
    }

    fn refs(self) -> &'p [PolicyTargetReference] {
        match self {
            Self::Calls(policy) => target_refs(policy),
            Self::Tokens(policy) => target_refs_of_tokens(policy),
        }
    }
}

/// Who has to know a feature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    ControlPlane,
    /// The Envoy of a workload.
    Proxy,
    /// The ztunnel of a workload's node.
    Ztunnel,
}

/// What who does not know a feature makes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Loss {
    /// The field is passed over, and the rule wider.
    Field,
    /// The rule is left out.
    Rule,
    /// The value is compared as it stands, which nothing is equal to.
    Literal,
    /// The policy is one of all workloads of its namespace, or of the mesh.
    Everywhere,
    /// The policy is attached to nothing by it.
    Nowhere,
    /// The policy is enforced.
    Enforced,
    /// The listener is refused.
    Refused,
    /// The field is passed over, and what asks for nothing else never matches.
    Unseen,
    /// Tokens there are not found, or their claims are not lists.
    Tokens,
}

impl Loss {
    /// Whether it lets through what the policy means to keep out, and what happens.
    /// `root` is the namespace whose policies are of all the mesh; `version` is that of who does not know the
    /// feature.
    pub(super) fn effect(
        self,
        policy: Policy<'_>,
        root: &Namespace,
        version: Version,
    ) -> (bool, &'static str) {
        let action = policy.action();
        let is_allow = matches!(action, Action::Allow);
        let keeps_out = matches!(action, Action::Deny | Action::Custom);
        match self {
            Self::Field => {
                (is_allow, "passes over the field, and the rule matches more than it says")
            }
            Self::Rule => (keeps_out, "leaves the rule out"),
            Self::Literal => {
                (keeps_out, "compares the text as it stands, which no path is equal to")
            }
            Self::Everywhere if policy.meta().namespace == *root => {
                (is_allow, "passes over it, and the policy is one of all workloads of the mesh")
            }
            Self::Everywhere => (
                is_allow,
                "passes over it, and the policy is one of all workloads of its namespace",
            ),
            Self::Nowhere
                if policy.refs().iter().any(|of| reference_since(&of.kind) <= version) =>
            {
                (
                    is_allow || keeps_out,
                    "passes over it, and attaches the policy by its other references only",
                )
            }
            Self::Nowhere => (is_allow || keeps_out, "attaches the policy to nothing"),
            Self::Enforced => (false, "enforces the policy, which is on trial"),
            Self::Refused => {
                (true, "refuses the listener, and goes on with the policies that it had before")
            }
            Self::Unseen => (
                is_allow || keeps_out,
                "passes over the field: what asks for nothing else never matches, and the rest matches more than \
                 it says",
            ),
            Self::Tokens => {
                (false, "passes over the field, and takes tokens in another way than meant")
            }
        }
    }
}

/// Something that policies say.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) reader: Reader,
    pub(super) since: Version,
    /// Where a policy uses it; `None` if it does not.
    pub(super) field: fn(Policy<'_>, &Compat) -> Option<String>,
    pub(super) loss: Loss,
}

impl Feature {
    /// Whether it does nothing of a policy where a control plane is as old as this: what that does not know it
    /// sends to nobody, and where it passes over references it takes none for another.
    pub(super) fn is_moot(
        &self,
        control_plane: Version,
        policy: Policy<'_>,
        compat: &Compat,
    ) -> bool {
        let mut unknown = FEATURES.iter().filter(|other| {
            other.reader == Reader::ControlPlane
                && control_plane < other.since
                && (other.field)(policy, compat).is_some()
        });
        unknown.any(|other| match self.reader {
            Reader::ControlPlane => self.loss == Loss::Nowhere && other.loss == Loss::Everywhere,
            Reader::Proxy | Reader::Ztunnel => self.name == other.name,
        })
    }
}

const fn since(minor: u32) -> Version {
    Version { major: 1, minor }
}

/// The release that first attached policies to an object of a kind.
fn reference_since(kind: &str) -> Version {
    match kind {
        "Service" => SERVICES,
        "ServiceEntry" => SERVICE_ENTRIES,
        "GatewayClass" => GATEWAY_CLASSES,
        _ => GATEWAYS,
    }
}

const GATEWAYS: Version = since(20);
const SERVICES: Version = since(22);
const SERVICE_ENTRIES: Version = since(24);
const GATEWAY_CLASSES: Version = since(25);

/// Every feature, the older first.
pub(super) const FEATURES: &[Feature] = &[
    Feature {
        name: "`remoteIpBlocks`",
        reader: Reader::ControlPlane,
        since: since(8),
        field: |policy, _| source(policy, |of| [&of.remote_ip_blocks, &of.not_remote_ip_blocks]),
        loss: Loss::Field,
    },
    Feature {
        name: "the key `remote.ip`",
        reader: Reader::ControlPlane,
        since: since(8),
        field: |policy, _| key(policy, "remote.ip"),
        loss: Loss::Rule,
    },
    Feature {
        name: "the annotation `istio.io/dry-run`",
        reader: Reader::ControlPlane,
        since: since(10),
        field: |policy, _| on_trial(policy),
        loss: Loss::Enforced,
    },
    Feature {
        name: "`targetRef`",
        reader: Reader::ControlPlane,
        since: GATEWAYS,
        field: |policy, _| {
            let is_single = !policy.has_list() && !policy.refs().is_empty();
            is_single.then(|| policy.place_of_refs().to_owned())
        },
        loss: Loss::Everywhere,
    },
    Feature {
        name: "`fromCookies`",
        reader: Reader::ControlPlane,
        since: since(21),
        field: |policy, _| tokens(policy, "fromCookies", |rule| !rule.from_cookies.is_empty()),
        loss: Loss::Tokens,
    },
    Feature {
        name: "`targetRefs`",
        reader: Reader::ControlPlane,
        since: since(22),
        field: |policy, _| policy.has_list().then(|| policy.place_of_refs().to_owned()),
        loss: Loss::Everywhere,
    },
    Feature {
        name: "a reference to a Service",
        reader: Reader::ControlPlane,
        since: SERVICES,
        field: |policy, _| reference(policy, "Service"),
        loss: Loss::Nowhere,
    },
    Feature {
        name: "a path with `{*}` or `{**}`",
        reader: Reader::ControlPlane,
        since: since(22),
        field: |policy, _| template(policy),
        loss: Loss::Literal,
    },
    Feature {
        name: "a path with `{*}` or `{**}`",
        reader: Reader::Proxy,
        since: since(22),
        field: |policy, _| template(policy),
        loss: Loss::Refused,
    },
    Feature {
        name: "a reference to a ServiceEntry",
        reader: Reader::ControlPlane,
        since: SERVICE_ENTRIES,
        field: |policy, _| reference(policy, "ServiceEntry"),
        loss: Loss::Nowhere,
    },
    Feature {
        name: "a reference to a GatewayClass",
        reader: Reader::ControlPlane,
        since: GATEWAY_CLASSES,
        field: |policy, _| reference(policy, "GatewayClass"),
        loss: Loss::Nowhere,
    },
    Feature {
        name: "`serviceAccounts`",
        reader: Reader::ControlPlane,
        since: since(25),
        field: |policy, _| source(policy, |of| [&of.service_accounts, &of.not_service_accounts]),
        loss: Loss::Field,
    },
    Feature {
        name: "`serviceAccounts`",
        reader: Reader::Ztunnel,
        since: since(25),
        field: |policy, _| source(policy, |of| [&of.service_accounts, &of.not_service_accounts]),
        loss: Loss::Unseen,
    },
    Feature {
        name: "the key `source.serviceAccount`",
        reader: Reader::ControlPlane,
        since: since(25),
        field: |policy, _| key(policy, "source.serviceAccount"),
        loss: Loss::Rule,
    },
    Feature {
        name: "`spaceDelimitedClaims`",
        reader: Reader::ControlPlane,
        since: since(28),
        field: |policy, _| {
            tokens(policy, "spaceDelimitedClaims", |rule| !rule.space_delimited_claims.is_empty())
        },
        loss: Loss::Tokens,
    },
    Feature {
        name: "the annotation `istio.io/dry-run`",
        reader: Reader::Ztunnel,
        since: since(29),
        // They are sent such a policy with the flag only.
        field: |policy, compat| {
            let is_sent = compat.flags.ambient_enable_dry_run_authorization_policy;
            on_trial(policy).filter(|_| is_sent)
        },
        loss: Loss::Enforced,
    },
    Feature {
        name: "`trustDomains`",
        reader: Reader::ControlPlane,
        since: since(30),
        field: |policy, _| source(policy, |of| [&of.trust_domains, &of.not_trust_domains]),
        loss: Loss::Field,
    },
    Feature {
        name: "the key `source.trustDomain`",
        reader: Reader::ControlPlane,
        since: since(30),
        field: |policy, _| key(policy, "source.trustDomain"),
        loss: Loss::Rule,
    },
];

/// The first source that has one of two lists.
fn source(policy: Policy<'_>, of: fn(&Source) -> [&Vec<Box<str>>; 2]) -> Option<String> {
    let Policy::Calls(policy) = policy else { return None };
    let has = |source: &Source| of(source).iter().any(|list| !list.is_empty());
    let mut rules = policy.spec.rules.iter().enumerate();
    rules.find_map(|(at, rule)| {
        let entry = rule.from.iter().position(|from| from.source.as_ref().is_some_and(has))?;
        Some(format!("spec.rules[{at}].from[{entry}].source"))
    })
}

/// The first condition on a key.
fn key(policy: Policy<'_>, key: &str) -> Option<String> {
    let Policy::Calls(policy) = policy else { return None };
    let mut rules = policy.spec.rules.iter().enumerate();
    rules.find_map(|(at, rule)| {
        let entry = rule.when.iter().position(|when| *when.key == *key)?;
        Some(format!("spec.rules[{at}].when[{entry}].key"))
    })
}

/// The first template for a path.
fn template(policy: Policy<'_>) -> Option<String> {
    let Policy::Calls(policy) = policy else { return None };
    let is_template = |value: &str| value.contains("{*}") || value.contains("{**}");
    let has = |list: &List<'_>| {
        matches!(list.place, Place::Operation("paths"))
            && list.values.iter().any(|value| is_template(value))
    };
    let mut rules = policy.spec.rules.iter().enumerate();
    rules.find_map(|(at, rule)| {
        let list = lists(rule).into_iter().find(has)?;
        Some(list.path_of(at, is_template))
    })
}

fn on_trial(policy: Policy<'_>) -> Option<String> {
    let Policy::Calls(policy) = policy else { return None };
    is_dry_run(policy).then(|| "metadata.annotations[istio.io/dry-run]".to_owned())
}

fn reference(policy: Policy<'_>, kind: &str) -> Option<String> {
    let at = policy.refs().iter().position(|target| *target.kind == *kind)?;
    let place = policy.place_of_refs();
    Some(if policy.has_list() { format!("{place}[{at}]") } else { place.to_owned() })
}

/// The first rule of tokens of which something holds.
fn tokens(
    policy: Policy<'_>,
    field: &str,
    holds: fn(&mesh_model::resource::JwtRule) -> bool,
) -> Option<String> {
    let Policy::Tokens(policy) = policy else { return None };
    let at = policy.spec.jwt_rules.iter().position(holds)?;
    Some(format!("spec.jwtRules[{at}].{field}"))
}
