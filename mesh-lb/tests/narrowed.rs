//! The assignment of a subset, made of that of the whole service, is the one that is computed.
use mesh_lb::assign::{Assignment, ClusterForm, Supply};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Subset;
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use proptest::prelude::*;

/// What became of the subsets of a mesh.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    narrowed: usize,
    computed: usize,
    /// Endpoints that narrowed ones have.
    endpoints: usize,
}

/// Compares all subsets of all services that the proxies of a mesh see.
fn compare(mesh: &Mesh) -> Tally {
    let mut tally = Tally::default();
    for reference in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&reference) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        for service in view.services() {
            let Some(rule) = view.rule(service) else { continue };
            let Some(shards) = view.shards(service) else { continue };
            for port in &service.ports {
                let of = |subset: &str| {
                    let subset = Subset::from(subset);
                    view.destination_by(Some(rule), (service.clone(), port.clone()), subset)
                };
                let form = ClusterForm::of(service.resolution);
                let gateways = view.gateways(form.is_dns());
                let compat = mesh.compat();
                let supply = Supply { shards, gateways, counts_names: false, compat };
                let whole = of("");
                let assignment = Assignment::of_supply(&view, &whole, form, supply);
                for subset in &rule.subsets {
                    let subset = of(&subset.name);
                    let expected = Assignment::of_supply(&view, &subset, form, supply);
                    let narrowed = assignment.of_subset(&view, [&whole, &subset], form, supply);
                    match narrowed {
                        Some(narrowed) => {
                            tally.narrowed += 1;
                            tally.endpoints += narrowed.endpoints().count();
                            assert_eq!(
                                narrowed, expected,
                                "{} {}",
                                service.hostname, subset.subset
                            );
                        }
                        None => tally.computed += 1,
                    }
                }
            }
        }
    }
    tally
}

fn load(sources: Vec<Source>) -> Registry {
    let mut registry = Registry::default();
    registry.load(sources);
    registry
}

#[test]
fn subsets_of_a_synthetic_mesh_are_made_of_whole_services() {
    let tally = compare(&load(Synthetic { services: 6, ..Synthetic::default() }.sources()).mesh());
    assert_eq!(tally.computed, 0, "{tally:?}");
    assert!(tally.narrowed >= 6 && tally.endpoints >= 30, "{tally:?}");
}

#[test]
fn gateways_stand_for_endpoints_of_several_subsets() {
    let measures = Synthetic { services: 6, networks: 3, ..Synthetic::default() };
    let tally = compare(&load(measures.sources()).mesh());
    assert_eq!(tally.narrowed, 0, "{tally:?}");
}

/// Endpoints of several kinds in one locality, one of them unready, of which `spec` makes subsets.
fn kinds(spec: &str) -> Tally {
    let pod = |number: usize, labels: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: cart-{number}, namespace: shop, labels: {{app: cart, {labels}}}}}, spec: {{containers: [{{name: istio-proxy, image: proxy}}]}}, status: {{podIP: 10.0.0.{number}, phase: Running}}}}\n"
        )
    };
    let endpoint = |number: usize, ready: bool| {
        format!(
            "{{addresses: [10.0.0.{number}], conditions: {{ready: {ready}, serving: {ready}, terminating: false}}, targetRef: {{kind: Pod, name: cart-{number}, namespace: shop}}}}"
        )
    };
    let labels =
        ["version: v1", "version: v2", "version: v1, pod: own", "version: v3", "version: v1"];
    let pods: String = (1..).zip(labels).map(|(number, labels)| pod(number, labels)).collect();
    let endpoints = (1..=5).map(|number| endpoint(number, number != 4 && number != 5));
    let endpoints = endpoints.collect::<Vec<_>>().join(", ");
    let text = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: cart, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{endpoints}],
  metadata: {{name: cart-1, namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}, ports: [{{name: http, port: 8080}}]}}
{pods}---
{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: cart, namespace: shop}}, spec: {{host: cart, {spec}}}}}
"
    );
    let source =
        Source { origin: Origin::Cluster("c1".into()), name: "c1.yaml".into(), text: text.into() };
    compare(&load(vec![source]).mesh())
}

#[test]
fn kinds_are_kept_or_left_out() {
    let tally = kinds(
        "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: none, labels: {version: v9}}]",
    );
    assert_eq!(tally.computed, 0, "{tally:?}");
    assert!(tally.narrowed >= 15 && tally.endpoints >= 15, "{tally:?}");
}

#[test]
fn labels_that_kinds_do_not_tell_apart_are_asked_of_each_endpoint() {
    let tally = kinds("subsets: [{name: own, labels: {pod: own}}]");
    assert_eq!(tally.narrowed, 0, "{tally:?}");
}

#[test]
fn a_subset_that_keeps_unhealthy_endpoints_is_not_part_of_what_the_whole_has() {
    let panics = "{outlierDetection: {minHealthPercent: 50}}";
    let tally = kinds(&format!(
        "subsets: [{{name: v1, labels: {{version: v1}}, trafficPolicy: {panics}}}]"
    ));
    assert_eq!(tally.narrowed, 0, "{tally:?}");
    let tally = kinds(&format!(
        "trafficPolicy: {panics}, subsets: [{{name: v1, labels: {{version: v1}}}}]"
    ));
    assert_eq!(tally.computed, 0, "{tally:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn subsets_of_any_mesh_are_what_is_computed(mesh in mesh::mesh()) {
        let mut registry = Registry::default();
        registry.apply_all(mesh);
        compare(&registry.mesh());
    }
}
