//! `mesh diff` of two folders.
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What it says, as JSON and for people.
pub(crate) fn diff(old: &Path, new: &Path) -> (Value, String) {
    let answer = |form: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        let output = command.arg("diff").args([old, new]).args(["-o", form]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    (serde_json::from_str(&answer("json")).unwrap(), answer("table"))
}
