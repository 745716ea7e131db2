//! An endpoint that is no pod, alone and as a template.
mod validate;

use std::collections::BTreeMap;

pub(in crate::resource) use self::validate::{Of, entry, named, ports, socket};
use super::Meta;
use super::readiness_probe::ReadinessProbe;
use crate::manifest::decode::message;
use crate::name::Labels;

message! {
    /// `networking.istio.io` `WorkloadEntry`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/workload_entry.proto`.
    pub struct WorkloadEntry ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: WorkloadEntrySpec = "spec",
        /// What is known of it.
        status: WorkloadEntryStatus = "status",
    }
}

message! {
    /// The status of a [`WorkloadEntry`].
    pub struct WorkloadEntryStatus ignoring unknown {
        /// What was found out, such as `Healthy`.
        conditions: Vec<WorkloadCondition> = "conditions",
    }
}

message! {
    /// Something that was found out about a [`WorkloadEntry`].
    pub struct WorkloadCondition ignoring unknown {
        /// What it is about.
        kind: Box<str> = "type",
        /// `True`, `False` or `Unknown`.
        status: Box<str> = "status",
    }
}

message! {
    /// An endpoint: of a [`WorkloadEntry`], a ServiceEntry or a [`WorkloadGroup`].
    pub struct WorkloadEntrySpec {
        /// An IP address, a host name, or `unix://PATH`; may be empty where `network` is given.
        address: Box<str> = "address",
        /// The port by the name of the service's port; absent: the service's target port, else its port.
        ports: BTreeMap<Box<str>, u32> = "ports",
        /// The labels, which selectors and subsets see.
        labels: Labels = "labels",
        /// The network, empty for that of everybody who asks.
        network: Box<str> = "network",
        /// The locality, `REGION/ZONE/SUBZONE`; empty: by label.
        locality: Box<str> = "locality",
        /// The share of traffic among the endpoints of its locality; 0: 1.
        weight: u32 = "weight",
        /// The service account, which says that it speaks mutual TLS; empty: none.
        service_account: Box<str> = "serviceAccount" | "service_account",
    }
}

message! {
    /// `networking.istio.io` `WorkloadGroup`: what registers itself becomes a [`WorkloadEntry`].
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/workload_group.proto`.
    pub struct WorkloadGroup ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: WorkloadGroupSpec = "spec",
    }
}

message! {
    /// The fields of a [`WorkloadGroup`].
    pub struct WorkloadGroupSpec {
        /// Metadata of the entries.
        metadata: Option<TemplateMeta> = "metadata",
        /// The rest of the entries; validation refuses a group without it.
        template: Option<WorkloadEntrySpec> = "template",
        /// How a machine finds out whether it takes traffic; absent: it always does.
        probe: Option<ReadinessProbe> = "probe",
    }
}

message! {
    /// Metadata of the entries of a [`WorkloadGroup`].
    pub struct TemplateMeta {
        /// The labels.
        labels: Labels = "labels",
        /// The annotations.
        annotations: Labels = "annotations",
    }
}
