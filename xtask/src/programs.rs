//! Builds the three programs and runs `wag`.

use std::process::{Command, ExitCode};

use anyhow::Result;
use camino::Utf8PathBuf;

use crate::shell::{cargo, root, run};

/// The packages of the three programs.
const PACKAGES: [&str; 3] = ["waggoner-manager", "waggoner-agent", "waggoner-wag"];

/// Builds the three programs and returns where they are.
pub(crate) fn build() -> Result<Utf8PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--bins"]);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    run(&mut build)?;
    Ok(target().join("debug"))
}

/// Returns cargo's folder.
pub(crate) fn target() -> Utf8PathBuf {
    std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root().join("target"), Utf8PathBuf::from)
}

/// Builds the three programs, runs `wag` and answers as it does.
#[expect(clippy::print_stderr, reason = "the last words of the process")]
pub(crate) fn wag(args: &[String]) -> ExitCode {
    eprintln!("building the three programs; the first time takes some minutes");
    let status =
        build().and_then(|programs| Ok(Command::new(programs.join("wag")).args(args).status()?));
    match status {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(70))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
