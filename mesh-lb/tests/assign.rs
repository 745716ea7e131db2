//! What the vectors do not show: DNS clusters, tunnels, self-discovery, mended defects, reasons.
use std::sync::Arc;

use mesh_lb::assign::{Assignment, ClusterForm, Input};
use mesh_lb::share::Spread;
use mesh_model::Compat;
use mesh_model::endpoint::{Endpoint, Gateways, NetworkGateway, Shards, Workload};
use mesh_model::name::{ClusterId, Labels, NetworkId};
use mesh_model::registry::{Resolution, Service};
use mesh_model::resource::destination_rule::{LocalityLbSetting, ZoneAwareLbSetting};
use mesh_model::view::{Proxy, ProxyKind};
use mesh_testkit::by_hand;

/// A mesh that tests change before they look at it.
struct Mesh {
    proxy: Proxy,
    compat: Compat,
    service: Service,
    shards: Shards,
    gateways: Gateways,
    setting: LocalityLbSetting,
    subset: Option<Labels>,
    form: ClusterForm,
}

fn mesh(endpoints: impl IntoIterator<Item = Endpoint>) -> Mesh {
    Mesh {
        proxy: by_hand::proxy("c1", "eu/west/a"),
        compat: Compat::default(),
        service: by_hand::service("cart.shop"),
        shards: by_hand::shards(endpoints),
        gateways: Gateways::default(),
        setting: LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() },
        subset: None,
        form: ClusterForm::Outbound,
    }
}

fn with(endpoint: Endpoint, change: impl FnOnce(&mut Workload)) -> Endpoint {
    let mut workload = Workload::clone(&endpoint.workload);
    change(&mut workload);
    Endpoint { workload: Arc::new(workload), ..endpoint }
}

fn in_network(network: &str, address: &str, cluster: &str, locality: &str) -> Endpoint {
    let endpoint = by_hand::endpoint(address, cluster, locality);
    with(endpoint, |workload| workload.place_mut().network = NetworkId::from(network))
}

fn gateway(network: &str, address: &str, port: u16) -> NetworkGateway {
    NetworkGateway {
        network: NetworkId::from(network),
        cluster: ClusterId::default(),
        address: mesh_model::endpoint::Address::parse(address),
        port,
        hbone_port: 0,
        service_account: "".into(),
    }
}

impl Mesh {
    fn assign(&self) -> Assignment {
        let Some(port) = self.service.port(80) else { return Assignment::default() };
        Assignment::compute(&Input {
            form: self.form,
            subset: self.subset.as_ref(),
            has_outlier_detection: true,
            mesh_locality: Some(&self.setting),
            ..Input::new(
                &self.proxy,
                &self.compat,
                (&self.service, port),
                &self.shards,
                &self.gateways,
            )
        })
    }
}

/// Checks the endpoints in use, `PRIORITY ADDRESS VIA WEIGHT CODES…`, and those left out, `ADDRESS
/// CODE`.
#[track_caller]
fn check(mesh: &Mesh, used: &[&str], unused: &[&str]) {
    let assignment = mesh.assign();
    let explanation = assignment.explain();
    let got: Vec<String> = explanation
        .used
        .iter()
        .map(|used| {
            let (endpoint, target) = (used.endpoint, used.endpoint.target());
            let codes: Vec<&str> = used.reasons.iter().map(|reason| reason.code).collect();
            format!(
                "{} {} {} {} {}",
                endpoint.locality().priority(),
                target.address(),
                target.via(),
                endpoint.weight(),
                codes.join(" ")
            )
        })
        .collect();
    assert_eq!(got, used);
    let got = explanation.unused.iter();
    let got: Vec<String> =
        got.map(|unused| format!("{} {}", unused.endpoint.address, unused.reason.code())).collect();
    assert_eq!(got, unused);
}

#[test]
fn nearer_localities_go_first_and_the_reason_says_how_near() {
    let mut mesh = mesh([
        by_hand::endpoint("10.0.0.1", "c1", "eu/west/a"),
        by_hand::endpoint("10.0.0.2", "c1", "eu/west/b"),
        by_hand::endpoint("10.0.0.3", "c1", "eu/east/a"),
        by_hand::endpoint("10.0.0.4", "c1", "us/east/a"),
    ]);
    let all = [
        "0 10.0.0.1 direct 1 same_sub_zone",
        "1 10.0.0.2 direct 1 same_zone",
        "2 10.0.0.3 direct 1 same_region",
        "3 10.0.0.4 direct 1 other_region",
    ];
    check(&mesh, &all, &[]);
    mesh.proxy.kind = ProxyKind::Waypoint;
    check(&mesh, &all, &[]);
}

