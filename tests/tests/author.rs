//! A plugin's author: the page, followed to the letter, and operations run without a manager.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};
use waggoner_testkit::{cache, program, python, python_program, root};

/// Commands of the page, and what it shows of them.
#[derive(Debug)]
struct Step {
    /// The line of the page.
    line: usize,
    commands: String,
    shown: Option<String>,
}

/// The home of the page's reader.
const HOME: &str = "/home/you";

/// What stands between the outputs of two steps.
const MARK: &str = "@@@ next step";

#[test]
fn the_authors_page_leads_from_the_template_to_an_installed_blueprint() {
    let page = fs::read_to_string(root().join("docs/plugins.md")).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 10, "the page has its commands: {steps:?}");
    let home = camino_tempfile::tempdir().unwrap();
    let _down = Down(home.path());
    let each = |step: &Step| format!("printf '%s\\n' '{MARK}'\n{}\n", step.commands);
    let script = steps.iter().map(each).collect::<Vec<_>>().concat();

    let said = shell(home.path()).args(["-euc", &format!("exec 2>&1\n{script}")]).output().unwrap();
    let printed = String::from_utf8_lossy(&said.stdout).replace(home.path().as_str(), HOME);
    let seen: Vec<_> = printed.split(&format!("{MARK}\n")).skip(1).collect();
    for (step, seen) in steps.iter().zip(&seen) {
        if let Some(shown) = &step.shown {
            assert!(
                fits(&lines(shown), &lines(seen)),
                "line {} of the page shows\n{shown}\nbut there was\n{seen}\nafter all of\n{printed}",
                step.line
            );
        }
    }
    assert!(said.status.success(), "{printed}");
    assert_eq!(seen.len(), steps.len());
    assert_eq!(processes_below(home.path()), Vec::<String>::new());
}

#[test]
fn an_operation_runs_without_a_manager_and_leaves_nothing_running() {
    let home = camino_tempfile::tempdir().unwrap();
    let tree = home.path().join("plugin");
    copy(&root().join("tests/plugins/author"), &tree);
    fs::create_dir_all(home.path().join("resources/folder")).unwrap();
    fs::write(home.path().join("resources/folder/file.txt"), "from a file").unwrap();
    let author = Author { home: home.path() };

    // Everything that is given is seen.
    let (code, seen) = author.json(&[
        "see",
        "--inputs=given={concat: [one, two]}",
        "--properties=password={get_secret: key}",
        "--runtime-properties=before=here",
        "--secrets=key=s3cret",
        "--resources=resources",
    ]);
    assert_eq!((code, &seen["status"]), (0, &json!("succeeded")), "{seen:#}");
    assert_eq!(
        seen["result"],
        json!({
            "given": "onetwo",
            "properties": {"password": "s3cret"},
            "before": "here",
            "resource": "from a file",
            "secret": "s3cret",
            "operation": "cloudify.interfaces.lifecycle.see",
            "version": "1.0",
        })
    );
    assert_eq!(seen["runtime_properties"], json!({"before": "here", "seen": true}));
    let said = |event: &Value| format!("{} {}", event["level"], event["message"]);
    let said: Vec<_> = seen["events"].as_array().unwrap().iter().map(said).collect();
    for line in [r#""warning" "logged""#, r#""stdout" "printed""#] {
        assert!(said.iter().any(|said| said == line), "{said:?}");
    }

    // A change in the sources counts at once, and so does what is kept in a state file.
    let tasks = tree.join("src/author_plugin/tasks.py");
    let text = fs::read_to_string(&tasks).unwrap();
    fs::write(&tasks, text.replace("return 'well'", "return 'better'")).unwrap();
    let (code, tried) = author.json(&["third_time", "--retries=2", "--state=state.json"]);
    assert_eq!((code, &tried["result"], &tried["attempts"]), (0, &json!("better"), &json!(3)));
    let state = fs::read_to_string(home.path().join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state, json!({"runtime_properties": {"tries": 3}}));

    let (code, failed) = author.json(&["third_time", "--retries=1", "--state=state.json"]);
    assert_eq!((code, &failed["status"]), (75, &json!("recoverable")), "{failed:#}");
    assert!(failed["error"]["message"].as_str().unwrap().starts_with("not yet"), "{failed:#}");
    assert_eq!(failed["runtime_properties"], json!({"tries": 2}));

    let (code, connected) = author.json(&["connect", "--target-properties=port=80"]);
    assert_eq!(code, 0, "{connected:#}");
    assert_eq!(connected["runtime_properties"], json!({"port": 80}));
    assert_eq!(connected["target_runtime_properties"], json!({"source": "node_1"}));

    let (code, late) = author.json(&["sleep", "--timeout=1"]);
    assert_eq!((code, &late["status"]), (1, &json!("failed")), "{late:#}");

    // An interruption cancels the operation, and what it has written is told.
    let mut interrupted = author.start(&["sleep", "--output=json"]);
    interrupted.until("sleeping");
    signal(&interrupted, Signal::SIGINT);
    let (code, told) = interrupted.end();
    assert_eq!((code, &told["status"]), (130, &json!("cancelled")), "{told:#}");
    assert_eq!(told["runtime_properties"], json!({"slept": false}));
    assert_eq!(processes_below(home.path()), Vec::<String>::new());

    // One that is killed cannot clear up: the next does.
    let mut killed = author.start(&["sleep"]);
    killed.until("sleeping");
    signal(&killed, Signal::SIGKILL);
    drop(killed.child.wait());
    let (code, _) = author.json(&["third_time", "--retries=2"]);
    assert_eq!(code, 0);
    assert_eq!(processes_below(home.path()), Vec::<String>::new());
    assert!(!home.path().join(".local").exists(), "no manager was asked for");
}

