//! `cargo xtask test` and `cargo xtask ci`: everything a change must pass, with totals.
//!
//! Steps run in order; one that fails does not stop the others. Each prints a line with its time,
//! and the last line of all is `N passed, N failed`: the sum of what `cargo test` reports, the
//! conformance cases and golden resources that are required, and the checks of the end-to-end run.
//! A step without tests of its own counts only when it fails, as one.
use crate::problem::Problem;
use crate::test::steps::Outcome;
use crate::{Failure, process};

mod fuzz;
mod steps;
mod totals;

/// One step: its name, and what runs it.
struct Step {
    name: &'static str,
    run: fn() -> Result<Outcome, Problem>,
}

/// What every change must pass.
const TEST: &[Step] = &[
    Step { name: "fmt", run: steps::fmt },
    Step { name: "tidy", run: steps::tidy },
    Step { name: "clippy", run: steps::clippy },
    Step { name: "tests", run: steps::tests },
    Step { name: "doc", run: steps::doc },
    Step { name: "wasm", run: steps::wasm },
    Step { name: "codegen", run: steps::codegen },
    Step { name: "conformance", run: steps::conformance },
    Step { name: "golden", run: steps::golden },
    Step { name: "e2e", run: steps::e2e },
    Step { name: "fuzz", run: fuzz::fuzz },
];

/// What takes longer, or needs more tools.
const CI: &[Step] = &[
    Step { name: "release", run: steps::release },
    Step { name: "features", run: steps::features },
    Step { name: "msrv", run: steps::msrv },
    Step { name: "deny", run: steps::deny },
];

pub(crate) fn test_command(arguments: &[String]) -> Result<(), Failure> {
    run(TEST.iter().collect(), arguments)
}

pub(crate) fn ci_command(arguments: &[String]) -> Result<(), Failure> {
    run(TEST.iter().chain(CI).collect(), arguments)
}

fn run(mut steps: Vec<&Step>, arguments: &[String]) -> Result<(), Failure> {
    let only = parse(arguments)?;
    if let Some(name) = only.iter().find(|name| !steps.iter().any(|step| step.name == **name)) {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        return Err(Failure::Usage(format!("no step `{name}`: there are {}", names.join(", "))));
    }
    steps.retain(|step| only.is_empty() || only.iter().any(|name| name == step.name));
    let mut lines = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for step in steps {
        println!("== {}", step.name);
        let start = process::now();
        let outcome = (step.run)().unwrap_or_else(|problem| Outcome::failed(problem.0));
        let line = outcome.line(step.name, start.elapsed());
        println!("{line}");
        lines.push(line);
        passed += outcome.passed;
        failed += outcome.failed;
    }
    println!("\n{}", lines.join("\n"));
    println!("{passed} passed, {failed} failed");
    if failed == 0 { Ok(()) } else { Err(Failure::Answered) }
}

fn parse(arguments: &[String]) -> Result<Vec<String>, Failure> {
    match arguments {
        [] => Ok(Vec::new()),
        [flag, names] if flag == "--only" => Ok(names.split(',').map(str::to_owned).collect()),
        [argument, ..] => {
            Err(Failure::Usage(format!("`{argument}`: only `--only STEP,…` is known")))
        }
    }
}
