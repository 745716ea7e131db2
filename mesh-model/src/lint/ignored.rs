//! What an object says and no proxy does: admission lets it in, and generation leaves it out.
use std::collections::{BTreeMap, BTreeSet};

use super::Subject;
use super::scene::Scene;
use crate::endpoint::Provider;
use crate::manifest::Diagnostic;
use crate::name::{Labels, Namespace, Protocol};
use crate::registry::delegates::has_conflict;
use crate::resource::gateway::Server;
use crate::resource::mesh_config::ProviderKind;
use crate::resource::service_entry::Resolution;
use crate::resource::virtual_service::HttpRoute;
use crate::resource::{Gateway, VirtualService};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for (object, subject) in scene.virtual_services() {
        for (index, route) in object.spec.http.iter().enumerate() {
            let case =
                Case { scene, object, subject: &subject, field: format!("spec.http[{index}]") };
            found.extend(case.redirect(route));
            found.extend(case.fault(route));
            found.extend(case.delegate(route));
        }
    }
    let gateways: Vec<&Gateway> = scene
        .stores()
        .into_iter()
        .flat_map(|store| store.gateways.values())
        .map(|gateway| &**gateway)
        .collect();
    // By the workloads, port and address of servers: the first of each.
    let mut known: BTreeMap<(&Labels, u32, &str), (&Gateway, Family)> = BTreeMap::new();
    for gateway in gateways {
        let subject = Subject::of(scene.mesh, &scene.plane.id, "Gateway", &gateway.meta);
        doubled(&subject, gateway, found);
        for (at, server) in gateway.spec.servers.iter().enumerate() {
            let field = format!("spec.servers[{at}]");
            found.extend(all_and_more(&subject, server, &field));
            found.extend(redirect_of_namespace(&subject, server, &field));
            let Some((number, family)) = family(server) else { continue };
            let key = (&gateway.spec.selector, number, &*server.bind);
            let (first, other) = *known.entry(key).or_insert((gateway, family));
            if other != family {
                found.push(clash(&subject, number, &field, first));
            }
        }
    }
    unresolved(scene, found);
    found.extend(tracer(scene));
}

/// `HZ-ENTRY-NO-ENDPOINTS`: names to look up, and none is there.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/cluster_builder.go` `buildCluster`: a cluster that resolves
/// names has none without endpoints.
fn unresolved(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    for entry in scene.stores().into_iter().flat_map(|store| store.service_entries.values()) {
        if !matches!(entry.spec.resolution, Resolution::Dns | Resolution::DnsRoundRobin) {
            continue;
        }
        for (index, host) in entry.spec.hosts.iter().enumerate() {
            let services = scene.plane.services.of_host(host);
            let mut own = services
                .filter(|it| {
                    it.provider == Provider::External && it.namespace == entry.meta.namespace
                })
                .peekable();
            let is_known = own.peek().is_some();
            if !is_known || own.any(|service| !scene.endpoints(service).is_empty()) {
                continue;
            }
            let message = format!(
                "no endpoint of `{host}` is there to be looked up: proxies have no cluster for it, and \
                 every request fails"
            );
            let help = "list `endpoints`, or correct `workloadSelector`";
            let subject = Subject::of(scene.mesh, &scene.plane.id, "ServiceEntry", &entry.meta);
            let field = format!("spec.hosts[{index}]");
            found.push(subject.error("HZ-ENTRY-NO-ENDPOINTS", &field, (message, help)));
        }
    }
}

/// One route of a VirtualService.
struct Case<'s, 'm> {
    scene: &'s Scene<'m>,
    object: &'m VirtualService,
    subject: &'s Subject,
    field: String,
}

