//! The balancer of subsets: whom it picks, and that it allocates nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_lb::assign::{AssignedEndpoint, Assignment, Input};
use mesh_lb::health::status::{HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::PanicThreshold;
use mesh_lb::pick::client_side::{ClientSideWeights, OrcaReport};
use mesh_lb::pick::maglev::TableSize;
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use mesh_lb::share::Spread;
use mesh_lb::subset::{
    Criteria, FallbackPolicy, MetadataValue, Selector, SelectorFallback, SubsetConfig,
    SubsetLocalityWeights,
};
use mesh_lb::{Algorithm, BalancerPolicy, HostFacts, LocalCluster, PickRequest, SubsetBalancer};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_model::resource::destination_rule::{Distribute, LocalityLbSetting};
use mesh_testkit::by_hand;
use mesh_testkit::oracle::subset as oracle;
use proptest::prelude::*;

use crate::engine;

/// A host: its locality, weight, health, and its metadata `KEY=VALUE`.
type Row = (&'static str, u32, HealthStatus, &'static str);

/// Hosts `10.0.0.0` and on.
struct Site(Vec<Row>);

const WELL: HealthStatus = HealthStatus::Healthy;
const ILL: HealthStatus = HealthStatus::Unhealthy;

fn pairs(text: &str) -> BTreeMap<Box<str>, MetadataValue> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.into(), MetadataValue::Text(value.into())))
    };
    text.split(' ').filter_map(pair).collect()
}

impl Site {
    fn assignment(&self, setting: &LocalityLbSetting) -> Assignment {
        let shards = by_hand::shards(self.0.iter().enumerate().map(|(at, (place, weight, ..))| {
            let mut endpoint = by_hand::endpoint(&format!("10.0.0.{at}"), "c1", place);
            endpoint.weight = *weight;
            endpoint
        }));
        let (proxy, service) = (by_hand::proxy("c1", "eu/west/a"), by_hand::service("cart.shop"));
        let (compat, gateways) = (Compat::default(), Gateways::default());
        let Some(port) = service.port(80) else { return Assignment::default() };
        let mut input = Input::new(&proxy, &compat, (&service, port), &shards, &gateways);
        input.mesh_locality = Some(setting);
        input.has_outlier_detection = true;
        Assignment::compute(&input)
    }

    fn facts(&self, endpoint: AssignedEndpoint<'_>) -> HostFacts {
        let row = self.0.get(number(&endpoint.target().address().to_string()));
        let (status, metadata) = row.map_or((WELL, ""), |row| (row.2, row.3));
        HostFacts::from(HostHealth::new(status, HealthFlags::NONE)).with_metadata(pairs(metadata))
    }

    fn balancer(&self, policy: &BalancerPolicy, config: &SubsetConfig) -> SubsetBalancer {
        let assignment = self.assignment(&failover());
        SubsetBalancer::new(&assignment, policy, config, 0, |endpoint| self.facts(endpoint))
    }

    fn update(&self, balancer: &SubsetBalancer) -> SubsetBalancer {
        let policy = balancer.all().policy().clone();
        balancer.update(&self.assignment(&failover()), &policy, 0, |one| self.facts(one))
    }
}

fn failover() -> LocalityLbSetting {
    LocalityLbSetting { enabled: Some(true), ..LocalityLbSetting::default() }
}

/// The last number of an address.
fn number(address: &str) -> usize {
    let ip = address.split(':').next().unwrap_or_default();
    ip.rsplit('.').next().and_then(|last| last.parse().ok()).unwrap_or(usize::MAX)
}

fn selector(keys: &[&str], fallback: Option<SelectorFallback>) -> Selector {
    Selector::new(keys.iter().map(|&key| key.into()).collect(), fallback).unwrap()
}

fn by_version() -> SubsetConfig {
    SubsetConfig { selectors: vec![selector(&["v"], None)], ..SubsetConfig::default() }
}

fn by_turns() -> BalancerPolicy {
    BalancerPolicy { algorithm: Algorithm::RoundRobin, ..BalancerPolicy::default() }
}

/// Whom so many picks find.
fn picks(balancer: &SubsetBalancer, asked: &str, n_picks: usize) -> Vec<Option<usize>> {
    let criteria = Criteria::new(pairs(asked));
    let pick = |_| {
        let pick = balancer.pick(&criteria, &PickRequest::default(), || 0)?;
        Some(number(pick.host.address()))
    };
    (0..n_picks).map(pick).collect()
}

fn check(balancer: &SubsetBalancer, asked: &str, expected: &[usize]) {
    let expected: Vec<Option<usize>> = expected.iter().copied().map(Some).collect();
    assert_eq!(picks(balancer, asked, expected.len()), expected, "{asked}");
}

