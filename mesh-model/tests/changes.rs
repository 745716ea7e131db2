//! Changing a mesh: what a change gives, what it shares, and what its effect names.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::name::{Hostname, Namespace};
use mesh_model::registry::{Change, ControlPlane, Effect, Mesh, Origin, Registry};
use mesh_testkit::strategy::mesh::{self, Manifest};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

/// A registry in which nothing was changed twice: the same objects, at once.
fn from_scratch(compat: &Compat, changes: &[Change]) -> Arc<Mesh> {
    let mut registry = Registry::new(compat.clone());
    let many = changes.iter().cloned();
    // Long enough that everything is indexed once, at the end.
    let idle = std::iter::repeat_n(Change::Proxies(Vec::new()), 300);
    registry.apply_all(idle.chain(many).collect::<Vec<_>>());
    registry.mesh()
}

fn multicluster() -> Compat {
    let mut compat = Compat::default();
    compat.flags.enable_mcs_service_discovery = true;
    compat.flags.enable_mcs_host = true;
    compat
}

type Keys = BTreeSet<(Hostname, Namespace)>;

/// What two meshes have differently, found by looking at all of it.
fn differences(before: &Mesh, after: &Mesh) -> (Keys, Keys) {
    let (mut services, mut endpoints) = (Keys::new(), Keys::new());
    let planes =
        |mesh: &Mesh| -> Vec<Arc<ControlPlane>> { mesh.control_planes().cloned().collect() };
    for plane in planes(before).iter().chain(&planes(after)) {
        for service in plane.services.iter() {
            let key = (service.hostname.clone(), service.namespace.clone());
            let all = |mesh: &Mesh| -> Vec<_> {
                let of_plane = |plane: &Arc<ControlPlane>| {
                    let own = plane.services.iter();
                    let own = own.filter(|s| s.hostname == key.0 && s.namespace == key.1);
                    own.map(|service| (plane.id.clone(), service.clone())).collect::<Vec<_>>()
                };
                mesh.control_planes().flat_map(of_plane).collect()
            };
            if all(before) != all(after) {
                services.insert(key.clone());
            }
            let shards = |mesh: &Mesh| -> Vec<_> {
                let of_plane = |plane: &Arc<ControlPlane>| {
                    Some((plane.id.clone(), plane.shards(service)?.clone()))
                };
                mesh.control_planes().filter_map(of_plane).collect()
            };
            if shards(before) != shards(after) {
                endpoints.insert(key);
            }
        }
    }
    (services, endpoints)
}

fn proxy_is_seen(before: &Mesh, after: &Mesh, effect: &Effect, name: &str) -> bool {
    let sees = |mesh: &Mesh| {
        let Ok(proxy) = mesh.proxy(name) else { return false };
        mesh.view(&proxy).is_some_and(|view| view.sees(effect))
    };
    sees(before) || sees(after)
}

/// What a proxy sees, as text.
fn seen(mesh: &Mesh, name: &str) -> String {
    let Ok(proxy) = mesh.proxy(name) else { return "none".to_owned() };
    let Some(view) = mesh.view(&proxy) else { return "no control plane".to_owned() };
    let services = view.services().iter().map(|service| {
        let mode = view.shards(service).map(|shards| {
            shards.endpoints().map(|endpoint| view.endpoint_mode(endpoint)).collect::<Vec<_>>()
        });
        let local = view.is_cluster_local(service);
        (service, view.shards(service), view.rule(service), view.inbound_rule(service), mode, local)
    });
    let services: Vec<_> = services.collect();
    let own = view.server_mode(&proxy.namespace, &proxy.labels);
    let targets = view.service_targets();
    let passes = view.passes_mutual_tls();
    let gateways = (view.gateways(false), view.gateways(true));
    let plane = view.plane();
    let root = Namespace::from(&*plane.config.root_namespace);
    let near = [&root, &proxy.namespace];
    let telemetries = plane.telemetries.iter().filter(|it| near.contains(&&it.meta.namespace));
    let telemetries: Vec<_> = telemetries.collect();
    let requests = plane.request_authentications.iter();
    let requests: Vec<_> = requests.filter(|it| near.contains(&&it.meta.namespace)).collect();
    let policies = plane.authorization_policies.of_namespaces(&near);
    let broken: Vec<_> =
        plane.broken.iter().filter(|it| near.contains(&&it.object.namespace)).collect();
    format!(
        "{proxy:?} {services:?} {own:?} {targets:?} {passes} {gateways:?} {telemetries:?} {requests:?} \
         {policies:?} {broken:?} {:?} {:?}",
        plane.config,
        view.scope()
    )
}

