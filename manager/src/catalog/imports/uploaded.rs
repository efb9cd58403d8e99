//! Files of blueprints that were uploaded before: for `blueprint:` imports.

use std::collections::HashMap;

use camino::Utf8PathBuf;
use camino_tempfile::Utf8TempDir;
use waggoner_blueprint::FetchError;
use waggoner_store::Store;
use waggoner_types::{BlueprintId, Chain, TenantName};
use waggoner_wagon::{Budget, unpack_tree};

use super::beneath;

/// The blueprints that were asked for, unpacked.
#[derive(Debug, Default)]
pub(super) struct Uploaded(HashMap<BlueprintId, Unpacked>);

#[derive(Debug)]
struct Unpacked {
    /// Removed when the import is over.
    _scratch: Utf8TempDir,
    root: Utf8PathBuf,
    main_file: String,
}

// === impl Uploaded ===

impl Uploaded {
    /// Returns where a blueprint's main file lies (`ID`), or another of its files (`ID/PATH`);
    /// nothing for a path that leads out of it. Blocks.
    pub(super) fn path(
        &mut self,
        store: &Store,
        runtime: &tokio::runtime::Handle,
        tenant: &TenantName,
        asked: &str,
    ) -> Result<Option<Utf8PathBuf>, FetchError> {
        let (id, path) = asked.split_once('/').map_or((asked, None), |(id, path)| (id, Some(path)));
        let id: BlueprintId =
            id.parse().map_err(|error| FetchError(format!("it is no blueprint's id: {error}")))?;
        if !self.0.contains_key(&id) {
            let found = runtime.block_on(store.blueprint(tenant.clone(), id.clone()));
            let found = found.map_err(|error| FetchError(Chain(&error).to_string()))?;
            let archive = store.artifacts().path(found.digest);
            let unpacked = unpack(&archive, found.main_file)?;
            self.0.insert(id.clone(), unpacked);
        }
        let Unpacked { root, main_file, .. } = &self.0[&id];
        let folder = main_file.rfind('/').map_or("", |slash| &main_file[..=slash]);
        let path = path.map_or_else(|| main_file.clone(), |path| format!("{folder}{path}"));
        Ok(beneath(root, &path))
    }
}

fn unpack(archive: &camino::Utf8Path, main_file: String) -> Result<Unpacked, FetchError> {
    let told = |why: String| FetchError(format!("its archive cannot be unpacked: {why}"));
    let scratch = camino_tempfile::tempdir().map_err(|error| told(error.to_string()))?;
    let files = scratch.path().join("files");
    let unpacked = unpack_tree(archive, &files, &Budget::BLUEPRINT)
        .map_err(|refusal| told(Chain(&refusal).to_string()))?;
    let root = unpacked.top.map_or(files.clone(), |top| files.join(top));
    Ok(Unpacked { _scratch: scratch, root, main_file })
}
