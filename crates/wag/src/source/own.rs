//! The plugins of `plugins/` that belong to the blueprint's own files: those that it names as the
//! `source` of a plugin, and those of which it imports a file. The others are for `wag up` to pack.

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_yaml::{Budget, Map, Node};

use super::{
    Library, Source, SourceError,
    resolver::{Local, Missing},
};

impl Source {
    /// Returns their paths.
    pub(super) fn own_plugins(&self) -> Result<Vec<Utf8PathBuf>, SourceError> {
        let plugins = self.plugins();
        if !plugins.is_dir() {
            return Ok(Vec::new());
        }
        let library = Library::default();
        let resolver = Local::new(self, &library, Missing::IsEmpty);
        // What is wrong with it the manager says.
        drop(self.parse(&resolver)?);
        let mut files = resolver.files();
        files.push(self.directory.join(&self.main_file));
        let mut own = Vec::new();
        for file in files {
            let text = fs_err::read_to_string(&file).map_err(SourceError::Blueprint)?;
            own.extend(sources(&text).into_iter().map(|source| plugins.join(source)));
            own.extend(plugin_of(&plugins, &file));
        }
        Ok(own)
    }
}

/// The entry of `plugins` in which a file lies.
fn plugin_of(plugins: &Utf8Path, file: &Utf8Path) -> Option<Utf8PathBuf> {
    let first = file.strip_prefix(plugins).ok()?.components().next()?;
    Some(plugins.join(first))
}

/// What the plugins of a text name as their sources.
fn sources(text: &str) -> Vec<String> {
    let root = waggoner_yaml::parse(text, Budget::default()).ok();
    let plugins = root.as_ref().and_then(|root| root.get("plugins")?.as_map());
    let named = plugins.into_iter().flat_map(Map::iter).filter_map(|(_, entry)| {
        entry.node.get("source").and_then(Node::as_str).map(str::trim).map(str::to_owned)
    });
    named.filter(|source| !source.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blueprints_own_plugins_are_those_it_names_or_imports_from() {
        let directory = camino_tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write(
            "blueprint.yaml",
            "tosca_definitions_version: cloudify_dsl_1_4\n\
             imports: [plugins/imported/plugin.yaml, more.yaml, 'plugin:packed']\n\
             plugins: {named: {executor: host_agent, source: named}}\n",
        );
        write("more.yaml", "plugins: {other: {executor: host_agent, source: ' other '}}\n");
        for name in ["imported", "named", "other", "packed"] {
            write(&format!("plugins/{name}/plugin.yaml"), "plugins: {}\n");
            write(&format!("plugins/{name}/setup.py"), "");
        }
        let source = Source::open(directory.path()).unwrap();
        let mut own: Vec<_> = source.own_plugins().unwrap();
        own.sort();
        let names: Vec<_> = own.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["imported", "named", "other"]);
    }
}
