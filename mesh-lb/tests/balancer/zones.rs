//! Zone-aware routing of a balancer: to which zone, by the oracle, and what an update of either side does.
use std::sync::Arc;

use mesh_lb::assign::{AssignedEndpoint, Assignment, Input};
use mesh_lb::health::status::{HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::{
    DataPlane, LevelHosts, LocalityBasis, NoZoneRouting, OnPanic, PanicThreshold, ZoneAwareConfig,
};
use mesh_lb::share::Spread;
use mesh_lb::{Algorithm, Balancer, BalancerPolicy, LocalCluster, PickRequest, assigned_health};
use mesh_model::Compat;
use mesh_model::endpoint::Gateways;
use mesh_model::view::{Proxy, ProxyKind};
use mesh_testkit::{by_hand, oracle};
use proptest::prelude::*;

use crate::of_rule;

/// In the order of the protocol; the caller is in the second.
const ZONES: [&str; 3] = ["eu/west/a", "eu/west/b", "us/east/c"];
const OWN: &str = ZONES[1];

/// What a zone has: healthy hosts, their weight, and others.
type Counts = (u32, u32, u32);

/// Hosts `10.0.ZONE.NUMBER`, the healthy ones first.
fn assignment(zones: [Counts; 3]) -> Assignment {
    let (proxy, service) = (by_hand::proxy("c1", OWN), by_hand::service("cart.shop"));
    let hosts = ZONES.iter().zip(zones).zip(0..).flat_map(|((zone, counts), at): (_, u32)| {
        let (healthy, weight, others) = counts;
        (0..healthy + others).map(move |number| {
            let mut host = by_hand::endpoint(&format!("10.0.{at}.{number}"), "c1", zone);
            host.weight = weight;
            host
        })
    });
    let shards = by_hand::shards(hosts);
    let (compat, gateways) = (Compat::default(), Gateways::default());
    let Some(port) = service.port(80) else { return Assignment::default() };
    Assignment::compute(&Input::new(&proxy, &compat, (&service, port), &shards, &gateways))
}

/// The place of a host's zone, and its number there.
fn place(address: &str) -> Option<(usize, u32)> {
    let (zone, number) = address.split(':').next()?.strip_prefix("10.0.")?.split_once('.')?;
    Some((zone.parse().ok()?, number.parse().ok()?))
}

/// The health of a host by its number.
fn health(zones: [Counts; 3]) -> impl Fn(AssignedEndpoint<'_>) -> HostHealth {
    move |endpoint| {
        let (zone, number) = place(&endpoint.target().address().to_string()).unwrap_or_default();
        let is_healthy = zones.get(zone).is_some_and(|(healthy, ..)| number < *healthy);
        let status = if is_healthy { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        HostHealth::new(status, HealthFlags::NONE)
    }
}

fn fleet(zones: [Counts; 3]) -> Arc<LocalCluster> {
    Arc::new(LocalCluster::with_health(&assignment(zones), health(zones)))
}

fn balancer(hosts: [Counts; 3], callers: [Counts; 3], policy: &BalancerPolicy) -> Balancer {
    let balancer = Balancer::with_health(&assignment(hosts), policy, 0, health(hosts));
    balancer.with_local_cluster(fleet(callers), 0)
}

fn random() -> BalancerPolicy {
    BalancerPolicy { algorithm: Algorithm::Random, ..BalancerPolicy::default() }
}

/// Healthy hosts by zone, each of weight 1.
fn healthy(counts: [u32; 3]) -> [Counts; 3] {
    counts.map(|count| (count, 1, 0))
}

/// The addresses of a thousand draws that differ, by zone.
fn by_zone(balancer: &Balancer) -> [u32; 3] {
    let mut counts = [0; 3];
    let mut draws = super::draws(7);
    for _ in 0..1000 {
        let pick = balancer.pick(&PickRequest::default(), &mut draws);
        let zone = pick.and_then(|pick| Some(place(pick.host.address())?.0));
        if let Some(count) = zone.and_then(|zone| counts.get_mut(zone)) {
            *count += 1;
        }
    }
    counts
}

fn check(balancer: &Balancer, expected: [u32; 3]) {
    let counts = by_zone(balancer);
    let is_near = |(count, share): (u32, u32)| count.abs_diff(share) <= 50;
    assert!(counts.into_iter().zip(expected).all(is_near), "{counts:?} {expected:?}");
}

/// The part of the requests that stays, or why zones do not matter.
fn stays(balancer: &Balancer) -> Result<u64, NoZoneRouting> {
    let routing = balancer.zone_routing().unwrap_or(Err(NoZoneRouting::LocalClusterNotOk));
    routing.map(|routing| routing.local_percent_to_route())
}

#[test]
fn a_zone_keeps_what_it_can_take_and_the_rest_goes_where_there_are_more_hosts() {
    check(&balancer(healthy([10, 5, 5]), healthy([4, 4, 2]), &random()), [250, 625, 125]);
}

#[test]
fn the_arithmetic_of_zones_is_told_by_their_names() {
    let told = |hosts, policy: &BalancerPolicy| {
        balancer(healthy(hosts), healthy([4, 4, 2]), policy).explain_zones()
    };
    let expected = [
        "zone eu/west/b: 4000 of 10000 callers, 2500 of 10000 hosts",
        "zone eu/west/a: 4000 of 10000 callers, 5000 of 10000 hosts",
        "zone us/east/c: 2000 of 10000 callers, 2500 of 10000 hosts",
        "here 2500 × 10000 / 4000 = 6250 of 10000 requests stay",
    ];
    assert_eq!(
        told([10, 5, 5], &random()).unwrap_or_default().get(..4),
        Some(&expected.map(str::to_owned)[..])
    );
    let few = ["zones do not matter: fewer than 6 hosts are healthy".to_owned()];
    assert_eq!(told([1, 2, 2], &random()), Some(few.into()));
    let half = BalancerPolicy { zone_routing_enabled: 50, ..random() };
    let last = told([10, 5, 5], &half).and_then(|mut steps| steps.pop());
    assert_eq!(last, Some("only 50 % of the requests are routed by zone".to_owned()));
    let off = BalancerPolicy { zone_routing_enabled: 0, ..random() };
    let is_off = ["zones do not matter: routing by zone is off".to_owned()];
    assert_eq!(told([10, 5, 5], &off), Some(is_off.into()));
    let mut weighted = random();
    weighted.spread.locality_weighted = true;
    let by_weight = ["zones do not matter: localities share by weight".to_owned()];
    assert_eq!(told([10, 5, 5], &weighted), Some(by_weight.into()));
    let size = mesh_lb::pick::maglev::TableSize::default();
    let maglev = BalancerPolicy { algorithm: Algorithm::Maglev { size, bound: None }, ..random() };
    assert_eq!(told([10, 5, 5], &maglev), None);
    let hosts = healthy([10, 5, 5]);
    let alone = Balancer::with_health(&assignment(hosts), &random(), 0, health(hosts));
    assert_eq!(alone.explain_zones(), None);
}

#[test]
fn zones_do_not_matter_to_whom_no_cluster_is_known() {
    let hosts = healthy([10, 5, 5]);
    let balancer = Balancer::with_health(&assignment(hosts), &random(), 0, health(hosts));
    assert!(balancer.zone_routing().is_none());
    check(&balancer, [500, 250, 250]);
}

#[test]
fn five_hosts_are_too_few_unless_fewer_are_asked_for() {
    let (hosts, callers) = (healthy([1, 2, 2]), healthy([4, 4, 2]));
    let few = balancer(hosts, callers, &random());
    assert_eq!(stays(&few), Err(NoZoneRouting::ClusterTooSmall));
    check(&few, [200, 400, 400]);
    let zone_aware = ZoneAwareConfig { min_cluster_size: 5, ..ZoneAwareConfig::default() };
    check(&balancer(hosts, callers, &BalancerPolicy { zone_aware, ..random() }), [0, 1000, 0]);
}

#[test]
fn enough_local_hosts_keep_everything_by_force() {
    let forced =
        ZoneAwareConfig { force_local_zone_min_size: Some(5), ..ZoneAwareConfig::default() };
    let policy = BalancerPolicy { zone_aware: forced, ..random() };
    check(&balancer(healthy([10, 5, 5]), healthy([0, 4, 0]), &policy), [0, 1000, 0]);
    let four = balancer(healthy([10, 4, 5]), healthy([2, 4, 2]), &policy);
    assert!(stays(&four).unwrap() < 10_000);
}

#[test]
fn a_caller_alone_or_unknown_to_its_cluster_ignores_zones() {
    let hosts = healthy([10, 5, 5]);
    let why = |callers| stays(&balancer(hosts, healthy(callers), &random())).unwrap_err();
    assert_eq!(why([0, 4, 0]), NoZoneRouting::FewerThanTwoLocalLocalities);
    assert_eq!(why([4, 0, 2]), NoZoneRouting::LocalClusterNotOk);
    let one = balancer(healthy([0, 9, 0]), healthy([4, 4, 2]), &random());
    assert_eq!(stays(&one), Err(NoZoneRouting::FewerThanTwoUpstreamLocalities));
}

#[test]
fn callers_in_panic_ignore_zones_or_fail() {
    let (hosts, callers) = (healthy([10, 5, 5]), [(1, 1, 3), (1, 1, 3), (1, 1, 1)]);
    let panic_threshold = PanicThreshold::default();
    let spread = Spread { panic_threshold, ..Spread::default() };
    check(&balancer(hosts, callers, &BalancerPolicy { spread, ..random() }), [500, 250, 250]);
    let spread = Spread { on_panic: OnPanic::Fail, ..spread };
    check(&balancer(hosts, callers, &BalancerPolicy { spread, ..random() }), [0; 3]);
}

#[test]
fn part_of_the_requests_may_ignore_zones() {
    let (hosts, callers) = (healthy([10, 5, 5]), healthy([8, 1, 1]));
    let enabled = |zone_routing_enabled| BalancerPolicy { zone_routing_enabled, ..random() };
    check(&balancer(hosts, callers, &enabled(200)), [0, 1000, 0]);
    check(&balancer(hosts, callers, &enabled(40)), [300, 550, 150]);
    check(&balancer(hosts, callers, &enabled(0)), [500, 250, 250]);
}

#[test]
fn other_data_planes_ring_and_table_know_no_zones() {
    let (hosts, callers) = (healthy([10, 5, 5]), healthy([8, 1, 1]));
    let spread = Spread { data_plane: DataPlane::Grpc, ..Spread::default() };
    let grpc = balancer(hosts, callers, &BalancerPolicy { spread, ..random() });
    assert_eq!(stays(&grpc), Err(NoZoneRouting::OtherDataPlane));
    check(&grpc, [500, 250, 250]);
    for algorithm in super::algorithms().into_iter().filter(Algorithm::is_consistent) {
        let policy = BalancerPolicy { algorithm, ..BalancerPolicy::default() };
        let balancer = balancer(hosts, callers, &policy);
        assert!(by_zone(&balancer)[1] < 500, "{algorithm:?}");
    }
}

#[test]
fn an_update_of_either_side_moves_the_shares_and_keeps_the_rest() {
    let by_turns = BalancerPolicy { algorithm: Algorithm::RoundRobin, ..BalancerPolicy::default() };
    let (hosts, callers) = (healthy([10, 5, 5]), healthy([4, 4, 2]));
    let before = balancer(hosts, callers, &by_turns);
    assert_eq!(stays(&before), Ok(6250));

    let more = before.with_local_cluster(fleet(healthy([6, 2, 2])), 0);
    assert_eq!(stays(&more), Ok(10_000));
    assert!(more.shares_priority_with(&before, 0)); // Only percentages are computed anew.
    let turn = |balancer: &Balancer| {
        let pick = balancer.pick(&PickRequest::default(), || 0).unwrap();
        pick.host.address().to_owned()
    };
    let turns = [turn(&more), turn(&before), turn(&more)];
    assert_eq!(turns, ["10.0.1.0:8080", "10.0.1.1:8080", "10.0.1.2:8080"]);

    let fewer = healthy([10, 2, 5]);
    let fewer = more.update(&assignment(fewer), &by_turns, 0, health(fewer));
    assert_eq!(stays(&fewer), Ok(5880)); // 1,176 of 2,000: the callers are still known.
}

/// The same hosts, seen by a proxy elsewhere: whose zone comes first is asked anew.
#[test]
fn a_caller_that_moves_has_another_zone() {
    let seen_from = |own: &str| {
        let (proxy, service) = (by_hand::proxy("c1", own), by_hand::service("cart.shop"));
        let hosts = ZONES.iter().take(2).zip(0..).flat_map(|(zone, at)| {
            (0..3).map(move |n| by_hand::endpoint(&format!("10.0.{at}.{n}"), "c1", zone))
        });
        let callers = ZONES
            .iter()
            .zip(0..)
            .map(|(zone, at)| by_hand::endpoint(&format!("10.9.{at}.0"), "c1", zone));
        let (compat, gateways) = (Compat::default(), Gateways::default());
        let [hosts, callers] = [by_hand::shards(hosts), by_hand::shards(callers)].map(|shards| {
            service.port(80).map_or_else(Assignment::default, |port| {
                let key = (&service, port);
                Assignment::compute(&Input::new(&proxy, &compat, key, &shards, &gateways))
            })
        });
        (hosts, Arc::new(LocalCluster::new(&callers)))
    };
    let told = |balancer: &Balancer| format!("{:?}", balancer.zone_routing());
    for [from, to] in [[ZONES[2], ZONES[0]], [ZONES[0], ZONES[2]]] {
        let ((before, callers_before), (after, callers)) = (seen_from(from), seen_from(to));
        let policy = random();
        let moved = Balancer::new(&before, &policy)
            .with_local_cluster(callers_before, 0)
            .update(&after, &policy, 0, assigned_health)
            .with_local_cluster(Arc::clone(&callers), 0);
        let fresh = Balancer::new(&after, &policy).with_local_cluster(callers, 0);
        assert_eq!(told(&moved), told(&fresh), "{from} {to}");
        assert_eq!(by_zone(&moved), by_zone(&fresh), "{from} {to}");
    }
}

#[test]
fn localities_that_share_by_weight_do_not_look_at_zones() {
    let hosts: Vec<(String, &str, u32)> = (0..12_u32)
        .map(|n| {
            (format!("10.0.{}.{n}", n % 3), ["eu/west/a", "eu/west/b", "us/d"][n as usize % 3], 1)
        })
        .collect();
    let to = [("eu/west/a/*".into(), 70), ("us/*".into(), 30)].into_iter().collect();
    let setting = mesh_model::resource::destination_rule::LocalityLbSetting {
        enabled: Some(true),
        distribute: vec![mesh_model::resource::destination_rule::Distribute {
            from: "eu/*".into(),
            to,
        }],
        ..Default::default()
    };
    let spread = Spread { locality_weighted: true, ..Spread::default() };
    let policy = BalancerPolicy { spread, ..random() };
    let weighted = Balancer::new(&super::assignment_with(&hosts, &setting), &policy);
    let weighted = weighted.with_local_cluster(fleet(healthy([1, 4, 2])), 0);
    check(&weighted, [700, 0, 300]);
}

#[test]
fn picks_by_zone_allocate_nothing() {
    let balancer = balancer(healthy([10, 5, 5]), healthy([4, 4, 2]), &BalancerPolicy::default());
    let mut draws = super::draws(3);
    let info = allocation_counter::measure(|| {
        for _ in 0..100 {
            std::hint::black_box(balancer.pick(&PickRequest::default(), &mut draws).is_some());
        }
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn callers_are_counted_once_an_address_and_by_the_first_priority() {
    let zones = healthy([1, 2, 0]);
    assert_eq!(LocalCluster::new(&assignment(zones)), *fleet(zones));
    let further = [("10.0.0.1", "eu/west/a"), ("10.0.0.2", "eu/west/b"), ("10.0.0.3", "us/d")];
    let further: Vec<_> = further.map(|(host, zone)| (host.to_owned(), zone, 1)).into();
    let near = &further[..1];
    // The others are of priorities below, since they are further away from the caller.
    let cluster = |hosts| LocalCluster::with_health(&super::assignment(hosts), assigned_health);
    assert_eq!(cluster(&further), cluster(near));
}

/// What a client of this kind makes of `loadBalancer` in a rule: the least size, and how much is routed.
fn check_rule(kind: ProxyKind, load_balancer: &str, expected: (u64, u32)) {
    let proxy = Proxy { kind, ..by_hand::proxy("c1", OWN) };
    let policy = of_rule(&proxy, load_balancer);
    let got = policy.map(|one| (one.zone_aware.min_cluster_size, one.zone_routing_enabled));
    assert_eq!(got, Some(expected));
}

#[test]
fn a_rule_says_when_zones_matter_except_to_waypoints() {
    check_rule(ProxyKind::Sidecar, "{simple: RANDOM}", (6, 100));
    let few = "{zoneAwareLbSetting: {minClusterSize: 3}}";
    check_rule(ProxyKind::Sidecar, few, (3, 100));
    check_rule(ProxyKind::Waypoint, few, (6, 100));
    check_rule(ProxyKind::Sidecar, "{zoneAwareLbSetting: {enabled: false}}", (6, 0));
}

fn counts() -> impl Strategy<Value = [Counts; 3]> {
    let zone = || (0..9_u32, 1..4_u32, prop_oneof![3 => Just(0), 1 => 0..9_u32]);
    [zone(), zone(), zone()]
}

/// As the oracle names zones: by their place in `ZONES`.
fn told(zones: [Counts; 3]) -> Vec<oracle::zone::Zone> {
    let mut told: Vec<oracle::zone::Zone> = (0..)
        .zip(zones)
        .filter(|(_, (healthy, _, others))| healthy + others > 0)
        .map(|(locality, (healthy, weight, others))| oracle::zone::Zone {
            locality,
            total: u64::from(healthy + others),
            healthy: healthy.into(),
            weight: u64::from(healthy * weight),
        })
        .collect();
    told.sort_by_key(|zone| (zone.locality != 1, zone.locality));
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A random pick is the one that the oracle's zone and the draws say, host by host.
    #[test]
    fn picks_are_the_oracles(
        (hosts, callers) in (counts(), counts()),
        min_cluster_size in 0..10_u64,
        force_local_zone_min_size in proptest::option::weighted(0.2, 0..4_u32),
        by_weight: bool,
        threshold in prop_oneof![Just(0), Just(50), Just(100)],
        draws in proptest::collection::vec([any::<u64>(), any::<u64>(), any::<u64>()], 20),
    ) {
        let locality_basis = if by_weight {
            LocalityBasis::HealthyHostsWeight
        } else {
            LocalityBasis::HealthyHostsNum
        };
        let zone_aware =
            ZoneAwareConfig { min_cluster_size, force_local_zone_min_size, locality_basis };
        let panic_threshold = PanicThreshold::new(threshold);
        let spread = Spread { panic_threshold, ..Spread::default() };
        let balancer = balancer(hosts, callers, &BalancerPolicy { zone_aware, spread, ..random() });

        let force_local = force_local_zone_min_size.map(u64::from);
        let rules = oracle::zone::Rules { min_cluster_size, force_local, by_weight };
        let (fleet, told) = (told(callers), told(hosts));
        let own = |zones: &[oracle::zone::Zone]| zones.first().is_some_and(|z| z.locality == 1);
        let is_panicking = {
            let healthy = callers.iter().map(|(healthy, ..)| healthy).sum();
            let all = callers.iter().map(|(healthy, _, others)| healthy + others).sum();
            panic_threshold.is_panic(&LevelHosts::healthy_of(healthy, all))
        };
        let routing = oracle::zone::routing(rules, (&fleet, own(&fleet)), (&told, own(&told)));
        let routing = routing.filter(|_| !is_panicking);
        for [first, more @ ..] in draws {
            let mut drawn = [first, more[0], more[1]].into_iter();
            let pick = balancer.pick(&PickRequest::default(), || drawn.next().unwrap());
            if pick.is_some_and(|pick| pick.panic) || balancer.load().levels().iter().any(|l| l.panic) {
                continue; // All hosts, which other tests look at.
            }
            let of_zone = |at: u32| {
                (0..hosts[at as usize].0).map(move |number| format!("10.0.{at}.{number}:8080"))
            };
            let list: Vec<String> = match &routing {
                None => (0..3).flat_map(of_zone).collect(),
                Some(routing) => {
                    let place = oracle::zone::locality(routing, told.len(), more);
                    of_zone(told[place].locality).collect()
                }
            };
            let length = u64::try_from(list.len()).unwrap();
            let place = first.checked_rem(length).and_then(|at| usize::try_from(at).ok());
            let expected = place.map(|at| list[at].clone());
            prop_assert_eq!(pick.map(|pick| pick.host.address().to_owned()), expected);
        }
    }
}
