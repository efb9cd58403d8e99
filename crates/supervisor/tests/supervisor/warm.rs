//! Processes that are forked from a warm server are what those are that are started.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_supervisor::{Event, Spawn, Warm};
use waggoner_types::{AttemptId, Exit};

use crate::site::{LONG, Met, Site, eventually, family, is_alive, kill, shell};

/// The server as it is, and around it what runs the code that it is given.
const FILES: [(&str, &str); 9] = [
    (
        "waggoner_runtime/server.py",
        include_str!("../../../python/runtime/waggoner_runtime/server.py"),
    ),
    (
        "waggoner_runtime/birth.py",
        include_str!("../../../python/runtime/waggoner_runtime/birth.py"),
    ),
    (
        "waggoner_runtime/rehearsal.py",
        include_str!("../../../python/runtime/waggoner_runtime/rehearsal.py"),
    ),
    (
        "waggoner_runtime/watch.py",
        include_str!("../../../python/runtime/waggoner_runtime/watch.py"),
    ),
    ("waggoner_runtime/__init__.py", ""),
    ("waggoner_runtime/install.py", "def install():\n    pass\n"),
    (
        "waggoner_runtime/__main__.py",
        "import sys\n\ndef run():\n    exec(sys.argv[1], {})\n\nif __name__ == '__main__':\n    run()\n",
    ),
    ("cloudify/__init__.py", ""),
    ("cloudify/dispatch.py", ""),
];

/// Finds an interpreter.
fn interpreter() -> Utf8PathBuf {
    let path = std::env::var("PATH").unwrap();
    let found = path.split(':').map(|directory| Utf8Path::new(directory).join("python3"));
    found.into_iter().find(|file| file.is_file()).expect("this host has a Python")
}

/// Describes code that runs in a fork, if there can be one.
fn python(site: &Site, code: &str) -> Spawn {
    let runtime = site.directory.path().join("runtime");
    for (path, text) in FILES {
        let path = runtime.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    let mut spawn = Spawn { program: interpreter(), ..shell("") };
    spawn.args = ["-u", "-m", "waggoner_runtime", code].map(str::to_owned).to_vec();
    spawn.env.insert("PYTHONPATH".to_owned(), runtime.to_string());
    for name in ["PYENV_ROOT", "HOME"] {
        spawn.env.extend(std::env::var(name).ok().map(|value| (name.to_owned(), value)));
    }
    let args = ["-u", "-m", "waggoner_runtime.server", "OWN"].map(str::to_owned).to_vec();
    spawn.warm = Some(Warm { args, env: spawn.env.clone(), preload: None });
    spawn.env.insert("OWN".to_owned(), "mine".to_owned());
    spawn
}

/// Returns what `/proc` says the parent of a process was started with.
fn parent(pid: i32) -> (i32, String) {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let parent = rest.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    let line = fs_err::read_to_string(format!("/proc/{parent}/cmdline")).unwrap();
    (parent, line.replace('\0', " "))
}

/// Waits until an attempt has written something.
async fn speaks(met: &mut Met, attempt: AttemptId) {
    loop {
        if let Event::Advanced { lasts, .. } = met.hear().await
            && lasts.iter().any(|(id, last)| *id == attempt && *last > 1)
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_fork_is_what_was_described() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let code = "import os, sys, time\n\
        print(sorted(name for name in os.environ if name in ('OWN', 'PATH')), os.getcwd(),\n\
              os.getpgrp() == os.getpid(), sys.stdin.read() == '', len(os.listdir('/proc/self/fd')))\n\
        print('words', file=sys.stderr)\n\
        sys.exit(7)";
    for _ in 0..3 {
        let mut spawn = python(&site, code);
        spawn.cwd = "/usr".into();
        let (attempt, _) = met.run(&spawn).await;
        let exited = met.end(attempt).await;
        let stdout = String::from_utf8(exited.stdout.bytes).unwrap();
        assert_eq!(stdout, "['OWN', 'PATH'] /usr True True 4\n");
        assert_eq!(exited.stderr.bytes, b"words\n");
        assert_eq!(exited.exit, Exit::Code(7));
    }
}

#[tokio::test]
async fn a_fork_knows_itself() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    // What a C library and an interpreter remember of a process, and what the kernel does.
    let code = "import multiprocessing, os, random, threading\n\
        thread = threading.Thread(target=print, args=['thread'])\n\
        thread.start()\n\
        thread.join()\n\
        print(threading.get_native_id() == os.getpid() == int(os.readlink('/proc/self')))\n\
        print(os.sched_getscheduler(0) == os.SCHED_OTHER, threading.active_count())\n\
        child = multiprocessing.get_context('fork').Process(target=print, args=['child'])\n\
        child.start()\n\
        child.join()\n\
        print(random.random())\n\
        os.abort()";
    let mut drawn = std::collections::HashSet::new();
    for _ in 0..3 {
        let (attempt, _) = met.run(&python(&site, code)).await;
        let exited = met.end(attempt).await;
        let stdout = String::from_utf8(exited.stdout.bytes).unwrap();
        let (known, random) = stdout.trim().rsplit_once('\n').unwrap();
        assert_eq!(known, "thread\nTrue\nTrue 1\nchild");
        assert!(drawn.insert(random.to_owned()));
        assert_eq!(exited.exit, Exit::Signal(6));
    }
}

#[tokio::test]
async fn one_server_serves_all_and_what_runs_survives_it() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let go = site.directory.path().join("go");
    let code = format!(
        "import os, time\nprint('up')\nwhile not os.path.exists({:?}): time.sleep(0.01)\nos._exit(5)",
        go.as_str()
    );
    let spawn = python(&site, &code);
    let (first, first_pid) = met.run(&spawn).await;
    let (second, second_pid) = met.run(&spawn).await;
    let (server, line) = parent(first_pid);
    assert!(line.contains("waggoner_runtime.server"), "{line}");
    assert_eq!(parent(second_pid).0, server);
    kill(server);
    eventually(|| !is_alive(server)).await;
    assert!(is_alive(first_pid) && is_alive(second_pid));
    // Another takes its place.
    let (third, third_pid) = met.run(&spawn).await;
    assert_ne!(parent(third_pid).0, server);
    assert!(parent(third_pid).1.contains("waggoner_runtime.server"));
    fs_err::write(&go, "").unwrap();
    let mut left = vec![first, second, third];
    while !left.is_empty() {
        if let Event::Ended { attempt, exited, .. } = met.hear().await {
            assert_eq!(exited.exit, Exit::Code(5));
            left.retain(|id| *id != attempt);
        }
    }
}

