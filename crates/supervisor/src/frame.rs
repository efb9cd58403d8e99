//! Messages on a stream of bytes: each after its length as a varint.

use std::{io, marker::PhantomData};

use bytes::{Buf as _, BytesMut};
use prost::Message;
use tokio_util::codec::Decoder;

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub(crate) struct Frames<M>(PhantomData<fn() -> M>);

/// The longest message. The largest that means something is an attempt with all that is to be run;
/// the bound keeps a peer that is not ours from making us hold its words.
pub(crate) const LONGEST: usize = 64 * 1024 * 1024;

/// A varint of 64 bits has ten bytes at the most.
const LONGEST_LENGTH: usize = 10;

// === impl Frames ===

impl<M> Frames<M> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Message + Default> Decoder for Frames<M> {
    type Item = M;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<M>> {
        let mut peeked = &bytes[..];
        let ends = peeked.iter().take(LONGEST_LENGTH).any(|byte| byte & 0x80 == 0);
        if !ends && peeked.len() < LONGEST_LENGTH {
            return Ok(None);
        }
        let length = prost::decode_length_delimiter(&mut peeked).map_err(invalid)?;
        if length > LONGEST {
            return Err(invalid(format!("a message of {length} bytes")));
        }
        let head = bytes.len() - peeked.len();
        if peeked.len() < length {
            bytes.reserve(head + length - bytes.len());
            return Ok(None);
        }
        bytes.advance(head);
        M::decode(bytes.split_to(length)).map(Some).map_err(invalid)
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waggoner_proto::supervisor::v1::{Note, Written};

    use super::*;

    proptest! {
        /// However the bytes come, the same messages come of them.
        #[test]
        fn pieces_do_not_matter(lengths in prop::collection::vec(0..400_usize, 0..20), piece in 1..500_usize) {
            let notes: Vec<_> = lengths.iter().map(|length| Note { bytes: vec![7; *length], ..Note::default() }).collect();
            let sent: Vec<u8> = notes.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
            let (mut frames, mut bytes, mut got) = (Frames::<Note>::new(), BytesMut::new(), Vec::new());
            for piece in sent.chunks(piece) {
                bytes.extend_from_slice(piece);
                while let Some(note) = frames.decode(&mut bytes).unwrap() {
                    got.push(note);
                }
            }
            prop_assert_eq!(got, notes);
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn what_is_no_message_is_refused_or_waits(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            drop(Frames::<Written>::new().decode(&mut BytesMut::from(&bytes[..])));
        }
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_is_kept() {
        for head in [&[0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0xff; 11]] {
            let mut bytes = BytesMut::from(head);
            let error = Frames::<Written>::new().decode(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(bytes.capacity() < 1024);
        }
    }
}
