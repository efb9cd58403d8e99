//! Workflows beside install: scaled, updated, queued, resumed, explained; and the manager killed in
//! the middle of them.

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::Value;
use waggoner_testkit::{Site, Wag, eventually};

use crate::fixtures::assert_clear;

/// A script that counts its runs, and stops where the story wants it to.
fn script(site: &Site) -> String {
    let (runs, hold, fail) = files(site);
    format!(
        "#!/bin/sh\nset -eu\necho \"$(ctx instance id) $(ctx operation name)\" >> {runs}\n\
         ctx logger info \"at work on $(ctx instance id)\"\n\
         while [ -e {hold} ]; do sleep 0.05; done\n[ ! -e {fail} ]\n"
    )
}

/// Where runs are counted; what holds operations up; what makes them fail.
fn files(site: &Site) -> (Utf8PathBuf, Utf8PathBuf, Utf8PathBuf) {
    (site.folder().join("runs"), site.folder().join("hold"), site.folder().join("fail"))
}

/// Writes a blueprint whose nodes count; `more` are further node templates.
fn blueprint(site: &Site, name: &str, more: &str) -> Utf8PathBuf {
    site.file(&format!("{name}/scripts/count.sh"), &script(site));
    let text = format!(
        "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
inputs:
  size: {{default: small}}
node_types:
  counted:
    derived_from: cloudify.nodes.Root
    properties: {{size: {{default: any}}}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: &count {{implementation: scripts/count.sh, executor: central_deployment_agent}}
        start: *count
        stop: *count
        delete: *count
relationships:
  counted_to:
    derived_from: cloudify.relationships.connected_to
    source_interfaces:
      cloudify.interfaces.relationship_lifecycle:
        unlink: {{implementation: scripts/unlink.sh, executor: central_deployment_agent}}
node_templates:
  db: {{type: counted}}
  web:
    type: counted
    properties: {{size: {{get_input: size}}}}
    relationships: [{{type: counted_to, target: db}}]
{more}outputs:
  size: {{value: {{get_input: size}}}}
"
    );
    site.file(&format!("{name}/scripts/unlink.sh"), "#!/bin/sh\ntrue\n");
    site.file(&format!("{name}/blueprint.yaml"), &text)
}

/// A site with a central agent and an installed deployment `d` of the blueprint `d`.
fn installed() -> Site {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("central", "central");
    let path = blueprint(&site, "d", "");
    site.install("d", &path, &[]);
    site
}

fn instances(wag: &Wag, node: &str) -> Vec<String> {
    let items = wag.items(&["node-instances", "list", "-d", "d", "--node", node]);
    for item in &items {
        assert_eq!(item["state"], "started", "{item}");
    }
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn start<'a>(workflow: &'a str, parameters: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["executions", "start", workflow, "-d", "d"];
    for parameter in parameters {
        args.extend(["-p", parameter]);
    }
    args
}

fn count(runs: &Utf8Path) -> usize {
    fs::read_to_string(runs).unwrap_or_default().lines().count()
}

#[test]
fn a_node_is_scaled_out_and_in_and_what_fails_is_taken_back() {
    let site = installed();
    let wag = site.wag();
    let (runs, _, fail) = files(&site);
    wag.ok(&start("scale", &["scalable_entity_name=web", "delta=2"]));
    assert_eq!(instances(&wag, "web").len(), 3);
    wag.ok(&start("scale", &["scalable_entity_name=web", "delta=-1"]));
    let left = instances(&wag, "web");
    assert_eq!(left.len(), 2);
    assert_eq!(count(&runs), 4 + 4 + 2, "{}", fs::read_to_string(&runs).unwrap());

    fs::write(&fail, "").unwrap();
    wag.refused(1, &start("scale", &["scalable_entity_name=web", "delta=1"]));
    assert_eq!(instances(&wag, "web"), left);
}

#[test]
fn an_update_brings_a_deployment_to_another_blueprint_and_back() {
    let site = installed();
    let wag = site.wag();
    let more = "  cache:
    type: counted
    relationships: [{type: counted_to, target: db}]
    interfaces:
      cloudify.interfaces.lifecycle: {delete: scripts/cache.sh}
";
    let wider = blueprint(&site, "wider", more);
    let (runs, ..) = files(&site);
    site.file("wider/scripts/cache.sh", &format!("#!/bin/sh\necho swept >> {runs}\n"));
    wag.ok(&["blueprints", "upload", wider.as_str(), "-b", "wider"]);
    let update = ["deployments", "update", "d", "-b", "wider", "-i", "size=large"];
    let preview = wag.json(&[&update[..], &["--preview"]].concat());
    assert_eq!(preview["added"].as_array().unwrap().len(), 1, "{preview}");
    assert_eq!(preview["reinstalled"], preview["changed"], "nothing updates it where it is");
    assert_eq!(instances(&wag, "cache"), Vec::<String>::new());

    let (before_db, before_web) = (instances(&wag, "db"), instances(&wag, "web"));
    wag.ok(&update);
    assert_eq!(instances(&wag, "cache").len(), 1);
    assert_eq!((instances(&wag, "db"), instances(&wag, "web")), (before_db, before_web));
    let outputs = wag.json(&["deployments", "outputs", "d"]);
    assert_eq!(outputs["outputs"]["size"], "large", "{outputs}");

    wag.ok(&["deployments", "update", "d", "-b", "d"]);
    assert_eq!(instances(&wag, "cache"), Vec::<String>::new());
    let swept = fs::read_to_string(&runs).unwrap().lines().any(|line| line == "swept");
    assert!(swept, "what goes is taken down by a script that only its own blueprint has");
    let said = wag.refused(3, &["deployments", "update", "d", "-i", "siz=1"]);
    assert_clear(&said, &["update deployment `d`", "no input `siz`"]);
}

#[test]
fn what_holds_an_execution_up_is_told_and_what_waits_for_it_begins_after_it() {
    let site = installed();
    let wag = site.wag();
    let (_, hold, _) = files(&site);
    fs::write(&hold, "").unwrap();
    let id = wag.start_execution("restart", "d");
    let explained = eventually("the first operation to say something", || {
        let told = wag.json(&["executions", "explain", &id]);
        let line = told["waits"][0]["last_log_line"].as_str();
        let has_said = line.is_some_and(|line| line.contains("at work on db_"));
        if has_said { Ok(told) } else { Err(told) }
    });
    let (first, second) = (&explained["waits"][0], &explained["waits"][1]);
    assert_eq!((&first["reason"], &first["agent"]), (&"runs".into(), &"central".into()), "{first}");
    assert_eq!(first["agent_connected"], Value::Bool(true));
    assert_eq!(second["reason"], "operations", "{second}");
    let waits_for = second["waits_for"][0].as_str().unwrap();
    assert!(waits_for.starts_with("db_") && waits_for.contains(".stop"), "{second}");
    let graph = wag.json(&["executions", "graph", &id]);
    assert_eq!(graph["tasks"][1]["after"][0], graph["tasks"][0]["number"], "{graph}");
    assert!(wag.ok(&["executions", "graph", &id]).starts_with("<svg "));

    let said = wag.refused(3, &start("heal", &[]));
    assert_clear(&said, &["`d`", &id]);
    let said = wag.refused(3, &["executions", "resume", &id]);
    assert_clear(&said, &[&id, "started"]);
    let queued = wag.json(&[&start("uninstall", &[])[..], &["--queue", "--detach"]].concat());
    assert_eq!(queued["status"], "queued", "{queued}");
    let told = wag.json(&["executions", "explain", queued["id"].as_str().unwrap()]);
    assert!(told["summary"].as_str().unwrap().contains(&id), "{told}");
    fs::remove_file(&hold).unwrap();
    assert_eq!(wag.await_end(&id)["status"], "terminated");
    let ended = wag.await_end(queued["id"].as_str().unwrap());
    assert_eq!(ended["status"], "terminated", "{ended}");
    let said = wag.refused(3, &["executions", "cancel", &id]);
    assert_clear(&said, &[&id, "terminated"]);
}

#[test]
fn workflows_go_on_after_the_manager_was_killed_and_run_no_operation_twice() {
    let mut site = installed();
    let wag = site.wag();
    let (runs, hold, fail) = files(&site);
    // What each workflow runs, and what then is there.
    for (workflow, parameters, operations, webs) in [
        ("scale", &["scalable_entity_name=web", "delta=2"][..], 4, 3),
        ("heal", &[], 0, 3),
        ("restart", &[], 8, 3),
        ("scale", &["scalable_entity_name=web", "delta=-1"], 2, 2),
    ] {
        fs::write(&runs, "").unwrap();
        fs::write(&hold, "").unwrap();
        let args = [&start(workflow, parameters)[..], &["--detach"]].concat();
        let id = wag.json(&args)["id"].as_str().unwrap().to_owned();
        if operations > 0 {
            eventually("an operation to run", || match count(&runs) {
                0 => Err(0),
                count => Ok(count),
            });
        }
        site.crash_manager();
        site.await_link("central");
        fs::remove_file(&hold).unwrap();
        site.crash_manager();
        let ended = wag.await_end(&id);
        assert_eq!(ended["status"], "terminated", "{ended}");
        let text = fs::read_to_string(&runs).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), operations, "{workflow}: {text}");
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), operations, "{workflow} ran something twice: {text}");
        assert_eq!(instances(&wag, "web").len(), webs, "{workflow}");
    }

    // One that failed goes on where it was, on a manager that did not begin it.
    fs::write(&fail, "").unwrap();
    let id = wag.start_execution("uninstall", "d");
    assert_eq!(wag.await_end(&id)["status"], "failed");
    fs::remove_file(&fail).unwrap();
    site.crash_manager();
    site.await_link("central");
    wag.ok(&["executions", "resume", &id]);
    assert_eq!(wag.json(&["executions", "get", &id])["status"], "terminated");
    wag.ok(&["deployments", "delete", "d"]);
}
