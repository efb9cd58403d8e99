//! Files of the deployment, of its blueprint and of the manager, brought onto this host.

use std::io;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use fs_err::tokio as fs;
use serde_json::{Map, Value};
use tokio::{io::AsyncWriteExt as _, task::spawn_blocking};
use uuid::Uuid;
use waggoner_ctx::Refusal;
use waggoner_proto::agent::v1::{self as pb, AskResource, question::Ask};
use waggoner_types::LogLevel;

use crate::{
    context::{HostApi, Key, command::refused, render::render},
    questions::{Reply, nonsense},
};

/// Why a resource did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{}", .0.message)]
    Refused(pb::Refusal),

    #[error("failed to store a resource")]
    Disk(#[source] io::Error),
}

/// Returns a name that no other file of the operation has, also not one of the daemon's last life.
fn unique() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The most bytes of a resource.
const MOST: u64 = 2 * 1024 * 1024 * 1024;

// === impl HostApi ===

impl HostApi {
    /// Brings a resource onto this host, to live as long as the operation.
    pub(crate) async fn resource(
        &self,
        path: &str,
        directory: bool,
    ) -> Result<Utf8PathBuf, FetchError> {
        let folder = self.new_folder().await.map_err(FetchError::Disk)?;
        let name = Utf8Path::new(path.trim_end_matches('/')).file_name().unwrap_or("resource");
        let target = folder.join(name);
        self.fetch(path, directory, &target).await?;
        Ok(target)
    }

    /// Brings a resource to `target`: a file, or a directory that is made.
    async fn fetch(
        &self,
        path: &str,
        directory: bool,
        target: &Utf8Path,
    ) -> Result<(), FetchError> {
        let spool = if directory {
            fs::create_dir_all(&self.directory).await.map_err(FetchError::Disk)?;
            self.directory.join(format!("tar-{}", unique()))
        } else {
            target.to_owned()
        };
        let is_archive = self.write(path, directory, &spool).await?;
        if !directory {
            return Ok(());
        }
        if !is_archive {
            return Err(FetchError::Refused(nonsense("a file came for a directory")));
        }
        let target = target.to_owned();
        let unpacked = spawn_blocking(move || {
            fs_err::create_dir_all(&target)?;
            tar::Archive::new(fs_err::File::open(&spool)?).unpack(&target)?;
            fs_err::remove_file(&spool)
        });
        unpacked.await.map_err(io::Error::other).flatten().map_err(FetchError::Disk)
    }

    /// Writes what comes for a resource to a file; says whether it is an archive.
    async fn write(
        &self,
        path: &str,
        directory: bool,
        target: &Utf8Path,
    ) -> Result<bool, FetchError> {
        let ask = AskResource { path: path.to_owned(), directory };
        let mut replies = self.attempt.put(Ask::Resource(ask), None).await;
        let create = || async { fs::File::create(target).await.map_err(FetchError::Disk) };
        let (mut file, mut size) = (None, 0);
        loop {
            match replies.next().await {
                Reply::Piece(piece) => {
                    size += piece.data.len() as u64;
                    if size > MOST {
                        return Err(FetchError::Refused(nonsense("the resource has no end")));
                    }
                    let file = match &mut file {
                        Some(file) => file,
                        none @ None => none.insert(create().await?),
                    };
                    file.write_all(&piece.data).await.map_err(FetchError::Disk)?;
                    if piece.last {
                        file.flush().await.map_err(FetchError::Disk)?;
                        return Ok(piece.directory);
                    }
                }
                Reply::Again => (file, size) = (None, 0),
                Reply::Refused(refusal) => return Err(FetchError::Refused(refusal)),
                Reply::Value(_) => {
                    return Err(FetchError::Refused(nonsense("a value came for a file")));
                }
            }
        }
    }

    /// Answers `ctx get-resource`: the text of a resource.
    pub(super) async fn read_resource(
        &self,
        path: String,
        variables: Option<Map<String, Value>>,
        ctx: Value,
    ) -> Result<Value, Refusal> {
        let local = self.resource(&path, false).await.map_err(|error| http_error(&path, &error))?;
        let bytes = fs::read(&local).await.map_err(|error| os_error(&error))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            refused("UnicodeDecodeError", format!("the resource `{path}` is not UTF-8 text"))
        })?;
        drop(fs::remove_file(&local).await);
        rendered(text, variables, ctx).map(Value::String)
    }

    /// Answers `ctx download-resource`: the path of a resource's copy.
    pub(super) async fn download(
        &self,
        path: String,
        target: Option<String>,
        variables: Option<Map<String, Value>>,
        ctx: Value,
    ) -> Result<Value, Refusal> {
        let local = match target {
            Some(target) => {
                let target = Utf8PathBuf::from(target);
                self.fetch(&path, false, &target).await.map(|()| target)
            }
            None => self.resource(&path, false).await,
        };
        let local = local.map_err(|error| http_error(&path, &error))?;
        let message = format!("Downloaded {path} to {local}");
        self.log(LogLevel::Info, None, message, Key::fresh()).await;
        if variables.as_ref().is_some_and(|variables| !variables.is_empty()) {
            let bytes = fs::read(&local).await.map_err(|error| os_error(&error))?;
            // Bytes that are no text are no template.
            if let Ok(text) = String::from_utf8(bytes) {
                fs::write(&local, rendered(text, variables, ctx)?)
                    .await
                    .map_err(|error| os_error(&error))?;
            }
        }
        Ok(Value::String(local.into_string()))
    }

    /// Answers `ctx download-directory`: the path of the directory's copy. Where no target is given,
    /// the first part of the directory's own path stands for it, and the rest lies below.
    pub(super) async fn download_directory(
        &self,
        path: String,
        target: Option<String>,
    ) -> Result<Value, Refusal> {
        let (target, into) = if let Some(target) = target {
            (Utf8PathBuf::from(&target), Utf8PathBuf::from(target))
        } else {
            let below = path.trim_matches('/').split_once('/').map_or("", |(_, below)| below);
            let mut names = Utf8Path::new(below).components();
            if names.any(|name| !matches!(name, Utf8Component::Normal(_))) {
                return Err(refused("ValueError", format!("`{path}` is no plain path")));
            }
            let folder = self.new_folder().await.map_err(|error| os_error(&error))?;
            (folder.clone(), folder.join(below))
        };
        let fetched = self.fetch(&path, true, &into).await;
        fetched.map_err(|error| http_error(&path, &error))?;
        Ok(Value::String(target.into_string()))
    }

    async fn new_folder(&self) -> io::Result<Utf8PathBuf> {
        let folder = self.directory.join(format!("resource-{}", unique()));
        fs::create_dir_all(&folder).await?;
        Ok(folder)
    }
}

fn rendered(
    text: String,
    variables: Option<Map<String, Value>>,
    ctx: Value,
) -> Result<String, Refusal> {
    render(text, variables, ctx).map_err(|error| refused("TemplateError", error.to_string()))
}

pub(super) fn os_error(error: &io::Error) -> Refusal {
    refused("OSError", error.to_string())
}

/// A missing resource as Cloudify raises it (`HttpException`, `cloudify/manager.py`).
fn http_error(path: &str, error: &FetchError) -> Refusal {
    match error {
        FetchError::Refused(refusal) => {
            let message = format!("{} ({path}) : {}", refusal.status, refusal.message);
            refused("HttpException", message)
        }
        FetchError::Disk(source) => refused("OSError", source.to_string()),
    }
}
