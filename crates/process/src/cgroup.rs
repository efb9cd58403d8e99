//! Control groups (cgroup v2), where we may make some: a family that cannot be left by forking.

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use rustix::{
    fs::{Mode, OFlags, fstat, openat},
    io::pread,
    process::RawPid,
};
use tracing::debug;

use crate::spawn::next_mark;

/// The directory in which our cgroups are made.
#[derive(Clone, Debug)]
pub struct Cgroups {
    directory: Utf8PathBuf,
    left: Arc<Left>,
    spare: Arc<Mutex<Vec<Cgroup>>>,
}

/// The cgroup of one family, see `cgroups(7)`. Dropping it removes it, unless somebody lives in it.
#[derive(Debug)]
pub struct Cgroup {
    directory: Utf8PathBuf,
    left: Arc<Left>,
    made: Instant,
    /// Linux may kill whoever is born in one that was killed (`kill_seq` in kernel/cgroup/cgroup.c).
    killed: AtomicBool,
    /// Its directory, once it was opened, and the file in that which tells whether somebody lives
    /// here.
    opened: OnceLock<OwnedFd>,
    events: OnceLock<OwnedFd>,
}

/// Those that were dropped with somebody inside.
type Left = Mutex<Vec<Utf8PathBuf>>;

/// How old a directory of another is before it is taken for one that was left.
const OLD: Duration = Duration::from_mins(10);

/// How old a cgroup may become that is used again: before others take it for one that was left.
const USED: Duration = Duration::from_mins(5);

/// How many are kept to be used again.
const SPARE: usize = 64;

/// What `cgroup.events` tells of one in which nobody lives and that would not stop who came.
const EMPTY: &[u8] = b"populated 0\nfrozen 0\n";

// === impl Cgroups ===

impl Cgroups {
    /// Finds, or makes, a directory of this name below the cgroup that we are in.
    ///
    /// `None` where cgroup v2 is not mounted, not ours to write, or older than `cgroup.kill`
    /// (Linux 5.14). Removes what an earlier life has left empty in it, and what is left empty of
    /// others whose names begin the same, up to the hyphen.
    pub fn find(name: &str) -> Option<Self> {
        let own = own_directory()?;
        sweep_others(&own, name);
        let directory = own.join(name);
        let cgroups = Self { directory, left: Arc::default(), spare: Arc::default() };
        match cgroups.prepare() {
            Ok(()) => Some(cgroups),
            Err(error) => {
                debug!(%error, directory = %cgroups.directory, "no cgroups can be made");
                None
            }
        }
    }

    /// Makes a cgroup. Its name has to be new.
    pub fn create(&self, name: &str) -> io::Result<Cgroup> {
        let directory = self.directory.join(name);
        match fs_err::create_dir(&directory) {
            // Somebody may take ours for one that was left.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.prepare()?;
                fs_err::create_dir(&directory)?;
            }
            created => created?,
        }
        Ok(Cgroup::new(directory, Arc::clone(&self.left)))
    }

    /// Makes a cgroup, or takes one that was put back.
    pub fn take(&self) -> io::Result<Cgroup> {
        let spare = lock(&self.spare).pop();
        spare.map_or_else(|| self.create(&next_mark()), Ok)
    }

    /// Puts a cgroup back whose family needs it no more, so that another family may have it: to
    /// make and remove one costs as much as a small process. One that is needed still, or is not
    /// as it was made, is dropped.
    pub fn put_back(&self, cgroup: Arc<Cgroup>) {
        let cgroup = Arc::into_inner(cgroup).filter(Cgroup::is_as_new);
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE {
            spare.extend(cgroup);
        }
    }

    /// Removes those that have become empty since they were dropped, and those that were put back.
    pub fn sweep(&self) {
        lock(&self.spare).clear();
        lock(&self.left).retain(|directory| !is_removed(fs_err::remove_dir(directory)));
    }

    /// Removes the directory, unless somebody lives in one of its cgroups.
    pub fn close(&self) {
        self.sweep();
        fs_err::remove_dir(&self.directory).ok();
    }

    fn prepare(&self) -> io::Result<()> {
        match fs_err::create_dir(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Write permission to the two files that are used, without using them.
        for file in ["cgroup.procs", "cgroup.kill"] {
            fs_err::OpenOptions::new().write(true).open(self.directory.join(file))?;
        }
        // Where the host lets us: so that we hear who died for want of memory.
        fs_err::write(self.directory.join("cgroup.subtree_control"), "+memory").ok();
        for entry in fs_err::read_dir(&self.directory)?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let path = Utf8PathBuf::try_from(entry.path()).map_err(io::Error::other)?;
                if !is_removed(fs_err::remove_dir(&path)) {
                    lock(&self.left).push(path);
                }
            }
        }
        Ok(())
    }
}

