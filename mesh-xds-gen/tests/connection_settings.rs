//! Settings of connections (`connectionSettings`) in the listeners of a sidecar and of a gateway.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_envoy_proto::envoy::config::listener::v3::{FilterChain, Listener, filter};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use mesh_envoy_proto::json;
use mesh_envoy_proto::prost::Name;
use mesh_model::Compat;
use mesh_model::resource::Json;
use mesh_testkit::folder;
use mesh_xds_gen::listener::listeners;
use mesh_xds_gen::resolve::{Configuration, Outcome, Request, resolve};
use serde_json::{Map, Value, json};

const CLUSTER: &str = "
kind: Pod
apiVersion: v1
metadata: {name: edge-0, namespace: shop, labels: {istio: edge}}
spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.0.0.1}
---
kind: Pod
apiVersion: v1
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: app}, {name: istio-proxy, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.0.0.2}
---
kind: Service
apiVersion: v1
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.1.0.2, selector: {app: web}, ports: [{name: http, port: 80}, {name: grpc, port: 81}, {name: tcp, port: 82}]}
";

const CONFIG: &str = "
kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: edge}
  servers:
  - {port: {number: 8080, protocol: HTTP, name: http}, hosts: ['*']}
  - {port: {number: 9000, protocol: TCP, name: tcp}, hosts: ['*']}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: tcp, namespace: shop}
spec:
  hosts: ['*']
  gateways: [edge]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: web, port: {number: 82}}}]}]
";

/// The listeners of a pod where the mesh has these settings, and the proxy this metadata.
fn sent(pod: &str, config: &str, metadata: &[(&str, &str)]) -> Vec<Listener> {
    sent_in(CLUSTER, pod, config, metadata)
}

/// The same of a pod of another cluster.
fn sent_in(cluster: &str, pod: &str, config: &str, metadata: &[(&str, &str)]) -> Vec<Listener> {
    let (registry, found) = folder::load([
        ("mesh.yaml", config),
        ("clusters/c1/a.yaml", cluster),
        ("config/a.yaml", CONFIG),
    ]);
    assert_eq!(found, []);
    let mesh = registry.mesh();
    let mut proxy = mesh.proxy(&format!("c1/shop/{pod}")).unwrap();
    for (key, text) in metadata {
        let value = Json::parse(text).unwrap_or_else(|| Json::String((*text).into()));
        proxy.metadata.insert((*key).into(), value);
    }
    listeners(&mesh.view(&proxy).unwrap())
}

/// The filters of requests, each by its listener and chain.
fn managers(listeners: &[Listener]) -> Vec<(String, HttpConnectionManager)> {
    let manager = |chain: &FilterChain| {
        chain.filters.iter().find_map(|filter| match &filter.config_type {
            Some(filter::ConfigType::TypedConfig(config))
                if config.type_url == HttpConnectionManager::type_url() =>
            {
                Some(config.to_msg::<HttpConnectionManager>().unwrap())
            }
            _ => None,
        })
    };
    let of_listener = |listener: &Listener| {
        let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
        let named = chains.filter_map(|chain| {
            let name = format!("{} {}", listener.name, chain.name).trim_end().to_owned();
            Some((name, manager(chain)?))
        });
        named.collect::<Vec<_>>()
    };
    listeners.iter().flat_map(of_listener).collect()
}

/// What settings of connections may change of a filter of requests.
const FIELDS: [&str; 9] = [
    "commonHttpProtocolOptions",
    "drainTimeout",
    "http2ProtocolOptions",
    "mergeSlashes",
    "normalizePath",
    "pathWithEscapedSlashesAction",
    "requestHeadersTimeout",
    "requestTimeout",
    "streamIdleTimeout",
];

fn fields(manager: &HttpConnectionManager) -> Value {
    let all = json::to_value(manager).unwrap();
    let known = FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), all.get(name)?.clone())));
    Value::Object(known.collect::<Map<_, _>>())
}

/// What a filter says without any settings of connections.
fn base() -> Map<String, Value> {
    let base = json!({
        "normalizePath": true,
        "pathWithEscapedSlashesAction": "KEEP_UNCHANGED",
        "streamIdleTimeout": "0s",
    });
    base.as_object().unwrap().clone()
}

/// Checks every filter of a pod: the base with these fields over it, those of HTTP/2 ports with `http2` for a
/// block where none is expected.
#[track_caller]
fn check(pod: &str, config: &str, metadata: &[(&str, &str)], expected: &Value) {
    let found = managers(&sent(pod, config, metadata));
    let is_sidecar = pod == "web-0";
    // The ports of the service, outbound and inbound, and what no service explains.
    assert!(found.len() >= if is_sidecar { 4 } else { 1 }, "{found:?}");
    for (name, manager) in found {
        let mut fields_expected = base();
        if manager.stat_prefix.starts_with("inbound_0.0.0.0_81") {
            fields_expected.insert("http2ProtocolOptions".to_owned(), json!({}));
        }
        fields_expected.extend(expected.as_object().unwrap().clone());
        assert_eq!(fields(&manager), Value::Object(fields_expected), "{name}");
    }
}

