//! What an earlier life has left: attempts that go on, and processes that cannot.

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use prost::Message as _;
use tracing::{info, warn};
use waggoner_journal::Recovered;
use waggoner_process::Buried;
use waggoner_proto::supervisor::v1 as pb;
use waggoner_types::Exit;

use crate::{
    server::{
        attempt::{Attempt, Life},
        birth::{self, Slot},
        house::House,
        operation::settle,
    },
    words::{CancelOrder, Exited, Tail},
};

/// How many families are looked for at once: each look reads the whole process table.
const AT_ONCE: usize = 8;

/// Takes up what the journal knows. Pipes do not outlive the process that read them, so whatever
/// still runs is killed, and how its attempt ended is said as it is: it is not known.
pub(super) async fn recover(house: &House, recovered: Vec<Recovered>) {
    let known = recovered.into_iter().filter(|known| !known.tombstone);
    stream::iter(known).for_each_concurrent(AT_ONCE, |known| one(house, known)).await;
}

async fn one(house: &House, known: Recovered) {
    let note = |slot: Slot| known.notes.get(&slot.number()).map(|note| &note[..]);
    let birth = birth::read(note(Slot::Birth));
    let pid = birth.as_ref().and_then(|birth| birth.pid).map(u32::cast_signed);
    let life = if birth.is_some() { Life::Spent { pid } } else { Life::Open };
    let order = note(Slot::Cancel).map(order);
    let attempt = Attempt::new(known.attempt, life, order, known.last);
    attempt.acknowledge(known.acked);
    if known.ended {
        attempt.end();
    }
    if let (Some(birth), None) = (birth, note(Slot::Exited)) {
        bury(house, &attempt, birth).await;
    }
    house.admit(attempt);
}

/// Ends what is left of a family that nobody looks after, and says that its end is not known.
pub(super) async fn bury(house: &House, attempt: &Attempt, birth: pb::Birth) {
    let (pid, is_readable) = (birth.pid.map(u32::cast_signed), !birth.boot_id.is_empty());
    let buried = birth::identity(birth).bury(&house.boot_id).await;
    let (exit, left) = match buried {
        Buried::HostRebooted if is_readable => (Exit::HostRebooted, Vec::new()),
        Buried::HostRebooted => (Exit::Lost, Vec::new()),
        Buried::Done { left } => (Exit::Lost, left),
    };
    if left.is_empty() {
        info!(attempt = %attempt.id, ?exit, "the end of a process was missed");
    } else {
        warn!(attempt = %attempt.id, pids = ?left, "processes cannot be ended");
    }
    let (stdout, stderr) = (Tail::default(), Tail::default());
    let exited = Exited { exit, stdout, stderr, cut: true, left, time: Timestamp::now() };
    settle(house, attempt, pid, exited).await;
}

/// An order that cannot be read was still one.
fn order(note: &[u8]) -> CancelOrder {
    let pb::Cancel { attempt_id: _, kill, reason } = pb::Cancel::decode(note).unwrap_or_default();
    CancelOrder { kill, reason }
}
