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

use std::{io, iter};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use waggoner_store::{blueprint::Blueprint, deployment::Deployment};
use waggoner_types::{BlueprintId, Chain, DeploymentId, PluginId};
use waggoner_wagon::{Budget, unpack_tree};

use crate::{
    catalog::{blueprints, imports::beneath},
    executions::{
        Stage,
        answers::{Answers, Reach, Unanswered},
        rest::{
            reply::{Answered, Reply},
            request::{Call, percent_decoded},
            uploads::Form,
        },
    },
    home::Home,
};

/// What lies under a path.
#[derive(Debug)]
pub(crate) enum Found {
    File(Utf8PathBuf),
    Directory(Utf8PathBuf),
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
                let folders = blueprint_folders(&answers.home, &blueprint).await?;
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
    let mut folders = vec![folder(&answers.home, &own)];
    let path = path.trim_start_matches('/');
    let wanted = if let Some((blueprint, wanted)) = imported(answers, path).await? {
        folders.extend(blueprint_folders(&answers.home, &blueprint).await?);
        wanted
    } else {
        for blueprint in iter::once(&answers.stage.blueprint).chain(&answers.stage.before) {
            folders.extend(blueprint_folders(&answers.home, blueprint).await?);
        }
        path
    };
    folders.push(answers.home.data_dir.join("resources"));
    let found = folders.iter().find_map(|folder| {
        let found = within(std::slice::from_ref(folder), wanted)?;
        (directory == matches!(found, Found::Directory(_))).then_some(found)
    });
    found.ok_or_else(missing)
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
                // The form's own folder holds the file until it is in its place.
                let _form = &form;
                if is_archive { extract(&file, &target) } else { place(&file, &target) }
            });
            put.await.map_err(|error| Unanswered::broken(&error))??;
            Reply::ok(json!({}))
        }
        "DELETE" => {
            let missing = || Unanswered::not_found("resource", &path);
            if target == folder || !target.exists() {
                return Err(missing());
            }
            let removed = spawn_blocking(move || {
                if target.is_dir() { fs::remove_dir_all(target) } else { fs::remove_file(target) }
            });
            let removed = removed.await.map_err(io::Error::other).flatten();
            removed.map_err(|error| Unanswered::broken(&error))?;
            Reply::none()
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

/// Where a blueprint's files are looked for: paths are relative to the main file's own directory,
/// or to the root.
async fn blueprint_folders(
    home: &Home,
    blueprint: &Blueprint,
) -> Result<Vec<Utf8PathBuf>, Unanswered> {
    let files = blueprints::files(home, blueprint.digest).await?;
    let base = Utf8Path::new(&blueprint.main_file).parent();
    let base = base.map_or_else(|| files.clone(), |base| files.join(base));
    Ok(vec![base, files])
}

fn within(folders: &[Utf8PathBuf], path: &str) -> Option<Found> {
    folders.iter().filter_map(|folder| beneath(folder, path.trim_matches('/'))).find_map(|path| {
        if path.is_file() {
            Some(Found::File(path))
        } else {
            path.is_dir().then_some(Found::Directory(path))
        }
    })
}

/// Puts a file in its place, at once and whole.
fn place(file: &Utf8Path, target: &Utf8Path) -> Result<(), Unanswered> {
    let placed = || {
        let folder = target.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
        fs::create_dir_all(folder)?;
        // It lies on the same disk.
        fs::rename(file, target)
    };
    placed().map_err(|error| Unanswered::broken(&error))
}

/// Puts the files of an archive in their places, over those that are there.
fn extract(archive: &Utf8Path, target: &Utf8Path) -> Result<(), Unanswered> {
    let folder = archive.parent().unwrap_or(Utf8Path::new("/")).join("unpacked");
    unpack_tree(archive, &folder, &Budget::BLUEPRINT)
        .map_err(|refusal| Unanswered::invalid(&Chain(&refusal).to_string()))?;
    let index = index(&folder).map_err(|error| Unanswered::broken(&error))?;
    fs::create_dir_all(target).map_err(|error| Unanswered::broken(&error))?;
    for path in index.as_object().into_iter().flat_map(Map::keys) {
        place(&folder.join(path), &target.join(path))?;
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
