//! Authorization that cannot see what it decides on.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::scene::{Scene, some};
use crate::endpoint::Workload;
use crate::manifest::Diagnostic;
use crate::resource::{
    Action, AuthorizationPolicy, Condition, MutualTlsMode, Operation, Rule, Source,
};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for store in scene.stores() {
        for policy in store.authorization_policies.values() {
            let subject =
                Subject::of(scene.mesh, &scene.plane.id, "AuthorizationPolicy", &policy.meta);
            let case = Case { scene, policy, subject };
            found.extend(case.empty());
            found.extend(case.trust_domains());
            found.extend(case.addresses());
            let workloads = case.workloads();
            found.extend(case.identity(&workloads));
            found.extend(case.requests(&workloads));
        }
    }
}

struct Case<'s, 'm> {
    scene: &'s Scene<'m>,
    policy: &'m Arc<AuthorizationPolicy>,
    subject: Subject,
}

impl<'s> Case<'s, '_> {
    fn rules(&self) -> impl Iterator<Item = (usize, &Rule)> {
        self.policy.spec.rules.iter().enumerate()
    }

    /// The workloads that the policy selects by their labels.
    fn workloads(&self) -> Vec<&'s Workload> {
        let spec = &self.policy.spec;
        if spec.target_ref.is_some() || !spec.target_refs.is_empty() {
            return Vec::new();
        }
        let own = &self.policy.meta.namespace;
        let is_root = *own.as_str() == *self.scene.plane.config.root_namespace;
        let selected = |workload: &&'s Workload| {
            let selector = spec.selector.as_ref();
            (is_root || workload.namespace == *own)
                && selector.is_none_or(|s| workload.labels.contains(&s.match_labels))
        };
        self.scene.workloads.iter().map(|(_, workload)| workload).filter(selected).collect()
    }

    /// `HZ-AUTHZ-EMPTY-ALLOW`: it allows nothing.
    fn empty(&self) -> Option<Diagnostic> {
        let spec = &self.policy.spec;
        if spec.action != Action::Allow || !spec.rules.is_empty() {
            return None;
        }
        let message = "an ALLOW policy without rules matches nothing: everything that no other ALLOW \
                       policy allows is denied";
        let help = "write the rules, or keep it if all is to be denied";
        Some(self.subject.info("HZ-AUTHZ-EMPTY-ALLOW", "spec.rules", (message.to_owned(), help)))
    }

    /// `HZ-AUTHZ-TRUST-DOMAIN`: principals of a domain that nobody is of.
    fn trust_domains(&self) -> Option<Diagnostic> {
        let mesh = self.scene.mesh;
        let config = &self.scene.plane.config;
        let described = mesh.clusters().filter_map(|id| mesh.description(id.as_str()));
        let known: Vec<&str> = described
            .map(|says| &*says.trust_domain)
            .chain([&*config.trust_domain, "cluster.local"])
            .chain(config.trust_domain_aliases.iter().map(AsRef::as_ref))
            .collect();
        let is_foreign = |principal: &&str| {
            let domain = principal.split('/').next().unwrap_or_default();
            principal.contains('/') && !domain.contains('*') && !known.contains(&domain)
        };
        let (index, foreign) = self.rules().find_map(|(index, rule)| {
            let sources = rule.from.iter().filter_map(|from| from.source.as_ref());
            let mut named = sources.flat_map(|source| &source.principals).map(AsRef::as_ref);
            named.find(is_foreign).map(|principal| (index, principal))
        })?;
        let message = format!(
            "`{foreign}` is of a trust domain that is neither the mesh's nor an alias of it: no \
             workload has this principal, so it never matches"
        );
        let help = "use the mesh's trust domain, or list the other in `trustDomainAliases`";
        let field = format!("spec.rules[{index}].from");
        Some(self.subject.error("HZ-AUTHZ-TRUST-DOMAIN", &field, (message, help)))
    }

    /// `HZ-AUTHZ-IP-VIA-GATEWAY`: addresses that gateways hide.
    fn addresses(&self) -> Option<Diagnostic> {
        if !self.scene.is_multi_network() {
            return None;
        }
        let asks =
            |source: &Source| !source.ip_blocks.is_empty() || !source.not_ip_blocks.is_empty();
        let (index, _) = self
            .rules()
            .find(|(_, rule)| rule.from.iter().filter_map(|f| f.source.as_ref()).any(asks))?;
        let message = "clients of other networks arrive through a gateway, whose address is what \
                       ipBlocks see: all of them look alike";
        let field = format!("spec.rules[{index}].from");
        let help = "name principals or namespaces instead of addresses";
        Some(self.subject.warning("HZ-AUTHZ-IP-VIA-GATEWAY", &field, (message.to_owned(), help)))
    }

    /// `HZ-AUTHZ-NEEDS-MTLS`: identities of clients that need not show one.
    fn identity(&self, workloads: &[&Workload]) -> Option<Diagnostic> {
        let (index, _) = self.rules().find(|(_, rule)| needs_identity(rule))?;
        let modes = &self.scene.plane.peer_authentications;
        let is_open = |mode: MutualTlsMode| {
            matches!(
                mode,
                MutualTlsMode::Permissive | MutualTlsMode::Disable | MutualTlsMode::Unset
            )
        };
        let open = |workload: &&&Workload| {
            is_open(modes.server_mode(&workload.namespace, &workload.labels).mode)
        };
        let names: Vec<&str> =
            workloads.iter().filter(open).map(|workload| &*workload.instance).collect();
        let field = format!("spec.rules[{index}]");
        if names.is_empty() {
            let by_luck = |workload: &&&Workload| {
                is_open(modes.understood_mode(&workload.namespace, &workload.labels).mode)
            };
            let names: Vec<&str> =
                workloads.iter().filter(by_luck).map(|workload| &*workload.instance).collect();
            if names.is_empty() {
                return None;
            }
            let message = format!(
                "{} demand mutual TLS only because a PeerAuthentication cannot be understood; no other \
                 one says so, and without it senders may have no identity",
                some(&names)
            );
            let help = "mend the PeerAuthentication, with mode STRICT";
            return Some(self.subject.warning("HZ-AUTHZ-NEEDS-MTLS", &field, (message, help)));
        }
        let help = "set PeerAuthentication to STRICT for these workloads";
        let plain = format!("{} accept plain text, whose sender has no identity", some(&names));
        Some(match self.policy.spec.action {
            Action::Deny => {
                let message = format!("{plain}: what the rule means to deny gets through so");
                self.subject.error("HZ-AUTHZ-NEEDS-MTLS", &field, (message, help))
            }
            Action::Allow | Action::Audit | Action::Custom => {
                let message = format!("{plain}: the rule never matches such requests");
                self.subject.warning("HZ-AUTHZ-NEEDS-MTLS", &field, (message, help))
            }
        })
    }

    /// `HZ-AUTHZ-L7-ON-TCP`: fields of requests where there are none.
    fn requests(&self, workloads: &[&'s Workload]) -> Option<Diagnostic> {
        let (index, _) = self.rules().find(|(_, rule)| needs_http(rule))?;
        let plane = self.scene.plane;
        let key =
            |workload: &'s Workload| (&workload.cluster, &workload.namespace, &*workload.instance);
        let selected: BTreeSet<_> = workloads.iter().map(|workload| key(workload)).collect();
        let (service, port) = plane.services.iter().find_map(|service| {
            let port = service.ports.iter().find(|port| port.protocol.is_tcp())?;
            let mut endpoints = self.scene.endpoints(service).into_iter();
            let is_served = endpoints.any(|endpoint| selected.contains(&key(&endpoint.workload)));
            is_served.then_some((service, port))
        })?;
        let consequence = match self.policy.spec.action {
            Action::Deny => {
                "there the rule is left with its other fields and denies more than meant"
            }
            Action::Allow | Action::Audit | Action::Custom => "there the rule never matches",
        };
        let message = format!(
            "the rule asks for properties of requests, and port {} of `{}` is not HTTP: {consequence}",
            port.number, service.hostname
        );
        let help = "name the HTTP ports in the rule";
        let field = format!("spec.rules[{index}]");
        Some(self.subject.error("HZ-AUTHZ-L7-ON-TCP", &field, (message, help)))
    }
}

