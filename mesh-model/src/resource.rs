//! What is asked: one file a kind, every field that the kind has.
//!
//! A resource is what its manifest says, typed; rules of validation look at it afterwards. Security
//! policies keep their values as text: what a data plane would drop is the compiler's to report.
//!
//! Of Istio's kinds every field is read; of Kubernetes' own kinds those that the mesh uses, and the
//! others are left out without a word. [`decode`] reads an object of any kind.
mod authorization_policy;
mod endpoint_slice;
mod kind;
mod mesh_config_map;
mod meta;
mod multicluster;
mod namespace;
mod node;
mod object;
mod opaque;
mod peer_authentication;
mod pod;
mod port_target;
mod selector;
mod service;

pub use self::authorization_policy::{
    Action, AuthorizationPolicy, AuthorizationPolicySpec, Condition, From, Operation, Provider,
    Rule, Source, To,
};
pub use self::endpoint_slice::{
    AddressType, EndpointAddress, EndpointConditions, EndpointSlice, SliceEndpoint, SlicePort,
    TargetRef,
};
pub use self::kind::Resource;
pub use self::mesh_config_map::{EmbeddedText, MeshConfigMap};
pub use self::meta::{Meta, ObjectKey, Owner};
pub use self::multicluster::{
    ServiceExport, ServiceImport, ServiceImportPort, ServiceImportSpec, ServiceImportType,
};
pub use self::namespace::{Namespace, ServiceAccount};
pub use self::node::{Node, NodeAddress, NodeAddressType, NodeStatus};
pub use self::object::{Decoded, decode, objects};
pub use self::opaque::Opaque;
pub use self::peer_authentication::{
    MutualTls, MutualTlsMode, PeerAuthentication, PeerAuthenticationSpec,
};
pub use self::pod::{
    Container, ContainerPort, EnvVar, Pod, PodIp, PodPhase, PodSpec, PodStatus, Readiness,
};
pub use self::port_target::PortTarget;
pub use self::selector::{PolicyTargetReference, WorkloadSelector};
pub use self::service::{
    ClusterIp, IpFamily, IpFamilyPolicy, LoadBalancerIngress, LoadBalancerStatus, Service,
    ServicePort, ServiceSpec, ServiceStatus, ServiceType, TrafficScope, Transport,
};
