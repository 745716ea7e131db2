//! `cargo xtask golden`: our resources against what a real istiod sent, field by field.
//!
//! ```text
//! golden/MESH/PROXY/*.json ──────────────────────────────────────┐
//! meshes/MESH ──`mesh snapshot`──▶ target/golden/MESH/PROXY ──▶ compare ──▶ equal / compared
//! ```
//!
//! The `mesh` command is run as users run it. A folder whose snapshot fails has nothing equal, and
//! the reason is printed once. The differences that `known.txt` explains are istiod's own chance; those of
//! `xtask/recording-faults.txt` are what recordings miss, which is printed with the reason.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Failure;
use crate::golden::compare::{Explained, KINDS, Located, Outcome};
use crate::golden::folder::{Client, Folder, Root};
use crate::golden::known::{Faults, Known};
use crate::problem::{Attempt, Problem};
use crate::{process, workspace};

mod canonical;
mod compare;
mod diff;
mod folder;
mod known;
#[cfg(test)]
mod tests;

/// What to compare.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where goldens and meshes lie; empty: the defaults.
    roots: Vec<Root>,
    /// `MESH` or `MESH/PROXY`; empty: all.
    only: Vec<String>,
    /// Names of types; empty: all.
    types: Vec<String>,
    /// How many differences of one folder and type are printed.
    limit: usize,
    /// The `mesh` command; built if not given.
    binary: Option<PathBuf>,
}

/// Resources compared, and found equal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) compared: usize,
    pub(crate) equal: usize,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let tally = run(&parse(arguments)?)?;
    if tally.equal == tally.compared { Ok(()) } else { Err(Failure::Answered) }
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let (mut golden, mut meshes) = (None, None);
    let mut options =
        Options { roots: Vec::new(), only: Vec::new(), types: Vec::new(), limit: 3, binary: None };
    let mut arguments = arguments.iter();
    while let Some(flag) = arguments.next() {
        let mut value =
            || arguments.next().ok_or_else(|| Failure::Usage(format!("`{flag}` needs a value")));
        match flag.as_str() {
            "--golden" => golden = Some(PathBuf::from(value()?)),
            "--meshes" => meshes = Some(PathBuf::from(value()?)),
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--types" => options.types.extend(value()?.split(',').map(str::to_owned)),
            "--limit" => {
                let text = value()?;
                options.limit =
                    text.parse().attempt(format!("read `{text}` as a number of differences"))?;
            }
            "--binary" => options.binary = Some(PathBuf::from(value()?)),
            _ => return Err(Failure::Usage(format!("unknown argument `{flag}`"))),
        }
    }
    if let Some(kind) = options.types.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        let known = KINDS.join(", ");
        return Err(Failure::Usage(format!("no type `{kind}`: there are {known}")));
    }
    let root = workspace::repository();
    if golden.is_some() || meshes.is_some() {
        options.roots.push(Root {
            golden: golden.unwrap_or_else(|| root.join("golden")),
            meshes: meshes.unwrap_or_else(|| root.join("examples/meshes")),
        });
    }
    Ok(options)
}

/// Compares the repository's own goldens only: what every clone has.
pub(crate) fn required(only: &str, types: &str) -> Result<Tally, Problem> {
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    let roots = folder::roots_of_repository();
    let (only, types) = (list(only), list(types));
    run(&Options { roots, only, types, limit: 3, binary: None })
}

/// Renders and compares every selected folder, and prints what came out.
fn run(options: &Options) -> Result<Tally, Problem> {
    let roots =
        if options.roots.is_empty() { folder::default_roots() } else { options.roots.clone() };
    let folders = folder::folders(&roots, &options.only)?;
    if folders.is_empty() {
        return Err(Problem::new("no golden folder: nothing lies there, or `--only` fits none"));
    }
    let known: Vec<Known> = roots
        .iter()
        .map(|root| Known::read(&root.golden.join("known.txt")))
        .collect::<Result<_, _>>()?;
    let faults = Faults::read(&workspace::repository().join("xtask/recording-faults.txt"))?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => workspace::mesh_binary()?,
    };
    let out = workspace::target_directory()?.join("golden");
    let judged = in_parallel(&folders, |folder| {
        let no_rules = Known::default();
        let known = known.get(folder.root).unwrap_or(&no_rules);
        let name = &format!("{}/{}", folder.mesh, folder.proxy);
        let explained = Explained { known, faults: &faults, folder: name };
        judge(folder, &binary, &out, options, explained)
    });
    print(&folders, judged, options.limit)
}

