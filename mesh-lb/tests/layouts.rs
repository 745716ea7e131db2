//! Assignments that are computed one after the other, by layouts that services have in common, are the ones that
//! are computed each by itself.
use mesh_lb::assign::{Assignment, ClusterForm, Layouts};
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Subset;
use mesh_testkit::strategy::mesh;
use mesh_testkit::synthetic::Synthetic;
use proptest::prelude::*;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    assignments: usize,
    /// Those of subsets, and the endpoints and gateways that they have.
    subsets: usize,
    endpoints: usize,
    layouts: usize,
}

/// Compares all ports and subsets of all services that the proxies of a mesh see, in both forms of clusters.
fn compare(mesh: &Mesh) -> Tally {
    let mut tally = Tally::default();
    for reference in mesh.proxies() {
        let Ok(proxy) = mesh.proxy(&reference) else { continue };
        let Some(view) = mesh.view(&proxy) else { continue };
        let mut layouts = Layouts::new(&view);
        for service in view.services() {
            let rule = view.rule(service);
            let Some(shards) = view.shards(service) else { continue };
            let subsets = rule.into_iter().flat_map(|rule| &rule.subsets);
            let subsets = subsets.map(|subset| &*subset.name);
            let forms =
                [ClusterForm::of, ClusterForm::sni_dnat_of].map(|of| of(service.resolution));
            for ((port, subset), form) in service
                .ports
                .iter()
                .flat_map(|port| [""].into_iter().chain(subsets.clone()).map(move |of| (port, of)))
                .flat_map(|asked| forms.map(|form| (asked, form)))
            {
                let port = (service.clone(), port.clone());
                let destination = view.destination_by(rule, port, Subset::from(subset));
                let expected = Assignment::of_form(&view, &destination, form);
                let found = layouts.assignment(&destination, form, shards);
                assert_eq!(found, expected, "{} {subset} {form:?}", service.hostname);
                assert!(found.dropped().eq(expected.dropped()), "{} {subset}", service.hostname);
                tally.assignments += 1;
                tally.subsets += usize::from(!subset.is_empty());
                tally.endpoints += if subset.is_empty() { 0 } else { found.endpoints().count() };
            }
        }
        tally.layouts += layouts.len();
    }
    tally
}

fn load(sources: Vec<Source>) -> Registry {
    let mut registry = Registry::default();
    registry.load(sources);
    registry
}

#[test]
fn services_of_a_synthetic_mesh_share_layouts() {
    let services = Synthetic { services: 40, ..Synthetic::default() };
    let tally = compare(&load(services.sources()).mesh());
    assert!(tally.subsets >= 100 && tally.endpoints >= 500, "{tally:?}");
    assert!(tally.layouts > 0 && tally.layouts * 8 < tally.assignments, "{tally:?}");
}

#[test]
fn gateways_that_stand_for_endpoints_are_shared_too() {
    let services = Synthetic { services: 40, networks: 3, ..Synthetic::default() };
    let tally = compare(&load(services.sources()).mesh());
    assert!(tally.layouts > 0 && tally.layouts * 8 < tally.assignments, "{tally:?}");
}

/// Endpoints of several kinds in one locality, one of them unready, of which `spec` makes subsets.
fn kinds(spec: &str) -> Tally {
    let pod = |number: usize, labels: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: cart-{number}, namespace: shop, labels: {{app: cart, security.istio.io/tlsMode: istio, {labels}}}}}, spec: {{containers: [{{name: istio-proxy, image: proxy}}]}}, status: {{podIP: 10.0.0.{number}, phase: Running}}}}\n"
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
    assert!(tally.subsets >= 30 && tally.endpoints >= 15, "{tally:?}");
    assert!(tally.layouts > 0, "{tally:?}");
}

#[test]
fn labels_that_kinds_do_not_tell_apart_are_asked_of_each_endpoint() {
    let tally = kinds("subsets: [{name: own, labels: {pod: own}}]");
    assert!(tally.endpoints > 0, "{tally:?}");
}

#[test]
fn policies_of_subsets_may_keep_other_endpoints() {
    let panics = "{outlierDetection: {minHealthPercent: 50}}";
    let of_subset = format!("{{name: v1, labels: {{version: v1}}, trafficPolicy: {panics}}}");
    let v3 = "{name: v3, labels: {version: v3}}";
    let tally = kinds(&format!("subsets: [{of_subset}, {v3}]"));
    assert!(tally.endpoints > 0, "{tally:?}");
    let tally = kinds(&format!("trafficPolicy: {panics}, subsets: [{of_subset}, {v3}]"));
    assert!(tally.subsets > 0, "{tally:?}");
    let plain = "{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: DISABLE}}}";
    let tally =
        kinds(&format!("trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}, subsets: [{plain}]"));
    assert!(tally.endpoints > 0, "{tally:?}");
}

/// Services of one pod each, in a network and on a node of a zone, which is called as it is.
fn of_pods(pods: &[(&str, &str)]) -> Tally {
    let of_pod = |(number, (network, zone)): (usize, &(&str, &str))| {
        format!(
            "---
{{apiVersion: v1, kind: Service, metadata: {{name: s{number}, namespace: shop}}, spec: {{ports: [{{name: http, port: 80}}]}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: shop, labels: {{topology.istio.io/network: {network}, security.istio.io/tlsMode: istio}}}}, spec: {{nodeName: {zone}, containers: [{{name: istio-proxy, image: proxy}}]}}, status: {{podIP: 10.0.0.{number}, phase: Running}}}}
---
{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, endpoints: [{{addresses: [10.0.0.{number}], targetRef: {{kind: Pod, name: p{number}, namespace: shop}}}}],
  metadata: {{name: s{number}, namespace: shop, labels: {{kubernetes.io/service-name: s{number}}}}}, ports: [{{name: http, port: 8080}}]}}
"
        )
    };
    let node = |zone| {
        format!(
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {zone}, labels: {{topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: {zone}}}}}}}\n"
        )
    };
    let nodes = ["a", "b"].map(node).concat();
    let services: String = (1..).zip(pods).map(of_pod).collect();
    let gateways = "networks: {n2: {gateways: [{address: 34.0.0.2, port: 15443}]}, n3: {gateways: [{address: 34.0.0.3, port: 15443}]}}";
    let source =
        |origin, name: &str, text: &str| Source { origin, name: name.into(), text: text.into() };
    let sources = vec![
        source(Origin::Cluster("c1".into()), "c1.yaml", &format!("{nodes}{services}")),
        source(Origin::MeshNetworks, "networks.yaml", gateways),
    ];
    compare(&load(sources).mesh())
}

#[test]
fn endpoints_of_several_networks_and_zones_are_told_apart() {
    let together = of_pods(&[("n2", "a"), ("n2", "a"), ("n2", "a")]);
    let apart = [
        of_pods(&[("n1", "a"), ("n2", "a"), ("n3", "a")]),
        of_pods(&[("n2", "a"), ("n2", "a"), ("n2", "b")]),
    ];
    for apart in apart {
        assert_eq!((apart.assignments, together.assignments), (18, 18), "{apart:?} {together:?}");
        assert!(apart.layouts > together.layouts, "{apart:?} {together:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn assignments_of_any_mesh_are_what_is_computed(mesh in mesh::mesh()) {
        let mut registry = Registry::default();
        registry.apply_all(mesh);
        compare(&registry.mesh());
    }
}
