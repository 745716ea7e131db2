//! Which endpoint is taken.
use std::collections::BTreeSet;

use super::super::{
    ConsistentHashLb, HashAlgorithm, HashKey, HttpCookie, LbPolicy, LoadBalancerSettings,
    WarmupConfiguration,
};
use super::locality::{self, OutlierDetectionIs};
use crate::manifest::decode::clip;
use crate::resource::validate::{Violations, duration};

/// Checks the block, if it is given.
///
/// # Upstream
///
/// istio/istio `pkg/config/validation/validation.go` `validateLoadBalancer`.
pub(super) fn check(
    violations: &mut Violations,
    block: Option<&LoadBalancerSettings>,
    outlier: OutlierDetectionIs,
) {
    let Some(block) = block else { return };
    violations.field("loadBalancer", |violations| {
        if let Some(LbPolicy::ConsistentHash(hash)) = &block.policy {
            violations.field("consistentHash", |violations| consistent_hash(violations, hash));
        }
        if block.locality_lb_setting.is_some() && block.zone_aware_lb_setting.is_some() {
            let message = "localities and zones cannot both be preferred";
            let help = "keep `localityLbSetting` or `zoneAwareLbSetting`";
            violations.error_at("zoneAwareLbSetting", "LB-LOCALITY-ONEOF", message, help);
        }
        if let Some(block) = &block.locality_lb_setting {
            violations.field("localityLbSetting", |violations| {
                locality::locality(violations, block, outlier);
            });
        }
        if let Some(block) = &block.zone_aware_lb_setting {
            violations.field("zoneAwareLbSetting", |violations| {
                locality::zone_aware(violations, block, outlier);
            });
        }
        if let Some(block) = &block.warmup {
            violations.field("warmup", |violations| warmup(violations, block));
        }
    });
}

fn consistent_hash(violations: &mut Violations, hash: &ConsistentHashLb) {
    if let Some(HashKey::HttpCookie(block)) = &hash.key {
        violations.field("httpCookie", |violations| cookie(violations, block));
    }
    if hash.minimum_ring_size != 0 {
        violations.field("minimumRingSize", |violations| {
            let help = "use `ringHash.minimumRingSize`";
            violations.warning("LB-RING-DEPRECATED", "`minimumRingSize` is deprecated", help);
            if hash.algorithm.is_some() {
                let message = "`minimumRingSize` cannot stand beside `ringHash` or `maglev`";
                violations.error("LB-RING-ONEOF", message, "remove it");
            }
        });
    }
    if let Some(HashAlgorithm::Maglev(maglev)) = &hash.algorithm {
        violations.field("maglev.tableSize", |violations| table(violations, maglev.table_size));
    }
}

fn cookie(violations: &mut Violations, cookie: &HttpCookie) {
    if cookie.name.is_empty() {
        violations.error("LB-COOKIE-NAME", "the cookie has no name", "add a name");
    }
    let mut names = BTreeSet::new();
    violations.field("attributes", |violations| {
        violations.each(&cookie.attributes, |violations, attribute| {
            if attribute.name.is_empty() || !names.insert(&*attribute.name) {
                let name = clip(&attribute.name);
                let message = format!("the attribute `{name}` has no name of its own");
                violations.error_at("name", "LB-COOKIE-ATTR", &message, "name each one once");
            }
        });
    });
}

fn table(violations: &mut Violations, size: u64) {
    if size == 0 || size >= 5_000_011 {
        let message = format!("`{size}` is not the size of a table");
        violations.error("LB-MAGLEV-SIZE", &message, "write a prime below 5000011");
    }
    if !is_prime(size) {
        let message = format!("`{size}` is not a prime");
        violations.error("LB-MAGLEV-PRIME", &message, "write a prime such as 65537");
    }
}

/// Whether Envoy takes a number for a prime: 1 is one.
fn is_prime(number: u64) -> bool {
    if matches!(number, 1..=3) {
        return true;
    }
    // Beyond the limit of sizes the answer adds nothing, and would take long.
    number % 2 == 1
        && number < 5_000_011
        && (3..).step_by(2).take_while(|n| n * n <= number).all(|n| !number.is_multiple_of(n))
}

fn warmup(violations: &mut Violations, block: &WarmupConfiguration) {
    if block.duration.is_none() {
        let message = "the block does not say how long it takes";
        violations.error("LB-WARMUP-DURATION", message, "add `duration`");
    }
    duration::check(violations, "duration", block.duration);
    if let Some(percent) = block.minimum_percent.filter(|percent| *percent > 100.0) {
        let message = format!("`{percent}` is more than 100 percent");
        violations.error_at("minimumPercent", "LB-WARMUP-PERCENT", &message, "write at most 100");
    }
    if let Some(aggression) = block.aggression.filter(|aggression| *aggression <= 0.0) {
        let message = format!("`{aggression}` is not above 0");
        violations.error_at("aggression", "LB-WARMUP-AGGRESSION", &message, "write 1 for a line");
    }
}
