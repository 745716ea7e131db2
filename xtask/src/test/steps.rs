//! The steps of `cargo xtask test` and `cargo xtask ci`.
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::problem::{Attempt, Problem};
use crate::test::totals::{Totals, is_noise};
use crate::workspace::{cargo, metadata, repository};
use crate::{Failure, process};

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Why it failed, or why it was skipped.
    note: String,
    skipped: bool,
}

impl Outcome {
    pub(super) fn counts(passed: usize, failed: usize) -> Self {
        Self { passed, failed, ..Self::default() }
    }

    /// A failure that no test counts.
    pub(super) fn failed(note: impl Into<String>) -> Self {
        Self { failed: 1, note: note.into(), ..Self::default() }
    }

    fn skipped(note: impl Into<String>) -> Self {
        Self { note: note.into(), skipped: true, ..Self::default() }
    }

    /// `ok tests 12.3 s  120 passed, 0 failed`.
    pub(super) fn line(&self, name: &str, time: Duration) -> String {
        let word = match (self.failed, self.skipped) {
            (0, false) => "ok",
            (0, true) => "skip",
            _ => "FAIL",
        };
        let counts = match (self.passed, self.failed) {
            (0, 0) => String::new(),
            (0, 1) if !self.note.is_empty() => String::new(),
            (passed, failed) => format!("  {passed} passed, {failed} failed"),
        };
        let note = match self.note.as_str() {
            "" => String::new(),
            note => format!("  {note}"),
        };
        format!("{word:4} {name:12} {:6.1} s{counts}{note}", time.as_secs_f64())
    }
}

/// Runs a program whose success is all there is to know.
fn must_succeed(command: &mut Command) -> Result<Outcome, Problem> {
    Ok(match process::succeeds(command)? {
        true => Outcome::default(),
        false => Outcome::failed("see above"),
    })
}

/// Turns a command of ours into a step.
fn must_answer_yes(result: Result<(), Failure>) -> Result<Outcome, Problem> {
    match result {
        Ok(()) => Ok(Outcome::default()),
        Err(Failure::Answered) => Ok(Outcome::failed("see above")),
        Err(Failure::Usage(text)) => Err(Problem(text)),
    }
}

pub(super) fn fmt() -> Result<Outcome, Problem> {
    must_succeed(cargo().args(["fmt", "--all", "--check"]))
}

pub(super) fn tidy() -> Result<Outcome, Problem> {
    must_answer_yes(crate::tidy::command(&[]))
}

pub(super) fn clippy() -> Result<Outcome, Problem> {
    must_succeed(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// What random inputs of properties come from, so that a change passes or fails wherever it is tried. Other
/// inputs are tried with another seed in this variable of the environment, and by `cargo test`.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261121");

pub(super) fn tests() -> Result<Outcome, Problem> {
    run_tests(&[])
}

pub(super) fn release() -> Result<Outcome, Problem> {
    run_tests(&["--release"])
}

/// Runs all tests, printing what is worth reading and adding up the results.
fn run_tests(flags: &[&str]) -> Result<Outcome, Problem> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--workspace", "--no-fail-fast"]).args(flags);
    command.args(["--", "--format", "pretty"]).stdin(Stdio::null()).stdout(Stdio::piped());
    if std::env::var_os(SEED.0).is_none() {
        command.env(SEED.0, SEED.1);
    }
    let mut child = command.spawn().attempt("run `cargo test`")?;
    let mut totals = Totals::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.attempt("read the output of `cargo test`")?;
            totals.add(&line);
            if !is_noise(&line) {
                println!("{line}");
            }
        }
    }
    let status = child.wait().attempt("wait for `cargo test`")?;
    if status.success() || totals.failed > 0 {
        return Ok(Outcome::counts(totals.passed, totals.failed));
    }
    Ok(Outcome { passed: totals.passed, ..Outcome::failed("the tests do not run to their end") })
}

