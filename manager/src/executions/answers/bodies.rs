//! What requests of the REST API bring, put in pieces before them: archives, long texts.

use std::{collections::HashMap, io, sync::Mutex, time::Duration};

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

/// How much the bodies of an operation may be together, in bytes.
const TOGETHER: u64 = 2 * LARGEST;

/// For how long a body may lie that nobody sends on.
const IDLE: Duration = Duration::from_hours(1);

/// Removes bodies that nobody has sent on for long: who sent them has gone. Blocks.
pub(crate) fn sweep(incoming: &Utf8Path) -> io::Result<()> {
    for folder in incoming.read_dir_utf8()?.filter_map(Result::ok) {
        // One that has ended meanwhile takes its bodies with it.
        let Ok(bodies) = folder.path().read_dir_utf8() else { continue };
        for body in bodies.filter_map(Result::ok) {
            let idle = body.metadata().and_then(|found| found.modified()).map(|at| at.elapsed());
            if idle.is_ok_and(|idle| idle.is_ok_and(|idle| idle > IDLE)) {
                drop(fs_err::remove_file(body.path()));
            }
        }
    }
    Ok(())
}

// === impl Bodies ===

impl Bodies {
    /// Takes a piece, and returns how much of the body is there. A piece that comes again is
    /// written again.
    pub(crate) async fn put(&self, incoming: &Utf8Path, piece: PutBody) -> Result<u64, Unanswered> {
        let PutBody { body_id, offset, data } = piece;
        let id = parse(&body_id)?;
        let path = self.admit(incoming, id, offset, data.len() as u64)?;
        let written = async {
            let mut options = fs::OpenOptions::new();
            // One that was let go meanwhile does not go on with a gap.
            options.create(offset == 0).truncate(false).write(true);
            let mut file = options.open(path).await?;
            file.seek(io::SeekFrom::Start(offset)).await?;
            file.write_all(&data).await?;
            file.flush().await
        };
        let written = written.await;
        let mut known = self.known();
        if let Err(error) = written {
            // It takes nobody's place, unless something of it is there.
            if known.sizes.get(&id) == Some(&0) {
                known.sizes.remove(&id);
            }
            return Err(match error.kind() {
                io::ErrorKind::NotFound => lost(),
                _ => Unanswered::broken(&error),
            });
        }
        let size = known.sizes.entry(id).or_default();
        *size = (*size).max(offset + data.len() as u64);
        Ok(*size)
    }

    /// Returns where a body lies that was put.
    pub(crate) fn path(&self, body_id: &str) -> Result<Utf8PathBuf, Unanswered> {
        let id = parse(body_id)?;
        let known = self.known();
        let folder = known.folder.as_ref().filter(|_| known.sizes.contains_key(&id));
        let path = folder.map(|folder| folder.path().join(id.to_string()));
        path.filter(|path| path.exists()).ok_or_else(lost)
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
        incoming: &Utf8Path,
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
        if size.is_none() {
            known.forget_swept();
        }
        if size.is_none() && known.sizes.len() >= MOST {
            let why = format!("an operation sends {MOST} files at once at the most");
            return Err(Unanswered::refused("bad_parameters_error", why));
        }
        let others = known.sizes.iter().filter(|(other, _)| **other != id);
        let others: u64 = others.map(|(_, size)| size).sum();
        if others.saturating_add(offset).saturating_add(length) > TOGETHER {
            let why = format!("an operation sends {TOGETHER} bytes at once at the most");
            return Err(Unanswered::refused("bad_parameters_error", why));
        }
        if known.folder.is_none() {
            known.folder = Some(tempdir_in(incoming).map_err(|error| Unanswered::broken(&error))?);
        }
        known.sizes.entry(id).or_default();
        let folder = known.folder.as_ref().expect("it was made just now");
        Ok(folder.path().join(id.to_string()))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the bodies")
    }
}

// === impl Known ===

impl Known {
    /// Forgets the bodies that were let go.
    fn forget_swept(&mut self) {
        let Self { folder, sizes } = self;
        let Some(folder) = folder else { return };
        // One whose first piece is on its way is not there yet.
        sizes.retain(|id, size| *size == 0 || folder.path().join(id.to_string()).exists());
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
    async fn a_body_that_nobody_sends_on_is_let_go_and_makes_room() {
        let home = camino_tempfile::tempdir().unwrap();
        let (bodies, left, sent) = (Bodies::default(), Uuid::new_v4(), Uuid::new_v4());
        for id in [left, sent] {
            bodies.put(home.path(), piece(id, 0, b"abc")).await.unwrap();
        }
        let path = bodies.path(&left.to_string()).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - 2 * IDLE).unwrap();
        sweep(home.path()).unwrap();
        assert!(!path.exists() && bodies.path(&sent.to_string()).is_ok());
        assert_eq!(bodies.path(&left.to_string()).unwrap_err().status, 500);
        assert_eq!(bodies.put(home.path(), piece(left, 3, b"d")).await.unwrap_err().status, 500);
        for _ in 1..MOST {
            bodies.put(home.path(), piece(Uuid::new_v4(), 0, b"x")).await.unwrap();
        }
        let refused = bodies.put(home.path(), piece(Uuid::new_v4(), 0, b"x")).await.unwrap_err();
        assert!(refused.message.contains("16 files at once"), "{refused:?}");
    }

    #[tokio::test]
    async fn bodies_together_have_a_bound() {
        let home = camino_tempfile::tempdir().unwrap();
        let bodies = Bodies::default();
        for _ in 0..2 {
            let id = Uuid::new_v4();
            bodies.put(home.path(), piece(id, 0, b"a")).await.unwrap();
            // Nothing but its length is large.
            let path = bodies.path(&id.to_string()).unwrap();
            fs_err::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(LARGEST - 1)
                .unwrap();
            bodies.known().sizes.insert(id, LARGEST - 1);
            assert_eq!(
                bodies.put(home.path(), piece(id, LARGEST - 1, b"z")).await.unwrap(),
                LARGEST
            );
        }
        let refused = bodies.put(home.path(), piece(Uuid::new_v4(), 0, b"a")).await.unwrap_err();
        assert!(refused.message.contains("bytes at once"), "{refused:?}");
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
