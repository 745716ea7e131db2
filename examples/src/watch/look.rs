//! What folders look like from outside: who they are, and when their files changed.
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folders and files at and below some paths, without a file read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Look {
    /// Every folder by the path that leads to it, and who it is.
    folders: BTreeMap<PathBuf, (PathBuf, Identity)>,
    /// Every file, who it is, how long, and when it changed.
    files: BTreeMap<PathBuf, (Identity, u64, Option<SystemTime>)>,
    /// The paths that lead nowhere.
    lost: BTreeSet<PathBuf>,
}

impl Look {
    /// Looks at paths, through symbolic links.
    pub(super) fn at(paths: &[PathBuf]) -> Self {
        let mut look = Self::default();
        for path in paths {
            look.add(path, &mut Vec::new());
            if !look.folders.contains_key(path) {
                look.lost.insert(path.clone());
            }
        }
        look
    }

    /// Whether every path leads to a folder.
    pub(super) fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// Whether both see the same folders, not others that have taken their names.
    pub(super) fn has_folders_of(&self, other: &Self) -> bool {
        (&self.folders, &self.lost) == (&other.folders, &other.lost)
    }

    /// Adds what a path leads to; what is gone in the meantime is not there. `above` are the folders
    /// that it is in: a link to one of them leads nowhere new.
    fn add(&mut self, path: &Path, above: &mut Vec<PathBuf>) {
        let Ok(metadata) = std::fs::metadata(path) else { return };
        if !metadata.is_dir() {
            let seen = (identity(&metadata), metadata.len(), metadata.modified().ok());
            self.files.insert(path.to_owned(), seen);
            return;
        }
        let Ok(canonical) = path.canonicalize() else { return };
        if above.contains(&canonical) {
            return;
        }
        self.folders.insert(path.to_owned(), (canonical.clone(), identity(&metadata)));
        let Ok(entries) = std::fs::read_dir(path) else { return };
        above.push(canonical);
        for entry in entries.flatten() {
            self.add(&entry.path(), above);
        }
        above.pop();
    }
}

/// The device and the number of what a name leads to.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// When it was made: the nearest to an identity that every system tells.
#[cfg(not(unix))]
type Identity = Option<SystemTime>;

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Identity {
    metadata.created().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("mesh-look-{name}-{}", std::process::id()));
            let _removed = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(path.join("m/config")).unwrap();
            std::fs::write(path.join("m/config/a.yaml"), "a").unwrap();
            Self(path)
        }

        fn look(&self) -> Look {
            Look::at(&[self.0.join("m")])
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _removed = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_stays_looks_the_same() {
        let folder = Folder::new("same");
        let first = folder.look();
        assert_eq!(first, folder.look());
        assert!(first.is_whole());
    }

    #[test]
    fn a_file_of_another_length_is_a_change_in_the_same_folders() {
        let folder = Folder::new("edit");
        let first = folder.look();
        std::fs::write(folder.0.join("m/config/a.yaml"), "aa").unwrap();
        let second = folder.look();
        assert_ne!(first, second);
        assert!(second.has_folders_of(&first));
    }

    #[test]
    fn a_folder_that_took_the_place_of_another_is_another() {
        let folder = Folder::new("swap");
        let first = folder.look();
        // Both exist at once: no number is given twice.
        std::fs::create_dir_all(folder.0.join("n/config")).unwrap();
        std::fs::rename(folder.0.join("m/config"), folder.0.join("old")).unwrap();
        std::fs::rename(folder.0.join("n/config"), folder.0.join("m/config")).unwrap();
        let second = folder.look();
        assert!(second.is_whole() && !second.has_folders_of(&first));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_not_whole() {
        let folder = Folder::new("gone");
        let first = folder.look();
        std::fs::rename(folder.0.join("m"), folder.0.join("away")).unwrap();
        let second = folder.look();
        assert!(!second.is_whole() && !second.has_folders_of(&first));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_counts_as_what_it_leads_to_and_a_circle_ends() {
        let folder = Folder::new("link");
        let link = |to: &str| {
            let at = folder.0.join("cur");
            let _removed = std::fs::remove_file(&at);
            std::os::unix::fs::symlink(folder.0.join(to), &at).unwrap();
            Look::at(&[at])
        };
        std::fs::create_dir_all(folder.0.join("v2")).unwrap();
        std::os::unix::fs::symlink(folder.0.join("m"), folder.0.join("m/config/up")).unwrap();
        let (first, second) = (link("m"), link("v2"));
        assert!(first.is_whole() && second.is_whole());
        assert!(!second.has_folders_of(&first));
    }
}
