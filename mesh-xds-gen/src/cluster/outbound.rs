//! The clusters of the services that a proxy may send to.
//!
//! ```text
//! service, port ──base──▶ cluster ──policy──▶ limits, outliers, load balancing ──TLS──▶ sockets
//! ```
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::{CommonLbConfig, DiscoveryType};
use mesh_envoy_proto::envoy::config::core::v3::{HealthStatus, HealthStatusSet};
use mesh_lb::assign::EffectiveSetting;
use mesh_model::endpoint::{Provider, Shards};
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, Service};
use mesh_model::resource::destination_rule::{ClientTlsSettings, TrafficPolicy};
use mesh_model::view::mtls::ClientSide;
use mesh_model::view::{Destination, Subset};

use super::context::Context;
use super::http::{self, HttpOptions, Upstream};
use super::socket::{self, Choice, Sockets};
use super::stat_name::StatName;
use super::tls::{self, Demand};
use super::tls_context::{self, Surroundings};
use super::{accounts, connection_pool, discovery, load_balancer, locality, metadata, outlier};
use crate::name::{ClusterName, Form};

/// Returns the default and subset clusters of every service in scope, in its order.
///
/// [`Form::DnsSrv`] are those that a gateway passes mutual TLS through to by its server name: without
/// TLS of their own, and only of services inside the mesh.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster.go` `buildOutboundClusters`,
/// `buildOutboundSniDnatClusters`.
pub(super) fn clusters(context: &Context<'_>, form: Form) -> Vec<Cluster> {
    let mut found = Vec::new();
    for service in context.view.services() {
        if service.resolution == Resolution::Alias
            || (form == Form::DnsSrv && service.mesh_external)
        {
            continue;
        }
        let shards = context.view.shards(service).map(AsRef::as_ref);
        let aliases = &context.config.trust_domain_aliases;
        let accounts = accounts::of_service(service, shards, aliases);
        let draft = Outbound { context, form, shards, accounts: &accounts };
        for port in service.ports.iter().filter(|port| port.protocol != Protocol::Udp) {
            let view = context.view;
            let default = view.destination_of(service.clone(), port.clone(), Subset::None);
            draft.add(&default, &mut found);
        }
    }
    found
}

/// What the clusters of one service have in common.
#[derive(Clone, Copy)]
struct Outbound<'c> {
    context: &'c Context<'c>,
    form: Form,
    shards: Option<&'c Shards>,
    accounts: &'c [String],
}

