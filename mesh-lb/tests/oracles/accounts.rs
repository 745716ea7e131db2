//! Circuit breakers and retry budgets against a list of all that happened.
use std::sync::Arc;

use mesh_lb::retry::accounts::{Accounts, Connection, HostConnections, Resource, Taken};
use mesh_lb::retry::budget::RetryBudget;
use mesh_lb::retry::circuit_breaker::{PerHostThresholds, RoutingPriority, Thresholds};
use mesh_testkit::oracle::breaker::{Entry, Event, Line, connected, had};
use proptest::collection::vec;
use proptest::prelude::*;

const RESOURCES: [Resource; 5] = [
    Resource::Connections,
    Resource::PendingRequests,
    Resource::Requests,
    Resource::Retries,
    Resource::ConnectionPools,
];

const fn priority(is_high: bool) -> RoutingPriority {
    if is_high { RoutingPriority::High } else { RoutingPriority::Default }
}

fn entry() -> impl Strategy<Value = Entry> {
    let limits = proptest::array::uniform5(proptest::option::of(0..6u32));
    let percent = prop_oneof![0.0..120.0f64, Just(-5.0), Just(f64::NAN), Just(33.4), Just(100.0)];
    let budget = proptest::option::of((percent, 0..4u32));
    let parts = (any::<bool>(), limits, budget);
    parts.prop_map(|(is_high, limits, budget)| Entry { is_high, limits, budget })
}

fn thresholds(entry: &Entry) -> Thresholds {
    let [max_connections, max_pending_requests, max_requests, max_retries, max_connection_pools] =
        entry.limits;
    let budget = entry.budget.map(|(budget_percent, min_retry_concurrency)| RetryBudget {
        budget_percent,
        min_retry_concurrency,
    });
    Thresholds {
        priority: priority(entry.is_high),
        max_connections,
        max_pending_requests,
        max_requests,
        max_retries,
        max_connection_pools,
        retry_budget: budget,
        track_remaining: false,
    }
}

/// Mostly of ordinary routes and of what a budget looks at.
fn event() -> impl Strategy<Value = Event> {
    let high = || prop_oneof![3 => Just(false), 1 => Just(true)];
    let resource = || prop_oneof![4 => 1..4usize, 1 => 0..5usize];
    prop_oneof![
        5 => (high(), resource()).prop_map(|(high, resource)| Event::Asked(high, resource)),
        1 => (high(), Just(0)).prop_map(|(high, resource)| Event::Took(high, resource)),
        3 => (0..60usize).prop_map(Event::GaveBack),
    ]
}

proptest! {
    /// However resources are taken and given back, who asks gets one as the list says, and what is in
    /// use and was refused is what the list comes to.
    #[test]
    fn resources_are_had_as_the_oracle_says(
        entries in vec(entry(), 0..4),
        history in vec(event(), 0..60),
    ) {
        let configured: Vec<Thresholds> = entries.iter().map(thresholds).collect();
        let accounts = Arc::new(Accounts::new(&configured));
        let mut held: Vec<Option<Taken>> = Vec::new();
        let mut got = Vec::new();
        for event in &history {
            let taken = match *event {
                Event::Asked(high, at) => accounts.take(priority(high), RESOURCES[at]),
                Event::Took(high, at) => Some(accounts.take_anyway(priority(high), RESOURCES[at])),
                Event::GaveBack(place) => {
                    held.get_mut(place).map(Option::take);
                    None
                }
            };
            got.push(taken.is_some());
            held.push(taken);
        }
        let expected = had(&entries, &history);
        prop_assert_eq!(&got, &expected);
        for (is_high, (at, resource)) in
            [false, true].into_iter().flat_map(|high| RESOURCES.into_iter().enumerate().map(move |r| (high, r)))
        {
            let asked = |event: &Event| matches!(event, Event::Asked(h, r) if *h == is_high && *r == at);
            let refused = history.iter().zip(&expected).filter(|(e, had)| asked(e) && !**had).count();
            prop_assert_eq!(accounts.overflows(priority(is_high), resource), refused as u64);
            let of = |event: &Event| asked(event) || matches!(event, Event::Took(h, r) if *h == is_high && *r == at);
            let in_use = history.iter().zip(&held).filter(|(e, held)| of(e) && held.is_some()).count();
            prop_assert_eq!(accounts.in_use(priority(is_high), resource) as usize, in_use);
        }
    }

    /// Hosts have the connections that the list says, by the limits of the cluster and their own.
    #[test]
    fn connections_are_had_as_the_oracle_says(
        entries in vec(entry(), 0..3),
        per_host in vec((any::<bool>(), proptest::option::of(0..4u32)), 0..4),
        history in vec(
            prop_oneof![
                3 => (any::<bool>(), 0..3usize).prop_map(|(high, host)| Line::Opened(high, host)),
                2 => (0..40usize).prop_map(Line::Closed),
            ],
            0..40,
        ),
    ) {
        let configured: Vec<Thresholds> = entries.iter().map(thresholds).collect();
        let of_hosts: Vec<PerHostThresholds> = per_host
            .iter()
            .map(|&(high, max_connections)| PerHostThresholds {
                priority: priority(high),
                max_connections,
            })
            .collect();
        let accounts = Arc::new(Accounts::with_per_host(&configured, &of_hosts));
        let hosts: [Arc<HostConnections>; 3] = Default::default();
        let mut held: Vec<Option<Connection>> = Vec::new();
        let mut got = Vec::new();
        for line in &history {
            let opened = match *line {
                Line::Opened(high, host) => accounts.connect(priority(high), &hosts[host]),
                Line::Closed(place) => {
                    held.get_mut(place).map(Option::take);
                    None
                }
            };
            got.push(opened.is_some());
            held.push(opened);
        }
        let (expected, refused) = connected(&entries, &per_host, &history);
        prop_assert_eq!(got, expected);
        let overflows = |high| accounts.overflows(priority(high), Resource::Connections);
        prop_assert_eq!(overflows(false) + overflows(true), refused as u64);
        let open: u32 = hosts.iter().map(|host| host.open()).sum();
        prop_assert_eq!(open as usize, held.iter().flatten().count());
        let in_use = |high| accounts.in_use(priority(high), Resource::Connections);
        prop_assert_eq!(in_use(false) + in_use(true), open);
    }
}
