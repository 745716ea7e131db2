//! Objects as documents, a function a kind.
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const NAMES: &[&str] = &["cart", "web"];
const NAMESPACES: &[&str] = &["shop", "data", "istio-system"];
const HOSTS: &[&str] = &[
    "cart",
    "cart.shop.svc.cluster.local",
    "web.data.svc.cluster.local",
    "*.shop.svc.cluster.local",
    "api.example.org",
    "*.example.org",
    "*",
];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1"];

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

/// One of a few values.
fn one(values: Vec<Value>) -> impl Strategy<Value = Value> {
    select(values)
}

fn document(api: &str, kind: &str, meta: Value, body: Value) -> Value {
    let mut document = with(json!({"apiVersion": api, "kind": kind}), "metadata", meta);
    if let (Some(fields), Value::Object(body)) = (document.as_object_mut(), body) {
        fields.extend(body);
    }
    document
}

/// Metadata: mostly of equal age.
fn meta(name: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Value> {
    let age = one(vec![json!("2026-01-01T00:00:00Z"), json!("2026-01-02T00:00:00Z"), Value::Null]);
    (name, word(NAMESPACES), age).prop_map(|(name, namespace, age)| {
        let mut meta = json!({"name": name, "namespace": namespace});
        if let Some(fields) = meta.as_object_mut().filter(|_| !age.is_null()) {
            fields.insert("creationTimestamp".to_owned(), age);
        }
        meta
    })
}

fn with(mut meta: Value, key: &str, value: Value) -> Value {
    if let Some(fields) = meta.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    meta
}

/// An object that a cluster contains.
pub(super) fn kubernetes_object() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => service(),
        8 => endpoint_slice(),
        8 => pod(),
        2 => node(),
        2 => namespace(),
        2 => workload_entry(),
        1 => meta(word(NAMES)).prop_map(|meta| {
            document("multicluster.x-k8s.io/v1alpha1", "ServiceExport", meta, json!({}))
        }),
        1 => service_import(),
        2 => autoscaler(),
        1 => kubernetes_gateway(),
        1 => gateway_pod(),
        1 => meta(word(&["sa", "default"])).prop_map(|meta| {
            document("v1", "ServiceAccount", meta, json!({}))
        }),
        1 => settings_of_cluster(),
    ]
}

/// An object that configures the mesh.
pub(super) fn config_object() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => service_entry(),
        2 => workload_entry(),
        4 => destination_rule(),
        4 => virtual_service(),
        2 => sidecar(),
        3 => security("PeerAuthentication", vec![
            json!({"mtls": {"mode": "STRICT"}}),
            json!({"mtls": {"mode": "DISABLE"}}),
            json!({"selector": {"matchLabels": {"app": "cart"}}, "mtls": {"mode": "PERMISSIVE"}}),
            json!({}),
        ]),
        2 => security("AuthorizationPolicy", vec![
            json!({}),
            json!({"action": "DENY", "rules": [{}]}),
            json!({"selector": {"matchLabels": {"app": "cart"}}, "rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}),
        ]),
        1 => security("RequestAuthentication", vec![json!({"jwtRules": [{"issuer": "i"}]})]),
        1 => gateway(),
        2 => seldom(),
        1 => opaque(),
    ]
}

/// Kinds of one room each: templates of machines, settings of proxies, telemetry.
fn seldom() -> impl Strategy<Value = Value> {
    let kinds = one(vec![
        json!(["networking.istio.io/v1", "WorkloadGroup",
            {"metadata": {"labels": {"app": "cart"}}, "template": {"serviceAccount": "vm"}}]),
        json!(["networking.istio.io/v1beta1", "ProxyConfig", {"concurrency": 2}]),
        json!(["networking.istio.io/v1beta1", "ProxyConfig",
            {"selector": {"matchLabels": {"app": "cart"}}, "environmentVariables": {"ISTIO_META_DNS_CAPTURE": "true"}}]),
        json!(["telemetry.istio.io/v1", "Telemetry",
            {"accessLogging": [{"providers": [{"name": "envoy"}]}]}]),
        json!(["telemetry.istio.io/v1", "Telemetry",
            {"selector": {"matchLabels": {"app": "web"}}, "metrics": [{"overrides": [{"disabled": true}]}]}]),
        json!(["telemetry.istio.io/v1", "Telemetry", {"tracing": [{"randomSamplingPercentage": 5}]}]),
        json!(["networking.istio.io/v1beta1", "ProxyConfig", {"environmentVariables": {"ISTIO_META_NETWORK": "n2"}}]),
    ]);
    (meta(word(NAMES)), kinds).prop_map(of_kind)
}