fn needs_identity(rule: &Rule) -> bool {
    let asks = |source: &Source| {
        let lists = [
            &source.principals,
            &source.not_principals,
            &source.namespaces,
            &source.not_namespaces,
            &source.service_accounts,
            &source.not_service_accounts,
            &source.trust_domains,
            &source.not_trust_domains,
        ];
        lists.iter().any(|list| !list.is_empty())
    };
    let conditions = |condition: &Condition| {
        matches!(&*condition.key, "source.principal" | "source.namespace" | "source.serviceAccount")
    };
    rule.from.iter().filter_map(|from| from.source.as_ref()).any(asks)
        || rule.when.iter().any(conditions)
}

/// Whether a rule reads requests and does not say at which ports.
fn needs_http(rule: &Rule) -> bool {
    let asks = |operation: &Operation| {
        let lists = [
            &operation.hosts,
            &operation.not_hosts,
            &operation.methods,
            &operation.not_methods,
            &operation.paths,
            &operation.not_paths,
        ];
        operation.ports.is_empty() && lists.iter().any(|list| !list.is_empty())
    };
    let names_ports = rule.when.iter().any(|condition| *condition.key == *"destination.port");
    !names_ports && rule.to.iter().filter_map(|to| to.operation.as_ref()).any(asks)
}
