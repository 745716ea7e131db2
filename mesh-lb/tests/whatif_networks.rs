//! What fails behind gateways, and gateways that fail.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::fmt::Write as _;
use std::sync::Arc;

use mesh_lb::whatif::{
    Cell, Failure, Impact, Loss, Outcome, Scenario, Survey, services, services_and_subsets,
};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Subset;

/// A pod at an address, on a node of its own in a zone of region `r1`, or of none.
fn pod(text: &mut String, (name, address, zone): (&str, &str, &str), network: &str) {
    let _ = write!(
        text,
        "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: \
         {{topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: {zone}}}}}}}\n---\n\
         {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: \
         {{app: {name}, topology.istio.io/network: {network}, security.istio.io/tlsMode: istio}}}}, spec: \
         {{nodeName: {name}, containers: [{{name: app}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: \
         {address}, conditions: [{{type: Ready, status: \"True\"}}]}}}}\n"
    );
}

/// A service with a slice of pods, each with its conditions.
fn service(text: &mut String, name: &str, more: &str, pods: &[(&str, &str, &str)]) {
    let _ = write!(
        text,
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop}}, {more}}}\n"
    );
    let endpoints: Vec<String> = pods
        .iter()
        .map(|(pod, address, conditions)| {
            format!(
                "{{addresses: [{address}], conditions: {{{conditions}}}, targetRef: {{kind: Pod, name: \
                 {pod}, namespace: shop}}}}"
            )
        })
        .collect();
    let _ = write!(
        text,
        "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}, \
         namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}, addressType: IPv4, ports: \
         [{{name: http, port: 8080}}], endpoints: [{}]}}\n",
        endpoints.join(", ")
    );
}

const READY: &str = "ready: true";

/// What meshes differ in.
struct Spec<'t> {
    rules: &'t str,
    /// Conditions of the second endpoint in `far`.
    conditions: &'t str,
    /// The addresses of the gateway's load balancer.
    addresses: &'t str,
    /// Ports of the gateway.
    ports: &'t str,
    /// Labels of the gateway's service; `MeshNetworks`.
    labels: &'t str,
    networks: &'t str,
    /// The network of the gateway's pods.
    gate: &'t str,
    /// More services in `far` by name, with their pods.
    services: &'t [More<'t>],
    /// The same in `near`: headless if they are called so; `machine` selects what has its name.
    near: &'t [More<'t>],
}

type More<'t> = (&'t str, &'t [(&'t str, &'t str, &'t str)]);

impl Default for Spec<'_> {
    fn default() -> Self {
        Self {
            rules: "",
            conditions: READY,
            addresses: "{ip: 34.0.0.1}",
            ports: "{name: http, port: 15443}",
            labels: "topology.istio.io/network: n2",
            networks: "{}",
            gate: "n2",
            services: &[],
            near: &[],
        }
    }
}

/// The gateway by its address alone.
const LISTED: Spec<'_> = Spec {
    rules: "",
    conditions: READY,
    addresses: "{ip: 34.0.0.1}",
    ports: "{name: http, port: 15443}",
    labels: "",
    networks: "networks: {n2: {gateways: [{address: 34.0.0.1, port: 15443}]}}",
    gate: "n2",
    services: &[],
    near: &[],
};

fn mesh(rules: &str, conditions: &str) -> Arc<Mesh> {
    Spec { rules, conditions, ..Spec::default() }.mesh()
}

