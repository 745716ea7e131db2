//! What admission refuses or warns of, rule by rule.
//!
//! Decoding says what a document says; validation says whether Istio would take it. Every rule has an
//! identifier of its own, and all the rules that an object breaks are told at once.
//!
//! # Upstream
//!
//! istio/istio `pkg/config/validation/validation.go`.
use crate::manifest::Severity;

pub(crate) mod attachment;
pub(crate) mod dry_run;

/// A rule that an object breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers print every part")]
pub struct Violation {
    /// The rule's identifier, such as `AP-PORT`.
    pub rule: &'static str,
    /// An error, which admission refuses, or a warning.
    pub severity: Severity,
    /// The field path, such as `spec.rules[0].to[0].operation.ports[1]`.
    pub field: String,
    /// What is wrong: one sentence, lower case, without a final period.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

/// Collects violations at the path that is being looked at.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    path: String,
    found: Vec<Violation>,
}

impl Violations {
    /// Runs `inner` with a field appended to the path.
    pub(crate) fn field(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        inner(self);
        self.path.truncate(length);
    }

    /// Runs `inner` for each item with its index appended to the path.
    pub(crate) fn each<'i, T: 'i>(
        &mut self,
        items: impl IntoIterator<Item = &'i T>,
        mut inner: impl FnMut(&mut Self, &'i T),
    ) {
        let length = self.path.len();
        for (index, item) in items.into_iter().enumerate() {
            self.path.push_str(&format!("[{index}]"));
            inner(self, item);
            self.path.truncate(length);
        }
    }

    pub(crate) fn error(&mut self, rule: &'static str, message: &str, help: &str) {
        self.push(rule, Severity::Error, message, help);
    }

    pub(crate) fn warning(&mut self, rule: &'static str, message: &str, help: &str) {
        self.push(rule, Severity::Warning, message, help);
    }

    fn push(&mut self, rule: &'static str, severity: Severity, message: &str, help: &str) {
        self.found.push(Violation {
            rule,
            severity,
            field: self.path.clone(),
            message: message.to_owned(),
            help: help.to_owned(),
        });
    }

    pub(crate) fn into_found(self) -> Vec<Violation> {
        self.found
    }
}
