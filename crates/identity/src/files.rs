//! Files that are there whole or not at all, and secret ones that only their owner may read.

use std::io::{self, Write as _};

use camino::Utf8Path;
use fs_err::{self as fs, os::unix::fs::OpenOptionsExt as _};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Owner,
    Everyone,
}

/// Puts a file in place, with its content on the disk before its name.
pub(crate) fn write(path: &Utf8Path, content: &[u8], access: Access) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_str().is_empty());
    let directory = directory.unwrap_or(Utf8Path::new("."));
    fs::create_dir_all(directory)?;

    let draft = path.with_extension("new");
    // A draft left by a crash may have been made with other rights.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mode = match access {
        Access::Owner => 0o600,
        Access::Everyone => 0o644,
    };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    fs::File::open(directory)?.sync_all()
}

/// Reads a text file. `None` means that there is none.
pub(crate) fn read(path: &Utf8Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
