//! Everything an authorizer needs, from the mesh: which policies, whose trust, which providers.
use std::collections::{BTreeMap, BTreeSet};

use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::name::{Labels, Namespace, TrustDomain, is_dns_label};
use mesh_model::registry::{ControlPlane, Mesh};
use mesh_model::resource::JwtRule;
use mesh_model::resource::mesh_config::{
    self, ConnectionSettings, HeadersWithUnderscoresAction, MeshConfig, PathNormalizationType,
    PathWithEscapedSlashesAction, is_status_on_error,
};
use mesh_model::view::{Proxy, ProxyKind, data_plane, may_be_captured};

use crate::authorizer::Authorizer;
use crate::compile::{Chain, Environment, Policies, ProviderKind, RootNamespace};
use crate::identity::TrustBundle;
use crate::matcher::{EscapedSlashes, PathNormalization, PathOptions, UnderscoredHeaders};
use crate::select::{
    AttachedService, BrokenPolicy, Selection, Subject, Workload, WorkloadKind, lost,
    select_jwt_rules,
};
use crate::ztunnel;

mod waypoint;

pub(crate) use self::waypoint::waypoint_workload;

impl Authorizer {
    /// Compiles what decides who may call the workload of a proxy, as what carries the mesh there
    /// decides: see [`data_plane`].
    ///
    /// Policies that could not be understood deny what they might have denied, and where nobody can tell
    /// whether a ztunnel decides, what it or an Envoy denies is denied: see [`may_be_captured`]. A waypoint decides by the
    /// service that a request is addressed to, its destination being one of the service's addresses: by the
    /// policies that refer to that service or to the waypoint; what is addressed to none by the latter.
    pub fn of_proxy(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        if proxy.kind == ProxyKind::Waypoint {
            return waypoint::authorizer(mesh, plane, proxy);
        }
        let data_plane = data_plane(mesh, proxy);
        let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
        let environment = Environment::of_proxy(mesh, plane, proxy);
        let of = |data_plane| {
            let workload = workload_at(mesh, proxy, data_plane);
            let own = Self::of(&environment, plane, &workload, &broken, data_plane);
            let peers = (data_plane == DataPlane::Ztunnel)
                .then(|| ztunnel::of_workload(plane, &proxy.namespace, &workload.labels));
            own.with_authorizations(peers.into_iter().flatten())
        };
        let mut own = of(data_plane);
        if may_be_captured(mesh, proxy) {
            own = own.or_ztunnel(of(DataPlane::Ztunnel));
        }
        own.with_space_delimited_claims(words(&jwt_rules(mesh, plane, proxy, Vec::new())))
    }

    /// The same as an Envoy decides, whatever is beside the workload: what generators write down.
    pub fn of_envoy(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        let workload = workload(&proxy.namespace, &proxy.labels);
        let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
        let environment = Environment::of_proxy(mesh, plane, proxy);
        Self::of(&environment, plane, &workload, &broken, DataPlane::IstioProxy)
    }

    /// The same where the Envoy sends connections to a service of a namespace that it looks up by server names: the
    /// policies of that namespace count too.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/networkfilter.go` `buildCompleteNetworkFilters`;
    /// `pilot/pkg/model/authorization.go` `ListAuthorizationPolicies`.
    pub fn of_envoy_to(
        mesh: &Mesh,
        plane: &ControlPlane,
        proxy: &Proxy,
        namespace: &Namespace,
    ) -> Self {
        let kind = WorkloadKind::Client(namespace.clone());
        let workload = Workload { kind, ..workload(&proxy.namespace, &proxy.labels) };
        let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
        let environment = Environment::of_proxy(mesh, plane, proxy);
        Self::of(&environment, plane, &workload, &broken, DataPlane::IstioProxy)
    }

    /// The same as an Envoy decides, of the policies that what carries the mesh there has: what is asked for its
    /// rules where a ztunnel's cannot be taken apart. Where a ztunnel decides, no trust domain stands for
    /// another.
    pub fn as_envoy(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        Self::as_envoy_with(mesh, plane, proxy, data_plane(mesh, proxy))
    }