const ALL: &str = "defaultConfig: {connectionSettings: {
  listenerPerConnectionBufferLimitBytes: 4096, clusterPerConnectionBufferLimitBytes: 8192,
  httpIdleTimeout: 1s, httpMaxConnectionDuration: 2s, httpMaxStreamDuration: 3s, httpStreamIdleTimeout: 4s,
  httpRequestTimeout: 5s, httpRequestHeadersTimeout: 6s, httpDrainTimeout: 7s,
  httpMaxConcurrentStreams: 8, http2InitialStreamWindowSize: 65535, http2InitialConnectionWindowSize: 65536,
  httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_DROP_HEADER, httpMergeSlashes: true,
  httpPathWithEscapedSlashesAction: REJECT_REQUEST,
  listenerConnectionLimit: 9, globalDownstreamConnectionLimit: 10}}";

fn all() -> Value {
    json!({
        "commonHttpProtocolOptions": {
            "idleTimeout": "1s",
            "maxConnectionDuration": "2s",
            "maxStreamDuration": "3s",
            "headersWithUnderscoresAction": "DROP_HEADER",
        },
        "streamIdleTimeout": "4s",
        "requestTimeout": "5s",
        "requestHeadersTimeout": "6s",
        "drainTimeout": "7s",
        "http2ProtocolOptions": {
            "maxConcurrentStreams": 8,
            "initialStreamWindowSize": 65535,
            "initialConnectionWindowSize": 65536,
        },
        "mergeSlashes": true,
        "pathWithEscapedSlashesAction": "REJECT_REQUEST",
    })
}

#[test]
fn every_filter_of_requests_has_them() {
    for pod in ["web-0", "edge-0"] {
        check(pod, ALL, &[], &all());
        check(pod, "{}", &[], &json!({}));
        check(pod, "defaultConfig: {connectionSettings: {}}", &[], &json!({}));
    }
}

#[test]
fn gateways_alone_limit_the_buffers_of_all_their_listeners() {
    let limits = |pod: &str, config: &str| {
        let found = sent(pod, config, &[]).into_iter();
        found.map(|it| it.per_connection_buffer_limit_bytes).collect::<Vec<_>>()
    };
    assert_eq!(limits("edge-0", ALL), [Some(4096), Some(4096)]);
    assert_eq!(limits("edge-0", "{}"), [None, None]);
    assert!(limits("web-0", ALL).iter().all(Option::is_none));
}

#[test]
fn profile_edge_is_for_gateways() {
    let edge = "defaultConfig: {connectionSettings: {profile: EDGE}}";
    let of_gateway = json!({
        "commonHttpProtocolOptions": {
            "idleTimeout": "3600s",
            "headersWithUnderscoresAction": "REJECT_REQUEST",
        },
        "streamIdleTimeout": "300s",
        "requestTimeout": "300s",
        "requestHeadersTimeout": "60s",
        "http2ProtocolOptions": {
            "maxConcurrentStreams": 100,
            "initialStreamWindowSize": 65536,
            "initialConnectionWindowSize": 1_048_576,
        },
        "mergeSlashes": true,
        "pathWithEscapedSlashesAction": "UNESCAPE_AND_REDIRECT",
    });
    check("edge-0", edge, &[], &of_gateway);
    check("web-0", edge, &[], &json!({}));
    let listeners = sent("edge-0", edge, &[]);
    assert!(listeners.iter().all(|it| it.per_connection_buffer_limit_bytes == Some(32768)));
}

