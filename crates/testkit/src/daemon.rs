//! One of our daemons, as a child of the test.

use std::process::{Child, Command, ExitStatus, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::eventually;

/// A daemon that was started. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stdout: Utf8PathBuf,
    log: Utf8PathBuf,
}

// === impl Daemon ===

impl Daemon {
    /// Starts a daemon; what it says goes into files of this name in `folder`.
    pub fn start(mut command: Command, folder: &Utf8Path, name: &str) -> Self {
        let stdout = folder.join(format!("{name}.out"));
        let log = folder.join(format!("{name}.log"));
        let append = |path: &Utf8Path| {
            fs::OpenOptions::new().create(true).append(true).open(path).expect("the folder is ours")
        };
        // Each life's standard output is read from its start.
        fs::write(&stdout, "").expect("the folder is ours");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(append(&stdout).into_file()))
            .stderr(Stdio::from(append(&log).into_file()))
            .spawn()
            .expect("the program can be started");
        Self { child, stdout, log }
    }

    /// Waits for a line on its standard output that begins like this, and returns the rest of it.
    #[track_caller]
    pub fn line(&mut self, beginning: &str) -> String {
        eventually(&format!("a line `{beginning}…` of {}", self.stdout), || {
            let said = fs::read_to_string(&self.stdout).expect("the file is ours");
            let ended = self.child.try_wait().expect("it is our child");
            let line = said.lines().find_map(|line| line.strip_prefix(beginning));
            assert!(line.is_some() || ended.is_none(), "it ended: {ended:?}\n{}", self.log());
            line.map(str::to_owned).ok_or(said)
        })
    }

    /// Returns all that it has logged so far, in all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the file is ours")
    }

    /// Waits for a line of its log that contains this text, and returns it.
    #[track_caller]
    pub fn logged(&mut self, text: &str) -> String {
        self.logged_after(0, text)
    }

    /// The same, for what is logged after the first `begin` bytes.
    #[track_caller]
    pub fn logged_after(&mut self, begin: usize, text: &str) -> String {
        eventually(&format!("`{text}` in {}", self.log), || {
            let log = self.log().split_off(begin);
            let line = log.lines().find(|line| line.contains(text)).map(str::to_owned);
            let ended = self.child.try_wait().expect("it is our child");
            assert!(line.is_some() || ended.is_none(), "it ended: {ended:?}\n{log}");
            line.ok_or(log)
        })
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        eventually("the daemon to end", || {
            self.child.try_wait().expect("it is our child").ok_or("it still runs")
        })
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the daemon to end by itself", || {
            self.child.try_wait().expect("it is our child").ok_or("it still runs")
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("pids are small"));
        kill(pid, signal).expect("it is our child and not reaped");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It ends its own children when asked; only then is it forced.
            self.signal(Signal::SIGTERM);
            for _ in 0..100 {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            self.kill();
        }
    }
}
