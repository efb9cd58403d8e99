use std::{future::poll_fn, task::Poll, time::Duration};

use tokio::time::sleep;
use waggoner_process::{Exit, Orphans, Spawn, Stopped};

use crate::{LONG, read, shell, start};

/// An end that nobody needed to force.
const POLITE: Stopped = Stopped { exit: Some(Exit::Signal(15)), forced: false, left: Vec::new() };
const FORCED: Stopped = Stopped { exit: Some(Exit::Signal(9)), forced: true, left: Vec::new() };

#[tokio::test]
async fn a_polite_child_leaves_when_asked() {
    let (child, _output, _) = start("echo up; exec sleep 1000").await;
    assert_eq!(child.stop(LONG).await, POLITE);
}

#[tokio::test]
async fn its_last_words_are_heard() {
    let script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done";
    let (child, mut output, _) = start(script).await;
    let (stopped, (stdout, _)) = tokio::join!(child.stop(LONG), read(&mut output));
    assert_eq!(stopped, Stopped { exit: Some(Exit::Code(5)), forced: false, left: Vec::new() });
    assert_eq!(stdout, b"bye\n");
}

#[tokio::test]
async fn a_deaf_family_is_killed_after_its_grace() {
    let script = "trap '' TERM; sleep 1001 & (sleep 1002; :) & echo up; sleep 1003; :";
    let (child, _output, _) = start(script).await;
    while members("sleep 100", child.id()).len() < 3 {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(child.stop(Duration::from_millis(50)).await, FORCED);
    assert_eq!(members("", child.id()), [0; 0]);
}

#[tokio::test]
async fn a_stopped_child_wakes_up_to_leave() {
    let (child, _output, _) = start("echo up; kill -STOP $$").await;
    assert_eq!(child.stop(LONG).await, POLITE);
}

#[tokio::test]
async fn what_outlives_the_leader_lives_until_it_is_stopped() {
    let (child, _output, line) = start("sleep 1000 >/dev/null 2>&1 & echo $!").await;
    assert_eq!(child.wait().await, Exit::Code(0));
    assert!(is_alive(&line));
    let stopped = child.stop(LONG).await;
    assert_eq!(stopped, Stopped { exit: Some(Exit::Code(0)), forced: false, left: Vec::new() });
    assert!(!is_alive(&line));
}

#[tokio::test]
async fn a_daemon_started_by_a_script_survives_the_drop() {
    let (child, output, line) = start("sleep 1000 >/dev/null 2>&1 & echo $!").await;
    child.wait().await;
    drop((child, output));
    assert!(is_alive(&line));
    kill(&line);
}

#[tokio::test]
async fn dropping_a_running_child_kills_its_group() {
    let (child, output, line) = start("sleep 1000 & echo $!; wait").await;
    drop((child, output));
    while is_alive(&line) {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_child_in_a_session_of_its_own_is_found_by_its_parents() {
    let script = "env -i /usr/bin/setsid /bin/sh -c 'echo $$; (sleep 1000; :) & wait'; wait";
    let (child, _output, line) = start(script).await;
    assert!(is_alive(&line));
    assert_eq!(child.stop(LONG).await, POLITE);
    assert!(!is_alive(&line));
    assert_eq!(session(&line), [0; 0]);
}

#[tokio::test]
async fn a_daemon_that_left_group_and_parents_is_found_by_its_mark() {
    let script =
        "(setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000 >/dev/null 2>&1' &); wait";
    let (child, _output, line) = start(script).await;
    assert_eq!(child.wait().await, Exit::Code(0));
    assert!(is_alive(&line));
    let stopped = child.stop(Duration::from_millis(50)).await;
    assert_eq!(stopped, Stopped { exit: Some(Exit::Code(0)), forced: true, left: Vec::new() });
    assert!(!is_alive(&line));
}

#[tokio::test]
async fn a_fork_bomb_is_put_out() {
    let script = "trap '' TERM; echo up; while :; do sleep 0.05 & (sleep 1; :) & sleep 0.005; done";
    let (child, _output, _) = start(script).await;
    let stopped = child.stop(Duration::from_millis(100)).await;
    assert_eq!(stopped, FORCED);
    assert_eq!(members("", child.id()), [0; 0]);
}

#[tokio::test]
async fn to_stop_what_has_ended_is_nothing() {
    let (child, _output) = shell("exit 1").start().await.unwrap();
    child.wait().await;
    for _ in 0..2 {
        let stopped = child.stop(Duration::ZERO).await;
        assert_eq!(stopped.exit, Some(Exit::Code(1)));
        assert_eq!(stopped.left, [0; 0]);
    }
}

#[tokio::test]
async fn two_hundred_at_once_each_end_in_their_own_way() {
    let mut started = Vec::new();
    for number in 0..200 {
        let script = format!("echo {number}; echo e{number} >&2; exit {number}");
        started.push((number, shell(&script).start().await.unwrap()));
    }
    for (number, (child, mut output)) in started {
        let (stdout, stderr) = read(&mut output).await;
        assert_eq!(stdout, format!("{number}\n").into_bytes());
        assert_eq!(stderr, format!("e{number}\n").into_bytes());
        assert_eq!(child.wait().await, Exit::Code(number));
    }
}

#[tokio::test]
async fn fifty_families_are_stopped_at_once() {
    let mut started = Vec::new();
    for _ in 0..50 {
        started.push(start("sleep 1000 & echo $!; wait").await);
    }
    let mut stops: Vec<_> =
        started.iter().map(|(child, _, _)| Box::pin(child.stop(LONG))).collect();
    poll_fn(|cx| {
        stops.retain_mut(|stop| match stop.as_mut().poll(cx) {
            Poll::Ready(stopped) => {
                assert_eq!(stopped, POLITE);
                false
            }
            Poll::Pending => true,
        });
        if stops.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(stops);
    assert!(started.iter().all(|(_, _, line)| !is_alive(line)));
}

/// Alone in its process, as nextest runs it: to adopt orphans concerns the whole process.
#[tokio::test]
async fn orphans_come_to_us_and_are_reaped_and_other_children_are_not() {
    let orphans = Orphans::adopt().unwrap();
    let mut plain = std::process::Command::new("/bin/true").spawn().unwrap();
    let (child, _output, line) =
        start("(setsid sh -c 'echo $$; exec sleep 0.1 >/dev/null 2>&1' &)").await;
    let adopted: i32 = line.parse().unwrap();
    tokio::select! {
        () = orphans.reap() => unreachable!("it reaps for good"),
        () = async {
            while fs_err::exists(format!("/proc/{adopted}")).unwrap() {
                sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    assert_eq!(child.wait().await, Exit::Code(0));
    assert!(plain.wait().unwrap().success());
}

/// Alone in its process too.
#[tokio::test]
async fn who_was_started_by_one_that_ignores_children_hears_how_they_end() {
    #[expect(unsafe_code, reason = "to be what another has made of us")]
    // SAFETY: it replaces no handler of ours.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    let _orphans = Orphans::adopt().unwrap();
    let (child, mut output) = shell("exit 3").start().await.unwrap();
    read(&mut output).await;
    assert_eq!(child.wait().await, Exit::Code(3));
}

#[tokio::test]
async fn a_program_of_two_threads_whose_first_has_ended_is_alive() {
    // Only Python offers this without a compiler.
    let python = "import ctypes, threading, time\n\
        threading.Thread(target=lambda: (time.sleep(0.2), print('up', flush=True), time.sleep(1000))).start()\n\
        ctypes.CDLL(None).pthread_exit(None)";
    let mut spawn = Spawn::new("python3", "/");
    spawn.env = shell("").env;
    spawn.args = vec!["-c".into(), python.into()];
    let Ok((child, mut output)) = spawn.start().await else { return };
    crate::first_line(&mut output).await;
    assert_eq!(child.stop(LONG).await, POLITE);
}

fn is_alive(pid: &str) -> bool {
    stat(pid).is_some_and(|(state, _, _)| state != "Z")
}

fn kill(pid: &str) {
    std::process::Command::new("kill").args(["-9", pid]).status().unwrap();
}

/// Lists the living of a process group whose command line starts with `words`.
fn members(words: &str, group: i32) -> Vec<i32> {
    living(|pid, own_group, _| {
        let line = fs_err::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        own_group == group && String::from_utf8_lossy(&line).replace('\0', " ").starts_with(words)
    })
}

fn session(leader: &str) -> Vec<i32> {
    let leader: i32 = leader.parse().unwrap();
    living(|_, _, session| session == leader)
}

fn living(is_wanted: impl Fn(i32, i32, i32) -> bool) -> Vec<i32> {
    let pids = fs_err::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        stat(&pid.to_string())
            .is_some_and(|(state, group, session)| state != "Z" && is_wanted(*pid, group, session))
    })
    .collect()
}

/// The state, the group and the session of a process.
fn stat(pid: &str) -> Option<(String, i32, i32)> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = rest.split(' ').collect();
    Some((fields[0].to_owned(), fields[2].parse().ok()?, fields[3].parse().ok()?))
}
