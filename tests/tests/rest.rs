//! The stock `get_rest_client()` inside operations, and what plugins do with it.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::sys::signal::Signal;
use waggoner_testkit::{Site, eventually, processes_of, python, root};

use crate::{
    fixtures::{script_blueprint, tiny_wagon},
    wagons::wagon_of,
};

/// A blueprint whose operation runs `tests/python/rest_client.py`, on a central agent or a host.
fn blueprint(site: &Site, name: &str, executor: &str, args: &str) -> Utf8PathBuf {
    let program = root().join("tests/python/rest_client.py");
    let script = format!("#!/bin/sh\nexec {} {program} {args}\n", python());
    let blueprint = script_blueprint(site, name, &script);
    let text = fs::read_to_string(&blueprint).unwrap();
    let implementation = "implementation: scripts/create.sh";
    let text =
        text.replace(implementation, &format!("{implementation}\n          executor: {executor}"));
    fs::write(&blueprint, text).unwrap();
    blueprint
}

fn put_secret(site: &Site, key: &str, value: &str) {
    let said = site.wag().run_with(&["secrets", "put", key], &format!("{value}\n"));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn the_stock_client_does_all_that_plugins_do_with_it() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("central", "central");
    site.agent("host", "host");
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    let central =
        blueprint(&site, "central", "central_deployment_agent", &format!("central {wagon} {yaml}"));
    site.install("central", &central, &[]);
    let messages = site.wag().messages("central");
    assert!(messages.iter().any(|line| line == "<out> all is well"), "{messages:#?}");
    let listed = site.wag().items(&["deployments", "list"]);
    assert_eq!(listed.len(), 1, "it has cleaned up: {listed:?}");
    let app = &site.wag().items(&["node-instances", "list", "-d", "central", "--node", "app"])[0];
    assert_eq!(app["runtime_properties"]["by"], "force", "{app}");
}

#[test]
fn the_stock_client_of_a_host_reaches_its_own_deployment() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("host", "host");
    put_secret(&site, "named", "it");
    let own = blueprint(&site, "own", "host_agent", "host");
    site.deploy("another", &own, &[]);
    site.install("own", &own, &[]);
    let messages = site.wag().messages("own");
    assert!(messages.iter().any(|line| line == "<out> all is well"), "{messages:#?}");
}

#[test]
fn the_rest_api_is_there_again_when_the_agent_is() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("host", "host");
    let (ready, go) = (site.folder().join("ready"), site.folder().join("go"));
    let patient = blueprint(&site, "patient", "host_agent", &format!("patient {ready} {go}"));
    site.deploy("patient", &patient, &[]);
    let execution = site.wag().start_execution("install", "patient");
    let asked = |after: u64| {
        eventually("the operation to ask", || {
            let asked = fs::read_to_string(&ready).ok().and_then(|text| text.parse::<u64>().ok());
            asked.filter(|asked| *asked > after).ok_or(asked)
        })
    };
    let before = asked(0);
    let address = site.address().to_owned();
    for _ in 0..2 {
        site.agent_daemon("host").kill();
        site.start_agent("host", None, &["--manager", &address]);
        asked(before + 1);
    }
    fs::write(go, "").unwrap();
    let ended = site.wag().await_end(&execution);
    assert_eq!(ended["status"], "terminated", "{ended}");
    let app = &site.wag().items(&["node-instances", "list", "-d", "patient", "--node", "app"])[0];
    let count = app["runtime_properties"]["asked"].as_u64().unwrap();
    // Each line once and in order, but for one that was on its way when the agent ended, whose
    // answer the client did not hear: it sends that again.
    let mut lines = site.wag().messages("patient");
    lines.retain(|line| line.starts_with("ask "));
    lines.dedup();
    assert_eq!(lines, (0..count).map(|at| format!("ask {at}")).collect::<Vec<_>>());
}

/// Ends what runs below a directory when the test does.
struct Installed<'a>(&'a Utf8Path);

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        for process in processes_of(self.0) {
            process.signal(Signal::SIGKILL);
        }
    }
}

#[test]
fn the_init_script_brings_an_agent_onto_a_host() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("central", "central");
    let wag = site.wag();
    let wagon = wagon_of("cloudify-common", "7.0.5");
    let yaml = "plugins:\n  common:\n    executor: central_deployment_agent\n    \
                package_name: cloudify-common\n    package_version: 7.0.5\n";
    let yaml = site.file("common/plugin.yaml", yaml);
    wag.ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    site.file(
        "new/scripts/make.py",
        "\
from cloudify import ctx

ctx.instance.runtime_properties['script'] = ctx.agent.init_script({'name': 'by-script'})
with ctx.agent.install_script_download_link() as url:
    ctx.instance.runtime_properties['link'] = url
",
    );
    let blueprint = site.file(
        "new/blueprint.yaml",
        "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
node_templates:
  machine:
    type: cloudify.nodes.Compute
    properties: {ip: 127.0.0.1, agent_config: {install_method: init_script}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/make.py, executor: central_deployment_agent}
",
    );
    site.deploy("new", &blueprint, &[]);
    let execution = wag.start_execution("install", "new");
    let machine = eventually("the machine to have its user data", || {
        let machine = wag.items(&["node-instances", "list", "-d", "new"]).remove(0);
        let has_script = machine["runtime_properties"]["script"].is_string();
        if has_script { Ok(machine) } else { Err(machine) }
    });
    let properties = &machine["runtime_properties"];
    assert_eq!(properties["cloudify_agent"]["name"], "by-script", "{properties}");

    // As a new host has it: nothing of ours, and nobody but itself.
    let folder = site.folder().join("host");
    fs::create_dir(&folder).unwrap();
    let script = |text: &str, name: &str| {
        let path = site.file(&format!("host/{name}.sh"), text);
        let mut command = Command::new("sh");
        command.arg(path).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("WAGGONER_AGENT_DIR", folder.join(name)).env("WAGGONER_AGENT_SERVICE", "none");
        command
    };
    let _installed = Installed(&folder);
    let text = properties["script"].as_str().unwrap();
    let said = script(text, "by-script").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    site.await_link("by-script");
    let ended = wag.await_end(&execution);
    assert_eq!(ended["status"], "terminated", "it has waited for the agent: {ended}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(folder.join("by-script/join-token")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    let link = properties["link"].as_str().unwrap();
    let ca = folder.join("by-script/ca.pem");
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--cacert", ca.as_str(), link]);
    let linked = curl.output().unwrap();
    assert!(linked.status.success(), "{linked:?}");
    // The name was not noted with the node instance yet when the second script was made.
    let name = format!("name='{}'", machine["id"].as_str().unwrap());
    let text = String::from_utf8(linked.stdout).unwrap();
    assert!(text.contains(&name), "{text}");
    // The token is good for one host.
    let again = script(properties["script"].as_str().unwrap(), "again").output().unwrap();
    assert!(again.status.success(), "{again:?}");
    eventually("the second one to be refused", || {
        let log = fs::read_to_string(folder.join("again/agent.log")).unwrap_or_default();
        if log.contains("refused to let this agent join") { Ok(()) } else { Err(log) }
    });
}
