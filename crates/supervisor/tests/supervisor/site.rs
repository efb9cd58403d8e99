use std::{collections::BTreeMap, time::Duration};

use camino::Utf8PathBuf;
use camino_tempfile::Utf8TempDir;
use prost::Message as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};
use waggoner_journal::{Reader, Stored};
use waggoner_proto::agent::v1 as pb;
use waggoner_supervisor::{
    Attempt, Config, ConnectError, Event, Events, Exited, Greeting, Home, Launch, Place, Spawn,
    Supervisor, supervise,
};
use waggoner_types::{AttemptId, Body, OutputStream, Record};
use waggoner_wire::{chain, from_record, payload, to_record};

/// Longer than anything takes that does happen, on a busy host.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A home, and what its supervisors are told.
pub(crate) struct Site {
    pub(crate) directory: Utf8TempDir,
    env: BTreeMap<String, String>,
    /// The supervisors that were met.
    pids: Vec<i32>,
}

/// A daemon's connection, and how far it has heard.
pub(crate) struct Met {
    pub(crate) supervisor: Supervisor,
    pub(crate) events: Events,
    pub(crate) greeting: Greeting,
    pub(crate) place: Place,
}

// === impl Site ===

impl Site {
    pub(crate) fn new() -> Self {
        let directory = Utf8TempDir::new().unwrap();
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("RUST_BACKTRACE", "1")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let site = Self { directory, env, pids: Vec::new() };
        let home = site.home();
        site.with("TEST_HOME", home.directory())
    }

