//! What happens to requests and answers on the way.
use super::super::{CorsPolicy, RegexRewrite, Retry, Rewrite, StringMatch};
use super::matching;
use crate::manifest::decode::clip;
use crate::resource::validate::{Verdict, Violations, Wrong, duration, header, re2};

/// Conditions of Envoy, of HTTP and of gRPC.
const RETRY_ON: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "envoy-ratelimited",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// Methods of cross-origin requests.
const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];

/// Checks retries of a route or of the mesh, if they are given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/agent/validation.go` `ValidateHTTPRetry`.
pub(in crate::resource) fn retry(violations: &mut Violations, name: &str, retries: Option<&Retry>) {
    let Some(retries) = retries else { return };
    violations.field(name, |violations| {
        if retries.attempts < 0 {
            let message = format!("`{}` attempts are fewer than none", retries.attempts);
            violations.error_at("attempts", "RETRY-ATTEMPTS", &message, "write 0 or more");
        }
        let has_settings = retries.per_try_timeout.is_some()
            || !retries.retry_on.is_empty()
            || retries.retry_remote_localities.is_some();
        if retries.attempts == 0 && has_settings {
            let message = "there are settings for retries and no attempts";
            let help = "set `attempts`, or remove the others";
            violations.error_at("attempts", "RETRY-DISABLED-WITH-SETTINGS", message, help);
        }
        duration::check(violations, "perTryTimeout", retries.per_try_timeout);
        if !retries.retry_on.is_empty() {
            violations.field("retryOn", |violations| {
                for condition in retries.retry_on.split(',') {
                    violations.take(retry_on(condition));
                }
            });
        }
        duration::check(violations, "backoff", retries.backoff);
    });
}

fn retry_on(condition: &str) -> Verdict {
    let is_status = condition.parse().is_ok_and(is_registered_status);
    if is_status || RETRY_ON.contains(&condition) {
        return Ok(());
    }
    let message = format!("`{}` is not a condition of retries", clip(condition));
    let help = "write names such as `5xx,connect-failure` or statuses, without blanks";
    Err(Wrong::new("RETRY-ON", message, help))
}

/// Whether Go has a text for a status of HTTP.
///
/// # Upstream
///
/// Go `net/http.StatusText`.
fn is_registered_status(status: i64) -> bool {
    matches!(
        status,
        100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307
            | 308
            | 400..=418
            | 421..=426
            | 428
            | 429
            | 431
            | 451
            | 500..=508
            | 510
            | 511
    )
}

/// Checks what changes before a request is forwarded, to the first thing that is wrong.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPRewrite`.
pub(super) fn rewrite(violations: &mut Violations, rewrite: Option<&Rewrite>) {
    let Some(rewrite) = rewrite else { return };
    violations.field("rewrite", |violations| {
        let regex = rewrite.uri_regex_rewrite.as_ref();
        let nothing = rewrite.uri.is_empty() && rewrite.authority.is_empty() && regex.is_none();
        if !rewrite.uri.is_empty() && regex.is_some() {
            let message = "`uri` and `uriRegexRewrite` exclude each other";
            violations.error("REWRITE-INVALID", message, "keep one of them");
        } else if nothing {
            let message = "the block changes nothing";
            let help = "add `uri`, `uriRegexRewrite` or `authority`";
            violations.error("REWRITE-INVALID", message, help);
        } else if let Some(regex) = regex {
            violations.take_at("uriRegexRewrite", substitution(regex));
        }
    });
}

fn substitution(regex: &RegexRewrite) -> Verdict {
    if regex.pattern.is_empty() || regex.rewrite.is_empty() {
        let message = "a substitution has two parts";
        return Err(Wrong::new("REWRITE-INVALID", message, "add both `match` and `rewrite`"));
    }
    re2::check(&regex.pattern)
}

/// Checks cross-origin rules, if they are given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateCORSPolicy`.
pub(super) fn cors(violations: &mut Violations, policy: Option<&CorsPolicy>) {
    let Some(policy) = policy else { return };
    violations.field("corsPolicy", |violations| {
        violations.field("allowOrigins", |violations| {
            violations.each(&policy.allow_origins, |violations, origin| {
                violations.take(allowed_origin(origin));
            });
        });
        violations.field("allowMethods", |violations| {
            violations.each(&policy.allow_methods, |violations, method| {
                if !METHODS.contains(&&**method) {
                    let message = format!("`{}` is not a method", clip(method));
                    violations.error("CORS-METHOD", &message, "write it in capitals, or `*`");
                }
            });
        });
        let headers =
            [("allowHeaders", &policy.allow_headers), ("exposeHeaders", &policy.expose_headers)];
        for (name, list) in headers {
            violations.field(name, |violations| {
                violations.each(list, |violations, name| violations.take(header::token(name)));
            });
        }
        duration::check(violations, "maxAge", policy.max_age);
        if policy.max_age.is_some_and(|age| age.subsec_nanos() > 0) {
            let message = "the age is not a whole number of seconds";
            violations.error_at("maxAge", "CORS-MAXAGE", message, "round it to seconds");
        }
    });
}

fn allowed_origin(origin: &StringMatch) -> Verdict {
    let is_empty = match origin {
        StringMatch::Present => true,
        StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => {
            text.is_empty()
        }
    };
    if is_empty {
        let message = "the origin says nothing";
        return Err(Wrong::new("CORS-ORIGIN", message, "add `exact`, `prefix` or `regex`"));
    }
    matching::regex(origin)
}
