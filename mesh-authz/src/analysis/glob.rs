//! Texts that pass some tests and fail others, spelled letter by letter.
//!
//! Every test of a text is a row of letters and gaps. All rows are walked at once, the shortest texts first,
//! so that a text is found if there is one, within a number of states; and it is known whether that was
//! enough.
use std::collections::HashSet;

use super::literal::Shape;
use crate::matcher::spiffe::SCHEME;
use crate::matcher::{Form, PathTemplate, Pattern};

/// What a gap may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gap<'t> {
    Any,
    /// No line break.
    Line,
    NoSlash,
    /// What `{*}` stands for.
    Segment(&'t PathTemplate),
    /// What `{**}` stands for.
    Segments(&'t PathTemplate),
}

impl Gap<'_> {
    fn holds(self, letter: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Line => letter != b'\n',
            Self::NoSlash => letter != b'/',
            Self::Segment(of) => of.is_variable(letter),
            Self::Segments(of) => letter == b'/' || of.is_variable(letter),
        }
    }

    /// Whether it holds any text.
    const fn is_all(self, has_breaks: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Line => !has_breaks,
            Self::NoSlash | Self::Segment(_) | Self::Segments(_) => false,
        }
    }
}

/// A step of a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step<'t> {
    Letter(u8),
    One(Gap<'t>),
    Many(Gap<'t>),
}

/// A test of a text as a row.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Glob<'t> {
    steps: Vec<Step<'t>>,
    pub(super) ignores_case: bool,
}

impl<'t> Glob<'t> {
    /// The rows of which a text passes one if it passes a test; none for what is no test of a text.
    pub(super) fn of(shape: Shape<'t>) -> Vec<Self> {
        match shape {
            Shape::Text(test) => {
                let ignores_case = test.ignore_case;
                let rows = of_form(&test.form).into_iter();
                rows.map(|row| Self { ignores_case, ..row }).collect()
            }
            Shape::Present | Shape::Refused(true) => vec![Self::default().gap(Gap::Any)],
            Shape::Template(template) => vec![of_template(template)],
            Shape::Refused(false) | Shape::Range(_) | Shape::Port(_) | Shape::Value(_) => {
                Vec::new()
            }
        }
    }

    pub(super) fn starting(text: &str) -> Self {
        Self::default().text(text).gap(Gap::Any)
    }

    pub(super) fn containing(text: &str) -> Self {
        Self::default().gap(Gap::Any).text(text).gap(Gap::Any)
    }

    pub(super) fn ending(text: &str) -> Self {
        Self::default().gap(Gap::Any).text(text)
    }

    pub(super) fn anything() -> Self {
        Self::default().one(Gap::Any)
    }

    /// `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/NAME`, which every data plane takes for an identity.
    pub(super) fn workload() -> Self {
        let segment = |row: Self| row.one(Gap::NoSlash);
        let row = segment(segment(Self::default().text(SCHEME)).text("/ns/"));
        segment(row.text("/sa/"))
    }

    /// The same test, of texts in which gaps at either end hold something.
    pub(super) fn filled(mut self) -> Self {
        let last = self.steps.len().saturating_sub(1);
        let before = last.checked_sub(1).and_then(|at| self.steps.get(at));
        let is_filled = matches!(before, Some(Step::One(_)));
        for at in [last, 0].into_iter().filter(|at| *at == 0 || !is_filled) {
            if let Some(Step::Many(gap)) = self.steps.get(at).copied() {
                self.steps.insert(at, Step::One(gap));
            }
        }
        self
    }

    /// Whether a text passes.
    pub(super) fn matches(&self, text: &str) -> bool {
        let asked = [Asked { rows: vec![self.clone()], passes: true, ends_at_query: false }];
        let letters = Letters { fillers: Vec::new(), is_allowed: |_| true, both_cases: false };
        let mut walk = Walk { asked: &asked, letters: &letters, steps: Vec::new() };
        let Some(start) = walk.start() else { return false };
        let end = text.bytes().try_fold(start, |state, letter| walk.after(&state, letter));
        end.is_some_and(|state| walk.is_end(&state))
    }

