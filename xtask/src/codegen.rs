//! `cargo xtask codegen`: the wire types of mesh-envoy-proto, from the texts in its `proto/`.
//!
//! The compiler of those texts is heavy and rarely needed, so it sits behind the feature `codegen`.
//! Without that feature the command starts itself once more with it.
use std::path::PathBuf;

use crate::Failure;

#[cfg(feature = "codegen")]
mod compile;
#[cfg(feature = "codegen")]
mod generate;

const USAGE: &str = "usage: cargo xtask codegen [--check | --import DIR]

  (no flag)      writes mesh-envoy-proto/src/generated/ anew
  --check        writes nothing: exit code 1 if the files differ from what would be written
  --import DIR   first takes the upstream texts from DIR, the `proto` folder of a package of envoy-types
";

#[cfg_attr(
    not(feature = "codegen"),
    expect(dead_code, reason = "the folder is read after the restart, with the feature")
)]
enum Task {
    Write,
    Check,
    Import(PathBuf),
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let flags: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let task = match flags.as_slice() {
        [] => Task::Write,
        ["--check"] => Task::Check,
        ["--import", dir] => Task::Import(PathBuf::from(dir)),
        _ => return Err(Failure::Usage(USAGE.to_owned())),
    };
    run(&task, arguments)
}

#[cfg(feature = "codegen")]
fn run(task: &Task, _arguments: &[String]) -> Result<(), Failure> {
    generate::run(task)
}

#[cfg(not(feature = "codegen"))]
fn run(_task: &Task, arguments: &[String]) -> Result<(), Failure> {
    let status = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--features", "codegen", "--", "codegen"])
        .args(arguments)
        .status()
        .map_err(|error| Failure::Usage(format!("cargo does not start: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Failure::Answered),
        _ => Err(Failure::Usage("the generator did not finish".to_owned())),
    }
}
