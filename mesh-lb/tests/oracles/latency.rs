//! Policies that go by what hosts report and how fast they answer: load-aware localities, peak EWMA.
use mesh_lb::load::{
    LoadAware, LoadedLocalities, LoadedLocality, ReportedUtilization, SmoothedUtilization,
};
use mesh_lb::pick::client_side::OrcaReport;
use mesh_lb::pick::peak_ewma::{PeakEwma, RoundTripTimes, pick};
use mesh_model::name::Locality;
use mesh_testkit::oracle;
use proptest::collection::vec;
use proptest::prelude::*;

/// When a host reports, and how busy it is, in percent.
type Reports = Vec<(u64, u32)>;

fn hosts() -> impl Strategy<Value = Vec<Reports>> {
    let reports = vec((0..400_u64, 1..130_u32), 0..4).prop_map(|mut reports| {
        reports.sort_unstable();
        reports
    });
    vec(reports, 0..4)
}

proptest! {
    /// Day after day the weights are those that the whole history tells.
    #[test]
    fn localities_weigh_what_the_diary_says(
        localities in vec(hosts(), 1..4),
        days in vec(1..120_u64, 1..6),
        constant in prop_oneof![Just(1_u64), 50..500_u64],
        (threshold, probe) in (0..40_u32, 0..50_u32),
        expiration in prop_oneof![Just(0_u64), 50..200_u64],
    ) {
        let policy = LoadAware {
            weight_update_period_ms: 100,
            smoothing_time_constant_ms: constant,
            utilization_variance_threshold: f64::from(threshold) / 100.0,
            remote_probe_fraction: f64::from(probe) / 100.0,
            weight_expiration_period_ms: expiration,
            ..LoadAware::default()
        };
        let rules = oracle::load_aware::Rules {
            alpha: policy.alpha(),
            threshold: policy.utilization_variance_threshold,
            probe: policy.remote_probe_fraction,
            expiration,
        };
        let told: Vec<Vec<oracle::load_aware::Reports>> = localities
            .iter()
            .map(|hosts| {
                let busy = |reports: &Reports| {
                    reports.iter().map(|(at, busy)| (*at, f64::from(*busy) / 100.0)).collect()
                };
                hosts.iter().map(busy).collect()
            })
            .collect();
        let states: Vec<Vec<ReportedUtilization>> = localities
            .iter()
            .map(|hosts| hosts.iter().map(|_| ReportedUtilization::default()).collect())
            .collect();
        let places = ["a/a/a", "a/a/b", "a/a/c"].map(Locality::parse);
        let of: Vec<LoadedLocality<'_>> = places
            .iter()
            .zip(&states)
            .map(|(locality, hosts)| LoadedLocality { locality, hosts: hosts.iter().collect() })
            .collect();
        let mut smoothed = SmoothedUtilization::default();
        let (mut now, mut past) = (0, Vec::new());
        for passed in days {
            let before = now;
            now += passed;
            past.push(now);
            for (state, reports) in states.iter().flatten().zip(localities.iter().flatten()) {
                let new = reports.iter().filter(|(at, _)| *at <= now && (past.len() == 1 || *at > before));
                for (at, busy) in new {
                    let cpu_utilization = f64::from(*busy) / 100.0;
                    let report = OrcaReport { cpu_utilization, ..OrcaReport::default() };
                    state.handle_report(&policy, &report, *at);
                }
            }
            let of = LoadedLocalities { localities: &of, has_local_locality: true };
            let weights = smoothed.weigh(&policy, of, now);
            let expected = oracle::load_aware::weights(&rules, &told, &past);
            for (got, expected) in weights.weights().iter().zip(&expected) {
                prop_assert!((got - expected).abs() < 1e-9, "{:?} {:?}", weights, expected);
            }
        }
    }

    /// What is smoothed in one go is what all samples together come to.
    #[test]
    fn round_trip_times_are_smoothed_as_the_sum_says(
        samples in vec((1..500_u32, 1..60_u32), 0..20),
        decay in 1..20_u32,
        now in 0..80_u32,
    ) {
        let policy = PeakEwma { decay_ms: u64::from(decay) * 1_000, ..PeakEwma::default() };
        let mut times = RoundTripTimes::new(&policy);
        let second = |seconds: u32| u64::from(seconds) * 1_000_000_000;
        for (rtt, at) in &samples {
            times.handle_answer(f64::from(*rtt), second(*at));
        }
        times.aggregate(&policy, second(now));
        let told: Vec<(f64, f64)> =
            samples.iter().map(|(rtt, at)| (f64::from(*rtt), f64::from(*at))).collect();
        let expected = oracle::pick::peak_ewma(&told, decay.into(), now.into());
        prop_assert!((times.smoothed_ms() - expected).abs() < 1e-6, "{:?} {}", times, expected);
    }

    #[test]
    fn the_cheaper_of_two_is_the_oracles(
        hosts in vec((0..4_u32, proptest::option::of(1..40_u32)), 0..6),
        draw: u64,
    ) {
        let policy = PeakEwma::default();
        let cost = |host: usize| {
            let (active, rtt) = hosts[host];
            policy.cost(rtt.map_or(0.0, f64::from), active)
        };
        let told: Vec<(u32, Option<f64>)> =
            hosts.iter().map(|(active, rtt)| (*active, rtt.map(f64::from))).collect();
        let expected = match told.len() {
            1 => Some(0),
            _ => oracle::pick::cheaper_of_two(&told, draw),
        };
        prop_assert_eq!(pick(hosts.len(), cost, || draw), expected);
    }
}
