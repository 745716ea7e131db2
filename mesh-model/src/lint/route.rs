//! Routes whose destinations are gone, or cannot help each other out.
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Subject;
use super::clients::{Asked, Client, Clients, Way};
use super::scene::{Rule, Scene, services};
use crate::manifest::Diagnostic;
use crate::name::{Hostname, Labels};
use crate::registry::{MESH, MergedRule, Service, place};
use crate::resource::VirtualService;
use crate::resource::destination_rule::Subset;
use crate::resource::virtual_service::{Destination, HttpMatchRequest, HttpRoute};

pub(super) fn check(scene: &Scene<'_>, found: &mut Vec<Diagnostic>) {
    let clients = Clients::of(scene);
    for (object, subject) in scene.virtual_services() {
        let case = Case { scene, clients: &clients, object, subject: &subject };
        for target in targets(object) {
            found.extend(case.subset(&target));
        }
        for route in routes(object) {
            found.extend(case.weight_zero(&route));
            found.extend(case.cluster_subsets(&route));
        }
        found.extend(case.no_port());
        for (index, route) in object.spec.http.iter().enumerate() {
            found.extend(case.retries(route, &format!("spec.http[{index}].retries")));
        }
    }
}

/// The destinations of one route with their weights.
pub(super) struct Route<'m> {
    pub(super) field: String,
    pub(super) targets: Vec<(&'m Destination, i32)>,
    /// What it asks of clients, one of it; empty: nothing.
    asked: Vec<Asked<'m>>,
}

/// Every route of an object that forwards.
pub(super) fn routes(object: &VirtualService) -> Vec<Route<'_>> {
    let spec = &object.spec;
    let http = spec.http.iter().enumerate().map(|(index, route)| Route {
        field: format!("spec.http[{index}]"),
        targets: route
            .route
            .iter()
            .filter_map(|entry| Some((entry.destination.as_ref()?, entry.weight)))
            .collect(),
        asked: asked(route),
    });
    let tls = spec.tls.iter().enumerate().map(|(index, route)| {
        let asked = route.matches.iter().map(|part| Asked {
            gateways: &part.gateways,
            namespace: &part.source_namespace,
            labels: &part.source_labels,
        });
        (format!("spec.tls[{index}]"), &route.route, asked.collect())
    });
    let tcp = spec.tcp.iter().enumerate().map(|(index, route)| {
        let asked = route.matches.iter().map(|part| Asked {
            gateways: &part.gateways,
            namespace: &part.source_namespace,
            labels: &part.source_labels,
        });
        (format!("spec.tcp[{index}]"), &route.route, asked.collect())
    });
    let streams = tls.chain(tcp).map(|(field, list, asked)| Route {
        field,
        targets: list
            .iter()
            .filter_map(|entry| Some((entry.destination.as_ref()?, entry.weight)))
            .collect(),
        asked,
    });
    http.chain(streams).filter(|route| !route.targets.is_empty()).collect()
}

/// What a route asks of the clients that follow it.
fn asked(route: &HttpRoute) -> Vec<Asked<'_>> {
    let parts = route.matches.iter().map(|part| Asked {
        gateways: &part.gateways,
        namespace: &part.source_namespace,
        labels: &part.source_labels,
    });
    parts.collect()
}

/// A destination that an object names, for requests or for copies of them.
pub(super) struct Target<'m> {
    /// The path of the destination in the object.
    pub(super) field: String,
    pub(super) destination: &'m Destination,
    /// What becomes of requests if there is nothing behind it.
    pub(super) loss: &'static str,
    asked: Vec<Asked<'m>>,
}

impl<'m> Target<'m> {
    /// The ways to it.
    pub(super) fn ways(&self, scene: &Scene<'m>, object: &'m VirtualService) -> Vec<Way<'m>> {
        ways(scene, object, &self.asked)
    }
}

/// The ways to a route: of an object without hosts those of the routes that delegate to it.
fn ways<'m>(
    scene: &Scene<'m>,
    object: &'m VirtualService,
    own_asked: &[Asked<'m>],
) -> Vec<Way<'m>> {
    if !object.spec.hosts.is_empty() {
        return vec![Way { root: object, asked: vec![own_asked.to_vec()] }];
    }
    let mut ways = Vec::new();
    for (root, _) in scene.virtual_services() {
        let own = root.meta.namespace.as_str();
        let is_here = |route: &&HttpRoute| {
            route.delegate.as_ref().is_some_and(|to| {
                let namespace = if to.namespace.is_empty() { own } else { &*to.namespace };
                *to.name == *object.meta.name && namespace == object.meta.namespace.as_str()
            })
        };
        let routes = root.spec.http.iter().filter(is_here);
        ways.extend(
            routes.map(|route| Way { root, asked: vec![asked(route), own_asked.to_vec()] }),
        );
    }
    ways
}

