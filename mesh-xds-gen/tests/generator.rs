//! What a generator remembers changes no byte: each snapshot is the one from scratch.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::compat::{DataPlane, Flags, JwksFetch};
use mesh_model::registry::{Change, Effect, Mesh, Origin, Registry, Source};
use mesh_model::resource::Json;
use mesh_model::resource::mesh_config::ProxyConfig;
use mesh_model::view::{Proxy, ProxyKind, ProxyView, Scopes};
use mesh_testkit::folder;
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use mesh_xds_gen::snapshot::{Snapshot, TypeUrl};
use mesh_xds_gen::{Generator, Part, Reach, Resources};
use proptest::prelude::*;

fn scratch(view: &ProxyView<'_>) -> Snapshot {
    Snapshot::new(Resources::new(view).into_resources())
}

/// The proxies of a mesh that are sent what generators remember.
fn proxies(mesh: &Mesh) -> BTreeMap<String, Proxy> {
    let named = mesh.proxies().filter_map(|name| Some((name.clone(), mesh.proxy(&name).ok()?)));
    let is_sent = |proxy: &Proxy| {
        proxy.kind != ProxyKind::Ztunnel
            && proxy.data_plane != DataPlane::Grpc
            && mesh.control_plane_of(proxy.cluster.as_str()).is_some()
    };
    named.filter(|(_, proxy)| is_sent(proxy)).collect()
}

/// Where two snapshots differ, by type and name.
fn unlike(a: &Snapshot, b: &Snapshot) -> Vec<String> {
    let delta = a.diff(b);
    let types = delta.types();
    let names = types.flat_map(|(kind, delta)| {
        let changed = delta.changed.iter().map(|resource| resource.name());
        changed.chain(&delta.removed).map(move |name| format!("{kind} {name}"))
    });
    names.collect()
}

/// One generator for all proxies and revisions.
#[derive(Default)]
struct Shared {
    generator: Generator,
    scopes: Scopes,
}

impl Shared {
    fn check(&mut self, mesh: &Mesh) -> Result<(), TestCaseError> {
        for (name, proxy) in proxies(mesh) {
            let view = self.scopes.view(mesh, &proxy).unwrap();
            let expected = scratch(&mesh.view(&proxy).unwrap());
            let got = self.generator.snapshot(&view);
            prop_assert_eq!(unlike(&got, &expected), Vec::<String>::new(), "{}", name);
            for (kind, collection) in got.types() {
                prop_assert_eq!(&Generator::new().of_type(&view, kind), &**collection, "{}", name);
            }
            let again = self.generator.snapshot(&view);
            for (kind, collection) in again.types() {
                prop_assert!(Arc::ptr_eq(collection, got.collection(kind).unwrap()));
            }
        }
        Ok(())
    }
}

/// What an effect says that a change does is what it does, and where it says nothing nothing differs.
fn check_delta(before: &Mesh, after: &Mesh, effect: &Effect) -> Result<(), TestCaseError> {
    let (old, new) = (proxies(before), proxies(after));
    for (name, (old, new)) in
        old.iter().filter_map(|(name, old)| Some((name, (old, new.get(name)?))))
    {
        let (before, after) = (before.view(old).unwrap(), after.view(new).unwrap());
        let (previous, expected) = (scratch(&before), scratch(&after));
        let delta = Generator::new().delta((&before, &previous), &after, effect);
        let got = previous.apply(&delta);
        prop_assert_eq!(unlike(&got, &expected), Vec::<String>::new(), "{} {:?}", name, effect);
        prop_assert_eq!(delta, expected.diff(&previous));
        if Reach::of(&before, &after, effect).is_empty() {
            prop_assert_eq!(unlike(&expected, &previous), Vec::<String>::new(), "{}", name);
        }
    }
    Ok(())
}

fn check_law(flags: Flags, mesh: Vec<Change>, changes: Vec<Change>) -> Result<(), TestCaseError> {
    let mut registry = Registry::new(Compat { flags, ..Compat::default() });
    let mut shared = Shared::default();
    registry.apply_all(mesh);
    shared.check(&registry.mesh())?;
    for change in changes {
        let before = registry.mesh();
        let effect = registry.apply(change);
        shared.check(&registry.mesh())?;
        check_delta(&before, &registry.mesh(), &effect)?;
    }
    Ok(())
}

