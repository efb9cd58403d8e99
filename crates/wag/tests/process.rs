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

#[test]
fn a_blueprint_is_checked_without_a_manager() {
    let dir = tempdir();
    let main = dir.path().join("web/blueprint.yaml");
    let sound = "tosca_definitions_version: cloudify_dsl_1_4\n\
                 imports: [cloudify/types/types.yaml, 'plugin:my-plugin?version=>=1,<2']\n\
                 node_templates:\n  one: {type: my.Node}\n";
    write(&main, sound);
    let plugin = dir.path().join("web/plugins/mine/plugin.yaml");
    write(
        &plugin,
        "plugins:\n  my: {executor: host_agent, package_name: my-plugin, package_version: '1.2'}\n\
         node_types:\n  my.Node: {}\n",
    );
    write(&dir.path().join("web/plugins/mine/setup.py"), "");
    let validate = ["blueprints", "validate", main.as_str()];
    let (code, out, err) = run(&dir, &validate);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("No manager can be reached: checked here."), "{err}");

    write(&main, &sound.replace("my.Node", "my.Nod"));
    let (code, _, err) = run(&dir, &validate);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("error: the blueprint is not valid\n  blueprint.yaml:4:"), "{err}");

    write(&main, &sound.replace("my-plugin", "other-plugin"));
    let (code, _, err) = run(&dir, &validate);
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("it is not in `plugins/`, and no manager was asked"), "{err}");
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
