//! Reading a mesh folder from disk: the only place where files become sources, for `mesh` and the story `mtls`.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_model::Compat;
use mesh_model::manifest::{self, Diagnostic, Limits, Place, Severity};
use mesh_model::registry::{Effect, Mesh, Origin, Registry, Source, decides_security};

use super::Failure;

/// The example mesh of the repository that this program was built from.
pub(crate) fn example() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/meshes/shop"))
}

/// A folder that has been loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Where it is.
    pub folder: PathBuf,
    /// The index.
    pub mesh: Arc<Mesh>,
    /// Everything that is wrong with the documents.
    pub diagnostics: Vec<Diagnostic>,
}

/// Loads a folder; what is wrong with its documents is part of the result.
///
/// # Errors
///
/// Where the folder cannot be read or holds no document of a mesh.
pub(crate) fn load(folder: &Path, compat: &Compat) -> Result<Loaded, Failure> {
    let mut registry = Registry::new(compat.clone()).with_all_places();
    load_by(folder, |sources| (registry.load(sources), registry.mesh()))
}

/// Loads a folder and then another in its place: what is the same in both is one allocation. Also returns
/// what the other one makes different.
///
/// # Errors
///
/// As [`load`], of either folder.
pub(crate) fn load_both(
    [old, new]: [&Path; 2],
    compat: &Compat,
) -> Result<([Loaded; 2], Effect), Failure> {
    let mut registry = Registry::new(compat.clone()).with_all_places();
    let old = load_by(old, |sources| (registry.load(sources), registry.mesh()))?;
    let mut difference = Effect::default();
    let new = load_by(new, |sources| {
        let (diagnostics, effect) = registry.reload(sources);
        difference = effect;
        (diagnostics, registry.mesh())
    })?;
    Ok(([old, new], difference))
}

fn load_by(
    folder: &Path,
    load: impl FnOnce(Vec<Source>) -> (Vec<Diagnostic>, Arc<Mesh>),
) -> Result<Loaded, Failure> {
    let mut files = Files::read(folder)?;
    // The smallest first: as a rule the first one answers.
    files.sources.sort_by_key(|source| source.text.len());
    let has_document = files
        .in_place()
        .any(|source| !manifest::read("", &source.text, &Limits::default()).documents.is_empty());
    let (found, mesh) = load(files.sources);
    files.diagnostics.extend(found);
    if !has_document {
        files.diagnostics.iter().for_each(|found| eprintln!("{found}"));
        return Err(unanswered(format!(
            "no document of `{}` can be read: there is nothing to answer from",
            folder.display()
        )));
    }
    Ok(Loaded { folder: folder.to_owned(), mesh, diagnostics: files.diagnostics })
}

/// Loads a folder and tells on stderr which documents cannot be used, and how many more findings there are.
///
/// # Errors
///
/// As [`load`].
pub(crate) fn load_and_tell(folder: &Path, compat: &Compat) -> Result<Arc<Mesh>, Failure> {
    let loaded = load(folder, compat)?;
    let of = |severity| loaded.diagnostics.iter().filter(move |found| found.severity == severity);
    for error in of(Severity::Error) {
        eprintln!("{error}");
    }
    let others = [
        counted(of(Severity::Warning).count(), "warning"),
        counted(of(Severity::Info).count(), "note"),
    ];
    let others: Vec<String> = others.into_iter().filter(|text| !text.starts_with("0 ")).collect();
    if !others.is_empty() {
        eprintln!("{} about the manifests: `mesh load` prints what they say", others.join(" and "));
    }
    Ok(loaded.mesh)
}

/// The failure of whoever took this file as a module.
fn unanswered(sentence: String) -> Failure {
    std::io::Error::other(sentence).into()
}

/// A number of things, in words.
pub(crate) fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// The files of a mesh folder, read.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The texts.
    pub sources: Vec<Source>,
    /// The files that belong to a mesh and cannot be read, and those that mean nothing where they are.
    pub diagnostics: Vec<Diagnostic>,
}

/// Larger files are no manifests: the largest meshes are split by cluster and kind.
const LARGEST: u64 = 1 << 30;

