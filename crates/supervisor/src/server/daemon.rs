//! The connection of a daemon: requests come, answers and news go.

use std::{io, iter, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _};
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::UnixStream,
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::codec::FramedRead;
use tracing::{debug, info};
use waggoner_proto::supervisor::v1::{self as pb, request::Ask, response::Message as Answer};
use waggoner_task::{CancellationToken, Reading, Tasks, Writing, quiet};

use crate::{
    frame::Frames,
    message::{PROTOCOL, to_exited, to_place},
    news::{Event, News},
    refusal::{Refusal, Refused},
    server::{answer::answer, house::House, list::Listing},
};

type Requests = FramedRead<Reading, Frames<pb::Request>>;

/// How many requests are worked on at once. Each waits for the disk at the most; a daemon that
/// asks more waits for the first to be answered.
const AT_ONCE: usize = 256;

/// How many answers may wait to be written before those who answer wait.
const ANSWERS: usize = 64;

/// How long a daemon may take to say hello.
const HELLO: Duration = Duration::from_secs(20);

/// How long a daemon that is not served any more may take for what it has not read.
const LAST: Duration = Duration::from_secs(1);

/// Serves one daemon until it goes, another comes, or `closing`.
///
/// What it has asked for is done to its end, by `works`, also when it is gone.
pub(super) async fn serve(
    house: Arc<House>,
    works: Arc<Tasks>,
    stream: UnixStream,
    closing: CancellationToken,
) -> io::Result<()> {
    let (read, write) = quiet(stream)?;
    let mut requests = FramedRead::new(read, Frames::new());
    let (answers, answers_rx) = mpsc::channel(ANSWERS);
    let token = closing.child_token();
    let Some(news) = greet(&house, &mut requests, &answers, &token).await? else {
        return write_all(write, answers, answers_rx).await;
    };
    let writing = write_news(write, answers_rx, &news, token.clone());
    let reading = async {
        let read = token.run_until_cancelled(take(&house, &works, requests, answers)).await;
        token.cancel();
        read.unwrap_or(Ok(()))
    };
    let (written, read) = tokio::join!(writing, reading);
    house.farewell(&news);
    info!("a daemon has gone");
    read.and(written)
}

/// Hears the first words. `None` when there is no common language, which is answered.
async fn greet(
    house: &House,
    requests: &mut Requests,
    answers: &mpsc::Sender<pb::Response>,
    token: &CancellationToken,
) -> io::Result<Option<Arc<News>>> {
    let first = timeout(HELLO, token.run_until_cancelled(requests.next())).await;
    let first = first.ok().flatten().flatten().transpose()?;
    let Some(pb::Request { request_id, ask }) = first else { return Ok(None) };
    let greeted = match ask {
        Some(Ask::Hello(hello))
            if (hello.protocol_min..=hello.protocol_max).contains(&PROTOCOL) =>
        {
            info!(version = hello.version, "a daemon has come");
            Ok(house.welcome(token.clone()))
        }
        Some(Ask::Hello(hello)) => {
            let pb::Hello { protocol_min, protocol_max, version: _ } = hello;
            let message = format!(
                "the supervisor speaks version {PROTOCOL} of its protocol and the daemon {protocol_min} to {protocol_max}: end the supervisor once nothing runs, and start the daemon again"
            );
            Err(Refused::new(Refusal::Protocol, message))
        }
        _ => Err(Refused::invalid("the first request is a hello")),
    };
    let (message, news) = match greeted {
        Ok(news) => (Answer::Greeting(greeting(house)), Some(news)),
        Err(refused) => (Answer::Refused(refused.into_message()), None),
    };
    let response = pb::Response { request_id, message: Some(message) };
    answers.send(response).await.map_err(io::Error::other)?;
    Ok(news)
}

fn greeting(house: &House) -> pb::Greeting {
    pb::Greeting {
        protocol: PROTOCOL,
        version: house.version.clone(),
        pid: std::process::id(),
        instance_id: house.instance_id.clone(),
        boot_id: house.boot_id.clone(),
        place: Some(to_place(house.place())),
        cgroups: house.cgroups.is_some(),
    }
}

