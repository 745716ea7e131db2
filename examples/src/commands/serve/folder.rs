//! The folder as it is served: the newest text of each file, or the last good one.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::registry::{Effect, Mesh, Registry, Source};

use super::event::Reload;
use crate::{Failure, folder};

type Files = BTreeMap<Arc<str>, Source>;
/// What is wrong with a file: code, object, field and sentence of each error.
type Errors = BTreeMap<Arc<str>, BTreeSet<(&'static str, String, String, String)>>;

/// A folder and what of it is served.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    /// Holds what is served.
    registry: Registry,
    /// What is on disk.
    on_disk: Files,
    /// What is served: a file with new errors is there with its last good text.
    served: Files,
    /// The errors of what is served.
    errors: Errors,
    /// What is different from the mesh that was handed out last.
    effect: Effect,
    /// Why the folder could not be read the last time.
    problem: Option<String>,
}

/// A mesh, and what makes it different from the one before.
pub(super) type Revision = (Arc<Mesh>, Effect);

/// How often texts that broke are put back before whatever loads is taken: putting one back can
/// break another only if both hold the same object.
const ROUNDS: usize = 8;

impl Watched {
    /// Loads a folder for the first time; what is wrong with it goes to stderr, as in any command.
    pub(super) fn open(path: &Path, compat: Compat) -> Result<(Self, Arc<Mesh>), Failure> {
        let files = folder::Files::read(path)?;
        let served = by_name(files.sources);
        let mut registry = Registry::new(compat);
        let diagnostics = registry.load(served.values().cloned());
        let mesh = registry.mesh();
        for diagnostic in files.diagnostics.iter().chain(&diagnostics) {
            eprintln!("{diagnostic}");
        }
        let errors = errors(&diagnostics);
        let on_disk = served.clone();
        let path = path.to_owned();
        let effect = Effect::default();
        Ok((Self { path, registry, on_disk, served, errors, effect, problem: None }, mesh))
    }

    /// The folder's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder could be read the last time.
    pub(super) fn is_readable(&self) -> bool {
        self.problem.is_none()
    }

    /// Reads the folder again. `None` if nothing changed; the mesh is `None` if nothing that changed
    /// can be served.
    pub(super) fn reload(&mut self) -> Option<(Reload, Option<Revision>)> {
        match folder::Files::read(&self.path) {
            Ok(mut files) => {
                let was_unreadable = self.problem.take().is_some();
                // A file that cannot be read is as it was.
                let known = files.unreadable().filter_map(|name| self.on_disk.get(name).cloned());
                let known: Vec<Source> = known.collect();
                files.sources.extend(known);
                let on_disk = by_name(files.sources);
                let changed = differences(&self.on_disk, &on_disk);
                if changed.is_empty() && !was_unreadable {
                    return None;
                }
                self.on_disk = on_disk;
                Some(self.serve(changed))
            }
            Err(failure) => {
                let problem = Some(sentence(failure));
                if self.problem == problem {
                    return None;
                }
                self.problem.clone_from(&problem);
                Some((Reload { problem, ..Reload::default() }, None))
            }
        }
    }

    /// Serves what is on disk, but for texts with errors that the text served before has not.
    fn serve(&mut self, changed: Vec<Arc<str>>) -> (Reload, Option<Revision>) {
        let mut files = self.on_disk.clone();
        let (diagnostics, effect) = self.registry.reload(files.values().cloned());
        self.effect.merge(effect);
        let mut errors = errors(&diagnostics);
        let mut kept = BTreeSet::new();
        for _ in 0..ROUNDS {
            let broken = self.broken(&files, &errors);
            if broken.is_empty() {
                break;
            }
            for source in broken {
                kept.insert(source.name.clone());
                files.insert(source.name.clone(), source);
            }
            let (found, effect) = self.registry.reload(files.values().cloned());
            self.effect.merge(effect);
            errors = self::errors(&found);
        }
        let is_served = differences(&self.served, &files).is_empty();
        self.served = files;
        self.errors = errors;
        let kept = kept.into_iter().collect();
        let reload = Reload { changed, kept, diagnostics, problem: None };
        let revision = || (self.registry.mesh(), std::mem::take(&mut self.effect));
        (reload, (!is_served).then(revision))
    }

    /// The texts served so far of files that have new errors.
    fn broken(&self, files: &Files, errors: &Errors) -> Vec<Source> {
        let nothing = BTreeSet::new();
        let is_new = |name: &Arc<str>, found: &BTreeSet<_>| {
            !found.is_subset(self.errors.get(name).unwrap_or(&nothing))
        };
        let broken = errors.iter().filter(|(name, found)| is_new(name, found));
        let served = broken.filter_map(|(name, _)| self.served.get(name));
        let differs =
            |source: &&Source| files.get(&source.name).is_none_or(|now| now.text != source.text);
        served.filter(differs).cloned().collect()
    }
}

