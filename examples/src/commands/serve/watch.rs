//! Reloading the folder when it changes.
use std::path::PathBuf;
use std::sync::Arc;

use super::event::Event;
use super::folder::Watched;
use super::hub::Hub;
use crate::watch::Watch;

/// Reloads the folder whenever it changes, and hands out what comes of it.
pub(super) async fn watch(hub: Arc<Hub>, mut watched: Watched, secrets: Option<PathBuf>) {
    let mut paths: Vec<PathBuf> = secrets.into_iter().collect();
    let has_secrets = !paths.is_empty();
    paths.push(watched.path().to_owned());
    let mut changes = Watch::new(paths, |message| Event::Unwatched { message }.tell());
    while changes.changed(watched.is_readable()).await.is_some() {
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
