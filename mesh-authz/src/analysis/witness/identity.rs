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
    match form {
        Form::Prefix(prefix) => match prefix.strip_prefix(SCHEME) {
            Some(rest) => between(rest, ""),
            None => SCHEME.starts_with(&**prefix).then(|| between("", ""))?,
        },
        Form::Suffix(suffix) | Form::Pattern(Pattern::Principal { suffix }) => between("", suffix),
        Form::Pattern(Pattern::NonEmpty) => between("", ""),
        Form::Exact(_)
        | Form::Pattern(
            Pattern::Contains { .. } | Pattern::ServiceAccount { .. } | Pattern::TrustDomain { .. },
        ) => None,
    }
}

/// The identity of a workload that begins as one test asks, with its scheme, and ends as another does.
pub(super) fn joined(start: &str, end: &str) -> Option<String> {
    between(start.strip_prefix(SCHEME)?, end)
}

/// What is asked of a segment.
#[derive(Clone, Copy, Default)]
struct Asked<'t> {
    /// What it is, as its start and as its end have it.
    whole: [Option<&'t str>; 2],
    start: &'t str,
    end: &'t str,
}

/// The identity of a workload with a start and an end, which may meet in one segment.
fn between(start: &str, end: &str) -> Option<String> {
    let mut asked = [Asked::default(); FORM.len()];
    let mut starting = start.split('/').enumerate().peekable();
    while let Some((place, text)) = starting.next() {
        let segment = asked.get_mut(place)?;
        match starting.peek() {
            Some(_) => segment.whole[0] = Some(text),
            None => segment.start = text,
        }
    }
    let first = FORM.len().checked_sub(end.split('/').count())?;
    for (place, text) in (first..).zip(end.split('/')) {
        let segment = asked.get_mut(place)?;
        if place == first {
            segment.end = text;
        } else {
            segment.whole[1] = Some(text);
        }
    }
    let segments = asked.iter().enumerate().map(|(place, asked)| asked.segment(place));
    let segments: Option<Vec<String>> = segments.collect();
    segments.map(|segments| format!("{SCHEME}{}", segments.join("/")))
}

impl Asked<'_> {
    /// A segment that is what is asked for; of several the shortest.
    fn segment(&self, place: usize) -> Option<String> {
        let word = is_word(place).then(|| FORM.get(place).copied()).flatten();
        let mut whole = self.whole.iter().copied().flatten().chain(word);
        let Some(text) = whole.next() else {
            return Some(format!("{}x{}", self.start, self.end));
        };
        let is_met = whole.all(|other| other == text)
            && !text.is_empty()
            && text.starts_with(self.start)
            && text.ends_with(self.end);
        is_met.then(|| text.to_owned())
    }
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

    #[test]
    fn a_start_and_an_end_meet_in_one_identity() {
        let check = |start: &str, end: &str, expected: Option<&str>| {
            let found = joined(&format!("{SCHEME}{start}"), end);
            let expected = expected.map(|path| format!("{SCHEME}{path}"));
            assert_eq!(found, expected, "{start} {end}");
        };
        check("td/", "/sa/y", Some("td/ns/x/sa/y"));
        check("td/ns/fr", "nt/sa/y", Some("td/ns/frxnt/sa/y"));
        check("td/ns/a/", "/ns/a/sa/y", Some("td/ns/a/sa/y"));
        check("td/ns/a/", "/ns/b/sa/y", None);
        check("td/ns/a/sa/y", "z", Some("td/ns/a/sa/yxz"));
        check("td/x", "/sa/y", None);
        check("td/", "s/y", None);
        assert_eq!(joined("https://td/", "/sa/y"), None);
    }
}
