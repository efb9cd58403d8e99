//! Python operations that are forked from a warm server outlive it, and the agent's daemon.

use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use waggoner_testkit::{Site, eventually};

use crate::{
    fixtures::{script_blueprint, site_with_agent},
    wagons::wagon_of,
};

/// A site with what scripts in Python need.
fn site() -> Site {
    let site = site_with_agent();
    let wagon = wagon_of("cloudify-common", "7.0.5");
    let yaml = "plugins:\n  common:\n    executor: host_agent\n    package_name: cloudify-common\n    \
                package_version: 7.0.5\n";
    let yaml = site.file("common/plugin.yaml", yaml);
    site.wag().ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    site
}

fn parent(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn forked_operations_outlive_their_server_and_the_daemon_and_run_once() {
    let mut site = site();
    let wag = site.wag();
    let (runs, go) = (site.folder().join("runs"), site.folder().join("go"));
    let blueprint = script_blueprint(&site, "warm", "true\n");
    let text = fs::read_to_string(&blueprint).unwrap();
    fs::write(&blueprint, text.replace("scripts/create.sh", "scripts/create.py")).unwrap();
    let script = format!(
        "\
import os, time
from cloudify import ctx

with open('{runs}', 'a') as runs:
    runs.write('%d\\n' % os.getpid())
while not os.path.exists('{go}'):
    time.sleep(0.05)
ctx.logger.info('went on')
ctx.instance.runtime_properties['said'] = 'done'
"
    );
    site.file("warm/scripts/create.py", &script);
    site.deploy("warm", &blueprint, &["count=2"]);
    let execution = wag.start_execution("install", "warm");
    let pids = || -> Vec<i32> {
        let text = fs::read_to_string(&runs).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    eventually("both to run", || match pids() {
        both if both.len() == 2 => Ok(()),
        other => Err(other),
    });
    let servers: Vec<_> = pids().into_iter().map(parent).collect();
    assert_eq!(servers[0], servers[1], "they are forks of one process");
    let line = fs::read_to_string(format!("/proc/{}/cmdline", servers[0])).unwrap();
    assert!(line.contains("waggoner_runtime.server"), "{line}");

    site.agent_daemon("host").kill();
    kill(Pid::from_raw(servers[0]), Signal::SIGKILL).unwrap();
    let address = site.address().to_owned();
    site.start_agent("host", None, &["--manager", &address]);
    site.await_link("host");
    fs::write(&go, "").unwrap();

    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");
    assert_eq!(pids().len(), 2, "each ran once");
    let went = wag.messages("warm").into_iter().filter(|message| message == "went on").count();
    assert_eq!(went, 2);
    for instance in wag.items(&["node-instances", "list", "-d", "warm", "--node", "app"]) {
        assert_eq!(instance["runtime_properties"]["said"], "done", "{instance}");
    }
}
