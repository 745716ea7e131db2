//! Which requests a route means.
use super::super::{HttpMatchRequest, StringMatch};
use crate::manifest::decode::clip;
use crate::resource::validate::{
    Verdict, Violations, Wrong, gateway_ref, header, label, port, re2,
};

/// Names that stand for parts of a request.
const PSEUDO: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];

/// Checks the conditions of a route.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/virtualservice.go` `validateHTTPRouteMatchRequest`.
pub(super) fn http(violations: &mut Violations, conditions: &[HttpMatchRequest]) {
    violations.field("match", |violations| {
        violations.each(conditions, |violations, condition| {
            headers(violations, condition);
            let texts = [
                ("scheme", &condition.scheme),
                ("method", &condition.method),
                ("authority", &condition.authority),
            ];
            if let Some(uri) = &condition.uri {
                violations.take_at("uri", regex(uri));
            }
            for (name, text) in texts {
                if let Some(text) = text {
                    violations.take_at(name, string(text));
                }
            }
            violations.field("queryParams", |violations| {
                violations.entries(&condition.query_params, |violations, _, text| {
                    violations.take(text.as_ref().map_or(Ok(()), string));
                });
            });
            source(violations, condition);
        });
    });
}

fn headers(violations: &mut Violations, condition: &HttpMatchRequest) {
    violations.field("headers", |violations| {
        violations.entries(&condition.headers, |violations, name, text| {
            violations.take(header_name(name));
            match text {
                Some(text) => violations.take(string(text)),
                None => {
                    let message = "the condition on the header is `null`";
                    let help = "write `{}` to mean that the header is there";
                    violations.error("HEADER-NULL", message, help);
                }
            }
        });
    });
    violations.field("withoutHeaders", |violations| {
        violations.entries(&condition.without_headers, |violations, name, text| {
            violations.take(header_name(name));
            // `*` stands for any value.
            if !matches!(text, Some(StringMatch::Regex(regex)) if **regex == *"*") {
                violations.take(text.as_ref().map_or(Ok(()), string));
            }
        });
    });
}

fn source(violations: &mut Violations, condition: &HttpMatchRequest) {
    listener_port(violations, condition.port);
    violations.field("sourceLabels", |violations| {
        label::check(violations, &condition.source_labels);
    });
    gateway_ref::check(violations, &condition.gateways);
    let namespace = &*condition.source_namespace;
    if !namespace.is_empty() && !label::is_dns(namespace) {
        let message = format!("`{}` is not a namespace", clip(namespace));
        violations.error_at("sourceNamespace", "MATCH-NAMESPACE", &message, "name a namespace");
    }
}

/// Checks the port of a condition; 0 is any.
pub(super) fn listener_port(violations: &mut Violations, number: u32) {
    if number != 0 {
        violations.take_at("port", port::number(number));
    }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `ValidateHTTPHeaderNameOrJwtClaimRoute`.
fn header_name(name: &str) -> Verdict {
    if header::is_claim(name) || PSEUDO.contains(&name) { Ok(()) } else { header::token(name) }
}

/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateStringMatch`.
fn string(text: &StringMatch) -> Verdict {
    if matches!(text, StringMatch::Prefix(prefix) if prefix.is_empty()) {
        let message = "every text begins with the empty one";
        return Err(Wrong::new("MATCH-PREFIX-EMPTY", message, "write the beginning of the text"));
    }
    regex(text)
}

/// Checks a condition if it is an expression.
pub(super) fn regex(text: &StringMatch) -> Verdict {
    match text {
        StringMatch::Regex(expression) => re2::check(expression),
        StringMatch::Present | StringMatch::Exact(_) | StringMatch::Prefix(_) => Ok(()),
    }
}
