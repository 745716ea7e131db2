//! Differences that are explained.
//!
//! `known.txt`, beside the recordings: the fields that istiod itself changes from run to run.
//! `xtask/recording-faults.txt`: what recordings miss, each with the reason.
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

/// What recordings miss: differences of one folder, each with the reason.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

#[derive(Debug)]
struct Fault {
    /// `MESH/PROXY`.
    folder: String,
    differences: Known,
    why: String,
}

impl Faults {
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(path).attempt(format!("read `{}`", path.display()))?;
        Self::parse(&text).attempt(format!("use `{}`", path.display()))
    }

    /// Lines `MESH/PROXY TYPE REGEX # why`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let lines = text.lines().map(str::trim);
        let fault = |line: &str| {
            let parts = line.split_once(char::is_whitespace);
            let (folder, (rule, why)) = parts
                .and_then(|(folder, rest)| Some((folder, rest.split_once(" # ")?)))
                .ok_or_else(|| {
                    Problem(format!("`{line}` is no line `MESH/PROXY TYPE REGEX # why`"))
                })?;
            let (folder, why) = (folder.to_owned(), why.trim().to_owned());
            Ok(Fault { folder, differences: Known::parse(rule)?, why })
        };
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(fault)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Why a difference at this place of a folder is the recording's, if it is.
    pub(super) fn why(&self, folder: &str, kind: &str, resource: &str, path: &str) -> Option<&str> {
        let explains = |fault: &&Fault| {
            fault.folder == folder && fault.differences.explains(kind, resource, path)
        };
        self.0.iter().find(explains).map(|fault| &*fault.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_of_its_folder_and_has_a_reason() {
        let faults = Faults::parse("# text\nshop/east.ztunnel addresses ^a$ # not seen\n").unwrap();
        assert_eq!(faults.why("shop/east.ztunnel", "addresses", "a", ""), Some("not seen"));
        assert_eq!(faults.why("shop/east.ztunnel", "addresses", "a", ".name"), None);
        assert_eq!(faults.why("shop/east.ztunnel", "authorizations", "a", ""), None);
        assert_eq!(faults.why("shop/west.ztunnel", "addresses", "a", ""), None);
        assert!(Faults::parse("shop/east.ztunnel addresses ^a$").is_err());
        assert!(Faults::parse("shop/east.ztunnel addresses # why").is_err());
    }

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
