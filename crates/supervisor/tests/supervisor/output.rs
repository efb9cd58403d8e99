use waggoner_supervisor::{Kept, Mode, Opened, Process, Spawn, Tail, Written};
use waggoner_types::{Body, Exit, OutputStream};

use crate::site::{Site, eventually, family, kill, new_id, numbered, record, shell, written};

fn tail(bytes: &[u8]) -> Tail {
    Tail { written: bytes.len() as u64, bytes: bytes.into() }
}

#[tokio::test]
async fn a_process_runs_and_everything_of_it_is_on_record() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let spawn = shell("echo out; echo err >&2; echo $GREETING; pwd; exit 3");
    let spawn = Spawn { env: [("GREETING".to_owned(), "grüß dich".to_owned())].into(), ..spawn };
    let (attempt, pid) = met.run(&spawn).await;
    assert_eq!(met.supervisor.spawn(attempt, &spawn).await.unwrap(), pid, "it is started once");
    let exited = met.end(attempt).await;
    let stdout = "out\ngrüß dich\n/\n".as_bytes();
    assert_eq!((exited.exit, &exited.stdout), (Exit::Code(3), &tail(stdout)));
    assert_eq!(
        (&exited.stderr, exited.cut, exited.left.is_empty()),
        (&tail(b"err\n"), false, true)
    );
    assert_eq!(met.supervisor.spawn(attempt, &spawn).await.unwrap(), pid, "nor after its end");

    let records = site.records(attempt, met.place);
    assert_eq!(records[0], Body::ProcessStarted { pid: pid.unsigned_abs() });
    assert_eq!(written(&records, OutputStream::Stdout), stdout);
    assert_eq!(written(&records, OutputStream::Stderr), b"err\n");

    let end = met.supervisor.end(attempt, record("end")).await.unwrap();
    assert_eq!(end.sequence, records.len() as u64 + 1);
    assert_eq!(met.supervisor.end(attempt, record("other")).await.unwrap(), end);
    let known = met.attempt(attempt).await;
    assert_eq!(
        (known.epoch, &known.start[..], known.process),
        (1, &b"start"[..], Process::Started { pid })
    );
    assert_eq!((known.exited, known.last, known.chain), (Some(exited), end.sequence, end.chain));
    assert!(known.ended && !known.forgotten);
    met.supervisor.ack(attempt, end.sequence).await.unwrap();
    assert!(met.attempt(attempt).await.forgotten);
    assert_eq!(
        met.supervisor.open(attempt, 1, "again".to_owned()).await.unwrap(),
        Opened::Known { epoch: 1 }
    );
}

#[tokio::test]
async fn lines_come_whole_and_what_is_discarded_leaves_its_end() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let mut spawn = shell(
        "i=0; while [ $i -lt 3000 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done; printf end",
    );
    (spawn.stdout, spawn.stderr) = (Mode::Lines, Mode::Discard);
    let (attempt, _) = met.run(&spawn).await;
    let exited = met.end(attempt).await;
    let records = site.records(attempt, met.place);
    let all = numbered("line", 3000) + "end";
    assert_eq!(String::from_utf8(written(&records, OutputStream::Stdout)).unwrap(), all);
    for record in &records[1..] {
        let Body::Output { stream, lines, data, .. } = record else { panic!("{record:?}") };
        assert_eq!((*stream, *lines), (OutputStream::Stdout, true));
        assert!(data.ends_with(b"\n") || data == b"end");
        assert!(data.split(|byte| *byte == b'\n').count() <= 2049);
    }
    let errors = numbered("err", 3000);
    assert_eq!(exited.stderr.written, errors.len() as u64);
    assert_eq!(exited.stderr.bytes, &errors.as_bytes()[errors.len() - 16 * 1024..]);
}

#[tokio::test]
async fn output_is_whole_to_the_last_byte_while_a_grandchild_holds_the_pipe() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let (attempt, _) =
        met.run(&shell("sleep 1000 & head -c 3000000 /dev/zero; printf last >&2")).await;
    let exited = met.end(attempt).await;
    assert_eq!((exited.exit, exited.cut), (Exit::Code(0), true));
    let records = site.records(attempt, met.place);
    assert_eq!(written(&records, OutputStream::Stdout), vec![0; 3_000_000]);
    assert_eq!(written(&records, OutputStream::Stderr), b"last");
    for pid in family(attempt) {
        kill(pid);
    }
}

