//! How errors are told: in one line, and with who can help.

use std::{error::Error, fmt};

/// Prints an error and its causes on one line, outermost first.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

/// Who can do something about what stopped a daemon. The exit code says so to the host's service
/// manager (sysexits(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever configured it. Starting again changes nothing: `EX_CONFIG`.
    Config,
    /// The host, or a peer. Starting again may help: `EX_UNAVAILABLE`.
    Environment,
    /// Us: `EX_SOFTWARE`.
    Bug,
}

// === impl Chain ===

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

// === impl Fault ===

impl Fault {
    /// The exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Config => 78,
            Self::Environment => 69,
            Self::Bug => 70,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to go out")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("it rains")]
    struct Inner;

    #[test]
    fn a_chain_names_each_cause_once() {
        assert_eq!(Chain(&Outer(Inner)).to_string(), "failed to go out: it rains");
    }
}