impl Outbound<'_> {
    /// Adds the default cluster of a port, and those of the subsets.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `applyDestinationRule`,
    /// `buildSubsetCluster`.
    fn add(&self, default: &Destination<'_>, found: &mut Vec<Cluster>) {
        let Context { proxy, flags, view, .. } = self.context;
        let kind = discovery::of_service(&default.service, proxy.kind, flags);
        let Some(cluster) = self.cluster(default, kind) else { return };
        // A policy that keeps destinations does so for all subsets.
        let kind = discovery::of_cluster(&cluster).unwrap_or(kind);
        found.push(cluster);
        for subset in default.rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default() {
            let own = subset.traffic_policy.as_ref().and_then(|own| own.load_balancer.as_ref());
            let keeps = load_balancer::is_passthrough(own);
            let kind = if keeps { DiscoveryType::OriginalDst } else { kind };
            let (service, port) = (default.service.clone(), default.port.clone());
            // An empty name is not that of the default cluster here.
            let named = Subset::Named(&subset.name);
            let destination = view.destination_of(service, port, named);
            found.extend(self.cluster(&destination, kind));
        }
    }

    /// Builds one cluster; `None` if its endpoints had to be part of it and there are none.
    fn cluster(&self, destination: &Destination<'_>, kind: DiscoveryType) -> Option<Cluster> {
        let context = self.context;
        let mut cluster = self.base(destination, kind)?;
        let mut options = HttpOptions::of_port(Upstream {
            protocol: destination.port.protocol,
            detects: context.detects_protocols(),
            preserves_case: context.preserves_case,
        });
        self.apply_policy(destination, &mut cluster, &mut options);
        if self.form == Form::Subset {
            self.apply_tls(destination, &mut cluster, &mut options);
        }
        discovery::apply_eds(&mut cluster);
        options.apply(&mut cluster);
        cluster.filters = context.filters();
        cluster.metadata = metadata_of(destination).finish();
        Some(cluster)
    }

    /// The cluster before any policy.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildCluster`.
    fn base(&self, destination: &Destination<'_>, kind: DiscoveryType) -> Option<Cluster> {
        let Destination { service, port, subset, .. } = destination;
        let name = self.name(destination).to_string();
        let stat_name =
            StatName { service, subset, port: port.number, port_name: &port.name, target_port: 0 };
        let pattern = &self.context.config.outbound_cluster_stat_name;
        let is_default = subset.is_empty() && self.form == Form::Subset;
        let keeps_sessions = is_default && service.has_session_label();
        Some(Cluster {
            alt_stat_name: stat_name.alternative(pattern, &name),
            name,
            cluster_discovery_type: discovery::kind(kind),
            common_lb_config: Some(CommonLbConfig {
                override_host_status: keeps_sessions.then(session_statuses),
                ..CommonLbConfig::default()
            }),
            ..Cluster::default()
        })
    }

    fn name<'d>(&self, destination: &'d Destination<'_>) -> ClusterName<'d> {
        let Destination { service, port, subset, .. } = destination;
        let name = ClusterName::outbound(port.number, subset, service.hostname.as_str());
        ClusterName { form: self.form, ..name }
    }

    /// Limits, outlier detection and load balancing.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go` `applyTrafficPolicy`.
    fn apply_policy(
        &self,
        destination: &Destination<'_>,
        cluster: &mut Cluster,
        options: &mut HttpOptions,
    ) {
        let Context { config, flags, proxy, .. } = self.context;
        let Destination { service, port, cluster_policy, .. } = destination;
        let policy = cluster_policy.as_ref();
        let pool = policy.and_then(|policy| policy.connection_pool.as_ref());
        if http::upgrades(pool, port.protocol, config.h2_upgrade_policy) {
            options.upgrade();
        }
        let budget = policy.and_then(|policy| policy.retry_budget.as_ref());
        connection_pool::apply(cluster, pool, budget, config);
        options.apply_pool(pool);

        let rule = policy.and_then(|policy| policy.outlier_detection.as_ref());
        if let Some(rule) = rule {
            cluster.outlier_detection = Some(outlier::detection(rule));
            options.apply_error_codes(&rule.outlier_detection_http_error_codes);
        }
        let distribution = service.traffic_distribution;
        let settings = policy.and_then(|policy| policy.load_balancer.as_ref());
        let common = cluster.common_lb_config.get_or_insert_default();
        common.healthy_panic_threshold =
            outlier::healthy_panic_threshold(rule, distribution, flags).map(super::wire::percent);
        let setting = EffectiveSetting::new(
            settings,
            distribution,
            config.zone_aware_lb_setting.as_ref(),
            Some(&config.locality_lb_setting),
        );
        common.locality_config_specifier =
            locality::specifier(setting, rule.is_some(), proxy.kind, flags);
        load_balancer::apply(cluster, settings, port.protocol, flags);
    }

    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `applyUpstreamTLSSettings`.
    fn apply_tls(
        &self,
        destination: &Destination<'_>,
        cluster: &mut Cluster,
        options: &mut HttpOptions,
    ) {
        let context = self.context;
        let Destination { service, cluster_policy, rule, .. } = destination;
        let policy = cluster_policy.as_ref();
        let sni = self.name(destination).sni().to_string();
        let (settings, origin) = tls::settings(&Demand {
            given: policy.and_then(|policy| policy.tls.as_ref()),
            is_automatic: self.is_automatic(destination),
            default_sni: &sni,
            accounts: self.accounts,
            certificates: context.certificates,
            mesh_external: service.mesh_external,
        });
        let is_foreign = service.provider == Provider::External;
        let around = Surroundings {
            kind: context.proxy.kind,
            rule_selects: rule.is_some_and(|rule| rule.rule.spec.workload_selector.is_some()),
            foreign_accounts: if is_foreign { self.accounts } else { &[] },
            is_http2: options.is_http2(),
            exchanges_metadata: context.flags.pilot_enable_metadata_exchange,
            defaults: context.config.tls_defaults.as_ref(),
        };
        let made = match settings.as_deref() {
            Some(settings) => {
                let made = tls_context::context(settings, &around);
                if !matches!(made, tls_context::Context::Plain) {
                    apply_auto(settings, options);
                }
                made
            }
            None => tls_context::Context::Plain,
        };
        let socket = match made {
            tls_context::Context::Plain => None,
            tls_context::Context::Tls(made) => Some(socket::tls(&*made)),
            tls_context::Context::Broken => return,
        };
        let mut sockets = Sockets::new(
            socket,
            Choice {
                mode: settings.map(|settings| settings.mode),
                origin,
                sends_hbone: context.sends_hbone(),
                keeps_destination: discovery::of_cluster(cluster)
                    == Some(DiscoveryType::OriginalDst),
            },
        );
        if let Some(protocol) = policy.and_then(|policy| policy.proxy_protocol.as_ref()) {
            sockets.apply_proxy_protocol(protocol);
        }
        sockets.apply(cluster);
    }

    /// Whether mutual TLS is used where nobody asks for TLS. Only the top level of the rule, or of
    /// the subset, says whether destinations are kept.
    fn is_automatic(&self, destination: &Destination<'_>) -> bool {
        let Destination { service, rule, subset, port, .. } = destination;
        let own: Option<&TrafficPolicy> = rule.and_then(|rule| match &**subset {
            "" => rule.traffic_policy.as_ref(),
            name => rule.subset(name)?.traffic_policy.as_ref(),
        });
        let keeps = load_balancer::is_passthrough(own.and_then(|own| own.load_balancer.as_ref()));
        let passthrough = service.resolution == Resolution::Passthrough || keeps;
        let modes: Vec<&str> = if passthrough { self.tls_modes(&port.name) } else { Vec::new() };
        tls::is_automatic(&ClientSide {
            has_sidecar: true,
            rule: None,
            auto_mtls: self.context.config.enable_auto_mtls,
            mesh_external: service.mesh_external,
            passthrough,
            endpoint_tls_modes: &modes,
            namespace_mode: self.namespace_mode(service),
        })
    }

    fn tls_modes(&self, port_name: &str) -> Vec<&str> {
        let endpoints = self.shards.into_iter().flat_map(Shards::endpoints);
        let serving = endpoints.filter(|endpoint| *endpoint.port_name == *port_name);
        serving.map(|endpoint| &*endpoint.workload.tls_mode).collect()
    }

    fn namespace_mode(&self, service: &Service) -> mesh_model::resource::MutualTlsMode {
        self.context.view.plane().peer_authentications.namespace_mode(&service.namespace)
    }
}