impl Spec<'_> {
    /// Cluster `near` of network `n1` with the client and one endpoint of `cart`; `far` of `n2` with two, in
    /// the zones `x` and `z`, behind the gateway 34.0.0.1 whose pod is in zone `g`; another one in zone `h`
    /// is never ready. `lone` is in `far` only.
    fn mesh(&self) -> Arc<Mesh> {
        self.mesh_of(Compat::default())
    }

    fn mesh_of(&self, compat: Compat) -> Arc<Mesh> {
        let ports = "spec: {clusterIP: 172.20.0.1, ports: [{name: http, port: 80}]}";
        let (mut near, mut far) = (String::new(), String::new());
        pod(&mut near, ("client", "10.1.0.1", "a"), "n1");
        pod(&mut near, ("cart-a", "10.1.0.2", "a"), "n1");
        service(&mut near, "cart", ports, &[("cart-a", "10.1.0.2", READY)]);
        pod(&mut near, ("cart-b", "10.1.0.3", "b"), "n2");
        pod(&mut near, ("cart-c", "10.1.0.4", "a"), "n1");
        pod(&mut far, ("cart-x", "10.2.0.1", "x"), "n2");
        pod(&mut far, ("cart-y", "10.2.0.2", "z"), "n2");
        pod(&mut far, ("cart-w", "10.2.0.3", "w"), "n3");
        pod(&mut far, ("gate", "10.2.0.9", "g"), self.gate);
        pod(&mut far, ("gate-b", "10.2.0.10", "h"), self.gate);
        let both = [("cart-x", "10.2.0.1", READY), ("cart-y", "10.2.0.2", self.conditions)];
        service(&mut far, "cart", ports, &both);
        service(&mut far, "lone", ports, &both);
        for (name, pods) in self.services {
            service(&mut far, name, ports, pods);
        }
        let Self { addresses, ports: gateway_ports, labels, networks, rules, .. } = self;
        let _ = write!(
            far,
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: gate, namespace: shop, labels: \
             {{{labels}}}}}, spec: {{type: LoadBalancer, clusterIP: 172.20.0.9, ports: \
             [{gateway_ports}]}}, status: {{loadBalancer: {{ingress: [{addresses}]}}}}}}\n---\n\
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: gate, namespace: shop, \
             labels: {{kubernetes.io/service-name: gate}}}}, addressType: IPv4, ports: [{{name: http, port: \
             15443}}], endpoints: [{{addresses: [10.2.0.9], conditions: {{ready: true}}, targetRef: {{kind: \
             Pod, name: gate, namespace: shop}}}}, {{addresses: [10.2.0.10], conditions: {{ready: false}}, \
             targetRef: {{kind: Pod, name: gate-b, namespace: shop}}}}]}}\n"
        );
        let headless = "spec: {clusterIP: None, ports: [{name: http, port: 80, appProtocol: tcp}]}";
        service(&mut near, "own", headless, &[("cart-a", "10.1.0.2", READY)]);
        for (name, pods) in self.near {
            let selecting = "spec: {clusterIP: 172.20.0.2, selector: {app: machine}, ports: [{name: http, port: 80}]}";
            let spec = match *name {
                "headless" => headless,
                "machine" => selecting,
                _ => ports,
            };
            service(&mut near, name, spec, pods);
        }
        let outside = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: bank, \
                       namespace: shop}, spec: {hosts: [bank.example.com], addresses: [10.250.0.1], ports: \
                       [{name: http, number: 80, protocol: HTTP}], resolution: STATIC, endpoints: [{address: \
                       203.0.113.7}]}}\n";
        let describe = "role: remote\ncontrolPlane: near\n";
        let source = |origin, name: &str, text: &str| Source {
            origin,
            name: name.into(),
            text: text.as_bytes().to_vec(),
        };
        let mut registry = Registry::new(compat);
        let found = registry.load([
            source(Origin::Cluster("near".into()), "near.yaml", &near),
            source(Origin::Cluster("far".into()), "far.yaml", &far),
            source(Origin::Description("near".into()), "near/cluster.yaml", "role: primary\n"),
            source(Origin::Description("far".into()), "far/cluster.yaml", describe),
            source(Origin::Config, "config.yaml", &format!("{outside}---\n{rules}")),
            source(Origin::MeshNetworks, "networks.yaml", networks),
        ]);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
        registry.mesh()
    }
}

const DETECTION: &str = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: all, namespace: shop}, spec: \
     {host: '*.local', trafficPolicy: {outlierDetection: {}}}}\n";

