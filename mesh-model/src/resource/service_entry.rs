//! A host that Kubernetes does not know.
mod validate;

use super::Meta;
use super::selector::WorkloadLabels;
use super::workload_entry::WorkloadEntrySpec;
use crate::manifest::decode::{choice, message};

message! {
    /// `networking.istio.io` `ServiceEntry`.
    ///
    /// # Upstream
    ///
    /// istio/api `networking/v1alpha3/service_entry.proto`.
    pub struct ServiceEntry ignoring unknown {
        /// Name, namespace, age.
        meta: Meta = (elsewhere),
        /// What the object says.
        spec: ServiceEntrySpec = "spec",
        /// What the control plane made of it.
        status: ServiceEntryStatus = "status",
    }
}

message! {
    /// The fields of a [`ServiceEntry`].
    pub struct ServiceEntrySpec {
        /// The hosts; `*.` may begin them.
        hosts: Vec<Box<str>> = "hosts",
        /// Virtual addresses or ranges; empty: allocated automatically, or none.
        addresses: Vec<Box<str>> = "addresses",
        /// The ports.
        ports: Vec<ServiceEntryPort> = "ports",
        /// Whether the endpoints are of the mesh.
        location: Location = "location",
        /// How the endpoints are found.
        resolution: Resolution = "resolution",
        /// The endpoints; empty with a DNS resolution: the hosts themselves.
        endpoints: Vec<WorkloadEntrySpec> = "endpoints",
        /// Pods and WorkloadEntries of the namespace that are the endpoints.
        workload_selector: Option<WorkloadLabels> = "workloadSelector" | "workload_selector",
        /// Namespaces that see the host: `.`, `*`, `~` or names; empty: the mesh's default.
        export_to: Vec<Box<str>> = "exportTo" | "export_to",
        /// Names of which the server's certificate must have one; empty: not checked.
        subject_alt_names: Vec<Box<str>> = "subjectAltNames" | "subject_alt_names",
    }
}

message! {
    /// A port of a [`ServiceEntry`].
    pub struct ServiceEntryPort {
        /// The number.
        number: u32 = "number",
        /// The protocol; empty or unknown: detected. The name has no say.
        protocol: Box<str> = "protocol",
        /// The name.
        name: Box<str> = "name",
        /// The port of the endpoints; 0: the same number.
        target_port: u32 = "targetPort" | "target_port",
    }
}

choice! {
    /// Whether endpoints are of the mesh.
    pub enum Location default MeshExternal {
        /// No: they do not speak mutual TLS, and policies do not hold for them.
        MeshExternal = 0 | "MESH_EXTERNAL",
        /// Yes.
        MeshInternal = 1 | "MESH_INTERNAL",
    }
}

choice! {
    /// How endpoints are found.
    pub enum Resolution default None {
        /// They are the addresses that clients ask for.
        None = 0 | "NONE",
        /// They are listed or selected.
        Static = 1 | "STATIC",
        /// All addresses of a name.
        Dns = 2 | "DNS",
        /// One address of a name at a time.
        DnsRoundRobin = 3 | "DNS_ROUND_ROBIN",
        /// The address of the name that a request asks for.
        DynamicDns = 4 | "DYNAMIC_DNS",
    }
}

message! {
    /// The status of a [`ServiceEntry`].
    pub struct ServiceEntryStatus ignoring unknown {
        /// The addresses that were allocated automatically.
        addresses: Vec<ServiceEntryAddress> = "addresses",
    }
}

message! {
    /// An address that was allocated automatically.
    pub struct ServiceEntryAddress ignoring unknown {
        /// The address.
        value: Box<str> = "value",
        /// The host that it is for.
        host: Box<str> = "host",
    }
}
