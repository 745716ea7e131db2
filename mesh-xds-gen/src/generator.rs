//! Everything one proxy is sent, as a snapshot.
use mesh_envoy_proto::envoy::config::cluster::v3::{self as proto, Cluster};
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_model::compat::DataPlane;
use mesh_model::view::ProxyView;
use prost::Message;

use crate::name_table::name_table;
use crate::snapshot::{Reference, Resource, Snapshot, TypeUrl};
use crate::{cluster, endpoint, listener, route, stock};

/// Makes snapshots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generator {
    _private: (),
}

impl Generator {
    /// A generator.
    pub fn new() -> Self {
        Self::default()
    }

    /// Generates what a proxy is sent: clusters, endpoints, listeners, routes and
    /// the name table (under the empty name, for its agent).
    ///
    /// Equal views give equal bytes, and so equal versions. A stock Envoy is sent the same without
    /// Istio's own filters.
    pub fn snapshot(&mut self, view: &ProxyView<'_>) -> Snapshot {
        Snapshot::new(Resources::new(view).into_resources())
    }
}

/// What a proxy is sent, as messages.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Resources {
    /// CDS, by name.
    pub clusters: Vec<Cluster>,
    /// EDS, by name.
    pub endpoints: Vec<ClusterLoadAssignment>,
    /// LDS, by name.
    pub listeners: Vec<Listener>,
    /// RDS, by name.
    pub routes: Vec<RouteConfiguration>,
    /// NDS.
    pub names: NameTable,
}

impl Resources {
    /// Generates the messages.
    pub fn new(view: &ProxyView<'_>) -> Self {
        let mut clusters = cluster::clusters(view);
        let mut listeners = listener::listeners(view);
        let names = listener::route_names(&listeners);
        let mut routes = route::routes(view, names.iter().map(String::as_str));
        if view.proxy().data_plane == DataPlane::Envoy {
            clusters.iter_mut().for_each(stock::adapt_cluster);
            listeners.iter_mut().for_each(stock::adapt_listener);
            routes.iter_mut().for_each(stock::adapt_route);
        }
        let endpoints = eds_names(&clusters)
            .into_iter()
            .map(|name| endpoint::cluster_load_assignment(view, name))
            .collect();
        Self { clusters, endpoints, listeners, routes, names: name_table(view) }
    }

    /// Encodes the messages, with what each refers to.
    pub fn into_resources(self) -> Vec<Resource> {
        let clusters = self.clusters.iter().map(|cluster| {
            let references =
                eds_name(cluster).map(|name| Reference::endpoints(&cluster.name, name));
            resource(TypeUrl::CLUSTER, &cluster.name, cluster).with_references(references)
        });
        let endpoints = self
            .endpoints
            .iter()
            .map(|endpoints| resource(TypeUrl::ENDPOINT, &endpoints.cluster_name, endpoints));
        let listeners = self.listeners.iter().map(|listener| {
            let names = listener::route_names(std::slice::from_ref(listener));
            let references = names.iter().map(|name| Reference::route(name.as_str()));
            resource(TypeUrl::LISTENER, &listener.name, listener).with_references(references)
        });
        let routes =
            self.routes.iter().map(|routes| resource(TypeUrl::ROUTE, &routes.name, routes));
        let names = resource(TypeUrl::NAME_TABLE, "", &self.names);
        clusters.chain(endpoints).chain(listeners).chain(routes).chain([names]).collect()
    }
}

fn resource(type_url: TypeUrl, name: &str, message: &impl Message) -> Resource {
    Resource::new(type_url, name, message.encode_to_vec())
}

/// The names that EDS is asked for.
fn eds_names(clusters: &[Cluster]) -> Vec<&str> {
    let mut names: Vec<&str> = clusters.iter().filter_map(eds_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn eds_name(cluster: &Cluster) -> Option<&str> {
    let is_eds = matches!(
        cluster.cluster_discovery_type,
        Some(proto::cluster::ClusterDiscoveryType::Type(kind))
            if kind == i32::from(proto::cluster::DiscoveryType::Eds)
    );
    let config = cluster.eds_cluster_config.as_ref().filter(|_| is_eds)?;
    Some(if config.service_name.is_empty() { &cluster.name } else { &config.service_name })
}
