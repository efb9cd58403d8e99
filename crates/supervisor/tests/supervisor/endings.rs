use std::time::Duration;

use waggoner_supervisor::{CallError, Limits, Refusal, Spawn};
use waggoner_types::Exit;

use crate::site::{Site, eventually, family, is_alive, kill, new_id, shell};

fn python(code: &str) -> Spawn {
    Spawn { program: "python3".into(), args: vec!["-c".into(), code.into()], ..shell("") }
}

/// What a family may be like that has to be ended.
fn kinds() -> [(&'static str, Spawn); 5] {
    let daemon = "import os, time\n\
        if os.fork(): time.sleep(0.2); os._exit(0)\n\
        os.setsid()\n\
        if os.fork(): os._exit(0)\n\
        print(os.getpid(), flush=True)\n\
        time.sleep(1000)";
    [
        (
            "fork bomb",
            shell(
                "trap '' TERM; echo up; n=0; while [ $n -lt 200 ]; do sleep 1000 & (sleep 1000; :) & n=$((n+1)); done; wait",
            ),
        ),
        ("daemon", python(daemon)),
        ("deaf", shell("trap '' TERM; echo up; while :; do sleep 0.01; done")),
        ("mute", shell("echo up; exec >&- 2>&-; trap '' TERM; while :; do sleep 0.01; done")),
        ("stopped", shell("echo up; kill -STOP $$; sleep 1000")),
    ]
}

async fn every_kind(site: Site) {
    let mut site = site;
    let mut met = site.meet().await;
    for (kind, spawn) in kinds() {
        let (attempt, pid) = met.run(&spawn).await;
        while !matches!(met.hear().await, waggoner_supervisor::Event::Advanced { lasts, .. } if lasts[0].1 > 1)
        {
        }
        met.supervisor.cancel(attempt, false, "enough").await.unwrap();
        let exited = met.end(attempt).await;
        // The daemon's leader may have left before it was asked to.
        let ended = [Exit::Cancelled, Exit::Code(0)];
        assert!(
            exited.exit == ended[0] || kind == "daemon" && exited.exit == ended[1],
            "{kind}: {exited:?}"
        );
        assert_eq!(exited.left, [0; 0], "{kind}");
        if exited.exit == Exit::Cancelled {
            assert!(!is_alive(pid), "{kind}");
            assert_eq!(family(attempt), [0; 0], "{kind}");
        }
        let order = met.attempt(attempt).await.cancel.unwrap();
        assert_eq!((order.kill, order.reason.as_str()), (false, "enough"));
    }
}

#[tokio::test]
async fn every_kind_of_family_is_ended_within_its_grace() {
    every_kind(Site::new()).await;
}

#[tokio::test]
async fn every_kind_of_family_is_ended_without_cgroups_too() {
    every_kind(Site::new().with("TEST_CGROUPS", "no")).await;
}

#[tokio::test]
async fn an_order_to_kill_cuts_the_grace_short() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let mut spawn = shell("trap '' TERM; while :; do sleep 0.01; done");
    spawn.limits.grace = Duration::from_hours(1);
    let (attempt, _) = met.run(&spawn).await;
    met.supervisor.cancel(attempt, false, "please").await.unwrap();
    met.supervisor.cancel(attempt, true, "now").await.unwrap();
    assert_eq!(met.end(attempt).await.exit, Exit::Cancelled);
}

#[tokio::test]
async fn each_limit_ends_the_process_and_says_which() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let short = Some(Duration::from_millis(300));
    let talks = "while :; do echo on; sleep 0.05; done";
    for (script, limits, exit) in [
        (talks, Limits { run: short, ..Limits::default() }, Exit::TimedOut),
        ("exec sleep 1000", Limits { idle: short, ..Limits::default() }, Exit::Idle),
        (talks, Limits { unlinked: short, ..Limits::default() }, Exit::Unlinked),
        ("sleep 0.6", Limits { run: Some(Duration::MAX), ..Limits::default() }, Exit::Code(0)),
    ] {
        let spawn = Spawn { limits: Limits { grace: Duration::ZERO, ..limits }, ..shell(script) };
        let (attempt, _) = met.run(&spawn).await;
        assert_eq!(met.end(attempt).await.exit, exit, "{script}");
        assert_eq!(family(attempt), [0; 0]);
    }
}

