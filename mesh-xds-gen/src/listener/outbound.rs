//! The listeners of ports that the workload sends to.
//!
//! ```text
//! egress listeners ─▶ services ─▶ ports ─▶ chains ──conflicts──▶ one entry a (bind, port) ─▶ listener
//! ```
//!
//! # Upstream
//!
//! istio/istio `pilot/pkg/networking/core/listener.go` `buildSidecarOutboundListeners`,
//! `buildSidecarOutboundListener`, `buildListenerFromEntry`, `mergeTCPFilterChains`, `buildHTTPProxy`.
use std::collections::BTreeMap;

use mesh_envoy_proto::envoy::config::listener::v3::Listener;
use mesh_model::endpoint::{Address, Provider};
use mesh_model::name::Protocol;
use mesh_model::registry::{Resolution, Service, UNSPECIFIED};
use mesh_model::resource::sidecar::CaptureMode;
use mesh_model::view::{Egress, IpFamilies, network};

use super::chain::{Chain, Content};
use super::context::{Context, Reserved};
use super::dynamic_dns;
use super::emit::{Entry, emit};
use super::stream_routes::{Target, chains, listen_address, rules_for};
use super::tcp::ListenPort;
use super::wire::UNIX;
use crate::name::RouteName;

/// Where a listener is.
#[derive(Clone, Debug, Default)]
pub(super) struct Binding {
    /// The addresses, the primary one first; none: the service decides.
    pub(super) addresses: Vec<String>,
    /// Whether the operating system is asked for the port.
    pub(super) binds_to_port: bool,
}

impl Binding {
    /// The primary address, empty if there is none.
    pub(super) fn primary(&self) -> &str {
        self.addresses.first().map(String::as_str).unwrap_or_default()
    }
}

/// How a port is treated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Http,
    Tcp,
    Auto,
}

impl Class {
    fn of(protocol: Protocol) -> Option<Self> {
        if protocol.is_http() {
            Some(Self::Http)
        } else if protocol.is_tcp() {
            Some(Self::Tcp)
        } else {
            protocol.is_unsupported().then_some(Self::Auto)
        }
    }
}

/// A service that wants to be on a listener.
struct Candidate<'a> {
    egress: &'a Egress,
    service: &'a Service,
    port: ListenPort<'a>,
    binding: Binding,
    cidrs: Vec<String>,
    is_pod: bool,
}

/// Builds the listeners.
pub(super) fn listeners(context: &Context<'_, '_>) -> Vec<Listener> {
    let mut builder = Builder { context, entries: BTreeMap::new() };
    for egress in context.view.scope().egress() {
        builder.add_egress(egress);
    }
    let entries = builder.entries.into_values();
    entries.chain(http_proxy(context)).filter_map(|entry| emit(context, &entry)).collect()
}

/// The port of an explicit HTTP proxy.
fn http_proxy(context: &Context<'_, '_>) -> Option<Entry> {
    let asked = context.proxy().metadata_text("HTTP_PROXY_PORT").parse::<i32>().ok();
    let port = u16::try_from(asked.unwrap_or(context.config().proxy_http_port)).ok()?;
    let routes = RouteName::HttpProxy.to_string();
    (port != 0).then(|| Entry {
        binding: Binding {
            addresses: context.loopbacks().iter().map(|address| (*address).to_owned()).collect(),
            binds_to_port: true,
        },
        port,
        protocol: Protocol::HttpProxy,
        is_locked: false,
        is_forward_proxy: true,
        chains: vec![Chain {
            content: Content::Http { routes, protocol: Protocol::HttpProxy, lookup: None },
            ..Chain::default()
        }],
    })
}

struct Builder<'c, 'v, 'm> {
    context: &'c Context<'v, 'm>,
    entries: BTreeMap<(String, u16), Entry>,
}

impl<'c> Builder<'c, '_, '_> {
    fn add_egress(&mut self, egress: &'c Egress) {
        let binding = self.binding(egress);
        let port = egress.listener.as_ref().and_then(|listener| listener.port.as_ref());
        let Some(port) = port else {
            for entry in self.entries.values_mut() {
                entry.is_locked = true;
            }
            for service in &egress.services {
                self.add_service(egress, service, &binding);
            }
            return;
        };
        let Ok(number) = u16::try_from(port.number) else { return };
        let protocol = Protocol::parse(&port.protocol);
        let port = ListenPort { number, protocol, name: &port.name };
        if !self.can_bind(&binding, port) {
            return;
        }
        for service in &egress.services {
            self.add(Candidate {
                egress,
                service,
                port,
                binding: binding.clone(),
                cidrs: Vec::new(),
                is_pod: false,
            });
        }
    }

    fn can_bind(&self, binding: &Binding, port: ListenPort<'_>) -> bool {
        let (number, protocol) = (port.number, port.protocol);
        let bind = binding.primary();
        self.context.can_bind(binding.binds_to_port, bind, number, protocol, Reserved::AndVirtual)
    }

