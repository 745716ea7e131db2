//! The clusters of the services that a proxy may send to.
//!
//! ```text
//! service, port ──base──▶ cluster ──policy──▶ limits, outliers, load balancing ──TLS──▶ sockets
//! ```
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{CommonLbConfig, DiscoveryType};
use mesh_envoy_proto::envoy::config::core::v3::{HealthStatus, HealthStatusSet};
use mesh_lb::assign::{Assignment, ClusterForm};
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, Service};
use mesh_model::view::{Destination, Subset};

use super::context::Context;
use super::dynamic_dns::{self, Lookup};
use super::http::{HttpOptions, Upstream};
use super::stat_name::{self, StatName};
use super::tls::ServerName;
use super::{accounts, discovery, load_balancer, metadata};
use crate::endpoint;
use crate::name::{ClusterName, Form};

mod policy;
mod transport;

/// Makes the default and subset clusters of services, in their order: `make` is called for each, and
/// says how the cluster that it made finds its endpoints.
///
/// [`Form::DnsSrv`] are those that a gateway passes mutual TLS through to by its server name: without
/// TLS of their own, and only of services inside the mesh.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster.go` `buildOutboundClusters`,
/// `buildOutboundSniDnatClusters`.
pub(super) fn for_each<'v>(
    context: &Context<'v>,
    form: Form,
    services: &[Arc<Service>],
    mut make: impl FnMut(&Outbound<'_, 'v>, &Wanted<'_, 'v>) -> Option<DiscoveryType>,
) {
    for service in services {
        if service.resolution == Resolution::Alias
            || (form == Form::DnsSrv && service.mesh_external)
        {
            continue;
        }
        let shards = context.view.shards(service).map(AsRef::as_ref);
        let aliases = &context.config.trust_domain_aliases;
        // Who answers for a host that is looked up, no service knows.
        let accounts = if dynamic_dns::is_for(service) {
            Vec::new()
        } else {
            let own = context.view.plane().services.accounts(service);
            accounts::of_service(own, shards, aliases)
        };
        let rule = context.view.rule(service);
        let draft = Outbound { context, form, accounts: &accounts };
        for port in service.ports.iter().filter(|port| port.protocol != Protocol::Udp) {
            let (view, key) = (context.view, (service.clone(), port.clone()));
            draft.of_port(&view.destination_by(rule, key, Subset::None), &mut make);
        }
    }
}

/// Returns the clusters that [`for_each`] makes.
pub(super) fn clusters(
    context: &Context<'_>,
    form: Form,
    services: &[Arc<Service>],
) -> Vec<Cluster> {
    let mut found = Vec::new();
    for_each(context, form, services, |draft, wanted| {
        let cluster = draft.cluster(wanted)?;
        let kind = discovery::of_cluster(&cluster);
        found.push(cluster);
        kind
    });
    found
}

/// What the clusters of one service have in common.
#[derive(Clone, Copy)]
pub(super) struct Outbound<'c, 'v> {
    pub(super) context: &'c Context<'v>,
    pub(super) form: Form,
    pub(super) accounts: &'c [String],
}

/// A cluster to make.
pub(super) struct Wanted<'d, 'v> {
    pub(super) destination: &'d Destination<'v>,
    /// How it finds its endpoints, if no policy says otherwise.
    pub(super) kind: DiscoveryType,
    /// Whether mutual TLS is used where nobody asks for TLS.
    pub(super) is_automatic: bool,
}

