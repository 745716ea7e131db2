//! What an endpoint's metadata says: which transport it needs, and whose it is.
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/util/util.go` `AppendLbEndpointMetadata`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_lb::assign::{AssignedEndpoint, Target, Transport};
use mesh_model::endpoint::{Endpoint, Workload};
use mesh_model::name::Labels;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::host_port;

pub(super) const TRANSPORT: &str = "envoy.transport_socket_match";
pub(super) const ORIGINAL_DESTINATION: &str = "envoy.filters.listener.original_dst";
pub(super) const ISTIO: &str = "istio";

/// The labels that name a workload's service, in order.
const CANONICAL_NAME: &[&str] =
    &["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];
/// The labels that name a workload's revision, in order.
const CANONICAL_REVISION: &[&str] =
    &["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"];

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
        Target::Direct(endpoint) | Target::Tunnel(endpoint) => of_endpoint(endpoint),
    }
}

fn of_endpoint(endpoint: &Endpoint) -> String {
    parts(endpoint).join(";")
}

/// Workload, namespace, service, revision and cluster of an endpoint.
pub(super) fn parts(endpoint: &Endpoint) -> [&str; 5] {
    let Workload { name, namespace, labels, cluster, .. } = &*endpoint.workload;
    let service = first(labels, CANONICAL_NAME).unwrap_or(name);
    let revision = first(labels, CANONICAL_REVISION).filter(|revision| *revision != "latest");
    [name, namespace.as_str(), service, revision.unwrap_or_default(), cluster.as_str()]
}

/// The first of some labels that is there.
fn first<'l>(labels: &'l Labels, keys: &[&str]) -> Option<&'l str> {
    keys.iter().find_map(|key| labels.get(key))
}

fn text_struct<const N: usize>(fields: [(&str, String); N]) -> Struct {
    let text = |text| Value { kind: Some(Kind::StringValue(text)) };
    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), text(value)));
    Struct { fields: fields.collect() }
}
