//! Networks and their gateways.
use super::{Fixture, namespace, networks};

#[test]
fn a_network_without_a_gateway_is_not_entered() {
    let bare = Fixture::default()
        .cluster("c1", "n1", &["10.0.0.1 r1/z1"])
        .cluster("c2", "n2", &["10.1.0.1 r2/z1"])
        .gateway("c1", "n1", &["34.1.1.1"]);
    bare.has("TOPO-GATEWAY-MISSING");
    bare.has("HZ-NO-GATEWAY");
    networks().lacks("TOPO-GATEWAY-MISSING");
    networks().lacks("HZ-NO-GATEWAY");
}

#[test]
fn what_stays_in_its_cluster_needs_no_gateway() {
    const LOCAL: &str = "serviceSettings: [{settings: {clusterLocal: true}, hosts: [cart.shop.svc.cluster.local]}]\n";
    let codes = ["TOPO-GATEWAY-MISSING", "HZ-NO-GATEWAY"];
    let bare = Fixture::default()
        .cluster("c1", "n1", &["10.0.0.1 r1/z1"])
        .cluster("c2", "n2", &["10.1.0.1 r2/z1"])
        .gateway("c1", "n1", &["34.1.1.1"]);
    let plain = networks().cluster("c2", "n2", &["10.1.0.1 r2/z1 plain", "10.1.0.2 r2/z1"]);
    let off = networks().policy("{tls: {mode: DISABLE}}");
    for code in codes {
        bare.has(code);
        bare.clone().file("mesh.yaml", LOCAL).lacks(code);
    }
    for mesh in [plain, off] {
        mesh.has("HZ-PLAINTEXT-CROSS-NETWORK");
        mesh.file("mesh.yaml", LOCAL).lacks("HZ-PLAINTEXT-CROSS-NETWORK");
    }
    networks().has("HZ-EW-L4-IMBALANCE");
    networks().file("mesh.yaml", LOCAL).lacks("HZ-EW-L4-IMBALANCE");
    // A cluster in two networks has clients on both sides.
    let divided = ["10.1.0.1 r2/z1", "10.1.0.2 r2/z1 topology.istio.io/network=n3"];
    let divided = bare.cluster("c2", "n2", &divided).file("mesh.yaml", LOCAL);
    codes.iter().for_each(|code| divided.has(code));
}

#[test]
fn gateways_forward_only_mutual_tls() {
    let plain = networks().cluster("c2", "n2", &["10.1.0.1 r2/z1 plain", "10.1.0.2 r2/z1"]);
    plain.has("HZ-PLAINTEXT-CROSS-NETWORK");
    networks().lacks("HZ-PLAINTEXT-CROSS-NETWORK");
    networks().policy("{tls: {mode: DISABLE}}").has("HZ-PLAINTEXT-CROSS-NETWORK");
    networks().policy("{tls: {mode: ISTIO_MUTUAL}}").lacks("HZ-PLAINTEXT-CROSS-NETWORK");
}

#[test]
fn a_namespace_is_injected_in_every_cluster() {
    let plain = networks().cluster("c2", "n2", &["10.1.0.1 r2/z1 plain"]);
    let injected = namespace("shop", "{istio-injection: enabled}");
    let bare = namespace("shop", "{}");
    let half = plain.file("clusters/c1/shop.yaml", &injected);
    half.clone().file("clusters/c2/shop.yaml", &bare).has("HZ-NOT-INJECTED-REMOTE");
    half.file("clusters/c2/shop.yaml", &injected).lacks("HZ-NOT-INJECTED-REMOTE");
}

#[test]
fn headless_services_do_not_cross_networks() {
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: \
                    {clusterIP: None, ports: [{name: tcp, port: 80}]}\n";
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: db, \
                 namespace: shop, labels: {kubernetes.io/service-name: db}}\naddressType: IPv4\nports: \
                 [{name: tcp, port: 80}]\nendpoints: [{addresses: [10.1.0.9]}]\n";
    let served = networks().file("clusters/c2/db.yaml", &format!("{headless}{slice}"));
    let told = |files: &Fixture| -> Vec<String> {
        let found = files.findings().into_iter();
        found.filter(|found| found.contains("HZ-HEADLESS-CROSS-NETWORK")).collect()
    };
    let here = told(&served.clone().file("clusters/c1/db.yaml", headless));
    assert!(matches!(&*here, [one] if one.contains("error[")), "{here:?}");
    // Nobody can tell whether applications of a cluster without the service ask for it.
    let elsewhere = told(&served);
    assert!(
        matches!(&*elsewhere, [one] if one.contains("info[") && one.contains("`c1`")),
        "{elsewhere:?}"
    );
    let hidden =
        headless.replace("shop}", "shop, annotations: {networking.istio.io/exportTo: db}}");
    let hidden = networks().file("clusters/c2/db.yaml", &format!("{hidden}{slice}"));
    assert_eq!(told(&hidden), [""; 0]);
    let flat = networks()
        .cluster("c1", "n2", &["10.0.0.1 r1/z1"])
        .file("clusters/c2/db.yaml", &format!("{headless}{slice}"));
    assert_eq!(told(&flat), [""; 0]);
}

