//! What is not known is said, and nothing is run again to find it out.

use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use waggoner_testkit::{Site, eventually};

use crate::fixtures::{script_blueprint, site_with_agent};

/// Starts an install whose one operation counts its runs and goes on for ever.
fn begun(site: &Site, id: &str) -> (camino::Utf8PathBuf, String) {
    let runs = site.folder().join("runs");
    let script = format!("#!/bin/sh\nset -eu\necho $$ >> {runs}\necho begun\nsleep 3600\n");
    let blueprint = script_blueprint(site, id, &script);
    site.deploy(id, &blueprint, &[]);
    let execution = site.wag().start_execution("install", id);
    eventually("the operation to run", || fs::read_to_string(&runs));
    (runs, execution)
}

/// The execution has failed, says why in these words, and ran its operation once.
fn assert_honest(site: &Site, runs: &camino::Utf8Path, execution: &str, words: &str) {
    let ended = site.wag().await_end(execution);
    assert_eq!(ended["status"], "failed", "{ended}");
    assert!(ended["error"].as_str().is_some_and(|error| error.contains(words)), "{ended}");
    assert_eq!(fs::read_to_string(runs).unwrap().lines().count(), 1, "it is not run again");
}

#[test]
fn the_end_of_the_supervisor_is_no_guess_and_leaves_nothing_behind() {
    let site = site_with_agent();
    let (runs, execution) = begun(&site, "bereft");
    let operation = fs::read_to_string(&runs).unwrap().trim().to_owned();
    let parents = |pid: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
        line.trim().to_owned()
    };
    // The script's shell is a child of the operation's, and that one of the supervisor.
    let mut supervisor = operation.clone();
    while !fs::read_to_string(format!("/proc/{supervisor}/cmdline")).unwrap().contains("supervise")
    {
        supervisor = parents(&supervisor);
    }
    let pid = Pid::from_raw(supervisor.parse().unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    assert_honest(&site, &runs, &execution, "how it ended is not known");
    eventually("the operation to be gone", || {
        let status = fs::read_to_string(format!("/proc/{operation}/status")).unwrap_or_default();
        let lives = status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'));
        if lives { Err("it lives") } else { Ok(()) }
    });
}

#[test]
fn an_agent_whose_disk_is_lost_does_not_know_and_says_so() {
    let mut site = site_with_agent();
    let (runs, execution) = begun(&site, "forgetful");
    site.agent_daemon("host").kill();
    let state = site.agent_dir("host");
    // The supervisor goes with its directory, and the operation with it.
    fs::remove_dir_all(state.join("journal")).unwrap();
    fs::remove_dir_all(state.join("run")).unwrap();
    let address = site.address().to_owned();
    site.start_agent("host", None, &["--manager", &address]);
    site.await_link("host");
    assert_honest(&site, &runs, &execution, "is not known");
}
