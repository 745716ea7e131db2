//! The mesh as one proxy sees it.
use std::sync::Arc;

use super::destination::{
    ComposedPolicy, endpoint_tls, port_level, subset_policy, with_mesh_default,
};
use super::mtls::{ClientTls, ServerMode};
use super::{Proxy, ProxyKind, Scope};
use crate::endpoint::{Endpoint, Gateways, Shards};
use crate::name::{Hostname, Labels, Namespace, closest_name, hint, nearest_name};
use crate::registry::{ControlPlane, Effect, MergedRule, Mesh, Service, ServicePort, Services};
use crate::resource::MutualTlsMode;

/// The mesh as one proxy sees it: what it may send to, by which rules.
#[derive(Clone, Debug)]
pub struct ProxyView<'m> {
    mesh: &'m Mesh,
    plane: &'m ControlPlane,
    proxy: &'m Proxy,
    scope: Arc<Scope>,
}

/// Which part of a service is meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a destination is a service or a subset of it")]
pub enum Subset<'s> {
    /// All of it.
    #[default]
    None,
    /// The subset of that name.
    Named(&'s str),
}

impl<'s> Subset<'s> {
    /// The name, `""` for all of the service.
    pub const fn as_str(self) -> &'s str {
        match self {
            Self::None => "",
            Self::Named(name) => name,
        }
    }
}

impl<'s> From<&'s str> for Subset<'s> {
    fn from(name: &'s str) -> Self {
        if name.is_empty() { Self::None } else { Self::Named(name) }
    }
}

/// What to do where no service has a similar host.
const CHECK_HOST: &str =
    "write `NAME.NAMESPACE`, and check that `exportTo` and the proxy's Sidecar let it be seen";

/// There is no such destination; names the nearest that exists.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownDestination {
    /// The proxy sees no service of that host.
    #[error("the proxy sees no service `{host}`{}", hint(.nearest.as_deref(), CHECK_HOST))]
    Service {
        /// The host that was asked for.
        host: String,
        /// The nearest host that the proxy sees.
        nearest: Option<String>,
    },
    /// There is a service of that host, which the proxy does not see.
    #[error("the proxy does not see service `{host}`: {}", why_hidden(.by, .from))]
    Hidden {
        /// The service.
        host: String,
        /// The namespace of the proxy that `exportTo` leaves out; empty if it does not.
        from: String,
        /// The Sidecar, `NAMESPACE/NAME`, that does not import the service, if there is one.
        by: Option<String>,
    },
    /// The port of that number is UDP, which neither clusters nor endpoints are made for.
    #[error("port {port} of service `{host}` is UDP, which no cluster is made for; its other ports: {}", list(.ports))]
    Udp {
        /// The service.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// The other ports that it has.
        ports: Vec<u16>,
    },
    /// The service has no such port.
    #[error("service `{host}` has no port {port}; its ports: {}", list(.ports))]
    Port {
        /// The service.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// The ports that it has.
        ports: Vec<u16>,
    },
    /// No rule in force defines the subset.
    #[error("no rule in force defines a subset `{subset}` of `{host}`; its subsets: {}", list(.subsets))]
    Subset {
        /// The service.
        host: String,
        /// The subset that was asked for.
        subset: String,
        /// The subsets that exist.
        subsets: Vec<String>,
    },
}

