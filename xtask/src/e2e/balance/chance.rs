//! Random hosts and settings, skewed to the edges.
use mesh_lb::health::status::HealthStatus;
use mesh_lb::pick::hash::HashFunction;

use super::scenario::{Asked, Scenario};
use super::site::{Policy, Settings, SiteHost, ZONES};
use crate::e2e::random::Random;

/// How many scenarios are drawn.
const SCENARIOS: usize = 30;
/// Keys by which hash policies are compared.
const KEYS: usize = 150;

const HEALTH: [HealthStatus; 8] = [
    HealthStatus::Healthy,
    HealthStatus::Healthy,
    HealthStatus::Unknown,
    HealthStatus::Unhealthy,
    HealthStatus::Unhealthy,
    HealthStatus::Timeout,
    HealthStatus::Draining,
    HealthStatus::Degraded,
];

pub(super) fn all(random: &mut Random) -> Vec<Scenario> {
    (0..SCENARIOS).map(|at| scenario(random, at)).collect()
}

fn scenario(random: &mut Random, number: usize) -> Scenario {
    let priorities = 1 + random.below(3);
    let count = priorities + random.below(9);
    let is_weighted = random.once_in(2);
    let hosts: Vec<SiteHost> =
        (0..count).map(|at| host(random, level(at, priorities), is_weighted)).collect();
    let settings = settings(random, priorities);
    let sentence = format!("chance {number}: {}, panic {}", told(settings.policy), settings.panic);
    if settings.is_consistent() {
        let keys = (0..KEYS).map(|_| Asked::header("x-key", &random.next().to_string()));
        return Scenario::hosts(&sentence, &hosts, &settings, keys.collect());
    }
    Scenario::shares(&sentence, &hosts, &settings)
}

/// Every priority has a host; the others follow in turn.
fn level(at: usize, priorities: usize) -> usize {
    at.checked_rem(priorities).unwrap_or(0)
}

fn host(random: &mut Random, priority: usize, is_weighted: bool) -> SiteHost {
    let weight = if is_weighted { random.of(&[1, 1, 2, 3, 10], 1) } else { 1 };
    let health = random.of(&HEALTH, HealthStatus::Healthy);
    SiteHost { priority, zone: random.text(&ZONES), weight, health }
}

fn settings(random: &mut Random, priorities: usize) -> Settings {
    let function =
        random.of(&[HashFunction::XxHash, HashFunction::MurmurHash2], HashFunction::XxHash);
    let ring = Policy::Ring { minimum: 1 + random.next() % 3000, maximum: 8_388_608, function };
    let maglev = Policy::Maglev { size: random.of(&[65_537, 251, 13], 251) };
    let policies = [
        Policy::RoundRobin,
        Policy::RoundRobin,
        Policy::LeastOfTwo,
        Policy::LeastOfAll,
        Policy::Random,
        ring,
        maglev,
        maglev,
    ];
    let mut settings = Settings {
        panic: random.of(&[0, 0, 50, 50, 33, 100], 50),
        factor: random.of(&[140, 140, 100, 250, 70], 140),
        locality_weighted: random.once_in(2),
        ..Settings::of(random.of(&policies, Policy::RoundRobin))
    };
    if priorities == 1 && random.once_in(2) {
        settings.locality_weighted = true;
        settings.distribute = vec![(ZONES[0], 60), (ZONES[1], 30), (ZONES[2], 10)];
    }
    settings
}

fn told(policy: Policy) -> String {
    format!("{policy:?}").to_lowercase()
}