/// What moves, by host: ` ZONE SHARE ZONE`, `-` for nowhere, and what is cut off.
fn felt(mesh: &Mesh, failure: &str, loss: Loss) -> Vec<String> {
    let failures: Vec<Failure> = failure.split(' ').map(|one| one.parse().unwrap()).collect();
    let scenario = Scenario { failures, loss };
    let proxies = [mesh.proxy("near/shop/client").unwrap()];
    let survey = Survey::new(mesh, &proxies, services);
    let impacts = survey.impact(&scenario, 9.0);
    let mut told = Vec::new();
    for impact in impacts.iter().filter(|impact| impact.is_felt()) {
        let zone = |place: &Option<mesh_lb::whatif::Place>| {
            place
                .as_ref()
                .map_or_else(|| "-".to_owned(), |(locality, _)| locality.zone().to_owned())
        };
        let moved = impact.shift.moved.iter();
        let moved: Vec<String> = moved
            .map(|one| format!("{} {:.0} {}", zone(&one.from), one.share, zone(&one.to)))
            .collect();
        let host =
            impact.destination.service.hostname.as_str().split('.').next().unwrap().to_owned();
        let cut = if impact.is_cut_off() { " cut off" } else { "" };
        told.push(format!("{host}: {}{cut}", moved.join(", ")));
    }
    told
}

#[track_caller]
fn check(mesh: &Mesh, failure: &str, expected: &[&str]) {
    assert_eq!(felt(mesh, failure, Loss::Unhealthy), expected, "{failure}");
}

const NOTHING: &[&str] = &[];

#[test]
fn an_endpoint_behind_a_gateway_that_another_stands_behind_is_not_missed() {
    for rules in ["", DETECTION] {
        let mesh = mesh(rules, READY);
        check(&mesh, "endpoint=10.2.0.1", NOTHING);
        check(&mesh, "zone=r1/z", NOTHING);
        check(&mesh, "service=lone.shop,50%", NOTHING);
    }
    let far = "zone=r1/x zone=r1/z";
    check(&mesh("", READY), far, &["cart: x 50 -", "lone: x 100 - cut off"]);
    // With it the nearest zone has all of `cart` before.
    check(&mesh(DETECTION, READY), far, &["lone: x 100 - cut off"]);
    // Who is not ready takes over from nobody.
    check(&mesh("", "ready: false"), "zone=r1/x", &["cart: x 50 -", "lone: x 100 - cut off"]);
}

#[test]
fn clients_without_outlier_detection_lose_what_they_send_to_a_gateway_that_is_gone() {
    // The gateway's own service is behind it, too.
    let lost = ["cart: x 50 -", "gate: g 100 - cut off", "lone: x 100 - cut off"];
    // One of its pods is left that was never ready.
    let pods = "zone=r1/g";
    for spec in [Spec::default(), LISTED] {
        let mesh = spec.mesh();
        for failure in
            ["gateway=34.0.0.1", "network=n2", pods, "endpoint=10.2.0.9", "service=gate.shop"]
        {
            check(&mesh, failure, &lost);
        }
        check(&mesh, "cluster=far", &lost);
        check(&mesh, "endpoint=10.2.0.10", NOTHING);
    }
    // Of which network the gateway's own pods are may be unknown; these are then dialled directly.
    let mesh = Spec { gate: "''", ..LISTED }.mesh();
    for failure in [pods, "endpoint=10.2.0.9", "service=gate.shop"] {
        check(&mesh, failure, &lost);
    }
}

#[test]
fn one_port_of_a_gateway_fails_by_itself() {
    let ports = "{name: http, port: 15443}, {name: hbone, port: 15008}";
    let mesh = Spec { ports, ..Spec::default() }.mesh();
    check(&mesh, "gateway=34.0.0.1:15008", NOTHING);
    assert_eq!(felt(&mesh, "gateway=34.0.0.1:15008", Loss::Removed), NOTHING);
    let lost = ["cart: x 50 -", "gate: g 100 - cut off", "lone: x 100 - cut off"];
    check(&mesh, "gateway=34.0.0.1:15443", &lost);
    check(&mesh, "gateway=34.0.0.1", &lost);
}

