//! Waypoints decide by what refers to them and to the services behind them.
#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]
use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_authz::compile::Environment;
use mesh_authz::select::{Workload, WorkloadKind};
use mesh_authz::{Authorizer, Chain, Policies, Traffic};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};

#[path = "fixture/request.rs"]
mod request;

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
    mesh_of(policies, "")
}

fn mesh_of(policies: &str, services: &str) -> Arc<Mesh> {
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut registry = Registry::new(Compat::default());
    registry.load([
        source(Origin::Config, "policies.yaml", policies),
        source(Origin::Cluster("c".into()), "cluster.yaml", &format!("{services}{CLUSTER}")),
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

/// The names of the policies that the waypoint decides by: `own|cart|tax`.
#[track_caller]
fn check(policies: &[(&str, &str)], expected: &str) {
    let policies: Vec<String> =
        policies.iter().map(|(name, attached)| policy(name, attached)).collect();
    let mesh = mesh(&policies.join("---\n"));
    let proxy = mesh.proxy("c/shop/gate-0").expect("the pod is there");
    let plane = mesh.control_plane_of("c").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let names = |authorizer: &Authorizer| {
        let compiled = authorizer.chain(Traffic::Http).compiled.iter();
        compiled.map(|policy| policy.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let hosts: Vec<&str> = authorizer.services().iter().map(|service| &*service.host).collect();
    assert_eq!(hosts, ["cart.shop.svc.cluster.local", "tax.far.svc.cluster.local"]);
    let of = authorizer.services().iter().map(|service| names(&service.authorizer));
    let found: Vec<String> = [names(&authorizer)].into_iter().chain(of).collect();
    assert_eq!(found.join("|"), expected);
}

const SELECTOR: &str = "selector: {matchLabels: {app: gate}}";

#[test]
fn a_waypoint_decides_by_references_to_it_and_to_what_is_behind_it() {
    let service = |name: &str| format!("targetRefs: [{{kind: Service, group: '', name: {name}}}]");
    let gateway = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]";
    let all = "by-gateway|by-gateway|by-gateway";
    check(&[("shop/by-gateway", gateway), ("shop/by-selector", SELECTOR)], all);
    check(
        &[("shop/near", &service("cart")), ("far/by-namespace", &service("tax"))],
        "|near|by-namespace",
    );
    check(&[("far/opted-out", &service("none")), ("shop/not-behind", &service("web"))], "||");
    check(&[("shop/elsewhere", &service("tax"))], "||");
}

/// Checks whether a request that is addressed to an address is allowed.
#[track_caller]
fn check_addressed(mesh: &Mesh, address: &str, expected: bool) {
    let proxy = mesh.proxy("c/shop/gate-0").expect("the pod is there");
    let plane = mesh.control_plane_of("c").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(mesh, plane, &proxy);
    let mut request = request::get("/");
    request.connection.destination_ip = address.parse().expect("an address");
    let explained = authorizer.explain(&request);
    assert_eq!(explained.decision, authorizer.decide(&request));
    assert_eq!(explained.decision.is_allowed(), expected, "{address}: {explained:?}");
}

#[test]
fn a_policy_of_one_service_decides_about_no_other() {
    let of = |name: &str, rules: &str| {
        format!(
            "{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}, \
             namespace: shop}}, spec: {{targetRefs: [{{kind: Service, group: '', name: {name}}}], rules: {rules}}}}}\n"
        )
    };
    let services = "
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop, labels: {istio.io/use-waypoint: gate}}, spec: {clusterIP: 10.9.0.2, ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop, labels: {istio.io/use-waypoint: gate}}, spec: {clusterIP: 10.9.0.1, ports: [{name: http, port: 80}]}}
---
";
    let mesh = mesh_of(&[of("api", "[{}]"), of("db", "[]")].join("---\n"), services);
    check_addressed(&mesh, "10.9.0.1", true);
    check_addressed(&mesh, "::ffff:10.9.0.1", true);
    check_addressed(&mesh, "10.9.0.2", false);
    check_addressed(&mesh, "10.0.0.1", true);
}

/// Services with the same policies share what is compiled, so that thousands behind one waypoint cost what
/// their policies cost.
#[test]
fn services_with_the_same_policies_share_what_is_compiled_of_them() {
    let service = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop, labels: \
             {{istio.io/use-waypoint: gate}}}}, spec: {{ports: [{{name: http, port: 80}}]}}}}\n---\n"
        )
    };
    let services: String = (0..300).map(|at| service(&format!("s{at}"))).collect();
    let of = |name: &str| format!("targetRefs: [{{kind: Service, group: '', name: {name}}}]");
    let gateway = "targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: gate}]";
    let policies = [
        policy("shop/all", gateway),
        policy("shop/one", &of("s1")),
        policy("shop/two", &of("s2")),
        policy("shop/other", &of("s2")),
        policy("far/elsewhere", &of("s3")),
        policy(
            "istio-system/class",
            "targetRefs: [{kind: GatewayClass, group: gateway.networking.k8s.io, name: istio-waypoint}]",
        ),
    ];
    let mesh = mesh_of(&policies.join("---\n"), &services);
    let proxy = mesh.proxy("c/shop/gate-0").expect("the pod is there");
    let plane = mesh.control_plane_of("c").expect("the cluster serves itself");
    let authorizer = Authorizer::of_proxy(&mesh, plane, &proxy);
    let chains = || authorizer.services().iter().map(|of| of.authorizer.chain(Traffic::Http));
    let made: BTreeSet<*const Chain> = chains().map(std::ptr::from_ref).collect();
    assert_eq!((chains().count(), made.len()), (302, 3));
    let names = |host: &str| {
        let named = authorizer.services().iter().find(|service| service.host.starts_with(host));
        let chain = named.expect("the service is there").authorizer.chain(Traffic::Http);
        chain.compiled.iter().map(|policy| policy.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let found = ["s1.", "s2.", "s3.", "tax."].map(names);
    assert_eq!(found, ["class all one", "class all other two", "class all", "class all"]);
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
