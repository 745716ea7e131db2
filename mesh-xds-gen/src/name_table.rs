//! The name table of one proxy (NDS): what its agent answers to DNS queries.
//!
//! ```text
//! egress listeners ─▶ services ─▶ addresses for the proxy ──────────────┬─▶ HOST ─▶ addresses
//!                              └▶ headless: endpoints of its network ───┘
//!                                        └▶ HOSTNAME.SUBDOMAIN.… ─▶ addresses of that pod
//! ```
//!
//! # Upstream
//!
//! istio/istio `pkg/dns/server/name_table.go` `BuildNameTable`.
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_envoy_proto::istio::networking::nds::v1::name_table::NameInfo;
use mesh_model::endpoint::{Address, Endpoint, HealthStatus, Provider};
use mesh_model::name::{ClusterId, NetworkId};
use mesh_model::registry::{Resolution, Service, UNSPECIFIED};
use mesh_model::view::{ProxyView, network};

/// The end of the hosts of multi-cluster services.
const CLUSTER_SET: &str = ".clusterset.local";

/// Returns the name table of a proxy; an empty one for gateways, which import nothing by listener.
///
/// # Upstream
///
/// istio/istio `pkg/dns/server/name_table.go` `BuildNameTable`.
pub fn name_table(view: &ProxyView<'_>) -> NameTable {
    let (proxy, flags) = (view.proxy(), &view.mesh().compat().flags);
    let mut names = Names::new(Client {
        network: &proxy.network,
        cluster: &proxy.cluster,
        multicluster_headless: flags.enable_multicluster_headless,
    });
    for service in view.scope().egress().iter().flat_map(|egress| &egress.services) {
        let addresses = network::addresses(service, proxy, flags.istio_dual_stack);
        let numbers: BTreeSet<u16> = service.ports.iter().map(|port| port.number).collect();
        let at = |number| view.plane().endpoints_at(service, number);
        names.add(service, &addresses, numbers.into_iter().flat_map(at));
    }
    names.into_table()
}

/// The one who asks for names.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers without a mesh build clients by hand")]
pub struct Client<'c> {
    /// Its network, empty if unknown, which is all networks.
    pub network: &'c NetworkId,
    /// Its cluster, empty if unknown, which is all clusters.
    pub cluster: &'c ClusterId,
    /// Whether headless services of other clusters are found (flag `ENABLE_MULTICLUSTER_HEADLESS`).
    pub multicluster_headless: bool,
}

/// A name table that grows service by service.
#[derive(Clone, Debug)]
pub struct Names<'c> {
    client: Client<'c>,
    table: BTreeMap<String, NameInfo>,
}

impl<'c> Names<'c> {
    /// A table without names.
    pub fn new(client: Client<'c>) -> Self {
        Self { client, table: BTreeMap::new() }
    }

