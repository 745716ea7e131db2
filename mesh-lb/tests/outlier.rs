//! Laws of outlier detection.
use mesh_lb::health::outlier::{EjectionTime, Outcome, OutlierConfig, OutlierDetector};
use mesh_testkit::oracle::outlier::{Diary, Rules};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Response(usize, u16),
    Outcome(usize, Outcome),
    Checked(usize),
    Degraded(usize, u16),
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![Just(200u16), Just(500), Just(503)];
    let degraded = prop_oneof![Just(200u16), Just(503)];
    let outcome = prop_oneof![
        Just(Outcome::LocalOriginConnectFailed),
        Just(Outcome::LocalOriginConnectSuccess),
        Just(Outcome::ExtOriginRequestFailed),
    ];
    prop_oneof![
        8 => (0..12usize, code).prop_map(|(host, code)| Event::Response(host, code)),
        4 => (0..12usize, outcome).prop_map(|(host, outcome)| Event::Outcome(host, outcome)),
        1 => (0..12usize).prop_map(Event::Checked),
        1 => (0..12usize, degraded).prop_map(|(host, code)| Event::Degraded(host, code)),
        1 => Just(Event::Sweep),
    ]
}

proptest! {
    /// However a cluster answers, no more of its hosts are ejected than the limit allows, the
    /// count is that of the ejected hosts, and a host that stays away for long comes back.
    #[test]
    fn ejections_stay_within_the_limit_and_end(
        events in proptest::collection::vec(event(), 0..300),
        hosts in 1..12usize,
        limit in 0..110u32,
        split: bool,
        jitter in 0..50u64,
    ) {
        let config = OutlierConfig {
            consecutive_5xx: 2,
            consecutive_local_origin_failure: 2,
            success_rate_request_volume: 2,
            failure_percentage_request_volume: 2,
            enforcing_failure_percentage: 100,
            max_ejection_percent: limit,
            max_ejection_time_jitter_ms: jitter,
            ejection_time: EjectionTime::new(10, Some(100)).unwrap_or_default(),
            split_external_local_origin_errors: split,
            ..OutlierConfig::default()
        };
        let mut detector = OutlierDetector::new(config, hosts);
        let mut now = 0;
        for event in events {
            now += 7;
            match event {
                Event::Response(host, code) => detector.handle_response(host, code, now, || now),
                Event::Outcome(host, outcome) => detector.handle_outcome(host, outcome, None, now, || now),
                Event::Checked(host) => detector.handle_active_health_check_success(host, now),
                Event::Degraded(host, code) => detector.handle_degraded(host, code, now, || now),
                Event::Sweep => detector.handle_sweep(now, || now),
            }
            let ejected = (0..hosts).filter(|&host| detector.is_ejected(host)).count();
            prop_assert_eq!(ejected, detector.ejections_active());
            prop_assert!(ejected * 100 <= hosts * limit.min(100) as usize);
        }
        detector.handle_sweep(now + 150, || 0);
        // The sweep can eject by what it finds; the next one finds nothing.
        detector.handle_sweep(now + 300, || 0);
        prop_assert_eq!(detector.ejections_active(), 0);
    }
}

