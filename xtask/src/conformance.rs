//! `cargo xtask conformance`: every case of a directory against our engines.
//!
//! One adapter a file turns a case's input into calls of the library and the result back into JSON;
//! an adapter computes nothing itself. Which cases run is said by [`Selector`]s, on the command line
//! (`--only`) or in a file with one a line (`--only-from`).
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mesh_testkit::conformance::{self, Answer, Case, Mismatch, Suite};
use serde_json::Value;

use crate::problem::{Attempt, Problem};
use crate::{Failure, workspace};

mod authz;
mod endpoints_istio;
mod input;
mod lb_envoy;
mod model;
mod profiles;
mod xds;

/// Upstream's own files, as they are selected and reported.
const GOLDEN: &str = "authz/istio-golden";

struct Options {
    dir: PathBuf,
    /// Empty: everything.
    only: Vec<Selector>,
}

/// Which cases: `AREA`, `AREA/OP`, `AREA/FILE.json` or `AREA/FILE.json#NAME OF THE CASE`; or upstream's
/// own files, [`GOLDEN`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector(String);

/// Cases that ran, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) total: usize,
    not_implemented: usize,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let tally = run(&options)?;
    if tally.passed == tally.total { Ok(()) } else { Err(Failure::Answered) }
}

/// Runs the cases of the repository that a file lists.
pub(crate) fn required(list: &Path) -> Result<Tally, Problem> {
    let only = selectors(list)?;
    if only.is_empty() {
        println!("no case is required yet: `{}` lists none", list.display());
        return Ok(Tally::default());
    }
    run(&Options { dir: workspace::repository().join("conformance"), only })
}

fn run(options: &Options) -> Result<Tally, Problem> {
    let suites = conformance::load(&options.dir).map_err(|error| Problem(error.to_string()))?;
    let golden = golden(&options.dir);
    let selects = |selector: &Selector| {
        selector.selects_any(&suites) || (golden.is_some() && selector.0 == GOLDEN)
    };
    if let Some(selector) = options.only.iter().find(|selector| !selects(selector)) {
        return Err(Problem(format!("no case is selected by `{}`", selector.0)));
    }
    let mut all = Tally::default();
    for suite in &suites {
        for (op, tally) in run_suite(suite, &options.only) {
            let missing = match tally.not_implemented {
                0 => String::new(),
                count => format!(" ({count} not implemented)"),
            };
            let (area, file) = (&suite.area, &suite.file);
            println!("{area}/{file} {op} {}/{}{missing}", tally.passed, tally.total);
            all.passed += tally.passed;
            all.total += tally.total;
            all.not_implemented += tally.not_implemented;
        }
    }
    if options.only.is_empty() || options.only.iter().any(|only| only.0 == GOLDEN) {
        match &golden {
            Some(folder) => run_golden(folder, &mut all)?,
            None => println!("{GOLDEN} skipped: `{}` has no such folder", options.dir.display()),
        }
    }
    println!(
        "conformance: {} passed, {} failed ({} of them not implemented)",
        all.passed,
        all.total - all.passed,
        all.not_implemented
    );
    Ok(all)
}

/// Upstream's own files, if the directory has them.
fn golden(dir: &Path) -> Option<PathBuf> {
    Some(dir.join("authz").join(authz::golden::FOLDER)).filter(|folder| folder.is_dir())
}

fn run_golden(folder: &Path, all: &mut Tally) -> Result<(), Problem> {
    let mut tally = Tally::default();
    authz::golden::run(folder, |name, judged| {
        tally.total += 1;
        match judged {
            Ok(()) => tally.passed += 1,
            Err(why) => println!("FAILED {GOLDEN} `{name}`: {why}"),
        }
    })?;
    println!("{GOLDEN} {}/{}", tally.passed, tally.total);
    all.passed += tally.passed;
    all.total += tally.total;
    Ok(())
}