impl Case<'_, '_> {
    /// `HZ-REDIRECT-CODE`: a status that Envoy has not.
    fn redirect(&self, route: &HttpRoute) -> Option<Diagnostic> {
        let code = route.redirect.as_ref()?.redirect_code;
        if matches!(code, 0 | 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let message = format!("no proxy redirects with status {code}: the route is left out");
        let field = format!("{}.redirect.redirectCode", self.field);
        let help = "redirect with 301, 302, 303, 307 or 308";
        Some(self.subject.error("HZ-REDIRECT-CODE", &field, (message, help)))
    }

    /// `HZ-FAULT-NO-PERCENTAGE`: a fault that befalls no request.
    fn fault(&self, route: &HttpRoute) -> Option<Diagnostic> {
        let fault = route.fault.as_ref()?;
        let delay =
            fault.delay.as_ref().is_some_and(|it| it.percentage.is_none() && it.percent == 0);
        let abort = fault.abort.as_ref().is_some_and(|it| it.percentage.is_none());
        let name = match (delay, abort) {
            (true, _) => "delay",
            (_, true) => "abort",
            (false, false) => return None,
        };
        let message = format!("the {name} has no percentage: it befalls no request");
        let field = format!("{}.fault.{name}.percentage", self.field);
        let help = "write the share of requests, such as `percentage: {value: 100}`";
        Some(self.subject.warning("HZ-FAULT-NO-PERCENTAGE", &field, (message, help)))
    }

    /// `HZ-DELEGATE-HIDDEN` and `HZ-DELEGATE-CONFLICT`: a delegate that takes no request over.
    fn delegate(&self, route: &HttpRoute) -> Option<Diagnostic> {
        let delegate = route.delegate.as_ref()?;
        let own = &self.object.meta.namespace;
        let namespace = match &*delegate.namespace {
            "" => own.clone(),
            name => Namespace::from(name),
        };
        let stores = self.scene.stores();
        let mut objects = stores.iter().flat_map(|store| store.virtual_services.values());
        let object =
            objects.find(|it| it.meta.namespace == namespace && *it.meta.name == *delegate.name)?;
        let field = format!("{}.delegate", self.field);
        let name = format!("{namespace}/{}", delegate.name);
        let exported = &object.spec.export_to;
        let is_hidden = |to: &str| match to {
            "*" => false,
            "." => namespace != *own,
            named => *named != *own.as_str(),
        };
        if !exported.is_empty() && exported.iter().all(|to| is_hidden(to)) {
            let message =
                format!("`{name}` is not exported to namespace `{own}`: the route is left out");
            let help = "add the namespace to the delegate's `exportTo`";
            return Some(self.subject.error("HZ-DELEGATE-HIDDEN", &field, (message, help)));
        }
        let leaves = |sub: &&HttpRoute| {
            let mut conditions = sub.matches.iter();
            !route.matches.is_empty()
                && conditions.any(|own| route.matches.iter().all(|root| has_conflict(root, own)))
        };
        let (index, _) = object.spec.http.iter().enumerate().find(|(_, sub)| leaves(sub))?;
        let message = format!(
            "route {index} of `{name}` has a condition outside of those of this route: it is left out"
        );
        let help = "match in the delegate only what the route that delegates matches";
        Some(self.subject.error("HZ-DELEGATE-CONFLICT", &field, (message, help)))
    }
}

/// `HZ-GW-HOSTS-ALL`: all hosts of all namespaces, and more.
fn all_and_more(subject: &Subject, server: &Server, field: &str) -> Option<Diagnostic> {
    let has_all = server.hosts.iter().any(|host| &**host == "*/*");
    let (index, more) = server.hosts.iter().enumerate().find(|(_, host)| &***host != "*/*")?;
    if !has_all {
        return None;
    }
    let message = format!(
        "`*/*` stands for every host already: `{more}` adds nothing, and ends istiod where it begins \
         with `.` or `*`"
    );
    let field = format!("{field}.hosts[{index}]");
    let help = "list `*/*` alone, or the hosts that are meant";
    Some(subject.warning("HZ-GW-HOSTS-ALL", &field, (message, help)))
}

/// `HZ-GW-REDIRECT-NAMESPACE`: a redirect for hosts of a namespace.
fn redirect_of_namespace(subject: &Subject, server: &Server, field: &str) -> Option<Diagnostic> {
    if !server.tls.as_ref().is_some_and(|tls| tls.https_redirect) {
        return None;
    }
    let is_of_one = |host: &str| host.contains('/') && !host.starts_with("*/");
    let (index, host) = server.hosts.iter().enumerate().find(|(_, host)| is_of_one(host))?;
    let message = format!(
        "plain requests for `{host}` get 404 instead of a redirect where no VirtualService has the \
         host: the redirect is made for the text with its namespace"
    );
    let help = "write hosts with httpsRedirect without namespace";
    let field = format!("{field}.hosts[{index}]");
    Some(subject.warning("HZ-GW-REDIRECT-NAMESPACE", &field, (message, help)))
}

/// `HZ-GW-HOST-TWICE`: a host with TLS that an earlier server of the same Gateway has.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/model/gateway.go` `mergeGateways`, `checkDuplicates`.
fn doubled(subject: &Subject, gateway: &Gateway, found: &mut Vec<Diagnostic>) {
    let own = gateway.meta.namespace.as_str();
    let mut known = BTreeSet::new();
    for (at, server) in gateway.spec.servers.iter().enumerate() {
        let Some(port) = server.port.as_ref().filter(|_| server.tls.is_some()) else { continue };
        let hosts = server.hosts.iter().map(|host| {
            let (namespace, name) = host.split_once('/').unwrap_or(("*", host));
            (port.number, &*server.bind, if namespace == "." { own } else { namespace }, name)
        });
        let mut places = hosts.clone().enumerate();
        if let Some((index, (number, _, _, host))) = places.find(|(_, it)| known.contains(it)) {
            let message = format!(
                "an earlier server of the Gateway has `{host}` with TLS on port {number}, too: this whole \
                 server is left out, its other hosts included"
            );
            let help = "list each host of a port in one server";
            let field = format!("spec.servers[{at}].hosts[{index}]");
            found.push(subject.error("HZ-GW-HOST-TWICE", &field, (message, help)));
        } else {
            known.extend(hosts);
        }
    }
}

/// `HZ-GW-PORT-CLASH`: an earlier server of the address and port that speaks something else.
fn clash(subject: &Subject, number: u32, field: &str, first: &Gateway) -> Diagnostic {
    let message = format!(
        "Gateway `{}/{}` speaks another protocol on port {number}: the newer of the two servers is left out",
        first.meta.namespace, first.meta.name
    );
    let help = "give each protocol a port of its own";
    subject.error("HZ-GW-PORT-CLASH", &format!("{field}.port"), (message, help))
}

/// What one listener can hold.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Family {
    Http,
    Tls,
    Tcp,
}