    /// The same of the policies that a ztunnel has there; `None` where none decides, and none may: see
    /// [`may_be_captured`].
    pub fn as_envoy_of_ztunnel(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Option<Self> {
        let carrier = DataPlane::Ztunnel;
        let may_decide = data_plane(mesh, proxy) == carrier || may_be_captured(mesh, proxy);
        may_decide.then(|| Self::as_envoy_with(mesh, plane, proxy, carrier))
    }

    fn as_envoy_with(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy, carrier: DataPlane) -> Self {
        let workload = workload_at(mesh, proxy, carrier);
        let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
        let of_plane = Environment::of_proxy(mesh, plane, proxy);
        let compat = Compat { data_plane: DataPlane::IstioProxy, ..of_plane.compat.clone() };
        let keeps_trust_domains = carrier == DataPlane::Ztunnel;
        let environment = Environment { compat, keeps_trust_domains, ..of_plane };
        Self::new(&policies_near(plane, &broken, &workload), &workload, &environment)
    }

    /// The same as an Envoy decides, for a workload of any cluster by namespace and labels, whose proxy has no
    /// settings of its own.
    pub fn of_workload(
        mesh: &Mesh,
        plane: &ControlPlane,
        namespace: &Namespace,
        labels: &Labels,
    ) -> Self {
        let workload = workload(namespace, labels);
        let broken = BrokenPolicy::of_workloads(mesh, plane);
        let environment = Environment::of_plane(plane, mesh.compat());
        Self::of(&environment, plane, &workload, &broken, DataPlane::IstioProxy)
    }

    fn of(
        environment: &Environment,
        plane: &ControlPlane,
        workload: &Workload,
        broken: &[BrokenPolicy],
        data_plane: DataPlane,
    ) -> Self {
        let compat = Compat { data_plane, ..environment.compat.clone() };
        let environment = Environment { compat, ..environment.clone() };
        Self::new(&policies_near(plane, broken, workload), workload, &environment)
    }
}

impl Chain {
    /// Compiles what a gRPC server without a proxy is told of who may call it.
    ///
    /// Policies that could not be understood deny what they might have denied.
    pub fn of_grpc_server(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
        let workload = workload(&proxy.namespace, &proxy.labels);
        let environment = Environment::of_proxy(mesh, plane, proxy);
        Self::of_grpc(&policies_near(plane, &broken, &workload), &workload, &environment)
    }
}

/// All policies.
fn policies<'p>(plane: &'p ControlPlane, broken: &'p [BrokenPolicy]) -> Policies<'p> {
    Policies {
        understood: plane.authorization_policies.iter().map(AsRef::as_ref).collect(),
        broken: broken.iter().collect(),
    }
}

/// Those that may concern a workload that is no waypoint.
fn policies_near<'p>(
    plane: &'p ControlPlane,
    broken: &'p [BrokenPolicy],
    workload: &Workload,
) -> Policies<'p> {
    let root = Namespace::from(&*plane.config.root_namespace);
    let mut namespaces = vec![&root, &workload.namespace];
    namespaces.extend(workload.kind.namespaces());
    Policies {
        understood: plane.authorization_policies.of_namespaces(&namespaces),
        broken: broken.iter().collect(),
    }
}

fn workload(namespace: &Namespace, labels: &Labels) -> Workload {
    let kind = WorkloadKind::Proxy;
    Workload { namespace: namespace.clone(), labels: labels.clone(), kind }
}

/// The workload of a proxy as its policies are selected: for an Envoy by the proxy's labels, which istiod adds
/// to; for a ztunnel by the pod's own, of which there may be none.
pub(crate) fn workload_at(mesh: &Mesh, proxy: &Proxy, data_plane: DataPlane) -> Workload {
    if data_plane != DataPlane::Ztunnel {
        return workload(&proxy.namespace, &proxy.labels);
    }
    let pod = mesh.pod(proxy.cluster.as_str(), proxy.namespace.as_str(), &proxy.name);
    let labels = pod.map_or(&proxy.labels, |pod| &pod.meta.labels);
    Workload { kind: WorkloadKind::Captured, ..workload(&proxy.namespace, labels) }
}

/// Returns the token issuers of a proxy, sorted by issuer: what its `jwt_authn` filter is made of; of a
/// waypoint those of what is addressed to no service.
pub fn jwt_rules_of_proxy<'p>(
    mesh: &Mesh,
    plane: &'p ControlPlane,
    proxy: &Proxy,
) -> Vec<&'p JwtRule> {
    jwt_rules(mesh, plane, proxy, Vec::new())
}

/// The same of a waypoint, for what is addressed to a service behind it; nothing is added by a host that
/// is not.
pub fn jwt_rules_of_service<'p>(
    mesh: &Mesh,
    plane: &'p ControlPlane,
    waypoint: &Proxy,
    host: &str,
) -> Vec<&'p JwtRule> {
    jwt_rules(mesh, plane, waypoint, waypoint::attached(mesh, plane, waypoint, host))
}

/// The claims that rules of tokens take for lists of words.
fn words(rules: &[&JwtRule]) -> BTreeSet<Box<str>> {
    rules.iter().flat_map(|rule| &rule.space_delimited_claims).cloned().collect()
}

