//! Who is one class of clients, and what all clients together send to one endpoint.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::fmt::Write as _;
use std::sync::Arc;

use mesh_lb::capacity::DEFAULT_LIMIT;
use mesh_lb::whatif::{Loss, Scenario, Survey, services};
use mesh_model::Compat;
use mesh_model::registry::{Mesh, Origin, Registry, Source};
use mesh_model::view::Proxy;

/// One cluster's manifests.
#[derive(Default)]
struct Cluster(String);

impl Cluster {
    /// A pod with a sidecar on a node of its own, in a zone of region `r1`.
    fn pod(
        mut self,
        (namespace, name): (&str, &str),
        address: &str,
        zone: &str,
        more: &str,
    ) -> Self {
        let _ = write!(
            self.0,
            "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: \
             {{topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: {zone}}}}}}}\n---\n\
             {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: \
             {{security.istio.io/tlsMode: istio{more}}}}}, spec: {{nodeName: {name}, containers: [{{name: \
             app}}, {{name: istio-proxy}}]}}, status: {{phase: Running, podIP: {address}}}}}\n"
        );
        self
    }

    /// `web.demo` on the ports 80 and 81, of pods by name and address.
    fn web(mut self, more: &str, pods: &[(&str, &str)]) -> Self {
        let endpoints: Vec<String> = pods
            .iter()
            .map(|(name, address)| {
                format!(
                    "{{addresses: [{address}], conditions: {{ready: true}}, targetRef: {{kind: Pod, \
                     name: {name}, namespace: demo}}}}"
                )
            })
            .collect();
        let _ = write!(
            self.0,
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: demo}}, spec: \
             {{clusterIP: 172.20.0.1, ports: [{{name: http, port: 80}}, {{name: http-more, port: 81}}]\
             {more}}}}}\n---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: \
             web, namespace: demo, labels: {{kubernetes.io/service-name: web}}}}, addressType: IPv4, \
             ports: [{{name: http, port: 8080}}, {{name: http-more, port: 8081}}], endpoints: [{}]}}\n",
            endpoints.join(", ")
        );
        self
    }
}

/// Clusters by name, each with its description, under common rules.
fn mesh(clusters: &[(&str, &str, Cluster)], rules: &str) -> Arc<Mesh> {
    let source = |origin, name: &str, text: &str| Source {
        origin,
        name: name.into(),
        text: text.as_bytes().to_vec(),
    };
    let mut sources = vec![source(Origin::Config, "rules.yaml", rules)];
    for (name, description, Cluster(text)) in clusters {
        let id = || (*name).into();
        sources.push(source(Origin::Cluster(id()), &format!("{name}.yaml"), text));
        sources.push(source(
            Origin::Description(id()),
            &format!("{name}/cluster.yaml"),
            description,
        ));
    }
    let mut registry = Registry::new(Compat::default());
    let found = registry.load(sources);
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    registry.mesh()
}

fn proxies(mesh: &Mesh) -> Vec<Proxy> {
    mesh.proxies().map(|reference| mesh.proxy(&reference).unwrap()).collect()
}

/// The endpoints of `web.demo:80` that carry too much, with the factor, over all classes.
fn overloaded(mesh: &Mesh, failure: &str, loss: Loss) -> Vec<String> {
    let scenario = Scenario { failures: vec![failure.parse().unwrap()], loss };
    let proxies = proxies(mesh);
    let survey = Survey::new(mesh, &proxies, services);
    let impacts = survey.impact(&scenario, DEFAULT_LIMIT);
    let of_web = impacts.iter().filter(|impact| impact.destination.port.number == 80);
    let all = of_web.flat_map(|impact| &impact.overloaded);
    let mut all: Vec<String> =
        all.map(|one| format!("{} {:.2}", one.address, one.factor)).collect();
    all.sort();
    all.dedup();
    all
}

