//! Directories into archives and back: blueprints, and what plugins fetch.

use std::{
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt as _, symlink},
};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::{Compression, GzBuilder};
use fs_err as fs;
use tar::{Builder, EntryType, Header};

use crate::{
    Budget, Flaw, Refusal,
    archive::{Content, Entry, Kind, walk},
};

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The one directory in which everything lies, if there is one.
    pub top: Option<String>,
    /// How many files there are.
    pub files: usize,
}

const KIND: &str = "archive";

/// Unpacks a tar, tar.gz or zip into `into`, which must not exist yet; on an error it does not
/// exist afterwards either.
///
/// Links are taken when they stay within the directory. Owners, times and special modes are not.
pub fn unpack_tree(
    source: &Utf8Path,
    into: &Utf8Path,
    budget: &Budget,
) -> Result<Unpacked, Refusal> {
    let file = fs::File::open(source.as_std_path())
        .map_err(|error| Flaw::Unreadable(error).of(KIND, source))?;
    fs::create_dir(into.as_std_path())
        .map_err(|error| Flaw::unwritable(into, error).of(KIND, source))?;
    let mut writing = Writing { into, links: Vec::new(), tops: Vec::new(), files: 0 };
    let walked =
        walk(io::BufReader::new(file), budget, &mut |entry, content| writing.take(entry, content));
    walked.and_then(|_| writing.finish()).map_err(|flaw| {
        drop(fs::remove_dir_all(into.as_std_path()));
        flaw.of(KIND, source)
    })
}

/// Packs a directory as `top/…` into a tar.gz that depends on nothing but names, contents and
/// which files are executable.
///
/// Links stay links. One that leads out of the directory is refused, and so is what is no file.
pub fn pack_tree(directory: &Utf8Path, top: &str, out: impl Write) -> Result<(), Refusal> {
    let pack = || {
        let root = directory.canonicalize_utf8().map_err(Flaw::Unreadable)?;
        let mut tarball = Tarball::new(directory, out);
        tarball.directory(top)?;
        pack_below(&root, &root, top, &mut tarball)?;
        tarball.finish().map(drop)
    };
    pack().map_err(|flaw: Flaw| flaw.of("directory", directory))
}

/// A directory that is being filled.
struct Writing<'a> {
    into: &'a Utf8Path,
    links: Vec<(String, String)>,
    tops: Vec<(String, bool)>,
    files: usize,
}

/// A tar.gz whose bytes depend on nothing but its content.
pub(crate) struct Tarball<W: Write> {
    tar: Builder<flate2::write::GzEncoder<W>>,
    path: Utf8PathBuf,
}

// === impl Writing ===

impl Writing<'_> {
    fn take(&mut self, entry: &Entry, content: &mut Content<'_>) -> Result<(), Flaw> {
        let (top, below) = entry.path.split_once('/').unwrap_or((&entry.path, ""));
        let holds = entry.kind == Kind::Directory || !below.is_empty();
        match self.tops.iter_mut().find(|(name, _)| name == top) {
            Some((_, directory)) => *directory |= holds,
            None => self.tops.push((top.to_owned(), holds)),
        }
        let path = self.into.join(&entry.path);
        let unwritable = |error| Flaw::unwritable(&path, error);
        match &entry.kind {
            Kind::Directory => fs::create_dir_all(path.as_std_path()).map_err(unwritable),
            // Made at the end, so that nothing is ever written through one.
            Kind::Link { target } => {
                self.links.push((entry.path.clone(), target.clone()));
                Ok(())
            }
            Kind::File { executable } => {
                self.files += 1;
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent.as_std_path()).map_err(unwritable)?;
                }
                let mut file = std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(if *executable { 0o755 } else { 0o644 })
                    .open(&path)
                    .map_err(unwritable)?;
                content.copy_to(&path, &mut file)
            }
        }
    }

    fn finish(self) -> Result<Unpacked, Flaw> {
        for (path, target) in &self.links {
            if target.is_empty() || target.starts_with('/') || target.contains('\0') {
                return Err(Flaw::entry(path, "is a link out of the archive"));
            }
            let at = self.into.join(path);
            if let Some(parent) = at.parent() {
                fs::create_dir_all(parent.as_std_path())
                    .map_err(|error| Flaw::unwritable(parent, error))?;
            }
            symlink(target, &at).map_err(|error| Flaw::unwritable(&at, error))?;
        }
        // Only now, as a link may lead over another one.
        let root = self.into.canonicalize_utf8().map_err(Flaw::Unreadable)?;
        for (path, _) in &self.links {
            match self.into.join(path).canonicalize() {
                Ok(end) if end.starts_with(&root) => {}
                Ok(_) => return Err(Flaw::entry(path, "is a link out of the archive")),
                Err(_) => return Err(Flaw::entry(path, "is a link to nothing in the archive")),
            }
        }
        let top = match self.tops.as_slice() {
            [(only, true)] => Some(only.clone()),
            _ => None,
        };
        Ok(Unpacked { top, files: self.files })
    }
}