fn config(rules: &Rules) -> OutlierConfig {
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let [any, gateway, local] = rules.consecutive.map(narrow);
    let chance = |at: usize| rules.enforcing.get(at).map_or(0, |c| u32::try_from(*c).unwrap_or(0));
    let (base, max, jitter) = rules.time;
    OutlierConfig {
        consecutive_5xx: any,
        enforcing_consecutive_5xx: chance(0),
        consecutive_gateway_failure: gateway,
        enforcing_consecutive_gateway_failure: chance(1),
        consecutive_local_origin_failure: local,
        enforcing_consecutive_local_origin_failure: chance(2),
        success_rate_minimum_hosts: narrow(rules.success_rate.0),
        success_rate_request_volume: narrow(rules.success_rate.1),
        success_rate_stdev_factor: rules.success_rate.2,
        enforcing_success_rate: chance(3),
        enforcing_local_origin_success_rate: chance(4),
        failure_percentage_minimum_hosts: narrow(rules.failure_percentage.0),
        failure_percentage_request_volume: narrow(rules.failure_percentage.1),
        failure_percentage_threshold: rules.failure_percentage.2,
        enforcing_failure_percentage: chance(5),
        enforcing_failure_percentage_local_origin: chance(6),
        interval_ms: rules.interval,
        ejection_time: EjectionTime::new(base, Some(max)).unwrap_or_default(),
        max_ejection_time_jitter_ms: jitter,
        max_ejection_percent: narrow(rules.max_percent),
        always_eject_one_host: rules.always_one,
        split_external_local_origin_errors: rules.split,
        successful_active_health_check_uneject_host: true,
        detect_degraded_hosts: true,
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let chance = prop_oneof![3 => Just(100u64), 1 => Just(0), 1 => 0..100u64];
    let chances = proptest::collection::vec(chance, 7);
    let rates = (0..5usize, 1..6usize, prop_oneof![Just(1900u32), 0..3000u32]);
    let failures = (0..5usize, 1..6usize, 1..101u32);
    let consecutive = [0..4usize, 0..4usize, 0..4usize];
    let rest = (0..110usize, any::<bool>(), any::<bool>(), 0..40u64, 1..60u64);
    (consecutive, chances, rates, failures, rest).prop_map(
        |(consecutive, chances, success_rate, failure_percentage, rest)| {
            let (max_percent, always_one, split, jitter, base) = rest;
            let mut enforcing = [0; 7];
            enforcing.iter_mut().zip(chances).for_each(|(slot, chance)| *slot = chance);
            Rules {
                consecutive,
                enforcing,
                success_rate,
                failure_percentage,
                interval: 50,
                time: (base, 4 * base, jitter),
                max_percent,
                always_one,
                split,
            }
        },
    )
}

/// Writes an event down as the detector takes it.
fn write(diary: &mut Diary, event: &Event, split: bool, now: u64) {
    match *event {
        Event::Response(host, code) => diary.answer(host, code, now, now),
        Event::Checked(host) => diary.checked(host, now),
        Event::Degraded(host, code) => diary.degrade(host, code, now, now),
        Event::Sweep => diary.sweep(now, now),
        Event::Outcome(host, Outcome::LocalOriginConnectFailed) if split => {
            diary.connection(host, false, now, now);
        }
        Event::Outcome(host, Outcome::LocalOriginConnectSuccess) => {
            if split {
                diary.connection(host, true, now, now);
            }
        }
        Event::Outcome(host, outcome) => {
            let is_connection = outcome == Outcome::LocalOriginConnectFailed || split;
            diary.answer(host, if is_connection { 503 } else { 500 }, now, now);
        }
    }
}

proptest! {
    /// After every event the same hosts are away, and for as long.
    #[test]
    fn hosts_are_ejected_as_by_the_oracle(
        events in proptest::collection::vec((event(), 0..20u64), 0..200),
        hosts in 1..8usize,
        rules in rules(),
    ) {
        let mut detector = OutlierDetector::new(config(&rules), hosts);
        let mut diary = Diary::new(rules, hosts);
        let mut now = 0;
        for (event, passed) in events {
            now += passed;
            match event {
                Event::Response(host, code) => detector.handle_response(host, code, now, || now),
                Event::Outcome(host, outcome) => detector.handle_outcome(host, outcome, None, now, || now),
                Event::Checked(host) => detector.handle_active_health_check_success(host, now),
                Event::Degraded(host, code) => detector.handle_degraded(host, code, now, || now),
                Event::Sweep => detector.handle_sweep(now, || now),
            }
            write(&mut diary, &event, rules.split, now);
            let ejected: Vec<bool> = (0..hosts).map(|host| detector.is_ejected(host)).collect();
            prop_assert_eq!(ejected, diary.ejected());
            let degraded: Vec<bool> = (0..hosts).map(|host| detector.is_degraded(host)).collect();
            prop_assert_eq!(degraded, diary.degraded());
            let backoff: Vec<u64> =
                (0..hosts).map(|host| detector.degradation_backoff(host)).collect();
            prop_assert_eq!(backoff.as_slice(), diary.weariness());
            let backoff: Vec<u64> = (0..hosts).map(|host| detector.backoff(host)).collect();
            prop_assert_eq!(backoff.as_slice(), diary.backoff());
            let often: Vec<u64> = (0..hosts).map(|host| detector.num_ejections(host)).collect();
            let told: Vec<u64> = diary.ejections().iter().map(|&count| count as u64).collect();
            prop_assert_eq!(often, told);
        }
    }
}
