//! Running other programs: to their end with their output read, or beside us until we are done.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::problem::{Attempt, Problem};

/// The time, for deadlines and for printed durations.
#[expect(clippy::disallowed_methods, reason = "the rails run programs and wait for them")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs a program to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<Output, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).output().attempt(format!("run `{name}`"))
}

/// Runs a program to its end with its output going where ours goes; true if it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Problem> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().attempt(format!("run `{name}`"))?;
    Ok(status.success())
}

/// Asks a condition again and again until it gives an answer or the time is up.
pub(crate) fn wait_for<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + limit;
    loop {
        if let Some(answer) = condition() {
            return Some(answer);
        }
        if now() >= end {
            return None;
        }
        sleep(Duration::from_millis(20));
    }
}

/// A program that runs beside us. It is asked to end when this value is dropped, and made to end
/// if it does not within two seconds.
pub(crate) struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts a program whose output, both streams, goes into the file `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self, Problem> {
        let file = std::fs::File::create(log).attempt(format!("create `{}`", log.display()))?;
        let other = file.try_clone().attempt(format!("share `{}`", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(other)
            .spawn()
            .attempt(format!("start {name}"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// What the program has printed so far.
    pub(crate) fn printed(&self) -> String {
        std::fs::read(&self.log)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// An error that tells the end of what the program printed, if it has ended by itself.
    pub(crate) fn still_runs(&mut self) -> Result<(), Problem> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                let (name, tail) = (&self.name, self.tail());
                Err(Problem(format!("{name} ended with {status}:\n{tail}")))
            }
            Ok(None) => Ok(()),
            Err(error) => Err(Problem(format!("cannot ask after {}: {error}", self.name))),
        }
    }

    /// The program's resident memory in kB (Linux).
    pub(crate) fn resident(&self) -> Result<u64, Problem> {
        let file = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&file).attempt(format!("read `{file}`"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| Problem(format!("`{file}` does not tell resident memory")))
    }

    /// The last lines that the program printed.
    pub(crate) fn tail(&self) -> String {
        let text = self.printed();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    /// Asks the program to end (SIGTERM) and returns how it did.
    pub(crate) fn end(&mut self) -> Result<ExitStatus, Problem> {
        // The standard library can only kill; `kill` sends the polite signal to this one process.
        if matches!(self.child.try_wait(), Ok(None)) {
            let id = self.child.id().to_string();
            let _asked = Command::new("kill").args(["-TERM", &id]).status();
        }
        let ended = wait_for(Duration::from_secs(2), || self.child.try_wait().ok().flatten());
        match ended {
            Some(status) => Ok(status),
            None => {
                self.child.kill().attempt(format!("kill {}", self.name))?;
                self.child.wait().attempt(format!("wait for {}", self.name))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _status = self.end();
    }
}
