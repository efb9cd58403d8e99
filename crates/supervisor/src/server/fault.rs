//! What becomes of an attempt when the actor of its process fails.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tracing::error;
use waggoner_proto::supervisor::v1 as pb;

use crate::server::{
    attempt::{Attempt, Life},
    house::House,
    recover::bury,
};

/// Does the work of an actor. If it panics, what is left of the family is killed, since nobody
/// reads what it says any more, and that its end is not known is said.
pub(super) async fn guarded(
    house: &House,
    attempt: &Attempt,
    birth: pb::Birth,
    work: impl Future<Output = ()>,
) {
    let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { return };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(attempt = %attempt.id, panic = text, "the actor of a process panicked");
    if !matches!(attempt.life(), Life::Spent { .. }) {
        bury(house, attempt, birth).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use prost::Message as _;
    use waggoner_journal::{Journal, Settings, Write, Writer};
    use waggoner_process::{BOOT_ID, boot_id};
    use waggoner_types::{AttemptId, Exit};

    use super::*;
    use crate::{
        message::from_exited,
        server::{
            birth::Slot,
            operation::{Started, start},
        },
        words::Spawn,
    };

    #[tokio::test]
    async fn an_attempt_whose_actor_panics_ends_and_nothing_of_it_lives() {
        let directory = camino_tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path(), Settings::default()).unwrap();
        let (writer, _) = Writer::start(journal).unwrap();
        let boot_id = boot_id(BOOT_ID.into()).unwrap();
        let house = House::new(writer, None, boot_id, String::new(), Duration::ZERO);
        let house = Arc::new(house);
        let id = AttemptId(uuid::Uuid::now_v7());
        house.expect(id);
        let open = Write::Open { attempt: id, epoch: 1, note: Bytes::new() };
        house.write(open, true).await.unwrap();
        let attempt = house.attempt(id).unwrap();
        let args = vec!["-c".to_owned(), "trap '' TERM; sleep 1000 & sleep 1000".to_owned()];
        let spawn = Spawn { args, ..Spawn::new("/bin/sh", "/") };
        let started = start(&house, Arc::clone(&attempt), spawn).await.unwrap();
        let Started::Now(pid, operation) = started else { panic!("it is the first") };

        let birth = operation.birth.clone();
        guarded(&house, &attempt, birth, async move {
            let _held = operation;
            panic!("a bug");
        })
        .await;

        assert_eq!(attempt.life(), Life::Spent { pid: Some(pid) });
        let known = house.writer.snapshot().await.unwrap();
        let note = known[0].notes.get(&Slot::Exited.number()).unwrap();
        let exited = from_exited(pb::Exited::decode(&note[..]).unwrap()).unwrap();
        assert_eq!((exited.exit, exited.left), (Exit::Lost, Vec::new()));
    }
}
