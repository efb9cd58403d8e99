//! Agents that go away for good, or outlive their manager.

use waggoner_testkit::{Site, eventually};

#[test]
fn a_removed_agent_is_refused_from_then_on() {
    let mut site = Site::start();
    site.agent("gone", "host");
    site.wag().ok(&["agents", "remove", "gone"]);
    site.manager().logged("was denied when it was removed");
    let agents = site.wag().items(&["agents", "list"]);
    assert!(agents.is_empty(), "{agents:?}");
}

#[test]
fn agents_come_back_after_their_manager_does() {
    let mut site = Site::start();
    site.agent("loyal", "host");
    site.crash_manager();
    site.await_link("loyal");
    site.restart_manager();
    eventually("the agent to come back", || {
        let agent = site.wag().json(&["agents", "get", "loyal"]);
        if agent["connected"] == true { Ok(()) } else { Err(agent) }
    });
}
