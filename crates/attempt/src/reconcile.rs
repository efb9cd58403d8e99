//! What a manager and an agent that meet again find of each other's attempts.
//!
//! ```text
//!                  the store has it open      it has ended there, or nobody knows it
//!  listed          its conversation goes on   farewell
//!  not listed      lost                       –
//! ```
//!
//! A farewell is a conversation that stores nothing: resume after the last record that was listed,
//! without a digest; order to kill what runs; acknowledge each record as it comes, until the agent
//! ends the conversation. It is left with a tombstone then.

use std::collections::{BTreeMap, BTreeSet};

use waggoner_types::AttemptId;

/// An attempt that an agent lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: AttemptId,
    /// The sequence of its last record.
    pub last: u64,
    /// Whether that is the outcome.
    pub ended: bool,
}

/// What the manager's store knows of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Open,
    Ended,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its conversation goes on.
    GoOn,
    /// The agent is to forget it.
    Farewell {
        /// What the conversation is resumed after.
        after: u64,
        /// Whether it still runs and is to be killed.
        kill: bool,
    },
    /// The agent does not have what it accepted, or was never sent it.
    Lost,
}

/// Compares an agent's list with what the store knows of the attempts on the agent: all that are
/// open, and of the others those that are listed.
pub fn reconcile(
    listed: &[Listed],
    known: &BTreeMap<AttemptId, Known>,
) -> Vec<(AttemptId, Verdict)> {
    let there: BTreeSet<_> = listed.iter().map(|listed| listed.id).collect();
    let here = known.iter().filter(|(id, known)| **known == Known::Open && !there.contains(id));
    let lost = here.map(|(id, _)| (*id, Verdict::Lost));
    let judged = listed.iter().map(|Listed { id, last, ended }| match known.get(id) {
        Some(Known::Open) => (*id, Verdict::GoOn),
        Some(Known::Ended) | None => (*id, Verdict::Farewell { after: *last, kill: !ended }),
    });
    judged.chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_attempt_gets_its_verdict() {
        let [open, ended, unknown, lost] = [1, 2, 3, 4].map(|id| AttemptId(Uuid::from_u128(id)));
        let listed = [
            Listed { id: open, last: 3, ended: true },
            Listed { id: ended, last: 5, ended: true },
            Listed { id: unknown, last: 7, ended: false },
        ];
        let known = [(open, Known::Open), (ended, Known::Ended), (lost, Known::Open)];
        let verdicts = [
            (open, Verdict::GoOn),
            (ended, Verdict::Farewell { after: 5, kill: false }),
            (unknown, Verdict::Farewell { after: 7, kill: true }),
            (lost, Verdict::Lost),
        ];
        assert_eq!(reconcile(&listed, &known.into_iter().collect()), verdicts);
    }
}
