//! Everything this repository automates: `cargo xtask COMMAND`.
use std::process::ExitCode;

mod codegen;
mod conformance;

const USAGE: &str = "usage: cargo xtask COMMAND

  codegen [--check | --import DIR]               write the wire types of mesh-envoy-proto anew
  conformance [--dir DIR] [--only AREA[/OP],…]   run the cases of a directory (default: ours)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", [].as_slice()),
    };
    let result = match command {
        "codegen" => codegen::command(rest),
        "conformance" => conformance::command(rest),
        _ => Err(Failure::Usage(USAGE.to_owned())),
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

/// Why a command did not succeed.
pub(crate) enum Failure {
    /// It ran, said what is wrong, and the answer is no: exit code 1.
    Answered,
    /// It could not run: exit code 2 and this text.
    Usage(String),
}
