//! The file server: what deployments, blueprints and plugins are made of (`/resources/…`).
//!
//! ```text
//!  /resources/deployments/TENANT/ID/…   what plugins put there
//!  /resources/blueprints/TENANT/ID/…    what was uploaded with the blueprint
//!  /resources/plugins/ID/…              a wagon, a plugin.yaml
//!  /resources/…                         what lies in the folder `resources` of the data directory
//!  …                                    the first of: own deployment, own blueprint, the one before an update,
//!                                        that folder
//!  NAMESPACE--…                         as above, with the blueprint that was imported under it
//! ```
//!
//! A directory is what the deployment has of it over what the blueprint has (`cloudify/manager.py`).

use std::{
    collections::HashSet,
    io, iter,
    sync::{Mutex, PoisonError},
};

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tracing::warn;
use waggoner_store::{blueprint::Blueprint, deployment::Deployment};
use waggoner_types::{BlueprintId, Chain, DeploymentId, PluginId, TenantName};
use waggoner_wagon::{Budget, unpack_tree};

use crate::{
    catalog::{blueprints, imports::beneath},
    executions::{
        Stage,
        answers::{Answers, Reach, Unanswered},
        rest::{
            list::all,
            reply::{Answered, Reply},
            request::{Call, percent_decoded},
            uploads::Form,
        },
    },
    home::Home,
};

/// How much the files of a deployment may be together, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// How many files a deployment may have.
const MOST_FILES: usize = 10_000;

/// Held while files are put with a deployment.
static PUTTING: Mutex<()> = Mutex::new(());

/// What lies under a path.
#[derive(Debug)]
pub(crate) enum Found {
    File(Utf8PathBuf),
    /// One directory, or two of which the first lies over the second.
    Directory(Vec<Utf8PathBuf>),
    /// A file that is none on this disk.
    Text(Vec<u8>),
}

/// Where the archive of a blueprint is asked for.
pub(super) fn blueprint_archive(id: &BlueprintId) -> String {
    format!("/resources/blueprint-archives/{id}")
}

/// Where a file of a plugin is asked for.
pub(super) fn plugin_file(id: PluginId, name: &str) -> String {
    format!("/resources/plugins/{id}/{name}")
}

/// Finds what an operation means by a path; a directory only where it wants one or names it whole.
pub(crate) async fn find(
    answers: &Answers,
    path: &str,
    directory: bool,
) -> Result<Found, Unanswered> {
    let missing = || Unanswered::not_found("resource", path);
    let scene = &answers.stage.scene;
    if let Some(whole) = path.strip_prefix("/resources/") {
        let whole = percent_decoded(whole);
        let parts: Vec<&str> = whole.split('/').collect();
        return match parts.as_slice() {
            ["deployments", tenant, id, rest @ ..] if *tenant == scene.tenant.as_str() => {
                let deployment = deployment(answers, id).await.map_err(|_| missing())?;
                let folder = folder(&answers.home, &deployment);
                // A deployment that has none yet has an empty one.
                if rest.iter().all(|part| part.is_empty()) && !folder.exists() {
                    return Ok(Found::Text(b"{}".to_vec()));
                }
                within(&[folder], &rest.join("/")).ok_or_else(missing)
            }
            ["blueprints", tenant, id, rest @ ..] if *tenant == scene.tenant.as_str() => {
                let blueprint = blueprint(answers, id).await.map_err(|_| missing())?;
                let folders = blueprints::folders(&answers.home, &blueprint).await?;
                within(&folders, &rest.join("/")).ok_or_else(missing)
            }
            ["blueprint-archives", id] => {
                let blueprint = blueprint(answers, id).await.map_err(|_| missing())?;
                Ok(Found::File(answers.home.store.artifacts().path(blueprint.digest)))
            }
            ["plugins", id, name] => plugin(answers, id, name).await?.ok_or_else(missing),
            ["deployments" | "blueprints" | "plugins", ..] => Err(missing()),
            _ => within(&[answers.home.data_dir.join("resources")], &whole).ok_or_else(missing),
        };
    }
    let own = deployment(answers, scene.deployment.as_str()).await?;
    let own = folder(&answers.home, &own);
    let mut folders = Vec::new();
    let path = path.trim_start_matches('/');
    let wanted = if let Some((blueprint, wanted)) = imported(answers, path).await? {
        folders.extend(blueprints::folders(&answers.home, &blueprint).await?);
        wanted
    } else {
        for blueprint in iter::once(&answers.stage.blueprint).chain(&answers.stage.before) {
            folders.extend(blueprints::folders(&answers.home, blueprint).await?);
        }
        path
    };
    let has = |folder: &Utf8PathBuf| {
        let found = within(std::slice::from_ref(folder), wanted)?;
        (directory == matches!(found, Found::Directory(_))).then_some(found)
    };
    let found = has(&own).map(|found| match (found, folders.iter().find_map(has)) {
        (Found::Directory(over), Some(Found::Directory(under))) => {
            Found::Directory([over, under].concat())
        }
        (found, _) => found,
    });
    folders.push(answers.home.data_dir.join("resources"));
    found.or_else(|| folders.iter().find_map(has)).ok_or_else(missing)
}