// === impl Cgroup ===

impl Cgroup {
    /// Takes a cgroup up again that another life has made.
    pub(crate) fn at(directory: &Utf8Path) -> Self {
        Self::new(directory.to_owned(), Arc::default())
    }

    fn new(directory: Utf8PathBuf, left: Arc<Left>) -> Self {
        Self {
            directory,
            left,
            made: Instant::now(),
            killed: AtomicBool::new(false),
            opened: OnceLock::new(),
            events: OnceLock::new(),
        }
    }

    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }

    /// Opens it, for a child to be born in it.
    pub(crate) fn open(&self) -> io::Result<&OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        once(&self.opened, || rustix::fs::open(self.directory.as_std_path(), flags, Mode::empty()))
    }

    /// Says whether it may be another family's: nobody lives in it, or below it, nobody was killed
    /// in it, by us or for want of memory, and nobody has limited its memory.
    fn is_as_new(&self) -> bool {
        let may_be = !self.killed.load(Ordering::Relaxed) && self.made.elapsed() < USED;
        may_be && self.is_empty().unwrap_or(false) && self.has_all_memory()
    }

    fn has_all_memory(&self) -> bool {
        let read = |file| fs_err::read_to_string(self.directory.join(file));
        let is_unlimited = |file| read(file).is_ok_and(|limit| limit.trim() == "max");
        match read("memory.events") {
            Ok(events) => {
                oom_kills(&events) == 0
                    && ["memory.max", "memory.high"].into_iter().all(is_unlimited)
            }
            // There is no memory controller.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn is_empty(&self) -> io::Result<bool> {
        let opened = self.open()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let events = once(&self.events, || openat(opened, "cgroup.events", flags, Mode::empty()))?;
        // One more than is expected, so that what else a kernel tells is seen.
        let mut told = [0; EMPTY.len() + 1];
        let count = pread(events, &mut told, 0)?;
        // A directory has a link from itself, one from above, and one from each below it.
        Ok(&told[..count] == EMPTY && fstat(opened)?.st_nlink == 2)
    }

    /// Kills all that live in it, in one step that no fork escapes.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        if let Err(error) = fs_err::write(self.directory.join("cgroup.kill"), "1") {
            debug!(%error, "failed to kill a cgroup");
        }
    }

    /// Lists those that live in it, or in one that they have made below it.
    pub(crate) fn members(&self) -> HashSet<RawPid> {
        let (mut members, mut directories) = (HashSet::new(), vec![self.directory.clone()]);
        while let Some(directory) = directories.pop() {
            let list = fs_err::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            members.extend(list.lines().filter_map(|pid| pid.parse::<RawPid>().ok()));
            for entry in fs_err::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.extend(Utf8PathBuf::try_from(entry.path()).ok());
                }
            }
        }
        members
    }

    /// Says whether the kernel killed somebody in it for want of memory; `false` where it does not
    /// tell (no memory controller).
    pub(crate) fn lacked_memory(&self) -> bool {
        let events = fs_err::read_to_string(self.directory.join("memory.events"));
        events.is_ok_and(|events| oom_kills(&events) > 0)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !is_removed(fs_err::remove_dir(&self.directory)) {
            lock(&self.left).push(self.directory.clone());
        }
    }
}

