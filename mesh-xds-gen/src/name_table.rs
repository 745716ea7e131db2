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

use bytes::Bytes;
use mesh_envoy_proto::istio::networking::nds::v1::NameTable;
use mesh_envoy_proto::istio::networking::nds::v1::name_table::NameInfo;
use mesh_model::endpoint::{Address, Endpoint, HealthStatus, Provider};
use mesh_model::name::{ClusterId, Hostname, Namespace, NetworkId};
use mesh_model::registry::{Resolution, Service, UNSPECIFIED};
use mesh_model::view::{ProxyView, network};

use crate::encode::{Backwards, Pool};

/// As many bytes a name takes with what is known of it, or less.
const USUAL: usize = 160;
/// The end of the hosts of multi-cluster services.
const CLUSTER_SET: &str = ".clusterset.local";

/// Returns the name table of a proxy; an empty one for gateways, which import nothing by listener.
///
/// # Upstream
///
/// istio/istio `pkg/dns/server/name_table.go` `BuildNameTable`.
pub fn name_table(view: &ProxyView<'_>) -> NameTable {
    names(view).into_table()
}

/// The same as bytes.
pub(crate) fn encoded(view: &ProxyView<'_>) -> Bytes {
    names(view).encoded()
}

fn names<'v>(view: &'v ProxyView<'_>) -> Names<'v> {
    let (proxy, flags) = (view.proxy(), &view.mesh().compat().flags);
    let mut names = Names::new(Client {
        network: &proxy.network,
        cluster: &proxy.cluster,
        multicluster_headless: flags.enable_multicluster_headless,
    });
    for service in view.scope().egress().iter().flat_map(|egress| &egress.services) {
        let addresses = network::addresses(service, proxy, flags.istio_dual_stack);
        names.add(service, &addresses, view.plane().endpoints_at_all(service));
    }
    names
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
    table: BTreeMap<Hostname, Info>,
}

/// What is known of a name.
#[derive(Clone, Debug)]
struct Info {
    ips: Vec<Arc<str>>,
    provider: Provider,
    /// What the agent answers to beside the name, within the namespace; empty if that is nothing.
    shortname: Arc<str>,
    namespace: Namespace,
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
        let mut found: Vec<Arc<str>> = addresses
            .iter()
            .take_while(is_specified)
            .filter(|address| address.parse::<IpAddr>().is_ok())
            .cloned()
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
        let table = self.table.into_iter();
        let table = table.map(|(host, info)| (host.as_str().to_owned(), info.into_message()));
        NameTable { table: table.collect() }
    }

    /// The same as bytes.
    fn encoded(&self) -> Bytes {
        let mut bytes = Backwards::default();
        bytes.reserve(self.table.len().saturating_mul(USUAL));
        for (host, info) in self.table.iter().rev() {
            let entry = bytes.len();
            info.encode(&mut bytes);
            bytes.field(2, entry);
            bytes.some_text(1, host.as_str());
            bytes.field(1, entry);
        }
        bytes.take(&mut Pool::default())
    }

    /// Adds the names of pods and returns the addresses that stand for the service.
    fn add_pods<'e>(
        &mut self,
        service: &Service,
        endpoints: impl IntoIterator<Item = &'e Endpoint>,
    ) -> Vec<Arc<str>> {
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
            let is_near = equal_or_unknown(self.client.network, &workload.place.network);
            let is_local = equal_or_unknown(self.client.cluster, &workload.place.cluster);
            if is_near && !workload.subdomain.is_empty() {
                let Some((_, domain)) = service.hostname.as_str().split_once('.') else { continue };
                let name =
                    format!("{}.{}", endpoint.hostname().unwrap_or_default(), workload.subdomain);
                pods.add(format!("{name}.{domain}"), name, is_local, &addresses);
            }
            if is_near && (is_local || self.client.multicluster_headless) {
                found.extend(addresses);
            }
        }
        let named = pods.0.into_iter();
        let named = named.map(|(host, pod)| (host.as_str().into(), pod.into_info(service)));
        self.table.extend(named);
        found
    }

    fn insert(&mut self, service: &Service, ips: Vec<Arc<str>>) {
        let is_kubernetes = service.provider == Provider::Kubernetes;
        // The agent answers to `a`, `a.ns` and `a.ns.svc` too, which are not names of the set.
        let has_short = is_kubernetes && !service.hostname.as_str().ends_with(CLUSTER_SET);
        let new = Info {
            ips,
            provider: service.provider,
            shortname: if has_short { Arc::clone(&service.name) } else { Arc::default() },
            namespace: if has_short { service.namespace.clone() } else { Namespace::default() },
        };
        match self.table.entry(service.hostname.clone()) {
            Entry::Vacant(place) => {
                place.insert(new);
            }
            Entry::Occupied(known) if known.get().provider == Provider::Kubernetes => {}
            Entry::Occupied(mut known) if is_kubernetes => {
                known.insert(new);
            }
            Entry::Occupied(mut known) => known.get_mut().ips.extend(new.ips),
        }
    }
}

impl Info {
    fn into_message(self) -> NameInfo {
        NameInfo {
            ips: self.ips.iter().map(ToString::to_string).collect(),
            registry: self.provider.as_str().to_owned(),
            shortname: self.shortname.to_string(),
            namespace: self.namespace.as_str().to_owned(),
            ..NameInfo::default()
        }
    }

    /// The same as bytes.
    fn encode(&self, bytes: &mut Backwards) {
        bytes.some_text(4, self.namespace.as_str());
        bytes.some_text(3, &self.shortname);
        bytes.some_text(2, self.provider.as_str());
        self.ips.iter().rev().for_each(|ip| bytes.text(1, ip));
    }
}

/// The pods of one headless service, by the names that they have.
#[derive(Debug, Default)]
struct Pods(BTreeMap<String, Pod>);

#[derive(Debug, Default)]
struct Pod {
    shortname: String,
    local: Vec<Arc<str>>,
    remote: Vec<Arc<str>>,
}

impl Pods {
    fn add(&mut self, host: String, shortname: String, is_local: bool, addresses: &[Arc<str>]) {
        let pod = self.0.entry(host).or_default();
        pod.shortname = shortname;
        let list = if is_local { &mut pod.local } else { &mut pod.remote };
        list.extend_from_slice(addresses);
    }
}

impl Pod {
    /// A pod of the client's own cluster hides those of the same name elsewhere.
    fn into_info(self, service: &Service) -> Info {
        Info {
            ips: if self.local.is_empty() { self.remote } else { self.local },
            provider: service.provider,
            shortname: self.shortname.into(),
            namespace: service.namespace.clone(),
        }
    }
}

/// The addresses of an endpoint; `None` if one of them is no IP.
fn ips(endpoint: &Endpoint) -> Option<Vec<Arc<str>>> {
    let all = std::iter::once(&endpoint.address).chain(&endpoint.more_addresses);
    all.map(|address| Address::ip(address).map(|ip| ip.to_string().into())).collect()
}

/// Whether two names are one, where the empty name may be any.
fn equal_or_unknown<N: AsRef<str> + PartialEq>(a: &N, b: &N) -> bool {
    a.as_ref().is_empty() || b.as_ref().is_empty() || a == b
}
