//! The objects of each part of the mesh, by kind and name.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::map::{Entry, Key, Map, differences};
use super::{Change, Origin};
use crate::name::{Labels, Texts};
use crate::resource::{
    AuthorizationPolicy, DestinationRule, EndpointSlice, Gateway, HorizontalPodAutoscaler,
    KubernetesGateway, MeshConfigMap, Meta, Namespace, Node, ObjectKey, Opaque, PeerAuthentication,
    Pod, ProxyConfig, RequestAuthentication, Resource, Service, ServiceAccount, ServiceEntry,
    ServiceExport, ServiceImport, Sidecar, Telemetry, VirtualService, WorkloadEntry, WorkloadGroup,
};

/// Objects of one kind by namespace and name.
pub(crate) type ByName<T> = Map<Arc<T>>;

/// An object with metadata.
pub(crate) trait Object {
    fn meta(&self) -> &Meta;

    /// Takes the allocations of another object for what is equal to it.
    fn share(&mut self, near: &Self);

    /// Takes the allocations that are known of texts that many objects have.
    fn share_texts(&mut self, texts: &mut Texts);
}

impl<T: Object> Entry for Arc<T> {
    fn key(&self) -> Key<'_> {
        key(self.meta())
    }
}

fn key(meta: &Meta) -> Key<'_> {
    (meta.namespace.as_str(), &meta.name)
}

fn opaque_key(object: &Opaque) -> ObjectKey {
    let (namespace, name) = (object.meta.namespace.clone(), object.meta.name.clone());
    ObjectKey { kind: object.kind, namespace, name }
}

/// The services of one cluster, by their names there.
impl Entry for Arc<super::Service> {
    fn key(&self) -> Key<'_> {
        (self.namespace.as_str(), &self.name)
    }
}

