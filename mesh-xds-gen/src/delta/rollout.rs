//! Which snapshot a stream is being brought to, in one phase or in two.
//!
//! ```text
//! at once             old ───────────────────────────▶ new
//! make before break   old ──▶ new + what only old has ──(all acknowledged)──▶ new
//! ```
use std::sync::Arc;

use super::Retirement;
use crate::snapshot::Snapshot;

#[derive(Clone, Debug, Default)]
pub(crate) struct Rollout {
    /// The last snapshot that the client has accepted whole.
    settled: Option<Arc<Snapshot>>,
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
    /// A client that has not accepted the previous one yet may still use the one before: what either has is retained. Older
    /// ones are not, so that a client that accepts nothing costs no more than three snapshots.
    pub(crate) fn begin(&mut self, next: Arc<Snapshot>, retirement: Retirement) {
        self.serving = Some(match retirement {
            Retirement::AtOnce => next.clone(),
            Retirement::MakeBeforeBreak => {
                let older = [self.target.as_deref(), self.settled.as_deref()];
                let kept = older.into_iter().flatten();
                Arc::new(kept.fold((*next).clone(), |union, older| union.retaining(older)))
            }
        });
        self.target = Some(next);
    }

    /// Notes that the client has accepted all it was sent, and goes on to the next phase.
    pub(crate) fn advance(&mut self) {
        self.settled.clone_from(&self.target);
        self.serving.clone_from(&self.target);
    }
}