/// Removes what those have left who ended without a word, and whom nobody follows: their
/// directories and the cgroups in them, as far as nobody lives there.
fn sweep_others(own: &Utf8Path, name: &str) {
    let Some((family, _)) = name.split_once('-') else { return };
    for other in old_directories(own) {
        let other_name = other.file_name().unwrap_or_default();
        let is_of_family = other_name.split_once('-').is_some_and(|(first, _)| first == family);
        if !is_of_family || other_name == name {
            continue;
        }
        for cgroup in old_directories(&other) {
            // It fails where somebody lives in it.
            fs_err::remove_dir(cgroup).ok();
        }
        fs_err::remove_dir(other).ok();
    }
}

/// Lists the directories in one that nobody made or changed for a while. One that is new may be
/// about to be used.
fn old_directories(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().into_iter().flatten().flatten();
    let is_old = |entry: &Utf8DirEntry| {
        let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_dir);
        let age = metadata.and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        age.is_some_and(|age| age > OLD)
    };
    entries.filter(is_old).map(Utf8DirEntry::into_path).collect()
}

/// Opens what stays open.
fn once(
    cell: &OnceLock<OwnedFd>,
    open: impl FnOnce() -> rustix::io::Result<OwnedFd>,
) -> io::Result<&OwnedFd> {
    match cell.get() {
        Some(opened) => Ok(opened),
        None => open().map(|opened| cell.get_or_init(|| opened)).map_err(Into::into),
    }
}

fn is_removed(removed: io::Result<()>) -> bool {
    !removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
}

fn oom_kills(events: &str) -> u64 {
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn own_directory() -> Option<Utf8PathBuf> {
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").ok()?;
    let cgroups = fs_err::read_to_string("/proc/self/cgroup").ok()?;
    directory(&mounts, &cgroups)
}

/// Finds the directory of our own cgroup; see `proc_pid_mountinfo(5)` and `cgroups(7)`.
fn directory(mounts: &str, cgroups: &str) -> Option<Utf8PathBuf> {
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        if file_system.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = Utf8Path::new(own).strip_prefix(root).ok()?;
        Some(Utf8Path::new(point).join(below))
    })
}

/// No holder of these locks panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cgroup_is_found_below_its_mount() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            38 31 0:35 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let unified =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let container = "900 890 0:26 /docker/ab12 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let none = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
        for (mounts, cgroups, expected) in [
            (hybrid, "4:memory:/a\n0::/\n", Some("/sys/fs/cgroup/unified/")),
            (
                unified,
                "0::/system.slice/agent.service\n",
                Some("/sys/fs/cgroup/system.slice/agent.service"),
            ),
            (container, "0::/docker/ab12\n", Some("/sys/fs/cgroup/")),
            (container, "0::/elsewhere\n", None),
            (none, "0::/\n", None),
            (unified, "4:memory:/a\n", None),
            ("", "", None),
        ] {
            assert_eq!(directory(mounts, cgroups).as_deref(), expected.map(Utf8Path::new));
        }
    }

    #[test]
    fn one_in_which_memory_is_short_is_not_another_familys() {
        let directory = camino_tempfile::tempdir().unwrap();
        let cgroup = Cgroup::at(directory.path());
        assert!(cgroup.has_all_memory(), "there is no controller");
        for (events, max, high, expected) in [
            ("low 0\noom_kill 0\n", "max\n", "max\n", true),
            ("low 0\noom_kill 1\n", "max\n", "max\n", false),
            ("low 0\noom_kill 0\n", "67108864\n", "max\n", false),
            ("low 0\noom_kill 0\n", "max\n", "67108864\n", false),
        ] {
            let files = [("memory.events", events), ("memory.max", max), ("memory.high", high)];
            for (file, text) in files {
                fs_err::write(directory.path().join(file), text).unwrap();
            }
            assert_eq!(cgroup.has_all_memory(), expected, "{events} {max} {high}");
        }
    }

    #[test]
    fn who_died_for_want_of_memory_is_counted() {
        assert_eq!(oom_kills("low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(oom_kills("oom_kill x"), 0);
        assert_eq!(oom_kills(""), 0);
    }
}