/// Where the operations' cgroups have no memory controller, as on hosts with cgroup v1, it says so
/// and proves nothing.
#[expect(clippy::print_stderr, reason = "who runs the tests sees what was not proved")]
#[tokio::test]
async fn what_dies_for_want_of_memory_says_so() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let go = site.directory.path().join("go");
    let code = format!(
        "import os, time\n\
         while not os.path.exists('{go}'): time.sleep(0.01)\n\
         x = bytearray(os.urandom(1 << 20) * 256)\n\
         time.sleep(1000)"
    );
    let (attempt, pid) = met.run(&python(&code)).await;
    let limit = cgroup(pid).map(|cgroup| cgroup.join("memory.max"));
    let Some(limit) = limit.filter(|limit| limit.exists()) else {
        eprintln!("skipped: operations have no cgroup with a memory controller here");
        return;
    };
    fs_err::write(limit, "67108864").unwrap();
    fs_err::write(go, "").unwrap();
    assert_eq!(met.end(attempt).await.exit, Exit::OutOfMemory);
}

/// The directory of a process's cgroup, where it is cgroup v2.
fn cgroup(pid: i32) -> Option<camino::Utf8PathBuf> {
    let own = fs_err::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    let mounts = fs_err::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    Some(camino::Utf8Path::new(mount.split(' ').nth(1)?).join(own))
}

#[tokio::test]
async fn a_link_holds_what_would_end_without_one_and_a_touch_what_is_silent() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    met.supervisor.link(true).await.unwrap();
    let short = Some(Duration::from_millis(1500));
    let limits = Limits { unlinked: short, idle: short, ..Limits::default() };
    let spawn = Spawn { limits, ..shell("exec sleep 5") };
    let (attempt, _) = met.run(&spawn).await;
    let (supervisor, touch) = (met.supervisor.clone(), Duration::from_millis(100));
    let exited = tokio::select! {
        exited = met.end(attempt) => exited,
        () = async {
            loop {
                supervisor.touch(attempt).await.unwrap();
                tokio::time::sleep(touch).await;
            }
        } => unreachable!(),
    };
    assert_eq!(exited.exit, Exit::Code(0));
}

#[tokio::test]
async fn without_a_daemon_there_is_no_link() {
    let mut site = Site::new();
    let met = site.meet().await;
    met.supervisor.link(true).await.unwrap();
    let limits = Limits { unlinked: Some(Duration::from_millis(300)), ..Limits::default() };
    let (attempt, pid) = met.run(&Spawn { limits, ..shell("exec sleep 1000") }).await;
    drop(met);
    eventually(|| !is_alive(pid)).await;
    let mut met = site.meet().await;
    let known = match met.attempt(attempt).await.exited {
        Some(exited) => exited,
        None => met.end(attempt).await,
    };
    assert_eq!(known.exit, Exit::Unlinked);
}

#[tokio::test]
async fn an_attempt_that_was_cancelled_is_not_started() {
    let mut site = Site::new();
    let met = site.meet().await;
    let attempt = new_id();
    met.supervisor.open(attempt, 1, "").await.unwrap();
    met.supervisor.cancel(attempt, false, "too late").await.unwrap();
    let refused = met.supervisor.spawn(attempt, &shell("true")).await.unwrap_err();
    let CallError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.refusal, Refusal::Cancelled);
}

#[tokio::test]
async fn what_does_not_start_says_why_and_another_may() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let attempt = new_id();
    met.supervisor.open(attempt, 1, "").await.unwrap();
    let missing = Spawn::new("/nonexistent/tool", "/");
    let CallError::Refused(refused) = met.supervisor.spawn(attempt, &missing).await.unwrap_err()
    else {
        panic!("it is answered")
    };
    assert_eq!(refused.refusal, Refusal::NotStarted);
    let sentence =
        "failed to start `/nonexistent/tool`: `/nonexistent/tool` does not exist: check the path";
    assert_eq!(refused.message, sentence);
    met.supervisor.spawn(attempt, &shell("exit 4")).await.unwrap();
    assert_eq!(met.end(attempt).await.exit, Exit::Code(4));
}

#[tokio::test]
async fn a_daemon_that_an_operation_leaves_behind_lives_on() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let script = "(setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &); sleep 0.2";
    let (attempt, _) = met.run(&shell(script)).await;
    let exited = met.end(attempt).await;
    let pid: i32 = str::from_utf8(&exited.stdout.bytes).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid));
    assert_eq!((exited.exit, exited.cut), (Exit::Code(0), false));
    kill(pid);
}
