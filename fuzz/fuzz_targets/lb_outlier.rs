//! Outlier detection: whatever hosts answer, the same ones are away as in a diary of all that happened.
#![cfg_attr(fuzzing, no_main)]

use mesh_lb::health::outlier::{EjectionTime, OutlierConfig, OutlierDetector};
use mesh_testkit::oracle::outlier::{Diary, Rules};

mesh_fuzz::target!(|bytes| {
    let [any, gateway, least, volume, cap, flags, events @ ..] = bytes else { return };
    let hosts = 1 + usize::from(flags >> 5);
    let rules = Rules {
        consecutive: [usize::from(any % 4), usize::from(gateway % 4), 0],
        enforcing: [100, 100, 0, 100, 0, 100, 0],
        success_rate: (usize::from(least % 4), 1 + usize::from(volume % 4), 1900),
        failure_percentage: (usize::from(least % 3), 1 + usize::from(volume % 5), 85),
        interval: 50,
        time: (20, 80, u64::from(flags % 8)),
        max_percent: usize::from(*cap),
        always_one: flags & 16 == 16,
        split: false,
    };
    let config = OutlierConfig {
        consecutive_5xx: u32::from(any % 4),
        consecutive_gateway_failure: u32::from(gateway % 4),
        enforcing_consecutive_gateway_failure: 100,
        consecutive_local_origin_failure: 0,
        success_rate_minimum_hosts: u32::from(least % 4),
        success_rate_request_volume: 1 + u32::from(volume % 4),
        failure_percentage_minimum_hosts: u32::from(least % 3),
        failure_percentage_request_volume: 1 + u32::from(volume % 5),
        enforcing_failure_percentage: 100,
        interval_ms: 50,
        ejection_time: EjectionTime::new(20, Some(80)).unwrap_or_default(),
        max_ejection_time_jitter_ms: u64::from(flags % 8),
        max_ejection_percent: u32::from(*cap),
        always_eject_one_host: flags & 16 == 16,
        detect_degraded_hosts: true,
        ..OutlierConfig::default()
    };
    let mut detector = OutlierDetector::new(config, hosts);
    let mut diary = Diary::new(rules, hosts);
    let mut now = 0;
    for event in events.iter().take(300) {
        let host = usize::from(event >> 5) % hosts;
        now += u64::from(event % 8);
        match event % 16 {
            0 => {
                detector.handle_sweep(now, || now);
                diary.sweep(now, now);
            }
            1 => {
                detector.handle_active_health_check_success(host, now);
                diary.checked(host, now);
            }
            kind @ (2 | 3) => {
                let code = if kind == 2 { 200 } else { 503 };
                detector.handle_degraded(host, code, now, || now);
                diary.degrade(host, code, now, now);
            }
            kind => {
                let code = match kind {
                    4..=6 => 200,
                    7..=10 => 500,
                    _ => 503,
                };
                detector.handle_response(host, code, now, || now);
                diary.answer(host, code, now, now);
            }
        }
        let ejected: Vec<bool> = (0..hosts).map(|host| detector.is_ejected(host)).collect();
        assert_eq!(ejected, diary.ejected());
        let degraded: Vec<bool> = (0..hosts).map(|host| detector.is_degraded(host)).collect();
        assert_eq!(degraded, diary.degraded());
    }
});
