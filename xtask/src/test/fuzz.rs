//! The fuzz targets: guided by coverage where cargo-fuzz is installed, else as programs of stable Rust
//! that replay the checked-in seeds and mutate them at random.
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::steps::Outcome;
use crate::problem::{Attempt, Problem};
use crate::process;
use crate::workspace::{cargo, repository};

/// How long each target runs under libFuzzer.
const GUIDED: &str = "-max_total_time=20";
/// For how many seconds each target runs without it.
const UNGUIDED: &str = "5";
/// What they start from then, so that a change passes or fails wherever it is tried.
const SEED: &str = "20261121";

pub(super) fn fuzz() -> Result<Outcome, Problem> {
    let manifest = repository().join("fuzz").join("Cargo.toml");
    let targets = targets(&manifest)?;
    let is_guided =
        process::output(&mut nightly(&["list"])).is_ok_and(|list| list.status.success());
    let target_folder = repository().join("target");
    if !is_guided {
        let mut build = cargo();
        build.args(["build", "--quiet", "--locked", "--bins", "--manifest-path"]).arg(&manifest);
        if !process::succeeds(build.arg("--target-dir").arg(&target_folder))? {
            return Ok(Outcome::failed("the targets do not build"));
        }
    }
    let (mut passed, mut failed) = (0, 0);
    for target in targets {
        let mut command = if is_guided {
            // What it finds goes to the first folder, which is nobody's but this machine's.
            let folders = ["corpus", "seeds"].map(|folder| format!("fuzz/{folder}/{target}"));
            let known = folders.iter().filter(|folder| repository().join(folder).exists());
            let mut command = nightly(&["run", &target]);
            command.args(known).args(["--", GUIDED]);
            command
        } else {
            let mut command = Command::new(target_folder.join("debug").join(&target));
            command.args(["--seconds", UNGUIDED, "--seed", SEED]);
            command
        };
        if process::succeeds(&mut command)? {
            passed += 1;
        } else {
            println!("FAILED fuzz target `{target}`");
            failed += 1;
        }
    }
    Ok(Outcome::counts(passed, failed))
}

fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).args(arguments);
    command.current_dir(repository());
    command
}

/// The names of the programs that the package of targets declares.
fn targets(manifest: &PathBuf) -> Result<Vec<String>, Problem> {
    let mut command = cargo();
    command
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(manifest);
    let output = process::output(&mut command)?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).attempt("read what `cargo metadata` says")?;
    let targets = metadata.pointer("/packages/0/targets").and_then(Value::as_array);
    let programs = targets
        .into_iter()
        .flatten()
        .filter(|target| target.pointer("/kind/0").and_then(Value::as_str) == Some("bin"));
    Ok(programs.filter_map(|target| target.get("name")?.as_str().map(str::to_owned)).collect())
}