#[test]
fn one_address_for_two_networks_is_one_gateway() {
    let networks = "networks: {n2: {gateways: [{address: 34.0.0.1, port: 15443}]}, n3: {gateways: \
                    [{address: 34.0.0.1, port: 15443}]}}";
    let pods: &[_] = &[("cart-x", "10.2.0.1", READY), ("cart-w", "10.2.0.3", READY)];
    let mesh = Spec { networks, services: &[("duo", pods)], ..LISTED }.mesh();
    // One host of Envoy's stands for both, in the zone that comes first.
    for failure in ["network=n2", "network=n3"] {
        let told = felt(&mesh, failure, Loss::Unhealthy);
        assert!(told.contains(&"cart: x 50 -".to_owned()), "{failure} {told:?}");
        assert!(told.contains(&"duo: w 100 - cut off".to_owned()), "{failure} {told:?}");
    }
}

#[test]
fn what_did_not_answer_before_is_not_lost() {
    let services: &[(_, &[_])] = &[("idle", &[("cart-y", "10.2.0.2", "ready: false")])];
    let mesh = Spec { services, conditions: "ready: false", ..Spec::default() }.mesh();
    for loss in [Loss::Unhealthy, Loss::Removed] {
        assert_eq!(felt(&mesh, "endpoint=10.2.0.2", loss), NOTHING, "{loss:?}");
    }
    // Nobody answers for `idle` before.
    check(
        &mesh,
        "gateway=34.0.0.1",
        &["cart: x 50 -", "gate: g 100 - cut off", "lone: x 100 - cut off"],
    );
}

#[test]
fn a_gateway_spreads_over_what_is_fit_behind_it_in_all_localities() {
    let mesh = mesh("", READY);
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let lone = view.destination("lone.shop", 80, Subset::None).unwrap();
    let now = Outcome::now(&view, &lone).imbalance(&lone, 1, 1);
    assert_eq!(now.unwrap().scenario.backends, 2);
    let failures = vec!["endpoint=10.2.0.1".parse().unwrap()];
    let after = Scenario { failures, ..Scenario::default() }.outcome(&view, &lone);
    assert_eq!(after.imbalance(&lone, 1, 1), None);
}

#[test]
fn networks_without_a_gateway_are_out_of_reach_before_and_after() {
    let mesh = Spec { labels: "", ..Spec::default() }.mesh();
    // One of three endpoints is in reach, then one of two, then none.
    check(&mesh, "endpoint=10.2.0.1", &["cart: - 17 a"]);
    check(&mesh, "endpoint=10.1.0.2", &["cart: a 33 - cut off", "own:  cut off"]);
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let cart = view.destination("cart.shop", 80, Subset::None).unwrap();
    let now = Outcome::now(&view, &cart);
    let shares = |outcome: &Outcome| -> Vec<String> {
        outcome.shares.endpoints().iter().map(|share| format!("{share:.0}")).collect()
    };
    assert_eq!(shares(&now), ["33", "0", "0"]);
    let explanation = now.assignment.explain_to(&view, &cart);
    let codes = explanation.used.iter().map(|used| used.reasons.last().unwrap().code);
    let code = "other_network_without_gateway";
    assert_eq!(codes.filter(|found| *found == code).count(), 2);
}

/// Detection under which all zones share; what else it says.
fn detection(more: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: all, namespace: \
         shop}}, spec: {{host: cart.shop.svc.cluster.local, trafficPolicy: {{loadBalancer: \
         {{localityLbSetting: {{enabled: false}}}}, outlierDetection: {{{more}}}}}}}}}\n"
    )
}

#[test]
fn clients_lose_what_outlier_detection_may_not_eject() {
    const LOST: &str = "cart: x 50 -";
    const MOVED: &str = "cart: x 50 a";
    for (more, expected) in [
        // One host of two is more than 10 percent.
        ("", LOST),
        ("maxEjectionPercent: 49", LOST),
        ("maxEjectionPercent: 50", MOVED),
        ("maxEjectionPercent: 50, consecutive5xxErrors: 0", LOST),
        ("maxEjectionPercent: 50, consecutive5xxErrors: 0, consecutiveGatewayErrors: 0", LOST),
        ("maxEjectionPercent: 50, consecutive5xxErrors: 0, consecutiveGatewayErrors: 1", MOVED),
        (
            "maxEjectionPercent: 50, consecutive5xxErrors: 0, splitExternalLocalOriginErrors: true",
            MOVED,
        ),
    ] {
        let mesh = mesh(&detection(more), READY);
        for failure in ["network=n2", "gateway=34.0.0.1", "zone=r1/x zone=r1/z"] {
            let told = felt(&mesh, failure, Loss::Unhealthy);
            assert_eq!(told.first().unwrap(), expected, "{more} {failure}");
        }
    }
}

