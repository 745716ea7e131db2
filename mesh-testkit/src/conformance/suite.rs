//! Reading a directory of suites.
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One file of cases.
#[derive(Clone, Debug, Deserialize)]
pub struct Suite {
    /// The folder's name; decides, with `op`, what is computed.
    pub area: String,
    /// The file's name without `.json`; for printed lines only.
    pub file: String,
    /// What the file is about.
    #[serde(default)]
    pub description: String,
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Unique in the area.
    pub name: String,
    /// What to compute.
    pub op: String,
    /// The operation's input.
    pub input: Value,
    /// The expected answer.
    pub expect: Value,
    /// Where the case comes from.
    #[serde(default)]
    pub source: Value,
    /// What is odd about it.
    #[serde(default)]
    pub note: Value,
}

/// A directory of suites cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// A folder or file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is not a suite.
    #[error("`{path}` is not a conformance suite: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There is no suite in the directory.
    #[error("`{0}` holds no folder with a JSON file of cases")]
    Empty(PathBuf),
}

/// Reads every `dir/AREA/*.json` (not deeper), sorted by path.
///
/// # Errors
///
/// When a folder or file cannot be read, a file is not a suite, or there is none at all.
pub fn load(dir: &Path) -> Result<Vec<Suite>, SuiteError> {
    let mut suites = Vec::new();
    for area in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&area)? {
            if file.extension().is_some_and(|extension| extension == "json") {
                suites.push(read(&file)?);
            }
        }
    }
    if suites.is_empty() { Err(SuiteError::Empty(dir.to_owned())) } else { Ok(suites) }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, SuiteError> {
    let io = |source| SuiteError::Io { path: dir.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Suite, SuiteError> {
    let io = |source| SuiteError::Io { path: path.to_owned(), source };
    let format = |source| SuiteError::Format { path: path.to_owned(), source };
    let mut suite: Suite =
        serde_json::from_slice(&std::fs::read(path).map_err(io)?).map_err(format)?;
    // The place in the directory counts, whatever the file says of itself.
    if let Some(area) = path.parent().and_then(Path::file_name) {
        suite.area = area.to_string_lossy().into_owned();
    }
    if let Some(file) = path.file_stem() {
        suite.file = file.to_string_lossy().into_owned();
    }
    Ok(suite)
}
