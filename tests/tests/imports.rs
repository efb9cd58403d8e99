//! Blueprints that import what others wrote: another blueprint, and a file of the network.

use std::process::Command;

use camino::Utf8Path;
use fs_err as fs;
use waggoner_testkit::{Daemon, Site, python_program};

use crate::fixtures::{assert_clear, holdings, script_blueprint};

/// A server of the files of a folder; returns it with its URL.
fn serve(folder: &Utf8Path, logs: &Utf8Path) -> (Daemon, String) {
    let mut command = Command::new(python_program("python"));
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
    command.arg(folder);
    let mut server = Daemon::start(command, logs, "files");
    let line = server.line("Serving HTTP on");
    let url = line.split_once("(http://").unwrap().1.split_once("/)").unwrap().0;
    (server, format!("http://{url}"))
}

fn blueprint(import: &str, node_type: &str) -> String {
    format!(
        "tosca_definitions_version: cloudify_dsl_1_4\n\
         imports: [cloudify/types/types.yaml, {import}]\n\
         node_templates: {{one: {{type: {node_type}}}}}\n"
    )
}

#[test]
fn a_blueprint_imports_from_the_network_only_where_the_manager_was_told() {
    let folder = camino_tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir_all(files.join("specs")).unwrap();
    let types = "imports: [base.yaml]\nnode_types: {server: {derived_from: machine}}\n";
    let base = "node_types: {machine: {derived_from: cloudify.nodes.Root}}\n";
    fs::write(files.join("specs/types.yaml"), types).unwrap();
    fs::write(files.join("specs/base.yaml"), base).unwrap();
    fs::write(files.join("secret.yaml"), base).unwrap();
    let (mut server, url) = serve(&files, folder.path());

    let site = Site::start_with(&["--import-site", &format!("{url}/specs/")]);
    let wag = site.wag();
    let good =
        site.file("blueprint.yaml", &blueprint(&format!("'{url}/specs/types.yaml'"), "server"));
    wag.ok(&["blueprints", "upload", good.as_str(), "--id", "good"]);
    wag.ok(&["deployments", "create", "good", "--blueprint", "good"]);
    assert_eq!(wag.items(&["node-instances", "list", "-d", "good"]).len(), 1);

    let before = holdings(&wag);
    let import = format!("'{url}/secret.yaml'");
    let bad = site.file("outside/blueprint.yaml", &blueprint(&import, "machine"));
    let said = wag.refused(3, &["blueprints", "upload", bad.as_str(), "--id", "bad"]);
    assert_clear(&said, &["blueprint.yaml:2:", "--import-site", &url]);
    assert_eq!(holdings(&wag), before);

    // The deployment was made of the plan: the site need not be there any more.
    server.kill();
    wag.ok(&["deployments", "create", "later", "--blueprint", "good"]);
}

#[test]
fn a_blueprint_imports_another_under_a_namespace() {
    let site = Site::start();
    let wag = site.wag();
    let base = site.file("base/blueprint.yaml", &blueprint("types.yaml", "server"));
    site.file("base/types.yaml", "node_types: {server: {derived_from: cloudify.nodes.Root}}\n");
    wag.ok(&["blueprints", "upload", base.as_str(), "--id", "base"]);
    let upper = site.file("upper/blueprint.yaml", &blueprint("b--blueprint:base", "b--server"));
    wag.ok(&["blueprints", "upload", upper.as_str(), "--id", "upper"]);
    wag.ok(&["deployments", "create", "upper", "--blueprint", "upper"]);
    let instances = wag.items(&["node-instances", "list", "-d", "upper"]);
    let mut nodes: Vec<_> = instances.iter().map(|it| it["node_id"].as_str().unwrap()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["b--one", "one"], "{instances:?}");
}

#[test]
fn a_script_that_an_imported_blueprint_brings_is_found_in_it() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("host", "host");
    let wag = site.wag();
    let script = "#!/bin/sh\nset -eu\nctx download-resource b--scripts/create.sh >/dev/null\n\
                  ctx instance runtime-properties said \"$given\"\n";
    let base = script_blueprint(&site, "base", script);
    wag.ok(&["blueprints", "upload", base.as_str(), "--id", "base"]);
    let text = "tosca_definitions_version: cloudify_dsl_1_4\n\
                imports: [cloudify/types/types.yaml, 'b--blueprint:base']\n";
    let upper = site.file("upper/blueprint.yaml", text);
    site.install("upper", &upper, &["b--given=a word"]);
    let outputs = wag.json(&["deployments", "outputs", "upper"]);
    assert_eq!(outputs["outputs"]["b--said"], "a word", "{outputs}");
}
