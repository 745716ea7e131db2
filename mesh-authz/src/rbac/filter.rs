//! The filters of a chain.
use std::sync::Arc;

use super::Policy;

/// A filter of the chain of one workload.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every filter")]
pub enum Filter {
    /// `envoy.filters.http.rbac` or `envoy.filters.network.rbac`.
    Rbac(RbacFilter),
    /// `envoy.filters.http.ext_authz` or `envoy.filters.network.ext_authz`, asked only where the filter
    /// before it found a policy whose name starts with `istio-ext-authz-PROVIDER`.
    ExternalAuthorization {
        /// The extension provider of MeshConfig.
        provider: Box<str>,
    },
}

/// An RBAC filter.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "generators read every part")]
pub struct RbacFilter {
    /// What the filter is for; decides its action.
    pub purpose: Purpose,
    /// What is enforced; `None`: nothing, while empty rules are enforced and match nothing.
    pub rules: Option<Rules>,
    /// What is only evaluated.
    pub shadow_rules: Option<Rules>,
}

/// What an RBAC filter is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every purpose")]
pub enum Purpose {
    /// CUSTOM: finds the requests that the external authorizer after it is asked about (`DENY`, in
    /// shadow rules). Dry-run policies end up enforced, a defect of upstream's.
    Custom,
    /// CUSTOM whose provider cannot be used: what it means is denied (`DENY`).
    BadProvider,
    /// AUDIT (`LOG`).
    Audit,
    /// DENY.
    Deny,
    /// ALLOW.
    Allow,
}

impl RbacFilter {
    /// Returns `shadow_rules_stat_prefix`; empty: not written.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/builder/builder.go` `shadowRuleStatPrefix`.
    pub fn shadow_rules_stat_prefix(&self) -> &'static str {
        match self.purpose {
            Purpose::Custom => "istio_ext_authz_",
            Purpose::BadProvider => "",
            // Absent rules read as ALLOW, the enum's zero.
            Purpose::Audit | Purpose::Deny if self.shadow_rules.is_none() => "istio_dry_run_allow_",
            Purpose::Audit => "",
            Purpose::Deny => "istio_dry_run_deny_",
            Purpose::Allow => "istio_dry_run_allow_",
        }
    }
}

/// The policies of a filter, as Envoy keeps them: a map in byte order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    // INVARIANT: sorted by name, names are unique.
    policies: Box<[Arc<Policy>]>,
}

impl Rules {
    /// Makes the map; of two policies with one name the later counts.
    pub(crate) fn new(mut policies: Vec<Arc<Policy>>) -> Self {
        policies.reverse();
        // Stable: of equal names the later stands first now, and stays.
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        policies.dedup_by(|later, kept| later.name == kept.name);
        Self { policies: policies.into() }
    }

    /// Puts another policy in the place of one of the same name; false if there is none.
    pub(crate) fn replace(&mut self, policy: &Arc<Policy>) -> bool {
        let at = self.policies.binary_search_by(|known| known.name.cmp(&policy.name));
        let known = at.ok().and_then(|at| self.policies.get_mut(at));
        known.map(|known| *known = Arc::clone(policy)).is_some()
    }

    /// Returns the policies in byte order of their names: the first that matches is the one reported.
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }
}
