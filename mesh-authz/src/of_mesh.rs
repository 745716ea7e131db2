//! Everything an authorizer needs, from the mesh: which policies, whose trust, which providers.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::endpoint::Provider;
use mesh_model::name::{Labels, Namespace, TrustDomain};
use mesh_model::registry::{Broken, ControlPlane, Mesh, Origin, Service};
use mesh_model::resource::JwtRule;
use mesh_model::resource::mesh_config::{self, MeshConfig, PathNormalizationType};
use mesh_model::view::{Proxy, ProxyKind};

use crate::authorizer::Authorizer;
use crate::compile::{Chain, Environment, Policies, ProviderKind, RootNamespace};
use crate::identity::{IdentitySource, TrustBundle};
use crate::matcher::{PathNormalization, PathOptions};
use crate::select::{
    AttachedService, BrokenPolicy, Selection, ServiceRegistry, Workload, WorkloadKind,
    select_jwt_rules,
};

impl Authorizer {
    /// Compiles what decides who may call the workload of a proxy.
    ///
    /// Policies that could not be understood deny what they might have denied. A waypoint decides by the
    /// policies that refer to it or to a service behind it, all of them together.
    pub fn of_proxy(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        let workload = workload(&proxy.namespace, &proxy.labels);
        if proxy.kind != ProxyKind::Waypoint {
            return Self::of(mesh, plane, &workload, IdentitySource::Certificate);
        }
        let kind = WorkloadKind::Waypoint(behind(mesh, plane, &workload));
        Self::of(mesh, plane, &Workload { kind, ..workload }, IdentitySource::FilterState)
    }

    /// The same for a workload by namespace and labels.
    pub fn of_workload(
        mesh: &Mesh,
        plane: &ControlPlane,
        namespace: &Namespace,
        labels: &Labels,
    ) -> Self {
        Self::of(mesh, plane, &workload(namespace, labels), IdentitySource::Certificate)
    }

    fn of(
        mesh: &Mesh,
        plane: &ControlPlane,
        workload: &Workload,
        identity: IdentitySource,
    ) -> Self {
        let broken = broken_policies(mesh, plane);
        let environment = Environment { identity, ..Environment::of_plane(plane, mesh.compat()) };
        Self::new(&policies(plane, &broken), workload, &environment)
    }
}

/// The services that a waypoint serves: those that name it by label, or whose namespaces do.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/waypoints.go` `fetchWaypointForTarget`.
fn behind(mesh: &Mesh, plane: &ControlPlane, waypoint: &Workload) -> Vec<AttachedService> {
    let gateway = waypoint.labels.value("gateway.networking.k8s.io/gateway-name");
    let manifests = mesh.manifests(plane);
    let is_behind = |service: &&Arc<Service>| {
        let own = (!service.labels.value(USE_WAYPOINT).is_empty()).then_some(&service.labels);
        let of_namespace = || manifests.namespace(&service.namespace).map(|meta| &meta.labels);
        own.or_else(of_namespace).is_some_and(|labels| {
            let namespace = labels.value("istio.io/use-waypoint-namespace");
            let is_near = *namespace == *waypoint.namespace.as_str()
                || (namespace.is_empty() && service.namespace == waypoint.namespace);
            is_near && !gateway.is_empty() && *labels.value(USE_WAYPOINT) == *gateway
        })
    };
    let behind = plane.services.iter().filter(is_behind).map(|service| AttachedService {
        name: (&*service.name).into(),
        namespace: service.namespace.clone(),
        registry: match service.provider {
            Provider::Kubernetes => ServiceRegistry::Kubernetes,
            Provider::External => ServiceRegistry::External,
        },
    });
    behind.collect()
}

const USE_WAYPOINT: &str = "istio.io/use-waypoint";

impl Chain {
    /// Compiles what a gRPC server without a proxy is told of who may call it.
    ///
    /// Policies that could not be understood deny what they might have denied.
    pub fn of_grpc_server(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        let broken = broken_policies(mesh, plane);
        let workload = workload(&proxy.namespace, &proxy.labels);
        let environment = Environment::of_plane(plane, mesh.compat());
        Self::of_grpc(&policies(plane, &broken), &workload, &environment)
    }
}

