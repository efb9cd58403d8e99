//! What the tests need, and the tests.

use std::process::Command;

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;
use fs_err as fs;

use crate::{
    programs,
    shell::{cargo, has, root, run},
};

/// Debian's packages that the tests use: the program that shows it is there, and the package.
const DEBIAN: [(&str, &str); 3] =
    [("ip", "iproute2"), ("curl", "curl"), ("gcc", "build-essential")];

/// Installs what the tests need and returns the Python that has it.
///
/// The Python packages are pinned in `tests/requirements.txt`; their environment lies in `target`
/// and is made anew when that file changes.
pub(crate) fn setup() -> Result<Utf8PathBuf> {
    debian()?;
    python()
}

fn debian() -> Result<()> {
    let missing: Vec<_> =
        DEBIAN.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(missing))
    .context("failed to install Debian's packages: run as root, or install them by hand")
}

/// Returns the Python that has the packages of `tests/requirements.txt`.
pub(crate) fn python() -> Result<Utf8PathBuf> {
    let wanted = fs::read_to_string(root().join("tests/requirements.txt"))?;
    let home = root().join("target/proof/python");
    let python = home.join("bin/python");
    let stamp = home.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|held| held == wanted) {
        return Ok(python);
    }
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(home.parent().expect("it lies in target/proof"))?;
    run(Command::new("python3").args(["-m", "venv", home.as_str()]))
        .context("failed to make a Python environment: Python 3.11 with venv is needed")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "-r", "tests/requirements.txt"])
        .current_dir(root()))?;
    fs::write(stamp, wanted)?;
    Ok(python)
}

/// Runs everything that has to hold.
pub(crate) fn test(args: &[String]) -> Result<()> {
    let python = setup()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    let programs = programs::build()?;
    let runner: &[&str] = if has("cargo-nextest") { &["nextest", "run"] } else { &["test"] };
    run(cargo()
        .args(runner)
        .arg("--workspace")
        .args(args)
        .env("WAGGONER_BIN_DIR", programs)
        .env("WAGGONER_ORACLE_PYTHON", python))
}
