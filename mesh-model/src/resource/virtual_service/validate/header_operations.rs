//! Header changes.
use super::super::{HeaderOperations, Headers, Rewrite};
use crate::resource::validate::{Verdict, Violations, header};

/// Checks the changes of requests and answers, if any are given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateHTTPRoute`.
pub(super) fn check(violations: &mut Violations, headers: Option<&Headers>) {
    let Some(headers) = headers else { return };
    violations.field("headers", |violations| {
        let sides = [
            ("request", &headers.request, header::set_in_request as fn(&str) -> Verdict),
            ("response", &headers.response, header::changed),
        ];
        for (name, operations, is_settable) in sides {
            let Some(operations) = operations else { continue };
            violations.field(name, |violations| side(violations, operations, is_settable));
        }
    });
}

fn side(
    violations: &mut Violations,
    operations: &HeaderOperations,
    is_settable: fn(&str) -> Verdict,
) {
    for (name, values) in [("add", &operations.add), ("set", &operations.set)] {
        violations.field(name, |violations| {
            violations.entries(values, |violations, name, value| {
                violations.take(is_settable(name));
                violations.take(header::value(value));
            });
        });
    }
    violations.field("remove", |violations| {
        violations.each(&operations.remove, |violations, name| {
            violations.take(header::changed(name));
        });
    });
}

/// Checks that the host is replaced in one way only.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateAuthorityRewrite`.
pub(super) fn authority(
    violations: &mut Violations,
    rewrite: Option<&Rewrite>,
    headers: Option<&Headers>,
) {
    let request = headers.and_then(|headers| headers.request.as_ref());
    let by_rewrite = usize::from(rewrite.is_some_and(|rewrite| !rewrite.authority.is_empty()));
    let (mut count, mut is_twice) = (by_rewrite, false);
    for values in request.into_iter().flat_map(|request| [&request.set, &request.add]) {
        let of_host = values.iter().filter(|(name, _)| header::is_authority(name));
        let (empty, given): (Vec<_>, Vec<_>) = of_host.partition(|(_, value)| value.is_empty());
        // An empty value replaces nothing, unless it comes after one that does.
        is_twice |= count > 0 && !empty.is_empty();
        count += given.len();
    }
    if is_twice || count > 1 {
        let message = "the host is replaced more than once";
        let help = "keep `rewrite.authority` or one header";
        violations.error("AUTHORITY-TWICE", message, help);
    }
}
