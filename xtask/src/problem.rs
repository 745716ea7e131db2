//! Why something could not be done, as one sentence for a person.
use std::fmt;

use crate::Failure;

/// One sentence: what was attempted, and why it did not work.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Usage(problem.0)
    }
}

/// Adds what was attempted to an error that only says why it failed.
pub(crate) trait Attempt<T> {
    /// `what` completes "cannot …".
    fn attempt(self, what: impl fmt::Display) -> Result<T, Problem>;
}

impl<T, E: fmt::Display> Attempt<T> for Result<T, E> {
    fn attempt(self, what: impl fmt::Display) -> Result<T, Problem> {
        self.map_err(|error| Problem(format!("cannot {what}: {error}")))
    }
}
