//! References to Gateways: `NAMESPACE/NAME` or `NAME`.
use super::{Violations, host, label};
use crate::manifest::decode::clip;

/// Checks the references of a VirtualService or of one of its conditions.
///
/// The first reference without a `/` is looked at as a host name, and those after it not at all.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateGatewayNames`.
pub(crate) fn check(violations: &mut Violations, references: &[Box<str>]) {
    let unqualified = references.iter().position(|reference| !reference.contains('/'));
    let count = unqualified.map_or(references.len(), |index| index + 1);
    violations.field("gateways", |violations| {
        violations.each(references.iter().take(count), |violations, reference| {
            match reference.split_once('/') {
                Some((namespace, name)) => qualified(violations, namespace, name),
                None => bare(violations, reference),
            }
        });
    });
}

fn bare(violations: &mut Violations, reference: &str) {
    if let Some((name, rest)) = reference.split_once('.') {
        let namespace = rest.split('.').next().unwrap_or_default();
        let message = format!("`{}` is the old form of a reference", clip(reference));
        let help = format!("write `{}/{}`", clip(namespace), clip(name));
        violations.warning("GWREF-LEGACY", &message, &help);
    }
    violations.take(host::fqdn(reference));
}

fn qualified(violations: &mut Violations, namespace: &str, name: &str) {
    if namespace.is_empty() || name.is_empty() {
        let message = "a part of the reference is empty";
        violations.error("GWREF-EMPTY", message, "write `NAMESPACE/NAME`");
    }
    if !label::is_dns(namespace) {
        let message = format!("`{}` is not a namespace", clip(namespace));
        violations.error("GWREF-NAMESPACE", &message, "name the namespace of the Gateway");
    }
    if !label::is_dns(name) {
        let message = format!("`{}` is not the name of a Gateway", clip(name));
        violations.error("GWREF-NAME", &message, "name a Gateway");
    }
}
