//! Circuit breakers at work: what one cluster has in use, shared by all who send to it.
//!
//! ```text
//! take ─ below the limit? ─▶ Taken (counts until it is dropped)
//!                        └─▶ none, and an overflow is counted
//! ```
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::circuit_breaker::{Limits, PerHostThresholds, RoutingPriority, Thresholds, can_create};

/// What circuit breakers limit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol limits these five")]
pub enum Resource {
    /// Connections. A host that has none may always have one: see [`Accounts::take_anyway`].
    Connections,
    /// Requests that wait for a connection.
    PendingRequests,
    /// Requests that are on their way.
    Requests,
    /// Retries that are on their way; with a budget their limit moves with the other requests.
    Retries,
    /// Connection pools.
    ConnectionPools,
}

const RESOURCES: usize = 5;

/// What is in use of the resources of one cluster, by routing priority.
///
/// Limits hold exactly, however many threads take at once; upstream's are approximate then.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use mesh_lb::retry::accounts::{Accounts, Resource};
/// use mesh_lb::retry::circuit_breaker::{RoutingPriority, Thresholds};
///
/// let one = Thresholds { max_requests: Some(1), ..Thresholds::default() };
/// let accounts = Arc::new(Accounts::new(&[one]));
/// let take = || accounts.take(RoutingPriority::Default, Resource::Requests);
/// let request = take();
/// assert!(request.is_some() && take().is_none());
/// drop(request);
/// assert!(take().is_some());
/// assert_eq!(accounts.overflows(RoutingPriority::Default, Resource::Requests), 1);
/// ```
///
/// # Upstream
///
/// Envoy `source/common/upstream/resource_manager_impl.h`, `ResourceManagerImpl`.
#[derive(Debug)]
pub struct Accounts {
    default: Account,
    high: Account,
}

#[derive(Debug)]
struct Account {
    limits: Limits,
    /// The limit of connections of each host; none if there is no limit.
    connections_per_host: Option<u32>,
    in_use: [AtomicU32; RESOURCES],
    overflows: [AtomicU64; RESOURCES],
}

impl Accounts {
    /// Opens the accounts of a cluster with these thresholds; nothing is in use.
    pub fn new(thresholds: &[Thresholds]) -> Self {
        Self::with_per_host(thresholds, &[])
    }

    /// The same with limits of each host, which [`Accounts::connect`] looks at.
    pub fn with_per_host(thresholds: &[Thresholds], per_host: &[PerHostThresholds]) -> Self {
        let account = |priority| Account {
            limits: Limits::in_force(thresholds, priority),
            connections_per_host: PerHostThresholds::in_force(per_host, priority),
            in_use: Default::default(),
            overflows: Default::default(),
        };
        Self { default: account(RoutingPriority::Default), high: account(RoutingPriority::High) }
    }

    const fn account(&self, priority: RoutingPriority) -> &Account {
        match priority {
            RoutingPriority::Default => &self.default,
            RoutingPriority::High => &self.high,
        }
    }

