//! A target without libFuzzer.
use std::collections::hash_map::RandomState;
use std::error::Error;
use std::ffi::OsStr;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::mutate::mutated;

/// Inputs that a mutation may start from, at most: what was checked in, and the latest mutants.
const POOL: usize = 512;

/// Runs a target as `TARGET [--seconds N] [--seed N] [FILE…]`: on the files if any are named, else on
/// the checked-in inputs and then on mutants of them until the time is over.
///
/// The seed is printed first, and inputs depend on nothing else: whatever happens can be had again. An
/// assertion that does not hold ends the program as any panic does.
#[must_use]
pub fn drive(target: impl Fn(&[u8])) -> ExitCode {
    match run(target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a run ends when its time is over")]
fn run(target: impl Fn(&[u8])) -> Result<(), Box<dyn Error>> {
    let mut options = Options::parse(env::args_os().skip(1))?;
    let name = env::current_exe()?.file_stem().unwrap_or_default().to_owned();
    println!("{}: seed {}", name.display(), options.seed);
    if options.files.is_empty() {
        options.files = seeds(&name)?;
    } else {
        options.time = Duration::ZERO;
    }
    let mut pool = vec![Vec::new()];
    for file in &options.files {
        let bytes = fs::read(file).map_err(|problem| format!("{}: {problem}", file.display()))?;
        target(&bytes);
        pool.push(bytes);
    }
    let replayed = pool.len() - 1;
    let (start, mut random, mut runs) =
        (Instant::now(), StdRng::seed_from_u64(options.seed), 0_u64);
    while start.elapsed() < options.time {
        let mutant = mutated(&pool, &mut random);
        target(&mutant);
        runs += 1;
        if pool.len() < POOL {
            pool.push(mutant);
        } else if let Some(place) = pool.get_mut(replayed + 1..) {
            // What was checked in stays; mutants of mutants take turns.
            let turn = usize::try_from(runs)? % place.len().max(1);
            place.get_mut(turn).into_iter().for_each(|place| place.clone_from(&mutant));
        }
    }
    println!("{}: {replayed} inputs replayed, {runs} mutants", name.display());
    Ok(())
}

/// The inputs that are checked in for a target, in the order of their names.
fn seeds(name: &OsStr) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

struct Options {
    time: Duration,
    seed: u64,
    files: Vec<PathBuf>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            time: Duration::from_secs(20),
            seed: RandomState::new().hash_one(()),
            files: Vec::new(),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64, Box<dyn Error>> {
                let text = arguments.next().ok_or("a number is missing")?;
                Ok(text.to_string_lossy().parse()?)
            };
            match argument.to_str() {
                Some("--seconds") => options.time = Duration::from_secs(number()?),
                Some("--seed") => options.seed = number()?,
                _ => options.files.push(argument.into()),
            }
        }
        Ok(options)
    }
}
