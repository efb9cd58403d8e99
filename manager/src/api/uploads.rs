//! Uploads: an announced file in pieces, onto the disk, checked, and not visible yet.

use tonic::Streaming;
use waggoner_store::artifact::{Announced, Received};
use waggoner_types::{Chain, Digest};
use waggoner_wire::{At as _, Reason, Refused};

use crate::api::{Api, refusals::not_taken};

/// A message of an upload: the header first, then the bytes.
pub(crate) trait Piece {
    /// What comes.
    type Header;

    /// Takes it apart.
    fn open(self) -> Option<Part<Self::Header>>;
}

/// A part of an upload.
pub(crate) enum Part<H> {
    Header(H),
    Chunk(Vec<u8>),
}

/// Returns the header that an upload begins with.
pub(crate) async fn header<P: Piece>(stream: &mut Streaming<P>) -> Result<P::Header, Refused> {
    match next(stream).await?.and_then(Piece::open) {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Chunk(_)) | None => {
            Err(Refused::field("message", "the first message of an upload is its header"))
        }
    }
}

impl Api {
    /// Takes the bytes that follow the header.
    pub(crate) async fn receive<P: Piece>(
        &self,
        stream: &mut Streaming<P>,
        digest: &str,
        size: u64,
        limit: u64,
    ) -> Result<Received, Refused> {
        let digest: Digest = digest.parse().at("header.digest")?;
        if size > limit {
            let why = format!("{size} bytes are more than the {limit} that are allowed");
            return Err(Refused::field("header.size", why));
        }
        let artifacts = self.home.store.artifacts();
        let mut incoming =
            artifacts.receive(Announced { digest, size }).await.map_err(not_taken)?;
        while let Some(piece) = next(stream).await? {
            match piece.open() {
                Some(Part::Chunk(bytes)) => incoming.write(&bytes).await.map_err(not_taken)?,
                Some(Part::Header(_)) | None => {
                    return Err(Refused::field("message", "after the header come bytes only"));
                }
            }
        }
        incoming.finish().await.map_err(not_taken)
    }
}

async fn next<P>(stream: &mut Streaming<P>) -> Result<Option<P>, Refused> {
    stream.message().await.map_err(|status| {
        let why = format!("the upload broke off: {}", Chain(&status));
        Refused::new(Reason::Unavailable, why)
    })
}

/// Implements [`Piece`] for a message with `oneof message { header, chunk }`.
macro_rules! piece {
    ($request:ident, $module:ident, $header:ident) => {
        impl crate::api::uploads::Piece for waggoner_proto::v1::$request {
            type Header = waggoner_proto::v1::$header;

            fn open(self) -> Option<crate::api::uploads::Part<Self::Header>> {
                use waggoner_proto::v1::$module::Message;
                Some(match self.message? {
                    Message::Header(header) => crate::api::uploads::Part::Header(header),
                    Message::Chunk(chunk) => crate::api::uploads::Part::Chunk(chunk),
                })
            }
        }
    };
}
pub(crate) use piece;
