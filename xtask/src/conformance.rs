//! `cargo xtask conformance`: every case of a directory against our engines.
//!
//! One adapter a file turns a case's input into calls of the library and the result back into JSON;
//! an adapter computes nothing itself.
use std::collections::BTreeMap;
use std::path::PathBuf;

use mesh_testkit::conformance::{self, Answer, Case, Mismatch};
use serde_json::Value;

use crate::Failure;

mod authz;
mod endpoints_istio;
mod lb_envoy;
mod model;
mod profiles;
mod xds;

struct Options {
    dir: PathBuf,
    /// `AREA` or `AREA/OP`; empty: everything.
    only: Vec<String>,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    total: usize,
    not_implemented: usize,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let suites =
        conformance::load(&options.dir).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut all = Tally::default();
    for suite in &suites {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for case in &suite.cases {
            if !options.selects(&suite.area, &case.op) {
                continue;
            }
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
        for (op, tally) in &tallies {
            let missing = match tally.not_implemented {
                0 => String::new(),
                count => format!(" ({count} not implemented)"),
            };
            println!(
                "{}/{} {op} {}/{}{missing}",
                suite.area, suite.file, tally.passed, tally.total
            );
            all.passed += tally.passed;
            all.total += tally.total;
            all.not_implemented += tally.not_implemented;
        }
    }
    let failed = all.total - all.passed;
    println!(
        "conformance: {} passed, {failed} failed ({} of them not implemented)",
        all.passed, all.not_implemented
    );
    if all.total == 0 {
        return Err(Failure::Usage("no case matches `--only`".to_owned()));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Answered) }
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

impl Options {
    fn selects(&self, area: &str, op: &str) -> bool {
        self.only.is_empty()
            || self.only.iter().any(|only| match only.split_once('/') {
                Some((only_area, only_op)) => only_area == area && only_op == op,
                None => only == area,
            })
    }
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options { dir: repository().join("conformance"), only: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| Failure::Usage(format!("`{flag}` needs a value")));
        match flag.as_str() {
            "--dir" => options.dir = PathBuf::from(value()?),
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            _ => return Err(Failure::Usage(format!("unknown argument `{flag}`"))),
        }
    }
    Ok(options)
}

/// The root of the repository that this program was built from.
fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