/// Those that count for the proxies of a control plane and could not be understood.
fn broken_policies(mesh: &Mesh, plane: &ControlPlane) -> Vec<BrokenPolicy> {
    mesh.broken()
        .iter()
        .filter(|broken| broken.object.kind == "AuthorizationPolicy" && counts(plane, broken))
        .map(broken_policy)
        .collect()
}

fn policies<'p>(plane: &'p ControlPlane, broken: &'p [BrokenPolicy]) -> Policies<'p> {
    Policies {
        understood: plane.authorization_policies.iter().map(AsRef::as_ref).collect(),
        broken: broken.iter().collect(),
    }
}

fn workload(namespace: &Namespace, labels: &Labels) -> Workload {
    let kind = WorkloadKind::Proxy;
    Workload { namespace: namespace.clone(), labels: labels.clone(), kind }
}

/// Returns the token issuers of a proxy, sorted by issuer: what its `jwt_authn` filter is made of.
pub fn jwt_rules_of_proxy<'p>(
    plane: &'p ControlPlane,
    compat: &Compat,
    proxy: &Proxy,
) -> Vec<&'p JwtRule> {
    let selection = Selection {
        root_namespace: Namespace::from(&*plane.config.root_namespace),
        selects_gateways: compat.flags.enable_selector_based_k8s_gateway_policy,
    };
    let policies = plane.request_authentications.iter().map(AsRef::as_ref);
    select_jwt_rules(policies, &workload(&proxy.namespace, &proxy.labels), &selection)
}

/// Whether an object counts for the proxies of a control plane.
pub(crate) fn counts(plane: &ControlPlane, broken: &Broken) -> bool {
    match &broken.origin {
        Origin::Cluster(cluster) => *cluster == plane.id,
        Origin::Config
        | Origin::MeshConfig
        | Origin::MeshNetworks
        | Origin::Proxies
        | Origin::Description(_) => true,
    }
}

fn broken_policy(broken: &Broken) -> BrokenPolicy {
    BrokenPolicy {
        namespace: broken.object.namespace.clone(),
        name: broken.object.name.clone(),
        selector: broken.selector.clone(),
        action: broken.action,
    }
}

impl Environment {
    /// What a control plane's settings say.
    pub fn of_plane(plane: &ControlPlane, compat: &Compat) -> Self {
        let config = &plane.config;
        Self {
            root_namespace: RootNamespace(Namespace::from(&*config.root_namespace)),
            trust: trust_bundle(config),
            paths: PathOptions { normalization: normalization(config), ..PathOptions::default() },
            providers: providers(plane),
            compat: compat.clone(),
            ..Self::default()
        }
    }
}

/// The mesh's trust domain, then its aliases, sorted as reading the settings leaves them upstream.
fn trust_bundle(config: &MeshConfig) -> TrustBundle {
    let mut aliases: Vec<&str> = config.trust_domain_aliases.iter().map(AsRef::as_ref).collect();
    aliases.sort_unstable();
    aliases.dedup();
    let own = [&*config.trust_domain];
    TrustBundle { trust_domains: own.into_iter().chain(aliases).map(TrustDomain::from).collect() }
}

fn normalization(config: &MeshConfig) -> PathNormalization {
    match config.path_normalization.normalization {
        PathNormalizationType::None => PathNormalization::None,
        PathNormalizationType::Default | PathNormalizationType::Base => PathNormalization::Base,
        PathNormalizationType::MergeSlashes => PathNormalization::MergeSlashes,
        PathNormalizationType::DecodeAndMergeSlashes => PathNormalization::DecodeAndMergeSlashes,
    }
}

