//! The route configurations of a gateway: the virtual hosts of all its servers with one route name.
//!
//! ```text
//! servers ─▶ VirtualServices bound to their Gateway ─▶ hosts in common ─▶ routes appended by host
//!                                                    ─▶ hosts with the same routes collapsed, sorted
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/gateway.go` `buildGatewayHTTPRouteConfig`.
mod hosts;
mod services;

use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::route::v3::{Route, RouteConfiguration, VirtualHost};
use mesh_model::name::{Hostname, common_hosts, hosts_for_namespace};
use mesh_model::resource::VirtualService;
use mesh_model::view::{GatewayServer, GatewayServers, ProxyView};

use self::hosts::{Bundle, Hosts};
use super::outbound::{ProxyHeaders, configuration};
use super::translate::Translation;
use crate::name::{RouteName, host_port};

/// What makes the route configurations of one gateway.
#[derive(Debug)]
pub(super) struct Gateway<'v, 'm> {
    view: &'v ProxyView<'m>,
    headers: ProxyHeaders,
    servers: GatewayServers,
}

impl<'v, 'm> Gateway<'v, 'm> {
    /// Merges the servers of a proxy.
    pub(super) fn new(view: &'v ProxyView<'m>) -> Self {
        let headers = ProxyHeaders::of(view.proxy(), &view.plane().config);
        Self { view, headers, servers: view.gateway_servers() }
    }

    /// The route configurations of these names, in their order; a name that no server has gets one
    /// without virtual hosts.
    pub(super) fn configurations<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Vec<RouteConfiguration> {
        let known: BTreeMap<String, Vec<&GatewayServer>> = self
            .servers
            .routes()
            .map(|(route, servers)| (RouteName::from(route).to_string(), servers))
            .collect();
        let hosts = |name: &str| Some(self.virtual_hosts(known.get(name)?));
        names.into_iter().map(|name| configuration(name, hosts(name))).collect()
    }

    fn virtual_hosts(&self, servers: &[&GatewayServer]) -> Vec<VirtualHost> {
        let mut bundles = Bundles::default();
        let mut hosts = Hosts::default();
        for server in servers {
            self.add_server(server, &mut bundles, &mut hosts);
        }
        if hosts.is_empty() {
            let port = servers.first().map_or(0, |server| server.number);
            return vec![VirtualHost {
                name: host_port("blackhole", port.into()),
                domains: vec!["*".to_owned()],
                ..VirtualHost::default()
            }];
        }
        hosts.finish(bundles.routes, self.headers.attempt_count)
    }

    /// Adds the hosts that VirtualServices have in common with a server, then those that redirect.
    fn add_server(&self, server: &GatewayServer, bundles: &mut Bundles, hosts: &mut Hosts) {
        let plane = self.view.plane();
        let bound =
            plane.virtual_services.visible_to(&self.view.proxy().namespace, &server.gateway);
        for rule in bound {
            let own = server.server.hosts.iter().map(AsRef::as_ref);
            let own = hosts_for_namespace(own, rule.meta.namespace.as_str());
            let of_rule: Vec<Hostname> =
                rule.spec.hosts.iter().map(|host| Hostname::from(&**host)).collect();
            let common = common_hosts(&own, &of_rule);
            if common.is_empty() {
                continue;
            }
            let Some(bundle) = bundles.of(server, rule, || self.routes(server, rule)) else {
                continue;
            };
            for host in common {
                hosts.add(host.as_str(), server, bundle);
            }
        }
        if server.redirects() {
            for host in &server.server.hosts {
                hosts.redirect(host, server);
            }
        }
    }

    /// The routes of a VirtualService as a server sees it.
    fn routes(&self, server: &GatewayServer, rule: &VirtualService) -> Vec<Route> {
        let services = services::of_rule(self.view, rule);
        let translation = Translation {
            proxy: self.view.proxy(),
            listener_port: server.number.into(),
            gateways: &[&server.gateway],
            is_tls: server.server.tls.is_some(),
            services: &services,
            default_retry: self.view.plane().config.default_http_retry_policy.as_ref(),
            headers: self.headers,
            view: Some(self.view),
        };
        translation.routes(rule)
    }
}

/// The routes of every VirtualService of every Gateway, made once each.
#[derive(Debug, Default)]
struct Bundles {
    /// By Gateway and VirtualService, each as `NAMESPACE/NAME`.
    known: BTreeMap<(Box<str>, String), Bundle>,
    routes: Vec<Vec<Route>>,
}

impl Bundles {
    /// The routes of a VirtualService, made as the first server of the Gateway that asks sees it;
    /// `None` if there are none.
    fn of(
        &mut self,
        server: &GatewayServer,
        rule: &VirtualService,
        make: impl FnOnce() -> Vec<Route>,
    ) -> Option<Bundle> {
        let meta = &rule.meta;
        let key = (server.gateway.clone(), format!("{}/{}", meta.namespace, meta.name));
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let routes = make();
        if routes.is_empty() {
            return None;
        }
        let bundle = Bundle(self.routes.len());
        self.routes.push(routes);
        self.known.insert(key, bundle);
        Some(bundle)
    }
}
