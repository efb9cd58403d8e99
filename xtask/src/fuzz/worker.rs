//! The process that is fed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use fs_err as fs;

/// The room that a worker has, in KiB.
const ROOM: u32 = 256 << 10;

/// The time of its own that a worker has for one input.
const TIME: Duration = Duration::from_secs(1);

/// The time that passes until a worker is given up, however little it worked.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Survived,
    /// It panicked, overflowed its stack or used up its room.
    Died,
    Hung,
}

// === impl Worker ===

impl Worker {
    pub(super) fn start(program: &Utf8Path) -> Result<Self> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -v {ROOM}; exec \"$0\""), program.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the worker")?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, answers) = mpsc::channel();
        // It ends with the worker.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, answers })
    }

    /// Feeds the worker, which is of no more use unless it survived; and says how long it worked.
    pub(super) fn feed(&mut self, input: &str) -> Result<(Outcome, Duration)> {
        let (before, started) = (self.spent(), Instant::now());
        let is_there = writeln!(self.input, "{input}").is_ok();
        loop {
            let answer = self.answers.recv_timeout(Duration::from_millis(200));
            let spent = self.spent().saturating_sub(before);
            let outcome = match answer {
                Ok(_) if spent <= TIME => Outcome::Survived,
                Err(RecvTimeoutError::Timeout) if is_there && spent <= TIME => {
                    if started.elapsed() < PATIENCE {
                        continue;
                    }
                    Outcome::Hung
                }
                Err(RecvTimeoutError::Disconnected) => Outcome::Died,
                _ => Outcome::Hung,
            };
            if outcome != Outcome::Survived {
                self.child.kill().ok();
                self.child.wait().context("failed to wait for the worker")?;
            }
            return Ok((outcome, spent));
        }
    }

    /// The time that the worker has worked, in hundredths of a second as Linux counts them.
    fn spent(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // The name of the program may hold anything: fields are counted from its end.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
