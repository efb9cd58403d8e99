//! Wagons of real packages, made once and kept between runs.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use waggoner_testkit::{Wag, cache, cached, python_program, root};

/// Makes the wagon of a package of the index as its users do: `wagon create` on its sources.
pub(crate) fn wagon_of(package: &str, version: &str) -> Utf8PathBuf {
    let made = cached(&format!("{package}-{version}"), |folder| {
        let sources = folder.join("sources");
        fs::create_dir_all(&sources).unwrap();
        let mut pip = Command::new(python_program("pip"));
        pip.args(["download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest"])
            .args([sources.as_str(), &format!("{package}=={version}")]);
        run(pip);
        let archive = only(&sources, ".tar.gz");
        let bytes = fs::File::open(&archive).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(bytes)).unpack(&sources).unwrap();
        fs::remove_file(archive).unwrap();

        let programs = python_program("wagon").parent().unwrap().to_owned();
        let mut wagon = Command::new(programs.join("wagon"));
        wagon
            .args(["create", "-t", "tar.gz", "-o", folder.as_str()])
            .arg(only(&sources, ""))
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
        run(wagon);
        fs::remove_dir_all(sources).unwrap();
    });
    only(&made, ".wgn")
}

/// The wagon of the plugin that behaves badly, packed by `wag`, and its plugin.yaml.
pub(crate) fn awkward(wag: &Wag) -> (Utf8PathBuf, Utf8PathBuf) {
    let source = root().join("tests/plugins/awkward");
    let tasks = fs::read_to_string(source.join("awkward/tasks.py")).unwrap();
    // Another text is another wagon.
    let sum = tasks.bytes().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(byte));
    let made = cached(&format!("awkward-{sum:x}"), |folder| {
        run(wag.command(&["plugins", "pack", source.as_str(), "--to", folder.as_str()]));
    });
    (only(&made, ".wgn"), source.join("plugin.yaml"))
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.env("PIP_CACHE_DIR", cache().join("pip")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The only entry of a folder with this ending.
pub(crate) fn only(folder: &Utf8Path, ending: &str) -> Utf8PathBuf {
    let entries = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().path().to_owned());
    let found: Vec<_> = entries.filter(|path| path.as_str().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "in {folder}: {found:?}");
    found[0].clone()
}
