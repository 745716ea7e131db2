//! Conformance suites: cases as JSON data, run against every implementation of a rule.
//!
//! A directory holds one folder an area and one file a feature. Each case names an operation, its
//! input and what is expected; an [`Answer`] is what an implementation said, and [`compare()`] holds
//! one against the other by the rules of its area.
mod compare;
mod suite;

pub use self::compare::{Mismatch, Rule, compare, rule};
pub use self::suite::{Case, Suite, SuiteError, load};

/// What an implementation answers to one case.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a runner acts on every kind of answer")]
pub enum Answer {
    /// The computed result, in the shape of the case's `expect`.
    Value(serde_json::Value),
    /// The operation is known and not built yet: it does not pass, and is counted by itself.
    NotImplemented,
    /// The operation or its input is not understood: a failure, with the reason.
    Rejected(String),
}
