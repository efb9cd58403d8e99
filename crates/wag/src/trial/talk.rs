//! The conversation about an attempt, from its start to its outcome, over one link.
//!
//! Where the link is lost the operation is lost with it: there is no second one to go on over.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};
use waggoner_link::{Life, settings::MAX_CHUNK};
use waggoner_proto::agent::v1::{
    Ack, Answer, ArtifactHeader, Cancel, OperateRequest, OperateResponse, Question, Start,
    WriteArtifactRequest, agent_service_client::AgentServiceClient, answer,
    operate_request::Message as Down, operate_response::Message as Up, question::Ask,
    write_artifact_request,
};
use waggoner_types::{Body, Outcome, Record};

use super::{Orders, TrialError, World, files};
use crate::source::Tree;

/// How many messages may wait to be sent down.
const DOWN: usize = 16;

/// How long the agent may take to hear that everything was acknowledged.
const FAREWELL: Duration = Duration::from_secs(5);

/// A link to the agent.
#[derive(Debug)]
pub(super) struct Link {
    channel: Channel,
    life: Life,
}

// === impl Link ===

impl Link {
    pub(super) fn new(channel: Channel, life: Life) -> Self {
        Self { channel, life }
    }

    pub(super) fn client(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.channel.clone())
    }

    /// Gives the agent the wagon.
    pub(super) async fn bring(&self, tree: &Tree) -> Result<(), TrialError> {
        use write_artifact_request::Message;
        let message = |message| WriteArtifactRequest { message: Some(message) };
        let bytes = fs_err::tokio::read(&tree.wagon).await.map_err(TrialError::Wagon)?;
        let header = ArtifactHeader { digest: tree.digest.to_string(), size: bytes.len() as u64 };
        let chunks: Vec<_> = bytes.chunks(MAX_CHUNK).map(<[u8]>::to_vec).collect();
        let messages = std::iter::once(message(Message::Header(header)))
            .chain(chunks.into_iter().map(move |chunk| message(Message::Chunk(chunk))));
        let written = self.client().write_artifact(tokio_stream::iter(messages)).await;
        written.map(drop).map_err(|status| TrialError::Bring(Box::new(status)))
    }

    pub(super) async fn converse(
        &self,
        start: Start,
        world: &mut World,
        orders: &mut Orders,
        told: &mut dyn FnMut(Record),
    ) -> Result<Outcome, TrialError> {
        let (says, said) = mpsc::channel(DOWN);
        let mut talk = Talk { says };
        talk.say(Down::Start(start)).await;
        let stream = self.client().operate(ReceiverStream::new(said)).await;
        let mut stream = stream.map_err(|status| TrialError::Talk(Box::new(status)))?.into_inner();
        let mut ordered = false;
        loop {
            let heard = tokio::select! {
                heard = stream.message() => heard,
                () = orders.next() => {
                    let reason = "it was interrupted".to_owned();
                    talk.say(Down::Cancel(Cancel { kill: ordered, reason })).await;
                    ordered = true;
                    continue;
                }
            };
            let heard = heard.map_err(|status| TrialError::Talk(Box::new(status)))?;
            let Some(OperateResponse { message }) = heard else { return Err(TrialError::HungUp) };
            match message {
                Some(Up::Record(record)) => {
                    let record = waggoner_wire::from_record(record);
                    let record = record.map_err(TrialError::Unreadable)?;
                    talk.say(Down::Ack(Ack { upto: record.sequence })).await;
                    if let Body::Outcome(outcome) = record.body {
                        drop(talk);
                        farewell(stream).await;
                        return Ok(outcome);
                    }
                    told(record);
                }
                Some(Up::Question(question)) => talk.answer(world, question).await,
                Some(Up::Accepted(_) | Up::Heartbeat(_)) | None => {}
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.life.close("the operation has ended");
    }
}

/// The manager's side of the stream.
struct Talk {
    says: mpsc::Sender<OperateRequest>,
}

// === impl Talk ===

impl Talk {
    /// A stream that has broken off is noticed where it is read.
    async fn say(&self, message: Down) {
        drop(self.says.send(OperateRequest { message: Some(message) }).await);
    }

    async fn reply(&self, question_id: u64, outcome: answer::Outcome) {
        self.say(Down::Answer(Answer { question_id, outcome: Some(outcome) })).await;
    }

    async fn answer(&mut self, world: &mut World, question: Question) {
        let Question { question_id, ask, key: _ } = question;
        if let Some(Ask::Resource(ask)) = ask {
            let mut pieces = files::read(world.resources(), &ask);
            while let Some(piece) = pieces.recv().await {
                let outcome = piece.map_or_else(answer::Outcome::Refusal, answer::Outcome::Chunk);
                self.reply(question_id, outcome).await;
            }
            return;
        }
        let outcome = match world.answer(ask) {
            Ok(value) => answer::Outcome::Json(value.to_string()),
            Err(refusal) => answer::Outcome::Refusal(refusal),
        };
        self.reply(question_id, outcome).await;
    }
}

/// Reads on to the end, so that the last acknowledgement is on its way for certain.
async fn farewell(mut stream: Streaming<OperateResponse>) {
    let end = async { while let Ok(Some(_)) = stream.message().await {} };
    drop(timeout(FAREWELL, end).await);
}