/// What one folder came to, and why it could not be rendered if so.
#[derive(Debug)]
struct Judged {
    outcomes: Vec<Outcome>,
    failure: Option<String>,
}

fn judge(
    folder: &Folder,
    binary: &Path,
    out: &Path,
    options: &Options,
    explained: Explained<'_>,
) -> Result<Judged, Problem> {
    match render(folder, binary, out) {
        Ok(ours) => {
            let outcomes = compare::compare(&ours, &folder.golden, &options.types, explained)?;
            Ok(Judged { outcomes, failure: None })
        }
        Err(problem) => {
            let outcomes = compare::nothing_equal(&folder.golden, &options.types)?;
            Ok(Judged { outcomes, failure: Some(problem.0) })
        }
    }
}

/// Runs `mesh snapshot` for a folder's client and returns where the resources lie.
fn render(folder: &Folder, binary: &Path, out: &Path) -> Result<PathBuf, Problem> {
    let ours = out.join(&folder.mesh).join(&folder.proxy);
    if ours.exists() {
        std::fs::remove_dir_all(&ours).attempt(format!("empty `{}`", ours.display()))?;
    }
    std::fs::create_dir_all(&ours).attempt(format!("create `{}`", ours.display()))?;
    let mut command = Command::new(binary);
    command.arg("snapshot").arg("-f").arg(&folder.mesh_dir).arg("--out").arg(&ours);
    match folder.client()? {
        Client::Proxy(proxy) => command.args(["--proxy", &proxy]),
        Client::Grpc(proxy) => command.args(["--proxy", &proxy, "--data-plane", "grpc"]),
        Client::Ztunnel(cluster) => command.args(["--ztunnel", &cluster]),
    };
    let output = process::output(&mut command)?;
    if output.status.success() {
        return Ok(ours);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = said.last().copied().unwrap_or("it printed nothing");
    Err(Problem(format!("`mesh snapshot` ended with {}: {last}", output.status)))
}

/// Calls `work` for every item on as many threads as there are cores; answers in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let answer = work(item);
                    done.lock().unwrap_or_else(|poison| poison.into_inner()).insert(at, answer);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(|poison| poison.into_inner()).into_values().collect()
}

fn print(
    folders: &[Folder],
    judged: Vec<Result<Judged, Problem>>,
    limit: usize,
) -> Result<Tally, Problem> {
    let mut totals: BTreeMap<&str, Tally> = BTreeMap::new();
    let (mut known, mut faults) = (0, 0);
    for (folder, judged) in folders.iter().zip(judged) {
        let judged = judged?;
        let name = format!("{}/{}", folder.mesh, folder.proxy);
        if let Some(failure) = &judged.failure {
            println!("{name}: {failure}");
        }
        for outcome in &judged.outcomes {
            println!("{name} {} {}/{}", outcome.kind, outcome.equal, outcome.compared);
            for (found, why) in &outcome.faults {
                println!("  {}{}: a fault of the recording ({why})", found.resource, found.path);
            }
            outcome.differences.iter().take(limit).for_each(print_difference);
            let more = outcome.differences.len().saturating_sub(limit);
            if more > 0 {
                println!("  … and {more} more");
            }
            let total = totals.entry(outcome.kind).or_default();
            total.compared += outcome.compared;
            total.equal += outcome.equal;
            known += outcome.known;
            faults += outcome.faults.len();
        }
    }
    let mut all = Tally::default();
    for kind in KINDS {
        if let Some(total) = totals.get(kind) {
            println!("total {kind} {}/{}", total.equal, total.compared);
            all.compared += total.compared;
            all.equal += total.equal;
        }
    }
    let different = all.compared - all.equal;
    println!(
        "golden: {} equal, {different} different, {known} fields known to vary, {faults} faults of recordings",
        all.equal
    );
    if all.compared == 0 {
        return Err(Problem::new("nothing of these types in these folders"));
    }
    Ok(all)
}

fn print_difference(found: &Located) {
    println!("  {}{}", found.resource, found.path);
    println!("    ours   {}", short(&canonical::key(&found.ours)));
    println!("    golden {}", short(&canonical::key(&found.golden)));
}

/// At most 160 characters; the text is ASCII.
fn short(text: &str) -> String {
    match text.split_at_checked(157) {
        Some((head, tail)) if tail.len() > 3 => format!("{head}..."),
        _ => text.to_owned(),
    }
}
