//! The process table, and who in it belongs to a child.

use std::{collections::HashSet, io};

use rustix::{
    fs::{Mode, OFlags},
    process::{
        Pid, PidfdFlags, RawPid, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
    },
};

use crate::{Exit, identity::Parent};

/// One line of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) pid: RawPid,
    pub(crate) parent: RawPid,
    pub(crate) group: RawPid,
    pub(crate) session: RawPid,
    /// In clock ticks since the host's start. With the pid it names one process for good.
    pub(crate) started: u64,
    /// Something of it runs: it is no zombie.
    pub(crate) alive: bool,
}

/// Who asks: never a member of a family, nor are the groups and sessions of those who start
/// families.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) pid: RawPid,
    /// Its own, and those of who has started the family.
    pub(crate) parents: [Parent; 2],
}

/// Who is a member for certain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed<'a> {
    /// The leader, whose process group is the family's.
    pub(crate) leader: Option<RawPid>,
    /// When the leader began.
    pub(crate) born: u64,
    /// Those in its cgroup.
    pub(crate) inside: &'a HashSet<RawPid>,
}

/// More than the line of a process can have: a name of 64 bytes and 51 numbers.
const LINE: usize = 2048;

/// Reads the rows of all processes that we may see.
pub(crate) fn read() -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
            rows.extend(row(pid));
        }
    }
    Ok(rows)
}

/// Reads the row of one process. `None` means that it is gone.
pub(crate) fn row(pid: RawPid) -> Option<Row> {
    parse(&stat(pid)?)
}

/// Says whether a process was started with this `NAME=value` in its environment.
pub(crate) fn carries(pid: RawPid, variable: &str) -> bool {
    fs_err::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|at| at == variable.as_bytes()))
}

/// Picks the living members of a family (see the crate's documentation).
///
/// `marked` is asked only about processes that are no members by kinship and not older than
/// the leader.
pub(crate) fn family(
    rows: &[Row],
    seed: &Seed<'_>,
    asker: Asker,
    mut marked: impl FnMut(RawPid) -> bool,
) -> Vec<Row> {
    let mut kin = Kin { groups: seed.leader.into_iter().collect(), ..Kin::default() };
    for row in rows.iter().filter(|row| seed.inside.contains(&row.pid)) {
        kin.take_in(row, asker);
    }
    kin.grow(rows, asker);
    for row in rows {
        let strange = row.alive && row.started >= seed.born && row.pid != asker.pid;
        if strange && !kin.members.contains(&row.pid) && marked(row.pid) {
            kin.take_in(row, asker);
            kin.grow(rows, asker);
        }
    }
    rows.iter().filter(|row| row.alive && kin.members.contains(&row.pid)).copied().collect()
}

/// Signals this very process, and not one that got its id later.
pub(crate) fn send(target: &Row, signal: Signal) {
    let Some(pid) = Pid::from_raw(target.pid) else { return };
    let is_same = || row(target.pid).is_some_and(|now| now.is_same(target));
    // It may have exited by itself, or belong to another user: the next look at the table tells.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) if is_same() => _ = pidfd_send_signal(pidfd, signal),
        Err(_) if is_same() => _ = kill_process(pid, signal),
        Ok(_) | Err(_) => {}
    }
}

// === impl Row ===

impl Row {
    /// Says whether both are of one process.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

// === impl Asker ===

impl Asker {
    pub(crate) fn current() -> Self {
        Self { pid: getpid().as_raw_pid(), parents: [Parent::current(); 2] }
    }

    /// Asks about a family that another has started.
    pub(crate) fn and(self, parent: Parent) -> Self {
        Self { parents: [self.parents[0], parent], ..self }
    }

    pub(crate) fn is_own_group(self, group: RawPid) -> bool {
        self.parents.iter().any(|parent| parent.group == group)
    }

    fn is_own_session(self, session: RawPid) -> bool {
        self.parents.iter().any(|parent| parent.session == session)
    }
}

/// What makes a process a member.
#[derive(Default)]
struct Kin {
    members: HashSet<RawPid>,
    groups: HashSet<RawPid>,
    sessions: HashSet<RawPid>,
}

// === impl Kin ===

impl Kin {
    /// Takes in whoever is related to a member, until nobody is left who is.
    fn grow(&mut self, rows: &[Row], asker: Asker) {
        loop {
            let before = self.members.len();
            for row in rows {
                let related = self.groups.contains(&row.group)
                    || self.sessions.contains(&row.session)
                    || self.members.contains(&row.parent);
                if related && row.pid != asker.pid {
                    self.take_in(row, asker);
                }
            }
            if self.members.len() == before {
                return;
            }
        }
    }

    fn take_in(&mut self, row: &Row, asker: Asker) {
        self.members.insert(row.pid);
        // Sessions and groups are inherited: one that is not the asker's began in the family. 0 is
        // no family: all that began outside our PID namespace, and the kernel's threads, have it.
        if row.group != 0 && !asker.is_own_group(row.group) {
            self.groups.insert(row.group);
        }
        if row.session != 0 && !asker.is_own_session(row.session) {
            self.sessions.insert(row.session);
        }
    }
}

/// Reads from the zombie of a process how it ended. `None` means that it runs.
pub(crate) fn exit(pid: RawPid) -> Option<Exit> {
    let Some(stat) = stat(pid) else { return Some(Exit::Lost) };
    match parse(&stat) {
        Some(row) if row.alive => None,
        // The last field is the status as `waitpid(2)` has it.
        _ => Some(stat.split_ascii_whitespace().last().and_then(|status| status.parse().ok()))
            .map(|status: Option<i32>| status.map_or(Exit::Lost, exit_of)),
    }
}

fn exit_of(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Code(status >> 8 & 0xff),
        signal => Exit::Signal(signal),
    }
}

/// Reads `/proc/<pid>/stat` in one go: the kernel gives as much as there is room for.
fn stat(pid: RawPid) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(format!("/proc/{pid}/stat"), flags, Mode::empty()).ok()?;
    let mut line = [0; LINE];
    let count = rustix::io::read(&file, &mut line).ok()?;
    Some(String::from_utf8_lossy(&line[..count]).into_owned())
}

/// Parses `/proc/<pid>/stat`; see `proc_pid_stat(5)`.
fn parse(stat: &str) -> Option<Row> {
    // The name between the parentheses may hold spaces, line ends and parentheses.
    let (pid, rest) = stat.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    let threads: u64 = fields.get(17)?.parse().ok()?;
    Some(Row {
        pid: pid.parse().ok()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        started: fields.get(19)?.parse().ok()?,
        // A process whose first thread has ended looks like a zombie while the others run.
        alive: !matches!(fields[0], "Z" | "X") || threads > 1,
    })
}

#[cfg(test)]
mod tests;
