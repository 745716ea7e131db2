//! A folder of a mesh for one test; it is gone when the test is done with it.
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Writes a folder with these files; tests that run at once give it names of their own.
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("mesh-{name}-{}", std::process::id()));
        let _gone = std::fs::remove_dir_all(&path);
        let folder = Self(path);
        files.iter().for_each(|(file, text)| folder.write(file, text));
        folder
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let file = self.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
