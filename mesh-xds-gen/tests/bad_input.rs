//! What becomes of configuration that contradicts itself or leads nowhere: the rest goes on, and what
//! is sent is something that Envoy accepts.
//!
//! The objects come as clusters may hold them, past the rules of admission. What tells an operator of
//! each case is among the hazards of `mesh_model::lint` and the rules of admission.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::listener::v3::{FilterChain, Listener, filter};
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{Route, RouteConfiguration};
use mesh_envoy_proto::envoy::extensions::filters::http::fault::v3::HttpFault;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use mesh_model::Compat;
use mesh_model::manifest::{Limits, read};
use mesh_model::registry::{Change, Mesh, Origin, Registry};
use mesh_model::resource::decode;
use mesh_xds_gen::Resources;
use mesh_xds_gen::endpoint::cluster_load_assignment;
use mesh_xds_gen::route::route_configuration;
use mesh_xds_gen::snapshot::Snapshot;

/// A client with a sidecar, a gateway, and what they send to.
const CLUSTER: &str = "
kind: Pod
apiVersion: v1
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web}, {name: istio-proxy, args: [proxy, sidecar]}]}
status: {phase: Running, podIP: 10.0.0.1}
---
kind: Pod
apiVersion: v1
metadata: {name: edge-0, namespace: shop, labels: {istio: edge}}
spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}
status: {phase: Running, podIP: 10.0.0.2}
---
kind: Service
apiVersion: v1
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.1.0.2, selector: {app: cart}, ports: [{name: http, port: 9000}]}
---
kind: Service
apiVersion: v1
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.1.0.3, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
";

fn load(config: &str) -> Arc<Mesh> {
    let changes = |name: &str, text: &str| -> Vec<Change> {
        let (file, origin) = (Arc::from(name), Origin::of_path(name).unwrap());
        let reading = read(name, text.as_bytes(), &Limits::default());
        assert_eq!(reading.diagnostics, []);
        let upsert = |resource| Change::Upsert { origin: origin.clone(), resource };
        let decoded = reading.documents.iter().map(|it| decode(&it.node, &file, "default"));
        decoded.map(|decoded| upsert(Box::new(decoded.resource.unwrap()))).collect()
    };
    let mut registry = Registry::new(Compat::default());
    registry.apply_all(changes("clusters/east/all.yaml", CLUSTER));
    registry.apply_all(changes("config/all.yaml", config));
    registry.mesh()
}

/// An object of namespace `shop`, of an age in seconds.
fn object(kind: &str, name: &str, age: u8, spec: &str) -> String {
    format!(
        "---\nkind: {kind}\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: \
         shop, creationTimestamp: '2026-01-01T00:00:{age:02}Z'}}\nspec: {{{spec}}}\n"
    )
}

/// A ServiceEntry of one host, address and port.
fn entry(name: &str, age: u8, address: &str, port: &str) -> String {
    let spec = format!(
        "hosts: [{name}.test], addresses: [{address}], location: MESH_EXTERNAL, resolution: STATIC, \
         endpoints: [{{address: 10.9.0.{age}}}], ports: [{{name: p, {port}}}]"
    );
    object("ServiceEntry", name, age, &spec)
}

/// A VirtualService for `cart` with these HTTP routes.
fn rule(routes: &str) -> String {
    object("VirtualService", "cart", 1, &format!("hosts: [cart], http: [{routes}]"))
}

fn gateway(name: &str, age: u8, servers: &str) -> String {
    let spec = format!("selector: {{istio: edge}}, servers: [{servers}]");
    object("Gateway", name, age, &spec)
}

fn end_of(chain: &FilterChain) -> String {
    let last = chain.filters.last().unwrap();
    let Some(filter::ConfigType::TypedConfig(config)) = &last.config_type else {
        return String::new();
    };
    match config.to_msg::<TcpProxy>().map(|proxy| proxy.cluster_specifier) {
        Ok(Some(tcp_proxy::ClusterSpecifier::Cluster(cluster))) => cluster,
        Ok(Some(tcp_proxy::ClusterSpecifier::WeightedClusters(of))) => {
            let names = of.clusters.into_iter().map(|cluster| cluster.name);
            format!("weighted[{}]", names.collect::<Vec<_>>().join(" "))
        }
        Ok(None) | Err(_) => "http".to_owned(),
    }
}