fn family(server: &Server) -> Option<(u32, Family)> {
    let port = server.port.as_ref()?;
    let family = match Protocol::parse(&port.protocol) {
        Protocol::Http
        | Protocol::HttpProxy
        | Protocol::Http2
        | Protocol::Grpc
        | Protocol::GrpcWeb => Family::Http,
        Protocol::Https | Protocol::Tls => Family::Tls,
        Protocol::Tcp | Protocol::Mongo | Protocol::Redis | Protocol::Mysql => match server.tls {
            Some(_) => Family::Tls,
            None => Family::Tcp,
        },
        Protocol::Udp | Protocol::Unsupported => return None,
    };
    Some((port.number, family))
}

/// `HZ-TRACER-LIGHTSTEP`: a tracer that ends istiod.
fn tracer(scene: &Scene<'_>) -> Option<Diagnostic> {
    let config = scene.mesh.config();
    let mut providers = config.extension_providers.iter().enumerate();
    let (index, found) =
        providers.find(|(_, it)| matches!(it.kind, Some(ProviderKind::Lightstep(_))))?;
    let message = format!(
        "provider `{}` is of the kind lightstep: Telemetry that names it ends istiod, and here proxies \
         trace nothing by it",
        found.name
    );
    let help = "trace with OpenTelemetry, which Lightstep takes, too";
    let field = format!("extensionProviders[{index}].lightstep");
    Some(Subject::config(scene.mesh).warning("HZ-TRACER-LIGHTSTEP", &field, (message, help)))
}
