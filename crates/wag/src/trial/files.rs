//! The resources that an operation asks for: files of a directory, as a blueprint's.

use std::io::{self, Read, Seek as _};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use fs_err as fs;
use tokio::{sync::mpsc, task::spawn_blocking};
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::agent::v1::{AskResource, FileChunk, Refusal};

use super::world::{refused, unfound};

/// How many pieces are read ahead.
const AHEAD: usize = 2;

/// Reads a resource, piece by piece.
pub(super) fn read(
    resources: Option<&Utf8Path>,
    ask: &AskResource,
) -> mpsc::Receiver<Result<FileChunk, Refusal>> {
    let (pieces, read) = mpsc::channel(AHEAD);
    let (found, directory) = (find(resources, ask), ask.directory);
    // It ends with the file, or when nobody reads any more.
    drop(spawn_blocking(move || {
        let sent =
            found.and_then(|path| send(&path, directory, &pieces).map_err(|error| broken(&error)));
        if let Err(refusal) = sent {
            drop(pieces.blocking_send(Err(refusal)));
        }
    }));
    read
}

fn find(resources: Option<&Utf8Path>, ask: &AskResource) -> Result<Utf8PathBuf, Refusal> {
    let AskResource { path, directory } = ask;
    let Some(resources) = resources else {
        let why = format!("there is no resource `{path}`: name their directory with --resources");
        return Err(refused("NOT_FOUND", 404, "not_found_error", why));
    };
    let wanted = Utf8Path::new(within_blueprint(path));
    let is_below = |part| matches!(part, Utf8Component::Normal(_) | Utf8Component::CurDir);
    let found = resources.join(wanted);
    let is_there = if *directory { found.is_dir() } else { found.is_file() };
    if is_there && wanted.components().all(is_below) {
        Ok(found)
    } else {
        Err(unfound("resource", path))
    }
}

/// Returns the path within the blueprint, where the whole one on the manager is named:
/// `/resources/blueprints/TENANT/ID/…`.
fn within_blueprint(path: &str) -> &str {
    let whole = path.strip_prefix("/resources/blueprints/");
    let below = whole.and_then(|whole| {
        let (_tenant, rest) = whole.split_once('/')?;
        Some(rest.split_once('/').map_or(".", |(_id, rest)| rest))
    });
    below.unwrap_or_else(|| path.trim_start_matches('/'))
}

fn send(
    path: &Utf8Path,
    directory: bool,
    pieces: &mpsc::Sender<Result<FileChunk, Refusal>>,
) -> io::Result<()> {
    let mut file: Box<dyn Read> = if directory {
        let mut packed = camino_tempfile::tempfile()?;
        let mut archive = tar::Builder::new(&mut packed);
        archive.follow_symlinks(false);
        archive.append_dir_all("", path)?;
        archive.finish()?;
        drop(archive);
        packed.rewind()?;
        Box::new(packed)
    } else {
        Box::new(fs::File::open(path)?)
    };
    loop {
        let mut data = Vec::with_capacity(MAX_CHUNK);
        file.by_ref().take(MAX_CHUNK as u64).read_to_end(&mut data)?;
        // Full pieces only, so that a short one is the last.
        let last = data.len() < MAX_CHUNK;
        let heard = pieces.blocking_send(Ok(FileChunk { data, last, directory }));
        if last || heard.is_err() {
            return Ok(());
        }
    }
}

fn broken(error: &io::Error) -> Refusal {
    refused("UNAVAILABLE", 500, "internal_server_error", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(resources: &Utf8Path, path: &str) -> Result<Vec<u8>, Refusal> {
        whole(resources, AskResource { path: path.to_owned(), directory: false }).await
    }

    async fn whole(resources: &Utf8Path, ask: AskResource) -> Result<Vec<u8>, Refusal> {
        let mut pieces = read(Some(resources), &ask);
        let mut whole = Vec::new();
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            whole.extend(piece.data);
            if piece.last {
                return Ok(whole);
            }
        }
        panic!("there is no last piece")
    }

    #[tokio::test]
    async fn a_directory_comes_as_an_archive_of_what_is_below_it() {
        let directory = camino_tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("resources/www/sub")).unwrap();
        fs::write(directory.path().join("resources/www/sub/file"), "text").unwrap();
        let ask = AskResource { path: "www".to_owned(), directory: true };
        let archive = whole(&directory.path().join("resources"), ask).await.unwrap();
        let unpacked = directory.path().join("unpacked");
        tar::Archive::new(archive.as_slice()).unpack(&unpacked).unwrap();
        assert_eq!(fs::read_to_string(unpacked.join("sub/file")).unwrap(), "text");
    }

    #[tokio::test]
    async fn a_file_comes_in_pieces_and_nothing_outside_is_read() {
        let directory = camino_tempfile::tempdir().unwrap();
        let resources = directory.path().join("resources");
        fs::create_dir(&resources).unwrap();
        for size in [0, 1, MAX_CHUNK, MAX_CHUNK + 1] {
            fs::write(resources.join("file"), vec![7; size]).unwrap();
            assert_eq!(text(&resources, "file").await.unwrap().len(), size);
        }
        fs::write(directory.path().join("outside"), "secret").unwrap();
        for path in ["../outside", "missing", ""] {
            assert_eq!(text(&resources, path).await.unwrap_err().status, 404, "{path}");
        }
    }
}