/// Declares the store: a map a kind.
macro_rules! store {
    ($($(#[$meta:meta])* $field:ident: $kind:ident = $key:literal $(sharing $share:ident $(and $texts:ident)?)?,)*) => {
        $(impl Object for $kind {
            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn share(&mut self, near: &Self) {
                self.meta.share(&near.meta);
                $($share(self, near);)?
            }

            fn share_texts(&mut self, texts: &mut Texts) {
                self.meta.share_texts(texts);
                $($($texts(self, texts);)?)?
            }
        })*

        /// Everything that one part of the mesh contains; cheap to clone.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Store {
            $($(#[$meta])* pub(crate) $field: ByName<$kind>,)*
            /// Kinds that are kept as they are, by kind.
            pub(crate) opaque: Arc<BTreeMap<ObjectKey, Arc<Opaque>>>,
        }

        /// An object that is in a store.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Stored {
            $($kind(Arc<$kind>),)*
            Opaque(Arc<Opaque>),
        }

        /// Objects that are to be put into a store together.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Additions {
            texts: Texts,
            $($field: Vec<Arc<$kind>>,)*
            opaque: Vec<Arc<Opaque>>,
        }

        impl Additions {
            /// Takes an object.
            pub(crate) fn push(&mut self, resource: Resource) {
                match resource {
                    $(Resource::$kind(mut object) => {
                        // Neighbours are mostly of one owner, and alike.
                        if let Some(near) = self.$field.last() {
                            object.share(near);
                        }
                        object.share_texts(&mut self.texts);
                        self.$field.push(Arc::new(object));
                    })*
                    Resource::Opaque(object) => self.opaque.push(Arc::new(object)),
                }
            }
        }

        impl Store {
            /// Puts objects in that all have names of their own.
            pub(crate) fn add_all(&mut self, additions: Additions) {
                $(self.$field.extend_new(additions.$field);)*
                if !additions.opaque.is_empty() {
                    let entries = additions.opaque.into_iter();
                    let entries = entries.map(|object| (opaque_key(&object), object));
                    Arc::make_mut(&mut self.opaque).extend(entries);
                }
            }

            /// Returns whether there is no object.
            pub(crate) fn is_empty(&self) -> bool {
                self.opaque.is_empty() $(&& self.$field.is_empty())*
            }

            /// Puts an object in, unless an equal one is there; returns the object before and the
            /// object now, `None` if nothing is different.
            pub(crate) fn upsert(&mut self, mut resource: Resource) -> Option<(Option<Stored>, Stored)> {
                self.share_node(&mut resource);
                match resource {
                    $(Resource::$kind(mut object) => {
                        let found = self.$field.nearest(key(&object.meta));
                        if found.is_ok_and(|known| **known == object) {
                            return None;
                        }
                        // Neighbours are mostly of one owner, and alike.
                        if let Some(near) = found.map_or_else(|near| near, Some) {
                            object.share(near);
                        }
                        let object = Arc::new(object);
                        let before = self.$field.insert(object.clone());
                        Some((before.map(Stored::$kind), Stored::$kind(object)))
                    })*
                    Resource::Opaque(object) => {
                        let key = opaque_key(&object);
                        if self.opaque.get(&key).is_some_and(|known| **known == object) {
                            return None;
                        }
                        let object = Arc::new(object);
                        let before = Arc::make_mut(&mut self.opaque).insert(key, object.clone());
                        Some((before.map(Stored::Opaque), Stored::Opaque(object)))
                    }
                }
            }

            /// Puts an object in, unless there is one of its name; returns whether there was none.
            pub(crate) fn add(&mut self, mut resource: Resource) -> bool {
                self.share_node(&mut resource);
                match resource {
                    $(Resource::$kind(mut object) => {
                        match self.$field.nearest(key(&object.meta)) {
                            Ok(_) => return false,
                            Err(near) => near.into_iter().for_each(|near| object.share(near)),
                        }
                        self.$field.insert(Arc::new(object));
                        true
                    })*
                    Resource::Opaque(object) => {
                        let key = opaque_key(&object);
                        let is_new = !self.opaque.contains_key(&key);
                        if is_new {
                            Arc::make_mut(&mut self.opaque).insert(key, Arc::new(object));
                        }
                        is_new
                    }
                }
            }

            /// Adds the changes that lead to another store.
            pub(crate) fn changes_to(&self, after: &Self, origin: &Origin, found: &mut Vec<Change>) {
                $(for (old, new) in differences(&self.$field, &after.$field, |a, b| a == b) {
                    found.extend(change(origin, old.map(|object| object.key()), $key, || {
                        new.map(|object| Resource::$kind((**object).clone()))
                    }));
                })*
                for (key, _) in self.opaque.iter().filter(|(key, _)| !after.opaque.contains_key(*key)) {
                    found.push(Change::Delete { origin: origin.clone(), object: key.clone() });
                }
                for (_, object) in after.opaque.iter().filter(|(key, new)| {
                    self.opaque.get(*key).is_none_or(|old| old != *new)
                }) {
                    let resource = Box::new(Resource::Opaque((**object).clone()));
                    found.push(Change::Upsert { origin: origin.clone(), resource });
                }
            }

            /// Takes an object out.
            pub(crate) fn remove(&mut self, key: &ObjectKey) -> Option<Stored> {
                let name = (key.namespace.as_str(), &*key.name);
                match key.kind {
                    $($key => self.$field.remove(name).map(Stored::$kind),)*
                    _ if !self.opaque.contains_key(key) => None,
                    _ => Arc::make_mut(&mut self.opaque).remove(key).map(Stored::Opaque),
                }
            }

            /// Returns the objects that another store has, too.
            pub(crate) fn also_in(&self, other: &Self) -> Vec<ObjectKey> {
                let mut found = Vec::new();
                $(found.extend(in_both(&self.$field, &other.$field).map(|(namespace, name)| {
                    ObjectKey { kind: $key, namespace: namespace.into(), name: name.into() }
                }));)*
                found.extend(self.opaque.keys().filter(|key| other.opaque.contains_key(*key)).cloned());
                found
            }

            /// Returns the kind and the name of every object.
            pub(crate) fn metas(&self) -> impl Iterator<Item = (&'static str, &Meta)> {
                let opaque = self.opaque.values().map(|object| (object.kind, &object.meta));
                std::iter::empty()
                    $(.chain(self.$field.values().map(|object| ($key, &object.meta))))*
                    .chain(opaque)
            }

            /// Returns whether an object is there.
            pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
                let name = (key.namespace.as_str(), &*key.name);
                match key.kind {
                    $($key => self.$field.contains(name),)*
                    _ => self.opaque.contains_key(key),
                }
            }
        }
    };
}

