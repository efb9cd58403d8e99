//! Brings artifacts to agents, each once, by digest.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use waggoner_proto::agent::v1::{
    ArtifactHeader, FindMissingArtifactsRequest, WriteArtifactRequest,
    write_artifact_request::Message,
};
use waggoner_store::artifact::{ArtifactError, Artifacts};
use waggoner_types::Digest;

use crate::fleet::Link;

/// The size of a piece: well below the default limit of a gRPC message.
const CHUNK: usize = 256 * 1024;

/// For how long an agent is believed to hold what it held. It keeps what it was asked for by days.
const TRUSTED: Duration = Duration::from_hours(1);

/// Why an agent does not hold an artifact.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringError {
    #[error("failed to bring artifact {digest} to agent `{agent}`: the manager does not hold it")]
    Missing {
        digest: Digest,
        agent: String,
        #[source]
        source: ArtifactError,
    },
    #[error("failed to bring artifact {digest} to agent `{agent}`: {}", status.message())]
    Refused { digest: Digest, agent: String, status: Status },
    #[error("failed to ask agent `{agent}` for its artifacts: {}", status.message())]
    Ask { agent: String, status: Status },
}

/// Makes sure that the agent holds all of these.
pub(crate) async fn bring(
    link: &Link,
    artifacts: &Artifacts,
    digests: &[Digest],
) -> Result<(), BringError> {
    let mut held = link.held.lock().await;
    let is_known = |digest: &&Digest| held.get(*digest).is_some_and(|at| at.elapsed() < TRUSTED);
    let unknown: Vec<_> = digests.iter().filter(|digest| !is_known(digest)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let agent = link.key.to_string();
    let request =
        FindMissingArtifactsRequest { digests: unknown.iter().map(ToString::to_string).collect() };
    let missing = link
        .client()
        .find_missing_artifacts(request)
        .await
        .map_err(|status| BringError::Ask { agent, status })?
        .into_inner()
        .digests;
    for digest in unknown {
        if missing.contains(&digest.to_string()) {
            write(link, artifacts, *digest).await?;
        }
        held.insert(*digest, Instant::now());
    }
    Ok(())
}

/// Forgets that the agent holds an artifact.
pub(crate) async fn forget(link: &Link, digest: Digest) {
    link.held.lock().await.remove(&digest);
}

async fn write(link: &Link, artifacts: &Artifacts, digest: Digest) -> Result<(), BringError> {
    let agent = link.key.to_string();
    let (mut file, size) = artifacts
        .open_artifact(digest)
        .await
        .map_err(|source| BringError::Missing { digest, agent: agent.clone(), source })?;
    // Two pieces wait beside the one on the way: reading and sending overlap, memory is bounded.
    let (pieces, stream) = tokio::sync::mpsc::channel(2);
    let header = ArtifactHeader { digest: digest.to_string(), size };
    let read = async move {
        let message = |message| WriteArtifactRequest { message: Some(message) };
        if pieces.send(message(Message::Header(header))).await.is_err() {
            return Ok(());
        }
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = file.read(&mut chunk).await?;
            chunk.truncate(length);
            if length == 0 || pieces.send(message(Message::Chunk(chunk))).await.is_err() {
                return Ok::<_, std::io::Error>(());
            }
        }
    };
    let mut client = link.client();
    let (read, written) = tokio::join!(read, client.write_artifact(ReceiverStream::new(stream)));
    read.map_err(|error| Status::data_loss(error.to_string()))
        .and(written)
        .map_err(|status| BringError::Refused { digest, agent, status })?;
    Ok(())
}
