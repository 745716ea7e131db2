//! Aggregates, overrides and host predicates, each against its oracle.
use mesh_lb::health::status::{HealthFlag, HealthFlags, HealthStatus, HostHealth};
use mesh_lb::load::{
    Aggregate, DataPlane, LevelHosts, Overprovisioning, PanicThreshold, PriorityLoad,
};
use mesh_lb::retry::host_predicate::{HostPredicate, HostSelection};
use mesh_lb::retry::override_host::{Override, OverrideHostStatus, OverrideMode};
use mesh_testkit::oracle::load as load_oracle;
use mesh_testkit::oracle::retry as oracle;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

const STATUSES: [(HealthStatus, &str); 6] = [
    (HealthStatus::Unknown, "unknown"),
    (HealthStatus::Healthy, "healthy"),
    (HealthStatus::Unhealthy, "unhealthy"),
    (HealthStatus::Draining, "draining"),
    (HealthStatus::Timeout, "timeout"),
    (HealthStatus::Degraded, "degraded"),
];

/// Healthy, degraded and other hosts, often none at all.
fn level() -> impl Strategy<Value = (LevelHosts, load_oracle::Level)> {
    let counts = prop_oneof![1 => Just((0, 0, 0)), 3 => (0..5u32, 0..3u32, 0..5u32)];
    (counts, prop_oneof![Just(140u32), Just(100), Just(60)]).prop_map(
        |((healthy, degraded, ill), factor)| {
            let total = healthy + degraded + ill;
            let engine = LevelHosts {
                total,
                healthy,
                degraded,
                overprovisioning: Overprovisioning::new(factor).unwrap_or_default(),
                ..LevelHosts::default()
            };
            let hosts = [total, healthy, degraded, 0];
            (engine, load_oracle::Level { factor: factor.into(), hosts, weights: None })
        },
    )
}

proptest! {
    #[test]
    fn an_aggregate_is_the_row_of_the_oracle(
        members in vec(vec(level(), 0..4), 0..4),
        threshold in prop_oneof![Just(0u32), Just(50)],
        random: u64,
    ) {
        let engine: Vec<Vec<LevelHosts>> =
            members.iter().map(|levels| levels.iter().map(|level| level.0).collect()).collect();
        let engine: Vec<&[LevelHosts]> = engine.iter().map(Vec::as_slice).collect();
        let told: Vec<Vec<load_oracle::Level>> = members
            .iter()
            .map(|levels| levels.iter().map(|level| level.1.clone()).collect())
            .collect();
        let row = Aggregate::new(&engine);
        let expected = load_oracle::aggregate(&told, threshold.into());
        let got: Vec<(usize, usize)> =
            row.levels().iter().map(|level| (level.cluster, level.priority)).collect();
        prop_assert_eq!(&got, &expected.levels);
        let mut load = PriorityLoad::default();
        load.spill(DataPlane::Envoy, row.hosts(), PanicThreshold::new(threshold));
        let loads: Vec<(u128, u128, bool)> = load
            .levels()
            .iter()
            .map(|one| (one.healthy_load.get().into(), one.degraded_load.get().into(), one.panic))
            .collect();
        let wanted = &expected.loads;
        let wanted: Vec<(u128, u128, bool)> = (0..got.len())
            .map(|at| (wanted.healthy_load[at], wanted.degraded_load[at], wanted.panic[at]))
            .collect();
        prop_assert_eq!(loads, wanted);
        // The member that a draw falls to.
        let (at, degraded) =
            load_oracle::choose(random, &expected.loads.healthy_load, &expected.loads.degraded_load);
        let choice = load.choose(random);
        prop_assert_eq!(choice.priority as usize, at);
        prop_assert_eq!(choice.availability == mesh_lb::load::Availability::Degraded, degraded);
    }

    #[test]
    fn other_data_planes_give_everything_to_the_level_of_the_oracle(
        healthy in vec(0..3u32, 0..6),
        ill in 0..5u32,
        threshold in 0..100u32,
    ) {
        for (plane, loses) in [(DataPlane::Grpc, false), (DataPlane::Ztunnel, true)] {
            let hosts: Vec<LevelHosts> =
                healthy.iter().map(|&fit| LevelHosts::healthy_of(fit, fit + ill)).collect();
            let mut load = PriorityLoad::default();
            load.spill(plane, &hosts, PanicThreshold::new(threshold));
            let got: Vec<u128> =
                load.levels().iter().map(|level| level.healthy_load.get().into()).collect();
            prop_assert_eq!(got, load_oracle::whole_priorities(&healthy, loses));
        }
    }

    #[test]
    fn a_host_that_is_named_is_used_when_the_oracle_uses_it(
        status in 0..6usize,
        exists: bool,
        flags in any::<[bool; 4]>(),
        allowed in btree_set(0..6usize, 0..5),
        is_strict: bool,
    ) {
        let [fails_checks, is_outlier, is_degraded, is_pending] = flags;
        let seen = [
            (fails_checks, HealthFlag::FailedActiveHc),
            (is_outlier, HealthFlag::FailedOutlierCheck),
            (is_degraded, HealthFlag::DegradedActiveHc),
            // Of no effect here.
            (is_pending, HealthFlag::PendingActiveHc),
        ];
        let seen: Vec<HealthFlag> =
            seen.into_iter().filter_map(|(holds, flag)| holds.then_some(flag)).collect();
        let (assigned, word) = STATUSES[status];
        let health = HostHealth::new(assigned, HealthFlags::of(&seen));
        let set: Vec<HealthStatus> = allowed.iter().map(|at| STATUSES[*at].0).collect();
        let words: Vec<&str> = allowed.iter().map(|at| STATUSES[*at].1).collect();
        let mode = if is_strict { OverrideMode::Strict } else { OverrideMode::Lenient };
        let got = match OverrideHostStatus::of(&set).decide(exists.then_some(health), mode) {
            Override::Use => "that host",
            Override::Balance => "any host",
            Override::NoHost => "no host",
        };
        let ill = oracle::Illness { fails_checks, is_outlier, is_degraded };
        let known = exists.then(|| oracle::status(word, ill));
        prop_assert_eq!(got, oracle::named(known, &words, is_strict));
    }

    #[test]
    fn a_retry_ends_with_the_host_of_the_oracle(
        picks in vec(proptest::option::weighted(0.9, 0..6u32), 6),
        attempted in vec(0..6u32, 0..4),
        canaries in btree_set(0..6u32, 0..3),
        matching in btree_set(0..6u32, 0..3),
        retries in 0..5u32,
    ) {
        let canaries: Vec<u32> = canaries.into_iter().collect();
        let matching: Vec<u32> = matching.into_iter().collect();
        let predicates = [
            HostPredicate::PreviousHosts { attempted: &attempted },
            HostPredicate::OmitCanaryHosts { canaries: &canaries },
            HostPredicate::OmitHostMetadata { matching: &matching },
        ];
        let mut asked = Vec::new();
        let got = HostSelection { max_attempts: retries }.pick(&predicates, |attempt| {
            asked.push(attempt);
            picks[attempt as usize]
        });
        let rejected = [attempted.clone(), canaries.clone(), matching.clone()];
        prop_assert_eq!(got, oracle::host(&picks, &rejected, retries as usize));
        // Attempts are numbered one after the other.
        prop_assert!((0..).zip(&asked).all(|(number, asked)| number == *asked));
    }
}
