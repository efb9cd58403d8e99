//! Walks the entries of a foreign archive: its format by its first bytes, its paths clean, its
//! cost within a budget.

use std::{
    collections::HashMap,
    io::{Read, Seek, SeekFrom},
};

use flate2::read::MultiGzDecoder;

use crate::Flaw;

mod budget;
mod content;
mod path;
mod tarball;
mod zipped;

pub use self::budget::Budget;
pub(crate) use self::{budget::Limited, content::Content};

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An uncompressed tar.
    Tar,
    /// A tar in gzip.
    TarGz,
    /// A zip.
    Zip,
}

/// One entry, its path relative, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File { executable: bool },
    Directory,
    Link { target: String },
}

/// Who is shown the entries, in the archive's order.
pub(crate) type Visit<'a> = dyn FnMut(&Entry, &mut Content<'_>) -> Result<(), Flaw> + 'a;

/// Calls `visit` for each entry. What it does not read of an entry is read and checked after it.
pub(crate) fn walk<S: Read + Seek>(
    mut source: S,
    budget: &Budget,
    visit: &mut Visit<'_>,
) -> Result<Format, Flaw> {
    let length = source.seek(SeekFrom::End(0)).map_err(Flaw::Unreadable)?;
    if length == 0 {
        return Err(Flaw::archive("is empty"));
    }
    if length > budget.archive_bytes {
        let limit = budget.archive_bytes;
        return Err(Flaw::archive(format!("has {length} bytes, at most {limit} are taken")));
    }
    source.rewind().map_err(Flaw::Unreadable)?;
    let format = sniff(&mut source)?;
    source.rewind().map_err(Flaw::Unreadable)?;
    let mut tree = Tree { seen: HashMap::new(), entries: 0, budget, visit };
    let allowance = budget.allowance(length);
    match format {
        Format::Tar => tarball::walk(Limited::new(source, allowance), &mut tree)?,
        Format::TarGz => {
            tarball::walk(Limited::new(MultiGzDecoder::new(source), allowance), &mut tree)?;
        }
        Format::Zip => zipped::walk(source, allowance, &mut tree)?,
    }
    if tree.entries == 0 {
        return Err(Flaw::archive("holds no entries"));
    }
    Ok(format)
}

/// What has been seen of an archive's tree.
struct Tree<'a> {
    seen: HashMap<String, Seen>,
    entries: usize,
    budget: &'a Budget,
    visit: &'a mut Visit<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Directory,
    Leaf,
}

// === impl Format ===

fn sniff<S: Read>(source: &mut S) -> Result<Format, Flaw> {
    let mut head = Vec::new();
    source.by_ref().take(512).read_to_end(&mut head).map_err(Flaw::Unreadable)?;
    match head.as_slice() {
        [0x1f, 0x8b, ..] => Ok(Format::TarGz),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Ok(Format::Zip),
        [b'B', b'Z', b'h', ..] => Err(Flaw::archive(
            "is compressed with bzip2, which is not read: pack it as tar.gz or zip",
        )),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => {
            Err(Flaw::archive("is compressed with xz, which is not read: pack it as tar.gz or zip"))
        }
        block if block.get(257..262) == Some(b"ustar") => Ok(Format::Tar),
        _ => Err(Flaw::archive("is neither a tar.gz nor a zip")),
    }
}

// === impl Tree ===

impl Tree<'_> {
    /// Counts one more entry or header of the archive.
    fn count(&mut self) -> Result<(), Flaw> {
        self.entries += 1;
        if self.entries > self.budget.entries {
            let limit = self.budget.entries;
            return Err(Flaw::archive(format!("holds more than {limit} entries")));
        }
        Ok(())
    }

    /// Takes an entry under its name in the archive; `None` stands for the root itself.
    fn enter(&mut self, name: &[u8], kind: Kind) -> Result<Option<Entry>, Flaw> {
        let Some(path) = path::clean(name, &kind)? else { return Ok(None) };
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            match self.seen.get(parent) {
                Some(Seen::Directory) => {}
                None => _ = self.seen.insert(parent.to_owned(), Seen::Directory),
                Some(Seen::Leaf) => {
                    return Err(Flaw::entry(&path, "lies below an entry that is no directory"));
                }
            }
        }
        let now = if kind == Kind::Directory { Seen::Directory } else { Seen::Leaf };
        match self.seen.insert(path.clone(), now) {
            Some(before) if before == Seen::Leaf || now == Seen::Leaf => {
                Err(Flaw::entry(&path, "is there twice"))
            }
            _ => Ok(Some(Entry { path, kind })),
        }
    }

    /// Shows an entry to the visitor and reads what that one left.
    fn show(&mut self, entry: &Entry, size: Option<u64>, data: &mut dyn Read) -> Result<(), Flaw> {
        let mut content = Content::new(&entry.path, data, size, self.budget.entry_bytes);
        content.check_size()?;
        (self.visit)(entry, &mut content)?;
        content.finish()
    }
}
