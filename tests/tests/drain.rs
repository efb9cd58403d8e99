//! A drained agent gets no new operations, whoever is started again meanwhile.

use camino::Utf8Path;
use fs_err as fs;
use waggoner_testkit::{Site, Wag, eventually};

use crate::fixtures::{script_blueprint, site_with_agent};

fn lines(path: &Utf8Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[track_caller]
fn await_wait_for_the_drained(wag: &Wag, execution: &str) {
    eventually("the operation to wait for the drained agent", || {
        let told = wag.json(&["executions", "explain", execution]);
        let waits = told["waits"].as_array().unwrap();
        if waits.iter().any(|wait| wait["reason"] == "drained") { Ok(()) } else { Err(told) }
    });
}

#[test]
fn what_runs_on_a_drained_agent_runs_on_and_what_is_for_it_waits() {
    let mut site = site_with_agent();
    let wag = site.wag();
    let (runs, go) = (site.folder().join("runs"), site.folder().join("go"));
    let script =
        format!("#!/bin/sh\necho run >> {runs}\nwhile [ ! -e {go} ]; do sleep 0.1; done\n");
    let blueprint = script_blueprint(&site, "first", &script);
    site.deploy("first", &blueprint, &[]);
    let blueprint = script_blueprint(&site, "second", &script);
    site.deploy("second", &blueprint, &[]);
    let first = wag.start_execution("install", "first");
    eventually("the operation to run", || match lines(&runs).len() {
        1 => Ok(()),
        count => Err(count),
    });

    let said = wag.refused(1, &["agents", "drain", "host", "--wait", "--timeout", "0s"]);
    assert!(said.contains("1 of its operations run on"), "{said}");
    let agent = wag.json(&["agents", "get", "host"]);
    assert!(agent["drained_at"].is_string(), "{agent}");
    let second = wag.start_execution("install", "second");
    await_wait_for_the_drained(&wag, &second);

    site.crash_manager();
    let address = site.address().to_owned();
    site.start_agent("host", None, &["--manager", &address]);
    site.await_link("host");
    await_wait_for_the_drained(&wag, &second);
    let drained = wag.json(&["agents", "get", "host"]);
    assert_eq!(drained["drained_at"], agent["drained_at"], "{drained}");
    assert_eq!(drained["running"], 1, "{drained}");

    fs::write(&go, "").unwrap();
    assert_eq!(wag.await_end(&first)["status"], "terminated");
    let idle = wag.json(&["agents", "drain", "host", "--wait"]);
    assert_eq!(idle["running"], 0, "{idle}");
    assert_eq!(lines(&runs).len(), 1, "the second one may not begin");

    let agent = wag.json(&["agents", "undrain", "host"]);
    assert!(agent["drained_at"].is_null(), "{agent}");
    assert_eq!(wag.await_end(&second)["status"], "terminated");
    assert_eq!(lines(&runs).len(), 2);
}

#[test]
fn central_operations_go_to_another_agent_while_one_is_drained() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("one", "central");
    site.agent("two", "central");
    let (wag, ran) = (site.wag(), site.folder().join("ran"));
    site.file("central/create.sh", &format!("#!/bin/sh\necho $AGENT_NAME >> {ran}\n"));
    let blueprint = site.file(
        "central/blueprint.yaml",
        "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
node_templates:
  thing:
    type: cloudify.nodes.Root
    capabilities: {scalable: {properties: {default_instances: 4}}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: create.sh, executor: central_deployment_agent}
",
    );
    wag.ok(&["agents", "drain", "one"]);
    site.install("central", &blueprint, &[]);
    assert_eq!(lines(&ran), ["two"; 4]);

    wag.ok(&["agents", "drain", "two"]);
    site.deploy("later", &blueprint, &[]);
    let later = wag.start_execution("install", "later");
    await_wait_for_the_drained(&wag, &later);
    wag.ok(&["agents", "undrain", "one"]);
    assert_eq!(wag.await_end(&later)["status"], "terminated");
    assert_eq!(lines(&ran)[4..], ["one"; 4]);
}
