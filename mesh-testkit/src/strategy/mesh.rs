//! Valid meshes and changes of them, over so few names that everything meets.
//!
//! Skewed to the edges: networks whose ranges overlap, services without endpoints, wildcard hosts,
//! objects of equal age, several objects for one host, pods that slices name and nobody knows.
//!
//! ```
//! use mesh_model::registry::Registry;
//! use mesh_testkit::strategy::mesh;
//! use proptest::prelude::*;
//!
//! proptest!(|(mesh in mesh::mesh(), changes in mesh::changes(1..5))| {
//!     let mut registry = Registry::default();
//!     registry.apply_all(mesh);
//!     for change in changes {
//!         let before = registry.mesh();
//!         let effect = registry.apply(change);
//!         prop_assert!(!std::sync::Arc::ptr_eq(&before, &registry.mesh()) || effect.is_empty());
//!     }
//! });
//! ```
use std::ops::Range;
use std::sync::Arc;

use mesh_model::manifest::{Limits, Node, read};
use mesh_model::registry::{Broken, Change, Origin};
use mesh_model::resource::{
    ClusterDescription, MeshConfig, MeshNetworks, ObjectKey, ProxyEntry, decode,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use self::objects::{config_object, endpoint_slice, kubernetes_object};

mod objects;

/// An object and the part of the mesh that it is in.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a document and its place")]
pub struct Manifest {
    /// Which part of the mesh it is in.
    pub origin: Origin,
    /// The document.
    pub document: Value,
}

impl Manifest {
    /// The change that puts the object there; `None` if it is no object that the mesh uses.
    pub fn upsert(&self) -> Option<Change> {
        let resource = Box::new(decode(&node(&self.document)?, &file(), "default").resource?);
        Some(Change::Upsert { origin: self.origin.clone(), resource })
    }

    /// The change that takes the object away.
    pub fn delete(&self) -> Option<Change> {
        let object = decode(&node(&self.document)?, &file(), "default").object?;
        Some(Change::Delete { origin: self.origin.clone(), object })
    }
}

fn file() -> Arc<str> {
    Arc::from("generated.json")
}

fn node(document: &Value) -> Option<Node> {
    let reading = read("generated.json", document.to_string().as_bytes(), &Limits::default());
    reading.documents.into_iter().next().map(|document| document.node)
}

/// An object of one of three clusters, or of the config cluster.
pub fn manifest() -> impl Strategy<Value = Manifest> {
    let ids = || select(vec!["c1", "c1", "c1", "c1", "c2", "c2", "c3"]);
    let cluster = move || ids().prop_map(|id| Origin::Cluster(id.into()));
    let kubernetes = (cluster(), kubernetes_object());
    let config = (prop_oneof![2 => Just(Origin::Config), 1 => cluster()], config_object());
    prop_oneof![
        3 => kubernetes.prop_map(|(origin, document)| Manifest { origin, document }),
        2 => config.prop_map(|(origin, document)| Manifest { origin, document }),
    ]
}

/// A change of a mesh: mostly of single objects, now and then of settings; clusters come and go.
pub fn change() -> impl Strategy<Value = Change> {
    let object = (manifest(), prop::bool::weighted(0.25));
    let object = object.prop_filter_map("an object of the mesh", |(manifest, is_gone)| {
        if is_gone { manifest.delete() } else { manifest.upsert() }
    });
    prop_oneof![16 => object, 3 => setting()]
}

/// Some changes.
pub fn changes(number: Range<usize>) -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), number)
}

/// A mesh of up to three clusters, as the changes that make it: settings first, then objects in any order.
pub fn mesh() -> impl Strategy<Value = Vec<Change>> {
    let objects = prop::collection::vec(manifest(), 0..60);
    let objects = objects
        .prop_map(|manifests| manifests.iter().filter_map(Manifest::upsert).collect::<Vec<_>>());
    (prop::collection::vec(setting(), 0..4), objects)
        .prop_map(|(settings, objects)| settings.into_iter().chain(objects).collect())
}

/// A change of endpoints only: a slice of a service, come, gone or different.
pub fn endpoint_change() -> impl Strategy<Value = Change> {
    let cluster = select(vec!["c1", "c2"]).prop_map(|id| Origin::Cluster(id.into()));
    let manifest =
        (cluster, endpoint_slice()).prop_map(|(origin, document)| Manifest { origin, document });
    (manifest, prop::bool::weighted(0.25)).prop_filter_map("a slice", |(manifest, is_gone)| {
        if is_gone { manifest.delete() } else { manifest.upsert() }
    })
}

