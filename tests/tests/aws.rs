//! The real `cloudify-aws-plugin`, not a line of it changed, against a server that behaves as AWS.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Value, json};
use waggoner_testkit::{Daemon, Site, cache, cached, python_program, root, run_python};

const PLUGIN: &str = "cloudify-aws-plugin==3.1.7";

/// Makes the plugin's wagon as its users do: `wagon create` on its sources.
fn wagon() -> Utf8PathBuf {
    let made = cached("cloudify-aws-plugin-3.1.7", |folder| {
        let sources = folder.join("sources");
        fs::create_dir_all(&sources).unwrap();
        let pip = |args: &[&str]| Command::new(python_program("pip")).args(args).output().unwrap();
        let fetched = pip(&[
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary=:all:",
            PLUGIN,
            "--dest",
            sources.as_str(),
        ]);
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        let archive = only(&sources, ".tar.gz");
        let bytes = fs::File::open(&archive).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(bytes)).unpack(&sources).unwrap();
        fs::remove_file(archive).unwrap();

        let programs = python_program("wagon").parent().unwrap().to_owned();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
        let created = Command::new(programs.join("wagon"))
            .args(["create", "-t", "tar.gz", "-o", folder.as_str()])
            .arg(only(&sources, ""))
            .env("PATH", path)
            .env("PIP_CACHE_DIR", cache().join("pip"))
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        fs::remove_dir_all(sources).unwrap();
    });
    only(&made, ".wgn")
}

/// The only entry of a folder with this ending.
fn only(folder: &Utf8Path, ending: &str) -> Utf8PathBuf {
    let entries = folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().path().to_owned());
    let found: Vec<_> = entries.filter(|path| path.as_str().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "in {folder}: {found:?}");
    found[0].clone()
}

/// Starts a server that behaves as AWS; returns it with its URL.
fn aws(folder: &Utf8Path) -> (Daemon, String) {
    let mut command = Command::new(python_program("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
    let mut server = Daemon::start(command, folder, "aws");
    let line = server.logged("Running on http://");
    let (_, url) = line.split_once("Running on ").unwrap();
    (server, url.trim().to_owned())
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
    let wagon = wagon();
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

    site.install("aws", &files.join("blueprint.yaml"), &[]);
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

    // The plugin's own words.
    let messages = wag.messages("aws");
    let id = vpc["aws_resource_id"].as_str().unwrap();
    let status = format!("EC2 Vpc ID# \"{id}\" reported status: available.");
    assert!(messages.contains(&status), "{messages:#?}");

    wag.ok(&["executions", "start", "uninstall", "--deployment-id", "aws"]);
    assert_eq!(resources(&url), nothing);
    for node in ["vpc", "subnet", "bucket"] {
        let left = properties(&site, node);
        assert_eq!(left.get("aws_resource_id"), None, "{left}");
    }
    wag.ok(&["deployments", "delete", "aws"]);
}
