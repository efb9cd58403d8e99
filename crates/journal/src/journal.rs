//! The journal itself: what is asked of it, decided, gathered, written.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;

use crate::{
    Recovered, Refused, Settings, Write, Written,
    disk::Disk,
    frame::{self, Header},
    front::{Closed, FlushError, Front, Stuck},
    state::{Spot, State, Tip},
    walk::{Look, Step, Walk},
};

mod decide;
mod open;
mod tidy;

pub use open::{Damage, OpenError};

/// The end of what is readable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// The only writer of a directory.
///
/// After a failure that leaves open what is on the disk it refuses everything; open it again.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    settings: Settings,
    state: State,
    front: Front,
    /// The sizes of the other segments.
    closed: BTreeMap<u64, u64>,
    /// What is gathered, and takes effect once it is written.
    staged: Vec<Staged>,
    cleaning: Option<tidy::Cleaning>,
    /// Bytes written since the last cleaning.
    written: u64,
    damages: Vec<Damage>,
    broken: Option<Arc<io::Error>>,
}

#[derive(Debug)]
struct Staged {
    header: Header,
    spot: Spot,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// The write that has this answer; and where its attempt stood before.
    Asked { answer: usize, before: Option<Tip> },
    /// A frame of an older segment.
    Moved { from: Spot },
}

type Answer = Result<Written, Refused>;

// === impl Journal ===

impl Journal {
    /// Appends what it does not refuse; an answer for each write. Not durable yet.
    pub fn apply(&mut self, writes: Vec<Write>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(writes.len());
        for write in writes {
            let answer = self.write(&write, &mut answers);
            answers.push(answer);
        }
        self.flush(&mut answers).ok();
        answers
    }

    /// Makes what was applied durable.
    pub fn sync(&mut self) -> io::Result<()> {
        self.unbroken()?;
        self.front.sync().map_err(|error| again(&self.break_off(error)))
    }

    /// How far the segments can be read.
    pub fn place(&self) -> Place {
        let closed = self.closed.last_key_value();
        let closed = closed.map(|(segment, offset)| Place { segment: *segment, offset: *offset });
        self.front.place().or(closed).unwrap_or_default()
    }

    /// What the journal knows, with the notes.
    pub fn snapshot(&self) -> io::Result<Vec<Recovered>> {
        let mut known: Vec<_> =
            self.state.tombstones().map(|(attempt, tip)| recovered(attempt, &tip)).collect();
        for (id, attempt) in self.state.attempts() {
            let mut of = recovered(*id, &attempt.tip);
            of.lost = attempt.runs.holes(attempt.tip.acked, attempt.tip.last);
            for (slot, spot) in &attempt.notes {
                if let Some(note) = self.payload(*spot)? {
                    of.notes.insert(*slot, note);
                }
            }
            known.push(of);
        }
        known.sort_unstable_by_key(|known| known.attempt);
        Ok(known)
    }

    /// Says whether only opening it again helps.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// What was found spoilt at the start, at most a thousand places of it.
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    fn write(&mut self, write: &Write, answers: &mut [Answer]) -> Answer {
        let payload = write.payload();
        if payload.len() > frame::MOST {
            return Err(Refused::TooLarge { size: payload.len() });
        }
        let size = frame::size(payload.len());
        if self.front.is_over(size) {
            self.roll(size, answers)?;
        }
        self.check()?;
        let id = write.attempt();
        let decision = self.decide(write, self.state.tip(id))?;
        let Some(mut header) = decision.header else { return Ok(decision.written()) };
        self.front.room(size, decision.left).map_err(Refused::from)?;
        let spot = self.front.push(&mut header, payload);
        let before = self.state.decide(id, decision.tip);
        let cause = Cause::Asked { answer: answers.len(), before };
        self.staged.push(Staged { header, spot, cause });
        Ok(decision.written())
    }

    /// Begins the next segment if there is room for it; else the front grows.
    fn roll(&mut self, size: u64, answers: &mut [Answer]) -> Result<(), Refused> {
        self.check()?;
        self.flush(answers)?;
        let prepared = match self.front.prepare(size) {
            Ok(prepared) => prepared,
            Err(Stuck::Full) => return Ok(()),
            Err(stuck @ Stuck::Io(_)) => return Err(stuck.into()),
        };
        let closed = self.front.close();
        if let Ok(Some(Closed { number, size })) = closed {
            self.closed.insert(number, size);
        }
        let installed = closed.and_then(|_| self.front.install(prepared));
        installed.map_err(|error| Refused::Io(self.break_off(error)))
    }

    /// Writes what is gathered, and lets it take effect; or undoes it.
    fn flush(&mut self, answers: &mut [Answer]) -> Result<(), Refused> {
        self.written += self.front.gathered();
        let flushed = self.front.flush();
        let staged = std::mem::take(&mut self.staged);
        let error = match flushed {
            Ok(()) => {
                for Staged { header, spot, cause } in staged {
                    match cause {
                        Cause::Asked { .. } => self.state.replay(&header, spot),
                        Cause::Moved { from } => self.state.moved(&header, from, spot),
                    }
                }
                return Ok(());
            }
            Err(FlushError::Undone(error)) => Refused::from(Stuck::from(error)),
            Err(FlushError::Broken(error)) => Refused::Io(self.break_off(error)),
        };
        let mut first = answers.len();
        for Staged { header, cause, .. } in staged.into_iter().rev() {
            if let Cause::Asked { answer, before } = cause {
                self.state.undo(header.attempt, before);
                first = answer;
            }
        }
        // Those that needed no frame were decided by what has not happened.
        answers[first..].fill_with(|| Err(error.clone()));
        Err(error)
    }

    fn payload(&self, spot: Spot) -> io::Result<Option<Bytes>> {
        let file = self.disk.open(spot.segment)?;
        let end = spot.offset + spot.size;
        let Some(mut walk) = Walk::begin(file, spot.segment, end, Look::Whole)? else {
            return Ok(None);
        };
        walk.seek(spot.offset);
        Ok(match walk.next()? {
            Some(Step::Frame { payload, .. }) => Some(Bytes::copy_from_slice(payload)),
            Some(Step::Spoilt { .. }) | None => None,
        })
    }

    fn check(&self) -> Result<(), Refused> {
        self.broken.as_ref().map_or(Ok(()), |error| Err(Refused::Io(Arc::clone(error))))
    }

    fn unbroken(&self) -> io::Result<()> {
        self.broken.as_ref().map_or(Ok(()), |error| Err(again(error)))
    }

    fn break_off(&mut self, error: io::Error) -> Arc<io::Error> {
        let error = Arc::new(error);
        self.broken = Some(Arc::clone(&error));
        error
    }
}

// === impl Refused ===

impl From<Stuck> for Refused {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Full => Self::Full,
            Stuck::Io(error) => Self::Io(Arc::new(error)),
        }
    }
}

fn recovered(attempt: waggoner_types::AttemptId, tip: &Tip) -> Recovered {
    Recovered {
        attempt,
        epoch: tip.epoch,
        notes: BTreeMap::new(),
        last: tip.last,
        chain: tip.chain,
        acked: tip.acked,
        ended: tip.ended,
        tombstone: tip.is_tombstone(),
        lost: vec![],
    }
}

/// The error once more, for who asks later.
fn again(error: &Arc<io::Error>) -> io::Error {
    io::Error::new(error.kind(), Arc::clone(error))
}
