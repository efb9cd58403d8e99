//! What can be seen while operations run, and many of them at once.

use std::collections::BTreeSet;

use fs_err as fs;
use waggoner_testkit::{Site, eventually};

use crate::fixtures::{script_blueprint, site_with_agent};

/// How many operations run at once.
const MANY: usize = 100;

#[test]
fn log_lines_are_there_while_the_operation_still_runs() {
    let site = site_with_agent();
    let wag = site.wag();
    let go = site.folder().join("go");
    // It ends only when told to, after its first lines were seen.
    let script = format!(
        "#!/bin/sh\nset -eu\nctx logger info 'asked for by ctx'\necho 'said aloud'\n\
         while [ ! -e {go} ]; do sleep 0.1; done\necho 'and gone'\n"
    );
    let blueprint = script_blueprint(&site, "slow", &script);
    site.deploy("slow", &blueprint, &[]);
    let execution = wag.start_execution("install", "slow");

    let mut events = wag.start(&["events", &execution, "--follow"]);
    events.await_line("asked for by ctx");
    events.await_line("said aloud");
    let now = wag.json(&["executions", "get", &execution]);
    assert_eq!(now["status"], "started", "{now}");
    fs::write(&go, "").unwrap();
    events.await_line("and gone");
    // Following ends with the execution.
    assert!(events.ended().success());
    assert_eq!(wag.await_end(&execution)["status"], "terminated");

    let before = wag.messages("slow");
    let position = |text: &str| before.iter().position(|message| message.contains(text));
    assert!(position("Task started").unwrap() < position("Process created").unwrap());
    assert!(position("asked for by ctx").unwrap() < position("said aloud").unwrap());
    assert!(position("said aloud").unwrap() < position("and gone").unwrap());
}

#[test]
fn one_hundred_operations_at_once_come_back_each_with_its_own() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent_with("host", "host", &["--slots", "128"], &[]);
    let wag = site.wag();
    let meeting = site.folder().join("meeting");
    fs::create_dir_all(&meeting).unwrap();
    // Each waits until all are there: it takes all of them at once to end well.
    let script = format!(
        "#!/bin/sh\nset -eu\nme=$(ctx instance id)\ntouch {meeting}/$me\n\
         left=240\n\
         while [ $(ls {meeting} | wc -l) -lt {MANY} ]; do\n\
         left=$((left - 1)); test $left -gt 0; sleep 0.5\n\
         done\n\
         echo \"$me was there\"\nctx instance runtime-properties said \"$me\"\n"
    );
    let blueprint = script_blueprint(&site, "many", &script);
    site.install("many", &blueprint, &[&format!("count={MANY}")]);

    let instances = wag.items(&["node-instances", "list", "-d", "many", "--node", "app"]);
    assert_eq!(instances.len(), MANY);
    for instance in &instances {
        assert_eq!(instance["state"], "started", "{instance}");
        assert_eq!(instance["runtime_properties"]["said"], instance["id"], "{instance}");
    }
    let expected: BTreeSet<_> = instances
        .iter()
        .map(|instance| format!("<out> {} was there", instance["id"].as_str().unwrap()))
        .collect();
    let messages = wag.messages("many");
    let heard: Vec<_> = messages.iter().filter(|line| line.ends_with(" was there")).collect();
    assert_eq!(heard.len(), MANY);
    assert_eq!(heard.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_killed_execution_ends_its_operation_and_all_that_this_started() {
    let site = site_with_agent();
    let wag = site.wag();
    let pids = site.folder().join("pids");
    let script = format!(
        "#!/bin/sh\nsleep 600 &\necho $! >> {pids}\nsetsid sleep 600 &\necho $! >> {pids}\n\
         echo $$ >> {pids}\necho begun\nwait\n"
    );
    let blueprint = script_blueprint(&site, "endless", &script);
    site.deploy("endless", &blueprint, &[]);
    let execution = wag.start_execution("install", "endless");
    wag.start(&["events", &execution, "--follow"]).await_line("begun");

    wag.ok(&["executions", "cancel", &execution, "--kill"]);
    assert_eq!(wag.await_end(&execution)["status"], "cancelled");
    let pids = fs::read_to_string(&pids).unwrap();
    assert_eq!(pids.lines().count(), 3);
    for pid in pids.lines() {
        eventually("the process to be gone", || match fs::exists(format!("/proc/{pid}")) {
            Ok(false) => Ok(()),
            there => Err((pid, there)),
        });
    }
    let status = wag.json(&["status"]);
    assert_eq!(status["agents_connected"], 1, "{status}");
}

#[test]
fn a_cancelled_execution_lets_its_operation_end_and_starts_no_more() {
    let site = site_with_agent();
    let wag = site.wag();
    let (go, ran) = (site.folder().join("go"), site.folder().join("ran"));
    let script = format!(
        "#!/bin/sh\necho begun\nwhile [ ! -e {go} ]; do sleep 0.1; done\n\
         ctx instance runtime-properties said done\n"
    );
    let blueprint = script_blueprint(&site, "polite", &script);
    let text = fs::read_to_string(&blueprint).unwrap();
    let more = "        start: scripts/start.sh\noutputs:";
    fs::write(&blueprint, text.replace("outputs:", more)).unwrap();
    site.file("polite/scripts/start.sh", &format!("#!/bin/sh\ntouch {ran}\n"));
    site.deploy("polite", &blueprint, &[]);
    let execution = wag.start_execution("install", "polite");
    wag.start(&["events", &execution, "--follow"]).await_line("begun");

    let asked = wag.json(&["executions", "cancel", &execution]);
    assert_eq!(asked["status"], "cancelling", "{asked}");
    fs::write(&go, "").unwrap();
    assert_eq!(wag.await_end(&execution)["status"], "cancelled");
    let outputs = wag.json(&["deployments", "outputs", "polite"]);
    assert_eq!(outputs["outputs"]["said"], "done", "{outputs}");
    assert!(!ran.exists(), "an operation was started after the order to cancel");
}
