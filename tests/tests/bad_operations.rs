//! Operations that behave badly: the daemons go on, and the reason is one sentence.

use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use waggoner_testkit::{Said, Site, Wag};

use crate::{
    fixtures::{assert_clear, awkward_blueprint, script_blueprint, site_with_agent},
    wagons::awkward,
};

/// How a script's operation has to end.
enum Ends {
    /// Well, with this in one of its log lines.
    Well(&'static str),
    /// Badly, with these words in the reason.
    Badly(&'static [&'static str]),
}

use Ends::{Badly, Well};

const SCRIPTS: [(&str, &str, Ends); 12] = [
    ("fine", "echo fine", Well("<out> fine")),
    ("binary", "head -c 100000 /dev/urandom; printf '\\377\\000\\nread on\\n'", Well("read on")),
    ("long-line", "head -c 10000000 /dev/zero | tr '\\000' x; echo end", Well("xend")),
    ("silent", "sleep 61; echo awake", Well("<out> awake")),
    ("leaves-a-child", "sleep 300 & echo $! > $PIDS/leaves; echo left", Well("<out> left")),
    (
        "leaves-a-daemon",
        "setsid sleep 300 > /dev/null 2>&1 & echo $! > $PIDS/daemon; echo left",
        Well("<out> left"),
    ),
    ("closes-its-output", "exec > /dev/null 2>&1; ctx logger info quiet", Well("quiet")),
    ("killed", "kill -9 $$", Badly(&["exit_code: 137", "Killed"])),
    ("terminated", "kill -TERM $$", Badly(&["exit_code: 143"])),
    ("fails", "echo so; echo no disk >&2; exit 3", Badly(&["exit_code: 3", "no disk"])),
    ("no-json", "set -e; ctx returns '@{not json'", Badly(&["exit_code: 1"])),
    ("no-interpreter", "#!/no/such/interpreter", Badly(&["exit_code: 12"])),
];

#[test]
fn whatever_a_script_does_the_daemons_go_on_and_the_reason_is_told() {
    let mut site = Site::start_with(&["--task-retries", "0", "--heartbeat-secs", "1"]);
    site.agent("host", "host");
    let wag = site.wag();
    let pids = site.folder().join("pids");
    fs::create_dir_all(&pids).unwrap();
    // All at once: the silent one takes its time.
    let started: Vec<_> = SCRIPTS
        .iter()
        .map(|(name, script, _)| {
            let shell = format!("#!/bin/sh\nPIDS={pids}\n");
            let first = if script.starts_with("#!") { "" } else { &shell };
            let script = format!("{first}{script}\n");
            let blueprint = script_blueprint(&site, name, &script);
            site.deploy(name, &blueprint, &[]);
            wag.start_execution("install", name)
        })
        .collect();
    for ((name, _, ends), execution) in SCRIPTS.iter().zip(&started) {
        let ended = wag.await_end(execution);
        let messages = wag.messages(name);
        match ends {
            Well(text) => {
                assert_eq!(ended["status"], "terminated", "{name}: {ended}");
                let said = messages.iter().any(|message| message.contains(text));
                let brief: Vec<_> = messages.iter().map(|line| brief(line)).collect();
                assert!(said, "{name}: `{text}` is missing: {brief:#?}");
            }
            Badly(words) => {
                assert_eq!(ended["status"], "failed", "{name}: {ended}");
                let why = ended["error"].as_str().unwrap();
                assert_clear(&format!("error: {why}"), &[&["app"], *words].concat());
            }
        }
    }
    let long: usize = wag
        .messages("long-line")
        .iter()
        .filter_map(|line| line.strip_prefix("<out> "))
        .map(|line| line.chars().filter(|letter| *letter == 'x').count())
        .sum();
    assert_eq!(long, 10_000_000);
    for left in ["leaves", "daemon"] {
        let pid = fs::read_to_string(pids.join(left)).unwrap();
        end(pid.trim().parse().unwrap(), left);
    }
    assert_still_serves(&site);
}

#[test]
fn whatever_a_python_operation_does_the_daemons_go_on_and_the_reason_is_told() {
    let site = site_with_agent();
    let wag = site.wag();
    let (wagon, yaml) = awkward(&wag);
    wag.ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    let blueprint = awkward_blueprint(&site, "awkward");
    site.install("awkward", &blueprint, &[]);

    for operation in ["binary", "long_line", "daemon", "fine"] {
        assert_runs(&wag, operation);
    }
    let bad: [(&str, &[&str]); 6] = [
        ("object", &["object", "JSON"]),
        ("set", &["set"]),
        ("killed", &["-9"]),
        ("exits", &["rc=7"]),
        ("raises", &["strange"]),
        ("absent", &["absent"]),
    ];
    for (operation, words) in bad {
        let said = run(&wag, operation);
        assert_eq!(said.code, 1, "{operation}: {}", said.stderr);
        assert_clear(&said.stderr, &["execute_operation", "failed"]);
        for word in words {
            assert!(
                said.stderr.contains(word),
                "{operation}: `{word}` is missing: {}",
                said.stderr
            );
        }
    }
    let instances = wag.items(&["node-instances", "list", "-d", "awkward", "--node", "app"]);
    let properties = &instances[0]["runtime_properties"];
    assert_eq!(properties.get("given"), None, "half a change was kept: {properties}");
    end(properties["pid"].as_i64().unwrap().try_into().unwrap(), "daemon");
    assert_still_serves(&site);
    assert_runs(&wag, "fine");
}

/// Runs one operation of the awkward plugin.
fn run(wag: &Wag, operation: &str) -> Said {
    let operation = format!("operation=awkward.{operation}");
    let start = ["executions", "start", "execute_operation", "--deployment-id", "awkward"];
    wag.run(&[&start[..], &["-p", &operation, "-p", "node_ids=[app]"]].concat())
}

#[track_caller]
fn assert_runs(wag: &Wag, operation: &str) {
    let said = run(wag, operation);
    assert_eq!(said.code, 0, "{operation}: {}", said.stderr);
}

/// Ends a process that an operation left behind on purpose.
fn end(pid: i32, what: &str) {
    let ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
    assert_eq!(ended, Ok(()), "what `{what}` started did not live on");
}

fn assert_still_serves(site: &Site) {
    let status = site.wag().json(&["status"]);
    assert_eq!(status["agents_connected"], 1, "{status}");
    assert_eq!(status["executions_running"], 0, "{status}");
    let again = script_blueprint(site, "afterwards", "#!/bin/sh\nctx logger info afterwards\n");
    site.install("afterwards", &again, &[]);
    let messages: Vec<_> = site.wag().messages("afterwards");
    assert!(messages.iter().any(|message| message == "afterwards"), "{messages:#?}");
}

/// The beginning of a line, for people who read why a test failed.
fn brief(line: &str) -> Value {
    line.chars().take(120).collect::<String>().into()
}
