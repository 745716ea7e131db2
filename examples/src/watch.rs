//! Hearing that folders change, also where they are replaced: `mesh serve` and the story `mtls` by one rule.
//!
//! The operating system tells of changes. A watch follows the folder and not its name: one that is renamed away,
//! with another in its place, is watched where it went. So the folders are looked at as well, and watched anew
//! where they are others.
use std::path::PathBuf;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

// By its path: examples take this file as a module of their own.
#[path = "watch/look.rs"]
mod look;

use self::look::Look;

/// Changes so near to one another count as one.
const QUIET: Duration = Duration::from_millis(100);
/// After so many quiet times changes count though more keep coming.
const PATIENCE: usize = 10;
/// How often the folders are read when nobody tells that they changed, or they could not be read.
const POLL: Duration = Duration::from_secs(1);
/// How often the folders are looked at beside the watch: a watch can be lost without a word.
const LOOK: Duration = Duration::from_secs(2);

/// Some folders, and how it is heard that they change.
#[derive(Debug)]
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    sender: mpsc::Sender<()>,
    changes: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    seen: Look,
    /// Says that the operating system cannot tell of changes, and why.
    unwatched: fn(&str),
}

impl Watch {
    /// Watches folders; `unwatched` is told why where the operating system cannot: then they are polled.
    pub(crate) fn new(paths: Vec<PathBuf>, unwatched: fn(&str)) -> Self {
        let (sender, changes) = mpsc::channel(1);
        let seen = Look::at(&paths);
        let mut watch = Self { paths, sender, changes, watcher: None, seen, unwatched };
        watch.watcher = watch.start();
        watch
    }

    /// Waits until the folders may have changed; every second where `is_readable` says that they could not be
    /// read. `None` once nothing more can be heard.
    pub(crate) async fn changed(&mut self, is_readable: bool) -> Option<()> {
        loop {
            let is_told = self.watcher.is_some() && is_readable;
            let woken = self.wait(is_told).await;
            let at = self.paths.clone();
            // What changes after the look is told, or seen at the next one.
            let look = tokio::task::spawn_blocking(move || Look::at(&at)).await.ok()?;
            let is_missed = is_told && woken == Woken::ByTheClock;
            if is_missed && look == self.seen {
                continue;
            }
            if is_missed || !look.has_folders_of(&self.seen) {
                // A folder that was replaced is another one to the operating system, and a change that
                // was not told shows that the watch is lost.
                self.watcher = if look.is_whole() { self.start() } else { None };
            }
            self.seen = look;
            return Some(());
        }
    }

    /// Waits for a change, and until there is quiet after it; or for the next look.
    async fn wait(&mut self, is_told: bool) -> Woken {
        let longest = if is_told { LOOK } else { POLL };
        if tokio::time::timeout(longest, self.changes.recv()).await.is_err() {
            return Woken::ByTheClock;
        }
        for _ in 0..PATIENCE {
            if tokio::time::timeout(QUIET, self.changes.recv()).await.is_err() {
                break;
            }
        }
        Woken::ByAChange
    }

    /// Has the operating system tell of changes; where it cannot, says so.
    fn start(&self) -> Option<RecommendedWatcher> {
        let sender = self.sender.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            let is_change = event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_)));
            if is_change {
                // A full channel already says that something changed.
                let _told = sender.try_send(());
            }
        };
        let started = notify::recommended_watcher(handler).and_then(|mut watcher| {
            for path in &self.paths {
                watcher.watch(path, RecursiveMode::Recursive)?;
            }
            Ok(watcher)
        });
        match started {
            Ok(watcher) => {
                // What changed before is not told: the folders are read once more.
                let _told = self.sender.try_send(());
                Some(watcher)
            }
            Err(error) => {
                (self.unwatched)(&format!("the folder is read every second: {error}"));
                None
            }
        }
    }
}

/// Why the folders are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Woken {
    ByAChange,
    ByTheClock,
}
