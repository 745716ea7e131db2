//! Small values as protobuf writes them.
use mesh_envoy_proto::envoy::config::core::v3::{
    Address, Pipe, SocketAddress, address, socket_address,
};
use mesh_envoy_proto::envoy::r#type::v3::Percent;
use mesh_envoy_proto::prost_types;
use mesh_envoy_proto::prost_types::value::Kind;
use mesh_model::name::Duration;

pub(super) const fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}

pub(super) const fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

pub(super) const fn percent(value: f64) -> Percent {
    Percent { value }
}

pub(super) fn text(text: impl Into<String>) -> prost_types::Value {
    prost_types::Value { kind: Some(Kind::StringValue(text.into())) }
}

pub(super) const fn boolean(value: bool) -> prost_types::Value {
    prost_types::Value { kind: Some(Kind::BoolValue(value)) }
}

pub(super) fn structure<const N: usize>(
    fields: [(&str, prost_types::Value); N],
) -> prost_types::Struct {
    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
    prost_types::Struct { fields: fields.collect() }
}

pub(super) fn socket_address(address: &str, port: u32) -> SocketAddress {
    SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    }
}

/// An address: a Unix socket with its scheme, or an IP address or name with a port.
pub(super) fn address(host: &str, port: u32) -> Address {
    let address = match host.strip_prefix("unix://") {
        Some(path) => address::Address::Pipe(Pipe { path: path.to_owned(), mode: 0 }),
        None => address::Address::SocketAddress(socket_address(host, port)),
    };
    Address { address: Some(address) }
}
