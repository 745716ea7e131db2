//! Limits of DestinationRules.
use super::most;
use crate::resource::DestinationRule;
use crate::resource::destination_rule::TrafficPolicy;
use crate::resource::validate::Violations;

/// Ports with policies of their own.
const MOST_PORTS: usize = 4096;

pub(super) fn destination(violations: &mut Violations, rule: &DestinationRule) {
    policy(violations, rule.spec.traffic_policy.as_ref());
    violations.field("subsets", |violations| {
        violations.each(&rule.spec.subsets, |violations, subset| {
            policy(violations, subset.traffic_policy.as_ref());
        });
    });
}

fn policy(violations: &mut Violations, policy: Option<&TrafficPolicy>) {
    let Some(policy) = policy else { return };
    let ports = &policy.port_level_settings;
    violations.field("trafficPolicy", |violations| {
        most(violations, "portLevelSettings", ports.len(), MOST_PORTS);
    });
}
