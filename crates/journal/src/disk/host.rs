//! A directory of the host.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::{self as fs, os::unix::fs::FileExt as _, os::unix::fs::OpenOptionsExt as _};
use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, File};

#[derive(Debug)]
pub(crate) struct Host {
    directory: Utf8PathBuf,
    /// Held by the one that writes.
    lock: Option<fs::File>,
}

#[derive(Debug)]
struct HostFile(fs::File);

// === impl Host ===

impl Host {
    /// Takes the directory for writing; `None` if another process has it.
    pub(crate) fn lock(directory: &Utf8Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(directory)?;
        let lock = options().create(true).open(directory.join("lock"))?;
        match rustix::fs::flock(lock.file(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { directory: directory.to_owned(), lock: Some(lock) })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the directory for reading.
    pub(crate) fn reading(directory: &Utf8Path) -> io::Result<Self> {
        fs::metadata(directory)?;
        Ok(Self { directory: directory.to_owned(), lock: None })
    }

    fn path(&self, segment: u64) -> Utf8PathBuf {
        self.directory.join(format!("{segment:016x}.seg"))
    }
}

impl Disk for Host {
    fn segments(&self) -> io::Result<Vec<u64>> {
        let mut segments = vec![];
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".seg"));
            segments.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn create(&self, segment: u64) -> io::Result<Box<dyn File>> {
        Ok(Box::new(HostFile(options().create_new(true).open(self.path(segment))?)))
    }

    fn open(&self, segment: u64) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(self.lock.is_some())
            .open(self.path(segment))?;
        Ok(Box::new(HostFile(file)))
    }

    fn remove(&self, segment: u64) -> io::Result<()> {
        fs::remove_file(self.path(segment))
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.directory)?.sync_all()
    }

    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl File for HostFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match self.0.read_at(&mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        use rustix::io::Errno;

        loop {
            match rustix::fs::fallocate(self.0.file(), FallocateFlags::empty(), 0, size) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return self.fill(size),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)?;
        self.0.sync_all()
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

// === impl HostFile ===

impl HostFile {
    /// Writes the zeros, where the file system cannot promise them.
    fn fill(&self, size: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

        let mut end = self.size()?;
        while end < size {
            let step = ZEROS.len().min(usize::try_from(size - end).unwrap_or(ZEROS.len()));
            self.write(&ZEROS[..step], end)?;
            end += step as u64;
        }
        Ok(())
    }
}

/// Records may hold what only the agent's user may read.
fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}