#[tokio::test]
async fn a_family_of_a_fork_is_ended_whatever_it_is_like() {
    for cgroups in ["yes", "no"] {
        let mut site = Site::new().with("TEST_CGROUPS", cgroups);
        let mut met = site.meet().await;
        let deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n";
        let daemon = "import os, time\n\
            if os.fork(): time.sleep(1000)\n\
            os.setsid()\n\
            if os.fork(): os._exit(0)\n\
            print(os.getpid())\n\
            time.sleep(1000)";
        let many = "import os, time\n\
            for _ in range(50): os.fork() or time.sleep(1000)\n\
            print('up')\ntime.sleep(1000)";
        let deaf = format!("{deaf}print('up')\ntime.sleep(1000)");
        for code in [daemon, many, &deaf, "import time\nprint('up')\ntime.sleep(1000)"] {
            let (attempt, pid) = met.run(&python(&site, code)).await;
            speaks(&mut met, attempt).await;
            met.supervisor.cancel(attempt, false, "enough").await.unwrap();
            let exited = met.end(attempt).await;
            assert_eq!(exited.exit, Exit::Cancelled, "{cgroups} {code}");
            assert_eq!(exited.left, [0; 0], "{cgroups} {code}");
            assert!(!is_alive(pid));
            assert_eq!(family(attempt), [0; 0], "{cgroups} {code}");
        }
    }
}

#[tokio::test]
async fn a_daemon_that_a_fork_leaves_behind_lives_on_and_is_known_by_its_mark() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let code = "import os, time\n\
        if os.fork(): os._exit(0)\n\
        os.setsid()\n\
        if os.fork(): os._exit(0)\n\
        print(os.getpid())\n\
        os.closerange(0, 3)\n\
        time.sleep(1000)";
    let (attempt, _) = met.run(&python(&site, code)).await;
    let exited = met.end(attempt).await;
    assert_eq!(exited.exit, Exit::Code(0));
    eventually(|| family(attempt).len() == 1).await;
    kill(family(attempt)[0]);
}