/// `listener NAME [SNI…] [CIDR…] > CLUSTER` for each chain, the default one last.
fn listener(listener: &Listener) -> Vec<String> {
    let chain = |chain: &FilterChain| {
        let found = chain.filter_chain_match.clone().unwrap_or_default();
        let ranges = found.prefix_ranges.iter().map(|range| range.address_prefix.clone());
        let parts: Vec<String> = found.server_names.iter().cloned().chain(ranges).collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" {}", parts.join(" ")) };
        format!("listener {}{parts} > {}", listener.name, end_of(chain))
    };
    listener.filter_chains.iter().chain(&listener.default_filter_chain).map(chain).collect()
}

fn route(route: &Route) -> String {
    let specifier = route.r#match.as_ref().and_then(|found| found.path_specifier.as_ref());
    let path = specifier.map(|specifier| format!("{specifier:?}")).unwrap_or_default();
    let path = path.split('"').nth(1).unwrap_or_default().to_owned();
    let fault = route.typed_per_filter_config.get("envoy.filters.http.fault");
    let share = fault.map(|fault| {
        let fault: HttpFault = fault.to_msg().unwrap();
        let share = fault.delay.and_then(|delay| delay.percentage);
        share.map_or(" delays never".to_owned(), |share| format!(" delays {}", share.numerator))
    });
    let end = match &route.action {
        Some(Action::Route(action)) => match &action.cluster_specifier {
            Some(ClusterSpecifier::Cluster(cluster)) => cluster.clone(),
            _ => "several".to_owned(),
        },
        Some(Action::Redirect(_)) => "redirect".to_owned(),
        Some(_) => "answer".to_owned(),
        None => "nothing".to_owned(),
    };
    format!("{path}>{end}{}", share.unwrap_or_default())
}

/// `route NAME VIRTUAL-HOST = DOMAIN…: PATH>CLUSTER…` for each virtual host.
fn hosts(configuration: &RouteConfiguration) -> Vec<String> {
    let host = configuration.virtual_hosts.iter().map(|host| {
        let routes: Vec<String> = host.routes.iter().map(route).collect();
        let domains = host.domains.join(" ");
        format!("route {} {} = {domains}: {}", configuration.name, host.name, routes.join(" "))
    });
    host.collect()
}

/// Checks what of a proxy's resources begins with a text, a line a chain, a virtual host or a cluster;
/// and that of all resources of a type each has a name of its own.
fn check(proxy: &str, config: &str, prefix: &str, expected: &[&str]) {
    let mesh = load(config);
    let proxy = mesh.proxy(&format!("east/shop/{proxy}")).unwrap();
    let found = Resources::new(&mesh.view(&proxy).unwrap());
    let clusters = found.clusters.iter().map(|cluster| format!("cluster {}", cluster.name));
    let lines: Vec<String> = found
        .listeners
        .iter()
        .flat_map(listener)
        .chain(found.routes.iter().flat_map(hosts))
        .chain(clusters)
        .filter(|line| line.starts_with(prefix))
        .collect();
    assert_eq!(lines, expected);
    let resources = found.into_resources();
    let all = resources.len();
    let snapshot = Snapshot::new(resources);
    let kept: usize = snapshot.types().map(|(_, collection)| collection.len()).sum();
    assert_eq!(kept, all);
}

const DB: &str = "outbound|5432||db.shop.svc.cluster.local";

#[test]
fn of_two_services_with_one_address_and_port_the_older_gets_the_connections() {
    let port = "number: 7000, protocol: TCP";
    let config = [entry("young", 2, "10.5.0.1", port), entry("old", 1, "10.5.0.1", port)].concat();
    let expected = ["listener 10.5.0.1_7000 > outbound|7000||old.test"];
    check("web-0", &config, "listener 10.5.0.1", &expected);
}

