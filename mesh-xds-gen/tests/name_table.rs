//! What agents answer to DNS queries.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::endpoint::{Endpoint, Provider, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::{Resolution, Service};
use mesh_testkit::by_hand;
use mesh_xds_gen::name_table::{Client, Names};

/// A pod of the subdomain `db` of a cluster and a network.
fn pod(name: &str, address: &str, cluster: &str, network: &str) -> Endpoint {
    let workload = Workload {
        hostname: name.into(),
        subdomain: "db".into(),
        cluster: ClusterId::from(cluster),
        network: NetworkId::from(network),
        ..Workload::default()
    };
    Endpoint { workload: Arc::new(workload), ..by_hand::endpoint(address, cluster, "") }
}

fn headless() -> Service {
    Service { resolution: Resolution::Passthrough, ..by_hand::service("db.shop.svc.cluster.local") }
}

/// The names and their addresses for a client of cluster `c1` in network `n1`.
fn check(services: &[(Service, &[&str], Vec<Endpoint>)], expected: &[(&str, &str)]) {
    let (network, cluster) = (NetworkId::from("n1"), ClusterId::from("c1"));
    let client = Client { network: &network, cluster: &cluster, multicluster_headless: false };
    let mut names = Names::new(client);
    for (service, addresses, endpoints) in services {
        let addresses: Vec<Arc<str>> = addresses.iter().map(|text| Arc::from(*text)).collect();
        names.add(service, &addresses, endpoints);
    }
    let table = names.into_table().table.into_iter();
    let found: BTreeMap<String, String> =
        table.map(|(host, info)| (host, info.ips.join(" "))).collect();
    let expected = expected.iter().map(|(host, ips)| ((*host).to_owned(), (*ips).to_owned()));
    assert_eq!(found, expected.collect());
}

#[test]
fn a_pod_of_the_own_cluster_hides_those_of_its_name_elsewhere() {
    let pods = vec![pod("db-0", "10.0.0.1", "c1", "n1"), pod("db-0", "10.1.0.1", "c2", "n1")];
    check(
        &[(headless(), &["0.0.0.0"], pods)],
        &[
            ("db-0.db.shop.svc.cluster.local", "10.0.0.1"),
            ("db.shop.svc.cluster.local", "10.0.0.1"),
        ],
    );
}

#[test]
fn a_pod_of_another_cluster_has_a_name_but_does_not_stand_for_the_service() {
    let pods = vec![pod("db-0", "10.1.0.1", "c2", "n1"), pod("db-1", "10.2.0.1", "c3", "n2")];
    check(&[(headless(), &["0.0.0.0"], pods)], &[("db-0.db.shop.svc.cluster.local", "10.1.0.1")]);
}

#[test]
fn a_range_is_no_answer() {
    let range = by_hand::service("net.example.com");
    check(&[(range, &["10.0.0.0/8"], Vec::new())], &[]);
}

#[test]
fn a_service_of_kubernetes_replaces_an_entry_of_its_host() {
    let entry = Service { provider: Provider::External, ..by_hand::service("a.example.com") };
    let service = by_hand::service("a.example.com");
    let replaced = [
        (entry.clone(), &["1.1.1.1"][..], Vec::new()),
        (service, &["2.2.2.2"][..], Vec::new()),
        (entry, &["3.3.3.3"][..], Vec::new()),
    ];
    check(&replaced, &[("a.example.com", "2.2.2.2")]);
}
