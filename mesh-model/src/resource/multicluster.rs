//! Services that are offered to other clusters, and those that come from them.
use std::net::IpAddr;

use super::Meta;
use super::service::Transport;
use crate::manifest::decode::{choice, message};

message! {
    /// `multicluster.x-k8s.io` `ServiceExport`: the service of this name is offered to other clusters.
    pub struct ServiceExport ignoring unknown {
        /// Name, namespace.
        meta: Meta = (elsewhere),
    }
}

message! {
    /// `multicluster.x-k8s.io` `ServiceImport`: a service of the cluster set.
    ///
    /// # Upstream
    ///
    /// kubernetes-sigs/mcs-api `pkg/apis/v1alpha1/serviceimport.go`.
    pub struct ServiceImport ignoring unknown {
        /// Name, namespace, labels.
        meta: Meta = (elsewhere),
        /// What is imported.
        spec: ServiceImportSpec = "spec",
    }
}

message! {
    /// The fields of a [`ServiceImport`] that the mesh reads.
    pub struct ServiceImportSpec ignoring unknown {
        /// How it is reached.
        kind: ServiceImportType = "type",
        /// The virtual addresses in the importing cluster.
        ips: Box<[IpAddr]> = "ips",
        /// The ports.
        ports: Box<[ServiceImportPort]> = "ports",
    }
}

choice! {
    /// How an imported service is reached.
    pub enum ServiceImportType default ClusterSetIp {
        /// By a virtual address.
        ClusterSetIp = "ClusterSetIP",
        /// By the addresses of its pods.
        Headless = "Headless",
    }
}

message! {
    /// A port of a [`ServiceImport`].
    pub struct ServiceImportPort ignoring unknown {
        /// The name.
        name: Box<str> = "name",
        /// The number.
        port: u32 = "port",
        /// The transport.
        protocol: Transport = "protocol",
        /// The protocol, where it is declared.
        app_protocol: Option<Box<str>> = "appProtocol",
    }
}
