//! Which workload an autoscaler scales, how many replicas that has, and what is no autoscaler.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::Diagnostic;
use mesh_model::registry::{Change, Effect, Mesh, Origin, Registry, Replicas, Source};
use mesh_model::resource::ObjectKey;

fn load(text: &str) -> (Registry, Vec<Diagnostic>) {
    let mut registry = Registry::new(Compat::default());
    let origin = Origin::Cluster("c1".into());
    let found = registry.load([Source { origin, name: "c1.yaml".into(), text: text.into() }]);
    (registry, found)
}

/// An autoscaler of namespace `shop`, by the flow forms of its target and of what else its spec has.
fn autoscaler(name: &str, target: &str, more: &str) -> String {
    format!(
        "---\n{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: {name}, \
         namespace: shop}}, spec: {{scaleTargetRef: {target}{more}}}}}\n"
    )
}

fn deployment(name: &str) -> String {
    format!("{{apiVersion: apps/v1, kind: Deployment, name: {name}}}")
}

/// A running pod of namespace `shop`; `more` is of its metadata.
fn pod(name: &str, more: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop{more}}}, status: \
         {{phase: Running, podIP: 10.0.0.1}}}}\n"
    )
}

fn owned(group: &str, kind: &str, name: &str, labels: &str) -> String {
    format!(
        ", labels: {{{labels}}}, ownerReferences: [{{apiVersion: {group}, kind: {kind}, name: {name}, \
         controller: true}}]"
    )
}

/// A pod of the ReplicaSet `cart-7d4` of the Deployment `cart`.
fn of_cart(name: &str) -> String {
    pod(name, &owned("apps/v1", "ReplicaSet", "cart-7d4", "pod-template-hash: 7d4"))
}

fn replicas(mesh: &Mesh, pod: &str) -> Option<(u32, u32)> {
    let pod = mesh.pod("c1", "shop", pod).unwrap();
    mesh.autoscalers().replicas("c1", pod).map(|Replicas { current, max }| (current, max))
}

/// The current and the most replicas of the workload of the pod `p`.
#[track_caller]
fn check(text: &str, expected: Option<(u32, u32)>) {
    let (registry, found) = load(text);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(replicas(&registry.mesh(), "p"), expected);
}

const MOST: &str = ", maxReplicas: 6";

#[test]
fn a_deployment_is_scaled_with_the_pods_of_its_replica_sets() {
    let scaled = autoscaler("cart", &deployment("cart"), MOST);
    let other = pod("other", &owned("apps/v1", "ReplicaSet", "cart-8f5", "pod-template-hash: 8f5"));
    check(&[scaled.clone(), of_cart("p"), of_cart("q"), other].concat(), Some((3, 6)));
    let alien = pod("p", &owned("apps/v1", "ReplicaSet", "cart-7d4", "pod-template-hash: 8f5"));
    check(&[scaled.clone(), alien].concat(), None);
    let bare = pod("p", "");
    check(&[scaled, bare].concat(), None);
}

#[test]
fn a_target_has_a_group_and_a_kind() {
    let stateful = |api| format!("{{apiVersion: {api}, kind: StatefulSet, name: db}}");
    let of_db = |group| pod("p", &owned(group, "StatefulSet", "db", ""));
    for (target, owner, expected) in [
        ("apps/v1", "apps/v1", Some((1, 6))),
        ("apps/v1beta2", "apps/v1", Some((1, 6))),
        ("apps.kruise.io/v1beta1", "apps/v1", None),
        ("apps.kruise.io/v1beta1", "apps.kruise.io/v1beta1", Some((1, 6))),
        ("v1", "apps/v1", None),
    ] {
        let scaled = autoscaler("db", &stateful(target), MOST);
        check(&[scaled, of_db(owner)].concat(), expected);
    }
    let rollout = "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: cart}";
    let label = "rollouts-pod-template-hash: 7d4";
    let of_rollout = pod("p", &owned("apps/v1", "ReplicaSet", "cart-7d4", label));
    check(&[autoscaler("cart", rollout, MOST), of_rollout.clone()].concat(), Some((1, 6)));
    check(&[autoscaler("cart", &deployment("cart"), MOST), of_rollout].concat(), None);
    let config = "{apiVersion: apps.openshift.io/v1, kind: DeploymentConfig, name: cart}";
    let label = "deploymentconfig: cart";
    let of_config = pod("p", &owned("v1", "ReplicationController", "cart-1", label));
    check(&[autoscaler("cart", config, MOST), of_config].concat(), Some((1, 6)));
    let set = "{apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d4}";
    check(&[autoscaler("cart", set, MOST), of_cart("p")].concat(), Some((1, 6)));
}

#[test]
fn a_pod_without_a_controller_says_its_workload_in_a_label() {
    let scaled = autoscaler("cart", &deployment("cart"), MOST);
    let named = |name| pod(name, ", labels: {service.istio.io/workload-name: cart}");
    check(&[scaled, named("p"), named("q")].concat(), Some((2, 6)));
}

