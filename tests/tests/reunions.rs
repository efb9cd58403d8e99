//! An agent comes back after something was decided without it.

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use waggoner_testkit::{Host, Network, Site, eventually};

use crate::fixtures::script_blueprint;

/// A site whose agent is on a host of its own, and runs an operation without end.
struct Scene {
    site: Site,
    far: Host,
    execution: String,
    /// Holds the process ids of the operation.
    pids: Utf8PathBuf,
    _network: Network,
}

// === impl Scene ===

impl Scene {
    fn new(name: &str) -> Self {
        let mut network = Network::new();
        let (far, manager_address) = network.host();
        let middle = network.middle().clone();
        let args = ["--task-retries", "0", "--heartbeat-secs", "1"];
        let mut site = Site::start_on(&middle, "0.0.0.0:7600", &args);
        let token = site.join_token("far", "host");
        let manager = format!("{manager_address}:7600");
        site.start_agent("far", Some(&far), &["--manager", &manager, "--join", token.as_str()]);
        site.await_link("far");
        let pids = site.folder().join("pids");
        let script = format!("#!/bin/sh\necho $$ >> {pids}\necho begun\nsleep 600\n");
        let blueprint = script_blueprint(&site, name, &script);
        site.deploy(name, &blueprint, &["agent=far"]);
        let execution = site.wag().start_execution("install", name);
        site.wag().start(&["events", &execution, "--follow"]).await_line("begun");
        Self { site, far, execution, pids, _network: network }
    }

    /// Cuts the agent off, until the manager knows.
    fn cut(&self) {
        self.far.cut();
        eventually("the manager to miss the agent", || {
            let agent = self.site.wag().json(&["agents", "get", "far"]);
            if agent["connected"] == false { Ok(()) } else { Err(agent) }
        });
    }

    fn assert_one_run_that_is_gone(&self) {
        let pids = pids(&self.pids);
        assert_eq!(pids.len(), 1, "{pids:?}");
        eventually("the operation to be gone", || match fs::exists(format!("/proc/{}", pids[0])) {
            Ok(false) => Ok(()),
            there => Err(there),
        });
    }
}

fn pids(path: &Utf8Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_cancel_while_the_link_is_cut_is_delivered_on_return() {
    let scene = Scene::new("apart");
    let wag = scene.site.wag();
    scene.cut();
    wag.ok(&["executions", "cancel", &scene.execution, "--kill"]);
    let pid = &pids(&scene.pids)[0];
    assert!(fs::exists(format!("/proc/{pid}")).unwrap(), "it cannot have heard of it");
    scene.far.mend();
    assert_eq!(wag.await_end(&scene.execution)["status"], "cancelled");
    scene.assert_one_run_that_is_gone();
}

#[test]
fn what_nobody_needs_any_more_is_killed_when_its_agent_comes_back() {
    let mut scene = Scene::new("unneeded");
    scene.cut();
    scene.site.wag().ok(&["executions", "cancel", &scene.execution, "--force"]);
    assert_eq!(scene.site.wag().await_end(&scene.execution)["status"], "cancelled");
    // The next manager has no execution to go on with, and so no conversation.
    scene.site.restart_manager();
    scene.far.mend();
    scene.site.await_link("far");
    scene.assert_one_run_that_is_gone();
    scene.site.manager().logged("nobody needs the attempt: it is killed");
}