    /// Adds a service with its addresses for the client and its endpoints; of two services of one
    /// host the one of Kubernetes counts, others are united.
    ///
    /// An address that is no IP (a range) is no answer. A service with the address `0.0.0.0` is
    /// headless: its ready endpoints are the answer, and each pod with a subdomain has a name.
    pub fn add<'e>(
        &mut self,
        service: &Service,
        addresses: &[Arc<str>],
        endpoints: impl IntoIterator<Item = &'e Endpoint>,
    ) {
        let is_specified = |address: &&Arc<str>| ***address != *UNSPECIFIED;
        let mut found: Vec<String> = addresses
            .iter()
            .take_while(is_specified)
            .filter(|address| address.parse::<IpAddr>().is_ok())
            .map(ToString::to_string)
            .collect();
        let is_headless = !addresses.iter().all(|address| is_specified(&address));
        let has_pods = service.resolution == Resolution::Passthrough && !service.ports.is_empty();
        if is_headless && has_pods {
            found.extend(self.add_pods(service, endpoints));
        }
        if !found.is_empty() {
            self.insert(service, found);
        }
    }

    /// The finished message.
    pub fn into_table(self) -> NameTable {
        NameTable { table: self.table }
    }

    /// Adds the names of pods and returns the addresses that stand for the service.
    fn add_pods<'e>(
        &mut self,
        service: &Service,
        endpoints: impl IntoIterator<Item = &'e Endpoint>,
    ) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut pods = Pods::default();
        let mut found = Vec::new();
        for endpoint in endpoints {
            let Some(addresses) = ips(endpoint) else { continue };
            let is_ready = service.publish_not_ready || endpoint.health == HealthStatus::Healthy;
            if !is_ready || !seen.insert(addresses.first().cloned()) {
                continue;
            }
            let workload = &endpoint.workload;
            let is_near = equal_or_unknown(self.client.network, &workload.network);
            let is_local = equal_or_unknown(self.client.cluster, &workload.cluster);
            if is_near && !workload.subdomain.is_empty() {
                let Some((_, domain)) = service.hostname.as_str().split_once('.') else { continue };
                let name = format!("{}.{}", workload.hostname, workload.subdomain);
                pods.add(format!("{name}.{domain}"), name, is_local, &addresses);
            }
            if is_near && (is_local || self.client.multicluster_headless) {
                found.extend(addresses);
            }
        }
        let named = pods.0.into_iter();
        self.table.extend(named.map(|(host, pod)| (host, pod.into_info(service))));
        found
    }

    fn insert(&mut self, service: &Service, ips: Vec<String>) {
        let host = service.hostname.as_str();
        let new =
            NameInfo { ips, registry: service.provider.as_str().to_owned(), ..NameInfo::default() };
        let is_kubernetes = service.provider == Provider::Kubernetes;
        // The agent answers to `a`, `a.ns` and `a.ns.svc` too, which are not names of the set.
        let new = if is_kubernetes && !host.ends_with(CLUSTER_SET) {
            let (shortname, namespace) = (service.name.to_string(), service.namespace.to_string());
            NameInfo { shortname, namespace, ..new }
        } else {
            new
        };
        match self.table.entry(host.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(new);
            }
            Entry::Occupied(known) if known.get().registry == Provider::Kubernetes.as_str() => {}
            Entry::Occupied(mut known) if is_kubernetes => {
                known.insert(new);
            }
            Entry::Occupied(mut known) => known.get_mut().ips.extend(new.ips),
        }
    }
}

/// The pods of one headless service, by the names that they have.
#[derive(Debug, Default)]
struct Pods(BTreeMap<String, Pod>);

#[derive(Debug, Default)]
struct Pod {
    shortname: String,
    local: Vec<String>,
    remote: Vec<String>,
}

impl Pods {
    fn add(&mut self, host: String, shortname: String, is_local: bool, addresses: &[String]) {
        let pod = self.0.entry(host).or_default();
        pod.shortname = shortname;
        let list = if is_local { &mut pod.local } else { &mut pod.remote };
        list.extend_from_slice(addresses);
    }
}

impl Pod {
    /// A pod of the client's own cluster hides those of the same name elsewhere.
    fn into_info(self, service: &Service) -> NameInfo {
        NameInfo {
            ips: if self.local.is_empty() { self.remote } else { self.local },
            registry: service.provider.as_str().to_owned(),
            shortname: self.shortname,
            namespace: service.namespace.to_string(),
            ..NameInfo::default()
        }
    }
}

/// The addresses of an endpoint; `None` if one of them is no IP.
fn ips(endpoint: &Endpoint) -> Option<Vec<String>> {
    let all = std::iter::once(&endpoint.address).chain(&endpoint.more_addresses);
    all.map(|address| Address::ip(address).map(|ip| ip.to_string())).collect()
}

/// Whether two names are one, where the empty name may be any.
fn equal_or_unknown<N: AsRef<str> + PartialEq>(a: &N, b: &N) -> bool {
    a.as_ref().is_empty() || b.as_ref().is_empty() || a == b
}