impl Files {
    /// Reads every file of a mesh folder: those that it names, and all below `config/` and `clusters/`; also
    /// those that may have been meant as such, for the policies that are lost there. Hidden files and folders do not belong to it.
    ///
    /// # Errors
    ///
    /// Where there is no such folder or nothing in it belongs to a mesh.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        if folder.is_file() {
            return Err(unanswered(format!(
                "`{}` is a file; `-f DIR` names a folder",
                folder.display()
            )));
        }
        if !folder.is_dir() {
            return Err(unanswered(format!(
                "there is no folder `{}`; `-f DIR` names the mesh folder",
                folder.display()
            )));
        }
        let mut files = Self::default();
        let mut seen = BTreeSet::new();
        files.collect(folder, "", &mut seen).map_err(|error| {
            unanswered(format!("cannot read the folder `{}`: {error}", folder.display()))
        })?;
        if files.in_place().next().is_none() && !files.has_unreadable() {
            return Err(unanswered(format!(
                "`{}` is not a mesh folder: it has no mesh.yaml, no config/ and no clusters/NAME/ with a document",
                folder.display()
            )));
        }
        Ok(files)
    }

    /// The names of the files that cannot be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &Arc<str>> {
        self.diagnostics.iter().filter(|found| found.code == UNREADABLE).map(|found| &found.file)
    }

    /// The texts that are where manifests are read.
    fn in_place(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| !matches!(source.origin, Origin::Misplaced(_)))
    }

    fn has_unreadable(&self) -> bool {
        self.unreadable().next().is_some()
    }

    /// Takes what is in a folder of the mesh folder; `inside` is its path there, empty or with `/` at
    /// the end. Folders that links lead to again are taken once.
    fn collect(
        &mut self,
        folder: &Path,
        inside: &str,
        seen: &mut BTreeSet<PathBuf>,
    ) -> std::io::Result<()> {
        if !seen.insert(folder.canonicalize()?) {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { continue };
            if name.starts_with('.') {
                continue;
            }
            let name = format!("{inside}{name}");
            if path.is_dir() {
                if inside.is_empty() && !self.is_ours(&path, &name) {
                    continue;
                }
                if let Err(error) = self.collect(&path, &format!("{name}/"), seen) {
                    self.tell(
                        UNREADABLE,
                        Severity::Error,
                        &name,
                        &format!("cannot be read: {error}"),
                    );
                }
            } else {
                self.take(&path, &name);
            }
        }
        Ok(())
    }

    /// Whether what is in a folder beside `mesh.yaml` is looked at: in its own, and those whose names are
    /// nearly theirs. Tells of manifests in others.
    ///
    /// What lies there is not the mesh's, and closes nothing: folders of other names may hold anything
    /// (tests, charts, policies that were put aside). A policy there is told as an error all the same, because
    /// who wrote it may believe that it is in force.
    fn is_ours(&mut self, path: &Path, name: &str) -> bool {
        let file = format!("{name}/of/it.yaml");
        if Origin::of_path(&file).is_some() {
            return true;
        }
        let folder = format!("{name}/");
        let is_meant = Origin::of_misspelt_path(&file).is_some();
        let Some(is_of_security) = held(path, &mut BTreeSet::new()) else { return is_meant };
        if is_of_security && !is_meant {
            let message = "means nothing here, and what it says of security (policies, settings, services behind \
                           waypoints) is not in force: manifests lie below `config/` or `clusters/NAME/`";
            self.tell("FILE-UNUSED", Severity::Error, &folder, message);
        } else {
            let message = "means nothing here, and no file of it is read: manifests lie below `config/` or \
                           `clusters/NAME/`";
            self.tell("FILE-UNUSED", Severity::Warning, &folder, message);
        }
        is_meant
    }

    fn take(&mut self, path: &Path, name: &str) {
        let meant = Origin::of_misspelt_path(name);
        let Some(origin) = Origin::of_path(name).or(meant) else {
            // Beside `mesh.yaml` may be anything: what was put aside there is known by its name.
            let is_inside = name.contains('/');
            if !Origin::is_for_readers(name) && (is_inside || is_put_aside(name)) {
                self.tell_unread(path, name);
            }
            return;
        };
        if let Origin::Misplaced(_) = origin {
            let folder = name.split_once('/').map(|(folder, _)| format!("{folder}/of/it.yaml"));
            // Of a folder that means nothing, as a whole, there is a word already.
            if folder.is_none_or(|file| Origin::of_path(&file).is_some()) {
                self.tell_unread(path, name);
            }
        } else if !is_exact(name) {
            let message =
                "is read as what its name says in small letters; `kubectl apply -f` passes over it";
            self.tell("FILE-EXTENSION", Severity::Warning, name, message);
        }
        match text(path) {
            Ok(text) => self.sources.push(Source { origin, name: Arc::from(name), text }),
            Err(error) => {
                self.tell(UNREADABLE, Severity::Error, name, &format!("cannot be read: {error}"));
            }
        }
    }

    /// Tells of a file where nothing is read; a policy that was put aside is an error as one in a folder is.
    fn tell_unread(&mut self, path: &Path, name: &str) {
        let is_aside = Origin::of_misspelt_path(name).is_none();
        if is_aside && decides(path) {
            let message = "is not read, and what it says of security (policies, settings, services behind \
                           waypoints) is not in force: the names of manifests end in `.yaml`, `.yml` or `.json`";
            return self.tell("FILE-UNUSED", Severity::Error, name, message);
        }
        let message = if is_manifest(path) {
            "means nothing here: manifests lie below `config/` or `clusters/NAME/`"
        } else {
            "is not read: the names of manifests end in `.yaml`, `.yml` or `.json`"
        };
        self.tell("FILE-UNUSED", Severity::Info, name, message);
    }

    fn tell(&mut self, code: &'static str, severity: Severity, file: &str, message: &str) {
        let help = match code {
            UNREADABLE => "what it says counts for nobody until it can be read",
            _ => "move or rename it, or leave it if that is meant",
        };
        self.diagnostics.push(Diagnostic {
            code,
            severity,
            file: Arc::from(file),
            place: Place::default(),
            object: String::new(),
            field: String::new(),
            message: format!(
                "the {} {message}",
                if file.ends_with('/') { "folder" } else { "file" }
            ),
            help: help.to_owned(),
        });
    }
}

