//! Tests of writing.
use crate::manifest::Node;
use crate::manifest::decode::{Cursor, Decode};
use crate::manifest::encode::Encode;
use crate::resource::destination_rule::DestinationRuleSpec;
use crate::resource::mesh_config::ProxyConfig;
use crate::resource::service_entry::ServiceEntrySpec;
use crate::resource::telemetry::TelemetrySpec;
use crate::resource::virtual_service::VirtualServiceSpec;
use crate::resource::{Json, PeerAuthenticationSpec};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn read<T: Decode>(node: &Node) -> T {
    let mut cursor = Cursor::default();
    let read = T::decode(node, &mut cursor);
    assert_eq!((&cursor.errors, &cursor.unknown), (&Vec::new(), &Vec::new()));
    read.unwrap()
}

/// Checks how istiod writes what it has read.
#[track_caller]
fn check<T: Decode + Encode>(given: &str, written: &str) {
    let node = read::<T>(&json(given).to_node()).node();
    assert_eq!(read::<Json>(&node), json(written));
    assert_eq!(read::<T>(&node).node(), node);
}

#[test]
fn settings_of_proxies_are_what_istiod_writes() {
    check::<ProxyConfig>(
        r#"{"concurrency":0, "tracing":{"sampling":0, "zipkin":{"address":"a:1"},
            "customTags":{"x":{"literal":{"value":""}}}, "maxPathTagLength":5},
            "drainDuration":"1.5s", "terminationDrainDuration":"0s", "serviceCluster":"",
            "gatewayTopology":{"numTrustedProxies":2, "forwardClientCertDetails":"SANITIZE_SET",
            "proxyProtocol":{}}, "holdApplicationUntilProxyStarts":false,
            "privateKeyProvider":{"cryptomb":{"pollDelay":"0.010s"}},
            "proxyHeaders":{"server":{"value":""}, "requestId":{"disabled":true},
            "metadataExchangeHeaders":{"mode":"IN_MESH"}}, "image":{}, "fileFlushMinSizeKb":12,
            "connectionSettings":{"profile":"EDGE", "httpIdleTimeout":"60s",
            "httpMergeSlashes":false}, "readinessProbe":{"httpGet":{"port":80, "path":"/x"}},
            "interceptionMode":"REDIRECT"}"#,
        r#"{"serviceCluster":"", "drainDuration":"1.500s", "concurrency":0,
            "tracing":{"zipkin":{"address":"a:1"}, "customTags":{"x":{"literal":{}}},
            "maxPathTagLength":5}, "gatewayTopology":{"numTrustedProxies":2,
            "forwardClientCertDetails":"SANITIZE_SET", "proxyProtocol":{}},
            "terminationDrainDuration":"0s", "readinessProbe":{"httpGet":{"path":"/x", "port":80}},
            "holdApplicationUntilProxyStarts":false, "image":{},
            "privateKeyProvider":{"cryptomb":{"pollDelay":"0.010s"}},
            "proxyHeaders":{"requestId":{"disabled":true}, "server":{},
            "metadataExchangeHeaders":{"mode":"IN_MESH"}}, "fileFlushMinSizeKb":12,
            "connectionSettings":{"profile":"EDGE", "httpIdleTimeout":"60s",
            "httpMergeSlashes":false}}"#,
    );
    check::<ProxyConfig>(
        r#"{"tracingServiceName":"APP_LABEL_AND_NAMESPACE", "proxyStatsMatcher":{},
            "sds":{"enabled":true}, "extraStatTags":[], "statsCompression":false,
            "privateKeyProvider":{}}"#,
        r#"{"tracingServiceName":"APP_LABEL_AND_NAMESPACE", "sds":{"enabled":true},
            "proxyStatsMatcher":{}, "privateKeyProvider":{}, "statsCompression":false}"#,
    );
}