// === impl Tarball ===

impl<W: Write> Tarball<W> {
    /// `path` stands for the output in messages.
    pub(crate) fn new(path: &Utf8Path, out: W) -> Self {
        let encoder = GzBuilder::new().mtime(0).write(out, Compression::fast());
        Self { tar: Builder::new(encoder), path: path.to_owned() }
    }

    pub(crate) fn directory(&mut self, name: &str) -> Result<(), Flaw> {
        let header = header(EntryType::Directory, 0o755, 0);
        self.append(header, &format!("{name}/"), io::empty())
    }

    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Flaw> {
        self.append(header(EntryType::Regular, 0o644, bytes.len() as u64), name, bytes)
    }

    pub(crate) fn file(&mut self, name: &str, path: &Utf8Path) -> Result<(), Flaw> {
        let file = fs::File::open(path.as_std_path()).map_err(Flaw::Unreadable)?;
        let metadata = file.metadata().map_err(Flaw::Unreadable)?;
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        // A file that grows meanwhile must not spill into the next header.
        let data = io::Read::take(file, metadata.len());
        self.append(header(EntryType::Regular, mode, metadata.len()), name, data)
    }

    fn link(&mut self, name: &str, target: &Utf8Path) -> Result<(), Flaw> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.tar
            .append_link(&mut header, name, target)
            .map_err(|error| Flaw::unwritable(&self.path, error))
    }

    pub(crate) fn finish(self) -> Result<W, Flaw> {
        let path = self.path;
        let finish = || self.tar.into_inner()?.finish();
        finish().map_err(|error| Flaw::unwritable(path, error))
    }

    fn append(&mut self, mut header: Header, name: &str, data: impl io::Read) -> Result<(), Flaw> {
        self.tar
            .append_data(&mut header, name, data)
            .map_err(|error| Flaw::unwritable(&self.path, error))
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn pack_below<W: Write>(
    root: &Utf8Path,
    directory: &Utf8Path,
    name: &str,
    tarball: &mut Tarball<W>,
) -> Result<(), Flaw> {
    let mut entries = Vec::new();
    for entry in directory.read_dir_utf8().map_err(Flaw::Unreadable)? {
        entries.push(entry.map_err(Flaw::Unreadable)?);
    }
    entries.sort_by(|one, two| one.file_name().cmp(two.file_name()));
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name());
        let path = entry.path();
        let kind = entry.file_type().map_err(Flaw::Unreadable)?;
        if kind.is_dir() {
            tarball.directory(&name)?;
            pack_below(root, path, &name, tarball)?;
        } else if kind.is_file() {
            tarball.file(&name, path)?;
        } else if kind.is_symlink() {
            let target = path.read_link_utf8().map_err(Flaw::Unreadable)?;
            match path.canonicalize() {
                Ok(end) if end.starts_with(root) && target.is_relative() => {
                    tarball.link(&name, &target)?;
                }
                Ok(_) => return Err(Flaw::entry(&name, "is a link out of the directory")),
                Err(_) => return Err(Flaw::entry(&name, "is a link to nothing")),
            }
        } else {
            return Err(Flaw::entry(&name, "is no file, directory or link"));
        }
    }
    Ok(())
}
