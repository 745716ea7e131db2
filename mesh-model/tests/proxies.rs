//! What a pod's proxy is, as far as the manifest tells.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use mesh_model::Compat;
use mesh_model::compat::DataPlane;
use mesh_model::registry::{Origin, Registry, Source};
use mesh_model::resource::Json;
use mesh_model::view::ProxyKind;

const SIDECAR: &str = "{name: app}, {name: istio-proxy}";
const ALONE: &str = "{name: istio-proxy}";

/// A registry of one pod of cluster `c1`; `metadata` is added to its own.
fn registry(metadata: &str, containers: &str) -> Registry {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web-0, namespace: shop{metadata}}}\nspec: \
         {{containers: [{containers}]}}\nstatus: {{phase: Running, podIP: 10.0.0.1}}\n"
    );
    let mut registry = Registry::new(Compat::default());
    let origin = Origin::Cluster("c1".into());
    let found = registry.load([Source { origin, name: "pod.yaml".into(), text: text.into() }]);
    assert_eq!(found, []);
    registry
}

#[track_caller]
fn check(metadata: &str, containers: &str, expected: ProxyKind) {
    let mesh = registry(metadata, containers).mesh();
    assert_eq!(mesh.proxy("c1/shop/web-0").unwrap().kind, expected);
}

#[test]
fn a_proxy_beside_an_application_is_a_sidecar_and_one_alone_a_gateway() {
    check("", SIDECAR, ProxyKind::Sidecar);
    check("", ALONE, ProxyKind::Router);
    let template = ", annotations: {inject.istio.io/templates: gateway}";
    check(template, SIDECAR, ProxyKind::Router);
}

#[test]
fn a_waypoint_is_known_by_its_class_or_by_who_manages_it() {
    let labelled = |label: &str| format!(", labels: {{{label}}}");
    let class = "gateway.networking.k8s.io/gateway-class-name";
    check(&labelled(&format!("{class}: istio-waypoint")), ALONE, ProxyKind::Waypoint);
    check(&labelled(&format!("{class}: istio-east-west")), ALONE, ProxyKind::Waypoint);
    check(&labelled(&format!("{class}: istio")), ALONE, ProxyKind::Router);
    check(&labelled(&format!("{class}: example")), ALONE, ProxyKind::Router);
    let managed = "gateway.istio.io/managed: istio.io-mesh-controller";
    check(&labelled(managed), ALONE, ProxyKind::Waypoint);
}

#[test]
fn the_role_of_the_program_counts_most() {
    let with = |role: &str| format!("{{name: istio-proxy, args: [proxy, {role}]}}");
    check("", &with("waypoint"), ProxyKind::Waypoint);
    check("", &with("router"), ProxyKind::Router);
    check("", &with("sidecar"), ProxyKind::Sidecar);
    check("", &with("--domain"), ProxyKind::Sidecar);
}

#[track_caller]
fn check_client(metadata: &str, spec: &str, is_client: bool) {
    let mesh = registry(metadata, spec).mesh();
    // Whoever is named has an answer.
    assert!(mesh.proxy("c1/shop/web-0").is_ok());
    let clients: Vec<String> = mesh.clients().collect();
    let expected: &[&str] = if is_client { &["c1/shop/web-0"] } else { &[] };
    assert_eq!(clients, expected, "{metadata} {spec}");
}

#[test]
fn clients_are_the_pods_with_a_proxy_and_those_of_which_nothing_is_known() {
    let captured = ", labels: {istio.io/dataplane-mode: ambient}";
    let native = "{name: app}], initContainers: [{name: istio-proxy, restartPolicy: Always}";
    for metadata in ["", captured] {
        check_client(metadata, SIDECAR, true);
        check_client(metadata, native, true);
        check_client(metadata, "{name: postgres}", false);
    }
    check_client("", "{name: app}], initContainers: [{name: istio-proxy}", false);
    check_client("", "{name: istio-proxy, args: [proxy, router]}", true);
    check_client("", "{name: istio-proxy, args: [proxy, other]}", false);
    check_client("", "", true);
    check_client(captured, "", false);
}

#[test]
fn whom_the_list_of_proxies_names_is_a_client() {
    let mut registry = registry("", "{name: postgres}");
    let text = r#"[{"ref": "c1/shop/web-0", "type": "sidecar"}]"#;
    let source = Source { origin: Origin::Proxies, name: "proxies.json".into(), text: text.into() };
    assert_eq!(registry.load([source]), []);
    assert_eq!(registry.mesh().clients().collect::<Vec<_>>(), ["c1/shop/web-0"]);
}

#[test]
fn a_name_that_nobody_would_read_is_not_told_whole() {
    let mesh = registry("", SIDECAR).mesh();
    let long = "x".repeat(1 << 20);
    for name in [long.clone(), format!("{long}/shop/web-0"), format!("c1/shop/{long}")] {
        let error = mesh.proxy(&name).unwrap_err().to_string();
        assert!(error.len() < 1_000, "{}", error.len());
    }
}

