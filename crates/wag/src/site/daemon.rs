//! One of the two daemons: its files, its start and its end.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    process::Stdio,
    time::Duration,
};

use camino::Utf8PathBuf;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    Site, SiteError, binary,
    process::{Mark, Process},
};
use waggoner_types::TenantName;

use crate::ui::printable;

/// What the files of the daemons are named after.
const MANAGER: &str = "manager";
const AGENT: &str = "agent";

/// The tenant that every manager has.
const DEFAULT_TENANT: &str = "default_tenant";

/// How long a daemon may take to leave. The manager gives its clients ten seconds.
const GRACE: Duration = Duration::from_secs(20);

/// How much of a log is shown when a start fails.
const TAIL_BYTES: u64 = 16 << 10;
const TAIL_LINES: usize = 15;

/// A daemon of a site.
#[derive(Debug)]
pub(super) struct Daemon {
    /// What it is to people, and what its files are named after.
    pub name: String,
    program: &'static str,
    dir: Utf8PathBuf,
}

/// A daemon that was just started.
#[derive(Debug)]
pub(super) struct Started {
    pub child: Child,
    /// Where its part of the log begins.
    log_from: u64,
}

// === impl Daemon ===

impl Daemon {
    pub(super) fn manager(site: &Site) -> Self {
        Self { name: MANAGER.to_owned(), program: "waggoner-manager", dir: site.dir.clone() }
    }

    /// The agent of a tenant.
    pub(super) fn agent(site: &Site, tenant: &TenantName) -> Self {
        let name = match tenant.as_str() {
            DEFAULT_TENANT => AGENT.to_owned(),
            other => format!("{AGENT}-{other}"),
        };
        Self { name, program: "waggoner-agent", dir: site.dir.clone() }
    }

    /// All that were ever started, the manager last.
    pub(super) fn all(site: &Site) -> io::Result<Vec<Self>> {
        let mut agents = Vec::new();
        for entry in site.dir.read_dir_utf8()? {
            let entry = entry?;
            let name = entry.file_name().strip_suffix(".pid").filter(|name| *name != MANAGER);
            agents.extend(name.map(|name| Self {
                name: name.to_owned(),
                program: "waggoner-agent",
                dir: site.dir.clone(),
            }));
        }
        agents.push(Self::manager(site));
        Ok(agents)
    }

    /// Its process, if it runs.
    pub(super) fn process(&self) -> Option<Process> {
        let text = fs_err::read_to_string(self.file("pid")).ok()?;
        serde_json::from_str::<Mark>(&text).ok()?.find()
    }

    /// Starts it in a session of its own, its words appended to its log.
    pub(super) fn start(&self, arguments: &[&str], stdout: Stdio) -> Result<Started, SiteError> {
        let program = binary::find(self.program)?;
        let failed = |source| SiteError::Start { program: self.program.to_owned(), source };
        let gone = || io::Error::new(io::ErrorKind::NotFound, "it ended at once");
        let own = binary::own().ok_or_else(|| SiteError::Binary("wag".to_owned()))?;
        let (log, log_from) = self.log().map_err(failed)?;

        let child = Command::new(own)
            .args(["__detach", "--", program.as_str()])
            .args(arguments)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let mark = pid.and_then(Mark::of).ok_or_else(gone).map_err(failed)?;
        let mark = serde_json::to_string(&mark).expect("numbers are JSON");
        fs_err::write(self.file("pid"), mark).map_err(failed)?;
        Ok(Started { child, log_from })
    }

    /// Asks it to leave, and ends it if it does not. Returns whether it ran.
    pub(super) async fn stop(&self) -> Result<bool, SiteError> {
        let failed = |source| SiteError::Stop { program: self.program.to_owned(), source };
        let running = self.process();
        if let Some(process) = &running {
            process.terminate().map_err(failed)?;
            if timeout(GRACE, process.ended()).await.is_err() {
                process.kill().map_err(failed)?;
            }
            process.ended().await.map_err(failed)?;
        }
        match fs_err::remove_file(self.file("pid")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(running.is_some()),
        }
    }

    /// Says that it ended before it was ready.
    pub(super) fn ended(&self, started: &Started) -> SiteError {
        let (program, log) = (self.program.to_owned(), self.file("log"));
        SiteError::Ended { program, log, tail: self.tail(started) }
    }

    /// Says that it was not ready in time.
    pub(super) fn late(&self, started: &Started, after: Duration) -> SiteError {
        let (program, log) = (self.program.to_owned(), self.file("log"));
        SiteError::Late { program, after, log, tail: self.tail(started) }
    }

    /// The daemon's file with an extension.
    pub(super) fn file(&self, extension: &str) -> Utf8PathBuf {
        self.dir.join(format!("{}.{extension}", self.name))
    }

    pub(super) fn log(&self) -> io::Result<(File, u64)> {
        let mut options = fs_err::OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(self.file("log"))?;
        let length = file.metadata()?.len();
        Ok((file.into_parts().0, length))
    }

    /// The last lines that it wrote since it was started.
    fn tail(&self, started: &Started) -> Vec<String> {
        let read = || {
            let mut file = fs_err::File::open(self.file("log"))?;
            let length = file.metadata()?.len();
            let from = started.log_from.max(length.saturating_sub(TAIL_BYTES));
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(bytes)
        };
        let bytes = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(printable).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].to_vec()
    }
}
