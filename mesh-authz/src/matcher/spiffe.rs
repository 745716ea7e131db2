//! The regular expressions that istiod writes for identities, each with a matcher of its own.
//!
//! istiod knows five shapes of expression and no other, so none is run by a regular expression
//! engine: each shape is matched in one pass, without a cache and without allocating. Tests hold each
//! against the expression that it prints.

/// The scheme of every mesh identity.
pub(crate) const SCHEME: &str = "spiffe://";

/// A regular expression that matches a whole text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every pattern")]
pub enum Pattern {
    /// `.+`: anything that is not empty.
    NonEmpty,
    /// `spiffe://.*SUFFIX`: any identity that ends so.
    Principal {
        /// The end of the identity.
        suffix: Box<str>,
    },
    /// `.*A.*B.*`: the literals in this order, anywhere. Namespaces are `/ns/NAME/`, cut at stars.
    Contains {
        /// The literals.
        literals: Box<[Box<str>]>,
    },
    /// `spiffe://.+/ns/NAMESPACE/(.+/|)sa/NAME(/.+)?`.
    ServiceAccount {
        /// The namespace with what stands around it, `/ns/NAMESPACE/`.
        namespace: Box<str>,
        /// The service account with what stands before it, `sa/NAME`.
        account: Box<str>,
    },
    /// `spiffe://BEFORE[^/]*AFTER/.*`.
    TrustDomain {
        /// What the trust domain starts with.
        before: Box<str>,
        /// What it ends with; a `*` here is literal.
        after: Box<str>,
    },
}

impl Pattern {
    /// Returns the pattern of a namespace, each `*` standing for any text.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/model/generator.go` `srcNamespaceGenerator`.
    pub fn namespace(name: &str) -> Self {
        let text = format!("/ns/{name}/");
        Self::Contains { literals: text.split('*').map(Box::from).collect() }
    }

    /// Returns the pattern of a service account of a namespace, both literally.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/model/generator.go` `serviceAccountRegex`.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::ServiceAccount {
            namespace: format!("/ns/{namespace}/").into(),
            account: format!("sa/{name}").into(),
        }
    }

    /// Returns the segment that must follow `/ns/` somewhere in every identity that matches, if the
    /// pattern names one in full.
    pub(crate) fn namespace_segment(&self) -> Option<&str> {
        let literal = match self {
            Self::Contains { literals } => match &**literals {
                [only] => only,
                _ => return None,
            },
            Self::ServiceAccount { namespace, .. } => namespace,
            Self::NonEmpty | Self::Principal { .. } | Self::TrustDomain { .. } => return None,
        };
        let segment = literal.strip_prefix("/ns/")?.strip_suffix('/')?;
        (!segment.contains('/')).then_some(segment)
    }

    /// Returns the expression in RE2 syntax, literals quoted as Go's `regexp.QuoteMeta` does.
    pub fn regex(&self) -> String {
        match self {
            Self::NonEmpty => ".+".to_owned(),
            Self::Principal { suffix } => format!("{SCHEME}.*{}", quoted(suffix)),
            Self::Contains { literals } => {
                let literals: Vec<String> =
                    literals.iter().map(|literal| quoted(literal)).collect();
                format!(".*{}.*", literals.join(".*"))
            }
            Self::ServiceAccount { namespace, account } => {
                format!("{SCHEME}.+{}(.+/|){}(/.+)?", quoted(namespace), quoted(account))
            }
            Self::TrustDomain { before, after } => {
                format!("{SCHEME}{}[^/]*{}/.*", quoted(before), quoted(after))
            }
        }
    }

    /// Returns whether the whole text matches.
    ///
    /// `.` stands for any character but a line break, so a text with one matches no pattern except a
    /// trust domain's; values of policies that hold line breaks themselves match nothing.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::NonEmpty => !text.is_empty() && is_line(text),
            Self::Principal { suffix } => {
                identity(text).is_some_and(|rest| rest.ends_with(suffix.as_bytes()))
                    && is_line(text)
            }
            Self::Contains { literals } => contains(literals, text) && is_line(text),
            Self::ServiceAccount { namespace, account } => {
                let rest = identity(text).and_then(|rest| rest.get(1..));
                rest.and_then(|rest| after(rest, namespace.as_bytes()))
                    .is_some_and(|rest| has_account(rest, account.as_bytes()))
                    && is_line(text)
            }
            Self::TrustDomain { before, after } => identity(text)
                .and_then(|rest| rest.strip_prefix(before.as_bytes()))
                .is_some_and(|rest| ends_trust_domain(rest, after.as_bytes())),
        }
    }
}

/// What follows `spiffe://`.
fn identity(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(SCHEME.as_bytes())
}

fn is_line(text: &[u8]) -> bool {
    !text.contains(&b'\n')
}

/// The literals in order: the first place of each leaves the most text to the next.
fn contains(literals: &[Box<str>], text: &[u8]) -> bool {
    literals.iter().try_fold(text, |rest, literal| after(rest, literal.as_bytes())).is_some()
}

