//! What a workload shows of itself to the one that it calls.
use std::sync::Arc;

use mesh_authz::{data_plane, is_in_mesh, may_be_captured};
use mesh_lb::assign::is_auto_mutual;
use mesh_model::compat::DataPlane;
use mesh_model::endpoint::Shards;
use mesh_model::registry::{Mesh, Service, ServicePort};
use mesh_model::resource::MutualTlsMode;
use mesh_model::resource::destination_rule::ClientTlsMode;
use mesh_model::view::{Destination, Proxy, ProxyKind, ProxyView, Subset};

use super::entrance::hides_trust_domain;
use super::identity;

/// What comes with a connection.
#[derive(Debug)]
pub(super) enum Shown {
    /// The certificate of the caller.
    Identity(String),
    /// No identity of the mesh, and why.
    Nothing(String),
    /// There is no connection: the other side cannot verify the certificate, or does not speak it.
    Refused(String),
}

/// What a call needs to be known by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    pub(super) from: &'c Proxy,
    pub(super) to: &'c Proxy,
    /// The host that is asked for, without its port.
    pub(super) host: Option<&'c str>,
    pub(super) port: Option<u16>,
    pub(super) is_http: bool,
}

impl Shown {
    /// Looks at a call as the program that carries the caller's traffic does.
    ///
    /// Sidecars and gateways secure it as the DestinationRule of the service says, else as auto mutual TLS
    /// does; the service is the one that is asked for by host, or the first by name that has the workload
    /// and port among its endpoints. Where the caller sees none, the call is taken to be one of a service
    /// without rules. gRPC clients without proxy need a rule with ISTIO_MUTUAL; ztunnels always show who
    /// calls, and are always shown it.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `buildUpstreamTLSSettings`;
    /// `pilot/pkg/networking/grpcgen/cds.go` `buildTransportSocket`.
    pub(super) fn of(mesh: &Mesh, call: Call<'_>) -> Self {
        let shown = Self::as_told(mesh, call);
        let mut ends = [call.from, call.to].into_iter();
        match ends.find(|end| may_be_captured(mesh, end)) {
            Some(end) if matches!(shown, Self::Nothing(_)) => Self::Refused(format!(
                "namespace `{}` cannot be read: nobody knows whether a ztunnel carries the call, which \
                 shows who calls",
                end.namespace
            )),
            _ => shown,
        }
    }

    /// The same as far as what can be read tells.
    fn as_told(mesh: &Mesh, call: Call<'_>) -> Self {
        let Call { from, to, .. } = call;
        if !is_in_mesh(mesh, from) {
            return Self::Nothing("it has no proxy".to_owned());
        }
        if let Some(without) = without_identity(mesh, call) {
            return without;
        }
        if hides_trust_domain(mesh, from) {
            let text = format!("the trust domain of cluster `{}` cannot be told", from.cluster);
            return Self::Refused(text);
        }
        let why = differing_roots(mesh, from, to);
        why.map_or_else(|| Self::Identity(identity(mesh, from)), Self::Refused)
    }
}

/// Why a workload cannot verify its caller, or the caller it, by the roots that their clusters sign with.
/// One that cannot be told is no other cluster's.
fn differing_roots(mesh: &Mesh, from: &Proxy, to: &Proxy) -> Option<String> {
    let described = |proxy: &Proxy| {
        let described = mesh.description(proxy.cluster.as_str());
        described.filter(|known| !known.root_ca_fingerprint.is_empty())
    };
    let (own, other) = (described(from)?, described(to)?);
    if from.cluster == to.cluster {
        return None;
    }
    let untold = [(own, from), (other, to)].into_iter().find(|(known, _)| known.hides_root());
    if let Some((_, of)) = untold {
        return Some(format!("the root that signs cluster `{}` cannot be told", of.cluster));
    }
    (!own.has_root_of(other)).then(|| {
        format!(
            "cluster `{}` signs with the root {}, `{}` trusts {}: the handshake fails",
            from.cluster, own.root_ca_fingerprint, to.cluster, other.root_ca_fingerprint
        )
    })
}

