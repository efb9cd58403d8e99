//! A blueprint's directory as an archive, the same bytes for the same files.

use std::io::{self, Seek as _};

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_wagon::pack_tree;

use super::{Source, SourceError, plugins};
use crate::client::Parcel;

/// The one directory in the archive.
const TOP: &str = "blueprint";

/// What is of no use to a manager, wherever it is.
const LEFT_OUT: [&str; 2] = [".git", "__pycache__"];

impl Source {
    /// Packs the directory, without what version control keeps, and without the wagons and sources of
    /// plugins that are not the blueprint's own.
    pub(crate) fn pack(&self) -> Result<Parcel, SourceError> {
        let staged = camino_tempfile::tempdir().map_err(SourceError::Pack)?;
        let top = staged.path().join(TOP);
        let mut skipped = plugins::files(&self.plugins()).map_err(SourceError::Pack)?;
        let own = self.own_plugins()?;
        skipped.retain(|path| !own.contains(path));
        stage(&self.directory, &top, &skipped).map_err(SourceError::Pack)?;

        let mut file = camino_tempfile::tempfile().map_err(SourceError::Pack)?;
        pack_tree(&top, TOP, &mut file).map_err(SourceError::Archive)?;
        file.rewind().map_err(SourceError::Pack)?;
        Parcel::of(file, &self.directory).map_err(SourceError::Pack)
    }
}

/// Copies a directory but for what is skipped. Links stay links: packing decides about them.
fn stage(from: &Utf8Path, to: &Utf8Path, skipped: &[Utf8PathBuf]) -> io::Result<()> {
    fs_err::create_dir(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if LEFT_OUT.contains(&name) || skipped.iter().any(|skipped| skipped == path) {
            continue;
        }
        let to = to.join(name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            stage(path, &to, skipped)?;
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(path.read_link_utf8()?, &to)?;
        } else if kind.is_file() {
            fs_err::copy(path, &to)?;
        } else {
            let message = format!("`{path}` is no file, directory or link");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    Ok(())
}
