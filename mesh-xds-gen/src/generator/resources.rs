//! What a proxy is sent, as messages: for those who read them.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_model::compat::DataPlane;
use mesh_model::view::ProxyView;

use super::encoded::Writer;
use crate::name_table::name_table;
use crate::snapshot::Resource;
use crate::{cluster, endpoint, grpc, listener, route, stock};

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
    /// Generates the messages; a gRPC client's are those of [`grpc::asked`].
    pub fn new(view: &ProxyView<'_>) -> Self {
        if view.proxy().data_plane == DataPlane::Grpc {
            let asked = grpc::asked(view);
            return Self::of_grpc(view, asked.iter().map(String::as_str));
        }
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

    /// Generates what a gRPC client gets that asks for these listeners and then for whatever they
    /// name.
    pub fn of_grpc<'n>(view: &ProxyView<'_>, listeners: impl IntoIterator<Item = &'n str>) -> Self {
        let listeners = grpc::listeners(view, listeners);
        let names = grpc::route_names(&listeners);
        let routes = grpc::routes(view, names.iter().map(String::as_str));
        let names = grpc::cluster_names(&routes);
        let clusters = grpc::clusters(view, names.iter().map(String::as_str));
        // Upstream answers for clusters that do not exist, too: they have no endpoints.
        let names = names.iter();
        let endpoints = names.map(|name| endpoint::cluster_load_assignment(view, name)).collect();
        // Such programs resolve names by themselves.
        Self { clusters, endpoints, listeners, routes, names: NameTable::default() }
    }

    /// Encodes the messages, with what each refers to.
    pub fn into_resources(self) -> Vec<Resource> {
        let mut writer = Writer::default();
        let mut found = Vec::new();
        found.extend(self.clusters.iter().map(|cluster| writer.cluster(cluster)));
        found.extend(self.endpoints.iter().map(|endpoints| writer.endpoints(endpoints)));
        found.extend(self.listeners.iter().map(|listener| writer.listener(listener)));
        found.extend(self.routes.iter().map(|routes| writer.routes(routes)));
        found.push(writer.names(&self.names));
        found
    }
}

/// The names that EDS is asked for.
fn eds_names(clusters: &[Cluster]) -> Vec<&str> {
    let mut names: Vec<&str> = clusters.iter().filter_map(cluster::eds_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}