#[test]
fn load_balancers_before_gateways_leave_tls_alone() {
    let annotated = |annotations: &str| {
        networks().file(
            "clusters/c2/gateway.yaml",
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: ew, namespace: istio-system, labels: \
                 {{topology.istio.io/network: n2}}, annotations: {annotations}}}\nspec: {{type: \
                 LoadBalancer, ports: [{{name: tls, port: 15443}}]}}\nstatus: {{loadBalancer: {{ingress: \
                 [{{ip: 34.2.2.2}}]}}}}\n"
            ),
        )
    };
    let key = "service.beta.kubernetes.io/aws-load-balancer-backend-protocol";
    annotated(&format!("{{{key}: http}}")).has("HZ-EW-L7-LB");
    annotated(&format!("{{{key}: tcp}}")).lacks("HZ-EW-L7-LB");
}

#[test]
fn gateways_have_addresses_that_everybody_reaches() {
    let named = networks().gateway("c2", "n2", &["lb.example.com"]);
    let found = named.findings();
    let place = "clusters/c2/gateway.yaml:1:1: warning[HZ-EW-HOSTNAME]: Service/istio-system/ew: \
                 status.loadBalancer.ingress[0].hostname: ";
    assert!(found.iter().any(|text| text.starts_with(place)), "{found:#?}");
    networks().gateway("c2", "n2", &["10.9.9.9"]).has("TOPO-GATEWAY-PRIVATE");
    networks().lacks("HZ-EW-HOSTNAME");
    networks().lacks("TOPO-GATEWAY-PRIVATE");
}

#[test]
fn gateways_balance_connections_and_not_requests() {
    networks().has("HZ-EW-L4-IMBALANCE");
    networks()
        .policy("{connectionPool: {http: {maxRequestsPerConnection: 1}}}")
        .lacks("HZ-EW-L4-IMBALANCE");
}

#[test]
fn every_network_with_a_gateway_may_be_uneven() {
    // The first network has a gateway, too, and a single endpoint.
    let three = networks()
        .cluster("c1", "n1", &["10.0.0.1 r1/z1"])
        .cluster("c2", "n2", &["10.1.0.1 r2/z1", "10.1.0.2 r2/z1"])
        .gateway("c1", "n1", &["34.1.1.1"])
        .gateway("c2", "n2", &["34.2.2.2"]);
    three.has("HZ-EW-L4-IMBALANCE");
}

#[test]
fn one_host_of_a_port_belongs_to_one_gateway() {
    let gateway = |host: &str| {
        format!(
            "{{selector: {{app: cart}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, \
             hosts: [{host}]}}]}}"
        )
    };
    let first = networks().object("Gateway", "one", &gateway("a.example.com"));
    first.clone().object("Gateway", "two", &gateway("a.example.com")).has("IST0145");
    let bound = gateway("a.example.com").replace("hosts", "bind: 10.0.0.1, hosts");
    first.clone().object("Gateway", "two", &bound).lacks("IST0145");
    first.clone().object("Gateway", "two", &gateway("b.example.com")).lacks("IST0145");
    // Pods of networks() have the first label only.
    let narrow = |labels: &str| gateway("a.example.com").replace("{app: cart}", labels);
    first.clone().object("Gateway", "two", &narrow("{app: cart, tier: edge}")).lacks("IST0145");
    let labelled = first.file(
        "clusters/c1/pod.yaml",
        "{apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: shop, labels: {app: cart, tier: edge}}, status: {podIP: 10.0.0.7}}",
    );
    labelled.clone().object("Gateway", "two", &narrow("{app: cart, tier: edge}")).has("IST0145");
    labelled.object("Gateway", "two", &narrow("{tier: edge}")).lacks("IST0145");
}

#[test]
fn addresses_that_other_networks_cannot_mean_are_private() {
    let at = |address: &str| networks().gateway("c2", "n2", &[address]);
    for private in ["100.64.0.1", "100.127.255.254", "0.0.0.0", "10.0.0.9", "169.254.1.1"] {
        at(private).has("TOPO-GATEWAY-PRIVATE");
    }
    for public in ["100.63.255.255", "100.128.0.0", "34.2.2.2"] {
        at(public).lacks("TOPO-GATEWAY-PRIVATE");
    }
    let listed = |address: &str| {
        let text = format!(
            "networks: {{n2: {{endpoints: [{{fromRegistry: c2}}], gateways: [{{address: '{address}', \
             port: 15443}}]}}}}\n"
        );
        networks().file("networks.yaml", &text)
    };
    for private in ["::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"] {
        listed(private).has("TOPO-GATEWAY-PRIVATE");
    }
    listed("2001:4860::1").lacks("TOPO-GATEWAY-PRIVATE");
}
