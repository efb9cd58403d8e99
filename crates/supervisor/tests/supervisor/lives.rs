use std::process::Command;

use waggoner_supervisor::{
    CallError, ConnectError, Greeting, Home, Launch, Leave, Opened, Process, Refusal, Supervisor,
};
use waggoner_types::{AttemptId, Exit, OutputStream};

use crate::site::{Site, eventually, family, is_alive, kill, new_id, numbered, shell, written};

/// A daemon that starts an operation and is not heard of again.
#[tokio::test]
#[ignore = "the body of a process that the other tests start"]
async fn daemon() {
    let Ok(home) = std::env::var("TEST_HOME") else { return };
    let told = |name: &str| std::env::var(name).unwrap();
    let (attempt, script): (AttemptId, _) =
        (told("TEST_ATTEMPT").parse().unwrap(), told("TEST_SCRIPT"));
    let supervisor = crate::site::Site::new();
    let mut launch = supervisor.launch();
    launch.env.insert("TEST_HOME".to_owned(), home.clone());
    let connected = Supervisor::connect_or_start(&Home::new(home), &launch).await;
    let (supervisor, _events, _) = connected.unwrap();
    supervisor.open(attempt, 1, "").await.unwrap();
    supervisor.spawn(attempt, &shell(&script)).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_operation_outlives_the_daemon_and_loses_no_byte() {
    let mut site = Site::new();
    let (attempt, directory) = (new_id(), site.directory.path().to_owned());
    let script = format!(
        "echo x >> {directory}/runs; i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); \
         [ $i = 200 ] && touch {directory}/half && sleep 0.5; done; exit 0"
    );
    let Launch { program, args, env } = site.body("lives::daemon");
    let mut daemon = Command::new(program)
        .args(args)
        .env_clear()
        .envs(env)
        .env("TEST_ATTEMPT", attempt.to_string())
        .env("TEST_SCRIPT", script)
        .spawn()
        .unwrap();
    eventually(|| directory.join("half").exists()).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    eventually(|| family(attempt).is_empty()).await;

    let mut met = site.meet().await;
    let exited = match met.attempt(attempt).await.exited {
        Some(exited) => exited,
        None => met.end(attempt).await,
    };
    assert_eq!(exited.exit, Exit::Code(0));
    // It may have ended while we met: who comes now is told of all that it has written.
    drop(met);
    let met = site.meet().await;
    let records = site.records(attempt, met.place);
    let lines = numbered("line", 400);
    assert_eq!(String::from_utf8(written(&records, OutputStream::Stdout)).unwrap(), lines);
    assert_eq!(fs_err::read_to_string(directory.join("runs")).unwrap(), "x\n", "it ran once");
}

async fn lost(site: Site) {
    let mut site = site;
    let mut met = site.meet().await;
    let script = "(setsid sh -c 'trap \"\" TERM; exec sleep 1000' &); sleep 1000 & echo up; wait";
    let (attempt, pid) = met.run(&shell(script)).await;
    let idle = new_id();
    met.supervisor.open(idle, 1, "").await.unwrap();
    let (done, _) = met.run(&shell("exit 7")).await;
    met.end(done).await;
    eventually(|| family(attempt).len() >= 3).await;
    met.kill();
    met.lose().await;
    assert!(matches!(met.supervisor.link(true).await, Err(CallError::Lost)));
    assert!(is_alive(pid), "nobody has ended it yet");

    let mut met = site.meet().await;
    assert_eq!(family(attempt), [0; 0]);
    assert!(!is_alive(pid));
    let known = met.attempt(attempt).await;
    assert_eq!(known.process, Process::Started { pid });
    assert_eq!(known.exited.unwrap().exit, Exit::Lost);
    assert_eq!(met.attempt(done).await.exited.unwrap().exit, Exit::Code(7));
    met.supervisor.spawn(idle, &shell("exit 5")).await.unwrap();
    assert_eq!(met.end(idle).await.exit, Exit::Code(5), "what was not started still can be");
}

#[tokio::test]
async fn what_ran_when_the_supervisor_was_killed_is_lost_and_ended() {
    lost(Site::new()).await;
}

#[tokio::test]
async fn what_ran_when_the_supervisor_was_killed_is_ended_without_cgroups_too() {
    lost(Site::new().with("TEST_CGROUPS", "no")).await;
}

#[tokio::test]
async fn after_a_reboot_nobody_is_touched_who_has_the_old_ids() {
    let boot = camino_tempfile::NamedUtf8TempFile::new().unwrap();
    fs_err::write(boot.path(), "one\n").unwrap();
    let mut site = Site::new().with("TEST_BOOT_ID", boot.path());
    let mut met = site.meet().await;
    assert_eq!(met.greeting.boot_id, "one");
    let (attempt, pid) = met.run(&shell("exec sleep 1000")).await;
    met.kill();
    met.lose().await;
    fs_err::write(boot.path(), "two\n").unwrap();
    let met = site.meet().await;
    assert_eq!(met.attempt(attempt).await.exited.unwrap().exit, Exit::HostRebooted);
    assert!(is_alive(pid), "it would be another's, had the host really been started anew");
    kill(pid);
}

#[tokio::test]
async fn a_newer_daemon_takes_over() {
    let mut site = Site::new();
    let mut first = site.meet().await;
    let (attempt, _) = first.run(&shell("exec sleep 1")).await;
    let mut second = site.meet().await;
    assert_eq!(first.greeting, Greeting { place: first.greeting.place, ..second.greeting.clone() });
    first.lose().await;
    assert!(matches!(first.supervisor.link(true).await, Err(CallError::Lost)));
    assert_eq!(second.end(attempt).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn it_ends_by_itself_when_nothing_runs_and_nobody_is_there() {
    let mut site = Site::new().with("TEST_IDLE_MS", 100);
    let met = site.meet().await;
    let first = met.greeting.pid;
    let (attempt, pid) = met.run(&shell("sleep 0.5; exit 6")).await;
    drop(met);
    eventually(|| !is_alive(first)).await;
    assert!(!is_alive(pid), "not before");
    let met = site.meet().await;
    assert_ne!(met.greeting.pid, first);
    assert_eq!(met.attempt(attempt).await.exited.unwrap().exit, Exit::Code(6));
}

#[tokio::test]
async fn it_ends_when_its_home_is_gone() {
    let mut site = Site::new();
    let met = site.meet().await;
    fs_err::remove_dir_all(site.home().directory()).unwrap();
    eventually(|| !is_alive(met.greeting.pid)).await;
}

#[tokio::test]
async fn told_to_end_it_waits_for_what_runs_and_starts_nothing() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let (attempt, _) = met.run(&shell("sleep 0.5; exit 6")).await;
    let late = new_id();
    met.supervisor.open(late, 1, "").await.unwrap();
    met.supervisor.shutdown(Leave::WhenIdle).await.unwrap();
    let refused = met.supervisor.spawn(late, &shell("true")).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(refused) if refused.refusal == Refusal::Leaving));
    assert_eq!(met.end(attempt).await.exit, Exit::Code(6));
    met.lose().await;
    let mut met = site.meet().await;
    met.supervisor.spawn(late, &shell("true")).await.unwrap();
    assert_eq!(met.end(late).await.exit, Exit::Code(0), "the next one does");
}

