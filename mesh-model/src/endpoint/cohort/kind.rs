//! What filters and transports read of an endpoint, read once.
use std::sync::Arc;

use crate::endpoint::{Address, Discoverability, Endpoint, HealthStatus, canonical_service};
use crate::name::{Labels, Text};

/// Labels that rules for endpoints read, whatever anybody configures. Endpoints of a [`Kind`] agree on
/// them.
pub const COMMON_LABELS: [&str; 14] = [
    "app",
    "app.kubernetes.io/name",
    "app.kubernetes.io/version",
    "gateway.istio.io/managed",
    "istio.io/draining",
    "networking.istio.io/tunnel",
    "service.istio.io/canonical-name",
    "service.istio.io/canonical-revision",
    "topology.istio.io/cluster",
    "topology.istio.io/network",
    "topology.istio.io/subzone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "version",
];

/// Endpoints of a cohort that differ in nothing but their addresses, the names of their workloads, pods,
/// nodes and accounts, and labels other than [`COMMON_LABELS`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kind {
    /// The place in the cohort of the first of them.
    pub first: u32,
    /// How many they are.
    pub len: u32,
    /// The weight of each, at least 1.
    pub weight: u32,
    /// The port to dial.
    pub port: u16,
    /// The health that their source reports.
    pub health: HealthStatus,
    /// What their addresses are.
    pub dialled: Dialled,
    /// Which TLS they speak.
    pub tls: SpokenTls,
    /// Which clusters may use them.
    pub discoverability: Discoverability,
    /// Whether their label says that they drain, whatever their source says.
    pub is_labelled_draining: bool,
    /// Whether their labels say that they accept HBONE.
    pub accepts_tunnel: bool,
    /// The name of their workload, where all of them are of one.
    pub name: Option<Text>,
    /// Whose they are: what follows the workload's name in its
    /// [`metadata`](crate::endpoint::Endpoint::metadata).
    pub metadata: Arc<str>,
}

/// What an address is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "filters act on every sort")]
pub enum Dialled {
    /// An IP address.
    Ip,
    /// A host name or the path of a socket.
    Text,
    /// Not known; only a gateway leads there.
    Unknown,
    /// There is none at all: an empty host name.
    Nowhere,
}

/// Which TLS an endpoint speaks, as its workload's mode says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "transports act on every sort")]
pub enum SpokenTls {
    /// Istio's mutual TLS: `istio`.
    Istio,
    /// None: `disabled`, or nothing is said.
    Plain,
    /// What another word says.
    Other,
}

impl Kind {
    /// Returns what an endpoint is, as a kind of one endpoint.
    pub fn of(endpoint: &Endpoint) -> Self {
        Self::with_metadata(endpoint, endpoint.metadata_rest().into())
    }

    /// Returns whether rules that tell no endpoints of a kind apart, and read no label but those of which a kind
    /// says something, say of another kind's what they say of these: only names, weights, ports (but for
    /// 0) and other labels differ.
    #[inline]
    pub fn is_judged_as(&self, other: &Self) -> bool {
        (self.port == 0) == (other.port == 0)
            && self.health == other.health
            && self.dialled == other.dialled
            && self.tls == other.tls
            && self.discoverability == other.discoverability
            && self.is_labelled_draining == other.is_labelled_draining
            && self.accepts_tunnel == other.accepts_tunnel
    }

    pub(super) fn with_metadata(endpoint: &Endpoint, metadata: Arc<str>) -> Self {
        let Endpoint { address, port, health, workload, .. } = endpoint;
        Self {
            first: 0,
            len: 1,
            weight: endpoint.effective_weight(),
            port: *port,
            health: *health,
            dialled: Dialled::of(address),
            tls: match &*workload.tls_mode {
                "istio" => SpokenTls::Istio,
                "" | "disabled" => SpokenTls::Plain,
                _ => SpokenTls::Other,
            },
            discoverability: workload.discoverability,
            is_labelled_draining: !workload.labels.value("istio.io/draining").is_empty(),
            accepts_tunnel: accepts_tunnel(&workload.labels),
            name: Some(endpoint.workload_name().clone()),
            metadata,
        }
    }
}

impl Dialled {
    fn of(address: &Address) -> Self {
        match address {
            Address::Ip(_) => Self::Ip,
            Address::Host(name) if name.is_empty() => Self::Nowhere,
            Address::Host(_) | Address::Unix(_) => Self::Text,
            Address::Unknown => Self::Unknown,
        }
    }
}

/// Whether labels say that an endpoint accepts HBONE: a waypoint, or a list that contains `http`.
///
/// # Upstream
///
/// istio/istio `pilot/pkg/xds/endpoints/endpoint_builder.go` `supportTunnel`; `pkg/model/proxy.go`
/// `SupportsTunnel`.
fn accepts_tunnel(labels: &Labels) -> bool {
    labels.get("gateway.istio.io/managed") == Some("istio.io-mesh-controller")
        || accepts_http_tunnel(labels)
}

/// Whether the list that labels tell contains `http`.
pub(in crate::endpoint) fn accepts_http_tunnel(labels: &Labels) -> bool {
    labels
        .get("networking.istio.io/tunnel")
        .is_some_and(|list| list.split(',').any(|protocol| protocol == "http"))
}

/// Whether two endpoints of one cohort are of one kind.
pub(super) fn are_alike(a: &Endpoint, b: &Endpoint) -> bool {
    let (ours, theirs) = (&*a.workload, &*b.workload);
    a.port == b.port
        && a.weight == b.weight
        && a.health == b.health
        && is_dialled_alike(&a.address, &b.address)
        && (Arc::ptr_eq(&a.workload, &b.workload)
            || ((Arc::ptr_eq(&ours.template, &theirs.template)
                || (is_same(&ours.tls_mode, &theirs.tls_mode)
                    && ours.discoverability == theirs.discoverability))
                && have_common(&ours.labels, &theirs.labels)))
        // Where no label says it, the name is the service's.
        && (have_one_name(a, b) || canonical_service(&ours.labels).is_some())
}

/// Whether two addresses are of one sort; what is no IP address is a sort of its own.
fn is_dialled_alike(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Ip(_), Address::Ip(_)) => true,
        _ => a == b,
    }
}

/// Whether two sets agree on [`COMMON_LABELS`]: both have the same value, or none.
fn have_common(a: &Labels, b: &Labels) -> bool {
    a.differences(b).all(|key| !COMMON_LABELS.contains(&key))
}

/// Whether the workloads of two endpoints have one name.
pub(super) fn have_one_name(a: &Endpoint, b: &Endpoint) -> bool {
    a.workload_name() == b.workload_name()
}

pub(super) fn is_same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}