/// Where two meshes are printed differently.
fn unlike(a: &Mesh, b: &Mesh) -> Option<(String, String)> {
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let place = a.lines().zip(b.lines()).position(|(a, b)| a != b);
    let near = |text: &str, place: usize| {
        text.lines().skip(place.saturating_sub(20)).take(25).collect::<String>()
    };
    let is_equal = place.is_none() && a.len() == b.len();
    let place = place.unwrap_or_default();
    (!is_equal).then(|| (near(&a, place), near(&b, place)))
}

fn check_law(compat: &Compat, mesh: &[Change], changes: &[Change]) -> Result<(), TestCaseError> {
    let mut registry = Registry::new(compat.clone());
    registry.apply_all(mesh.to_vec());
    let mut all = mesh.to_vec();
    for change in changes {
        let before = registry.mesh();
        let copy = format!("{before:?}");
        let effect = registry.apply(change.clone());
        let after = registry.mesh();
        all.push(change.clone());
        let scratch = from_scratch(compat, &all);
        prop_assert_eq!(unlike(&after, &scratch), None, "after {:?}", change);
        prop_assert!(*after == *scratch);
        prop_assert_eq!(format!("{before:?}"), copy, "the mesh before changed");
        prop_assert!(!Arc::ptr_eq(&before, &after) || effect.is_empty());
        let (services, endpoints) = differences(&before, &after);
        let unnamed: Vec<_> = services.difference(&effect.services).collect();
        prop_assert!(unnamed.is_empty(), "services {unnamed:?} after {change:?}: {effect:?}");
        let unnamed: Vec<_> = endpoints.difference(&effect.endpoints).collect();
        prop_assert!(unnamed.is_empty(), "endpoints {unnamed:?} after {change:?}: {effect:?}");
        let proxies: BTreeSet<_> = before.proxies().chain(after.proxies()).collect();
        for proxy in proxies {
            if seen(&before, &proxy) != seen(&after, &proxy) {
                let is_seen = proxy_is_seen(&before, &after, &effect, &proxy);
                prop_assert!(is_seen, "{proxy} after {change:?}: {effect:?}");
            }
        }
        let again = registry.apply(change.clone());
        prop_assert!(again.is_empty(), "again: {again:?}");
        prop_assert!(Arc::ptr_eq(&after, &registry.mesh()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A mesh that was changed is the mesh that the objects make at once, its effect names what differs,
    /// the mesh before stays as it was, and a change that is there changes nothing.
    #[test]
    fn a_changed_mesh_is_the_mesh_from_scratch(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..6),
    ) {
        check_law(&Compat::default(), &mesh, &changes)?;
    }

    #[test]
    fn so_it_is_with_services_of_the_cluster_set(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..4),
    ) {
        check_law(&multicluster(), &mesh, &changes)?;
    }

    /// Input order does not matter.
    #[test]
    fn objects_make_one_mesh_in_whatever_order_they_come(
        mesh in mesh::mesh().prop_flat_map(|mesh| (Just(mesh.clone()), Just(mesh).prop_shuffle())),
    ) {
        let (mesh, shuffled) = mesh;
        // Of several states of one object the last counts, so each may come once only.
        let mut seen = BTreeSet::new();
        let key = |change: &Change| {
            let Change::Upsert { origin, resource } = change else {
                return format!("{:?}", std::mem::discriminant(change));
            };
            format!("{origin:?} {}", resource.key())
        };
        let once: Vec<Change> = mesh.into_iter().filter(|change| seen.insert(key(change))).collect();
        let other: Vec<Change> = shuffled.into_iter().filter(|change| once.contains(change)).collect();
        prop_assume!(!once.iter().any(|change| matches!(change, Change::Remove(_))));
        let mut seen = BTreeSet::new();
        let other: Vec<Change> = other.into_iter().filter(|change| seen.insert(key(change))).collect();
        prop_assert_eq!(&*from_scratch(&Compat::default(), &once), &*from_scratch(&Compat::default(), &other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Endpoints that change name the services whose endpoints differ, and nothing else.
    #[test]
    fn a_change_of_endpoints_names_what_differs_and_nothing_else(
        mesh in mesh::mesh(),
        changes in prop::collection::vec(mesh::endpoint_change(), 1..6),
    ) {
        let mut registry = Registry::default();
        // Both clusters are there before.
        let known = ["c1", "c2"].map(|id| Change::Describe(id.into(), None));
        registry.apply_all(mesh.into_iter().chain(known));
        for change in changes {
            let before = registry.mesh();
            let effect = registry.apply(change);
            let (services, endpoints) = differences(&before, &registry.mesh());
            prop_assert!(services.is_empty());
            prop_assert!(endpoints.is_subset(&effect.endpoints));
            // Endpoints can be there before their service is.
            let shards = |mesh: &Mesh, (host, namespace): &(Hostname, Namespace)| -> Vec<_> {
                let planes = mesh.control_planes();
                planes.map(|p| p.shards_of(host.as_str(), namespace.as_str()).cloned()).collect()
            };
            for key in &effect.endpoints {
                prop_assert_ne!(shards(&before, key), shards(&registry.mesh(), key));
            }
            let rest = Effect { endpoints: effect.endpoints.clone(), ..Effect::default() };
            prop_assert_eq!(effect, rest);
        }
    }
}

/// Random meshes are made of everything that there is.
#[test]
fn every_kind_of_object_and_change_comes_up() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut kinds, mut changes) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..3_000 {
        let change = mesh::change().new_tree(&mut runner).unwrap().current();
        let name = format!("{change:?}");
        let name = name.split(['(', ' ']).next().unwrap().to_owned();
        match &change {
            Change::Upsert { resource, .. } => {
                kinds.insert(resource.kind());
            }
            Change::Delete { object, .. } => {
                kinds.insert(object.kind);
            }
            Change::MeshConfig(None) | Change::MeshNetworks(None) | Change::Describe(_, None) => {
                changes.insert(format!("{name} taken away"));
            }
            Change::MeshConfig(_)
            | Change::MeshNetworks(_)
            | Change::Describe(..)
            | Change::Proxies(_)
            | Change::Broken(_)
            | Change::Remove(_) => {}
        }
        changes.insert(name);
    }
    let expected = [
        "AuthorizationPolicy",
        "ConfigMap",
        "Deployment",
        "DestinationRule",
        "EndpointSlice",
        "EnvoyFilter",
        "Gateway",
        "Gateway.gateway.networking.k8s.io",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Istio",
        "Namespace",
        "Node",
        "PeerAuthentication",
        "Pod",
        "ProxyConfig",
        "RemoteIstio",
        "RequestAuthentication",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceEntry",
        "ServiceExport",
        "ServiceImport",
        "Sidecar",
        "Telemetry",
        "VirtualService",
        "WasmPlugin",
        "WorkloadEntry",
        "WorkloadGroup",
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    let expected = [
        "Broken",
        "Delete",
        "Describe",
        "Describe taken away",
        "MeshConfig",
        "MeshConfig taken away",
        "MeshNetworks",
        "MeshNetworks taken away",
        "Proxies",
        "Remove",
        "Upsert",
    ];
    assert_eq!(changes, expected.map(ToOwned::to_owned).into());
}

fn upsert(cluster: &str, document: Value) -> Change {
    Manifest { origin: Origin::Cluster(cluster.into()), document }.upsert().unwrap()
}

fn slice(name: &str, addresses: &[&str]) -> Change {
    let endpoints: Vec<_> = addresses.iter().map(|ip| json!({"addresses": [ip]})).collect();
    upsert(
        "c1",
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": format!("{name}-1"), "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 8080}],
        }),
    )
}

