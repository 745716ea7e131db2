//! What autoscalers absorb of the load that moves to the endpoints that are left.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::fmt::Write as _;
use std::sync::Arc;

use mesh_lb::capacity::DEFAULT_LIMIT;
use mesh_lb::whatif::{Loss, Scenario, Survey, services};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Proxy;

const CLUSTERS: [(&str, u8); 2] = [("c1", 1), ("c2", 2)];

/// `web.demo` of a Deployment with two pods in each of two clusters, without a rule; an autoscaler in the
/// second lets it grow.
fn mesh(max_replicas: u32) -> Arc<Mesh> {
    let mut registry = Registry::new(Compat::default());
    let mut sources = Vec::new();
    for (cluster, number) in CLUSTERS {
        let mut text =
            "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: demo}, spec: \
                        {clusterIP: 172.20.0.1, ports: [{name: http, port: 80}]}}\n"
                .to_owned();
        for pod in ["p", "q"] {
            let last = if pod == "p" { 1 } else { 2 };
            let _ = write!(
                text,
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {pod}, namespace: demo, labels: \
                 {{pod-template-hash: 7d4}}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, \
                 name: web-7d4, controller: true}}]}}, spec: {{containers: [{{name: app}}, {{name: \
                 istio-proxy}}]}}, status: {{phase: Running, podIP: 10.{number}.0.{last}}}}}\n---\n\
                 {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web-{pod}, \
                 namespace: demo, labels: {{kubernetes.io/service-name: web}}}}, addressType: IPv4, \
                 ports: [{{name: http, port: 8080}}], endpoints: [{{addresses: [10.{number}.0.{last}], \
                 targetRef: {{kind: Pod, name: {pod}, namespace: demo}}}}]}}\n"
            );
        }
        if cluster == "c2" && max_replicas > 0 {
            let _ = write!(
                text,
                "---\n{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: web, \
                 namespace: demo}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: \
                 web}}, maxReplicas: {max_replicas}}}}}\n"
            );
        }
        let origin = Origin::Cluster(cluster.into());
        sources.push(Source { origin, name: format!("{cluster}.yaml").into(), text: text.into() });
    }
    let found = registry.load(sources);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

/// What each endpoint carries too much when the first cluster fails.
#[track_caller]
fn check(max_replicas: u32, expected: &[&str]) {
    let mesh = mesh(max_replicas);
    let proxies: Vec<Proxy> = mesh.proxies().map(|name| mesh.proxy(&name).unwrap()).collect();
    let survey = Survey::new(&mesh, &proxies, services);
    let failures = vec!["cluster=c1".parse().unwrap()];
    let impacts = survey.impact(&Scenario { failures, loss: Loss::Unhealthy }, DEFAULT_LIMIT);
    let told = impacts.iter().flat_map(|impact| &impact.overloaded).map(|one| {
        let scaled = one.factor_scaled.zip(one.absorbed_by_scaling);
        let scaled = scaled.map(|(scaled, absorbed)| format!(" {scaled:.2} {absorbed}"));
        format!("{} {:.2}{}", one.address, one.factor, scaled.unwrap_or_default())
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told.dedup();
    assert_eq!(told, expected);
}

#[test]
fn without_an_autoscaler_nothing_is_absorbed() {
    check(0, &["10.2.0.1:8080 2.00", "10.2.0.2:8080 2.00"]);
}

#[test]
fn a_workload_that_may_double_absorbs_twice_its_load() {
    check(4, &["10.2.0.1:8080 2.00 1.00 true", "10.2.0.2:8080 2.00 1.00 true"]);
    check(3, &["10.2.0.1:8080 2.00 1.33 true", "10.2.0.2:8080 2.00 1.33 true"]);
}

#[test]
fn a_workload_at_its_most_absorbs_nothing() {
    for max_replicas in [1, 2] {
        check(max_replicas, &["10.2.0.1:8080 2.00 2.00 false", "10.2.0.2:8080 2.00 2.00 false"]);
    }
}
