//! Laws of outlier detection.
use mesh_lb::health::outlier::{EjectionTime, Outcome, OutlierConfig, OutlierDetector};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Response(usize, u16),
    Outcome(usize, Outcome),
    Checked(usize),
    Sweep,
}

fn event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![Just(200u16), Just(500), Just(503)];
    let outcome = prop_oneof![
        Just(Outcome::LocalOriginConnectFailed),
        Just(Outcome::LocalOriginConnectSuccess),
        Just(Outcome::ExtOriginRequestFailed),
    ];
    prop_oneof![
        8 => (0..12usize, code).prop_map(|(host, code)| Event::Response(host, code)),
        4 => (0..12usize, outcome).prop_map(|(host, outcome)| Event::Outcome(host, outcome)),
        1 => (0..12usize).prop_map(Event::Checked),
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
