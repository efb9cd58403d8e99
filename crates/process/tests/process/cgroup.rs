use std::{error::Error as _, sync::Arc, time::Duration};

use waggoner_process::{
    BOOT_ID, Buried, Cgroup, Cgroups, Child, Exit, Identity, Output, Parent, Proof, Spawn, boot_id,
};

use crate::{LONG, first_line, read, shell};

/// Cgroups of this test alone, where this host lets us make some.
fn cgroups() -> Option<Cgroups> {
    Cgroups::find(&format!("waggoner-test-{}", std::process::id()))
}

/// Removes the directory of the test with what the test leaves.
struct Sweep(Cgroups);

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The same spawn without a cgroup, and in one where that can be.
fn both_ways(spawn: impl Fn() -> Spawn) -> (Vec<Spawn>, Option<Sweep>) {
    let (mut spawns, cgroups) = (vec![spawn()], cgroups());
    if let Some(cgroups) = &cgroups {
        let cgroup = Arc::new(cgroups.create("one").unwrap());
        spawns.push(Spawn { cgroup: Some(cgroup), ..spawn() });
    }
    (spawns, cgroups.map(Sweep))
}

async fn begin(spawn: &Spawn) -> (Child, Output, String) {
    let (child, mut output) = spawn.start().await.unwrap();
    assert_eq!(child.has_cgroup(), spawn.cgroup.is_some());
    let line = first_line(&mut output).await;
    (child, output, line)
}

fn is_alive(pid: &str) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn a_cgroup_is_used_again_only_when_nobody_needs_it() {
    let Some(cgroups) = cgroups() else { return };
    let _sweep = Sweep(cgroups.clone());
    let take = || Arc::new(cgroups.take().unwrap());
    let within =
        |cgroup: &Arc<Cgroup>, script| Spawn { cgroup: Some(Arc::clone(cgroup)), ..shell(script) };
    let is_given = |before: Arc<Cgroup>| {
        let directory = before.directory().to_owned();
        cgroups.put_back(before);
        let next = take();
        (next.directory() == directory, next)
    };

    let first = take();
    let (child, output, line) = begin(&within(&first, "sleep 1000 & echo $!")).await;
    assert_eq!(child.wait().await, Exit::Code(0));
    assert!(!is_given(Arc::clone(&first)).0, "somebody holds it");
    drop((child, output));
    assert!(!is_given(first).0, "somebody lives in it");
    std::process::Command::new("kill").args(["-9", &line]).status().unwrap();

    let killed = take();
    let (child, output, _) = begin(&within(&killed, "echo up; exec sleep 1000")).await;
    child.stop(Duration::ZERO).await;
    drop((child, output));
    emptied(&killed).await;
    assert!(!is_given(killed).0, "the kernel may kill who comes");

    let parent = take();
    let below = parent.directory().join("below");
    fs_err::create_dir(&below).unwrap();
    assert!(!is_given(parent).0, "somebody has made another below it");
    fs_err::remove_dir(&below).unwrap();

    let used = take();
    let (child, output, _) = begin(&within(&used, "echo up; exit 2")).await;
    assert_eq!(child.wait().await, Exit::Code(2));
    drop((child, output));
    emptied(&used).await;
    let (is_given, again) = is_given(used);
    assert!(is_given, "it is as it was made");
    let script = "(env -i setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &); exit 0";
    let (child, _output, line) = begin(&within(&again, script)).await;
    assert_eq!(child.wait().await, Exit::Code(0));
    let stopped = child.stop(Duration::ZERO).await;
    assert_eq!((stopped.left, is_alive(&line)), (Vec::new(), false));
}

#[tokio::test]
async fn cgroups_that_wait_for_a_family_are_removed_when_none_comes() {
    let Some(cgroups) = cgroups() else { return };
    let _sweep = Sweep(cgroups.clone());
    let cgroup = cgroups.take().unwrap();
    let directory = cgroup.directory().to_owned();
    cgroups.put_back(Arc::new(cgroup));
    assert!(fs_err::exists(&directory).unwrap());
    cgroups.sweep();
    assert!(!fs_err::exists(&directory).unwrap());
}

