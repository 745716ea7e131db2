//! What gateways listen on, and where they send what they receive.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::listener::v3::{FilterChain, filter};
use mesh_envoy_proto::envoy::config::route::v3::route::Action;
use mesh_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use mesh_envoy_proto::envoy::config::route::v3::{Route, VirtualHost};
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use mesh_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use mesh_envoy_proto::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use mesh_envoy_proto::envoy::{config::core::v3::transport_socket, config::listener::v3::Listener};
use mesh_model::registry::Mesh;
use mesh_testkit::folder;
use mesh_xds_gen::Resources;

/// A gateway whose service leads port 80 to 8080 and 443 to 8443, and what it sends to.
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
spec:
  clusterIP: 10.1.0.1
  selector: {istio: edge}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
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
    load_with("{}", config)
}

fn load_with(mesh_config: &str, config: &str) -> Arc<Mesh> {
    let files = [
        ("mesh.yaml", mesh_config),
        ("clusters/east/all.yaml", CLUSTER),
        ("config/all.yaml", config),
    ];
    let (registry, _) = folder::load(files);
    registry.mesh()
}

fn resources(config: &str) -> Resources {
    let mesh = load(config);
    let proxy = mesh.proxy("east/edge/edge-0").unwrap();
    Resources::new(&mesh.view(&proxy).unwrap())
}

/// A Gateway called `edge` with these servers.
fn gateway(servers: &str) -> String {
    format!(
        "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {{name: edge, namespace: edge}}\n\
         spec:\n  selector: {{istio: edge}}\n  servers:\n{servers}\n---\n"
    )
}

/// A VirtualService of the Gateway `edge`, of an age in seconds.
fn rule(name: &str, age: u8, spec: &str) -> String {
    format!(
        "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: \
         shop, creationTimestamp: '2026-01-01T00:00:{age:02}Z'}}\nspec: {{gateways: [edge/edge], \
         {spec}}}\n---\n"
    )
}

fn cluster(route: &Route) -> String {
    let path = match &route.r#match.as_ref().unwrap().path_specifier {
        Some(specifier) => {
            format!("{specifier:?}").split('"').nth(1).unwrap_or_default().to_owned()
        }
        None => String::new(),
    };
    let Some(Action::Route(action)) = &route.action else { return format!("{path}>?") };
    let Some(ClusterSpecifier::Cluster(cluster)) = &action.cluster_specifier else {
        return format!("{path}>weights");
    };
    format!("{path}>{}", cluster.split('.').next().unwrap())
}

/// Checks the virtual hosts of a route configuration as `NAME [tls] = DOMAIN …: PATH>CLUSTER …`.
fn check_routes(config: &str, name: &str, expected: &[&str]) {
    let routes = resources(config).routes;
    let found = routes.iter().find(|found| found.name == name).unwrap();
    let host = |host: &VirtualHost| {
        let tls = if host.require_tls == 0 { "" } else { " tls" };
        let routes: Vec<String> = host.routes.iter().map(cluster).collect();
        format!("{}{tls} = {}: {}", host.name, host.domains.join(" "), routes.join(" "))
    };
    assert_eq!(found.virtual_hosts.iter().map(host).collect::<Vec<_>>(), expected);
}

fn tls_of(chain: &FilterChain) -> String {
    let Some(socket) = &chain.transport_socket else { return String::new() };
    let Some(transport_socket::ConfigType::TypedConfig(config)) = &socket.config_type else {
        return String::new();
    };
    let tls: DownstreamTlsContext = config.to_msg().unwrap();
    let common = tls.common_tls_context.unwrap();
    let secrets = common.tls_certificate_sds_secret_configs.iter();
    let names: Vec<&str> = secrets.map(|secret| &*secret.name).collect();
    let needed = if tls.require_client_certificate == Some(true) { "!" } else { "" };
    format!(" tls{needed} {}", names.join(" "))
}

