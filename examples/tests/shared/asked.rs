//! `mesh` with a question on its input.
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The exit code, the answer as JSON, and what is said besides.
pub(crate) fn mesh(
    folder: &Path,
    arguments: &[&str],
    input: &Value,
) -> (Option<i32>, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("-f").arg(folder).args(arguments).args(["-o", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who asks for no input may be gone before it comes.
    let _ = child.stdin.take().unwrap().write_all(input.to_string().as_bytes());
    let output = child.wait_with_output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), answer, String::from_utf8(output.stderr).unwrap())
}