#[test]
fn http_and_connections_share_a_port_of_every_address() {
    let requests = entry("requests", 1, "", "number: 7000, protocol: HTTP");
    let bytes = entry("bytes", 2, "", "number: 7000, protocol: TCP");
    for config in [[&*requests, &*bytes].concat(), [&*bytes, &*requests].concat()] {
        check(
            "web-0",
            &config,
            "listener 0.0.0.0_7000",
            &["listener 0.0.0.0_7000 > http", "listener 0.0.0.0_7000 > outbound|7000||bytes.test"],
        );
        let expected = [
            "route 7000 requests.test:7000 = requests.test requests.test.: />outbound|7000||requests.test",
        ];
        check("web-0", &config, "route 7000 requests", &expected);
    }
}

#[test]
fn servers_that_speak_first_do_not_join_a_port_that_is_taken() {
    let mongo = |age| entry("mongo", age, "", "number: 7000, protocol: MONGO");
    let mysql = |age| entry("mysql", age, "", "number: 7000, protocol: MYSQL");
    let http = |age| entry("http", age, "", "number: 7000, protocol: HTTP");
    let prefix = "listener 0.0.0.0_7000";
    check(
        "web-0",
        &[mongo(1), mysql(2)].concat(),
        prefix,
        &["listener 0.0.0.0_7000 > outbound|7000||mongo.test"],
    );
    check(
        "web-0",
        &[mongo(2), mysql(1)].concat(),
        prefix,
        &["listener 0.0.0.0_7000 > outbound|7000||mysql.test"],
    );
    check(
        "web-0",
        &[http(1), mysql(2)].concat(),
        prefix,
        &["listener 0.0.0.0_7000 > http", "listener 0.0.0.0_7000 > PassthroughCluster"],
    );
}

#[test]
fn a_cluster_of_two_entries_for_one_host_is_sent_once() {
    let port = "number: 7000, protocol: HTTP";
    let twin = entry("twin", 2, "", port).replace("name: twin,", "name: other,");
    let config = [entry("twin", 1, "", port), twin].concat();
    check("web-0", &config, "cluster outbound|7000", &["cluster outbound|7000||twin.test"]);
}

#[test]
fn a_host_of_two_rules_has_the_routes_of_the_older() {
    let to = |name: &str, age, path: &str| {
        let spec = format!(
            "hosts: [cart.shop.svc.cluster.local], http: [{{match: [{{uri: {{prefix: {path}}}}}], route: \
             [{{destination: {{host: cart.shop.svc.cluster.local}}}}]}}]"
        );
        object("VirtualService", name, age, &spec)
    };
    let config = [to("young", 2, "/young"), to("old", 1, "/old")].concat();
    let mesh = load(&config);
    let proxy = mesh.proxy("east/shop/web-0").unwrap();
    let routes = route_configuration(&mesh.view(&proxy).unwrap(), "9000");
    let mut domains: Vec<&String> =
        routes.virtual_hosts.iter().flat_map(|host| &host.domains).collect();
    let all = domains.len();
    domains.sort();
    domains.dedup();
    assert_eq!(domains.len(), all);
    let of_cart = hosts(&routes).into_iter().find(|line| line.contains("cart.shop")).unwrap();
    assert!(of_cart.contains("/old>") && !of_cart.contains("/young>"), "{of_cart}");
}

/// Checks the routes of `cart` at the sidecar, each as `PATH>CLUSTER`.
fn check_cart(config: &str, expected: &str) {
    let domains = "cart.shop.svc.cluster.local cart.shop.svc.cluster.local. cart cart.shop.svc cart.shop 10.1.0.2";
    let line = format!("route 9000 cart.shop.svc.cluster.local:9000 = {domains}: {expected}");
    check("web-0", config, "route 9000 cart", &[&line]);
}

