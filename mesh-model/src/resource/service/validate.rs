//! What the Kubernetes API refuses in a Service, as far as the mesh reads it.
use std::collections::BTreeSet;

use super::{Service, ServicePort};
use crate::manifest::decode::clip;
use crate::resource::validate::{Violation, Violations, port};

impl Service {
    /// Returns the rules that the object breaks.
    ///
    /// # Upstream
    ///
    /// kubernetes/kubernetes `pkg/apis/core/validation/validation.go` `ValidateService`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("spec.ports", |violations| ports(violations, &self.spec.ports));
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