#[test]
fn rules_and_routes_are_what_istiod_writes() {
    check::<DestinationRuleSpec>(
        r#"{"host":"a", "trafficPolicy":{"loadBalancer":{"simple":"UNSPECIFIED",
            "localityLbSetting":{"distribute":[{"from":"a/*", "to":{"b/*":60, "a/*":40}}],
            "enabled":false}, "warmup":{"duration":"10s", "aggression":1.5}},
            "connectionPool":{"tcp":{"maxConnections":0, "connectTimeout":"0.030s",
            "tcpKeepalive":{"probes":3}}, "http":{"h2UpgradePolicy":"UPGRADE",
            "http1MaxPendingRequests":5, "useClientProtocol":true}},
            "outlierDetection":{"consecutive5xxErrors":0, "interval":"300ms"},
            "tls":{"mode":"DISABLE"}, "portLevelSettings":[{"port":{"number":80},
            "tls":{"mode":"SIMPLE", "insecureSkipVerify":false}}]}, "subsets":[{"name":"v1",
            "labels":{"v":"1"}}]}"#,
        r#"{"host":"a", "trafficPolicy":{"loadBalancer":{"simple":"UNSPECIFIED",
            "localityLbSetting":{"distribute":[{"from":"a/*", "to":{"a/*":40, "b/*":60}}],
            "enabled":false}, "warmup":{"duration":"10s", "aggression":1.5}},
            "connectionPool":{"tcp":{"connectTimeout":"0.030s", "tcpKeepalive":{"probes":3}},
            "http":{"http1MaxPendingRequests":5, "h2UpgradePolicy":"UPGRADE",
            "useClientProtocol":true}}, "outlierDetection":{"consecutive5xxErrors":0,
            "interval":"0.300s"}, "tls":{}, "portLevelSettings":[{"port":{"number":80},
            "tls":{"mode":"SIMPLE", "insecureSkipVerify":false}}]}, "subsets":[{"name":"v1",
            "labels":{"v":"1"}}]}"#,
    );
    check::<DestinationRuleSpec>(
        r#"{"host":"a",
            "trafficPolicy":{"loadBalancer":{"consistentHash":{"httpCookie":{"name":"c",
            "ttl":"0s"}, "ringHash":{"minimumRingSize":1024}}}}}"#,
        r#"{"host":"a",
            "trafficPolicy":{"loadBalancer":{"consistentHash":{"httpCookie":{"name":"c",
            "ttl":"0s"}, "ringHash":{"minimumRingSize":"1024"}}}}}"#,
    );
    check::<VirtualServiceSpec>(
        r#"{"hosts":["a"], "http":[{"match":[{"uri":{"prefix":""}, "ignoreUriCase":false,
            "port":80}], "directResponse":{"status":200, "body":{"bytes":"aGk="}},
            "fault":{"abort":{"httpStatus":0, "percentage":{"value":0}}}, "retries":{"attempts":0,
            "retryRemoteLocalities":false}, "timeout":"5s",
            "headers":{"request":{"set":{"a":"b"}}}}], "tcp":[{"route":[{"destination":{"host":"b",
            "port":{"number":9}}, "weight":0}]}]}"#,
        r#"{"hosts":["a"], "http":[{"match":[{"uri":{"prefix":""}, "port":80}],
            "directResponse":{"status":200, "body":{"bytes":"aGk="}}, "timeout":"5s",
            "retries":{"retryRemoteLocalities":false}, "fault":{"abort":{"httpStatus":0,
            "percentage":{}}}, "headers":{"request":{"set":{"a":"b"}}}}],
            "tcp":[{"route":[{"destination":{"host":"b", "port":{"number":9}}}]}]}"#,
    );
}

#[test]
fn other_objects_are_what_istiod_writes() {
    check::<TelemetrySpec>(
        r#"{"metrics":[{"providers":[{"name":"p"}], "overrides":[{"match":{"metric":"ALL_METRICS",
            "mode":"CLIENT_AND_SERVER"}, "disabled":true, "tagOverrides":{"x":{"operation":"UPSERT",
            "value":"1"}}}], "reportingInterval":"5s"}], "tracing":[{"randomSamplingPercentage":0,
            "disableSpanReporting":false}], "accessLogging":[{"filter":{"expression":"x"}}]}"#,
        r#"{"tracing":[{"randomSamplingPercentage":0, "disableSpanReporting":false}],
            "metrics":[{"providers":[{"name":"p"}], "overrides":[{"match":{"metric":"ALL_METRICS"},
            "disabled":true, "tagOverrides":{"x":{"value":"1"}}}], "reportingInterval":"5s"}],
            "accessLogging":[{"filter":{"expression":"x"}}]}"#,
    );
    check::<PeerAuthenticationSpec>(
        r#"{"mtls":{"mode":"UNSET"}, "portLevelMtls":{"80":{"mode":"STRICT"}}}"#,
        r#"{"mtls":{}, "portLevelMtls":{"80":{"mode":"STRICT"}}}"#,
    );
    check::<ServiceEntrySpec>(
        r#"{"hosts":["a"], "ports":[{"number":80, "name":"h", "targetPort":0}],
            "resolution":"NONE", "endpoints":[{"address":"1.1.1.1", "ports":{"h":8080}, "weight":0,
            "labels":{}}], "location":"MESH_EXTERNAL"}"#,
        r#"{"hosts":["a"], "ports":[{"number":80, "name":"h"}], "endpoints":[{"address":"1.1.1.1",
            "ports":{"h":8080}}]}"#,
    );
}