fn why_hidden(by: &Option<String>, from: &str) -> String {
    match by {
        _ if !from.is_empty() => format!("its `exportTo` leaves namespace `{from}` out"),
        Some(sidecar) => format!("Sidecar `{sidecar}` does not import it"),
        None => "another service has the host there".to_owned(),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl<'m> ProxyView<'m> {
    pub(crate) fn new(mesh: &'m Mesh, plane: &'m ControlPlane, proxy: &'m Proxy) -> Self {
        let scope = Arc::new(Scope::of_proxy(plane, &mesh.compat().flags, proxy));
        Self::with_scope(mesh, plane, proxy, scope)
    }

    /// The view of a proxy that has this scope.
    pub(crate) const fn with_scope(
        mesh: &'m Mesh,
        plane: &'m ControlPlane,
        proxy: &'m Proxy,
        scope: Arc<Scope>,
    ) -> Self {
        Self { mesh, plane, proxy, scope }
    }

    /// The mesh.
    pub fn mesh(&self) -> &'m Mesh {
        self.mesh
    }

    /// Whether a change can make a difference to this view: to what the proxy sends, receives or is.
    ///
    /// To be asked of the views before and after the change: what is gone is seen before, what is new
    /// after. It may say yes where nothing is different, never no where something is.
    pub fn sees(&self, effect: &Effect) -> bool {
        let proxy = self.proxy;
        let is_named = |host: &Hostname, namespace: &Namespace| {
            self.scope.service(host.as_str()).is_some() || self.may_stand_in(namespace)
        };
        let concerns_host = |host: &Hostname| {
            self.services().iter().any(|service| host.matches(service.hostname.as_str()))
        };
        effect.everything
            // A ztunnel is told of all services and workloads of its mesh.
            || (proxy.kind == ProxyKind::Ztunnel && !effect.is_empty())
            || !effect.networks.is_empty()
            || effect.namespaces.contains(&proxy.namespace)
            || effect.proxies.iter().any(|reference| {
                *reference.pod == *proxy.name
                    && *reference.namespace == *proxy.namespace.as_str()
                    && *reference.cluster == *proxy.cluster.as_str()
            })
            || effect.machines.iter().any(|machine| self.may_be_of_machine(machine))
            || effect.services.iter().chain(&effect.endpoints).any(|(h, n)| is_named(h, n))
            || effect.policies.iter().any(|policy| policy.namespace == proxy.namespace)
            || (proxy.kind != ProxyKind::Sidecar
                && !(effect.policies.is_empty() && effect.hosts.is_empty()))
            || (!effect.namespaces.is_empty()
                && self.services().iter().any(|s| effect.namespaces.contains(&s.namespace)))
            || effect.hosts.iter().any(concerns_host)
            // A VirtualService can have hosts that no service has.
            || effect.policies.iter().any(|policy| policy.kind == "VirtualService")
    }

    /// The control plane that serves the proxy.
    pub fn plane(&self) -> &'m ControlPlane {
        self.plane
    }

    /// The proxy.
    pub fn proxy(&self) -> &'m Proxy {
        self.proxy
    }

    /// What its namespace and Sidecar let it see.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The services that it may send to, one a host.
    pub fn services(&self) -> &[Arc<Service>] {
        self.scope.services()
    }

    /// The endpoints of a service, of all clusters; `None` if it has none.
    pub fn shards(&self, service: &Service) -> Option<&'m Arc<Shards>> {
        self.plane.shards(service)
    }

    /// Whether only endpoints of the proxy's own cluster count.
    pub fn is_cluster_local(&self, service: &Service) -> bool {
        self.plane.cluster_local.contains(&service.hostname)
    }

    /// The rule in force for what the proxy sends to a service.
    pub fn rule(&self, service: &Service) -> Option<&'m MergedRule> {
        self.rule_for(service, Some(&self.proxy.labels))
    }

    /// The rule in force for what the proxy itself receives as a service.
    pub fn inbound_rule(&self, service: &Service) -> Option<&'m MergedRule> {
        self.rule_for(service, None)
    }

    fn rule_for(&self, service: &Service, labels: Option<&Labels>) -> Option<&'m MergedRule> {
        let client = &self.proxy.namespace;
        let rules = &self.plane.destination_rules;
        rules.of_client(client, (&service.hostname, &service.namespace), labels)
    }

    /// What a workload demands of its clients.
    pub fn server_mode(&self, namespace: &Namespace, labels: &Labels) -> ServerMode {
        self.plane.peer_authentications.server_mode(namespace, labels)
    }

    /// What an endpoint's workload demands on the endpoint's port.
    pub fn endpoint_mode(&self, endpoint: &Endpoint) -> MutualTlsMode {
        let workload = &endpoint.workload;
        let policies = &self.plane.peer_authentications;
        policies.port_mode(&workload.namespace, &workload.labels, endpoint.port)
    }

    /// How networks are entered: IP addresses only, or names too for clusters of names.
    pub fn gateways(&self, with_names: bool) -> &'m Gateways {
        if with_names { &self.plane.named_gateways } else { &self.plane.gateways }
    }

    /// Finds a destination by host (a full name, or a short one in the proxy's namespace), port and
    /// subset.
    ///
    /// # Errors
    ///
    /// Where the proxy sees no such service, or it has no such port, or no rule in force defines the
    /// subset; each names what exists instead.
    pub fn destination(
        &self,
        host: &str,
        port: u16,
        subset: Subset<'_>,
    ) -> Result<Destination<'m>, UnknownDestination> {
        let service = self.service(host)?;
        let unknown_port = || {
            let host = service.hostname.as_str().to_owned();
            let used = service.ports.iter().filter(|one| service.port(one.number) == Some(*one));
            let ports = used.map(|port| port.number).collect();
            match service.ports.iter().any(|one| one.number == port) {
                true => UnknownDestination::Udp { host, port, ports },
                false => UnknownDestination::Port { host, port, ports },
            }
        };
        let port = service.port(port).ok_or_else(unknown_port)?.clone();
        let rule = self.rule(&service);
        if let Subset::Named(name) = subset
            && rule.and_then(|rule| rule.subset(name)).is_none()
        {
            let subsets = rule.map(|rule| rule.subsets.as_slice()).unwrap_or_default();
            return Err(UnknownDestination::Subset {
                host: service.hostname.as_str().to_owned(),
                subset: name.to_owned(),
                subsets: subsets.iter().map(|subset| subset.name.to_string()).collect(),
            });
        }
        Ok(self.destination_of(service, port, subset))
    }

    /// Finds a service by a full name, a short one in the proxy's namespace, or `NAME.NAMESPACE`.
    ///
    /// # Errors
    ///
    /// Where the proxy sees no such service: what hides it, or the nearest that it sees.
    pub fn service(&self, host: &str) -> Result<Arc<Service>, UnknownDestination> {
        let domain = &self.plane.domain;
        let full = Hostname::resolve(host, self.proxy.namespace.as_str(), domain);
        // `cart.shop` is what people type for `cart.shop.svc.cluster.local`.
        let typed = format!("{host}.svc.{domain}");
        let forms = [full.as_str(), host, typed.as_str()];
        let found = forms.into_iter().find_map(|host| self.scope.service(host));
        found.cloned().ok_or_else(|| {
            forms.into_iter().find_map(|host| self.hidden(host)).unwrap_or_else(|| {
                let nearest = self.nearest_service(host, full.as_str());
                UnknownDestination::Service { host: host.to_owned(), nearest }
            })
        })
    }

    /// Why the proxy does not see the service of a host, if there is one.
    fn hidden(&self, host: &str) -> Option<UnknownDestination> {
        let (namespace, default) = (&self.proxy.namespace, &self.plane.default_service_export_to);
        let mut services = self.plane.services.of_host(host).peekable();
        let host = services.peek()?.hostname.as_str().to_owned();
        let is_exported = services.any(|one| Services::is_visible(one, namespace, default));
        let from = if is_exported { String::new() } else { namespace.to_string() };
        let by = self.scope.sidecar().filter(|_| is_exported);
        let by = by.map(|sidecar| format!("{}/{}", sidecar.meta.namespace, sidecar.meta.name));
        Some(UnknownDestination::Hidden { host, from, by })
    }

    /// The service that was probably meant: as people type it, else by its full name.
    fn nearest_service(&self, host: &str, full: &str) -> Option<String> {
        let domain = format!(".svc.{}", self.plane.domain);
        let names = || self.services().iter().map(|service| service.hostname.as_str());
        let typed = || names().filter_map(|name| name.strip_suffix(domain.as_str()));
        // `cart.shop.svc` is short of the domain alone.
        let host = host.strip_suffix(domain.as_str()).unwrap_or(host);
        let host = host.strip_suffix(".svc").unwrap_or(host);
        let own = first_label(host);
        // The service of another namespace is nearer than one of a similar name.
        let elsewhere = closest_name(host, typed().filter(|name| first_label(name) == own));
        let nearest = elsewhere
            .or_else(|| nearest_name(host, typed()))
            .or_else(|| {
                let similar = nearest_name(own, typed().map(first_label))?;
                closest_name(host, typed().filter(|name| first_label(name) == similar))
            })
            .or_else(|| nearest_name(host, names()))
            .or_else(|| nearest_name(full, names()));
        nearest.map(str::to_owned)
    }

    /// Describes a destination that is known to exist; a subset that no rule defines has no policy
    /// and no labels of its own.
    pub fn destination_of(
        &self,
        service: Arc<Service>,
        port: ServicePort,
        subset: Subset<'_>,
    ) -> Destination<'m> {
        let rule = self.rule(&service);
        self.destination_by(rule, (service, port), subset)
    }

    /// The same under the [`ProxyView::rule`] of the service, for those who ask for its ports and
    /// subsets in turn.
    pub fn destination_by(
        &self,
        rule: Option<&'m MergedRule>,
        (service, port): (Arc<Service>, ServicePort),
        subset: Subset<'_>,
    ) -> Destination<'m> {
        let subset = subset.as_str();
        let of_rule = rule.and_then(|rule| rule.traffic_policy.as_ref());
        let of_subset = rule
            .and_then(|rule| rule.subset(subset))
            .and_then(|subset| subset.traffic_policy.as_ref());
        let is_one = of_subset.is_none()
            && of_rule.is_none_or(|policy| policy.port_level_settings.is_empty());
        let of_rule = of_rule.map(ComposedPolicy::from);
        let default = self.plane.config.default_traffic_policy.as_ref();
        // Where there is one level, it is the answer; a policy is large to hand about.
        let (policy, cluster_policy) = if is_one {
            (of_rule.clone(), with_mesh_default(of_rule, default))
        } else {
            let policy = subset_policy(of_rule.clone(), of_subset, Some(port.number));
            let destination = of_rule.map(|policy| port_level(policy, port.number).0);
            let destination = with_mesh_default(destination, default);
            (policy, subset_policy(destination, of_subset, Some(port.number)))
        };
        Destination {
            rule,
            policy,
            cluster_policy,
            endpoint_tls: rule.and_then(|rule| endpoint_tls(rule, subset, port.number)),
            subset_labels: rule.and_then(|rule| rule.subset_labels(subset)),
            subset: subset.into(),
            service,
            port,
        }
    }
}

/// The part of a host before its first dot.
fn first_label(host: &str) -> &str {
    host.split('.').next().unwrap_or(host)
}

/// Where traffic goes: a service, a port, a subset, and how it is to be handled.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that later stages read")]
pub struct Destination<'m> {
    /// The service.
    pub service: Arc<Service>,
    /// The port.
    pub port: ServicePort,
    /// The subset's name, empty for all of the service.
    pub subset: Box<str>,
    /// The rule in force.
    pub rule: Option<&'m MergedRule>,
    /// The policy for port and subset as endpoints see it: the rule's alone.
    pub policy: Option<ComposedPolicy<'m>>,
    /// The policy for port and subset as clusters have it: with the mesh's default.
    pub cluster_policy: Option<ComposedPolicy<'m>>,
    /// The TLS mode that the rule sets for endpoints.
    pub endpoint_tls: Option<ClientTls>,
    /// The labels that an endpoint must have.
    pub subset_labels: Option<&'m Labels>,
}
