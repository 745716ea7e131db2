//! Which settings of connections count for a proxy.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_model::Compat;
use mesh_model::name::Duration;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::resource::Json;
use mesh_model::resource::mesh_config::{
    ConnectionProfile, ConnectionSettings, HeadersWithUnderscoresAction,
    PathWithEscapedSlashesAction,
};
use mesh_model::view::ProxyKind;

/// What counts for a proxy of a kind, where the mesh has this block and the proxy these settings.
fn settings(kind: ProxyKind, of_mesh: &str, own: Option<&str>) -> ConnectionSettings {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop}\nspec: {containers: \
               [{name: istio-proxy}]}\nstatus: {phase: Running, podIP: 10.0.0.1}\n";
    let config = format!("defaultConfig: {{connectionSettings: {of_mesh}}}\n");
    let mut registry = Registry::new(Compat::default());
    let found = registry.load([
        Source { origin: Origin::MeshConfig, name: "mesh.yaml".into(), text: config.into() },
        Source { origin: Origin::Cluster("c1".into()), name: "pod.yaml".into(), text: pod.into() },
    ]);
    assert_eq!(found, []);
    let mesh = registry.mesh();
    let mut proxy = mesh.proxy("c1/shop/web-0").unwrap();
    proxy.kind = kind;
    if let Some(own) = own {
        proxy.metadata.insert("PROXY_CONFIG".into(), Json::parse(own).unwrap());
    }
    proxy.connection_settings(&proxy.settings(mesh.config()), mesh.config())
}

fn nothing() -> ConnectionSettings {
    ConnectionSettings::default()
}

#[test]
fn what_nobody_says_is_nothing() {
    assert_eq!(settings(ProxyKind::Router, "null", None), nothing());
    assert_eq!(settings(ProxyKind::Router, "{}", None), nothing());
}

#[test]
fn the_block_of_the_proxy_counts_whole_and_without_it_that_of_the_mesh() {
    let of_mesh = "{httpIdleTimeout: 10s, httpMergeSlashes: true}";
    let mesh = ConnectionSettings {
        http_idle_timeout: Some(Duration::from_secs(10)),
        http_merge_slashes: Some(true),
        ..nothing()
    };
    let check = |own: Option<&str>, expected: &ConnectionSettings| {
        assert_eq!(&settings(ProxyKind::Sidecar, of_mesh, own), expected, "{own:?}");
    };
    check(None, &mesh);
    check(Some(r#"{"concurrency": 2}"#), &mesh);
    check(Some(r#"{"connectionSettings": {}}"#), &nothing());
    let own = ConnectionSettings { http_merge_slashes: Some(false), ..nothing() };
    check(Some(r#"{"connectionSettings": {"httpMergeSlashes": false}}"#), &own);
}

#[test]
fn profile_edge_fills_in_what_a_gateway_is_not_told() {
    let expected = ConnectionSettings {
        profile: ConnectionProfile::Edge,
        listener_per_connection_buffer_limit_bytes: Some(32768),
        http_idle_timeout: Some(Duration::from_secs(3600)),
        http_stream_idle_timeout: Some(Duration::from_secs(300)),
        http_request_timeout: Some(Duration::from_secs(300)),
        http_request_headers_timeout: Some(Duration::from_secs(60)),
        http_max_concurrent_streams: Some(100),
        http2_initial_stream_window_size: Some(65536),
        http2_initial_connection_window_size: Some(1_048_576),
        http_headers_with_underscores_action: HeadersWithUnderscoresAction::RejectRequest,
        http_merge_slashes: Some(true),
        http_path_with_escaped_slashes_action: PathWithEscapedSlashesAction::UnescapeAndRedirect,
        ..nothing()
    };
    assert_eq!(settings(ProxyKind::Router, "{profile: EDGE}", None), expected);
    let own = r#"{"connectionSettings": {"profile": "EDGE"}}"#;
    assert_eq!(settings(ProxyKind::Router, "{httpIdleTimeout: 10s}", Some(own)), expected);
}

#[test]
fn what_is_said_stays_under_profile_edge() {
    let said = "{profile: EDGE, listenerPerConnectionBufferLimitBytes: 16384, \
                httpMaxConcurrentStreams: 50, httpIdleTimeout: 0s, httpMergeSlashes: false, \
                httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_ALLOW, \
                httpPathWithEscapedSlashesAction: KEEP_UNCHANGED}";
    let found = settings(ProxyKind::Router, said, None);
    let expected = ConnectionSettings {
        listener_per_connection_buffer_limit_bytes: Some(16384),
        http_idle_timeout: Some(Duration::ZERO),
        http_max_concurrent_streams: Some(50),
        http_headers_with_underscores_action: HeadersWithUnderscoresAction::Allow,
        http_merge_slashes: Some(false),
        http_path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged,
        ..settings(ProxyKind::Router, "{profile: EDGE}", None)
    };
    assert_eq!(found, expected);
}

#[test]
fn profile_edge_fills_in_nothing_inside_the_mesh() {
    let expected = ConnectionSettings { profile: ConnectionProfile::Edge, ..nothing() };
    for kind in [ProxyKind::Sidecar, ProxyKind::Waypoint, ProxyKind::Ztunnel] {
        assert_eq!(settings(kind, "{profile: EDGE}", None), expected, "{kind:?}");
    }
    let found = settings(ProxyKind::Router, "{profile: SIDECAR}", None);
    assert_eq!(found, nothing());
}
