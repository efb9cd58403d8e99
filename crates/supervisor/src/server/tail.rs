//! The end of a stream, for the sentence that tells of a failure.

use std::collections::VecDeque;

use crate::words::Tail;

/// The last bytes of a stream that still goes on.
#[derive(Debug, Default)]
pub(super) struct Tailing {
    written: u64,
    bytes: VecDeque<u8>,
}

/// How much of a stream is kept: what a person reads, and a fraction of a message.
const KEPT: usize = 16 * 1024;

// === impl Tailing ===

impl Tailing {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        let new = &bytes[bytes.len().saturating_sub(KEPT)..];
        let excess = (self.bytes.len() + new.len()).saturating_sub(KEPT);
        self.bytes.drain(..excess);
        self.bytes.extend(new);
    }

    pub(super) fn into_tail(self) -> Tail {
        Tail { written: self.written, bytes: self.bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_the_end_is_kept(chunks in prop::collection::vec(prop_oneof![0..9_usize, 0..40_000_usize], 0..9)) {
            let whole: Vec<u8> = (0_u8..=250).cycle().take(chunks.iter().sum()).collect();
            let (mut tailing, mut rest) = (Tailing::default(), &whole[..]);
            for chunk in chunks {
                let (now, later) = rest.split_at(chunk);
                tailing.push(now);
                rest = later;
            }
            let tail = tailing.into_tail();
            prop_assert_eq!(tail.written, whole.len() as u64);
            prop_assert_eq!(&tail.bytes[..], &whole[whole.len().saturating_sub(KEPT)..]);
        }
    }
}