#[tokio::test]
async fn what_the_daemon_appends_stands_among_the_output_and_once() {
    let mut site = Site::new();
    let mut met = site.meet().await;
    let (attempt, _) = met.run(&shell("read line < /proc/self/fd/0; exec sleep 1000")).await;
    let key = Some([7; 16]);
    let append = |kept| met.supervisor.append(attempt, record("once"), kept, key);
    let (first, second) = tokio::join!(append(Kept::Durable), append(Kept::Durable));
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(first, append(Kept::Log).await.unwrap());
    let Written { sequence, .. } =
        met.supervisor.append(attempt, record("twice"), Kept::Log, None).await.unwrap();
    assert_eq!(sequence, first.sequence + 1);
    met.supervisor.cancel(attempt, true, "enough").await.unwrap();
    met.end(attempt).await;
    let records = site.records(attempt, met.place);
    let is_event = |record: &&Body| matches!(record, Body::Event { .. });
    assert_eq!(records.iter().filter(is_event).count(), 2);
}

#[tokio::test]
async fn over_its_quota_an_attempt_has_one_gap_and_its_end_fits() {
    let mut site = Site::new().with("TEST_PER_ATTEMPT", 1_200_000);
    let mut met = site.meet().await;
    let (attempt, _) = met.run(&shell("head -c 2000000 /dev/zero; printf last >&2")).await;
    let exited = met.end(attempt).await;
    assert_eq!(exited.stdout.written, 2_000_000);
    let records = site.records(attempt, met.place);
    let gaps: Vec<_> = records.iter().filter(|record| matches!(record, Body::Gap { .. })).collect();
    let kept = written(&records, OutputStream::Stdout).len() as u64;
    assert!((1_000_000..1_400_000).contains(&kept), "{kept}");
    let Body::Gap { stream, from, to, reason } = gaps[0] else { unreachable!() };
    assert_eq!((*stream, *from, *to), (OutputStream::Stdout, kept, 2_000_000));
    assert!(reason.contains("waits for the manager"));
    let of_stderr = |gap: &&&Body| matches!(gap, Body::Gap { stream: OutputStream::Stderr, .. });
    assert_eq!(gaps.iter().filter(of_stderr).count(), gaps.len() - 1, "one for each stream");
    assert!(gaps.len() <= 2);
    met.supervisor.end(attempt, record("end")).await.unwrap();
}

#[tokio::test]
async fn a_gap_closes_once_something_is_acknowledged() {
    let mut site = Site::new().with("TEST_PER_ATTEMPT", 100_000);
    let mut met = site.meet().await;
    let (full, go) = (site.directory.path().join("full"), site.directory.path().join("go"));
    let script = format!(
        "head -c 500000 /dev/zero; touch {full}; while ! [ -e {go} ]; do sleep 0.05; done; \
         sleep 1.2; head -c 5000 /dev/zero"
    );
    let (attempt, _) = met.run(&shell(&script)).await;
    eventually(|| full.exists()).await;
    let before = met.attempt(attempt).await.last;
    met.supervisor.ack(attempt, before).await.unwrap();
    fs_err::write(go, "").unwrap();
    met.end(attempt).await;
    let rest = site.records_after(attempt, met.place, before);
    let Body::Gap { from, to, .. } = &rest[0] else { panic!("{:?}", rest[0]) };
    assert!((100_000..400_000).contains(from) && *to <= 500_000, "{from} {to}");
    let mut end = *to;
    for record in &rest[1..] {
        let Body::Output { offset, data, .. } = record else { panic!("{record:?}") };
        assert_eq!(*offset, end);
        end += data.len() as u64;
    }
    assert_eq!(end, 505_000);
}

#[tokio::test]
async fn notes_come_back_and_the_supervisors_own_slots_are_its_own() {
    let mut site = Site::new();
    let met = site.meet().await;
    let attempt = new_id();
    assert!(met.supervisor.note(attempt, 8, "x".to_owned()).await.is_err(), "it is not known");
    assert_eq!(met.supervisor.open(attempt, 4, vec![9; 2_000_000]).await.unwrap(), Opened::New);
    let others = [new_id(), new_id(), new_id()];
    for other in others {
        met.supervisor.open(other, 1, vec![8; 700_000]).await.unwrap();
    }
    met.supervisor.note(attempt, 8, "a".to_owned()).await.unwrap();
    met.supervisor.note(attempt, 8, "b".to_owned()).await.unwrap();
    met.supervisor.note(attempt, 255, "c".to_owned()).await.unwrap();
    assert!(met.supervisor.note(attempt, 2, "d".to_owned()).await.is_err());
    let known = met.attempt(attempt).await;
    let notes: Vec<_> = known.notes.iter().map(|(slot, note)| (*slot, &note[..])).collect();
    assert_eq!(notes, [(8, &b"b"[..]), (255, &b"c"[..])]);
    assert_eq!((known.start.len(), known.process), (2_000_000, Process::None));
    assert_eq!(met.supervisor.attempts().await.unwrap().len(), 4, "in several pages");
}