const CART: &str = "/>outbound|9000||cart.shop.svc.cluster.local";

#[test]
fn a_route_to_what_is_unknown_is_sent_as_it_is() {
    let to = |destination: &str| rule(&format!("{{route: [{{destination: {{{destination}}}}}]}}"));
    check_cart(&to("host: nobody.test"), "/>outbound|9000||nobody.test");
    check_cart(&to("host: cart, subset: v9"), "/>outbound|9000|v9|cart.shop.svc.cluster.local");
    check("web-0", &to("host: nobody.test"), "cluster outbound|9000||nobody", &[]);
}

#[test]
fn a_rule_without_a_route_for_the_port_leaves_the_services_own() {
    let route = "{match: [{port: 1}], route: [{destination: {host: db}}]}";
    check_cart(&rule(route), CART);
}

#[test]
fn a_route_of_connections_without_destinations_is_skipped() {
    let listener = format!("listener 10.1.0.3_5432 > {DB}");
    for route in ["{}", "{route: []}", "{route: [{weight: 1}]}"] {
        let spec = format!("hosts: [db], tcp: [{route}]");
        let config = object("VirtualService", "db", 1, &spec);
        check("web-0", &config, "listener 10.1.0.3", &[&listener]);
    }
    let empty = "{match: [{sniHosts: [a.test]}], route: []}";
    let full = "{match: [{sniHosts: [a.test]}], route: [{destination: {host: db}}]}";
    let passed =
        "{port: {number: 8443, protocol: TLS, name: t}, hosts: ['*'], tls: {mode: PASSTHROUGH}}";
    let spec = format!("hosts: [a.test], gateways: [edge], tls: [{empty}, {full}]");
    let config = [gateway("edge", 1, passed), object("VirtualService", "a", 1, &spec)].concat();
    let expected = format!("listener 0.0.0.0_8443 a.test > {DB}");
    check("edge-0", &config, "listener", &[&expected]);
}

#[test]
fn weights_that_are_0_together_lead_nowhere_and_are_skipped() {
    let route = "{route: [{destination: {host: cart}, weight: 0}, {destination: {host: db}}]}";
    let rule = |gateways: &str, more: &str| {
        let spec = format!("hosts: [db], gateways: [{gateways}], tcp: [{route}{more}]");
        object("VirtualService", "db", 1, &spec)
    };
    let listener = format!("listener 10.1.0.3_5432 > {DB}");
    check("web-0", &rule("mesh", ""), "listener 10.1.0.3", &[&listener]);
    let server = "{port: {number: 5432, protocol: TCP, name: t}, hosts: ['*']}";
    let edge = gateway("edge", 1, server);
    check("edge-0", &[&*edge, &rule("edge", "")].concat(), "listener", &[]);
    let more = ", {route: [{destination: {host: db}}]}";
    let expected = format!("listener 0.0.0.0_5432 > {DB}");
    check("edge-0", &[&*edge, &rule("edge", more)].concat(), "listener", &[&expected]);
}

#[test]
fn requests_have_no_route_by_weights_that_are_0_together() {
    let route = |weight: u32| {
        rule(&format!(
            "{{route: [{{destination: {{host: cart}}, weight: 0}}, {{destination: {{host: db}}, weight: \
             {weight}}}]}}"
        ))
    };
    check_cart(&route(0), CART);
    check_cart(&route(1), "/>several");
}

#[test]
fn a_redirect_with_a_status_that_envoy_has_not_is_left_out() {
    let redirect = |code: u32| {
        format!(
            "{{match: [{{uri: {{prefix: /a}}}}], redirect: {{uri: /b, redirectCode: {code}}}}}, {{route: \
             [{{destination: {{host: cart}}}}]}}"
        )
    };
    check_cart(&rule(&redirect(302)), &format!("/a>redirect {CART}"));
    check_cart(&rule(&redirect(305)), CART);
}

