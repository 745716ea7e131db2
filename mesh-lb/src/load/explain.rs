//! The arithmetic of [`PriorityLoad::spill`], step by step, for people.
use mesh_model::compat::DataPlane;

use super::degraded::entitled;
use super::overprovision::{LevelHosts, Percent};
use super::panic::{PanicThreshold, available_percent};
use super::priority::{LevelLoad, PriorityLoad};

/// Explains how the loads of `hosts` come about, one line a step; `load` is what
/// [`PriorityLoad::spill`] computed from the same arguments.
///
/// # Examples
///
/// ```
/// use mesh_lb::load::{DataPlane, LevelHosts, PanicThreshold, PriorityLoad, explain};
///
/// let hosts = [LevelHosts::healthy_of(50, 100), LevelHosts::healthy_of(100, 100)];
/// let mut load = PriorityLoad::default();
/// load.spill(DataPlane::Envoy, &hosts, PanicThreshold::OFF);
/// let steps = explain(DataPlane::Envoy, &hosts, PanicThreshold::OFF, &load);
/// assert_eq!(steps[0], "priority 0: health = min(100, 140 × 50 / 100) = 70");
/// assert_eq!(steps[3], "priority 0: load = min(100, 70 × 100 / 100) = 70, leaves 30");
/// ```
pub fn explain(
    plane: DataPlane,
    hosts: &[LevelHosts],
    threshold: PanicThreshold,
    load: &PriorityLoad,
) -> Vec<String> {
    let mut steps = Vec::new();
    match plane {
        DataPlane::IstioProxy | DataPlane::Envoy => {
            explain_spill(hosts, threshold, load, &mut steps);
        }
        DataPlane::Grpc => {
            explain_first_usable(hosts, "the last priority is used, and fails", &mut steps)
        }
        DataPlane::Ztunnel => explain_first_usable(hosts, "there is no destination", &mut steps),
    }
    steps
}

fn explain_first_usable(hosts: &[LevelHosts], otherwise: &str, steps: &mut Vec<String>) {
    for (index, level) in hosts.iter().enumerate() {
        let (healthy, total) = (level.healthy, level.total);
        if healthy > 0 {
            steps.push(format!(
                "priority {index}: {healthy} of {total} hosts are healthy: load = 100"
            ));
            return;
        }
        steps.push(format!("priority {index}: none of {total} hosts is healthy, passed over"));
    }
    steps.push(format!("no priority has a healthy host: {otherwise}"));
}

fn explain_spill(
    hosts: &[LevelHosts],
    threshold: PanicThreshold,
    load: &PriorityLoad,
    steps: &mut Vec<String>,
) {
    for (index, (hosts, level)) in hosts.iter().zip(load.levels()).enumerate() {
        explain_health(index, hosts, level, steps);
    }
    let health: Vec<u32> = load
        .levels()
        .iter()
        .flat_map(|level| [level.health.get(), level.degraded_health.get()])
        .filter(|&health| health > 0)
        .collect();
    let available = load.normalized_total_availability();
    steps.push(format!("total health = min(100, {}) = {}", sum(&health), available.get()));
    if available == Percent::NONE && threshold == PanicThreshold::OFF {
        let has_healthy = hosts.first().is_some_and(|first| first.measures().0 > 0);
        let outcome = if has_healthy { "" } else { ", and fails: none of its hosts is healthy" };
        steps.push(format!("panic is off and total health is 0: priority 0 gets 100{outcome}"));
        return;
    }
    if available != Percent::NONE {
        explain_distribution(load.levels(), available, steps);
    }
    explain_panic(hosts, threshold, load, steps);
}

fn sum(terms: &[u32]) -> String {
    if terms.is_empty() {
        return "0".to_owned();
    }
    terms.iter().map(u32::to_string).collect::<Vec<_>>().join(" + ")
}

fn explain_health(index: usize, hosts: &LevelHosts, level: &LevelLoad, steps: &mut Vec<String>) {
    let factor = hosts.overprovisioning.get();
    let (healthy, degraded, total) = hosts.measures();
    if total == 0 {
        steps.push(format!("priority {index}: no host counts: health = 0"));
        return;
    }
    let (unit, excluded) = match hosts.weights {
        Some(weights) => (" (weights)", weights.excluded),
        None => ("", u64::from(hosts.excluded)),
    };
    let excluded = match excluded {
        0 => String::new(),
        excluded => format!(", {excluded} excluded from the total"),
    };
    let health = level.health.get();
    steps.push(format!(
        "priority {index}: health = min(100, {factor} × {healthy} / {total}) = {health}{unit}{excluded}"
    ));
    if degraded > 0 {
        let health = level.degraded_health.get();
        steps.push(format!(
            "priority {index}: degraded health = min(100, {factor} × {degraded} / {total}) = {health}{unit}"
        ));
    }
}

fn explain_distribution(levels: &[LevelLoad], available: Percent, steps: &mut Vec<String>) {
    let mut left = 100;
    let mut step = |index: usize, what: &str, health: Percent| {
        if health == Percent::NONE {
            return;
        }
        let share = entitled(health, available).min(left);
        let (had, health, all) = (left, health.get(), available.get());
        left -= share;
        steps.push(format!(
            "priority {index}: {what} = min({had}, {health} × 100 / {all}) = {share}, leaves {left}"
        ));
    };
    for (index, level) in levels.iter().enumerate() {
        step(index, "load", level.health);
    }
    for (index, level) in levels.iter().enumerate() {
        step(index, "degraded load", level.degraded_health);
    }
    if left == 0 {
        return;
    }
    let healthy = levels.iter().position(|level| level.health != Percent::NONE);
    let degraded = levels.iter().position(|level| level.degraded_health != Percent::NONE);
    let (what, index) = match (healthy, degraded) {
        (Some(index), _) => ("load", index),
        (None, Some(index)) => ("degraded load", index),
        (None, None) => return,
    };
    steps.push(format!("priority {index}: receives the {left} that rounding left over, as {what}"));
}

