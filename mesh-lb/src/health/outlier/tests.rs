use super::*;

fn every() -> OutlierConfig {
    OutlierConfig { consecutive_5xx: 2, max_ejection_percent: 100, ..OutlierConfig::default() }
}

fn check(config: OutlierConfig, hosts: usize, codes: &[(usize, u16)], ejected: &[usize]) {
    let mut detector = OutlierDetector::new(config, hosts);
    for &(host, code) in codes {
        detector.handle_response(host, code, 0, || 99);
    }
    let got: Vec<usize> = (0..hosts).filter(|&host| detector.is_ejected(host)).collect();
    assert_eq!(got, ejected);
}

#[test]
fn a_good_answer_breaks_the_row() {
    check(every(), 2, &[(0, 500), (0, 200), (0, 500)], &[]);
    check(every(), 2, &[(0, 500), (1, 200), (0, 500)], &[0]);
}

#[test]
fn of_nine_hosts_none_is_ejected_by_default() {
    let config = OutlierConfig { max_ejection_percent: 10, ..every() };
    check(config, 9, &[(0, 500), (0, 500)], &[]);
    check(config, 10, &[(0, 500), (0, 500), (1, 500), (1, 500)], &[0]);
}

#[test]
fn a_chance_that_is_not_met_ejects_nobody() {
    check(
        OutlierConfig { enforcing_consecutive_5xx: 99, ..every() },
        2,
        &[(0, 500), (0, 500)],
        &[],
    );
    check(OutlierConfig { consecutive_5xx: 0, ..every() }, 2, &[(0, 500), (0, 500)], &[]);
}

#[test]
fn jitter_makes_an_ejection_longer() {
    let config = OutlierConfig { max_ejection_time_jitter_ms: 4_999, ..every() };
    let mut detector = OutlierDetector::new(config, 2);
    detector.handle_response(0, 500, 0, || 12_345);
    detector.handle_response(0, 500, 0, || 12_345);
    detector.handle_sweep(32_344, || 0);
    assert!(detector.is_ejected(0));
    detector.handle_sweep(32_345, || 0);
    assert!(!detector.is_ejected(0));
}

#[test]
fn a_removed_host_makes_room_for_another() {
    let config = OutlierConfig { max_ejection_percent: 50, ..every() };
    let mut detector = OutlierDetector::new(config, 2);
    for host in [0, 0, 1, 1] {
        detector.handle_response(host, 500, 0, || 0);
    }
    assert_eq!((detector.ejections_active(), detector.stats().overflow()), (1, 1));
    detector.remove_host(0);
    detector.add_host();
    for _ in 0..2 {
        detector.handle_response(0, 500, 0, || 0);
    }
    assert_eq!((detector.ejections_active(), detector.is_ejected(0)), (1, true));
}

#[test]
fn a_host_that_is_found_twice_in_a_sweep_is_ejected_once() {
    let config = OutlierConfig { consecutive_5xx: 0, enforcing_failure_percentage: 100, ..every() };
    let mut detector = OutlierDetector::new(config, 5);
    for host in 0..5 {
        for _ in 0..100 {
            detector.handle_response(host, if host == 4 { 500 } else { 200 }, 0, || 0);
        }
    }
    detector.handle_sweep(10_000, || 0);
    assert_eq!((detector.num_ejections(4), detector.ejections_active()), (1, 1));
    assert_eq!(detector.stats().detected(EjectionKind::FailurePercentage), 1);
    assert_eq!(detector.stats().enforced_total(), 1);
}

#[test]
fn the_backoff_grows_until_the_longest_time_is_passed_by_one_base() {
    let config =
        OutlierConfig { ejection_time: EjectionTime::new(10, Some(25)).unwrap(), ..every() };
    let mut detector = OutlierDetector::new(config, 1);
    let mut now = 0;
    let mut backoffs = Vec::new();
    for _ in 0..6 {
        detector.handle_response(0, 500, now, || 0);
        detector.handle_response(0, 500, now, || 0);
        backoffs.push(detector.backoff(0));
        now += 25;
        detector.handle_sweep(now, || 0);
        assert!(!detector.is_ejected(0));
    }
    assert_eq!(backoffs, [1, 2, 3, 4, 4, 4]);
}

