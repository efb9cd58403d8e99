//! Files of the manager (`/resources/…`), and those that requests are answered with.

use axum::{
    body::Body,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::tokio as fs;
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

use crate::{
    context::HostApi,
    facade::say::{internal, not_fetched},
};

/// Answers with a resource: a file, the index of a directory, or all of a directory where the query
/// asks for an archive. A miss is a plain 404, which stock clients do not try again.
pub(super) async fn resource(api: &HostApi, path: &str, query: &str) -> Response {
    let is_archive = query.split('&').any(|pair| matches!(pair, "archive=True" | "archive=true"));
    let found = match api.resource(path, is_archive).await {
        Ok(found) => found,
        Err(error) => return not_fetched(&error),
    };
    let sent = if is_archive {
        match archived(found.clone()).await {
            Ok(archive) => send(&archive).await,
            Err(error) => Err(error),
        }
    } else {
        send(&found).await
    };
    // It was brought for this answer alone, and is open as long as that takes.
    if let Some(folder) = found.parent() {
        drop(fs::remove_dir_all(folder).await);
    }
    sent.unwrap_or_else(|error| internal(&error))
}

/// Answers with a resource that is to be kept under a name.
pub(super) async fn attachment(api: &HostApi, path: &str, name: &str) -> Response {
    let mut response = resource(api, path, "").await;
    if response.status() == StatusCode::OK {
        let name = name.replace(['"', '\\', '\r', '\n'], "_");
        let disposition = format!("attachment; filename=\"{name}\"");
        if let Ok(disposition) = disposition.parse() {
            response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
        }
    }
    response
}

async fn send(path: &Utf8Path) -> std::io::Result<Response> {
    let file = fs::File::open(path).await?;
    let length = file.metadata().await?.len().to_string();
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length),
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

/// Packs a directory beside itself.
async fn archived(directory: Utf8PathBuf) -> std::io::Result<Utf8PathBuf> {
    let packed = spawn_blocking(move || {
        let archive = directory.with_extension("waggoner-archive");
        let mut tar = tar::Builder::new(fs_err::File::create(&archive)?);
        tar.follow_symlinks(false);
        tar.append_dir_all(".", &directory)?;
        tar.finish()?;
        Ok(archive)
    });
    packed.await.map_err(std::io::Error::other).flatten()
}