/// Kinds that are kept as they are.
fn opaque() -> impl Strategy<Value = Value> {
    let kinds = one(vec![
        json!(["networking.istio.io/v1alpha3", "EnvoyFilter", {"configPatches": []}]),
        json!(["networking.istio.io/v1alpha3", "EnvoyFilter",
            {"workloadSelector": {"labels": {"app": "cart"}}, "configPatches": []}]),
        json!(["extensions.istio.io/v1alpha1", "WasmPlugin", {"url": "oci://example.org/a"}]),
        json!(["gateway.networking.k8s.io/v1", "HTTPRoute", {"hostnames": ["a.example.org"]}]),
        json!(["gateway.networking.k8s.io/v1", "HTTPRoute", {"hostnames": ["b.example.org"]}]),
        json!(["istio.alibabacloud.com/v1beta1", "RemoteIstio", {"hub": "example.org"}]),
        json!(["istio.alibabacloud.com/v1beta1", "Istio", {"mtls": {"enabled": true}}]),
        json!(["istio.alibabacloud.com/v1beta1", "Istio", {"mtls": {"enabled": false}}]),
        json!(["apps/v1", "Deployment", {"template": {"spec": {"containers": []}}}]),
        json!(["v1", "Secret", {}]),
        json!(["v1", "Secret", {"type": "kubernetes.io/tls"}]),
    ]);
    (meta(word(NAMES)), kinds).prop_map(of_kind)
}

/// A document of an API version, a kind and a spec.
fn of_kind((meta, mut kind): (Value, Value)) -> Value {
    let spec = kind.get_mut(2).map(Value::take).unwrap_or_default();
    let text = |at: usize| kind.get(at).and_then(Value::as_str).unwrap_or_default();
    document(text(0), text(1), meta, json!({"spec": spec}))
}

/// The ConfigMap with the mesh's settings, of the default revision or another.
fn settings_of_cluster() -> impl Strategy<Value = Value> {
    let mesh = select(vec![
        "{}",
        "trustDomain: other",
        "rootNamespace: data",
        "discoverySelectors: [{matchLabels: {team: a}}]",
        "defaultServiceExportTo: ['.']",
        "serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.data.svc.cluster.local']}]",
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nenableAutoMtls: false",
        "rootNamespace: [",
    ]);
    let networks = select(vec![
        "networks: {}",
        "networks: {n2: {endpoints: [{fromRegistry: c1}], gateways: [{address: 192.0.2.4, port: 15443}]}}",
    ]);
    let names = word(&["istio", "istio", "istio-canary"]);
    (names, mesh, prop::option::of(networks)).prop_map(|(name, mesh, networks)| {
        let meta = json!({"name": name, "namespace": "istio-system"});
        let data = networks.map_or_else(
            || json!({"mesh": mesh}),
            |networks| json!({"mesh": mesh, "meshNetworks": networks}),
        );
        document("v1", "ConfigMap", meta, json!({"data": data}))
    })
}

/// A pod that is a gateway: its only container is the proxy.
fn gateway_pod() -> impl Strategy<Value = Value> {
    (meta(word(&["gw-0"])), word(ADDRESSES), word(&["m1", ""])).prop_map(|(meta, address, node)| {
        let meta = with(meta, "labels", json!({"app": "gw"}));
        let containers = json!([{"name": "istio-proxy", "args": ["proxy", "router"]}]);
        let body = json!({
            "spec": {"nodeName": node, "containers": containers},
            "status": {"phase": "Running", "podIP": address},
        });
        document("v1", "Pod", meta, body)
    })
}

