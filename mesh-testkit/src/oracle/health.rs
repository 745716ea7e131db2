//! Active health checks, from everything that was ever found.

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an oracle is plain data")]
pub enum Found {
    /// The host is well.
    Well,
    /// It said that it is not.
    Ill,
    /// It did not say: no connection, no answer in time, a status worth another attempt.
    Unknown,
}

/// Returns whether the host counts as failed after each finding. `is_new`: it was never checked, and
/// so counts as failed. The thresholds are those of failures and of successes.
///
/// The run of findings at the end decides: of successes, if the host counts as failed; of failures, if
/// it does not. A threshold of 0 is no length of a run.
pub fn failed_after(is_new: bool, thresholds: (usize, usize), findings: &[Found]) -> Vec<bool> {
    let mut told = Vec::new();
    for end in 1..=findings.len() {
        let before = told.last().copied().unwrap_or(is_new);
        let so_far = findings.get(..end).unwrap_or_default();
        let run = |well: bool| {
            so_far.iter().rev().take_while(|found| (**found == Found::Well) == well).count()
        };
        told.push(match so_far.last() {
            Some(Found::Well) if before => end > 1 && run(true) != thresholds.1,
            Some(Found::Ill) if !before => true,
            Some(Found::Unknown) if !before => run(false) == thresholds.0,
            _ => before,
        });
    }
    told
}