    /// Where the listeners of an egress listener are, as far as it says.
    fn binding(&self, egress: &Egress) -> Binding {
        let listener = egress.listener.as_ref();
        let bind = listener.map(|listener| &*listener.bind).unwrap_or_default();
        let is_uncaptured =
            listener.is_some_and(|listener| listener.capture_mode == CaptureMode::None);
        let binds_to_port = !self.context.is_captured() || is_uncaptured || bind.starts_with(UNIX);
        let loopbacks = self.context.loopbacks().iter().map(|address| (*address).to_owned());
        let addresses = if !bind.is_empty() {
            vec![bind.to_owned()]
        } else if binds_to_port {
            loopbacks.collect()
        } else {
            Vec::new()
        };
        Binding { addresses, binds_to_port }
    }

    /// Adds every port of a service, of a headless one every endpoint of every port.
    fn add_service(&mut self, egress: &'c Egress, service: &'c Service, binding: &Binding) {
        let is_headless = binding.addresses.is_empty()
            && service.resolution == Resolution::Passthrough
            && *network::address(service, self.context.proxy()) == *UNSPECIFIED;
        for port in &service.ports {
            let listen =
                ListenPort { number: port.number, protocol: port.protocol, name: &port.name };
            if !self.can_bind(binding, listen) {
                continue;
            }
            let candidate = |binding: Binding| Candidate {
                egress,
                service,
                port: listen,
                binding,
                cidrs: Vec::new(),
                is_pod: false,
            };
            let is_stream = port.protocol.is_tcp() || port.protocol.is_unsupported();
            if !(is_headless && is_stream) {
                self.add(candidate(binding.clone()));
                continue;
            }
            let endpoints = self.endpoints(service, port);
            let stands_alone = service.provider == Provider::External
                && service.selector.is_empty()
                && endpoints.is_empty();
            if stands_alone {
                self.add(candidate(binding.clone()));
            }
            let merges = self.context.flags().pilot_enable_headless_filter_chain_listener;
            for addresses in self.pods(endpoints) {
                let wildcards = || self.context.wildcards().iter().map(|text| (*text).to_owned());
                let candidate = if merges && port.protocol.is_tcp() {
                    let all = Binding { addresses: wildcards().collect(), ..binding.clone() };
                    Candidate { cidrs: addresses, is_pod: true, ..candidate(all) }
                } else {
                    candidate(Binding { addresses, ..binding.clone() })
                };
                self.add(candidate);
            }
        }
    }

    /// The addresses of every endpoint of a port.
    fn endpoints(
        &self,
        service: &Service,
        port: &mesh_model::registry::ServicePort,
    ) -> Vec<Vec<Address>> {
        let endpoints = self.context.view.plane().endpoints_at(service, port.number);
        let all = endpoints.map(|endpoint| {
            let more = endpoint.more_addresses.iter().cloned();
            std::iter::once(endpoint.address.clone()).chain(more).collect()
        });
        all.collect()
    }

    /// The addresses of pods: of those endpoints that are nothing else, and not the proxy itself.
    fn pods(&self, endpoints: Vec<Vec<Address>>) -> Vec<Vec<String>> {
        let own = self.context.proxy().addresses.first().copied();
        let pods = endpoints.into_iter().filter_map(|addresses| {
            let ips: Vec<_> = addresses.iter().map(Address::ip).collect::<Option<_>>()?;
            let is_own = ips.first().copied() == own;
            (!is_own).then(|| ips.iter().map(ToString::to_string).collect())
        });
        pods.collect()
    }

    /// Adds one service and port: as a listener of its own, or to the one that is there.
    fn add(&mut self, mut candidate: Candidate<'c>) {
        let protocol = candidate.port.protocol;
        let Some(class) = Class::of(protocol) else { return };
        if candidate.service.resolution == Resolution::Alias {
            return;
        }
        self.place(&mut candidate, class);
        let key = (candidate.binding.primary().to_owned(), candidate.port.number);
        let existing = self.entries.get(&key);
        if existing.is_some_and(|entry| entry.is_locked) {
            return;
        }
        let existing =
            existing.map(|entry| entry.protocol).filter(|_| protocol != Protocol::HttpProxy);
        let Some(outcome) = Outcome::of(existing, class) else { return };
        if existing.is_some_and(|existing| speaks_first(existing, protocol)) {
            return;
        }
        let (chains, protocol) = self.chains(&candidate, class, outcome);
        match (outcome, self.entries.get_mut(&key)) {
            (Outcome::Merge | Outcome::MergeAndDetect | Outcome::MergeStreams, Some(entry)) => {
                merge(&mut entry.chains, chains);
                if outcome == Outcome::MergeAndDetect {
                    entry.protocol = Protocol::Unsupported;
                }
            }
            _ => {
                let entry = Entry {
                    binding: candidate.binding,
                    port: candidate.port.number,
                    protocol,
                    is_locked: false,
                    is_forward_proxy: false,
                    chains,
                };
                self.entries.insert(key, entry);
            }
        }
    }