#[test]
fn a_route_whose_delegate_is_missing_hidden_or_at_odds_is_the_only_one_that_goes() {
    let root = "{match: [{uri: {prefix: /a}}], delegate: {name: d, namespace: other}}, {route: \
                [{destination: {host: cart}}]}";
    let delegate = |export: &str, path: &str| {
        let spec = format!(
            "exportTo: ['{export}'], http: [{{match: [{{uri: {{prefix: {path}}}}}], route: [{{destination: \
             {{host: db.shop.svc.cluster.local, port: {{number: 5432}}}}}}]}}]"
        );
        object("VirtualService", "d", 2, &spec).replace("namespace: shop", "namespace: other")
    };
    check_cart(&rule(root), CART);
    check_cart(&[rule(root), delegate(".", "/a/b")].concat(), CART);
    check_cart(&[rule(root), delegate("*", "/b")].concat(), CART);
    let whole = format!("/a/b>{DB} {CART}");
    check_cart(&[rule(root), delegate("*", "/a/b")].concat(), &whole);
}

#[test]
fn a_server_without_port_is_skipped_and_the_others_stay() {
    let servers = "{hosts: ['*']}, {port: {number: 8080, protocol: HTTP, name: h}, hosts: ['*']}";
    check("edge-0", &gateway("g", 1, servers), "listener", &["listener 0.0.0.0_8080 > http"]);
}

#[test]
fn of_two_servers_with_one_tls_host_the_earlier_stays() {
    let server = |name: &str, hosts: &str| {
        format!(
            "{{port: {{number: 8443, protocol: HTTPS, name: {name}}}, hosts: [{hosts}], tls: {{mode: SIMPLE, \
             credentialName: {name}}}}}"
        )
    };
    let one = gateway("g", 1, &[server("a", "a.test"), server("b", "b.test, a.test")].join(", "));
    let two =
        [gateway("h", 2, &server("b", "b.test, a.test")), gateway("g", 1, &server("a", "a.test"))];
    for config in [one, two.concat()] {
        check("edge-0", &config, "listener", &["listener 0.0.0.0_8443 a.test > http"]);
    }
}

#[test]
fn what_cannot_join_a_port_of_a_gateway_is_skipped() {
    let server = |protocol: &str| {
        format!("{{port: {{number: 8080, protocol: {protocol}, name: p}}, hosts: ['*']}}")
    };
    let rule = "hosts: ['*'], gateways: [h], tcp: [{route: [{destination: {host: db}}]}]";
    let rule = object("VirtualService", "r", 1, rule);
    let config = [gateway("g", 1, &server("HTTP")), gateway("h", 2, &server("TCP")), rule];
    check("edge-0", &config.concat(), "listener", &["listener 0.0.0.0_8080 > http"]);
}

#[test]
fn a_name_without_endpoints_has_no_cluster() {
    let entry = |more: &str| {
        let spec = format!(
            "hosts: [a.test], resolution: DNS, ports: [{{name: h, number: 7000, protocol: HTTP}}]{more}"
        );
        object("ServiceEntry", "a", 1, &spec)
    };
    let selected = ", workloadSelector: {labels: {app: nobody}}";
    check("web-0", &entry(selected), "cluster outbound|7000", &[]);
    check("web-0", &entry(""), "cluster outbound|7000", &["cluster outbound|7000||a.test"]);
}

#[test]
fn an_egress_host_that_is_no_namespace_and_host_imports_nothing() {
    let sidecar =
        |hosts: &str| object("Sidecar", "s", 1, &format!("egress: [{{hosts: [{hosts}]}}]"));
    let db = format!("cluster {DB}");
    let config = sidecar("cart.shop.svc.cluster.local, shop/cart/x, ./db.shop.svc.cluster.local");
    check("web-0", &config, "cluster outbound", &[&db]);
}

