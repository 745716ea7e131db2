//! Small parts of messages that many filters share.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3 as core;
use mesh_envoy_proto::envoy::config::listener::v3::{self as proto, listener_filter};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_envoy_proto::prost_types::{self, ListValue, Struct, Value};
use mesh_envoy_proto::{pack, udpa};
use mesh_model::name::Duration;

/// The scheme of binds that are Unix sockets.
pub(super) const UNIX: &str = "unix://";

/// A network filter.
pub(super) fn filter<M: Name>(name: &str, config: &M) -> proto::Filter {
    let config = proto::filter::ConfigType::TypedConfig(pack(config));
    proto::Filter { name: name.to_owned(), config_type: Some(config) }
}

/// A filter of requests.
pub(super) fn http_filter<M: Name>(name: &str, config: &M) -> hcm::HttpFilter {
    let config = hcm::http_filter::ConfigType::TypedConfig(pack(config));
    hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(config),
        ..hcm::HttpFilter::default()
    }
}

/// A filter of new connections.
pub(super) fn listener_filter<M: Name>(name: &str, config: &M) -> proto::ListenerFilter {
    let config = listener_filter::ConfigType::TypedConfig(pack(config));
    proto::ListenerFilter {
        name: name.to_owned(),
        filter_disabled: None,
        config_type: Some(config),
    }
}

/// An address to listen on: an IP with a port, or a Unix socket.
pub(super) fn address(bind: &str, port: u16) -> core::Address {
    let address = match bind.strip_prefix(UNIX) {
        Some(path) => core::address::Address::Pipe(core::Pipe { path: path.to_owned(), mode: 0 }),
        None => core::address::Address::SocketAddress(core::SocketAddress {
            address: bind.to_owned(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(port.into())),
            ..core::SocketAddress::default()
        }),
    };
    core::Address { address: Some(address) }
}

/// A span of time.
pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

/// No time, written.
pub(super) const ZERO: prost_types::Duration = prost_types::Duration { seconds: 0, nanos: 0 };

/// The metadata that says which object a chain is from.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/util/util.go` `BuildConfigInfoMetadata`.
pub(super) fn config_metadata(kind: &str, namespace: &str, name: &str) -> core::Metadata {
    let path = format!("/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}/{name}");
    let fields = object([("config", text(&path))]);
    core::Metadata {
        filter_metadata: [("istio".to_owned(), fields)].into(),
        ..core::Metadata::default()
    }
}

/// A text in a structure.
pub(super) fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// A truth value in a structure.
pub(super) fn truth(value: bool) -> Value {
    Value { kind: Some(Kind::BoolValue(value)) }
}

/// A list in a structure.
pub(super) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values: values.into_iter().collect() })) }
}

/// A map in a structure.
pub(super) fn map<'k>(fields: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    Value { kind: Some(Kind::StructValue(object(fields))) }
}

/// A structure.
pub(super) fn object<'k>(fields: impl IntoIterator<Item = (&'k str, Value)>) -> Struct {
    let fields: BTreeMap<String, Value> =
        fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Struct { fields }
}

/// The configuration of an extension that has no type here.
pub(super) fn typed_struct(type_name: &str, value: Struct) -> udpa::r#type::v1::TypedStruct {
    udpa::r#type::v1::TypedStruct {
        type_url: format!("type.googleapis.com/{type_name}"),
        value: Some(value),
    }
}
