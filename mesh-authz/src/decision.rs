//! The answer to a request, and the reason for it.
use std::fmt;

use mesh_model::resource::Action;

use crate::matcher::RejectedPath;
use crate::rbac::Origin;
use crate::request::Unseen;

/// The answer to one request. Exhaustive: a caller that enforces it must not compile when a new answer
/// appears.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "callers act on every answer")]
pub enum Decision<'p> {
    /// The request may pass.
    Allow(Reason<'p>),
    /// The request may not pass: HTTP answers 403, TCP closes the connection.
    Deny(Reason<'p>),
}

/// Why a request is allowed or denied, borrowed from the policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason<'p> {
    /// No DENY policy matches and no ALLOW policy is enforced: allowed.
    NoAllowPolicy,
    /// An ALLOW policy matches: allowed.
    AllowMatched(&'p Origin),
    /// A DENY policy matches: denied.
    DenyMatched(&'p Origin),
    /// ALLOW policies are enforced and none matches: denied.
    NoAllowPolicyMatched,
    /// The external authorizer of a CUSTOM policy denies.
    ExternalDenied {
        /// The rule that asked it.
        rule: &'p Origin,
        /// The extension provider.
        provider: &'p str,
    },
    /// The external authorizer of a CUSTOM policy cannot be used: what it would be asked about is
    /// denied.
    ProviderUnusable(&'p Origin),
    /// A CUSTOM policy on trial matches: upstream denies what it means.
    CustomTrial(&'p Origin),
    /// A policy could not be understood, so everything that it might deny is denied.
    PolicyBroken(&'p Origin),
    /// The proxy answers before any policy is asked: 400, or where to go instead.
    PathRejected(RejectedPath),
    /// A header has an underscore in its name, for which the proxy refuses requests before any policy is asked.
    HeaderRejected,
}

impl From<Unseen> for Reason<'_> {
    fn from(unseen: Unseen) -> Self {
        match unseen {
            Unseen::Path(rejected) => Self::PathRejected(rejected),
            Unseen::Header => Self::HeaderRejected,
        }
    }
}

impl<'p> Decision<'p> {
    /// Returns whether the request may pass.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// Returns the reason.
    pub const fn reason(&self) -> Reason<'p> {
        match self {
            Self::Allow(reason) | Self::Deny(reason) => *reason,
        }
    }
}

impl<'p> Reason<'p> {
    /// Returns a stable word for the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoAllowPolicy => "no_allow_policy",
            Self::AllowMatched(_) => "allow_matched",
            Self::DenyMatched(_) => "deny_matched",
            Self::NoAllowPolicyMatched => "no_allow_policy_matched",
            Self::ExternalDenied { .. } => "external_denied",
            Self::ProviderUnusable(_) => "provider_unusable",
            Self::CustomTrial(_) => "custom_trial",
            Self::PolicyBroken(_) => "policy_broken",
            Self::PathRejected(_) => "path_rejected",
            Self::HeaderRejected => "header_rejected",
        }
    }

    /// Returns the rule that decided; `None` for a default.
    pub const fn rule(&self) -> Option<&'p Origin> {
        match self {
            Self::AllowMatched(rule)
            | Self::DenyMatched(rule)
            | Self::ExternalDenied { rule, .. }
            | Self::ProviderUnusable(rule)
            | Self::CustomTrial(rule)
            | Self::PolicyBroken(rule) => Some(rule),
            Self::NoAllowPolicy
            | Self::NoAllowPolicyMatched
            | Self::PathRejected(_)
            | Self::HeaderRejected => None,
        }
    }

    /// Returns the action of the policy that decided; `None` for a default.
    pub fn action(&self) -> Option<Action> {
        self.rule().map(|rule| rule.action)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = |rule: &Origin| format!("rule {} of policy {rule}", rule.rule);
        match self {
            Self::NoAllowPolicy => f.write_str("no ALLOW policy applies and no other one denies"),
            Self::AllowMatched(origin) => write!(f, "{} allows the request", rule(origin)),
            Self::DenyMatched(origin) => write!(f, "{} denies the request", rule(origin)),
            Self::NoAllowPolicyMatched => {
                f.write_str("ALLOW policies apply and none of their rules matches")
            }
            Self::ExternalDenied { rule: origin, provider } => {
                write!(f, "{} asked `{provider}`, which denies the request", rule(origin))
            }
            Self::ProviderUnusable(origin) => {
                write!(f, "{} asks a provider that cannot be used", rule(origin))
            }
            Self::CustomTrial(origin) => {
                write!(
                    f,
                    "{} is CUSTOM and on trial, which proxies enforce as a denial",
                    rule(origin)
                )
            }
            Self::PolicyBroken(origin) if origin.name.is_empty() => f.write_str(
                "a policy of which not even the name could be read, or settings that policies depend on, \
                 could not be understood and might deny the request",
            ),
            Self::PolicyBroken(origin) => {
                write!(f, "policy {origin} could not be understood and might deny the request")
            }
            Self::PathRejected(why) => write!(f, "the proxy answers {}: {why}", why.status()),
            Self::HeaderRejected => {
                f.write_str("the proxy answers 400: a header has an underscore in its name")
            }
        }
    }
}

/// A question to an external authorizer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers read every part")]
pub struct ExternalCheck<'p> {
    /// The extension provider.
    pub provider: &'p str,
    /// The rule that asks, the first in byte order of the generated names.
    pub rule: &'p Origin,
}

/// The answer of an external authorizer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "an authorizer says yes or no")]
pub enum Verdict {
    /// Other policies still count.
    Allow,
    /// The request is denied.
    Deny,
}
