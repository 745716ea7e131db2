//! Where things are: the repository, its packages, the build directory, the built `mesh` binary.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::problem::{Attempt, Problem};

/// The root of the repository that this program was built from.
pub(crate) fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// The cargo that runs this program, or the one on the path.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// What `cargo metadata` says of the workspace, without its dependencies.
pub(crate) fn metadata() -> Result<Value, Problem> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .stderr(Stdio::inherit())
        .output()
        .attempt("run `cargo metadata`")?;
    serde_json::from_slice(&output.stdout).attempt("read the answer of `cargo metadata`")
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf, Problem> {
    metadata()?
        .get("target_directory")
        .and_then(Value::as_str)
        .map(PathBuf::from)
        .ok_or_else(|| Problem::new("`cargo metadata` names no target directory"))
}

/// Builds the `mesh` command and returns where it lies.
pub(crate) fn mesh_binary() -> Result<PathBuf, Problem> {
    let output = cargo()
        .args(["build", "--quiet", "--package", "mesh-examples", "--bin", "mesh"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .attempt("run `cargo build`")?;
    if !output.status.success() {
        return Err(Problem::new("the `mesh` command does not build"));
    }
    executable(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| Problem::new("`cargo build` names no `mesh` executable"))
}

fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").is_some_and(|name| name == "mesh"))
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
}

/// Returns a directory's entries in the order of their names.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Problem> {
    let what = || format!("read `{}`", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).attempt(what())? {
        paths.push(entry.attempt(what())?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Copies a directory and everything below it; the copies can be written to.
pub(crate) fn copy_directory(from: &Path, to: &Path) -> Result<(), Problem> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = pending.pop() {
        std::fs::create_dir_all(&to).attempt(format!("create `{}`", to.display()))?;
        for entry in entries(&from)? {
            let target = to.join(entry.file_name().unwrap_or_default());
            if entry.is_dir() {
                pending.push((entry, target));
            } else {
                let text = std::fs::read(&entry).attempt(format!("read `{}`", entry.display()))?;
                std::fs::write(&target, text).attempt(format!("write `{}`", target.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_the_messages_of_cargo() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"other\"},\"executable\":\"/t/x\"}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"mesh\"},\"executable\":\"/t/mesh\"}\n"
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/t/mesh")));
        assert_eq!(executable("{}"), None);
    }
}
