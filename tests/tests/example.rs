//! A newcomer's first minutes: `wag up`, the page, `wag up` again, `wag down`.

use std::process::{Command, Output};

use camino::Utf8Path;
use fs_err as fs;
use serde_json::Value;
use waggoner_testkit::{cache, http_get, program, root};

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
