//! Assignments are encoded to the bytes that prost makes of their messages.
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Input};
use mesh_model::Compat;
use mesh_model::endpoint::{Address, Endpoint, Gateways, HealthStatus, NetworkGateway, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::{Mesh, Registry};
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

/// The same of all that the proxies of a mesh are sent; how many bytes that is.
fn check_mesh(mesh: &Mesh) -> Result<usize, TestCaseError> {
    let mut encoder = Encoder::default();
    let mut len = 0;
    for reference in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&reference) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        for cluster in cluster::clusters(&view) {
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
    let own = prop_oneof![8 => Just(("web", "istio")), 1 => Just(("batch", "istio")),
        1 => Just(("web", "disabled")), 1 => Just(("", "word"))];
    (address, weight, health, port, place, more, own).prop_map(
        |(address, weight, health, port, (cluster, network, locality), more, (name, tls))| {
            let base = by_hand::endpoint("10.0.0.1", cluster, locality);
            let mut workload = Workload::clone(&base.workload);
            workload.network = NetworkId::from(network);
            workload.name = name.into();
            workload.tls_mode = tls.into();
            let another = more.then(|| Address::Ip([10, 9, 8, 7].into()));
            let more_addresses = another.into_iter().collect();
            let workload = Arc::new(workload);
            Endpoint { address, weight, health, port, more_addresses, workload, ..base }
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
