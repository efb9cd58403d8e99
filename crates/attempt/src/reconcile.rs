//! What a manager and an agent that meet again find of each other's attempts.
//!
//! ```text
//!                  somebody here needs it      nobody does: it has ended, or is not known
//!  listed          its conversation goes on    farewell; lost, where it has not ended
//!  not listed      its conversation hears so   lost, where it has not ended
//! ```
//!
//! A farewell is a conversation that stores nothing: resume after the last record that was listed,
//! without a digest; order to kill what runs; acknowledge each record as it comes, until the agent
//! ends the conversation. It is left with a tombstone then.

use std::collections::BTreeMap;

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

/// What the manager knows of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its execution goes on, and its conversation with it, now or soon.
    Needed,
    /// It is open in the store, and its execution is over.
    Orphaned,
    /// It has ended in the store.
    Ended,
}

/// A farewell that is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    pub id: AttemptId,
    /// What the conversation is resumed after.
    pub after: u64,
    /// Whether the attempt still runs and is to be killed.
    pub kill: bool,
}

/// What is to be done before anything new is sent to an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    pub farewells: Vec<Farewell>,
    /// What is to end in the store as lost.
    pub lost: Vec<AttemptId>,
}

/// Compares an agent's list with what is known of the attempts on the agent: of all that are open,
/// and of the others that are listed.
pub fn reconcile(listed: &[Listed], known: &BTreeMap<AttemptId, Known>) -> Reconciled {
    let lost = known.iter().filter(|(_, known)| **known == Known::Orphaned);
    let unneeded = listed.iter().filter(|listed| known.get(&listed.id) != Some(&Known::Needed));
    let farewells =
        unneeded.map(|Listed { id, last, ended }| Farewell { id: *id, after: *last, kill: !ended });
    Reconciled { farewells: farewells.collect(), lost: lost.map(|(id, _)| *id).collect() }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn only_what_is_needed_goes_on() {
        let ids = [1, 2, 3, 4, 5, 6].map(|id| AttemptId(Uuid::from_u128(id)));
        let [needed, absent, ended, unknown, orphan, absent_orphan] = ids;
        let listed = [
            Listed { id: needed, last: 3, ended: true },
            Listed { id: ended, last: 5, ended: true },
            Listed { id: unknown, last: 7, ended: false },
            Listed { id: orphan, last: 0, ended: false },
        ];
        let known = BTreeMap::from([
            (needed, Known::Needed),
            (absent, Known::Needed),
            (ended, Known::Ended),
            (orphan, Known::Orphaned),
            (absent_orphan, Known::Orphaned),
        ]);
        let farewells = vec![
            Farewell { id: ended, after: 5, kill: false },
            Farewell { id: unknown, after: 7, kill: true },
            Farewell { id: orphan, after: 0, kill: true },
        ];
        let lost = vec![orphan, absent_orphan];
        assert_eq!(reconcile(&listed, &known), Reconciled { farewells, lost });
    }
}
