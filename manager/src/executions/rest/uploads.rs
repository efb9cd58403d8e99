//! Files that requests bring, into the manager's hands.

use std::io::{self, Write};

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
            multipart,
            request::{Body, Call},
        },
    },
    home::Home,
};

/// What a form brings: its texts by name, and its file.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) texts: Texts,
    pub(super) file: Option<Utf8PathBuf>,
    /// Room for what is made of it, until this is dropped.
    folder: Utf8TempDir,
}

/// Texts of a form, each with its name before it.
type Texts = Vec<(String, String)>;

/// The longest text of a form, in bytes; what is longer is a file.
const LONGEST_TEXT: usize = 1 << 20;

/// How many texts a form has at the most, and how many bytes they have together.
const MOST_TEXTS: usize = 64;
const TEXTS_TOGETHER: usize = 4 * LONGEST_TEXT;

// === impl Form ===

impl Form {
    /// Takes a request's body apart: a form with a file in the field `field`, or the file alone.
    pub(super) async fn read(call: &Call<'_>, field: &'static str) -> Result<Self, Unanswered> {
        let broken = |error: io::Error| Unanswered::broken(&error);
        let folder = tempdir_in(call.home().incoming()).map_err(broken)?;
        let (body, content_type) = match call.body {
            Body::File { path, content_type } => (path.clone(), content_type),
            Body::Text { text, content_type } => {
                let body = folder.path().join("body");
                fs::tokio::write(&body, text).await.map_err(broken)?;
                (body, content_type)
            }
            Body::Json(_) => return Ok(Self { texts: Vec::new(), file: None, folder }),
        };
        let Some(boundary) = multipart::boundary(content_type).map(str::to_owned) else {
            return Ok(Self { texts: Vec::new(), file: Some(body), folder });
        };
        let to = folder.path().join("file");
        let split = spawn_blocking(move || split(&body, &boundary, field, &to)).await;
        let (texts, file) = split.map_err(|error| Unanswered::broken(&error))??;
        Ok(Self { texts, file, folder })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }

    pub(super) fn folder(&self) -> &Utf8Path {
        self.folder.path()
    }
}

/// Takes the texts and the file out of a form, which may be too large for the memory. Blocks.
fn split(
    body: &Utf8Path,
    boundary: &str,
    field: &str,
    to: &Utf8Path,
) -> Result<(Texts, Option<Utf8PathBuf>), Unanswered> {
    let wrong = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => Unanswered::invalid(&error.to_string()),
        _ => Unanswered::broken(&error),
    };
    let body = fs::File::open(body).map_err(wrong)?;
    let mut form = multipart::Form::new(body, boundary);
    let (mut texts, mut file): (Texts, _) = (Vec::new(), None);
    let mut together = 0;
    while let Some(name) = form.next().map_err(wrong)? {
        if name == field {
            let mut written = fs::File::create(to).map_err(wrong)?;
            form.data(&mut written).map_err(wrong)?;
            file = Some(to.to_owned());
            continue;
        }
        let mut text = Text { bytes: Vec::new(), is_long: false };
        form.data(&mut text).map_err(wrong)?;
        together += name.len() + text.bytes.len();
        if texts.len() == MOST_TEXTS || together > TEXTS_TOGETHER {
            return Err(Unanswered::invalid(
                "the form has more fields than any that is known here",
            ));
        }
        if !text.is_long {
            texts.push((name, String::from_utf8_lossy(&text.bytes).into_owned()));
        }
    }
    Ok((texts, file))
}

/// A text of a form; of a longer one nothing is kept.
struct Text {
    bytes: Vec<u8>,
    is_long: bool,
}

// === impl Text ===

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_long |= self.bytes.len() + bytes.len() > LONGEST_TEXT;
        if self.is_long {
            self.bytes.clear();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
