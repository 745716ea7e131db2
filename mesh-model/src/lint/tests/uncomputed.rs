//! What is kept and not carried out.
use super::{Fixture, spread};

const CODE: &str = "HZ-NOT-COMPUTED";

/// Pods that are a gateway, one of the Gateway API, and a waypoint.
const GATEWAYS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: edge, namespace: shop, labels: {app: edge}},
 spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}, status: {phase: Running, podIP: 10.0.1.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: api}},
 spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}, status: {phase: Running, podIP: 10.0.1.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gate, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: gate}},
 spec: {containers: [{name: istio-proxy, args: [proxy, waypoint]}]}, status: {phase: Running, podIP: 10.0.1.3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: plain, namespace: shop, labels: {app: plain}},
 spec: {containers: [{name: app}]}, status: {phase: Running, podIP: 10.0.1.4}}
---
{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: far, labels: {app: far}},
 spec: {containers: [{name: app}, {name: istio-proxy, args: [proxy, sidecar]}]}, status: {phase: Running, podIP: 10.0.1.5}}
";

fn mesh() -> Fixture {
    Fixture::default()
        .cluster("c1", "", &["10.0.0.1 r1/z1"])
        .file("clusters/c1/pods.yaml", GATEWAYS)
}

/// Checks what is told of an object.
#[track_caller]
fn check(kind: &str, namespace: &str, spec: &str, expected: &str) {
    let group = match kind {
        "EnvoyFilter" => "networking.istio.io/v1alpha3",
        _ => "extensions.istio.io/v1alpha1",
    };
    let text = format!(
        "apiVersion: {group}\nkind: {kind}\nmetadata: {{name: o, namespace: {namespace}}}\nspec: {{{spec}}}\n"
    );
    let found = mesh().file("config/o.yaml", &text).findings();
    let told: Vec<&str> = found
        .iter()
        .filter(|text| text.contains(CODE))
        .filter_map(|text| text.split_once("it concerns "))
        .filter_map(|(_, rest)| Some(rest.split_once(" (ask the proxies")?.0))
        .collect();
    assert_eq!(told, [expected], "{found:#?}");
}

fn patch(target: &str, context: &str) -> String {
    format!(
        "{{applyTo: {target}, match: {{context: {context}}}, patch: {{operation: MERGE, value: {{}}}}}}"
    )
}

const LACKS: &str = "and is not computed: what proxies are sent here lacks";
const DECIDES: &str = "; it may change who may call, which `mesh authz` does not know";

#[test]
fn an_object_that_is_not_carried_out_is_told_with_whom_it_concerns() {
    let filter = |context: &str| format!("configPatches: [{}]", patch("HTTP_FILTER", context));
    let lacks = format!("{LACKS} its patches of `HTTP_FILTER`");
    let of = |whom: &str| format!("{whom} {lacks}{DECIDES}");
    check(
        "EnvoyFilter",
        "shop",
        &filter("ANY"),
        &of("3 proxies (`c1/shop/api`, `c1/shop/cart-0`, `c1/shop/edge`)"),
    );
    check("EnvoyFilter", "far", &filter("ANY"), &of("`c1/far/far`"));
    let all = "4 proxies (`c1/far/far`, `c1/shop/api`, `c1/shop/cart-0` and 1 more)";
    check("EnvoyFilter", "istio-system", &filter("ANY"), &of(all));
    check(
        "EnvoyFilter",
        "shop",
        &filter("GATEWAY"),
        &of("2 proxies (`c1/shop/api`, `c1/shop/edge`)"),
    );
    check("EnvoyFilter", "shop", &filter("SIDECAR_INBOUND"), &of("`c1/shop/cart-0`"));
    let outbound = format!("`c1/shop/cart-0` {lacks}");
    check("EnvoyFilter", "shop", &filter("SIDECAR_OUTBOUND"), &outbound);
    let selected = format!("workloadSelector: {{labels: {{app: edge}}}}, {}", filter("ANY"));
    check("EnvoyFilter", "shop", &selected, &of("`c1/shop/edge`"));
    let plain = format!("workloadSelector: {{labels: {{app: plain}}}}, {}", filter("ANY"));
    check("EnvoyFilter", "shop", &plain, &of("no proxy that is known"));
}

