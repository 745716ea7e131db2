//! What admission refuses in the networks of the mesh, and what is left of them.
//!
//! Upstream drops all networks for one mistake; here only the entry that is wrong is left out.
use super::{GatewayTarget, MeshNetworks, NetworkEndpoints, NetworkGateway};
use crate::manifest::decode::clip;
use crate::resource::validate::{
    Verdict, Violation, Violations, Wrong, address, host, label, port,
};

impl MeshNetworks {
    /// Returns the rules that the networks break.
    ///
    /// # Upstream
    ///
    /// istio/istio `pkg/config/validation/agent/validation.go` `ValidateMeshNetworks`.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        violations.field("networks", |violations| {
            violations.entries(&self.networks, |violations, _, network| {
                violations.field("endpoints", |violations| {
                    violations.each(&network.endpoints, |violations, entry| {
                        let (name, verdict) = endpoints(entry);
                        violations.take_at(name, verdict);
                    });
                });
                violations.field("gateways", |violations| {
                    violations.each(&network.gateways, |violations, gateway| {
                        let (name, verdict) = target(gateway);
                        violations.take_at(name, verdict);
                        violations.take_at("port", port::number(gateway.port));
                    });
                });
            });
        });
        violations.into_found()
    }

    /// Leaves out the entries that break a rule.
    pub(in crate::resource) fn repair(&mut self) {
        for network in self.networks.values_mut() {
            network.endpoints.retain(|entry| endpoints(entry).1.is_ok());
            network
                .gateways
                .retain(|gateway| target(gateway).1.is_ok() && port::number(gateway.port).is_ok());
        }
    }
}

fn endpoints(entry: &NetworkEndpoints) -> (&'static str, Verdict) {
    match entry {
        NetworkEndpoints::FromCidr(range) => ("fromCidr", address::subnet(range)),
        NetworkEndpoints::FromRegistry(name) if label::is_dns(name) => ("fromRegistry", Ok(())),
        NetworkEndpoints::FromRegistry(name) => {
            let message = format!("`{}` is not the name of a cluster", clip(name));
            let help = "use letters, digits and inner dashes";
            ("fromRegistry", Err(Wrong::new("MN-REGISTRY", message, help)))
        }
        NetworkEndpoints::Nothing => ("", Ok(())),
    }
}

fn target(gateway: &NetworkGateway) -> (&'static str, Verdict) {
    match &gateway.target {
        Some(GatewayTarget::RegistryServiceName(name)) => ("registryServiceName", host::fqdn(name)),
        Some(GatewayTarget::Address(text)) => {
            let is_legal = address::is_ip(text) || host::fqdn(text).is_ok();
            let message = format!("`{}` is neither an IP address nor a host", clip(text));
            let wrong = Wrong::new("MN-GATEWAY-ADDRESS", message, "write one of them");
            ("address", if is_legal { Ok(()) } else { Err(wrong) })
        }
        None => ("", Ok(())),
    }
}

#[cfg(test)]
mod tests;
