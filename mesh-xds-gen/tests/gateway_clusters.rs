//! Which clusters a gateway has that is told only of what it can be told to send to
//! (`PILOT_FILTER_GATEWAY_CLUSTER_CONFIG`). Expectations are those of a real istiod.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::compat::{Flags, JwksFetch};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_xds_gen::cluster::delta::{self, Changed};
use mesh_xds_gen::snapshot::{Snapshot, TypeUrl};
use mesh_xds_gen::{Generator, Resources};

/// A gateway, and services `a` to `h` of namespace `shop`.
const CLUSTER: &str = "
kind: Pod
apiVersion: v1
metadata: {name: edge-0, namespace: edge, labels: {istio: edge}}
spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.0.0.1}
---
kind: Service
apiVersion: v1
metadata: {name: edge, namespace: edge}
spec: {clusterIP: 10.1.0.1, selector: {istio: edge}, ports: [{name: http, port: 80}]}
";

fn flags() -> Flags {
    Flags { pilot_filter_gateway_cluster_config: true, ..Flags::default() }
}

fn services() -> String {
    let service = |(place, name): (usize, char)| {
        format!(
            "---\nkind: Service\napiVersion: v1\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{clusterIP: \
             10.1.1.{place}, selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}\n"
        )
    };
    ('a'..='h').enumerate().map(service).collect()
}

/// A Gateway of a namespace that is for the gateway, with a server for HTTP.
fn gateway(name: &str, namespace: &str, port: u16) -> String {
    gateway_with(name, namespace, &format!("port: {{number: {port}, name: http, protocol: HTTP}}"))
}

fn gateway_with(name: &str, namespace: &str, server: &str) -> String {
    format!(
        "---\nkind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{istio: edge}}, servers: [{{hosts: ['*'], {server}}}]}}\n"
    )
}

/// A VirtualService of namespace `shop`.
fn rule(name: &str, spec: &str) -> String {
    format!(
        "---\nkind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{{spec}}}\n"
    )
}

/// A route to a service.
fn to(service: &str) -> String {
    format!("route: [{{destination: {{host: {service}}}}}]")
}

fn sources(settings: &str, config: &str) -> Vec<Source> {
    let config = format!("{}{config}", services());
    let files = [
        ("mesh.yaml", settings),
        ("clusters/east/all.yaml", CLUSTER),
        ("clusters/east/b.yaml", &config),
    ];
    let source = |(name, text): (&str, &str)| {
        let origin = Origin::of_path(name).unwrap();
        Source { origin, name: name.into(), text: text.into() }
    };
    files.map(source).into()
}

fn load(flags: Flags, settings: &str, config: &str) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    registry.load(sources(settings, config));
    registry.mesh()
}

/// The services of namespace `shop` that the gateway has clusters of, by their names' letters.
fn attached(mesh: &Mesh) -> String {
    let proxy = mesh.proxy("east/edge/edge-0").unwrap();
    let resources = Resources::new(&mesh.view(&proxy).unwrap());
    let names = resources.clusters.iter().map(|cluster| &*cluster.name);
    let services: BTreeSet<&str> = names
        .filter_map(|name| {
            name.strip_prefix("outbound|80||")?.strip_suffix(".shop.svc.cluster.local")
        })
        .collect();
    services.into_iter().collect()
}

fn check(config: &[String], expected: &str) {
    check_with(flags(), "{}", config, expected);
}

fn check_with(flags: Flags, settings: &str, config: &[String], expected: &str) {
    assert_eq!(attached(&load(flags, settings, &config.concat())), expected);
}

#[test]
fn clusters_are_those_of_what_attached_rules_send_to() {
    let main = || gateway("main", "edge", 80);
    let bound = "gateways: [edge/main], hosts: [h.example]";
    check_with(Flags::default(), "{}", &[main()], "abcdefgh");
    check(&[main()], "");
    let http = format!(
        "{bound}, http: [{{{}, mirror: {{host: b}}}}, {{{}, mirrors: [{{destination: {{host: c}}}}]}}]",
        to("a.shop.svc.cluster.local"),
        to("d"),
    );
    check(&[main(), rule("r", &http)], "abcd");
    let streams = format!(
        "{bound}, tcp: [{{{}}}], tls: [{{match: [{{sniHosts: [h.example]}}], {}}}]",
        to("a"),
        to("b"),
    );
    check(&[main(), rule("r", &streams)], "ab");
    let delegating = format!("{bound}, http: [{{delegate: {{name: d, namespace: shop}}}}]");
    let delegate = rule("d", &format!("http: [{{{}}}]", to("e")));
    check(&[main(), rule("r", &delegating), delegate], "e");
}