/// Takes requests until there are no more.
async fn take(
    house: &Arc<House>,
    works: &Tasks,
    mut requests: Requests,
    answers: mpsc::Sender<pb::Response>,
) -> io::Result<()> {
    let (permits, listing) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::<Listing>::default());
    while let Some(request) = requests.next().await {
        let pb::Request { request_id, ask } = request?;
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        let (house, listing, answers) = (Arc::clone(house), Arc::clone(&listing), answers.clone());
        works.spawn("request", async move {
            let (message, operation) = match ask {
                Some(ask) => answer(&house, &listing, ask).await,
                None => (unknown(), None),
            };
            if request_id != 0 {
                // Who asked may be gone.
                let response = pb::Response { request_id, message: Some(message) };
                answers.send(response).await.ok();
            }
            drop((permit, answers));
            if let Some(operation) = operation {
                Box::pin(operation.run()).await;
            }
        });
    }
    Ok(())
}

fn unknown() -> Answer {
    let refused = Refused::invalid("the supervisor is older than the daemon and does not know it");
    Answer::Refused(refused.into_message())
}

/// Writes answers and news until the token is cancelled; then what is waiting.
async fn write_news(
    mut half: Writing,
    mut answers: mpsc::Receiver<pb::Response>,
    news: &News,
    token: CancellationToken,
) -> io::Result<()> {
    let (mut bytes, mut batch) = (BytesMut::new(), Vec::new());
    loop {
        let is_open = tokio::select! {
            biased;
            count = answers.recv_many(&mut batch, ANSWERS) => count > 0,
            () = token.cancelled() => false,
            Some(event) = news.next() => {
                batch.push(to_news(event));
                true
            }
        };
        // In one breath, after the answers.
        batch.extend(waiting(news));
        encode(&mut batch, &mut bytes);
        let written = token.run_until_cancelled(half.write_all_buf(&mut bytes)).await;
        if let Some(Err(error)) = written {
            debug!(%error, "failed to write to the daemon");
            token.cancel();
            return Err(error);
        }
        if !is_open || token.is_cancelled() {
            break;
        }
    }
    batch.extend(waiting(news));
    while let Ok(answer) = answers.try_recv() {
        batch.push(answer);
    }
    encode(&mut batch, &mut bytes);
    timeout(LAST, half.write_all_buf(&mut bytes)).await.unwrap_or(Ok(()))
}

/// The news that there are.
fn waiting(news: &News) -> impl Iterator<Item = pb::Response> {
    iter::from_fn(|| news.next().now_or_never().flatten()).map(to_news)
}

/// Writes the answers that there are.
async fn write_all(
    mut half: Writing,
    answers: mpsc::Sender<pb::Response>,
    mut waiting: mpsc::Receiver<pb::Response>,
) -> io::Result<()> {
    drop(answers);
    let (mut bytes, mut batch) = (BytesMut::new(), Vec::new());
    waiting.recv_many(&mut batch, ANSWERS).await;
    encode(&mut batch, &mut bytes);
    timeout(LAST, half.write_all_buf(&mut bytes)).await.unwrap_or(Ok(()))
}

fn encode(batch: &mut Vec<pb::Response>, bytes: &mut BytesMut) {
    for response in batch.drain(..) {
        response.encode_length_delimited(bytes).expect("the buffer grows");
    }
}

fn to_news(event: Event) -> pb::Response {
    let message = match event {
        Event::Advanced { place, lasts } => {
            let last = |(attempt, sequence): (_, _)| {
                let attempt: waggoner_types::AttemptId = attempt;
                pb::Last { attempt_id: attempt.to_string(), sequence }
            };
            let lasts = lasts.into_iter().map(last).collect();
            Answer::Advanced(pb::Advanced { place: Some(to_place(place)), lasts })
        }
        Event::Ended { attempt, exited, last } => {
            let (attempt_id, exited) = (attempt.to_string(), Some(to_exited(&exited)));
            Answer::Ended(pb::Ended { attempt_id, exited, last })
        }
        Event::Disk { full } => Answer::Disk(pb::Disk { full }),
    };
    pb::Response { request_id: 0, message: Some(message) }
}
