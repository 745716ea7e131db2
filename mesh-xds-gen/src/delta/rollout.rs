//! Which snapshot a stream is being brought to, in one phase or in two.
//!
//! ```text
//! at once             old ───────────────────────────▶ new
//! make before break   old ──▶ new + what only old has ──(all acknowledged)──▶ new
//! ```
use std::sync::Arc;

use super::Retirement;
use crate::snapshot::Snapshot;

/// How many resources may be retained beyond as many as the newest snapshot has.
const SLACK: usize = 1_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Rollout {
    /// What the client is sent now.
    serving: Option<Arc<Snapshot>>,
    /// The newest snapshot.
    target: Option<Arc<Snapshot>>,
}

impl Rollout {
    pub(crate) fn serving(&self) -> Option<&Arc<Snapshot>> {
        self.serving.as_ref()
    }

    /// Starts bringing the client to a snapshot.
    ///
    /// A client that has not accepted everything yet may still use what any snapshot since held, so
    /// all of it is retained. One that never accepts would make that grow for ever: past twice the
    /// newest snapshot, retaining is given up.
    pub(crate) fn begin(&mut self, next: Arc<Snapshot>, retirement: Retirement) {
        self.serving = Some(match (retirement, &self.serving) {
            (Retirement::MakeBeforeBreak, Some(serving)) => {
                let union = next.retaining(serving);
                let limit = next.len().saturating_mul(2).saturating_add(SLACK);
                if union.len() > limit { next.clone() } else { Arc::new(union) }
            }
            (Retirement::MakeBeforeBreak, None) | (Retirement::AtOnce, _) => next.clone(),
        });
        self.target = Some(next);
    }

    /// Goes on to the second phase, now that the client has accepted all it was sent.
    pub(crate) fn advance(&mut self) {
        self.serving.clone_from(&self.target);
    }
}
