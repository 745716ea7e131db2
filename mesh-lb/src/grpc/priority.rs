//! Which level of a gRPC client takes the traffic, over time.
//!
//! ```text
//! started ─▶ connecting ──ready──▶ in use; levels below are stopped, and kept for a while
//!               └─ 10 s, or failure ─▶ the next level is started; this one goes on connecting
//! ```
use super::connectivity::Connectivity;

/// How long a level may connect before the next one is tried.
pub const INIT_TIMEOUT_MS: u64 = 10_000;
/// How long the connections of a stopped level are kept.
pub const KEPT_MS: u64 = 15 * 60 * 1000;

/// The name of a level, as [`LevelNames`](super::level_names::LevelNames) gives it.
pub type LevelName = u32;

/// The priority policy of one channel.
///
/// # Examples
///
/// ```
/// use mesh_lb::grpc::connectivity::Connectivity;
/// use mesh_lb::grpc::priority::PriorityPolicy;
///
/// let mut policy = PriorityPolicy::default();
/// policy.handle_update(&[0, 1], 0);
/// policy.handle_timeout(10_000); // Level 0 has been connecting for ten seconds.
/// assert_eq!(policy.in_use(), Some(1));
/// policy.handle_state(0, Connectivity::Ready, 12_000);
/// assert_eq!(policy.in_use(), Some(0)); // It is taken back at once.
/// ```
///
/// # Upstream
///
/// grpc-go `internal/xds/balancer/priority/balancer_priority.go`, `priorityBalancer.syncPriority`;
/// gRFC A56.
#[derive(Clone, Debug, Default)]
pub struct PriorityPolicy {
    /// The highest first.
    levels: Vec<Level>,
    in_use: Option<LevelName>,
    kept: Vec<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    name: LevelName,
    started: bool,
    state: Connectivity,
    reported_failure: bool,
    timer: Option<u64>,
}

/// A stopped level whose connections still stand.
#[derive(Clone, Copy, Debug)]
struct Kept {
    name: LevelName,
    until: u64,
    state: Connectivity,
}

impl Level {
    const fn new(name: LevelName) -> Self {
        Self {
            name,
            started: false,
            state: Connectivity::Connecting,
            reported_failure: false,
            timer: None,
        }
    }

    fn report(&mut self, state: Connectivity, now_ms: u64) {
        let was = std::mem::replace(&mut self.state, state);
        match state {
            Connectivity::Ready | Connectivity::Idle => {
                self.reported_failure = false;
                self.timer = None;
            }
            Connectivity::TransientFailure => {
                self.reported_failure = true;
                self.timer = None;
            }
            Connectivity::Connecting => {
                let again = was != Connectivity::Connecting && !self.reported_failure;
                if again && self.timer.is_none() {
                    self.timer = Some(now_ms.saturating_add(INIT_TIMEOUT_MS));
                }
            }
        }
    }

    /// Whether traffic goes here rather than to the levels below.
    const fn is_eligible(&self) -> bool {
        match self.state {
            _ if !self.started => true,
            Connectivity::Ready | Connectivity::Idle => true,
            Connectivity::Connecting => self.timer.is_some(),
            Connectivity::TransientFailure => false,
        }
    }
}

impl PriorityPolicy {
    /// Takes the levels of a new assignment, the highest first; a name that occurs twice counts
    /// once. Levels that are gone are closed, unless they were stopped before.
    pub fn handle_update(&mut self, levels: &[LevelName], now_ms: u64) {
        let old = std::mem::take(&mut self.levels);
        for &name in levels {
            if self.levels.iter().all(|level| level.name != name) {
                let level = old.iter().find(|level| level.name == name);
                self.levels.push(level.copied().unwrap_or(Level::new(name)));
            }
        }
        self.synchronize(now_ms);
    }

    /// Takes the state that a level reports. Of a stopped level it is remembered for its return.
    pub fn handle_state(&mut self, name: LevelName, state: Connectivity, now_ms: u64) {
        match self.levels.iter_mut().find(|level| level.name == name && level.started) {
            Some(level) => {
                level.report(state, now_ms);
                self.synchronize(now_ms);
            }
            None => {
                if let Some(kept) = self.kept.iter_mut().find(|kept| kept.name == name) {
                    kept.state = state;
                }
            }
        }
    }

