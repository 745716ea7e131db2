//! The kinds: their groups, served versions, scope, and how they are read.
//!
//! The versions of one kind have one schema, so a version only has to be known.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/schema/metadata.yaml`.
use super::{
    AuthorizationPolicy, DestinationRule, EndpointSlice, Gateway, HorizontalPodAutoscaler,
    KubernetesGateway, MeshConfigMap, Meta, Namespace, Node, ObjectKey, Opaque, PeerAuthentication,
    Pod, ProxyConfig, RequestAuthentication, Service, ServiceAccount, ServiceEntry, ServiceExport,
    ServiceImport, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};
use crate::manifest::decode::{Cursor, Decode, clip, nearest};
use crate::manifest::{self, Meant};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// They live in a namespace.
    Namespace,
    /// They belong to the cluster.
    Cluster,
}

/// A kind that is recognised.
#[derive(Debug)]
pub(super) struct Kind {
    /// The API group, empty for Kubernetes' core.
    pub(super) group: &'static str,
    /// The name.
    pub(super) name: &'static str,
    /// The name in an [`ObjectKey`].
    pub(super) key: &'static str,
    /// The served versions; none: any is accepted.
    pub(super) versions: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub(super) scope: Scope,
    reader: Option<Reader>,
}

/// Reads the fields of an object; the metadata is added afterwards.
type Reader = fn(&manifest::Node, &mut Cursor) -> Option<Resource>;

impl Kind {
    /// Returns whether this is the kind that holds the settings of the mesh, among other things.
    pub(super) fn is_config_map(&self) -> bool {
        self.group.is_empty() && self.name == "ConfigMap"
    }
}

/// The kind of a document with its `apiVersion`.
#[derive(Debug)]
pub(super) struct Found<'n> {
    /// The kind.
    pub(super) kind: &'static Kind,
    api_version: &'n str,
}

impl Found<'_> {
    /// Reads the fields of an object of this kind.
    pub(super) fn read(
        &self,
        node: &manifest::Node,
        meta: Meta,
        cursor: &mut Cursor,
    ) -> Option<Resource> {
        let Some(reader) = self.kind.reader else {
            return Some(Resource::Opaque(Opaque {
                meta,
                api_version: self.api_version.into(),
                kind: self.kind.name,
                node: node.clone(),
            }));
        };
        let mut resource = reader(node, cursor)?;
        *resource.meta_mut() = meta;
        if let Resource::EndpointSlice(slice) = &resource {
            slice.check(node, cursor);
        }
        Some(resource)
    }
}

/// Returns every kind that is recognised.
fn kinds() -> impl Iterator<Item = &'static Kind> {
    TYPED.iter().chain(OPAQUE)
}

/// Finds a kind, or reports why there is none.
pub(super) fn find<'n>(
    node: &manifest::Node,
    api_version: &'n str,
    name: &str,
    cursor: &mut Cursor,
) -> Option<Found<'n>> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let found = kinds().find(|kind| kind.group == group && kind.name == name);
    let Some(kind) = found else {
        report_unknown(node, group, name, cursor);
        return None;
    };
    if !kind.versions.is_empty() && !kind.versions.contains(&version) {
        let place = node.locate("apiVersion");
        let message = format!("version `{}` of {name} is not served", clip(version));
        let help = format!("served versions: {}", kind.versions.join(", "));
        cursor.field("apiVersion", |cursor| cursor.error("API-VERSION", place, message, help));
        return None;
    }
    Some(Found { kind, api_version })
}

