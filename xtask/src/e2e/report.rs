//! What was checked, line by line.
use std::fmt;

/// Checks, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Report {
    /// Prints one check, a sentence that is true if it passed, and counts it.
    pub(super) fn check<T, E: fmt::Display>(
        &mut self,
        sentence: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => {
                println!("  ok    {sentence}");
                self.passed += 1;
                Some(value)
            }
            Err(why) => {
                println!("  FAIL  {sentence}: {why}");
                self.failed += 1;
                None
            }
        }
    }

    /// The same for several that came to nothing but their result.
    pub(super) fn check_each<'s, E: fmt::Display>(
        &mut self,
        checks: impl Iterator<Item = (&'s str, Result<(), E>)>,
    ) {
        for (sentence, result) in checks {
            self.check(sentence, result);
        }
    }
}
