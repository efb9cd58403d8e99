//! What the agent's half hears and tells.

use crate::{Order, Prefix};

/// Identifies a conversation among those about one attempt; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Talk(pub(super) u64);

/// What the journal holds of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The sequence of the last record; 0 for none.
    pub last: u64,
    /// The manager holds all up to this one, which may have been dropped.
    pub acked: u64,
    /// Whether the last record is the outcome.
    pub ended: bool,
}

/// The first words of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The manager starts the attempt, perhaps once more.
    Start {
        /// Grows with each delivery of the task.
        epoch: u64,
    },
    /// The manager holds records and asks for what follows.
    Resume {
        /// What the manager holds.
        manager: Prefix,
        /// The journal's digest of as many records; 0 where it is not known any more.
        journal: u64,
    },
}

/// What happens to the agent's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A conversation begins.
    Began(First),
    /// The link has taken what [`Half::next`] told to say; a record has these bytes.
    Said(Talk, Say, usize),
    /// The manager acknowledges all up to a record.
    Ack(Talk, u64),
    /// The manager answers a question; the last piece of it or not.
    Answer(Talk, u64, Piece),
    /// The manager orders the end.
    Cancel(Talk, Order),
    /// The conversation was quiet for a heartbeat's time.
    Quiet(Talk),
    /// The conversation is over, or its link lost.
    Cut(Talk),
    /// The journal has grown.
    Appended {
        /// The sequence of the last record.
        last: u64,
        /// Whether it is the outcome.
        ended: bool,
    },
    /// The operation asks; ids grow.
    Asked(u64),
    /// Nobody waits for the answer any more.
    TakenBack(u64),
}

/// Which piece of an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    More,
    Last,
}

/// What the agent must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The conversation has the floor.
    Begin(Talk),
    /// The conversation is refused.
    Refuse(Refusal),
    /// All up to this record may be dropped.
    Drop { upto: u64 },
    /// The manager holds the outcome: all that is left is a tombstone.
    Done,
    /// The piece goes to whoever asked.
    Hand { question: u64 },
    /// The question will be asked again: pieces that came before are void.
    Again { question: u64 },
    /// The operation is to end.
    Cancel(Order),
}

/// Why a conversation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The start is older than one that was seen.
    StaleEpoch { newest: u64 },
    /// The manager holds records that are not the journal's.
    OtherHistory,
    /// The manager holds records that the journal lost when the host was started anew, and nothing
    /// of the operation lives that could say more.
    Rebooted,
    /// The manager asks for records that it acknowledged and that may be gone.
    Dropped { acked: u64 },
}

/// What a conversation does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Say this when the link takes it.
    Say(Say),
    /// Nothing, until something happens.
    Wait,
    /// Close it: all is said and acknowledged.
    End,
    /// Refuse it: a later conversation has taken over.
    Superseded,
}

/// Something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    Accepted {
        resumed: bool,
    },
    Question(u64),
    Record(u64),
    /// All up to this record was said: who has not heard it has lost it.
    Heartbeat {
        said: u64,
    },
}
