//! What happened when, for people who look for the cause afterwards.

use std::{
    io::Write as _,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use camino::Utf8Path;
use fs_err as fs;

/// A file of what was done, with the times that daemons write into their logs; and on standard
/// error the same.
#[derive(Debug)]
pub(super) struct Diary {
    file: fs::File,
    begun: Instant,
    findings: Vec<String>,
}

// === impl Diary ===

impl Diary {
    pub(super) fn open(folder: &Utf8Path) -> Self {
        let file = fs::File::create(folder.join("chaos.log")).expect("the folder is ours");
        Self { file, begun: Instant::now(), findings: Vec::new() }
    }

    /// When the run began.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    #[expect(clippy::print_stderr, reason = "who waits for minutes sees what goes on")]
    pub(super) fn note(&mut self, line: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (now.as_secs() % (24 * 60 * 60), now.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let after = self.begun.elapsed().as_secs_f32();
        let line =
            format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z {after:7.1} s  {line}");
        writeln!(self.file, "{line}").expect("the folder is ours");
        eprintln!("{line}");
    }

    /// Notes what must not happen.
    pub(super) fn find(&mut self, line: String) {
        self.note(&line);
        self.findings.push(line);
    }

    /// Returns what must not have happened.
    pub(super) fn findings(self) -> Vec<String> {
        self.findings
    }
}
