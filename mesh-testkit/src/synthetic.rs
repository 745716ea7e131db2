//! Meshes of any size, the same one for the same measures: input for benchmarks and for tests of scale.
//!
//! ```
//! use mesh_testkit::synthetic::Synthetic;
//!
//! let mut registry = mesh_model::registry::Registry::new(mesh_model::Compat::default());
//! let diagnostics = registry.load(Synthetic { services: 5, ..Synthetic::default() }.sources());
//! assert_eq!(diagnostics, []);
//! let client = registry.mesh().proxy("c0/ns-0/load-0").unwrap();
//! assert_eq!(client.locality.zone(), "region-0-z0");
//! ```
use mesh_model::registry::{Origin, Source};
use serde_json::{Value, json};

/// The measures of a mesh. Every tenth service speaks TCP, the others HTTP; each has port 8080.
///
/// Each cluster has a client `load-0` in namespace `ns-0`, which sees every service.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers say what they need and take the rest as it is"
)]
pub struct Synthetic {
    /// How many services there are.
    pub services: usize,
    /// Pods of each service in the whole mesh, spread over clusters and zones in turn; every fifth is
    /// version `v2`, the others are `v1`.
    pub endpoints: usize,
    /// Clusters `c0`, `c1`, …, all served by the first; each is a region of its own, four regions at most.
    pub clusters: usize,
    /// Networks that clusters are spread over; more than 1 gives each cluster an east-west gateway.
    pub networks: usize,
    /// Zones of each cluster.
    pub zones: usize,
    /// Namespaces `ns-0`, `ns-1`, … that services are spread over.
    pub namespaces: usize,
    /// Percent of services with a DestinationRule: outlier detection, subsets by version, failover of
    /// `region-0` to `region-1`.
    pub rules: usize,
    /// Percent of services with a VirtualService (a header match, weights 90 and 10 over the subsets,
    /// a timeout, retries), of those that speak HTTP and have a DestinationRule.
    pub routes: usize,
    /// Percent of services with an AuthorizationPolicy that allows two clients, of those that speak HTTP.
    pub policies: usize,
}

impl Default for Synthetic {
    /// 1,000 services of 10 endpoints in 3 clusters of one network.
    fn default() -> Self {
        Self {
            services: 1_000,
            endpoints: 10,
            clusters: 3,
            networks: 1,
            zones: 3,
            namespaces: 20,
            rules: 50,
            routes: 20,
            policies: 20,
        }
    }
}

/// What a cluster contains, and how many addresses it has given away.
#[derive(Debug, Default)]
struct Cluster {
    objects: Vec<Value>,
    pods: usize,
}

impl Synthetic {
    /// The mesh as texts to load: a file of `config/` and two of each cluster, JSON lists.
    pub fn sources(&self) -> Vec<Source> {
        let mut clusters: Vec<Cluster> =
            (0..self.clusters).map(|index| self.cluster(index)).collect();
        for service in 0..self.services {
            self.add_service(service, &mut clusters);
        }
        let mut sources = vec![source(Origin::Config, "config/istio.json", &list(&self.config()))];
        for (index, cluster) in clusters.into_iter().enumerate() {
            let name = format!("c{index}");
            let role = if index == 0 { "primary" } else { "remote" };
            let description = json!({"name": name, "role": role, "controlPlane": "c0"});
            let origin = Origin::Description(name.as_str().into());
            sources.push(source(origin, &format!("clusters/{name}/cluster.json"), &description));
            let origin = Origin::Cluster(name.as_str().into());
            let path = format!("clusters/{name}/objects.json");
            sources.push(source(origin, &path, &list(&cluster.objects)));
        }
        sources
    }

    fn network(&self, cluster: usize) -> Option<String> {
        (self.networks > 1).then(|| format!("net-{}", cluster % self.networks))
    }

