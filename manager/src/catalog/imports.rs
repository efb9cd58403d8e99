//! Brings a blueprint's imports: its own files, and the plugins and blueprints of its tenant.
//!
//! No file of this host is brought beside the blueprints' own, and from the network only what lies
//! where the manager's settings allow.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use tokio::runtime::Handle;
use waggoner_blueprint::{FetchError, Fetched, Location, PluginImport, Resolver};
use waggoner_store::{
    Store,
    plugin::{Plugin, PluginYaml},
};
use waggoner_types::{Chain, PluginId, TenantName};
use waggoner_wagon::{Requirement, choose_import};

pub(crate) use self::url::{Site, Unfetched, Urls};

use self::uploaded::Uploaded;
use crate::catalog::plugins::Candidate;

mod schedule;
mod uploaded;
mod url;

/// The largest text that is brought, in bytes: plugin.yaml files have a megabyte at times.
const LARGEST: u64 = 8 << 20;

/// Brings imports for one blueprint. Blocks: for threads that may.
#[derive(Debug)]
pub(crate) struct Imports {
    store: Store,
    tenant: TenantName,
    /// The directory of the blueprint's files.
    files: Utf8PathBuf,
    runtime: Handle,
    urls: Arc<Urls>,
    /// The blueprints whose files were brought.
    uploaded: Mutex<Uploaded>,
    /// The plugins that were brought.
    used: Mutex<HashSet<PluginId>>,
    /// Whether a plugin was asked for that is not there.
    misses: AtomicBool,
}

// === impl Imports ===

impl Imports {
    pub(crate) fn new(
        store: Store,
        tenant: TenantName,
        files: Utf8PathBuf,
        urls: Arc<Urls>,
    ) -> Self {
        Self {
            store,
            tenant,
            files,
            runtime: Handle::current(),
            urls,
            uploaded: Mutex::default(),
            used: Mutex::default(),
            misses: AtomicBool::new(false),
        }
    }

    /// Brings files from this directory.
    pub(crate) fn root_at(&mut self, files: Utf8PathBuf) {
        self.files = files;
    }

    /// Says whether a plugin was asked for that is not there.
    pub(crate) fn misses_plugin(&self) -> bool {
        self.misses.load(Ordering::Relaxed)
    }

    /// Returns the plugins that the blueprint imports.
    pub(crate) fn into_used(self) -> Vec<PluginId> {
        let used = self.used.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut used: Vec<_> = used.into_iter().collect();
        used.sort_unstable();
        used
    }

    fn blueprint(&self, asked: &str) -> Result<Option<Fetched>, FetchError> {
        let mut uploaded = self.uploaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = uploaded.path(&self.store, &self.runtime, &self.tenant, asked)?;
        path.map_or(Ok(None), |path| text(&path))
    }

    fn file(&self, path: &str) -> Result<Option<Fetched>, FetchError> {
        beneath(&self.files, path).map_or(Ok(None), |path| text(&path))
    }

    fn plugin(&self, import: &PluginImport, dsl: &str) -> Result<Option<Fetched>, FetchError> {
        let found = self
            .runtime
            .block_on(self.store.plugin_candidates(self.tenant.clone(), import.name.clone()))
            .map_err(|error| FetchError(Chain(&error).to_string()))?;
        let candidates: Vec<_> = found.into_iter().map(Candidate::new).collect();
        let mut requirement = Requirement::of(&import.name);
        if let Some(version) = &import.version {
            requirement.version = version
                .parse()
                .map_err(|error| FetchError(format!("`{version}` is no version: {error}")))?;
        }
        requirement.distribution.clone_from(&import.distribution);
        let chosen = choose_import(&candidates, &requirement).map_err(|none| {
            self.misses.store(true, Ordering::Relaxed);
            let advice = "upload it with `wag plugins upload`";
            FetchError(format!("{}; {advice}", Chain(&none)))
        })?;
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.insert(chosen.plugin.id);
        drop(used);
        let yaml = yaml_file(&chosen.plugin, dsl);
        Ok(yaml.map(|yaml| Fetched::of_plugin(&yaml.name, &yaml.text)))
    }
}

impl Resolver for Imports {
    fn fetch(&self, location: &Location, dsl: &str) -> Result<Option<Fetched>, FetchError> {
        match location {
            Location::File(path) | Location::Resource(path) => self.file(path),
            Location::Plugin(import) => self.plugin(import, dsl),
            Location::Url(address) => self.urls.fetch(address),
            Location::Blueprint(asked) => self.blueprint(asked),
        }
    }

    fn has_file(&self, path: &str) -> bool {
        beneath(&self.files, path).is_some_and(|path| path.is_file())
    }

    fn to_utc(&self, time: &str, timezone: Option<&str>) -> Option<String> {
        schedule::to_utc(time, timezone, Timestamp::now())
    }
}

/// Reads a text; nothing where there is no file.
fn text(path: &Utf8Path) -> Result<Option<Fetched>, FetchError> {
    let Ok(found) = fs::metadata(path) else { return Ok(None) };
    if !found.is_file() {
        return Ok(None);
    }
    if found.len() > LARGEST {
        return Err(FetchError(format!("it has more than {LARGEST} bytes")));
    }
    let text = fs::read(path).map_err(|error| FetchError(error.to_string()))?;
    let text =
        String::from_utf8(text).map_err(|_| FetchError("it is not text in UTF-8".to_owned()))?;
    Ok(Some(Fetched { text, ..Fetched::default() }))
}

/// Returns where a relative path lies below a folder; nothing for one that leads out of it.
pub(crate) fn beneath(folder: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
    let mut found = folder.to_owned();
    for component in Utf8Path::new(path).components() {
        match component {
            Utf8Component::Normal(name) => found.push(name),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                found.pop();
                if !found.starts_with(folder) {
                    return None;
                }
            }
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return None,
        }
    }
    Some(found)
}

/// Chooses among a plugin's files as Cloudify's `resource_models.py` does: the one for this version
/// of the language, else the highest older one, else one that names no version.
pub(crate) fn yaml_file<'p>(plugin: &'p Plugin, dsl: &str) -> Option<&'p PluginYaml> {
    let version = |name: &str| {
        let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))?;
        let (rest, minor) = stem.rsplit_once('_')?;
        let (_, major) = rest.rsplit_once('_')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let wanted = dsl
        .split_once('_')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let fits = |name: &str| match (version(name), wanted) {
        (Some(has), Some(wanted)) => has <= wanted,
        _ => true,
    };
    let best = plugin.yamls.iter().filter(|yaml| fits(&yaml.name));
    let best = best.max_by_key(|yaml| version(&yaml.name));
    best.or_else(|| plugin.yamls.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let folder = Utf8Path::new("/b/1");
        let at = |path| beneath(folder, path);
        assert_eq!(at("scripts/a.sh").unwrap(), "/b/1/scripts/a.sh");
        assert_eq!(at("scripts/../a.sh").unwrap(), "/b/1/a.sh");
        for out in ["../2/a.sh", "/etc/passwd", "a/../../x", ".."] {
            assert_eq!(at(out), None, "{out}");
        }
    }
}
