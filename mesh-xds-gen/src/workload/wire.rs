//! Small parts of messages.
use std::net::IpAddr;

use mesh_envoy_proto::istio::workload::{AppProtocol, Locality, TunnelProtocol, Workload};
use mesh_model::endpoint::{canonical_revision, canonical_service};
use mesh_model::name::{Labels, Protocol};

/// The bytes of an address, as they travel.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A place; `None` if nothing of it is known.
pub(super) fn locality(region: &str, zone: &str, subzone: &str) -> Option<Locality> {
    let is_known = [region, zone, subzone].iter().any(|part| !part.is_empty());
    is_known.then(|| Locality {
        region: region.to_owned(),
        zone: zone.to_owned(),
        subzone: subzone.to_owned(),
    })
}

/// What a port speaks, as far as ztunnels tell protocols apart.
pub(super) const fn app_protocol(protocol: Protocol) -> AppProtocol {
    match protocol {
        Protocol::Http => AppProtocol::Http11,
        Protocol::Http2 => AppProtocol::Http2,
        Protocol::Grpc => AppProtocol::Grpc,
        Protocol::Tls | Protocol::Https => AppProtocol::Tls,
        Protocol::Tcp => AppProtocol::Tcp,
        Protocol::GrpcWeb
        | Protocol::HttpProxy
        | Protocol::Udp
        | Protocol::Mongo
        | Protocol::Redis
        | Protocol::Mysql
        | Protocol::Unsupported => AppProtocol::Unknown,
    }
}

/// The canonical name and revision of a workload.
///
/// # Upstream
///
/// istio/istio `pkg/kube/labels/labels.go` `CanonicalService`.
pub(super) fn canonical(labels: &Labels, workload: &str) -> (String, String) {
    let name = canonical_service(labels).unwrap_or(workload);
    (name.to_owned(), canonical_revision(labels).unwrap_or("latest").to_owned())
}

/// Says that a workload is reached through a tunnel, if its labels or annotations do.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/ambient/workloads.go` `setTunnelProtocol`.
pub(super) fn tunnel(workload: &mut Workload, labels: &Labels, annotations: &Labels) {
    let is_redirected = annotations.value("ambient.istio.io/redirection") == "enabled";
    let mut tunnels = labels.value("networking.istio.io/tunnel").split(',');
    workload.native_tunnel = tunnels.any(|tunnel| tunnel == "http");
    if is_redirected || workload.native_tunnel {
        workload.tunnel_protocol = TunnelProtocol::Hbone.into();
    }
}
