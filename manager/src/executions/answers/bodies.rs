//! What requests of the REST API bring, put in pieces before them: archives, long texts.

use std::{collections::HashMap, io, sync::Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::{Utf8TempDir, tempdir_in};
use fs_err::tokio as fs;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use uuid::Uuid;
use waggoner_proto::agent::v1::PutBody;

use crate::executions::answers::Unanswered;

/// The bodies of one operation. They go with it.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Made with the first body.
    folder: Option<Utf8TempDir>,
    /// How much of each is there, in bytes.
    sizes: HashMap<Uuid, u64>,
}

/// The largest body, in bytes: a wagon may have a gibibyte, and there is something around it.
const LARGEST: u64 = (1 << 30) + (1 << 24);

/// How many bodies of an operation may be there at once.
const MOST: usize = 16;

// === impl Bodies ===

impl Bodies {
    /// Takes a piece, and returns how much of the body is there. A piece that comes again is
    /// written again.
    pub(crate) async fn put(&self, home: &Utf8Path, piece: PutBody) -> Result<u64, Unanswered> {
        let PutBody { body_id, offset, data } = piece;
        let id = parse(&body_id)?;
        let path = self.admit(home, id, offset, data.len() as u64)?;
        let written = async {
            let mut file =
                fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).await?;
            file.seek(io::SeekFrom::Start(offset)).await?;
            file.write_all(&data).await?;
            file.flush().await
        };
        written.await.map_err(|error| Unanswered::broken(&error))?;
        let mut known = self.known();
        let size = known.sizes.entry(id).or_default();
        *size = (*size).max(offset + data.len() as u64);
        Ok(*size)
    }

    /// Returns where a body lies that was put.
    pub(crate) fn path(&self, body_id: &str) -> Result<Utf8PathBuf, Unanswered> {
        let id = parse(body_id)?;
        let known = self.known();
        let folder = known.folder.as_ref().filter(|_| known.sizes.contains_key(&id));
        Ok(folder.ok_or_else(lost)?.path().join(id.to_string()))
    }

    /// Forgets a body that was used.
    pub(crate) async fn forget(&self, body_id: &str) {
        let Ok(path) = self.path(body_id) else { return };
        drop(fs::remove_file(path).await);
        if let Ok(id) = parse(body_id) {
            self.known().sizes.remove(&id);
        }
    }

    fn admit(
        &self,
        home: &Utf8Path,
        id: Uuid,
        offset: u64,
        length: u64,
    ) -> Result<Utf8PathBuf, Unanswered> {
        let mut known = self.known();
        let size = known.sizes.get(&id).copied();
        if offset > size.unwrap_or_default() {
            return Err(lost());
        }
        if offset.saturating_add(length) > LARGEST {
            let why = format!("more than {LARGEST} bytes were sent");
            return Err(Unanswered::refused("bad_parameters_error", why));
        }
        if size.is_none() && known.sizes.len() >= MOST {
            let why = format!("an operation sends {MOST} files at once at the most");
            return Err(Unanswered::refused("bad_parameters_error", why));
        }
        if known.folder.is_none() {
            known.folder = Some(tempdir_in(home).map_err(|error| Unanswered::broken(&error))?);
        }
        known.sizes.entry(id).or_default();
        let folder = known.folder.as_ref().expect("it was made just now");
        Ok(folder.path().join(id.to_string()))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the bodies")
    }
}

fn parse(id: &str) -> Result<Uuid, Unanswered> {
    id.parse().map_err(|_| Unanswered::invalid("the id of a body is no UUID"))
}

fn lost() -> Unanswered {
    Unanswered {
        reason: "UNAVAILABLE",
        status: 500,
        error_code: "internal_server_error",
        message: "the manager has lost what was sent before, since it was started anew: send the \
                  request again"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: Uuid, offset: u64, data: &[u8]) -> PutBody {
        PutBody { body_id: id.to_string(), offset, data: data.to_vec() }
    }

    #[tokio::test]
    async fn pieces_make_a_body_also_when_one_comes_again_and_a_gap_is_refused() {
        let home = camino_tempfile::tempdir().unwrap();
        let (bodies, id) = (Bodies::default(), Uuid::new_v4());
        let put = |offset, data: &'static [u8]| bodies.put(home.path(), piece(id, offset, data));
        assert_eq!(put(0, b"abc").await.unwrap(), 3);
        assert_eq!(put(3, b"def").await.unwrap(), 6);
        assert_eq!(put(3, b"def").await.unwrap(), 6);
        assert_eq!(put(7, b"h").await.unwrap_err().status, 500);
        let path = bodies.path(&id.to_string()).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"abcdef");
        bodies.forget(&id.to_string()).await;
        assert!(bodies.path(&id.to_string()).is_err() && !path.exists());
        assert!(bodies.put(home.path(), piece(id, LARGEST, b"x")).await.is_err());
        drop(bodies);
        assert_eq!(home.path().read_dir_utf8().unwrap().count(), 0, "it goes with the operation");
    }
}
