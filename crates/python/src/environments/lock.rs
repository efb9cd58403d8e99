//! A lock that other processes see, and what is known of who held it.

use std::{
    fs::{File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    time::Duration,
};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use waggoner_process::{BOOT_ID, Buried, Identity, Parent, boot_id};

/// Held until it is dropped, or its process ends in whatever way.
///
/// Its file holds a note for as long as something may run that was started under it. So a note that
/// is there when the lock is taken is of a process that was killed.
pub(super) struct Lock {
    file: File,
}

/// What it takes to find whatever was started under a lock.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    boot_id: String,
    mark: String,
    session: i32,
    group: i32,
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
        let file =
            File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Ends whatever runs that was started by who held it and was killed.
    pub(super) async fn bury(&mut self) -> io::Result<()> {
        let Some(note) = self.note()? else { return Ok(()) };
        let boot = boot_id(Utf8Path::new(BOOT_ID))?;
        let identity = Identity {
            boot_id: note.boot_id,
            mark: note.mark,
            cgroup: None,
            leader: None,
            parent: Parent { session: note.session, group: note.group },
        };
        match identity.bury(&boot).await {
            Buried::Done { left } if !left.is_empty() => {
                let left = format!("what an earlier build has started cannot be ended: {left:?}");
                Err(io::Error::other(left))
            }
            Buried::Done { .. } | Buried::HostRebooted => self.clear(),
        }
    }

    /// Notes the mark of what is about to be started.
    pub(super) fn write(&mut self, mark: &str) -> io::Result<()> {
        let Parent { session, group } = Parent::current();
        let boot_id = boot_id(Utf8Path::new(BOOT_ID))?;
        let note = Note { boot_id, mark: mark.to_owned(), session, group };
        self.clear()?;
        self.file.write_all(&serde_json::to_vec(&note).expect("it is plain data"))
    }

    /// Notes that nothing runs any more.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }

    fn note(&mut self) -> io::Result<Option<Note>> {
        let mut text = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut text)?;
        // Half a note is of who had not started anything yet.
        Ok(serde_json::from_slice(&text).ok())
    }
}
