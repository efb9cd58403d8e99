//! `wag plugins download`.

use std::{io::Write as _, os::unix::fs::PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::NamedUtf8TempFile;
use sha2::{Digest as _, Sha256};
use tonic::Request;
use waggoner_proto::v1::{DownloadPluginRequest, Plugin, download_plugin_response::Message};
use waggoner_types::Digest;

use crate::{
    Error,
    client::{ClientError, Manager},
    commands::Context,
};

/// Brings a wagon whole, or nothing.
pub(super) async fn run(
    context: &mut Context<'_>,
    plugin: String,
    to: Option<Utf8PathBuf>,
) -> Result<(), Error> {
    let manager = context.manager().await?;
    let (plugin, path) = download(&manager, plugin, to).await?;
    if context.ui.is_json() {
        return context.ui.one(&plugin);
    }
    context.ui.step("Downloaded", format!("{} {}", plugin.package_name, plugin.package_version));
    context.ui.data(&format!("{path}\n"))
}

async fn download(
    manager: &Manager,
    id: String,
    to: Option<Utf8PathBuf>,
) -> Result<(Plugin, Utf8PathBuf), Error> {
    let request = DownloadPluginRequest { tenant: manager.tenant(), id };
    let answer = manager.plugins().download_plugin(Request::new(request)).await;
    let mut stream = answer.map_err(ClientError::from)?.into_inner();
    let mut next =
        async || Ok::<_, ClientError>(stream.message().await?.and_then(|one| one.message));

    let Some(Message::Plugin(plugin)) = next().await? else {
        return Err(ClientError::Hollow("plugin").into());
    };
    // The manager's word for a name is taken as a name only, never as a path.
    let name = Utf8Path::new(&plugin.archive_name).file_name().unwrap_or("plugin.wgn");
    let path = to.unwrap_or_else(|| name.into());
    let failed = |source| Error::Write { path: path.clone(), source };
    let parent = path.parent().filter(|parent| !parent.as_str().is_empty());
    let parent = parent.unwrap_or(Utf8Path::new("."));
    let mut file = NamedUtf8TempFile::new_in(parent).map_err(failed)?;
    let mut hash = Sha256::new();
    while let Some(message) = next().await? {
        let Message::Chunk(chunk) = message else { continue };
        hash.update(&chunk);
        file.write_all(&chunk).map_err(failed)?;
    }
    let arrived = Digest(hash.finalize().into()).to_string();
    if arrived != plugin.digest {
        return Err(Error::Damaged { arrived, announced: plugin.digest });
    }
    let mode = PermissionsExt::from_mode(0o644);
    fs_err::set_permissions(file.path(), mode).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok((plugin, path))
}
