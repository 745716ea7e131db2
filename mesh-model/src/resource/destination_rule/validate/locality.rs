//! Preference by locality and by zone, of a host and of the mesh.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/agent/validation.go`.
use std::collections::{BTreeMap, BTreeSet};

use super::super::{Distribute, Failover, LocalityLbSetting, OutlierDetection, ZoneAwareLbSetting};
use crate::manifest::decode::clip;
use crate::resource::validate::{Verdict, Violations, Wrong};

/// Whether failover has what it needs to know a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::resource) enum OutlierDetectionIs {
    /// The policy has it.
    Given,
    /// The policy does not have it.
    Missing,
    /// It is another object's: the setting is the mesh's.
    Elsewhere,
}

impl OutlierDetectionIs {
    /// What a policy has.
    pub(in crate::resource) fn of(block: Option<&OutlierDetection>) -> Self {
        if block.is_some() { Self::Given } else { Self::Missing }
    }
}

/// Labels of failover priorities that are localities.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

/// Checks preference by locality.
///
/// # Upstream
///
/// `ValidateLocalityLbSetting`.
pub(in crate::resource) fn locality(
    violations: &mut Violations,
    block: &LocalityLbSetting,
    outlier: OutlierDetectionIs,
) {
    if !block.distribute.is_empty() && !block.failover.is_empty() {
        let message = "`distribute` and `failover` exclude each other";
        violations.error_at("failover", "LLB-DISTRIBUTE-AND-FAILOVER", message, "keep one");
        return;
    }
    let topology = block.failover_priority.iter().find(|label| TOPOLOGY.contains(&&***label));
    if let Some(label) = topology.filter(|_| !block.failover.is_empty()) {
        let message = format!("`{label}` is a priority that `failover` sets already");
        let help = "remove the label, or `failover`";
        violations.error_at("failoverPriority", "LLB-PRIORITY-TOPOLOGY", &message, help);
        return;
    }
    if !distributions(violations, &block.distribute) {
        return;
    }
    needs_outlier(violations, &block.failover, &block.failover_priority, outlier);
    let rules = ["LLB-FAILOVER-SAME", "LLB-FAILOVER-SUBREGION", "LLB-FAILOVER-WILDCARD"];
    failovers(violations, &block.failover, rules);
}

/// Checks preference by zone.
///
/// # Upstream
///
/// `ValidateZoneAwareLbSetting`.
pub(in crate::resource) fn zone_aware(
    violations: &mut Violations,
    block: &ZoneAwareLbSetting,
    outlier: OutlierDetectionIs,
) {
    violations.field("failoverPriority", |violations| {
        violations.each(&block.failover_priority, |violations, label| {
            if TOPOLOGY.contains(&&**label) {
                let message = format!("`{label}` is a priority that zones set already");
                violations.error("ZLB-PRIORITY-TOPOLOGY", &message, "remove the label");
            }
        });
    });
    needs_outlier(violations, &block.failover, &block.failover_priority, outlier);
    let rules = ["ZLB-FAILOVER-SAME", "ZLB-FAILOVER-SUBREGION", "ZLB-FAILOVER-WILDCARD"];
    failovers(violations, &block.failover, rules);
}

fn needs_outlier(
    violations: &mut Violations,
    failover: &[Failover],
    priority: &[Box<str>],
    outlier: OutlierDetectionIs,
) {
    let fails_over = !failover.is_empty() || !priority.is_empty();
    if fails_over && outlier == OutlierDetectionIs::Missing {
        let message = "nothing fails over without outlier detection";
        violations.warning("LLB-NO-OUTLIER", message, "add `outlierDetection` to the policy");
    }
}

