//! What will hurt: hazards that the manifests alone show.
//!
//! ```text
//! Mesh ─a scene a control plane─▶ families of rules ─▶ diagnostics, each with a place and a remedy
//! ```
//!
//! A file is a family, a function a hazard, a hazard one code: `HZ-…` and `TOPO-…` are ours, `IST…` are
//! those of `istioctl analyze`. A message says what will happen, the help what to do. Hazards that need
//! shares of traffic are found where shares are computed.
mod scene; // Reading order: what rules look at, then the families.

mod clients;

mod subject;

mod place;

mod locality;

mod distribute;

mod outlier;

mod network;

mod gateway;

mod route;

mod reference;

mod rule;

mod service;

mod collision;

mod ignored;

mod unread;

mod policy;

mod uninhabited;

mod authorization;

mod jwks;

mod cluster;

mod topology;

mod version;

mod control_plane;

mod drift;

mod proxies;

mod injection;

mod port;

mod gateway_route;

mod credential;

mod annotation;

mod envoy_filter;

mod uncomputed;

mod telemetry;

mod provider;

mod ineffective;

mod installation;

pub use self::place::point_at_fields;
use self::scene::Scene;
pub use self::subject::{Subject, sort};
use crate::manifest::Diagnostic;
use crate::registry::Mesh;

/// Finds the hazards of a mesh, by file, line and code.
///
/// Findings name the field that they are about and point at the beginning of its object;
/// [`point_at_fields`] makes them point at the field.
///
/// # Examples
///
/// A rule that prefers near endpoints and never notices that they fail:
///
/// ```
/// use mesh_model::Compat;
/// use mesh_model::lint::lint;
/// use mesh_model::registry::{Origin, Registry, Source};
///
/// let text = r"
/// apiVersion: networking.istio.io/v1
/// kind: DestinationRule
/// metadata: {name: cart, namespace: shop}
/// spec:
///   host: nobody.shop.svc.cluster.local
/// ";
/// let source = Source { origin: Origin::Config, name: "cart.yaml".into(), text: text.into() };
/// let cluster = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
/// let mut registry = Registry::new(Compat::default());
/// registry.load([source, Source { origin: Origin::Cluster("c1".into()), name: "c1.yaml".into(), text: cluster.into() }]);
/// let found = lint(&registry.mesh());
/// assert_eq!(found.iter().map(|found| found.code).collect::<Vec<_>>(), ["IST0174"]);
/// ```
pub fn lint(mesh: &Mesh) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for plane in mesh.control_planes() {
        let scene = Scene::new(mesh, plane);
        for family in FAMILIES {
            family(&scene, &mut found);
        }
    }
    for family in OF_MESH {
        family(mesh, &mut found);
    }
    sort(&mut found);
    found
}

/// The families that look at what one control plane knows.
const FAMILIES: &[fn(&Scene<'_>, &mut Vec<Diagnostic>)] = &[
    locality::check,
    distribute::check,
    outlier::check,
    network::check,
    gateway::check,
    route::check,
    reference::check,
    rule::check,
    service::check,
    collision::check,
    ignored::check,
    unread::check,
    policy::check,
    uninhabited::check,
    authorization::check,
    jwks::check,
    injection::check,
    port::check,
    gateway_route::check,
    credential::check,
    annotation::check,
    envoy_filter::check,
    uncomputed::check,
    telemetry::check,
    provider::check,
    ineffective::check,
    installation::check,
];

/// The families that look at the mesh as a whole.
const OF_MESH: &[fn(&Mesh, &mut Vec<Diagnostic>)] =
    &[cluster::check, topology::check, control_plane::check, unread::check_mesh, proxies::check];

#[cfg(test)]
mod tests;
