//! Assignments are encoded to the bytes that prost makes of their messages.
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use mesh_lb::assign::{Assignment, ClusterForm, Input};
use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, HealthStatus, NetworkGateway, Workload};
use mesh_model::name::{ClusterId, Locality, NetworkId};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::{Proxy, ProxyView};
use mesh_testkit::by_hand;
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::cluster;
use mesh_xds_gen::endpoint::{self, Encoder, from_assignment};
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;

/// An encoder that has encoded much, one that has encoded nothing, and prost say the same.
fn check(
    encoder: &mut Encoder,
    name: &str,
    assignment: &Assignment,
) -> Result<usize, TestCaseError> {
    let expected = from_assignment(name, assignment).encode_to_vec();
    prop_assert_eq!(&*Encoder::default().encode(name, assignment), &*expected, "{}", name);
    // The second time from what is known by then.
    for _ in 0..2 {
        prop_assert_eq!(&*encoder.encode(name, assignment), &*expected, "{}", name);
    }
    Ok(expected.len())
}

/// All clusters of a view at once, of which some are made of others, are as prost says them one by one.
fn check_view(view: &ProxyView<'_>, encoder: &mut Encoder, names: &[String]) {
    let mut met = 0;
    endpoint::encoded(view, names.iter().map(String::as_str), encoder, |place, name, bytes| {
        met += 1;
        assert_eq!(names.get(place).map(String::as_str), Some(name));
        let expected = endpoint::cluster_load_assignment(view, name);
        let bytes = ClusterLoadAssignment::decode(&*bytes).map_err(|error| error.to_string());
        assert_eq!(bytes.as_ref(), Ok(&expected), "{name}");
    });
    assert_eq!(met, names.len());
    endpoint::assignments(view, names.iter().map(String::as_str), |_, name, assignment| {
        assert_eq!(assignment, endpoint::assignment(view, name).unwrap_or_default(), "{name}");
    });
}

/// The same of all that the proxies of a mesh are sent; how many bytes that is.
fn check_mesh(mesh: &Mesh) -> Result<usize, TestCaseError> {
    let mut encoder = Encoder::default();
    let mut len = 0;
    for reference in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&reference) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        let clusters = cluster::clusters(&view);
        let names: Vec<String> = clusters.iter().map(|cluster| cluster.name.clone()).collect();
        check_view(&view, &mut encoder, &names);
        for cluster in clusters {
            let assignment = endpoint::assignment(&view, &cluster.name).unwrap_or_default();
            len += check(&mut encoder, &cluster.name, &assignment)?;
        }
    }
    Ok(len)
}

#[test]
fn a_synthetic_mesh_of_three_networks_is_encoded_as_prost_does() {
    let measures = Synthetic {
        services: 4,
        endpoints: 120,
        networks: 3,
        namespaces: 1,
        ..Synthetic::default()
    };
    let mut registry = Registry::default();
    registry.load(measures.sources());
    let mesh = registry.mesh();
    let mut encoder = Encoder::default();
    let mut len = 0;
    for id in ["c0", "c1", "c2"] {
        let proxy = mesh.proxy(&format!("{id}/ns-0/load-0")).unwrap();
        let view = mesh.view(&proxy).unwrap();
        for cluster in cluster::clusters(&view) {
            let assignment = endpoint::assignment(&view, &cluster.name).unwrap_or_default();
            len += check(&mut encoder, &cluster.name, &assignment).unwrap();
        }
    }
    assert!(len > 50_000, "{len}");
}

#[test]
fn many_assignments_are_those_that_are_asked_for_one_by_one() {
    let mut registry = Registry::default();
    registry.load(Synthetic { services: 6, ..Synthetic::default() }.sources());
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c0/ns-0/load-0").unwrap();
    let view = mesh.view(&proxy).unwrap();
    let mut names: Vec<String> = cluster::clusters(&view).into_iter().map(|of| of.name).collect();
    let sni = names.iter().filter(|name| name.starts_with("outbound|"));
    names.extend(sni.map(|name| name.replace('|', "_.")).collect::<Vec<_>>());
    names.extend(["", "outbound|80||nobody.example", "outbound|81||a|b"].map(str::to_owned));
    let mut met = vec![false; names.len()];
    endpoint::assignments(&view, names.iter().map(String::as_str), |place, name, assignment| {
        assert_eq!(name, names[place]);
        assert_eq!(assignment, endpoint::assignment(&view, name).unwrap_or_default(), "{name}");
        met[place] = true;
    });
    assert!(met.iter().all(|met| *met) && met.len() > 20, "{met:?}");
}

