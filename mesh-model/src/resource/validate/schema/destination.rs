//! Limits of DestinationRules.
use super::{attachment, most, within};
use crate::resource::DestinationRule;
use crate::resource::destination_rule::{
    LoadBalancerSettings, OutlierDetection, PortTrafficPolicy, TrafficPolicy,
};
use crate::resource::validate::{Violations, duration};

/// Ports with policies of their own.
const MOST_PORTS: usize = 4096;

pub(super) fn destination(violations: &mut Violations, rule: &DestinationRule) {
    let selector = rule.spec.workload_selector.as_ref();
    attachment::selector(violations, "workloadSelector", selector);
    policy(violations, rule.spec.traffic_policy.as_ref());
    violations.field("subsets", |violations| {
        violations.each(&rule.spec.subsets, |violations, subset| {
            policy(violations, subset.traffic_policy.as_ref());
        });
    });
}

fn policy(violations: &mut Violations, policy: Option<&TrafficPolicy>) {
    let Some(policy) = policy else { return };
    violations.field("trafficPolicy", |violations| {
        balancing(violations, policy.load_balancer.as_ref());
        outliers(violations, policy.outlier_detection.as_ref());
        if let Some(budget) = &policy.retry_budget {
            violations.field("retryBudget", |violations| {
                within(violations, "percent", budget.percent, 0.0..=100.0);
            });
        }
        most(violations, "portLevelSettings", policy.port_level_settings.len(), MOST_PORTS);
        violations.field("portLevelSettings", |violations| {
            violations.each(&policy.port_level_settings, port);
        });
    });
}

fn port(violations: &mut Violations, policy: &PortTrafficPolicy) {
    balancing(violations, policy.load_balancer.as_ref());
    outliers(violations, policy.outlier_detection.as_ref());
}

fn balancing(violations: &mut Violations, settings: Option<&LoadBalancerSettings>) {
    let Some(settings) = settings else { return };
    violations.field("loadBalancer", |violations| {
        duration::least(violations, "warmupDurationSecs", settings.warmup_duration_secs);
        if let Some(warmup) = &settings.warmup {
            violations.field("warmup", |violations| {
                // Of what is too much admission tells.
                let percent = warmup.minimum_percent.map(|percent| percent.min(100.0));
                within(violations, "minimumPercent", percent, 0.0..=100.0);
            });
        }
        if let Some(zones) = &settings.zone_aware_lb_setting {
            violations.field("zoneAwareLbSetting", |violations| {
                within(violations, "minClusterSize", zones.min_cluster_size, 1..=u32::MAX);
            });
        }
    });
}

fn outliers(violations: &mut Violations, settings: Option<&OutlierDetection>) {
    let Some(settings) = settings else { return };
    violations.field("outlierDetection.outlierDetectionHttpErrorCodes", |violations| {
        for (index, code) in settings.outlier_detection_http_error_codes.iter().enumerate() {
            within(violations, &format!("[{index}]"), Some(*code), 100..=599);
        }
    });
}
