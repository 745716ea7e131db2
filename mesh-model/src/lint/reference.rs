//! Names that mean nothing, or not what they seem to.
use std::sync::Arc;

use super::Subject;
use super::clients::{Client, Clients};
use super::route::{Target, targets};
use super::scene::{Scene, services};
use crate::manifest::Diagnostic;
use crate::name::{Hostname, Namespace, nearest_name};
use crate::registry::{MESH, Service, Services};
use crate::resource::{Sidecar, VirtualService};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let clients = Clients::of(scene);
    for (object, subject) in scene.virtual_services() {
        let case = Case { scene, clients: &clients, object, subject: &subject };
        case.gateways(found);
        case.delegates(found);
        for target in targets(object) {
            found.extend(case.destination(&target));
        }
        for (index, host) in object.spec.hosts.iter().enumerate() {
            found.extend(half_qualified(scene, &subject, host, &format!("spec.hosts[{index}]")));
        }
    }
    for rule in &scene.rules {
        let spec = &rule.object.spec;
        found.extend(half_qualified(scene, &rule.subject, &spec.host, "spec.host"));
    }
    for sidecar in scene.stores().iter().flat_map(|store| store.sidecars.values()) {
        imports(scene, sidecar, found);
    }
    shared_hosts(scene, found);
}

/// `HZ-HALF-QUALIFIED` for what a Sidecar imports or leaves out.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/sidecar.go` `convertIstioListenerToWrapper`: the part behind the namespace is
/// compared with hosts as it stands.
fn imports(scene: &Scene<'_>, sidecar: &Sidecar, found: &mut Vec<Diagnostic>) {
    let subject = Subject::of(scene.mesh, &scene.plane.id, "Sidecar", &sidecar.meta);
    for (listener, egress) in sidecar.spec.egress.iter().enumerate() {
        for (index, written) in egress.hosts.iter().enumerate() {
            let Some((owner, host)) = written.split_once('/') else { continue };
            let Some((_, _, full)) = half(scene, host) else { continue };
            let message = format!(
                "`{host}` is not completed to `{full}`: hosts of a Sidecar never are, so it matches nothing"
            );
            let help = format!("write `{owner}/{full}`");
            let field = format!("spec.egress[{listener}].hosts[{index}]");
            found.push(subject.error("HZ-HALF-QUALIFIED", &field, (message, &help)));
        }
    }
}

/// The name and the namespace of a known service in `SERVICE.NAMESPACE`, and its full host; `None` where the host
/// means something as it stands.
fn half<'h>(scene: &Scene<'_>, host: &'h str) -> Option<(&'h str, &'h str, String)> {
    let (name, namespace) = host.split_once('.').filter(|(_, rest)| !rest.contains('.'))?;
    let full = format!("{host}.svc.{}", scene.plane.domain);
    scene.plane.services.get(&full, namespace)?;
    let is_free = scene.plane.services.of_host(host).next().is_none();
    is_free.then_some((name, namespace, full))
}

/// `HZ-HALF-QUALIFIED`: `SERVICE.NAMESPACE`, which is taken as it stands.
fn half_qualified(
    scene: &Scene<'_>,
    subject: &Subject,
    host: &str,
    field: &str,
) -> Option<Diagnostic> {
    let (name, namespace, full) = half(scene, host)?;
    let message = format!(
        "`{host}` is not completed to `{full}`: only names without a dot are, so it matches nothing"
    );
    let help = format!("write `{full}`, or `{name}` in namespace `{namespace}`");
    Some(subject.error("HZ-HALF-QUALIFIED", field, (message, &help)))
}

struct Case<'s, 'm> {
    scene: &'s Scene<'m>,
    clients: &'s Clients<'s, 'm>,
    object: &'m Arc<VirtualService>,
    subject: &'s Subject,
}

