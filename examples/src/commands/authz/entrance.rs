//! What happens to a request before any policy is asked: the connection, and the token.
use std::borrow::Cow;
use std::collections::BTreeMap;

use mesh_authz::{
    Authorizer, ServiceBehind, data_plane, jwt_rules_of_proxy, jwt_rules_of_service,
    may_be_captured, may_refuse_tokens,
};
use mesh_model::compat::DataPlane;
use mesh_model::registry::{ControlPlane, Mesh, ServerMode};
use mesh_model::resource::{JwtRule, MutualTlsMode};
use mesh_model::view::{Proxy, ProxyKind};
use serde_json::Value;

use super::plane_of;
use super::request::RequestFile;
use super::token;
use crate::Failure;

/// A request at the door of a workload.
pub(super) struct Entrance<'e> {
    /// Why it is refused at once: a word and a sentence.
    pub(super) refused: Option<(&'static str, String)>,
    /// What the workload sees of it: no peer on a port that takes plain text only.
    pub(super) request: Cow<'e, RequestFile>,
    /// The rule that validates its token; without one no token counts.
    pub(super) rule: Option<&'e JwtRule>,
}

impl<'e> Entrance<'e> {
    /// Looks at a request as the data plane of the workload that is called does.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authn/utils/utils.go` `BuildInboundTLS`, which has peers show a
    /// certificate of the mesh's trust domains in every mode but DISABLE; `authn/policy_applier.go`
    /// `JwtFilter`.
    pub(super) fn new(
        mesh: &'e Mesh,
        (to, authorizer): (&Proxy, &Authorizer),
        request: &'e RequestFile,
    ) -> Result<Self, Failure> {
        let plane = plane_of(mesh, to)?;
        let port = request.destination_port()?;
        let data_plane = data_plane(mesh, to);
        let mode = server_mode(plane, to).of_port(port);
        let takes_plain_text = mode == MutualTlsMode::Disable && data_plane != DataPlane::Ztunnel;
        let is_captured = may_be_captured(mesh, to);
        let is_unknown = takes_plain_text && request.has_peer() && is_captured;
        let request = if takes_plain_text && request.has_peer() {
            Cow::Owned(request.in_plain_text())
        } else {
            Cow::Borrowed(request)
        };
        let is_tunnel = data_plane == DataPlane::Ztunnel || is_captured;
        let looks_at_names = looks_at_names(data_plane, to);
        let mut refused = match request.has_peer() {
            true if let Some(why) = request.stranger() => {
                Some(("connection_fails", why.to_owned()))
            }
            true if looks_at_names && !request.is_mutual(&trust_domains(mesh, plane, to), is_tunnel) => Some((
                "peer_not_trusted",
                "the peer shows no identity of the mesh's trust domains, so there is no connection"
                    .to_owned(),
            )),
            false if mode == MutualTlsMode::Strict => Some((
                "mutual_tls_required",
                format!(
                    "port {port} demands mutual TLS (PeerAuthentication STRICT), and the request is \
                     plain text"
                ),
            )),
            false if is_unknown => Some((
                "connection_fails",
                "the workload's namespace cannot be read: nobody knows whether a ztunnel shows it the peer"
                    .to_owned(),
            )),
            true | false => None,
        };
        let (mut request, mut rule) = (request, None);
        if matches!(data_plane, DataPlane::IstioProxy | DataPlane::Envoy) {
            let passed = token::pass(&request, &rules(mesh, plane, (to, authorizer), &request));
            match passed.rule {
                Ok(found) => rule = found,
                Err(why) => refused = refused.or(Some(("token_refused", why))),
            }
            let service = facing(authorizer, &request).map(|service| &*service.host);
            if request.claims().is_some() && may_refuse_tokens(mesh, plane, to, service) {
                let why =
                    "a RequestAuthentication that may be the workload's, or the service that it \
                           is of, could not be understood: nobody knows whether it takes the token"
                        .to_owned();
                refused = refused.or(Some(("policy_broken", why)));
            }
            if let Some(changed) = passed.request {
                request = Cow::Owned(changed);
            }
        }
        Ok(Self { refused, request, rule })
    }
}

/// All that decides who comes as far as the policies: equal doors let the same requests in.
#[derive(Debug, PartialEq)]
pub(crate) struct Door<'m> {
    mode: ServerMode,
    trust_domains: Vec<&'m str>,
    /// Whether a peer must show a name of one of them.
    looks_at_names: bool,
    data_plane: DataPlane,
    is_captured: bool,
    /// Whether nobody knows if tokens are taken.
    pub(crate) may_refuse_tokens: bool,
    /// The rules of tokens: the workload's, then those of each service behind a waypoint, with its name.
    pub(crate) tokens: Vec<(Option<Box<str>>, &'m JwtRule)>,
}

