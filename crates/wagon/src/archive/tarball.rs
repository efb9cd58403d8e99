//! The entries of a tar.

use std::{
    borrow::Cow,
    io::{self, Read},
    mem,
};

use tar::{Archive, EntryType, PaxExtensions};

use super::{
    Kind, Tree,
    content::{Content, unreadable},
};
use crate::Flaw;

/// The longest extension header: it holds names only, and it is read into memory.
const EXTENSION: u64 = 64 << 10;

/// What extension headers say of the entry behind them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Calls the visitor for each entry, then reads to the end, so that checksums are compared.
///
/// Extension headers are read here and not by `tar`, which would hold them whole whatever their
/// size.
pub(super) fn walk<R: Read>(source: R, tree: &mut Tree<'_>) -> Result<(), Flaw> {
    let mut archive = Archive::new(source);
    let mut extensions = Extensions::default();
    for entry in archive.entries().map_err(|error| unreadable(None, error))?.raw(true) {
        let mut entry = entry.map_err(|error| unreadable(None, error))?;
        tree.count()?;
        let kind = entry.header().entry_type();
        let size = entry.size();
        if extensions.take(kind, size, &mut entry)? {
            continue;
        }
        let Extensions { path, link } = mem::take(&mut extensions);
        let path = path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&path).into_owned();
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let kind = match kind {
            // An old tar knows no type for directories but the slash behind the name.
            EntryType::Regular if name.ends_with('/') && size == 0 => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File { executable },
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => {
                let target = link.or_else(|| entry.link_name_bytes().map(Cow::into_owned));
                let target = String::from_utf8(target.unwrap_or_default())
                    .map_err(|_| Flaw::entry(&name, "is a link to a name that is not UTF-8"))?;
                Kind::Link { target }
            }
            EntryType::Link => return Err(Flaw::entry(&name, "is a hard link")),
            EntryType::Char | EntryType::Block => return Err(Flaw::entry(&name, "is a device")),
            EntryType::Fifo => return Err(Flaw::entry(&name, "is a named pipe")),
            _ => return Err(Flaw::entry(&name, "is no file, directory or link")),
        };
        if !matches!(kind, Kind::File { .. }) && size != 0 {
            return Err(Flaw::entry(&name, "has data but is no file"));
        }
        if let Some(entered) = tree.enter(&path, kind)? {
            tree.show(&entered, Some(size), &mut entry)?;
        }
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| unreadable(None, error))?;
    Ok(())
}

// === impl Extensions ===

impl Extensions {
    /// Takes an extension header; false when it is none.
    fn take(&mut self, kind: EntryType, size: u64, data: &mut dyn Read) -> Result<bool, Flaw> {
        const NAME: &str = "(extension header)";
        if !matches!(
            kind,
            EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader
        ) {
            return Ok(false);
        }
        let mut content = Content::new(NAME, data, Some(size), EXTENSION);
        content.check_size()?;
        let bytes = content.read_all(EXTENSION)?;
        content.finish()?;
        match kind {
            EntryType::GNULongName => self.path = Some(without_nul(bytes)),
            EntryType::GNULongLink => self.link = Some(without_nul(bytes)),
            EntryType::XHeader => {
                for record in PaxExtensions::new(&bytes) {
                    let record = record.map_err(|error| unreadable(Some(NAME), error))?;
                    match record.key_bytes() {
                        b"path" => self.path = Some(record.value_bytes().to_vec()),
                        b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                        // Two readers could see two archives, and no entry is that large.
                        b"size" => {
                            return Err(Flaw::entry(NAME, "gives an entry another size"));
                        }
                        key if key.starts_with(b"GNU.sparse") => {
                            return Err(Flaw::entry(NAME, "makes an entry a sparse file"));
                        }
                        _ => {}
                    }
                }
            }
            _ => {} // A global header holds what concerns no entry: git notes the commit there.
        }
        Ok(true)
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
        bytes.truncate(end);
    }
    bytes
}