fn by_name(sources: Vec<Source>) -> Files {
    sources.into_iter().map(|source| (source.name.clone(), source)).collect()
}

fn errors(diagnostics: &[Diagnostic]) -> Errors {
    let mut errors = Errors::new();
    for found in diagnostics.iter().filter(|found| found.severity == Severity::Error) {
        let Diagnostic { code, object, field, message, .. } = found;
        let key = (*code, object.clone(), field.clone(), message.clone());
        errors.entry(found.file.clone()).or_default().insert(key);
    }
    errors
}

/// The names of files that are in one only, or differ.
fn differences(before: &Files, after: &Files) -> Vec<Arc<str>> {
    let names: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
    let differs = |name: &&Arc<str>| match (before.get(*name), after.get(*name)) {
        (Some(before), Some(after)) => before.text != after.text,
        _ => true,
    };
    names.into_iter().filter(differs).cloned().collect()
}

fn sentence(failure: Failure) -> String {
    match failure {
        Failure::Unanswered(sentence) => sentence,
        Failure::No => "the folder has no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("mesh-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("clusters/c1")).unwrap();
            let folder = Self(path);
            folder.write("clusters/c1/namespaces.yaml", NAMESPACE);
            folder
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.join(name), text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _removed = std::fs::remove_dir_all(&self.0);
        }
    }

    fn check(reload: Option<(Reload, Option<Revision>)>, changed: &[&str], kept: &[&str]) {
        let (reload, _) = reload.unwrap();
        assert_eq!(reload.changed, changed.iter().map(|it| Arc::from(*it)).collect::<Vec<_>>());
        assert_eq!(reload.kept, kept.iter().map(|it| Arc::from(*it)).collect::<Vec<_>>());
    }

    #[test]
    fn a_folder_that_did_not_change_is_not_loaded_again() {
        let folder = Folder::new("same");
        let (mut watched, _) = Watched::open(&folder.0, Compat::default()).unwrap();
        assert!(watched.reload().is_none());
        folder.write("clusters/c1/namespaces.yaml", NAMESPACE);
        assert!(watched.reload().is_none());
    }

    #[test]
    fn a_file_that_breaks_keeps_its_last_good_text_until_it_is_mended() {
        let folder = Folder::new("broken");
        let file = "clusters/c1/namespaces.yaml";
        let (mut watched, _) = Watched::open(&folder.0, Compat::default()).unwrap();
        folder.write(file, "apiVersion: v1\nkind: [");
        let reload = watched.reload();
        assert!(reload.as_ref().unwrap().1.is_none());
        assert!(!reload.as_ref().unwrap().0.diagnostics.is_empty());
        check(reload, &[file], &[file]);
        assert_eq!(watched.served[file].text, NAMESPACE.as_bytes());
        folder.write("clusters/c1/more.yaml", &NAMESPACE.replace("shop", "web"));
        check(watched.reload(), &["clusters/c1/more.yaml"], &[file]);
        folder.write(file, &NAMESPACE.replace("shop", "data"));
        check(watched.reload(), &[file], &[]);
    }

    #[test]
    fn an_error_that_only_moves_down_in_its_file_is_no_new_one() {
        let folder = Folder::new("moved");
        let file = "clusters/c1/more.yaml";
        let twice = "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  name: p\n";
        folder.write(file, &format!("{NAMESPACE}---\n{NAMESPACE}{twice}"));
        let (mut watched, _) = Watched::open(&folder.0, Compat::default()).unwrap();
        assert_eq!(watched.errors.values().map(BTreeSet::len).sum::<usize>(), 3);
        folder.write(file, &format!("# moves\n{NAMESPACE}---\n{NAMESPACE}{twice}"));
        check(watched.reload(), &[file], &[]);
        folder.write("clusters/c1/first.yaml", NAMESPACE);
        check(watched.reload(), &["clusters/c1/first.yaml"], &[]);
    }

    #[test]
    fn a_folder_that_is_gone_is_told_once_and_keeps_being_served() {
        let folder = Folder::new("gone");
        let (mut watched, _) = Watched::open(&folder.0, Compat::default()).unwrap();
        std::fs::remove_dir_all(&folder.0).unwrap();
        let (reload, mesh) = watched.reload().unwrap();
        assert!(reload.problem.is_some() && mesh.is_none());
        assert!(watched.reload().is_none());
        assert!(!watched.is_readable());
    }
}
