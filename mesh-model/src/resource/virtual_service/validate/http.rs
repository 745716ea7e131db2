//! Routes of HTTP requests.
use super::super::{HttpRoute, MirrorPolicy};
use super::destination::{self, Weighted};
use super::{fault, header_operations, matching, modifier, redirect};
use crate::resource::validate::{Violations, duration};

/// Which part of a chain of delegation a route is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// Of an object with hosts.
    Root,
    /// Of an object without hosts, which others delegate to.
    Delegate,
}

/// Checks a route.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateHTTPRoute`.
pub(super) fn check(violations: &mut Violations, route: &HttpRoute, part: Part) {
    conflicts(violations, route, part);
    matching::http(violations, &route.matches);
    header_operations::check(violations, route.headers.as_ref());
    modifier::cors(violations, route.cors_policy.as_ref());
    fault::check(violations, route.fault.as_ref());
    mirrors(violations, route);
    redirect::check(violations, route);
    redirect::direct_response(violations, route.direct_response.as_ref());
    modifier::retry(violations, "retries", route.retries.as_ref());
    modifier::rewrite(violations, route.rewrite.as_ref());
    header_operations::authority(violations, route.rewrite.as_ref(), route.headers.as_ref());
    let destinations: Vec<Weighted<'_>> = route
        .route
        .iter()
        .map(|entry| Weighted {
            destination: entry.destination.as_ref(),
            weight: entry.weight,
            headers: entry.headers.as_ref(),
        })
        .collect();
    destination::weighted(violations, &destinations);
    duration::check(violations, "timeout", route.timeout);
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateHTTPRouteConflict`.
fn conflicts(violations: &mut Violations, route: &HttpRoute, part: Part) {
    if route.delegate.is_some() {
        match part {
            Part::Root => return delegation(violations, route),
            Part::Delegate => {
                let message = "a delegate cannot delegate";
                let help = "name the destination";
                violations.error_at("delegate", "ROUTE-NESTED-DELEGATE", message, help);
            }
        }
    }
    let has_redirect = route.redirect.is_some();
    let (answer, others) = if has_redirect {
        ("redirect", route.direct_response.is_some())
    } else {
        ("directResponse", false)
    };
    if has_redirect || route.direct_response.is_some() {
        let given = [
            ("route", !route.route.is_empty()),
            ("fault", route.fault.is_some()),
            ("rewrite", route.rewrite.is_some()),
            ("directResponse", others),
        ];
        for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{name}` and `{answer}` exclude each other");
            violations.error_at(name, "ROUTE-CONFLICT", &message, "keep one of them");
        }
    } else if route.route.is_empty() {
        let message = "the route does not say what happens to requests";
        let help = "add `route`, `redirect` or `directResponse`";
        violations.error("ROUTE-REQUIRED", message, help);
    }
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        let message = "`mirror` and `mirrors` exclude each other";
        violations.error_at("mirror", "ROUTE-CONFLICT", message, "move it into `mirrors`");
    }
}

/// A route that delegates leaves the destination to the delegate.
fn delegation(violations: &mut Violations, route: &HttpRoute) {
    let given = [("redirect", route.redirect.is_some()), ("route", !route.route.is_empty())];
    for (name, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        let message = format!("a route that delegates has no `{name}` of its own");
        violations.error_at(name, "ROUTE-ROOT-CONFLICT", &message, "move it to the delegate");
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateHTTPRoute`; `validation.go`
/// `validateHTTPMirrors`.
fn mirrors(violations: &mut Violations, route: &HttpRoute) {
    if let Some(percent) = route.mirror_percent {
        violations.field("mirrorPercent", |violations| {
            share(violations, percent.into());
            let help = "use `mirrorPercentage`";
            violations.warning("MIRROR-PERCENT-DEPRECATED", "`mirrorPercent` is deprecated", help);
        });
    }
    if let Some(percentage) = &route.mirror_percentage {
        violations
            .field("mirrorPercentage.value", |violations| share(violations, percentage.value));
    }
    if let Some(mirror) = &route.mirror {
        violations.field("mirror", |violations| destination::check(violations, mirror));
    }
    violations.field("mirrors", |violations| {
        violations.each(&route.mirrors, |violations, policy: &MirrorPolicy| {
            destination::required(violations, policy.destination.as_ref());
            if let (Some(_), Some(percentage)) = (&policy.destination, &policy.percentage) {
                violations
                    .field("percentage.value", |violations| share(violations, percentage.value));
            }
        });
    });
}

fn share(violations: &mut Violations, percent: f64) {
    if !(0.0..=100.0).contains(&percent) {
        let message = format!("`{percent}` is not a percentage");
        violations.error("MIRROR-PERCENT", &message, "write a number of 0 to 100");
    }
}
