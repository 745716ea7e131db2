//! The hosts of a balancer, and what is remembered of them.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::assign::AssignedEndpoint;
use crate::health::status::HostHealth;
use crate::pick::client_side::ReportedWeight;
use crate::pick::slow_start::LatestHost;
use crate::subset::MetadataValue;

/// What is known of an endpoint beyond its assignment; of most nothing but their health is.
///
/// # Examples
///
/// An endpoint that keeps its place on rings and tables although its address changes:
///
/// ```
/// use std::collections::BTreeMap;
///
/// use mesh_lb::HostFacts;
/// use mesh_lb::health::status::HostHealth;
/// use mesh_lb::subset::MetadataValue;
///
/// let metadata = [("hash_key".into(), MetadataValue::Text("cart-0".into()))];
/// let facts = HostFacts::from(HostHealth::default()).with_metadata(BTreeMap::from(metadata));
/// assert_eq!(facts.hash_key(), Some("cart-0"));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostFacts {
    health: HostHealth,
    // INVARIANT: none if it is empty.
    metadata: Option<Arc<BTreeMap<Box<str>, MetadataValue>>>,
}

impl From<HostHealth> for HostFacts {
    fn from(health: HostHealth) -> Self {
        Self { health, metadata: None }
    }
}

impl HostFacts {
    /// Says what metadata the endpoint has of the namespace `envoy.lb`: what subsets go by, and its key
    /// on rings and tables. istiod sends none.
    #[must_use]
    pub fn with_metadata(self, metadata: BTreeMap<Box<str>, MetadataValue>) -> Self {
        Self { metadata: (!metadata.is_empty()).then(|| Arc::new(metadata)), ..self }
    }

    /// Returns its health.
    pub const fn health(&self) -> HostHealth {
        self.health
    }

    /// Returns its metadata of the namespace `envoy.lb`; none if there is nothing in it.
    pub fn metadata(&self) -> Option<&BTreeMap<Box<str>, MetadataValue>> {
        self.metadata.as_deref()
    }

    /// Returns what names it on rings and tables instead of its address: `hash_key` of its metadata, if
    /// that is a text which is not empty.
    ///
    /// # Upstream
    ///
    /// Envoy `source/extensions/load_balancing_policies/common/thread_aware_lb_impl.h`,
    /// `HashingLoadBalancer::hashKey`; grpc-go `internal/xds/xdsclient/xdsresource/unmarshal_eds.go`,
    /// `hashKey`.
    pub fn hash_key(&self) -> Option<&str> {
        match self.metadata()?.get("hash_key")? {
            MetadataValue::Text(key) if !key.is_empty() => Some(key),
            MetadataValue::Text(_)
            | MetadataValue::Null
            | MetadataValue::Bool(_)
            | MetadataValue::Number(_)
            | MetadataValue::List(_)
            | MetadataValue::Struct(_) => None,
        }
    }
}

/// One endpoint of a balancer.
#[derive(Clone, Debug)]
pub struct Host {
    address: Box<str>,
    weight: u32,
    facts: HostFacts,
    via: &'static str,
    /// What its state said when the balancer was built of when it last passed a health check.
    passed_ms: u64,
    state: Arc<HostState>,
}

/// What outlives a change of endpoints. A cache line each: hosts are counted by all threads.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct HostState {
    active: AtomicU32,
    // When it last passed a health check although it counted as failed, or was first seen healthy;
    // `NEVER` before that.
    passed_ms: AtomicU64,
    reported: ReportedWeight,
    traffic: Arc<Traffic>,
}

const NEVER: u64 = u64::MAX;

/// The requests of all hosts.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Traffic {
    active: AtomicU32,
}

impl Traffic {
    pub(super) fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }
}