    /// Decides on the address where nothing has yet.
    fn place(&self, candidate: &mut Candidate<'_>, class: Class) {
        if !candidate.binding.primary().is_empty() {
            return;
        }
        let wildcards = || self.context.wildcards().iter().map(|text| (*text).to_owned()).collect();
        if class == Class::Http {
            candidate.binding.addresses = wildcards();
            return;
        }
        let address = listen_address(self.context, candidate.service);
        let is_external = candidate.service.provider == Provider::External;
        let is_dual = self.context.proxy().ip_families() == IpFamilies::Dual;
        let more = (is_external && is_dual && *address == *UNSPECIFIED).then(|| "::".to_owned());
        let (proxy, flags) = (self.context.proxy(), self.context.flags());
        let all = network::addresses(candidate.service, proxy, flags.istio_dual_stack);
        let others = all.iter().skip(1).map(ToString::to_string);
        let addresses: Vec<String> =
            std::iter::once(address.to_string()).chain(others).chain(more).collect();
        if address.contains('/') {
            candidate.binding.addresses = wildcards();
            candidate.cidrs = addresses;
        } else if !address.is_empty() {
            candidate.binding.addresses = addresses;
        }
    }

    /// The chains that a candidate brings, and what its listener is then said to speak.
    fn chains(
        &self,
        candidate: &Candidate<'_>,
        class: Class,
        outcome: Outcome,
    ) -> (Vec<Chain>, Protocol) {
        let protocol = candidate.port.protocol;
        let is_wildcard = candidate.binding.primary() == self.context.wildcard();
        match class {
            Class::Http if protocol == Protocol::HttpProxy => {
                (vec![self.http_chain(candidate, class, false)], Protocol::Http)
            }
            Class::Http => {
                let protocol = if is_wildcard { Protocol::Unsupported } else { protocol };
                (vec![self.http_chain(candidate, class, is_wildcard)], protocol)
            }
            Class::Tcp => (self.stream_chains(candidate), protocol),
            Class::Auto => {
                let mut chains = self.stream_chains(candidate);
                if outcome != Outcome::MergeStreams {
                    chains.push(self.http_chain(candidate, class, true));
                }
                (chains, protocol)
            }
        }
    }

    fn http_chain(&self, candidate: &Candidate<'_>, class: Class, needs_http: bool) -> Chain {
        let (bind, port) = (candidate.binding.primary(), candidate.port.number);
        let name = if port == 0 {
            bind.to_owned()
        } else if class == Class::Auto && bind != self.context.wildcard() {
            RouteName::Service { host: candidate.service.hostname.as_str(), port }.to_string()
        } else {
            RouteName::Port(port).to_string()
        };
        let protocol = candidate.port.protocol;
        let lookup = dynamic_dns::of_service(self.context, candidate.service).map(Box::new);
        let content = Content::Http { routes: name, protocol, lookup };
        Chain { needs_http, content, ..Chain::default() }
    }

    fn stream_chains(&self, candidate: &Candidate<'_>) -> Vec<Chain> {
        let rules = candidate.egress.virtual_services.iter().map(AsRef::as_ref);
        let target = Target {
            service: candidate.service,
            port: candidate.port,
            bind: candidate.binding.primary(),
            cidrs: candidate.cidrs.clone(),
            is_pod: candidate.is_pod,
            rules: rules_for(rules, &candidate.service.hostname),
        };
        chains(self.context, target)
    }
}

/// What happens to a candidate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// It is put in, instead of what was there.
    Replace,
    /// Its chains are added.
    Merge,
    /// Only those of its chains are added that are not HTTP.
    MergeStreams,
    /// Its chains are added, and what is spoken has to be detected.
    MergeAndDetect,
}

impl Outcome {
    /// What happens, by what is there; `None`: nothing.
    fn of(existing: Option<Protocol>, class: Class) -> Option<Self> {
        let Some(existing) = existing else { return Some(Self::Replace) };
        match class {
            Class::Http => existing.is_tcp().then_some(Self::MergeAndDetect),
            Class::Tcp if existing.is_http() => Some(Self::MergeAndDetect),
            Class::Tcp => Some(Self::Merge),
            Class::Auto if existing.is_http() => Some(Self::Replace),
            Class::Auto if existing.is_tcp() => Some(Self::MergeAndDetect),
            Class::Auto => Some(Self::MergeStreams),
        }
    }
}

/// Whether two protocols cannot share a listener: in one the server speaks first, so it cannot wait
/// for what the client says.
fn speaks_first(existing: Protocol, incoming: Protocol) -> bool {
    let waits = |protocol| matches!(protocol, Protocol::Mongo | Protocol::Mysql);
    existing != incoming && (waits(existing) || waits(incoming))
}

/// Adds the chains that conflict with none that is there: the oldest service wins.
fn merge(chains: &mut Vec<Chain>, incoming: Vec<Chain>) {
    for chain in incoming {
        if !chains.iter().any(|kept| kept.conflicts_with(&chain)) {
            chains.push(chain);
        }
    }
}
