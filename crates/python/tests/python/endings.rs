//! Builds that end before their time: given up, killed, or too slow for others.

use std::{
    env,
    fs::File,
    process::{Command, Stdio},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use waggoner_python::{EnvironmentSpec, Environments};

use crate::{
    environments::plugin,
    sources::{BACKEND, Workshop},
    support::{alive, python, spec, uv, wagon_file},
};

/// What tells a second process of a test that it is one, and where.
const FOLDER: &str = "WAGGONER_TEST_FOLDER";

/// A `uv` that says who it is, and then does nothing for long.
const SLOW: &str = "#!/bin/sh\necho $$ > @NOTE@.new\nmv @NOTE@.new @NOTE@\nexec sleep 600\n";

/// Waits until something is there.
async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let found = tokio::time::timeout(Duration::from_mins(2), async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what} did not come"))
}

/// The processes that were told of in a file.
async fn noted(note: &Utf8Path) -> Vec<i32> {
    let read = || {
        let text = fs::read_to_string(note).ok()?;
        text.split_whitespace().map(|pid| pid.parse().ok()).collect()
    };
    until("the note of a build", read).await
}

/// A build that writes down itself and a process that leaves its session, and sleeps.
fn sleeper(workshop: &Workshop, name: &str) -> (EnvironmentSpec, Utf8PathBuf) {
    let note = workshop.directory.path().join(format!("{name}.note"));
    let backend = format!(
        "import os, subprocess, time\n\
         nothing = {{'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}}\n\
         started = subprocess.Popen(['sleep', '600'], start_new_session=True, **nothing)\n\
         open('note', 'w').write('%d %d' % (os.getpid(), started.pid))\n\
         os.rename('note', {:?})\n\
         time.sleep(600)\n{BACKEND}",
        note.as_str()
    );
    (workshop.bad(name, &backend), note)
}

#[tokio::test]
async fn a_build_that_is_given_up_keeps_its_place_until_all_it_has_started_is_gone() {
    let python = python().await;
    let workshop = Workshop::new(&python.tag);
    let environments = Environments::with_tools(workshop.root(), uv(), vec![python]);
    let (spec, note) = sleeper(&workshop, "sleeps");
    let pids = tokio::select! {
        ensured = environments.ensure(&spec) => panic!("{ensured:?}"),
        pids = noted(&note) => pids,
    };
    assert_eq!(pids.len(), 2);
    let folder = workshop.root().join("environments");
    let entries = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().into_path());
    let lock = entries.into_iter().find(|path| path.extension() == Some("lock")).unwrap();
    let free = || File::options().write(true).open(&lock).unwrap().try_lock().ok();
    until("the place of the build", free).await;
    let left: Vec<_> = pids.into_iter().filter(|pid| alive(*pid)).collect();
    assert_eq!(left, Vec::<i32>::new());
    assert!(!lock.with_extension("").exists(), "and nothing of it is left");
}

#[tokio::test]
async fn what_a_killed_daemon_has_left_to_run_is_ended_before_the_next_one_builds() {
    let python = python().await;
    let wagon = |folder: &Utf8Path| wagon_file(folder.join("plugin.wgn"));
    let (root, note) = ("root", "note");
    if let Ok(folder) = env::var(FOLDER) {
        let folder = Utf8Path::new(&folder);
        let tool = Some(folder.join("uv"));
        let environments = Environments::with_tools(folder.join(root), tool, vec![python]);
        let spec = spec("web-plugin", "1.0", wagon(folder));
        panic!("{:?}", environments.ensure(&spec).await);
    }
    let directory = Utf8TempDir::new().unwrap();
    let folder = directory.path();
    fs::rename(plugin(folder, "1.0", &python.tag).wagon.path, folder.join("plugin.wgn")).unwrap();
    let note = folder.join(note);
    fs::write(folder.join("uv"), SLOW.replace("@NOTE@", note.as_str())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.join("uv"), mode).unwrap();
    let mut daemon = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "endings::what_a_killed_daemon_has_left_to_run_is_ended_before_the_next_one_builds",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let tool = noted(&note).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(alive(tool[0]), "it would go on");
    let environments = Environments::with_tools(folder.join(root), uv(), vec![python]);
    let own = environments.ensure(&spec("web-plugin", "1.0", wagon(folder))).await.unwrap();
    assert!(!alive(tool[0]), "two wrote into {}", own.prefix);
}

#[tokio::test]
async fn slow_sources_hold_up_no_wagon() {
    let python = python().await;
    let workshop = Workshop::new(&python.tag);
    let environments = Environments::with_tools(workshop.root(), uv(), vec![python.clone()]);
    let slow = ["one", "two"].map(|name| sleeper(&workshop, name));
    let wagon = async {
        for (_, note) in &slow {
            noted(note).await;
        }
        let spec = plugin(workshop.directory.path(), "1.0", &python.tag);
        tokio::time::timeout(Duration::from_mins(2), environments.ensure(&spec)).await
    };
    tokio::select! {
        made = environments.ensure(&slow[0].0) => panic!("{made:?}"),
        made = environments.ensure(&slow[1].0) => panic!("{made:?}"),
        made = wagon => assert!(!made.unwrap().unwrap().reused),
    }
}
