//! Templates of paths that admission lets through and Envoy does not.
//!
//! Admission strips the slashes before and after a template; Envoy demands the first, and none to follow
//! another. It refuses a listener with any other and goes on with the one that it had, whose policies are
//! older; without one it does not listen.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/security/security.go` `CheckValidPathTemplate`; envoyproxy/envoy
//! `source/extensions/path/uri_template_lib/uri_template_internal.cc` `parsePathPattern`; grpc/grpc-go
//! `internal/xds/rbac/matchers.go` `matchersFromPermissions`.
use mesh_model::compat::DataPlane;
use mesh_model::manifest::Diagnostic;
use mesh_model::resource::AuthorizationPolicy;

use super::{Carriers, Plane};
use crate::compile::CompiledRule;
use crate::matcher::is_template;
use crate::rbac::{Field, Place};
use crate::rule::{Omission, Unusable, lists, refusal};

/// `HZ-AUTHZ-PATH-REFUSED`: no proxy takes the policy, nor any other of its workloads any more. A gRPC server
/// without a proxy takes no template at all. Where nothing is known of workloads they are taken to have proxies.
pub(super) fn check(
    plane: &Plane<'_>,
    policy: &AuthorizationPolicy,
    carriers: &Carriers,
    found: &mut Vec<Diagnostic>,
) {
    let is_envoy =
        |carrier: &DataPlane| matches!(carrier, DataPlane::IstioProxy | DataPlane::Envoy);
    let has_envoy = carriers.iter().any(is_envoy) || plane.kinds.is_empty();
    let has_grpc = carriers.contains(&DataPlane::Grpc);
    let subject = plane.subject(&policy.meta.namespace, &policy.meta.name);
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let paths = lists(rule).into_iter();
        for list in paths.filter(|list| matches!(list.place, Place::Operation("paths"))) {
            for (at, value) in list.values.iter().enumerate() {
                let of_envoy = refusal(value).filter(|_| has_envoy).map(|why| {
                    let help = "begin the path with one `/`, and write no two of them together";
                    (format!("{why}; an Envoy refuses the listener"), help)
                });
                let of_grpc = || {
                    let is_taken = !has_grpc || !is_template(value);
                    let why = "a gRPC server without a proxy takes no path template; it refuses the listener";
                    let help = "write the paths out there, or begin them alike and end with `*`";
                    (!is_taken).then(|| (why.to_owned(), help))
                };
                let Some((why, help)) = of_envoy.or_else(of_grpc) else { continue };
                let message =
                    format!("`{value}`: {why}, and goes on with the policies that it had before");
                let field = format!("{}[{at}]", list.path(index));
                found.push(subject.error("HZ-AUTHZ-PATH-REFUSED", &field, (message, help)));
            }
        }
    }
}

/// Whether a field of a rule has a template that the data plane refuses: what is proved of such a rule is no
/// news beside that.
pub(super) fn is_refused(rule: &CompiledRule, field: &Field) -> bool {
    rule.omissions.iter().any(|omission| {
        let Field { place, is_negated, values } = &omission.field;
        refuses_listener(omission)
            && (place, is_negated) == (&field.place, &field.is_negated)
            && values.iter().any(|value| field.values.contains(value))
    })
}

/// Whether the data plane refuses what it gets because of a value.
pub(super) fn refuses_listener(omission: &Omission) -> bool {
    matches!(omission.why, Unusable::Template | Unusable::UntakenTemplate)
}
