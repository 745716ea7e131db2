//! What the registry costs in memory: the bytes that are allocated when it stands, and nothing but it.
use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;
use mesh_model::name::Labels;
use mesh_model::registry::{Change, Origin, Registry, Source};
use mesh_model::resource::{
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

/// The bytes of each endpoint where services have 50 in one slice, spread over 100 namespaces.
#[track_caller]
fn check(services: u32, has_pods: bool, limit: i64) {
    check_built(services, || registry(services, has_pods), limit);
}

#[track_caller]
fn check_built(services: u32, build: impl FnOnce() -> Registry, limit: i64) {
    let mut built = None;
    let memory = measure(|| built = Some(build()));
    let bytes = memory.bytes_current / i64::from(services * ENDPOINTS);
    assert!(bytes <= limit, "{bytes} bytes an endpoint");
    drop(built);
}

#[test]
fn an_endpoint_without_a_pod_costs_160_bytes() {
    check(200, false, 160);
}

#[test]
fn an_endpoint_with_its_pod_costs_380_bytes() {
    check(200, true, 380);
}

#[test]
fn a_pod_does_not_pay_for_the_labels_that_its_node_adds() {
    check_built(200, || spread(200, 200), 435);
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