#[test]
fn a_gateway_by_name_is_one_whose_addresses_nobody_else_knows() {
    let mesh = Spec { addresses: "{hostname: gw.example.com}", ..Spec::default() }.mesh();
    check(&mesh, "endpoint=10.2.0.1", NOTHING);
    let lost = ["cart: x 50 -", "gate: g 100 - cut off", "lone: x 100 - cut off"];
    for failure in ["gateway=gw.example.com", "gateway=gw.example.com:15443", "cluster=far"] {
        check(&mesh, failure, &lost);
    }
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let lone = view.destination("lone.shop", 80, Subset::None).unwrap();
    let now = Outcome::now(&view, &lone);
    let explanation = now.assignment.explain_to(&view, &lone);
    let codes: Vec<&str> = explanation.used[0].reasons.iter().map(|said| said.code).collect();
    assert!(codes.contains(&"gateway_resolved_by_control_plane"), "{codes:?}");
    // Where names are not resolved nobody is sent any.
    let mut compat = Compat::default();
    compat.flags.resolve_hostname_gateways = false;
    let spec = Spec { addresses: "{hostname: gw.example.com}", ..Spec::default() };
    check(&spec.mesh_of(compat), "gateway=gw.example.com", NOTHING);
}

#[test]
fn in_panic_envoy_sends_to_what_it_ejected() {
    for (min_health, expected) in [(50, "cart: x 50 a"), (51, "cart: x 50 -")] {
        let rule = detection(&format!("maxEjectionPercent: 100, minHealthPercent: {min_health}"));
        let mesh = mesh(&rule, READY);
        let told = felt(&mesh, "gateway=34.0.0.1", Loss::Unhealthy);
        assert_eq!(told.first().unwrap(), expected, "{min_health}");
    }
    let rule = detection("maxEjectionPercent: 100, minHealthPercent: 1").replace("cart", "lone");
    check(&mesh(&rule, READY), "service=lone.shop", &["lone: x 100 - cut off"]);
    // The only host is ejected before, too.
    let mesh = Spec { labels: "", rules: &rule, ..Spec::default() }.mesh();
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let lone = view.destination("lone.shop", 80, Subset::None).unwrap();
    assert!(Outcome::now(&view, &lone).is_unreachable());
}

#[test]
fn of_several_hosts_that_are_gone_the_first_are_ejected() {
    let addresses = "{ip: 34.0.0.1}, {ip: 34.0.0.2}, {ip: 34.0.0.3}";
    for (percent, expected) in [
        (24, "cart: x 50 -"),
        // Of weight 3 here and 1 an address, one of which is ejected.
        (25, "cart: x 40 -, x 10 a"),
        (74, "cart: x 25 -, x 25 a"),
        (75, "cart: x 50 a"),
    ] {
        let rule = detection(&format!("maxEjectionPercent: {percent}"));
        let mesh = Spec { rules: &rule, addresses, ..Spec::default() }.mesh();
        let told = felt(&mesh, "network=n2", Loss::Unhealthy);
        assert_eq!(told.first().unwrap(), expected, "{percent}");
    }
}

#[test]
fn endpoints_of_a_network_without_gateways_are_out_of_reach() {
    let mesh = mesh("", READY);
    let removed = felt(&mesh, "gateway=34.0.0.1", Loss::Removed);
    // One endpoint of three is left, where a gateway stood for two as one host.
    let lost = ["cart: a 17 -, x 50 -", "gate: g 100 - cut off", "lone: x 100 - cut off"];
    assert_eq!(removed, lost);
}

#[test]
fn what_service_entries_list_is_outside_of_every_cluster() {
    let mesh = mesh("", READY);
    let bank = |told: &[String]| told.iter().any(|one| one.starts_with("bank"));
    assert!(!bank(&felt(&mesh, "cluster=near", Loss::Unhealthy)));
    assert!(bank(&felt(&mesh, "service=bank.example.com", Loss::Unhealthy)));
}

