//! The Python that holds the real counterparts, and what is kept between runs.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::Value;

/// The Python of the tests, with what `tests/requirements.txt` names.
///
/// # Panics
///
/// If `WAGGONER_ORACLE_PYTHON` does not say where it is: `cargo xtask test` sets it.
pub fn python() -> Utf8PathBuf {
    let python = std::env::var("WAGGONER_ORACLE_PYTHON").map(Utf8PathBuf::from);
    python.unwrap_or_else(|_| {
        let usual = root().join("target/proof/python/bin/python");
        assert!(usual.is_file(), "no Python for the tests: run `cargo xtask setup` first");
        usual
    })
}

/// A program that was installed with the Python of the tests: `wagon`, `uv`.
pub fn python_program(name: &str) -> Utf8PathBuf {
    python().with_file_name(name)
}

/// A program of `tests/python`, to be run with the Python of the tests.
pub fn python_command(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python").join(name));
    command
}

/// Runs a program of `tests/python` to its end and returns the JSON that it prints.
///
/// # Panics
///
/// If it fails.
#[track_caller]
pub fn run_python(name: &str, args: &[&str]) -> Value {
    let output = python_command(name).args(args).output().expect("Python can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| {
        panic!("{name} {args:?} printed no JSON ({error}): {stdout}{stderr}")
    })
}

/// The project's root, where the examples are.
pub fn root() -> Utf8PathBuf {
    let here = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("the crate lies in crates/").to_owned()
}

/// A directory that is kept between runs, for what takes long to fetch.
pub fn cache() -> Utf8PathBuf {
    let cache = root().join("target/proof/cache");
    fs::create_dir_all(&cache).expect("cargo's folder is ours");
    cache
}

/// Returns what the cache has under this name, made once by `make` in a directory of its own.
///
/// Tests that run at the same time wait for the one that makes it. What a failed making left is
/// made anew.
#[track_caller]
pub fn cached(name: &str, make: impl FnOnce(&Utf8Path)) -> Utf8PathBuf {
    let cache = cache();
    let lock = fs::File::create(cache.join(format!("{name}.lock"))).expect("the cache is ours");
    let lock = lock.into_file();
    lock.lock().expect("a file of ours can be locked");
    let whole = cache.join(name);
    if !whole.is_dir() {
        let partial = cache.join(format!("{name}.partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial).expect("the cache is ours");
        }
        fs::create_dir(&partial).expect("the cache is ours");
        make(&partial);
        fs::rename(&partial, &whole).expect("the cache is ours");
    }
    whole
}
