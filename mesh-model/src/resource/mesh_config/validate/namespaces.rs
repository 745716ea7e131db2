//! Settings of the mesh that name or select namespaces.
use super::{MeshConfig, Violations};
use crate::manifest::decode::clip;
use crate::name::is_dns_label;
use crate::resource::validate::label;
use crate::resource::{LabelSelector, LabelSelectorRequirement};

/// Checks which namespaces the control plane reads.
///
/// Upstream keeps the selectors that it had if one is illegal; as it starts it has none, and reads every
/// namespace.
///
/// # Upstream
///
/// istio/istio `pkg/kube/namespace/filter.go` `selectorsChanged`, `LabelSelectorAsSelector`.
pub(super) fn selectors(violations: &mut Violations, selectors: &[LabelSelector]) {
    violations.field("discoverySelectors", |violations| {
        violations.each(selectors, selector);
    });
}

fn selector(violations: &mut Violations, selector: &LabelSelector) {
    violations.field("matchLabels", |violations| {
        for (key, value) in selector.match_labels.iter() {
            violations.field(key, |violations| {
                check_key(violations, key);
                check_value(violations, value);
            });
        }
    });
    violations.field("matchExpressions", |violations| {
        violations.each(&selector.match_expressions, requirement);
    });
}

/// # Upstream
///
/// kubernetes/apimachinery `pkg/labels/selector.go` `NewRequirement`.
fn requirement(violations: &mut Violations, requirement: &LabelSelectorRequirement) {
    violations.field("key", |violations| check_key(violations, &requirement.key));
    let has_values = !requirement.values.is_empty();
    match &*requirement.operator {
        "In" | "NotIn" if !has_values => {
            wrong(violations, "values", "`In` and `NotIn` need values");
        }
        "Exists" | "DoesNotExist" if has_values => {
            wrong(violations, "values", "`Exists` and `DoesNotExist` have no values");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            let message = format!("`{}` is not an operator", clip(other));
            wrong(violations, "operator", &message);
        }
    }
    violations.field("values", |violations| {
        violations.each(&requirement.values, |violations, value| check_value(violations, value));
    });
}

fn check_key(violations: &mut Violations, key: &str) {
    if !label::is_qualified(key) {
        let message = format!("`{}` is not the key of a label", clip(key));
        wrong(violations, "", &message);
    }
}

fn check_value(violations: &mut Violations, value: &str) {
    if !label::is_value(value) {
        let message = format!("`{}` is not the value of a label", clip(value));
        wrong(violations, "", &message);
    }
}

fn wrong(violations: &mut Violations, name: &str, message: &str) {
    let message = format!("{message}: istiod drops all selectors and reads every namespace");
    let help = "write a selector as Kubernetes takes it";
    match name {
        "" => violations.error("MC-DISCOVERY-SELECTOR", &message, help),
        name => violations.error_at(name, "MC-DISCOVERY-SELECTOR", &message, help),
    }
}

/// Tells of names that no namespace has, and warns of lists of them that contradict themselves.
///
/// istiod takes any root namespace. One that cannot be is an error all the same: policies for the whole mesh
/// lie in another, and nobody can tell in which. None at all is taken at its word.
pub(super) fn names(violations: &mut Violations, config: &MeshConfig) {
    let help = "write a name of small letters, digits and `-`";
    if config.root_namespace.is_empty() {
        let message = "there is no root namespace: nothing holds for the whole mesh";
        violations.warning_at("rootNamespace", "MC-ROOT-NAMESPACE", message, help);
    } else if !is_dns_label(&config.root_namespace) {
        let message = format!(
            "`{}` is not the name of a namespace: which policies hold for the whole mesh cannot be told",
            clip(&config.root_namespace)
        );
        violations.error_at("rootNamespace", "MC-ROOT-NAMESPACE", &message, help);
    }
    for (name, list) in [
        ("defaultServiceExportTo", &config.default_service_export_to),
        ("defaultVirtualServiceExportTo", &config.default_virtual_service_export_to),
        ("defaultDestinationRuleExportTo", &config.default_destination_rule_export_to),
    ] {
        violations.field(name, |violations| export_to(violations, list));
    }
}

fn export_to(violations: &mut Violations, list: &[Box<str>]) {
    violations.each(list, |violations, entry| {
        if !matches!(&**entry, "." | "*" | "~") && !is_dns_label(entry) {
            let message = format!("`{}` is not a namespace", clip(entry));
            let help = "write `.`, `*`, `~` or the name of a namespace";
            violations.warning("MC-EXPORT-TO", &message, help);
        }
    });
    if list.len() > 1 && list.iter().any(|entry| matches!(&**entry, "*" | "~")) {
        let message = "`*` and `~` leave nothing for other entries";
        violations.warning("MC-EXPORT-TO", message, "keep one of them alone");
    }
}
