//! What is left out, and who is in whose way.
use super::{Fixture, spread};

fn route(route: &str) -> Fixture {
    spread().object("VirtualService", "v", &format!("{{hosts: [cart], http: [{route}]}}"))
}

#[test]
fn redirects_have_five_statuses() {
    route("{redirect: {uri: /x, redirectCode: 305}}").has("HZ-REDIRECT-CODE");
    route("{redirect: {uri: /x, redirectCode: 308}}").lacks("HZ-REDIRECT-CODE");
    route("{redirect: {uri: /x}}").lacks("HZ-REDIRECT-CODE");
}

#[test]
fn faults_befall_a_share_of_the_requests() {
    let fault = |fault: &str| {
        route(&format!("{{fault: {fault}, route: [{{destination: {{host: cart}}}}]}}"))
    };
    fault("{abort: {httpStatus: 500}}").has("HZ-FAULT-NO-PERCENTAGE");
    fault("{delay: {fixedDelay: 1s}}").has("HZ-FAULT-NO-PERCENTAGE");
    fault("{abort: {httpStatus: 500, percentage: {value: 0.1}}}").lacks("HZ-FAULT-NO-PERCENTAGE");
}

#[test]
fn a_delegate_is_seen_and_stays_within_its_root() {
    let delegate = |export: &str, prefix: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: d, namespace: \
             other}}\nspec: {{exportTo: [{export}], http: [{{match: [{{uri: {{prefix: {prefix}}}}}], \
             route: [{{destination: {{host: cart.shop.svc.cluster.local}}}}]}}]}}\n"
        );
        let root = "{match: [{uri: {prefix: /a}}], delegate: {name: d, namespace: other}}";
        route(root).file("config/d.yaml", &text)
    };
    delegate("'.'", "/a/b").has("HZ-DELEGATE-HIDDEN");
    delegate("shop", "/a/b").lacks("HZ-DELEGATE-HIDDEN");
    delegate("shop", "/a/b").lacks("HZ-DELEGATE-CONFLICT");
    delegate("'*'", "/b").has("HZ-DELEGATE-CONFLICT");
}

fn gateway(mesh: Fixture, name: &str, server: &str) -> Fixture {
    mesh.object("Gateway", name, &format!("{{selector: {{app: gw}}, servers: [{server}]}}"))
}

#[test]
fn a_port_of_a_gateway_speaks_one_protocol() {
    let server = |protocol: &str, host: &str| {
        format!("{{port: {{number: 80, name: a, protocol: {protocol}}}, hosts: [{host}]}}")
    };
    let first = gateway(spread(), "g", &server("HTTP", "x.test"));
    gateway(first.clone(), "h", &server("TCP", "y.test")).has("HZ-GW-PORT-CLASH");
    gateway(first.clone(), "h", &server("HTTP2", "y.test")).lacks("HZ-GW-PORT-CLASH");
    let elsewhere = server("TCP", "y.test").replace("80", "81");
    gateway(first, "h", &elsewhere).lacks("HZ-GW-PORT-CLASH");
}

#[test]
fn a_host_with_tls_is_in_one_server_of_a_port() {
    let server = |name: &str, port: u32, hosts: &str| {
        format!(
            "{{port: {{number: {port}, name: {name}, protocol: HTTPS}}, hosts: [{hosts}], tls: {{mode: \
             SIMPLE, credentialName: c}}}}"
        )
    };
    let two = |port: u32, hosts: &str| {
        let servers = [server("a", 443, "./x.test"), server("b", port, hosts)].join(", ");
        gateway(spread(), "g", &servers)
    };
    two(443, "y.test, shop/x.test").has("HZ-GW-HOST-TWICE");
    two(444, "shop/x.test").lacks("HZ-GW-HOST-TWICE");
    two(443, "y.test").lacks("HZ-GW-HOST-TWICE");
}

#[test]
fn a_name_to_be_looked_up_has_endpoints() {
    let entry = |more: &str| {
        let spec = format!(
            "{{hosts: [a.test], resolution: DNS, ports: [{{number: 80, name: p, protocol: HTTP}}]{more}}}"
        );
        spread().object("ServiceEntry", "a", &spec)
    };
    let selected = |app: &str| entry(&format!(", workloadSelector: {{labels: {{app: {app}}}}}"));
    selected("nobody").has("HZ-ENTRY-NO-ENDPOINTS");
    let machine = "{address: 10.9.0.1, labels: {app: machine}}";
    selected("machine").object("WorkloadEntry", "m", machine).lacks("HZ-ENTRY-NO-ENDPOINTS");
    entry("").lacks("HZ-ENTRY-NO-ENDPOINTS");
}

#[test]
fn hosts_of_gateways_that_do_not_do_what_they_say() {
    let server = |hosts: &str, tls: &str| {
        let server =
            format!("{{port: {{number: 80, name: a, protocol: HTTP}}, hosts: [{hosts}]{tls}}}");
        gateway(spread(), "g", &server)
    };
    server("'*/*', './x.test'", "").has("HZ-GW-HOSTS-ALL");
    server("'*/*'", "").lacks("HZ-GW-HOSTS-ALL");
    let redirect = ", tls: {httpsRedirect: true}";
    server("shop/x.test", redirect).has("HZ-GW-REDIRECT-NAMESPACE");
    server("x.test", redirect).lacks("HZ-GW-REDIRECT-NAMESPACE");
    server("shop/x.test", "").lacks("HZ-GW-REDIRECT-NAMESPACE");
}