#[test]
fn pods_that_end_are_no_replicas() {
    let scaled = autoscaler("cart", &deployment("cart"), MOST);
    let ended = of_cart("q").replace("Running", "Failed");
    let leaving = pod(
        "r",
        &format!(
            ", deletionTimestamp: '2026-01-01T00:00:00Z'{}",
            owned("apps/v1", "ReplicaSet", "cart-7d4", "pod-template-hash: 7d4")
        ),
    );
    let far = of_cart("s").replace("shop", "data");
    check(&[scaled, of_cart("p"), ended, leaving, far].concat(), Some((1, 6)));
}

#[test]
fn several_autoscalers_scale_nothing() {
    let one = autoscaler("one", &deployment("cart"), MOST);
    let set = "{apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d4}";
    for other in [deployment("cart"), set.to_owned()] {
        let other = autoscaler("other", &other, ", maxReplicas: 9");
        check(&[one.clone(), other, of_cart("p")].concat(), None);
    }
}

#[test]
fn what_the_api_refuses_scales_nothing() {
    let cart = deployment("cart");
    for (name, target, more, code) in [
        ("Cart", &*cart, MOST, "HPA-NAME"),
        ("cart_a", &cart, MOST, "HPA-NAME"),
        ("cart", &cart, "", "HPA-MAX"),
        ("cart", &cart, ", maxReplicas: 0", "HPA-MAX"),
        ("cart", &cart, ", minReplicas: 3, maxReplicas: 2", "HPA-MAX"),
        ("cart", &cart, ", minReplicas: 0, maxReplicas: 2", "HPA-MIN"),
        (
            "cart",
            &cart,
            ", minReplicas: -1, maxReplicas: 2, metrics: [{type: External}]",
            "HPA-MIN",
        ),
        ("cart", "{kind: Deployment}", MOST, "HPA-TARGET"),
        ("cart", "{name: cart}", MOST, "HPA-TARGET"),
        ("cart", "{kind: Deployment, name: a/b}", MOST, "HPA-TARGET"),
        ("cart", "{apiVersion: a/b/c, kind: Deployment, name: cart}", MOST, "HPA-TARGET"),
    ] {
        let (registry, found) = load(&[autoscaler(name, target, more), of_cart("p")].concat());
        let codes: Vec<&str> = found.iter().map(|found| found.code).collect();
        assert_eq!(codes, [code], "{found:?}");
        assert!(found.iter().all(|found| !found.help.is_empty()));
        assert_eq!(replicas(&registry.mesh(), "p"), None);
    }
    let status =
        autoscaler("cart", &cart, MOST).replace("6}}", "6}, status: {currentReplicas: -1}}");
    assert_eq!(load(&status).1[0].code, "HPA-STATUS");
    let to_zero = ", minReplicas: 0, maxReplicas: 2, metrics: [{type: Object}]";
    check(&[autoscaler("cart.a-1", &cart, to_zero), of_cart("p")].concat(), Some((1, 2)));
}

#[test]
fn every_version_is_read_and_a_cluster_is_its_place() {
    for version in ["v1", "v2", "v2beta2", "v2beta1"] {
        let text =
            autoscaler("cart", &deployment("cart"), MOST).replace("/v2", &format!("/{version}"));
        check(&[text, of_cart("p")].concat(), Some((1, 6)));
    }
    let text = autoscaler("cart", &deployment("cart"), MOST);
    let source = Source { origin: Origin::Config, name: "a.yaml".into(), text: text.into() };
    let found = Registry::new(Compat::default()).load([source]);
    assert_eq!(found[0].code, "KIND-MISPLACED");
}

#[test]
fn an_autoscaler_that_changes_concerns_no_proxy() {
    let text = |more| [autoscaler("cart", &deployment("cart"), more), of_cart("p")].concat();
    let (mut registry, _) = load(&text(MOST));
    let before = registry.mesh();
    let origin = Origin::Cluster("c1".into());
    let text = text(", maxReplicas: 9");
    let source = Source { origin, name: "c1.yaml".into(), text: text.into() };
    let (_, effect) = registry.reload([source]);
    assert_eq!(effect, Effect::default());
    assert_eq!(replicas(&registry.mesh(), "p"), Some((1, 9)));
    assert_eq!(replicas(&before, "p"), Some((1, 6)));
    assert_ne!(registry.mesh(), before);
    let plane = |mesh: &Arc<Mesh>| mesh.control_plane_of("c1").unwrap().clone();
    assert!(Arc::ptr_eq(&plane(&registry.mesh()), &plane(&before)));
    let name = "cart".into();
    let object = ObjectKey { kind: "HorizontalPodAutoscaler", namespace: "shop".into(), name };
    let delete = Change::Delete { origin: Origin::Cluster("c1".into()), object };
    assert!(registry.apply(delete).is_empty());
    assert_eq!(replicas(&registry.mesh(), "p"), None);
}