    /// Takes one of a resource; none if as many are in use as may be, which is counted as an overflow.
    /// Takes no lock; does not allocate.
    pub fn take(self: &Arc<Self>, priority: RoutingPriority, resource: Resource) -> Option<Taken> {
        let account = self.account(priority);
        let limit = account.limit(resource);
        let more = |in_use: u32| can_create(in_use.into(), limit).then(|| in_use.saturating_add(1));
        let counter = account.counter(resource);
        if counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok() {
            return Some(Taken { accounts: Arc::clone(self), priority, resource });
        }
        account.overflow(resource).fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Takes one of a resource whatever its limit: the first connection of a host.
    pub fn take_anyway(self: &Arc<Self>, priority: RoutingPriority, resource: Resource) -> Taken {
        self.account(priority).counter(resource).fetch_add(1, Ordering::Relaxed);
        Taken { accounts: Arc::clone(self), priority, resource }
    }

    /// Takes a connection to a host, if both the cluster and the host may have one more; a host that has
    /// none may always have one. The connections of a host count together, whatever their priority.
    /// What a limit forbids is counted as an overflow, the first connection of a host too. Takes no
    /// lock; does not allocate.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use mesh_lb::retry::accounts::{Accounts, HostConnections};
    /// use mesh_lb::retry::circuit_breaker::{PerHostThresholds, RoutingPriority};
    ///
    /// let two = PerHostThresholds { max_connections: Some(2), ..PerHostThresholds::default() };
    /// let accounts = Arc::new(Accounts::with_per_host(&[], &[two]));
    /// let host = Arc::new(HostConnections::default());
    /// let connect = || accounts.connect(RoutingPriority::Default, &host);
    /// let (first, second) = (connect(), connect());
    /// assert!(first.is_some() && second.is_some() && connect().is_none());
    /// drop(first);
    /// assert!(connect().is_some());
    /// ```
    ///
    /// # Upstream
    ///
    /// Envoy `source/common/upstream/upstream_impl.h`, `HostImplBase::canCreateConnection`;
    /// `source/common/conn_pool/conn_pool_base.cc`, `ConnPoolImplBase::tryCreateNewConnection`.
    pub fn connect(
        self: &Arc<Self>,
        priority: RoutingPriority,
        host: &Arc<HostConnections>,
    ) -> Option<Connection> {
        let account = self.account(priority);
        let fits = |open: u32| account.connections_per_host.is_none_or(|limit| open < limit);
        let more = |open: u32| (open == 0 || fits(open)).then(|| open.saturating_add(1));
        let open = host.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let taken = if open.is_ok_and(fits) {
            self.take(priority, Resource::Connections)
        } else {
            account.overflow(Resource::Connections).fetch_add(1, Ordering::Relaxed);
            None
        };
        let taken = match (open, taken) {
            (Ok(_), Some(taken)) => taken,
            (Ok(0), None) => self.take_anyway(priority, Resource::Connections),
            (Ok(_), None) => {
                host.open.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            (Err(_), _) => return None,
        };
        Some(Connection { _taken: taken, host: Arc::clone(host) })
    }

    /// Returns how many of a resource may be in use at once, as things stand.
    pub fn limit(&self, priority: RoutingPriority, resource: Resource) -> u64 {
        self.account(priority).limit(resource)
    }

    /// Returns how many of a resource are in use.
    pub fn in_use(&self, priority: RoutingPriority, resource: Resource) -> u32 {
        self.account(priority).in_use(resource)
    }

    /// Returns how often a resource was refused.
    pub fn overflows(&self, priority: RoutingPriority, resource: Resource) -> u64 {
        self.account(priority).overflow(resource).load(Ordering::Relaxed)
    }
}

impl Account {
    const fn counter(&self, resource: Resource) -> &AtomicU32 {
        of(&self.in_use, resource)
    }

    const fn overflow(&self, resource: Resource) -> &AtomicU64 {
        of(&self.overflows, resource)
    }

    fn in_use(&self, resource: Resource) -> u32 {
        self.counter(resource).load(Ordering::Relaxed)
    }

    fn limit(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Connections => self.limits.max_connections.into(),
            Resource::PendingRequests => self.limits.max_pending_requests.into(),
            Resource::Requests => self.limits.max_requests.into(),
            Resource::Retries => self.limits.retries.max(
                self.in_use(Resource::Requests).into(),
                self.in_use(Resource::PendingRequests).into(),
            ),
            Resource::ConnectionPools => {
                self.limits.max_connection_pools.map_or(u64::MAX, u64::from)
            }
        }
    }
}

/// What a list with an entry a resource has of one of them.
const fn of<T>(all: &[T; RESOURCES], resource: Resource) -> &T {
    let [connections, pending, requests, retries, pools] = all;
    match resource {
        Resource::Connections => connections,
        Resource::PendingRequests => pending,
        Resource::Requests => requests,
        Resource::Retries => retries,
        Resource::ConnectionPools => pools,
    }
}

/// One of a resource, in use until this is dropped.
#[derive(Debug)]
#[must_use = "the resource is given back when this is dropped"]
pub struct Taken {
    accounts: Arc<Accounts>,
    priority: RoutingPriority,
    resource: Resource,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let account = self.accounts.account(self.priority);
        account.counter(self.resource).fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections to one host, of one cluster.
#[derive(Debug, Default)]
pub struct HostConnections {
    open: AtomicU32,
}

impl HostConnections {
    /// Returns how many there are.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }
}

/// A connection to a host, open until this is dropped.
#[derive(Debug)]
#[must_use = "the connection is closed when this is dropped"]
pub struct Connection {
    _taken: Taken,
    host: Arc<HostConnections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.host.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::budget::RetryBudget;

