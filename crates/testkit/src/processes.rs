//! Processes that belong to a directory, whoever started them.

use std::{
    os::unix::ffi::OsStrExt as _,
    thread,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use fs_err as fs;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// How long killed processes may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

// === impl Process ===

impl Process {
    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid.try_into().expect("process ids are small");
        kill(Pid::from_raw(pid), signal).ok();
    }

    /// Says whether it is the parent of an agent's operations.
    pub fn is_supervisor(&self) -> bool {
        self.command.split(' ').any(|word| word == "supervise")
    }
}

/// Returns the processes that name a directory or what is in it in their command line or their
/// environment, or that work there.
pub fn processes_of(directory: &Utf8Path) -> Vec<Process> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").expect("Linux shows its processes");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let belongs = |pid: &u32| *pid != own && names(*pid, directory);
    pids.filter(belongs).filter_map(process).collect()
}

/// Kills all processes of a directory, until there are none.
pub(crate) fn end_all(directory: &Utf8Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = processes_of(directory);
        if left.is_empty() || Instant::now() >= deadline {
            return;
        }
        for process in left {
            process.signal(Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a process, unless it has ended.
pub(crate) fn process(pid: u32) -> Option<Process> {
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    Some(Process { pid, command })
}

fn names(pid: u32, directory: &Utf8Path) -> bool {
    let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    [&file("cmdline"), &file("environ"), cwd.as_os_str().as_bytes()]
        .iter()
        .any(|text| mentions(text, directory.as_str().as_bytes()))
}

/// Says whether a text names a directory or what is in it, and not its neighbour `directory-2`.
fn mentions(text: &[u8], directory: &[u8]) -> bool {
    let is_end = |next: Option<&u8>| {
        next.is_none_or(|next| !next.is_ascii_alphanumeric() && !b"-_.".contains(next))
    };
    text.windows(directory.len())
        .enumerate()
        .any(|(at, window)| window == directory && is_end(text.get(at + directory.len())))
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_neighbour_is_not_mentioned() {
        for (text, expected) in [
            ("agent\0--state-dir\0/tmp/x/agent\0", true),
            ("PATH=/tmp/x/agent/bin:/bin\0", true),
            ("PATH=/bin:/tmp/x/agent", true),
            ("--state-dir\0/tmp/x/agent-2\0", false),
            ("/tmp/x/agen", false),
        ] {
            assert_eq!(mentions(text.as_bytes(), b"/tmp/x/agent"), expected, "{text}");
        }
    }
}
