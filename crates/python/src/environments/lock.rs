//! A lock that other processes see.

use std::{fs::File, io};

use camino::Utf8Path;

/// Held until it is dropped, or its process ends in whatever way.
pub(super) struct Lock {
    _file: File,
}

// === impl Lock ===

impl Lock {
    /// Waits until nobody else holds it. The file stays: removing it would let two hold it.
    pub(super) async fn take(path: &Utf8Path) -> io::Result<Self> {
        let path = path.to_owned();
        let taken = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(Self { _file: file })
        });
        taken.await.expect("locking does not panic")
    }
}
