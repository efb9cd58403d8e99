//! Plugins on agents: installed ahead of time or by the first operation, removed, and how that is
//! shown.

use fs_err as fs;
use serde_json::{Value, json};
use waggoner_testkit::{Site, Wag, eventually, python_program};

use crate::{
    fixtures::{assert_clear, tiny_wagon},
    wagons::awkward,
};

/// How a plugin stands on the story's agent, and why.
fn standing(wag: &Wag, plugin: &Value) -> (Value, Value) {
    let plugin = wag.json(&["plugins", "get", plugin["id"].as_str().unwrap()]);
    let mut all = plugin["installations"].as_array().unwrap().iter();
    let here = all.find(|installation| installation["agent"] == "web");
    here.map_or((Value::Null, Value::Null), |it| (it["state"].clone(), it["error"].clone()))
}

#[test]
fn a_plugin_is_installed_on_an_agent_and_removed() {
    let mut site = Site::start();
    let programs = site.folder().join("programs");
    fs::create_dir_all(&programs).unwrap();
    fs::os::unix::fs::symlink(python_program("uv"), programs.join("uv")).unwrap();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    site.agent_with("web", "host", &[], &[("PATH", &path)]);
    let wag = site.wag();
    let (wagon, yaml) = awkward(&wag);
    let plugin = wag.json(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    assert_eq!(standing(&wag, &plugin), (Value::Null, Value::Null));

    // One on an agent that is away waits for it.
    assert!(site.agent_daemon("web").stop().success());
    eventually("the link to be gone", || {
        let agent = wag.json(&["agents", "get", "web"]);
        if agent["connected"] == false { Ok(()) } else { Err(agent) }
    });
    let install = ["plugins", "install", "awkward-plugin", "--agent", "web"];
    let begun = wag.json(&install);
    assert_eq!(begun["items"][0]["state"], "pending-install", "{begun}");
    let address = site.address().to_owned();
    site.start_agent("web", None, &["--manager", &address]);
    eventually("the plugin to be there", || {
        let (state, error) = standing(&wag, &plugin);
        if state == "installed" { Ok(()) } else { Err(format!("{state}: {error}")) }
    });
    assert!(wag.ok(&["plugins", "list"]).contains("web"));

    // Removed, nothing of it is left, and the next one installs it again.
    let environments = site.agent_dir("web").join("python/environments");
    let there = || {
        let entries = environments.read_dir_utf8().unwrap().map(Result::unwrap);
        entries.filter(|entry| entry.path().extension() != Some("lock")).count()
    };
    assert_eq!(there(), 2, "a directory and its record");
    let left = wag.json(&["plugins", "uninstall", "awkward-plugin", "--agent", "web"]);
    assert_eq!(left["items"][0]["state"], "uninstalled", "{left}");
    assert_eq!((standing(&wag, &plugin).0, there()), (json!("uninstalled"), 0));
    let again = wag.json(&install);
    assert_eq!(again["items"][0]["state"], "installed", "{again}");
    assert_eq!(there(), 2);

    // One that cannot be installed says why, and leaves nothing.
    let (tiny, tiny_yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    let tiny = wag.json(&["plugins", "upload", tiny.as_str(), "--yaml", tiny_yaml.as_str()]);
    let said = wag.refused(1, &["plugins", "install", "tiny-plugin", "--agent", "web"]);
    assert_clear(&said, &["tiny-plugin", "cloudify-common", "web"]);
    let (state, why) = standing(&wag, &tiny);
    assert_eq!(state, "error");
    assert!(why.as_str().unwrap().contains("carries no cloudify-common wheel"), "{why}");
    assert_eq!(there(), 2);

    // A plugin that is deleted goes from its agents as well.
    wag.ok(&["plugins", "delete", plugin["id"].as_str().unwrap()]);
    eventually("nothing to be left on the agent", || match there() {
        0 => Ok(()),
        left => Err(left),
    });
    let said = wag.refused(4, &["plugins", "install", "awkward-plugin", "--agent", "web"]);
    assert_clear(&said, &["awkward-plugin"]);
}