/// Changes the files of a deployment (`PUT`, `DELETE`).
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let ["deployments", tenant, id, rest @ ..] = call.path else {
        return Err(read_only());
    };
    if *tenant != call.tenant().as_str() {
        return Err(Unanswered::not_found("Deployment", id));
    }
    let folder = folder(call.home(), &deployment(call.answers, id).await?);
    let path = rest.join("/");
    let outside = || Unanswered::invalid("the path leads out of the deployment's files");
    let target = beneath(&folder, path.trim_matches('/')).ok_or_else(outside)?;
    match call.method {
        "PUT" => {
            let form = Form::read(call, "file").await?;
            let file = form.file.clone().ok_or_else(|| Unanswered::invalid("there is no file"))?;
            let is_archive = call.query.is("extract");
            if !is_archive && target == folder {
                return Err(Unanswered::invalid("the path names no file"));
            }
            let put = spawn_blocking(move || {
                let put = if is_archive {
                    let unpacked = form.folder().join("unpacked");
                    unpack_tree(&file, &unpacked, &Budget::BLUEPRINT)
                        .map_err(|refusal| Unanswered::invalid(&Chain(&refusal).to_string()))?;
                    let index = index(&unpacked).map_err(|error| Unanswered::broken(&error))?;
                    let paths = index.as_object().into_iter().flat_map(Map::keys);
                    paths.map(|path| (unpacked.join(path), target.join(path))).collect()
                } else {
                    // Whoever asks again, since the link was lost, needs the body once more.
                    let own = form.folder().join("put");
                    fs::hard_link(&file, &own)
                        .or_else(|_| fs::copy(&file, &own).map(drop))
                        .map_err(|error| Unanswered::broken(&error))?;
                    vec![(own, target)]
                };
                // One after the other: what is there counts for who comes next.
                let _turn = PUTTING.lock().unwrap_or_else(PoisonError::into_inner);
                require_room(&folder, &put)?;
                put.iter().try_for_each(|(file, target)| {
                    place(&folder, file, target).map_err(|error| Unanswered::broken(&error))
                })
            });
            put.await.map_err(|error| Unanswered::broken(&error))??;
            Reply::ok(json!({}))
        }
        "DELETE" => {
            let missing = || Unanswered::not_found("resource", &path);
            if target == folder {
                return Err(missing());
            }
            if !target.exists() {
                // It may have been this very request that removed it.
                return if call.was_tried { Reply::none() } else { Err(missing()) };
            }
            call.begin().await?;
            let removed = spawn_blocking(move || {
                if target.is_dir() { fs::remove_dir_all(target) } else { fs::remove_file(target) }
            });
            match removed.await.map_err(io::Error::other).flatten() {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !call.was_tried => {
                    Err(missing())
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(Unanswered::broken(&error))
                }
                _ => Reply::none(),
            }
        }
        _ => Err(read_only()),
    }
}