/// What follows the first place of `literal` in `text`.
pub(crate) fn after<'t>(text: &'t [u8], literal: &[u8]) -> Option<&'t [u8]> {
    let Some(first) = literal.first() else { return Some(text) };
    let mut rest = text;
    loop {
        let at = rest.iter().position(|byte| byte == first)?;
        rest = rest.get(at..)?;
        if let Some(end) = rest.strip_prefix(literal) {
            return Some(end);
        }
        rest = rest.get(1..)?;
    }
}

/// Calls `visit` with each segment of an identity that follows `/ns/` and is followed by `/`.
pub(crate) fn each_namespace<'t>(identity: &'t str, mut visit: impl FnMut(&'t str)) {
    let mut rest = identity;
    while let Some((_, tail)) = rest.split_once("/ns/") {
        if let Some((segment, _)) = tail.split_once('/') {
            visit(segment);
        }
        // The next `/ns/` may begin with the slash that ended this one.
        rest = rest.get(rest.len() - tail.len() - 1..).unwrap_or_default();
    }
}

/// `(.+/|)sa/NAME(/.+)?`: at the start or after a slash that is not the first character, and up to
/// the end or a slash that is not the last.
fn has_account(text: &[u8], account: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let starts = at == 0 || (at > 1 && text.get(at - 1) == Some(&b'/'));
        if starts
            && let Some(end) = rest.strip_prefix(account)
            && (end.is_empty() || (end.len() > 1 && end.starts_with(b"/")))
        {
            return true;
        }
        at += 1;
    }
    false
}

/// `[^/]*AFTER/.*`: some place before the first slash is followed by `AFTER/` and no line break.
fn ends_trust_domain(text: &[u8], after: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let end = rest.strip_prefix(after).and_then(|end| end.strip_prefix(b"/"));
        if end.is_some_and(is_line) {
            return true;
        }
        match rest.split_first() {
            Some((byte, tail)) if *byte != b'/' => rest = tail,
            _ => return false,
        }
    }
}

/// A literal as a regular expression.
fn quoted(literal: &str) -> String {
    let mut quoted = String::with_capacity(literal.len());
    for character in literal.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The expression says the same, run by an engine of regular expressions.
    fn check(pattern: &Pattern, text: &str) -> Result<(), TestCaseError> {
        let expression = regex::Regex::new(&format!("^(?:{})$", pattern.regex())).unwrap();
        prop_assert_eq!(
            pattern.matches(text.as_bytes()),
            expression.is_match(text),
            "{:?} {}",
            pattern,
            text
        );
        Ok(())
    }

    fn word() -> impl Strategy<Value = String> {
        "[ab.*]{0,3}"
    }

    fn identity_like() -> impl Strategy<Value = String> {
        let part = prop_oneof!["ns", "sa", "a", "b", "ab", "a.b", "", "\n"];
        (prop_oneof!["spiffe://", "spiffe:/", ""], prop::collection::vec(part, 0..9))
            .prop_map(|(scheme, parts)| format!("{scheme}{}", parts.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_pattern_agrees_with_its_expression(
            (a, b, text) in (word(), word(), identity_like()),
        ) {
            for pattern in [
                Pattern::NonEmpty,
                Pattern::Principal { suffix: a.as_str().into() },
                Pattern::namespace(&a),
                Pattern::service_account(&a, &b),
                Pattern::TrustDomain { before: a.as_str().into(), after: b.as_str().into() },
            ] {
                check(&pattern, &text)?;
            }
        }
    }

    proptest! {
        /// Envoy reads expressions as Latin-1 since the releases of 2026-09, and as UTF-8 before
        /// (`re2_use_latin1_mode`). What rules are made of says the same in both.
        #[test]
        fn no_pattern_tells_latin_1_from_utf_8(
            (a, b, text) in (word(), word(), "(spiffe://|)[aé√\u{1F600}/.]{0,6}(/ns/é/|)(sa/é|)"),
        ) {
            for pattern in [
                Pattern::NonEmpty,
                Pattern::Principal { suffix: a.as_str().into() },
                Pattern::namespace("é"),
                Pattern::service_account("é", "é"),
                Pattern::TrustDomain { before: a.as_str().into(), after: b.as_str().into() },
            ] {
                let expression = format!("^(?:{})$", pattern.regex());
                let latin1 = regex::bytes::RegexBuilder::new(&expression).unicode(false).build();
                let is_match = latin1.unwrap().is_match(text.as_bytes());
                prop_assert_eq!(is_match, pattern.matches(text.as_bytes()), "{:?} {}", pattern, text);
                check(&pattern, &text)?;
            }
        }
    }

    #[test]
    fn service_accounts_may_stand_among_other_segments() {
        let pattern = Pattern::service_account("n", "s");
        for text in [
            "spiffe://td/ns/n/sa/s",
            "spiffe://td/region/eu/ns/n/x/y/sa/s/pod/p",
            "spiffe://td/ns/n/sa/s/",
            "spiffe://td/ns/n/sa/sx",
            "spiffe:///ns/n/sa/s",
            "spiffe:////ns/n/sa/s",
            "spiffe://td/ns/n//sa/s",
        ] {
            check(&pattern, text).unwrap();
        }
    }
}
