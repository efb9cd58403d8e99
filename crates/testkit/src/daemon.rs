//! One of our daemons, as a child of the test.

use std::process::{Child, Command, ExitStatus, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{eventually, processes::end_all};

/// A daemon that was started. Dropping it ends it, and what an agent has started.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stdout: Utf8PathBuf,
    log: Utf8PathBuf,
    /// The state directory of an agent, whose supervisor and operations outlive it.
    state_dir: Option<Utf8PathBuf>,
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
        let words: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        let state_dir =
            words.windows(2).find(|pair| pair[0] == "--state-dir").map(|pair| pair[1].into());
        Self { child, stdout, log, state_dir }
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

    /// Returns how it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Stops it where it is, until it is told to [go on](Self::go_on).
    pub fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// Ends it, by force if it does not listen, and leaves what it has started.
    pub fn leave(mut self) {
        self.state_dir = None;
    }

    /// Asks it to end, and forces it after some seconds.
    pub(crate) fn end(&mut self) {
        // It ends its own children when asked; only then is it forced.
        self.signal(Signal::SIGTERM);
        for _ in 0..100 {
            if self.has_ended().is_some() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        self.kill();
    }

    fn signal(&mut self, signal: Signal) {
        if self.has_ended().is_none() {
            let pid = Pid::from_raw(self.child.id().try_into().expect("pids are small"));
            kill(pid, signal).expect("it is our child and not reaped");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        if let Some(directory) = &self.state_dir {
            end_all(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes_of;

    #[test]
    fn what_an_agent_has_started_goes_with_it_unless_it_is_left() {
        let folder = camino_tempfile::tempdir().expect("there is room");
        let state_dir = folder.path().join("agent");
        fs::create_dir(&state_dir).expect("the folder is ours");
        let start = || {
            let mut command = Command::new("sh");
            command.args(["-c", "setsid sleep 1000 & echo started; wait", "sh", "--state-dir"]);
            command.arg(&state_dir).current_dir(&state_dir);
            let mut daemon = Daemon::start(command, folder.path(), "agent");
            daemon.line("started");
            daemon
        };
        start().leave();
        assert_eq!(processes_of(&state_dir).len(), 1);
        drop(start());
        assert_eq!(processes_of(&state_dir), []);
    }
}