fn end_of(chain: &FilterChain) -> String {
    let last = chain.filters.last().unwrap();
    let Some(filter::ConfigType::TypedConfig(config)) = &last.config_type else {
        return String::new();
    };
    match config.to_msg::<TcpProxy>().map(|proxy| proxy.cluster_specifier) {
        Ok(Some(tcp_proxy::ClusterSpecifier::Cluster(cluster))) => cluster,
        Ok(Some(tcp_proxy::ClusterSpecifier::WeightedClusters(_))) => "weights".to_owned(),
        Ok(None) | Err(_) => "http".to_owned(),
    }
}

/// Checks the chains as `LISTENER [SNI …] [tls SECRET …] > CLUSTER`, in order.
fn check_chains(config: &str, expected: &[&str]) {
    let listeners = resources(config).listeners;
    let chain = |listener: &Listener, chain: &FilterChain| {
        let names = chain.filter_chain_match.as_ref().map(|found| found.server_names.join(" "));
        let names = names.map(|names| format!(" {names}")).unwrap_or_default();
        format!("{}{names}{} > {}", listener.name, tls_of(chain), end_of(chain))
    };
    let found: Vec<String> = listeners
        .iter()
        .flat_map(|listener| listener.filter_chains.iter().map(move |it| chain(listener, it)))
        .collect();
    assert_eq!(found, expected);
}

const HTTP: &str = "  - {port: {number: 80, protocol: HTTP, name: http}, hosts: ['*']}";

#[test]
fn a_gateway_without_rules_answers_nothing() {
    check_chains(&gateway(HTTP), &["0.0.0.0_8080 > http"]);
    check_routes(&gateway(HTTP), "http.8080", &["blackhole:80 = *: "]);
}

#[test]
fn rules_of_one_host_are_joined_with_what_takes_every_request_last() {
    let first = "hosts: [a.example], http: [{route: [{destination: {host: cart}}]}]";
    let second = "hosts: [a.example], http: [{match: [{uri: {prefix: /db}}], \
                  route: [{destination: {host: db}}]}]";
    check_routes(
        &[gateway(HTTP), rule("first", 1, first), rule("second", 2, second)].concat(),
        "http.8080",
        &["a.example:80 = a.example: /db>outbound|5432||db />outbound|9000||cart"],
    );
}

#[test]
fn a_route_of_the_gateway_api_of_the_gateways_namespace_comes_first() {
    let of = |name: &str, age, namespace: &str, semantics: &str| {
        let spec = format!(
            "hosts: [a.example], http: [{{match: [{{uri: {{prefix: /{name}}}}}], \
             route: [{{destination: {{host: cart.shop.svc.cluster.local}}}}]}}]"
        );
        let annotation = format!("annotations: {{internal.istio.io/route-semantics: {semantics}}}");
        let place = format!("namespace: {namespace}, {annotation}");
        rule(name, age, &spec).replacen("namespace: shop", &place, 1)
    };
    let rules = [
        of("old", 1, "shop", "istio"),
        of("own", 2, "edge", "gateway"),
        of("far", 3, "shop", "gateway"),
        of("new", 4, "edge", "istio"),
    ];
    let routed = "/own>outbound|9000||cart /old>outbound|9000||cart /far>outbound|9000||cart \
                  /new>outbound|9000||cart";
    check_routes(
        &[gateway(HTTP), rules.concat()].concat(),
        "http.8080",
        &[&format!("a.example:80 = a.example: {routed}")],
    );
}

#[test]
fn hosts_of_the_same_rules_are_one_virtual_host() {
    let both = "hosts: [a.example, '*.b.example', long.a.example], \
                http: [{route: [{destination: {host: cart}}]}]";
    check_routes(
        &[gateway(HTTP), rule("both", 1, both)].concat(),
        "http.8080",
        &["long.a.example:80 = long.a.example a.example *.b.example: />outbound|9000||cart"],
    );
}

#[test]
fn a_wildcard_rule_is_narrowed_to_the_hosts_of_the_server() {
    let servers =
        "  - {port: {number: 80, protocol: HTTP, name: http}, hosts: [a.example, b.other]}";
    let wild = "hosts: ['*.example'], http: [{route: [{destination: {host: cart}}]}]";
    check_routes(
        &[gateway(servers), rule("wild", 1, wild)].concat(),
        "http.8080",
        &["a.example:80 = a.example: />outbound|9000||cart"],
    );
}

