//! The daemon's program: what it says and how it exits.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use camino_tempfile::Utf8TempDir;

fn agent(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waggoner-agent"));
    command.args(args).env("RUST_LOG", "off").stdin(Stdio::null());
    command.env_remove("WAGGONER_SOCKET").env_remove("CTX_SOCKET_URL");
    command.output().expect("cargo has built the agent")
}

fn last_words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_an_identity_and_a_token_it_says_what_to_do() {
    let directory = Utf8TempDir::new().unwrap();
    let state = directory.path().join("state");
    let output = agent(&["--state-dir", state.as_str(), "--manager", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(78));
    let words = last_words(&output);
    assert!(words.starts_with("error: this agent has no certificate that is still good: make"));
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[test]
fn a_join_token_that_is_none_is_refused_without_being_shown() {
    let directory = Utf8TempDir::new().unwrap();
    let (state, token) = (directory.path().join("state"), directory.path().join("token"));
    let mut file = fs_err::File::create(&token).unwrap();
    file.write_all(b"hunter2").unwrap();
    let args =
        ["--state-dir", state.as_str(), "--manager", "127.0.0.1:1", "--join", token.as_str()];
    let output = agent(&args);
    assert_eq!(output.status.code(), Some(78));
    let words = last_words(&output);
    assert!(words.contains("this is not a join token") && !words.contains("hunter2"), "{words}");
}

#[test]
fn neither_or_both_ways_to_a_manager_are_refused() {
    let neither = agent(&["--state-dir", "/nowhere"]);
    assert_eq!(neither.status.code(), Some(2));
    let both = ["--state-dir", "/nowhere", "--manager", "a:1", "--listen", "127.0.0.1:0"];
    assert_eq!(agent(&both).status.code(), Some(2));
}

#[test]
fn ctx_outside_an_operation_says_so() {
    let output = agent(&["ctx", "node", "properties"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(last_words(&output).contains("CTX_SOCKET_URL"), "{}", last_words(&output));
}