    /// Namespaces, nodes, the client and the gateway of a cluster.
    fn cluster(&self, index: usize) -> Cluster {
        let mut cluster = Cluster::default();
        let labels =
            self.network(index).map(|network| json!({"topology.istio.io/network": network}));
        let system =
            object("v1", "Namespace", json!({"name": "istio-system", "labels": labels}), json!({}));
        cluster.objects.push(system);
        for namespace in 0..self.namespaces {
            let meta = json!({"name": format!("ns-{namespace}")});
            cluster.objects.push(object("v1", "Namespace", meta, json!({})));
        }
        let region = region(index);
        for zone in 0..self.zones {
            let labels = json!({
                "topology.kubernetes.io/region": region,
                "topology.kubernetes.io/zone": format!("{region}-z{zone}"),
            });
            let meta = json!({"name": format!("c{index}-node-{zone}"), "labels": labels});
            cluster.objects.push(object("v1", "Node", meta, json!({})));
        }
        let client = Pod {
            name: "load-0".into(),
            namespace: "ns-0".into(),
            app: "load".into(),
            version: "v1",
            zone: 0,
        };
        self.add_pod(index, &mut cluster, &client);
        if let Some(network) = self.network(index) {
            let labels = json!({"istio": "eastwestgateway", "topology.istio.io/network": network});
            let meta = json!({"name": "istio-eastwestgateway", "namespace": "istio-system", "labels": labels});
            let port =
                json!({"name": "tls", "port": 15443, "targetPort": 15443, "protocol": "TCP"});
            let spec = json!({
                "clusterIP": format!("172.{}.255.1", 16 + index), "type": "LoadBalancer",
                "selector": {"istio": "eastwestgateway"}, "ports": [port],
            });
            let status = json!({"loadBalancer": {"ingress": [{"ip": format!("34.1.{index}.1")}]}});
            let body = json!({"spec": spec, "status": status});
            cluster.objects.push(object("v1", "Service", meta, body));
        }
        cluster
    }

