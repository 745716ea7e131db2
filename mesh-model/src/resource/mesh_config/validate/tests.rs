use std::sync::Arc;

use super::*;
use crate::resource::mesh_config::{ConnectionProfile, ConnectionSettings};
use crate::resource::testing::node;

/// Admits a partial document and checks what is told, as `RULE FIELD`.
fn check(json: &str, expected: &[&str]) -> MeshConfig {
    let (config, diagnostics) = MeshConfig::admit(&node(json), &Arc::from("mesh.yaml"));
    let mut told: Vec<_> = diagnostics.iter().map(|d| format!("{} {}", d.code, d.field)).collect();
    told.sort();
    assert_eq!(told, expected, "{json}");
    config
}

#[test]
fn istios_own_settings_break_no_rule() {
    check("{}", &[]);
}

#[test]
fn what_is_wrong_falls_back_alone() {
    let config = check(
        r#"{"trustDomain": "a/b", "connectTimeout": "2h", "rootNamespace": "root",
            "trustDomainAliases": ["ok", "not/ok"], "defaultConfig": {"drainDuration": "1ms"},
            "localityLbSetting": {"failover": [{"from": "a", "to": "a"}]},
            "serviceSettings": [{"hosts": ["a.b", "a.*"]}]}"#,
        &[
            "DUR-PRECISION defaultConfig.drainDuration",
            "HOST-LABEL serviceSettings[0].hosts[1]",
            "LLB-FAILOVER-SAME localityLbSetting.failover[0]",
            "MC-CONNECT-TIMEOUT connectTimeout",
            "MC-TRUST-DOMAIN trustDomain",
            "MC-TRUST-DOMAIN trustDomainAliases[0]",
        ],
    );
    let expected = MeshConfig {
        root_namespace: "root".into(),
        trust_domain_aliases: vec!["ok".into()],
        service_settings: config.service_settings.clone(),
        ..MeshConfig::default()
    };
    assert_eq!(config, expected);
    assert_eq!(config.service_settings[0].hosts, [Box::from("a.b")]);
}

#[test]
fn settings_of_connections_that_are_wrong_are_left_to_the_profile() {
    let config = check(
        r#"{"defaultConfig": {"connectionSettings": {
            "profile": "EDGE", "listenerPerConnectionBufferLimitBytes": -1,
            "clusterPerConnectionBufferLimitBytes": -1, "httpIdleTimeout": "-1s",
            "httpMaxConnectionDuration": "-1s", "httpDrainTimeout": "-1s",
            "httpRequestTimeout": "-1s", "httpRequestHeadersTimeout": "-1s",
            "httpStreamIdleTimeout": "-1s", "httpMaxStreamDuration": "-1s",
            "httpMaxConcurrentStreams": 0, "http2InitialStreamWindowSize": 65534,
            "http2InitialConnectionWindowSize": 65534, "listenerConnectionLimit": 0,
            "globalDownstreamConnectionLimit": 0, "httpMergeSlashes": true}}}"#,
        &[
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.clusterPerConnectionBufferLimitBytes",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.globalDownstreamConnectionLimit",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.http2InitialConnectionWindowSize",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.http2InitialStreamWindowSize",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.httpMaxConcurrentStreams",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.listenerConnectionLimit",
            "MC-CONNECTION-LIMIT defaultConfig.connectionSettings.listenerPerConnectionBufferLimitBytes",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpDrainTimeout",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpIdleTimeout",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpMaxConnectionDuration",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpMaxStreamDuration",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpRequestHeadersTimeout",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpRequestTimeout",
            "MC-CONNECTION-TIMEOUT defaultConfig.connectionSettings.httpStreamIdleTimeout",
        ],
    );
    let left = ConnectionSettings {
        profile: ConnectionProfile::Edge,
        http_merge_slashes: Some(true),
        ..ConnectionSettings::default()
    };
    assert_eq!(config.default_config.connection_settings, Some(left));
}