/// The metadata `PROXY_CONFIG` of istio/istio `pkg/bootstrap/testdata/*_golden.json`.
#[test]
fn what_an_agent_wrote_is_written_again() {
    for written in [
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/all",
            "controlPlaneAuthPolicy": "MUTUAL_TLS", "customConfigFile": "envoy_bootstrap.json",
            "discoveryAddress": "mypilot:15011", "drainDuration": "5s", "envoyAccessLogService":
            {"address": "accesslog-service:15000"}, "envoyMetricsService": {"address":
            "metrics-service:15000", "tlsSettings": {"caCertificates": "/etc/istio/ms/ca.pem",
            "clientCertificate": "/etc/istio/ms/client.pem", "mode": "MUTUAL", "privateKey":
            "/etc/istio/ms/key.pem"}}, "proxyAdminPort": 15005, "serviceCluster": "istio-proxy",
            "statNameLength": 200, "statsdUdpAddress": "10.1.1.1:9125", "statusPort": 15020,
            "tracing": {"zipkin": {"address": "localhost:6000"}}}"#, // all
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/tracing_none",
            "customConfigFile": "envoy_bootstrap.json", "discoveryAddress": "istio-pilot:15010",
            "drainDuration": "2s", "proxyAdminPort": 15000, "serviceCluster": "istio-proxy",
            "statusPort": 15020, "tracing": {}}"#, // tracing_none
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/tracing_lightstep",
            "customConfigFile": "envoy_bootstrap.json", "discoveryAddress": "istio-pilot:15010",
            "drainDuration": "2s", "proxyAdminPort": 15000, "serviceCluster": "istio-proxy",
            "statusPort": 15020, "tracing": {"lightstep": {"accessToken": "abcdefg1234567",
            "address": "lightstep-satellite:8080"}}}"#, // tracing_lightstep
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/tracing_tls",
            "customConfigFile": "envoy_bootstrap.json", "discoveryAddress": "istio-pilot:15010",
            "drainDuration": "2s", "proxyAdminPort": 15000, "serviceCluster": "istio-proxy",
            "statusPort": 15020, "tracing": {"tlsSettings": {"caCertificates": "/etc/zipkin/ca.pem",
            "mode": "SIMPLE"}, "zipkin": {"address": "localhost:6000"}}}"#, // tracing_tls
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/stats_compression",
            "customConfigFile": "envoy_bootstrap.json", "discoveryAddress": "istio-pilot:15010",
            "drainDuration": "2s", "proxyAdminPort": 15000, "serviceCluster": "istio-proxy",
            "statsCompression": false, "statusPort": 15020}"#, // stats_compression
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath": "/tmp/bootstrap/stats_inclusion",
            "customConfigFile": "envoy_bootstrap.json", "discoveryAddress": "istio-pilot:15010",
            "drainDuration": "2s", "extraStatTags": ["dlp_success"], "proxyAdminPort": 15000,
            "serviceCluster": "istio-proxy", "statusPort": 15020}"#, // stats_inclusion
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath":
            "/tmp/bootstrap/global_downstream_connection_settings_with_meta", "connectionSettings":
            {"globalDownstreamConnectionLimit": 25000}, "customConfigFile": "envoy_bootstrap.json",
            "discoveryAddress": "istio-pilot:15010", "drainDuration": "2s", "proxyAdminPort": 15000,
            "proxyMetadata": {"ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS": "10000"},
            "serviceCluster": "istio-proxy", "statusPort": 15020}"#, // global_downstream_connection_settings_with_meta
        r#"{"binaryPath": "/usr/local/bin/envoy", "configPath":
            "/tmp/bootstrap/explicit_internal_address", "customConfigFile": "envoy_bootstrap.json",
            "discoveryAddress": "istio-pilot:15010", "drainDuration": "2s", "proxyAdminPort": 15000,
            "runtimeValues": {"envoy.reloadable_features.explicit_internal_address_config": "true"},
            "serviceCluster": "istio-proxy", "statusPort": 15020}"#, // explicit_internal_address
    ] {
        check::<ProxyConfig>(written, written);
    }
}
