//! Labels: those of host names, and the keys and values of Kubernetes.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/labels/instance.go`.
use super::Violations;
use crate::manifest::decode::clip;
use crate::name::Labels;

/// Returns whether a text is a label of a host name: 1 to 63 letters of either case, digits and inner
/// dashes.
///
/// # Upstream
///
/// `IsDNS1123Label`.
pub(crate) fn is_dns(text: &str) -> bool {
    text.len() <= 63 && is_dashed(text)
}

/// Returns whether a text is the name of an object of Kubernetes: at most 253 small letters, digits, inner
/// dashes, and dots between what is not empty.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/util/validation/validation.go` `IsDNS1123Subdomain`.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(is_dashed)
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Returns whether a text is a label of a host name, a `*`, or a label after `*` or `*-`.
///
/// # Upstream
///
/// `IsWildcardDNS1123Label`.
pub(crate) fn is_wildcard(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('*') else { return is_dns(text) };
    text.len() <= 63 && (rest.is_empty() || is_dashed(rest.strip_prefix('-').unwrap_or(rest)))
}

/// Checks the keys and values of a map of labels.
///
/// # Upstream
///
/// `Instance.Validate`.
pub(crate) fn check(violations: &mut Violations, labels: &Labels) {
    for (key, value) in labels.iter() {
        violations.field(key, |violations| {
            if !is_key(key) {
                let message = format!("`{}` is not the key of a label", clip(key));
                violations.error("LABEL-KEY", &message, "write `[PREFIX/]NAME`");
            }
            if !value.is_empty() && !is_name(value) {
                let message = format!("`{}` is not the value of a label", clip(value));
                let help = "use letters and digits, inside also `-`, `_` and `.`";
                violations.error("LABEL-VALUE", &message, help);
            }
        });
    }
}

/// `[PREFIX/]NAME`: a host name of at most 253 characters, a name of at most 63.
fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let has_prefix =
        prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dashed));
    has_prefix && name.len() <= 63 && is_name(name)
}

/// Returns whether a text is the key of a label for Kubernetes: `[PREFIX/]NAME`, the prefix in small letters.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/util/validation/validation.go` `IsQualifiedName`.
pub(crate) fn is_qualified(key: &str) -> bool {
    key.split_once('/').is_none_or(|(prefix, _)| is_subdomain(prefix)) && is_key(key)
}

/// Returns whether a text is the value of a label for Kubernetes.
///
/// # Upstream
///
/// kubernetes/apimachinery `pkg/util/validation/validation.go` `IsValidLabelValue`.
pub(crate) fn is_value(text: &str) -> bool {
    text.is_empty() || text.len() <= 63 && is_name(text)
}

/// Letters and digits, inside also `-`, `_` and `.`.
fn is_name(text: &str) -> bool {
    is_of(text, |byte| matches!(byte, b'-' | b'_' | b'.'))
}

/// Letters and digits, inside also `-`.
fn is_dashed(text: &str) -> bool {
    is_of(text, |byte| byte == b'-')
}

fn is_of(text: &str, is_inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || is_inner(*byte))
}
