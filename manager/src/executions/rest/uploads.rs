//! Files that requests bring, into the manager's hands.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::{Utf8TempDir, tempdir_in};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncReadExt as _, task::spawn_blocking};
use waggoner_link::settings::MAX_CHUNK;
use waggoner_store::artifact::{Announced, Received};
use waggoner_types::Digest;

use crate::{
    api::not_taken,
    executions::{
        answers::Unanswered,
        rest::{
            multipart::{self, Part},
            request::{Body, Call},
        },
    },
    home::Home,
};

/// What a form brings: its texts by name, and its file.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) texts: Vec<(String, String)>,
    pub(super) file: Option<Utf8PathBuf>,
    /// Holds the file, until this is dropped.
    folder: Utf8TempDir,
}

/// The longest text of a form, in bytes; what is longer is a file.
const LONGEST_TEXT: usize = 1 << 20;

// === impl Form ===

impl Form {
    /// Takes a request's body apart: a form with a file in the field `field`, or the file alone.
    pub(super) async fn read(call: &Call<'_>, field: &'static str) -> Result<Self, Unanswered> {
        let folder =
            tempdir_in(&call.home().data_dir).map_err(|error| Unanswered::broken(&error))?;
        let file = folder.path().join("file");
        let (bytes, content_type) = match call.body {
            Body::File { path, content_type } => {
                let bytes = fs::tokio::read(path).await;
                (bytes.map_err(|error| Unanswered::broken(&error))?, content_type.clone())
            }
            Body::Text { text, content_type } => (text.as_bytes().to_vec(), content_type.clone()),
            Body::Json(_) => return Ok(Self { texts: Vec::new(), file: None, folder }),
        };
        let to = file.clone();
        let split = spawn_blocking(move || split(&bytes, &content_type, field, &to)).await;
        let split = split.map_err(|error| Unanswered::broken(&error))?;
        let (texts, has_file) = split?;
        Ok(Self { texts, file: has_file.then_some(file), folder })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }

    pub(super) fn folder(&self) -> &Utf8Path {
        self.folder.path()
    }
}

fn split(
    bytes: &[u8],
    content_type: &str,
    field: &str,
    file: &Utf8Path,
) -> Result<(Vec<(String, String)>, bool), Unanswered> {
    let write = |data: &[u8]| fs::write(file, data).map_err(|error| Unanswered::broken(&error));
    let Some(boundary) = multipart::boundary(content_type) else {
        write(bytes)?;
        return Ok((Vec::new(), true));
    };
    let parts = multipart::parts(bytes, boundary)
        .ok_or_else(|| Unanswered::invalid("the body is no whole multipart/form-data"))?;
    let (mut texts, mut has_file) = (Vec::new(), false);
    for Part { name, data } in parts {
        if name == field {
            write(data)?;
            has_file = true;
        } else if data.len() <= LONGEST_TEXT {
            texts.push((name.to_owned(), String::from_utf8_lossy(data).into_owned()));
        }
    }
    Ok((texts, has_file))
}

/// Takes a file among the artifacts, where it is kept once it is published.
pub(super) async fn receive(
    home: &Home,
    path: &Utf8Path,
) -> Result<(Announced, Received), Unanswered> {
    let broken = |error: io::Error| Unanswered::broken(&error);
    let from = path.to_owned();
    let digest = spawn_blocking(move || {
        let mut hash = Sha256::new();
        let size = io::copy(&mut fs::File::open(from)?, &mut hash)?;
        Ok(Announced { digest: Digest(hash.finalize().into()), size })
    });
    let announced = digest.await.map_err(io::Error::other).flatten().map_err(broken)?;
    let taken = home.store.artifacts().receive(Announced { ..announced });
    let mut incoming = taken.await.map_err(not_taken)?;
    let mut file = fs::tokio::File::open(path).await.map_err(broken)?;
    let mut chunk = vec![0; MAX_CHUNK];
    loop {
        match file.read(&mut chunk).await.map_err(broken)? {
            0 => break,
            read => incoming.write(&chunk[..read]).await.map_err(not_taken)?,
        }
    }
    Ok((announced, incoming.finish().await.map_err(not_taken)?))
}
