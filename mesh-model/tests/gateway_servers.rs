//! Which servers of which Gateways a gateway proxy has, on which ports.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use mesh_model::view::{GatewayServers, ServerRoute};
use mesh_testkit::folder;

/// A gateway whose service leads port 80 to 8080 and 443 to 8443.
const EDGE: &str = "
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
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
";

fn merged(gateways: &str) -> GatewayServers {
    let (registry, _) =
        folder::load([("clusters/east/all.yaml", EDGE), ("config/all.yaml", gateways)]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("east/edge/edge-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    view.gateway_servers()
}

/// A Gateway of its servers, one a line: `NUMBER PROTOCOL HOSTS [MODE] [@BIND]`; the line is the name of
/// the port. The order of Gateways is that of their ages.
fn gateway(name: &str, age: u8, servers: &[&str]) -> String {
    let server = |(index, line): (usize, &&str)| {
        let mut words = line.split(' ');
        let (number, protocol) = (words.next().unwrap(), words.next().unwrap());
        let mut text =
            format!("  - port: {{number: {number}, protocol: {protocol}, name: p{index}}}");
        let hosts: Vec<String> =
            words.next().unwrap().split(',').map(|host| format!("\"{host}\"")).collect();
        text += &format!("\n    hosts: [{}]", hosts.join(", "));
        for word in words {
            text += &match word.strip_prefix('@') {
                Some(bind) => format!("\n    bind: \"{bind}\""),
                None if word == "redirect" => "\n    tls: {httpsRedirect: true}".to_owned(),
                None => format!("\n    tls: {{mode: {word}, credentialName: c}}"),
            };
        }
        text
    };
    let servers: Vec<String> = servers.iter().enumerate().map(server).collect();
    format!(
        "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: edge, \
         creationTimestamp: '2026-01-01T00:00:{age:02}Z'}}\nspec:\n  selector: {{istio: edge}}\n  \
         servers:\n{}\n---\n",
        servers.join("\n")
    )
}

/// Checks the groups as `PORT[@BIND]: GATEWAY.SERVER …`, in their order.
fn check(gateways: &[String], expected: &[&str]) {
    let merged = merged(&gateways.concat());
    let group = |group: &mesh_model::view::ServerGroup| {
        let bind = if group.bind.is_empty() { String::new() } else { format!("@{}", group.bind) };
        let servers: Vec<String> = merged
            .of_group(group)
            .map(|server| {
                let port = server.server.port.as_ref().unwrap();
                format!("{}.{}", server.gateway.split('/').next_back().unwrap(), port.name)
            })
            .collect();
        format!("{}{bind}: {}", group.port, servers.join(" "))
    };
    let found: Vec<String> = merged.groups().iter().map(group).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_service_port_is_listened_on_at_its_target_and_any_other_port_as_it_is() {
    check(&[gateway("a", 1, &["80 HTTP *", "9000 TCP *"])], &["8080: a.p0", "9000: a.p1"]);
}

#[test]
fn plain_text_requests_of_all_gateways_share_a_port_and_its_routes() {
    let gateways =
        [gateway("b", 2, &["80 GRPC *"]), gateway("a", 1, &["80 HTTP *", "8080 HTTP *"])];
    check(&gateways, &["8080: a.p0 a.p1 b.p0"]);
    let merged = merged(&gateways.concat());
    let routes: Vec<_> = merged.routes().collect();
    let expected = ServerRoute::Http { port: 8080, bind: "".into() };
    assert_eq!(routes.len(), 1);
    assert_eq!(
        routes.iter().map(|(route, servers)| (*route, servers.len())).next(),
        Some((&expected, 3))
    );
}

#[test]
fn what_is_no_request_cannot_join_plain_text_at_its_address() {
    check(
        &[gateway("a", 1, &["80 HTTP *", "80 TCP *", "80 HTTPS x.example SIMPLE"])],
        &["8080: a.p0"],
    );
}

#[test]
fn another_address_is_another_listener() {
    check(
        &[gateway("a", 1, &["80 HTTP *", "80 TCP * @10.0.0.9", "80 TCP * @10.0.0.8"])],
        &["8080: a.p0", "8080@10.0.0.9: a.p1", "8080@10.0.0.8: a.p2"],
    );
}

#[test]
fn tls_of_different_hosts_shares_a_port() {
    check(
        &[gateway("a", 1, &["443 HTTPS x.example SIMPLE", "443 TLS y.example PASSTHROUGH"])],
        &["8443: a.p0", "8443: a.p1"],
    );
}

#[test]
fn the_older_gateway_keeps_a_host_with_tls() {
    let younger =
        gateway("a", 2, &["443 HTTPS x.example,y.example MUTUAL", "443 HTTPS z.example SIMPLE"]);
    check(&[younger, gateway("b", 1, &["443 HTTPS x.example SIMPLE"])], &["8443: b.p0 a.p1"]);
}

#[test]
fn a_host_at_another_address_is_free() {
    check(
        &[gateway("a", 1, &["443 HTTPS x.example SIMPLE", "443 HTTPS x.example SIMPLE @10.0.0.9"])],
        &["8443: a.p0", "8443@10.0.0.9: a.p1"],
    );
}

#[test]
fn plain_text_joins_tls_that_was_there_first_but_not_the_other_way_round() {
    check(
        &[gateway("a", 1, &["443 HTTPS x.example SIMPLE", "443 TCP *"])],
        &["8443: a.p0", "8443: a.p1"],
    );
    check(&[gateway("a", 1, &["443 TCP *", "443 HTTPS x.example SIMPLE"])], &["8443: a.p0"]);
}

#[test]
fn hosts_keep_the_namespace_that_may_bind_to_them() {
    let merged =
        merged(&gateway("a", 1, &["80 HTTP ./x.example,*/y.example,shop/z.example redirect"]));
    let server = merged.server(0).unwrap();
    let hosts: Vec<&str> = server.server.hosts.iter().map(AsRef::as_ref).collect();
    assert_eq!(hosts, ["edge/x.example", "y.example", "shop/z.example"]);
    assert!(server.redirects());
    assert!(server.serves("z.example", &"shop".into()));
    assert!(!server.serves("z.example", &"edge".into()));
    assert!(server.serves("*.example", &"edge".into()));
    assert_eq!(server.sni_hosts(), ["x.example", "y.example", "z.example"]);
}

#[test]
fn every_host_of_every_namespace_stands_for_all_others() {
    let merged = merged(&gateway("a", 1, &["80 HTTP */*,./x.example"]));
    let hosts: Vec<&str> =
        merged.server(0).unwrap().server.hosts.iter().map(AsRef::as_ref).collect();
    assert_eq!(hosts, ["*"]);
}

#[test]
fn a_gateway_for_other_labels_is_not_the_proxys() {
    let other = gateway("a", 1, &["80 HTTP *"]).replace("{istio: edge}", "{istio: other}");
    check(&[other], &[]);
}

#[test]
fn the_order_of_the_manifests_does_not_show() {
    let (a, b) = (
        gateway("a", 1, &["443 HTTPS x.example SIMPLE", "80 HTTP *"]),
        gateway("b", 2, &["443 HTTPS y.example,x.example SIMPLE", "80 HTTP2 y.example"]),
    );
    let expected = ["8443: a.p0", "8080: a.p1 b.p1"];
    check(&[a.clone(), b.clone()], &expected);
    check(&[b, a], &expected);
}
