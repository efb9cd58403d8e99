//! The plugins that lie beside a blueprint: wagons, and sources that can be packed to wagons.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_blueprint::PluginImport;
use waggoner_wagon::{Budget, PluginManifest, Wagon};

use super::{Source, SourceError};

/// A plugin beside a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub package_name: String,
    pub package_version: String,
    pub origin: Origin,
    /// Its plugin.yaml files.
    pub yamls: Vec<Utf8PathBuf>,
}

/// What a plugin beside a blueprint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Wagon(Utf8PathBuf),
    /// A directory with setup.py or pyproject.toml.
    Directory(Utf8PathBuf),
}

impl Source {
    /// Finds the plugins in `plugins/`, wagons before sources.
    pub(crate) fn found(&self) -> Result<Vec<Found>, SourceError> {
        let mut all = Vec::new();
        for path in files(&self.plugins()).map_err(SourceError::Read)? {
            if path.is_dir() { all.extend(directory(&path)?) } else { all.push(wagon(&path)?) }
        }
        all.sort_by_key(|found| matches!(found.origin, Origin::Directory(_)));
        Ok(all)
    }
}

// === impl Found ===

impl Found {
    /// Whether the plugin is one that an import asks for.
    pub(crate) fn answers(&self, import: &PluginImport) -> bool {
        self.package_name == import.name && import.allows(&self.package_version)
    }
}

/// The wagons and source directories of plugins in `plugins`, sorted; none where it is not there.
pub(super) fn files(plugins: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let mut all = Vec::new();
    for path in listed(plugins)? {
        if path.is_dir() {
            let has = |name| path.join(name).is_file();
            if has("plugin.yaml") && (has("setup.py") || has("pyproject.toml")) {
                all.push(path);
            }
        } else if path.extension() == Some("wgn") {
            all.push(path);
        }
    }
    Ok(all)
}

/// The plugin.yaml files that belong to a wagon by where they lie: in a directory of its name or
/// its package's, in a file of one of these names, or in files named `plugin*.yaml` beside it.
pub(crate) fn yamls_beside(
    wagon: &Utf8Path,
    package: &str,
) -> Result<Vec<Utf8PathBuf>, SourceError> {
    let parent = wagon.parent().unwrap_or(Utf8Path::new("."));
    let names = [wagon.file_stem().unwrap_or_default(), package];
    let is_yaml = |path: &Utf8PathBuf| path.is_file() && path.extension() == Some("yaml");
    for name in names {
        let yamls = manifests(&parent.join(name))?;
        if !yamls.is_empty() {
            return Ok(yamls);
        }
    }
    let files = names.map(|name| parent.join(format!("{name}.yaml")));
    if let Some(yaml) = files.into_iter().find(is_yaml) {
        return Ok(vec![yaml]);
    }
    match manifests(parent)? {
        none if none.is_empty() => Err(SourceError::NoYaml(wagon.to_owned())),
        yamls => Ok(yamls),
    }
}

/// The files named `plugin*.yaml` of a directory, sorted.
pub(super) fn manifests(directory: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SourceError> {
    let mut all = listed(directory).map_err(SourceError::Read)?;
    all.retain(|path| {
        let name = path.file_name().unwrap_or_default();
        path.is_file() && name.starts_with("plugin") && path.extension() == Some("yaml")
    });
    Ok(all)
}

/// What a directory holds, sorted; nothing where it is not there.
fn listed(directory: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let paths = directory.read_dir_utf8()?.map(|entry| Ok(entry?.path().to_owned()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn wagon(path: &Utf8Path) -> Result<Found, SourceError> {
    let metadata = Wagon::open(path, &Budget::WAGON).map_err(SourceError::Wagon)?.metadata;
    Ok(Found {
        yamls: yamls_beside(path, &metadata.package_name)?,
        package_name: metadata.package_name,
        package_version: metadata.package_version,
        origin: Origin::Wagon(path.to_owned()),
    })
}

/// The plugin of a source directory, once for each package that its plugin.yaml names.
fn directory(path: &Utf8Path) -> Result<Vec<Found>, SourceError> {
    let yaml = path.join("plugin.yaml");
    let text = fs_err::read_to_string(&yaml).map_err(SourceError::Read)?;
    let manifest = PluginManifest::read(yaml.as_str(), &text).map_err(SourceError::Manifest)?;
    let yamls = manifests(path)?;
    let found = manifest.plugins.into_iter().filter_map(|entry| {
        Some(Found {
            package_name: entry.package_name?,
            package_version: entry.package_version.unwrap_or_default(),
            origin: Origin::Directory(path.to_owned()),
            yamls: yamls.clone(),
        })
    });
    let mut found: Vec<_> = found.collect();
    found.dedup();
    Ok(found)
}