/// How slices say which endpoints two ports have.
#[derive(Clone, Copy, Debug)]
enum Slices {
    /// One slice for both.
    Shared,
    /// One for each, in which two pods of one place stand in another order.
    Apart,
    /// One for each; at the second one the first pod is not ready.
    Unready,
    /// One for each; at the second one another pod of the same place has the last one's address.
    Other,
}

/// A service of which ports `http` and `grpc` have the same four pods, and two others some of them. One of
/// the pods is in another network.
fn ports_of_one(grpc: u16, slices: Slices, config: &str) -> Arc<Mesh> {
    let pods = [("", "r2"), ("", "r1"), ("other", "r1"), ("", "r1")];
    let mut text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: probe, port: 79}}, {{name: http, port: 80}}, {{name: grpc, port: 81, targetPort: {grpc}}}, {{name: admin, port: 82}}]}}}}\n"
    );
    let others = [("3-too", pods[3])];
    let pods = ["0", "1", "2", "3"].into_iter().zip(pods).chain(others);
    for (name, (network, region)) in pods {
        let at = name.trim_end_matches("-too");
        text += &format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: cart-{name}, namespace: shop, labels: {{app: cart, security.istio.io/tlsMode: istio, istio-locality: {region}.z1, topology.istio.io/network: '{network}'}}}}, spec: {{containers: [{{name: app, image: app}}, {{name: istio-proxy, image: proxy}}]}}, status: {{podIP: 10.0.0.{at}, phase: Running}}}}\n"
        );
    }
    let mut slice = |name: &str, pods_of: &[(&str, bool)], ports: &str| {
        let of = |(name, ready): &(&str, bool)| {
            let at = name.trim_end_matches("-too");
            format!(
                "{{addresses: [10.0.0.{at}], conditions: {{ready: {ready}, serving: {ready}, terminating: false}}, targetRef: {{kind: Pod, name: cart-{name}, namespace: shop}}}}"
            )
        };
        let endpoints: Vec<String> = pods_of.iter().map(of).collect();
        text += &format!(
            "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, addressType: IPv4, ports: [{ports}], endpoints: [{}]}}\n",
            endpoints.join(", ")
        );
    };
    let (http, grpc) = ("{name: http, port: 8080}", format!("{{name: grpc, port: {grpc}}}"));
    let all = [("0", true), ("1", true), ("2", true), ("3", true)];
    slice("cart-probe", &all[..1], "{name: probe, port: 9001}");
    match slices {
        Slices::Shared => slice("cart", &all, &format!("{http}, {grpc}")),
        Slices::Apart => {
            slice("cart-http", &all, http);
            slice("cart-grpc", &[all[0], all[1], all[3], all[2]], &grpc);
        }
        Slices::Unready => {
            slice("cart-http", &all, http);
            slice("cart-grpc", &[("0", false), all[1], all[2], all[3]], &grpc);
        }
        Slices::Other => {
            slice("cart-http", &all, http);
            slice("cart-grpc", &[all[0], all[1], all[2], ("3-too", true)], &grpc);
        }
    }
    slice("cart-admin", &all[1..], "{name: admin, port: 9000}");
    let mut registry = Registry::default();
    let origin = Origin::Cluster("c1".into());
    let objects = Source { origin, name: "objects.yaml".into(), text: text.into() };
    let origin = Origin::Config;
    let config = Source { origin, name: "config.yaml".into(), text: config.into() };
    assert_eq!(registry.load([objects, config]), []);
    registry.mesh()
}

#[test]
fn ports_that_share_endpoints_are_told_apart_by_what_else_is_said_of_them() {
    const BY_PORT: &str = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart, namespace: shop}, spec: {host: cart, subsets: [{name: all}], trafficPolicy: {portLevelSettings: [{port: {number: 81}, outlierDetection: {consecutive5xxErrors: 3}}]}}}";
    const MUTUAL: &str = "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: cart, namespace: shop}, spec: {selector: {matchLabels: {app: cart}}, mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: DISABLE}}}}";
    for config in ["", BY_PORT, MUTUAL] {
        for (grpc, slices) in [
            (9090, Slices::Shared),
            (80, Slices::Shared),
            (20_000, Slices::Shared),
            (9090, Slices::Apart),
            (9090, Slices::Unready),
            (9090, Slices::Other),
        ] {
            let mesh = ports_of_one(grpc, slices, config);
            let proxy = mesh.proxy("c1/shop/cart-0").unwrap();
            let client = Proxy { locality: Locality::parse("r2/z1"), ..proxy };
            let view = mesh.view(&client).unwrap();
            let host = "cart.shop.svc.cluster.local";
            let names = [79, 80, 81, 82, 83].into_iter().flat_map(|port| {
                ["", "all"].into_iter().flat_map(move |subset| {
                    [
                        format!("outbound|{port}|{subset}|{host}"),
                        format!("outbound_.{port}_.{subset}_.{host}"),
                    ]
                })
            });
            let names: Vec<String> = names.collect();
            check_view(&view, &mut Encoder::default(), &names);
            let http = endpoint::cluster_load_assignment(&view, &format!("outbound|80||{host}"));
            let n_endpoints = http.endpoints.iter().map(|of| of.lb_endpoints.len()).sum::<usize>();
            assert_eq!(n_endpoints, 4, "{http:?}");
        }
    }
}