impl<'v> Outbound<'_, 'v> {
    /// Makes the default cluster of a port, and those of the subsets.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `applyDestinationRule`,
    /// `buildSubsetCluster`.
    fn of_port(
        &self,
        default: &Destination<'v>,
        make: &mut impl FnMut(&Self, &Wanted<'_, 'v>) -> Option<DiscoveryType>,
    ) {
        let Context { proxy, flags, view, .. } = self.context;
        let kind = discovery::of_service(&default.service, proxy.kind, flags);
        // A policy that keeps destinations does so for all subsets.
        let Some(kind) = make(self, &self.wanted(default, kind)) else { return };
        if dynamic_dns::is_for(&default.service) {
            return;
        }
        for subset in default.rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default() {
            let own = subset.traffic_policy.as_ref().and_then(|own| own.load_balancer.as_ref());
            let keeps = load_balancer::is_passthrough(own);
            let kind = if keeps { DiscoveryType::OriginalDst } else { kind };
            let key = (default.service.clone(), default.port.clone());
            // An empty name is not that of the default cluster here.
            let named = Subset::Named(&subset.name);
            let destination = view.destination_by(default.rule, key, named);
            make(self, &self.wanted(&destination, kind));
        }
    }

    fn wanted<'d>(&self, destination: &'d Destination<'v>, kind: DiscoveryType) -> Wanted<'d, 'v> {
        let is_automatic = mesh_lb::assign::is_auto_mutual(self.context.view, destination);
        Wanted { destination, kind, is_automatic }
    }

    /// Builds one cluster; `None` if its endpoints had to be part of it and there are none.
    pub(super) fn cluster(&self, wanted: &Wanted<'_, '_>) -> Option<Cluster> {
        let &Wanted { destination, kind, .. } = wanted;
        if dynamic_dns::is_for(&destination.service) {
            return self.looked_up(wanted);
        }
        let context = self.context;
        let mut cluster = self.base(destination, kind)?;
        let mut options = self.options(destination);
        self.apply_limits(destination, &mut cluster, &mut options);
        self.apply_load_balancing(destination, &mut cluster);
        if self.form == Form::Subset {
            self.apply_tls(wanted, &mut cluster, &mut options);
        }
        discovery::apply_eds(&mut cluster);
        options.apply(&mut cluster);
        cluster.filters = context.filters();
        cluster.metadata = self.metadata(destination).finish();
        Some(cluster)
    }

    /// The cluster before any policy; `None` if its endpoints had to be part of it and there are none.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildCluster`.
    fn base(&self, destination: &Destination<'_>, kind: DiscoveryType) -> Option<Cluster> {
        let Destination { service, port, subset, .. } = destination;
        let name = self.name(destination).to_string();
        let stat_name = StatName {
            host: service.hostname.as_str(),
            kubernetes: StatName::kubernetes_name(service),
            subset,
            port: port.number,
            port_name: &port.name,
            target_port: 0,
        };
        let pattern = &self.context.config.outbound_cluster_stat_name;
        let is_default = subset.is_empty() && self.form == Form::Subset;
        let keeps_sessions = is_default && service.has_session_label();
        let mut cluster = Cluster {
            alt_stat_name: stat_name.alternative(pattern, &name),
            name,
            cluster_discovery_type: discovery::kind(kind),
            common_lb_config: Some(CommonLbConfig {
                override_host_status: keeps_sessions.then(session_statuses),
                ..CommonLbConfig::default()
            }),
            ..Cluster::default()
        };
        match kind {
            DiscoveryType::StrictDns | DiscoveryType::LogicalDns => {
                self.apply_dns(destination, &mut cluster)?;
            }
            DiscoveryType::OriginalDst => {
                cluster.lb_config = discovery::port_override(service, port.number);
            }
            DiscoveryType::Static | DiscoveryType::Eds => {}
        }
        Some(cluster)
    }

    /// Makes the endpoints a part of the cluster; `None` if there are none.
    fn apply_dns(&self, destination: &Destination<'_>, cluster: &mut Cluster) -> Option<()> {
        let Context { view, config, proxy, flags, .. } = self.context;
        let resolution = destination.service.resolution;
        let form = match self.form {
            Form::Subset => ClusterForm::of(resolution),
            Form::DnsSrv => ClusterForm::sni_dnat_of(resolution),
        };
        let assignment = Assignment::of_form(view, destination, form);
        if assignment.is_empty() {
            return None;
        }
        let families = discovery::lookup_family(proxy.ip_families(), flags);
        let races = destination.service.race_connects;
        discovery::apply_dns(cluster, races, families, config.dns_refresh_rate);
        cluster.load_assignment = Some(endpoint::from_assignment(&cluster.name, &assignment));
        Some(())
    }

    /// A cluster that looks every request's host up; `None` if the protocol does not name hosts.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildDFPCluster`.
    fn looked_up(&self, wanted: &Wanted<'_, '_>) -> Option<Cluster> {
        let Wanted { destination, .. } = wanted;
        let context = self.context;
        if !dynamic_dns::carries_host(destination.port.protocol) {
            return None;
        }
        let name = self.name(destination).to_string();
        let mut cluster = Cluster {
            alt_stat_name: stat_name::delimited(&name),
            name,
            filters: context.filters(),
            metadata: self.metadata(destination).finish(),
            ..Cluster::default()
        };
        let mut options = self.options(destination);
        self.apply_limits(destination, &mut cluster, &mut options);
        let server_name = self.apply_tls(wanted, &mut cluster, &mut options);
        options.apply(&mut cluster);
        let cache =
            dynamic_dns::cache_of_service(context.proxy, context.flags, &destination.service);
        let is_insecure =
            server_name.map_or_else(|| context.is_stock_envoy(), ServerName::is_insecure);
        Lookup { cache, is_insecure }.apply(&mut cluster);
        Some(cluster)
    }

    fn options(&self, destination: &Destination<'_>) -> HttpOptions {
        HttpOptions::of_port(Upstream {
            protocol: destination.port.protocol,
            detects: self.context.detects_protocols(),
            preserves_case: self.context.preserves_case,
        })
    }

    /// What the cluster tells Istio's own extensions.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `applyDestinationRule`.
    fn metadata(&self, destination: &Destination<'_>) -> metadata::Draft {
        let Destination { service, rule, subset, cluster_policy, .. } = destination;
        let mut draft = metadata::Draft::default();
        if !dynamic_dns::is_for(service) {
            draft.services([&**service]);
        }
        if self.needs_no_exchange(destination) {
            draft.without_exchange();
        } else if service.mesh_external && subset.is_empty() {
            draft.external();
        }
        if let Some(rule) = rule {
            draft.rule(rule);
            let tls = cluster_policy.as_deref().and_then(|policy| policy.tls.as_ref());
            draft.alpn_override(tls.map(|tls| tls.mode));
        }
        if !subset.is_empty() {
            draft.subset(subset);
        }
        draft
    }

    /// Whether all servers of a default cluster accept HBONE.
    pub(super) fn needs_no_exchange(&self, destination: &Destination<'_>) -> bool {
        let Destination { service, port, subset, .. } = destination;
        self.form == Form::Subset
            && subset.is_empty()
            && self.context.view.plane().all_accept_tunnel(service, port.number)
    }

    pub(super) fn name<'d>(&self, destination: &'d Destination<'_>) -> ClusterName<'d> {
        let Destination { service, port, subset, .. } = destination;
        let name = ClusterName::outbound(port.number, subset, service.hostname.as_str());
        ClusterName { form: self.form, ..name }
    }
}

/// Endpoints that drain are kept for those who ask for them by name.
pub(crate) fn session_statuses() -> HealthStatusSet {
    let statuses = [
        HealthStatus::Healthy,
        HealthStatus::Draining,
        HealthStatus::Unknown,
        HealthStatus::Degraded,
    ];
    HealthStatusSet { statuses: statuses.map(Into::into).into() }
}
