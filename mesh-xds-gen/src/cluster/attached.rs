//! Which services a gateway has clusters of, where it has only those that it is told to send to
//! (`PILOT_FILTER_GATEWAY_CLUSTER_CONFIG`).
//!
//! ```text
//! VirtualServices of its Gateways ─┐
//! backends of MeshConfig ──────────┼─▶ hosts ──▶ services that it sees and that have one of them
//! keys that it fetches itself ─────┘
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/model/push_context.go` `GatewayServices`, `extraServicesForProxy`. EnvoyFilters,
//! whose annotations can name more, are not read here.
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_authz::jwt_rules_of_proxy;
use mesh_model::compat::JwksFetch;
use mesh_model::registry::Service;
use mesh_model::resource::mesh_config::ProviderKind;
use mesh_model::view::{ProxyKind, ProxyView};

use crate::jwt;

/// The services that a proxy has clusters of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Attached<'v> {
    /// All that it sees.
    All,
    /// Those of these hosts, of any namespace or of one.
    Only { hosts: BTreeSet<&'v str>, of_namespace: BTreeSet<(&'v str, &'v str)> },
}

impl<'v> Attached<'v> {
    /// Those of a view's proxy.
    pub(crate) fn of(view: &ProxyView<'v>) -> Self {
        if !is_limited(view) {
            return Self::All;
        }
        let mut hosts = view.gateway_destinations();
        let mut of_namespace = BTreeSet::new();
        let providers = &view.plane().config.extension_providers;
        for service in providers.iter().filter_map(|provider| service_of(provider.kind.as_ref()?)) {
            match service.split_once('/') {
                Some((namespace, host)) => drop(of_namespace.insert((host, namespace))),
                None => drop(hosts.insert(service)),
            }
        }
        if asks_for_keys(view) {
            let rules = jwt_rules_of_proxy(view.mesh(), view.plane(), view.proxy());
            hosts.extend(rules.into_iter().filter_map(|rule| jwt::key_host(&rule.jwks_uri)));
        }
        Self::Only { hosts, of_namespace }
    }

    /// Those of some services that the proxy has clusters of.
    pub(crate) fn among<'s>(&self, services: &'s [Arc<Service>]) -> Cow<'s, [Arc<Service>]> {
        match self {
            Self::All => Cow::Borrowed(services),
            Self::Only { .. } => {
                let found = services.iter().filter(|service| self.has(service));
                Cow::Owned(found.cloned().collect())
            }
        }
    }

    /// Whether the proxy has clusters of a service that it sees.
    pub(crate) fn has(&self, service: &Service) -> bool {
        let host = service.hostname.as_str();
        match self {
            Self::All => true,
            Self::Only { hosts, of_namespace } => {
                hosts.contains(host) || of_namespace.contains(&(host, service.namespace.as_str()))
            }
        }
    }
}

/// Whether RequestAuthentications decide about clusters of a proxy.
pub(crate) fn follows_tokens(view: &ProxyView<'_>) -> bool {
    is_limited(view) && asks_for_keys(view)
}

/// Whether a proxy is a gateway that has not clusters of all that it sees.
fn is_limited(view: &ProxyView<'_>) -> bool {
    let flags = &view.mesh().compat().flags;
    flags.pilot_filter_gateway_cluster_config && view.proxy().kind == ProxyKind::Router
}

/// Whether proxies fetch keys.
fn asks_for_keys(view: &ProxyView<'_>) -> bool {
    match view.mesh().compat().flags.pilot_jwt_enable_remote_jwks {
        JwksFetch::Istiod => false,
        JwksFetch::Hybrid | JwksFetch::Envoy => true,
    }
}

/// The service of a backend that proxies speak to.
fn service_of(kind: &ProviderKind) -> Option<&str> {
    match kind {
        ProviderKind::EnvoyExtAuthzHttp(of) => Some(&of.service),
        ProviderKind::EnvoyExtAuthzGrpc(of) => Some(&of.service),
        ProviderKind::Zipkin(of) => Some(&of.service),
        ProviderKind::Datadog(of) => Some(&of.service),
        ProviderKind::SkyWalking(of) => Some(&of.service),
        ProviderKind::OpenTelemetry(of) => Some(&of.service),
        ProviderKind::EnvoyHttpAls(of) => Some(&of.service),
        ProviderKind::EnvoyTcpAls(of) => Some(&of.service),
        ProviderKind::EnvoyOtelAls(of) => Some(&of.service),
        ProviderKind::Sds(of) => Some(&of.service),
        ProviderKind::Lightstep(_)
        | ProviderKind::OpenCensus(_)
        | ProviderKind::Stackdriver(_)
        | ProviderKind::Prometheus(_)
        | ProviderKind::EnvoyFileAccessLog(_) => None,
    }
}