#[test]
fn a_name_that_means_nothing_has_no_routes_and_no_endpoints() {
    let mesh = load("");
    for (proxy, route) in [("web-0", "4711"), ("web-0", "nonsense"), ("edge-0", "http.4711")] {
        let proxy = mesh.proxy(&format!("east/shop/{proxy}")).unwrap();
        let view = mesh.view(&proxy).unwrap();
        let found = route_configuration(&view, route);
        assert_eq!(found.name, route);
        let named: Vec<&str> = found.virtual_hosts.iter().map(|host| &*host.name).collect();
        assert!(matches!(&*named, [] | ["allow_any"]), "{route}: {named:?}");
        for name in ["outbound|1||cart.shop.svc.cluster.local", "outbound|80||nobody.test", "x|y"] {
            let found = cluster_load_assignment(&view, name);
            assert_eq!((&*found.cluster_name, found.endpoints.len()), (name, 0));
        }
    }
}

#[test]
fn a_fault_without_percentage_befalls_no_request() {
    let fault = |percentage: &str| {
        rule(&format!(
            "{{fault: {{delay: {{fixedDelay: 1s{percentage}}}}}, route: [{{destination: {{host: cart}}}}]}}"
        ))
    };
    check_cart(&fault(""), &format!("{CART} delays 0"));
    check_cart(&fault(", percentage: {value: 5}"), &format!("{CART} delays 50000"));
}

#[test]
fn of_two_hosts_of_one_address_the_first_gets_the_requests_for_the_address() {
    let spec = "hosts: [b.test, a.test], addresses: [10.5.0.1], resolution: DNS, ports: [{name: h, \
                number: 7000, protocol: HTTP}]";
    check(
        "web-0",
        &object("ServiceEntry", "e", 1, spec),
        "route 7000",
        &[
            "route 7000 a.test:7000 = a.test a.test. 10.5.0.1: />outbound|7000||a.test",
            "route 7000 b.test:7000 = b.test b.test.: />outbound|7000||b.test",
            "route 7000 allow_any = *: />PassthroughCluster",
        ],
    );
}

/// The rule of the gateway `g` for `x.test`.
fn edge_rule() -> String {
    let spec = "hosts: [x.test], gateways: [g], http: [{route: [{destination: {host: cart}}]}]";
    object("VirtualService", "x", 1, spec)
}

#[test]
fn every_host_of_every_namespace_and_more_is_every_host() {
    let server = |hosts: &str| {
        let server =
            format!("{{port: {{number: 8080, protocol: HTTP, name: h}}, hosts: [{hosts}]}}");
        [gateway("g", 1, &server), edge_rule()].concat()
    };
    for hosts in ["'*/*', './x'", "'*/*', '*/y.test'", "'*/*'", "'*'"] {
        let expected = format!("route http.8080 x.test:8080 = x.test: {CART}");
        check("edge-0", &server(hosts), "route", &[&expected]);
    }
}

#[test]
fn a_redirect_for_a_host_of_a_namespace_is_for_the_text_with_the_namespace() {
    let server = "{port: {number: 8080, protocol: HTTP, name: h}, hosts: [shop/x.test, shop/y.test], tls: \
                  {httpsRedirect: true}}";
    let config = [gateway("g", 1, server), edge_rule()].concat();
    check(
        "edge-0",
        &config,
        "route",
        &[
            "route http.8080 shop/x.test:8080 = shop/x.test shop/y.test: ",
            &format!("route http.8080 x.test:8080 = x.test: {CART}"),
        ],
    );
}

#[test]
fn an_endpoint_of_a_headless_service_without_a_valid_address_is_skipped() {
    let spec = "hosts: [pods.test], resolution: NONE, ports: [{name: t, number: 7000, protocol: TCP}], \
                endpoints: [{address: 10.9.0.1}, {address: no-address}, {address: 10.9.0.400}, {address: \
                10.9.0.2}]";
    let config = object("ServiceEntry", "pods", 1, spec);
    check(
        "web-0",
        &config,
        "listener 10.9",
        &[
            "listener 10.9.0.1_7000 > outbound|7000||pods.test",
            "listener 10.9.0.2_7000 > outbound|7000||pods.test",
        ],
    );
}
