use std::{os::unix::process::CommandExt as _, process::Command};

use super::*;

#[tokio::test]
async fn an_exit_is_seen_without_a_pidfd() {
    let child = Command::new("/bin/sh").args(["-c", "sleep 0.1; exit 9"]).process_group(0).spawn();
    let pid = Pid::from_raw(child.unwrap().id().cast_signed()).unwrap();
    let leader = Leader { pid, watch: Watch::Signal, server: None, ended: OnceLock::new() };
    assert_eq!(leader.exit(), None);
    assert_eq!(leader.exited().await, Exit::Code(9));
    assert_eq!(leader.exit(), Some(Exit::Code(9)), "it is not reaped yet");
}

#[tokio::test]
async fn a_child_that_another_has_reaped_is_lost() {
    let mut child = Command::new("/bin/true").process_group(0).spawn().unwrap();
    let leader = Leader::adopt(Pid::from_raw(child.id().cast_signed()).unwrap()).unwrap();
    child.wait().unwrap();
    assert_eq!(leader.exited().await, Exit::Lost);
}

#[tokio::test]
async fn a_leader_dropped_alive_is_reaped_later() {
    #[expect(clippy::zombie_processes, reason = "the leader reaps it")]
    let child = Command::new("/bin/sleep").arg("1000").process_group(0).spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    drop(Leader::adopt(pid).unwrap());
    assert!(is_live(pid.as_raw_pid()), "nobody else may reap it");

    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while is_live(pid.as_raw_pid()) {
        reap_abandoned();
        tokio::task::yield_now().await;
    }
    assert!(!fs_err::exists(format!("/proc/{}", pid.as_raw_pid())).unwrap());
}
