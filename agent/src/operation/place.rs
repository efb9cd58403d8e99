//! What an operation has to itself while it runs: a directory, a socket, a token, an environment.
//!
//! It stays when the daemon goes, and another life of the daemon finds it as it was.

use std::{collections::BTreeMap, io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;
use waggoner_ctx::InvalidContext;
use waggoner_types::{AttemptId, OperationError};

use crate::{
    attempt::Attempt,
    context::{HostApi, Socket},
    facade::Admission,
    house::House,
    operation::{python::execution_env, sentence},
    start::Start,
    state::own,
};

mod left;

pub(crate) use left::Left;

/// An operation's own place.
#[derive(Debug)]
pub(crate) struct Place {
    folder: Utf8PathBuf,
    dispatch: Utf8PathBuf,
    pub(crate) api: Arc<HostApi>,
    socket: Socket,
    _admissions: [Admission; 2],
    /// Where scripts find the ctx proxy.
    pub(crate) ctx_url: String,
    env: BTreeMap<String, String>,
}

/// Why an operation has no place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("failed to make the operation's own directory")]
    Make(#[source] io::Error),

    #[error(transparent)]
    Context(#[from] InvalidContext),
}

/// Where an operation's temporary files are in its place.
const TEMPORARY: &str = "tmp";

/// What of our own environment an operation gets.
const INHERITED: [&str; 6] = ["HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME"];

/// Where programs are looked up when the daemon itself was not told.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// === impl PlaceError ===

impl PlaceError {
    /// A host that has no room for the operation may have it later.
    pub(crate) fn for_operation(&self) -> OperationError {
        match self {
            Self::Make(_) => OperationError::recoverable(sentence(self)),
            Self::Context(_) => OperationError::non_recoverable(sentence(self)),
        }
    }
}

// === impl Place ===

impl Place {
    /// Makes the place or finds it, and puts into the start's context where the REST API is and the
    /// token for it.
    pub(crate) fn make(
        house: &House,
        attempt: &Arc<Attempt>,
        start: &mut Start,
    ) -> Result<Self, PlaceError> {
        let (folder, dispatch) =
            (house.state.attempt(attempt.id), house.state.dispatch(attempt.id));
        if !house.left.give(&folder) {
            for directory in [&folder, &folder.join(TEMPORARY)] {
                own(directory).map_err(PlaceError::Make)?;
            }
        }
        let token = house.facade.token(attempt.id);
        let facade = house.facade.address();
        start.context.extend([
            ("execution_token".to_owned(), Value::String(token.clone())),
            ("rest_host".to_owned(), Value::Array(vec![facade.ip().to_string().into()])),
            ("rest_port".to_owned(), facade.port().into()),
        ]);
        let files = folder.join("files");
        let api = HostApi::new(attempt.clone(), start, files, house.state.work())?;
        let api = Arc::new(api);
        let socket = house.state.socket(attempt.id);
        let socket = Socket::open(socket, api.clone()).map_err(PlaceError::Make)?;
        let env = environment(house, start, &folder, socket.path());
        let (by_proxy, ctx_url) = house.ctx_proxy.admit(&token, api.clone());
        let admissions = [house.facade.admit(token, api.clone()), by_proxy];
        Ok(Self { folder, dispatch, api, socket, _admissions: admissions, ctx_url, env })
    }

    /// Hears what the operation's process has still said before it was killed.
    pub(crate) async fn hear_out(&self) {
        self.socket.hear_out().await;
    }

    /// Closes the place: the operation's process has ended.
    pub(crate) fn leave(self) {
        self.socket.close();
    }

    /// The environment that every operation gets (`cloudify_agent/worker.py`,
    /// `resources/pm/systemd`).
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        self.env.clone()
    }

    /// The directory of `input.json` and `output.json`. It is made by who needs it.
    pub(crate) fn dispatch(&self) -> &Utf8Path {
        &self.dispatch
    }

    /// Says whether a text names something of this place.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        [&self.folder, &self.dispatch, self.socket()]
            .iter()
            .any(|path| text.contains(path.as_str()))
    }

    /// Where the script is that the operation runs, if it runs one.
    pub(crate) fn scripts(&self) -> Utf8PathBuf {
        self.folder.join("scripts")
    }

    /// Where temporary files go.
    pub(crate) fn temporary(&self) -> Utf8PathBuf {
        self.folder.join(TEMPORARY)
    }

    /// Where the process reaches the agent.
    pub(crate) fn socket(&self) -> &Utf8Path {
        self.socket.path()
    }
}

/// Clears an attempt's place, once its end is kept: another life of the daemon that finds no end
/// looks there for what came of it.
pub(super) fn clear(house: &House, attempt: AttemptId) {
    house.left.add(house.state.attempt(attempt), house.state.dispatch(attempt));
}

fn environment(
    house: &House,
    start: &Start,
    folder: &Utf8Path,
    socket: &Utf8Path,
) -> BTreeMap<String, String> {
    let own = |name: &str| std::env::var(name).ok();
    let path = own("PATH").unwrap_or_else(|| PATH.to_owned());
    let temporary = folder.join(TEMPORARY).into_string();
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
        ("AGENT_LOG_DIR", folder.to_string()),
        ("AGENT_WORK_DIR", work.to_string()),
        ("CFY_EXEC_TEMP", temporary.clone()),
        // The same twice: what plugins keep for their deployment is not synchronized.
        ("CFY_RESOURCES_ROOT", work.to_string()),
        ("MANAGER_FILE_SERVER_ROOT", work.to_string()),
        ("CFY_PLUGINS_ROOT", work.to_string()),
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