/// An endpoint of one of few sorts: mostly like its neighbours, so that what is cast is not all.
fn endpoint_of() -> impl Strategy<Value = Endpoint> {
    let address = prop_oneof![
        8 => any::<[u8; 4]>().prop_map(|octets| Address::Ip(octets.into())),
        1 => any::<[u16; 8]>().prop_map(|parts| Address::Ip(IpAddr::V6(Ipv6Addr::from(parts)))),
        1 => select(vec!["db.example.com", "unix:///run/app.sock", ""]).prop_map(Address::parse),
    ];
    let weight = prop_oneof![6 => Just(1_u32), 1 => Just(0), 1 => any::<u32>()];
    let health = prop_oneof![
        6 => Just(HealthStatus::Healthy),
        1 => Just(HealthStatus::Unknown),
        1 => Just(HealthStatus::Unhealthy),
    ];
    let port = prop_oneof![6 => Just(8080_u16), 1 => select(vec![0, 1, 127, 128, 16_383, 65_535])];
    let place = select(vec![("c1", "n1", "r1/z1"), ("c1", "n1", "r1/z2/"), ("c2", "n2", "")]);
    let more = prop::bool::weighted(0.05);
    let own = prop_oneof![8 => Just((Some("web"), "istio")), 1 => Just((Some("batch"), "istio")),
        1 => Just((Some("web"), "disabled")), 1 => Just((Some(""), "word")), 3 => Just((None, "istio"))];
    let instance = select(vec!["", "web", "a-1", "a-2", "a-3"]);
    (address, weight, health, port, place, more, own, instance).prop_map(
        |(
            address,
            weight,
            health,
            port,
            (cluster, network, locality),
            more,
            (name, tls),
            instance,
        )| {
            let base = by_hand::endpoint("10.0.0.1", cluster, locality);
            let mut workload = Workload::clone(&base.workload);
            workload.place_mut().network = NetworkId::from(network);
            workload.name = name.map(Into::into);
            workload.tls_mode = tls.into();
            let another = more.then(|| Address::Ip([10, 9, 8, 7].into()));
            let more_addresses = another.into_iter().collect();
            let workload = Arc::new(workload);
            let instance = instance.into();
            Endpoint { address, weight, health, port, more_addresses, instance, workload, ..base }
        },
    )
}

fn gateways() -> Gateways {
    Gateways::new(["192.0.2.1", "2001:db8::1"].map(|address| NetworkGateway {
        network: NetworkId::from("n2"),
        cluster: ClusterId::default(),
        address: Address::parse(address),
        port: 15443,
        hbone_port: 0,
        service_account: "".into(),
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn endpoints_of_any_sort_are_encoded_as_prost_does(
        endpoints in prop::collection::vec(endpoint_of(), 0..40),
        has_gateways in any::<bool>(),
        form in select(vec![ClusterForm::Outbound, ClusterForm::Dns, ClusterForm::SniDnat]),
    ) {
        let mut proxy = by_hand::proxy("c1", "r1/z1");
        proxy.network = NetworkId::from("n1");
        let service = by_hand::service("cart.shop.svc.cluster.local");
        let (compat, shards) = (Compat::default(), by_hand::shards(endpoints));
        let gateways = if has_gateways { gateways() } else { Gateways::default() };
        let port = service.port(80).unwrap();
        let input = Input {
            form,
            has_outlier_detection: true,
            ..Input::new(&proxy, &compat, (&service, port), &shards, &gateways)
        };
        let mut encoder = Encoder::default();
        check(&mut encoder, "outbound|80||cart.shop.svc.cluster.local", &Assignment::compute(&input))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_proxies_of_a_random_mesh_are_sent_is_encoded_as_prost_does(mesh in mesh::mesh()) {
        let mut registry = Registry::default();
        registry.apply_all(mesh);
        check_mesh(&registry.mesh())?;
    }
}