/// The members of each class of `web.demo:80`, by name.
fn classes(mesh: &Mesh) -> Vec<String> {
    let proxies = proxies(mesh);
    let survey = Survey::new(mesh, &proxies, services);
    let of_web = survey.destinations().iter().filter(|of| of.destination.port.number == 80);
    let classes = of_web.flat_map(|surveyed| &surveyed.classes);
    let name = |proxy: &&Proxy| proxy.reference().rsplit('/').next().unwrap().to_owned();
    classes
        .map(|class| survey.proxies(class).iter().map(name).collect::<Vec<_>>().join(" "))
        .collect()
}

fn rule(namespace: &str, policy: &str) -> String {
    format!(
        "---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: web, \
         namespace: {namespace}}}, spec: {{host: web.demo.svc.cluster.local, exportTo: ['.'], \
         trafficPolicy: {policy}}}}}\n"
    )
}

const DETECTION: &str = "{outlierDetection: {maxEjectionPercent: 100}}";

/// A site with an endpoint and a client.
fn site(number: u8) -> Cluster {
    let (web, client) = (format!("web-{number}"), format!("client-{number}"));
    let address = format!("10.{number}.0.1");
    Cluster::default()
        .pod(("demo", &web), &address, &format!("z{number}"), "")
        .pod(("demo", &client), &format!("10.{number}.0.2"), &format!("z{number}"), "")
        .web("", &[(&web, &address)])
}

#[test]
fn two_active_sites_are_one_service_whoever_tells_their_clients() {
    let remote = "role: remote\ncontrolPlane: c1\n";
    for second in [remote, "role: primary\n"] {
        let clusters = [("c1", "role: primary\n", site(1)), ("c2", second, site(2))];
        let mesh = mesh(&clusters, &rule("demo", DETECTION));
        for loss in [Loss::Unhealthy, Loss::Removed] {
            let told = overloaded(&mesh, "cluster=c1", loss);
            assert_eq!(told, ["10.2.0.1:8080 2.00"], "{second} {loss:?}");
        }
    }
}

/// Two endpoints in two zones, and a client in each of two namespaces, each near one of them.
fn namespaces(rules: &str) -> Arc<Mesh> {
    let cluster = Cluster::default()
        .pod(("demo", "web-1"), "10.1.0.1", "z1", "")
        .pod(("demo", "web-2"), "10.1.0.2", "z2", "")
        .pod(("one", "client-1"), "10.1.0.3", "z1", "")
        .pod(("two", "client-2"), "10.1.0.4", "z2", "")
        .web("", &[("web-1", "10.1.0.1"), ("web-2", "10.1.0.2")]);
    mesh(&[("c1", "role: primary\n", cluster)], rules)
}

#[test]
fn what_clients_of_several_rules_send_is_summed() {
    let both = ["one", "two", "demo"].map(|namespace| rule(namespace, DETECTION)).concat();
    let told = overloaded(&namespaces(&both), "endpoint=10.1.0.1", Loss::Unhealthy);
    assert_eq!(told, ["10.1.0.2:8080 2.00"]);
}

#[test]
fn what_clients_of_a_service_that_a_sidecar_narrows_send_is_summed() {
    let sidecar = "---\n{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: s, namespace: \
                   two}, spec: {egress: [{port: {number: 80, name: http, protocol: HTTP}, hosts: \
                   ['*/*']}]}}\n";
    let both = ["one", "two", "demo"].map(|namespace| rule(namespace, DETECTION)).concat();
    let mesh = namespaces(&(both + sidecar));
    let told = overloaded(&mesh, "endpoint=10.1.0.1", Loss::Unhealthy);
    assert_eq!(told, ["10.1.0.2:8080 2.00"]);
}

