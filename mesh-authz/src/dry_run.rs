//! Policies on trial: evaluated and reported, never enforced.
use mesh_model::resource::{Action, AuthorizationPolicy};

use crate::rbac::Origin;

/// Returns whether a policy is on trial; an annotation that is no Go boolean counts as false.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/builder/builder.go` `isDryRun`.
pub fn is_dry_run(policy: &AuthorizationPolicy) -> bool {
    policy.is_dry_run()
}

/// What the policies on trial of one action say of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a report has these two parts")]
pub struct DryRun<'p> {
    /// DENY or ALLOW.
    pub action: Action,
    /// The first rule that matches, in byte order of the generated names; `None` if none does, or if
    /// the request was denied before these policies were reached.
    pub matched: Option<&'p Origin>,
}