impl<'m> Case<'_, 'm> {
    fn namespace(&self) -> &'m Namespace {
        &self.object.meta.namespace
    }

    /// `IST0101` for gateways.
    fn gateways(&self, found: &mut Vec<Diagnostic>) {
        let stores = self.scene.stores();
        for (index, name) in self.object.spec.gateways.iter().enumerate() {
            if **name == *MESH {
                continue;
            }
            let (namespace, short) = name.split_once('/').unwrap_or((".", name));
            let namespace = if namespace == "." {
                self.namespace().clone()
            } else {
                Namespace::from(namespace)
            };
            let key = (namespace, Box::from(short));
            // The old form `NAME.NAMESPACE` is left to the one who wrote it.
            let is_known = short.contains('.')
                || stores.iter().any(|store| {
                    store.gateways.contains((key.0.as_str(), &key.1))
                        || store.kubernetes_gateways.contains((key.0.as_str(), &key.1))
                })
                || self
                    .scene
                    .clusters()
                    .any(|(_, store)| store.kubernetes_gateways.contains((key.0.as_str(), &key.1)));
            if !is_known {
                let message = format!(
                    "there is no Gateway `{name}`: the routes are not served at any gateway"
                );
                let field = format!("spec.gateways[{index}]");
                let help = "name an existing Gateway as NAMESPACE/NAME";
                found.push(self.subject.error("IST0101", &field, (message, help)));
            }
        }
    }

    /// `IST0101` for delegates.
    fn delegates(&self, found: &mut Vec<Diagnostic>) {
        let stores = self.scene.stores();
        for (index, route) in self.object.spec.http.iter().enumerate() {
            let Some(delegate) = &route.delegate else { continue };
            let namespace = match &*delegate.namespace {
                "" => self.namespace().clone(),
                name => Namespace::from(name),
            };
            let key = (namespace, delegate.name.clone());
            if !stores.iter().any(|store| store.virtual_services.contains((key.0.as_str(), &key.1)))
            {
                let message = format!(
                    "there is no VirtualService `{}/{}` to delegate to: the route is left out",
                    key.0, key.1
                );
                let field = format!("spec.http[{index}].delegate");
                let help = "create it, or correct its name";
                found.push(self.subject.error("IST0101", &field, (message, help)));
            }
        }
    }

    /// `IST0101` for hosts and ports, `IST0112`, `HZ-EXPORT-HIDDEN`, `HZ-HALF-QUALIFIED`.
    fn destination(&self, named: &Target<'m>) -> Option<Diagnostic> {
        let (scene, target) = (self.scene, named.destination);
        let of_host = format!("{}.host", named.field);
        if let Some(found) = half_qualified(scene, self.subject, &target.host, &of_host) {
            return Some(found);
        }
        let known = services(scene.plane, &target.host, self.namespace());
        let Some(service) = known.first() else {
            if self.is_covered(&target.host) {
                return None;
            }
            return Some(self.unknown_host(named, &of_host));
        };
        self.hidden(&known, named, &of_host).or_else(|| self.port(service, named))
    }

    /// Whether a wildcard host of a ServiceEntry holds for a host.
    fn is_covered(&self, host: &str) -> bool {
        let full = Hostname::resolve(host, self.namespace().as_str(), &self.scene.plane.domain);
        let mut hosts = self.scene.plane.services.hosts();
        hosts.any(|known| known.is_wildcard() && known.matches(full.as_str()))
    }

    fn unknown_host(&self, named: &Target<'_>, field: &str) -> Diagnostic {
        let domain = &self.scene.plane.domain;
        let host = &named.destination.host;
        let full = Hostname::resolve(host, self.namespace().as_str(), domain);
        let hosts = self.scene.plane.services.hosts().map(Hostname::as_str);
        let help = match nearest_name(full.as_str(), hosts) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "name a service of the mesh, or add a ServiceEntry".to_owned(),
        };
        let message = format!("no service has the host `{full}`: {}", named.loss);
        self.subject.error("IST0101", field, (message, &help))
    }

    /// `HZ-EXPORT-HIDDEN`: the service is not exported to where the routes are used.
    fn hidden(
        &self,
        known: &[&Arc<Service>],
        named: &Target<'m>,
        field: &str,
    ) -> Option<Diagnostic> {
        let service = known.first()?;
        let default = &self.scene.plane.default_service_export_to;
        let is_hidden = |namespace: &Namespace| {
            !known.iter().any(|service| Services::is_visible(service, namespace, default))
        };
        let namespace = if is_hidden(self.namespace()) {
            self.namespace()
        } else {
            let ways = named.ways(self.scene, self.object);
            let mut clients = self.clients.of_routes(&ways);
            let is_lost = |client: &&Client<'_>| {
                is_hidden(client.namespace) && self.clients.imports(client, &ways)
            };
            clients.find(is_lost)?.namespace
        };
        let message = format!(
            "`{}` is not exported to namespace `{namespace}`: proxies there have no such destination, and \
             {}",
            service.hostname, named.loss
        );
        let help = "export the service to the namespaces that route to it";
        Some(self.subject.warning("HZ-EXPORT-HIDDEN", field, (message, help)))
    }

    fn port(&self, service: &Service, named: &Target<'_>) -> Option<Diagnostic> {
        let field = &named.field;
        let ports: Vec<String> = service.ports.iter().map(|port| port.number.to_string()).collect();
        let help = format!("ports of the service: {}", ports.join(", "));
        match &named.destination.port {
            Some(port) => {
                let number = u16::try_from(port.number).ok();
                let is_known = number.is_some_and(|number| service.port(number).is_some());
                let message =
                    format!("`{}` has no port {}: {}", service.hostname, port.number, named.loss);
                let field = format!("{field}.port");
                (!is_known).then(|| self.subject.error("IST0101", &field, (message, &help)))
            }
            None => {
                let message = format!(
                    "`{}` has several ports and the route names none: the port that the client asked \
                     for is used",
                    service.hostname
                );
                let is_one = service.ports.len() < 2;
                (!is_one).then(|| self.subject.error("IST0112", field, (message, &help)))
            }
        }
    }
}

/// `IST0109`: two VirtualServices for one host of the mesh.
fn shared_hosts(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let mut seen: std::collections::BTreeMap<Hostname, &Arc<VirtualService>> = Default::default();
    let mut objects: Vec<_> = scene.virtual_services().collect();
    objects.sort_by(|a, b| a.0.meta.age().cmp(&b.0.meta.age()));
    for (object, subject) in &objects {
        let gateways = &object.spec.gateways;
        let is_private = object.spec.export_to.iter().any(|name| **name == *".");
        if is_private || !(gateways.is_empty() || gateways.iter().any(|name| **name == *MESH)) {
            continue;
        }
        for (index, host) in object.spec.hosts.iter().enumerate() {
            let namespace = object.meta.namespace.as_str();
            let host = Hostname::resolve(host, namespace, &scene.plane.domain);
            let Some(first) = seen.get(&host) else {
                seen.insert(host, object);
                continue;
            };
            let message = format!(
                "VirtualService `{}/{}` has routes for `{host}` too: in sidecars only the older of the \
                 two counts",
                first.meta.namespace, first.meta.name
            );
            let help = "merge the two, or use delegates";
            let field = format!("spec.hosts[{index}]");
            found.push(subject.error("IST0109", &field, (message, help)));
        }
    }
}
