//! A newcomer's first minutes: `wag up`, the page, `wag up` again, `wag down`.

use std::process::{Command, Output};

use camino::Utf8Path;
use fs_err as fs;
use serde_json::Value;
use waggoner_testkit::{cache, http_get, program, root};

use crate::fixtures::assert_clear;

/// Runs `wag` as a person would, with a data directory of its own.
fn wag(data_dir: &Utf8Path, args: &[&str]) -> Output {
    Command::new(program("wag"))
        .args(args)
        .args(["--data-dir", data_dir.as_str()])
        // Packing the example's plugin fetches wheels: once is enough.
        .env("PIP_CACHE_DIR", cache().join("pip"))
        .env("WAGGONER_BIN_DIR", program("wag").parent().expect("a program lies in a folder"))
        .output()
        .expect("wag can be started")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Takes down what is up, whatever happened.
struct Down<'a>(&'a Utf8Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        wag(self.0, &["down", "--purge", "--force"]);
    }
}

#[test]
fn one_command_brings_the_example_up_and_one_takes_it_down() {
    let folder = camino_tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let _down = Down(&data_dir);
    let blueprint = root().join("examples/web-server/blueprint.yaml");
    let up = ["up", blueprint.as_str(), "-i", "greeting=Hello from a story", "--output", "json"];

    let first = wag(&data_dir, &up);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let answer: Value = serde_json::from_slice(&first.stdout).unwrap();
    let url = answer["outputs"]["url"].as_str().expect("the outputs have a URL").to_owned();
    let page = http_get(&url).unwrap();
    assert!(page.contains("200 OK") && page.contains("Hello from a story"), "{page}");

    let second = wag(&data_dir, &up);
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    assert!(said(&second).contains("already; nothing to do"), "{}", said(&second));
    let answer: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(answer["outputs"]["url"].as_str(), Some(url.as_str()));
    http_get(&url).unwrap();

    let down = wag(&data_dir, &["down"]);
    assert_eq!(down.status.code(), Some(0), "{}", said(&down));
    http_get(&url).unwrap_err();
    assert_eq!(processes_that_name(&data_dir), Vec::<String>::new());

    let again = wag(&data_dir, &["down"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(said(&again).contains("Nothing is up."), "{}", said(&again));
}

/// Returns the command lines of processes that name a path, or that work in it.
fn processes_that_name(path: &Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.path();
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let cwd = fs::read_link(process.join("cwd")).unwrap_or_default();
        if command.contains(path.as_str()) || cwd.starts_with(path) {
            found.push(command);
        }
    }
    found
}

#[test]
fn up_may_be_repeated_after_any_failure_and_down_takes_back_what_there_is() {
    let folder = camino_tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let _down = Down(&data_dir);
    let source = folder.path().join("greeting");
    fs::create_dir_all(source.join("scripts")).unwrap();
    let blueprint = source.join("blueprint.yaml");
    let text = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
node_templates:
  greeting:
    type: cloudify.nodes.Root
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/greet.sh, executor: central_deployment_agent, max_retries: 0}
outputs:
  said: {value: {get_attribute: [greeting, said]}}
";
    let up = ["up", blueprint.as_str(), "--output", "json"];

    fs::write(&blueprint, text.replace("cloudify.nodes.Root", "cloudify.nodes.Rot")).unwrap();
    let refused = wag(&data_dir, &up);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert_clear(&said(&refused), &["cloudify.nodes.Rot", "blueprint.yaml:5:"]);

    fs::write(&blueprint, text).unwrap();
    fs::write(source.join("scripts/greet.sh"), "#!/bin/sh\necho no greeting >&2\nexit 4\n")
        .unwrap();
    let failed = wag(&data_dir, &up);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert_clear(&said(&failed), &["install", "failed"]);
    assert!(said(&failed).contains("no greeting"), "{}", said(&failed));

    let script = "#!/bin/sh\nctx instance runtime-properties said hello\n";
    fs::write(source.join("scripts/greet.sh"), script).unwrap();
    let mended = wag(&data_dir, &up);
    assert_eq!(mended.status.code(), Some(0), "{}", said(&mended));
    let answer: Value = serde_json::from_slice(&mended.stdout).unwrap();
    assert_eq!(answer["outputs"]["said"], "hello", "{answer}");

    let down = wag(&data_dir, &["down", "--purge"]);
    assert_eq!(down.status.code(), Some(0), "{}", said(&down));
    assert!(!data_dir.exists());
    assert_eq!(processes_that_name(&data_dir), Vec::<String>::new());
}