/// The external authorizers that can be used.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/security/authz/builder/extauthz.go` `processExtensionProvider`.
fn providers(plane: &ControlPlane) -> BTreeMap<Box<str>, ProviderKind> {
    let mut found = BTreeMap::new();
    let mut names = BTreeMap::<&str, usize>::new();
    // Providers of other kinds may have the name, too.
    for provider in &plane.config.extension_providers {
        if provider.kind.as_ref().is_some_and(is_authorizer) {
            *names.entry(&provider.name).or_default() += 1;
        }
    }
    for provider in &plane.config.extension_providers {
        let is_unique = names.get(&*provider.name) == Some(&1);
        let kind = provider.kind.as_ref().and_then(|kind| usable(plane, kind));
        if let Some(kind) = kind.filter(|_| is_unique && is_label(&provider.name)) {
            found.insert(provider.name.clone(), kind);
        }
    }
    found
}

const fn is_authorizer(kind: &mesh_config::ProviderKind) -> bool {
    matches!(
        kind,
        mesh_config::ProviderKind::EnvoyExtAuthzGrpc(_)
            | mesh_config::ProviderKind::EnvoyExtAuthzHttp(_)
    )
}

fn usable(plane: &ControlPlane, kind: &mesh_config::ProviderKind) -> Option<ProviderKind> {
    match kind {
        mesh_config::ProviderKind::EnvoyExtAuthzGrpc(grpc) => {
            let is_usable = is_port(grpc.port)
                && resolves(plane, &grpc.service)
                && is_status(&grpc.status_on_error);
            is_usable.then_some(ProviderKind::Grpc)
        }
        mesh_config::ProviderKind::EnvoyExtAuthzHttp(http) => {
            let lists = [
                &http.include_headers_in_check,
                &http.include_request_headers_in_check,
                &http.headers_to_upstream_on_allow,
                &http.headers_to_downstream_on_deny,
                &http.headers_to_downstream_on_allow,
            ];
            let is_usable = is_port(http.port)
                && resolves(plane, &http.service)
                && is_status(&http.status_on_error)
                && (http.path_prefix.is_empty() || http.path_prefix.starts_with('/'))
                && lists.iter().all(|list| list.iter().all(|name| **name != *"*"));
            is_usable.then_some(ProviderKind::Http)
        }
        mesh_config::ProviderKind::Zipkin(_)
        | mesh_config::ProviderKind::Lightstep(_)
        | mesh_config::ProviderKind::Datadog(_)
        | mesh_config::ProviderKind::Stackdriver(_)
        | mesh_config::ProviderKind::OpenCensus(_)
        | mesh_config::ProviderKind::SkyWalking(_)
        | mesh_config::ProviderKind::OpenTelemetry(_)
        | mesh_config::ProviderKind::Prometheus(_)
        | mesh_config::ProviderKind::EnvoyFileAccessLog(_)
        | mesh_config::ProviderKind::EnvoyHttpAls(_)
        | mesh_config::ProviderKind::EnvoyTcpAls(_)
        | mesh_config::ProviderKind::EnvoyOtelAls(_)
        | mesh_config::ProviderKind::Sds(_) => None,
    }
}

fn is_port(port: u32) -> bool {
    (1..=65535).contains(&port)
}

/// A status by its number, as Envoy's `StatusCode` knows it; empty: the default.
fn is_status(text: &str) -> bool {
    let is_known = |status: u16| {
        matches!(
            status,
            0 | 100
                | 200..=208
                | 226
                | 300..=305
                | 307
                | 308
                | 400..=417
                | 421..=424
                | 426
                | 428
                | 429
                | 431
                | 500..=508
                | 510
                | 511
        )
    };
    text.is_empty() || text.parse().is_ok_and(is_known)
}

/// 1 to 63 of `[a-z0-9-]`, not beginning or ending with `-`.
fn is_label(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_letter)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether `[namespace/]host` means one service: by both, or a host of exactly one namespace.
fn resolves(plane: &ControlPlane, service: &str) -> bool {
    match service.split_once('/') {
        Some((namespace, host)) => plane.services.get(host, namespace).is_some(),
        None => plane.services.of_host(service).count() == 1,
    }
}
