//! The states of things, in Cloudify's words.

use std::{fmt, str::FromStr};

use crate::names::InvalidName;

/// Declares a closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)*
        }

        impl $name {
            /// Every word of the set, in order.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(given: &str) -> Result<Self, InvalidName> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|word| word.as_str() == given)
                    .ok_or_else(|| InvalidName::new(given, $kind, "no such word"))
            }
        }
    };
}

words!(
    /// The status of an execution (`cloudify/models_states.py`, `ExecutionState`).
    ExecutionStatus, "an execution's status" {
        /// To be started at a time.
        Scheduled = "scheduled",
        /// To be started when no other execution changes the deployment.
        Queued = "queued",
        /// Asked for, not started.
        Pending = "pending",
        /// Running.
        Started = "started",
        /// Running operations end, no new ones start.
        Cancelling = "cancelling",
        /// The workflow ends at once; running operations end by themselves.
        ForceCancelling = "force_cancelling",
        /// Running operations are killed.
        KillCancelling = "kill_cancelling",
        /// Ended, all done.
        Terminated = "terminated",
        /// Ended by a failure.
        Failed = "failed",
        /// Ended by a cancel.
        Cancelled = "cancelled",
    }
);

words!(
    /// Cloudify's levels of log lines, lowest first.
    LogLevel, "a log level" {
        /// What helps to find a fault.
        Debug = "debug",
        /// What was done.
        Info = "info",
        /// What may be wrong.
        Warning = "warning",
        /// What went wrong.
        Error = "error",
        /// What makes going on pointless.
        Critical = "critical",
    }
);

words!(
    /// What an agent runs.
    AgentRole, "an agent's role" {
        /// The operations of its own host.
        Host = "host",
        /// Also the tenant's central operations.
        Central = "central",
    }
);

words!(
    /// How an execution is cancelled.
    CancelMode, "a way to cancel" {
        /// Running operations end, no new ones start.
        Cancel = "cancel",
        /// The workflow ends at once; running operations end by themselves.
        Force = "force-cancel",
        /// Running operations are killed.
        Kill = "kill",
    }
);

// === impl ExecutionStatus ===

impl ExecutionStatus {
    /// Whether the execution has ended and stays as it is.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Terminated | Self::Failed | Self::Cancelled)
    }

    /// Whether the execution waits for its time or its turn, and nothing of it has happened.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_shown() {
        for status in ExecutionStatus::ALL {
            assert_eq!(status.as_str().parse::<ExecutionStatus>().as_ref(), Ok(status));
        }
        assert!("done".parse::<ExecutionStatus>().is_err());
    }

    #[test]
    fn levels_are_in_order() {
        assert!(LogLevel::Debug < LogLevel::Info && LogLevel::Error < LogLevel::Critical);
    }
}
