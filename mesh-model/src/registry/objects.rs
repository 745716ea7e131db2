//! The objects of each part of the mesh, by kind and name.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::name::Namespace;
use crate::resource::{
    AuthorizationPolicy, DestinationRule, EndpointSlice, Gateway, KubernetesGateway, MeshConfigMap,
    Meta, Node, ObjectKey, Opaque, PeerAuthentication, Pod, ProxyConfig, RequestAuthentication,
    Resource, Service, ServiceAccount, ServiceEntry, ServiceExport, ServiceImport, Sidecar,
    Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};

/// Objects of one kind by namespace and name.
pub(crate) type ByName<T> = BTreeMap<(Namespace, Box<str>), Arc<T>>;

/// Declares the store: a map a kind.
macro_rules! store {
    ($($(#[$meta:meta])* $field:ident: $kind:ident($object:ty) = $key:literal,)*) => {
        /// Everything that one part of the mesh contains.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Store {
            $($(#[$meta])* pub(crate) $field: ByName<$object>,)*
            /// Kinds that are kept as they are, by kind.
            pub(crate) opaque: BTreeMap<ObjectKey, Arc<Opaque>>,
        }

        impl Store {
            /// Puts an object in; returns whether anything is different from before.
            pub(crate) fn upsert(&mut self, resource: Resource) -> bool {
                let key = resource.key();
                match resource {
                    $(Resource::$kind(object) => insert(&mut self.$field, &object.meta.clone(), object),)*
                    Resource::Opaque(object) => {
                        let is_new = self.opaque.get(&key).is_none_or(|known| **known != object);
                        if is_new {
                            self.opaque.insert(key, Arc::new(object));
                        }
                        is_new
                    }
                }
            }

            /// Returns whether an object is there.
            pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
                let name = (key.namespace.clone(), key.name.clone());
                match key.kind {
                    $($key => self.$field.contains_key(&name),)*
                    _ => self.opaque.contains_key(key),
                }
            }
        }
    };
}

store! {
    services: Service(Service) = "Service",
    endpoint_slices: EndpointSlice(EndpointSlice) = "EndpointSlice",
    pods: Pod(Pod) = "Pod",
    nodes: Node(Node) = "Node",
    namespaces: Namespace(crate::resource::Namespace) = "Namespace",
    service_accounts: ServiceAccount(ServiceAccount) = "ServiceAccount",
    service_exports: ServiceExport(ServiceExport) = "ServiceExport",
    service_imports: ServiceImport(ServiceImport) = "ServiceImport",
    mesh_config_maps: MeshConfigMap(MeshConfigMap) = "ConfigMap",
    authorization_policies: AuthorizationPolicy(AuthorizationPolicy) = "AuthorizationPolicy",
    peer_authentications: PeerAuthentication(PeerAuthentication) = "PeerAuthentication",
    destination_rules: DestinationRule(DestinationRule) = "DestinationRule",
    virtual_services: VirtualService(VirtualService) = "VirtualService",
    sidecars: Sidecar(Sidecar) = "Sidecar",
    gateways: Gateway(Gateway) = "Gateway",
    service_entries: ServiceEntry(ServiceEntry) = "ServiceEntry",
    workload_entries: WorkloadEntry(WorkloadEntry) = "WorkloadEntry",
    workload_groups: WorkloadGroup(WorkloadGroup) = "WorkloadGroup",
    proxy_configs: ProxyConfig(ProxyConfig) = "ProxyConfig",
    request_authentications: RequestAuthentication(RequestAuthentication) = "RequestAuthentication",
    telemetries: Telemetry(Telemetry) = "Telemetry",
    kubernetes_gateways: KubernetesGateway(KubernetesGateway) = "Gateway.gateway.networking.k8s.io",
}

fn insert<T: PartialEq>(map: &mut ByName<T>, meta: &Meta, object: T) -> bool {
    let key = (meta.namespace.clone(), meta.name.clone());
    let is_new = map.get(&key).is_none_or(|known| **known != object);
    if is_new {
        map.insert(key, Arc::new(object));
    }
    is_new
}
