//! Other spellings of a path or a host, which a proxy may or may not take for the same.
use super::super::literal::Subject;

/// Returns other spellings of a value of a part.
pub(super) fn others(subject: Subject<'_>, text: &str) -> Vec<String> {
    if matches!(subject, Subject::Path | Subject::Header(":path")) {
        of_path(text)
    } else if subject == Subject::Header(":authority") {
        vec![format!("{text}:8080"), format!("{text}.")]
    } else {
        Vec::new()
    }
}

/// What a step of normalization makes this path, and what none does.
fn of_path(path: &str) -> Vec<String> {
    let Some(rest) = path.strip_prefix('/') else { return Vec::new() };
    let mut found = vec![
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/..;y{path}"),
        format!("/x/..%2F{rest}"),
        format!("/x/..%5C{rest}"),
        format!("/x/..\\{rest}"),
        format!("{path}/"),
        format!("{path};x=1"),
        format!("{path}?x=1"),
    ];
    let mut letters = rest.chars();
    if let Some(first) = letters.next().filter(char::is_ascii_alphanumeric) {
        found.push(format!("/%{:02X}{}", u32::from(first), letters.as_str()));
    }
    if let Some((before, after)) = rest.rsplit_once('/') {
        let slashes = ["//", "%2F", "%5C", "\\", "/./", ";x=1/"];
        found.extend(slashes.map(|slash| format!("/{before}{slash}{after}")));
    }
    found
}
