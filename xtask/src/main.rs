//! Everything this repository automates: `cargo xtask COMMAND`.
//!
//! A command is one entry of [`COMMANDS`] and one module. Exit codes: 0 done, 1 the answer is "no"
//! (and was printed), 2 the command could not do its work.
use std::process::ExitCode;

mod codegen;
mod conformance;
mod e2e;
mod golden;
mod load;
mod problem;
mod process;
mod report_check;
mod test;
mod tidy;
mod workspace;

/// One command: its name, its line of help, and what runs it with the arguments after the name.
pub(crate) struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<(), Failure>,
}

/// Every command, in alphabetical order.
const COMMANDS: &[Command] = &[
    Command {
        name: "ci",
        help: "[--only STEP,…]    `test`, and what takes longer",
        run: test::ci_command,
    },
    Command {
        name: "codegen",
        help: "[--check | --import DIR]    write the wire types of mesh-envoy-proto anew",
        run: codegen::command,
    },
    Command {
        name: "conformance",
        help: "[--dir DIR] [--only AREA[/OP|/FILE.json[#CASE]],…] [--only-from FILE]    cases of a directory (default: ours)",
        run: conformance::command,
    },
    Command {
        name: "e2e",
        help: "[--only PART,…] [--every] [--seed N] [--binary MESH] [--keep]    a real Envoy, steered",
        run: e2e::command,
    },
    Command {
        name: "golden",
        help: "[--meshes DIR] [--golden DIR] [--only MESH[/PROXY],…] [--types endpoints,…] [--limit N] [--binary MESH]    our resources against a real istiod's",
        run: golden::command,
    },
    Command {
        name: "load",
        help: "[--clients N] [--slow N] [--vanishing N] [--changes N] [--services N] [--endpoints N] [--binary MESH]    what many proxies cost `mesh serve`",
        run: load::command,
    },
    Command {
        name: "report-check",
        help: "[--meshes DIR] [--binary MESH]    the page of `mesh report` in a real browser; no part of the gate",
        run: report_check::command,
    },
    Command {
        name: "test",
        help: "[--only STEP,…]    everything a change must pass, with totals",
        run: test::test_command,
    },
    Command {
        name: "tidy",
        help: "the shape of the workspace: crates, rooms, documentation, no I/O in the libraries",
        run: tidy::command,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((name, rest)) => match command(name) {
            Some(command) => (command.run)(rest),
            None => Err(Failure::Usage(format!("no command `{name}`\n\n{}", usage()))),
        },
        None => Err(Failure::Usage(usage())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Answered) => ExitCode::from(1),
        Err(Failure::Usage(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// The command of that name, if there is one.
pub(crate) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

fn usage() -> String {
    let mut text = "usage: cargo xtask COMMAND\n".to_owned();
    for command in COMMANDS {
        text.push_str(&format!("\n  {} {}", command.name, command.help));
    }
    text
}

/// Why a command did not succeed.
pub(crate) enum Failure {
    /// It ran, said what is wrong, and the answer is no: exit code 1.
    Answered,
    /// It could not run: exit code 2 and this text.
    Usage(String),
}