/// What the proxy of a pod tells of itself, of some keys, as JSON.
#[track_caller]
fn check_metadata(metadata: &str, env: &str, settings: &str, expected: &[(&str, &str)]) {
    let containers = format!("{{name: app}}, {{name: istio-proxy, env: [{env}]}}");
    let mut registry = registry(metadata, &containers);
    let (origin, name) = (Origin::MeshConfig, "mesh.yaml".into());
    assert_eq!(registry.load([Source { origin, name, text: settings.into() }]), []);
    let proxy = registry.mesh().proxy("c1/shop/web-0").unwrap();
    assert_eq!(proxy.metadata.get("INTERCEPTION_MODE").and_then(Json::as_str), {
        Some(proxy.interception.as_str())
    });
    for (key, value) in expected {
        let found = proxy.metadata.get(*key);
        assert_eq!(found, Json::parse(value).as_ref(), "{key} of {metadata} {env} {settings}");
    }
}

#[test]
fn the_annotation_with_settings_counts_more_than_the_mesh_and_less_than_variables() {
    let settings = "defaultConfig: {interceptionMode: TPROXY, proxyMetadata: {ISTIO_META_A: mesh, \
                    ISTIO_META_B: mesh, B: other}}\n";
    let annotation = ", annotations: {proxy.istio.io/config: '{interceptionMode: NONE, \
                      proxyMetadata: {ISTIO_META_B: pod, ISTIO_META_C: pod}}'}";
    let check = |metadata: &str, env: &str, expected: &[(&str, &str)]| {
        check_metadata(metadata, env, settings, expected);
    };
    check("", "", &[("INTERCEPTION_MODE", "\"TPROXY\""), ("B", "\"mesh\""), ("C", "")]);
    let of_pod = [("A", "\"mesh\""), ("B", "\"pod\""), ("C", "\"pod\"")];
    check(annotation, "", &of_pod);
    check(annotation, "", &[("INTERCEPTION_MODE", "\"NONE\"")]);
    let told = "{name: ISTIO_META_B, value: env}";
    check(annotation, told, &[("A", "\"mesh\""), ("B", "\"env\"")]);
    // The settings that injection wrote down are all that the agent has beside the annotation.
    let injected = "{name: PROXY_CONFIG, value: '{\"proxyMetadata\": {\"ISTIO_META_B\": \"x\"}}'}";
    check("", injected, &[("A", ""), ("B", "\"x\""), ("INTERCEPTION_MODE", "\"REDIRECT\"")]);
    check(annotation, injected, &[("A", ""), ("B", "\"pod\"")]);
    let odd = ", annotations: {proxy.istio.io/config: '[1]'}";
    check(odd, "", &[("A", "\"mesh\""), ("INTERCEPTION_MODE", "\"TPROXY\"")]);
}