#[test]
fn a_dns_cluster_takes_host_names_and_matches_ports_by_number() {
    let host = by_hand::endpoint("cart.example.org", "c1", "");
    let renamed = Endpoint { port_name: "other".into(), ..host.clone() };
    let mut mesh = mesh([host, renamed]);
    mesh.service.resolution = Resolution::DnsLb;
    check(&mesh, &[], &["cart.example.org resolved_by_dns"]);
    mesh.form = ClusterForm::Dns;
    let used = "0 cart.example.org direct 1 other_region";
    check(&mesh, &[used, used], &[]);
    mesh.service.resolution = Resolution::ClientSideLb;
    mesh.form = ClusterForm::Outbound;
    check(&mesh, &[], &["cart.example.org host_name"]);
}

#[test]
fn a_subset_that_dns_resolves_is_not_ranked_by_labels() {
    let mut mesh = mesh([
        by_hand::endpoint("10.0.0.1", "c1", "eu"),
        by_hand::endpoint("10.0.0.2", "c2", "eu"),
    ]);
    mesh.setting.failover_priority = vec!["topology.istio.io/cluster".into()];
    mesh.form = ClusterForm::Dns;
    let ranked = ["0 10.0.0.1 direct 1 failover_priority", "1 10.0.0.2 direct 1 failover_priority"];
    check(&mesh, &ranked, &[]);
    mesh.subset = Some(Labels::default());
    let equal =
        ["0 10.0.0.1 direct 1 subset_of_dns_service", "0 10.0.0.2 direct 1 subset_of_dns_service"];
    check(&mesh, &equal, &[]);
}

#[test]
fn hbone_is_used_where_mutual_tls_is_not_spoken_and_the_proxy_does_not_refuse() {
    let tunnel = |workload: &mut Workload| {
        workload.tls_mode = "disabled".into();
        workload.labels = [("networking.istio.io/tunnel", "h3,http")].into_iter().collect();
    };
    let mut mesh = mesh([with(by_hand::endpoint("10.0.0.1", "c1", "eu/west/a"), tunnel)]);
    check(&mesh, &["0 10.0.0.1 tunnel 1 same_sub_zone tunnel"], &[]);
    let refusal = mesh_model::resource::Json::String("true".into());
    mesh.proxy.metadata.insert("DISABLE_HBONE_SEND".into(), refusal);
    check(&mesh, &["0 10.0.0.1 direct 1 same_sub_zone"], &[]);
}

#[test]
fn a_gateway_without_a_usable_port_leaves_the_network_in_direct_reach() {
    let mut mesh = mesh([in_network("n2", "10.2.0.1", "c2", "eu/west/a")]);
    mesh.proxy.network = NetworkId::from("n1");
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 0)]);
    check(&mesh, &["0 10.2.0.1 direct 1 same_sub_zone"], &[]);
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 15443)]);
    check(&mesh, &["0 192.0.2.1 gateway 1 same_sub_zone gateway gateway_weight"], &[]);
    mesh.proxy.addresses = Box::from([std::net::IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    check(&mesh, &[], &["10.2.0.1 no_reachable_gateway"]);
}

#[test]
fn a_mended_gateway_has_the_weight_of_every_locality_it_stands_for() {
    let mut mesh = mesh([
        in_network("n2", "10.2.0.1", "c2", "us/a/"),
        in_network("n2", "10.2.0.2", "c2", "us/b/"),
        in_network("n2", "10.2.0.3", "c2", "us/b/"),
    ]);
    mesh.proxy.network = NetworkId::from("n1");
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 15443)]);
    let by_locality = [
        "0 192.0.2.1 gateway 1 other_region gateway gateway_weight",
        "0 192.0.2.1 gateway 2 other_region gateway gateway_weight",
    ];
    check(&mesh, &by_locality, &[]); // Envoy keeps the first of them only.
    mesh.compat.fixes.gateway_weights = true;
    check(&mesh, &["0 192.0.2.1 gateway 3 other_region gateway gateway_weight"], &[]);
}

#[test]
fn a_mended_gateway_shows_the_labels_that_all_its_endpoints_share() {
    let versioned = |endpoint: Endpoint| {
        with(endpoint, |workload| {
            workload.labels =
                [("version", "v1"), ("pod", &*workload.place.locality)].into_iter().collect();
        })
    };
    let mut mesh = mesh([
        versioned(in_network("n2", "10.2.0.1", "c2", "eu")),
        versioned(by_hand::endpoint("10.1.0.1", "c1", "eu")),
    ]);
    mesh.proxy.network = NetworkId::from("n1");
    mesh.proxy.labels = [("version", "v1")].into_iter().collect();
    mesh.setting.failover_priority = vec!["version".into()];
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 15443)]);
    let (direct, gateway) = (
        "10.1.0.1 direct 1 failover_priority",
        "192.0.2.1 gateway 1 failover_priority gateway gateway_weight",
    );
    check(&mesh, &[&format!("0 {direct}"), &format!("1 {gateway}")], &[]);
    mesh.compat.fixes.gateway_labels = true;
    check(&mesh, &[&format!("0 {direct}"), &format!("0 {gateway}")], &[]);
}

