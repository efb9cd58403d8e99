//! Files that an operation asks for, sent in pieces.

use std::io;

use camino::Utf8PathBuf;
use tokio::{io::AsyncReadExt as _, sync::mpsc, task::spawn_blocking};
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::agent::v1::{AskResource, FileChunk, OperateRequest, answer::Outcome};

use crate::executions::{
    answers::{Answers, Unanswered, said},
    rest::files::{self, Found},
};

// === impl Answers ===

impl Answers {
    /// Sends all pieces of a resource but the last, and returns that.
    pub(super) async fn resource(
        &self,
        ask: AskResource,
        question_id: u64,
        down: &mpsc::Sender<OperateRequest>,
    ) -> Result<FileChunk, Unanswered> {
        let AskResource { path, directory } = ask;
        let found = files::find(self, &path, directory).await?;
        let io = |error: io::Error| Unanswered::broken(&error);
        let mut file = match found {
            Found::Text(text) => {
                return send_text(&text, question_id, down).await;
            }
            Found::File(path) => tokio::fs::File::open(path).await.map_err(io)?,
            Found::Directory(paths) if directory => packed(paths).await.map_err(io)?,
            Found::Directory(paths) => {
                let index = spawn_blocking(move || files::index(&paths[0])).await;
                let index = index.map_err(io::Error::other).flatten().map_err(io)?;
                return send_text(index.to_string().as_bytes(), question_id, down).await;
            }
        };
        loop {
            let mut data = vec![0; MAX_CHUNK];
            let mut length = 0;
            // Full pieces only, so that a short one is the last.
            while length < data.len() {
                match file.read(&mut data[length..]).await.map_err(io)? {
                    0 => break,
                    read => length += read,
                }
            }
            data.truncate(length);
            let last = length < MAX_CHUNK;
            let chunk = FileChunk { data, last, directory };
            if last {
                return Ok(chunk);
            }
            drop(down.send(said(question_id, Outcome::Chunk(chunk))).await);
        }
    }
}

async fn send_text(
    text: &[u8],
    question_id: u64,
    down: &mpsc::Sender<OperateRequest>,
) -> Result<FileChunk, Unanswered> {
    let mut pieces = text.chunks(MAX_CHUNK).peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        let chunk = FileChunk { data: piece.to_vec(), last, directory: false };
        if last {
            return Ok(chunk);
        }
        drop(down.send(said(question_id, Outcome::Chunk(chunk))).await);
    }
    Ok(FileChunk { data: Vec::new(), last: true, directory: false })
}

/// Directories that lie over each other, the uppermost first, as an archive that is nowhere else:
/// who unpacks it replaces what is under another by what is over it.
async fn packed(directories: Vec<Utf8PathBuf>) -> io::Result<tokio::fs::File> {
    let packed = spawn_blocking(move || {
        let mut file = camino_tempfile::tempfile()?;
        let mut archive = tar::Builder::new(&mut file);
        archive.follow_symlinks(false);
        for directory in directories.iter().rev() {
            archive.append_dir_all("", directory)?;
        }
        archive.finish()?;
        drop(archive);
        io::Seek::rewind(&mut file)?;
        Ok(file)
    });
    packed.await.map_err(io::Error::other).flatten().map(tokio::fs::File::from_std)
}
