//! What the manager's half hears and tells.

use crate::{Order, Prefix};

/// A record as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place, from 1.
    pub sequence: u64,
    /// The digest that the agent says; 0 for none.
    pub said: u64,
    /// The digest that continues [`Half::taken`].
    pub computed: u64,
    /// Whether it is the outcome.
    pub ends: bool,
}

/// What happens to the manager's half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The agent has a link.
    Linked,
    /// The conversation was lost.
    Cut,
    /// The agent refused the conversation.
    Refused(Refusal),
    /// The agent knows the attempt from here on.
    Accepted,
    /// A record came.
    Record(Record),
    /// Something came that is no record.
    Unreadable,
    /// The agent is quiet, and has said all up to this record; 0 if it does not say.
    Heartbeat { said: u64 },
    /// No more records are there at the moment.
    Flush,
    /// What was told to be stored is.
    Stored,
    /// It is not known whether what was told to be stored is: the store holds this.
    StoreFailed { stored: Prefix },
    /// The agent asks.
    Question(u64),
    /// The answer is ready.
    Answered(u64),
    /// The attempt is to end early.
    Cancel(Order),
    /// The agent was waited for long enough.
    PatienceOver,
}

/// Why the agent refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the attempt.
    Unknown,
    /// It holds other records, or has dropped those that are missing here.
    OtherHistory,
    /// Its host was started anew while the operation ran, and it lost records that are held here.
    Rebooted,
    /// It does not run this operation.
    Declined,
}

/// What the manager must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Begin a conversation.
    Open(Opening),
    /// Hang up.
    Close,
    /// Forget the records that were taken and not told to be stored, and the answers that are
    /// being worked out. Then wait for a link, with patience; not at once the same one again.
    Wait,
    /// Keep the record that came for the next batch.
    Take,
    /// Store the records that were taken, up to here.
    Store(Batch),
    /// Acknowledge.
    Ack { upto: u64 },
    /// Order the end.
    Cancel(Order),
    /// Work out the answer.
    Answer { question: u64 },
    /// Send the answer.
    Reply { question: u64 },
    /// Tell the outcome: it is stored. The conversation may be left to its end.
    Tell,
    /// End the attempt without an outcome of the agent's.
    GiveUp(Reason),
}

/// How a conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Runs the operation, once.
    Start,
    /// Goes on after what is stored.
    Resume(Prefix),
}

/// What one transaction stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The records up to here.
    pub upto: Prefix,
    /// Whether the last one is the outcome.
    pub ends: bool,
}

/// Why an attempt ends without an outcome of the agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was cancelled, or nobody came for it, before it was sent.
    Unsent,
    /// The agent does not run it.
    Declined,
    /// An earlier manager may have sent it, and the agent never heard of it: it may be started.
    Unheard,
    /// The agent had it and does not know it any more.
    Forgotten,
    /// The agent holds other records than those that are stored.
    OtherHistory,
    /// The agent's host was started anew while the operation ran.
    Rebooted,
    /// The agent's records do not continue those that are stored, however often they are sent.
    Broken,
    /// The agent did not come back.
    Absent,
}
