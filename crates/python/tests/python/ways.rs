//! The ways in which an operation's process comes to be.

use std::{collections::BTreeMap, time::Duration};

use camino::Utf8Path;
use tokio::time::timeout;
use waggoner_process::{Child, ForkServer, Output, Source, Spawn};
use waggoner_python::dispatch;
use waggoner_types::Exit;

/// Longer than anything takes that does happen, on a busy host.
const LONG: Duration = Duration::from_mins(1);

pub(crate) enum Way {
    /// Each is started for itself.
    Started,
    /// Each is forked from a warm server, which imports its module after the first time.
    Forked(Box<Warm>),
}

#[derive(Default)]
pub(crate) struct Warm {
    server: Option<(ForkServer, Output)>,
    pub(crate) kept: Vec<String>,
    pub(crate) unkept: BTreeMap<String, String>,
    forks: usize,
}

/// What a process left.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

// === impl Way ===

impl Way {
    pub(crate) fn forked() -> Self {
        Self::Forked(Box::default())
    }

    /// Runs a process, of which nothing in `own` is any other's.
    pub(crate) async fn run(&mut self, spawn: &Spawn, own: &Utf8Path, module: &str) -> Ended {
        match self {
            Self::Started => {
                let (child, output) = spawn.start().await.unwrap();
                end(child, output).await
            }
            Self::Forked(warm) => warm.run(spawn, own, module).await,
        }
    }
}

// === impl Warm ===

impl Warm {
    async fn run(&mut self, spawn: &Spawn, own: &Utf8Path, module: &str) -> Ended {
        if self.server.is_none() {
            self.server = Some(start(spawn, own).await);
        }
        let (server, _) = self.server.as_ref().unwrap();
        self.forks += 1;
        let marked = Spawn { mark: Some(format!("{:0>69}", self.forks)), ..spawn.clone() };
        let (child, output) = server.fork(None).await.unwrap().run(&marked).await.unwrap();
        let ended = end(child, output).await;
        let is_known = self.kept.iter().chain(self.unkept.keys()).any(|known| known == module);
        if ended.exit == Exit::Code(0) && !is_known {
            let kept = server.preload(module).await;
            match kept.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(()) => self.kept.push(module.to_owned()),
                Err(reason) => {
                    self.unkept.insert(module.to_owned(), reason);
                    self.kept.clear();
                    self.server = None;
                }
            }
        }
        ended
    }
}

async fn start(spawn: &Spawn, own: &Utf8Path) -> (ForkServer, Output) {
    let is_own = |value: &str| value.contains(own.as_str()) || value.contains(".sock");
    let (own, env): (BTreeMap<_, _>, BTreeMap<_, _>) =
        spawn.env.clone().into_iter().partition(|(_, value)| is_own(value));
    let args = dispatch::server_arguments(own.keys().map(String::as_str));
    let mark = Some(format!("{:0>69}", 0));
    let spawn = Spawn { args, env, mark, ..Spawn::new(&spawn.program, &spawn.cwd) };
    let (server, mut output) = ForkServer::start(&spawn).await.unwrap();
    if let Err(error) = server.ready().await {
        let words = timeout(LONG, output.next()).await.unwrap();
        let words = words.map(|chunk| chunk.bytes).unwrap_or_default();
        panic!("{error}: {}", String::from_utf8_lossy(&words));
    }
    (server, output)
}

async fn end(child: Child, mut output: Output) -> Ended {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(chunk) = timeout(LONG, output.next()).await.unwrap() {
        match chunk.source {
            Source::Stdout => stdout.extend(chunk.bytes),
            Source::Stderr => stderr.extend(chunk.bytes),
        }
    }
    let exit = match timeout(LONG, child.wait()).await.unwrap() {
        waggoner_process::Exit::Code(code) => Exit::Code(code),
        waggoner_process::Exit::Signal(signal) => Exit::Signal(signal),
        waggoner_process::Exit::Lost => Exit::Lost,
    };
    Ended { exit, stdout, stderr }
}