fn service() -> impl Strategy<Value = Value> {
    let labels = one(vec![
        json!({}),
        json!({}),
        json!({"istio.io/persistent-session": "s"}),
        json!({"topology.istio.io/network": "n2"}),
        json!({"istio.io/use-waypoint": "web"}),
        json!({"topology.istio.io/network": "n1", "networking.istio.io/gatewayPort": "80"}),
    ]);
    let annotations = one(vec![
        json!({}),
        json!({"networking.istio.io/exportTo": "."}),
        json!({"networking.istio.io/exportTo": "data,shop"}),
        json!({"networking.istio.io/traffic-distribution": "PreferClose"}),
        json!({"traffic.istio.io/nodeSelector": "{\"topology.kubernetes.io/region\": \"eu\"}"}),
        json!({"alpha.istio.io/kubernetes-serviceaccounts": "sa"}),
    ]);
    let ports =
        json!([{"name": "http", "port": 80, "targetPort": "http"}, {"name": "tls", "port": 15443}]);
    let spec = one(vec![
        json!({"clusterIP": "10.100.0.1", "selector": {"app": "cart"}, "ports": ports}),
        json!({"clusterIP": "None", "selector": {"app": "web"}, "ports": ports}),
        json!({"type": "ExternalName", "externalName": "web.data.svc.cluster.local", "ports": ports}),
        json!({"type": "LoadBalancer", "clusterIP": "10.100.0.2", "externalIPs": ["192.0.2.9"], "ports": ports}),
        json!({"clusterIP": "10.100.0.3", "ports": [{"name": "tcp", "port": 80, "targetPort": 8080}]}),
        json!({"type": "NodePort", "clusterIP": "10.100.0.4", "selector": {"app": "cart"},
               "ports": [{"name": "tls", "port": 15443, "nodePort": 30443}]}),
        json!({"clusterIP": "10.100.0.5", "selector": {"app": "cart"}, "ports": ports,
               "publishNotReadyAddresses": true, "internalTrafficPolicy": "Local"}),
    ]);
    (meta(word(NAMES)), labels, annotations, spec).prop_map(|(meta, labels, annotations, spec)| {
        let meta = with(with(meta, "labels", labels), "annotations", annotations);
        document("v1", "Service", meta, json!({"spec": spec}))
    })
}

/// Endpoints of a service.
pub(super) fn endpoint_slice() -> impl Strategy<Value = Value> {
    let conditions = one(vec![
        json!({}),
        json!({"ready": true}),
        json!({"ready": false}),
        json!({"ready": false, "serving": true, "terminating": true}),
        json!({"ready": false, "serving": false, "terminating": false}),
    ]);
    let target = one(vec![
        json!({"kind": "Pod", "name": "cart-0"}),
        json!({"kind": "Pod", "name": "cart-1"}),
        json!({"kind": "Pod", "name": "gone"}),
        json!({"kind": "Pod", "name": "cart-0", "namespace": "data"}),
        Value::Null,
    ]);
    let entry = (word(ADDRESSES), conditions, target).prop_map(|(address, conditions, target)| {
        let entry = json!({"addresses": [address], "conditions": conditions});
        if target.is_null() { entry } else { with(entry, "targetRef", target) }
    });
    let labels = prop_oneof![
        9 => word(NAMES).prop_map(|name| json!({"kubernetes.io/service-name": name})),
        1 => Just(json!({"multicluster.kubernetes.io/service-name": "cart", "kubernetes.io/service-name": "cart"})),
        1 => Just(json!({})),
    ];
    let entries = prop::collection::vec(entry, 0..5);
    (meta(word(&["cart-a", "cart-b", "web-a"])), labels, entries).prop_map(
        |(meta, labels, entries)| {
            let ports = json!([{"name": "http", "port": 8080}, {"name": "tls", "port": 15443}]);
            let body = json!({"addressType": "IPv4", "endpoints": entries, "ports": ports});
            document("discovery.k8s.io/v1", "EndpointSlice", with(meta, "labels", labels), body)
        },
    )
}

fn pod() -> impl Strategy<Value = Value> {
    let labels = one(vec![
        json!({"app": "cart", "security.istio.io/tlsMode": "istio"}),
        json!({"app": "web"}),
        json!({"app": "cart", "version": "v1", "topology.istio.io/network": "n2"}),
        json!({"app": "cart", "istio-locality": "eu.west"}),
        json!({"app": "cart", "networking.istio.io/tunnel": "http"}),
    ]);
    let status = (
        word(ADDRESSES),
        select(vec!["True", "False"]),
        select(vec!["Running", "Running", "Failed"]),
    );
    (meta(word(&["cart-0", "cart-1", "web-0"])), labels, word(&["m1", "m2", ""]), status).prop_map(
        |(meta, labels, node, (address, ready, phase))| {
            let containers = json!([{"name": "web", "ports": [{"name": "http", "containerPort": 8080}]}]);
            let body = json!({
                "spec": {"nodeName": node, "serviceAccountName": "sa", "containers": containers},
                "status": {"phase": phase, "podIP": address, "conditions": [{"type": "Ready", "status": ready}]},
            });
            document("v1", "Pod", with(meta, "labels", labels), body)
        },
    )
}

