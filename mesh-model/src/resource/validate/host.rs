//! Host names.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go`.
use super::{Verdict, Violations, Wrong, address, label};
use crate::manifest::decode::clip;

const HELP: &str = "write a host name such as `cart.shop.svc.cluster.local`";

/// Checks a host name without wildcard; one dot may end it.
///
/// # Upstream
///
/// `ValidateFQDN`.
pub(crate) fn fqdn(name: &str) -> Verdict {
    length(name)?;
    labels(name)
}

/// Checks a host name that a `*` may begin.
///
/// # Upstream
///
/// `ValidateWildcardDomain`.
pub(crate) fn wildcard_domain(name: &str) -> Verdict {
    length(name)?;
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    if !label::is_wildcard(first) {
        return Err(illegal_label(name, first));
    }
    rest.map_or(Ok(()), labels)
}

/// Checks a host name as [`wildcard_domain`], or the server name `outbound_.PORT_.SUBSET_.HOST` that an
/// east-west gateway passes on.
///
/// # Upstream
///
/// `ValidateWildcardDomainForVirtualServiceBoundToGateway`.
pub(crate) fn sni_domain(name: &str) -> Verdict {
    length(name)?;
    if !name.starts_with("outbound_") {
        return wildcard_domain(name);
    }
    let parts: Vec<&str> = name.split('_').map(|part| part.trim_matches('.')).collect();
    let has_port = parts.get(1).is_some_and(|part| part.bytes().any(|b| b.is_ascii_digit()));
    let has_host = parts.get(3).is_some_and(|part| part.bytes().any(|b| b.is_ascii_alphabetic()));
    if has_port && has_host {
        return Ok(());
    }
    let message = format!("`{}` is not the server name of a cluster", clip(name));
    Err(Wrong::new("HOST-SNI-FORMAT", message, "write it as `outbound_.PORT_.SUBSET_.HOST`"))
}

/// Returns whether a `*` stands elsewhere than alone or before the first dot.
///
/// # Upstream
///
/// `ValidatePartialWildCard`.
pub(crate) fn is_partial_wildcard(name: &str) -> bool {
    name.contains('*') && name.len() != 1 && !name.starts_with("*.")
}

/// Who writes a host with a namespace before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// A Gateway: `[NAMESPACE/]HOST`, the host may be an address.
    Gateway,
    /// A Sidecar: `NAMESPACE/HOST`.
    Sidecar,
}

/// Checks a host with a namespace before it.
///
/// # Upstream
///
/// `ValidateNamespaceSlashWildcardHostname`, `validateSidecarOrGatewayHostnamePart`.
pub(crate) fn namespaced(violations: &mut Violations, text: &str, owner: Owner) {
    let Some((namespace, host)) = text.split_once('/') else {
        match owner {
            Owner::Gateway => visible(violations, text, owner),
            Owner::Sidecar => {
                let message = format!("`{}` has no namespace", clip(text));
                violations.error("HOST-NS-FORM", &message, "write `NAMESPACE/HOST` or `./HOST`");
            }
        }
        return;
    };
    if namespace.is_empty() || host.is_empty() {
        let message = format!("a part of `{}` is empty", clip(text));
        violations.error("HOST-NS-EMPTY", &message, "write `NAMESPACE/HOST`");
    }
    let name = match owner {
        Owner::Gateway => namespace,
        Owner::Sidecar => namespace.strip_prefix('~').unwrap_or(namespace),
    };
    let is_nothing = owner == Owner::Sidecar && name.is_empty();
    if !is_nothing && !matches!(name, "*" | ".") && !label::is_dns(name) {
        let message = format!("`{}` is not a namespace", clip(namespace));
        violations.error("HOST-NS-VALUE", &message, "write a name, `.` or `*`");
    }
    visible(violations, host, owner);
}

/// Checks the host itself.
fn visible(violations: &mut Violations, host: &str, owner: Owner) {
    if host != "*" && !host.contains('.') {
        let message = format!("`{}` is a short name, which is not completed here", clip(host));
        violations.error("HOST-SHORT-NAME", &message, HELP);
    }
    if owner == Owner::Sidecar || !address::is_ip(host) {
        violations.take(wildcard_domain(host));
    }
    if is_partial_wildcard(host) {
        violations.take(Err(partial_wildcard(host)));
    }
}

/// The rule that a partial wildcard breaks.
pub(crate) fn partial_wildcard(host: &str) -> Wrong {
    let message = format!("`{}` has a wildcard that is not a whole label", clip(host));
    Wrong::new("HOST-PARTIAL-WILDCARD", message, "write `*` or `*.` and the rest of the name")
}

fn length(name: &str) -> Verdict {
    if name.is_empty() {
        return Err(Wrong::new("HOST-EMPTY", "the host is empty", HELP));
    }
    if name.len() > 255 {
        let message = "the host has more than 255 characters";
        return Err(Wrong::new("HOST-LENGTH", message, "shorten it"));
    }
    Ok(())
}

/// Checks the labels of a name, of which the last may be empty but not a number.
fn labels(name: &str) -> Verdict {
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.parse::<i64>().is_ok() {
        let message = format!("the last label of `{}` is a number", clip(name));
        return Err(Wrong::new("HOST-NUMERIC-TLD", message, "an address is no host name"));
    }
    let body = name.strip_suffix('.').unwrap_or(name);
    if body.is_empty() {
        // What is left of `.`; `*.` has no labels at all.
        return if name == "." { Err(illegal_label(name, "")) } else { Ok(()) };
    }
    match body.split('.').find(|part| !label::is_dns(part)) {
        Some(part) => Err(illegal_label(name, part)),
        None => Ok(()),
    }
}

fn illegal_label(name: &str, part: &str) -> Wrong {
    let message = format!("`{}` of host `{}` is not a label", clip(part), clip(name));
    Wrong::new("HOST-LABEL", message, "use letters, digits and inner dashes, at most 63")
}