    /// Tells the supervisors something.
    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display + Copy) -> Self {
        self.env.insert(name.to_owned(), format!("{value}"));
        self
    }

    pub(crate) fn home(&self) -> Home {
        Home::new(self.directory.path().join("home"))
    }

    pub(crate) fn launch(&self) -> Launch {
        self.body("site::supervisor")
    }

    /// How a test of this file is run as a process of its own.
    pub(crate) fn body(&self, name: &str) -> Launch {
        let program = Utf8PathBuf::try_from(std::env::current_exe().unwrap()).unwrap();
        let args = ["--ignored", "--exact", name, "--nocapture"].map(str::to_owned).into();
        Launch { program, args, env: self.env.clone() }
    }

    pub(crate) async fn meet(&mut self) -> Met {
        let met = self.try_meet().await.unwrap();
        self.pids.push(met.greeting.pid);
        met
    }

    pub(crate) async fn try_meet(&self) -> Result<Met, ConnectError> {
        let connected = Supervisor::connect_or_start(&self.home(), &self.launch()).await;
        let (supervisor, events, greeting) = connected?;
        Ok(Met { supervisor, events, place: greeting.place, greeting })
    }

    /// Reads the records of an attempt from the journal's files, and checks their digests.
    pub(crate) fn records(&self, attempt: AttemptId, upto: Place) -> Vec<Body> {
        let mut digest = 0;
        let stored = self.stored(attempt, upto, 0);
        for stored in &stored {
            digest = chain(digest, &stored.bytes);
            assert_eq!(stored.chain, digest);
        }
        stored.iter().map(body).collect()
    }

    /// Reads the records after one.
    pub(crate) fn records_after(&self, attempt: AttemptId, upto: Place, after: u64) -> Vec<Body> {
        self.stored(attempt, upto, after).iter().map(body).collect()
    }

    fn stored(&self, attempt: AttemptId, upto: Place, after: u64) -> Vec<Stored> {
        let mut reader = Reader::open(&self.home().journal()).unwrap();
        let Place { segment, offset } = upto;
        reader.advance(waggoner_journal::Place { segment, offset }).unwrap();
        let mut all = Vec::new();
        loop {
            let some = reader.read(attempt, after + all.len() as u64, 1 << 20).unwrap();
            if some.is_empty() {
                return all;
            }
            for stored in some {
                assert_eq!(stored.sequence, after + all.len() as u64 + 1);
                all.push(stored);
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in &self.pids {
            _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::TERM);
        }
        for pid in &self.pids {
            while is_alive(*pid) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

// === impl Met ===

impl Met {
    /// Opens an attempt and starts its process.
    pub(crate) async fn run(&self, spawn: &Spawn) -> (AttemptId, i32) {
        let attempt = new_id();
        self.supervisor.open(attempt, 1, "start".to_owned()).await.unwrap();
        (attempt, self.supervisor.spawn(attempt, spawn).await.unwrap())
    }

    /// Waits until a process has ended.
    pub(crate) async fn end(&mut self, attempt: AttemptId) -> Exited {
        loop {
            if let Event::Ended { attempt: ended, exited, last } = self.hear().await
                && ended == attempt
            {
                assert!(last > 0);
                return exited;
            }
        }
    }

    /// Returns the next event.
    pub(crate) async fn hear(&mut self) -> Event {
        let event = timeout(LONG, self.events.next()).await.unwrap().unwrap();
        if let Event::Advanced { place, .. } = &event {
            self.place = *place;
        }
        event
    }

    /// Waits until the supervisor is gone.
    pub(crate) async fn lose(&mut self) {
        while timeout(LONG, self.events.next()).await.unwrap().is_some() {}
    }

    pub(crate) async fn attempt(&self, id: AttemptId) -> Attempt {
        let attempts = self.supervisor.attempts().await.unwrap();
        attempts.into_iter().find(|attempt| attempt.id == id).unwrap()
    }

    pub(crate) fn kill(&self) {
        kill(self.greeting.pid);
    }
}

pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// What a stored record holds.
pub(crate) fn body(stored: &Stored) -> Body {
    let bare = pb::Record::decode(&stored.bytes[..]).unwrap();
    assert_eq!(payload(&bare), stored.bytes, "sequence and chain are left out");
    from_record(pb::Record { sequence: stored.sequence, ..bare }).unwrap().body
}

pub(crate) fn new_id() -> AttemptId {
    AttemptId(uuid::Uuid::now_v7())
}

/// Describes a shell script that gets little time to leave.
pub(crate) fn shell(script: &str) -> Spawn {
    let mut spawn = Spawn::new("/bin/sh", "/");
    spawn.args = vec!["-c".into(), script.into()];
    spawn.env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    spawn.limits.grace = Duration::from_millis(200);
    spawn
}

/// The bytes of a record that a daemon appends.
pub(crate) fn record(message: &str) -> Vec<u8> {
    let (event_type, message) = ("test".to_owned(), message.to_owned());
    let body = Body::Event { event_type, message };
    let time = jiff::Timestamp::UNIX_EPOCH;
    to_record(Record { sequence: 0, time, body }).encode_to_vec()
}

/// Lines of a word and a number.
pub(crate) fn numbered(word: &str, count: u32) -> String {
    let lines: Vec<_> = (0..count).map(|number| format!("{word} {number}\n")).collect();
    lines.concat()
}

/// What was written to a stream, whole or with holes.
pub(crate) fn written(records: &[Body], of: OutputStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        if let Body::Output { stream, offset, data, .. } = record
            && *stream == of
        {
            assert_eq!(*offset, bytes.len() as u64);
            bytes.extend(data);
        }
    }
    bytes
}

pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Lists the living whose environment has them in the family of an attempt.
pub(crate) fn family(attempt: AttemptId) -> Vec<i32> {
    let mark = format!("WAGGONER_FAMILY={attempt}-");
    let pids = fs_err::read_dir("/proc").unwrap();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let environ = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|at| at.starts_with(mark.as_bytes()))
        })
        .collect()
}

/// Waits until something is so.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.expect("it becomes so");
}

/// The process of a supervisor.
#[test]
#[ignore = "the body of a process that the other tests start"]
fn supervisor() {
    let told = |name: &str| std::env::var(name).ok();
    let number = |name: &str| told(name).and_then(|value| value.parse().ok());
    let Some(home) = told("TEST_HOME") else { return };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let mut config = Config::new(Home::new(home));
    config.cgroups = told("TEST_CGROUPS").is_none_or(|value| value != "no");
    config.boot_id = told("TEST_BOOT_ID").map_or(config.boot_id, Utf8PathBuf::from);
    config.idle = number("TEST_IDLE_MS").map_or(LONG, Duration::from_millis);
    config.linger = Duration::from_millis(300);
    config.journal.per_attempt = number("TEST_PER_ATTEMPT").unwrap_or(config.journal.per_attempt);
    config.journal.segment = number("TEST_SEGMENT").unwrap_or(config.journal.segment);
    config.journal.reserve = number("TEST_RESERVE").unwrap_or(config.journal.reserve);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(supervise(config)).unwrap();
}
