//! Taking an artifact off the wire.

use std::error::Error;

use tokio::task::spawn_blocking;
use tonic::Streaming;
use tracing::{error, info};
use waggoner_proto::agent::v1::{WriteArtifactRequest, write_artifact_request::Message};
use waggoner_types::Digest;
use waggoner_wire::{At as _, Reason, Refused};

use crate::artifacts::{Artifacts, Upload, WriteError};

/// Takes one artifact: its header, its bytes, its end.
pub(super) async fn artifact(
    artifacts: &Artifacts,
    mut inbound: Streaming<WriteArtifactRequest>,
) -> Result<(), Refused> {
    let Some(Message::Header(header)) = next(&mut inbound).await? else {
        return Err(Refused::field("message", "the first message has to be the header"));
    };
    let digest: Digest = header.digest.parse().at("header.digest")?;
    if artifacts.find(digest).is_some() {
        return Ok(());
    }
    let mut upload = artifacts.begin(digest, header.size).map_err(|error| refuse(&error))?;
    while let Some(message) = next(&mut inbound).await? {
        let Message::Chunk(bytes) = message else {
            return Err(Refused::field("message", "only one header may come"));
        };
        upload = disk(move || {
            let mut upload: Upload = upload;
            upload.write(&bytes).map(|()| upload)
        })
        .await?;
    }
    disk(move || upload.finish()).await?;
    info!(%digest, bytes = header.size, "an artifact has come");
    Ok(())
}

async fn next(inbound: &mut Streaming<WriteArtifactRequest>) -> Result<Option<Message>, Refused> {
    let request = inbound.message().await.map_err(|status| {
        Refused::new(Reason::Unavailable, format!("the upload was cut: {}", status.message()))
    })?;
    request.map(|request| request.message.ok_or_else(|| Refused::missing("message"))).transpose()
}

/// Works on the disk, where it blocks nobody.
async fn disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, Refused> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| refuse(&error)),
        Err(_) => Err(Refused::new(Reason::Internal, "failed to write the artifact")),
    }
}

fn refuse(error: &WriteError) -> Refused {
    let reason = match error {
        WriteError::TooLarge { .. } => Reason::InvalidField,
        WriteError::WrongSize { .. } | WriteError::WrongDigest { .. } => Reason::DigestMismatch,
        WriteError::Store { .. } => Reason::Unavailable,
    };
    match error.source() {
        None => Refused::new(reason, error.to_string()),
        Some(source) => {
            error!(error = error as &dyn Error, "an artifact cannot be stored");
            Refused::new(reason, format!("{error}: {source}"))
        }
    }
}
