//! The manager is killed: what it acknowledged is there, and what it had begun goes on.

use fs_err as fs;
use waggoner_testkit::{Site, eventually};

use crate::fixtures::{holdings, script_blueprint, site_with_agent, tiny_wagon};

#[test]
fn what_was_acknowledged_outlives_the_manager() {
    let mut site = Site::start();
    let wag = site.wag();
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    let plugin = wag.json(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    site.crash_manager();
    assert_eq!(wag.items(&["plugins", "list"])[0]["id"], plugin["id"]);

    assert_eq!(wag.run_with(&["secrets", "put", "password"], "s3cr3t\n").code, 0);
    site.crash_manager();
    assert_eq!(wag.json(&["secrets", "get", "password"])["value"], "s3cr3t");

    let blueprint = script_blueprint(&site, "kept", "true\n");
    wag.ok(&["blueprints", "upload", blueprint.as_str(), "--blueprint-id", "kept"]);
    site.crash_manager();
    wag.ok(&["deployments", "create", "kept", "--blueprint-id", "kept", "-i", "count=2"]);
    site.crash_manager();
    let deployment = wag.json(&["deployments", "get", "kept"]);
    assert_eq!(deployment["inputs"]["count"], 2, "{deployment}");
    let instances = wag.items(&["node-instances", "list", "-d", "kept"]);
    assert_eq!(instances.len(), 3);

    let copy = site.folder().join("copy.wgn");
    let id = plugin["id"].as_str().unwrap();
    wag.ok(&["plugins", "download", id, "--to", copy.as_str()]);
    assert_eq!(fs::read(copy).unwrap(), fs::read(&wagon).unwrap());

    wag.ok(&["deployments", "delete", "kept"]);
    wag.ok(&["blueprints", "delete", "kept"]);
    wag.ok(&["plugins", "delete", id]);
    let before = holdings(&wag);
    site.crash_manager();
    assert_eq!(holdings(&wag), before);
    assert!(wag.items(&["plugins", "list"]).is_empty());
}

#[test]
fn an_install_goes_on_after_the_manager_was_killed_and_runs_each_operation_once() {
    let mut site = site_with_agent();
    let wag = site.wag();
    let (runs, go) = (site.folder().join("runs"), site.folder().join("go"));
    let script = format!(
        "#!/bin/sh\nset -eu\nme=$(ctx instance id)\necho $me >> {runs}\n\
         while [ ! -e {go} ]; do sleep 0.1; done\n\
         ctx instance runtime-properties said \"$me\"\n"
    );
    let blueprint = script_blueprint(&site, "interrupted", &script);
    site.deploy("interrupted", &blueprint, &["count=3"]);
    let execution = wag.start_execution("install", "interrupted");
    let begun = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    eventually("all three to run", || match begun() {
        3 => Ok(()),
        count => Err(count),
    });
    site.crash_manager();
    site.await_link("host");
    fs::write(&go, "").unwrap();

    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");
    assert_eq!(begun(), 3, "{}", fs::read_to_string(&runs).unwrap());
    let instances = wag.items(&["node-instances", "list", "-d", "interrupted", "--node", "app"]);
    for instance in &instances {
        assert_eq!(instance["state"], "started", "{instance}");
        assert_eq!(instance["runtime_properties"]["said"], instance["id"], "{instance}");
    }
}

#[test]
fn an_asked_for_stop_is_clean() {
    let mut site = site_with_agent();
    let blueprint = script_blueprint(&site, "kept", "true\n");
    site.install("kept", &blueprint, &[]);
    site.restart_manager();
    site.await_link("host");
    let deployment = site.wag().json(&["deployments", "get", "kept"]);
    assert_eq!(deployment["node_instances_started"], 2, "{deployment}");
    assert!(site.agent_daemon("host").stop().success());
    assert!(site.manager().stop().success());
}

#[test]
fn however_often_the_manager_is_killed_nothing_is_lost_and_nothing_happens_twice() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    // Some run, the others wait.
    site.agent_with("host", "host", &["--slots", "8"], &[]);
    let wag = site.wag();
    let runs = site.folder().join("runs");
    let script = format!(
        "#!/bin/sh\nset -eu\nme=$(ctx instance id)\necho $me >> {runs}\nsleep 0.5\n\
         for line in 1 2 3; do echo \"line $line of $me\"; done\n\
         ctx instance runtime-properties said \"$me\"\n"
    );
    let blueprint = script_blueprint(&site, "tried", &script);
    site.deploy("tried", &blueprint, &["count=40"]);
    let execution = wag.start_execution("install", "tried");
    let begun = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    for life in 1..=6 {
        eventually("some more to run", || match begun() {
            count if count > 6 * life => Ok(()),
            count => Err(count),
        });
        site.crash_manager();
    }
    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");

    let instances = wag.items(&["node-instances", "list", "-d", "tried", "--node", "app"]);
    let mut ids: Vec<_> = instances.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    let text = fs::read_to_string(&runs).unwrap();
    let mut ran: Vec<_> = text.lines().collect();
    ran.sort_unstable();
    assert_eq!(ran, ids);
    let messages = wag.messages("tried");
    for instance in &instances {
        assert_eq!(instance["runtime_properties"]["said"], instance["id"], "{instance}");
        for line in 1..=3 {
            let line = format!("<out> line {line} of {}", instance["id"].as_str().unwrap());
            let count = messages.iter().filter(|message| **message == line).count();
            assert_eq!(count, 1, "{line}");
        }
    }
}

#[test]
fn an_operation_outlives_its_agents_daemon_and_runs_once() {
    let mut site = site_with_agent();
    let wag = site.wag();
    let (runs, go) = (site.folder().join("runs"), site.folder().join("go"));
    let script = format!(
        "#!/bin/sh\nset -eu\necho $$ >> {runs}\necho before\n\
         while [ ! -e {go} ]; do sleep 0.1; done\n\
         echo meanwhile\nctx instance runtime-properties said 'all of it'\n"
    );
    let blueprint = script_blueprint(&site, "orphaned", &script);
    site.deploy("orphaned", &blueprint, &[]);
    let execution = wag.start_execution("install", "orphaned");
    eventually("the operation to run", || fs::read_to_string(&runs));
    site.agent_daemon("host").kill();
    fs::write(&go, "").unwrap();
    let address = site.address().to_owned();
    site.start_agent("host", None, &["--manager", &address]);
    site.await_link("host");
    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");
    assert_eq!(fs::read_to_string(&runs).unwrap().lines().count(), 1);
    let outputs = wag.json(&["deployments", "outputs", "orphaned"]);
    assert_eq!(outputs["outputs"]["said"], "all of it", "{outputs}");
    let messages = wag.messages("orphaned");
    for line in ["<out> before", "<out> meanwhile"] {
        assert_eq!(messages.iter().filter(|message| *message == line).count(), 1, "{messages:?}");
    }
}