#[test]
fn the_proxy_s_own_block_replaces_the_mesh_s() {
    let own = [("PROXY_CONFIG", r#"{"connectionSettings": {"httpIdleTimeout": "9s"}}"#)];
    let expected = json!({"commonHttpProtocolOptions": {"idleTimeout": "9s"}});
    for pod in ["web-0", "edge-0"] {
        check(pod, ALL, &own, &expected);
        check(pod, ALL, &[("PROXY_CONFIG", "{}")], &all());
    }
}

#[test]
fn the_annotation_of_a_pod_says_what_its_metadata_would() {
    let text = "{connectionSettings: {httpIdleTimeout: 9s}, gatewayTopology: {numTrustedProxies: 2}, \
                proxyHeaders: {server: {disabled: true}}, tracing: {sampling: 7, zipkin: {address: 'a:1'}}}";
    let json = r#"{"connectionSettings": {"httpIdleTimeout": "9s"}, "gatewayTopology": {"numTrustedProxies": 2},
                   "proxyHeaders": {"server": {"disabled": true}},
                   "tracing": {"sampling": 7, "zipkin": {"address": "a:1"}}}"#;
    let annotation =
        format!("metadata: {{annotations: {{proxy.istio.io/config: \"{text}\"}}, name: ");
    let annotated = CLUSTER.replace("metadata: {name: ", &annotation);
    for pod in ["web-0", "edge-0"] {
        let by_metadata = sent(pod, "{}", &[("PROXY_CONFIG", json)]);
        assert_eq!(sent_in(&annotated, pod, "{}", &[]), by_metadata);
        assert_ne!(sent(pod, "{}", &[]), by_metadata);
    }
}

#[test]
fn they_go_before_metadata_and_normalization_of_the_mesh() {
    let timeout = [("IDLE_TIMEOUT", "30s")];
    let of_metadata = json!({"commonHttpProtocolOptions": {"idleTimeout": "30s"}});
    check("web-0", "{}", &timeout, &of_metadata);
    let settings = |of: &str| format!("defaultConfig: {{connectionSettings: {{{of}}}}}");
    let both = json!({"commonHttpProtocolOptions": {"idleTimeout": "0s"}});
    check("web-0", &settings("httpIdleTimeout: 0s"), &timeout, &both);
    let beside =
        json!({"commonHttpProtocolOptions": {"idleTimeout": "30s", "maxStreamDuration": "1s"}});
    check("web-0", &settings("httpMaxStreamDuration: 1s"), &timeout, &beside);

    let normalized = |normalization: &str, of: &str| {
        format!("pathNormalization: {{normalization: {normalization}}}\n{}", settings(of))
    };
    let stays = normalized("DECODE_AND_MERGE_SLASHES", "httpMergeSlashes: false");
    check("web-0", &stays, &[], &json!({"pathWithEscapedSlashesAction": "UNESCAPE_AND_FORWARD"}));
    let kept = normalized(
        "DECODE_AND_MERGE_SLASHES",
        "httpPathWithEscapedSlashesAction: KEEP_UNCHANGED, httpHeadersWithUnderscoresAction: \
         HEADERS_WITH_UNDERSCORES_ALLOW",
    );
    check("web-0", &kept, &[], &json!({"mergeSlashes": true, "commonHttpProtocolOptions": {}}));
    let merges = normalized("NONE", "httpMergeSlashes: true");
    check("web-0", &merges, &[], &json!({"normalizePath": false, "mergeSlashes": true}));
}

/// Nobody looks at what a proxy says of itself: numbers below zero are left out, of the block that they write.
#[test]
fn numbers_below_zero_of_a_proxy_are_left_out() {
    let own = r#"{"connectionSettings": {"httpMaxConcurrentStreams": -1,
                  "listenerPerConnectionBufferLimitBytes": -1}}"#;
    check("edge-0", "{}", &[("PROXY_CONFIG", own)], &json!({"http2ProtocolOptions": {}}));
    let listeners = sent("edge-0", "{}", &[("PROXY_CONFIG", own)]);
    assert!(listeners.iter().all(|it| it.per_connection_buffer_limit_bytes.is_none()));
}

/// What a gateway does with a request for a path, as `STATUS LOCATION`.
#[track_caller]
fn check_answer(of: &str, path: &str, header: (&str, &str), expected: &str) {
    let config = format!("defaultConfig: {{connectionSettings: {{{of}}}}}");
    let listeners = sent("edge-0", &config, &[]);
    let configuration = Configuration {
        listeners: &listeners,
        routes: &[],
        clusters: &[],
        envoy: Compat::default().envoy,
    };
    let request = Request {
        port: 8080,
        method: "GET".to_owned(),
        host: "a.test".to_owned(),
        path: path.to_owned(),
        headers: vec![(header.0.to_owned(), header.1.to_owned())],
        ..Request::default()
    };
    let found = resolve(&configuration, &request);
    let told = match found.outcome {
        Outcome::Redirected(to) => format!("{} {}", to.status, to.location),
        Outcome::Answered { status, .. } => format!("{status} {}", found.reason.code()),
        Outcome::Forwarded(_) | Outcome::Closed => found.reason.code().to_owned(),
    };
    assert_eq!(told, expected, "{of} {path} {header:?}");
}

#[test]
fn requests_are_refused_and_sent_elsewhere_before_routes_are_asked() {
    let none = ("x-role", "a");
    let check = |of: &str, path: &str, expected: &str| check_answer(of, path, none, expected);
    // No routes are there.
    let passes = "404 no_route_configuration";
    let of = |action: &str| format!("httpPathWithEscapedSlashesAction: {action}");
    check("", "/a%2Fb", passes);
    check(&of("UNESCAPE_AND_FORWARD"), "/a%2Fb", passes);
    check(&of("REJECT_REQUEST"), "/a%2Fb", "400 path_rejected");
    check(&of("REJECT_REQUEST"), "/a/b", passes);
    check(&of("UNESCAPE_AND_REDIRECT"), "/a%2F..%5cb?c=%2F", "307 /b?c=%2F");
    check(&of("UNESCAPE_AND_REDIRECT"), "/a%2F%2Fb", "307 /a//b");
    check("profile: EDGE", "/a%2F%2Fb", "307 /a/b");
    for content_type in ["application/grpc", "application/grpc+proto"] {
        let header = ("Content-Type", content_type);
        check_answer("profile: EDGE", "/a%2Fb", header, "400 path_rejected");
    }
    check_answer("profile: EDGE", "/a%2Fb", ("content-type", "application/grpc-web"), "307 /a/b");
    check_answer("profile: EDGE", "/", ("x_role", "a"), "400 header_rejected");
    check("profile: EDGE", "/", passes);
}