/// Reports a kind that is not known: its group is wrong, its name is misspelt, or it is not the
/// mesh's business.
fn report_unknown(node: &manifest::Node, group: &str, name: &str, cursor: &mut Cursor) {
    // What it would have denied is open, and closed.
    let is_security = !Meant::of_node(node).security_kinds.is_empty();
    let is_meant = is_security || kinds().any(|kind| kind.group == group);
    if let Some(other) = kinds().find(|kind| kind.name == name).filter(|_| is_meant) {
        let place = node.locate("apiVersion");
        let message = format!("there is no {name} in group `{}`", clip(group));
        let help = match (other.group, other.versions.first()) {
            ("", version) => format!("write `{}`", version.unwrap_or(&"v1")),
            (group, version) => format!("write `{group}/{}`", version.unwrap_or(&"v1")),
        };
        cursor.field("apiVersion", |cursor| cursor.error("API-VERSION", place, message, help));
        return;
    }
    let place = node.locate("kind");
    let known = kinds().filter(|kind| kind.group == group).map(|kind| kind.name);
    let message = format!("kind `{}` is not used by the mesh", clip(name));
    let nearest = nearest(name, known);
    let meant = nearest.map(|known| format!("did you mean `{known}`?"));
    let is_kubernetes = !group.contains('.') || group.ends_with(".k8s.io");
    cursor.field("kind", |cursor| match meant {
        _ if manifest::is_of_old_policies(group) => {
            let message = format!("{message}: no istiod reads it since 1.6");
            cursor.error("KIND-UNKNOWN", place, message, OLD_POLICY);
        }
        meant if is_security => {
            let help = meant.unwrap_or_else(|| UNKNOWN_POLICY.to_owned());
            cursor.error("KIND-UNKNOWN", place, message, help);
        }
        None if is_kubernetes => cursor.note("KIND-UNUSED", place, message, UNUSED),
        meant => {
            let help = meant.unwrap_or_else(|| UNUSED.to_owned());
            cursor.warn("KIND-UNKNOWN", place, message, help);
        }
    });
}

/// What to do about a kind of the group of policies that is none of them.
const UNKNOWN_POLICY: &str = "it may have been a policy: correct its kind, or remove it";

/// What to do about a kind of policies that is read no more.
const OLD_POLICY: &str = "write what it says as an AuthorizationPolicy, a PeerAuthentication or a \
                          RequestAuthentication of `security.istio.io/v1`, and remove it";

/// What to do about a kind of Kubernetes' that means nothing to a mesh.
const UNUSED: &str = "nothing is lost if the mesh is not meant to use it; else check its spelling";