/// What is said of proxies beside their pods.
fn proxies() -> impl Strategy<Value = Change> {
    let entry = select(vec![
        json!({"ref": "c1/shop/cart-0", "metadata": {"NETWORK": "n2", "DNS_CAPTURE": "true"}}),
        json!({"ref": "c1/shop/cart-0", "type": "gateway"}),
        json!({"ref": "c1/data/web-0", "type": "waypoint"}),
        json!({"ref": "c2/shop/cart-1", "metadata": {"GENERATOR": "grpc"}}),
        json!({"ref": "c1/istio-system/cart-0", "type": "ztunnel"}),
    ]);
    prop::collection::vec(entry, 0..3).prop_map(|entries| {
        let entry = |document: &Value| ProxyEntry::decode(&node(document)?, &file()).0;
        Change::Proxies(entries.iter().filter_map(entry).collect())
    })
}

/// Security policies that could not be understood.
fn broken() -> impl Strategy<Value = Change> {
    let kind = select(vec![
        "AuthorizationPolicy",
        "PeerAuthentication",
        "RequestAuthentication",
        "Service",
        "Namespace",
    ]);
    let namespace = select(vec!["shop", "data", "istio-system"]);
    let origin = select(vec![Origin::Config, Origin::Cluster("c1".into())]);
    let one = (kind, namespace, origin).prop_map(|(kind, namespace, origin)| Broken {
        object: ObjectKey { kind, namespace: namespace.into(), name: "broken".into() },
        origin,
        selector: None,
        labels: None,
        action: None,
        token_places: None,
        reason: "it is broken".to_owned(),
    });
    prop::collection::vec(one, 0..3).prop_map(Change::Broken)
}

/// Settings of the mesh, its networks, and how its clusters are run.
pub fn setting() -> impl Strategy<Value = Change> {
    let config = select(vec![
        json!({}),
        json!({"defaultServiceExportTo": ["."], "defaultDestinationRuleExportTo": ["."]}),
        json!({"discoverySelectors": [{"matchLabels": {"team": "a"}}]}),
        json!({"rootNamespace": "shop", "trustDomain": "td"}),
        json!({"discoverySelectors": [
            {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
            {"matchLabels": {"topology.istio.io/network": "n1"}},
        ]}),
        json!({"serviceEntryVisibility": {"applyToSidecars": true, "defaultVisibility": "NAMESPACE", "policies": [
            {"visibility": "PUBLIC", "matchingRules": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]}]}}),
        json!({"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}, "enableAutoMtls": false,
               "defaultVirtualServiceExportTo": ["."]}),
        json!({"defaultConfig": {"discoveryAddress": "web.data.svc:15012"}}),
        json!({"serviceSettings": [{"settings": {"clusterLocal": true}, "hosts": ["*.shop.svc.cluster.local"]}]}),
    ]);
    let networks = select(vec![
        json!({"networks": {}}),
        json!({"networks": {
            "n1": {"endpoints": [{"fromRegistry": "c1"}], "gateways": [{"address": "192.0.2.1", "port": 15443}]},
            "n2": {"endpoints": [{"fromRegistry": "c2"}], "gateways": [
                {"registryServiceName": "cart.shop.svc.cluster.local", "port": 80}]},
        }}),
        json!({"networks": {
            "n1": {"endpoints": [{"fromCidr": "10.0.0.0/8"}], "gateways": [{"address": "gw.example.org", "port": 15443}]},
            "n2": {"endpoints": [{"fromCidr": "10.0.0.0/24"}], "gateways": []},
        }}),
    ]);
    let description = select(vec![
        json!({"role": "primary"}),
        json!({"role": "remote"}),
        json!({"role": "config"}),
        json!({"controlPlane": "external", "reachable": false}),
        json!({"role": "primary", "reads": []}),
        json!({"role": "remote", "controlPlane": "c1", "trustDomain": "other"}),
        json!({"role": "primary", "reads": ["c2"], "network": "n1"}),
    ]);
    let cluster = select(vec!["c1", "c2", "c3"]);
    let described = (cluster.clone(), prop::option::of(description));
    prop_oneof![
        3 => prop::option::weighted(0.8, config).prop_map(|document| {
            let node = document.as_ref().and_then(node);
            let config = node.map(|node| Arc::new(MeshConfig::decode(&node, &file()).0));
            Change::MeshConfig(config)
        }),
        3 => prop::option::weighted(0.8, networks).prop_map(|document| {
            let node = document.as_ref().and_then(node);
            let networks = node.map(|node| Arc::new(MeshNetworks::decode(&node, &file()).0));
            Change::MeshNetworks(networks)
        }),
        3 => described.prop_map(|(cluster, document)| {
            let description = document.as_ref().and_then(node).map(|node| {
                Arc::new(ClusterDescription::decode(&node, &file()).0)
            });
            Change::Describe(cluster.into(), description)
        }),
        2 => cluster.prop_map(|cluster| Change::Remove(cluster.into())),
        2 => proxies(),
        1 => broken(),
    ]
}
