//! What a ztunnel is told of who may call whom against what a real istiod sent.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::path::Path;
use std::sync::Arc;

use mesh_envoy_proto::json;
use mesh_model::Compat;
use mesh_model::name::{Labels, Namespace};
use mesh_model::registry::{Origin, Registry, Source};
use mesh_testkit::folder;
use mesh_xds_gen::rbac::ztunnel::authorizations;
use serde_json::{Value, json as value};

fn check(meshes: &Path, goldens: &Path, mesh: &str, cluster: &str) {
    let golden = goldens.join(mesh).join(format!("{cluster}.ztunnel/authorizations.json"));
    let expected: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let mesh = folder::read(&meshes.join(mesh)).unwrap().0.mesh();
    let plane = mesh.control_plane_of(cluster).unwrap();
    let got: Vec<Value> = authorizations(&mesh, plane)
        .iter()
        .map(|(name, policy)| value!({ "name": name, "resource": json::to_value(policy).unwrap() }))
        .collect();
    for (expected, got) in expected.as_array().unwrap().iter().zip(&got) {
        assert_eq!(got, expected, "{}", expected["name"]);
    }
    assert_eq!(got.len(), expected.as_array().unwrap().len());
}

#[test]
fn the_shop_tells_its_ztunnels_what_istiod_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    check(&root.join("examples/meshes"), &root.join("golden"), "shop", "eu");
}

/// The references of a workload of namespace `shop` with label `app: web`.
fn check_references(policies: &str, expected: &[&str]) {
    let mut registry = Registry::new(Compat::default());
    let source = |origin: Origin, text: &str| Source {
        origin,
        name: Arc::from("mesh"),
        text: text.as_bytes().to_vec(),
    };
    registry.load([
        source(Origin::Description("c1".into()), "{name: c1, role: primary}"),
        source(Origin::Config, policies),
    ]);
    let mesh = registry.mesh();
    let plane = mesh.control_plane_of("c1").unwrap();
    let labels: Labels = [("app", "web")].into_iter().collect();
    let namespace = Namespace::from("shop");
    let found = mesh_authz::ztunnel::policies_of_workload(&mesh, plane, &namespace, &labels);
    assert_eq!(found, expected, "{policies}");
}

/// A PeerAuthentication in one line.
fn peers(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, \
         metadata: {{name: {name}, namespace: {namespace}}}, spec: {spec}}}\n---\n"
    )
}

#[test]
fn a_strict_workload_refers_to_the_static_policy() {
    let strict = peers("istio-system", "default", "{mtls: {mode: STRICT}}");
    check_references(&strict, &["istio-system/istio_converted_static_strict"]);
    let lax = peers("shop", "default", "{mtls: {mode: PERMISSIVE}}");
    check_references(&(strict + &lax), &[]);
}

#[test]
fn a_policy_for_ports_says_the_strict_part_itself() {
    let selector = "selector: {matchLabels: {app: web}}";
    let ports = |own: &str, port: &str| {
        peers(
            "shop",
            "web",
            &format!(
                "{{{selector}, mtls: {{mode: {own}}}, portLevelMtls: {{80: {{mode: {port}}}}}}}"
            ),
        )
    };
    let own = "shop/converted_peer_authentication_web";
    let of_mesh = "istio-system/istio_converted_static_strict";
    check_references(&ports("STRICT", "PERMISSIVE"), &[own]);
    check_references(&ports("STRICT", "STRICT"), &[of_mesh]);
    check_references(&ports("PERMISSIVE", "STRICT"), &[own]);
    check_references(&ports("PERMISSIVE", "DISABLE"), &[]);
    let strict = peers("istio-system", "default", "{mtls: {mode: STRICT}}");
    check_references(&(strict.clone() + &ports("UNSET", "PERMISSIVE")), &[own]);
    // Upstream's slip: a port that is DISABLE stays STRICT where that is inherited.
    check_references(&(strict + &ports("UNSET", "DISABLE")), &[of_mesh]);
}

#[test]
fn a_policy_that_is_not_understood_is_referred_to_and_denies() {
    let broken = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, \
                  metadata: {name: odd, namespace: shop}, \
                  spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{from: [{source: {ipBlocks: [x]}}]}]}}";
    check_references(broken, &["shop/odd"]);
}
