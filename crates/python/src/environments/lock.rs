//! A lock that other processes see.

use std::{
    fs::{File, TryLockError},
    io,
    time::Duration,
};

use camino::Utf8Path;
use tokio::time::sleep;

/// Held until it is dropped, or its process ends in whatever way.
pub(super) struct Lock {
    _file: File,
}

/// How often it is tried. A build takes seconds.
const EVERY: Duration = Duration::from_millis(50);

// === impl Lock ===

impl Lock {
    /// Waits until nobody else holds it. The file stays: removing it would let two hold it.
    ///
    /// Asks again and again, as a thread that waits for a lock could not be called back.
    pub(super) async fn take(path: &Utf8Path) -> io::Result<Self> {
        loop {
            match Self::try_take(path)? {
                Some(lock) => return Ok(lock),
                None => sleep(EVERY).await,
            }
        }
    }

    /// Takes it if nobody holds it.
    pub(super) fn try_take(path: &Utf8Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