/// What a caller in the mesh sends, if it is not mutual TLS of the mesh.
fn without_identity(mesh: &Mesh, call: Call<'_>) -> Option<Shown> {
    let Call { from, to, .. } = call;
    if [from, to].into_iter().any(|proxy| data_plane(mesh, proxy) == DataPlane::Ztunnel) {
        return None;
    }
    let is_grpc = data_plane(mesh, from) == DataPlane::Grpc;
    let view = mesh.view(from)?;
    let Some((service, port)) = destination(&view, call) else {
        let is_off = !view.plane().config.enable_auto_mtls;
        if is_off || is_grpc {
            return Some(Shown::Nothing(no_rule(is_grpc)));
        }
        return (!speaks_mutual_tls(&view, call)).then(|| Shown::Nothing(PLAIN_ONLY.to_owned()));
    };
    let destination = view.destination_of(service, port, Subset::None);
    let Destination { service, port, rule, cluster_policy, .. } = &destination;
    let tls = cluster_policy.as_ref().and_then(|policy| policy.tls.as_ref());
    if let Some(mode) = tls.map(|tls| tls.mode) {
        let meta = rule.map(|rule| &rule.rule.meta);
        let name = meta.map(|meta| format!("{}/{}", meta.namespace, meta.name)).unwrap_or_default();
        let (host, port) = (&service.hostname, port.number);
        let said = format!("DestinationRule {name} says {} for {host}:{port}", word(mode));
        return match mode {
            ClientTlsMode::IstioMutual if takes_mutual_tls(&view, call) => None,
            ClientTlsMode::IstioMutual => {
                Some(Shown::Refused(format!("{said}, and the workload speaks plain text only")))
            }
            ClientTlsMode::Disable => Some(Shown::Nothing(said)),
            // The chains of a sidecar take TLS that is not the mesh's as bytes, and HTTP inside of it not at all.
            ClientTlsMode::Simple | ClientTlsMode::Mutual if call.is_http => Some(Shown::Refused(
                format!("{said}, and no HTTP of the workload is behind TLS that is not the mesh's"),
            )),
            ClientTlsMode::Simple | ClientTlsMode::Mutual => Some(Shown::Nothing(said)),
        };
    }
    if is_grpc || !is_auto_mutual(&view, &destination) {
        return Some(Shown::Nothing(no_rule(is_grpc)));
    }
    (!speaks_mutual_tls(&view, call)).then(|| Shown::Nothing(PLAIN_ONLY.to_owned()))
}

/// Whether a workload takes mutual TLS on the port: no PeerAuthentication disables it, and something
/// carries the mesh to it.
fn takes_mutual_tls(view: &ProxyView<'_>, call: Call<'_>) -> bool {
    let to = call.to;
    let of_workload = view.server_mode(&to.namespace, &to.labels);
    let mode = call.port.map_or(of_workload.mode, |port| of_workload.of_port(port));
    mode != MutualTlsMode::Disable && is_in_mesh(view.mesh(), to)
}

/// Whether callers see that a workload takes mutual TLS, where no rule says it: by the label that the
/// injection of a sidecar writes. Without the label it is taken to speak plain text, whatever runs there.
/// What comes to a waypoint came through a tunnel.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/context.go` `GetTLSModeFromEndpointLabels`;
/// `pilot/pkg/xds/endpoints/mtls_checker.go`.
fn speaks_mutual_tls(view: &ProxyView<'_>, call: Call<'_>) -> bool {
    let label = call.to.labels.value("security.istio.io/tlsMode");
    takes_mutual_tls(view, call) && (label == "istio" || call.to.kind == ProxyKind::Waypoint)
}

const PLAIN_ONLY: &str = "the workload that it calls speaks plain text only: its label \
    `security.istio.io/tlsMode` is not `istio`, or mutual TLS is disabled";

const fn word(mode: ClientTlsMode) -> &'static str {
    match mode {
        ClientTlsMode::Disable => "DISABLE",
        ClientTlsMode::Simple => "SIMPLE",
        ClientTlsMode::Mutual => "MUTUAL",
        ClientTlsMode::IstioMutual => "ISTIO_MUTUAL",
    }
}

fn no_rule(is_grpc: bool) -> String {
    let why = if is_grpc {
        "a gRPC client without proxy uses mutual TLS where a DestinationRule says ISTIO_MUTUAL"
    } else {
        "auto mutual TLS is off for what it calls, and no DestinationRule says ISTIO_MUTUAL"
    };
    why.to_owned()
}

/// The service and port that a caller reaches a workload by.
fn destination(view: &ProxyView<'_>, call: Call<'_>) -> Option<(Arc<Service>, ServicePort)> {
    let mut found: Vec<(Arc<Service>, ServicePort)> = Vec::new();
    for service in view.services() {
        let endpoints =
            view.shards(service).into_iter().flat_map(|shards| Shards::endpoints(shards));
        let serving = endpoints.filter(|endpoint| {
            let is_of = |address: &std::net::IpAddr| endpoint.address.ip() == Some(*address);
            call.to.addresses.iter().any(is_of)
                && call.port.is_none_or(|port| endpoint.port == port)
        });
        for endpoint in serving {
            let port = service.ports.iter().find(|port| *port.name == *endpoint.port_name);
            found.extend(port.map(|port| (service.clone(), port.clone())));
        }
    }
    found.sort_by(|a, b| (&a.0.hostname, a.1.number).cmp(&(&b.0.hostname, b.1.number)));
    let asked = call.host.and_then(|host| view.service(host).ok());
    let by_host = asked.as_ref().and_then(|asked| {
        found.iter().find(|(service, _)| service.hostname == asked.hostname).cloned()
    });
    by_host.or_else(|| found.into_iter().next())
}