#[test]
fn clients_of_a_service_that_prefers_the_node_are_told_apart_by_it() {
    let cluster = Cluster::default()
        .pod(("demo", "web-1"), "10.1.0.1", "z1", "")
        .pod(("demo", "web-2"), "10.1.0.2", "z1", "")
        .web(
            ", trafficDistribution: PreferSameNode",
            &[("web-1", "10.1.0.1"), ("web-2", "10.1.0.2")],
        );
    let mesh = mesh(&[("c1", "role: primary\n", cluster)], "");
    assert_eq!(classes(&mesh), ["web-1", "web-2"]);
    let told = overloaded(&mesh, "endpoint=10.1.0.1", Loss::Unhealthy);
    assert_eq!(told, ["10.1.0.2:8080 2.00"]);
}

#[test]
fn a_label_with_a_fixed_value_tells_no_clients_apart() {
    let labelled = |zone| {
        Cluster::default()
            .pod(("demo", "web-1"), "10.1.0.1", "z1", ", version: v1")
            .pod(("demo", "web-2"), "10.1.0.2", zone, ", version: v2")
            .web("", &[("web-1", "10.1.0.1"), ("web-2", "10.1.0.2")])
    };
    for (entries, expected) in [
        ("[version=v2]", &["web-1 web-2"][..]),
        ("[version=v2, version]", &["web-1 web-2"]),
        ("[version, version=v2]", &["web-1 web-2"]),
        ("[version]", &["web-1", "web-2"]),
        ("[version, other=v2]", &["web-1", "web-2"]),
    ] {
        let policy = format!(
            "{{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {{failoverPriority: {entries}}}}}}}"
        );
        let mesh = mesh(&[("c1", "role: primary\n", labelled("z1"))], &rule("demo", &policy));
        assert_eq!(classes(&mesh), expected, "{entries}");
    }
}

/// What the classes of `web.demo:80` are called.
fn names(mesh: &Mesh) -> Vec<String> {
    let proxies = proxies(mesh);
    let survey = Survey::new(mesh, &proxies, services);
    let ports = survey
        .destinations()
        .iter()
        .flat_map(|surveyed| surveyed.classes.iter().map(|_| surveyed.destination.port.number));
    let names = survey.names().into_iter().zip(ports);
    names.filter(|(_, port)| *port == 80).map(|(name, _)| name).collect()
}

#[test]
fn classes_of_one_place_are_called_by_what_tells_them_apart() {
    // One at each place.
    assert_eq!(names(&namespaces("")), ["c1/r1/z1", "c1/r1/z2"]);
    let both = ["one", "two", "demo"].map(|namespace| rule(namespace, DETECTION)).concat();
    let mut told = names(&namespaces(&both));
    told.sort();
    let expected = ["demo", "one"].map(|namespace| format!("c1/r1/z1 namespace={namespace}"));
    assert_eq!(told[..2], expected);

    let by_label =
        "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [version]}}}";
    let pods = Cluster::default()
        .pod(("demo", "web-1"), "10.1.0.1", "z1", ", version: v1")
        .pod(("demo", "web-2"), "10.1.0.2", "z1", ", version: v2")
        .pod(("one", "client"), "10.1.0.3", "z1", ", version: v2")
        .web("", &[("web-1", "10.1.0.1"), ("web-2", "10.1.0.2")]);
    let mesh =
        mesh(&[("c1", "role: primary\n", pods)], &rule("demo", by_label).replace("['.']", "['*']"));
    assert_eq!(names(&mesh), ["c1/r1/z1 version=v1", "c1/r1/z1 version=v2"]);
}

#[test]
fn without_gateways_the_addresses_of_clients_tell_nobody_apart() {
    let pods = Cluster::default()
        .pod(("demo", "web-1"), "10.1.0.1", "z1", "")
        .pod(("demo", "client-6"), "'2001:db8::5'", "z1", "")
        .web("", &[("web-1", "10.1.0.1")]);
    assert_eq!(classes(&mesh(&[("c1", "role: primary\n", pods)], "")), ["client-6 web-1"]);
}
