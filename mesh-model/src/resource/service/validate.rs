//! What the Kubernetes API refuses in a Service, as far as the mesh reads it, and what of its labels and
//! annotations the mesh cannot read: that counts as absent, and is warned of.
use std::collections::{BTreeMap, BTreeSet};

use super::{Service, ServicePort, Transport};
use crate::manifest::decode::clip;
use crate::resource::Meta;
use crate::resource::validate::{Violation, Violations, label, port};

const EXPORT_TO: &str = "networking.istio.io/exportTo";
const NODE_SELECTOR: &str = "traffic.istio.io/nodeSelector";
const NETWORK: &str = "topology.istio.io/network";
const GATEWAY_PORT: &str = "networking.istio.io/gatewayPort";

/// The ports of gateways that do not say theirs: for mutual TLS, and for HBONE.
const GATEWAY: i64 = 15_443;
const HBONE: u32 = 15_008;

impl Service {
    /// Returns the rules that the object breaks.
    ///
    /// # Upstream
    ///
    /// kubernetes/kubernetes `pkg/apis/core/validation/validation.go` `ValidateService`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec.ports", |violations| ports(violations, &self.spec.ports));
        export_to(&mut violations, &self.meta);
        node_selector(&mut violations, &self.meta);
        gateway_port(&mut violations, self);
        violations.into_found()
    }
}

fn ports(violations: &mut Violations, ports: &[ServicePort]) {
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    violations.each(ports, |violations, each| {
        violations.take_at("port", port::number(each.port));
        if each.node_port != 0 {
            violations.take_at("nodePort", port::number(each.node_port));
        }
        if !names.insert(&*each.name) {
            let message = format!("two ports have the name `{}`", clip(&each.name));
            violations.error_at("name", "SVC-PORT-NAME", &message, "rename one of them");
        } else if each.name.is_empty() && ports.len() > 1 {
            // The API server refuses it; a control plane that is given it all the same uses it.
            let message = "one of several ports has no name";
            violations.warning_at("name", "SVC-PORT-NAME", message, "name every port");
        }
        if !numbers.insert((each.port, each.protocol.as_str())) {
            let message =
                format!("port {} over {} is there twice", each.port, each.protocol.as_str());
            violations.error_at("port", "SVC-PORT-DUP", &message, "remove one of them");
        }
    });
}

/// Warns of entries of the annotation that name no namespace: nobody is in it.
fn export_to(violations: &mut Violations, meta: &Meta) {
    let field = format!("metadata.annotations.{EXPORT_TO}");
    for name in meta.annotations.value(EXPORT_TO).split(',').map(str::trim) {
        if !matches!(name, "" | "*" | "." | "~") && !label::is_dns(name) {
            let message =
                format!("`{}` is not a namespace: it exports the service to nobody", clip(name));
            let help = "write `.`, `*`, `~` or names of namespaces, with commas between them";
            violations.warning_at(&field, "EXPORT-VALUE", &message, help);
        }
    }
}

/// Warns of an annotation that is no JSON map of labels: the nodes are no addresses then.
fn node_selector(violations: &mut Violations, meta: &Meta) {
    let Some(text) = meta.annotations.get(NODE_SELECTOR) else { return };
    if serde_json::from_str::<BTreeMap<String, String>>(text).is_err() {
        let field = format!("metadata.annotations.{NODE_SELECTOR}");
        let message = format!(
            "`{}` is not a map of labels in JSON: the nodes are not addresses of this service",
            clip(text)
        );
        let help = "write for example `{\"kubernetes.io/os\": \"linux\"}`";
        violations.warning_at(&field, "SVC-NODE-SELECTOR", &message, help);
    }
}

/// Warns of a label that cannot be read, and of a network gateway that listens nowhere.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/serviceregistry/kube/controller/network.go` `getGatewayDetails`.
fn gateway_port(violations: &mut Violations, service: &Service) {
    let labels = &service.meta.labels;
    if labels.value(NETWORK).is_empty() {
        return;
    }
    let (field, code) = (format!("metadata.labels.{GATEWAY_PORT}"), "SVC-GATEWAY-PORT");
    let text = labels.value(GATEWAY_PORT);
    let wanted = text.parse::<i64>();
    if !text.is_empty() && wanted.is_err() {
        let message = format!("`{}` is not a number: port {GATEWAY} counts", clip(text));
        violations.warning_at(&field, code, &message, "write the number of a port");
    }
    let wanted = wanted.unwrap_or(GATEWAY);
    let carried = service.spec.ports.iter().filter(|port| port.protocol != Transport::Udp);
    let mut ports = carried.map(|port| port.port);
    if !ports.any(|port| i64::from(port) == wanted || port == HBONE) {
        let message = format!(
            "the service has neither port {wanted} nor {HBONE}: it is no gateway of its network"
        );
        let help = "add the port, or name the one that the gateway has in this label";
        violations.warning_at(&field, code, &message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::Service;
    use crate::resource::{Meta, ServicePort};

    /// The rules that a service with labels, annotations and ports breaks.
    fn check(
        labels: &[(&str, &str)],
        annotations: &[(&str, &str)],
        ports: &[u32],
        expected: &[&str],
    ) {
        let mut meta = Meta::new("", "");
        meta.labels = labels.iter().copied().collect();
        meta.annotations = annotations.iter().copied().collect();
        let port = |number: &u32| ServicePort {
            name: number.to_string().into(),
            port: *number,
            ..ServicePort::default()
        };
        let mut service = Service { meta, ..Service::default() };
        service.spec.ports = ports.iter().map(port).collect();
        let found = service.validate();
        let rules: Vec<&str> = found.iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, expected, "{found:?}");
    }

    #[test]
    fn annotations_that_cannot_be_read_are_told() {
        let export_to = |value| [("networking.istio.io/exportTo", value)];
        for value in [".", "*", "~", "a, b-2", ""] {
            check(&[], &export_to(value), &[80], &[]);
        }
        check(&[], &export_to("a, B_2, c/d"), &[80], &["EXPORT-VALUE", "EXPORT-VALUE"]);
        let selector = |value| [("traffic.istio.io/nodeSelector", value)];
        check(&[], &selector("{\"zone\": \"a\"}"), &[80], &[]);
        for value in ["", "zone=a", "[\"a\"]", "{\"zone\": 1}"] {
            check(&[], &selector(value), &[80], &["SVC-NODE-SELECTOR"]);
        }
    }

    #[test]
    fn a_network_gateway_that_listens_nowhere_is_told() {
        let network = ("topology.istio.io/network", "n1");
        let port = |value| [network, ("networking.istio.io/gatewayPort", value)];
        check(&[network], &[], &[80, 15_443], &[]);
        check(&[network], &[], &[15_008], &[]);
        check(&[network], &[], &[80], &["SVC-GATEWAY-PORT"]);
        check(&port("443"), &[], &[443], &[]);
        check(&port("443"), &[], &[15_443], &["SVC-GATEWAY-PORT"]);
        check(&port("https"), &[], &[15_443], &["SVC-GATEWAY-PORT"]);
        check(&port("https"), &[], &[443], &["SVC-GATEWAY-PORT", "SVC-GATEWAY-PORT"]);
        check(&[("networking.istio.io/gatewayPort", "https")], &[], &[443], &[]);
    }
}