#[test]
fn the_least_that_connections_may_have_is_admitted() {
    check(
        r#"{"defaultConfig": {"connectionSettings": {
            "listenerPerConnectionBufferLimitBytes": 0, "clusterPerConnectionBufferLimitBytes": 0,
            "httpIdleTimeout": "0s", "httpDrainTimeout": "0.0005s", "httpMaxConcurrentStreams": 1,
            "http2InitialStreamWindowSize": 65535, "http2InitialConnectionWindowSize": 65535,
            "listenerConnectionLimit": 1, "globalDownstreamConnectionLimit": 1}}}"#,
        &[],
    );
}

#[test]
fn where_traces_are_sent_is_an_address() {
    let check_tracing = |tracing: &str, expected: &[&str]| {
        let config = check(&format!(r#"{{"defaultConfig": {{"tracing": {tracing}}}}}"#), expected);
        assert_eq!(config.default_config.tracing.is_none(), !expected.is_empty());
    };
    check_tracing(
        r#"{"zipkin": {"address": "10.0.0.100"}}"#,
        &["MC-PROXY-ADDRESS defaultConfig.tracing.zipkin.address"],
    );
    check_tracing(
        r#"{"datadog": {}}"#,
        &["MC-PROXY-ADDRESS defaultConfig.tracing.datadog.address"],
    );
    check_tracing(r#"{"zipkin": {"address": "$(HOST_IP):9411"}}"#, &[]);
    check_tracing(r#"{"datadog": {"address": "$(HOST_IP):8126"}}"#, &[]);
    check_tracing(
        r#"{"lightstep": {"address": "$(HOST_IP):80"}}"#,
        &[
            "MC-PROXY-ADDRESS defaultConfig.tracing.lightstep.address",
            "MC-TRACING-TOKEN defaultConfig.tracing.lightstep",
        ],
    );
    check_tracing(r#"{"lightstep": {"address": "a.b:80", "accessToken": "c"}}"#, &[]);
    check_tracing(
        r#"{"tlsSettings": {"mode": "MUTUAL"}}"#,
        &[
            "TLS-MUTUAL-CERT defaultConfig.tracing.tlsSettings",
            "TLS-MUTUAL-KEY defaultConfig.tracing.tlsSettings",
        ],
    );
    check_tracing(r#"{"openCensusAgent": {}, "tlsSettings": {"mode": "SIMPLE"}}"#, &[]);
}

#[test]
fn hardware_for_private_keys_is_named_and_waits() {
    let check_provider = |provider: &str, is_legal: bool| {
        let wrong = ["MC-KEY-PROVIDER defaultConfig.privateKeyProvider"];
        let expected = wrong.get(usize::from(is_legal)..).unwrap();
        let json = format!(r#"{{"defaultConfig": {{"privateKeyProvider": {provider}}}}}"#);
        let config = check(&json, expected);
        assert_eq!(config.default_config.private_key_provider.is_some(), is_legal);
    };
    check_provider("{}", false);
    check_provider(r#"{"cryptomb": {}}"#, false);
    check_provider(r#"{"cryptomb": {"pollDelay": "0s"}}"#, false);
    check_provider(r#"{"qat": {"pollDelay": "0s"}}"#, false);
    check_provider(r#"{"qat": {"pollDelay": "0.001s"}}"#, true);
    // Upstream asks for no more than that it is not zero.
    check_provider(r#"{"qat": {"pollDelay": "-1s"}}"#, true);
}

#[test]
fn inbound_retries_have_no_settings_of_several_hosts() {
    let config = check(
        r#"{"defaultInboundHttpRetryPolicy": {"attempts": 1, "perTryTimeout": "1s",
            "retryRemoteLocalities": false, "retryIgnorePreviousHosts": true, "backoff": "1s"}}"#,
        &[
            "MC-INBOUND-RETRY defaultInboundHttpRetryPolicy.perTryTimeout",
            "MC-INBOUND-RETRY defaultInboundHttpRetryPolicy.retryIgnorePreviousHosts",
            "MC-INBOUND-RETRY defaultInboundHttpRetryPolicy.retryRemoteLocalities",
        ],
    );
    assert!(config.default_inbound_http_retry_policy.is_some());
}

#[test]
fn the_keepalive_of_http2_is_not_looked_at() {
    let pool = r#"{"connectionPool": {"http": {"http2KeepAlive": {}}}}"#;
    let config = check(&format!(r#"{{"defaultTrafficPolicy": {pool}}}"#), &[]);
    assert!(config.default_traffic_policy.is_some());
}

#[test]
fn providers_that_cannot_be_used_are_kept_and_told_of() {
    let check_providers = |entries: &str, expected: &[&str]| {
        check(&format!(r#"{{"extensionProviders": [{entries}]}}"#), expected);
    };
    let check_one = |entry: &str, expected: &[&str]| {
        check_providers(&format!(r#"{{"name": "p", {entry}}}"#), expected);
    };
    check_providers(
        r#"{"prometheus": {}}, {"name": "p", "prometheus": {}}, {"name": "p", "prometheus": {}},
           {"name": "q"}, {"name": "r", "sds": {"name": "a", "service": "b", "port": 1}}"#,
        &[
            "MC-PROVIDER extensionProviders[0].name",
            "MC-PROVIDER extensionProviders[2].name",
            "MC-PROVIDER extensionProviders[3]",
            "MC-PROVIDER extensionProviders[4]",
        ],
    );
    check_one(
        r#""zipkin": {}"#,
        &[
            "MC-PROVIDER extensionProviders[0].zipkin.service",
            "PORT-RANGE extensionProviders[0].zipkin.port",
        ],
    );
    let of_entry = |field: &str| format!("MC-PROVIDER extensionProviders[0].{field}");
    for status in ["999", "abc", "418", "-1"] {
        let block = format!(r#"{{"service": "a.b", "port": 1, "statusOnError": "{status}"}}"#);
        for kind in ["envoyExtAuthzHttp", "envoyExtAuthzGrpc"] {
            check_one(
                &format!(r#""{kind}": {block}"#),
                &[&of_entry(&format!("{kind}.statusOnError"))],
            );
        }
    }
    for prefix in ["abc", "/%zz", "//[", "/a#%"] {
        let block = format!(r#"{{"service": "a.b", "port": 1, "pathPrefix": "{prefix}"}}"#);
        let expected = of_entry("envoyExtAuthzHttp.pathPrefix");
        check_one(&format!(r#""envoyExtAuthzHttp": {block}"#), &[&expected]);
    }
    check_one(
        r#""envoyExtAuthzHttp": {"service": "a/b.c", "port": 1, "statusOnError": "+503",
           "pathPrefix": "/%20?%zz"}"#,
        &[],
    );
    check_one(r#""lightstep": {"service": "10.0.0.1", "port": 80}"#, &[&of_entry("lightstep")]);
    let both = r#""opentelemetry": {"service": "a", "port": 80, "http": {}, "grpc": {}}"#;
    check_one(both, &[&of_entry("opentelemetry")]);
    for kind in [
        "datadog",
        "opencensus",
        "skywalking",
        "opentelemetry",
        "envoyHttpAls",
        "envoyTcpAls",
        "envoyOtelAls",
    ] {
        let port = format!("PORT-RANGE extensionProviders[0].{kind}.port");
        check_one(&format!(r#""{kind}": {{"service": "a.b", "port": 70000}}"#), &[&port]);
        check_one(&format!(r#""{kind}": {{"service": "a.b", "port": 1}}"#), &[]);
    }
    let config = check(
        r#"{"extensionProviders": [{"name": "p", "zipkin": {"service": "x/a", "port": 80}}]}"#,
        &["HOST-SHORT-NAME extensionProviders[0].zipkin.service"],
    );
    assert!(config.extension_providers.iter().any(|provider| &*provider.name == "p"));
}
