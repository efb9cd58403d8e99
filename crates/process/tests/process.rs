//! Real children of every kind.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "process/cgroup.rs"]
mod cgroup;
#[path = "process/family.rs"]
mod family;
#[path = "process/output.rs"]
mod output;
#[path = "process/start.rs"]
mod start;

use std::time::Duration;

use waggoner_process::{Child, Exit, Output, Source, Spawn};

/// Long enough for whatever does leave when asked, on a busy host.
const LONG: Duration = Duration::from_secs(20);

/// Describes a shell script.
fn shell(script: &str) -> Spawn {
    let mut spawn = Spawn::new("/bin/sh", "/");
    spawn.args = vec!["-c".into(), script.into()];
    spawn.env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    spawn
}

/// Reads everything: stdout, and stderr.
async fn read(output: &mut Output) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(chunk) = output.next().await {
        assert!((1..=131_072).contains(&chunk.bytes.len()));
        match chunk.source {
            Source::Stdout => stdout.extend(chunk.bytes),
            Source::Stderr => stderr.extend(chunk.bytes),
        }
    }
    (stdout, stderr)
}

/// Runs it to its end: how it ended, its stdout and its stderr.
async fn run(spawn: Spawn) -> (Exit, Vec<u8>, Vec<u8>) {
    let (child, mut output) = spawn.start().await.unwrap();
    let (stdout, stderr) = read(&mut output).await;
    assert!(!output.is_cut());
    (child.wait().await, stdout, stderr)
}

/// Reads stdout up to the end of its first line.
async fn first_line(output: &mut Output) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        let chunk = output.next().await.unwrap();
        line.push_str(str::from_utf8(&chunk.bytes).unwrap());
    }
    line.trim_end().to_owned()
}

/// Starts a script, waits for its first line, and returns that too.
async fn start(script: &str) -> (Child, Output, String) {
    let (child, mut output) = shell(script).start().await.unwrap();
    let line = first_line(&mut output).await;
    (child, output, line)
}
