//! Imports of a blueprint on disk: files of its directory, and plugins beside it.

use std::cell::RefCell;

use camino::{Utf8Component, Utf8Path};
use waggoner_blueprint::{FetchError, Fetched, Location, PluginImport, Resolver};

use super::{Found, Source};

/// Brings what lies beside a blueprint, and notes which plugins it asks for.
#[derive(Debug)]
pub(super) struct Local<'a> {
    source: &'a Source,
    found: &'a [Found],
    missing: Missing,
    wanted: RefCell<Vec<PluginImport>>,
}

/// What a plugin that is not beside the blueprint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// A plugin of which nothing is known, so that the rest is read.
    IsEmpty,
    IsRefused,
}

// === impl Local ===

impl<'a> Local<'a> {
    pub(super) fn new(source: &'a Source, found: &'a [Found], missing: Missing) -> Self {
        Self { source, found, missing, wanted: RefCell::default() }
    }

    /// The plugins that were asked for, each import once.
    pub(super) fn wanted(self) -> Vec<PluginImport> {
        self.wanted.into_inner()
    }

    fn plugin(&self, import: &PluginImport, dsl_version: &str) -> Result<Fetched, FetchError> {
        let mut wanted = self.wanted.borrow_mut();
        if !wanted.contains(import) {
            wanted.push(import.clone());
        }
        let Some(found) = self.found.iter().find(|found| found.answers(import)) else {
            return match self.missing {
                Missing::IsEmpty => Ok(Fetched::default()),
                Missing::IsRefused => {
                    let message = "it is not in `plugins/`, and no manager was asked";
                    Err(FetchError(message.to_owned()))
                }
            };
        };
        let versioned = format!("plugin_{dsl_version}.yaml");
        let yaml = found.yamls.iter().find(|yaml| yaml.file_name() == Some(&versioned));
        let yaml = yaml.or_else(|| found.yamls.first()).expect("a plugin has a plugin.yaml");
        read(yaml)
    }
}

impl Resolver for Local<'_> {
    fn fetch(&self, location: &Location, dsl_version: &str) -> Result<Option<Fetched>, FetchError> {
        match location {
            Location::File(path) if self.has_file(path) => {
                read(&self.source.directory.join(path)).map(Some)
            }
            Location::Plugin(import) => self.plugin(import, dsl_version).map(Some),
            Location::Url(_) => {
                Err(FetchError("what is on the network is read by a manager only".to_owned()))
            }
            Location::Blueprint(_) => {
                Err(FetchError("other blueprints are known to a manager only".to_owned()))
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
    Ok(Fetched { text, plugin: None })
}
