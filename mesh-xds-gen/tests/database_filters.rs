//! What proxies read of databases' protocols where flags let them (`PILOT_ENABLE_REDIS_FILTER`,
//! `PILOT_ENABLE_MYSQL_FILTER`, `PILOT_ENABLE_MONGO_FILTER`). Expectations are those of a real istiod.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_envoy_proto::envoy::config::cluster::v3::cluster::LbPolicy;
use mesh_envoy_proto::envoy::config::listener::v3::{Listener, filter};
use mesh_envoy_proto::envoy::extensions::filters::network::redis_proxy::v3::RedisProxy;
use mesh_envoy_proto::json;
use mesh_envoy_proto::prost::Name;
use mesh_model::Compat;
use mesh_model::compat::{DataPlane, EnvoyFeatures, Flags};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_xds_gen::Resources;
use mesh_xds_gen::resolve::{Configuration, Outcome, Request, resolve};

/// A sidecar behind service `db`, a gateway, and a service `cache` whose rule splits one port.
const OBJECTS: &str = "
kind: Service
apiVersion: v1
metadata: {name: db, namespace: shop}
spec:
  clusterIP: 172.20.0.1
  selector: {app: db}
  ports: [{name: redis, port: 6379}, {name: mysql, port: 3306}, {name: mongo, port: 27017}, {name: tcp, port: 7000}]
---
kind: Service
apiVersion: v1
metadata: {name: cache, namespace: shop}
spec: {clusterIP: 172.20.0.2, selector: {app: cache}, ports: [{name: redis, port: 6379}, {name: mysql, port: 3306}]}
---
kind: Pod
apiVersion: v1
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {containers: [{name: db, image: db}, {name: istio-proxy, image: proxy}]}
status: {podIP: 10.0.0.1, phase: Running}
---
kind: Pod
apiVersion: v1
metadata: {name: edge-0, namespace: shop, labels: {app: edge}}
spec: {containers: [{name: istio-proxy, args: [proxy, router]}]}
status: {podIP: 10.0.0.2, phase: Running}
---
kind: Gateway
apiVersion: networking.istio.io/v1
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: edge}
  servers:
  - {port: {number: 6379, name: redis, protocol: REDIS}, hosts: ['*']}
  - {port: {number: 3306, name: mysql, protocol: MYSQL}, hosts: ['*']}
---
kind: DestinationRule
apiVersion: networking.istio.io/v1
metadata: {name: cache, namespace: shop}
spec:
  host: cache
  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}
---
kind: DestinationRule
apiVersion: networking.istio.io/v1
metadata: {name: db, namespace: shop}
spec: {host: db, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: {name: split, namespace: shop}
spec:
  hosts: [cache]
  gateways: [mesh, edge]
  tcp:
  - route:
    - {destination: {host: cache, subset: v1, port: {number: 6379}}, weight: 30}
    - {destination: {host: db, port: {number: 6379}}, weight: 70}
";

fn load(flags: Flags) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let (origin, name) = (Origin::Cluster("c0".into()), "all.yaml".into());
    registry.load([Source { origin, name, text: OBJECTS.as_bytes().to_vec() }]);
    registry.mesh()
}

fn resources(mesh: &Mesh, pod: &str, data_plane: DataPlane) -> Resources {
    let mut proxy = mesh.proxy(&format!("c0/shop/{pod}")).unwrap();
    proxy.data_plane = data_plane;
    Resources::new(&mesh.view(&proxy).unwrap())
}

fn redis() -> Flags {
    Flags { pilot_enable_redis_filter: true, ..Flags::default() }
}

fn mysql() -> Flags {
    Flags { pilot_enable_mysql_filter: true, ..Flags::default() }
}

