//! Authorization that cannot see what it decides on.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::policy::selects_nobody;
use super::scene::{Scene, some};
use crate::compat::DataPlane;
use crate::endpoint::{Endpoint, Workload};
use crate::manifest::Diagnostic;
use crate::name::nearest_name;
use crate::registry::ServerMode;
use crate::resource::{
    Action, AuthorizationPolicy, Condition, MutualTlsMode, Operation, Pod, Rule, Source,
};
use crate::view::data_plane;

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let known = namespaces(scene);
    for store in scene.stores() {
        for policy in store.authorization_policies.values() {
            let subject =
                Subject::of(scene.mesh, &scene.plane.id, "AuthorizationPolicy", &policy.meta);
            let case = Case { scene, policy, subject };
            found.extend(case.empty());
            found.extend(case.trust_domains());
            found.extend(known.iter().flat_map(|known| case.namespaces(known)));
            found.extend(case.addresses());
            let workloads = case.workloads();
            found.extend(case.identity(&workloads));
            found.extend(case.requests(&workloads));
        }
    }
}

/// A pod that a policy selects, and what runs in it.
type Selected<'s> = (&'s Pod, &'s Workload);

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
    fn workloads(&self) -> Vec<Selected<'s>> {
        let spec = &self.policy.spec;
        if spec.target_ref.is_some() || !spec.target_refs.is_empty() {
            return Vec::new();
        }
        let own = &self.policy.meta.namespace;
        let is_root = *own.as_str() == *self.scene.plane.config.root_namespace;
        let selected = |(_, workload): &Selected<'_>| {
            let selector = spec.selector.as_ref();
            (is_root || workload.namespace == *own)
                && selector.is_none_or(|s| workload.labels.contains(&s.match_labels))
        };
        let all = self.scene.workloads.iter().map(|(pod, workload)| (&***pod, workload));
        all.filter(selected).collect()
    }

    /// `HZ-AUTHZ-EMPTY-ALLOW`: it allows nothing. One on trial denies nothing, and one that selects
    /// nobody has nobody to deny for.
    fn empty(&self) -> Option<Diagnostic> {
        let AuthorizationPolicy { meta, spec } = &**self.policy;
        if spec.action != Action::Allow || !spec.rules.is_empty() || self.policy.is_dry_run() {
            return None;
        }
        let selector = spec.selector.as_ref().map(|selector| &selector.match_labels);
        if selector.is_some_and(|selector| selects_nobody(self.scene, &meta.namespace, selector)) {
            return None;
        }
        let message = "an ALLOW policy without rules matches nothing: everything that no other ALLOW \
                       policy allows is denied by proxies and ztunnels; gRPC servers without a proxy are not \
                       told of it";
        let help = "write the rules, or keep it if all is to be denied";
        Some(self.subject.info("HZ-AUTHZ-EMPTY-ALLOW", "spec.rules", (message.to_owned(), help)))
    }

    /// `HZ-AUTHZ-TRUST-DOMAIN`: principals of a domain that nobody is of, each where it stands.
    fn trust_domains(&self) -> Vec<Diagnostic> {
        let mesh = self.scene.mesh;
        let config = &self.scene.plane.config;
        let described = mesh.clusters().filter_map(|id| mesh.description(id.as_str()));
        let roots = config.ca_certificates.iter().flat_map(|root| &root.trust_domains);
        let known: BTreeSet<&str> = described
            .map(|says| &*says.trust_domain)
            .chain([&*config.trust_domain, "cluster.local"])
            .chain(config.trust_domain_aliases.iter().chain(roots).map(AsRef::as_ref))
            .collect();
        let is_unknown = |domain: &str| !domain.contains('*') && !known.contains(domain);
        let is_foreign = |principal: &str| {
            let domain = principal.split('/').next().unwrap_or_default();
            principal.contains('/') && is_unknown(domain)
        };
        let domains = self.rules().flat_map(|(index, rule)| {
            values(index, rule, ("trustDomains", "source.trustDomain"), |it| &it.trust_domains)
        });
        let domains = domains.filter(|(_, domain)| is_unknown(domain)).map(|(field, domain)| {
            let message = format!(
                "`{domain}` is neither the mesh's trust domain nor an alias of it: no workload is of it, so \
                 it never matches"
            );
            let help = "use the mesh's trust domain, or list the other in `trustDomainAliases`";
            self.subject.error("HZ-AUTHZ-TRUST-DOMAIN", &field, (message, help))
        });
        let all = self.rules().flat_map(|(index, rule)| {
            values(index, rule, ("principals", "source.principal"), |it| &it.principals)
        });
        all.filter(|(_, principal)| is_foreign(principal))
            .map(|(field, principal)| {
                let message = format!(
                    "`{principal}` is of a trust domain that is neither the mesh's nor an alias of it: no \
                     workload has this principal, so it never matches"
                );
                let help = "use the mesh's trust domain, or list the other in `trustDomainAliases`";
                self.subject.error("HZ-AUTHZ-TRUST-DOMAIN", &field, (message, help))
            })
            .chain(domains)
            .collect()
    }

    /// `IST0101` for namespaces of sources, each where it stands; patterns may mean what comes later.
    fn namespaces(&self, known: &BTreeSet<&str>) -> Vec<Diagnostic> {
        let all = self.rules().flat_map(|(index, rule)| {
            values(index, rule, ("namespaces", "source.namespace"), |it| &it.namespaces)
        });
        all.filter(|(_, name)| !name.contains('*') && !known.contains(name))
            .map(|(field, name)| {
                let message = format!(
                    "there is no namespace `{name}`: no client is of it, so it never matches"
                );
                let help = match nearest_name(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "correct the name, or create the namespace first".to_owned(),
                };
                self.subject.error("IST0101", &field, (message, &help))
            })
            .collect()
    }

    /// `HZ-AUTHZ-IP-VIA-GATEWAY`: addresses that gateways hide.
    fn addresses(&self) -> Option<Diagnostic> {
        if !self.scene.is_multi_network() {
            return None;
        }
        let asks =
            |source: &Source| !source.ip_blocks.is_empty() || !source.not_ip_blocks.is_empty();
        let (index, _) = self.rules().find(|(_, rule)| {
            rule.from.iter().filter_map(|f| f.source.as_ref()).any(asks)
                || rule.when.iter().any(|condition| *condition.key == *"source.ip")
        })?;
        let message = "clients of other networks arrive through a gateway, whose address is what \
                       ipBlocks see: all of them look alike";
        let field = format!("spec.rules[{index}].from");
        let help = "name principals or namespaces instead of addresses";
        Some(self.subject.warning("HZ-AUTHZ-IP-VIA-GATEWAY", &field, (message.to_owned(), help)))
    }

    /// `HZ-AUTHZ-NEEDS-MTLS`: identities of clients that need not show one.
    fn identity(&self, workloads: &[Selected<'_>]) -> Option<Diagnostic> {
        let (index, rule) = self.rules().find(|(_, rule)| needs_identity(rule))?;
        let modes = &self.scene.plane.peer_authentications;
        let open = |(_, workload): &&Selected<'_>| {
            is_open_on(rule, &modes.server_mode(&workload.namespace, &workload.labels))
        };
        let names: Vec<&str> =
            workloads.iter().filter(open).map(|(pod, _)| &*pod.meta.name).collect();
        let field = format!("spec.rules[{index}]");
        if names.is_empty() {
            let by_luck = |(_, workload): &&Selected<'_>| {
                is_open_on(rule, &modes.understood_mode(&workload.namespace, &workload.labels))
            };
            let names: Vec<&str> =
                workloads.iter().filter(by_luck).map(|(pod, _)| &*pod.meta.name).collect();
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

    /// Whether an Envoy carries out the policies of a workload.
    fn is_by_envoy(&self, endpoint: &Endpoint) -> bool {
        let mesh = self.scene.mesh;
        let Endpoint { instance, workload, .. } = endpoint;
        let name = format!("{}/{}/{instance}", workload.place.cluster, workload.namespace);
        let proxy = mesh.proxy(&name);
        proxy.is_ok_and(|proxy| {
            matches!(data_plane(mesh, &proxy), DataPlane::IstioProxy | DataPlane::Envoy)
        })
    }

    /// `HZ-AUTHZ-L7-ON-TCP`: fields of requests where there are none. What becomes of them at a ztunnel,
    /// which sees no requests at all, is another thing.
    fn requests(&self, workloads: &[Selected<'s>]) -> Option<Diagnostic> {
        let plane = self.scene.plane;
        let key = |workload: &'s Workload, name: &'s str| {
            (&workload.place.cluster, &workload.namespace, name)
        };
        let of_pod = |(pod, workload): &Selected<'s>| key(workload, &pod.meta.name);
        let selected: BTreeSet<_> = workloads.iter().map(of_pod).collect();
        let (service, port, index) = plane.services.iter().find_map(|service| {
            let tcp = service.ports.iter().filter(|port| port.protocol.is_tcp());
            let tcp: Vec<_> = tcp.collect();
            let mut endpoints = self.scene.endpoints(service).into_iter();
            endpoints.find_map(|endpoint| {
                let port = tcp.iter().find(|port| *port.name == *endpoint.port_name)?;
                let is_selected = selected.contains(&key(&endpoint.workload, &endpoint.instance));
                let mut rules = self.rules().filter(|_| is_selected);
                let (index, _) = rules.find(|(_, rule)| needs_http(rule, endpoint.port))?;
                self.is_by_envoy(endpoint).then_some((service, *port, index))
            })
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

/// The values that a rule asks for in a list of sources or by the key of a condition, each with its place.
fn values<'r>(
    index: usize,
    rule: &'r Rule,
    (name, key): (&'static str, &'static str),
    list: fn(&Source) -> &Vec<Box<str>>,
) -> impl Iterator<Item = (String, &'r str)> {
    let sources = rule.from.iter().enumerate();
    let of_sources = sources.filter_map(|(at, from)| Some((at, from.source.as_ref()?)));
    let of_sources =
        of_sources.map(move |(at, source)| (format!("from[{at}].source.{name}"), list(source)));
    let conditions = rule.when.iter().enumerate();
    let conditions = conditions.filter(move |(_, condition)| *condition.key == *key);
    let of_conditions =
        conditions.map(|(at, condition)| (format!("when[{at}].values"), &condition.values));
    of_sources.chain(of_conditions).flat_map(move |(list, values)| {
        let place = move |at| format!("spec.rules[{index}].{list}[{at}]");
        values.iter().enumerate().map(move |(at, value)| (place(at), &**value))
    })
}

/// The namespaces of which clients can be, in any cluster; none where nobody runs at all.
fn namespaces<'s>(scene: &'s Scene<'_>) -> Option<BTreeSet<&'s str>> {
    let parts = &scene.mesh.parts;
    let mut known = BTreeSet::from([&*scene.plane.config.root_namespace]);
    for store in parts.clusters.values().map(|part| &*part.store).chain([&*parts.config]) {
        known.extend(store.namespaces.values().map(|object| &*object.meta.name));
        known.extend(store.pods.values().map(|object| object.meta.namespace.as_str()));
        known.extend(store.workload_entries.values().map(|object| object.meta.namespace.as_str()));
        known.extend(store.workload_groups.values().map(|object| object.meta.namespace.as_str()));
        known.extend(store.service_accounts.values().map(|object| object.meta.namespace.as_str()));
        known.extend(store.services.values().map(|object| object.meta.namespace.as_str()));
    }
    (!scene.workloads.is_empty()).then_some(known)
}

/// Whether a rule asks for an identity: what asks for the absence of one matches plain text, too.
fn needs_identity(rule: &Rule) -> bool {
    let asks = |source: &Source| {
        let lists = [
            &source.principals,
            &source.namespaces,
            &source.service_accounts,
            &source.trust_domains,
        ];
        lists.iter().any(|list| !list.is_empty())
    };
    const KEYS: [&str; 4] =
        ["source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain"];
    let conditions =
        |condition: &Condition| KEYS.contains(&&*condition.key) && !condition.values.is_empty();
    rule.from.iter().filter_map(|from| from.source.as_ref()).any(asks)
        || rule.when.iter().any(conditions)
}

/// Whether a rule reads requests on a port.
fn needs_http(rule: &Rule, port: u16) -> bool {
    let is_named = |list: &[Box<str>]| list.iter().any(|one| one.parse() == Ok(port));
    let concerns = |operation: &&Operation| {
        (operation.ports.is_empty() || is_named(&operation.ports))
            && !is_named(&operation.not_ports)
    };
    let reads = |operation: &Operation| {
        let lists = [
            &operation.hosts,
            &operation.not_hosts,
            &operation.methods,
            &operation.not_methods,
            &operation.paths,
            &operation.not_paths,
        ];
        lists.iter().any(|list| !list.is_empty())
    };
    let of_ports = |condition: &&Condition| *condition.key == *"destination.port";
    let is_out = rule.when.iter().filter(of_ports).any(|condition| {
        let is_other = !condition.values.is_empty() && !is_named(&condition.values);
        is_other || is_named(&condition.not_values)
    });
    let sources = || rule.from.iter().filter_map(|from| from.source.as_ref());
    let tokens = sources().any(|source| {
        !source.request_principals.is_empty() || !source.not_request_principals.is_empty()
    });
    let of_requests = rule.when.iter().any(|condition| condition.key.starts_with("request."));
    let mut operations =
        rule.to.iter().filter_map(|to| to.operation.as_ref()).filter(concerns).peekable();
    let is_concerned = rule.to.is_empty() || operations.peek().is_some();
    !is_out && is_concerned && (tokens || of_requests || operations.any(reads))
}

/// Whether some port that a rule concerns is in a mode that takes plain text.
fn is_open_on(rule: &Rule, server: &ServerMode) -> bool {
    let is_open = |mode: MutualTlsMode| {
        matches!(mode, MutualTlsMode::Permissive | MutualTlsMode::Disable | MutualTlsMode::Unset)
    };
    let operations: Vec<&Operation> =
        rule.to.iter().filter_map(|to| to.operation.as_ref()).collect();
    let names_ports = !operations.is_empty() && operations.iter().all(|one| !one.ports.is_empty());
    if names_ports {
        let ports = operations.iter().flat_map(|one| &one.ports).filter_map(|one| one.parse().ok());
        return ports.into_iter().any(|port: u16| is_open(server.of_port(port)));
    }
    is_open(server.mode) || server.ports.values().any(|mode| is_open(*mode))
}