#[test]
fn self_discovery_knows_only_the_proxys_own_workload_in_its_region() {
    let named = |name: &'static str, address: &str, locality: &str| {
        with(by_hand::endpoint(address, "c1", locality), |workload| {
            workload.name = Some(name.into())
        })
    };
    let mut mesh = mesh([
        named("", "10.0.0.1", "eu/west/a"),
        named("cart", "10.0.0.2", "eu/west/a"),
        named("", "10.0.0.3", "us/west/a"),
    ]);
    mesh.form = ClusterForm::SelfDiscovery;
    let unused = ["10.0.0.2 other_workload", "10.0.0.3 other_region"];
    check(&mesh, &["0 10.0.0.1 direct 1 self_discovery"], &unused);
}

#[test]
fn an_explanation_reads_as_sentences() {
    let mut mesh = mesh([
        in_network("n2", "10.2.0.1", "c2", "us/a/"),
        by_hand::endpoint("cart.example.org", "c1", "eu"),
    ]);
    mesh.proxy.network = NetworkId::from("n1");
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 15443)]);
    assert_eq!(
        mesh.assign().explain().to_string(),
        "P0 us/a 192.0.2.1:15443 weight 1 gateway; in region `us`, the client in region `eu`; \
         gateway of network `n2`; stands for 1 of its endpoints: 10.2.0.1; weight 1 for 1 behind it\n\
         -- cart.example.org:8080 the address is a host name, which only DNS clusters can use\n"
    );
}

/// The first reason of the first endpoint.
fn first_reason(assignment: &Assignment) -> String {
    let explained = assignment.explain();
    let first = explained.used.first().and_then(|endpoint| endpoint.reasons.first());
    first.map(|reason| reason.text.clone()).unwrap_or_default()
}

#[test]
fn zone_aware_balancing_does_not_call_the_own_zone_another() {
    let mesh = mesh([by_hand::endpoint("10.0.0.1", "c1", "eu/west/a")]);
    let setting = ZoneAwareLbSetting { enabled: Some(true), ..ZoneAwareLbSetting::default() };
    let input = Input {
        mesh_zone_aware: Some(&setting),
        ..Input::new(
            &mesh.proxy,
            &mesh.compat,
            (&mesh.service, mesh.service.port(80).unwrap()),
            &mesh.shards,
            &mesh.gateways,
        )
    };
    let expected =
        "same region `eu` as the client; zone-aware load balancing ranks by nothing finer";
    assert_eq!(first_reason(&Assignment::compute(&input)), expected);
}

/// An endpoint of the client's cluster with a weight.
fn weighted(address: &str, locality: &str, weight: u32) -> Endpoint {
    Endpoint { weight, ..by_hand::endpoint(address, "c1", locality) }
}

#[test]
fn a_locality_that_is_told_twice_has_the_weight_told_last() {
    let twice = mesh([weighted("10.0.0.1", "eu/b", 3), weighted("10.0.0.2", "eu/b/", 5)]);
    let told = "its endpoints write `eu/b` in 2 ways, and istiod tells it as often: Envoy takes them for one; \
                where localities are weighted, that has the weight told last, 5";
    let assignment = twice.assign();
    let explanation = assignment.explain();
    assert_eq!(explanation.used.len(), 2);
    for used in &explanation.used {
        let again = used.reasons.iter().find(|reason| reason.code == "locality_told_again");
        assert_eq!(again.map(|reason| &*reason.text), Some(told));
    }
    let once = mesh([weighted("10.0.0.1", "eu/b", 3), weighted("10.0.0.2", "eu/c", 5)]);
    assert!(!once.assign().explain().to_string().contains("told last"));
}

#[test]
fn a_weight_that_is_not_told_leaves_the_one_told_before() {
    // Nobody gets to the last one, so that its locality has neither endpoints nor a weight.
    let far = with(weighted("10.2.0.1", "eu/b/", 9), |workload| {
        workload.place_mut().network = NetworkId::from("n2");
        workload.tls_mode = "disabled".into();
    });
    let near = [weighted("10.0.0.1", "eu/b", 3), weighted("10.0.0.2", "eu/c", 1)];
    let mut mesh = mesh(near.into_iter().chain([far]));
    mesh.proxy.network = NetworkId::from("n1");
    mesh.gateways = Gateways::new([gateway("n2", "192.0.2.1", 15443)]);
    let spread = Spread { locality_weighted: true, ..Spread::default() };
    let assignment = mesh.assign();
    let weights: Vec<_> = assignment.localities().map(|locality| locality.weight()).collect();
    assert_eq!(weights, [Some(3), None, Some(1)]);
    assert_eq!(assignment.shares(&spread).endpoints(), [75.0, 25.0]);
}
