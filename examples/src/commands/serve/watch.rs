//! Noticing that the folder changed.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::event::Event;
use super::folder::Watched;
use super::hub::Hub;
use super::look::Look;

/// Changes so near to one another count as one.
const QUIET: Duration = Duration::from_millis(100);
/// After so many quiet times changes count though more keep coming.
const PATIENCE: usize = 10;
/// How often the folder is read when nobody tells that it changed, or it could not be read.
const POLL: Duration = Duration::from_secs(1);
/// How often the folder is looked at beside the watch: a watch can be lost without a word.
const LOOK: Duration = Duration::from_secs(2);

/// Reloads the folder whenever it changes, and hands out what comes of it.
pub(super) async fn watch(hub: Arc<Hub>, mut watched: Watched, secrets: Option<PathBuf>) {
    let (sender, mut changes) = mpsc::channel(1);
    let mut paths: Vec<PathBuf> = secrets.into_iter().collect();
    let has_secrets = !paths.is_empty();
    paths.push(watched.path().to_owned());
    let mut seen = Look::at(&paths);
    let mut watcher = start(&sender, &paths);
    loop {
        let is_told = watcher.is_some() && watched.is_readable();
        let woken = wait(&mut changes, is_told).await;
        let at = paths.clone();
        // What changes after the look is told, or seen at the next one.
        let Ok(look) = tokio::task::spawn_blocking(move || Look::at(&at)).await else { return };
        let is_missed = is_told && woken == Woken::ByTheClock;
        if is_missed && look == seen {
            continue;
        }
        if is_missed || !look.has_folders_of(&seen) {
            // A folder that was replaced is another one to the operating system, and a change that
            // was not told shows that the watch is lost.
            watcher = if look.is_whole() { start(&sender, &paths) } else { None };
        }
        seen = look;
        let Ok((returned, reloaded)) = tokio::task::spawn_blocking(move || {
            let reloaded = watched.reload();
            (watched, reloaded)
        })
        .await
        else {
            return;
        };
        watched = returned;
        if let Some((reload, _)) = &reloaded {
            Event::Reload(reload).tell();
        }
        if has_secrets {
            hub.refresh();
        }
        if let Some((mesh, effect)) = reloaded.and_then(|(_, revision)| revision) {
            hub.publish(mesh, effect);
        }
    }
}

/// Why the folder is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Woken {
    ByAChange,
    ByTheClock,
}

/// Waits for a change, and until there is quiet after it; or for the next look.
async fn wait(changes: &mut mpsc::Receiver<()>, is_told: bool) -> Woken {
    let longest = if is_told { LOOK } else { POLL };
    if tokio::time::timeout(longest, changes.recv()).await.is_err() {
        return Woken::ByTheClock;
    }
    for _ in 0..PATIENCE {
        if tokio::time::timeout(QUIET, changes.recv()).await.is_err() {
            break;
        }
    }
    Woken::ByAChange
}

/// Has the operating system tell of changes; where it cannot, says so: then the folder is polled.
fn start(sender: &mpsc::Sender<()>, paths: &[PathBuf]) -> Option<RecommendedWatcher> {
    let (first, sender) = (sender, sender.clone());
    let handler = move |event: notify::Result<notify::Event>| {
        let is_change = event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_)));
        if is_change {
            // A full channel already says that something changed.
            let _told = sender.try_send(());
        }
    };
    let started = notify::recommended_watcher(handler).and_then(|mut watcher| {
        for path in paths {
            watcher.watch(path, RecursiveMode::Recursive)?;
        }
        Ok(watcher)
    });
    match started {
        Ok(watcher) => {
            // What changed before is not told: the folder is read once more.
            let _told = first.try_send(());
            Some(watcher)
        }
        Err(error) => {
            let message = format!("the folder is read every second: {error}");
            Event::Unwatched { message: &message }.tell();
            None
        }
    }
}
