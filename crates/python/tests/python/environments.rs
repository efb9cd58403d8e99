//! Environments of tiny wheels, offline.

use std::{
    error::Error as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Command,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use jiff::Timestamp;
use waggoner_python::{
    Environment, EnvironmentError, EnvironmentSpec, Environments, Progress, Unwanted,
    find_interpreters,
};

use crate::support::{installers, python, spec, uv, wagon, wheel};

/// A plugin's wagon with its own idea of cloudify-common.
pub(crate) fn plugin(directory: &Utf8Path, version: &str, tag: &str) -> EnvironmentSpec {
    let wheels = directory.join(format!("wheels-{version}"));
    let module = format!("VERSION = {version:?}\n");
    let scripts = format!("web_plugin-{version}.data/scripts/web");
    let script = "#!python\nimport web_plugin\nprint(web_plugin.VERSION)\n";
    let files = [("web_plugin/__init__.py", module.as_str()), (&scripts, script)];
    wheel(&wheels, "web-plugin", version, &["cloudify-common>=5"], &files);
    wheel(&wheels, "cloudify-common", "5.1.0", &[], &[("cloudify/__init__.py", "")]);
    spec("web-plugin", version, wagon(&wheels, "web-plugin", version, tag))
}

fn installed_version(environment: &Environment) -> String {
    // The script's first line has to lead to the interpreter of where it is now.
    let output = Command::new(environment.prefix.join("bin/web")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The directory with what is there of environments, without locks.
fn left(root: &Utf8Path) -> Vec<String> {
    let entries = root.join("environments").read_dir_utf8();
    let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name().to_owned());
    names.filter(|name| Utf8Path::new(name).extension() != Some("lock")).collect()
}

fn chain(error: &EnvironmentError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn an_environment_is_built_once_and_found_again() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    for uv in installers() {
        let root = directory.path().join(if uv.is_some() { "uv" } else { "pip" });
        let environments = Environments::with_tools(&root, uv.clone(), vec![python.clone()]);
        let one = plugin(directory.path(), "1.0", &python.tag);
        let first = environments.ensure(&one).await.unwrap();
        assert!(!first.reused);
        assert_eq!((first.tag.as_str(), first.common_version.as_str()), (&*python.tag, "5.1.0"));
        assert_eq!(installed_version(&first), "1.0");
        assert!(environments.ensure(&one).await.unwrap().reused);
        // An agent that starts anew.
        let anew = Environments::with_tools(&root, uv, vec![python.clone()]);
        assert_eq!(anew.ensure(&one).await.unwrap(), Environment { reused: true, ..first.clone() });
        // Another version stands beside it.
        let two = plugin(directory.path(), "2.0", &python.tag);
        let second = anew.ensure(&two).await.unwrap();
        assert_eq!(
            (installed_version(&first), installed_version(&second)),
            ("1.0".into(), "2.0".into())
        );
        assert_eq!(anew.list().unwrap().len(), 2);
        let unwanted = Unwanted::OfWagon(one.wagon.digest);
        let now = Timestamp::now();
        // Nobody of the new agent holds the first one.
        let removed = anew.collect(unwanted, now).await.unwrap();
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].name, first.name);
        assert!(!first.prefix.exists());
        assert_eq!(installed_version(&second), "2.0");
        // Its own wheel and the one of cloudify-common, which both had, are still there.
        assert_eq!(root.join("wheels").read_dir_utf8().unwrap().count(), 2);
        assert!(!anew.ensure(&one).await.unwrap().reused);
    }
}

#[tokio::test]
async fn everyone_who_comes_meanwhile_shares_one_build() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let root = directory.path().join("root");
    // Two of them do not know of each other, as two processes.
    let one = Environments::with_tools(&root, uv(), vec![python.clone()]);
    let two = Environments::with_tools(&root, uv(), vec![python.clone()]);
    let spec = plugin(directory.path(), "1.0", &python.tag);
    let (a, b, c, d) =
        tokio::join!(one.ensure(&spec), two.ensure(&spec), one.ensure(&spec), two.ensure(&spec));
    let all = [a, b, c, d].map(Result::unwrap);
    assert_eq!(all.iter().filter(|environment| !environment.reused).count(), 1);
    assert!(all.iter().all(|environment| environment.prefix == all[0].prefix));
}

#[tokio::test]
async fn what_a_killed_build_left_is_built_anew() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let root = directory.path().join("root");
    let spec = plugin(directory.path(), "1.0", &python.tag);
    let environments = Environments::with_tools(&root, uv(), vec![python.clone()]);
    let first = environments.ensure(&spec).await.unwrap();
    fs::remove_file(root.join(format!("environments/{}.json", first.name))).unwrap();
    fs::write(first.prefix.join("half"), "").unwrap();
    let again = Environments::with_tools(&root, uv(), vec![python.clone()]);
    let second = again.ensure(&spec).await.unwrap();
    assert!(!second.reused && !second.prefix.join("half").exists());
    assert_eq!(installed_version(&second), "1.0");
}

