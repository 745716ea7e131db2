//! The messages on the wire.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::core::v3::Metadata;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::service::discovery::v3::DiscoveryRequest;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_envoy_proto::istio::security::{Authorization, StringMatch, string_match};
use mesh_envoy_proto::istio::workload::{Address, NetworkAddress, Workload, address};
use mesh_envoy_proto::prost::{Message, Name};
use mesh_envoy_proto::prost_types::{Any, Struct, Value, value};
use mesh_envoy_proto::stats::PluginConfig;
use mesh_envoy_proto::{pack, udpa, xds};

/// The message has these bytes, and the bytes are this message.
fn check<M: Default + Message + PartialEq + std::fmt::Debug>(message: &M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes);
    assert_eq!(M::decode(bytes).as_ref(), Ok(message));
}

#[test]
fn a_type_url_has_the_host_and_the_full_name() {
    assert_eq!(Listener::type_url(), "type.googleapis.com/envoy.config.listener.v3.Listener");
    assert_eq!(NameTable::type_url(), "type.googleapis.com/istio.networking.nds.v1.NameTable");
    assert_eq!(PluginConfig::type_url(), "type.googleapis.com/stats.PluginConfig");
    assert_eq!(
        udpa::r#type::v1::TypedStruct::type_url(),
        "type.googleapis.com/udpa.type.v1.TypedStruct"
    );
    assert_eq!(
        xds::r#type::v3::TypedStruct::type_url(),
        "type.googleapis.com/xds.type.v3.TypedStruct"
    );
}

#[test]
fn a_packed_message_comes_back_only_as_its_own_type() {
    let request = DiscoveryRequest { version_info: "7".to_owned(), ..Default::default() };
    let any = pack(&request);
    assert_eq!(any.to_msg(), Ok(request));
    assert!(any.to_msg::<Listener>().is_err());
}

#[test]
fn the_order_of_map_entries_is_the_alphabet() {
    let text = |text: &str| Value { kind: Some(value::Kind::StringValue(text.to_owned())) };
    let entry = |key: &str| {
        (key.to_owned(), Struct { fields: BTreeMap::from([("k".to_owned(), text(key))]) })
    };
    let mut keys = ["istio", "envoy.lb", "com.example", "a", "zz"];
    let forwards = Metadata {
        filter_metadata: keys.iter().map(|key| entry(key)).collect(),
        ..Default::default()
    };
    keys.reverse();
    let backwards = Metadata {
        filter_metadata: keys.iter().map(|key| entry(key)).collect(),
        ..Default::default()
    };
    assert_eq!(forwards.encode_to_vec(), backwards.encode_to_vec());
    let bytes = forwards.encode_to_vec();
    let at = |key: &str| bytes.windows(key.len()).position(|window| window == key.as_bytes());
    assert!(at("com.example") < at("envoy.lb") && at("envoy.lb") < at("istio"));
}

#[test]
fn a_workload_keeps_the_field_numbers_of_ztunnel() {
    let workload = Workload {
        uid: "u".to_owned(),
        addresses: vec![vec![10, 0, 0, 1]],
        capacity: Some(3),
        ..Default::default()
    };
    check(
        &Address { r#type: Some(address::Type::Workload(workload)) },
        // Address.workload 1; addresses 3, uid 20, capacity 27 with the wrapper's value 1.
        &[10, 15, 26, 4, 10, 0, 0, 1, 162, 1, 1, b'u', 218, 1, 2, 8, 3],
    );
}

#[test]
fn a_network_address_tells_length_zero_from_no_length() {
    check(&NetworkAddress { length: Some(0), ..Default::default() }, &[24, 0]);
    check(&NetworkAddress::default(), &[]);
}

#[test]
fn an_authorization_keeps_the_field_numbers_of_ztunnel() {
    use mesh_envoy_proto::istio::security::{Group, Match, Rules};
    let principal = StringMatch { match_type: Some(string_match::MatchType::Presence(())) };
    let matches = vec![Match { not_principals: vec![principal], ..Default::default() }];
    let authorization = Authorization {
        action: 1,
        groups: vec![Group { rules: vec![Rules { matches }] }],
        ..Default::default()
    };
    // action 4, groups 5, rules 1, matches 2, not_principals 4, presence 4.
    check(&authorization, &[32, 1, 42, 8, 10, 6, 18, 4, 34, 2, 34, 0]);
}

#[test]
fn an_empty_any_packs_to_an_any() {
    assert_eq!(pack(&Any::default()).type_url, "type.googleapis.com/google.protobuf.Any");
}