/// The files below a directory by path, each with the time of its last change
/// (`cloudify_rest_client/resources.py`). Blocks.
pub(crate) fn index(directory: &Utf8Path) -> io::Result<Value> {
    let mut files = Map::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            let found = entry.file_type()?;
            if found.is_dir() {
                folders.push(entry.into_path());
            } else if found.is_file() {
                let changed = Timestamp::try_from(entry.metadata()?.modified()?);
                let changed = changed.map_err(io::Error::other)?;
                let path = entry.path().strip_prefix(directory).map_err(io::Error::other)?;
                let time = changed.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
                files.insert(path.to_string(), time.into());
            }
        }
    }
    files.sort_keys();
    Ok(Value::Object(files))
}

async fn deployment(answers: &Answers, id: &str) -> Result<Deployment, Unanswered> {
    let missing = || Unanswered::not_found("Deployment", id);
    let parsed: DeploymentId = id.parse().map_err(|_| missing())?;
    if !answers.reach.reaches(&answers.stage.scene.deployment, &parsed) {
        return Err(missing());
    }
    Ok(answers.home.store.deployment(answers.stage.scene.tenant.clone(), parsed).await?)
}

async fn blueprint(answers: &Answers, id: &str) -> Result<Blueprint, Unanswered> {
    let missing = || Unanswered::not_found("Blueprint", id);
    let parsed: BlueprintId = id.parse().map_err(|_| missing())?;
    let Stage { blueprint, before, .. } = &*answers.stage;
    if let Some(own) = iter::once(blueprint).chain(before).find(|own| own.id == parsed) {
        return Ok(own.clone());
    }
    if answers.reach == Reach::Deployment {
        return Err(missing());
    }
    Ok(answers.home.store.blueprint(answers.stage.scene.tenant.clone(), parsed).await?)
}

/// Returns the blueprint that was imported under the namespace with which a path begins, and the
/// path in it (`cloudify/manager.py`).
async fn imported<'p>(
    answers: &Answers,
    path: &'p str,
) -> Result<Option<(Blueprint, &'p str)>, Unanswered> {
    let Some((namespace, rest)) = path.rsplit_once("--") else { return Ok(None) };
    let mapping = &answers.stage.plan_json["namespaces_mapping"];
    let id = mapping[namespace].as_str().and_then(|id| id.parse::<BlueprintId>().ok());
    let Some(id) = id else { return Ok(None) };
    let tenant = answers.stage.scene.tenant.clone();
    let blueprint = answers.home.store.blueprint(tenant, id).await?;
    Ok(Some((blueprint, rest)))
}

