//! What the registry costs in memory: the bytes that are allocated when it stands, and nothing but it; and of these those
//! that are not of the objects it was given.
use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;

use crate::name::Labels;
use crate::registry::{Change, Origin, Registry, Source};
use crate::resource::{
    ClusterIp, EndpointAddress, EndpointSlice, Meta, Node, Pod, PodPhase, Readiness, Resource,
    Service, ServicePort, SliceEndpoint, SlicePort, TargetKind, TargetRef,
};

const ENDPOINTS: u32 = 50;

fn upsert(resource: Resource) -> Change {
    Change::Upsert { origin: Origin::Cluster("c1".into()), resource: Box::new(resource) }
}

fn meta(service: u32, name: String, labels: Labels) -> Meta {
    let mut meta = Meta::new(format!("ns-{}", service % 100).as_str(), name);
    meta.labels = labels;
    meta
}

fn address(service: u32, endpoint: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0A00_0000 + service * ENDPOINTS + endpoint))
}

fn service(index: u32) -> Change {
    let mut service =
        Service { meta: meta(index, format!("s-{index}"), <_>::default()), ..<_>::default() };
    service.spec.cluster_ip = ClusterIp::Address(IpAddr::V4(Ipv4Addr::from(0x0B00_0000 + index)));
    let port = ServicePort { name: "http".into(), port: 80, ..<_>::default() };
    service.spec.ports = [port].into();
    upsert(Resource::Service(service))
}

fn slice(index: u32, has_pods: bool) -> Change {
    let labels = [("kubernetes.io/service-name", format!("s-{index}"))].into_iter().collect();
    let endpoint = |endpoint: u32| {
        let mut entry = SliceEndpoint {
            addresses: [EndpointAddress::Ip(address(index, endpoint))].into(),
            ..<_>::default()
        };
        entry.conditions.ready = Some(true);
        entry.target_ref = has_pods.then(|| {
            let name = format!("s-{index}-{endpoint}").into();
            Box::new(TargetRef { kind: TargetKind::Pod, name, ..<_>::default() })
        });
        entry
    };
    let port = SlicePort { name: "http".into(), port: Some(8080), ..<_>::default() };
    upsert(Resource::EndpointSlice(EndpointSlice {
        meta: meta(index, format!("s-{index}-1"), labels),
        endpoints: (0..ENDPOINTS).map(endpoint).collect(),
        ports: [port].into(),
        ..<_>::default()
    }))
}

fn pod(index: u32, endpoint: u32, node: u32) -> Change {
    let labels = [("app", format!("s-{index}")), ("version", "v1".to_owned())];
    let labels = labels.into_iter().collect();
    let mut pod =
        Pod { meta: meta(index, format!("s-{index}-{endpoint}"), labels), ..<_>::default() };
    pod.spec.node_name = format!("node-{node}").into();
    pod.status.phase = PodPhase::Running;
    pod.status.pod_ip = Some(address(index, endpoint));
    pod.status.readiness = Readiness::Ready;
    upsert(Resource::Pod(pod))
}

fn registry(services: u32, has_pods: bool) -> Registry {
    let mut registry = Registry::default();
    let of_service = |index: u32| {
        let pods =
            (0..if has_pods { ENDPOINTS } else { 0 }).map(move |one| pod(index, one, one % 10));
        [service(index), slice(index, has_pods)].into_iter().chain(pods)
    };
    let nodes = (0..if has_pods { 10 } else { 0 }).map(node);
    registry.apply_all(nodes.chain((0..services).flat_map(of_service)).collect::<Vec<_>>());
    registry
}

fn node(index: u32) -> Change {
    let zone = ("topology.kubernetes.io/zone", format!("eu-{}", index % 3));
    let labels = [("topology.kubernetes.io/region", "eu".to_owned()), zone];
    let mut meta = Meta::new("", format!("node-{index}"));
    meta.labels = labels.into_iter().collect();
    upsert(Resource::Node(Node { meta, ..<_>::default() }))
}