#[tokio::test]
async fn a_failed_build_says_why_and_leaves_nothing() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let common = |wheels: &Utf8Path| {
        wheel(wheels, "cloudify-common", "5.1.0", &[], &[("cloudify/__init__.py", "")]);
    };
    let make = |name: &str, requires: &[&str], with_common: bool| {
        let wheels = directory.path().join(name);
        wheel(&wheels, "web-plugin", "1.0", requires, &[("web_plugin/__init__.py", "")]);
        if with_common {
            common(&wheels);
        }
        spec("web-plugin", "1.0", wagon(&wheels, "web-plugin", "1.0", &python.tag))
    };
    let missing = make("missing", &["left-pad>=2"], true);
    let bare = make("bare", &[], false);
    let other = EnvironmentSpec { package_version: "9".to_owned(), ..make("other", &[], true) };
    let foreign =
        EnvironmentSpec { python_tags: vec!["py27".to_owned()], ..make("foreign", &[], true) };
    let gone = EnvironmentSpec {
        wagon: waggoner_python::WagonFile {
            path: Utf8PathBuf::from("/nowhere/x.wgn"),
            ..bare.wagon.clone()
        },
        ..bare.clone()
    };
    for uv in installers() {
        let root = directory.path().join(if uv.is_some() { "uv" } else { "pip" });
        let environments = Environments::with_tools(&root, uv, vec![python.clone()]);
        for (spec, words) in [
            (&missing, "left-pad"),
            (&bare, "carries no cloudify-common wheel"),
            (&other, "holds `web-plugin` 1.0"),
            (&foreign, "it is for py27 and this host has"),
            (&gone, "the wagon `/nowhere/x.wgn` is refused: it cannot be read"),
        ] {
            let error = chain(&environments.ensure(spec).await.unwrap_err());
            assert!(error.contains(words) && error.contains("`web-plugin`"), "{error}");
            assert_eq!(left(&root), Vec::<String>::new());
        }
        // A failure is not remembered: the wheel that was missing may come with another wagon.
        let wheels = directory.path().join("extra");
        wheel(&wheels, "left-pad", "2.1", &[], &[("left_pad.py", "")]);
        let extra = wagon(&wheels, "left-pad", "2.1", &python.tag);
        let helped = EnvironmentSpec { extra_wagons: vec![extra], ..missing.clone() };
        environments.ensure(&helped).await.unwrap();
    }
}