    /// The only text that passes, if there is one.
    pub(super) fn only(&self) -> Option<String> {
        let letters = self.steps.iter().map(|step| match step {
            Step::Letter(letter) => Some(*letter),
            Step::One(_) | Step::Many(_) => None,
        });
        let letters: Option<Vec<u8>> = letters.collect();
        String::from_utf8(letters.filter(|_| !self.ignores_case)?).ok()
    }

    pub(super) fn letters(&self) -> impl Iterator<Item = u8> {
        self.steps.iter().filter_map(|step| match step {
            Step::Letter(letter) => Some(*letter),
            Step::One(_) | Step::Many(_) => None,
        })
    }

    fn text(mut self, text: &str) -> Self {
        self.steps.extend(text.bytes().map(Step::Letter));
        self
    }

    fn gap(mut self, gap: Gap<'t>) -> Self {
        self.steps.push(Step::Many(gap));
        self
    }

    fn one(mut self, gap: Gap<'t>) -> Self {
        self.steps.push(Step::One(gap));
        self.gap(gap)
    }
}

fn of_form<'t>(form: &Form) -> Vec<Glob<'t>> {
    let row = Glob::default;
    match form {
        Form::Exact(text) => vec![row().text(text)],
        Form::Prefix(text) => vec![Glob::starting(text)],
        Form::Suffix(text) => vec![Glob::ending(text)],
        Form::Pattern(Pattern::NonEmpty) => vec![row().one(Gap::Line)],
        Form::Pattern(Pattern::Principal { suffix }) => {
            vec![row().text(SCHEME).gap(Gap::Line).text(suffix)]
        }
        Form::Pattern(Pattern::Contains { literals }) => {
            let start = row().gap(Gap::Line);
            vec![literals.iter().fold(start, |row, text| row.text(text).gap(Gap::Line))]
        }
        Form::Pattern(Pattern::ServiceAccount { namespace, account }) => {
            let start = row().text(SCHEME).one(Gap::Line).text(namespace);
            let middles = [start.clone(), start.one(Gap::Line).text("/")];
            let ends = middles.map(|row| row.text(account));
            let longer = ends.clone().map(|row| row.text("/").one(Gap::Line));
            ends.into_iter().chain(longer).collect()
        }
        Form::Pattern(Pattern::TrustDomain { before, after }) => {
            let domain = row().text(SCHEME).text(before).gap(Gap::NoSlash).text(after);
            vec![domain.text("/").gap(Gap::Line)]
        }
    }
}

fn of_template(template: &PathTemplate) -> Glob<'_> {
    let mut row = Glob::default();
    let mut rest = template.as_envoy();
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**") {
            (row, rest) = (row.gap(Gap::Segments(template)), after);
        } else if let Some(after) = rest.strip_prefix('*') {
            (row, rest) = (row.one(Gap::Segment(template)), after);
        } else {
            let (text, after) = rest.split_at_checked(letter.len_utf8()).unwrap_or((rest, ""));
            (row, rest) = (row.text(text), after);
        }
    }
    row
}

/// Several rows, one of which a text passes, or none.
#[derive(Clone, Debug)]
pub(super) struct Asked<'t> {
    pub(super) rows: Vec<Glob<'t>>,
    pub(super) passes: bool,
    /// Whether what follows a `?` does not count.
    pub(super) ends_at_query: bool,
}

