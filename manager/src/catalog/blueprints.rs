//! Blueprints: an archive of files, and the plan that its main file makes.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tracing::warn;
use waggoner_blueprint::{Blueprint as Text, Diagnostics, Options, Plan, parse};
use waggoner_proto::v1::BlueprintHeader;
use waggoner_store::{artifact::Received, blueprint::Blueprint};
use waggoner_types::{BlueprintId, Chain, Digest, TenantName};
use waggoner_wagon::{Budget, unpack_tree};
use waggoner_wire::{At as _, Reason, Refused};

use crate::{
    catalog::imports::{Imports, beneath},
    home::Home,
};

/// The largest archive of a blueprint that is taken, in bytes.
pub(crate) const LARGEST: u64 = Budget::BLUEPRINT.archive_bytes;

/// The main file where none is named.
const MAIN_FILE: &str = "blueprint.yaml";

/// A blueprint that was found sound.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) blueprint: Blueprint,
    pub(crate) plan: Value,
}

/// Checks an archive that came in, and says what blueprint it makes.
pub(crate) async fn check(
    home: &Home,
    tenant: TenantName,
    id: BlueprintId,
    header: &BlueprintHeader,
    received: &Received,
) -> Result<Sound, Refused> {
    let digest: Digest = header.digest.parse().at("header.digest")?;
    let scratch = camino_tempfile::tempdir_in(&home.data_dir)
        .map_err(|error| Refused::new(Reason::Internal, error.to_string()))?;
    let (source, into) = (received.path().to_owned(), scratch.path().join("files"));
    let imports = Imports::new(
        home.store.clone(),
        tenant.clone(),
        Utf8PathBuf::new(),
        Arc::clone(&home.imports),
    );
    let asked = header.main_file.clone();
    let read = spawn_blocking(move || read(&source, &into, &asked, imports)).await;
    let read = read.map_err(|error| Refused::new(Reason::Internal, error.to_string()))??;
    let description = read.plan["description"].as_str().unwrap_or_default().to_owned();
    let blueprint = Blueprint {
        tenant,
        id,
        description,
        main_file: read.main_file,
        digest,
        created_at: Timestamp::now(),
        plugins: read.plugins,
    };
    Ok(Sound { blueprint, plan: read.plan })
}

/// Returns the directory of a blueprint's files, unpacked from its archive if it is not there.
pub(crate) async fn files(home: &Home, digest: Digest) -> Result<Utf8PathBuf, Refused> {
    let folder = home.data_dir.join("blueprints").join(digest.to_string());
    if folder.is_dir() {
        return Ok(folder);
    }
    let archive = home.store.artifacts().path(digest);
    let at = folder.clone();
    let unpacked = spawn_blocking(move || {
        let parent = at.parent().expect("it lies below the data directory");
        fs::create_dir_all(parent).map_err(|error| error.to_string())?;
        let scratch = camino_tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
        let files = scratch.path().join("files");
        let unpacked = unpack_tree(&archive, &files, &Budget::BLUEPRINT);
        let unpacked = unpacked.map_err(|refusal| Chain(&refusal).to_string())?;
        // Two that unpack at once make the same; the second finds the first's.
        let root = unpacked.top.map_or(files.clone(), |top| files.join(top));
        match fs::rename(root, &at) {
            Err(error) if !at.is_dir() => Err(error.to_string()),
            _ => Ok(()),
        }
    });
    match unpacked.await {
        Ok(Ok(())) => Ok(folder),
        Ok(Err(why)) => {
            warn!(%digest, why, "failed to unpack a blueprint's archive");
            let why = format!("failed to unpack the blueprint's archive: {why}");
            Err(Refused::new(Reason::Internal, why))
        }
        Err(error) => Err(Refused::new(Reason::Internal, error.to_string())),
    }
}

/// Returns where a blueprint's files are looked for: paths are relative to the main file's own
/// directory, or to the root.
pub(crate) async fn folders(
    home: &Home,
    blueprint: &Blueprint,
) -> Result<Vec<Utf8PathBuf>, Refused> {
    let files = files(home, blueprint.digest).await?;
    let base = Utf8Path::new(&blueprint.main_file).parent();
    let base = base.map_or_else(|| files.clone(), |base| files.join(base));
    Ok(vec![base, files])
}

struct Read {
    plan: Value,
    main_file: String,
    plugins: Vec<waggoner_types::PluginId>,
}

fn read(
    source: &Utf8Path,
    into: &Utf8Path,
    asked: &str,
    mut imports: Imports,
) -> Result<Read, Refused> {
    let unpacked = unpack_tree(source, into, &Budget::BLUEPRINT).map_err(|mut refusal| {
        refusal.file = "blueprint's archive".into();
        let reason =
            if refusal.flaw.is_of_the_host() { Reason::Internal } else { Reason::InvalidArchive };
        Refused::new(reason, Chain(&refusal).to_string())
    })?;
    let root = unpacked.top.map_or(into.to_owned(), |top| into.join(top));
    let main_file = if asked.is_empty() { MAIN_FILE } else { asked };
    let path = beneath(&root, main_file)
        .ok_or_else(|| Refused::field("header.main_file", "it leads out of the archive"))?;
    let bytes = fs::read(&path).map_err(|_| {
        let why = format!("the archive has no file `{main_file}`");
        Refused::new(Reason::InvalidArchive, why).violation("header.main_file", "no such file")
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Refused::new(Reason::InvalidBlueprint, "the main file is not UTF-8"))?;
    imports.root_at(root);
    let plan = parse(Text { text: &text, location: main_file }, &imports, &Options::default());
    let Plan(plan) = plan.map_err(|found| refused(&found, imports.misses_plugin()))?;
    Ok(Read { plan, main_file: main_file.to_owned(), plugins: imports.into_used() })
}

/// The refusal of a blueprint: every finding with its place.
fn refused(found: &Diagnostics, misses_plugin: bool) -> Refused {
    let reason = if misses_plugin { Reason::PluginNotFound } else { Reason::InvalidBlueprint };
    let first = found.0.first().map(ToString::to_string).unwrap_or_default();
    let more = match found.0.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let refused = Refused::new(reason, format!("the blueprint is not sound: {first}{more}"));
    found.0.iter().fold(refused, |refused, diagnostic| {
        let place = match diagnostic.mark {
            Some(mark) => format!("{}:{}:{}", diagnostic.file, mark.line, mark.column),
            None => diagnostic.file.clone(),
        };
        let hint = diagnostic.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        refused.violation(&place, format!("{}{hint}", diagnostic.message))
    })
}