#[tokio::test]
async fn what_ran_when_the_supervisor_was_killed_is_ended_and_its_server_too() {
    for cgroups in ["yes", "no"] {
        let mut site = Site::new().with("TEST_CGROUPS", cgroups);
        let mut met = site.meet().await;
        let code = "import os, time\n\
            if os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n\
            print('up')\ntime.sleep(1000)";
        let (attempt, pid) = met.run(&python(&site, code)).await;
        speaks(&mut met, attempt).await;
        let (server, _) = parent(pid);
        met.kill();
        met.lose().await;
        eventually(|| !is_alive(server)).await;
        let met = site.meet().await;
        let exited = met.attempt(attempt).await.exited.expect("it was looked after");
        assert_eq!((exited.exit, exited.left), (Exit::Lost, Vec::new()));
        assert!(!is_alive(pid));
        assert_eq!(family(attempt), [0; 0], "{cgroups}");
    }
}

#[tokio::test]
async fn a_module_is_imported_once_for_all_unless_it_must_not_be() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let runtime = site.directory.path().join("runtime");
    let count = site.directory.path().join("count");
    let code = |module: &str| format!("import {module}\nprint({module}.by)");
    let text = format!("import os\nopen({:?}, 'a').write('x')\nby = os.getpid()\n", count.as_str());
    let thread = "import threading, time\n\
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n";
    for (module, extra, is_kept) in [("kept", "", true), ("unkept", thread, false)] {
        let mut spawn = python(&site, &code(module));
        spawn.warm.as_mut().unwrap().preload = Some(module.to_owned());
        fs_err::write(runtime.join(format!("{module}.py")), format!("{text}{extra}")).unwrap();
        fs_err::write(&count, "").unwrap();
        let times = || fs_err::read_to_string(&count).unwrap().len();
        let (attempt, _) = met.run(&spawn).await;
        assert_eq!(met.end(attempt).await.exit, Exit::Code(0));
        // By the server, once that has heard of the end.
        eventually(|| times() == 2).await;
        let mut kept = 0;
        // The fork that waited meanwhile does not have it.
        for _ in 0..3 {
            let (attempt, pid) = met.run(&spawn).await;
            let exited = met.end(attempt).await;
            assert_eq!(exited.exit, Exit::Code(0), "{module}");
            let by = str::from_utf8(&exited.stdout.bytes).unwrap().trim().parse::<i32>().unwrap();
            kept += usize::from(by != pid);
        }
        assert!(if is_kept { kept >= 2 } else { kept == 0 }, "{module}: {kept}");
        assert_eq!(times(), 2 + 3 - kept, "{module}");
    }
}

#[tokio::test]
async fn where_no_server_can_be_processes_are_started() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let spawn = python(&site, "import os\nprint(os.getpid())");
    let broken = site.directory.path().join("runtime/cloudify/dispatch.py");
    fs_err::write(broken, "raise ImportError('too old')").unwrap();
    for _ in 0..3 {
        let (attempt, _) = met.run(&spawn).await;
        assert_eq!(met.end(attempt).await.exit, Exit::Code(0));
    }
    // Nor is one tried where there is no such thing.
    let mut spawn = python(&site, "print(1)");
    spawn.warm = Some(Warm { args: vec!["--no-such".into()], env: BTreeMap::new(), preload: None });
    let (attempt, _) = met.run(&spawn).await;
    assert_eq!(met.end(attempt).await.exit, Exit::Code(0));
}

#[tokio::test]
async fn many_at_once_are_forked_from_one_server_and_each_ends_in_its_own_way() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let mut codes = BTreeMap::new();
    for code in 0..40 {
        let spawn = python(&site, &format!("print({code})\nimport sys\nsys.exit({code})"));
        let (attempt, _) = met.run(&spawn).await;
        codes.insert(attempt, code);
    }
    let all = async {
        while !codes.is_empty() {
            if let Event::Ended { attempt, exited, .. } = met.hear().await {
                let code = codes.remove(&attempt).unwrap();
                assert_eq!(exited.exit, Exit::Code(code));
                assert_eq!(exited.stdout.bytes, format!("{code}\n").into_bytes());
            }
        }
    };
    tokio::time::timeout(LONG, all).await.unwrap();
}
