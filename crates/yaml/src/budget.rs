//! What one text may cost.

/// The limits of one parse. Aliases count as what they stand for, so a small text cannot
/// become a large tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// The most values, keys included.
    pub nodes: usize,
    /// The deepest nesting of lists and maps.
    pub depth: usize,
    /// The most bytes of scalars that aliases and merge keys may repeat.
    pub repeated_bytes: usize,
}

/// What was used so far: of one subtree, or of the whole text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) nodes: usize,
    pub(crate) bytes: usize,
}

// === impl Budget ===

impl Default for Budget {
    /// The largest plugin.yaml in use (cloudify-aws-plugin) has 350 kB, 11,000 values and a
    /// depth of 12: an order of magnitude above that is still quick to read.
    fn default() -> Self {
        Self { bytes: 8 << 20, nodes: 500_000, depth: 96, repeated_bytes: 32 << 20 }
    }
}

// === impl Cost ===

impl Cost {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { nodes: self.nodes - earlier.nodes, bytes: self.bytes - earlier.bytes }
    }
}
