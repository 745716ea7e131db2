use super::*;
use crate::resource::sidecar::OutboundTrafficMode;
use crate::resource::testing::node;

fn read(json: &str) -> (MeshConfig, Vec<&'static str>) {
    let (config, diagnostics) = MeshConfig::decode(&node(json), &Arc::from("mesh.yaml"));
    (config, diagnostics.iter().map(|diagnostic| diagnostic.code).collect())
}

/// Reads a document that is expected to be fine.
fn check(json: &str) -> MeshConfig {
    let (config, codes) = read(json);
    assert_eq!(codes, [""; 0]);
    config
}

#[test]
fn an_empty_document_is_the_default() {
    assert_eq!(check("{}"), MeshConfig::default());
    assert_eq!(check("null"), MeshConfig::default());
    assert_eq!(check(r#"{"connectTimeout": null}"#), MeshConfig::default());
}

#[test]
fn a_block_replaces_the_default_wholly_and_an_empty_one_too() {
    let config = check(r#"{"outboundTrafficPolicy": {}, "localityLbSetting": {}}"#);
    assert_eq!(config.outbound_traffic_policy.mode, OutboundTrafficMode::RegistryOnly);
    assert_eq!(config.locality_lb_setting.enabled, None);
}

#[test]
fn the_default_config_is_merged_and_its_metadata_by_key() {
    let config =
        check(r#"{"defaultConfig": {"drainDuration": "1s", "proxyMetadata": {"A": "1"}}}"#);
    assert_eq!(config.default_config.drain_duration, Some(Duration::from_secs(1)));
    assert_eq!(&*config.default_config.discovery_address, "istiod.istio-system.svc:15012");
    let document = node(r#"{"proxyMetadata": {"B": "2"}, "tracing": {"sampling": 5}}"#);
    let (merged, _) = config.default_config.merged(&document, &Arc::from(""));
    let metadata: Vec<_> = merged.proxy_metadata.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(metadata, ["A=1", "B=2"]);
}

#[test]
fn headers_of_an_outer_layer_are_inherited_but_for_the_newer_ones() {
    let outer = ProxyConfig::decode(
        &node(r#"{"proxyHeaders": {"requestId": {"disabled": true}, "xForwardedHost": {"enabled": true}}}"#),
        &Arc::from(""),
    )
    .0;
    let inner = node(r#"{"proxyHeaders": {"server": {"value": "x"}}}"#);
    let headers = outer.clone().merged(&inner, &Arc::from("")).0.proxy_headers.unwrap();
    assert_eq!(headers.request_id, Some(RequestId { disabled: Some(true) }));
    assert_eq!(headers.x_forwarded_host, None);
    assert_eq!(outer.clone().merged(&node("{}"), &Arc::from("")).0, outer);
}

#[test]
fn providers_are_merged_by_name() {
    let config = check(
        r#"{"extensionProviders": [{"name": "zipkin", "zipkin": {"service": "z", "port": 1}},
            {"name": "envoy", "envoyFileAccessLog": {"path": "/log", "logFormat": {}}}]}"#,
    );
    let names: Vec<&str> =
        config.extension_providers.iter().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["prometheus", "stackdriver", "envoy", "zipkin"]);
    let Some(ProviderKind::EnvoyFileAccessLog(log)) =
        config.extension_providers.into_iter().nth(2).and_then(|provider| provider.kind)
    else {
        panic!("another provider")
    };
    assert_eq!((&*log.path, log.log_format), ("/log", Some(LogFormat::Unset)));
}

#[test]
fn aliases_are_a_sorted_set() {
    let config = check(r#"{"trustDomainAliases": ["b", "a", "b"]}"#);
    assert_eq!(config.trust_domain_aliases, ["a", "b"].map(Box::from));
}

#[test]
fn an_empty_list_of_namespaces_to_export_to_is_all_of_them() {
    let config = check(r#"{"defaultServiceExportTo": [], "defaultVirtualServiceExportTo": ["."]}"#);
    assert_eq!(config.default_service_export_to, [Box::from("*")]);
    assert_eq!(config.default_virtual_service_export_to, [Box::from(".")]);
}

#[test]
fn a_field_that_cannot_be_read_keeps_its_default_and_the_others_count() {
    let (config, codes) = read(
        r#"{"connectTimeout": 5, "trustDomain": "td", "defaultConfig": {"statusPort": "x", "meshId": "m"},
            "extensionProviders": [{"name": "a", "zipkin": {}, "datadog": {}}], "outboundTrafic": {}}"#,
    );
    assert_eq!(codes, ["FIELD-UNKNOWN", "FIELD-TYPE", "FIELD-TYPE", "FIELD-ONEOF"]);
    assert_eq!(config.connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(&*config.trust_domain, "td");
    assert_eq!((config.default_config.status_port, &*config.default_config.mesh_id), (15020, "m"));
    assert_eq!(config.extension_providers, MeshConfig::default().extension_providers);
}
