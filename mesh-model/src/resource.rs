//! What is asked: one file a kind, every field that the kind has.
//!
//! A resource is what its manifest says, typed; rules of validation look at it afterwards. Security
//! policies keep their values as text: what a data plane would drop is the compiler's to report.
//!
//! Of Istio's kinds every field is read; of Kubernetes' own kinds those that the mesh uses, and the
//! others are left out without a word. [`decode`] reads an object of any kind.
mod admit;
mod authorization_policy;
mod cluster_description;
pub mod destination_rule;
mod endpoint_slice;
pub mod gateway;
mod horizontal_pod_autoscaler;
mod json;
mod kind;
mod kubernetes_gateway;
pub mod mesh_config;
mod mesh_config_map;
pub mod mesh_networks;
mod meta;
mod multicluster;
mod namespace;
mod node;
mod object;
mod opaque;
mod peer_authentication;
mod pod;
mod port_target;
mod proxy_config;
mod proxy_entry;
pub mod readiness_probe;
mod request_authentication;
mod selector;
mod service;
pub mod service_entry;
pub mod sidecar;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
pub mod validate;
pub mod virtual_service;
mod workload_entry;

pub use self::admit::admit;
pub use self::authorization_policy::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Operation, Provider,
    Rule, Source, To,
};
pub(crate) use self::cluster_description::UNTOLD;
pub use self::cluster_description::{ClusterDescription, ClusterRole};
pub use self::destination_rule::DestinationRule;
pub use self::endpoint_slice::{
    AddressType, EndpointAddress, EndpointAddresses, EndpointConditions, EndpointSlice,
    EntryTarget, SliceEndpoint, SliceEndpoints, SliceEntry, SlicePort, TargetKind, TargetRef,
};
pub use self::gateway::Gateway;
pub use self::horizontal_pod_autoscaler::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus,
    ScaleTarget, ScalingMetric,
};
pub use self::json::Json;
pub use self::kind::Resource;
pub use self::kubernetes_gateway::{
    GatewayAddress, GatewayListener, GatewayTls, KubernetesGateway, KubernetesGatewaySpec,
};
pub use self::mesh_config::MeshConfig;
pub use self::mesh_config_map::{EmbeddedText, MeshConfigMap};
pub use self::mesh_networks::MeshNetworks;
pub(crate) use self::meta::group_of;
pub use self::meta::{CommonMeta, Meta, ObjectKey, Owner};
pub use self::multicluster::{
    ServiceExport, ServiceImport, ServiceImportPort, ServiceImportSpec, ServiceImportType,
};
pub use self::namespace::{Namespace, ServiceAccount};
pub use self::node::{Node, NodeAddress, NodeAddressType, NodeStatus};
pub use self::object::{Decoded, decode};
pub use self::opaque::Opaque;
pub use self::peer_authentication::{
    MutualTls, MutualTlsMode, PeerAuthentication, PeerAuthenticationSpec,
};
pub use self::pod::{
    CommonPodSpec, Container, ContainerPort, ContainerResources, EnvVar, Pod, PodIps, PodPhase,
    PodSpec, PodStatus, Quantity, Readiness, ResourceRequests, SecurityContext,
};
pub use self::port_target::PortTarget;
pub use self::proxy_config::{ProxyConfig, ProxyConfigSpec};
pub use self::proxy_entry::{InvalidProxyRef, ProxyEntry, ProxyKind, ProxyRef};
pub use self::request_authentication::{
    ClaimToHeader, JwtHeader, JwtRequirement, JwtRule, RequestAuthentication,
    RequestAuthenticationSpec,
};
pub use self::selector::{
    LabelSelector, LabelSelectorRequirement, PolicyTargetReference, PortSelector, WorkloadLabels,
    WorkloadSelector,
};
pub use self::service::{
    ClusterIp, IpFamily, IpFamilyPolicy, LoadBalancerIngress, LoadBalancerStatus, Service,
    ServicePort, ServiceSpec, ServiceStatus, ServiceType, TrafficScope, Transport,
};
pub use self::service_entry::ServiceEntry;
pub use self::sidecar::Sidecar;
pub use self::telemetry::Telemetry;
pub use self::virtual_service::VirtualService;
pub use self::workload_entry::{
    TemplateMeta, WorkloadCondition, WorkloadEntry, WorkloadEntrySpec, WorkloadEntryStatus,
    WorkloadGroup, WorkloadGroupSpec,
};