/// The last part of each filter's name, chain by chain of a port.
fn filters(listener: &Listener, port: Option<u32>) -> Vec<String> {
    let chains = listener.filter_chains.iter().filter(|chain| {
        chain.filter_chain_match.as_ref().and_then(|found| found.destination_port) == port
    });
    let name = |name: &str| name.rsplit('.').next().unwrap().to_owned();
    let names = chains.map(|chain| {
        let names: Vec<String> = chain.filters.iter().map(|filter| name(&filter.name)).collect();
        names.join(" ")
    });
    names.collect()
}

/// The filters of outbound listeners by name, of those that read something.
fn outbound(flags: Flags, pod: &str, data_plane: DataPlane) -> BTreeMap<String, String> {
    let listeners = resources(&load(flags), pod, data_plane).listeners;
    let read = listeners.iter().filter_map(|listener| {
        let all = filters(listener, None);
        let found = all.iter().find(|names| names.contains("_proxy") && *names != "tcp_proxy")?;
        Some((listener.name.clone(), found.clone()))
    });
    read.filter(|(name, _)| name != "virtualInbound").collect()
}

fn check_outbound(flags: Flags, pod: &str, data_plane: DataPlane, expected: &[(&str, &str)]) {
    let expected = expected.iter().map(|(name, names)| ((*name).into(), (*names).into()));
    assert_eq!(outbound(flags, pod, data_plane), expected.collect());
}

#[test]
fn what_sidecars_and_gateways_send_is_read_where_flags_say_so() {
    let envoy = DataPlane::IstioProxy;
    let mongo = ("172.20.0.1_27017", "mongo_proxy tcp_proxy");
    check_outbound(Flags::default(), "db-0", envoy, &[mongo]);
    let ports = [("172.20.0.1_6379", "redis_proxy"), ("172.20.0.2_6379", "redis_proxy")];
    check_outbound(redis(), "db-0", envoy, &[&ports[..], &[mongo]].concat());
    let reads = "mysql_proxy tcp_proxy";
    let ports = [("172.20.0.1_3306", reads), ("172.20.0.2_3306", reads)];
    check_outbound(mysql(), "db-0", envoy, &[&ports[..], &[mongo]].concat());
    check_outbound(Flags::default(), "edge-0", envoy, &[]);
    check_outbound(redis(), "edge-0", envoy, &[("0.0.0.0_6379", "redis_proxy")]);
    check_outbound(mysql(), "edge-0", envoy, &[("0.0.0.0_3306", reads)]);
}

/// Of the three chains of a port: mutual TLS of the mesh, other TLS, plain text.
fn check_inbound(flags: Flags, port: u32, expected: &str) {
    let listeners = resources(&load(flags), "db-0", DataPlane::IstioProxy).listeners;
    let inbound = listeners.iter().find(|listener| listener.name == "virtualInbound").unwrap();
    assert_eq!(filters(inbound, Some(port)), vec![expected; 3], "{port}");
}

#[test]
fn what_arrives_is_read_too() {
    check_inbound(Flags::default(), 6379, "metadata_exchange tcp_proxy");
    check_inbound(redis(), 6379, "metadata_exchange redis_proxy");
    check_inbound(Flags::default(), 3306, "metadata_exchange tcp_proxy");
    check_inbound(mysql(), 3306, "metadata_exchange mysql_proxy tcp_proxy");
    let off = Flags { pilot_enable_mongo_filter: false, ..redis() };
    check_inbound(off, 27017, "metadata_exchange tcp_proxy");
}

/// An Envoy as its authors build it does not know the filter of `MySQL`, and would refuse the listener.
#[test]
fn a_stock_envoy_is_not_sent_what_it_does_not_know() {
    let mongo = ("172.20.0.1_27017", "mongo_proxy tcp_proxy");
    check_outbound(mysql(), "db-0", DataPlane::Envoy, &[mongo]);
    check_outbound(redis(), "edge-0", DataPlane::Envoy, &[("0.0.0.0_6379", "redis_proxy")]);
}