/// Every destination of an object: those of its routes, then its mirrors.
pub(super) fn targets(object: &VirtualService) -> Vec<Target<'_>> {
    let mirrored = object.spec.http.iter().enumerate().flat_map(|(index, route)| {
        let one = route.mirror.iter().map(|destination| ("mirror".to_owned(), destination));
        let many = route.mirrors.iter().enumerate().filter_map(|(index, policy)| {
            Some((format!("mirrors[{index}].destination"), policy.destination.as_ref()?))
        });
        one.chain(many).map(move |(name, destination)| Target {
            field: format!("spec.http[{index}].{name}"),
            destination,
            loss: "the copies of requests that are meant for it are lost",
            asked: asked(route),
        })
    });
    routes(object).into_iter().flat_map(of_route).chain(mirrored).collect()
}

fn of_route(route: Route<'_>) -> impl Iterator<Item = Target<'_>> {
    let Route { field, targets, asked } = route;
    targets.into_iter().enumerate().map(move |(index, (destination, _))| Target {
        field: format!("{field}.route[{index}].destination"),
        destination,
        loss: "requests that take this route get 503",
        asked: asked.clone(),
    })
}

/// What is wrong with a subset that a client does not have, and what to do.
fn undefined(
    target: &Destination,
    client: &Client<'_>,
    rule: Option<&MergedRule>,
    loss: &str,
) -> (String, String) {
    let Destination { host, subset, .. } = target;
    let own = client.namespace;
    match rule.map(|rule| &rule.rule.meta) {
        Some(meta) => (
            format!(
                "for proxies of namespace `{own}` DestinationRule `{}/{}` counts, which does \
                 not define subset `{subset}` of `{host}`: from there {loss}",
                meta.namespace, meta.name
            ),
            "define the subset in that rule too, or leave the rule out".to_owned(),
        ),
        None => (
            format!(
                "no DestinationRule that counts for proxies of namespace `{own}` defines subset `{subset}` \
                 of `{host}`: from there {loss}"
            ),
            "put the rule into the namespace of the service or of the clients, and export it to them"
                .to_owned(),
        ),
    }
}

struct Case<'s, 'm> {
    scene: &'s Scene<'m>,
    clients: &'s Clients<'s, 'm>,
    object: &'m Arc<VirtualService>,
    subject: &'s Subject,
}

impl<'s, 'm> Case<'s, 'm> {
    fn services(&self, target: &Destination) -> Vec<&'m Arc<Service>> {
        services(self.scene.plane, &target.host, &self.object.meta.namespace)
    }

    /// The rules for the host of a destination, and the subset that they give it.
    fn subset_of(&self, target: &Destination) -> (bool, Option<&'m Subset>) {
        let services = self.services(target);
        let is_for = |rule: &&'s Rule<'m>| {
            let mut of_rule = rule.services.iter();
            of_rule.any(|service| services.iter().any(|s| s.hostname == service.hostname))
        };
        let rules: Vec<&'s Rule<'m>> = self.scene.rules.iter().filter(is_for).collect();
        let subsets = rules.iter().flat_map(|rule| &rule.object.spec.subsets);
        let found = subsets.into_iter().find(|subset| subset.name == target.subset);
        (!services.is_empty(), found)
    }

    /// The clients that follow a route and know some of its destinations; nobody where there are none.
    fn who(&self, route: &Route<'m>) -> Vec<Option<&'s Client<'s>>> {
        let ways = ways(self.scene, self.object, &route.asked);
        let knows = |client: &&Client<'_>| {
            let mut targets = route.targets.iter();
            self.clients.imports(client, &ways)
                && targets.any(|(target, _)| !self.services_of(Some(client), target).is_empty())
        };
        let known: Vec<_> = self.clients.of_routes(&ways).filter(knows).map(Some).collect();
        if known.is_empty() { vec![None] } else { known }
    }

    /// The services of a destination that a client sees; where nobody asks all of them.
    fn services_of(&self, who: Option<&Client<'_>>, target: &Destination) -> Vec<&'m Arc<Service>> {
        let Some(client) = who else { return self.services(target) };
        let namespace = self.object.meta.namespace.as_str();
        let host = Hostname::resolve(&target.host, namespace, &self.scene.plane.domain);
        self.clients.visible(client, &host).collect()
    }

    /// The subset of a destination by the rule in force for a client; where nobody asks by any rule.
    fn subset_for(&self, who: Option<&Client<'_>>, target: &Destination) -> Option<&'m Subset> {
        let Some(client) = who else { return self.subset_of(target).1 };
        let services = self.services_of(who, target);
        let mut rules = services.iter().filter_map(|service| self.clients.rule(client, service));
        rules.find_map(|rule| rule.subset(&target.subset))
    }

    /// Whether a destination has endpoints for a client.
    fn is_alive(&self, who: Option<&Client<'_>>, target: &Destination) -> bool {
        let services = self.services_of(who, target);
        let mut all = services.iter().flat_map(|service| self.scene.endpoints(service));
        if target.subset.is_empty() {
            return all.next().is_some();
        }
        let subset = self.subset_for(who, target);
        subset.is_some_and(|subset| all.any(|it| it.workload.labels.contains(&subset.labels)))
    }

    /// What is wrong with a route for the first client for which something is, and for whom if not for all.
    fn first_hurt<T>(
        &self,
        route: &Route<'m>,
        wrong: impl Fn(Option<&Client<'_>>) -> Option<T>,
    ) -> Option<(T, String)> {
        let who = self.who(route);
        let mut hurt = who.iter().filter_map(|who| Some((*who, wrong(*who)?)));
        let (client, found) = hurt.next()?;
        let is_all = hurt.count() + 1 == who.len();
        let some = client.filter(|_| !is_all);
        let some = some.map(|client| format!("for proxies of namespace `{}` ", client.namespace));
        Some((found, some.unwrap_or_default()))
    }

    /// `HZ-SUBSET-UNDEFINED` and `HZ-SUBSET-EMPTY`: of the first of the clients that follow the route and
    /// do not reach the subset.
    fn subset(&self, named: &Target<'m>) -> Option<Diagnostic> {
        let (target, loss) = (named.destination, named.loss);
        if target.subset.is_empty() {
            return None;
        }
        let field = format!("{}.subset", named.field);
        let (is_known, subset) = self.subset_of(target);
        if !is_known {
            return None;
        }
        let Some(subset) = subset else {
            let message = format!(
                "no DestinationRule defines subset `{}` of `{}`: {loss}",
                target.subset, target.host
            );
            let help = "define the subset in a DestinationRule for the host, or correct its name";
            return Some(self.subject.error("HZ-SUBSET-UNDEFINED", &field, (message, help)));
        };
        let ways = named.ways(self.scene, self.object);
        let namespace = self.object.meta.namespace.as_str();
        let host = Hostname::resolve(&target.host, namespace, &self.scene.plane.domain);
        let mut seen: Vec<&Labels> = Vec::new();
        for client in self.clients.of_routes(&ways) {
            let services: Vec<_> = self.clients.visible(client, &host).collect();
            let rules = || services.iter().filter_map(|service| self.clients.rule(client, service));
            match rules().find_map(|rule| rule.subset(&target.subset)) {
                Some(subset) if seen.contains(&&subset.labels) => {}
                Some(subset) => seen.push(&subset.labels),
                None if services.is_empty() || !self.clients.imports(client, &ways) => {}
                None => {
                    let texts = undefined(target, client, rules().next(), loss);
                    let texts = (texts.0, &*texts.1);
                    return Some(self.subject.error("HZ-SUBSET-UNDEFINED", &field, texts));
                }
            }
        }
        if seen.is_empty() {
            seen.push(&subset.labels);
        }
        seen.into_iter().find_map(|labels| self.empty(named, labels))
    }

    /// `HZ-SUBSET-EMPTY`: labels that no endpoint has.
    fn empty(&self, named: &Target<'_>, labels: &Labels) -> Option<Diagnostic> {
        let (target, loss) = (named.destination, named.loss);
        let services = self.services(target);
        let endpoints = services.iter().flat_map(|service| self.scene.endpoints(service));
        let mut endpoints = endpoints.peekable();
        if endpoints.peek().is_none() || endpoints.any(|it| it.workload.labels.contains(labels)) {
            return None;
        }
        let field = format!("{}.subset", named.field);
        let labels: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let message = format!(
            "no endpoint of `{}` has the labels of subset `{}` ({}): {loss}",
            target.host,
            target.subset,
            labels.join(", ")
        );
        let help = "correct the labels of the subset, or deploy what it names first";
        Some(self.subject.error("HZ-SUBSET-EMPTY", &field, (message, help)))
    }

    /// `HZ-WEIGHT-ZERO`: what is alive has weight 0.
    fn weight_zero(&self, route: &Route<'m>) -> Option<Diagnostic> {
        let (idle, active): (Vec<_>, Vec<_>) =
            route.targets.iter().enumerate().partition(|(_, (_, weight))| *weight <= 0);
        if idle.is_empty() || active.is_empty() {
            return None;
        }
        let ((index, spare), whom) = self.first_hurt(route, |who| {
            let is_alive = |target: &Destination| self.is_alive(who, target);
            let (index, (spare, _)) = idle.iter().find(|(_, (target, _))| is_alive(target))?;
            let is_lost = !active.iter().any(|(_, (target, _))| is_alive(target));
            is_lost.then_some((*index, *spare))
        })?;
        let message = format!(
            "{whom}only the destination of weight 0 (`{}` subset `{}`) has endpoints: it is never chosen, \
             and every request fails",
            spare.host, spare.subset
        );
        let help = "give it a weight, or deploy the others";
        let field = format!("{}.route[{index}].weight", route.field);
        Some(self.subject.warning("HZ-WEIGHT-ZERO", &field, (message, help)))
    }

    /// `HZ-CLUSTER-SUBSET-FAILOVER`: shares that are bound to clusters.
    fn cluster_subsets(&self, route: &Route<'m>) -> Option<Diagnostic> {
        let positive: Vec<_> =
            route.targets.iter().enumerate().filter(|(_, (_, weight))| *weight > 0).collect();
        if positive.len() < 2 {
            return None;
        }
        let ((index, first, weight), whom) = self.first_hurt(route, |who| {
            let cluster = |target: &Destination| {
                self.subset_for(who, target)?.labels.get(place::CLUSTER).map(str::to_owned)
            };
            let mut bound = positive
                .iter()
                .filter_map(|(index, (target, weight))| Some((*index, cluster(target)?, *weight)));
            let first = bound.next()?;
            bound.next().map(|_| first)
        })?;
        let message = format!(
            "{whom}the route divides requests over clusters by subsets: a subset of one cluster has nothing \
             to fail over to, so the share of weight {weight} is lost when `{first}` fails"
        );
        let help = "use localityLbSetting with outlierDetection instead of subsets of clusters";
        let field = format!("{}.route[{index}].destination.subset", route.field);
        Some(self.subject.error("HZ-CLUSTER-SUBSET-FAILOVER", &field, (message, help)))
    }

    /// `HZ-ROUTES-NO-PORT`: routes that are for no port of what they are written for.
    fn no_port(&self) -> Option<Diagnostic> {
        let spec = &self.object.spec;
        let is_mesh = |names: &[Box<str>]| names.is_empty() || names.iter().any(|it| **it == *MESH);
        if !is_mesh(&spec.gateways) || spec.http.is_empty() {
            return None;
        }
        let namespace = &self.object.meta.namespace;
        let exact = spec.hosts.iter().filter(|host| !host.starts_with('*'));
        let services = exact.flat_map(|host| services(self.scene.plane, host, namespace));
        let ports = services.flat_map(|service| service.ports.iter());
        let requests = ports.filter(|it| it.protocol.is_http() || it.protocol.is_unsupported());
        let numbers: BTreeSet<u32> = requests.map(|port| port.number.into()).collect();
        let concerns = |part: &HttpMatchRequest| {
            is_mesh(&part.gateways) && (part.port == 0 || numbers.contains(&part.port))
        };
        let is_used =
            |route: &HttpRoute| route.matches.is_empty() || route.matches.iter().any(concerns);
        if numbers.is_empty() || spec.http.iter().any(is_used) {
            return None;
        }
        let known: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let message = "none of the routes is for a port of the hosts: sidecars send requests as if there \
                       were no VirtualService";
        let help = format!("correct `match.port`; ports of the hosts: {}", known.join(", "));
        let texts = (message.to_owned(), &*help);
        let conditions = spec.http.iter().enumerate().flat_map(|(route, it)| {
            it.matches.iter().enumerate().map(move |(at, part)| (route, at, part))
        });
        let field = conditions.clone().find(|(.., part)| part.port != 0).map_or_else(
            || "spec.http".to_owned(),
            |(route, at, _)| format!("spec.http[{route}].match[{at}].port"),
        );
        Some(self.subject.warning("HZ-ROUTES-NO-PORT", &field, texts))
    }

    /// `HZ-RETRY-SAME-LOCALITY`: retries that stay where requests fail.
    fn retries(&self, route: &HttpRoute, field: &str) -> Option<Diagnostic> {
        let retries = route.retries.as_ref().filter(|retries| retries.attempts > 0)?;
        if retries.retry_remote_localities.is_some() {
            return None;
        }
        let mut targets = route.route.iter().filter_map(|entry| entry.destination.as_ref());
        let service = targets.find_map(|target| {
            let services = self.services(target);
            services.into_iter().find(|service| self.fails_over(service))
        })?;
        let message = format!(
            "retries for `{}` stay in the priority that fails until its hosts are ejected",
            service.hostname
        );
        let help = "set retryRemoteLocalities where a retry may leave the locality";
        Some(self.subject.info("HZ-RETRY-SAME-LOCALITY", field, (message, help)))
    }

    fn fails_over(&self, service: &Service) -> bool {
        let has_detection = self.scene.rules.iter().any(|rule| {
            rule.services.iter().any(|other| other.hostname == service.hostname)
                && rule.policies().iter().any(|policy| policy.outlier_detection.is_some())
        });
        has_detection && self.scene.localities(service).len() > 1
    }
}