#[test]
fn a_server_for_another_namespace_takes_no_rule_of_this_one() {
    let servers = "  - {port: {number: 80, protocol: HTTP, name: http}, hosts: ['other/*']}";
    let any = "hosts: [a.example], http: [{route: [{destination: {host: cart}}]}]";
    let config = [gateway(servers), rule("any", 1, any)].concat();
    check_routes(&config, "http.8080", &["blackhole:80 = *: "]);
}

#[test]
fn a_redirect_to_https_needs_no_rule() {
    let servers = "  - {port: {number: 80, protocol: HTTP, name: http}, hosts: [a.example, b.example], \
                   tls: {httpsRedirect: true}}";
    let one = "hosts: [a.example], http: [{route: [{destination: {host: cart}}]}]";
    check_routes(
        &[gateway(servers), rule("one", 1, one)].concat(),
        "http.8080",
        &["a.example:80 tls = a.example: />outbound|9000||cart", "b.example:80 tls = b.example: "],
    );
}

#[test]
fn every_server_with_tls_has_routes_and_certificates_of_its_own() {
    let servers = "
  - {port: {number: 443, protocol: HTTPS, name: a}, hosts: [a.example], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 443, protocol: HTTPS, name: b}, hosts: ['*'], tls: {mode: MUTUAL, credentialNames: [b, c]}}
  - {port: {number: 444, protocol: HTTPS, name: m}, hosts: ['*'], tls: {mode: ISTIO_MUTUAL}}
  - {port: {number: 445, protocol: HTTPS, name: f}, hosts: ['*'], tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}";
    let any = "hosts: ['*'], http: [{route: [{destination: {host: cart}}]}]";
    let config = [gateway(servers), rule("any", 1, any)].concat();
    check_chains(
        &config,
        &[
            "0.0.0.0_444 tls! default > http",
            "0.0.0.0_445 tls file-cert:/c~/k > http",
            "0.0.0.0_8443 a.example tls kubernetes://a > http",
            "0.0.0.0_8443 tls! kubernetes://b kubernetes://c > http",
        ],
    );
    let expected = ["a.example:443 = a.example: />outbound|9000||cart"];
    check_routes(&config, "https.443.a.edge.edge", &expected);
    check_routes(&config, "https.443.b.edge.edge", &["*:443 = *: />outbound|9000||cart"]);
}

#[test]
fn connections_go_where_a_tcp_route_of_the_port_says() {
    let servers = "
  - {port: {number: 5432, protocol: TCP, name: tcp}, hosts: ['*']}
  - {port: {number: 5433, protocol: TCP, name: other}, hosts: ['*']}";
    let db = "hosts: ['*'], tcp: [{match: [{port: 5432}], route: [{destination: {host: db}}]}]";
    let expected = ["0.0.0.0_5432 > outbound|5432||db.shop.svc.cluster.local"];
    check_chains(&[gateway(servers), rule("db", 1, db)].concat(), &expected);
}

#[test]
fn tls_is_passed_on_by_server_name_and_a_name_is_taken_once() {
    let servers = "  - {port: {number: 443, protocol: TLS, name: tls}, hosts: ['*'], tls: {mode: PASSTHROUGH}}";
    let old = "hosts: [a.example], tls: [{match: [{sniHosts: [a.example]}], \
               route: [{destination: {host: db}}]}]";
    let young = "hosts: [a.example, b.example], tls: [{match: [{sniHosts: [a.example]}, \
                 {sniHosts: [b.example]}], route: [{destination: {host: cart}}]}]";
    check_chains(
        &[gateway(servers), rule("young", 2, young), rule("old", 1, old)].concat(),
        &[
            "0.0.0.0_8443 a.example > outbound|5432||db.shop.svc.cluster.local",
            "0.0.0.0_8443 b.example > outbound|9000||cart.shop.svc.cluster.local",
        ],
    );
}