/// Where the user names no server, it is that of the request; where they name no identity either,
/// the certificate has to be for that.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `setAutoSniAndAutoSanValidation`.
fn apply_auto(settings: &ClientTlsSettings, options: &mut HttpOptions) {
    if tls_context::is_users(settings.mode) {
        let auto_sni = settings.sni.is_empty();
        let is_checked = settings.insecure_skip_verify != Some(true);
        let names_nobody = settings.subject_alt_names.is_empty();
        options.apply_auto(auto_sni, auto_sni && names_nobody && is_checked);
    }
}

fn metadata_of(destination: &Destination<'_>) -> metadata::Draft {
    let Destination { service, rule, subset, cluster_policy, .. } = destination;
    let mut draft = metadata::Draft::default();
    draft.services([&**service]);
    if service.mesh_external && subset.is_empty() {
        draft.external();
    }
    if let Some(rule) = rule {
        draft.rule(rule);
        let tls = cluster_policy.as_ref().and_then(|policy| policy.tls.as_ref());
        draft.alpn_override(tls.map(|tls| tls.mode));
    }
    if !subset.is_empty() {
        draft.subset(subset);
    }
    draft
}

/// Endpoints that drain are kept for those who ask for them by name.
fn session_statuses() -> HealthStatusSet {
    let statuses = [
        HealthStatus::Healthy,
        HealthStatus::Draining,
        HealthStatus::Unknown,
        HealthStatus::Degraded,
    ];
    HealthStatusSet { statuses: statuses.map(Into::into).into() }
}