#[tokio::test]
async fn a_wheel_that_cannot_be_installed_is_named() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let make = |name: &str, spoil: fn(&Utf8Path)| {
        let wheels = directory.path().join(name);
        let text = "left = 'pad' # which is long enough to be spoilt somewhere in its middle\n";
        wheel(&wheels, "left-pad", "2.1", &[], &[("left_pad.py", text)]);
        spoil(&wheels.join("left_pad-2.1-py3-none-any.whl"));
        wheel(&wheels, "web-plugin", "1.0", &["left-pad"], &[("web_plugin/__init__.py", "")]);
        wheel(&wheels, "cloudify-common", "5.1.0", &[], &[("cloudify/__init__.py", "")]);
        spec("web-plugin", "1.0", wagon(&wheels, "web-plugin", "1.0", &python.tag))
    };
    let broken = make("broken", |path| {
        let mut bytes = fs::read(path).unwrap();
        // The first file's bytes come right after its name.
        let at = bytes.windows(11).position(|window| window == b"left_pad.py").unwrap() + 16;
        bytes[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(path, bytes).unwrap();
    });
    let foreign = make("foreign", |path| {
        fs::rename(path, path.with_file_name("left_pad-2.1-cp311-cp311-win_amd64.whl")).unwrap();
    });
    for uv in installers() {
        let root = directory.path().join(if uv.is_some() { "uv" } else { "pip" });
        let environments = Environments::with_tools(&root, uv, vec![python.clone()]);
        for (spec, words) in [(&broken, "left_pad-2.1"), (&foreign, "win_amd64")] {
            let error = chain(&environments.ensure(spec).await.unwrap_err());
            assert!(error.contains(words) && error.contains("`web-plugin`"), "{error}");
            assert_eq!(left(&root), Vec::<String>::new());
            assert_eq!(environments.list().unwrap(), []);
            assert_eq!(root.join("wheels").read_dir_utf8().unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn who_waits_sees_how_far_it_is() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let environments = Environments::with_tools(directory.path(), uv(), vec![python.clone()]);
    let spec = plugin(directory.path(), "1.0", &python.tag);
    let mut progress = environments.progress(&spec);
    let (made, steps) = tokio::join!(environments.ensure(&spec), async {
        let mut steps = Vec::new();
        while !matches!(steps.last(), Some(Progress::Installing { .. })) {
            progress.changed().await.unwrap();
            steps.extend(*progress.borrow_and_update());
        }
        steps
    });
    made.unwrap();
    let tool = if uv().is_some() { "uv" } else { "pip" };
    let expected = [Progress::Unpacking, Progress::Installing { wheels: 2, tool }];
    assert!(steps.ends_with(&expected), "{steps:?}");
}

#[tokio::test]
async fn an_environment_that_nobody_uses_goes_with_its_wheels() {
    const LONG: Duration = Duration::from_hours(1);
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    for uv in installers() {
        let root = directory.path().join(if uv.is_some() { "uv" } else { "pip" });
        let environments = Environments::with_tools(&root, uv, vec![python.clone()]);
        let kept =
            environments.ensure(&plugin(directory.path(), "1.0", &python.tag)).await.unwrap();
        let two = plugin(directory.path(), "2.0", &python.tag);
        drop(environments.ensure(&two).await.unwrap());
        fs::create_dir_all(root.join("environments/left-over")).unwrap();

        // Both were used a moment ago.
        let unwanted = Unwanted::UnusedFor(LONG);
        let now = Timestamp::now();
        assert_eq!(environments.collect(unwanted, now).await.unwrap(), []);
        assert!(!root.join("environments/left-over").exists());
        // One is held, however long ago.
        let later = now + 2 * LONG;
        let gone = environments.collect(unwanted, later).await.unwrap();
        assert_eq!(gone.iter().map(|it| it.package_version.as_str()).collect::<Vec<_>>(), ["2.0"]);
        assert_eq!(installed_version(&kept), "1.0");
        assert_eq!(root.join("wheels").read_dir_utf8().unwrap().count(), 2);
        assert_eq!(environments.find(&two).await, None);
        drop(kept);
        assert_eq!(environments.collect(unwanted, later).await.unwrap().len(), 1);
        assert_eq!(left(&root), Vec::<String>::new());
        assert_eq!(root.join("wheels").read_dir_utf8().unwrap().count(), 0);
        // What it unpacked of them, uv has let go too.
        let unpacked = root.join("cache/uv/archive-v0").read_dir_utf8();
        for wheel in unpacked.into_iter().flatten().flatten() {
            assert!(!wheel.path().join("web_plugin").exists(), "{wheel:?}");
        }
        assert!(!environments.ensure(&two).await.unwrap().reused);
    }
}

#[tokio::test]
async fn equal_wheels_of_two_wagons_are_one_copy() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let Some(uv) = uv() else { return };
    let environments = Environments::with_tools(directory.path(), Some(uv), vec![python.clone()]);
    let mut inodes = Vec::new();
    for version in ["1.0", "2.0"] {
        let spec = plugin(directory.path(), version, &python.tag);
        let made = environments.ensure(&spec).await.unwrap();
        let shared = format!("lib/python3.{}/site-packages/cloudify/__init__.py", &python.tag[3..]);
        inodes.push(fs::metadata(made.prefix.join(shared)).unwrap().ino());
    }
    assert_eq!(inodes[0], inodes[1]);
    assert_eq!(directory.path().join("wheels").read_dir_utf8().unwrap().count(), 3);
}

#[tokio::test]
async fn install_arguments_are_given_to_pip() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let spec = EnvironmentSpec {
        install_arguments: "--no-such-argument".to_owned(),
        ..plugin(directory.path(), "1.0", &python.tag)
    };
    let root = directory.path().join("root");
    let environments = Environments::with_tools(&root, uv(), vec![python]);
    let error = chain(&environments.ensure(&spec).await.unwrap_err());
    assert!(error.contains("with pip") && error.contains("--no-such-argument"), "{error}");
    let spec = EnvironmentSpec { install_arguments: "--no-deps".to_owned(), ..spec };
    assert_eq!(installed_version(&environments.ensure(&spec).await.unwrap()), "1.0");
}

#[tokio::test]
async fn a_broken_interpreter_is_skipped() {
    let directory = Utf8TempDir::new().unwrap();
    let real = python().await;
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = |name: &str, text: &str| {
        fs::write(bin.join(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(bin.join(name), mode).unwrap();
    };
    script("python3.99", "#!/bin/sh\nexit 3\n");
    script("python3.98", "#!/bin/sh\necho hello\n");
    script("python3-config", "#!/bin/sh\nexit 3\n");
    fs::write(bin.join("python3.97"), "").unwrap();
    std::os::unix::fs::symlink(&real.path, bin.join("python3")).unwrap();
    let found = find_interpreters(&[bin, Utf8PathBuf::from("/nowhere")]).await;
    assert_eq!(found, [real]);
}