    /// Adds a pod; returns its address.
    fn add_pod(&self, index: usize, cluster: &mut Cluster, pod: &Pod) -> String {
        let (count, second) = (cluster.pods, index * 8 + cluster.pods / 62_500);
        cluster.pods += 1;
        let first = if count < 62_500 { 10 } else { 11 };
        let second = if count < 62_500 { index } else { second };
        let address = format!("{first}.{second}.{}.{}", count % 62_500 / 250, count % 250 + 1);
        let mut labels = json!({
            "app": pod.app, "version": pod.version,
            "security.istio.io/tlsMode": "istio",
            "service.istio.io/canonical-name": pod.app,
            "service.istio.io/canonical-revision": pod.version,
        });
        if let (Some(network), Some(labels)) = (self.network(index), labels.as_object_mut()) {
            labels.insert("topology.istio.io/network".to_owned(), network.into());
        }
        let meta = json!({"name": pod.name, "namespace": pod.namespace, "labels": labels});
        let body = json!({
            "spec": {
                "nodeName": format!("c{index}-node-{}", pod.zone), "serviceAccountName": pod.app,
                "containers": [{"name": "app", "image": "app"}, {"name": "istio-proxy", "image": "proxy"}],
            },
            "status": {
                "podIP": address, "podIPs": [{"ip": address}], "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        cluster.objects.push(object("v1", "Pod", meta, body));
        address
    }

    /// Adds a service, its pods and their slices to every cluster.
    fn add_service(&self, service: usize, clusters: &mut [Cluster]) {
        let (name, namespace) = (format!("svc-{service}"), self.namespace(service));
        let port_name = if is_tcp(service) { "tcp-main" } else { "http-main" };
        for (index, cluster) in clusters.iter_mut().enumerate() {
            let region = region(index);
            let mut endpoints = Vec::new();
            for pod in (index..self.endpoints).step_by(self.clusters.max(1)) {
                let pod = Pod {
                    name: format!("{name}-{pod}"),
                    namespace: namespace.clone(),
                    app: name.clone(),
                    version: if pod % 5 == 4 { "v2" } else { "v1" },
                    zone: pod / self.clusters.max(1) % self.zones.max(1),
                };
                let address = self.add_pod(index, cluster, &pod);
                endpoints.push(json!({
                    "addresses": [address],
                    "conditions": {"ready": true, "serving": true, "terminating": false},
                    "nodeName": format!("c{index}-node-{}", pod.zone),
                    "zone": format!("{region}-z{}", pod.zone),
                    "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.namespace},
                }));
            }
            let meta = json!({"name": name, "namespace": namespace});
            let address = format!("172.{}.{}.{}", 16 + index, service / 250, service % 250 + 1);
            let port =
                json!({"name": port_name, "port": 8080, "targetPort": 8080, "protocol": "TCP"});
            let spec = json!({"clusterIP": address, "clusterIPs": [address], "selector": {"app": name}, "ports": [port]});
            cluster.objects.push(object("v1", "Service", meta, json!({"spec": spec})));
            for (slice, endpoints) in endpoints.chunks(100).enumerate() {
                let labels = json!({"kubernetes.io/service-name": name});
                let meta = json!({"name": format!("{name}-{slice}"), "namespace": namespace, "labels": labels});
                let port = json!({"name": port_name, "port": 8080, "protocol": "TCP"});
                let body = json!({"addressType": "IPv4", "ports": [port], "endpoints": endpoints});
                cluster.objects.push(object("discovery.k8s.io/v1", "EndpointSlice", meta, body));
            }
        }
    }

    fn namespace(&self, service: usize) -> String {
        format!("ns-{}", service % self.namespaces.max(1))
    }

    /// The objects of the config cluster.
    fn config(&self) -> Vec<Value> {
        let mut objects = Vec::new();
        for service in 0..self.services {
            let percentile = service % 100;
            let is_http = !is_tcp(service);
            if percentile < self.rules {
                objects.push(self.destination_rule(service));
            }
            if is_http && percentile < self.rules.min(self.routes) {
                objects.push(self.virtual_service(service));
            }
            if is_http && percentile >= 100_usize.saturating_sub(self.policies) {
                objects.push(self.authorization_policy(service));
            }
        }
        let meta = json!({"name": "default", "namespace": "istio-system"});
        let body = json!({"spec": {"mtls": {"mode": "STRICT"}}});
        objects.push(object("security.istio.io/v1", "PeerAuthentication", meta, body));
        objects
    }

    fn meta(&self, service: usize) -> Value {
        json!({"name": format!("svc-{service}"), "namespace": self.namespace(service)})
    }

    fn host(&self, service: usize) -> String {
        format!("svc-{service}.{}.svc.cluster.local", self.namespace(service))
    }

    fn destination_rule(&self, service: usize) -> Value {
        let subset = |version: &str| json!({"name": version, "labels": {"version": version}});
        let failover = json!([{"from": "region-0", "to": "region-1"}]);
        let spec = json!({
            "host": self.host(service),
            "trafficPolicy": {
                "connectionPool": {"tcp": {"maxConnections": 100}, "http": {"http2MaxRequests": 1000}},
                "outlierDetection": {"consecutive5xxErrors": 5, "interval": "10s", "baseEjectionTime": "30s"},
                "loadBalancer": {
                    "simple": "LEAST_REQUEST",
                    "localityLbSetting": {"enabled": true, "failover": failover},
                },
            },
            "subsets": [subset("v1"), subset("v2")],
        });
        object(
            "networking.istio.io/v1",
            "DestinationRule",
            self.meta(service),
            json!({"spec": spec}),
        )
    }

    fn virtual_service(&self, service: usize) -> Value {
        let host = self.host(service);
        let to = |subset: &str| json!({"host": host, "subset": subset});
        let spec = json!({
            "hosts": [host],
            "http": [
                {
                    "match": [{"headers": {"x-preview": {"exact": "true"}}}],
                    "route": [{"destination": to("v2")}],
                },
                {
                    "timeout": "5s",
                    "retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,connect-failure"},
                    "route": [{"destination": to("v1"), "weight": 90}, {"destination": to("v2"), "weight": 10}],
                },
            ],
        });
        object(
            "networking.istio.io/v1",
            "VirtualService",
            self.meta(service),
            json!({"spec": spec}),
        )
    }

    fn authorization_policy(&self, service: usize) -> Value {
        let next = (service + 1) % self.services.max(1);
        let principals = [
            "cluster.local/ns/ns-0/sa/load".to_owned(),
            format!("cluster.local/ns/{}/sa/svc-{next}", self.namespace(service)),
        ];
        let operation = json!({"methods": ["GET", "POST"], "paths": ["/api/*", "/healthz"]});
        let rule = json!({
            "from": [{"source": {"principals": principals}}],
            "to": [{"operation": operation}],
        });
        let selector = json!({"matchLabels": {"app": format!("svc-{service}")}});
        let spec = json!({"selector": selector, "action": "ALLOW", "rules": [rule]});
        object(
            "security.istio.io/v1",
            "AuthorizationPolicy",
            self.meta(service),
            json!({"spec": spec}),
        )
    }
}

#[derive(Debug)]
struct Pod {
    name: String,
    namespace: String,
    app: String,
    version: &'static str,
    zone: usize,
}

fn is_tcp(service: usize) -> bool {
    service % 10 == 9
}

fn region(cluster: usize) -> String {
    format!("region-{}", cluster % 4)
}

/// An object of a kind: the body's members stand beside the metadata.
fn object(api_version: &str, kind: &str, mut meta: Value, mut body: Value) -> Value {
    if let Some(meta) = meta.as_object_mut() {
        meta.retain(|_, value| !value.is_null());
        meta.insert("creationTimestamp".to_owned(), "2026-01-01T00:00:00Z".into());
    }
    if let Some(members) = body.as_object_mut() {
        members.insert("apiVersion".to_owned(), api_version.into());
        members.insert("kind".to_owned(), kind.into());
        members.insert("metadata".to_owned(), meta);
    }
    body
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn source(origin: Origin, name: &str, value: &Value) -> Source {
    Source { origin, name: name.into(), text: value.to_string().into_bytes() }
}