#[test]
fn lightstep_is_no_tracer_any_more() {
    let provider = "extensionProviders: [{name: ls, lightstep: {service: cart.shop.svc.cluster.local, \
                    port: 80, accessToken: x}}]\n";
    spread().file("mesh.yaml", provider).has("HZ-TRACER-LIGHTSTEP");
    spread().lacks("HZ-TRACER-LIGHTSTEP");
}

fn entry(mesh: Fixture, name: &str, host: &str, addresses: &str, protocol: &str) -> Fixture {
    let spec = format!(
        "{{hosts: [{host}], addresses: [{addresses}], resolution: STATIC, endpoints: [{{address: \
         10.9.0.1}}], ports: [{{number: 7000, name: p, protocol: {protocol}}}]}}"
    );
    mesh.object("ServiceEntry", name, &spec)
}

#[test]
fn connections_of_one_address_and_port_are_not_told_apart() {
    let two = |addresses: [&str; 2], protocols: [&str; 2]| {
        let one = entry(spread(), "a", "a.test", addresses[0], protocols[0]);
        entry(one, "b", "b.test", addresses[1], protocols[1])
    };
    two(["10.5.0.1", "10.5.0.1"], ["TCP", "TCP"]).has("HZ-LISTENER-CONFLICT");
    two(["", ""], ["MONGO", "MYSQL"]).has("HZ-LISTENER-CONFLICT");
    two(["10.5.0.1", "10.5.0.2"], ["TCP", "TCP"]).lacks("HZ-LISTENER-CONFLICT");
    two(["", ""], ["HTTP", "TCP"]).lacks("HZ-LISTENER-CONFLICT");
    two(["", ""], ["TLS", "TLS"]).lacks("HZ-LISTENER-CONFLICT");
    two(["", ""], ["HTTP", "MYSQL"]).has("HZ-LISTENER-CONFLICT");
    two(["", "10.5.0.1"], ["MONGO", "HTTP"]).has("HZ-LISTENER-CONFLICT");
    two(["10.5.0.2", ""], ["MONGO", "HTTP"]).lacks("HZ-LISTENER-CONFLICT");
    two(["10.5.0.1", "10.5.0.1"], ["HTTP", "HTTP"]).has("HZ-ADDRESS-SHARED");
    two(["", ""], ["HTTP", "HTTP"]).lacks("HZ-ADDRESS-SHARED");
}

#[test]
fn a_host_is_declared_once() {
    let one = entry(spread(), "a", "a.test", "", "HTTP");
    entry(one.clone(), "b", "a.test", "", "HTTP").has("HZ-HOST-TWICE");
    entry(one, "b", "b.test", "", "HTTP").lacks("HZ-HOST-TWICE");
    entry(spread(), "a", "a.test", "10.5.0.1, 10.5.0.2", "HTTP").lacks("HZ-HOST-TWICE");
}

#[test]
fn the_younger_entry_of_a_host_loses_and_the_older_one_is_named() {
    let aged = |mesh: Fixture, name: &str, age: u32, addresses: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: \
             shop, creationTimestamp: '2024-01-0{age}T00:00:00Z'}}\nspec: {{hosts: [b.test, a.test], addresses: \
             [{addresses}], resolution: DNS, location: MESH_EXTERNAL, ports: [{{number: 80, name: http, \
             protocol: HTTP}}]}}\n"
        );
        mesh.file(&format!("config/{name}.yaml"), &text)
    };
    let accused = |mesh: &Fixture| -> Vec<String> {
        let found = mesh.findings().into_iter();
        let found =
            found.filter(|text| text.contains("[HZ-HOST-TWICE]") && text.contains("`a.test`"));
        let older =
            |text: &str| text.split("is that of ").nth(1)?.split(',').next().map(str::to_owned);
        found
            .map(|text| {
                let object = text.split(": ").take(4).collect::<Vec<_>>().join(" ");
                format!("{object} / {}", older(&text).unwrap_or_default())
            })
            .collect()
    };
    let young_first =
        aged(aged(spread(), "young", 3, "10.5.0.1"), "zebra", 1, "10.5.0.2, 10.5.0.3");
    assert_eq!(
        accused(&young_first),
        ["config/young.yaml:1:1 warning[HZ-HOST-TWICE] ServiceEntry/shop/young spec.hosts[1] / \
          `ServiceEntry/shop/zebra` at config/zebra.yaml:1"]
    );
    // Nothing but their names tells them apart.
    let twins = aged(aged(spread(), "a", 1, ""), "b", 1, "");
    assert_eq!(
        accused(&twins),
        ["config/b.yaml:1:1 warning[HZ-HOST-TWICE] ServiceEntry/shop/b spec.hosts[1] / \
          `ServiceEntry/shop/a` at config/a.yaml:1"]
    );
}
