//! What objects are attached to, and ports that they mean.
use crate::manifest::decode::message;
use crate::name::Labels;

message! {
    /// Which workloads a policy means (`istio/api type/v1beta1`); without labels all of its namespace.
    pub struct WorkloadSelector {
        /// The labels that a workload must have.
        match_labels: Labels = "matchLabels" | "match_labels",
    }
}

message! {
    /// Which workloads a Sidecar or ServiceEntry means (`istio/api networking/v1alpha3`).
    pub struct WorkloadLabels {
        /// The labels that a workload must have.
        labels: Labels = "labels",
    }
}

message! {
    /// Which objects a setting of the mesh means, in Kubernetes' full form; empty: all.
    pub struct LabelSelector {
        /// The labels that an object must have.
        match_labels: Labels = "matchLabels",
        /// Conditions that must all hold, beside the labels.
        match_expressions: Vec<LabelSelectorRequirement> = "matchExpressions",
    }
}

impl LabelSelector {
    /// Returns whether labels fulfil every requirement; one with an operator that does not exist is
    /// fulfilled by nothing.
    ///
    /// # Upstream
    ///
    /// kubernetes/apimachinery `pkg/apis/meta/v1/helpers.go` `LabelSelectorAsSelector`.
    pub fn selects(&self, labels: &Labels) -> bool {
        let fulfils = |requirement: &LabelSelectorRequirement| {
            let value = labels.get(&requirement.key);
            let listed =
                value.is_some_and(|value| requirement.values.iter().any(|v| **v == *value));
            match &*requirement.operator {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        };
        labels.contains(&self.match_labels) && self.match_expressions.iter().all(fulfils)
    }
}

message! {
    /// A condition on a label.
    pub struct LabelSelectorRequirement {
        /// The label.
        key: Box<str> = "key",
        /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
        operator: Box<str> = "operator",
        /// The values of `In` and `NotIn`.
        values: Vec<Box<str>> = "values",
    }
}

message! {
    /// A port by number.
    pub struct PortSelector {
        /// The number; validation refuses 0 and what is beyond 65535.
        number: u32 = "number",
    }
}

message! {
    /// An object that a policy is attached to.
    pub struct PolicyTargetReference {
        /// The API group, empty for core.
        group: Box<str> = "group",
        /// The kind.
        kind: Box<str> = "kind",
        /// The name.
        name: Box<str> = "name",
        /// The namespace; only the policy's own is allowed, so it stays empty.
        namespace: Box<str> = "namespace",
    }
}
