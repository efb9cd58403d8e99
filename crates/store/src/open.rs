//! Opens the data directory: lock, database, key and artifacts, or a sentence that says why not.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use crate::{
    artifact::Artifacts,
    column::{first, one, run},
    reader::Readers,
    schema::{self, Flaw},
    store::Inner,
    vault::{KeyError, Vault},
    writer::Writer,
};

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to prepare the data directory `{directory}`")]
    Directory {
        directory: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another manager uses the data directory `{directory}`: stop it, or choose another one"
    )]
    InUse { directory: Utf8PathBuf },
    #[error("failed to open the database `{path}`")]
    Database {
        path: Utf8PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "the database `{path}` is of version {found} and this manager knows versions up to \
         {known}: start the newer manager that made it, or restore a backup"
    )]
    Newer { path: Utf8PathBuf, found: usize, known: usize },
    #[error("failed to bring the database `{path}` to version {version}")]
    Migrate {
        path: Utf8PathBuf,
        version: usize,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("failed to start the thread that writes to the database")]
    Thread(#[source] io::Error),
}

/// How many lists and gets run at once; more would only queue for the processor.
const READERS: usize = 4;

/// How long to wait for somebody else's lock, such as a backup's.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many pages the writer keeps in memory, in KiB: those that new rows go to are among them.
const PAGES_KIB: i64 = 16 << 10;

/// After how many pages the write-ahead log is brought into the database: each commit writes the
/// same few pages, so that the more of them there are, the less is written twice.
const LOG: i64 = 4_000;

/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS: usize = 256;

/// Opens the store in `directory`. Blocks.
pub(crate) fn open(directory: &Utf8Path) -> Result<Inner, OpenError> {
    let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;

    let lock = lock(directory)?;

    let path = directory.join("store.db");
    private(&path).map_err(failed)?;
    let broken =
        |source: rusqlite::Error| OpenError::Database { path: path.clone(), source: source.into() };
    let mut connection = writing(&path).map_err(broken)?;
    schema::migrate(&mut connection).map_err(|flaw| match flaw {
        Flaw::Newer { found, known } => OpenError::Newer { path: path.clone(), found, known },
        Flaw::Migrate { version, source } => {
            OpenError::Migrate { path: path.clone(), version, source: source.into() }
        }
    })?;
    // Whoever worked on these is gone.
    run(&connection, "DELETE FROM requests WHERE answer IS NULL", []).map_err(broken)?;

    let last: Option<i64> =
        one(&connection, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", [], first)
            .map_err(broken)?;
    let sealed: Option<bool> =
        one(&connection, "SELECT EXISTS (SELECT 1 FROM secrets)", [], first).map_err(broken)?;
    let vault = Vault::open(&directory.join("secrets.key"), sealed == Some(true))?;
    let artifacts = Artifacts::open(directory.join("artifacts")).map_err(failed)?;

    let readers: rusqlite::Result<Vec<_>> = (0..READERS).map(|_| reading(&path)).collect();
    let readers = Readers::new(readers.map_err(broken)?);
    let last_event = last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0);
    let (last_event_tx, last_event) = watch::channel(last_event);
    let writer = Writer::start(connection, last_event_tx).map_err(OpenError::Thread)?;
    Ok(Inner { writer, readers, artifacts, vault, last_event, _lock: lock })
}

/// Keeps other managers out for as long as the file is open.
fn lock(directory: &Utf8Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
    let lock = private(&directory.join("store.lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a file, or makes it for its owner alone. What SQLite puts beside it is as private.
fn private(path: &Utf8Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn writing(path: &Utf8Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    prepare(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::ToSqlConversionFailure(
            format!("the file system cannot hold a write-ahead log (mode {mode})").into(),
        ));
    }
    // A commit is on the disk before it is answered.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What undoes one write of a group is never wanted after a crash.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -PAGES_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG)?;
    Ok(connection)
}

fn reading(path: &Utf8Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}