/// What the filter of Redis on a listener says.
fn of_redis(name: &str) -> RedisProxy {
    let listeners = resources(&load(redis()), "db-0", DataPlane::IstioProxy).listeners;
    let listener = listeners.iter().find(|listener| listener.name == name).unwrap();
    let filters = listener.filter_chains.iter().flat_map(|chain| &chain.filters);
    let mut configs = filters.filter_map(|filter| match &filter.config_type {
        Some(filter::ConfigType::TypedConfig(config)) => Some(config),
        Some(filter::ConfigType::ConfigDiscovery(_)) | None => None,
    });
    configs.find(|config| config.type_url == RedisProxy::type_url()).unwrap().to_msg().unwrap()
}

#[test]
fn commands_go_to_one_cluster_the_first_of_several() {
    let cluster = "outbound|6379||db.shop.svc.cluster.local";
    let expected = serde_json::json!({
        "statPrefix": cluster,
        "settings": {"opTimeout": "5s"},
        "latencyInMicros": true,
        "prefixRoutes": {"catchAllRoute": {"cluster": cluster}},
    });
    assert_eq!(json::to_value(&of_redis("172.20.0.1_6379")).unwrap(), expected);
    let split = of_redis("172.20.0.2_6379");
    assert_eq!(split.stat_prefix, "split.shop");
    let route = split.prefix_routes.unwrap().catch_all_route.unwrap();
    assert_eq!(route.cluster, "outbound|6379|v1|cache.shop.svc.cluster.local");
}

#[test]
fn clusters_of_redis_are_tables_unless_a_subset_passes_through() {
    let policy = |flags, port: u16, subset: &str, host: &str| {
        let clusters = resources(&load(flags), "db-0", DataPlane::IstioProxy).clusters;
        let name = format!("outbound|{port}|{subset}|{host}.shop.svc.cluster.local");
        clusters.iter().find(|cluster| cluster.name == name).unwrap().lb_policy()
    };
    let check = |port, subset, host, expected: [LbPolicy; 2]| {
        let found = [Flags::default(), redis()].map(|flags| policy(flags, port, subset, host));
        assert_eq!(found, expected, "{port} {subset} {host}");
    };
    check(6379, "", "cache", [LbPolicy::RingHash, LbPolicy::Maglev]);
    check(6379, "v1", "cache", [LbPolicy::RingHash, LbPolicy::Maglev]);
    check(6379, "v2", "cache", [LbPolicy::ClusterProvided, LbPolicy::ClusterProvided]);
    check(3306, "", "cache", [LbPolicy::RingHash, LbPolicy::RingHash]);
    check(6379, "", "db", [LbPolicy::ClusterProvided, LbPolicy::Maglev]);
    check(6379, "v1", "db", [LbPolicy::ClusterProvided, LbPolicy::Maglev]);
    check(7000, "", "db", [LbPolicy::ClusterProvided, LbPolicy::ClusterProvided]);
}

#[test]
fn a_connection_that_is_read_for_commands_goes_where_the_filter_says() {
    let resources = resources(&load(redis()), "db-0", DataPlane::IstioProxy);
    let configuration = Configuration {
        listeners: &resources.listeners,
        routes: &resources.routes,
        clusters: &resources.clusters,
        envoy: EnvoyFeatures::default(),
    };
    let address = Some("172.20.0.1".parse().unwrap());
    let request = Request { port: 6379, address, host: "db".to_owned(), ..Request::default() };
    let found = resolve(&configuration, &request);
    assert_eq!((&*found.listener, found.reason.code()), ("172.20.0.1_6379", "connection"));
    let Outcome::Forwarded(forward) = found.outcome else { panic!("{:?}", found.outcome) };
    let clusters: Vec<&str> = forward.destinations.iter().map(|share| &*share.cluster).collect();
    assert_eq!(clusters, ["outbound|6379||db.shop.svc.cluster.local"]);
}
