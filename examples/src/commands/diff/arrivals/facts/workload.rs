//! What the workload is given: where it is, for how long, how often, and how much at a time.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
use mesh_envoy_proto::envoy::config::core::v3::address::Address as Kind;
use mesh_envoy_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use mesh_xds_gen::resolve::Forward;

use super::{Facts, limit_or, listed, never};

impl Facts {
    pub(super) fn of_forward(&mut self, to: &Forward, clusters: &[Cluster]) {
        let span = |of: Option<std::time::Duration>| of.map_or_else(never, |of| format!("{of:?}"));
        self.say("timeout", span(to.timeout));
        let retries = match to.retries {
            0 => "none".to_owned(),
            many => format!("{many} on {}", to.retry_on),
        };
        self.say("retries", retries);
        self.say("timeout of a try", span(to.per_try_timeout));
        let clusters = to
            .destinations
            .iter()
            .filter_map(|share| clusters.iter().find(|cluster| cluster.name == share.cluster));
        clusters.for_each(|cluster| self.of_cluster(cluster));
    }

    /// Where the workload is, and how much it is given at a time.
    fn of_cluster(&mut self, cluster: &Cluster) {
        self.say("sent on to", address(cluster));
        self.say("time to connect", limit_or(cluster.connect_timeout.as_ref(), 5));
        let limits = cluster.circuit_breakers.as_ref().and_then(|all| all.thresholds.first());
        let limits = limits.cloned().unwrap_or_default();
        let at_most = |limit: Option<u32>| match limit {
            None => "1024".to_owned(),
            Some(u32::MAX) => "any number".to_owned(),
            Some(limit) => limit.to_string(),
        };
        self.say("connections at a time", at_most(limits.max_connections));
        self.say("requests waiting", at_most(limits.max_pending_requests));
        self.say("requests at a time", at_most(limits.max_requests));
        let retries = limits.max_retries.map_or_else(|| "3".to_owned(), |of| at_most(Some(of)));
        self.say("retries at a time", retries);
        let mut rest = cluster.clone();
        (rest.name, rest.alt_stat_name) = (String::new(), String::new());
        (rest.metadata, rest.load_assignment, rest.connect_timeout) = (None, None, None);
        if let Some(limits) =
            rest.circuit_breakers.as_mut().and_then(|all| all.thresholds.first_mut())
        {
            (limits.max_connections, limits.max_pending_requests) = (None, None);
            (limits.max_requests, limits.max_retries) = (None, None);
        }
        self.keep("other settings towards the workload", &rest);
    }
}

/// The address of a cluster's only endpoint.
fn address(cluster: &Cluster) -> String {
    let kind = cluster.cluster_discovery_type.as_ref();
    let original = ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into());
    if kind == Some(&original) {
        return "the address that the client dialled".to_owned();
    }
    let endpoints =
        cluster.load_assignment.iter().flat_map(|of: &ClusterLoadAssignment| &of.endpoints);
    let addresses = endpoints.flat_map(|of| &of.lb_endpoints).filter_map(|endpoint| {
        let Some(HostIdentifier::Endpoint(endpoint)) = &endpoint.host_identifier else {
            return None;
        };
        match endpoint.address.as_ref()?.address.as_ref()? {
            Kind::SocketAddress(socket) => Some(match &socket.port_specifier {
                Some(PortSpecifier::PortValue(port)) => format!("{}:{port}", socket.address),
                Some(PortSpecifier::NamedPort(_)) | None => socket.address.clone(),
            }),
            Kind::Pipe(pipe) => Some(format!("unix://{}", pipe.path)),
            Kind::EnvoyInternalAddress(_) => None,
        }
    });
    listed(&addresses.collect::<Vec<_>>())
}