/// Flags that say what is seen, and what gateways have.
fn flags() -> impl Strategy<Value = Flags> {
    let fetch =
        prop_oneof![Just(JwksFetch::Istiod), Just(JwksFetch::Hybrid), Just(JwksFetch::Envoy)];
    (any::<[bool; 3]>(), fetch).prop_map(|([filter, scope, unified], fetch)| Flags {
        pilot_filter_gateway_cluster_config: filter,
        pilot_scope_gateway_to_namespace: scope,
        pilot_unified_sidecar_scope: unified,
        pilot_jwt_enable_remote_jwks: fetch,
        ..Flags::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every snapshot of one generator is the one from scratch, and every delta from an effect is the
    /// difference of two such.
    #[test]
    fn what_is_remembered_and_what_effects_leave_out_changes_no_byte(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..6),
    ) {
        check_law(Flags::default(), mesh, changes)?;
    }

    /// Nor with flags by which a change reaches what it else does not.
    #[test]
    fn with_flags_too_it_changes_no_byte(
        mesh in mesh::mesh(),
        changes in mesh::changes(1..6),
        flags in flags(),
    ) {
        check_law(flags, mesh, changes)?;
    }

    /// Whatever is referred to is there.
    #[test]
    fn every_snapshot_is_consistent(mesh in mesh::mesh()) {
        let mut registry = Registry::new(Compat::default());
        registry.apply_all(mesh);
        let mesh = registry.mesh();
        for (name, proxy) in proxies(&mesh) {
            let snapshot = Generator::new().snapshot(&mesh.view(&proxy).unwrap());
            let found: Vec<String> =
                snapshot.inconsistencies().iter().map(ToString::to_string).collect();
            prop_assert_eq!(found, Vec::<String>::new(), "{}", name);
        }
    }
}

#[test]
fn the_proxies_of_every_example_share_one_generator() {
    let meshes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/meshes");
    let mut compared = 0;
    for entry in std::fs::read_dir(meshes).unwrap() {
        let mesh = folder::read(&entry.unwrap().path()).unwrap().0.mesh();
        compared += proxies(&mesh).len();
        Shared::default().check(&mesh).unwrap();
    }
    assert!(compared >= 20, "{compared}");
}

/// A small synthetic mesh in which one pod of a service becomes unready.
fn unready(networks: usize) -> (Arc<Mesh>, Arc<Mesh>, Effect) {
    changed(networks, r#""ready":true"#, r#""ready":false"#)
}

/// A small synthetic mesh, and what it is after the first of these texts in each file is another.
fn changed(networks: usize, from: &str, to: &str) -> (Arc<Mesh>, Arc<Mesh>, Effect) {
    let measures = Synthetic { services: 20, networks, routes: 100, ..Synthetic::default() };
    changed_of(&measures, from, to)
}

fn changed_of(measures: &Synthetic, from: &str, to: &str) -> (Arc<Mesh>, Arc<Mesh>, Effect) {
    let mut sources = measures.sources();
    let mut registry = Registry::new(Compat::default());
    registry.load(sources.clone());
    let before = registry.mesh();
    for source in &mut sources {
        let text = String::from_utf8(source.text.clone()).unwrap();
        source.text = text.replacen(from, to, 1).into_bytes();
    }
    let (_, effect) = registry.reload(sources);
    (before, registry.mesh(), effect)
}

#[test]
fn one_endpoint_is_one_resource_of_one_type() {
    for networks in [1, 3] {
        let (before, after, effect) = unready(networks);
        let proxy = before.proxy("c0/ns-0/load-0").unwrap();
        let (old, new) = (before.view(&proxy).unwrap(), after.view(&proxy).unwrap());
        let mut generator = Generator::new();
        let previous = generator.snapshot(&old);
        let delta = generator.delta((&old, &previous), &new, &effect);
        let types: Vec<_> = delta.types().map(|(kind, _)| kind.clone()).collect();
        assert_eq!(types, [TypeUrl::ENDPOINT]);
        let next = generator.snapshot(&new);
        assert_eq!(next.diff(&previous), delta);
        for kind in [TypeUrl::CLUSTER, TypeUrl::LISTENER, TypeUrl::ROUTE, TypeUrl::NAME_TABLE] {
            let (a, b) = (previous.collection(&kind).unwrap(), next.collection(&kind).unwrap());
            assert!(Arc::ptr_eq(a, b), "{kind} is shared");
        }
    }
}

#[test]
fn of_a_gateway_too_one_endpoint_is_one_type() {
    let (before, after, effect) = unready(3);
    let mut proxy = before.proxy("c0/ns-0/load-0").unwrap();
    (proxy.kind, proxy.namespace) = (ProxyKind::Router, "istio-system".into());
    let (old, new) = (before.view(&proxy).unwrap(), after.view(&proxy).unwrap());
    let reach = Reach::of(&old, &new, &effect);
    assert!(matches!(&reach.endpoints, Part::Hosts(hosts) if hosts.len() == 1), "{reach:?}");
    assert!(reach.clusters.is_none() && !reach.listeners && !reach.routes, "{reach:?}");
    let mut generator = Generator::new();
    let previous = generator.snapshot(&old);
    let delta = generator.delta((&old, &previous), &new, &effect);
    assert_eq!(
        delta.types().map(|(kind, _)| kind.clone()).collect::<Vec<_>>(),
        [TypeUrl::ENDPOINT]
    );
    assert_eq!(generator.snapshot(&new).diff(&previous), delta);
}

#[test]
fn what_servers_demand_of_connections_reaches_no_route() {
    let (before, after, _) = changed(1, r#""mode":"STRICT""#, r#""mode":"DISABLE""#);
    let proxy = before.proxy("c0/ns-0/load-0").unwrap();
    let (old, new) = (before.view(&proxy).unwrap(), after.view(&proxy).unwrap());
    let mut generator = Generator::new();
    let (previous, next) = (generator.snapshot(&old), generator.snapshot(&new));
    assert_eq!(next, scratch(&new));
    for (kind, is_shared) in
        [(TypeUrl::CLUSTER, false), (TypeUrl::ROUTE, true), (TypeUrl::NAME_TABLE, true)]
    {
        let (a, b) = (previous.collection(&kind).unwrap(), next.collection(&kind).unwrap());
        assert_eq!(Arc::ptr_eq(a, b), is_shared, "{kind}");
    }
}

#[test]
fn a_rule_of_routes_reaches_no_other_cluster_than_those_of_its_hosts() {
    let (before, after, effect) = changed(1, r#""timeout":"5s""#, r#""timeout":"6s""#);
    let proxy = before.proxy("c0/ns-0/load-0").unwrap();
    let (old, new) = (before.view(&proxy).unwrap(), after.view(&proxy).unwrap());
    let reach = Reach::of(&old, &new, &effect);
    assert!(!reach.names && reach.routes, "{reach:?}");
    assert!(matches!(&reach.clusters, Part::Hosts(hosts) if hosts.len() == 1), "{reach:?}");
    let mut generator = Generator::new();
    let previous = generator.snapshot(&old);
    let delta = generator.delta((&old, &previous), &new, &effect);
    let types: Vec<_> = delta.types().map(|(kind, of)| (kind.clone(), of.changed.len())).collect();
    assert_eq!(types, [(TypeUrl::ROUTE, 1)]);
}

#[test]
fn endpoints_that_are_kept_as_bytes_are_those_that_would_be_encoded() {
    for networks in [1, 3] {
        let measures = Synthetic { services: 3, endpoints: 120, networks, ..Synthetic::default() };
        let changes = [
            (r#""ready":true"#, r#""ready":false"#),
            (r#""app":"svc-1""#, r#""app":"svc-one""#),
            (
                r#""topology.kubernetes.io/zone":"region-0-z0""#,
                r#""topology.kubernetes.io/zone":"z9""#,
            ),
            (r#""minHealthPercent""#, r#""minHealthPercents""#),
        ];
        for (from, to) in changes {
            let (before, after, _) = changed_of(&measures, from, to);
            let mut shared = Shared::default();
            for mesh in [&before, &after, &before] {
                for name in ["c0/ns-0/load-0", "c1/ns-0/load-0", "c2/ns-0/load-0"] {
                    let proxy = mesh.proxy(name).unwrap();
                    let view = mesh.view(&proxy).unwrap();
                    let got = shared.generator.snapshot(&view);
                    assert_eq!(unlike(&got, &scratch(&view)), Vec::<String>::new(), "{name} {to}");
                }
            }
        }
    }
}

#[test]
fn pods_of_one_deployment_share_everything_and_others_what_they_send() {
    let mut registry = Registry::new(Compat::default());
    registry.load(Synthetic { services: 40, ..Synthetic::default() }.sources());
    let mesh = registry.mesh();
    let mut generator = Generator::new();
    let mut snapshot = |name: &str| {
        let proxy = mesh.proxy(name).unwrap();
        generator.snapshot(&mesh.view(&proxy).unwrap())
    };
    // Of cluster c0 and zone z0: of svc-20 the pod 0, and the tenth; of svc-0 the pod 0.
    let (first, second) = (snapshot("c0/ns-0/svc-20-0"), snapshot("c0/ns-0/svc-20-9"));
    let other = snapshot("c0/ns-0/svc-0-0");
    for (kind, collection) in first.types() {
        let same = second.collection(kind).unwrap();
        assert_eq!(Arc::ptr_eq(collection, same), *kind != TypeUrl::LISTENER || first == second);
    }
    for kind in [TypeUrl::ENDPOINT, TypeUrl::ROUTE, TypeUrl::NAME_TABLE] {
        let shared = first.collection(&kind).unwrap();
        assert!(Arc::ptr_eq(shared, other.collection(&kind).unwrap()), "{kind}");
    }
    let own = TypeUrl::LISTENER;
    assert_ne!(first.collection(&own), other.collection(&own));
}

#[test]
fn a_pod_with_settings_of_its_own_shares_nothing_that_they_change() {
    let mut registry = Registry::new(Compat::default());
    registry.load(Synthetic { services: 40, ..Synthetic::default() }.sources());
    let mesh = registry.mesh();
    let proxy = mesh.proxy("c0/ns-0/svc-20-0").unwrap();
    let settings = Json::parse(r#"{"proxyHeaders": {"preserveHttp1HeaderCase": true}}"#).unwrap();
    let (settings, _) = ProxyConfig::decode(&settings.to_node(), &Arc::default());
    let other = Proxy { started_with: Some(Arc::new(settings)), ..proxy.clone() };
    let mut generator = Generator::new();
    for proxy in [&proxy, &other, &proxy] {
        let view = mesh.view(proxy).unwrap();
        assert_eq!(unlike(&generator.snapshot(&view), &scratch(&view)), Vec::<String>::new());
    }
    let clusters =
        |proxy| scratch(&mesh.view(proxy).unwrap()).collection(&TypeUrl::CLUSTER).cloned();
    assert_ne!(clusters(&proxy), clusters(&other));
}

#[test]
fn a_label_of_the_last_server_without_tunnel_reaches_the_cluster() {
    let pod = |name: &str, address: &str, labels: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}, \
             spec: {{containers: [{{name: app}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: {address}}}}}\n"
        )
    };
    let load = |labels: &str| {
        let text = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}], selector: {{app: cart}}}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}},
  endpoints: [{{addresses: [10.0.0.1], targetRef: {{kind: Pod, name: cart-0, namespace: shop}}}}], ports: [{{name: http, port: 80}}]}}
{}{}",
            pod("cart-0", "10.0.0.1", labels),
            pod("web-0", "10.0.0.2", "app: web"),
        );
        vec![Source {
            origin: Origin::Cluster("c1".into()),
            name: "c1.yaml".into(),
            text: text.into_bytes(),
        }]
    };
    let tunnel = "app: cart, networking.istio.io/tunnel: http";
    for [from, to] in [["app: cart", tunnel], [tunnel, "app: cart"]] {
        let mut registry = Registry::new(Compat::default());
        registry.load(load(from));
        let before = registry.mesh();
        let (_, effect) = registry.reload(load(to));
        let after = registry.mesh();
        check_delta(&before, &after, &effect).unwrap();
        let proxy = before.proxy("c1/shop/web-0").unwrap();
        let clusters = [&before, &after].map(|mesh| {
            let snapshot = scratch(&mesh.view(&proxy).unwrap());
            snapshot.collection(&TypeUrl::CLUSTER).unwrap().clone()
        });
        assert_ne!(clusters[0], clusters[1]);
    }
}