#[test]
fn an_east_west_gateway_passes_on_to_the_cluster_that_the_server_name_spells() {
    let servers = "  - {port: {number: 15443, protocol: TLS, name: tls}, \
                   hosts: ['*.shop.svc.cluster.local'], tls: {mode: AUTO_PASSTHROUGH}}";
    let found = resources(&gateway(servers));
    for listener in &found.listeners {
        for chain in &listener.filter_chains {
            let matched = chain.filter_chain_match.as_ref().unwrap();
            assert_eq!(matched.server_names, [end_of(chain)]);
            assert_eq!(matched.application_protocols.len(), 5);
            assert!(found.clusters.iter().any(|cluster| cluster.name == end_of(chain)));
        }
    }
    check_chains(
        &gateway(servers),
        &[
            "0.0.0.0_15443 outbound_.9000_._.cart.shop.svc.cluster.local > \
             outbound_.9000_._.cart.shop.svc.cluster.local",
            "0.0.0.0_15443 outbound_.5432_._.db.shop.svc.cluster.local > \
             outbound_.5432_._.db.shop.svc.cluster.local",
        ],
    );
}

#[test]
fn to_names_too_only_what_speaks_mutual_tls_is_passed_through() {
    let servers = "  - {port: {number: 15443, protocol: TLS, name: tls}, hosts: ['*.mesh'], \
                   tls: {mode: AUTO_PASSTHROUGH}}";
    let entry = "kind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {name: vm, namespace: \
                 shop}\nspec:\n  hosts: [vm.mesh]\n  location: MESH_INTERNAL\n  resolution: DNS\n  ports: \
                 [{number: 80, name: http, protocol: HTTP}]\n  endpoints:\n  - {address: \
                 plain.example}\n  - {address: mutual.example, labels: {security.istio.io/tlsMode: \
                 istio}}\n---\n";
    let found = resources(&[&*gateway(servers), entry].concat());
    let dialled = |name: &str| -> Vec<bool> {
        let cluster = found.clusters.iter().find(|cluster| cluster.name == name).unwrap();
        let text = format!("{:?}", cluster.load_assignment);
        ["plain.example", "mutual.example"].map(|host| text.contains(host)).into()
    };
    assert_eq!(dialled("outbound_.80_._.vm.mesh"), [false, true]);
    assert_eq!(dialled("outbound|80||vm.mesh"), [true, true]);
}

#[test]
fn a_server_without_any_chain_has_no_listener() {
    let servers = "  - {port: {number: 5432, protocol: TCP, name: tcp}, hosts: ['*']}";
    check_chains(&gateway(servers), &[]);
}

#[test]
fn the_order_of_the_manifests_does_not_show() {
    let parts = [
        gateway(HTTP),
        rule("a", 1, "hosts: [a.example], http: [{route: [{destination: {host: cart}}]}]"),
        rule("b", 2, "hosts: [a.example], http: [{route: [{destination: {host: db}}]}]"),
    ];
    let mut reversed = parts.clone();
    reversed.reverse();
    assert_eq!(resources(&parts.concat()), resources(&reversed.concat()));
}

/// Whom a gateway takes for the client: rules on `remoteIpBlocks` see what these two say.
#[test]
fn a_gateway_believes_as_many_proxies_as_the_mesh_says() {
    let trusted = |mesh_config: &str| {
        let mesh = load_with(mesh_config, &gateway(HTTP));
        let proxy = mesh.proxy("east/edge/edge-0").unwrap();
        let resources = Resources::new(&mesh.view(&proxy).unwrap());
        let chain = resources.listeners.first().and_then(|listener| listener.filter_chains.first());
        let last = chain.and_then(|chain| chain.filters.last()).unwrap();
        let Some(filter::ConfigType::TypedConfig(config)) = &last.config_type else {
            return None;
        };
        let manager: HttpConnectionManager = config.to_msg().unwrap();
        Some((manager.use_remote_address, manager.xff_num_trusted_hops))
    };
    assert_eq!(trusted("{}"), Some((Some(true), 0)));
    let two = "defaultConfig: {gatewayTopology: {numTrustedProxies: 2}}";
    assert_eq!(trusted(two), Some((Some(true), 2)));
}
