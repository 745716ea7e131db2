//! Waypoints decide by what refers to them and to the services behind them.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::sync::Arc;

use mesh_authz::compile::Environment;
use mesh_authz::select::{Workload, WorkloadKind};
use mesh_authz::{Authorizer, Chain, Policies, Traffic};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: far, labels: {istio.io/use-waypoint: gate, istio.io/use-waypoint-namespace: shop}}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: gate}}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: tax, namespace: far}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: none, namespace: far, labels: {istio.io/use-waypoint: none}}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: gate-0, namespace: shop, labels: {app: gate, gateway.networking.k8s.io/gateway-name: gate, gateway.istio.io/managed: istio.io-mesh-controller}},
 spec: {serviceAccountName: gate, containers: [{name: istio-proxy}]}, status: {phase: Running, podIP: 10.0.0.1}}
";

fn mesh(policies: &str) -> Arc<Mesh> {
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source(Origin::Config, "policies.yaml", policies),
        source(Origin::Cluster("c".into()), "cluster.yaml", CLUSTER),
    ]);
    registry.mesh()
}

/// A policy `NAMESPACE/NAME` with a target or a selector.
fn policy(name: &str, attached: &str) -> String {
    let (namespace, name) = name.split_once('/').expect("a namespace and a name");
    format!(
        "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
         namespace: {namespace}}}, spec: {{{attached}, rules: [{{}}]}}}}\n"
    )
}

/// The names of the policies that the waypoint decides by.
fn check(policies: &[(&str, &str)], expected: &str) {
    let policies: Vec<String> =
        policies.iter().map(|(name, attached)| policy(name, attached)).collect();
    let mesh = mesh(&policies.join("---\n"));
    let proxy = mesh.proxy("c/shop/gate-0").expect("the pod is there");
    let plane = mesh.control_plane_of("c").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let compiled = &authorizer.chain(Traffic::Http).compiled;
    let found: Vec<&str> = compiled.iter().map(|policy| &*policy.name).collect();
    assert_eq!(found.join(" "), expected);
}

const SELECTOR: &str = "selector: {matchLabels: {app: gate}}";

#[test]
fn a_waypoint_decides_by_references_to_it_and_to_what_is_behind_it() {
    let service = |name: &str| format!("targetRefs: [{{kind: Service, group: '', name: {name}}}]");
    let gateway = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]";
    check(&[("shop/by-gateway", gateway), ("shop/by-selector", SELECTOR)], "by-gateway");
    check(
        &[("shop/near", &service("cart")), ("far/by-namespace", &service("tax"))],
        "near by-namespace",
    );
    check(&[("far/opted-out", &service("none")), ("shop/not-behind", &service("web"))], "");
    check(&[("shop/elsewhere", &service("tax"))], "");
}

/// With `ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES` selectors count where its tunnels end.
#[test]
fn selectors_count_in_front_of_a_waypoint_if_a_flag_says_so() {
    let mesh = mesh(&policy("shop/by-selector", SELECTOR));
    let plane = mesh.control_plane_of("c").expect("the cluster serves itself");
    let proxy = mesh.proxy("c/shop/gate-0").expect("the pod is there");
    let waypoint = Workload {
        namespace: proxy.namespace,
        labels: proxy.labels,
        kind: WorkloadKind::Waypoint(Vec::new()),
    };
    let policies = plane.authorization_policies.iter().map(AsRef::as_ref).collect();
    let policies = Policies { understood: policies, broken: Vec::new() };
    let mut environment = Environment::default();
    let count = |environment: &Environment| {
        Chain::in_front_of_waypoint(&policies, &waypoint, environment).filters.len()
    };
    assert_eq!(count(&environment), 0);
    environment.compat.flags.enable_layered_waypoint_authorization_policies = true;
    assert_eq!(count(&environment), 1);
}
