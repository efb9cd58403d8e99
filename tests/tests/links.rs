//! Agents on hosts of their own, one that dials and one that is dialled, and strangers.

use fs_err as fs;
use waggoner_testkit::{Network, Site, eventually};

use crate::fixtures::script_blueprint;

const MANAGER: &str = "0.0.0.0:7600";
const OTHER_MANAGER: &str = "0.0.0.0:7601";

#[test]
fn a_dialling_and_a_dialled_agent_run_the_same_and_strangers_are_refused_on_both_sides() {
    let mut network = Network::new();
    let (dialling, manager_address) = network.host();
    let (dialled, _) = network.host();
    let (strange, _) = network.host();
    let middle = network.middle().clone();
    let mut site = Site::start_on(&middle, MANAGER, &["--task-retries", "0"]);
    let mut other = Site::start_on(&middle, OTHER_MANAGER, &[]);

    let token = site.join_token("dialling", "host");
    let manager = format!("{manager_address}:7600");
    let args = ["--manager", &manager, "--join", token.as_str()];
    site.start_agent("dialling", Some(&dialling), &args);
    site.await_link("dialling");

    let token = site.join_token("dialled", "host");
    let address = format!("{}:7700", dialled.address());
    site.start_agent(
        "dialled",
        Some(&dialled),
        &["--listen", "0.0.0.0:7700", "--join", token.as_str()],
    );
    site.wag().ok(&["agents", "add", "dialled", "--address", &address]);
    site.await_link("dialled");

    let script = "#!/bin/sh\nset -eu\nset -- $(ip -4 -o addr show dev eth0)\n\
                  ctx instance runtime-properties said \"$4\"\n";
    let blueprint = script_blueprint(&site, "where", script);
    for (agent, host) in [("dialling", &dialling), ("dialled", &dialled)] {
        let id = format!("on-{agent}");
        site.install(&id, &blueprint, &[&format!("agent={agent}")]);
        let outputs = site.wag().json(&["deployments", "outputs", &id]);
        assert_eq!(outputs["outputs"]["said"], format!("{}/24", host.address()), "{agent}");
    }

    // An agent of another manager dials this one: neither believes the other.
    let token = other.join_token("stranger", "host");
    let args = ["--listen", "0.0.0.0:7702", "--join", token.as_str()];
    let address = format!("{}:7702", strange.address());
    other.start_agent("stranger", Some(&strange), &args);
    other.wag().ok(&["agents", "add", "stranger", "--address", &address]);
    other.await_link("stranger");
    // Its own manager lets go of it.
    other.manager().stop();

    // This manager dials it.
    site.wag().ok(&["agents", "add", "stranger", "--address", &address]);
    other.agent_daemon("stranger").logged("issued by another CA");
    site.manager().logged("the peer refused us: our certificate was issued by another CA");
    let held = site.wag().json(&["agents", "get", "stranger"]);
    assert_eq!(held["connected"], false, "{held}");
    site.wag().ok(&["agents", "remove", "stranger"]);

    // It dials this manager.
    assert!(other.agent_daemon("stranger").stop().success());
    let manager = format!("{}.1:7600", strange.address().rsplit_once('.').unwrap().0);
    let before = site.manager().log().len();
    other.start_agent("stranger", Some(&strange), &["--manager", &manager]);
    other.agent_daemon("stranger").logged("failed to agree on TLS");
    other.agent_daemon("stranger").logged("the peer's certificate was issued by another CA");
    site.manager().logged_after(before, "issued by another CA");
    let agents = site.wag().items(&["agents", "list"]);
    assert!(agents.iter().all(|agent| agent["name"] != "stranger"), "{agents:?}");
    for agent in ["dialling", "dialled"] {
        site.await_link(agent);
    }
}

#[test]
fn an_operation_goes_on_while_its_link_is_cut_and_all_it_said_arrives() {
    let mut network = Network::new();
    let (far, manager_address) = network.host();
    let middle = network.middle().clone();
    let mut site =
        Site::start_on(&middle, MANAGER, &["--task-retries", "0", "--heartbeat-secs", "1"]);
    let token = site.join_token("far", "host");
    let manager = format!("{manager_address}:7600");
    site.start_agent("far", Some(&far), &["--manager", &manager, "--join", token.as_str()]);
    site.await_link("far");

    let wag = site.wag();
    let (spoken, go) = (site.folder().join("spoken"), site.folder().join("go"));
    let script = format!(
        "#!/bin/sh\nset -eu\necho before\nwhile [ ! -e {go} ]; do sleep 0.1; done\n\
         echo meanwhile\ntouch {spoken}\nctx instance runtime-properties said 'all of it'\n"
    );
    let blueprint = script_blueprint(&site, "cut", &script);
    site.deploy("cut", &blueprint, &["agent=far"]);
    let execution = wag.start_execution("install", "cut");
    wag.start(&["events", &execution, "--follow"]).await_line("before");

    far.cut();
    eventually("the manager to miss the agent", || {
        let agent = wag.json(&["agents", "get", "far"]);
        if agent["connected"] == false { Ok(()) } else { Err(agent) }
    });
    fs::write(&go, "").unwrap();
    eventually("the operation to go on", || fs::metadata(&spoken));
    far.mend();

    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");
    let outputs = wag.json(&["deployments", "outputs", "cut"]);
    assert_eq!(outputs["outputs"]["said"], "all of it", "{outputs}");
    let messages = wag.messages("cut");
    for line in ["<out> before", "<out> meanwhile"] {
        assert_eq!(messages.iter().filter(|message| *message == line).count(), 1, "{messages:?}");
    }
}
