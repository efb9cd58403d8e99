use std::process::Command;

use camino::Utf8PathBuf;
use waggoner_journal::Reader;
use waggoner_supervisor::{CallError, Event, Place, Refusal};
use waggoner_types::{Body, Exit, OutputStream};

use crate::site::{Site, body, new_id, record, shell};

/// A file system of a few megabytes, where we may mount one.
struct Small(Utf8PathBuf);

impl Small {
    fn mount(at: Utf8PathBuf, size: &str) -> Option<Self> {
        fs_err::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs", at.as_str()]);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").args(["-l", self.0.as_str()]).status().ok();
    }
}

#[tokio::test]
async fn on_a_full_disk_the_operation_waits_and_loses_nothing() {
    let mut site = Site::new().with("TEST_SEGMENT", 1 << 20).with("TEST_RESERVE", 1 << 20);
    let journal = site.home().journal();
    let Some(_small) = Small::mount(journal.clone(), "8m") else { return };
    let mut met = site.meet().await;
    let (attempt, pid) = met.run(&shell("head -c 20000000 /dev/zero")).await;
    while met.hear().await != (Event::Disk { full: true }) {}
    assert!(crate::site::is_alive(pid), "it waits");
    let refused = met.supervisor.open(new_id(), 1, vec![1; 100]).await.unwrap_err();
    let CallError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.refusal, Refusal::Full);

    // A manager that takes what there is makes room again.
    let mut reader = Reader::open(&journal).unwrap();
    let (mut after, mut bytes, mut told, mut exit) = (0, 0, Vec::new(), None);
    while exit.is_none() || after < met.attempt(attempt).await.last {
        let Place { segment, offset } = met.place;
        reader.advance(waggoner_journal::Place { segment, offset }).unwrap();
        // More than the disk holds.
        for stored in reader.read(attempt, after, 1 << 24).unwrap() {
            after = stored.sequence;
            match body(&stored) {
                Body::Output { stream: OutputStream::Stdout, offset, data, .. } => {
                    assert_eq!(offset, bytes);
                    bytes += data.len() as u64;
                }
                Body::Event { event_type, .. } => told.push(event_type),
                Body::ProcessStarted { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        met.supervisor.ack(attempt, after).await.unwrap();
        if exit.is_none()
            && let Event::Ended { exited, .. } = met.hear().await
        {
            exit = Some(exited.exit);
        }
    }
    assert_eq!((exit, bytes), (Some(Exit::Code(0)), 20_000_000));
    assert_eq!(told[..2], ["agent_disk_full", "agent_disk_freed"]);
    met.supervisor.end(attempt, record("end")).await.unwrap();
}