fn service(name: &str) -> Change {
    upsert(
        "c1",
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"clusterIP": "10.100.0.1", "ports": [{"name": "http", "port": 80}]},
        }),
    )
}

#[test]
fn an_endpoint_that_changes_names_its_service_and_nothing_else() {
    let mut registry = Registry::default();
    registry.apply_all([
        service("cart"),
        service("web"),
        slice("cart", &["10.0.0.1"]),
        slice("web", &["10.0.0.2"]),
    ]);
    let before = registry.mesh();
    let effect = registry.apply(slice("cart", &["10.0.0.1", "10.0.0.3"]));
    let cart = ("cart.shop.svc.cluster.local".into(), "shop".into());
    assert_eq!(effect, Effect { endpoints: BTreeSet::from([cart]), ..Effect::default() });
    let after = registry.mesh();
    let (before, after) =
        (before.control_plane_of("c1").unwrap(), after.control_plane_of("c1").unwrap());
    let shards = |plane: &ControlPlane, host| Arc::clone(plane.shards_of(host, "shop").unwrap());
    let web = "web.shop.svc.cluster.local";
    assert!(
        Arc::ptr_eq(&shards(before, web), &shards(after, web)),
        "what is not touched is shared"
    );
    assert!(Arc::ptr_eq(&before.services, &after.services));
    assert_eq!(shards(before, "cart.shop.svc.cluster.local").endpoints().count(), 1);
}

