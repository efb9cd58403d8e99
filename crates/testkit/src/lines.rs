//! A program that is read line by line while it runs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crate::eventually;

/// How long a line may take that takes moments on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running program whose standard output is read line by line. Dropping it ends it.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    coming: Receiver<String>,
    seen: Vec<String>,
}

// === impl Lines ===

impl Lines {
    /// Starts a program.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, coming) = sync_channel(1024);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, coming, seen: Vec::new() }
    }

    /// Waits for a line that contains this text, and returns it.
    ///
    /// # Panics
    ///
    /// If it does not come within two minutes, or the output ends before.
    #[track_caller]
    pub fn await_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match self.coming.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited in vain for a line with `{text}`: {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the output ended without a line with `{text}`: {:#?}", self.seen)
                }
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until the program has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the program to end", || {
            self.seen.extend(self.coming.try_iter());
            self.child.try_wait().expect("it is our child").ok_or_else(|| self.seen.clone())
        })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
