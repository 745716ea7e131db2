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
    assert_eq!(config.service_settings[0].hosts, ["a.b".into()]);
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
