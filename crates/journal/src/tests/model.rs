//! A journal that cannot be wrong: everything that was ever written, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::discriminant,
};

use bytes::Bytes;
use waggoner_types::AttemptId;

use crate::{Recovered, Refused, Settings, Write, Written, frame};

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) stories: BTreeMap<AttemptId, Story>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    epoch: u64,
    notes: BTreeMap<u8, Bytes>,
    /// Each note that ever was.
    ever: Vec<(u8, Bytes)>,
    pub(super) records: Vec<Bytes>,
    pub(super) chains: Vec<u64>,
    pub(super) acked: u64,
    pub(super) ended: bool,
    /// When it became a tombstone, in seconds.
    buried: u64,
}

// === impl World ===

impl World {
    /// Does what has room everywhere.
    pub(super) fn apply(&mut self, write: &Write, now: u64) -> Result<Written, Refused> {
        let known = self.stories.get_mut(&write.attempt());
        let story = match (write, known) {
            (Write::Open { epoch, .. }, Some(story)) if *epoch < story.epoch => {
                return Err(Refused::StaleEpoch { newest: story.epoch });
            }
            (Write::Open { .. }, Some(story)) => {
                return Err(Refused::Known { epoch: story.epoch });
            }
            (Write::Open { epoch, .. }, None) => {
                let story = Story { epoch: *epoch, ..Story::default() };
                self.stories.entry(write.attempt()).or_insert(story)
            }
            (_, None) => return Err(Refused::Unknown),
            (_, Some(story)) => story,
        };
        match write {
            Write::Open { note, .. } => {
                story.note(0, note);
            }
            Write::Note { .. } if story.is_tombstone() => {
                return Err(Refused::Ended(story.written()));
            }
            Write::Note { slot, bytes, .. } => {
                story.note(*slot, bytes);
            }
            Write::Record { .. } | Write::End { .. } if story.ended => {
                return Err(Refused::Ended(story.written()));
            }
            Write::Record { bytes, .. } | Write::End { bytes, .. } => {
                story.chains.push(frame::digest(bytes, story.written().chain));
                story.records.push(bytes.clone());
                story.ended = matches!(write, Write::End { .. });
            }
            Write::Ack { upto, .. } => {
                let before = story.is_tombstone();
                story.acked = story.acked.max((*upto).min(story.last()));
                if story.is_tombstone() && !before {
                    story.notes.clear();
                    story.buried = now;
                }
            }
        }
        Ok(story.written())
    }

    /// Says what is different in what a journal knows; `None` if nothing is.
    pub(super) fn differs(
        &self,
        known: &[Recovered],
        settings: &Settings,
        now: u64,
    ) -> Option<String> {
        let known: BTreeMap<_, _> = known.iter().map(|known| (known.attempt, known)).collect();
        let mortal = self.mortal(settings, now);
        for (id, story) in &self.stories {
            let expected = story.recovered(*id);
            match known.get(id) {
                Some(known) if **known == expected => {}
                None if mortal.contains(id) => {}
                other => return Some(format!("{other:#?}\ninstead of {expected:#?}")),
            }
        }
        let stranger = known.keys().find(|id| !self.stories.contains_key(id));
        stranger.map(|id| format!("{id} was never opened"))
    }

    /// The tombstones that may be forgotten.
    pub(super) fn mortal(&self, settings: &Settings, now: u64) -> BTreeSet<AttemptId> {
        let tombstones = self.stories.iter().filter(|(_, story)| story.is_tombstone());
        let mut by_age: Vec<_> = tombstones.map(|(id, story)| (story.buried, *id)).collect();
        by_age.sort_unstable();
        let over = by_age.len().saturating_sub(settings.remembered_count);
        let old = |at: usize, buried: u64| {
            at < over || now.saturating_sub(buried) > settings.remembered.as_secs()
        };
        let mortal = by_age.iter().enumerate().filter(|(at, (buried, _))| old(*at, *buried));
        mortal.map(|(_, (_, id))| *id).collect()
    }

    /// The bytes of the frames that are needed.
    pub(super) fn needed(&self) -> u64 {
        self.stories.values().map(Story::needed).sum()
    }
}

// === impl Story ===

impl Story {
    pub(super) fn last(&self) -> u64 {
        self.records.len() as u64
    }

    pub(super) fn is_tombstone(&self) -> bool {
        self.ended && self.acked == self.last()
    }

    pub(super) fn chain(&self, sequence: u64) -> u64 {
        let at = usize::try_from(sequence).unwrap().checked_sub(1);
        at.map_or(0, |at| self.chains[at])
    }

    pub(super) fn notes_ever(&self, slot: u8) -> Vec<Bytes> {
        let of_slot = self.ever.iter().filter(|(of, _)| *of == slot);
        of_slot.map(|(_, note)| note.clone()).collect()
    }

    fn note(&mut self, slot: u8, note: &Bytes) {
        self.notes.insert(slot, note.clone());
        self.ever.push((slot, note.clone()));
    }

    fn written(&self) -> Written {
        Written { sequence: self.last(), chain: self.chain(self.last()) }
    }

    fn recovered(&self, attempt: AttemptId) -> Recovered {
        Recovered {
            attempt,
            epoch: self.epoch,
            notes: self.notes.clone(),
            last: self.last(),
            chain: self.written().chain,
            acked: self.acked,
            ended: self.ended,
            tombstone: self.is_tombstone(),
            lost: vec![],
        }
    }

    fn needed(&self) -> u64 {
        let unacked = self.records.iter().skip(usize::try_from(self.acked).unwrap());
        let payloads = self.notes.values().chain(unacked);
        payloads.map(|bytes| frame::size(bytes.len())).sum::<u64>() + frame::size(0)
    }
}

/// Says whether two refusals are the same.
pub(super) fn alike(one: &Refused, other: &Refused) -> bool {
    discriminant(one) == discriminant(other) && one.to_string() == other.to_string()
}