/// Services of which no two pods are on one of so many nodes, as in a large cluster.
fn spread(services: u32, nodes: u32) -> Registry {
    let mut registry = Registry::default();
    let of_service = |index: u32| {
        let node = move |endpoint: u32| (index * ENDPOINTS + endpoint) % nodes;
        let pods = (0..ENDPOINTS).map(move |one| pod(index, one, node(one)));
        [service(index), slice(index, true)].into_iter().chain(pods)
    };
    let changes = (0..nodes).map(node).chain((0..services).flat_map(of_service));
    registry.apply_all(changes.collect::<Vec<_>>());
    registry
}

/// The bytes of each endpoint: in all, and without the objects that the registry was given and keeps.
fn bytes(services: u32, build: impl FnOnce() -> Registry) -> (i64, i64) {
    let mut built = None;
    let all = measure(|| built = Some(build())).bytes_current;
    let objects = built.as_ref().map(objects);
    let own = -measure(|| drop(built)).bytes_current;
    drop(objects);
    let endpoints = i64::from(services * ENDPOINTS);
    (all / endpoints, own / endpoints)
}

/// The objects by the million.
fn objects(registry: &Registry) -> impl Sized + use<> {
    let mesh = registry.mesh();
    let stores = mesh.parts.clusters.values().map(|part| &part.store);
    let pods = stores.clone().flat_map(|store| store.pods.iter()).cloned();
    let slices = stores.clone().flat_map(|store| store.endpoint_slices.iter()).cloned();
    let services = stores.flat_map(|store| store.services.iter()).cloned();
    (pods.collect::<Vec<_>>(), slices.collect::<Vec<_>>(), services.collect::<Vec<_>>())
}

/// Services have 50 endpoints in one slice, spread over 100 namespaces.
#[track_caller]
fn check(services: u32, build: impl FnOnce(u32) -> Registry, (all, own): (i64, i64)) {
    let found = bytes(services, || build(services));
    assert!(found.0 <= all && found.1 <= own, "{found:?} bytes an endpoint");
}

#[test]
fn an_endpoint_without_a_pod_costs_160_bytes() {
    check(200, |services| registry(services, false), (160, 130));
}

#[test]
fn an_endpoint_with_its_pod_costs_180_bytes_beside_the_objects() {
    check(200, |services| registry(services, true), (365, 180));
}

#[test]
fn a_pod_alone_on_its_node_costs_235_bytes_beside_the_objects() {
    check(200, |services| spread(services, 200), (420, 235));
}

/// Pods that come one by one share what those share that were read together.
#[test]
fn pods_that_move_to_other_nodes_and_back_cost_no_more() {
    let moved = |services: u32| {
        let mut registry = spread(services, 200);
        for by in [7, 0] {
            for each in 0..services * ENDPOINTS {
                registry.apply(pod(each / ENDPOINTS, each % ENDPOINTS, (each + by) % 200));
            }
        }
        registry
    };
    check(50, moved, (460, 275));
}

/// Tables are as full as so many make them.
#[test]
fn of_a_million_endpoints_none_costs_more() {
    check(20_000, |services| registry(services, true), (365, 180));
}

#[test]
fn pods_that_are_loaded_share_the_names_of_their_nodes() {
    let pod = |index: u32| {
        let node = index % 2;
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p{index}}}, spec: {{nodeName: n{node}}}}}"
        )
    };
    let text = (0..4).map(pod).collect::<Vec<_>>().join("\n---\n").into_bytes();
    let origin = Origin::Cluster("c1".into());
    let mut registry = Registry::default();
    registry.load([Source { origin, name: "clusters/c1/pods.yaml".into(), text }]);
    let mesh = registry.mesh();
    let planes: Vec<_> = mesh.control_planes().collect();
    let pods: Vec<&Pod> = mesh.manifests(planes[0]).pods().collect();
    let [p0, p1, p2, p3] = &pods[..] else { panic!("{} pods", pods.len()) };
    assert!(p0.spec.node_name.is_same(&p2.spec.node_name));
    assert!(p1.spec.node_name.is_same(&p3.spec.node_name));
    assert_eq!((&*p0.spec.node_name, &*p3.spec.node_name), ("n0", "n1"));
}
