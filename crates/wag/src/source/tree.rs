//! A plugin's source tree, ready to be run from where it lies.

use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;
use waggoner_wagon::{Budget, PluginManifest, Wagon};

use super::{SourceError, linked::linked, pack, plugins::manifests};
use crate::Ui;

/// A source tree and the wagon of it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub wagon: Utf8PathBuf,
    pub digest: Digest,
    pub package_name: String,
    pub package_version: String,
    /// What the plugin is called in its plugin.yaml.
    pub plugin: String,
}

/// What an operation cannot run without; taken where the plugin does not ask for it.
const COMMON: (&str, &str) = ("cloudify-common", "cloudify-common==7.0.5");

/// The files that say what a plugin needs, with those at the top that one of them names.
const DESCRIPTIONS: [&str; 3] = ["pyproject.toml", "setup.py", "setup.cfg"];

/// Raised when the way in which a tree becomes a wagon changes.
const LAYOUT: u32 = 1;

// === impl Tree ===

impl Tree {
    /// Makes the wagon of a tree in `cache`, or finds the one of before.
    ///
    /// It is made anew when the files have changed that say what the plugin needs; all else is
    /// read from the tree itself. Where that is not possible, it is made anew for every change.
    pub(crate) async fn open(
        directory: &Utf8Path,
        cache: &Utf8Path,
        ui: &mut Ui,
    ) -> Result<Self, SourceError> {
        let key = key(directory).map_err(SourceError::Read)?;
        let kept = cache.join(key.to_string());
        if let Some(wagon) = only_wagon(&kept) {
            return Self::of(wagon, directory);
        }
        ui.step("Packing", directory);
        let packed = pack::packed(directory, cache).await?;
        let has_common = Wagon::open(&packed, &Budget::WAGON)
            .map_err(SourceError::Wagon)?
            .wheel(COMMON.0)
            .is_some();
        let packed = if has_common {
            packed
        } else {
            ui.step("Adding", format!("{}, which the plugin does not ask for", COMMON.1));
            pack::packed_with(directory, &[COMMON.1.to_owned()], cache).await?
        };
        let (from, tree, to) = (packed.clone(), directory.to_owned(), kept);
        let link = tokio::task::spawn_blocking(move || linked(&from, &tree, &to));
        let linked = link.await.expect("linking a wagon does not panic")?;
        let kept = [Some(&packed), linked.as_ref()];
        prune(cache, &kept).map_err(SourceError::Keep)?;
        Self::of(linked.unwrap_or(packed), directory)
    }

    fn of(wagon: Utf8PathBuf, directory: &Utf8Path) -> Result<Self, SourceError> {
        let metadata = Wagon::open(&wagon, &Budget::WAGON).map_err(SourceError::Wagon)?.metadata;
        let digest = digest(&wagon).map_err(SourceError::Read)?;
        let (package_name, package_version) = (metadata.package_name, metadata.package_version);
        let plugin = plugin_name(directory, &package_name)?;
        Ok(Self { wagon, digest, package_name, package_version, plugin })
    }
}

/// The key of the package in the directory's plugin.yaml; the package's own name where there is
/// none.
fn plugin_name(directory: &Utf8Path, package_name: &str) -> Result<String, SourceError> {
    for path in manifests(directory)? {
        let text = fs_err::read_to_string(&path).map_err(SourceError::Read)?;
        let manifest = PluginManifest::read(path.as_str(), &text).map_err(SourceError::Manifest)?;
        let mut entries = manifest.plugins.into_iter();
        let is_it = |name: &Option<String>| name.as_deref() == Some(package_name);
        if let Some(entry) = entries.find(|entry| is_it(&entry.package_name)) {
            return Ok(entry.key);
        }
    }
    Ok(package_name.to_owned())
}

fn key(directory: &Utf8Path) -> io::Result<Digest> {
    let mut files = Vec::new();
    for entry in directory.read_dir_utf8()? {
        let path = entry?.path().to_owned();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut said = String::new();
    for path in &files {
        if DESCRIPTIONS.contains(&path.file_name().unwrap_or_default()) {
            said.push_str(&String::from_utf8_lossy(&fs_err::read(path)?));
        }
    }
    let mut hasher = Sha256::new();
    hasher.update(format!("{LAYOUT} {directory}\n"));
    for path in files {
        let name = path.file_name().unwrap_or_default();
        if DESCRIPTIONS.contains(&name) || said.contains(name) {
            let bytes = fs_err::read(&path)?;
            hasher.update(format!("{name} {}\n", bytes.len()));
            hasher.update(bytes);
        }
    }
    Ok(Digest(hasher.finalize().into()))
}

/// Removes the wagons of before.
fn prune(cache: &Utf8Path, kept: &[Option<&Utf8PathBuf>]) -> io::Result<()> {
    for entry in cache.read_dir_utf8()? {
        let entry = entry?;
        let holds = |wagon: &&Utf8PathBuf| wagon.starts_with(entry.path());
        if !kept.iter().flatten().any(holds) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn only_wagon(directory: &Utf8Path) -> Option<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().ok()?.flatten();
    entries.map(|entry| entry.path().to_owned()).find(|path| path.extension() == Some("wgn"))
}

fn digest(path: &Utf8Path) -> io::Result<Digest> {
    let (mut file, mut hasher) = (fs_err::File::open(path)?, Sha256::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest(hasher.finalize().into())),
            length => hasher.update(&piece[..length]),
        }
    }
}
