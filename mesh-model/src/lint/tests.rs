//! Small meshes, and what is found in them: each hazard once where it is, once where it is not.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::lint;
use crate::Compat;
use crate::registry::{Origin, Registry, Source};

mod authorization;
mod clusters;
mod edge;
mod ignored;
mod injection;
mod locality;
mod network;
mod objects;
mod outlier;
mod place;
mod route;
mod uncomputed;

/// A mesh in files: clusters with a service `cart` of namespace `shop` and one pod an endpoint.
#[derive(Clone, Debug, Default)]
struct Fixture(BTreeMap<String, String>);

impl Fixture {
    /// Adds a cluster; an endpoint is `ADDRESS REGION/ZONE [LABEL=VALUE]…`, and `plain` has no sidecar.
    fn cluster(mut self, name: &str, network: &str, endpoints: &[&str]) -> Self {
        let mut text = format!(
            "{}---\n{}",
            namespace("istio-system", &format!("{{topology.istio.io/network: \"{network}\"}}")),
            service("cart", "172.20.0.1", "{name: http, port: 80}")
        );
        let mut addresses = String::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let mut words = endpoint.split(' ');
            let (address, place) = (words.next().unwrap(), words.next().unwrap_or_default());
            let (region, zone) = place.split_once('/').unwrap_or((place, ""));
            let labels: Vec<String> = words
                .map(|word| match word {
                    "plain" => "security.istio.io/tlsMode: disabled".to_owned(),
                    label => label.replace('=', ": "),
                })
                .chain(["app: cart".to_owned(), "security.istio.io/tlsMode: istio".to_owned()])
                .collect();
            let labels = dedup(&labels);
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}-{index}, labels: \
                 {{topology.kubernetes.io/region: \"{region}\", topology.kubernetes.io/zone: \"{zone}\"}}}}\n\
                 ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: cart-{index}, namespace: shop, labels: \
                 {{{labels}}}}}\nspec: {{nodeName: {name}-{index}, containers: [{{name: cart}}, \
                 {{name: istio-proxy}}]}}\nstatus: {{phase: Running, podIP: {address}}}\n"
            );
            let _ = writeln!(
                addresses,
                "- {{addresses: [{address}], nodeName: {name}-{index}, targetRef: {{kind: Pod, name: \
                 cart-{index}, namespace: shop}}}}"
            );
        }
        if !endpoints.is_empty() {
            let _ = write!(
                text,
                "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: cart, \
                 namespace: shop, labels: {{kubernetes.io/service-name: cart}}}}\naddressType: IPv4\n\
                 ports: [{{name: http, port: 8080}}]\nendpoints:\n{addresses}"
            );
        }
        self.0.insert(format!("clusters/{name}/cart.yaml"), text);
        self
    }

    /// Adds a network gateway to a cluster.
    fn gateway(self, cluster: &str, network: &str, addresses: &[&str]) -> Self {
        let ingress: Vec<String> = addresses
            .iter()
            .map(|address| match address.contains(char::is_alphabetic) {
                true => format!("{{hostname: {address}}}"),
                false => format!("{{ip: {address}}}"),
            })
            .collect();
        self.file(
            &format!("clusters/{cluster}/gateway.yaml"),
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: ew, namespace: istio-system, labels: \
                 {{topology.istio.io/network: {network}}}}}\nspec: {{type: LoadBalancer, clusterIP: \
                 172.20.0.9, ports: [{{name: tls, port: 15443}}]}}\nstatus: {{loadBalancer: {{ingress: \
                 [{}]}}}}\n",
                ingress.join(", ")
            ),
        )
    }

    /// Adds a file.
    fn file(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Adds a DestinationRule for `cart` with a traffic policy in YAML's flow form.
    fn policy(self, policy: &str) -> Self {
        self.rule("rule", &format!("{{host: cart, trafficPolicy: {policy}}}"))
    }

    /// Adds a DestinationRule of namespace `shop`.
    fn rule(self, name: &str, spec: &str) -> Self {
        self.object("DestinationRule", name, spec)
    }

    /// Adds an object of `networking.istio.io` in namespace `shop`.
    fn object(self, kind: &str, name: &str, spec: &str) -> Self {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: \
             shop}}\nspec: {spec}\n"
        );
        self.file(&format!("config/{kind}-{name}.yaml"), &text)
    }

    /// The findings as `CODE OBJECT: MESSAGE`; the files are without errors.
    fn findings(&self) -> Vec<String> {
        let (errors, found) = self.errors_and_findings();
        assert_eq!(errors, [""; 0]);
        found
    }

    /// The errors of loading, and the findings all the same.
    fn errors_and_findings(&self) -> (Vec<String>, Vec<String>) {
        let sources = self.0.iter().map(|(name, text)| Source {
            origin: Origin::of_path(name).unwrap(),
            name: name.as_str().into(),
            text: text.clone().into_bytes(),
        });
        let mut registry = Registry::new(Compat::default());
        let diagnostics = registry.load(sources);
        let texts = diagnostics.iter().map(ToString::to_string);
        let errors = texts.filter(|text| text.contains("error["));
        let found = lint(&registry.mesh());
        for finding in diagnostics.iter().chain(&found) {
            assert!(!finding.help.is_empty(), "what to do about {finding}");
        }
        (errors.collect(), found.iter().map(ToString::to_string).collect())
    }

    /// Checks that a hazard is found.
    fn has(&self, code: &str) {
        let found = self.findings();
        let code = format!("[{code}]");
        assert!(found.iter().any(|text| text.contains(&code)), "no {code} in {found:#?}");
    }

    /// Checks that a hazard is not found.
    fn lacks(&self, code: &str) {
        let found = self.findings();
        let code = format!("[{code}]");
        let hit = found.iter().find(|text| text.contains(&code));
        assert_eq!(hit, None);
    }
}

/// Labels with the first of several values of a key.
fn dedup(labels: &[String]) -> String {
    let mut kept: Vec<&String> = Vec::new();
    for label in labels {
        let key = |text: &str| text.split(": ").next().unwrap_or_default().to_owned();
        if kept.iter().all(|known| key(known) != key(label)) {
            kept.push(label);
        }
    }
    kept.iter().map(|label| label.as_str()).collect::<Vec<_>>().join(", ")
}

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n")
}

fn service(name: &str, address: &str, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{clusterIP: \
         {address}, selector: {{app: {name}}}, ports: [{port}]}}\n"
    )
}

/// Two zones of one region and another region, in one cluster without a network.
fn spread() -> Fixture {
    Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1", "10.0.0.2 r1/z2", "10.0.0.3 r2/z1"])
}

/// Two networks with a gateway each.
fn networks() -> Fixture {
    Fixture::default()
        .cluster("c1", "n1", &["10.0.0.1 r1/z1", "10.0.0.2 r1/z1"])
        .cluster("c2", "n2", &["10.1.0.1 r2/z1", "10.1.0.2 r2/z1"])
        .gateway("c1", "n1", &["34.1.1.1"])
        .gateway("c2", "n2", &["34.2.2.2"])
}

#[test]
fn a_plain_mesh_has_nothing_worse_than_notes() {
    let found = Fixture::default().cluster("c1", "", &["10.0.0.1 r1/z1"]).findings();
    assert_eq!(found, [""; 0]);
}