/// Whether what shall pass is no more than what shall not, test by test: then nothing needs to be spelled.
pub(super) fn contradict(asked: &[Asked<'_>]) -> bool {
    let mut passing = asked.iter().filter(|asked| asked.passes);
    passing.any(|one| {
        let failing =
            asked.iter().filter(|other| !other.passes && other.ends_at_query == one.ends_at_query);
        let failing: Vec<&Glob<'_>> = failing.flat_map(|other| &other.rows).collect();
        one.rows.iter().all(|row| failing.contains(&row))
    })
}

/// What texts are made of, beside the letters that tests name.
#[derive(Clone, Debug)]
pub(super) struct Letters {
    /// What gaps are filled with, the best first.
    pub(super) fillers: Vec<u8>,
    pub(super) is_allowed: fn(u8) -> bool,
    /// Whether letters are tried in either case.
    pub(super) both_cases: bool,
}

/// A place in a row, counted over all rows; past each row's last step stands its end.
type Place = u32;
/// What is left of rows behind a `?`, by whether one was passed.
const PASSED: Place = Place::MAX;
const MISSED: Place = Place::MAX - 1;
/// What stands behind the places in the rows of one thing that is asked.
const NEXT: Place = Place::MAX - 2;

struct Walk<'a, 't> {
    asked: &'a [Asked<'t>],
    letters: &'a Letters,
    /// The steps of all rows, `None` at their ends, with whether case does not count.
    steps: Vec<(Option<Step<'t>>, bool)>,
}

/// The places in the rows of everything that is asked, in order.
type State = Vec<Place>;

/// What became of looking for a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Spelled {
    Text(String),
    /// No text of these letters is as asked.
    Nothing,
    /// There may be one: looking was given up.
    CutShort,
}

impl Spelled {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nothing | Self::CutShort => None,
        }
    }
}

