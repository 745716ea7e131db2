//! The comparison as a whole: on folders, and against the script that defines it where it is there.
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::compare::Explained;
use super::known::{Faults, Known};
use super::{compare, workspace};

/// A folder below the build directory, empty at first.
fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("xtask-golden-{}-{name}", std::process::id()));
    let _absent = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &Path, kind: &str, value: &Value) {
    std::fs::write(folder.join(format!("{kind}.json")), value.to_string()).unwrap();
}

/// Compared, equal and differing fields of two folders over all types.
fn compare_folders(ours: &Path, golden: &Path) -> (usize, usize, usize) {
    let (known, faults) = (&Known::default(), &Faults::default());
    let explained = Explained { known, faults, folder: "shop/east" };
    let outcomes = compare::compare(ours, golden, &[], explained).unwrap();
    outcomes.iter().fold((0, 0, 0), |(compared, equal, fields), outcome| {
        (compared + outcome.compared, equal + outcome.equal, fields + outcome.differences.len())
    })
}

#[test]
fn a_folder_equals_itself() {
    let golden = workspace::repository().join("golden/canary");
    for folder in workspace::entries(&golden).unwrap() {
        let (compared, equal, fields) = compare_folders(&folder, &folder);
        assert!(compared > 50, "{} holds {compared} resources", folder.display());
        assert_eq!((equal, fields), (compared, 0));
    }
}

#[test]
fn types_that_the_golden_folder_lacks_are_not_compared() {
    let (ours, golden) = (scratch("more-ours"), scratch("more-golden"));
    write(&ours, "clusters", &json!([{"name": "a"}]));
    write(&ours, "routes", &json!([]));
    write(&golden, "clusters", &json!([{"name": "a"}]));
    assert_eq!(compare_folders(&ours, &golden), (1, 1, 0));
}

/// Changes a value at every depth: what a comparison must notice, and what it must not.
fn disturb(value: &mut Value, seed: &mut u32) {
    // A fixed sequence (the constants of the usual linear congruence): the same every time.
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let dice = (*seed >> 16) % 40;
    match value {
        Value::Array(items) => {
            match dice {
                0 => items.reverse(),
                1 => drop(items.pop()),
                _ => {}
            }
            items.iter_mut().for_each(|item| disturb(item, seed));
        }
        Value::Object(members) => {
            if dice == 0 {
                members.insert("added".to_owned(), json!(1));
            } else if dice == 1 {
                members.insert("nothing".to_owned(), Value::Null);
            }
            members.values_mut().for_each(|member| disturb(member, seed));
        }
        Value::String(text) if dice == 0 => text.push('x'),
        Value::Number(number) if dice < 10 => {
            *value = json!(number.as_f64().unwrap() + f64::from(dice % 2));
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where the defining script lies beside the repository, and Python is there to run it.
fn script() -> Option<PathBuf> {
    let script = workspace::repository().join("../shared/oracle/xds_diff.py");
    let python = Command::new("python3").arg("--version").output();
    (script.exists() && python.is_ok_and(|output| output.status.success())).then_some(script)
}

#[test]
fn the_script_that_defines_the_comparison_says_the_same() {
    let Some(script) = script() else { return };
    let golden = workspace::repository().join("golden/canary/blue_web_site-v1-0");
    for round in 0..4 {
        let ours = scratch(&format!("disturbed-{round}"));
        for kind in ["clusters", "endpoints", "listeners", "routes", "nametable"] {
            let text = std::fs::read(golden.join(format!("{kind}.json"))).unwrap();
            let mut value: Value = serde_json::from_slice(&text).unwrap();
            disturb(&mut value, &mut (round * 7919));
            write(&ours, kind, &value);
        }
        let output =
            Command::new("python3").arg(&script).arg(&ours).arg(&golden).arg("--json").output();
        let said: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let (compared, equal, fields) = compare_folders(&ours, &golden);
        assert_eq!(said["compared"], compared);
        assert_eq!(said["different"], fields);
        assert!(equal < compared, "round {round} changed nothing");
    }
}
