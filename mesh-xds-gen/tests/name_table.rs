//! What agents answer to DNS queries.
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::endpoint::{Endpoint, Place, Provider, Template, Workload};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::{Origin, Registry, Resolution, Service, Source};
use mesh_testkit::by_hand;
use mesh_xds_gen::Resources;
use mesh_xds_gen::name_table::{Client, Names};

/// A pod of the subdomain `db` of a cluster and a network.
fn pod(name: &str, address: &str, cluster: &str, network: &str) -> Endpoint {
    let (cluster_id, network) = (ClusterId::from(cluster), NetworkId::from(network));
    let place = Place { cluster: cluster_id, network, ..Place::default() };
    let hostname = Some(name.into());
    let template = Template { hostname, subdomain: "db".into(), ..Template::default() };
    let workload = Workload { place: place.into(), template: template.into(), ..<_>::default() };
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

/// The pods of a headless service by port, and a sidecar that imports one of its ports. As a real istiod answers.
#[test]
fn the_pods_of_every_port_are_told_where_one_port_is_imported() {
    let slice = |name: &str, port: u16, address: &str| {
        format!(
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: {{name: db-{name}, \
             namespace: data, labels: {{kubernetes.io/service-name: db}}}}\nendpoints: [{{addresses: [{address}], \
             targetRef: {{kind: Pod, name: db-{name}, namespace: data}}}}]\nports: [{{name: {name}, port: {port}}}]\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: db-{name}, namespace: data, labels: {{app: db}}}}\nspec: \
             {{hostname: db-{name}, subdomain: db}}\nstatus: {{podIP: {address}, phase: Running}}\n"
        )
    };
    let text = [
        "
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web}, {name: istio-proxy, image: proxy}]}
status: {podIP: 10.0.0.9, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: one, namespace: shop}
spec: {egress: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*/*']}]}
",
        &slice("http", 8080, "10.0.0.1"),
        &slice("tcp", 8081, "10.0.0.2"),
    ]
    .concat();
    let mut registry = Registry::new(Compat::default());
    let origin = Origin::Cluster("c1".into());
    registry.load([Source { origin, name: "all.yaml".into(), text: text.into_bytes() }]);
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c1/shop/web-0").unwrap();
    let table = Resources::new(&mesh.view(&proxy).unwrap()).names.table;
    let ips = |host: &str| table.get(host).map(|info| info.ips.join(" "));
    let expected = [
        ("db.data.svc.cluster.local", "10.0.0.1 10.0.0.2"),
        ("db-http.db.data.svc.cluster.local", "10.0.0.1"),
        ("db-tcp.db.data.svc.cluster.local", "10.0.0.2"),
    ];
    for (host, addresses) in expected {
        assert_eq!(ips(host).as_deref(), Some(addresses), "{host}");
    }
}
