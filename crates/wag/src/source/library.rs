//! The plugin.yaml texts that answer `plugin:` imports.

use camino::Utf8PathBuf;
use waggoner_blueprint::{Fetched, PluginImport, yaml_for};
use waggoner_proto::v1::Plugin;
use waggoner_wagon::PluginManifest;

use super::{Found, SourceError};

/// The plugins that are known here. What was added first answers first.
#[derive(Debug, Default)]
pub(crate) struct Library(Vec<Book>);

/// A plugin's texts.
#[derive(Debug)]
struct Book {
    package_name: String,
    package_version: String,
    /// Empty where it is for any.
    distribution: String,
    /// The names of its files, and what they say.
    yamls: Vec<(String, String)>,
}

// === impl Library ===

impl Library {
    /// Reads files that were named. Those of one package and version belong together.
    pub(crate) fn named(paths: &[Utf8PathBuf]) -> Result<Self, SourceError> {
        let mut library = Self::default();
        for path in paths {
            let text = fs_err::read_to_string(path).map_err(SourceError::Read)?;
            let manifest =
                PluginManifest::read(path.as_str(), &text).map_err(SourceError::Manifest)?;
            for entry in manifest.plugins {
                let Some(package_name) = entry.package_name else { continue };
                let package_version = entry.package_version.unwrap_or_default();
                let yaml = (path.file_name().unwrap_or_default().to_owned(), text.clone());
                let is_it = |book: &&mut Book| {
                    (&book.package_name, &book.package_version) == (&package_name, &package_version)
                };
                match library.0.iter_mut().find(is_it) {
                    Some(book) => book.yamls.push(yaml),
                    None => library.0.push(Book {
                        package_name,
                        package_version,
                        distribution: entry.distribution.unwrap_or_default(),
                        yamls: vec![yaml],
                    }),
                }
            }
        }
        Ok(library)
    }

    /// Adds plugins that lie beside a blueprint.
    pub(crate) fn beside(mut self, found: &[Found]) -> Result<Self, SourceError> {
        for found in found {
            let read = |path: &Utf8PathBuf| {
                let name = path.file_name().unwrap_or_default().to_owned();
                Ok((name, fs_err::read_to_string(path).map_err(SourceError::Read)?))
            };
            self.0.push(Book {
                package_name: found.package_name.clone(),
                package_version: found.package_version.clone(),
                distribution: String::new(),
                yamls: found.yamls.iter().map(read).collect::<Result<_, _>>()?,
            });
        }
        Ok(self)
    }

    /// Adds a plugin of a manager.
    pub(crate) fn add(&mut self, plugin: Plugin) {
        self.0.push(Book {
            package_name: plugin.package_name,
            package_version: plugin.package_version,
            distribution: plugin.distribution,
            yamls: plugin.yamls.into_iter().map(|yaml| (yaml.name, yaml.text)).collect(),
        });
    }

    /// Whether an import is answered here.
    pub(crate) fn has(&self, import: &PluginImport) -> bool {
        self.0.iter().any(|book| book.answers(import))
    }

    /// The text that an import means, for a blueprint of this version of the language.
    pub(super) fn find(&self, import: &PluginImport, dsl_version: &str) -> Option<Fetched> {
        let book = self.0.iter().find(|book| book.answers(import))?;
        let place = yaml_for(book.yamls.iter().map(|(name, _)| name.as_str()), dsl_version)?;
        let (name, text) = &book.yamls[place];
        Some(Fetched::of_plugin(name, text))
    }
}

// === impl Book ===

impl Book {
    fn answers(&self, import: &PluginImport) -> bool {
        let distribution = import.distribution.as_ref().filter(|_| !self.distribution.is_empty());
        self.package_name == import.name
            && import.allows(&self.package_version)
            && distribution.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&self.distribution))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_for_1_3_is_taken_as_it_is() {
        let directory = camino_tempfile::tempdir().unwrap();
        for (names, adapts) in [
            (&["plugin.yaml", "plugin_1_3.yaml"][..], false),
            (&["plugin_1_4.yaml", "plugin.yaml"], true),
            (&["plugin_1_5.yaml"], true),
        ] {
            let path = |name: &&str| {
                let path = directory.path().join(name);
                fs_err::write(&path, "plugins: {p: {executor: host_agent, package_name: p}}")
                    .unwrap();
                path
            };
            let library = Library::named(&names.iter().map(path).collect::<Vec<_>>()).unwrap();
            let import = PluginImport { name: "p".to_owned(), version: None, distribution: None };
            assert_eq!(library.find(&import, "1_3").unwrap().adapts, adapts, "{names:?}");
        }
    }
}