fn explain_panic(
    hosts: &[LevelHosts],
    threshold: PanicThreshold,
    load: &PriorityLoad,
    steps: &mut Vec<String>,
) {
    if threshold == PanicThreshold::OFF {
        steps.push("panic is off (threshold 0)".to_owned());
        return;
    }
    let threshold = threshold.get();
    if load.normalized_total_availability() == Percent::ALL {
        steps.push("total health is 100: no priority panics".to_owned());
        return;
    }
    for (index, (hosts, level)) in hosts.iter().zip(load.levels()).enumerate() {
        let available = available_percent(hosts);
        let verdict = if level.panic { "below the threshold of" } else { "not below" };
        let outcome = if level.panic { ": panic, health is ignored" } else { "" };
        steps.push(format!(
            "priority {index}: {available:.1}% of its hosts are available, {verdict} {threshold}%{outcome}"
        ));
    }
    if !load.is_total_panic() {
        return;
    }
    let total: u64 = hosts.iter().map(|level| u64::from(level.total)).sum();
    steps.push("every priority panics: loads follow the number of hosts instead".to_owned());
    for (index, (hosts, level)) in hosts.iter().zip(load.levels()).enumerate() {
        let (hosts, load) = (hosts.total, level.healthy_load.get());
        let share = (100 * u64::from(hosts)).checked_div(total).unwrap_or(0);
        let lump = match u64::from(load).saturating_sub(share) {
            0 => String::new(),
            lump => format!(" + {lump} left over"),
        };
        steps.push(match total {
            0 => format!("priority {index}: load = 0 of 0 hosts{lump} = {load}"),
            _ => format!("priority {index}: load = 100 × {hosts} / {total}{lump} = {load}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(plane: DataPlane, hosts: &[LevelHosts], threshold: u32, expected: &[&str]) {
        let threshold = PanicThreshold::new(threshold);
        let mut load = PriorityLoad::default();
        load.spill(plane, hosts, threshold);
        assert_eq!(explain(plane, hosts, threshold, &load), expected);
    }

    #[test]
    fn a_spill_without_panic_names_the_remainder() {
        let hosts = [25, 25, 20].map(|healthy| LevelHosts::healthy_of(healthy, 100));
        check(
            DataPlane::Envoy,
            &hosts,
            0,
            &[
                "priority 0: health = min(100, 140 × 25 / 100) = 35",
                "priority 1: health = min(100, 140 × 25 / 100) = 35",
                "priority 2: health = min(100, 140 × 20 / 100) = 28",
                "total health = min(100, 35 + 35 + 28) = 98",
                "priority 0: load = min(100, 35 × 100 / 98) = 35, leaves 65",
                "priority 1: load = min(65, 35 × 100 / 98) = 35, leaves 30",
                "priority 2: load = min(30, 28 × 100 / 98) = 28, leaves 2",
                "priority 0: receives the 2 that rounding left over, as load",
                "panic is off (threshold 0)",
            ],
        );
    }

    #[test]
    fn health_that_rounds_to_0_is_not_taken_for_none() {
        let told = |healthy: u32, total: u32, expected: &str| {
            let hosts = [LevelHosts::healthy_of(healthy, total)];
            let threshold = PanicThreshold::OFF;
            let mut load = PriorityLoad::default();
            load.spill(DataPlane::Envoy, &hosts, threshold);
            let steps = explain(DataPlane::Envoy, &hosts, threshold, &load);
            assert_eq!(steps.last().map(String::as_str), Some(expected));
        };
        let all = "panic is off and total health is 0: priority 0 gets 100";
        told(1, 200, all);
        told(0, 10, &format!("{all}, and fails: none of its hosts is healthy"));
    }

    #[test]
    fn no_host_at_all_divides_nothing() {
        check(
            DataPlane::Envoy,
            &[LevelHosts::default()],
            50,
            &[
                "priority 0: no host counts: health = 0",
                "total health = min(100, 0) = 0",
                "priority 0: 0.0% of its hosts are available, below the threshold of 50%: panic, health is ignored",
                "every priority panics: loads follow the number of hosts instead",
                "priority 0: load = 0 of 0 hosts + 100 left over = 100",
            ],
        );
    }

    #[test]
    fn total_panic_shows_the_counts_of_hosts() {
        let hosts = [LevelHosts::healthy_of(0, 1), LevelHosts::healthy_of(0, 2)];
        check(
            DataPlane::Envoy,
            &hosts,
            50,
            &[
                "priority 0: health = min(100, 140 × 0 / 1) = 0",
                "priority 1: health = min(100, 140 × 0 / 2) = 0",
                "total health = min(100, 0) = 0",
                "priority 0: 0.0% of its hosts are available, below the threshold of 50%: panic, health is ignored",
                "priority 1: 0.0% of its hosts are available, below the threshold of 50%: panic, health is ignored",
                "every priority panics: loads follow the number of hosts instead",
                "priority 0: load = 100 × 1 / 3 + 1 left over = 34",
                "priority 1: load = 100 × 2 / 3 = 66",
            ],
        );
    }

    #[test]
    fn grpc_says_which_priorities_it_passed_over() {
        let hosts = [LevelHosts::healthy_of(0, 2), LevelHosts::healthy_of(1, 2)];
        check(
            DataPlane::Grpc,
            &hosts,
            50,
            &[
                "priority 0: none of 2 hosts is healthy, passed over",
                "priority 1: 1 of 2 hosts are healthy: load = 100",
            ],
        );
    }
}
