//! Installations that are under way: not removed, and taken up again where their link is lost.

use camino::Utf8Path;
use fs_err as fs;
use serde_json::Value;
use waggoner_testkit::{Daemon, Site, Wag, eventually, python_program};

use crate::{fixtures::assert_clear, wagons::awkward};

/// A `uv` that tells who it is when it is called, and waits for as long as there is a file `hold`.
const HELD: &str = "#!/bin/sh
[ \"$1\" = --version ] || { echo $$ > @FOLDER@/called.$$ && mv @FOLDER@/called.$$ @FOLDER@/called; }
while [ -e @FOLDER@/hold ]; do sleep 0.1; done
exec @UV@ \"$@\"
";

/// How a plugin stands on the story's agent, and why.
fn state(wag: &Wag, plugin: &str) -> (String, Value) {
    let plugin = wag.json(&["plugins", "get", plugin]);
    let mut all = plugin["installations"].as_array().unwrap().iter();
    let here = all.find(|installation| installation["agent"] == "web");
    let stands = |here: &Value| (here["state"].as_str().unwrap().to_owned(), here["error"].clone());
    here.map_or_else(Default::default, stands)
}

/// Whether a process runs; a zombie has ended.
fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn held_uv(folder: &Utf8Path) -> String {
    use fs::os::unix::fs::OpenOptionsExt as _;
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let uv =
        HELD.replace("@FOLDER@", folder.as_str()).replace("@UV@", python_program("uv").as_str());
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o755).open(programs.join("uv"));
    std::io::Write::write_all(file.as_mut().unwrap(), uv.as_bytes()).unwrap();
    format!("{programs}:{}", std::env::var("PATH").unwrap())
}

#[test]
fn an_installation_under_way_is_not_removed_and_outlives_its_link_and_the_manager() {
    let mut site = Site::start();
    let folder = site.folder().to_owned();
    let path = held_uv(&folder);
    let (hold, called) = (folder.join("hold"), folder.join("called"));
    site.agent_with("web", "host", &[], &[("PATH", &path)]);
    let wag = site.wag();
    let (wagon, yaml) = awkward(&wag);
    let plugin = wag.json(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    let plugin = plugin["id"].as_str().unwrap();
    let address = site.address().to_owned();
    let install = ["plugins", "install", "awkward-plugin", "--agent", "web"];
    let is = |wanted: &str| {
        eventually(&format!("the plugin to be {wanted}"), || {
            let state = state(&wag, plugin);
            if state.0 == wanted { Ok(()) } else { Err(state) }
        });
    };
    fs::write(&hold, "").unwrap();
    let _waits = wag.start(&install);
    let calling = |what: &str| -> i32 {
        let pid = || fs::read_to_string(&called).map(|pid| pid.trim().parse().unwrap());
        eventually(what, || pid().map_err(|error| error.to_string()))
    };
    let first = calling("the installation to be under way");
    is("installing");
    let said = wag.refused(3, &["plugins", "uninstall", "awkward-plugin", "--agent", "web"]);
    assert_clear(&said, &["awkward-plugin", "is being installed", "web"]);

    // The agent goes without what it has started, and the next one is held up as well.
    site.agent_daemon("web").kill();
    fs::remove_file(&called).unwrap();
    is("pending-install");
    assert!(is_alive(first), "it would go on to install");
    let mut again = site.agent_command("web", None);
    again.args(["--manager", &address]).env("PATH", &path);
    let _again = Daemon::start(again, &folder, "agent-again");
    calling("it to be taken up again");
    assert!(!is_alive(first), "two install into one directory");
    is("installing");

    // The manager goes in the middle of it.
    site.crash_manager();
    fs::remove_file(&hold).unwrap();
    is("installed");
    let left = wag.json(&["plugins", "uninstall", "awkward-plugin", "--agent", "web"]);
    assert_eq!(left["items"][0]["state"], Value::from("uninstalled"), "{left}");
}
