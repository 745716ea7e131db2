//! Retries: they avoid the priorities that the oracle avoids, and what is taken of a limit is what is held.
#![cfg_attr(fuzzing, no_main)]

use std::sync::Arc;

use mesh_lb::load::{DataPlane, LevelHosts, LevelLoad, PanicThreshold, PriorityLoad};
use mesh_lb::retry::accounts::{Accounts, Resource, Taken};
use mesh_lb::retry::circuit_breaker::{RoutingPriority, Thresholds};
use mesh_lb::retry::previous_priorities::{PreviousPriorities, UpdateFrequency};
use mesh_testkit::oracle::retry as oracle;

mesh_fuzz::target!(|bytes| {
    let [switches, frequency, levels @ ..] = bytes else { return };
    let n_levels = usize::from(switches % 6).min(levels.len());
    let (levels, attempts) = levels.split_at(n_levels);
    priorities(levels, usize::from(*frequency % 5), attempts, u32::from(switches / 6 % 3) * 50);
    accounts(u32::from(frequency / 5 % 5), attempts);
});

/// A byte a priority: its healthy, degraded and other hosts.
fn priorities(levels: &[u8], frequency: usize, attempts: &[u8], threshold: u32) {
    let hosts: Vec<LevelHosts> = levels
        .iter()
        .map(|&byte| {
            let [healthy, degraded, ill] = [byte & 7, byte >> 3 & 3, byte >> 5].map(u32::from);
            LevelHosts { degraded, ..LevelHosts::healthy_of(healthy, healthy + degraded + ill) }
        })
        .collect();
    let Some(every) = UpdateFrequency::new(frequency) else { return };
    let mut load = PriorityLoad::default();
    load.spill(DataPlane::Envoy, &hosts, PanicThreshold::new(threshold));
    let told = |of: &dyn Fn(&LevelLoad) -> (u32, u32)| -> Vec<(u32, u32)> {
        load.levels().iter().map(of).collect()
    };
    let health = told(&|level| (level.health.get(), level.degraded_health.get()));
    let original = told(&|level| (level.healthy_load.get(), level.degraded_load.get()));
    let attempts: Vec<usize> =
        attempts.iter().take(12).map(|&byte| usize::from(byte % 8)).collect();
    let mut retries = PreviousPriorities::new(every);
    let got: Vec<Vec<(u32, u32)>> = attempts
        .iter()
        .map(|&attempt| {
            retries.attempt(attempt as u32);
            let loads = retries.loads(load.levels()).iter();
            loads.map(|level| (level.healthy_load.get(), level.degraded_load.get())).collect()
        })
        .collect();
    assert_eq!(got, oracle::previous_priorities(&health, &original, frequency, &attempts));
}

/// A byte a step: which resource, and whether it is taken or given back.
fn accounts(limit: u32, steps: &[u8]) {
    let resources = [Resource::PendingRequests, Resource::Requests, Resource::Retries];
    let thresholds = Thresholds {
        max_pending_requests: Some(limit),
        max_requests: Some(limit + 1),
        max_retries: Some(limit / 2),
        ..Thresholds::default()
    };
    let accounts = Arc::new(Accounts::new(&[thresholds]));
    let mut held: [Vec<Taken>; 3] = Default::default();
    for step in steps.iter().take(64) {
        let at = usize::from(step % 3);
        let limit = [limit, limit + 1, limit / 2][at];
        if step & 64 == 0 {
            let taken = accounts.take(RoutingPriority::Default, resources[at]);
            assert_eq!(taken.is_some(), held[at].len() < limit as usize);
            held[at].extend(taken);
        } else {
            held[at].pop();
        }
        for (held, resource) in held.iter().zip(resources) {
            let in_use = accounts.in_use(RoutingPriority::Default, resource);
            assert_eq!(held.len(), in_use as usize);
        }
    }
}