pub(super) fn doc() -> Result<Outcome, Problem> {
    must_succeed(
        cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

const WASM: &str = "wasm32-unknown-unknown";

/// The crates that others use build where there is no operating system.
pub(super) fn wasm() -> Result<Outcome, Problem> {
    let output = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !std::path::Path::new(&sysroot).join("lib/rustlib").join(WASM).is_dir() {
        let how = format!("`rustup target add {WASM}` installs the target");
        return Ok(Outcome::skipped(how));
    }
    let mut command = cargo();
    command.args(["check", "--quiet", "--lib", "--target", WASM]);
    for package in packages(&metadata()?) {
        if is_published(package) && !NOT_FOR_WASM.contains(&text(package, "name")) {
            command.args(["--package", text(package, "name")]);
        }
    }
    must_succeed(&mut command)
}

/// Strategies and suites for tests, which read files and run on a machine with an operating system.
const NOT_FOR_WASM: &[&str] = &["mesh-testkit"];

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata.get("packages").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `publish = false` reads as an empty list of registries.
fn is_published(package: &Value) -> bool {
    package
        .get("publish")
        .is_none_or(|registries| registries.as_array().is_none_or(|list| !list.is_empty()))
}

pub(super) fn codegen() -> Result<Outcome, Problem> {
    match crate::command("codegen") {
        Some(codegen) => must_answer_yes((codegen.run)(&["--check".to_owned()])),
        None => Ok(Outcome::skipped("there is no command `codegen`")),
    }
}

pub(super) fn conformance() -> Result<Outcome, Problem> {
    let list = repository().join("xtask/required-conformance.txt");
    let tally = crate::conformance::required(&list)?;
    Ok(Outcome::counts(tally.passed, tally.total - tally.passed))
}

/// Lines `MESH[/PROXY],… TYPE,…` of what must equal istiod's answer.
pub(super) fn golden() -> Result<Outcome, Problem> {
    let list = repository().join("xtask/required-golden.txt");
    let text = std::fs::read_to_string(&list).attempt(format!("read `{}`", list.display()))?;
    let mut outcome = Outcome::default();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (only, types) = line.split_once(' ').ok_or_else(|| {
            Problem(format!("`{line}` in `{}` is no line `MESH TYPES`", list.display()))
        })?;
        let tally = crate::golden::required(only, types.trim())?;
        outcome.passed += tally.equal;
        outcome.failed += tally.compared - tally.equal;
    }
    Ok(outcome)
}

pub(super) fn e2e() -> Result<Outcome, Problem> {
    let tally = crate::e2e::required()?;
    Ok(Outcome::counts(tally.passed, tally.failed))
}

/// Features for which much is built that nothing else needs: they are built where they are used.
const HEAVY: &[(&str, &str)] = &[("mesh-benches", "cedar")];

/// Every feature of every package, alone.
pub(super) fn features() -> Result<Outcome, Problem> {
    for package in packages(&metadata()?) {
        let features = package.get("features").and_then(Value::as_object).into_iter().flatten();
        let is_light = |name: &&str| !HEAVY.contains(&(text(package, "name"), name));
        let features = features.map(|(name, _)| name.as_str()).filter(is_light);
        for feature in ["no-default"].into_iter().chain(features) {
            let mut command = cargo();
            command.args(["check", "--quiet", "--package", text(package, "name")]);
            command.arg("--no-default-features");
            if feature != "no-default" {
                command.args(["--features", feature]);
            }
            if !process::succeeds(&mut command)? {
                let name = text(package, "name");
                return Ok(Outcome::failed(format!("`{name}` with feature `{feature}` alone")));
            }
        }
    }
    Ok(Outcome::default())
}

/// The oldest Rust that `Cargo.toml` promises.
pub(super) fn msrv() -> Result<Outcome, Problem> {
    let metadata = metadata()?;
    let version = packages(&metadata).map(|package| text(package, "rust_version")).max();
    let version = version.unwrap_or_default();
    let list = process::output(Command::new("rustup").args(["toolchain", "list"]))?;
    let installed = String::from_utf8_lossy(&list.stdout).into_owned();
    let Some(toolchain) =
        installed.lines().filter_map(|line| line.split_whitespace().next()).find(|name| {
            name.starts_with(&format!("{version}.")) || name.starts_with(&format!("{version}-"))
        })
    else {
        return Ok(Outcome::skipped(format!("`rustup toolchain install {version}` installs it")));
    };
    must_succeed(
        Command::new("rustup")
            .args(["run", toolchain, "cargo", "check", "--quiet", "--workspace", "--all-targets"])
            .current_dir(repository()),
    )
}

/// Licences, bans and sources; the advisories need a database from the network.
pub(super) fn deny() -> Result<Outcome, Problem> {
    let version = process::output(cargo().args(["deny", "--version"]))?;
    if !version.status.success() {
        return Ok(Outcome::skipped("`cargo install cargo-deny` installs it"));
    }
    must_succeed(cargo().args(["deny", "check", "licenses", "bans", "sources"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_line(outcome: &Outcome, expected: &str) {
        assert_eq!(outcome.line("x", Duration::from_millis(1500)), expected);
    }

    #[test]
    fn a_step_is_one_line() {
        check_line(&Outcome::default(), "ok   x               1.5 s");
        check_line(&Outcome::counts(3, 0), "ok   x               1.5 s  3 passed, 0 failed");
        check_line(&Outcome::counts(3, 1), "FAIL x               1.5 s  3 passed, 1 failed");
        check_line(&Outcome::failed("why"), "FAIL x               1.5 s  why");
        check_line(&Outcome::skipped("how"), "skip x               1.5 s  how");
    }

    #[test]
    fn a_package_is_published_unless_it_says_no() {
        assert!(is_published(&json!({"publish": null})));
        assert!(!is_published(&json!({"publish": []})));
    }
}
