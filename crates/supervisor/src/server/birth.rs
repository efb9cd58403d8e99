//! What is written down of a process before it is started, and what is made of it afterwards.

use std::sync::Arc;

use prost::Message as _;
use tracing::warn;
use waggoner_process::{Cgroup, Identity, Parent, Proof};
use waggoner_proto::supervisor::v1 as pb;
use waggoner_types::AttemptId;

use crate::server::{house::House, warm::Spare};

/// The supervisor's notes with an attempt, by their slots in the journal. Those from 8 on are the
/// daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// What the daemon gave when it opened the attempt.
    Start,
    /// [`pb::Birth`]; empty once the start has failed.
    Birth,
    /// [`pb::Exited`].
    Exited,
    /// [`pb::Cancel`].
    Cancel,
}

/// By what a family that is about to be started will be known.
pub(super) struct Birth {
    pub(super) mark: String,
    pub(super) cgroup: Option<Arc<Cgroup>>,
}

/// The first slot that is the daemon's.
pub(super) const FREE: u8 = 8;

/// Makes a mark for an attempt: all have the same length.
pub(super) fn new_mark(attempt: AttemptId) -> String {
    format!("{attempt}-{}", uuid::Uuid::new_v4().simple())
}

/// Makes a mark and, where that can be, a cgroup for an attempt; what is warm has one.
pub(super) fn announce(house: &House, attempt: AttemptId, spare: Option<&Spare>) -> Birth {
    let mark = new_mark(attempt);
    if let Some(spare) = spare {
        return Birth { mark, cgroup: spare.fork.cgroup() };
    }
    let cgroup = house.cgroups.as_ref().and_then(|cgroups| {
        let created = cgroups.take();
        created.inspect_err(|error| warn!(%error, "an operation gets no cgroup")).ok()
    });
    Birth { mark, cgroup: cgroup.map(Arc::new) }
}

/// Reads a birth from its note. `None` where there was none.
pub(super) fn read(note: Option<&[u8]>) -> Option<pb::Birth> {
    let note = note.filter(|note| !note.is_empty())?;
    // What cannot be read was still a birth: of whom, nobody can tell.
    Some(pb::Birth::decode(note).unwrap_or_default())
}

/// What it takes to find the family of a birth.
pub(super) fn identity(birth: pb::Birth) -> Identity {
    let pb::Birth { boot_id, mark, cgroup, pid, started, session, group } = birth;
    Identity {
        boot_id,
        mark,
        cgroup: Some(cgroup).filter(|cgroup| !cgroup.is_empty()).map(Into::into),
        leader: pid.map(|pid| Proof { pid: pid.cast_signed(), started }),
        parent: Parent { session: session.cast_signed(), group: group.cast_signed() },
    }
}

// === impl Slot ===

impl Slot {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Start => 0,
            Self::Birth => 1,
            Self::Exited => 2,
            Self::Cancel => 3,
        }
    }
}

// === impl Birth ===

impl Birth {
    pub(super) fn note(&self, house: &House, proof: Option<Proof>) -> pb::Birth {
        let cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.directory().to_string());
        let Parent { session, group } = house.parent;
        pb::Birth {
            boot_id: house.boot_id.clone(),
            mark: self.mark.clone(),
            cgroup: cgroup.unwrap_or_default(),
            pid: proof.map(|proof| proof.pid.cast_unsigned()),
            started: proof.map_or(0, |proof| proof.started),
            session: session.cast_unsigned(),
            group: group.cast_unsigned(),
        }
    }
}
