//! Imports of a blueprint on disk: files of its directory, and plugins beside it.

use std::cell::{Cell, RefCell};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use waggoner_blueprint::{FetchError, Fetched, Location, PluginImport, Resolver};

use super::{Library, Source};

/// Brings what lies beside a blueprint, and notes which files and plugins it asks for.
#[derive(Debug)]
pub(super) struct Local<'a> {
    source: &'a Source,
    library: &'a Library,
    missing: Missing,
    wanted: RefCell<Vec<PluginImport>>,
    /// The files that were read.
    files: RefCell<Vec<Utf8PathBuf>>,
    needs_manager: Cell<bool>,
}

/// What a plugin that is not in the library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// A plugin of which nothing is known, so that the rest is read.
    IsEmpty,
    IsRefused,
}

// === impl Local ===

impl<'a> Local<'a> {
    pub(super) fn new(source: &'a Source, library: &'a Library, missing: Missing) -> Self {
        let (wanted, files, needs_manager) =
            (RefCell::default(), RefCell::default(), Cell::new(false));
        Self { source, library, missing, wanted, files, needs_manager }
    }

    /// The plugins that were asked for, each import once.
    pub(super) fn wanted(self) -> Vec<PluginImport> {
        self.wanted.into_inner()
    }

    /// The files that were read, from the blueprint's directory.
    pub(super) fn files(self) -> Vec<Utf8PathBuf> {
        self.files.into_inner()
    }

    /// Whether something was asked for that a manager alone can bring.
    pub(super) fn needs_manager(&self) -> bool {
        self.needs_manager.get()
    }

    fn plugin(&self, import: &PluginImport, dsl_version: &str) -> Result<Fetched, FetchError> {
        let mut wanted = self.wanted.borrow_mut();
        if !wanted.contains(import) {
            wanted.push(import.clone());
        }
        if let Some(fetched) = self.library.find(import, dsl_version) {
            return Ok(fetched);
        }
        match self.missing {
            Missing::IsEmpty => Ok(Fetched::default()),
            Missing::IsRefused => {
                let message = "no file named with --plugin-yaml, nothing in `plugins/` and no \
                               manager that was asked has it: name its plugin.yaml, or upload it \
                               with `wag plugins upload`";
                Err(FetchError(message.to_owned()))
            }
        }
    }

    fn manager_only(&self, what: &str) -> FetchError {
        self.needs_manager.set(true);
        FetchError(what.to_owned())
    }
}

impl Resolver for Local<'_> {
    fn fetch(&self, location: &Location, dsl_version: &str) -> Result<Option<Fetched>, FetchError> {
        match location {
            Location::File(path) if self.has_file(path) => {
                let path = self.source.directory.join(path);
                let text = read(&path)?;
                self.files.borrow_mut().push(path);
                Ok(Some(text))
            }
            Location::Plugin(import) => self.plugin(import, dsl_version).map(Some),
            Location::Url(_) => {
                Err(self.manager_only("what is on the network is read by a manager only"))
            }
            Location::Blueprint(_) => {
                Err(self.manager_only("other blueprints are known to a manager only"))
            }
            Location::File(_) | Location::Resource(_) => Ok(None),
        }
    }

    fn has_file(&self, path: &str) -> bool {
        let path = Utf8Path::new(path);
        let is_below = |part| matches!(part, Utf8Component::Normal(_) | Utf8Component::CurDir);
        path.components().all(is_below) && self.source.directory.join(path).is_file()
    }
}

fn read(path: &Utf8Path) -> Result<Fetched, FetchError> {
    let text = fs_err::read_to_string(path).map_err(|error| FetchError(error.to_string()))?;
    Ok(Fetched { text, ..Fetched::default() })
}