#[test]
fn references_are_to_gateways_and_to_services_behind_waypoints() {
    let to = |of: &str| format!("targetRefs: [{{{of}}}], url: 'oci://a.test/b'");
    let lacks = format!("{LACKS} its HTTP filter and the resource of it (ECDS)");
    let gateway =
        |name: &str| to(&format!("kind: Gateway, group: gateway.networking.k8s.io, name: {name}"));
    check("WasmPlugin", "shop", &gateway("api"), &format!("`c1/shop/api` {lacks}"));
    check("WasmPlugin", "shop", &gateway("gate"), &format!("`c1/shop/gate` {lacks}"));
    check("WasmPlugin", "far", &gateway("gate"), &format!("no proxy that is known {lacks}"));
    let class = to("kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint");
    check("WasmPlugin", "istio-system", &class, &format!("`c1/shop/gate` {lacks}"));
    let service = to("kind: Service, group: '', name: cart");
    let of = format!("no proxy that is known, and the waypoints of `shop/cart` {lacks}");
    check("WasmPlugin", "shop", &service, &of);
    let selected = "selector: {matchLabels: {app: edge}}, url: 'oci://a.test/b'";
    check("WasmPlugin", "shop", selected, &format!("`c1/shop/edge` {lacks}"));
}

/// What is lacking, to the end of the message.
#[track_caller]
fn check_missing(kind: &str, spec: &str, what: &str, decides: bool) {
    let more = if decides { DECIDES } else { "" };
    let whom = match kind {
        "EnvoyFilter" => "no proxy that is known",
        _ => "3 proxies (`c1/shop/api`, `c1/shop/cart-0`, `c1/shop/edge`)",
    };
    let spec = match kind {
        "EnvoyFilter" => format!("workloadSelector: {{labels: {{app: none}}}}, {spec}"),
        _ => spec.to_owned(),
    };
    let expected = format!("{whom} {LACKS} {what}{more}");
    check(kind, "shop", &spec, &expected);
}

#[test]
fn what_is_lacking_is_named_and_whether_it_may_decide_about_callers() {
    let wasm = "url: 'oci://a.test/b'";
    let http = "its HTTP filter and the resource of it (ECDS)";
    let network = "its network filter and the resource of it (ECDS)";
    check_missing("WasmPlugin", wasm, http, false);
    check_missing("WasmPlugin", &format!("{wasm}, phase: STATS"), http, false);
    for phase in ["AUTHN", "AUTHZ"] {
        check_missing(
            "WasmPlugin",
            &format!("{wasm}, phase: {phase}, type: NETWORK"),
            network,
            true,
        );
        let lua = format!("phase: {phase}, lua: {{inlineCode: a}}");
        check_missing("TrafficExtension", &lua, "its HTTP filter", true);
    }
    check_missing("TrafficExtension", &format!("wasm: {{{wasm}}}"), http, false);
    check_missing("TrafficExtension", &format!("wasm: {{{wasm}, type: NETWORK}}"), network, false);
    let several = |patches: &[String]| format!("configPatches: [{}]", patches.join(", "));
    let clusters = several(&[patch("CLUSTER", "ANY"), patch("BOOTSTRAP", "ANY")]);
    check_missing("EnvoyFilter", &clusters, "its patches of `CLUSTER`, `BOOTSTRAP`", false);
    let outbound = several(&[patch("CLUSTER", "ANY"), patch("HTTP_ROUTE", "SIDECAR_OUTBOUND")]);
    check_missing("EnvoyFilter", &outbound, "its patches of `CLUSTER`, `HTTP_ROUTE`", false);
    for target in ["LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_ROUTE", "LISTENER_FILTER"] {
        let of = format!("its patches of `{target}`");
        check_missing("EnvoyFilter", &several(&[patch(target, "SIDECAR_INBOUND")]), &of, true);
    }
}

#[test]
fn a_waypoint_is_told_once_with_who_stands_behind_it() {
    let behind = |label: &str| {
        format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, labels: {{{label}}}}}}}\n---\n\
             {{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop, labels: {{{label}}}}}, \
             spec: {{ports: [{{port: 80}}]}}}}\n"
        )
    };
    let told = |label: &str| {
        let found = mesh().file("clusters/c1/behind.yaml", &behind(label)).findings();
        let of_code = found.iter().filter(|text| text.contains(CODE));
        of_code.filter(|text| text.contains("waypoint")).cloned().collect::<Vec<_>>()
    };
    let [found] = &*told("istio.io/use-waypoint: gate") else { panic!("one waypoint") };
    assert!(found.contains("`shop/gate`") && found.contains("shop/web"), "{found}");
    let far = "istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: far";
    let [found] = &*told(far) else { panic!("one waypoint") };
    assert!(found.contains("`far/gate`"), "{found}");
    assert_eq!(told("istio.io/use-waypoint: none"), [""; 0]);
    assert_eq!(told("app: web"), [""; 0]);
}

#[test]
fn what_asks_for_nothing_lacks_nothing() {
    let empty = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: o, \
                 namespace: shop}\nspec: {configPatches: []}\n";
    mesh().file("config/o.yaml", empty).lacks(CODE);
    spread().lacks(CODE);
}
