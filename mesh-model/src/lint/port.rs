//! Ports that several objects describe, each in its own way.
use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::scene::{Scene, some};
use crate::manifest::Diagnostic;
use crate::name::ClusterId;
use crate::registry::Store;
use crate::resource::{self, Gateway, PortTarget, ServiceType};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (id, store) in scene.clusters() {
        let cluster = Cluster { scene, id, store };
        for service in store.services.values() {
            found.extend(cluster.external_name(service));
        }
        cluster.shared_pods(found);
    }
    for store in scene.stores() {
        for gateway in store.gateways.values() {
            not_on_service(scene, gateway, found);
        }
    }
    entries(scene, found);
}

struct Cluster<'s, 'm> {
    scene: &'s Scene<'m>,
    id: &'m ClusterId,
    store: &'m Store,
}

impl Cluster<'_, '_> {
    /// `IST0150`: a name of a name, whose port says nothing of HTTP or TLS.
    fn external_name(&self, service: &resource::Service) -> Option<Diagnostic> {
        if service.spec.kind != ServiceType::ExternalName {
            return None;
        }
        let is_wrong =
            |port: &resource::ServicePort| port.app().is_unsupported() || *port.name == *"tcp";
        let index = service.spec.ports.iter().position(is_wrong)?;
        let message = "the port of an ExternalName service does not say HTTP, HTTPS or TLS: the \
                       listener takes connections to any address on that port"
            .to_owned();
        let help = "begin the port's name with `http`, `https` or `tls`";
        let field = format!("spec.ports[{index}].name");
        let subject = Subject::in_cluster(self.scene.mesh, self.id, "Service", &service.meta);
        Some(subject.warning("IST0150", &field, (message, help)))
    }

    /// `IST0116` and `IST0137`: several services that select one pod.
    fn shared_pods(&self, found: &mut Vec<Diagnostic>) {
        let mut told = BTreeSet::new();
        for pod in self.store.pods.values() {
            let services: Vec<&resource::Service> = self
                .store
                .services
                .with_first(pod.meta.namespace.as_str())
                .map(AsRef::as_ref)
                .filter(|s| {
                    !s.spec.selector.is_empty() && pod.meta.labels.contains(&s.spec.selector)
                })
                .collect();
            let names: Vec<&str> = services.iter().map(|service| &*service.meta.name).collect();
            if names.len() < 2 || !told.insert((pod.meta.namespace.clone(), names.clone())) {
                continue;
            }
            found.extend(self.protocols(&services, &names));
            found.extend(self.targets(&services, &names));
        }
    }

    fn protocols(&self, services: &[&resource::Service], names: &[&str]) -> Option<Diagnostic> {
        let mut of_port = BTreeMap::new();
        for (service, index, port) in ports(services) {
            let first = of_port.entry(port.port).or_insert(port.protocol);
            if *first != port.protocol {
                let message = format!(
                    "services {} select the same pods and have port {} once as {} and once as {}: only what \
                     comes over TCP passes the pods' proxies and their rules",
                    some(names),
                    port.port,
                    first.as_str(),
                    port.protocol.as_str()
                );
                let help = "give the port one protocol";
                let subject =
                    Subject::in_cluster(self.scene.mesh, self.id, "Service", &service.meta);
                let field = format!("spec.ports[{index}].protocol");
                return Some(subject.warning("IST0116", &field, (message, help)));
            }
        }
        None
    }

    fn targets(&self, services: &[&resource::Service], names: &[&str]) -> Option<Diagnostic> {
        let mut of_target = BTreeMap::new();
        for (service, index, port) in ports(services) {
            let target = match &port.target_port {
                None | Some(PortTarget::Number(0)) => port.port.to_string(),
                Some(PortTarget::Number(number)) => number.to_string(),
                Some(PortTarget::Name(name)) => name.to_string(),
            };
            let first = *of_target.entry(target.clone()).or_insert(port.port);
            if first != port.port {
                let message = format!(
                    "services {} send to port `{target}` of the same pods from ports {first} and {}: what \
                     arrives there is handled by the settings of one of the two",
                    some(names),
                    port.port
                );
                let help = "use one service port for a port of the pods";
                let subject =
                    Subject::in_cluster(self.scene.mesh, self.id, "Service", &service.meta);
                let field = format!("spec.ports[{index}].port");
                return Some(subject.warning("IST0137", &field, (message, help)));
            }
        }
        None
    }
}