impl HostState {
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            active: AtomicU32::new(0),
            passed_ms: AtomicU64::new(NEVER),
            reported: ReportedWeight::default(),
            traffic,
        }
    }

    pub(super) const fn reported(&self) -> &ReportedWeight {
        &self.reported
    }

    #[inline]
    pub(super) fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// Takes note that a health check has passed the host, which counted as failed.
    pub(super) fn pass(&self, now_ms: u64) {
        // The last moment of all stands for none.
        self.passed_ms.store(now_ms.min(NEVER - 1), Ordering::Relaxed);
    }

    /// Takes note that the host is healthy now, for slow start.
    pub(super) fn observe(&self, latest: &mut LatestHost, now_ms: u64) {
        let passed = Some(self.passed_ms.load(Ordering::Relaxed)).filter(|passed| *passed != NEVER);
        self.pass(latest.observe(passed, now_ms));
    }
}

impl Host {
    pub(super) fn new(
        endpoint: AssignedEndpoint<'_>,
        address: Box<str>,
        facts: HostFacts,
        state: Arc<HostState>,
    ) -> Self {
        let (weight, via) = (endpoint.weight(), endpoint.target().via());
        let passed_ms = state.passed_ms.load(Ordering::Relaxed);
        Self { address, weight, facts, via, passed_ms, state }
    }

    /// Returns the address that the host of an endpoint has: `ip:port`, `[ip]:port`, or the path of a
    /// socket.
    pub fn address_of(endpoint: AssignedEndpoint<'_>) -> Box<str> {
        let (address, port) = (endpoint.target().address().to_string(), endpoint.target().port());
        if address.starts_with('/') || address.starts_with('@') {
            address.into()
        } else if address.contains(':') {
            format!("[{address}]:{port}").into()
        } else {
            format!("{address}:{port}").into()
        }
    }

    /// Returns what is dialled, with its port. It names the host on rings and tables, too, unless its
    /// metadata [says otherwise](HostFacts::hash_key).
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns what names it on rings and tables.
    pub(super) fn hash_key(&self) -> &str {
        self.facts.hash_key().unwrap_or(&self.address)
    }

    /// Returns its metadata of the namespace `envoy.lb`, if it has any.
    pub fn metadata(&self) -> Option<&BTreeMap<Box<str>, MetadataValue>> {
        self.facts.metadata()
    }

    /// Returns how it is reached: `direct`, `tunnel`, `gateway` or `double_tunnel`.
    pub const fn via(&self) -> &'static str {
        self.via
    }

    /// Returns its weight among the hosts of its locality: the one that it is assigned with, unless its
    /// [reports](crate::Algorithm::ClientSide) say another.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    pub(super) const fn weigh(&mut self, weight: u32) {
        self.weight = weight;
    }

    /// Returns its health as the balancer was built with it.
    pub const fn health(&self) -> HostHealth {
        self.facts.health()
    }

    /// Returns the number of requests that are on their way to it.
    #[inline]
    pub fn active(&self) -> u32 {
        self.state.active()
    }

    /// Returns how long ago it turned healthy, for slow start.
    pub(super) fn since_healthy_ms(&self, now_ms: u64) -> Option<u64> {
        let passed = self.state.passed_ms.load(Ordering::Relaxed);
        (passed != NEVER).then(|| now_ms.saturating_sub(passed))
    }

    /// Whether slow start has begun at the same time as that of `other`.
    pub(super) const fn is_as_warm(&self, other: &Self) -> bool {
        self.passed_ms == other.passed_ms
    }

    pub(super) const fn state(&self) -> &Arc<HostState> {
        &self.state
    }

    pub(super) fn start(&self) -> InFlight {
        let state = Arc::clone(&self.state);
        state.active.fetch_add(1, Ordering::Relaxed);
        state.traffic.active.fetch_add(1, Ordering::Relaxed);
        InFlight { state }
    }

    /// Whether a list with this host can stay as it is although an update brings `other`.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
            && self.weight == other.weight
            && self.facts == other.facts
            && self.via == other.via
            && self.address == other.address
    }
}

/// A request that is on its way; dropped when its answer has come. It outlives the balancer.
#[derive(Debug)]
#[must_use = "the request counts until this is dropped"]
pub struct InFlight {
    state: Arc<HostState>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.active.fetch_sub(1, Ordering::Relaxed);
        self.state.traffic.active.fetch_sub(1, Ordering::Relaxed);
    }
}
