//! What an endpoint's metadata says: which transport it needs, and whose it is.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_lb::assign::{AssignedEndpoint, Target, Transport};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::host_port;

pub(super) const TRANSPORT: &str = "envoy.transport_socket_match";
pub(super) const ORIGINAL_DESTINATION: &str = "envoy.filters.listener.original_dst";
pub(super) const ISTIO: &str = "istio";

/// Returns the metadata of an endpoint or gateway; `service` is `HOST:PORT`.
pub(super) fn of(endpoint: AssignedEndpoint<'_>, service: &str) -> core::Metadata {
    let target = endpoint.target();
    let mut filters = BTreeMap::new();
    if endpoint.transport() == Transport::Tunnel {
        filters.insert(TRANSPORT.to_owned(), text_struct([("tunnel", "http".to_owned())]));
    } else if let Some(mode) = endpoint.tls_mode() {
        filters.insert(TRANSPORT.to_owned(), text_struct([("tlsMode", mode.to_owned())]));
    }
    if matches!(target, Target::Tunnel(_) | Target::DoubleTunnel(_)) {
        let local = text_struct([("local", host_port(target))]);
        filters.insert(ORIGINAL_DESTINATION.to_owned(), local);
    }
    let mut istio = text_struct([("workload", workload(target))]);
    if matches!(target, Target::DoubleTunnel(_)) {
        let inner = text_struct([("hbone_target_address", service.to_owned())]);
        let inner = Value { kind: Some(Kind::StructValue(inner)) };
        istio.fields.insert("double_hbone".to_owned(), inner);
    }
    filters.insert(ISTIO.to_owned(), istio);
    core::Metadata { filter_metadata: filters, ..Default::default() }
}

/// `WORKLOAD;NAMESPACE;SERVICE;REVISION;CLUSTER`; of a gateway only the cluster is told.
fn workload(target: Target<'_>) -> String {
    match target {
        Target::Gateway(gateway) | Target::DoubleTunnel(gateway) => {
            format!(";;;;{}", gateway.cluster)
        }
        Target::Direct(endpoint) | Target::Tunnel(endpoint) => endpoint.metadata(),
    }
}

fn text_struct<const N: usize>(fields: [(&str, String); N]) -> Struct {
    let text = |text| Value { kind: Some(Kind::StringValue(text)) };
    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), text(value)));
    Struct { fields: fields.collect() }
}
