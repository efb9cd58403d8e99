//! The real `cloudify-aws-plugin`, not a line of it changed, against a server that behaves as AWS.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use waggoner_testkit::{
    Daemon, Site, eventually, processes_of, program, python_program, root, run_python,
};

use crate::wagons::wagon_of;

/// Starts a server that behaves as AWS; returns it with its URL.
fn aws(folder: &Utf8Path) -> (Daemon, String) {
    let mut command = Command::new(python_program("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
    let mut server = Daemon::start(command, folder, "aws");
    let line = server.logged("Running on http://");
    let (_, url) = line.split_once("Running on ").unwrap();
    (server, url.trim().to_owned())
}

/// A machine that runs its user data, as far as that brings an agent.
struct Booted {
    folder: Utf8PathBuf,
}

impl Booted {
    fn with(site: &Site, user_data: &str) -> Self {
        let folder = site.folder().join("machine");
        let script = site.file("user-data", user_data);
        let booted = Command::new("sh")
            .arg(&script)
            .env("WAGGONER_AGENT_DIR", &folder)
            .env("WAGGONER_AGENT_PROGRAM", program("waggoner-agent"))
            .env("WAGGONER_AGENT_SERVICE", "none")
            .output()
            .unwrap();
        assert!(booted.status.success(), "{booted:?} of {user_data}");
        Self { folder }
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        for process in processes_of(&self.folder.join("state")) {
            process.signal(Signal::SIGKILL);
        }
    }
}

/// What is there, as boto3 sees it.
fn resources(url: &str) -> Value {
    run_python("resources.py", &[url])
}

fn properties(site: &Site, node: &str) -> Value {
    let instances = site.wag().items(&["node-instances", "list", "-d", "aws", "--node", node]);
    assert_eq!(instances.len(), 1, "{instances:?}");
    instances[0]["runtime_properties"].clone()
}

#[test]
fn the_real_aws_plugin_makes_and_removes_what_a_blueprint_says() {
    let wagon = wagon_of("cloudify-aws-plugin", "3.1.7");
    let mut site = Site::start_with(&["--task-retry-interval-secs", "1"]);
    let (_server, url) = aws(site.folder());
    // How to reach AWS from this host is the host's own affair, as it would be for anybody there.
    let home = site.folder().join("home");
    site.file("home/.aws/config", &format!("[default]\nendpoint_url = {url}\n"));
    let uv = site.folder().join("programs");
    fs::create_dir_all(&uv).unwrap();
    fs::os::unix::fs::symlink(python_program("uv"), uv.join("uv")).unwrap();
    let path = format!("{uv}:{}", std::env::var("PATH").unwrap());
    site.agent_with("central", "central", &[], &[("HOME", home.as_str()), ("PATH", &path)]);

    let files = root().join("tests/blueprints/aws");
    let yaml = files.join("plugin.yaml");
    let wag = site.wag();
    let plugin = wag.json(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    assert_eq!(plugin["package_name"], "cloudify-aws-plugin", "{plugin}");
    assert_eq!(plugin["package_version"], "3.1.7", "{plugin}");
    let nothing = resources(&url);

    site.deploy("aws", &files.join("blueprint.yaml"), &[]);
    let install = wag.start_execution("install", "aws");
    // Whose turn comes when a machine starts: here nobody boots it but us.
    let machine = eventually("a machine with user data", || {
        let machines = resources(&url)["machines"].clone();
        let machine = machines.as_object().and_then(|all| all.values().next().cloned());
        machine.ok_or(machines)
    });
    let _booted = Booted::with(&site, machine["user_data"].as_str().unwrap());
    let installed = wag.await_end(&install);
    assert_eq!(installed["status"], "terminated", "{installed} {:#?}", wag.messages("aws"));
    let made = resources(&url);
    let vpc = properties(&site, "vpc");
    let subnet = properties(&site, "subnet");
    let bucket = properties(&site, "bucket");
    assert_eq!(made["vpcs"], json!({vpc["aws_resource_id"].as_str().unwrap(): "10.20.0.0/16"}));
    let subnets = &made["subnets"][subnet["aws_resource_id"].as_str().unwrap()];
    assert_eq!(subnets["cidr"], "10.20.1.0/24", "{made}");
    assert_eq!(subnets["vpc"], vpc["aws_resource_id"], "{made}");
    assert_eq!(made["buckets"], json!(["waggoner-story"]), "{bucket}");
    assert_eq!(bucket["aws_resource_id"], "waggoner-story", "{bucket}");
    assert_eq!(vpc["create_response"]["State"], "available", "{vpc}");
    let outputs = wag.json(&["deployments", "outputs", "aws"]);
    assert_eq!(outputs["outputs"]["vpc"], vpc["aws_resource_id"], "{outputs}");

    // The machine is of the firewall, the key and the subnet that its relationships name.
    let machine = properties(&site, "machine");
    let id = machine["aws_resource_id"].as_str().unwrap();
    let there = &made["machines"][id];
    assert_eq!(there["state"], "running", "{made}");
    assert_eq!(there["subnet"], subnet["aws_resource_id"], "{made}");
    assert_eq!(
        (&there["key"], &there["firewalls"]),
        (&json!("story-key"), &json!(["story-firewall"]))
    );
    assert_eq!(made["firewalls"], json!({"story-firewall": vpc["aws_resource_id"]}), "{made}");
    assert_eq!(made["keys"], json!(["story-key"]), "{made}");
    let secret = wag.json(&["secrets", "get", "story_key"]);
    assert!(secret["value"].as_str().unwrap().contains("PRIVATE KEY"), "{secret}");
    // Its user data brought its agent.
    assert_eq!(wag.json(&["agents", "get", "machine-agent"])["connected"], true);

    // One operation on its own.
    let parameters = [
        "executions",
        "start",
        "execute_operation",
        "--deployment-id",
        "aws",
        "-p",
        "operation=cloudify.interfaces.lifecycle.stop",
        "-p",
        "node_ids=[machine]",
    ];
    wag.ok(&parameters);
    assert_eq!(resources(&url)["machines"][id]["state"], "stopped");

    // The plugin's own words.
    let messages = wag.messages("aws");
    let id = vpc["aws_resource_id"].as_str().unwrap();
    let status = format!("EC2 Vpc ID# \"{id}\" reported status: available.");
    assert!(messages.contains(&status), "{messages:#?}");

    wag.ok(&["executions", "start", "uninstall", "--deployment-id", "aws"]);
    assert_eq!(resources(&url), nothing);
    for node in ["vpc", "subnet", "bucket", "firewall", "key", "machine"] {
        let left = properties(&site, node);
        assert_eq!(left.get("aws_resource_id"), None, "{left}");
    }
    wag.ok(&["deployments", "delete", "aws"]);
}
