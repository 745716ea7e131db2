//! One test of a text, as Envoy's `StringMatcher` has it.
use super::spiffe::Pattern;

/// A test of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a test has these two parts")]
pub struct StringTest {
    /// What the text must be.
    pub form: Form,
    /// Whether ASCII letters match in either case; never set with [`Form::Pattern`].
    pub ignore_case: bool,
}

/// What a text must be.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every form")]
pub enum Form {
    /// Equal to this.
    Exact(Box<str>),
    /// Starting with this.
    Prefix(Box<str>),
    /// Ending with this.
    Suffix(Box<str>),
    /// Matched as a whole by a regular expression.
    Pattern(Pattern),
}

impl StringTest {
    /// Reads a policy's value: `*` any text that is not empty, `*X` suffix, `X*` prefix, else exact.
    ///
    /// Only the first star of `*X` and the last of `X*` are special, any other is a literal star.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_authz::matcher::StringTest;
    /// assert!(StringTest::of_value("/api*").matches(b"/api/v1"));
    /// assert!(!StringTest::of_value("*").matches(b""));
    /// ```
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/matcher/string.go` `StringMatcher`.
    pub fn of_value(value: &str) -> Self {
        if value == "*" {
            Self::from(Form::Pattern(Pattern::NonEmpty))
        } else if let Some(suffix) = value.strip_prefix('*') {
            Self::from(Form::Suffix(suffix.into()))
        } else if let Some(prefix) = value.strip_suffix('*') {
            Self::from(Form::Prefix(prefix.into()))
        } else {
            Self::exact(value)
        }
    }

    /// Returns the test that a text is this one.
    pub fn exact(text: &str) -> Self {
        Self::from(Form::Exact(text.into()))
    }

    /// Returns the same test in either case of ASCII letters.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self { ignore_case: true, ..self }
    }

    /// Returns whether the text passes.
    pub fn matches(&self, text: &[u8]) -> bool {
        match &self.form {
            Form::Exact(expected) => self.equal(text, expected.as_bytes()),
            Form::Prefix(prefix) => {
                text.get(..prefix.len()).is_some_and(|start| self.equal(start, prefix.as_bytes()))
            }
            Form::Suffix(suffix) => text
                .len()
                .checked_sub(suffix.len())
                .and_then(|at| text.get(at..))
                .is_some_and(|end| self.equal(end, suffix.as_bytes())),
            Form::Pattern(pattern) => pattern.matches(text),
        }
    }

    fn equal(&self, a: &[u8], b: &[u8]) -> bool {
        if self.ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}

impl From<Form> for StringTest {
    fn from(form: Form) -> Self {
        Self { form, ignore_case: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, text: &str, expected: bool) {
        assert_eq!(
            StringTest::of_value(value).matches(text.as_bytes()),
            expected,
            "{value} {text}"
        );
    }

    #[test]
    fn a_star_is_special_at_one_end_only() {
        check("*a*", "xa*", true);
        check("*a*", "xab", false);
        check("a*b", "a*b", true);
        check("a*b", "axb", false);
        check("a**", "a*b", true);
    }

    #[test]
    fn presence_asks_for_a_text_that_is_not_empty() {
        check("*", "", false);
        check("*", "a", true);
        check("*", "a\nb", false); // RE2's `.` does not match a newline.
    }

    #[test]
    fn case_counts_unless_it_is_ignored() {
        check("A", "a", false);
        assert!(StringTest::of_value("*.Example.com").ignoring_case().matches(b"a.eXample.COM"));
    }
}
