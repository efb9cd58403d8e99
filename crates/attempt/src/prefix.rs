//! What both halves speak of.

/// The records of an attempt from its first to one of them, by their number and their digest.
///
/// The digest of none is 0, and that of `n` is the `chain` of record `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// The sequence of its last record; 0 for none.
    pub length: u64,
    /// The digest of all its records; 0 also where it is not known, and then agrees with all.
    pub chain: u64,
}

/// The order to end an attempt early. The stronger one is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Ask first, kill after the grace.
    Terminate,
    /// Kill at once.
    Kill,
}

// === impl Prefix ===

impl Prefix {
    /// Says whether a digest that the other side tells of the same length is not ours.
    pub fn contradicts(self, chain: u64) -> bool {
        self.chain != 0 && chain != 0 && self.chain != chain
    }
}
