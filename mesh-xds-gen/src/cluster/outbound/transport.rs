//! TLS of outbound clusters.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::DiscoveryType;
use mesh_model::endpoint::Provider;
use mesh_model::view::Destination;

use super::super::http::HttpOptions;
use super::super::socket::{self, Choice, Sockets};
use super::super::tls::{self, Demand, ServerName};
use super::super::tls_context::{self, Surroundings};
use super::super::{discovery, dynamic_dns};
use super::{Outbound, Wanted};

impl Outbound<'_, '_> {
    /// Chooses TLS; returns how the server's name is found where the proxy has to find it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `applyUpstreamTLSSettings`.
    pub(super) fn apply_tls(
        &self,
        Wanted { destination, is_automatic, .. }: &Wanted<'_, '_>,
        cluster: &mut Cluster,
        options: &mut HttpOptions,
    ) -> Option<ServerName> {
        let Destination { service, cluster_policy, .. } = destination;
        let policy = cluster_policy.as_deref();
        let is_looked_up = dynamic_dns::is_for(service);
        let named = self.name(destination).sni();
        let sni = if is_looked_up { String::new() } else { named.to_string() };
        let (settings, origin) = tls::settings(&Demand {
            given: policy.and_then(|policy| policy.tls.as_ref()),
            is_automatic: *is_automatic,
            default_sni: &sni,
            accounts: self.accounts,
            certificates: self.context.certificates,
            keeps_own: service.mesh_external
                && self.context.flags.prefer_destinationrule_tls_for_external_services,
        });
        let default_sni = if is_looked_up { "" } else { &*cluster.name };
        let around =
            Surroundings { default_sni, ..self.surroundings(destination, options.is_http2()) };
        let settings = settings.as_deref();
        let made = match settings {
            Some(settings) => tls_context::context(settings, &around),
            None => tls_context::Context::Plain,
        };
        let mut server_name = None;
        if let Some(settings) = settings
            && !matches!(made, tls_context::Context::Plain)
        {
            let find = if is_looked_up { ServerName::looked_up } else { ServerName::known };
            server_name = find(settings);
        }
        if let Some(server_name) = server_name {
            options.apply_auto(server_name.from_request, server_name.is_checked);
        }
        let choice = Choice {
            mode: settings.map(|settings| settings.mode),
            origin,
            sends_hbone: self.context.sends_hbone(),
            keeps_destination: discovery::of_cluster(cluster) == Some(DiscoveryType::OriginalDst),
        };
        let mut sockets = match made {
            tls_context::Context::Plain => Sockets::new(None, choice),
            tls_context::Context::Tls(made) => Sockets::new(Some(socket::tls(&*made)), choice),
            tls_context::Context::Broken => Sockets::default(),
        };
        if let Some(protocol) = policy.and_then(|policy| policy.proxy_protocol.as_ref()) {
            sockets.apply_proxy_protocol(protocol);
        }
        sockets.apply(cluster);
        server_name
    }

    fn surroundings(&self, destination: &Destination<'_>, is_http2: bool) -> Surroundings<'_> {
        let Destination { service, rule, .. } = destination;
        let context = self.context;
        let is_foreign = service.provider == Provider::External;
        Surroundings {
            proxy: context.proxy,
            rule_selects: rule.is_some_and(|rule| rule.rule.spec.workload_selector.is_some()),
            foreign_accounts: if is_foreign { self.accounts } else { &[] },
            is_http2,
            exchanges_metadata: context.flags.pilot_enable_metadata_exchange,
            defaults: context.config.tls_defaults.as_ref(),
            default_sni: "",
        }
    }
}