/// The code of files that cannot be read.
const UNREADABLE: &str = "FILE-UNREADABLE";

/// Whether any manifest in a folder or those below it decides what is allowed; `None` if there is none.
/// Folders that links lead to again are looked at once, those that cannot be read hold none.
fn held(folder: &Path, seen: &mut BTreeSet<PathBuf>) -> Option<bool> {
    if !folder.canonicalize().is_ok_and(|path| seen.insert(path)) {
        return None;
    }
    let mut found = None;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let of_entry = match path.is_dir() {
            true => held(&path, seen),
            false => is_manifest(&path).then(|| decides(&path)),
        };
        found = found.max(of_entry);
        if found == Some(true) {
            break;
        }
    }
    found
}

/// Whether a file can be read and decides what is allowed, were it read where it is.
fn decides(path: &Path) -> bool {
    text(path).is_ok_and(|text| decides_security(&manifest::read("", &text, &Limits::default())))
}

/// Whether `kubectl apply -f` reads a file by its name, and a mesh folder has it.
fn is_exact(name: &str) -> bool {
    let is_known = |part: &str, known: &[&str]| {
        known.iter().all(|known| !part.eq_ignore_ascii_case(known) || part == *known)
    };
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let folder = stem.split('/').next().unwrap_or_default();
    let file = stem.strip_prefix("clusters/").and_then(|rest| rest.split_once('/'));
    is_known(extension, &["yaml", "yml", "json"])
        && is_known(folder, &["config", "clusters", "mesh", "networks", "proxies"])
        && file.is_none_or(|(_, file)| is_known(file, &["cluster"]))
}

/// Whether a file's name is one of manifests, in large letters or small.
fn is_manifest(path: &Path) -> bool {
    ["yaml", "yml", "json"].contains(&&*extension(path))
}

/// Whether a file's name has the end of a manifest's before another one.
fn is_put_aside(name: &str) -> bool {
    let name = name.to_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|end| name.contains(end))
}

/// What a file's name ends in, in small letters.
fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Reads a file, if it is one and not too large.
pub(crate) fn text(path: &Path) -> std::io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    if found.len() > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 GiB"));
    }
    std::fs::read(path)
}