#[test]
fn scripts_run_without_a_manager_and_nonsense_is_refused_before_anything_is_made() {
    let home = camino_tempfile::tempdir().unwrap();
    let tree = home.path().join("plugin");
    copy(&root().join("tests/plugins/author"), &tree);
    let author = Author { home: home.path() };
    for (operation, words) in [
        ("nonsense", "`nonsense` is no function"),
        ("author_plugin.task.see", "the plugin has no module `author_plugin.task`"),
        ("author_plugin.tasks.sea", "`author_plugin.tasks` has no `sea`: it has `see`"),
    ] {
        let said = author.run(&[operation]).output().unwrap();
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(3), "{told}");
        assert!(told.contains(words) && !told.contains("Packing"), "{told}");
    }
    assert!(!home.path().join(".cache").exists(), "nothing was made");

    fs::create_dir(tree.join("scripts")).unwrap();
    let script = "#!/bin/sh\nset -eu\nctx instance runtime-properties said \"$word\"\n\
                  ctx logger info \"$(ctx get-resource scripts/more.txt)\"\nctx returns done\n";
    fs::write(tree.join("scripts/say.sh"), script).unwrap();
    fs::write(tree.join("scripts/more.txt"), "and more").unwrap();
    let said = author.run(&["scripts/say.sh", "--inputs=word=hello", "--output=json"]);
    let (code, said) = json_of(said);
    assert_eq!((code, &said["result"]), (0, &json!("done")), "{said:#}");
    assert_eq!(said["runtime_properties"], json!({"said": "hello"}));
    let heard = said["events"].as_array().unwrap().iter();
    let heard: Vec<_> = heard.map(|event| event["message"].as_str().unwrap_or_default()).collect();
    assert!(heard.contains(&"and more"), "{heard:?}");
    let source = "--inputs=script_source=ctx returns given";
    let said = author.run(&["script.script_runner.tasks.run", source, "--output=json"]);
    assert_eq!(json_of(said).1["result"], "given");
}

/// Runs operations of the plugin in a home's `plugin/`.
struct Author<'a> {
    home: &'a Utf8Path,
}

/// One run, while it lasts.
struct Run {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

// === impl Author ===

impl Author<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = shell(self.home);
        let test = "exec wag plugins test plugin --operation author_plugin.tasks.\"$@\"";
        command.current_dir(self.home).args(["-c", test, "bash"]).args(args);
        command
    }

    /// The same for what is no function of its tasks.
    fn run(&self, args: &[&str]) -> Command {
        let mut command = shell(self.home);
        let test = "exec wag plugins test plugin --operation \"$@\"";
        command.current_dir(self.home).args(["-c", test, "bash"]).args(args);
        command
    }

    /// Runs one to its end, and returns what it ends with and what it prints.
    fn json(&self, args: &[&str]) -> (i32, Value) {
        let mut command = self.command(args);
        command.arg("--output=json");
        json_of(command)
    }

    fn start(&self, args: &[&str]) -> Run {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Run { child, stderr }
    }
}

// === impl Run ===