async fn plugin(answers: &Answers, id: &str, name: &str) -> Result<Option<Found>, Unanswered> {
    let Ok(id) = id.parse::<PluginId>() else { return Ok(None) };
    let tenant = answers.stage.scene.tenant.clone();
    let plugin = match answers.home.store.plugin(tenant, id).await {
        Ok(plugin) => plugin,
        Err(waggoner_store::Error::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if name == plugin.archive_name {
        return Ok(Some(Found::File(answers.home.store.artifacts().path(plugin.digest))));
    }
    let yaml = plugin.yamls.into_iter().find(|yaml| yaml.name == name);
    Ok(yaml.map(|yaml| Found::Text(yaml.text.into_bytes())))
}

/// Where a deployment's files are. Its time is part of the name, so that one that is made later
/// under the same id does not find them.
fn folder(home: &Home, deployment: &Deployment) -> Utf8PathBuf {
    let name = format!("{}-{}", deployment.id, deployment.created_at.as_microsecond());
    home.data_dir.join("deployments").join(deployment.tenant.as_str()).join(name)
}

fn within(folders: &[Utf8PathBuf], path: &str) -> Option<Found> {
    folders.iter().filter_map(|folder| beneath(folder, path.trim_matches('/'))).find_map(|path| {
        if path.is_file() {
            Some(Found::File(path))
        } else {
            path.is_dir().then(|| Found::Directory(vec![path]))
        }
    })
}

/// Refuses files that are too much for a deployment: each with its target.
fn require_room(folder: &Utf8Path, put: &[(Utf8PathBuf, Utf8PathBuf)]) -> Result<(), Unanswered> {
    let broken = |error: io::Error| Unanswered::broken(&error);
    let length = |path: &Utf8Path| fs::metadata(path).map_or(0, |found| found.len());
    let (mut bytes, mut files) = (0, put.len());
    if files <= MOST_FILES && folder.exists() {
        let targets: HashSet<_> = put.iter().map(|(_, target)| target).collect();
        let there = index(folder).map_err(broken)?;
        let there = there.as_object().into_iter().flat_map(Map::keys);
        for path in there.map(|path| folder.join(path)) {
            if !targets.contains(&path) {
                bytes += length(&path);
                files += 1;
            }
        }
    }
    bytes += put.iter().map(|(file, _)| length(file)).sum::<u64>();
    if bytes > MOST_BYTES || files > MOST_FILES {
        let why = format!(
            "a deployment has {MOST_FILES} files of {MOST_BYTES} bytes together at the most, and \
             these would be {files} of {bytes}: delete some of them"
        );
        return Err(Unanswered::invalid(&why));
    }
    Ok(())
}

/// Puts a file in its place below a folder, at once and whole, for good.
fn place(folder: &Utf8Path, file: &Utf8Path, target: &Utf8Path) -> io::Result<()> {
    let parent = target.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    fs::create_dir_all(parent)?;
    fs::File::open(file)?.sync_all()?;
    // It lies on the same disk.
    fs::rename(file, target)?;
    // With the folders that were made for it: up to those of its tenant and of all.
    let made = parent.ancestors().take_while(|made| made.starts_with(folder));
    for made in made.chain(folder.ancestors().skip(1).take(3)) {
        fs::File::open(made)?.sync_all()?;
    }
    Ok(())
}

/// Removes the files of deployments that are not there any more.
pub(crate) async fn sweep(home: &Home) -> Result<(), Unanswered> {
    let folders = home.data_dir.join("deployments");
    let Ok(tenants) = folders.read_dir_utf8() else { return Ok(()) };
    for of_tenant in tenants.filter_map(Result::ok) {
        let Ok(tenant) = of_tenant.file_name().parse::<TenantName>() else { continue };
        // Before the store is asked: what is made meanwhile is not among them.
        let found = of_tenant.path().read_dir_utf8().map_err(|error| Unanswered::broken(&error))?;
        let found: Vec<_> = found.filter_map(Result::ok).map(Utf8DirEntry::into_path).collect();
        let page = |page| {
            let tenant = tenant.clone();
            async move { home.store.deployments(tenant, None, &page).await }
        };
        let there: HashSet<_> = all(page).await?.iter().map(|one| folder(home, one)).collect();
        let gone = found.into_iter().filter(|found| !there.contains(found)).collect::<Vec<_>>();
        let remove = move || {
            for folder in gone {
                // The others go all the same.
                if let Err(error) = fs::remove_dir_all(&folder) {
                    warn!(%error, "the files of a deployment that is gone cannot be removed");
                }
            }
        };
        spawn_blocking(remove).await.map_err(|error| Unanswered::broken(&error))?;
    }
    Ok(())
}

fn read_only() -> Unanswered {
    Unanswered {
        reason: "INVALID",
        status: 405,
        error_code: "illegal_action_error",
        message: "only the files of a deployment can be changed from inside an operation"
            .to_owned(),
    }
}