#[test]
fn it_does_not_matter_who_sees_a_rule_nor_whether_its_server_is_left_out() {
    let main = || gateway("main", "edge", 80);
    let hidden =
        format!("gateways: [edge/main], hosts: [h], exportTo: ['.'], http: [{{{}}}]", to("a"));
    check(&[main(), rule("r", &hidden)], "a");
    let clash = gateway_with("x", "shop", "port: {number: 80, name: tcp, protocol: TCP}");
    let lost = rule("r", &format!("gateways: [x], hosts: [h], http: [{{{}}}]", to("b")));
    check(&[main(), clash, lost], "b");
}

#[test]
fn rules_of_sidecars_and_other_gateways_attach_nothing() {
    let other = gateway("other", "shop", 81).replace("istio: edge", "istio: nobody");
    let sidecars = rule("r", &format!("hosts: [a], http: [{{{}, mirror: {{host: b}}}}]", to("a")));
    let others = rule("s", &format!("gateways: [other], hosts: [h], http: [{{{}}}]", to("c")));
    check(&[gateway("main", "edge", 80), other, sidecars, others], "");
}

#[test]
fn a_gateway_that_names_services_is_attached_to_who_stands_behind_them() {
    let rules =
        || rule("r", &format!("gateways: [edge/main, far], hosts: [h], http: [{{{}}}]", to("a")));
    let named = |namespace: &str, service: &str| {
        let annotation = format!(
            "annotations: {{internal.istio.io/gateway-service: {service}.edge.svc.cluster.local}}"
        );
        let name = if namespace == "edge" { "main" } else { "far" };
        gateway(name, namespace, 80).replacen(
            &format!("namespace: {namespace}}}"),
            &format!("namespace: {namespace}, {annotation}}}"),
            1,
        )
    };
    check(&[named("edge", "edge"), rules()], "a");
    check(&[named("edge", "other"), rules()], "");
    // Services of another namespace than the Gateway's do not count.
    check(&[named("shop", "edge"), rules()], "");
}

#[test]
fn routes_for_other_namespaces_attach_nothing_where_gateways_are_scoped() {
    let config = |gateway: String| {
        let http = format!(
            "gateways: [edge/main, shop/main], hosts: [h], http: [{{match: [{{sourceNamespace: edge}}], {}}}, \
             {{match: [{{sourceNamespace: shop}}, {{uri: {{prefix: /}}}}], {}}}, {{{}}}]",
            to("a"),
            to("b"),
            to("c"),
        );
        [gateway, rule("r", &http)]
    };
    let scoped = || Flags { pilot_scope_gateway_to_namespace: true, ..flags() };
    check(&config(gateway("main", "edge", 80)), "abc");
    check_with(scoped(), "{}", &config(gateway("main", "edge", 80)), "ac");
    check_with(scoped(), "{}", &config(gateway("main", "shop", 80)), "");
}

#[test]
fn backends_of_the_mesh_are_attached_as_they_are_written() {
    let host = |name: &str| format!("{name}.shop.svc.cluster.local");
    let settings = format!(
        "extensionProviders: [{{name: a, envoyExtAuthzHttp: {{service: {}, port: 80}}}}, \
         {{name: b, envoyExtAuthzGrpc: {{service: shop/{}, port: 80}}}}, \
         {{name: c, zipkin: {{service: edge/{}, port: 80}}}}, \
         {{name: d, opentelemetry: {{service: d.shop, port: 80}}}}, \
         {{name: e, lightstep: {{service: {}, port: 80}}}}, \
         {{name: f, envoyOtelAls: {{service: {}, port: 80}}}}]",
        host("a"),
        host("b"),
        host("c"),
        host("e"),
        host("f"),
    );
    // `c` is of another namespace, `d` no full name; nobody speaks to `e` any more.
    check_with(flags(), &settings, &[gateway("main", "edge", 80)], "abf");
}

const TOKENS: &str = "---
kind: RequestAuthentication
apiVersion: security.istio.io/v1
metadata: {name: tokens, namespace: edge}
spec: {jwtRules: [{issuer: i, jwksUri: 'http://g.shop.svc.cluster.local/keys'}]}
";

