//! What all clusters of a proxy are made from.
use mesh_envoy_proto::envoy::config::cluster::v3::Filter;
use mesh_envoy_proto::pack;
use mesh_envoy_proto::udpa::r#type::v1::TypedStruct;
use mesh_model::compat::{DataPlane, Flags};
use mesh_model::resource::MeshConfig;
use mesh_model::view::{Proxy, ProxyKind, ProxyView};

use super::tls::ClientCertificates;
use super::wire;

/// A view with what is asked of it again and again.
pub(super) struct Context<'v> {
    pub(super) view: &'v ProxyView<'v>,
    pub(super) proxy: &'v Proxy,
    pub(super) config: &'v MeshConfig,
    pub(super) flags: &'v Flags,
    /// The certificates that the proxy's metadata names.
    pub(super) certificates: Option<ClientCertificates<'v>>,
    /// Whether HTTP/1 headers keep their case.
    pub(super) preserves_case: bool,
    /// The filter that tells the server's proxy who the client is, if there is one.
    filters: Vec<Filter>,
}

impl<'v> Context<'v> {
    pub(super) fn new(view: &'v ProxyView<'v>) -> Self {
        let (proxy, config) = (view.proxy(), &*view.plane().config);
        Self {
            view,
            proxy,
            config,
            flags: &view.mesh().compat().flags,
            certificates: ClientCertificates::of(proxy),
            preserves_case: preserves_case(proxy, config),
            filters: filters(view),
        }
    }

    /// Whether the program is an Envoy without Istio's own extensions.
    pub(super) fn is_stock_envoy(&self) -> bool {
        is_stock_envoy(self.view)
    }

    /// Whether a port whose protocol is not declared is sent what the client sent.
    pub(super) const fn detects_protocols(&self) -> bool {
        matches!(self.proxy.kind, ProxyKind::Sidecar | ProxyKind::Waypoint)
    }

    /// Whether the proxy sends HBONE.
    pub(super) fn sends_hbone(&self) -> bool {
        self.flags.sends_hbone() || self.proxy.kind == ProxyKind::Waypoint
    }

    /// The filter that tells the server's proxy who the client is.
    pub(super) fn filters(&self) -> Vec<Filter> {
        self.filters.clone()
    }
}

fn is_stock_envoy(view: &ProxyView<'_>) -> bool {
    let programs = [view.proxy().data_plane, view.mesh().compat().data_plane];
    programs.contains(&DataPlane::Envoy)
}

/// # Upstream
///
/// istio/istio `pilot/pkg/xds/filters/filters.go` `TCPClusterMx`.
fn filters(view: &ProxyView<'_>) -> Vec<Filter> {
    if !view.mesh().compat().flags.pilot_enable_metadata_exchange || is_stock_envoy(view) {
        return Vec::new();
    }
    let config = TypedStruct {
        type_url: "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange"
            .to_owned(),
        value: Some(wire::structure([
            ("enable_discovery", wire::boolean(true)),
            ("protocol", wire::text("istio-peer-exchange")),
        ])),
    };
    vec![Filter {
        name: "istio.metadata_exchange".to_owned(),
        typed_config: Some(pack(&config)),
        config_discovery: None,
    }]
}

/// `proxyHeaders.preserveHttp1HeaderCase` of the proxy's settings.
fn preserves_case(proxy: &Proxy, config: &MeshConfig) -> bool {
    let settings = proxy.settings(config);
    let headers = settings.proxy_headers.as_ref();
    headers.and_then(|headers| headers.preserve_http1_header_case).unwrap_or_default()
}
