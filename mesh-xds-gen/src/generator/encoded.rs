//! The resources of a view, type by type, as bytes with what each refers to.
use std::sync::Arc;

use bytes::Bytes;
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_model::compat::DataPlane;
use mesh_model::registry::Service;
use mesh_model::view::ProxyView;
use prost::Message;

use crate::endpoint::Encoder;
use crate::snapshot::{Reference, Resource, TypeUrl};
use crate::workload::Names;
use crate::{cluster, endpoint, grpc, listener, name_table, route, stock};

/// Encodes messages and assignments; its memory is used again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    assignments: Encoder,
}

impl Writer {
    fn resource(&mut self, type_url: TypeUrl, name: &str, message: &impl Message) -> Resource {
        self.bytes.clear();
        // A vector grows as much as is asked for.
        let encoded = message.encode(&mut self.bytes);
        debug_assert!(encoded.is_ok(), "a vector has place for every message");
        Resource::new(type_url, name, Bytes::copy_from_slice(&self.bytes))
    }

    pub(super) fn cluster(&mut self, cluster: &Cluster) -> Resource {
        let references =
            cluster::eds_name(cluster).map(|name| Reference::endpoints(&cluster.name, name));
        self.resource(TypeUrl::CLUSTER, &cluster.name, cluster).with_references(references)
    }

    pub(super) fn endpoints(&mut self, endpoints: &ClusterLoadAssignment) -> Resource {
        self.resource(TypeUrl::ENDPOINT, &endpoints.cluster_name, endpoints)
    }

    pub(super) fn listener(&mut self, listener: &Listener) -> Resource {
        let one = std::slice::from_ref(listener);
        let mut names = listener::route_names(one);
        names.extend(grpc::route_names(one));
        let references = names.iter().map(|name| Reference::route(name.as_str()));
        let resource = self.resource(TypeUrl::LISTENER, &listener.name, listener);
        let host = grpc::host_of(listener).map(Arc::from);
        resource.with_references(references).with_brought_by(host)
    }

    pub(super) fn routes(&mut self, routes: &RouteConfiguration) -> Resource {
        self.resource(TypeUrl::ROUTE, &routes.name, routes)
    }

    pub(super) fn names(&mut self, names: &NameTable) -> Resource {
        self.resource(TypeUrl::NAME_TABLE, "", names)
    }

    /// What else a type has.
    pub(super) fn other(
        &mut self,
        type_url: TypeUrl,
        name: &str,
        message: &impl Message,
    ) -> Arc<Resource> {
        Arc::new(self.resource(type_url, name, message))
    }

    /// Something that is found by other names, too.
    pub(super) fn named(
        &mut self,
        type_url: TypeUrl,
        name: &str,
        message: &impl Message,
        names: &Names,
    ) -> Arc<Resource> {
        let resource = self.resource(type_url, name, message);
        let resource = resource.with_aliases(names.aliases.iter().cloned());
        Arc::new(resource.with_brought_by(names.brought_by.iter().cloned()))
    }

    /// The clusters of some services, and those that are of none.
    pub(super) fn clusters_of(
        &mut self,
        view: &ProxyView<'_>,
        services: &[Arc<Service>],
    ) -> Vec<Arc<Resource>> {
        let adapt: &dyn Fn(&mut Cluster) =
            if is_stock(view) { &stock::adapt_cluster } else { &|_| {} };
        let clusters = cluster::encoded_of_services(view, services, adapt).into_iter();
        let resource = |cluster: cluster::Encoded| {
            let endpoints = cluster.endpoints.into_iter();
            let references = endpoints.map(|name| Reference { type_url: TypeUrl::ENDPOINT, name });
            let resource = Resource::new(TypeUrl::CLUSTER, cluster.name, cluster.bytes);
            Arc::new(resource.with_references(references))
        };
        clusters.map(resource).collect()
    }

    /// The endpoints of clusters, in the order of their names as they are given.
    pub(super) fn endpoints_of(
        &mut self,
        view: &ProxyView<'_>,
        names: &[Arc<str>],
    ) -> Vec<Arc<Resource>> {
        let mut encoded: Vec<(usize, Arc<Resource>)> = Vec::with_capacity(names.len());
        let texts = names.iter().map(|name| &**name);
        endpoint::encoded(view, texts, &mut self.assignments, |place, _, bytes| {
            let Some(name) = names.get(place) else { return };
            let resource = Resource::new(TypeUrl::ENDPOINT, Arc::clone(name), bytes);
            encoded.push((place, Arc::new(resource)));
        });
        encoded.sort_unstable_by_key(|(place, _)| *place);
        encoded.into_iter().map(|(_, resource)| resource).collect()
    }

    /// All listeners.
    pub(super) fn listeners_of(&mut self, view: &ProxyView<'_>) -> Vec<Arc<Resource>> {
        let mut listeners = listener::listeners(view);
        if is_stock(view) {
            listeners.iter_mut().for_each(stock::adapt_listener);
        }
        listeners.iter().map(|listener| Arc::new(self.listener(listener))).collect()
    }

    /// The route configurations of these names.
    pub(super) fn routes_of<'n>(
        &mut self,
        view: &ProxyView<'_>,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Vec<Arc<Resource>> {
        if is_stock(view) {
            let mut routes = route::routes(view, names);
            routes.iter_mut().for_each(stock::adapt_route);
            return routes.iter().map(|routes| Arc::new(self.routes(routes))).collect();
        }
        let encoded = route::encoded(view, names).into_iter();
        encoded.map(|(name, bytes)| Arc::new(Resource::new(TypeUrl::ROUTE, name, bytes))).collect()
    }
}

/// The name table.
pub(super) fn names_of(view: &ProxyView<'_>) -> Arc<Resource> {
    Arc::new(Resource::new(TypeUrl::NAME_TABLE, "", name_table::encoded(view)))
}

/// Whether the proxy is an Envoy without Istio's own filters.
fn is_stock(view: &ProxyView<'_>) -> bool {
    view.proxy().data_plane == DataPlane::Envoy
}

/// What resources of one type refer to, sorted, each once.
pub(super) fn referred(resources: &[Arc<Resource>]) -> Vec<Arc<str>> {
    let references = resources.iter().flat_map(|resource| resource.references());
    let mut names: Vec<_> = references.map(|reference| Arc::clone(&reference.name)).collect();
    names.sort();
    names.dedup();
    names
}
