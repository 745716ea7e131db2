use expect::render;

use super::{Limits, Reading, read};

pub(super) mod expect;
mod hostile;
mod limits;
mod lists;
mod stream;

/// Reads `text` as `f.yaml`; the documents as JSON, a line each, then the diagnostics.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    check_within(&Limits::default(), text, expected);
}

#[track_caller]
fn check_within(limits: &Limits, text: impl AsRef<[u8]>, expected: &str) {
    let reading = read("f.yaml", text.as_ref(), limits);
    let lines: Vec<&str> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(report(&reading), lines.join("\n"));
}

fn report(reading: &Reading) -> String {
    let documents = reading.documents.iter().map(|document| render(&document.node));
    let diagnostics = reading.diagnostics.iter().map(ToString::to_string);
    documents.chain(diagnostics).collect::<Vec<_>>().join("\n")
}