#[test]
fn machines_are_outside_of_every_cluster_whoever_selects_them() {
    let rules = "{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: vm, namespace: shop, \
                 labels: {app: machine}}, spec: {address: 10.1.9.1, network: n1, labels: {app: machine}}}\n";
    let mesh = Spec { rules, near: &[("machine", &[])], ..Spec::default() }.mesh();
    let machine = |told: &[String]| told.iter().any(|one| one.starts_with("machine"));
    assert!(machine(&felt(&mesh, "endpoint=10.1.9.1", Loss::Unhealthy)));
    for failure in ["cluster=near", "cluster=far"] {
        assert!(!machine(&felt(&mesh, failure, Loss::Unhealthy)), "{failure}");
    }
}

#[test]
fn pods_that_a_service_entry_selects_go_when_they_fail() {
    // Three of them are in zone `a`.
    let rules = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: store, namespace: shop}, \
                 spec: {hosts: [vm.example.com], addresses: [10.250.0.2], ports: [{name: http, number: 80, \
                 protocol: HTTP}], resolution: STATIC, workloadSelector: {labels: {security.istio.io/tlsMode: \
                 istio}}}}\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: vm, \
                 namespace: shop}, spec: {host: vm.example.com, trafficPolicy: {outlierDetection: {}}}}\n";
    let mesh = mesh(rules, READY);
    let pods = "endpoint=10.1.0.1 endpoint=10.1.0.2";
    for loss in [Loss::Unhealthy, Loss::Removed] {
        let told = felt(&mesh, pods, loss);
        let told: Vec<&String> = told.iter().filter(|one| one.starts_with("vm")).collect();
        // One of one is left, not one of three.
        assert_eq!(told, ["vm: "], "{loss:?}");
    }
}

#[test]
fn of_what_has_no_health_the_control_plane_is_not_told() {
    let entry = "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: store, namespace: \
                 shop}, spec: {hosts: [store.example.com], addresses: [10.250.0.2], ports: [{name: http, \
                 number: 80, protocol: HTTP}], resolution: RESOLUTION, endpoints: [{address: 203.0.113.8, \
                 locality: r9/p}, {address: 203.0.113.9, locality: r9/q}]}}\n";
    let detection = |percent: &str| {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: s, \
             namespace: shop}}, spec: {{host: store.example.com, trafficPolicy: {{outlierDetection: \
             {{maxEjectionPercent: {percent}}}}}}}}}\n"
        )
    };
    for resolution in ["STATIC", "DNS"] {
        let entry = entry.replace("RESOLUTION", resolution);
        for (rule, told) in [
            (String::new(), "store: p 50 -"),
            (detection("49"), "store: p 50 -"),
            (detection("50"), "store: p 50 q"),
        ] {
            let rules = format!("{entry}{rule}");
            let mesh = Spec { rules: &rules, ..Spec::default() }.mesh();
            check(&mesh, "endpoint=203.0.113.8", &[told]);
            let removed = felt(&mesh, "endpoint=203.0.113.8", Loss::Removed);
            assert_eq!(removed, ["store: p 50 q"], "{resolution} {rule}");
            let both = "endpoint=203.0.113.8 endpoint=203.0.113.9";
            let told = felt(&mesh, both, Loss::Unhealthy);
            assert_eq!(told, ["store: p 50 -, q 50 - cut off"], "{resolution} {rule}");
        }
    }
}

#[test]
fn what_is_ending_does_not_come_back() {
    for ending in
        ["ready: false, serving: true, terminating: true", "ready: false, terminating: true"]
    {
        let mesh = mesh("", ending);
        let told = felt(&mesh, "endpoint=10.2.0.2", Loss::Unhealthy);
        assert_eq!(told, NOTHING, "{ending}");
    }
}

#[test]
fn clients_that_choose_by_themselves_find_nobody_when_all_are_gone() {
    let mesh = mesh("", READY);
    check(&mesh, "endpoint=10.1.0.2", &["cart: a 50 x", "own:  cut off"]);
    let removed = felt(&mesh, "endpoint=10.1.0.2", Loss::Removed);
    assert_eq!(removed, ["cart: a 50 x", "own:  cut off"]);
}

