//! Dependencies between the crates of the workspace: only the drawn ones.
use std::path::Path;

use serde_json::Value;

use crate::problem::{Attempt, Problem};
use crate::tidy::{Finding, drawn};

/// A package with what it depends on, as cargo reads it.
#[derive(Clone, Debug)]
pub(super) struct Package {
    name: String,
    /// Where its `Cargo.toml` lies, relative to the repository, and what it holds.
    manifest: String,
    text: String,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug)]
struct Dependency {
    name: String,
    for_tests: bool,
}

/// Reads the packages out of the answer of `cargo metadata`.
pub(super) fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>, Problem> {
    let mut packages = Vec::new();
    for package in list(metadata, "packages") {
        let path = Path::new(text(package, "manifest_path"));
        packages.push(Package {
            name: text(package, "name").to_owned(),
            manifest: path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned(),
            text: std::fs::read_to_string(path).attempt(format!("read `{}`", path.display()))?,
            dependencies: list(package, "dependencies")
                .iter()
                .map(|dependency| Dependency {
                    name: text(dependency, "name").to_owned(),
                    for_tests: text(dependency, "kind") == "dev",
                })
                .collect(),
        });
    }
    Ok(packages)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the dependencies that are not drawn.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(drawn) = drawn::CRATES.iter().find(|drawn| drawn.name == package.name) else {
            findings.push(package.finding(
                &package.name,
                format!("crate `{}` is not drawn: {HOW_TO_DRAW}", package.name),
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let ours = drawn::CRATES.iter().any(|drawn| drawn.name == name)
                || packages.iter().any(|package| package.name == name);
            let allowed = !ours
                || drawn.may_use.contains(&name)
                || (dependency.for_tests && name == drawn::FOR_TESTS);
            if !allowed {
                let sentence = format!(
                    "`{}` may not depend on `{name}`: remove the dependency, or {HOW_TO_DRAW}",
                    package.name
                );
                findings.push(package.finding(name, sentence));
            } else if drawn::PURE.contains(&drawn.name)
                && !ours
                && !dependency.for_tests
                && !drawn::LIBRARIES.contains(&name)
            {
                let sentence = format!(
                    "`{}` may depend on no `{name}`: use one of `LIBRARIES`, or {HOW_TO_DRAW}, if it computes and does no I/O",
                    package.name
                );
                findings.push(package.finding(name, sentence));
            } else if drawn::PURE.contains(&drawn.name) && drawn::PROGRAMS_ONLY.contains(&name) {
                let sentence = format!(
                    "`{name}` does I/O and `{}` does none: take the value as an argument, and do the I/O in `examples/`",
                    package.name
                );
                findings.push(package.finding(name, sentence));
            }
        }
    }
    findings
}

const HOW_TO_DRAW: &str = "draw it in `xtask/src/tidy/drawn.rs` and ARCHITECTURE.md";

impl Package {
    fn finding(&self, name: &str, sentence: String) -> Finding {
        let names_it = |line: &str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
                || line == format!("name = \"{name}\"")
        };
        let line = self.text.lines().position(names_it).map_or(1, |at| at + 1);
        Finding { path: self.manifest.clone(), line, sentence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let lines: Vec<String> =
            dependencies.iter().map(|(name, _)| format!("{name}.workspace = true")).collect();
        Package {
            name: name.to_owned(),
            manifest: format!("{name}/Cargo.toml"),
            text: format!("[package]\nname = \"{name}\"\n{}\n", lines.join("\n")),
            dependencies: dependencies
                .iter()
                .map(|&(name, for_tests)| Dependency { name: name.to_owned(), for_tests })
                .collect(),
        }
    }

    fn check_package(name: &str, dependencies: &[(&str, bool)], expected: &[&str]) {
        let found: Vec<String> = check(&[package(name, dependencies)])
            .iter()
            .map(|finding| format!("{}:{}", finding.path, finding.line))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_drawn_dependency_is_accepted() {
        check_package("mesh-lb", &[("mesh-model", false), ("xxhash-rust", false)], &[]);
        check_package("mesh-xds-gen", &[("mesh-lb", false), ("mesh-authz", false)], &[]);
    }

    #[test]
    fn load_balancing_and_authorization_never_meet() {
        check_package(
            "mesh-lb",
            &[("mesh-model", false), ("mesh-authz", false)],
            &["mesh-lb/Cargo.toml:4"],
        );
        check_package("mesh-authz", &[("mesh-lb", true)], &["mesh-authz/Cargo.toml:3"]);
    }

    #[test]
    fn the_testkit_is_for_tests_only() {
        check_package("mesh-model", &[("mesh-testkit", true)], &[]);
        check_package("mesh-model", &[("mesh-testkit", false)], &["mesh-model/Cargo.toml:3"]);
    }

    #[test]
    fn a_crate_that_is_not_drawn_is_refused() {
        check_package("mesh-utils", &[], &["mesh-utils/Cargo.toml:2"]);
    }

    #[test]
    fn a_library_takes_no_runtime() {
        check_package("mesh-xds-gen", &[("tokio", false)], &["mesh-xds-gen/Cargo.toml:3"]);
        check_package("mesh-examples", &[("tokio", false)], &[]);
    }
}