#[test]
fn the_longest_ejection_follows_a_long_base() {
    assert_eq!(EjectionTime::new(400_000, None).map(EjectionTime::max_ms), Ok(400_000));
    assert_eq!(EjectionTime::new(10, None).map(EjectionTime::max_ms), Ok(300_000));
    let message = EjectionTime::new(10, Some(9)).unwrap_err().to_string();
    assert_eq!(message, "max ejection time `9ms` is less than base ejection time `10ms`");
}

/// Whether the host is ejected, and whether it is degraded.
fn classes(detector: &OutlierDetector) -> (bool, bool) {
    (detector.is_ejected(0), detector.is_degraded(0))
}

fn degrading() -> OutlierDetector {
    let config =
        OutlierConfig { detect_degraded_hosts: true, max_ejection_percent: 100, ..every() };
    OutlierDetector::new(config, 2)
}

#[test]
fn a_host_that_says_so_is_degraded_for_as_long_as_an_ejection_lasts() {
    // Each row as Envoy 1.40.0 was seen to do it.
    let mut detector = degrading();
    detector.handle_degraded(0, 503, 0, || 0);
    assert_eq!(classes(&detector), (false, false));
    detector.handle_degraded(0, 404, 0, || 0);
    detector.handle_degraded(0, 200, 20_000, || 0); // It is already.
    assert_eq!((classes(&detector), detector.stats().degraded()), ((false, true), 1));
    detector.handle_active_health_check_success(0, 25_000);
    detector.handle_sweep(29_999, || 0);
    assert!(detector.is_degraded(0));
    detector.handle_sweep(30_000, || 0);
    assert!(!detector.is_degraded(0));
    // At once again: twice as long.
    detector.handle_degraded(0, 200, 30_000, || 0);
    detector.handle_sweep(89_999, || 0);
    assert!(detector.is_degraded(0));
    detector.handle_sweep(90_000, || 0);
    assert!(!detector.is_degraded(0));
}

#[test]
fn degradations_and_ejections_do_not_know_of_each_other() {
    let mut detector = degrading();
    detector.handle_degraded(0, 200, 0, || 0);
    for _ in 0..2 {
        detector.handle_response(0, 500, 1_000, || 0);
    }
    assert_eq!((classes(&detector), detector.ejections_active()), ((true, true), 1));
    detector.handle_sweep(30_000, || 0);
    assert_eq!(classes(&detector), (true, false));
    // The backoff of one is not that of the other.
    assert_eq!((detector.backoff(0), detector.degradation_backoff(0)), (1, 1));
    detector.handle_degraded(0, 200, 30_500, || 0); // Ejected hosts may be degraded, too.
    assert_eq!(classes(&detector), (true, true));
}

#[test]
fn no_limit_stands_against_degradation_and_errors_go_on_counting() {
    let mut detector = degrading();
    detector.config.max_ejection_percent = 0;
    for host in 0..2 {
        detector.handle_degraded(host, 200, 0, || 0);
    }
    assert!((0..2).all(|host| detector.is_degraded(host)));
    detector.config.max_ejection_percent = 100;
    detector.handle_response(0, 500, 1_000, || 0);
    detector.handle_sweep(30_000, || 0);
    detector.handle_response(0, 500, 31_000, || 0);
    assert_eq!(classes(&detector), (true, false));
}

#[test]
fn nobody_is_degraded_unless_that_is_asked_for() {
    let mut detector = OutlierDetector::new(every(), 1);
    detector.handle_degraded(0, 200, 0, || 0);
    assert_eq!((classes(&detector), detector.stats().degraded()), ((false, false), 0));
}

#[test]
fn what_may_be_ejected_at_once_is_counted_as_it_is_ejected() {
    for (percent, hosts, ejected) in
        [(10, 9, 0), (10, 10, 1), (40, 5, 2), (39, 5, 1), (12, 20, 2), (100, 3, 3), (200, 3, 3)]
    {
        let config = OutlierConfig { max_ejection_percent: percent, ..every() };
        let codes: Vec<(usize, u16)> =
            (0..hosts).flat_map(|host| [(host, 500), (host, 500)]).collect();
        check(config, hosts, &codes, &(0..ejected).collect::<Vec<_>>());
        assert_eq!(config.ejectable(hosts, hosts), ejected);
    }
}