/// An autoscaler, and one that is refused.
fn autoscaler() -> impl Strategy<Value = Value> {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"});
    let versions = word(&["autoscaling/v2", "autoscaling/v1", "autoscaling/v2beta2"]);
    let bounds = select(vec![(1, 3), (2, 10), (4, 3)]);
    (meta(word(NAMES)), versions, bounds).prop_map(move |(meta, api, (least, most))| {
        let spec = json!({"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most});
        document(api, "HorizontalPodAutoscaler", meta, json!({"spec": spec}))
    })
}

fn node() -> impl Strategy<Value = Value> {
    let labels = one(vec![
        json!({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "a"}),
        json!({"topology.kubernetes.io/region": "us", "topology.istio.io/subzone": "s"}),
        json!({"failure-domain.beta.kubernetes.io/region": "eu"}),
        json!({}),
    ]);
    let external = word(&["192.0.2.7", "192.0.2.8"]);
    (word(&["m1", "m2"]), labels, external).prop_map(|(name, labels, external)| {
        let addresses = json!([{"type": "ExternalIP", "address": external}]);
        let meta = json!({"name": name, "labels": labels});
        document("v1", "Node", meta, json!({"status": {"addresses": addresses}}))
    })
}

fn namespace() -> impl Strategy<Value = Value> {
    let more = one(vec![
        json!({}),
        json!({"labels": {"team": "a"}}),
        json!({"labels": {"topology.istio.io/network": "n1", "team": "a"}}),
        json!({"annotations": {"networking.istio.io/traffic-distribution": "PreferClose"}}),
        json!({"labels": {"istio.io/dataplane-mode": "ambient"}}),
        json!({"labels": {"istio.io/use-waypoint": "web", "team": "a"}}),
    ]);
    (word(NAMESPACES), more).prop_map(|(name, mut meta)| {
        meta = with(meta, "name", json!(name));
        document("v1", "Namespace", meta, json!({}))
    })
}

fn workload_entry() -> impl Strategy<Value = Value> {
    let spec = one(vec![
        json!({"address": "10.9.0.1", "labels": {"app": "cart"}, "ports": {"http": 8081}}),
        // A pod may have the address.
        json!({"address": "10.0.0.2", "labels": {"app": "cart"}, "ports": {"http": 8082}}),
        json!({"address": "10.9.0.2", "labels": {"app": "web"}, "serviceAccount": "vm", "weight": 3}),
        json!({"address": "vm.example.org", "labels": {"app": "cart"}, "network": "n2"}),
    ]);
    (meta(word(&["vm-0", "cart-0"])), spec).prop_map(|(meta, spec)| {
        document("networking.istio.io/v1", "WorkloadEntry", meta, json!({"spec": spec}))
    })
}

fn service_import() -> impl Strategy<Value = Value> {
    let specs = one(vec![
        json!({"type": "ClusterSetIP", "ips": ["10.200.0.1"], "ports": [{"port": 80}]}),
        json!({"type": "ClusterSetIP", "ips": ["10.200.0.2", "10.200.0.1"], "ports": [{"port": 81}]}),
        json!({"type": "Headless", "ports": [{"port": 80}]}),
    ]);
    (meta(word(NAMES)), specs).prop_map(|(meta, spec)| {
        document("multicluster.x-k8s.io/v1alpha1", "ServiceImport", meta, json!({"spec": spec}))
    })
}

fn kubernetes_gateway() -> impl Strategy<Value = Value> {
    let class = select(vec!["istio", "istio-remote"]);
    let listener = one(vec![
        json!({"name": "a", "port": 15443, "protocol": "TLS", "tls": {"mode": "Passthrough"}}),
        json!({"name": "b", "port": 15008, "protocol": "HBONE"}),
    ]);
    (meta(word(NAMES)), class, listener).prop_map(|(meta, class, listener)| {
        let meta = with(meta, "labels", json!({"topology.istio.io/network": "n2"}));
        let addresses =
            json!([{"type": "IPAddress", "value": "192.0.2.30"}, {"value": "192.0.2.31"}]);
        let spec =
            json!({"gatewayClassName": class, "addresses": addresses, "listeners": [listener]});
        document("gateway.networking.k8s.io/v1", "Gateway", meta, json!({"spec": spec}))
    })
}

fn service_entry() -> impl Strategy<Value = Value> {
    let ports = json!([{"number": 443, "name": "tls", "protocol": "TLS"}]);
    let spec = one(vec![
        json!({"hosts": ["api.example.org"], "ports": ports, "resolution": "DNS"}),
        json!({"hosts": ["*.example.org"], "ports": ports, "resolution": "NONE"}),
        json!({"hosts": ["api.example.org", "b.example.org"], "addresses": ["240.1.1.1", "240.1.1.2/32"],
               "ports": ports, "resolution": "STATIC", "endpoints": [{"address": "10.0.0.1"}, {"address": "10.8.0.2", "weight": 2}]}),
        json!({"hosts": ["vm.example.org"], "ports": ports, "resolution": "STATIC", "location": "MESH_INTERNAL",
               "workloadSelector": {"labels": {"app": "cart"}}}),
        json!({"hosts": ["cart.shop.svc.cluster.local"], "ports": ports, "resolution": "STATIC",
               "endpoints": [{"address": "10.8.0.3"}], "exportTo": ["."]}),
    ]);
    (meta(word(NAMES)), spec).prop_map(|(meta, spec)| {
        document("networking.istio.io/v1", "ServiceEntry", meta, json!({"spec": spec}))
    })
}

fn destination_rule() -> impl Strategy<Value = Value> {
    let rest = one(vec![
        json!({}),
        json!({"exportTo": ["."]}),
        json!({"exportTo": ["data"], "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}),
        json!({"workloadSelector": {"matchLabels": {"app": "web"}}}),
        json!({"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3}, "tls": {"mode": "ISTIO_MUTUAL"}}}),
        json!({"subsets": [{"name": "v2"}], "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}),
    ]);
    (meta(word(NAMES)), word(HOSTS), rest).prop_map(|(meta, host, rest)| {
        let spec = with(rest, "host", json!(host));
        document("networking.istio.io/v1", "DestinationRule", meta, json!({"spec": spec}))
    })
}

fn virtual_service() -> impl Strategy<Value = Value> {
    let to = |host: &str| json!({"route": [{"destination": {"host": host}}]});
    let spec = one(vec![
        json!({"hosts": ["cart"], "http": [to("cart")]}),
        json!({"hosts": ["*.example.org", "web"], "http": [to("api.example.org")], "exportTo": ["."]}),
        json!({"hosts": ["cart"], "http": [{"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "web", "namespace": "shop"}}]}),
        json!({"http": [to("cart.shop.svc.cluster.local")]}),
        json!({"hosts": ["*"], "gateways": ["gw", "mesh"], "http": [to("web")], "exportTo": ["data", "shop"]}),
        json!({"hosts": ["cart"], "http": [to("web")], "exportTo": ["~"]}),
    ]);
    (meta(word(NAMES)), spec).prop_map(|(meta, spec)| {
        document("networking.istio.io/v1", "VirtualService", meta, json!({"spec": spec}))
    })
}

fn sidecar() -> impl Strategy<Value = Value> {
    let spec = one(vec![
        json!({"egress": [{"hosts": ["./*"]}]}),
        json!({"egress": [{"hosts": ["*/*"]}], "workloadSelector": {"labels": {"app": "cart"}}}),
        json!({"egress": [{"hosts": ["shop/cart.shop.svc.cluster.local", "*/*.example.org"]}]}),
    ]);
    (meta(word(NAMES)), spec).prop_map(|(meta, spec)| {
        document("networking.istio.io/v1", "Sidecar", meta, json!({"spec": spec}))
    })
}

fn security(kind: &'static str, specs: Vec<Value>) -> impl Strategy<Value = Value> {
    (meta(word(NAMES)), one(specs)).prop_map(move |(meta, spec)| {
        document("security.istio.io/v1", kind, meta, json!({"spec": spec}))
    })
}

fn gateway() -> impl Strategy<Value = Value> {
    meta(word(&["gw"])).prop_map(|meta| {
        let server = json!({"port": {"number": 15443, "name": "tls", "protocol": "TLS"},
            "hosts": ["*.local"], "tls": {"mode": "AUTO_PASSTHROUGH"}});
        let spec = json!({"selector": {"app": "gw"}, "servers": [server]});
        document("networking.istio.io/v1", "Gateway", meta, json!({"spec": spec}))
    })
}
