//! How the priorities of a destination are loaded as the nearest one loses health.
use crate::load::{LevelHosts, PriorityLoad};
use crate::share::{Shares, Spread};

/// The healthy shares of the first priority that a ladder shows, in percent.
pub const LADDER: [u32; 5] = [100, 75, 50, 25, 0];

/// Returns the load of each priority for each step of [`LADDER`], the health of all other priorities
/// as it is.
pub fn ladder(spread: &Spread, shares: &Shares) -> [(u32, Vec<u32>); 5] {
    LADDER.map(|percent| {
        let levels = shares.hosts().iter().enumerate();
        let hosts: Vec<LevelHosts> = levels
            .map(|(priority, level)| at_health(level, (priority == 0).then_some(percent)))
            .collect();
        let mut load = PriorityLoad::default();
        load.spill(spread.data_plane, &hosts, spread.panic_threshold);
        (percent, load.levels().iter().map(|level| level.healthy_load.get()).collect())
    })
}

/// A level with its counts a hundredfold, so that a percentage of one host is a number of hosts.
fn at_health(level: &LevelHosts, percent: Option<u32>) -> LevelHosts {
    let scaled = |count: u32| count.saturating_mul(100);
    let healthy = match percent {
        Some(percent) => level.total.saturating_sub(level.excluded).saturating_mul(percent),
        None => scaled(level.healthy),
    };
    LevelHosts {
        total: scaled(level.total),
        healthy,
        degraded: scaled(level.degraded),
        excluded: scaled(level.excluded),
        ..*level
    }
}