/// Waits until the kernel says that nobody lives in it, which may be a moment after the zombie.
async fn emptied(cgroup: &Cgroup) {
    let events = cgroup.directory().join("cgroup.events");
    while fs_err::read_to_string(&events).unwrap().contains("populated 1") {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_child_in_a_cgroup_is_born_as_any_other() {
    let script = "cat; pwd; ls /proc/self/fd | wc -l; trap; echo err >&2; \
        ps -o pgid= -p $$ | tr -d ' ' > /dev/null; kill -PIPE $$";
    let (spawns, _sweep) = both_ways(|| shell(script));
    for spawn in spawns {
        let (child, mut output) = spawn.start().await.unwrap();
        assert_eq!(read(&mut output).await, (b"/\n4\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(child.wait().await, Exit::Signal(13));
        let stat = fs_err::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let group = stat.rsplit_once(") ").unwrap().1.split(' ').nth(2).unwrap().to_owned();
        assert_eq!(group, child.id().to_string(), "it leads its group");
    }
}

#[tokio::test]
async fn it_is_in_its_cgroup_before_its_first_instruction() {
    let Some(cgroups) = cgroups() else { return };
    let sweep = Sweep(cgroups);
    let cgroup = Arc::new(sweep.0.create("one").unwrap());
    let mut spawn = Spawn::new("/bin/cat", "/");
    spawn.args = vec!["/proc/self/cgroup".into()];
    spawn.cgroup = Some(Arc::clone(&cgroup));
    let (child, mut output) = spawn.start().await.unwrap();
    let (stdout, _) = read(&mut output).await;
    let own = String::from_utf8(stdout).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    assert!(cgroup.directory().as_str().ends_with(own), "{own}");
    assert!(!child.lacked_memory());
    assert_eq!(child.wait().await, Exit::Code(0));
    let directory = cgroup.directory().parent().unwrap().to_owned();
    drop((child, output, spawn, cgroup));
    // The kernel may still be busy with the last one.
    while directory.exists() {
        sweep.0.close();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_does_not_start_says_the_same_in_a_cgroup() {
    for program in ["/nonexistent/x", "/etc/passwd", "/", "no-such-tool", "/bin/sh\0"] {
        let (spawns, _sweep) = both_ways(|| Spawn::new(program, "/"));
        let mut sentences = Vec::new();
        for spawn in spawns {
            let error = spawn.start().await.unwrap_err();
            sentences.push(error.source().unwrap().to_string());
        }
        sentences.dedup();
        assert_eq!(sentences.len(), 1, "{sentences:?}");
    }
}

#[tokio::test]
async fn every_kind_of_family_is_ended_within_its_grace() {
    let python = |code: &str| {
        let mut spawn = Spawn::new("python3", "/");
        spawn.env = shell("").env;
        spawn.args = vec!["-c".into(), code.into()];
        spawn
    };
    let daemon = "import os, time, sys\n\
        if os.fork(): time.sleep(0.1); os._exit(0)\n\
        os.setsid()\n\
        if os.fork(): os._exit(0)\n\
        print(os.getpid(), flush=True)\n\
        [os.close(fd) for fd in (0, 1, 2)]\n\
        time.sleep(1000)";
    let kinds = [
        (
            "fork bomb",
            shell(
                "trap '' TERM; echo $$; n=0; while [ $n -lt 300 ]; do sleep 1000 & (sleep 1000; :) & n=$((n+1)); done; wait",
            ),
        ),
        ("daemon", python(daemon)),
        ("deaf", shell("trap '' TERM; echo $$; while :; do sleep 0.01; done")),
        ("mute", shell("echo $$; exec >&- 2>&-; trap '' TERM; while :; do sleep 0.01; done")),
        ("stopped", shell("echo $$; kill -STOP $$; sleep 1000")),
    ];
    for (kind, spawn) in kinds {
        let (spawns, _sweep) = both_ways(|| spawn.clone());
        for spawn in spawns {
            let mark = format!("test-{kind}-{}", std::process::id());
            let spawn = Spawn { mark: Some(mark.clone()), ..spawn };
            let (child, _output, line) = begin(&spawn).await;
            let stopped = child.stop(Duration::from_millis(200)).await;
            assert_eq!((stopped.left, stopped.exit.is_some()), (vec![], true), "{kind}");
            assert!(!is_alive(&line), "{kind}");
            assert_eq!(carriers(&mark), [0; 0], "{kind}");
        }
    }
}

#[tokio::test]
async fn a_daemon_without_kin_and_mark_is_found_in_its_cgroup() {
    let Some(cgroups) = cgroups() else { return };
    let sweep = Sweep(cgroups);
    let cgroup = Arc::new(sweep.0.create("one").unwrap());
    let script =
        "(env -i setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000 >/dev/null 2>&1' &)";
    let spawn = Spawn { cgroup: Some(cgroup), ..shell(script) };
    let (child, _output, line) = begin(&spawn).await;
    assert_eq!(child.wait().await, Exit::Code(0));
    assert!(is_alive(&line));
    let stopped = child.stop(Duration::from_millis(50)).await;
    assert_eq!((stopped.forced, stopped.left), (true, vec![]));
    assert!(!is_alive(&line));
}

#[tokio::test]
async fn a_family_that_was_written_down_is_found_and_no_other() {
    let boot = boot_id(BOOT_ID.into()).unwrap();
    let script = "(setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &); exec sleep 1000";
    let (spawns, _sweep) = both_ways(|| shell(script));
    for (at, spawn) in spawns.into_iter().enumerate() {
        let mark = format!("test-written-{at}-{}", std::process::id());
        let spawn = Spawn { mark: Some(mark.clone()), ..spawn };
        let (child, _output, line) = begin(&spawn).await;
        let cgroup = spawn.cgroup.as_ref().map(|cgroup| cgroup.directory().to_owned());
        let (leader, parent) = (Some(child.proof()), Parent::current());
        let identity = Identity { boot_id: boot.clone(), mark, cgroup, leader, parent };

        assert_eq!(identity.bury("another boot").await, Buried::HostRebooted);
        let Proof { pid, started } = child.proof();
        let reused = Identity {
            mark: "nobody's".into(),
            cgroup: None,
            leader: Some(Proof { pid, started: started - 1 }),
            ..identity.clone()
        };
        assert_eq!(reused.bury(&boot).await, Buried::Done { left: vec![] });
        assert!(is_alive(&line) && child.exit().is_none(), "another process with its id lives on");

        assert_eq!(identity.bury(&boot).await, Buried::Done { left: vec![] });
        assert!(!is_alive(&line));
        assert_eq!(child.wait().await, Exit::Signal(9));
        assert_eq!(
            identity.bury(&boot).await,
            Buried::Done { left: vec![] },
            "once more is nothing"
        );
    }
}

#[tokio::test]
async fn what_was_about_to_be_started_is_found_by_its_mark() {
    let boot = boot_id(BOOT_ID.into()).unwrap();
    let mark = format!("test-begun-{}", std::process::id());
    let spawn = Spawn { mark: Some(mark.clone()), ..shell("echo $$; exec sleep 1000") };
    let (child, _output, _) = begin(&spawn).await;
    let parent = Parent::current();
    let identity = Identity { boot_id: boot.clone(), mark, cgroup: None, leader: None, parent };
    assert_eq!(identity.bury(&boot).await, Buried::Done { left: vec![] });
    assert_eq!(child.wait().await, Exit::Signal(9));
    child.stop(LONG).await;
}

/// Lists the living that carry a mark.
fn carriers(mark: &str) -> Vec<i32> {
    let mark = format!("WAGGONER_FAMILY={mark}");
    let pids = fs_err::read_dir("/proc").unwrap();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environ = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|at| at == mark.as_bytes())
        })
        .collect()
}
