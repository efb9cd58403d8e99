//! Files on their way to the manager: a digest first, then pieces.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    sync::{Arc, Mutex, PoisonError},
};

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::{Stream, stream};
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;

use super::ClientError;

/// The largest piece, in bytes: what the contract allows.
const PIECE: usize = 256 << 10;

/// A file to upload, with its size and digest known.
#[derive(Debug)]
pub(crate) struct Parcel {
    file: File,
    path: Utf8PathBuf,
    pub size: u64,
    pub digest: Digest,
    failure: Failure,
}

type Failure = Arc<Mutex<Option<io::Error>>>;

// === impl Parcel ===

impl Parcel {
    /// Opens a file.
    pub(crate) fn open(path: &Utf8Path) -> io::Result<Self> {
        let file = fs_err::File::open(path)?.into_parts().0;
        Self::of(file, path)
    }

    /// Takes a file that is open; `path` is its name in errors.
    pub(crate) fn of(mut file: File, path: &Utf8Path) -> io::Result<Self> {
        file.rewind()?;
        let mut hash = Sha256::new();
        let size = io::copy(&mut file, &mut hash)?;
        file.rewind()?;
        let digest = Digest(hash.finalize().into());
        Ok(Self { file, path: path.to_owned(), size, digest, failure: Failure::default() })
    }

    /// Sends the file by `call`, which gets the pieces. A failure to read the file wins over what
    /// the manager makes of the pieces that then lack.
    pub(crate) async fn send<A>(
        self,
        call: impl AsyncFnOnce(Pieces) -> Result<A, ClientError>,
    ) -> Result<A, ClientError> {
        let Self { file, path, failure, .. } = self;
        let answer = call(Pieces { file, failure: failure.clone() }).await;
        let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed {
            Some(source) => Err(ClientError::Upload { path, source }),
            None => answer,
        }
    }
}

/// What is left of a file.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: File,
    failure: Failure,
}

/// The messages of an upload: the header, then the file's bytes.
pub(crate) fn pieces<M>(
    header: M,
    pieces: Pieces,
    piece: fn(Vec<u8>) -> M,
) -> impl Stream<Item = M> + Send + 'static
where
    M: Send + 'static,
{
    let rest = stream::unfold(pieces, move |mut pieces| async move {
        let bytes = pieces.next()?;
        Some((piece(bytes), pieces))
    });
    stream::StreamExt::chain(stream::iter([header]), rest)
}

// === impl Pieces ===

impl Pieces {
    /// Reads the next piece. Blocks for a local read of 256 KiB: nothing else runs meanwhile.
    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(PIECE);
        match (&mut self.file).take(PIECE as u64).read_to_end(&mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(bytes),
            Err(error) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                None
            }
        }
    }
}
