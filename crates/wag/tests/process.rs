//! The program itself, as a process: what it ends with and what becomes of its streams.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

use camino::Utf8Path;
use camino_tempfile::Utf8TempDir;

/// The program, with a data directory and an environment of its own.
fn wag(dir: &Utf8TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wag"));
    command.env_clear();
    command.env("WAGGONER_DATA_DIR", dir.path().join("data"));
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn run(dir: &Utf8TempDir, line: &[&str]) -> (Option<i32>, String, String) {
    said(&wag(dir).args(line).output().unwrap())
}

fn write(path: &Utf8Path, text: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

fn tempdir() -> Utf8TempDir {
    camino_tempfile::tempdir().unwrap()
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let (code, out, err) = run(&tempdir(), &["plugins", "explode"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("unrecognized subcommand"), "{err}");
}

#[test]
fn no_profile_is_no_manager() {
    let (code, out, err) = run(&tempdir(), &["status"]);
    assert_eq!((code, out.as_str()), (Some(69), ""));
    assert!(err.starts_with("error: failed to find a manager: there is no profile"), "{err}");
    assert!(err.contains("hint: `wag up` starts a manager"), "{err}");
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let dir = tempdir();
    let mut command = wag(&dir);
    let command =
        command.args(["completion", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let (code, _, err) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_detached_program_leads_a_session_under_the_same_id() {
    let dir = tempdir();
    let mut command = wag(&dir);
    let command = command.args(["__detach", "--", "cat", "/proc/self/stat"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let fields: Vec<_> = line.split(' ').collect();
    let id = child.id().to_string();
    assert_eq!((fields[0], fields[5]), (id.as_str(), id.as_str()), "{line}");
    assert!(child.wait().unwrap().success());
}

const SOUND: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml, 'plugin:my-plugin?version=>=1,<2']
inputs: {port: {type: integer}}
node_templates:
  vm: {type: cloudify.nodes.Compute}
  one:
    type: my.Node
    properties: {port: {get_input: port}}
    relationships: [{type: cloudify.relationships.contained_in, target: vm}]
";

const PLUGIN: &str = "\
plugins:
  my: {executor: host_agent, package_name: my-plugin, package_version: '1.2'}
node_types:
  my.Node: {properties: {port: {type: integer}}}
";

#[test]
fn a_blueprint_is_checked_without_a_manager() {
    let dir = tempdir();
    let main = dir.path().join("web/blueprint.yaml");
    write(&main, SOUND);
    write(&dir.path().join("web/plugins/mine/plugin.yaml"), PLUGIN);
    write(&dir.path().join("web/plugins/mine/setup.py"), "");
    let validate = ["blueprints", "validate", main.as_str()];
    let (code, out, err) = run(&dir, &validate);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("No manager can be reached: checked here."), "{err}");

    write(&main, &SOUND.replace("my.Node", "my.Nod"));
    let (code, _, err) = run(&dir, &validate);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("error: the blueprint is not valid\n  blueprint.yaml:7:"), "{err}");
    assert!(err.contains("\n    7 |     type: my.Nod\n"), "{err}");

    write(&main, &SOUND.replace("my-plugin", "other-plugin"));
    let (code, _, err) = run(&dir, &validate);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("nothing in `plugins/` and no manager that was asked has it"), "{err}");
}

/// A blueprint with the YAML of its plugin elsewhere.
fn with_plugin(dir: &Utf8TempDir, blueprint: &str) -> [String; 3] {
    let main = dir.path().join("web/blueprint.yaml");
    let yaml = dir.path().join("elsewhere/plugin.yaml");
    write(&main, blueprint);
    write(&yaml, PLUGIN);
    [main.into_string(), "--plugin-yaml".to_owned(), yaml.into_string()]
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn findings_are_told_to_programs_with_their_codes_and_places() {
    let dir = tempdir();
    let [main, flag, yaml] = with_plugin(&dir, SOUND);
    let line = ["blueprints", "validate", &main, &flag, &yaml, "--offline", "-o", "json"];
    let (code, out, err) = run(&dir, &line);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(json(&out), serde_json::json!({ "valid": true, "findings": [] }));

    let wrong = SOUND.replace("my.Node", "my.Nod").replace("target: vm", "target: vn");
    with_plugin(&dir, &wrong);
    let (code, out, _) = run(&dir, &line);
    assert_eq!(code, Some(3));
    let answer = json(&out);
    assert_eq!(answer["valid"], false);
    assert_eq!(answer["findings"].as_array().unwrap().len(), 1);
    assert_eq!(
        answer["findings"][0],
        serde_json::json!({
            "code": 7,
            "exception": "DSLParsingLogicException",
            "message": "the node `one` is of type `my.Nod`, which is not defined",
            "hint": "did you mean `my.Node`?",
            "file": "blueprint.yaml",
            "line": 7,
            "column": 5,
            "path": "node_templates.one",
            "snippet": "5 |   vm: {type: cloudify.nodes.Compute}\n6 |   one:\n\
                        7 |     type: my.Nod\n  |     ^\n\
                        8 |     properties: {port: {get_input: port}}\n\
                        9 |     relationships: [{type: cloudify.relationships.contained_in, target: vn}]\n",
        })
    );
}

#[test]
fn a_plan_is_printed_as_the_blueprint_has_it_or_filled_in() {
    let dir = tempdir();
    let [main, flag, yaml] = with_plugin(&dir, SOUND);
    let line = ["blueprints", "plan", &main, &flag, &yaml, "-o", "json"];
    let (code, out, err) = run(&dir, &line);
    assert_eq!(code, Some(0), "{err}");
    let plan = json(&out);
    assert_eq!(plan["nodes"][1]["properties"]["port"], serde_json::json!({ "get_input": "port" }));
    assert_eq!(plan.get("node_instances"), None);

    let inputs = dir.path().join("inputs.yaml");
    write(&inputs, "port: 80\n");
    let filled = [line.as_slice(), &["--inputs", inputs.as_str()]].concat();
    let (code, out, err) = run(&dir, &filled);
    assert_eq!(code, Some(0), "{err}");
    let plan = json(&out);
    assert_eq!(plan["nodes"][1]["properties"]["port"], 80);
    assert_eq!(plan["node_instances"].as_array().unwrap().len(), 2);
    assert_eq!(run(&dir, &filled).1, out, "the same each time");

    let (code, _, err) = run(&dir, &[line.as_slice(), &["-i", "prot=80"]].concat());
    assert_eq!(code, Some(3));
    assert!(err.contains("the deployment needs a value for the input `port`"), "{err}");
    let (_, out, _) = run(&dir, &[&line[..5], &["-i", "port=80"]].concat());
    assert!(out.contains("one   my.Node"), "{out}");
    assert!(out.contains("contained_in vm"), "{out}");
}

#[test]
fn a_graph_is_svg_text_or_json() {
    let dir = tempdir();
    let [main, flag, yaml] = with_plugin(&dir, SOUND);
    let line = ["blueprints", "graph", &main, &flag, &yaml];
    let (code, out, err) = run(&dir, &line);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("<svg "), "{out}");
    assert_eq!(run(&dir, &[line.as_slice(), &["--output", "svg"]].concat()).1, out);
    let (_, out, _) = run(&dir, &[line.as_slice(), &["--text"]].concat());
    assert_eq!(out, "vm (cloudify.nodes.Compute)\n└─ one (my.Node)\n");
    let (_, out, _) = run(&dir, &[line.as_slice(), &["-o", "json"]].concat());
    assert_eq!(json(&out)["nodes"][1]["contained_in"], "vm");

    let (code, _, err) = run(&dir, &["status", "-o", "svg"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("`--output svg` is for `blueprints graph` only"), "{err}");
}

#[test]
fn a_manager_that_does_not_start_is_shown_with_the_end_of_its_log() {
    let dir = tempdir();
    let bin = dir.path().join("bin");
    let program = bin.join("waggoner-manager");
    write(&program, "#!/bin/sh\necho hello\necho 'the disk is full' >&2\nexit 1\n");
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let blueprint = dir.path().join("web/blueprint.yaml");
    write(&blueprint, "tosca_definitions_version: cloudify_dsl_1_4\n");

    let line = ["up", blueprint.as_str()];
    let output = wag(&dir).env("WAGGONER_BIN_DIR", &bin).args(line).output().unwrap();
    let (code, out, err) = said(&output);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let expected = "error: failed to start `waggoner-manager`: it ended before it was ready\n  \
                    the disk is full\n";
    assert!(err.contains(expected), "{err}");
    assert!(err.contains("/data/manager.log`"), "{err}");
}

#[test]
fn a_relative_data_directory_is_the_same_for_the_daemons() {
    let dir = tempdir();
    let program = dir.path().join("bin/waggoner-manager");
    write(&program, "#!/bin/sh\necho \"$@\" >&2\nexit 1\n");
    fs_err::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    write(&dir.path().join("web/blueprint.yaml"), "tosca_definitions_version: cloudify_dsl_1_4\n");
    let mut command = wag(&dir);
    command.env("WAGGONER_BIN_DIR", dir.path().join("bin")).current_dir(dir.path());
    let (_, _, err) = said(&command.args(["--data-dir", "here", "up", "web"]).output().unwrap());
    let expected = format!("--data-dir {} --listen 127.0.0.1:0\n", dir.path().join("here"));
    assert!(err.contains(&expected), "{err}");
}

#[test]
fn nothing_is_taken_back_where_nothing_is_up() {
    let dir = tempdir();
    assert_eq!(run(&dir, &["down"]), (Some(0), String::new(), "Nothing is up.\n".to_owned()));
    let (code, out, _) = run(&dir, &["down", "-o", "json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json, serde_json::json!({ "deployments": [], "stopped": [], "purged": false }));
}
