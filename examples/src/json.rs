//! The JSON that several commands share.
use mesh_model::manifest::{Diagnostic, Severity};
use mesh_model::name::Locality;
use serde_json::{Value, json};

use crate::say::say;

/// Prints a value on stdout, keys sorted.
pub(crate) fn print(value: &Value) {
    say!("{value:#}");
}

/// A locality; `""` where a part is unknown.
pub(crate) fn locality(locality: &Locality) -> Value {
    json!({
        "region": locality.region(),
        "zone": locality.zone(),
        "sub_zone": locality.sub_zone(),
    })
}

/// Diagnostics with their totals, sorted by file, line and code.
pub(crate) fn diagnostics(diagnostics: &[Diagnostic]) -> Value {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by(|a, b| {
        (&a.file, a.place.line, a.code, a.place).cmp(&(&b.file, b.place.line, b.code, b.place))
    });
    let count = |severity| sorted.iter().filter(|found| found.severity == severity).count();
    let totals = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
    let list: Vec<Value> = sorted.into_iter().map(diagnostic).collect();
    json!({"diagnostics": list, "errors": totals.0, "warnings": totals.1, "infos": totals.2})
}

/// One diagnostic; what it does not have is null.
pub(crate) fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity.as_str(),
        "file": &*diagnostic.file,
        "line": diagnostic.place.line,
        "column": diagnostic.place.column,
        "object": known(&diagnostic.object),
        "field": known(&diagnostic.field),
        "message": diagnostic.message,
        "help": known(&diagnostic.help),
    })
}