    /// Fires the timers that are due, the earliest first.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now_ms) {
            let timed = self.levels.iter_mut().find(|level| level.timer == Some(due));
            if let Some(level) = timed {
                level.timer = None;
            }
            self.synchronize(due);
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is to be called next, if ever.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.levels.iter().filter_map(|level| level.timer).min()
    }

    /// Returns the level that takes the traffic; none without levels.
    pub const fn in_use(&self) -> Option<LevelName> {
        self.in_use
    }

    /// Returns the state of the channel: that of the level in use, a failure without levels.
    pub fn state(&self) -> Connectivity {
        let in_use = self.levels.iter().find(|level| Some(level.name) == self.in_use);
        in_use.map_or(Connectivity::TransientFailure, |level| level.state)
    }

    /// Returns the levels that hold connections, the highest first, each with the time at which it
    /// has been connecting for too long.
    pub fn started(&self) -> impl Iterator<Item = (LevelName, Option<u64>)> + '_ {
        let started = self.levels.iter().filter(|level| level.started);
        started.map(|level| (level.name, level.timer))
    }

    /// Uses the first eligible level, or the last one; stops those below it and starts it. What a
    /// level that was kept reports at once may lead further down.
    fn synchronize(&mut self, now_ms: u64) {
        self.kept.retain(|kept| now_ms < kept.until);
        self.in_use = None;
        // Each round but the last starts a level, and none of those above is stopped.
        for _ in 0..=self.levels.len() {
            let eligible = self.levels.iter().position(Level::is_eligible);
            let Some(chosen) = eligible.or(self.levels.len().checked_sub(1)) else { return };
            let (kept, levels) = (&mut self.kept, &mut self.levels);
            for level in levels.iter_mut().skip(chosen + 1).filter(|level| level.started) {
                let until = now_ms.saturating_add(KEPT_MS);
                kept.push(Kept { name: level.name, until, state: level.state });
                *level = Level::new(level.name);
            }
            let Some(level) = levels.get_mut(chosen) else { return };
            self.in_use = Some(level.name);
            if level.started {
                return;
            }
            level.started = true;
            level.timer = Some(now_ms.saturating_add(INIT_TIMEOUT_MS));
            let Some(place) = kept.iter().position(|kept| kept.name == level.name) else { return };
            level.report(kept.swap_remove(place).state, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Connectivity::{Connecting, Ready, TransientFailure};
    use super::*;

    /// Runs reports `(time, level, state)` on two levels and says which one is in use at the end.
    fn check(reports: &[(u64, LevelName, Connectivity)], until: u64, expected: LevelName) {
        let mut policy = PriorityPolicy::default();
        policy.handle_update(&[0, 1], 0);
        for &(now, level, state) in reports {
            policy.handle_timeout(now);
            policy.handle_state(level, state, now);
        }
        policy.handle_timeout(until);
        assert_eq!(policy.in_use(), Some(expected));
    }

    #[test]
    fn a_level_has_ten_seconds_to_connect_and_is_left_at_once_when_it_fails() {
        check(&[], 9_999, 0);
        check(&[], 10_000, 1);
        check(&[(5, 0, TransientFailure)], 5, 1);
    }

    #[test]
    fn a_level_that_failed_is_not_waited_for_while_it_tries_again() {
        check(&[(1, 0, TransientFailure), (2, 0, Connecting)], 3, 1);
        check(&[(1, 0, Ready), (2, 0, Connecting)], 10_001, 0);
        check(&[(1, 0, Ready), (2, 0, Connecting)], 10_002, 1);
    }

    #[test]
    fn what_a_stopped_level_reports_counts_when_it_is_started_again() {
        let reports =
            [(1, 0, TransientFailure), (2, 1, Ready), (3, 0, Ready), (4, 1, TransientFailure)];
        let mut policy = PriorityPolicy::default();
        policy.handle_update(&[0, 1, 2], 0);
        for (now, level, state) in reports {
            policy.handle_state(level, state, now);
        }
        policy.handle_state(0, TransientFailure, 5);
        assert_eq!(policy.in_use(), Some(2)); // Level 1 says at once that it fails.
    }

    #[test]
    fn a_level_is_forgotten_a_quarter_of_an_hour_after_it_was_stopped() {
        for (pause, expected) in [(KEPT_MS - 1, Ready), (KEPT_MS, Connecting)] {
            let mut policy = PriorityPolicy::default();
            policy.handle_update(&[0, 1], 0);
            policy.handle_state(0, TransientFailure, 1);
            policy.handle_state(1, Ready, 2);
            policy.handle_state(0, Ready, 3);
            policy.handle_state(0, TransientFailure, 3 + pause);
            assert_eq!((policy.in_use(), policy.state()), (Some(1), expected));
        }
    }

    #[test]
    fn without_levels_everything_fails() {
        let mut policy = PriorityPolicy::default();
        policy.handle_update(&[], 0);
        assert_eq!((policy.in_use(), policy.state()), (None, TransientFailure));
    }
}
