//! The command line, run against a site.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::{Host, Lines, eventually, program};

/// Runs `wag` with a site's profile.
#[derive(Clone, Debug)]
pub struct Wag {
    pub(crate) profile: Utf8PathBuf,
    pub(crate) host: Option<Host>,
}

/// What a run of `wag` said.
#[derive(Clone, Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

// === impl Wag ===

impl Wag {
    /// Uses another profile from here on.
    pub fn set_profile(&mut self, profile: &Utf8Path) {
        profile.clone_into(&mut self.profile);
    }

    /// Returns the command, to be run by hand.
    pub fn command(&self, args: &[&str]) -> Command {
        let wag = program("wag");
        let mut command = match &self.host {
            Some(host) => host.command(&wag),
            None => Command::new(wag),
        };
        command.arg("--profile").arg(&self.profile).args(args);
        command
    }

    /// Starts it, to be read line by line.
    pub fn start(&self, args: &[&str]) -> Lines {
        Lines::start(self.command(args))
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, "")
    }

    /// Runs it to its end with something on its standard input.
    pub fn run_with(&self, args: &[&str], stdin: &str) -> Said {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wag can be started");
        let mut input = child.stdin.take().expect("it is piped");
        // A program that does not read its input may be gone already.
        drop(input.write_all(stdin.as_bytes()));
        drop(input);
        let output = child.wait_with_output().expect("it is our child");
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it and returns the JSON it prints.
    ///
    /// # Panics
    ///
    /// If it fails.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--output", "json"]].concat());
        assert_eq!(said.code, 0, "wag {args:?}: {}{}", said.stdout, said.stderr);
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| {
            panic!("wag {args:?} printed no JSON ({error}): {}", said.stdout)
        })
    }

    /// Runs it, which has to go well.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "wag {args:?}: {}{}", said.stdout, said.stderr);
        said.stdout
    }

    /// Runs it, which has to end with this code, and returns what it says on standard error.
    #[track_caller]
    pub fn refused(&self, code: i32, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, code, "wag {args:?}: {}{}", said.stdout, said.stderr);
        said.stderr
    }

    /// Returns the items of a list.
    #[track_caller]
    pub fn items(&self, args: &[&str]) -> Vec<Value> {
        let list = self.json(args);
        list["items"].as_array().unwrap_or_else(|| panic!("wag {args:?}: {list}")).clone()
    }

    /// Starts an execution without following it, and returns its id.
    #[track_caller]
    pub fn start_execution(&self, workflow: &str, deployment: &str) -> String {
        let args = ["executions", "start", workflow, "--deployment-id", deployment, "--detach"];
        let started = self.json(&args);
        started["id"].as_str().expect("an execution has an id").to_owned()
    }

    /// Waits until an execution has ended, and returns it.
    #[track_caller]
    pub fn await_end(&self, execution: &str) -> Value {
        eventually("the execution to end", || {
            let now = self.json(&["executions", "get", execution]);
            match now["status"].as_str() {
                Some("terminated" | "failed" | "cancelled") => Ok(now),
                _ => Err(now),
            }
        })
    }

    /// Returns the messages of a deployment's events and log lines, oldest first.
    #[track_caller]
    pub fn messages(&self, deployment: &str) -> Vec<String> {
        let events = self.items(&["events", "--deployment-id", deployment]);
        let message = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
        events.iter().map(message).collect()
    }
}
