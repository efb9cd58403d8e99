//! The process table, and who in it belongs to a child.

use std::{collections::HashSet, io};

use rustix::process::{
    Pid, PidfdFlags, RawPid, Signal, getpgrp, getpid, getsid, kill_process, pidfd_open,
    pidfd_send_signal,
};

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

/// Who asks: never a member of a family, nor are its own group and session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) pid: RawPid,
    pub(crate) group: RawPid,
    pub(crate) session: RawPid,
}

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
    let stat = fs_err::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&stat))
}

/// Says whether a process was started with this `NAME=value` in its environment.
pub(crate) fn carries(pid: RawPid, variable: &str) -> bool {
    fs_err::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|at| at == variable.as_bytes()))
}

/// Picks the living members of the family of `leader` (see the crate's documentation).
///
/// `marked` is asked only about processes that are no members by kinship and not older than
/// the leader.
pub(crate) fn family(
    rows: &[Row],
    leader: RawPid,
    asker: Asker,
    mut marked: impl FnMut(RawPid) -> bool,
) -> Vec<Row> {
    let mut kin = Kin { groups: HashSet::from([leader]), ..Kin::default() };
    kin.grow(rows, asker);
    let born = rows.iter().find(|row| row.pid == leader).map_or(0, |row| row.started);
    for row in rows {
        let strange = row.alive && row.started >= born && row.pid != asker.pid;
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
    let is_same = || row(target.pid).is_some_and(|now| now.started == target.started);
    // It may have exited by itself, or belong to another user: the next look at the table tells.
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) if is_same() => _ = pidfd_send_signal(pidfd, signal),
        Err(_) if is_same() => _ = kill_process(pid, signal),
        Ok(_) | Err(_) => {}
    }
}

// === impl Asker ===

impl Asker {
    pub(crate) fn current() -> Self {
        Self {
            pid: getpid().as_raw_pid(),
            group: getpgrp().as_raw_pid(),
            session: getsid(None).map_or(0, Pid::as_raw_pid),
        }
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
        // Sessions and groups are inherited: one that is not the asker's began in the family.
        if row.group != asker.group {
            self.groups.insert(row.group);
        }
        if row.session != asker.session {
            self.sessions.insert(row.session);
        }
    }
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
