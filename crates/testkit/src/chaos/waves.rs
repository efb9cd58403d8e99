//! Installations one after the other, so that operations run the whole time.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Map, Value};

use crate::{
    Said, Wag,
    chaos::{
        verdict::Seen,
        work::{NODES, operations},
    },
};

/// One after the other in a lane: makes deployments and installs them.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    pub(super) number: usize,
    pub(super) wag: Wag,
    /// Where operations count their runs.
    pub(super) runs: Utf8PathBuf,
    /// No further wave is begun once it is set.
    pub(super) is_over: &'a AtomicBool,
    /// When waiting ends in any case.
    pub(super) deadline: Instant,
}

/// An installation.
#[derive(Clone, Debug)]
pub(super) struct Wave {
    /// Of its deployment.
    pub(super) id: String,
    pub(super) execution: String,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    /// How it did not end well.
    pub(super) trouble: Option<String>,
}

/// The blueprint that waves are deployments of.
pub(super) const BLUEPRINT: &str = "chaos";

/// How long to wait between two looks at an execution.
const LOOK: Duration = Duration::from_millis(500);

// === impl Lane ===

impl Lane<'_> {
    /// Installs wave after wave. Ends when the last wave has, or with what cannot be done.
    pub(super) fn run(&self) -> Result<Vec<Wave>, String> {
        let mut waves = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let id = format!("wave-{}-{}", self.number, waves.len());
            let begun = Instant::now();
            self.deploy(&id)?;
            let execution = self.start(&id)?;
            let trouble = self.follow(&execution);
            let ended = Instant::now();
            waves.push(Wave { id, execution, begun, ended, trouble });
        }
        Ok(waves)
    }

    fn deploy(&self, id: &str) -> Result<(), String> {
        let (wave, runs) = (format!("wave={id}"), format!("runs={}", self.runs));
        let create = ["deployments", "create", id, "-b", BLUEPRINT, "-i", &wave, "-i", &runs];
        self.until(|| {
            // The answer to the last try may have been lost.
            if self.wag.run(&["deployments", "get", id]).code == 0 {
                return Ok(());
            }
            done(self.wag.run(&create)).map(drop)
        })
    }

    fn start(&self, id: &str) -> Result<String, String> {
        let list = ["executions", "list", "-d", id];
        let install = ["executions", "start", "install", "-d", id, "--detach"];
        self.until(|| {
            let begun = items(&self.wag, &list)?;
            let install_begun = begun.iter().find(|one| one["workflow_id"] == "install");
            let started = match install_begun {
                Some(execution) => execution.clone(),
                None => json(&self.wag, &install)?,
            };
            started["id"].as_str().map(str::to_owned).ok_or_else(|| started.to_string())
        })
    }

    /// Waits for the end of an execution, and says how it did not end well.
    fn follow(&self, execution: &str) -> Option<String> {
        let ended = self.until(|| {
            thread::sleep(LOOK);
            let now = json(&self.wag, &["executions", "get", execution])?;
            match now["status"].as_str() {
                Some("terminated") => Ok(None),
                Some("failed" | "cancelled") => {
                    Ok(Some(format!("{}: {}", now["status"], now["error"])))
                }
                _ => Err(format!(
                    "{}, {} of {} operations",
                    now["status"], now["finished_operations"], now["total_operations"]
                )),
            }
        });
        ended.unwrap_or_else(Some)
    }

    /// Tries until it works, or returns why it did not until the deadline.
    fn until<T>(&self, mut work: impl FnMut() -> Result<T, String>) -> Result<T, String> {
        loop {
            match work() {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= self.deadline => {
                    return Err(format!("not in time: {error}"));
                }
                Err(_) => thread::sleep(LOOK),
            }
        }
    }
}

// === impl Wave ===

impl Wave {
    /// Reads what is to be seen of it.
    pub(super) fn seen(&self, wag: &Wag, runs: &Utf8Path) -> Result<Seen, String> {
        let events = items(wag, &["events", &self.execution])?;
        let text = |event: &Value| event["message"].as_str().unwrap_or_default().to_owned();
        let instances = items(wag, &["node-instances", "list", "-d", &self.id])?;
        let mut properties: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for instance in instances {
            let node = instance["node_id"].as_str().unwrap_or_default().to_owned();
            if NODES.iter().any(|(name, _)| *name == node) {
                let held = instance["runtime_properties"].as_object().cloned();
                properties.insert(node, held.unwrap_or_default());
            }
        }
        let count = |name: String| {
            let lines = fs::read_to_string(runs.join(&name)).unwrap_or_default();
            (name, lines.lines().count() as u64)
        };
        let runs = operations(&self.id).map(|operation| count(operation.name())).collect();
        let messages = events.iter().map(text).collect();
        Ok(Seen { messages, properties, runs, is_whole: self.trouble.is_none() })
    }
}

fn done(said: Said) -> Result<String, String> {
    if said.code == 0 { Ok(said.stdout) } else { Err(said.stdout + &said.stderr) }
}

fn json(wag: &Wag, args: &[&str]) -> Result<Value, String> {
    let said = done(wag.run(&[args, &["--output", "json"]].concat()))?;
    serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))
}

fn items(wag: &Wag, args: &[&str]) -> Result<Vec<Value>, String> {
    let mut list = json(wag, args)?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Err(format!("no list: {list}")),
    }
}