/// Declares the typed kinds.
macro_rules! resources {
    (
        $(
            $(#[$meta:meta])*
            $variant:ident = $group:literal $name:literal $key:literal [$($version:literal),*] $scope:ident,
        )*
    ) => {
        /// An object of a kind that the mesh uses.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(clippy::exhaustive_enums, reason = "a registry acts on every kind")]
        #[expect(clippy::large_enum_variant, reason = "moved once, into the registry")]
        pub enum Resource {
            $($(#[$meta])* $variant($variant),)*
            /// A kind that is recognised and kept as it is.
            Opaque(Opaque),
        }

        impl Resource {
            /// Returns the metadata.
            pub fn meta(&self) -> &Meta {
                match self {
                    $(Self::$variant(object) => &object.meta,)*
                    Self::Opaque(object) => &object.meta,
                }
            }

            fn meta_mut(&mut self) -> &mut Meta {
                match self {
                    $(Self::$variant(object) => &mut object.meta,)*
                    Self::Opaque(object) => &mut object.meta,
                }
            }

            /// Returns the kind as an [`ObjectKey`] has it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $key,)*
                    Self::Opaque(object) => object.kind,
                }
            }

            /// Returns kind, namespace and name.
            pub fn key(&self) -> ObjectKey {
                let meta = self.meta();
                ObjectKey {
                    kind: self.kind(),
                    namespace: meta.namespace.clone(),
                    name: meta.name.clone(),
                }
            }
        }

        /// The typed kinds.
        const TYPED: &[Kind] = &[$(Kind {
            group: $group,
            name: $name,
            key: $key,
            versions: &[$($version),*],
            scope: Scope::$scope,
            reader: Some(|node, cursor| $variant::decode(node, cursor).map(Resource::$variant)),
        },)*];
    };
}

resources! {
    /// A name and a virtual address for pods.
    Service = "" "Service" "Service" ["v1"] Namespace,
    /// Where the pods of a service are.
    EndpointSlice = "discovery.k8s.io" "EndpointSlice" "EndpointSlice" ["v1", "v1beta1"] Namespace,
    /// What runs.
    Pod = "" "Pod" "Pod" ["v1"] Namespace,
    /// A machine.
    Node = "" "Node" "Node" ["v1"] Cluster,
    /// A namespace.
    Namespace = "" "Namespace" "Namespace" ["v1"] Cluster,
    /// An identity.
    ServiceAccount = "" "ServiceAccount" "ServiceAccount" ["v1"] Namespace,
    /// How far a workload may grow.
    HorizontalPodAutoscaler = "autoscaling" "HorizontalPodAutoscaler" "HorizontalPodAutoscaler" ["v2", "v1", "v2beta2", "v2beta1"] Namespace,
    /// A service that is offered to other clusters.
    ServiceExport = "multicluster.x-k8s.io" "ServiceExport" "ServiceExport" ["v1alpha1", "v1beta1"] Namespace,
    /// A service of the cluster set.
    ServiceImport = "multicluster.x-k8s.io" "ServiceImport" "ServiceImport" ["v1alpha1", "v1beta1"] Namespace,
    /// The settings of the mesh, in a ConfigMap.
    MeshConfigMap = "" "ConfigMap" "ConfigMap" ["v1"] Namespace,
    /// Where requests for a host go.
    VirtualService = "networking.istio.io" "VirtualService" "VirtualService" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// How clients reach a host.
    DestinationRule = "networking.istio.io" "DestinationRule" "DestinationRule" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// A host that Kubernetes does not know.
    ServiceEntry = "networking.istio.io" "ServiceEntry" "ServiceEntry" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// An endpoint that is no pod.
    WorkloadEntry = "networking.istio.io" "WorkloadEntry" "WorkloadEntry" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// A template for endpoints that are no pods.
    WorkloadGroup = "networking.istio.io" "WorkloadGroup" "WorkloadGroup" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// Ports of a gateway.
    Gateway = "networking.istio.io" "Gateway" "Gateway" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// What a sidecar imports.
    Sidecar = "networking.istio.io" "Sidecar" "Sidecar" ["v1", "v1beta1", "v1alpha3"] Namespace,
    /// What proxies are started with.
    ProxyConfig = "networking.istio.io" "ProxyConfig" "ProxyConfig" ["v1beta1"] Namespace,
    /// Who may call a workload.
    AuthorizationPolicy = "security.istio.io" "AuthorizationPolicy" "AuthorizationPolicy" ["v1", "v1beta1"] Namespace,
    /// Whether a workload demands mutual TLS.
    PeerAuthentication = "security.istio.io" "PeerAuthentication" "PeerAuthentication" ["v1", "v1beta1"] Namespace,
    /// Which tokens of requests are believed.
    RequestAuthentication = "security.istio.io" "RequestAuthentication" "RequestAuthentication" ["v1", "v1beta1"] Namespace,
    /// What is measured, logged and traced.
    Telemetry = "telemetry.istio.io" "Telemetry" "Telemetry" ["v1", "v1alpha1"] Namespace,
    /// A gateway of the Gateway API.
    KubernetesGateway = "gateway.networking.k8s.io" "Gateway" "Gateway.gateway.networking.k8s.io" ["v1", "v1beta1"] Namespace,
}

/// The kinds that are kept as they are.
const OPAQUE: &[Kind] = &[
    opaque("", "Secret", &["v1"]),
    opaque("apps", "Deployment", &["v1"]),
    opaque("networking.istio.io", "EnvoyFilter", &["v1alpha3"]),
    opaque("extensions.istio.io", "WasmPlugin", &["v1alpha1"]),
    opaque("extensions.istio.io", "TrafficExtension", &["v1alpha1"]),
    Kind { scope: Scope::Cluster, ..opaque("gateway.networking.k8s.io", "GatewayClass", &[]) },
    opaque("gateway.networking.k8s.io", "HTTPRoute", &[]),
    opaque("gateway.networking.k8s.io", "GRPCRoute", &[]),
    opaque("gateway.networking.k8s.io", "TLSRoute", &[]),
    opaque("gateway.networking.k8s.io", "TCPRoute", &[]),
    opaque("gateway.networking.k8s.io", "UDPRoute", &[]),
    opaque("gateway.networking.k8s.io", "ReferenceGrant", &[]),
    opaque("gateway.networking.k8s.io", "BackendTLSPolicy", &[]),
    opaque("gateway.networking.k8s.io", "ListenerSet", &[]),
    opaque("istio.alibabacloud.com", "Istio", &["v1beta1"]),
    opaque("istio.alibabacloud.com", "RemoteIstio", &["v1beta1"]),
];

/// A namespaced kind that is kept as it is.
const fn opaque(
    group: &'static str,
    name: &'static str,
    versions: &'static [&'static str],
) -> Kind {
    Kind { group, name, key: name, versions, scope: Scope::Namespace, reader: None }
}
