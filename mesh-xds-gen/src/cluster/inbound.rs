//! The clusters of the workload itself: what the proxy passes inbound traffic on to.
//!
//! ```text
//! Sidecar with ingress: one a listener, to its default endpoint
//! without:              one a target port of the services that the proxy stands behind
//! ```
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{
    CommonLbConfig, DiscoveryType, LbPolicy,
};
use mesh_envoy_proto::envoy::config::core::v3::BindConfig;
use mesh_envoy_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint,
};
use mesh_model::name::Protocol;
use mesh_model::registry::{MergedRule, Service};
use mesh_model::resource::Sidecar;
use mesh_model::resource::destination_rule::ConnectionPoolSettings;
use mesh_model::resource::mesh_config::InboundTrafficMode;
use mesh_model::resource::sidecar::IngressListener;
use mesh_model::view::destination::{port_level, with_mesh_default};
use mesh_model::view::{InterceptionMode, IpFamilies, ServiceTarget};

use super::context::Context;
use super::http::{HttpOptions, Upstream};
use super::special::{self, OWN_IPV4, OWN_IPV6};
use super::stat_name::StatName;
use super::{connection_pool, discovery, metadata, wire};
use crate::name::ClusterName;

const LOCALHOST: &str = "127.0.0.1";
const LOCALHOST_IPV6: &str = "::1";
/// The longest time that protobuf's durations are trusted with: connections of the workload are
/// never cleaned up.
const NEVER: i64 = 9_223_372_035;

/// Returns the inbound clusters of a sidecar.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster.go` `buildInboundClusters`.
pub(super) fn clusters(context: &Context<'_>) -> Vec<Cluster> {
    let targets = context.view.service_targets();
    match context.view.scope().sidecar() {
        Some(sidecar) if !sidecar.spec.ingress.is_empty() => {
            let listeners = sidecar.spec.ingress.iter();
            let cluster = |listener| of_listener(context, sidecar, listener, &targets);
            listeners.filter_map(cluster).collect()
        }
        // Listeners would take the workload's own ports.
        _ if context.proxy.interception == InterceptionMode::None => Vec::new(),
        _ => of_services(context, &targets),
    }
}

/// One cluster for each target port; the first service of a port decides.
fn of_services(context: &Context<'_>, targets: &[ServiceTarget]) -> Vec<Cluster> {
    let address = match context.config.inbound_traffic_policy.mode {
        InboundTrafficMode::Passthrough => None,
        InboundTrafficMode::Localhost if is_ipv6_only(context) => Some(LOCALHOST_IPV6),
        InboundTrafficMode::Localhost => Some(LOCALHOST),
    };
    let is_first = |(at, target): &(usize, &ServiceTarget)| {
        targets.iter().take(*at).all(|other| other.target_port != target.target_port)
    };
    let first = targets.iter().enumerate().filter(is_first);
    let cluster = |(_, first): (usize, &ServiceTarget)| {
        let served = targets.iter().filter(|other| {
            other.target_port == first.target_port && other.port.number == first.port.number
        });
        Inbound {
            context,
            port: first.target_port,
            service: Some(&first.service),
            service_port: first.port.number,
            port_name: &first.port.name,
            protocol: first.port.protocol,
            served: served.map(|target| &*target.service).collect(),
            address: address.map(|host| (host.to_owned(), first.target_port.into())),
        }
        .cluster()
    };
    first.map(cluster).collect()
}