fn failovers(violations: &mut Violations, failovers: &[Failover], rules: [&'static str; 3]) {
    let [same, subregion, wildcard] = rules;
    violations.field("failover", |violations| {
        violations.each(failovers, |violations, Failover { from, to }| {
            if from == to {
                let message = format!("`{}` fails over to itself", clip(from));
                violations.error(same, &message, "name two regions");
            }
            if from.contains('/') || to.contains('/') {
                violations.error(subregion, "only regions fail over", "write regions alone");
            }
            if from.contains('*') || to.contains('*') {
                violations.error(wildcard, "a region has no wildcard here", "name the region");
            }
        });
    });
}

/// Whether targets that pass in the order of the text would be refused in another: one of them covers
/// another, and upstream walks over them in an order that changes from run to run.
pub(crate) fn depends_on_order(entry: &Distribute) -> Option<(&str, &str)> {
    let targets = || entry.to.localities();
    targets().find_map(|wide| {
        let inside = wide.strip_suffix('*').filter(|i| i.is_empty() || i.ends_with('/'))?;
        let covered = targets().find(|other| *other != wide && other.starts_with(inside))?;
        Some((wide, covered))
    })
}

/// Checks the shares; returns whether to look any further.
fn distributions(violations: &mut Violations, distribute: &[Distribute]) -> bool {
    let mut goes_on = true;
    violations.field("distribute", |violations| {
        violations.each(distribute, |violations, entry| {
            // What is wrong with one entry ends the look at all.
            goes_on = goes_on && shares(violations, entry);
        });
        if goes_on {
            let from = distribute.iter().map(|entry| &*entry.from);
            violations.take(distinct(from));
        }
    });
    goes_on
}

fn shares(violations: &mut Violations, entry: &Distribute) -> bool {
    let mut is_legal = true;
    violations.field("to", |violations| {
        let out_of_range = entry.to.iter().find(|(_, share)| !(1..=100).contains(share));
        if let Some((locality, share)) = out_of_range {
            let message = format!("the share `{share}` of `{}` is out of range", clip(locality));
            violations.error("LLB-WEIGHT-RANGE", &message, "write a number of 1 to 100");
            is_legal = false;
            return;
        }
        let sum: u64 = entry.to.iter().map(|(_, share)| u64::from(share)).sum();
        if sum != 100 {
            let message = format!("the shares are {sum} together");
            violations.error("LLB-WEIGHT-SUM", &message, "make them 100 together");
            is_legal = false;
            return;
        }
        violations.take(distinct(entry.to.localities()));
    });
    is_legal
}

/// What earlier localities cover of a region.
#[derive(Debug)]
enum Region<'l> {
    Whole,
    Zones(BTreeMap<&'l str, Zone<'l>>),
}

/// What earlier localities cover of a zone.
#[derive(Debug)]
enum Zone<'l> {
    Whole,
    Subzones(BTreeSet<&'l str>),
}

/// Checks that no locality covers one before it, to the first that does.
///
/// A locality is compared with what it would be entered as only: a wider one after a narrower one
/// fails where both name the region or zone in the same words, and passes where it has a `*`.
///
/// # Upstream
///
/// `validateLocalities`.
fn distinct<'l>(localities: impl Iterator<Item = &'l str>) -> Verdict {
    let mut seen: BTreeMap<&str, Region<'_>> = BTreeMap::new();
    for locality in localities {
        let wildcards = locality.matches('*').count();
        if wildcards > 1 || (wildcards == 1 && !locality.ends_with('*')) {
            let message = format!("`{}` has a `*` that is not its end", clip(locality));
            return Err(Wrong::new("LLB-LOCALITY-WILDCARD", message, "write `REGION/ZONE/*`"));
        }
        if seen.contains_key("*") {
            return Err(overlap(locality));
        }
        let mut parts = locality.splitn(3, '/');
        let region = parts.next().unwrap_or_default();
        let (zone, subzone) = (parts.next(), parts.next());
        if region.is_empty() || zone == Some("") || subzone == Some("") {
            let message = format!("a part of locality `{}` is empty", clip(locality));
            return Err(Wrong::new("LLB-LOCALITY-EMPTY", message, "write `REGION/ZONE/SUBZONE`"));
        }
        let is_new = match zone {
            None => seen.insert(region, Region::Whole).is_none(),
            Some(zone) => enter_zone(seen.entry(region), zone, subzone),
        };
        if !is_new {
            return Err(overlap(locality));
        }
    }
    Ok(())
}

type Entry<'m, 'l> = std::collections::btree_map::Entry<'m, &'l str, Region<'l>>;

/// Enters a zone or a subzone of a region; returns whether it is new.
fn enter_zone<'l>(region: Entry<'_, 'l>, zone: &'l str, subzone: Option<&'l str>) -> bool {
    let Region::Zones(zones) = region.or_insert_with(|| Region::Zones(BTreeMap::new())) else {
        return false;
    };
    // `REGION/*`, entered before.
    if zones.contains_key("*") {
        return false;
    }
    match (zones.get_mut(zone), subzone) {
        (None, None) => zones.insert(zone, Zone::Whole).is_none(),
        (None, Some(subzone)) => {
            zones.insert(zone, Zone::Subzones(BTreeSet::from([subzone]))).is_none()
        }
        (Some(Zone::Whole), _) | (Some(Zone::Subzones(_)), None) => false,
        // `ZONE/*` covers what comes after it.
        (Some(Zone::Subzones(subzones)), Some(subzone)) => {
            !subzones.contains("*") && subzones.insert(subzone)
        }
    }
}

fn overlap(locality: &str) -> Wrong {
    let message = format!("`{}` overlaps with a locality before it", clip(locality));
    Wrong::new("LLB-LOCALITY-OVERLAP", message, "keep one of them, the narrower first")
}