impl<'m> Door<'m> {
    /// The door of a workload; none where no control plane serves it.
    pub(crate) fn of(mesh: &'m Mesh, to: &Proxy, authorizer: &Authorizer) -> Option<Self> {
        let plane = mesh.control_plane_of(to.cluster.as_str())?;
        let of_workload = jwt_rules_of_proxy(mesh, plane, to).into_iter().map(|rule| (None, rule));
        let of_services = authorizer.services().iter().flat_map(|service| {
            let rules = jwt_rules_of_service(mesh, plane, to, &service.host).into_iter();
            rules.map(|rule| (Some(Box::from(&*service.host)), rule))
        });
        Some(Self {
            mode: server_mode(plane, to),
            trust_domains: trust_domains(mesh, plane, to),
            looks_at_names: looks_at_names(data_plane(mesh, to), to),
            data_plane: data_plane(mesh, to),
            is_captured: may_be_captured(mesh, to),
            may_refuse_tokens: may_refuse_tokens(mesh, plane, to, None),
            tokens: of_workload.chain(of_services).collect(),
        })
    }

    /// The trust domains of one of which a peer must be; none: of any.
    pub(crate) fn trusted(&self) -> impl Iterator<Item = &'m str> {
        let known = self.trust_domains.iter().filter(|domain| !domain.is_empty());
        known.filter(|_| self.looks_at_names).copied()
    }

    /// The rules that take a token, by where they stand.
    pub(crate) fn rules_for(
        &self,
        issuer: &str,
        audience: Option<&str>,
    ) -> Vec<(Option<&str>, &'m JwtRule)> {
        let audience = audience.map(Value::from);
        let taking =
            self.tokens.iter().filter(|(_, rule)| token::takes(rule, issuer, audience.as_ref()));
        taking.map(|(service, rule)| (service.as_deref(), *rule)).collect()
    }

    /// Whether some port takes no plain text.
    pub(crate) fn demands_identity(&self) -> bool {
        let ports = self.mode.ports.values();
        ports.chain([&self.mode.mode]).any(|mode| *mode == MutualTlsMode::Strict)
    }
}

/// Whether a workload's data plane asks that a peer is of its trust domains.
fn looks_at_names(data_plane: DataPlane, to: &Proxy) -> bool {
    to.kind == ProxyKind::Sidecar && data_plane != DataPlane::Grpc
}

/// What a workload demands of connections; what gateways and waypoints terminate is not
/// PeerAuthentication's.
pub(super) fn server_mode(plane: &ControlPlane, to: &Proxy) -> ServerMode {
    if to.kind == ProxyKind::Sidecar {
        return plane.peer_authentications.server_mode(&to.namespace, &to.labels);
    }
    ServerMode { mode: MutualTlsMode::Permissive, ports: BTreeMap::new() }
}

/// The service behind a waypoint that a request is addressed to.
pub(super) fn facing<'a>(
    authorizer: &'a Authorizer,
    request: &RequestFile,
) -> Option<&'a ServiceBehind> {
    let address = request.destination()?.to_canonical();
    authorizer.services().iter().find(|service| service.addresses.contains(&address))
}

/// The rules of the workload, or of the service behind a waypoint that a request is addressed to.
fn rules<'m>(
    mesh: &'m Mesh,
    plane: &'m ControlPlane,
    (to, authorizer): (&Proxy, &Authorizer),
    request: &RequestFile,
) -> Vec<&'m JwtRule> {
    match facing(authorizer, request) {
        Some(service) => jwt_rules_of_service(mesh, plane, to, &service.host),
        None => jwt_rules_of_proxy(mesh, plane, to),
    }
}

/// Whether the trust domain of a workload's cluster cannot be told.
pub(super) fn hides_trust_domain(mesh: &Mesh, proxy: &Proxy) -> bool {
    let described = mesh.description(proxy.cluster.as_str());
    described.is_some_and(|known| known.hides_trust_domain())
}

/// The trust domains whose peers a workload accepts.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/plugin/authn/util.go` `TrustDomainsForValidation`.
pub(super) fn trust_domains<'m>(
    mesh: &'m Mesh,
    plane: &'m ControlPlane,
    to: &Proxy,
) -> Vec<&'m str> {
    let config = &plane.config;
    let described = mesh.description(to.cluster.as_str()).map(|known| &*known.trust_domain);
    let own = described.filter(|domain| !domain.is_empty()).unwrap_or(&config.trust_domain);
    // Nobody is of the empty one.
    let own = if hides_trust_domain(mesh, to) { "" } else { own };
    let aliases = config.trust_domain_aliases.iter().map(AsRef::as_ref);
    let of_roots = config.ca_certificates.iter().flat_map(|root| &root.trust_domains);
    [own].into_iter().chain(aliases).chain(of_roots.map(AsRef::as_ref)).collect()
}
