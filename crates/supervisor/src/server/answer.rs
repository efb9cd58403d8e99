//! One request, one answer.

use std::sync::Arc;

use prost::Message as _;
use waggoner_journal::{Class, Refused as Unwritten, Write, Written};
use waggoner_proto::supervisor::v1::{self as pb, request::Ask, response::Message as Answer};
use waggoner_types::AttemptId;

use crate::{
    message::{from_id, from_spawn},
    refusal::{Refusal, Refused},
    server::{
        attempt::{Attempt, Life},
        birth::{FREE, Slot},
        house::House,
        list::Listing,
        operation::{Operation, Started, start},
    },
    words::CancelOrder,
};

/// What is said now, and what goes on after it.
pub(super) type Reply = (Answer, Option<Box<Operation>>);

/// Does what is asked.
pub(super) async fn answer(house: &Arc<House>, listing: &Listing, ask: Ask) -> Reply {
    let answered = match ask {
        Ask::Spawn(spawn) => return spawned(house, spawn).await,
        Ask::Open(open) => opened(house, open).await,
        Ask::Append(append) => appended(house, append).await,
        Ask::Note(note) => noted(house, note).await,
        Ask::End(end) => ended(house, end).await,
        Ask::Ack(ack) => acked(house, &ack).await,
        Ask::Cancel(cancel) => cancelled(house, cancel).await,
        Ask::Link(pb::Link { up }) => {
            house.link(up);
            Ok(DONE)
        }
        Ask::List(pb::List { after }) => listing.page(house, &after).await.map(Answer::Listed),
        Ask::Touch(pb::Touch { attempt_id }) => known(house, &attempt_id).map(|attempt| {
            attempt.hear();
            DONE
        }),
        Ask::Shutdown(pb::Shutdown { wait }) => {
            house.leave();
            if !wait {
                house.end_all("the supervisor was told to end");
            }
            Ok(DONE)
        }
        Ask::Hello(_) => Err(Refused::invalid("a hello comes first and once")),
    };
    (answered.unwrap_or_else(|refused| Answer::Refused(refused.into_message())), None)
}

const DONE: Answer = Answer::Done(pb::Done {});

type Answered = Result<Answer, Refused>;

fn known(house: &House, id: &str) -> Result<Arc<Attempt>, Refused> {
    house.attempt(from_id(id)?).ok_or_else(|| Refused::from(Unwritten::Unknown))
}

async fn spawned(house: &Arc<House>, spawn: pb::Spawn) -> Reply {
    let started = async {
        let (id, spawn) = from_spawn(spawn)?;
        let attempt = house.attempt(id).ok_or_else(|| Refused::from(Unwritten::Unknown))?;
        start(house, attempt, spawn).await
    };
    let (pid, operation) = match started.await {
        Ok(Started::Now(pid, operation)) => (pid, Some(operation)),
        Ok(Started::Before(pid)) => (pid, None),
        Err(refused) => return (Answer::Refused(refused.into_message()), None),
    };
    (Answer::Spawned(pb::Spawned { pid: pid.cast_unsigned() }), operation)
}

async fn opened(house: &House, open: pb::Open) -> Answered {
    let pb::Open { attempt_id, epoch, start } = open;
    let id = from_id(&attempt_id)?;
    if house.is_leaving() {
        return Err(Refused::new(Refusal::Leaving, "the supervisor is about to end"));
    }
    if house.is_full() {
        return Err(Unwritten::Full.into());
    }
    // Known from here on: who asks for its process at once shares the way to the disk.
    let is_new = house.expect(id);
    let write = Write::Open { attempt: id, epoch, note: start.into() };
    let written = house.write(write, true).await;
    if written.is_err() && is_new {
        house.dismiss(id);
    }
    written?;
    Ok(DONE)
}

async fn appended(house: &House, append: pb::Append) -> Answered {
    let pb::Append { attempt_id, record, kept, key } = append;
    let attempt = known(house, &attempt_id)?;
    attempt.hear();
    let class = if kept { Class::Kept } else { Class::Log };
    let write = house.write_record(&attempt, class, record.into(), kept);
    let written = if key.is_empty() {
        write.await
    } else {
        let key = key.try_into().map_err(|_| Refused::invalid("a key has 16 bytes"))?;
        // Who asks while the first one is being written gets the same answer.
        attempt.key(key).get_or_try_init(|| write).await.copied()
    };
    Ok(to_written(written?))
}

async fn noted(house: &House, note: pb::Note) -> Answered {
    let pb::Note { attempt_id, slot, bytes } = note;
    let slot = u8::try_from(slot).ok().filter(|slot| *slot >= FREE);
    let slot = slot.ok_or_else(|| Refused::invalid("that slot is not the daemon's"))?;
    let write = Write::Note { attempt: from_id(&attempt_id)?, slot, bytes: bytes.into() };
    house.write(write, true).await?;
    Ok(DONE)
}

async fn ended(house: &House, end: pb::End) -> Answered {
    let pb::End { attempt_id, record } = end;
    let id: AttemptId = from_id(&attempt_id)?;
    let written = match house.write(Write::End { attempt: id, bytes: record.into() }, true).await {
        Ok(written) | Err(Unwritten::Ended(written)) => written,
        Err(refused) => return Err(refused.into()),
    };
    if let Some(attempt) = house.attempt(id) {
        attempt.end();
        house.advanced(&attempt, written.sequence);
    }
    Ok(to_written(written))
}

async fn acked(house: &House, ack: &pb::Ack) -> Answered {
    let pb::Ack { attempt_id, upto } = ack;
    let id = from_id(attempt_id)?;
    house.write(Write::Ack { attempt: id, upto: *upto }, false).await?;
    house.acknowledged();
    if let Some(attempt) = house.attempt(id) {
        attempt.acknowledge(*upto);
        house.forget(&attempt);
    }
    Ok(DONE)
}

async fn cancelled(house: &House, cancel: pb::Cancel) -> Answered {
    let attempt = known(house, &cancel.attempt_id)?;
    if matches!(attempt.life(), Life::Spent { .. }) {
        return Ok(DONE);
    }
    let (slot, note) = (Slot::Cancel.number(), cancel.encode_to_vec().into());
    let write = Write::Note { attempt: attempt.id, slot, bytes: note };
    house.write(write, true).await?;
    attempt.order(CancelOrder { kill: cancel.kill, reason: cancel.reason });
    Ok(DONE)
}

fn to_written(written: Written) -> Answer {
    let Written { sequence, chain } = written;
    Answer::Written(pb::Written { sequence, chain })
}
