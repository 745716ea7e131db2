//! Canonical JSON: what Envoy would print, and what it would read.
#![cfg(feature = "json")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use mesh_envoy_proto::envoy::config::bootstrap::v3::Bootstrap;
use mesh_envoy_proto::envoy::config::cluster::v3::Cluster;
use mesh_envoy_proto::envoy::config::core::v3::TypedExtensionConfig;
use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use mesh_envoy_proto::envoy::r#type::v3::Percent;
use mesh_envoy_proto::istio::security::Authorization;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost_types::{Any, Duration};
use mesh_envoy_proto::stats::PluginConfig;
use mesh_envoy_proto::{json, pack};
use serde_json::{Value, json};

/// The JSON is a message of this type, whose JSON it is, and whose bytes lead back to it.
fn check<M: Default + Name + PartialEq + std::fmt::Debug>(value: &Value) {
    let message: M = json::from_value(value).unwrap();
    assert_eq!(json::to_value(&message).as_ref(), Ok(value));
    assert_eq!(M::decode(message.encode_to_vec().as_slice()), Ok(message));
}

fn check_rejected<M: Default + Name + std::fmt::Debug>(value: &Value, why: &str) {
    let error = json::from_value::<M>(value).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_listener_with_filters_in_filters_survives() {
    check::<Listener>(&json!({
        "name": "0.0.0.0_8080",
        "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 8080}},
        "trafficDirection": "OUTBOUND",
        "bindToPort": false,
        "continueOnListenerFiltersTimeout": true,
        "filterChains": [{
            "filterChainMatch": {"transportProtocol": "raw_buffer", "prefixRanges": [
                {"addressPrefix": "10.0.0.0", "prefixLen": 0}]},
            "filters": [
                {"name": "istio.metadata_exchange", "typedConfig": {
                    "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
                    "typeUrl": "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
                    "value": {"enable_discovery": true, "protocol": "istio-peer-exchange"}}},
                {"name": "envoy.filters.network.http_connection_manager", "typedConfig": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "statPrefix": "outbound_0.0.0.0_8080",
                    "rds": {"configSource": {"ads": {}, "initialFetchTimeout": "0s",
                        "resourceApiVersion": "V3"}, "routeConfigName": "8080"},
                    "httpFilters": [
                        {"name": "istio.alpn", "typedConfig": {
                            "@type": "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
                            "alpnOverride": [{"alpnOverride": ["istio-http/1.0", "istio", "http/1.0"]},
                                {"upstreamProtocol": "HTTP2", "alpnOverride": ["istio-h2", "istio", "h2"]}]}},
                        {"name": "istio.stats", "typedConfig": {
                            "@type": "type.googleapis.com/stats.PluginConfig",
                            "disableHostHeaderFallback": true, "reporter": "SERVER_GATEWAY",
                            "tcpReportingDuration": "5s"}},
                        {"name": "envoy.filters.http.router", "typedConfig": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
                    "tracing": {"clientSampling": {"value": 100.0}, "randomSampling": {"value": 0.5}}}}]}],
    }));
}

#[test]
fn a_cluster_with_maps_wrappers_and_durations_survives() {
    check::<Cluster>(&json!({
        "name": "outbound|80|v1|cart.shop.svc.cluster.local",
        "type": "EDS",
        "connectTimeout": "0.250s",
        "lbPolicy": "RING_HASH",
        "ringHashLbConfig": {"minimumRingSize": "1024"},
        "circuitBreakers": {"thresholds": [{"maxConnections": 4294967295_u32, "trackRemaining": true}]},
        "outlierDetection": {"consecutive5xx": 0, "enforcingSuccessRate": 100},
        "commonLbConfig": {"healthyPanicThreshold": {}},
        "metadata": {"filterMetadata": {"istio": {
            "services": [{"host": "cart.shop.svc.cluster.local", "name": "cart"}], "weight": 1.5}}},
        "typedExtensionProtocolOptions": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicitHttpConfig": {"http2ProtocolOptions": {"maxConcurrentStreams": 1}}}},
    }));
}

#[test]
fn a_route_with_a_fault_beside_it_survives() {
    check::<RouteConfiguration>(&json!({"name": "80", "virtualHosts": [{
        "name": "cart.shop:80", "domains": ["cart.shop"], "routes": [{
            "match": {"pathMatchPolicy": {"name": "uri-template", "typedConfig": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "pathTemplate": "/cart/{*}"}}},
            "route": {"cluster": "c", "timeout": "0s", "retryPolicy": {
                "retryHostPredicate": [{"name": "envoy.retry_host_predicates.previous_hosts",
                    "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}],
                "retriableStatusCodes": [503], "hostSelectionRetryMaxAttempts": "5"}},
            "typedPerFilterConfig": {"envoy.filters.http.fault": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {"httpStatus": 503, "percentage": {"denominator": "MILLION", "numerator": 1}}}}}]}]}));
}

#[test]
fn a_ztunnel_authorization_survives_in_the_names_of_istiod() {
    check::<Authorization>(&json!({"action": "DENY", "name": "no-delete", "namespace": "api",
        "scope": "WORKLOAD_SELECTOR", "groups": [{"rules": [{"matches": [{
            "notDestinationPorts": [9102], "sourceIps": [{"address": "ChYAAA==", "length": 16}],
            "notPrincipals": [{"presence": {}}],
            "serviceAccounts": [{"namespace": "api", "serviceAccount": "orders"}]}]}]}]}));
}

#[test]
fn the_names_of_the_proto_text_are_read_too() {
    let cluster: Cluster = json::from_value(&json!({"connect_timeout": "1s"})).unwrap();
    assert_eq!(cluster.connect_timeout, Some(Duration { seconds: 1, nanos: 0 }));
}

#[test]
fn what_is_no_such_message_is_rejected() {
    check_rejected::<Cluster>(&json!({"nmae": "c"}), "nmae");
    check_rejected::<Cluster>(&json!({"lbPolicy": "BEST"}), "BEST");
    check_rejected::<Cluster>(&json!({"connectTimeout": 5}), "");
    check_rejected::<Cluster>(&json!([]), "");
    let unknown = json!({"typedConfig": {"@type": "type.googleapis.com/example.Unknown"}});
    check_rejected::<TypedExtensionConfig>(&unknown, "example.Unknown");
}

#[test]
fn an_unknown_type_in_an_any_prints_as_its_bytes() {
    let inner = Any { type_url: "type.googleapis.com/example.Unknown".to_owned(), value: vec![1] };
    let unknown = json!({"@type": "type.googleapis.com/example.Unknown", "value": "AQ=="});
    let extension = TypedExtensionConfig { name: "e".to_owned(), typed_config: Some(inner) };
    assert_eq!(json::to_value(&extension), Ok(json!({"name": "e", "typedConfig": unknown})));
}

#[test]
fn an_empty_any_is_an_empty_object() {
    let extension =
        TypedExtensionConfig { typed_config: Some(Any::default()), ..Default::default() };
    assert_eq!(json::to_value(&extension), Ok(json!({"typedConfig": {}})));
}

#[test]
fn a_type_without_fields_of_its_own_is_a_value_in_an_any() {
    let any = pack(&Duration { seconds: 1, nanos: 500_000_000 });
    assert_eq!(
        json::any_to_value(&any.type_url, &any.value),
        Ok(json!({"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.500s"}))
    );
}

#[test]
fn bytes_of_an_unknown_type_or_of_none_are_rejected() {
    assert!(json::bytes_to_value("example.Unknown", &[]).is_err());
    assert!(json::bytes_to_value(&Cluster::type_url(), &[255]).is_err());
    assert!(json::any_to_value(&Cluster::type_url(), &[255]).is_err());
    assert_eq!(json::bytes_to_value(&Cluster::type_url(), &[]), Ok(json!({})));
}

#[test]
fn numbers_that_json_lacks_are_words() {
    for (value, printed) in [
        (f64::NAN, json!("NaN")),
        (f64::INFINITY, json!("Infinity")),
        (f64::NEG_INFINITY, json!("-Infinity")),
        (0.1, json!(0.1)),
    ] {
        assert_eq!(json::to_value(&Percent { value }), Ok(json!({"value": printed})));
    }
}

#[test]
fn a_value_of_an_enum_that_we_do_not_know_is_its_number() {
    let config = PluginConfig { reporter: 77, ..Default::default() };
    assert_eq!(json::to_value(&config), Ok(json!({"reporter": 77})));
    assert_eq!(json::from_value(&json!({"reporter": 77})), Ok(config));
}

#[test]
fn any_in_any_ends_at_the_limit_and_not_in_the_stack() {
    let nested = |levels: usize| {
        let mut extension = TypedExtensionConfig::default();
        for _ in 0..levels {
            let typed_config = Some(pack(&extension));
            extension = TypedExtensionConfig { typed_config, ..Default::default() };
        }
        extension
    };
    let deep = json::to_value(&nested(45)).unwrap();
    assert_eq!(json::from_value(&deep), Ok(nested(45)));
    let error = json::to_value(&nested(400)).unwrap_err();
    assert_eq!(error.to_string(), "more than 100 values are inside one another");
}

#[test]
fn json_without_end_is_rejected() {
    let mut value = json!({});
    for _ in 0..1_000 {
        value = json!({"typedConfig": value});
    }
    check_rejected::<TypedExtensionConfig>(&value, "more than 100 values");
}

#[test]
fn json_at_the_limit_does_not_end_in_the_stack() {
    let mut value = json!(1);
    for _ in 0..90 {
        value = json!({"s": [value]});
    }
    let bootstrap = json!({"node": {"metadata": {"deep": value}}});
    assert!(json::from_value::<Bootstrap>(&bootstrap).is_err());
}
