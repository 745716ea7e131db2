//! `known.txt`: the fields that istiod itself changes from run to run.
use std::path::Path;

use regex::Regex;

use crate::problem::{Attempt, Problem};

/// Differences that are explained, by type and by resource name and path.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<(String, Regex)>);

impl Known {
    /// Reads the file; a folder without one knows of no difference.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).attempt(format!("read `{}`", path.display()))?;
        Self::parse(&text).attempt(format!("use `{}`", path.display()))
    }

    /// Lines `TYPE REGEX # why`; `*` is every type.
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut known = Vec::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let rule = line.split(" #").next().unwrap_or(line).trim();
            let (kind, pattern) = rule
                .split_once(char::is_whitespace)
                .ok_or_else(|| Problem(format!("`{line}` is no line `TYPE REGEX # why`")))?;
            let pattern = Regex::new(pattern.trim()).attempt(format!("read `{pattern}`"))?;
            known.push((kind.to_owned(), pattern));
        }
        Ok(Self(known))
    }

    /// True if a difference at this place is explained.
    pub(super) fn explains(&self, kind: &str, resource: &str, path: &str) -> bool {
        let place = format!("{resource}{path}");
        self.0
            .iter()
            .any(|(known, pattern)| (known == kind || known == "*") && pattern.is_match(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference_is_explained_in_its_type_only() {
        let text =
            "# why\nroutes ^\\d+\\.virtualHosts\\[a:\\d+\\] # any one\n* \\.version$ # both\n";
        let known = Known::parse(text).unwrap();
        assert!(known.explains("routes", "80", ".virtualHosts[a:80].domains"));
        assert!(!known.explains("listeners", "80", ".virtualHosts[a:80].domains"));
        assert!(!known.explains("routes", "x80", ".virtualHosts[a:80]"));
        assert!(known.explains("clusters", "c", ".version"));
    }

    #[test]
    fn a_line_that_is_no_rule_is_refused() {
        assert!(Known::parse("routes").is_err());
        assert!(Known::parse("routes (").is_err());
    }
}
