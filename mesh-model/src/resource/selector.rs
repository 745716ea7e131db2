//! What policies are attached to.
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