    fn accounts(thresholds: Thresholds) -> Arc<Accounts> {
        Arc::new(Accounts::new(&[thresholds]))
    }

    fn check(accounts: &Arc<Accounts>, resource: Resource, expected: usize) {
        let take = || accounts.take(RoutingPriority::Default, resource);
        let taken: Vec<Taken> = std::iter::from_fn(take).take(expected + 1).collect();
        assert_eq!(taken.len(), expected, "{resource:?}");
    }

    #[test]
    fn each_resource_has_its_own_limit() {
        let accounts = accounts(Thresholds {
            max_connections: Some(2),
            max_pending_requests: Some(0),
            max_requests: Some(3),
            max_retries: Some(1),
            max_connection_pools: Some(4),
            ..Thresholds::default()
        });
        check(&accounts, Resource::Connections, 2);
        check(&accounts, Resource::PendingRequests, 0);
        check(&accounts, Resource::Requests, 3);
        check(&accounts, Resource::Retries, 1);
        check(&accounts, Resource::ConnectionPools, 4);
        assert_eq!(accounts.overflows(RoutingPriority::Default, Resource::Requests), 1);
    }

    #[test]
    fn what_is_important_is_counted_apart() {
        let accounts = accounts(Thresholds { max_requests: Some(0), ..Thresholds::default() });
        assert!(accounts.take(RoutingPriority::Default, Resource::Requests).is_none());
        let high = accounts.take(RoutingPriority::High, Resource::Requests);
        assert_eq!(accounts.in_use(RoutingPriority::High, Resource::Requests), 1);
        drop(high);
        assert_eq!(accounts.in_use(RoutingPriority::High, Resource::Requests), 0);
    }

    #[test]
    fn a_budget_grows_with_the_requests_in_flight() {
        let budget = RetryBudget { budget_percent: 50.0, min_retry_concurrency: 1 };
        let accounts = accounts(Thresholds { retry_budget: Some(budget), ..Thresholds::default() });
        check(&accounts, Resource::Retries, 1);
        let take = |resource| accounts.take(RoutingPriority::Default, resource);
        let _requests = [(); 6].map(|()| take(Resource::Requests));
        let _pending = [(); 2].map(|()| take(Resource::PendingRequests));
        check(&accounts, Resource::Retries, 4);
    }

    #[test]
    fn the_first_connection_of_a_host_is_never_refused() {
        let accounts = accounts(Thresholds { max_connections: Some(0), ..Thresholds::default() });
        check(&accounts, Resource::Connections, 0);
        let first = accounts.take_anyway(RoutingPriority::Default, Resource::Connections);
        assert_eq!(accounts.in_use(RoutingPriority::Default, Resource::Connections), 1);
        drop(first);
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let accounts = accounts(Thresholds { max_requests: Some(7), ..Thresholds::default() });
        let most = std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| {
                scope.spawn(|| {
                    let take = |_| {
                        let _taken = accounts.take(RoutingPriority::Default, Resource::Requests);
                        let _more = accounts.take(RoutingPriority::Default, Resource::Requests);
                        accounts.in_use(RoutingPriority::Default, Resource::Requests)
                    };
                    (0..10_000).map(take).max()
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(most.into_iter().all(|most| most <= Some(7)));
        assert_eq!(accounts.in_use(RoutingPriority::Default, Resource::Requests), 0);
    }
}
