//! Hosts as the sets of names that they stand for: a name for itself, `*` with a suffix for every text that
//! ends so. Relations of sets are decided by members that tell them apart.

/// A beginning that no host of a test has: with it a member of a wildcard is no other pattern's text.
const ODD: &str = "\u{1}odd";

/// Whether a name is in the set of a pattern.
fn holds(pattern: &str, name: &str) -> bool {
    if pattern.starts_with('*') {
        let mut name = name.chars().rev();
        pattern
            .chars()
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .all(|c| name.next() == Some(c))
    } else {
        pattern == name
    }
}

/// Members of the set of a pattern that decide every question about it: the text itself, or the suffix
/// alone and with something before it.
fn members(pattern: &str) -> Vec<String> {
    match pattern.strip_prefix('*') {
        Some(suffix) => vec![suffix.to_owned(), format!("{ODD}{suffix}")],
        None => vec![pattern.to_owned()],
    }
}

/// Whether some name is in both sets.
#[must_use]
pub fn meet(a: &str, b: &str) -> bool {
    members(a).iter().chain(&members(b)).any(|name| holds(a, name) && holds(b, name))
}

/// Whether every name of the first set is in the second.
#[must_use]
pub fn is_subset(a: &str, b: &str) -> bool {
    members(a).iter().all(|name| holds(b, name))
}