fn run_suite<'s>(suite: &'s Suite, only: &[Selector]) -> BTreeMap<&'s str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let selected =
        |case: &&Case| only.is_empty() || only.iter().any(|selector| selector.selects(suite, case));
    for case in suite.cases.iter().filter(selected) {
        let tally = tallies.entry(case.op.as_str()).or_default();
        tally.total += 1;
        match judge(&suite.area, case) {
            Verdict::Passed => tally.passed += 1,
            Verdict::NotImplemented => tally.not_implemented += 1,
            Verdict::Failed(why) => println!(
                "FAILED {}/{} {} `{}`: {why}\n  input: {}",
                suite.area, suite.file, case.op, case.name, case.input
            ),
        }
    }
    tallies
}

enum Verdict {
    Passed,
    NotImplemented,
    Failed(String),
}

fn judge(area: &str, case: &Case) -> Verdict {
    let answer = match area {
        "authz" => authz::answer(&case.op, &case.input),
        "endpoints-istio" => endpoints_istio::answer(&case.op, &case.input),
        "lb-envoy" => lb_envoy::answer(&case.op, &case.input, &case.expect),
        "model" => model::answer(&case.op, &case.input),
        "profiles" => profiles::answer(&case.op, &case.input),
        "xds" => xds::answer(&case.op, &case.input),
        _ => Answer::Rejected(format!("unknown area `{area}`")),
    };
    match answer {
        Answer::NotImplemented => Verdict::NotImplemented,
        Answer::Rejected(why) => Verdict::Failed(why),
        Answer::Value(got) => {
            let rule = conformance::rule(area, &case.op, &case.note);
            match conformance::compare(rule, &case.expect, &got) {
                Ok(()) => Verdict::Passed,
                Err(mismatch) => Verdict::Failed(describe(&mismatch, &case.expect, &got)),
            }
        }
    }
}

fn describe(mismatch: &Mismatch, expect: &Value, got: &Value) -> String {
    format!(
        "at `{}` expected {} got {}\n  expected: {expect}\n  got:      {got}",
        mismatch.at, mismatch.expected, mismatch.got
    )
}

impl Selector {
    fn selects(&self, suite: &Suite, case: &Case) -> bool {
        let Some((area, rest)) = self.0.split_once('/') else { return self.0 == suite.area };
        let (part, name) = match rest.split_once('#') {
            Some((part, name)) => (part, Some(name)),
            None => (rest, None),
        };
        let fits = match part.strip_suffix(".json") {
            Some(file) => file == suite.file,
            None => part == case.op,
        };
        area == suite.area && fits && name.is_none_or(|name| name == case.name)
    }

    fn selects_any(&self, suites: &[Suite]) -> bool {
        suites.iter().any(|suite| suite.cases.iter().any(|case| self.selects(suite, case)))
    }
}

/// One selector a line; empty lines and those that begin with `#` are comments.
fn selectors(list: &Path) -> Result<Vec<Selector>, Problem> {
    let text = std::fs::read_to_string(list).attempt(format!("read `{}`", list.display()))?;
    let lines = text.lines().map(str::trim);
    let rules = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(rules.map(|line| Selector(line.to_owned())).collect())
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let dir = workspace::repository().join("conformance");
    let mut options = Options { dir, only: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| Failure::Usage(format!("`{flag}` needs a value")));
        match flag.as_str() {
            "--dir" => options.dir = PathBuf::from(value()?),
            "--only" => {
                options.only.extend(value()?.split(',').map(|only| Selector(only.to_owned())));
            }
            "--only-from" => options.only.extend(selectors(Path::new(value()?))?),
            _ => return Err(Failure::Usage(format!("unknown argument `{flag}`"))),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, expected: bool) {
        let case = r#"{"name": "a case, odd", "op": "decide", "input": {}, "expect": {}}"#;
        let suite = Suite {
            area: "authz".to_owned(),
            file: "decisions".to_owned(),
            description: String::new(),
            cases: vec![serde_json::from_str(case).unwrap()],
        };
        assert_eq!(Selector(selector.to_owned()).selects_any(&[suite]), expected, "{selector}");
    }

    #[test]
    fn a_selector_names_an_area_an_op_a_file_or_a_case() {
        for selector in [
            "authz",
            "authz/decide",
            "authz/decisions.json",
            "authz/decisions.json#a case, odd",
            "authz/decide#a case, odd",
        ] {
            check(selector, true);
        }
        for selector in ["auth", "authz/deci", "authz/other.json", "authz/decide#a case"] {
            check(selector, false);
        }
    }
}
