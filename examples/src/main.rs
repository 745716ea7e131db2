//! The `mesh` command: what a mesh folder means, answered by the library.
//!
//! Answers go to stdout, everything else to stderr. Exit codes: 0 answered, 1 the answer is "no", 2 no
//! answer (a bad flag, an unknown proxy, an unreadable folder).
#![deny(clippy::print_stdout)]
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

mod commands;
mod data_plane;
mod folder;
mod json;
mod node;
mod say;
mod strict_json;
mod watch;

use self::commands::{
    authz, bootstrap, diff, lint, load, plan, report, routes, serve, snapshot, spill, tour, whatif,
};

/// Where traffic goes, who may call whom and what Envoy is told, in a mesh folder.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, about)]
struct Cli {
    /// The mesh folder; by default the example mesh of the repository.
    #[arg(short = 'f', long = "folder", global = true, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The form of the answer.
    #[arg(short = 'o', long = "output", global = true, default_value = "table")]
    output: Output,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs: stable field names, sorted lists, no timestamps.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what loading the folder found.
    Load,
    /// Splits traffic over priorities by their health, as Envoy does.
    Spill(spill::Arguments),
    /// Shows where a proxy's traffic goes, and why.
    Plan(plan::Arguments),
    /// Shows what moves where, and who suffers, when something fails.
    Whatif(whatif::Arguments),
    /// Decides a request, and says why.
    Authz(authz::Arguments),
    /// Says what a proxy does with a request.
    Routes(routes::Arguments),
    /// Writes what a proxy is sent as files.
    Snapshot(snapshot::Arguments),
    /// Finds what will hurt, and says what to do.
    Lint,
    /// Shows what a change of the folder does: to traffic, requests, resources, findings.
    ///
    /// Requests are answered by the workload that is called, and each says what it shows. What callers show is
    /// another question: where a caller's own settings change, such as the TLS of its DestinationRule, its calls
    /// may be denied from then on, and that is told as a change of its resources only. `mesh authz --from` says
    /// what a caller shows.
    Diff(diff::Arguments),
    /// Writes a page about the mesh: clusters, failover ladders, shares, hazards.
    Report(report::Arguments),
    /// Prints an Envoy bootstrap for a proxy.
    Bootstrap(bootstrap::Arguments),
    /// Serves the proxies of the folder over xDS, and follows its changes.
    Serve(serve::Arguments),
}

/// Why a command has no answer, or a negative one.
#[derive(Debug)]
enum Failure {
    /// The answer is "no": exit code 1.
    No,
    /// There is no answer: exit code 2, and this sentence.
    Unanswered(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Unanswered(error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answered = run(&cli);
    match say::finish().and(answered) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::No) => ExitCode::from(1),
        Err(Failure::Unanswered(sentence)) => {
            eprintln!("error: {sentence}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let folder = cli.folder.clone().unwrap_or_else(folder::example);
    match &cli.command {
        None => tour::run(&folder),
        Some(Command::Load) => load::run(&folder, cli.output),
        Some(Command::Spill(arguments)) => spill::run(arguments, cli.output),
        Some(Command::Plan(arguments)) => plan::run(&folder, arguments, cli.output),
        Some(Command::Routes(arguments)) => routes::run(&folder, arguments, cli.output),
        Some(Command::Whatif(arguments)) => whatif::run(&folder, arguments, cli.output),
        Some(Command::Lint) => lint::run(&folder, cli.output),
        Some(Command::Diff(arguments)) => diff::run(arguments, cli.output),
        Some(Command::Report(arguments)) => report::run(&folder, arguments, cli.output),
        Some(Command::Snapshot(arguments)) => snapshot::run(&folder, arguments, cli.output),
        Some(Command::Authz(arguments)) => authz::run(&folder, arguments, cli.output),
        Some(Command::Bootstrap(arguments)) => bootstrap::run(&folder, arguments),
        Some(Command::Serve(arguments)) => serve::run(&folder, arguments),
    }
}
