//! `cargo xtask e2e`: a real Envoy, steered by what `mesh serve` sends it.
//!
//! ```text
//!                    mesh folder (a copy, changed while all of this runs)
//!                          │ watched
//!   mesh plan ──┐     mesh serve ── SotW or delta ADS, SDS ──▶ Envoy of web, Envoy of ledger
//!   mesh authz ─┤                                                │
//!               └── must agree with ── who answers ◀── requests ─┴─▶ HTTP servers on 127.0.0.0/8
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | [`venv`] | the pinned PyPI packages in `target/e2e-venv`: Envoy and a gRPC client |
//! | [`envoy`] | an Envoy process and its admin interface |
//! | [`upstream`], [`traffic`], [`http`] | servers that say who they are; requests, counted by who answered |
//! | [`mesh`], [`dump`] | the `mesh` command as users run it; what Envoy says it holds |
//! | [`harness`] | these instruments against a hand-made configuration, without `mesh` |
//! | [`balance`] | clusters of every policy, and random ones: Envoy must pick as mesh-lb does |
//! | [`routes`] | random VirtualServices and requests: Envoy must do what `mesh routes` says |
//! | [`steering`], [`loopback`] | the scenario on `examples/meshes/loopback`, over SotW and over delta |
//!
//! Every listening socket is on 127.0.0.0/8. Children end with us: when dropped, and (Linux) when we
//! are killed. `--only harness|balance|routes|steering` picks a part, `--seed N` the random numbers of `balance` and
//! `routes`, `--binary FILE` takes a `mesh` that is built,
//! `--keep` keeps the working folder `target/e2e` with bootstraps and logs, which stays anyway when
//! a check fails.
use std::path::{Path, PathBuf};

use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::{Failure, workspace};

mod balance;
mod dump;
mod envoy;
mod harness;
mod http;
mod loopback;
mod mesh;
mod random;
mod report;
mod routes;
mod steering;
mod traffic;
mod upstream;
mod venv;

pub(crate) use self::report::Report;

/// The parts, in the order they run.
const PARTS: &[&str] = &["harness", "balance", "routes", "steering"];

#[derive(Clone, Debug, Default)]
struct Options {
    /// Names of parts; empty: all.
    only: Vec<String>,
    /// The `mesh` command; built if not given.
    binary: Option<PathBuf>,
    keep: bool,
    /// What random clusters, rules and requests are made from; absent: another one each time.
    seed: Option<u64>,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let report = run(&parse(arguments)?)?;
    if report.failed == 0 { Ok(()) } else { Err(Failure::Answered) }
}

/// Everything: what `cargo xtask test` asks for.
pub(crate) fn required() -> Result<Report, Problem> {
    run(&Options::default())
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| Failure::Usage(format!("`{flag}` needs a value")));
        match flag.as_str() {
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--binary" => options.binary = Some(PathBuf::from(value()?)),
            "--keep" => options.keep = true,
            "--seed" => {
                let text = value()?;
                options.seed = Some(text.parse().attempt(format!("read `{text}` as a seed"))?);
            }
            _ => return Err(Failure::Usage(format!("unknown argument `{flag}`"))),
        }
    }
    match options.only.iter().find(|only| !PARTS.contains(&only.as_str())) {
        Some(only) => {
            let parts = PARTS.join(", ");
            Err(Failure::Usage(format!("no part `{only}`: there are {parts}")))
        }
        None => Ok(options),
    }
}

fn run(options: &Options) -> Result<Report, Problem> {
    let target = workspace::target_directory()?;
    let dir = target.join("e2e");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).attempt(format!("empty `{}`", dir.display()))?;
    }
    std::fs::create_dir_all(&dir).attempt(format!("create `{}`", dir.display()))?;
    let tools = Tools::install(&target)?;
    let selected =
        |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
    let mut report = Report::default();
    if selected("harness") {
        println!("harness");
        let ended = harness::run(&tools, &dir, &mut report);
        finish(&mut report, "the harness runs to its end", ended);
    }
    let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
    if selected("balance") {
        println!("balance from seed {seed}");
        let ended = balance::run(&tools, seed, &dir, &mut report);
        finish(&mut report, "the comparison of balancing runs to its end", ended);
    }
    if !selected("steering") && !selected("routes") {
        return conclude(report, options, &dir);
    }
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::mesh_binary()?,
    };
    if selected("routes") {
        println!("routes from seed {seed}");
        let ended = routes::run(&tools, &binary, seed, &dir, &mut report);
        finish(&mut report, "the comparison of routes runs to its end", ended);
    }
    if selected("steering") {
        for protocol in mesh::PROTOCOLS {
            println!("steering over {}", protocol.name());
            let ended = steering::run(&tools, &binary, *protocol, &dir, &mut report);
            let sentence = format!("the scenario over {} runs to its end", protocol.name());
            finish(&mut report, &sentence, ended);
        }
    }
    conclude(report, options, &dir)
}

/// Prints how it went, and leaves what is needed to find out why.
fn conclude(report: Report, options: &Options, dir: &Path) -> Result<Report, Problem> {
    println!("e2e: {} passed, {} failed", report.passed, report.failed);
    if report.failed == 0 && !options.keep {
        std::fs::remove_dir_all(dir).attempt(format!("remove `{}`", dir.display()))?;
    } else {
        println!("bootstraps and logs are in {}", dir.display());
    }
    Ok(report)
}

/// A part that could not go on is one failed check.
fn finish(report: &mut Report, sentence: &str, ended: Result<(), Problem>) {
    if ended.is_err() {
        report.check(sentence, ended);
    }
}