#[test]
fn an_update_that_changes_nothing_is_no_change() {
    let mut registry = Registry::default();
    registry.apply_all([service("cart"), slice("cart", &["10.0.0.1"])]);
    let before = registry.mesh();
    assert!(registry.apply(slice("cart", &["10.0.0.1"])).is_empty());
    assert!(Arc::ptr_eq(&before, &registry.mesh()));
}

fn source(cluster: &str, file: usize, manifests: &[&Manifest]) -> mesh_model::registry::Source {
    let text: Vec<String> =
        manifests.iter().map(|manifest| manifest.document.to_string()).collect();
    let name = format!("clusters/{cluster}/{file}.yaml");
    let origin = Origin::of_path(&name).unwrap();
    mesh_model::registry::Source { origin, name: name.into(), text: text.join("\n---\n").into() }
}

/// Files of two clusters; documents that fall into one file are one text.
fn folder(manifests: &[Manifest]) -> Vec<mesh_model::registry::Source> {
    let mut sources = Vec::new();
    for cluster in ["c1", "c2"] {
        let own = |manifest: &&Manifest| manifest.origin == Origin::Cluster(cluster.into());
        let own: Vec<&Manifest> = manifests.iter().filter(own).collect();
        let files = own.chunks(3).enumerate();
        sources.extend(files.map(|(file, manifests)| source(cluster, file, manifests)));
    }
    sources
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A folder that is loaded again is the folder that is loaded first, duplicates and all.
    #[test]
    fn a_folder_loaded_again_is_the_folder_loaded_first(
        before in prop::collection::vec(mesh::manifest(), 0..30),
        after in prop::collection::vec(mesh::manifest(), 0..30),
        kept in 0..30_usize,
    ) {
        let after: Vec<_> = before.iter().take(kept).cloned().chain(after).collect();
        let mut registry = Registry::default();
        registry.load(folder(&before));
        let old = registry.mesh();
        let (diagnostics, effect) = registry.reload(folder(&after));
        let mut fresh = Registry::default();
        prop_assert_eq!(diagnostics, fresh.load(folder(&after)));
        prop_assert_eq!(unlike(&registry.mesh(), &fresh.mesh()), None);
        prop_assert!(*registry.mesh() == *fresh.mesh());
        let (services, endpoints) = differences(&old, &registry.mesh());
        prop_assert!(services.is_subset(&effect.services));
        prop_assert!(endpoints.is_subset(&effect.endpoints));
        let same = registry.mesh();
        prop_assert!(registry.reload(folder(&after)).1.is_empty());
        prop_assert!(Arc::ptr_eq(&same, &registry.mesh()));
    }
}
