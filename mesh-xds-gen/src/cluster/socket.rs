//! The transport sockets of a cluster: one for all endpoints, or one by what an endpoint speaks.
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::cluster::v3::cluster::TransportSocketMatch;
use mesh_envoy_proto::envoy::config::core::v3::{
    ProxyProtocolConfig, TransportSocket, proxy_protocol_config, transport_socket,
};
use mesh_envoy_proto::envoy::extensions::transport_sockets::internal_upstream::v3::InternalUpstreamTransport;
use mesh_envoy_proto::envoy::extensions::transport_sockets::proxy_protocol::v3::ProxyProtocolUpstreamTransport;
use mesh_envoy_proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use mesh_envoy_proto::prost_types::Struct;
use mesh_envoy_proto::{pack, prost};
use mesh_model::resource::destination_rule::{ClientTlsMode, ProxyProtocol, ProxyProtocolVersion};

use super::tls::Origin;
use super::wire;

const TLS: &str = "envoy.transport_sockets.tls";
const MUTUAL: &str = "tlsMode-istio";
const RAW_BUFFER: &str = "envoy.transport_sockets.raw_buffer";
const PROXY_PROTOCOL: &str = "envoy.transport_sockets.upstream_proxy_protocol";
const INTERNAL_UPSTREAM: &str = "envoy.transport_sockets.internal_upstream";

/// What decides between one socket and several.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the inputs of one decision")]
pub struct Choice {
    /// The mode of TLS, if there are settings.
    pub mode: Option<ClientTlsMode>,
    /// Who asked for it.
    pub origin: Origin,
    /// Whether the proxy sends HBONE.
    pub sends_hbone: bool,
    /// Whether the cluster keeps the client's destination, so that endpoints have no metadata.
    pub keeps_destination: bool,
}

/// The sockets of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the two fields of a cluster")]
pub struct Sockets {
    /// The one for all endpoints; plain text where it is absent and nothing matches.
    pub single: Option<TransportSocket>,
    /// The first whose match an endpoint's metadata contains.
    pub matches: Vec<TransportSocketMatch>,
}

impl Sockets {
    /// Arranges the socket of TLS, `None` without.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_tls.go` `applyUpstreamTLSSettings`,
    /// `applyHBONETransportSocketMatches`.
    pub fn new(tls: Option<TransportSocket>, choice: Choice) -> Self {
        let mode = choice.mode;
        let by_endpoint =
            mode == Some(ClientTlsMode::IstioMutual) && choice.origin == Origin::Automatic;
        if !choice.sends_hbone {
            return match tls {
                Some(tls) if by_endpoint && !choice.keeps_destination => {
                    Self::matching([mutual(tls), plain()])
                }
                tls => Self { single: tls, matches: Vec::new() },
            };
        }
        match tls {
            None if mode.is_none() || !choice.keeps_destination => {
                Self::matching([tunnel(&raw_buffer()), plain()])
            }
            Some(tls) if !choice.keeps_destination => match mode {
                Some(ClientTlsMode::IstioMutual) if by_endpoint => {
                    Self::matching([tunnel(&raw_buffer()), mutual(tls), plain()])
                }
                Some(ClientTlsMode::IstioMutual) => {
                    Self::matching([tunnel(&raw_buffer()), socket_match(MUTUAL, None, tls)])
                }
                _ => Self::matching([tunnel(&tls), socket_match("user", None, tls)]),
            },
            tls => Self { single: tls, matches: Vec::new() },
        }
    }

    fn matching<const N: usize>(matches: [TransportSocketMatch; N]) -> Self {
        Self { single: None, matches: matches.into() }
    }

    /// Puts the PROXY protocol before what every socket sends.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/networking/core/cluster_traffic_policy.go`
    /// `applyUpstreamProxyProtocol`.
    pub(super) fn apply_proxy_protocol(&mut self, protocol: &ProxyProtocol) {
        if self.single.is_none() && self.matches.is_empty() {
            self.single = Some(TransportSocket { name: "raw_buffer".to_owned(), ..raw_buffer() });
        }
        let sockets = self.matches.iter_mut().map(|entry| &mut entry.transport_socket);
        for socket in sockets.chain([&mut self.single]) {
            *socket = socket.take().map(|inner| announced(inner, protocol));
        }
    }

    /// Gives a cluster the sockets.
    pub(super) fn apply(self, cluster: &mut Cluster) {
        cluster.transport_socket = self.single;
        cluster.transport_socket_matches = self.matches;
    }
}

/// The socket of a TLS context.
pub(super) fn tls<M: prost::Name>(context: &M) -> TransportSocket {
    socket(TLS, context)
}

fn socket<M: prost::Name>(name: &str, config: &M) -> TransportSocket {
    TransportSocket {
        name: name.to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(pack(config))),
    }
}

fn raw_buffer() -> TransportSocket {
    socket(RAW_BUFFER, &RawBuffer::default())
}

fn announced(inner: TransportSocket, protocol: &ProxyProtocol) -> TransportSocket {
    let version = match protocol.version {
        ProxyProtocolVersion::V1 => proxy_protocol_config::Version::V1,
        ProxyProtocolVersion::V2 => proxy_protocol_config::Version::V2,
    };
    let config = ProxyProtocolConfig { version: version.into(), ..<_>::default() };
    socket(
        PROXY_PROTOCOL,
        &ProxyProtocolUpstreamTransport {
            config: Some(config),
            transport_socket: Some(inner),
            ..ProxyProtocolUpstreamTransport::default()
        },
    )
}

/// Mutual TLS of the mesh, for endpoints that speak it.
fn mutual(tls: TransportSocket) -> TransportSocketMatch {
    let criterion = wire::structure([("tlsMode", wire::text("istio"))]);
    socket_match(MUTUAL, Some(criterion), tls)
}

/// Plain text, for whatever matched nothing before.
fn plain() -> TransportSocketMatch {
    socket_match("tlsMode-disabled", Some(Struct::default()), raw_buffer())
}

fn tunnel(inner: &TransportSocket) -> TransportSocketMatch {
    let config = InternalUpstreamTransport {
        transport_socket: Some(inner.clone()),
        ..InternalUpstreamTransport::default()
    };
    let criterion = wire::structure([("tunnel", wire::text("http"))]);
    socket_match("hbone", Some(criterion), socket(INTERNAL_UPSTREAM, &config))
}

fn socket_match(
    name: &str,
    criterion: Option<Struct>,
    socket: TransportSocket,
) -> TransportSocketMatch {
    TransportSocketMatch {
        name: name.to_owned(),
        r#match: criterion,
        transport_socket: Some(socket),
    }
}
