//! What the data planes that are not Envoy make of priorities.
//!
//! A gRPC client: the first priority with a usable host takes everything; if there is none the last
//! one does, and fails. No overprovisioning, no degraded class, no panic. A ztunnel: the best rank
//! (here: priority) with a host takes everything; if there is none nothing does.
use super::overprovision::{LevelHosts, Percent};
use super::priority::LevelLoad;

/// Gives everything to the first priority with a healthy host; returns whether there is one.
///
/// A priority counts as wholly able or wholly unable: its health is 100 or 0.
pub(super) fn first_usable(levels: &[LevelHosts], loads: &mut Vec<LevelLoad>) -> bool {
    let mut taken = false;
    loads.extend(levels.iter().map(|level| {
        let usable = level.healthy > 0;
        let first = usable && !taken;
        taken |= usable;
        LevelLoad {
            health: if usable { Percent::ALL } else { Percent::NONE },
            healthy_load: if first { Percent::ALL } else { Percent::NONE },
            ..LevelLoad::default()
        }
    }));
    taken
}