#[test]
fn clients_that_choose_by_themselves_ask_for_endpoints_of_whatever_subset() {
    let rules = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: h, namespace: \
                 shop}, spec: {host: headless, subsets: [{name: a, labels: {app: cart-a}}]}}\n";
    let pods: &[_] = &[("cart-a", "10.1.0.2", READY), ("cart-c", "10.1.0.4", READY)];
    let mesh = Spec { rules, near: &[("headless", pods)], ..Spec::default() }.mesh();
    let proxies = [mesh.proxy("near/shop/client").unwrap()];
    let survey = Survey::new(&mesh, &proxies, services_and_subsets);
    let is_cut_off = |failures: &[&str], loss| {
        let failures = failures.iter().map(|failure| failure.parse().unwrap()).collect();
        let impacts = survey.impact(&Scenario { failures, loss }, 9.0);
        let of_subset = impacts.iter().find(|impact| &*impact.destination.subset == "a");
        of_subset.unwrap().is_cut_off()
    };
    for loss in [Loss::Unhealthy, Loss::Removed] {
        assert!(!is_cut_off(&["endpoint=10.1.0.2"], loss), "{loss:?}");
        assert!(is_cut_off(&["endpoint=10.1.0.2", "endpoint=10.1.0.4"], loss), "{loss:?}");
    }
}

/// The places of a service's traffic, `ZONE CLUSTER SHARE`, before and after.
fn cells(mesh: &Mesh, host: &str, failure: &str, loss: Loss) -> [Vec<String>; 2] {
    let scenario = Scenario { failures: vec![failure.parse().unwrap()], loss };
    let proxy = mesh.proxy("near/shop/client").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let destination = view.destination(host, 80, Subset::None).unwrap();
    [Scenario::default(), scenario].map(|scenario| {
        let outcome = scenario.outcome(&view, &destination);
        let cells = outcome.cells().into_iter().filter(|cell| cell.share > 0.0);
        let text = |cell: Cell| {
            format!("{} {} {:.0}", cell.locality.zone(), cell.cluster.as_str(), cell.share)
        };
        cells.map(text).collect()
    })
}

#[test]
fn a_gateway_that_clusters_stand_behind_is_of_none_whatever_the_localities() {
    let (near, far): (&[_], &[_]) =
        (&[("cart-b", "10.1.0.3", READY)], &[("cart-x", "10.2.0.1", READY)]);
    let mesh = Spec { near: &[("wide", near)], services: &[("wide", far)], ..LISTED }.mesh();
    let told = cells(&mesh, "wide.shop", "endpoint=10.2.0.1", Loss::Unhealthy);
    assert_eq!(told, [["b  100"], ["b  100"]]);
    let told = cells(&mesh, "wide.shop", "endpoint=10.2.0.1", Loss::Removed);
    assert_eq!(told, [["b  100"], ["b near 100"]]);
}

#[test]
fn what_moves_within_a_place_is_told_where_a_gateway_changes_its_place() {
    // The gateway is in zone `b` with what is behind it there, and in `x` without.
    let near: &[_] = &[
        ("cart-a", "10.1.0.2", READY),
        ("cart-c", "10.1.0.4", READY),
        ("cart-b", "10.1.0.3", READY),
    ];
    let far: &[_] = &[("cart-x", "10.2.0.1", READY)];
    let mesh = Spec { near: &[("wide", near)], services: &[("wide", far)], ..LISTED }.mesh();
    let failures = ["endpoint=10.1.0.3", "endpoint=10.1.0.2"].map(|one| one.parse().unwrap());
    let scenario = Scenario { failures: failures.to_vec(), loss: Loss::Removed };
    let proxies = [mesh.proxy("near/shop/client").unwrap()];
    let survey = Survey::new(&mesh, &proxies, services);
    let impacts = survey.impact(&scenario, 9.0);
    let host = |impact: &&Impact<'_, '_>| {
        impact.destination.service.hostname.as_str() == "wide.shop.svc.cluster.local"
    };
    let within = impacts.iter().find(host).unwrap().moved_within();
    assert!((within - 100.0 / 6.0).abs() < 1e-9, "{within}");
}