#[test]
fn services_that_keys_are_fetched_from_are_attached_where_the_gateway_fetches_them() {
    let main = || [gateway("main", "edge", 80), TOKENS.to_owned()];
    let fetched = |by| Flags { pilot_jwt_enable_remote_jwks: by, ..flags() };
    check(&main(), "");
    check_with(fetched(JwksFetch::Hybrid), "{}", &main(), "g");
    check_with(fetched(JwksFetch::Envoy), "{}", &main(), "g");
}

/// What an east-west gateway has: the clusters of server names are those of all services.
#[test]
fn clusters_that_server_names_spell_are_those_of_all_services() {
    let passing = "port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}";
    let rules = rule("r", &format!("gateways: [edge/main], hosts: [h], http: [{{{}}}]", to("a")));
    let mesh = load(flags(), "{}", &[gateway_with("main", "edge", passing), rules].concat());
    assert_eq!(attached(&mesh), "a");
    let proxy = mesh.proxy("east/edge/edge-0").unwrap();
    let clusters = Resources::new(&mesh.view(&proxy).unwrap()).clusters;
    let spelt = clusters.iter().filter(|cluster| cluster.name.starts_with("outbound_.80_._."));
    assert_eq!(spelt.count(), 9);
}

/// What each of these texts in turn makes of a gateway, incrementally and from scratch.
fn check_changes(flags: Flags, texts: &[Vec<String>], expected: &[&str]) {
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let mut generator = Generator::new();
    let mut known: Option<(Arc<Mesh>, Snapshot)> = None;
    for (text, expected) in texts.iter().zip(expected) {
        let (_, effect) = registry.reload(sources("{}", &text.concat()));
        let mesh = registry.mesh();
        assert_eq!(attached(&mesh), *expected);
        let proxy = mesh.proxy("east/edge/edge-0").unwrap();
        let view = mesh.view(&proxy).unwrap();
        let scratch = Snapshot::new(Resources::new(&view).into_resources());
        assert_eq!(generator.snapshot(&view), scratch, "{expected}");
        if let Some((before, previous)) = &known {
            let old = before.proxy("east/edge/edge-0").unwrap();
            let old = before.view(&old).unwrap();
            let delta = Generator::new().delta((&old, previous), &view, &effect);
            assert_eq!(delta, scratch.diff(previous), "{expected}");
            let names = previous.collection(&TypeUrl::CLUSTER).unwrap().iter();
            let watched: Vec<&str> = names.map(|cluster| &**cluster.name()).collect();
            let told = delta::delta(&view, Some(&old), &[Changed::Scope], watched.iter().copied());
            let is_gone = |name: &&str| !told.removed.iter().any(|gone| **gone == **name);
            let mut names: BTreeSet<&str> = watched.iter().copied().filter(is_gone).collect();
            names.extend(told.clusters.iter().map(|cluster| &*cluster.name));
            let now = scratch.collection(&TypeUrl::CLUSTER).unwrap().iter();
            assert_eq!(names, now.map(|cluster| &**cluster.name()).collect(), "{expected}");
        }
        known = Some((mesh, scratch));
    }
}

#[test]
fn a_rule_that_changes_reaches_the_clusters_that_it_attaches() {
    let text = |server: &str, service: &str| {
        let rules = format!("gateways: [edge/main], hosts: [h], http: [{{{}}}]", to(service));
        vec![gateway_with("main", "edge", server), rule("r", &rules)]
    };
    let http = "port: {number: 80, name: http, protocol: HTTP}";
    let passing = "port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}";
    for server in [http, passing] {
        let mut texts = vec![text(server, "a"), text(server, "b"), text(server, "a")];
        texts.push(vec![gateway_with("main", "edge", server)]);
        check_changes(flags(), &texts, &["a", "b", "a", ""]);
    }
}

#[test]
fn a_rule_of_tokens_reaches_the_cluster_that_keys_are_fetched_from() {
    let main = || gateway("main", "edge", 80);
    let flags = Flags { pilot_jwt_enable_remote_jwks: JwksFetch::Envoy, ..flags() };
    let with = || vec![main(), TOKENS.to_owned()];
    check_changes(flags, &[vec![main()], with(), vec![main()]], &["", "g", ""]);
}
