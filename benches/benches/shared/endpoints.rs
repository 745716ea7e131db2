//! Services of 50 endpoints in one slice each, spread over 100 namespaces of one cluster, as many as
//! wanted.
use std::net::{IpAddr, Ipv4Addr};

use mesh_model::name::Labels;
use mesh_model::registry::{Change, Origin, Registry};
use mesh_model::resource::{
    ClusterIp, EndpointAddress, EndpointSlice, Meta, Pod, PodPhase, Readiness, Resource, Service,
    ServicePort, SliceEndpoint, SlicePort, TargetKind, TargetRef,
};

/// The endpoints of a service.
pub(crate) const ENDPOINTS: u32 = 50;

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

/// The slice of a service; `is_ready`: whether its first endpoint takes traffic.
pub(crate) fn slice(index: u32, has_pods: bool, is_ready: bool) -> Change {
    let labels = [("kubernetes.io/service-name", format!("s-{index}"))].into_iter().collect();
    let endpoint = |endpoint: u32| {
        let mut entry = SliceEndpoint {
            addresses: [EndpointAddress::Ip(address(index, endpoint))].into(),
            ..<_>::default()
        };
        entry.conditions.ready = Some(endpoint != 0 || is_ready);
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

fn pod(index: u32, endpoint: u32) -> Change {
    let labels = [("app", format!("s-{index}")), ("version", "v1".to_owned())];
    let labels = labels.into_iter().collect();
    let mut pod =
        Pod { meta: meta(index, format!("s-{index}-{endpoint}"), labels), ..<_>::default() };
    pod.spec.node_name = format!("node-{}", endpoint % 10).into();
    pod.status.phase = PodPhase::Running;
    pod.status.pod_ip = Some(address(index, endpoint));
    pod.status.readiness = Readiness::Ready;
    upsert(Resource::Pod(pod))
}

/// The registry of so many services, with pods behind their endpoints or without.
pub(crate) fn registry(services: u32, has_pods: bool) -> Registry {
    let mut registry = Registry::default();
    let of_service = |index: u32| {
        let pods = (0..if has_pods { ENDPOINTS } else { 0 }).map(move |one| pod(index, one));
        [service(index), slice(index, has_pods, true)].into_iter().chain(pods)
    };
    registry.apply_all((0..services).flat_map(of_service).collect::<Vec<_>>());
    registry
}