/// The ports of services, with their indexes.
fn ports<'s>(
    services: &[&'s resource::Service],
) -> impl Iterator<Item = (&'s resource::Service, usize, &'s resource::ServicePort)> {
    services.iter().flat_map(|&service| {
        let ports = service.spec.ports.iter().enumerate();
        ports.map(move |(index, port)| (service, index, port))
    })
}

/// `IST0162`: a gateway that listens where nobody leads to.
fn not_on_service(scene: &Scene<'_>, gateway: &Gateway, found: &mut Vec<Diagnostic>) {
    let selector = &gateway.spec.selector;
    let mut ports = BTreeSet::new();
    let mut is_selected = false;
    for (_, store) in scene.clusters() {
        for pod in store.pods.values().filter(|pod| pod.meta.labels.contains(selector)) {
            let services = store.services.with_first(pod.meta.namespace.as_str());
            for service in services.filter(|service| {
                let selector = &service.spec.selector;
                !selector.is_empty() && pod.meta.labels.contains(selector)
            }) {
                is_selected = true;
                for port in &service.spec.ports {
                    ports.insert(port.port);
                    if let Some(PortTarget::Number(number)) = port.target_port {
                        ports.insert(number);
                    }
                }
            }
        }
    }
    if !is_selected {
        return;
    }
    for (index, server) in gateway.spec.servers.iter().enumerate() {
        let Some(port) = server.port.as_ref().filter(|port| !ports.contains(&port.number)) else {
            continue;
        };
        let known: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let message = format!(
            "no service of the gateway's pods leads to port {}: nobody outside reaches it",
            port.number
        );
        let help = format!("add the port to the service, whose ports are {}", known.join(", "));
        let field = format!("spec.servers[{index}].port.number");
        let subject = Subject::of(scene.mesh, &scene.plane.id, "Gateway", &gateway.meta);
        found.push(subject.warning("IST0162", &field, (message, &help)));
    }
}

/// `IST0177`: one host and port of two entries with two protocols.
fn entries(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let mut first: BTreeMap<(&str, u32), (&resource::ServiceEntry, String)> = BTreeMap::new();
    let entries = scene.stores().into_iter().flat_map(|store| store.service_entries.values());
    for entry in entries {
        for host in &entry.spec.hosts {
            for (index, port) in entry.spec.ports.iter().enumerate() {
                let protocol = port.protocol.to_ascii_uppercase();
                let known = first.entry((host, port.number)).or_insert((entry, protocol.clone()));
                let (other, theirs) = known;
                if *theirs == protocol || !meet(entry, other) {
                    continue;
                }
                let message = format!(
                    "`{}/{}` has port {} of `{host}` as {theirs}, here it is {protocol}: proxies that \
                     see both use one of the two",
                    other.meta.namespace, other.meta.name, port.number
                );
                let help = "use one protocol, or export the entries to different namespaces";
                let field = format!("spec.ports[{index}].protocol");
                let subject = Subject::of(scene.mesh, &scene.plane.id, "ServiceEntry", &entry.meta);
                found.push(subject.warning("IST0177", &field, (message, help)));
            }
        }
    }
}

/// Whether some namespace sees both entries.
fn meet(one: &resource::ServiceEntry, other: &resource::ServiceEntry) -> bool {
    let scopes = |entry: &resource::ServiceEntry| -> BTreeSet<String> {
        let own = |name: &str| match name {
            "." => entry.meta.namespace.to_string(),
            name => name.to_owned(),
        };
        let names = entry.spec.export_to.iter();
        names.map(|name| own(name)).collect()
    };
    let (a, b) = (scopes(one), scopes(other));
    let is_public = |set: &BTreeSet<String>| set.is_empty() || set.contains("*");
    is_public(&a) || is_public(&b) || a.intersection(&b).next().is_some()
}