#[tokio::test]
async fn told_to_end_now_it_ends_what_runs() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let (attempt, _) = met.run(&shell("trap '' TERM; while :; do sleep 0.01; done")).await;
    met.supervisor.shutdown(Leave::Now).await.unwrap();
    assert_eq!(met.end(attempt).await.exit, Exit::Cancelled);
    met.lose().await;
    assert_eq!(family(attempt), [0; 0]);
}

#[tokio::test]
async fn it_has_a_session_of_its_own_and_nothing_of_ours() {
    let mut site = Site::new();
    let held = fs_err::File::create(site.directory.path().join("held")).unwrap();
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    let met = site.meet().await;
    let pid = met.greeting.pid;
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string());
    for fd in fs_err::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let target = fs_err::read_link(fd.unwrap().path()).unwrap();
        assert!(!target.ends_with("held"));
    }
}

#[tokio::test]
async fn one_that_does_not_answer_is_told_with_its_last_words() {
    let site = Site::new();
    let launch = |program: &str, script: &str| Launch {
        program: program.into(),
        args: vec!["-c".into(), script.into()],
        env: [].into(),
    };
    let home = site.home();
    let connect = |launch| async move {
        Supervisor::connect_or_start(&home.clone(), &launch).await.map(drop).unwrap_err()
    };
    let error = connect(launch("/bin/sh", "echo no such key >&2; exit 1")).await;
    let ConnectError::Silent { words, .. } = &error else { panic!("{error}") };
    assert!(words.contains("no such key"), "{error}");
    let home = site.home();
    let missing = launch("/nonexistent/agent", "");
    let error = Supervisor::connect_or_start(&home, &missing).await.map(drop).unwrap_err();
    assert!(matches!(error, ConnectError::Start { .. }), "{error}");
}

#[tokio::test]
async fn many_start_at_once_and_one_runs() {
    let mut site = Site::new();
    let (a, b, c) = tokio::join!(site.try_meet(), site.try_meet(), site.try_meet());
    let connected: Vec<_> = [a, b, c].into_iter().filter_map(Result::ok).collect();
    assert!(!connected.is_empty());
    let met = site.meet().await;
    assert!(connected.iter().all(|other| other.greeting.pid == met.greeting.pid));
}

#[tokio::test]
async fn an_attempt_may_be_opened_and_started_in_one_go() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let (attempt, spawn) = (new_id(), shell("exit 3"));
    let (opened, pid) = met.supervisor.open_and_spawn(attempt, 1, "", &spawn).await.unwrap();
    assert_eq!(opened, Opened::New);
    let again = met.supervisor.open_and_spawn(attempt, 2, "", &spawn).await.unwrap();
    assert_eq!(again, (Opened::Known { epoch: 1 }, pid));
    assert_eq!(met.end(attempt).await.exit, Exit::Code(3));
    let stale = met.supervisor.open(attempt, 0, "");
    let refused = stale.await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(refused) if refused.refusal == Refusal::StaleEpoch { newest: 1 })
    );
    assert_eq!(met.attempt(attempt).await.exited.unwrap().exit, Exit::Code(3));
}
