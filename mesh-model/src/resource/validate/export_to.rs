//! Who may see an object: `exportTo`.
use std::collections::BTreeSet;

use super::{Violations, label};
use crate::manifest::decode::clip;

/// What kind of object the list is of, where that matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Of {
    /// A ServiceEntry, which may be exported to nobody (`~`).
    ServiceEntry,
    /// A DestinationRule for some client workloads, which are of its own namespace.
    SelectingRule,
    /// Any other.
    Other,
}

/// Checks the list of an object of a namespace.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateExportTo`;
/// `pkg/config/visibility/visibility.go` `Validate`.
pub(crate) fn check(violations: &mut Violations, namespace: &str, list: &[Box<str>], of: Of) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    violations.field("exportTo", |violations| {
        violations.each(list, |violations, entry| {
            let name = if **entry == *"." { namespace } else { entry };
            if seen.contains(name) {
                let message = format!("`{}` is in the list twice", clip(entry));
                violations.error("EXPORT-DUP", &message, "`.` is the object's own namespace");
            } else if name == "*" || label::is_dns(name) || (of, name) == (Of::ServiceEntry, "~") {
                seen.insert(name);
            } else {
                let message = format!("`{}` is not a namespace", clip(name));
                let help = match name {
                    "~" => "only services can be exported to nobody",
                    _ => "write `.`, `*` or the name of a namespace",
                };
                violations.error("EXPORT-VALUE", &message, help);
            }
        });
        let is_own = seen.len() == 1 && seen.contains(namespace);
        if of == Of::SelectingRule && !seen.is_empty() && !is_own {
            let message = "a rule for some workloads is seen in its own namespace only";
            violations.error("EXPORT-SELECTOR", message, "write `.`");
        }
        if seen.contains("*") && list.len() > 1 {
            let message = "`*` stands for every namespace and leaves nothing for other entries";
            violations.error("EXPORT-PUBLIC-MIX", message, "keep `*` or the others");
        }
        if seen.contains("~") && list.len() > 1 {
            let message = "`~` stands for nobody and cannot have other entries beside it";
            violations.error("EXPORT-NONE-MIX", message, "keep `~` or the others");
        }
    });
}
