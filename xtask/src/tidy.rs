//! `cargo xtask tidy`: the shape of the workspace, as it is drawn and nothing else.
//!
//! ```text
//! Cargo.toml ──▶ crates   a dependency between crates that is not drawn
//! src/*.rs  ───▶ rooms    an import between a crate's folders against the drawn direction
//!           ├──▶ pure     a clock, environment, file, socket, thread or random number in a library
//!           └──▶ files    no `//!`, over 600 lines, unfinished work
//! any text  ───▶ files    a path that exists on one machine only
//! ```
//!
//! The drawing itself is data: [`drawn`]. Each finding is one sentence with file, line and what to
//! do; any finding is exit code 1.
use std::fmt;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::problem::Problem;
use crate::tidy::scan::Source;
use crate::workspace;

mod crates;
mod drawn;
mod files;
mod pure;
mod rooms;
mod scan;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    path: String,
    line: usize,
    /// What is wrong and what to do.
    sentence: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.sentence)
    }
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    if let Some(argument) = arguments.first() {
        return Err(Failure::Usage(format!("`tidy` takes no argument, got `{argument}`")));
    }
    let findings = run()?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: nothing to mend");
        Ok(())
    } else {
        println!("tidy: {} to mend", findings.len());
        Err(Failure::Answered)
    }
}

fn run() -> Result<Vec<Finding>, Problem> {
    let root = workspace::repository();
    let sources = read(&root)?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(files::check(source));
        if let Some((package, inner)) = source.path.split_once("/src/") {
            if let Some(plan) = drawn::rooms(package) {
                findings.extend(rooms::check(plan, inner, source));
            }
            if drawn::PURE.contains(&package) {
                findings.extend(pure::check(source));
            }
        } else if let Some((package, "build.rs")) = source.path.split_once('/')
            && drawn::PURE.contains(&package)
        {
            let sentence =
                "a library crate is built from what is checked in: it has no build script";
            findings.push(Finding {
                path: source.path.clone(),
                line: 1,
                sentence: sentence.into(),
            });
        }
    }
    findings.extend(crates::check(&crates::packages(&workspace::metadata()?, &root)?));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}

/// Every text of the repository that people write, in the order of the paths.
fn read(root: &Path) -> Result<Vec<Source>, Problem> {
    let mut sources = Vec::new();
    let mut pending: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for path in workspace::entries(&dir)? {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            if drawn::is_data(&name) {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                sources.push(Source { path: name, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
