//! Path templates: `{*}` is one segment, `{**}` any number of them.
use std::fmt;

/// A path value that contains `{*}` or `{**}`, compiled.
///
/// # Upstream
///
/// envoyproxy/envoy `source/extensions/path/uri_template_lib`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTemplate {
    /// As Envoy gets it: `*` for `{*}`, `**` for `{**}`.
    text: Box<str>,
    /// What stands before `**`, or the whole template.
    head: Box<[Segment]>,
    /// What stands after `**`, with its leading slash; `None` without `**`.
    tail: Option<Box<str>>,
    /// Whether an operator stands for a `*`, too.
    matches_star: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    One,
    Literal(Box<str>),
}

/// The template is none that Envoy accepts; it refuses the whole listener then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidPathTemplate {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Slash,
    Segment,
    Last,
}

impl fmt::Display for InvalidPathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Slash => "path template does not start with `/`",
            Kind::Segment => {
                "path template has a segment that is neither a literal nor an operator"
            }
            Kind::Last => "path template has an operator after `{**}`",
        })
    }
}

impl std::error::Error for InvalidPathTemplate {}

/// Returns whether a path value is a template.
pub(crate) fn is_template(value: &str) -> bool {
    value.contains("{*}") || value.contains("{**}")
}

/// Returns a template as istiod hands it to Envoy.
pub(crate) fn for_envoy(value: &str) -> String {
    value.replace("{*}", "*").replace("{**}", "**")
}

impl PathTemplate {
    /// Compiles a template in Istio's syntax.
    ///
    /// # Errors
    ///
    /// When Envoy would not accept it: no leading slash, an empty segment, characters that no literal
    /// may have, or an operator after `{**}`.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_authz::matcher::PathTemplate;
    /// let carts = PathTemplate::new("/store/{**}/cart")?;
    /// assert!(carts.matches("/store/eu/berlin/cart"));
    /// assert!(!carts.matches("/store/cart"));
    /// # Ok::<(), mesh_authz::matcher::InvalidPathTemplate>(())
    /// ```
    pub fn new(template: &str) -> Result<Self, InvalidPathTemplate> {
        let text = for_envoy(template);
        let error = |kind| InvalidPathTemplate { kind };
        let segments = text.strip_prefix('/').ok_or(error(Kind::Slash))?;
        let mut head = Vec::new();
        let mut tail: Option<String> = None;
        let mut rest = segments.split('/').peekable();
        while let Some(segment) = rest.next() {
            let is_end = rest.peek().is_none();
            match (segment, &mut tail) {
                ("*" | "**", Some(_)) => return Err(error(Kind::Last)),
                ("**", None) => tail = Some(String::new()),
                ("*", None) => head.push(Segment::One),
                // Only the slash at the very end may have nothing after it.
                ("", _) if !is_end => return Err(error(Kind::Segment)),
                (literal, _) if !literal.bytes().all(is_literal) => {
                    return Err(error(Kind::Segment));
                }
                (literal, Some(tail)) => {
                    tail.push('/');
                    tail.push_str(literal);
                }
                (literal, None) => head.push(Segment::Literal(literal.into())),
            }
        }
        let (head, tail) = (head.into(), tail.map(Into::into));
        Ok(Self { text: text.into(), head, tail, matches_star: true })
    }

    /// Returns the template as Envoys read it before 1.31.8, 1.32.6, 1.33.3 and 1.34.1: its operators
    /// stand for no `*` (CVE-2025-46821).
    #[must_use]
    pub fn without_star(self) -> Self {
        Self { matches_star: false, ..self }
    }

    /// Returns the template as Envoy gets it, with `*` and `**`.
    pub fn as_envoy(&self) -> &str {
        &self.text
    }

    /// Returns what every path that matches starts with.
    pub(crate) fn literal_prefix(&self) -> &str {
        self.text.split('*').next().unwrap_or_default()
    }

    /// Returns whether a path matches; what follows the first `?` or `#` does not count.
    pub fn matches(&self, path: &str) -> bool {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let mut rest = Some(path);
        for segment in &self.head {
            let Some(text) = rest.and_then(|rest| rest.strip_prefix('/')) else { return false };
            let (value, next) = match text.find('/') {
                Some(at) => text.split_at(at),
                None => (text, ""),
            };
            let matches = match segment {
                Segment::One => {
                    !value.is_empty() && value.bytes().all(|byte| self.is_variable(byte))
                }
                Segment::Literal(literal) => value == &**literal,
            };
            if !matches {
                return false;
            }
            rest = Some(next);
        }
        let rest = rest.unwrap_or_default();
        let Some(tail) = &self.tail else { return rest.is_empty() };
        rest.strip_prefix('/')
            .and_then(|rest| rest.strip_suffix(&**tail))
            .is_some_and(|any| any.bytes().all(|byte| byte == b'/' || self.is_variable(byte)))
    }

    /// The characters that an operator stands for.
    pub(crate) fn is_variable(&self, byte: u8) -> bool {
        is_literal(byte) || (byte == b'*' && self.matches_star)
    }
}

/// The characters of a literal segment.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, expected: bool) {
        let template = PathTemplate::new(template).unwrap();
        assert_eq!(template.matches(path), expected, "{template:?} {path}");
    }

    #[test]
    fn an_operator_of_one_segment_wants_exactly_one() {
        check("/a/{*}", "/a/b?x/y", true);
        check("/a/{*}", "/a/", false);
        check("/a/{*}", "/a/b/", false);
        check("/a/{*}/", "/a/b/", true);
        check("/{*}/{*}", "/a/b", true);
    }

    #[test]
    fn an_operator_of_any_segments_needs_the_slash_before_it() {
        check("/a/{**}", "/a/", true);
        check("/a/{**}", "/a", false);
        check("/s/{**}/c", "/s//c", true);
        check("/s/{**}/c", "/s/c", false);
        check("/{**}", "/", true);
        check("/a/{**}/", "/a/b", false);
    }

    #[test]
    fn older_envoys_know_no_star_in_a_path() {
        check("/a/{*}", "/a/b*", true);
        check("/a/{**}", "/a/*/b", true);
        for template in ["/a/{*}", "/a/{**}"] {
            let older = PathTemplate::new(template).unwrap().without_star();
            assert!(older.matches("/a/b"), "{template}");
            assert!(!older.matches("/a/b*"), "{template}");
        }
    }

    #[test]
    fn what_envoy_refuses_is_no_template() {
        for text in ["a/{*}", "/{**}/a/{*}", "/a//{*}", "/{*}b", "/a|b/{*}", "/{x}/{*}"] {
            assert!(PathTemplate::new(text).is_err(), "{text}");
        }
    }
}
