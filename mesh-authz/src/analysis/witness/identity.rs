//! Identities of the form that workloads have: what ztunnels read, and what a mesh hands out.
//!
//! An Envoy compares names as texts, so that `spiffe://x/sa/x` passes `*/sa/x`; a ztunnel takes it for no
//! identity. The form passes the same tests and is one for both.
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, Pattern};

/// `TRUST-DOMAIN/ns/NAMESPACE/sa/NAME`, with what nothing asks for as `x`.
const FORM: [&str; 5] = ["x", "ns", "x", "sa", "x"];

/// The identity of a workload that passes a test; `None` if there is none, or what the test is first met by
/// has the form already.
pub(super) fn of_workload(form: &Form) -> Option<String> {
    let segments = match form {
        Form::Prefix(prefix) => starting(prefix)?,
        Form::Suffix(suffix) | Form::Pattern(Pattern::Principal { suffix }) => ending(suffix)?,
        Form::Pattern(Pattern::NonEmpty) => FORM.map(str::to_owned),
        Form::Exact(_)
        | Form::Pattern(
            Pattern::Contains { .. } | Pattern::ServiceAccount { .. } | Pattern::TrustDomain { .. },
        ) => return None,
    };
    Some(format!("{SCHEME}{}", segments.join("/")))
}

fn starting(prefix: &str) -> Option<[String; 5]> {
    let rest = match prefix.strip_prefix(SCHEME) {
        Some(rest) => rest,
        None => SCHEME.starts_with(prefix).then_some("")?,
    };
    let asked: Vec<&str> = rest.split('/').collect();
    let last = asked.len().checked_sub(1)?;
    let mut found = FORM.map(str::to_owned);
    for (place, asked) in asked.into_iter().enumerate() {
        let segment = found.get_mut(place)?;
        let (is_word, is_part) = (is_word(place), place == last);
        match is_word {
            true if is_part => segment.starts_with(asked).then_some(())?,
            true => (segment == asked).then_some(())?,
            false if is_part => *segment = format!("{asked}x"),
            false if asked.is_empty() => return None,
            false => asked.clone_into(segment),
        }
    }
    Some(found)
}

fn ending(suffix: &str) -> Option<[String; 5]> {
    let asked: Vec<&str> = suffix.split('/').collect();
    let first = FORM.len().checked_sub(asked.len())?;
    let mut found = FORM.map(str::to_owned);
    for (place, asked) in (first..).zip(asked) {
        let segment = found.get_mut(place)?;
        let (is_word, is_part) = (is_word(place), place == first);
        match is_word {
            true if is_part => segment.ends_with(asked).then_some(())?,
            true => (segment == asked).then_some(())?,
            false if is_part => *segment = format!("x{asked}"),
            false if asked.is_empty() => return None,
            false => asked.clone_into(segment),
        }
    }
    Some(found)
}

/// Whether a segment is a word of the form, which nobody chooses.
const fn is_word(place: usize) -> bool {
    place == 1 || place == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &Form, expected: Option<&str>) {
        assert_eq!(of_workload(form).as_deref(), expected, "{form:?}");
    }

    #[test]
    fn a_start_and_an_end_are_completed() {
        let start = |text: &str| Form::Prefix(format!("{SCHEME}{text}").into());
        check(&start("td/ns/fr"), Some("spiffe://td/ns/frx/sa/x"));
        check(&start("td"), Some("spiffe://tdx/ns/x/sa/x"));
        check(&start("td/n"), Some("spiffe://td/ns/x/sa/x"));
        check(&start("td/ns/a/sa/"), Some("spiffe://td/ns/a/sa/x"));
        check(&start("td/x"), None);
        check(&start("td/ns/a/sa/b/c"), None);
        check(&start("/ns/a"), None);
        check(&Form::Prefix("spiffe".into()), Some("spiffe://x/ns/x/sa/x"));
        check(&Form::Prefix("https".into()), None);
        let end = |text: &str| Form::Pattern(Pattern::Principal { suffix: text.into() });
        check(&end("/sa/x"), Some("spiffe://x/ns/x/sa/x"));
        check(&end("nt/sa/y"), Some("spiffe://x/ns/xnt/sa/y"));
        check(&end("l/ns/a/sa/b"), Some("spiffe://xl/ns/a/sa/b"));
        check(&end("a/b"), Some("spiffe://x/ns/x/sa/b"));
        check(&end("c/b"), None);
        check(&end("a/"), None);
        check(&end("y"), Some("spiffe://x/ns/x/sa/xy"));
        check(&end("a/td/ns/a/sa/b"), None);
    }
}
