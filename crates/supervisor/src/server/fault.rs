//! What becomes of an attempt when the actor of its process, or who starts it, fails.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tracing::error;
use waggoner_journal::Refused as Unwritten;
use waggoner_proto::supervisor::v1 as pb;

use crate::server::{
    attempt::{Attempt, Life},
    birth::{self, Slot},
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
    if caught(attempt, work).await.is_none() && !matches!(attempt.life(), Life::Spent { .. }) {
        bury(house, attempt, birth).await;
    }
}

/// Does some work for an attempt. `None` if it panics.
pub(super) async fn caught<T>(attempt: &Attempt, work: impl Future<Output = T>) -> Option<T> {
    let panic = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => return Some(done),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(attempt = %attempt.id, panic = text, "the work for an attempt panicked");
    None
}

/// Ends what a start that panicked may have started, as the next life of the supervisor would: by
/// what is on record. An attempt that had not begun stays open.
pub(super) async fn abandon(house: &House, attempt: &Attempt) -> Result<(), Unwritten> {
    let known = match house.writer.snapshot().await {
        Ok(known) => known.into_iter().find(|known| known.attempt == attempt.id),
        Err(error) => {
            attempt.live(Life::Spent { pid: None });
            return Err(error);
        }
    };
    let note = known.as_ref().and_then(|known| known.notes.get(&Slot::Birth.number()));
    match birth::read(note.map(|note| &note[..])) {
        Some(birth) => bury(house, attempt, birth).await,
        None => attempt.live(Life::Open),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;
    use camino::Utf8Path;
    use prost::Message as _;
    use waggoner_journal::{Journal, Settings, Write, Writer};
    use waggoner_process::{BOOT_ID, boot_id};
    use waggoner_types::{AttemptId, Exit};

    use super::*;
    use crate::{
        message::from_exited,
        server::operation::{Started, start},
        words::{Exited, Spawn},
    };

    /// A supervisor's house in a directory, and an attempt that is open there.
    async fn open(directory: &Utf8Path) -> (Arc<House>, Arc<Attempt>) {
        let (journal, _) = Journal::open(directory, Settings::default()).unwrap();
        let (writer, _) = Writer::start(journal).unwrap();
        let boot_id = boot_id(BOOT_ID.into()).unwrap();
        let house = House::new(writer, None, boot_id, String::new(), Duration::ZERO);
        let house = Arc::new(house);
        let id = AttemptId(uuid::Uuid::now_v7());
        house.expect(id);
        let open = Write::Open { attempt: id, epoch: 1, note: Bytes::new() };
        house.write(open, true).await.unwrap();
        let attempt = house.attempt(id).unwrap();
        (house, attempt)
    }

    async fn exited(house: &House) -> Exited {
        let known = house.writer.snapshot().await.unwrap();
        let note = known[0].notes.get(&Slot::Exited.number()).unwrap();
        from_exited(pb::Exited::decode(&note[..]).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_attempt_whose_actor_panics_ends_and_nothing_of_it_lives() {
        let directory = camino_tempfile::tempdir().unwrap();
        let (house, attempt) = open(directory.path()).await;
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
        let exited = exited(&house).await;
        assert_eq!((exited.exit, exited.left), (Exit::Lost, Vec::new()));
    }

    #[tokio::test]
    async fn a_start_that_panics_leaves_nothing_and_an_attempt_that_has_ended() {
        let directory = camino_tempfile::tempdir().unwrap();
        let (house, attempt) = open(directory.path()).await;
        let done: Option<()> = caught(&attempt, async { panic!("a bug") }).await;
        assert_eq!(done, None);

        // Before anything was begun another start may be tried.
        attempt.live(Life::Begun);
        abandon(&house, &attempt).await.unwrap();
        assert_eq!(attempt.life(), Life::Open);

        let args = vec!["1000".to_owned()];
        let spawn = Spawn { args, ..Spawn::new("/bin/sleep", "/") };
        let started = start(&house, Arc::clone(&attempt), spawn.clone()).await.unwrap();
        let Started::Now(pid, operation) = started else { panic!("it is the first") };
        attempt.live(Life::Begun);
        drop(operation);
        abandon(&house, &attempt).await.unwrap();

        assert_eq!(attempt.life(), Life::Spent { pid: Some(pid) });
        assert_eq!(exited(&house).await.exit, Exit::Lost);
        assert!(matches!(start(&house, attempt, spawn).await, Ok(Started::Before(_))));
    }
}