store! {
    services: Service = "Service",
    endpoint_slices: EndpointSlice = "EndpointSlice" sharing share_endpoints,
    pods: Pod = "Pod" sharing share_spec and share_node_name,
    nodes: Node = "Node",
    namespaces: Namespace = "Namespace",
    service_accounts: ServiceAccount = "ServiceAccount",
    autoscalers: HorizontalPodAutoscaler = "HorizontalPodAutoscaler",
    service_exports: ServiceExport = "ServiceExport",
    service_imports: ServiceImport = "ServiceImport",
    mesh_config_maps: MeshConfigMap = "ConfigMap",
    authorization_policies: AuthorizationPolicy = "AuthorizationPolicy",
    peer_authentications: PeerAuthentication = "PeerAuthentication",
    destination_rules: DestinationRule = "DestinationRule",
    virtual_services: VirtualService = "VirtualService",
    sidecars: Sidecar = "Sidecar",
    gateways: Gateway = "Gateway",
    service_entries: ServiceEntry = "ServiceEntry",
    workload_entries: WorkloadEntry = "WorkloadEntry",
    workload_groups: WorkloadGroup = "WorkloadGroup",
    proxy_configs: ProxyConfig = "ProxyConfig",
    request_authentications: RequestAuthentication = "RequestAuthentication",
    telemetries: Telemetry = "Telemetry",
    kubernetes_gateways: KubernetesGateway = "Gateway.gateway.networking.k8s.io",
}

fn share_endpoints(slice: &mut EndpointSlice, near: &EndpointSlice) {
    slice.endpoints.share(&near.endpoints);
}

fn share_spec(pod: &mut Pod, near: &Pod) {
    if pod.spec.hostname == pod.meta.name {
        pod.spec.hostname.clone_from(&pod.meta.name);
    }
    pod.spec.share(&near.spec);
}

/// Neighbours are of one owner, and mostly on different nodes.
fn share_node_name(pod: &mut Pod, texts: &mut Texts) {
    texts.share_word(&mut pod.spec.node_name);
}

/// The names that two maps both have.
pub(crate) fn in_both<'m, T: Object>(
    one: &'m ByName<T>,
    other: &'m ByName<T>,
) -> impl Iterator<Item = Key<'m>> {
    let entries = (!other.is_empty()).then(|| one.values()).into_iter().flatten();
    entries.map(Entry::key).filter(|key| other.contains(*key))
}

impl Store {
    /// The labels of an object that policies are attached by, if it is there.
    pub(crate) fn labels_of_target(&self, object: &ObjectKey) -> Option<&Labels> {
        let key = (object.namespace.as_str(), &*object.name);
        match object.kind {
            "Service" => self.services.get(key).map(|object| &object.meta.labels),
            "ServiceEntry" => self.service_entries.get(key).map(|object| &object.meta.labels),
            "Namespace" => self.namespace(&object.name).map(|meta| &meta.labels),
            _ => None,
        }
    }
}

/// The change to what `new` gives; without that the one that takes away what was there.
fn change(
    origin: &Origin,
    old: Option<Key<'_>>,
    kind: &'static str,
    new: impl FnOnce() -> Option<Resource>,
) -> Option<Change> {
    let origin = origin.clone();
    if let Some(resource) = new() {
        return Some(Change::Upsert { origin, resource: Box::new(resource) });
    }
    let (namespace, name) = old?;
    let object = ObjectKey { kind, namespace: namespace.into(), name: name.into() };
    Some(Change::Delete { origin, object })
}

impl Store {
    /// Takes the allocation of a node's name for what a pod says of it.
    fn share_node(&self, resource: &mut Resource) {
        if let Resource::Pod(pod) = resource
            && let Some(node) = self.nodes.get(("", &pod.spec.node_name))
        {
            pod.spec.node_name.clone_from(&node.meta.name);
        }
    }

    /// Returns the metadata of a namespace.
    pub(crate) fn namespace(&self, name: &str) -> Option<&Meta> {
        self.namespaces.get(("", name)).map(|object| &object.meta)
    }
}