impl Run {
    /// Reads on until a line says this.
    fn until(&mut self, wanted: &str) {
        let mut all = String::new();
        while !all.contains(wanted) {
            assert!(self.stderr.read_line(&mut all).unwrap() > 0, "it ended: {all}");
        }
    }

    fn end(mut self) -> (i32, Value) {
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        (code, serde_json::from_str(&printed).unwrap())
    }
}

/// Runs it to its end, and returns what it ends with and what it prints.
fn json_of(mut command: Command) -> (i32, Value) {
    let said = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    let printed = serde_json::from_slice(&said.stdout);
    let printed = printed.unwrap_or_else(|error| panic!("{command:?} ({error}): {stderr}"));
    (said.status.code().unwrap_or(-1), printed)
}

fn signal(run: &Run, signal: Signal) {
    let pid = i32::try_from(run.child.id()).unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
}

fn copy(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to).unwrap();
    for entry in from.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// Reads the blocks of a page: commands, and what follows them as text.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((fence, line)) = lines.next() {
        let Some(kind) = fence.strip_prefix("```") else { continue };
        let block = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```");
        let block = block.fold(String::new(), |block, line| block + line + "\n");
        match kind {
            "sh" => steps.push(Step { line, commands: block, shown: None }),
            "text" => {
                let step = steps.last_mut().expect("what is shown is of a command");
                assert!(step.shown.replace(block).is_none(), "line {line}: shown a second time");
            }
            other => panic!("line {line}: a block of `{other}`"),
        }
    }
    steps
}

/// Lines without what every run has of its own: the times.
fn lines(text: &str) -> Vec<String> {
    let is_time = |word: &str| {
        word.len() == "17:24:16.241".len()
            && word.chars().enumerate().all(|(at, c)| match at {
                2 | 5 => c == ':',
                8 => c == '.',
                _ => c.is_ascii_digit(),
            })
    };
    let line = |line: &str| match line.split_once(' ') {
        Some((word, rest)) if is_time(word) => format!("TIME {rest}"),
        _ => line.trim_end().to_owned(),
    };
    text.lines().map(line).collect()
}

/// Whether what was seen is what was shown, where `…` alone is any lines and within one any text.
fn fits(shown: &[String], seen: &[String]) -> bool {
    match shown.split_first() {
        None => seen.is_empty(),
        Some((any, rest)) if any == "…" => (0..=seen.len()).any(|at| fits(rest, &seen[at..])),
        Some((line, rest)) => {
            seen.split_first().is_some_and(|(first, seen)| is_like(line, first) && fits(rest, seen))
        }
    }
}

fn is_like(shown: &str, seen: &str) -> bool {
    match shown.split_once('…') {
        None => shown == seen,
        Some((before, after)) => seen.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().any(|(at, _)| is_like(after, &rest[at..])) || is_like(after, "")
        }),
    }
}

/// A shell of the page's reader, whose home this is.
fn shell(home: &Utf8Path) -> Command {
    let programs = program("wag");
    let programs = programs.parent().expect("a program lies in a folder");
    let python = base_python();
    let python = python.parent().expect("a program lies in a folder");
    let mut shell = Command::new("bash");
    let own = ["XDG_CACHE_HOME", "XDG_DATA_HOME", "WAGGONER_PROFILE", "WAGGONER_DATA_DIR"];
    for name in own {
        shell.env_remove(name);
    }
    shell
        .current_dir(root())
        .env("HOME", home)
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", format!("{programs}:{python}:/usr/local/bin:/usr/bin:/bin"))
        // What is fetched is fetched once.
        .env("PIP_CACHE_DIR", cache().join("pip"))
        .env("WAGGONER_UV", python_program("uv"));
    shell
}

/// The interpreter that the one of the tests was made of: it has nothing installed.
fn base_python() -> Utf8PathBuf {
    let said = Command::new(python())
        .args(["-c", "import os, sys; print(os.path.realpath(sys._base_executable))"])
        .output()
        .unwrap();
    Utf8PathBuf::from(String::from_utf8(said.stdout).unwrap().trim())
}

/// The command lines of processes that name a path.
fn processes_below(path: &Utf8Path) -> Vec<String> {
    let commands = fs::read_dir("/proc").unwrap().flatten().map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).replace('\0', " ")
    });
    commands.filter(|command| command.contains(path.as_str())).collect()
}

/// Takes down what is up, whatever happened.
struct Down<'a>(&'a Utf8Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let down = "wag down --all --purge --force";
        drop(shell(self.0).args(["-c", down]).output());
    }
}