/// Spells a shortest text that is as all that is asked, looking at no more than `states` places in all rows at
/// once.
pub(super) fn spell(asked: &[Asked<'_>], letters: &Letters, states: usize) -> Spelled {
    let mut walk = Walk { asked, letters, steps: Vec::new() };
    let Some(start) = walk.start() else { return Spelled::Nothing };
    let mut is_cut = false;
    let mut seen = HashSet::from([start.clone()]);
    // Each with the place of the one that it follows and the letter between.
    let mut reached = vec![(start, None)];
    let mut at = 0;
    while let Some((state, _)) = reached.get(at) {
        if walk.is_end(state) {
            // Rows name whole characters, and gaps hold those of ASCII: what they make is a text.
            return text(&reached, at).map_or(Spelled::CutShort, Spelled::Text);
        }
        let mut found = Vec::new();
        for letter in walk.live(state) {
            let Some(after) = walk.after(state, letter) else { continue };
            if seen.contains(&after) {
                continue;
            }
            if reached.len() + found.len() >= states {
                is_cut = true;
                continue;
            }
            seen.insert(after.clone());
            found.push((after, Some((at, letter))));
        }
        reached.extend(found);
        at += 1;
    }
    if is_cut { Spelled::CutShort } else { Spelled::Nothing }
}

fn text(reached: &[(State, Option<(usize, u8)>)], mut place: usize) -> Option<String> {
    let mut letters = Vec::new();
    while let Some((_, Some((before, letter)))) = reached.get(place) {
        letters.push(*letter);
        place = *before;
    }
    letters.reverse();
    String::from_utf8(letters).ok()
}

impl<'t> Walk<'_, 't> {
    fn start(&mut self) -> Option<State> {
        let mut state = State::new();
        for asked in self.asked {
            let begun = state.len();
            for row in &asked.rows {
                let first = self.steps.len();
                self.steps.extend(row.steps.iter().map(|step| (Some(*step), row.ignores_case)));
                self.steps.push((None, false));
                self.enter(Place::try_from(first).unwrap_or(MISSED), &mut state);
            }
            self.close(&mut state, begun, asked.passes)?;
        }
        Some(state)
    }

    fn step(&self, place: Place) -> Option<(Option<Step<'t>>, bool)> {
        self.steps.get(usize::try_from(place).ok()?).copied()
    }

    /// Adds a place, and those behind it that need no letter.
    fn enter(&self, place: Place, state: &mut State) {
        let mut at = place;
        state.push(at);
        while let Some((Some(Step::Many(_)), _)) = self.step(at) {
            at += 1;
            state.push(at);
        }
    }

    fn is_passed(&self, places: &[Place]) -> bool {
        places.iter().any(|place| *place == PASSED || matches!(self.step(*place), Some((None, _))))
    }

    fn each<'s>(&self, state: &'s State) -> impl Iterator<Item = (&'s [Place], &Asked<'t>)> {
        state.split(|place| *place == NEXT).zip(self.asked)
    }

    fn is_end(&self, state: &State) -> bool {
        self.each(state).all(|(places, asked)| self.is_passed(places) == asked.passes)
    }

    /// Ends the places of one thing that is asked, told as shortly as they can be; `None` if nothing that
    /// follows is as asked.
    fn close(&self, state: &mut State, begun: usize, passes: bool) -> Option<()> {
        let has_breaks = self.letters.fillers.contains(&b'\n');
        let is_all = |place: Place| matches!(self.step(place), Some((Some(Step::Many(gap)), _)) if gap.is_all(has_breaks));
        let places = state.get_mut(begun..)?;
        places.sort_unstable();
        let is_won = places.iter().any(|place| {
            *place == PASSED || (is_all(*place) && matches!(self.step(place + 1), Some((None, _))))
        });
        let is_lost = matches!(places, [] | [MISSED]);
        if (is_won && !passes) || (is_lost && passes) {
            return None;
        }
        if is_won {
            state.truncate(begun);
            state.push(PASSED);
        }
        self.forget(state, begun, is_all);
        state.push(NEXT);
        Some(())
    }

    /// Takes away what is there twice, and the places of a row before a gap that holds everything: what
    /// passes from there passes from the gap.
    fn forget(&self, state: &mut State, begun: usize, is_all: impl Fn(Place) -> bool) {
        let mut kept = begun;
        for at in begun..state.len() {
            let Some(&place) = state.get(at) else { continue };
            let last = |kept: usize| state.get(kept.checked_sub(1)?).copied();
            let mut end = kept;
            while end > begun
                && let Some(last) = last(end)
                && (last == place || (is_all(place) && self.is_same_row(last, place)))
            {
                end -= 1;
            }
            if let Some(slot) = state.get_mut(end) {
                *slot = place;
            }
            kept = end + 1;
        }
        state.truncate(kept);
    }

    fn is_same_row(&self, one: Place, other: Place) -> bool {
        (one..other).all(|at| self.step(at).is_some_and(|(step, _)| step.is_some()))
    }

    /// The letters that lead to different states: what gaps are filled with, and what rows name here.
    fn live(&self, state: &State) -> Vec<u8> {
        let mut named = Vec::new();
        for place in state {
            let Some((Some(Step::Letter(letter)), ignores_case)) = self.step(*place) else {
                continue;
            };
            named.push(if ignores_case { letter.to_ascii_lowercase() } else { letter });
            if ignores_case && self.letters.both_cases {
                named.push(letter.to_ascii_uppercase());
            }
        }
        named.sort_unstable();
        named.dedup();
        let mut found = self.letters.fillers.clone();
        found.extend(named.into_iter().filter(|letter| (self.letters.is_allowed)(*letter)));
        found
    }

    fn after(&self, state: &State, letter: u8) -> Option<State> {
        let mut next = State::with_capacity(state.len() + 1);
        for (places, asked) in self.each(state) {
            let begun = next.len();
            if let [PASSED | MISSED] = places {
                next.extend(places);
            } else if asked.ends_at_query && letter == b'?' {
                next.push(if self.is_passed(places) { PASSED } else { MISSED });
            } else {
                for place in places {
                    self.pass(*place, letter, &mut next);
                }
            }
            self.close(&mut next, begun, asked.passes)?;
        }
        Some(next)
    }

    /// Adds the places that a letter leads to.
    fn pass(&self, place: Place, letter: u8, next: &mut State) {
        let Some((Some(step), ignores_case)) = self.step(place) else { return };
        match step {
            Step::Letter(named)
                if named == letter || (ignores_case && named.eq_ignore_ascii_case(&letter)) =>
            {
                self.enter(place + 1, next);
            }
            Step::One(gap) if gap.holds(letter) => self.enter(place + 1, next),
            Step::Many(gap) if gap.holds(letter) => self.enter(place, next),
            Step::Letter(_) | Step::One(_) | Step::Many(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::StringTest;

    fn rows(value: &str) -> Vec<Glob<'static>> {
        of_form(&StringTest::of_value(value).form)
    }

    fn letters(fillers: &[u8]) -> Letters {
        Letters { fillers: fillers.into(), is_allowed: |_| true, both_cases: false }
    }

    #[track_caller]
    fn check(passing: &[&str], failing: &[&str], expected: Option<&str>) {
        let asked = |values: &[&str], passes| -> Vec<Asked<'static>> {
            let of = |value: &&str| Asked { rows: rows(value), passes, ends_at_query: false };
            values.iter().map(of).collect()
        };
        let all = [asked(passing, true), asked(failing, false)].concat();
        assert_eq!(
            spell(&all, &letters(b"x/"), 3_000).text().as_deref(),
            expected,
            "{passing:?} {failing:?}"
        );
    }

    #[test]
    fn a_start_and_an_end_may_overlap() {
        check(&["/ab*", "*b/c"], &[], Some("/ab/c"));
        check(&["/api/*", "*/admin"], &[], Some("/api/admin"));
        check(&["/api/*", "*/admin"], &["/api/admin"], Some("/api//admin"));
        check(&["a*", "*a"], &["a"], Some("aa"));
    }

    #[test]
    fn what_fails_is_gone_round() {
        check(&["*"], &["x", "/"], Some("xx"));
        check(&["a*"], &["ax*", "a"], Some("a/"));
        check(&["a*"], &["*"], None);
        check(&["a"], &["a*"], None);
        check(&["ab*", "ac*"], &[], None);
    }

    #[test]
    fn templates_are_walked_as_they_match() {
        let templates = ["/a/{*}/c", "/{**}/b/c"].map(|text| PathTemplate::new(text).unwrap());
        let asked = |shape, passes| Asked { rows: Glob::of(shape), passes, ends_at_query: true };
        let both: Vec<Asked<'_>> =
            templates.iter().map(|template| asked(Shape::Template(template), true)).collect();
        assert_eq!(spell(&both, &letters(b"x/"), 3_000).text().as_deref(), Some("/a/b/c"));
        let [one, other] = &templates;
        let apart = [asked(Shape::Template(one), true), asked(Shape::Template(other), false)];
        assert_eq!(spell(&apart, &letters(b"x/"), 3_000).text().as_deref(), Some("/a/x/c"));
    }

    #[test]
    fn a_query_ends_the_path_for_some() {
        let path = Asked { rows: rows("/a"), passes: true, ends_at_query: true };
        let whole = Asked { rows: rows("/a"), passes: false, ends_at_query: false };
        assert_eq!(spell(&[path, whole], &letters(b"x?"), 3_000).text().as_deref(), Some("/a?"));
    }

    #[test]
    fn gaps_at_the_ends_are_filled() {
        let mut asked = Asked { rows: rows("*.com"), passes: true, ends_at_query: false };
        asked.rows = asked.rows.into_iter().map(Glob::filled).collect();
        assert_eq!(spell(&[asked], &letters(b"x"), 3_000).text().as_deref(), Some("x.com"));
    }

    #[test]
    fn whether_looking_was_given_up_is_known() {
        let asked = |value, passes| Asked { rows: rows(value), passes, ends_at_query: false };
        let none = [asked("a*", true), asked("*", false)];
        assert_eq!(spell(&none, &letters(b"x"), 100), Spelled::Nothing);
        let long = [asked("abcdefgh", true)];
        assert_eq!(spell(&long, &letters(b"x"), 3), Spelled::CutShort);
        assert_eq!(spell(&long, &letters(b"x"), 100), Spelled::Text("abcdefgh".to_owned()));
    }
}
