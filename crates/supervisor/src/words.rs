//! What daemon and supervisor speak of.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use bytes::Bytes;
use camino::Utf8PathBuf;
use jiff::Timestamp;
use waggoner_types::{AttemptId, Exit};

/// A process to be started for an attempt, completely described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spawn {
    /// A path, relative to `cwd`; or, without a slash, a name looked up in the `PATH` of `env`.
    pub program: Utf8PathBuf,
    pub args: Vec<String>,
    /// The whole environment, but for what marks the family.
    pub env: BTreeMap<String, String>,
    pub cwd: Utf8PathBuf,
    pub stdout: Mode,
    pub stderr: Mode,
    pub limits: Limits,
    /// How it may be forked instead of started. `None` is always started.
    pub warm: Option<Warm>,
}

/// A process of the same program and directory that has imported what an operation needs, and
/// forks itself (`waggoner_runtime/server.py`). It serves all for whom nothing of this but the
/// preload differs; where it cannot be, they are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warm {
    pub args: Vec<String>,
    /// Its whole environment, but for what marks the family.
    pub env: BTreeMap<String, String>,
    /// The module that it imports too, once an operation that needs it has ended well.
    pub preload: Option<String>,
}

/// What becomes of what a process writes to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Records of bytes, cut anywhere: 128 KiB or 20 ms, whichever comes first.
    Raw,
    /// Records of whole lines: 2048 of them and 160 KiB at the most. A line of more than 32 KiB is
    /// cut between letters, and the record ends at each cut.
    Lines,
    /// Nothing but the [`Tail`] is kept.
    Discard,
}

/// How long a process may do what. `None` is without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run.
    pub run: Option<Duration>,
    /// How long it may say nothing: no output, no record appended, no touch.
    pub idle: Option<Duration>,
    /// How long it goes on without a link to the manager. No daemon is no link.
    pub unlinked: Option<Duration>,
    /// How long its family gets to leave before it is killed.
    pub grace: Duration,
    /// How long its output stays open after its exit for a descendant that holds it; `None` is
    /// two seconds.
    pub linger: Option<Duration>,
}

/// The end of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many bytes were written to the stream in all.
    pub written: u64,
    /// The last of them, 16 KiB at the most.
    pub bytes: Vec<u8>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Exited {
    pub exit: Exit,
    pub stdout: Tail,
    pub stderr: Tail,
    /// A descendant still held a pipe at the end: what it writes later is lost.
    pub cut: bool,
    /// Processes of its family that even a kill did not end.
    pub left: Vec<i32>,
    pub time: Timestamp,
}

/// What became of the order to start a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// There was none: it can be started.
    None,
    /// It was about to be started; whether it was is not known.
    Begun,
    Started {
        pid: i32,
    },
}

/// The order to end an attempt early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    pub kill: bool,
    pub reason: String,
}

/// What came of opening an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    New,
    /// It is known already, with that epoch, and nothing was changed.
    Known {
        epoch: u64,
    },
}

/// The place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub sequence: u64,
    pub chain: u64,
}

/// A place in the journal: all before it can be read from its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// Who the supervisor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub version: String,
    pub pid: i32,
    /// Identifies this life of the supervisor.
    pub instance_id: String,
    pub boot_id: String,
    pub place: Place,
    /// Processes are born in a cgroup of their own.
    pub cgroups: bool,
}

/// An attempt as the journal knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub id: AttemptId,
    pub epoch: u64,
    /// What the daemon gave when it opened it. Empty once it is forgotten.
    pub start: Bytes,
    /// The process that was started, or may have been.
    pub process: Process,
    /// `None` while it runs, or where none was started.
    pub exited: Option<Exited>,
    pub cancel: Option<CancelOrder>,
    /// The daemon's own notes, by slot.
    pub notes: BTreeMap<u8, Bytes>,
    /// The sequence of the last record; 0 for none.
    pub last: u64,
    /// The digest of that record and all before it.
    pub chain: u64,
    /// The last record that the manager holds.
    pub acked: u64,
    /// Its last record is the outcome.
    pub ended: bool,
    /// Nothing but its id, epoch and length is left.
    pub forgotten: bool,
    /// Records that the manager has not acknowledged and that the disk has lost.
    pub lost: Vec<RangeInclusive<u64>>,
}

// === impl Spawn ===

impl Spawn {
    /// Describes a program without arguments, environment and limits, whose output is kept raw.
    pub fn new(program: impl Into<Utf8PathBuf>, cwd: impl Into<Utf8PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: cwd.into(),
            stdout: Mode::Raw,
            stderr: Mode::Raw,
            limits: Limits::default(),
            warm: None,
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    /// Without end, and ten seconds to leave.
    fn default() -> Self {
        let grace = Duration::from_secs(10);
        Self { run: None, idle: None, unlinked: None, grace, linger: None }
    }
}