/// The cluster of a Sidecar's ingress listener; `None` if its port or endpoint is no valid one.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster.go` `buildInboundClustersFromSidecar`,
/// `findOrCreateService`.
fn of_listener(
    context: &Context<'_>,
    sidecar: &Sidecar,
    listener: &IngressListener,
    targets: &[ServiceTarget],
) -> Option<Cluster> {
    let listening = listener.port.as_ref()?;
    let port = u16::try_from(listening.number).ok()?;
    let target = targets.iter().find(|target| target.target_port == port);
    let service = target.map(|target| &*target.service);
    let inbound = Inbound {
        context,
        port,
        service,
        service_port: port,
        port_name: &listening.name,
        protocol: Protocol::parse(&listening.protocol),
        served: service.into_iter().collect(),
        address: default_endpoint(context, &listener.default_endpoint)?,
    };
    let mut cluster = inbound.cluster();
    if service.is_none() {
        let host = format!("{}.{}", sidecar.meta.name, sidecar.meta.namespace);
        let stat_name = StatName { host: &host, ..inbound.stat_name() };
        let pattern = &context.config.inbound_cluster_stat_name;
        cluster.alt_stat_name = stat_name.alternative(pattern, &cluster.name);
    }
    Some(cluster)
}

/// Where a listener sends to: the outer `None` if the text is no endpoint, the inner one for the
/// workload as the client addressed it.
fn default_endpoint(context: &Context<'_>, text: &str) -> Option<Option<(String, u32)>> {
    if text.is_empty() {
        return Some(None);
    }
    if text.starts_with("unix://") {
        return Some(Some((text.to_owned(), 0)));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port: u32 = port.parse().ok()?;
    let own = |is_ipv6: bool| {
        let mut addresses = context.proxy.addresses.iter();
        addresses.find(|address| address.is_ipv6() == is_ipv6).map(ToString::to_string)
    };
    let host = match host {
        "0.0.0.0" => own(false).unwrap_or_else(|| LOCALHOST.to_owned()),
        "[::]" => own(true).unwrap_or_else(|| LOCALHOST_IPV6.to_owned()),
        LOCALHOST if is_ipv6_only(context) => LOCALHOST_IPV6.to_owned(),
        LOCALHOST => LOCALHOST.to_owned(),
        "[::1]" if context.proxy.ip_families() == IpFamilies::V4 => LOCALHOST.to_owned(),
        "[::1]" => LOCALHOST_IPV6.to_owned(),
        _ => return Some(None),
    };
    Some(Some((host, port)))
}

fn is_ipv6_only(context: &Context<'_>) -> bool {
    context.proxy.ip_families() == IpFamilies::V6
}

/// What an inbound cluster is made from.
struct Inbound<'c> {
    context: &'c Context<'c>,
    /// The port of the workload.
    port: u16,
    /// The service that decides; none for a listener that no service has.
    service: Option<&'c Service>,
    /// The port that the rule speaks of.
    service_port: u16,
    port_name: &'c str,
    protocol: Protocol,
    /// The services that the cluster stands for.
    served: Vec<&'c Service>,
    /// Where it sends to; none: to the workload as the client addressed it.
    address: Option<(String, u32)>,
}