fn rows(metadata: &[&'static str]) -> Site {
    Site(metadata.iter().map(|text| ("eu/west/a", 1, WELL, *text)).collect())
}

#[test]
fn each_subset_has_its_turns() {
    let site = rows(&["v=1", "v=2", "v=1", "v=2"]);
    let balancer = site.balancer(&by_turns(), &by_version());
    check(&balancer, "v=1", &[0, 2, 0]);
    check(&balancer, "v=2", &[1, 3, 1]);
    check(&balancer, "v=1", &[2]);
    assert_eq!(picks(&balancer, "", 1), [None]);
}

#[test]
fn without_selectors_all_are_picked_among() {
    let site = rows(&["v=1", "v=2"]);
    let balancer = site.balancer(&by_turns(), &SubsetConfig::default());
    check(&balancer, "v=2", &[0, 1, 0]);
    check(&site.update(&balancer), "v=2", &[1]);
}

#[test]
fn a_subset_panics_and_fails_over_alone() {
    let site = Site(vec![
        ("eu/west/a", 1, ILL, "v=1"),
        ("us/east/b", 1, WELL, "v=1"),
        ("eu/west/a", 1, WELL, "v=2"),
        ("eu/west/a", 1, ILL, "v=3"),
    ]);
    let panic_threshold = PanicThreshold::default();
    let spread = Spread { panic_threshold, ..Spread::default() };
    let panicking = BalancerPolicy { spread, ..by_turns() };
    let balancer = site.balancer(&panicking, &by_version());
    check(&balancer, "v=1", &[1, 1]);
    check(&balancer, "v=2", &[2, 2]);
    check(&balancer, "v=3", &[3, 3]);
    let any = SubsetConfig { fallback_policy: FallbackPolicy::AnyEndpoint, ..by_version() };
    let calm = site.balancer(&by_turns(), &any);
    assert_eq!(picks(&calm, "v=3", 1), [None]); // A subset that is found is final.
    check(&calm, "v=4", &[2, 2]);
}

#[test]
fn a_default_subset_that_is_ill_may_fall_to_anyone() {
    let site = Site(vec![("eu/west/a", 1, ILL, "v=1"), ("eu/west/a", 1, WELL, "v=2")]);
    let config = |panic_mode_any| SubsetConfig {
        fallback_policy: FallbackPolicy::DefaultSubset,
        default_subset: pairs("v=1"),
        panic_mode_any,
        ..by_version()
    };
    assert_eq!(picks(&site.balancer(&by_turns(), &config(false)), "x=y", 1), [None]);
    check(&site.balancer(&by_turns(), &config(true)), "x=y", &[1, 1]);
    check(&site.balancer(&by_turns(), &config(true)), "", &[1]);
}

#[test]
fn the_host_of_a_single_host_subset_is_picked_in_any_health() {
    let site = Site(vec![
        ("us/east/b", 1, WELL, "v=1"),
        ("eu/west/a", 1, WELL, "v=2"),
        ("eu/west/a", 1, ILL, "v=1"),
        ("us/east/b", 1, WELL, "v=3"),
    ]);
    let selectors = vec![selector(&["v"], None).single_host_per_subset()];
    let config = SubsetConfig { selectors, ..SubsetConfig::default() };
    let balancer = site.balancer(&by_turns(), &config);
    check(&balancer, "v=1", &[2, 2]);
    check(&balancer, "v=3", &[3]);
    let criteria = Criteria::new(pairs("v=3"));
    let pick = balancer.pick_unless(&criteria, &PickRequest::default(), 3, || 0, |_| true);
    assert_eq!(pick.map(|pick| pick.choice.priority), Some(1));
}

#[test]
fn localities_weigh_in_subsets_what_the_configuration_says() {
    let row = |place, metadata| (place, 1, WELL, metadata);
    let mut hosts = vec![row("eu/west/a", "v=1")];
    hosts.extend([row("eu/west/a", ""); 3]);
    hosts.extend([row("eu/west/b", "v=1"); 2]);
    let site = Site(hosts);
    let to = [("eu/west/a".into(), 50), ("eu/west/b".into(), 50)].into_iter().collect();
    let distribute = vec![Distribute { from: "eu/*".into(), to }];
    let setting = LocalityLbSetting { distribute, ..failover() };
    let assignment = site.assignment(&setting);
    let spread = Spread { locality_weighted: true, ..Spread::default() };
    let policy = BalancerPolicy { spread, ..by_turns() };
    let first = |locality_weights| {
        let config = SubsetConfig { locality_weights, ..by_version() };
        let facts = |endpoint: AssignedEndpoint<'_>| site.facts(endpoint);
        let balancer = SubsetBalancer::new(&assignment, &policy, &config, 0, facts);
        picks(&balancer, "v=1", 630).into_iter().filter(|host| *host == Some(0)).count()
    };
    assert_eq!(first(SubsetLocalityWeights::None), 210);
    assert_eq!(first(SubsetLocalityWeights::Whole), 315);
    assert!((129..=131).contains(&first(SubsetLocalityWeights::Scaled))); // 13 of 63.
}

#[test]
fn an_update_keeps_turns_requests_and_what_was_not_touched() {
    let before = rows(&["v=1", "v=2", "v=1", "v=2"]);
    let balancer = before.balancer(&by_turns(), &by_version());
    check(&balancer, "v=1", &[0]);
    check(&balancer, "v=2", &[1]);
    let criteria = Criteria::new(pairs("v=1"));
    let in_flight = balancer.pick(&criteria, &PickRequest::default(), || 0).unwrap().start();

    let after = rows(&["v=1", "v=1", "v=1", "v=2"]).update(&balancer);
    check(&after, "v=1", &[2, 0, 1]);
    check(&after, "v=2", &[3]);
    assert_eq!(after.all().active(), 1);
    let active: Vec<u32> = after.all().hosts().map(mesh_lb::Host::active).collect();
    assert_eq!(active, [0, 0, 1, 0]);
    drop(in_flight);
    assert_eq!(after.all().active(), 0);

    // A subset that was gone is a new one.
    let without = rows(&["v=2", "v=2", "v=2", "v=2"]).update(&after);
    assert_eq!(picks(&without, "v=1", 1), [None]);
    check(&before.update(&without), "v=1", &[0, 2]);
}

#[test]
fn turns_by_weight_begin_anew_in_all_subsets_of_a_priority() {
    let weights = |second| {
        Site(vec![
            ("eu/west/a", 1, WELL, "v=1"),
            ("eu/west/a", 2, WELL, "v=1"),
            ("eu/west/a", second, WELL, "v=2"),
            ("us/east/b", 1, WELL, "v=3"),
        ])
    };
    let balancer = weights(1).balancer(&by_turns(), &by_version());
    check(&balancer, "v=1", &[1]);
    check(&weights(1).update(&balancer), "v=1", &[0, 1, 1]);
    check(&weights(5).update(&balancer), "v=1", &[1, 0, 1, 1]);
}

#[test]
fn a_busy_host_is_busy_in_every_subset() {
    let site = rows(&["v=1 s=x", "v=1 s=x"]);
    let selectors = vec![selector(&["v"], None), selector(&["s"], None)];
    let config = SubsetConfig { selectors, ..SubsetConfig::default() };
    let balancer = site.balancer(&BalancerPolicy::default(), &config);
    let pick = |asked: &str| {
        let mut draws = [0, 0, 1].into_iter();
        let criteria = Criteria::new(pairs(asked));
        let draw = || draws.next().unwrap_or(0);
        balancer.pick(&criteria, &PickRequest::default(), draw).unwrap()
    };
    let first = pick("v=1");
    let in_flight = first.start();
    assert_ne!(pick("s=x").host.address(), first.host.address());
    drop(in_flight);
}

#[test]
fn a_retry_leaves_the_priorities_of_its_subset() {
    let site = Site(vec![
        ("eu/west/a", 1, WELL, "v=1"),
        ("eu/west/b", 1, WELL, "v=2"),
        ("us/east/c", 1, WELL, "v=1"),
    ]);
    let balancer = site.balancer(&by_turns(), &by_version());
    let mut previous = PreviousPriorities::new(UpdateFrequency::new(1).unwrap());
    let criteria = Criteria::new(pairs("v=1"));
    let tried: Vec<u32> = (0..3)
        .map(|_| {
            let request = PickRequest::default();
            let pick =
                balancer.pick_elsewhere(&criteria, &request, &mut previous, 0, || 0, |_| false);
            let priority = pick.unwrap().choice.priority;
            previous.attempt(priority);
            priority
        })
        .collect();
    assert_eq!(tried, [0, 2, 0]);
}

#[test]
fn reports_are_weighed_within_each_subset() {
    let site = rows(&["v=1", "v=1", "v=2", "v=1"]);
    let weights = ClientSideWeights { blackout_ms: 0, ..ClientSideWeights::default() };
    let policy = BalancerPolicy { algorithm: Algorithm::ClientSide(weights), ..by_turns() };
    let balancer = site.balancer(&policy, &by_version());
    assert!(balancer.reweighed(1).is_none());
    for (host, cpu_utilization) in balancer.all().hosts().zip([0.5, 0.25, 0.1]) {
        let report = OrcaReport { rps: 10.0, cpu_utilization, ..OrcaReport::default() };
        balancer.all().handle_report(host, &report, 1);
    }
    let balancer = balancer.reweighed(2).unwrap();
    let weight = |asked, host| {
        let criteria = Criteria::new(pairs(asked));
        (0..100).find_map(|_| {
            let pick = balancer.pick(&criteria, &PickRequest::default(), || 0)?;
            (number(pick.host.address()) == host).then(|| pick.host.weight())
        })
    };
    // The last one has reported nothing, and weighs the median of its subset: of 20 and 40.
    let expected = [("v=1", 0, 20), ("v=1", 1, 40), ("v=1", 3, 30), ("v=2", 2, 100)];
    for (asked, host, weighs) in expected {
        assert_eq!(weight(asked, host), Some(weighs), "{host}");
    }
}

#[test]
fn zones_matter_inside_a_subset() {
    let row = |place, metadata| (place, 1, WELL, metadata);
    let mut all: Vec<Row> = vec![row("eu/west/a", "v=1"); 4];
    all.extend(vec![row("eu/west/b", "v=1"); 4]);
    all.extend(vec![row("eu/west/b", "v=2"); 8]);
    let site = Site(all);
    let plain = LocalityLbSetting { enabled: Some(false), ..LocalityLbSetting::default() };
    let assignment = site.assignment(&plain);
    let facts = |endpoint: AssignedEndpoint<'_>| site.facts(endpoint);
    let balancer = SubsetBalancer::new(&assignment, &by_turns(), &by_version(), 0, facts);
    let callers = Site(vec![row("eu/west/a", ""), row("eu/west/b", "")]);
    let callers = Arc::new(LocalCluster::new(&callers.assignment(&plain)));
    let zoned = balancer.with_local_cluster(&callers, 0);
    // As many hosts here as there, of this subset: all requests stay.
    check(&zoned, "v=1", &[0, 1, 2, 3, 0]);
    let updated = zoned.update(&assignment, &by_turns(), 0, facts);
    check(&updated, "v=1", &[1, 2, 3, 0]);
    check(&balancer, "v=1", &[0, 1, 2, 3, 4]);
}

#[test]
fn warm_picks_of_subsets_allocate_nothing() {
    let site = rows(&["v=1 s=x", "v=2 s=x", "v=1 s=y"]);
    let selectors =
        vec![selector(&["s"], Some(SelectorFallback::AnyEndpoint)), selector(&["s", "v"], None)];
    let config = SubsetConfig {
        selectors,
        fallback_policy: FallbackPolicy::AnyEndpoint,
        allow_redundant_keys: true,
        ..SubsetConfig::default()
    };
    let maglev = Algorithm::Maglev { size: TableSize::default(), bound: None };
    let turns = [Algorithm::RoundRobin, Algorithm::least_request()];
    for algorithm in turns.into_iter().chain([Algorithm::Random, maglev]) {
        let policy = BalancerPolicy { algorithm, ..BalancerPolicy::default() };
        let balancer = site.balancer(&policy, &config);
        let asked = ["", "s=x", "s=z", "s=x v=2", "s=z v=2"].map(|one| Criteria::new(pairs(one)));
        let info = allocation_counter::measure(|| {
            for criteria in &asked {
                let pick = balancer.pick(criteria, &PickRequest::default(), || 1);
                drop(std::hint::black_box(pick.map(|pick| pick.start())));
            }
        });
        assert_eq!(info.count_total, 0, "{algorithm:?}");
    }
}

proptest! {
    /// In the long run just those are picked whom the oracle names.
    #[test]
    fn picks_are_those_of_the_oracle(
        rules in crate::rules(),
        hosts in proptest::collection::vec(crate::host(), 1..8),
        asked in crate::pairs(),
        list in proptest::option::of(proptest::collection::vec(crate::pairs(), 0..3)),
    ) {
        let site = Site(vec![("eu/west/a", 1, WELL, ""); hosts.len()]);
        let policy = BalancerPolicy { algorithm: Algorithm::Random, ..BalancerPolicy::default() };
        let facts = |endpoint: AssignedEndpoint<'_>| {
            let host = hosts.get(number(&endpoint.target().address().to_string()));
            let metadata = host.map(|host| engine::host(host).metadata.into_owned());
            HostFacts::default().with_metadata(metadata.unwrap_or_default())
        };
        let config = engine::config(&rules);
        let assignment = site.assignment(&failover());
        let balancer = SubsetBalancer::new(&assignment, &policy, &config, 0, facts);
        let criteria = Criteria::new(engine::criteria(&asked, list.as_deref()));
        let picked: BTreeSet<usize> = (0..840)
            .filter_map(|draw| {
                let pick = balancer.pick(&criteria, &PickRequest::default(), || draw)?;
                Some(number(pick.host.address()))
            })
            .collect();
        let expected = oracle::hosts(&rules, &hosts, &asked, list.as_deref());
        prop_assert_eq!(picked, expected.into_iter().collect::<BTreeSet<_>>());
    }
}