#[test]
fn settings_of_a_pod_lie_over_those_of_the_mesh_and_metadata_replaces_both() {
    let of_mesh = "defaultConfig: {meshId: mesh, zipkinAddress: mesh, proxyHeaders: {server: {value: mesh}, \
                   requestId: {disabled: true}}}\n";
    let check = |metadata: &str, env: &str, entry: &str, expected: &str| {
        let containers = format!("{{name: app}}, {{name: istio-proxy, env: [{env}]}}");
        let mut registry = registry(metadata, &containers);
        let source = |origin, name: &str, text: &str| Source {
            origin,
            name: name.into(),
            text: text.into(),
        };
        let entry = format!(r#"[{{"ref": "c1/shop/web-0", "metadata": {{{entry}}}}}]"#);
        let sources = [
            source(Origin::MeshConfig, "mesh.yaml", of_mesh),
            source(Origin::Proxies, "proxies.json", &entry),
        ];
        assert_eq!(registry.load(sources), []);
        let mesh = registry.mesh();
        let proxy = mesh.proxy("c1/shop/web-0").unwrap();
        let settings = proxy.settings(mesh.config());
        let headers = settings.proxy_headers.as_ref();
        let server = headers.and_then(|headers| headers.server.as_ref());
        let server = server.map_or("", |server| &server.value);
        let id = headers.and_then(|headers| headers.request_id.as_ref()).is_some();
        let found = format!("{} {} {server} {id}", settings.mesh_id, settings.zipkin_address);
        assert_eq!(found.trim(), expected, "{metadata} {env} {entry}");
    };
    let annotation = ", annotations: {proxy.istio.io/config: '{meshId: pod, proxyHeaders: {server: {value: pod}}}'}";
    let injected = "{name: PROXY_CONFIG, value: '{\"zipkinAddress\": \"env\"}'}";
    let told = r#""PROXY_CONFIG": {"meshId": "told"}"#;
    check("", "", "", "mesh mesh mesh true");
    check(annotation, "", "", "pod mesh pod true");
    check("", injected, "", "env  false");
    check(annotation, injected, "", "pod env pod false");
    check(annotation, injected, told, "told   false");
    // Nothing is told by it.
    check(annotation, "", r#""PROXY_CONFIG": null"#, "pod mesh pod true");
}

/// What agents say that were run on the same (istio/istio `pkg/config/mesh` `ApplyProxyConfig`, `pkg/util/protomarshal`
/// `Marshal`).
#[test]
fn the_settings_of_a_pod_are_told_as_an_agent_tells_them() {
    let check = |metadata: &str, env: &str, expected: &str| {
        let containers = format!("{{name: app}}, {{name: istio-proxy, env: [{env}]}}");
        let mesh = registry(metadata, &containers).mesh();
        let told = mesh.proxy("c1/shop/web-0").unwrap().settings(mesh.config()).to_json();
        let (Json::Map(mut expected), Json::Map(more)) =
            (Json::parse(STANDARD).unwrap(), Json::parse(expected).unwrap())
        else {
            panic!("settings are a map");
        };
        expected.extend(more);
        assert_eq!(told, Json::Map(expected), "{metadata} {env}");
    };
    check("", "", "{}");
    let injected = "{name: PROXY_CONFIG, value: '{\"zipkinAddress\":\"z:1\",\"proxyMetadata\":{\"A\":\"env\",\
                    \"B\":\"env\"},\"concurrency\":2}'}";
    let annotation = ", annotations: {proxy.istio.io/config: '{concurrency: 0, proxyMetadata: {B: pod}, \
                      tracing: {}, holdApplicationUntilProxyStarts: false}'}";
    check(
        annotation,
        injected,
        r#"{"zipkinAddress": "z:1", "concurrency": 0, "tracing": {},
            "proxyMetadata": {"A": "env", "B": "pod"}, "holdApplicationUntilProxyStarts": false}"#,
    );
    let single = |key: &str, value: &str| format!(", annotations: {{{key}: '{value}'}}");
    let address = single("sidecar.istio.io/discoveryAddress", "istiod.east.svc:15012");
    check(&address, "", r#"{"discoveryAddress": "istiod.east.svc:15012"}"#);
    check(&single("status.sidecar.istio.io/port", "15099"), "", r#"{"statusPort": 15099}"#);
}

const STANDARD: &str = r#"{"configPath": "./etc/istio/proxy", "binaryPath": "/usr/local/bin/envoy",
    "serviceCluster": "istio-proxy", "drainDuration": "45s", "proxyAdminPort": 15000, "statusPort": 15020,
    "discoveryAddress": "istiod.istio-system.svc:15012", "controlPlaneAuthPolicy": "MUTUAL_TLS",
    "statNameLength": 189, "terminationDrainDuration": "5s"}"#;

#[test]
fn variables_in_json_are_metadata_of_any_kind() {
    let check = |env: &str, expected: &[(&str, &str)]| check_metadata("", env, "{}", expected);
    let json = |name: &str, text: &str| format!("{{name: ISTIO_METAJSON_{name}, value: '{text}'}}");
    let labels = ", labels: {app: web, pod-template-hash: x}";
    check(&json("X", r#"{"A": [1], "B": {"c": true}}"#), &[("A", "[1]"), ("B", r#"{"c": true}"#)]);
    check(&json("X", "[1]"), &[("X", "")]);
    check(&json("X", "{"), &[("X", "")]);
    // They count more than texts, and no more than what the pod itself says.
    let both = format!("{}, {{name: ISTIO_META_A, value: text}}", json("X", r#"{"A": 1}"#));
    check(&both, &[("A", "1")]);
    check(&json("X", r#"{"NAMESPACE": "other"}"#), &[("NAMESPACE", "\"shop\"")]);
    let of = json("LABELS", r#"{"app": "env", "more": "env"}"#);
    let expected = [
        ("STATIC_LABELS", r#"{"app": "env", "more": "env"}"#),
        ("LABELS", r#"{"app": "web", "more": "env"}"#),
        ("more", "\"env\""),
    ];
    check_metadata(labels, &of, "{}", &expected);
    let containers = format!("{{name: app}}, {{name: istio-proxy, env: [{of}]}}");
    let proxy = registry(labels, &containers).mesh().proxy("c1/shop/web-0").unwrap();
    assert_eq!((proxy.labels.value("app"), proxy.labels.value("more")), ("web", "env"));
}

#[test]
fn an_agent_without_an_envoy_asks_for_resources_of_grpc() {
    let annotation = ", annotations: {inject.istio.io/templates: 'a, grpc-agent'}";
    let captures = "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}}\n";
    let expected = [("GENERATOR", "\"grpc\""), ("DNS_CAPTURE", "\"false\"")];
    check_metadata(annotation, "", captures, &expected);
    check_metadata("", "", captures, &[("GENERATOR", ""), ("DNS_CAPTURE", "\"true\"")]);
    // What runs beats what would be injected.
    let told = "{name: ISTIO_META_GENERATOR, value: api}";
    check_metadata(annotation, told, captures, &[("GENERATOR", "\"api\"")]);
    let data_plane = |metadata: &str| {
        registry(metadata, SIDECAR).mesh().proxy("c1/shop/web-0").unwrap().data_plane
    };
    assert_eq!(data_plane(annotation), DataPlane::Grpc);
    assert_eq!(data_plane(""), DataPlane::IstioProxy);
}