impl Inbound<'_> {
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildInboundCluster`.
    fn cluster(&self) -> Cluster {
        let context = self.context;
        let name = ClusterName::inbound(self.port).to_string();
        let pattern = &context.config.inbound_cluster_stat_name;
        let mut cluster = Cluster {
            alt_stat_name: self.stat_name().alternative(pattern, &name),
            upstream_bind_config: self.bind(),
            metadata: self.metadata(),
            common_lb_config: Some(CommonLbConfig::default()),
            name,
            ..Cluster::default()
        };
        self.apply_address(&mut cluster);
        self.apply_policy(&mut cluster);
        cluster
    }

    fn apply_address(&self, cluster: &mut Cluster) {
        let Some((host, port)) = &self.address else {
            cluster.cluster_discovery_type = discovery::kind(DiscoveryType::OriginalDst);
            cluster.lb_policy = LbPolicy::ClusterProvided.into();
            cluster.cleanup_interval = Some(wire::seconds(NEVER));
            let service = self.service;
            cluster.lb_config =
                service.and_then(|service| discovery::port_override(service, self.service_port));
            return;
        };
        cluster.cluster_discovery_type = discovery::kind(DiscoveryType::Static);
        let endpoint =
            Endpoint { address: Some(wire::address(host, *port)), ..Endpoint::default() };
        let endpoint = LbEndpoint {
            host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(endpoint)),
            ..LbEndpoint::default()
        };
        let locality =
            LocalityLbEndpoints { lb_endpoints: vec![endpoint], ..LocalityLbEndpoints::default() };
        cluster.load_assignment = Some(ClusterLoadAssignment {
            cluster_name: cluster.name.clone(),
            endpoints: vec![locality],
            ..ClusterLoadAssignment::default()
        });
    }

    /// Of the policy, limits and retry budget count.
    fn apply_policy(&self, cluster: &mut Cluster) {
        let context = self.context;
        let rule = self.rule().and_then(|rule| rule.traffic_policy.as_ref());
        let policy = rule.map(|policy| port_level(policy.into(), self.service_port).0);
        let policy = with_mesh_default(policy, context.config.default_traffic_policy.as_ref());
        let own = policy.as_ref().and_then(|policy| policy.connection_pool.as_ref());
        let pool = self.sidecar_pool().or(own);
        let budget = policy.as_ref().and_then(|policy| policy.retry_budget.as_ref());
        connection_pool::apply(cluster, pool, budget, context.config);
        let mut options = HttpOptions::of_port(Upstream {
            protocol: self.protocol,
            detects: context.detects_protocols(),
            preserves_case: context.preserves_case,
        });
        options.apply_pool(pool);
        options.apply(cluster);
    }

    /// The rule of the service, if the proxy's scope holds it.
    fn rule(&self) -> Option<&MergedRule> {
        let view = self.context.view;
        view.inbound_rule(view.scope().service(self.service?.hostname.as_str())?)
    }

    /// The limits that the Sidecar sets: those of the listener, else those for all.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/sidecar.go` `InboundConnectionPoolForPort`.
    fn sidecar_pool(&self) -> Option<&ConnectionPoolSettings> {
        let spec = &self.context.view.scope().sidecar()?.spec;
        let is_own = |listener: &&IngressListener| {
            listener.port.as_ref().is_some_and(|port| port.number == u32::from(self.port))
        };
        let own = spec.ingress.iter().filter(is_own);
        let own = own.filter_map(|listener| listener.connection_pool.as_ref()).next();
        own.or(spec.inbound_connection_pool.as_ref())
    }

    fn stat_name(&self) -> StatName<'_> {
        StatName {
            host: self.service.map_or("", |service| service.hostname.as_str()),
            kubernetes: self.service.and_then(StatName::kubernetes_name),
            subset: "",
            port: self.service_port,
            port_name: self.port_name,
            target_port: self.port,
        }
    }

    /// Connections to other addresses than the loopback would be redirected to the proxy again.
    fn bind(&self) -> Option<BindConfig> {
        if let Some((host, _)) = &self.address
            && [LOCALHOST, LOCALHOST_IPV6].contains(&host.as_str())
        {
            return None;
        }
        let is_dual = self.context.flags.istio_dual_stack;
        Some(match self.context.proxy.ip_families() {
            IpFamilies::Dual if is_dual => special::bind(OWN_IPV4, &[OWN_IPV6]),
            IpFamilies::V4 | IpFamilies::Dual => special::bind(OWN_IPV4, &[]),
            IpFamilies::V6 | IpFamilies::Unknown => special::bind(OWN_IPV6, &[]),
        })
    }

    fn metadata(&self) -> Option<mesh_envoy_proto::envoy::config::core::v3::Metadata> {
        let mut draft = metadata::Draft::default();
        if self.service?.mesh_external {
            return None;
        }
        let is_first = |(at, service): &(usize, &&Service)| {
            self.served.iter().take(*at).all(|other| other.hostname != service.hostname)
        };
        draft.services(self.served.iter().enumerate().filter(is_first).map(|(_, served)| *served));
        if let Some(rule) = self.rule().filter(|rule| rule.traffic_policy.is_some()) {
            draft.rule(rule);
        }
        draft.finish()
    }
}
