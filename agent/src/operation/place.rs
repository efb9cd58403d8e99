//! What an operation has to itself while it runs: a directory, a socket, a token, an environment.

use std::{collections::BTreeMap, io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tracing::warn;
use uuid::Uuid;
use waggoner_ctx::InvalidContext;

use crate::{
    attempt::Attempt,
    context::{HostApi, Socket},
    facade::Admission,
    house::House,
    operation::python::execution_env,
    start::Start,
    state::{private, remove},
};

/// An operation's own place, gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    folder: Folder,
    pub(crate) api: Arc<HostApi>,
    socket: Socket,
    _admission: Admission,
    env: BTreeMap<String, String>,
}

/// A directory that is removed when this is dropped.
#[derive(Debug)]
struct Folder {
    path: Utf8PathBuf,
    is_removed: bool,
}

/// Why an operation has no place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("failed to make the operation's own directory")]
    Make(#[source] io::Error),

    #[error(transparent)]
    Context(#[from] InvalidContext),
}

/// What of our own environment an operation gets.
const INHERITED: [&str; 6] = ["HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME"];

/// Where programs are looked up when the daemon itself was not told.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// === impl Place ===

impl Place {
    /// Makes the place, and puts into the start's context where the REST API is and the token for it.
    pub(crate) fn make(
        house: &House,
        attempt: &Arc<Attempt>,
        start: &mut Start,
    ) -> Result<Self, PlaceError> {
        let token = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        let facade = house.facade.address();
        start.context.extend([
            ("execution_token".to_owned(), Value::String(token.clone())),
            ("rest_host".to_owned(), Value::Array(vec![facade.ip().to_string().into()])),
            ("rest_port".to_owned(), facade.port().into()),
        ]);
        let directory = house.state.attempts().join(attempt.id.to_string());
        let files = directory.join("files");
        private(&directory).map_err(PlaceError::Make)?;
        let folder = Folder { path: directory.clone(), is_removed: false };
        for name in ["files", "tmp", "dispatch", "scripts"] {
            private(&directory.join(name)).map_err(PlaceError::Make)?;
        }
        let api = HostApi::new(attempt.clone(), start, files, house.state.work())?;
        let api = Arc::new(api);
        let socket = Socket::open(house.state.run(), api.clone()).map_err(PlaceError::Make)?;
        let env = environment(house, start, &directory, socket.path());
        let admission = house.facade.admit(token, api.clone());
        Ok(Self { folder, api, socket, _admission: admission, env })
    }

    /// Clears the place. Dropping it does the same, but holds up others if the directory is large.
    pub(crate) async fn leave(mut self) {
        let path = self.folder.path.clone();
        // Whether it worked or not: it was tried, and the failure was logged.
        self.folder.is_removed = spawn_blocking(move || clear(&path)).await.is_ok();
    }

    /// The environment that every operation gets (`cloudify_agent/worker.py`,
    /// `resources/pm/systemd`).
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        self.env.clone()
    }

    /// Where `input.json` and `output.json` are.
    pub(crate) fn dispatch(&self) -> Utf8PathBuf {
        self.folder.path.join("dispatch")
    }

    /// Where the script is that the operation runs.
    pub(crate) fn scripts(&self) -> Utf8PathBuf {
        self.folder.path.join("scripts")
    }

    /// Where temporary files go.
    pub(crate) fn temporary(&self) -> Utf8PathBuf {
        self.folder.path.join("tmp")
    }

    /// Where the process reaches the agent.
    pub(crate) fn socket(&self) -> &Utf8Path {
        self.socket.path()
    }
}

// === impl Folder ===

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_removed {
            clear(&self.path);
        }
    }
}

fn clear(path: &Utf8Path) {
    if let Err(error) = remove(path) {
        warn!(%error, "an operation's directory cannot be removed");
    }
}

fn environment(
    house: &House,
    start: &Start,
    directory: &Utf8Path,
    socket: &Utf8Path,
) -> BTreeMap<String, String> {
    let own = |name: &str| std::env::var(name).ok();
    let path = own("PATH").unwrap_or_else(|| PATH.to_owned());
    let temporary = directory.join("tmp").into_string();
    let work = house.state.work();
    let facade = house.facade.address();
    let mut env: BTreeMap<_, _> =
        INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), own(name)?))).collect();
    env.entry("HOME".to_owned()).or_insert_with(|| work.to_string());
    env.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
    let given = [
        ("PATH", format!("{}:{path}", house.state.bin())),
        ("AGENT_NAME", house.name.clone()),
        ("AGENT_LOG_LEVEL", "INFO".to_owned()),
        ("AGENT_LOG_DIR", directory.to_string()),
        ("AGENT_WORK_DIR", work.to_string()),
        ("CFY_EXEC_TEMP", temporary.clone()),
        ("TMPDIR", temporary),
        ("LOCAL_REST_CERT_FILE", house.facade.ca_file().to_string()),
        ("MANAGER_FILE_SERVER_SCHEME", "https".to_owned()),
        ("REST_HOST", facade.ip().to_string()),
        ("REST_PORT", facade.port().to_string()),
        ("REST_PROTOCOL", "https".to_owned()),
        ("WAGGONER_SOCKET", socket.to_string()),
    ];
    env.extend(given.map(|(name, value)| (name.to_owned(), value)));
    env.extend(execution_env(start));
    if start.context.get("bypass_maintenance").and_then(Value::as_bool) == Some(true) {
        env.insert("BYPASS_MAINTENANCE".to_owned(), "True".to_owned());
    }
    env
}
