//! Answers that the proxy makes: redirects and fixed ones.
use super::super::{DirectResponse, HttpBody, HttpRoute, Redirect, RedirectPort, StringMatch};
use super::fault::http_status;
use crate::manifest::decode::clip;
use crate::resource::validate::{Verdict, Violations, Wrong, port};

/// Sizes of a body, in bytes: the largest, and that from which it is a burden.
const LARGEST: usize = 1 << 20;
const LARGE: usize = 100 << 10;

/// Checks the redirect of a route, if it has one, to the first thing that is wrong.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPRedirect`.
pub(super) fn check(violations: &mut Violations, route: &HttpRoute) {
    if let Some(redirect) = &route.redirect {
        violations.take_at("redirect", verdict(redirect, route));
    }
}

fn verdict(redirect: &Redirect, route: &HttpRoute) -> Verdict {
    let wrong = |message: String, help| Err(Wrong::new("REDIRECT-INVALID", message, help));
    if !redirect.uri.is_empty() && !redirect.prefix_rewrite.is_empty() {
        let message = "`uri` and `prefixRewrite` exclude each other";
        return wrong(message.to_owned(), "keep one of them");
    }
    let mut paths = route.matches.iter().filter_map(|condition| condition.uri.as_ref());
    let has_other = paths.any(|path| !matches!(path, StringMatch::Prefix(_)));
    if !redirect.prefix_rewrite.is_empty() && has_other {
        let message = "a prefix is replaced where the path is not matched by prefix";
        return wrong(message.to_owned(), "match by `uri.prefix`");
    }
    let texts = [&redirect.uri, &redirect.prefix_rewrite, &redirect.authority, &redirect.scheme];
    if texts.iter().all(|text| text.is_empty()) && redirect.port.is_none() {
        let message = "the redirect leads to where the request was";
        return wrong(message.to_owned(), "add `uri`, `authority`, `scheme` or `port`");
    }
    if redirect.redirect_code != 0 && !(300..=399).contains(&redirect.redirect_code) {
        let message = format!("`{}` is not the status of a redirect", redirect.redirect_code);
        return wrong(message, "write a number of 300 to 399");
    }
    if !matches!(&*redirect.scheme, "" | "http" | "https") {
        let message = format!("`{}` is not a scheme", clip(&redirect.scheme));
        return wrong(message, "write `http` or `https`");
    }
    match redirect.port {
        Some(RedirectPort::Port(number)) if number > 0 => port::number(number),
        Some(RedirectPort::Port(_) | RedirectPort::DerivePort(_)) | None => Ok(()),
    }
}

/// Checks a fixed answer, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateHTTPDirectResponse`.
pub(super) fn direct_response(violations: &mut Violations, response: Option<&DirectResponse>) {
    let Some(response) = response else { return };
    violations.field("directResponse", |violations| {
        let size = match &response.body {
            Some(HttpBody::String(text)) => text.len(),
            Some(HttpBody::Bytes(bytes)) => bytes.len(),
            None => 0,
        };
        let message = format!("the body has {size} bytes");
        if size > LARGEST {
            let help = "keep it below 1 MB";
            violations.error_at("body", "DIRECT-RESPONSE-SIZE", &message, help);
        } else if size > LARGE {
            let help = "every proxy gets it; keep it below 100 kB";
            violations.warning_at("body", "DIRECT-RESPONSE-SIZE", &message, help);
        }
        violations.take_at("status", http_status(i64::from(response.status)));
    });
}
