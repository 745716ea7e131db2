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
//! | [`front`] | the listener of an Envoy that is configured by hand |
//! | [`certificates`] | what `mesh serve --secrets` hands out |
//! | [`mesh`], [`dump`] | the `mesh` command as users run it; what Envoy says it holds |
//! | [`harness`] | these instruments against a hand-made configuration, without `mesh` |
//! | [`accept`] | every example mesh: its snapshots as files, over SotW and over delta |
//! | [`balance`] | clusters of every policy, and random ones: Envoy must pick as mesh-lb does |
//! | [`checks`] | active health checks: Envoy must think of hosts what our state machine does |
//! | [`routes`] | random VirtualServices and requests: Envoy must do what `mesh routes` says |
//! | [`policies`] | random policies and requests: Envoy must decide as mesh-authz does |
//! | [`grpc`] | a gRPC client with xDS balances and fails over |
//! | [`resilience`] | ejections and retries happen as configured |
//! | [`networks`] | requests cross two networks through an east-west gateway |
//! | [`steering`], [`loopback`] | the scenario on `examples/meshes/loopback`, over SotW and over delta |
//!
//! Every listening socket is on 127.0.0.0/8. Children end with us: when dropped, and (Linux) when we
//! are killed. `--only PART,…` picks parts, `--seed N` the random numbers of `accept`, `balance`,
//! `checks`, `policies` and `routes`, `--every` has `accept` look at every proxy, `--binary FILE` takes a `mesh` that is built,
//! `--keep` keeps the working folder `target/e2e` with bootstraps and logs, which stays anyway when
//! a check fails.
use std::path::{Path, PathBuf};

use crate::e2e::accept::Choice;
use crate::e2e::venv::Tools;
use crate::problem::{Attempt, Problem};
use crate::{Failure, process, workspace};

mod accept;
mod balance;
mod certificates;
mod checks;
mod dump;
mod envoy;
mod front;
mod grpc;
mod harness;
mod http;
mod loopback;
mod mesh;
mod networks;
mod policies;
mod random;
mod report;
mod resilience;
mod routes;
mod steering;
mod traffic;
mod upstream;
mod venv;

pub(crate) use self::report::Report;

/// The parts, in the order they run.
const PARTS: &[&str] = &[
    "harness",
    "balance",
    "checks",
    "policies",
    "accept",
    "routes",
    "grpc",
    "resilience",
    "networks",
    "steering",
];

/// Those that do without the `mesh` command.
const ALONE: &[&str] = &["harness", "balance", "checks", "policies"];

#[derive(Clone, Debug, Default)]
struct Options {
    /// Names of parts; empty: all.
    only: Vec<String>,
    /// The `mesh` command; built if not given.
    binary: Option<PathBuf>,
    keep: bool,
    /// Every proxy of the example meshes, not only some.
    every: bool,
    /// What random clusters, rules and requests are made from; absent: another one each time.
    seed: Option<u64>,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let report = run(&parse(arguments)?)?;
    if report.failed == 0 { Ok(()) } else { Err(Failure::Answered) }
}

/// The seed of a gate: a change passes or fails wherever it is tried. Without one each run has its own.
const SEED: u64 = 20_261_121;

/// Everything: what `cargo xtask test` asks for.
pub(crate) fn required() -> Result<Report, Problem> {
    run(&Options { seed: Some(SEED), ..Options::default() })
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
            "--every" => options.every = true,
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
    if selected("checks") {
        println!("checks from seed {seed}");
        let ended = checks::run(&tools, seed, &dir, &mut report);
        finish(&mut report, "the comparison of health checks runs to its end", ended);
    }
    if selected("policies") {
        println!("policies from seed {seed}");
        let ended = policies::run(&tools, seed, &dir, &mut report);
        finish(&mut report, "the comparison of policies runs to its end", ended);
    }
    let mut parts = PARTS.iter().filter(|part| selected(part) && !ALONE.contains(part)).peekable();
    if parts.peek().is_some() {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => workspace::mesh_binary()?,
        };
        let choice = if options.every { Choice::Every } else { Choice::Some(seed) };
        let run = Run { tools, binary, seed, choice, dir: dir.clone() };
        for part in parts {
            run.part(part, &mut report);
        }
    }
    conclude(report, options, &dir)
}

/// What the parts need that run `mesh`.
struct Run {
    tools: Tools,
    binary: PathBuf,
    seed: u64,
    choice: Choice,
    dir: PathBuf,
}

impl Run {
    /// Runs a part, in each protocol where that makes a difference.
    fn part(&self, part: &str, report: &mut Report) {
        let Self { tools, binary, seed, choice, dir } = self;
        let start = process::now();
        match part {
            "accept" => println!("accept from seed {seed}"),
            "routes" => println!("routes from seed {seed}"),
            _ => println!("{part}"),
        }
        let ended = match part {
            "accept" => accept::run(tools, binary, *choice, dir, report),
            "routes" => routes::run(tools, binary, *seed, dir, report),
            "grpc" => grpc::run(tools, binary, dir, report),
            "resilience" => resilience::run(tools, binary, dir, report),
            "networks" => networks::run(tools, binary, dir, report),
            _ => mesh::PROTOCOLS.iter().try_for_each(|protocol| {
                println!("over {}", protocol.name());
                steering::run(tools, binary, *protocol, dir, report)
            }),
        };
        finish(report, &format!("{part} runs to its end"), ended);
        println!("  {part} took {:.1} s", start.elapsed().as_secs_f64());
    }
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
