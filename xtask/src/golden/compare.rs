//! One folder of ours against one golden folder, type by type.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::golden::canonical::{canonical, key};
use crate::golden::diff::differences;
use crate::golden::known::{Faults, Known};
use crate::problem::{Attempt, Problem};

/// The types, in the order they are printed.
pub(super) const KINDS: &[&str] =
    &["clusters", "endpoints", "listeners", "routes", "nametable", "addresses", "authorizations"];

/// How one type of one folder compares.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) kind: &'static str,
    pub(super) compared: usize,
    pub(super) equal: usize,
    /// Differences that `known.txt` explains.
    pub(super) known: usize,
    /// Differences that are faults of the recording, each with the reason.
    pub(super) faults: Vec<(Located, String)>,
    pub(super) differences: Vec<Located>,
}

/// A difference, and the resource it is in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Located {
    pub(super) resource: String,
    pub(super) path: String,
    pub(super) ours: Value,
    pub(super) golden: Value,
}

/// Which differences are explained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explained<'a> {
    pub(super) known: &'a Known,
    pub(super) faults: &'a Faults,
    /// `MESH/PROXY`.
    pub(super) folder: &'a str,
}

/// Compares the types that the golden folder has.
pub(super) fn compare(
    ours: &Path,
    golden: &Path,
    kinds: &[String],
    explained: Explained<'_>,
) -> Result<Vec<Outcome>, Problem> {
    let mut outcomes = Vec::new();
    for &kind in KINDS.iter().filter(|&&kind| selects(kinds, kind)) {
        if let Some(golden) = read(golden, kind)? {
            let ours = read(ours, kind)?;
            outcomes.push(compare_kind(kind, ours.as_ref(), &golden, explained));
        }
    }
    Ok(outcomes)
}

/// The outcome of a folder that could not be rendered: nothing is equal.
pub(super) fn nothing_equal(golden: &Path, kinds: &[String]) -> Result<Vec<Outcome>, Problem> {
    let mut outcomes = Vec::new();
    for &kind in KINDS.iter().filter(|&&kind| selects(kinds, kind)) {
        if let Some(golden) = read(golden, kind)? {
            outcomes.push(Outcome { kind, compared: golden.len(), ..Outcome::default() });
        }
    }
    Ok(outcomes)
}

fn selects(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty() || kinds.iter().any(|only| only == kind)
}

type Resources = BTreeMap<String, Value>;

/// Reads a file of resources by name; none if there is no such file.
fn read(folder: &Path, kind: &str) -> Result<Option<Resources>, Problem> {
    let path = folder.join(format!("{kind}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let what = format!("read `{}`", path.display());
    let value: Value =
        serde_json::from_slice(&std::fs::read(&path).attempt(&what)?).attempt(&what)?;
    Ok(Some(by_name(kind, &value)))
}

fn by_name(kind: &str, value: &Value) -> Resources {
    let value = canonical(value);
    let Some(resources) = value.as_array().filter(|_| kind != "nametable") else {
        return Resources::from([(String::new(), value)]);
    };
    let mut resources = resources.clone();
    resources.sort_by_cached_key(key);
    let mut named = Resources::new();
    for resource in resources {
        let mut name = name_of(&resource).to_owned();
        // istiod can send one name twice: gRPC listeners of a TCP and a UDP port.
        while named.contains_key(&name) {
            name.push('#');
        }
        named.insert(name, resource);
    }
    named
}

fn name_of(resource: &Value) -> &str {
    ["name", "clusterName"]
        .iter()
        .filter_map(|field| resource.get(field)?.as_str())
        .find(|name| !name.is_empty())
        .unwrap_or_default()
}

fn compare_kind(
    kind: &'static str,
    ours: Option<&Resources>,
    golden: &Resources,
    Explained { known, faults, folder }: Explained<'_>,
) -> Outcome {
    let Some(ours) = ours else {
        let missing = located("*", "", Value::Null, "file missing".into());
        let differences = vec![missing];
        return Outcome { kind, compared: golden.len(), differences, ..Outcome::default() };
    };
    let names: BTreeSet<&String> = ours.keys().chain(golden.keys()).collect();
    let mut outcome = Outcome { kind, compared: names.len(), ..Outcome::default() };
    for name in names {
        let found = compare_resource(name, ours.get(name), golden.get(name));
        let before = outcome.differences.len();
        for found in found {
            if known.explains(kind, &found.resource, &found.path) {
                outcome.known += 1;
            } else if let Some(why) = faults.why(folder, kind, &found.resource, &found.path) {
                outcome.faults.push((found, why.to_owned()));
            } else {
                outcome.differences.push(found);
            }
        }
        outcome.equal += usize::from(outcome.differences.len() == before);
    }
    outcome
}

fn compare_resource(name: &str, ours: Option<&Value>, golden: Option<&Value>) -> Vec<Located> {
    match (ours, golden) {
        (Some(ours), Some(golden)) => differences(ours, golden)
            .into_iter()
            .map(|found| located(name, &found.path, found.ours, found.golden))
            .collect(),
        (Some(_), None) => vec![located(name, "", "resource only in ours".into(), Value::Null)],
        (None, Some(_)) => vec![located(name, "", Value::Null, "resource missing in ours".into())],
        (None, None) => Vec::new(),
    }
}

fn located(resource: &str, path: &str, ours: Value, golden: Value) -> Located {
    Located { resource: resource.to_owned(), path: path.to_owned(), ours, golden }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn against(ours: Option<&Resources>, golden: &Resources, faults: &Faults) -> Outcome {
        let known = &Known::default();
        compare_kind("clusters", ours, golden, Explained { known, faults, folder: "shop/east" })
    }

    fn check(ours: &Value, golden: &Value, expected: (usize, usize, usize)) {
        let ours = by_name("clusters", ours);
        let outcome = against(Some(&ours), &by_name("clusters", golden), &Faults::default());
        assert_eq!((outcome.compared, outcome.equal, outcome.differences.len()), expected);
    }

    #[test]
    fn resources_are_held_against_each_other_by_name() {
        let a = json!({"name": "a", "type": "EDS", "lbPolicy": "RANDOM"});
        let b = json!({"name": "b"});
        check(&json!([a, b]), &json!([b, a]), (2, 2, 0));
        check(&json!([a]), &json!([b, a]), (2, 1, 1));
        check(&json!([{"name": "a"}, b]), &json!([a, b]), (2, 1, 2));
    }

    #[test]
    fn one_name_twice_is_two_resources() {
        check(&json!([{"name": "a"}, {"name": "a"}]), &json!([{"name": "a"}]), (2, 1, 1));
    }

    #[test]
    fn a_missing_file_makes_nothing_equal() {
        let golden = by_name("clusters", &json!([{"name": "a"}, {"name": "b"}]));
        let outcome = against(None, &golden, &Faults::default());
        assert_eq!((outcome.compared, outcome.equal, outcome.differences.len()), (2, 0, 1));
    }

    #[test]
    fn a_fault_of_the_recording_is_no_difference_and_is_told() {
        let faults = Faults::parse("shop/east clusters ^b$ # it was not there").unwrap();
        let [ours, golden] = [json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "a"}])]
            .map(|value| by_name("clusters", &value));
        let outcome = against(Some(&ours), &golden, &faults);
        assert_eq!((outcome.equal, outcome.differences.len()), (2, 0));
        let [(found, why)] = &*outcome.faults else { panic!("{outcome:?}") };
        assert_eq!((&*found.resource, &**why), ("b", "it was not there"));
    }
}
