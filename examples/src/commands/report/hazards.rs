//! What will hurt, by code.
use std::collections::BTreeMap;

use mesh_model::manifest::{Diagnostic, Severity};

use super::html::{Cell, Page, Tag};

pub(super) fn section(page: &mut Page, found: &[Diagnostic]) {
    page.section(
        "hazards",
        "Hazards",
        "What the manifests show of what will go wrong, the worst first: what happens, and what to do.",
    );
    if found.is_empty() {
        page.nothing("None found.");
    }
    for (severity, name) in [
        (Severity::Error, "Errors: traffic is lost, or a policy is void"),
        (Severity::Warning, "Warnings: things get worse than they need to"),
        (Severity::Info, "Notes"),
    ] {
        let mut by_code: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
        for one in found.iter().filter(|one| one.severity == severity) {
            by_code.entry(one.code).or_default().push(one);
        }
        if by_code.is_empty() {
            continue;
        }
        page.heading(name);
        page.card(|page| {
            for (code, list) in by_code {
                findings(page, (severity, code), &list);
            }
        });
    }
}

fn findings(page: &mut Page, (severity, code): (Severity, &str), list: &[&Diagnostic]) {
    let count =
        if list.len() == 1 { "1 place".to_owned() } else { format!("{} places", list.len()) };
    let tags = [Tag::new(severity.as_str(), severity.as_str()), Tag::new("", &count)];
    let about = list.first().map_or("", |first| first.message.as_str());
    page.details(("hazard", code, about), &tags, |page| {
        let rows = list.iter().map(|one| {
            let place = match (&*one.file, one.place.line) {
                ("", _) => "–".to_owned(),
                (file, 0) => file.to_owned(),
                (file, line) => format!("{file}:{line}"),
            };
            let help = if one.help.is_empty() { "–" } else { &one.help };
            vec![
                Cell::code(&one.object),
                Cell::prose(&one.message),
                Cell::prose(help),
                Cell::code(&place),
            ]
        });
        page.table(&["object", "what happens", "what to do", "where"], &rows.collect::<Vec<_>>());
    });
}
