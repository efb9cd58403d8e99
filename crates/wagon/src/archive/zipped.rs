//! The entries of a zip.

use std::{
    cell::Cell,
    io::{self, Read, Seek, SeekFrom},
};

use zip::{ZipArchive, result::ZipError};

use super::{Kind, Limited, Tree, content::unreadable};
use crate::Flaw;

/// What the directory of a zip may have: the search for its end, and a record for each entry.
const DIRECTORY: u64 = 1 << 20;
const RECORD: u64 = 1 << 10;

/// The longest target of a link.
const TARGET: u64 = 4096;

/// Calls the visitor for each entry.
pub(super) fn walk<S: Read + Seek>(
    source: S,
    allowance: u64,
    tree: &mut Tree<'_>,
) -> Result<(), Flaw> {
    // The directory is held in memory whole, so it is bounded before the entries are counted.
    let left =
        Cell::new(DIRECTORY.saturating_add(RECORD.saturating_mul(tree.budget.entries as u64)));
    let metered = Metered { inner: source, left: &left };
    let mut archive = ZipArchive::new(metered).map_err(|error| damaged(None, error))?;
    left.set(u64::MAX);
    let count = archive.len();
    if count > tree.budget.entries {
        let limit = tree.budget.entries;
        return Err(Flaw::archive(format!("holds more than {limit} entries")));
    }
    if archive.has_duplicate_names() {
        return Err(Flaw::archive("names an entry twice"));
    }
    let mut left = allowance;
    for index in 0..count {
        tree.count()?;
        let mut file = archive.by_index(index).map_err(|error| damaged(None, error))?;
        let raw = file.name_raw().to_vec();
        let name = String::from_utf8_lossy(&raw).into_owned();
        if file.encrypted() {
            return Err(Flaw::entry(&name, "is encrypted"));
        }
        let mode = file.unix_mode().unwrap_or(0);
        let is_directory = file.is_dir();
        let is_link = file.is_symlink();
        let size = file.size();
        let mut data = Limited::resume(&mut file, left, allowance);
        let kind = if is_directory {
            Kind::Directory
        } else if is_link {
            Kind::Link { target: target(&name, &mut data)? }
        } else if matches!(mode & 0o170_000, 0 | 0o100_000) {
            Kind::File { executable: mode & 0o111 != 0 }
        } else {
            return Err(Flaw::entry(&name, "is no file, directory or link"));
        };
        let expected = (!is_link).then_some(size);
        if let Some(entered) = tree.enter(&raw, kind)? {
            tree.show(&entered, expected, &mut data)?;
        }
        left = data.left();
    }
    Ok(())
}

/// A reader that can be sought and fails once its meter is used up.
struct Metered<'a, S> {
    inner: S,
    left: &'a Cell<u64>,
}

// === impl Metered ===

impl<S: Read> Read for Metered<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("its directory is too large"))?);
        Ok(count)
    }
}

impl<S: Seek> Seek for Metered<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

fn target(name: &str, data: &mut dyn Read) -> Result<String, Flaw> {
    let mut target = String::new();
    data.take(TARGET)
        .read_to_string(&mut target)
        .map_err(|_| Flaw::entry(name, "is a link to a name that is not UTF-8"))?;
    Ok(target)
}

fn damaged(entry: Option<&str>, error: ZipError) -> Flaw {
    match error {
        ZipError::Io(error) => unreadable(entry, error),
        other => Flaw::archive(format!("is a damaged zip: {other}")),
    }
}