/// Returns whether a RequestAuthentication that is not in force as it was meant may be about the tokens of
/// a proxy: one that could not be understood, or of a service that could not be read. Nobody knows whether
/// it takes the token that a request brings.
///
/// Of a waypoint it is asked for what is addressed to `service`, a host behind it, or to none that is
/// known.
pub fn may_refuse_tokens(
    mesh: &Mesh,
    plane: &ControlPlane,
    proxy: &Proxy,
    service: Option<&str>,
) -> bool {
    let is_about_tokens = |policy: &&BrokenPolicy| policy.subject != Subject::Connections;
    if proxy.kind == ProxyKind::Waypoint {
        let mut broken = BrokenPolicy::of_plane(plane);
        if service.is_none() {
            broken.extend(lost::at_waypoint(mesh, plane, proxy).broken);
        }
        return broken.iter().any(|policy| is_about_tokens(&policy));
    }
    let (workload, selection) = (workload(&proxy.namespace, &proxy.labels), selection(mesh, plane));
    let broken = BrokenPolicy::of_cluster(mesh, plane, &proxy.cluster);
    let mut broken = broken.iter().filter(is_about_tokens);
    broken.any(|policy| policy.may_select(&workload, &selection))
}

fn selection(mesh: &Mesh, plane: &ControlPlane) -> Selection {
    Selection {
        root_namespace: Namespace::from(&*plane.config.root_namespace),
        selects_gateways: mesh.compat().flags.enable_selector_based_k8s_gateway_policy,
    }
}

fn jwt_rules<'p>(
    mesh: &Mesh,
    plane: &'p ControlPlane,
    proxy: &Proxy,
    services: Vec<AttachedService>,
) -> Vec<&'p JwtRule> {
    let selection = selection(mesh, plane);
    let mut workload = workload(&proxy.namespace, &proxy.labels);
    if proxy.kind == ProxyKind::Waypoint {
        workload.kind = WorkloadKind::Waypoint(services);
    }
    let policies = plane.request_authentications.iter().map(AsRef::as_ref);
    select_jwt_rules(policies, &workload, &selection)
}

impl Environment {
    /// What a control plane's settings say, for a sidecar that has none of its own.
    pub fn of_plane(plane: &ControlPlane, compat: &Compat) -> Self {
        let config = &plane.config;
        let environment = Self {
            root_namespace: RootNamespace(Namespace::from(&*config.root_namespace)),
            trust: trust_bundle(config),
            providers: providers(plane),
            compat: compat.clone(),
            ..Self::default()
        };
        let of_mesh = config.default_config.connection_settings.as_ref();
        environment.seen_by(config, of_mesh.unwrap_or(&ConnectionSettings::default()))
    }

    /// The same for a proxy, which may see other paths and headers: see [`Proxy::connection_settings`].
    pub fn of_proxy(mesh: &Mesh, plane: &ControlPlane, proxy: &Proxy) -> Self {
        let config = &plane.config;
        let settings = proxy.connection_settings(&proxy.settings(config), config);
        Self::of_plane(plane, mesh.compat()).seen_by(config, &settings)
    }

    /// What a filter of requests does before policies are asked.
    fn seen_by(self, config: &MeshConfig, settings: &ConnectionSettings) -> Self {
        let paths = PathOptions {
            normalization: normalization(config),
            merge_slashes: settings.http_merge_slashes,
            escaped_slashes: escaped_slashes(settings.http_path_with_escaped_slashes_action),
            ..PathOptions::default()
        };
        let underscored_headers = underscored(settings.http_headers_with_underscores_action);
        Self { paths, underscored_headers, ..self }
    }
}

const fn escaped_slashes(action: PathWithEscapedSlashesAction) -> Option<EscapedSlashes> {
    Some(match action {
        PathWithEscapedSlashesAction::Unspecified => return None,
        PathWithEscapedSlashesAction::KeepUnchanged => EscapedSlashes::KeepUnchanged,
        PathWithEscapedSlashesAction::RejectRequest => EscapedSlashes::RejectRequest,
        PathWithEscapedSlashesAction::UnescapeAndRedirect => EscapedSlashes::UnescapeAndRedirect,
        PathWithEscapedSlashesAction::UnescapeAndForward => EscapedSlashes::UnescapeAndForward,
    })
}

const fn underscored(action: HeadersWithUnderscoresAction) -> UnderscoredHeaders {
    match action {
        HeadersWithUnderscoresAction::Unspecified | HeadersWithUnderscoresAction::Allow => {
            UnderscoredHeaders::Allow
        }
        HeadersWithUnderscoresAction::RejectRequest => UnderscoredHeaders::RejectRequest,
        HeadersWithUnderscoresAction::DropHeader => UnderscoredHeaders::DropHeader,
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
        if let Some(kind) = kind.filter(|_| is_unique && is_dns_label(&provider.name)) {
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
                && plane.services.lookup(&grpc.service).found().is_some()
                && is_status_on_error(&grpc.status_on_error);
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
                && plane.services.lookup(&http.service).found().is_some()
                && is_status_on_error(&http.status_on_error)
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
