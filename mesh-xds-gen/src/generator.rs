//! Everything one proxy is sent, as a snapshot.
use mesh_envoy_proto::envoy::config::cluster::v3::{self as proto, Cluster};
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_model::compat::DataPlane;
use mesh_model::view::{ProxyKind, ProxyView};
use prost::Message;

use crate::name_table::name_table;
use crate::snapshot::{Reference, Resource, Snapshot, TypeUrl};
use crate::workload::Ambient;
use crate::{cluster, endpoint, grpc, listener, route, stock};

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
    /// A ztunnel is sent addresses and authorizations instead.
    ///
    /// Equal views give equal bytes, and so equal versions. A stock Envoy is sent the same without
    /// Istio's own filters.
    pub fn snapshot(&mut self, view: &ProxyView<'_>) -> Snapshot {
        match view.proxy().kind {
            ProxyKind::Ztunnel => Snapshot::new(of_ztunnel(view)),
            ProxyKind::Sidecar | ProxyKind::Router | ProxyKind::Waypoint => {
                Snapshot::new(Resources::new(view).into_resources())
            }
        }
    }

    /// Generates what a gRPC client is sent that asks for these listeners, beside [`grpc::asked`]: in
    /// short forms of their names, or as a server at an address of its own choice.
    pub fn snapshot_of_grpc<'n>(
        &mut self,
        view: &ProxyView<'_>,
        listeners: impl IntoIterator<Item = &'n str>,
    ) -> Snapshot {
        let mut names = grpc::asked(view);
        names.extend(listeners.into_iter().map(str::to_owned));
        let resources = Resources::of_grpc(view, names.iter().map(String::as_str));
        Snapshot::new(resources.into_resources())
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
            let one = std::slice::from_ref(listener);
            let mut names = listener::route_names(one);
            names.extend(grpc::route_names(one));
            let references = names.iter().map(|name| Reference::route(name.as_str()));
            resource(TypeUrl::LISTENER, &listener.name, listener).with_references(references)
        });
        let routes =
            self.routes.iter().map(|routes| resource(TypeUrl::ROUTE, &routes.name, routes));
        let names = resource(TypeUrl::NAME_TABLE, "", &self.names);
        clusters.chain(endpoints).chain(listeners).chain(routes).chain([names]).collect()
    }
}

fn of_ztunnel(view: &ProxyView<'_>) -> Vec<Resource> {
    let ambient = Ambient::new(view.mesh(), view.plane());
    let addresses = ambient.addresses.iter();
    let addresses = addresses.map(|(name, address)| resource(TypeUrl::ADDRESS, name, address));
    let policies = ambient.authorizations.iter();
    let policies = policies.map(|(name, policy)| resource(TypeUrl::AUTHORIZATION, name, policy));
    addresses.chain(policies).collect()
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
