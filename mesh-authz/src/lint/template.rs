//! Templates of paths that admission lets through and Envoy does not.
//!
//! Admission strips the slashes before and after a template; Envoy demands the first, and none to follow
//! another. It refuses a listener with any other and goes on with the one that it had, whose policies are
//! older; without one it does not listen.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/security/security.go` `CheckValidPathTemplate`; envoyproxy/envoy
//! `source/extensions/path/uri_template_lib/uri_template_internal.cc` `parsePathPattern`.
use mesh_model::compat::DataPlane;
use mesh_model::manifest::Diagnostic;
use mesh_model::resource::AuthorizationPolicy;

use super::{Carriers, Plane};
use crate::rbac::{Field, Place};
use crate::rule::{lists, refusal};

/// `HZ-AUTHZ-PATH-REFUSED`: no proxy takes the policy, nor any other of its workloads any more.
pub(super) fn check(
    plane: &Plane<'_>,
    policy: &AuthorizationPolicy,
    carriers: &Carriers,
    found: &mut Vec<Diagnostic>,
) {
    let is_envoy =
        |carrier: &DataPlane| matches!(carrier, DataPlane::IstioProxy | DataPlane::Envoy);
    if !carriers.is_empty() && !carriers.iter().any(is_envoy) {
        return;
    }
    let subject = plane.subject(&policy.meta.namespace, &policy.meta.name);
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let paths = lists(rule).into_iter();
        for list in paths.filter(|list| matches!(list.place, Place::Operation("paths"))) {
            for value in list.values {
                let Some(why) = refusal(value) else { continue };
                let values = [value.clone()].into();
                let (place, is_negated) = (list.place.clone(), list.is_negated);
                let field = Field { place, is_negated, values };
                let message = format!(
                    "`{value}`: {why}; an Envoy refuses the listener, and goes on with the policies that it had \
                     before"
                );
                let help = "begin the path with one `/`, and write no two of them together";
                let field = format!("spec.rules[{index}].{field}");
                found.push(subject.error("HZ-AUTHZ-PATH-REFUSED", &field, (message, help)));
            }
        }
    }
}
