//! The Python interpreters of a host.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    env,
    io::Read as _,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::{debug, warn};

use crate::tool::Tool;

mod known;

use self::known::Known;

/// A Python 3 interpreter that works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// Where it is; never inside of a virtual environment.
    pub path: Utf8PathBuf,
    /// Its tag: `py311`.
    pub tag: String,
    /// Its full version: `3.11.7`.
    pub version: String,
    /// The directory of the wheels of pip that came with it, if it came with any.
    pub bundled: Option<Utf8PathBuf>,
    /// Whether it can run pip itself.
    pub has_pip: bool,
    /// Whether it can make virtual environments.
    pub has_venv: bool,
}

/// Prints what [`Interpreter`] holds.
const PROBE: &str = r"
import importlib.util, json, os, sys, sysconfig
assert sys.implementation.name == 'cpython' and sys.version_info[0] == 3
def has(name):
    return importlib.util.find_spec(name) is not None
bundled = None
places = [sysconfig.get_config_var('WHEEL_PKG_DIR')]
if has('ensurepip'):
    places.append(os.path.join(os.path.dirname(importlib.util.find_spec('ensurepip').origin), '_bundled'))
for place in places:
    if place and os.path.isdir(place) and any(name.startswith('pip-') for name in os.listdir(place)):
        bundled = place
print(json.dumps({
    'path': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
    'tag': 'py%d%d' % sys.version_info[:2],
    'version': '%d.%d.%d' % sys.version_info[:3],
    'bundled': bundled,
    'has_pip': has('pip'),
    'has_venv': has('venv'),
}))
";

/// How long an interpreter may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(20);

// === impl Interpreter ===

impl Interpreter {
    /// The 11 of Python 3.11.
    pub(crate) fn minor(&self) -> u32 {
        self.tag.trim_start_matches("py3").parse().unwrap_or(0)
    }

    /// Returns the wheel of a distribution that came with it.
    pub(crate) fn bundled_wheel(&self, distribution: &str) -> Option<Utf8PathBuf> {
        let entries = self.bundled.as_ref()?.read_dir_utf8().ok()?;
        entries.flatten().map(|entry| entry.path().to_owned()).find(|path| {
            path.extension() == Some("whl")
                && path
                    .file_name()
                    .and_then(|name| name.strip_prefix(distribution))
                    .is_some_and(|rest| rest.starts_with('-'))
        })
    }
}

/// Returns the interpreters of this host, found once: those in `PATH`, then those in the usual
/// places. Of each version the first one.
pub async fn interpreters() -> &'static [Interpreter] {
    static FOUND: OnceCell<Vec<Interpreter>> = OnceCell::const_new();
    FOUND.get_or_init(|| async { find_interpreters(&places()).await }).await
}

/// The same, with a file that keeps what they said of themselves from one life to the next.
pub(crate) async fn interpreters_known(file: &Utf8Path) -> Vec<Interpreter> {
    let known = Known::read(file);
    let (found, seen) = search(&places(), &known).await;
    seen.write(file, &known);
    found
}

/// Returns the interpreters in some directories: `python3` and `python3.N`, of each version the
/// first one. Scripts that stand for one are asked only for versions of which there is no other.
/// One that does not work is skipped and logged.
pub async fn find_interpreters(directories: &[Utf8PathBuf]) -> Vec<Interpreter> {
    search(directories, &Known::default()).await.0
}

/// Asks all that may be the first of their version at once, and goes on with the next ones where
/// those do not work.
async fn search(directories: &[Utf8PathBuf], known: &Known) -> (Vec<Interpreter>, Known) {
    let mut waiting = candidates(directories);
    let mut found: BTreeMap<u32, Interpreter> = BTreeMap::new();
    let mut seen = Known::default();
    loop {
        waiting.retain(|candidate| candidate.minor.is_none_or(|it| !found.contains_key(&it)));
        let mut first = BTreeSet::new();
        let (wave, rest): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|candidate| candidate.minor.is_none_or(|minor| first.insert(minor)));
        waiting = rest;
        if wave.is_empty() {
            break;
        }
        let probes = wave.iter().map(async |candidate| match known.get(candidate) {
            Some(interpreter) => Ok(interpreter),
            None => probe(&candidate.path).await,
        });
        for (probed, candidate) in join_all(probes).await.into_iter().zip(&wave) {
            match probed {
                Ok(interpreter) => {
                    seen.add(candidate, &interpreter);
                    found.entry(interpreter.minor()).or_insert(interpreter);
                }
                Err(reason) => {
                    debug!(candidate = %candidate.path, %reason, "skipped an interpreter that does not work");
                }
            }
        }
    }
    if found.is_empty() {
        warn!("no Python 3 interpreter was found: Python plugins cannot run on this host");
    }
    (found.into_values().rev().collect(), seen)
}

async fn probe(candidate: &Utf8Path) -> Result<Interpreter, String> {
    let printed = Tool {
        program: candidate,
        arguments: ["-I", "-c", PROBE].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        inherits: true,
        directory: Utf8Path::new("/"),
        deadline: PATIENCE,
    }
    .run()
    .await
    .map_err(|failure| failure.to_string())?;
    serde_json::from_slice(&printed).map_err(|error| error.to_string())
}

/// A file that an interpreter may be, and the version that its name promises.
struct Candidate {
    path: Utf8PathBuf,
    /// The file that it leads to.
    real: Utf8PathBuf,
    minor: Option<u32>,
}

/// The files whose name is an interpreter's, each once: directory by directory, in each the newest
/// first and `python3` last; scripts after all of those.
fn candidates(directories: &[Utf8PathBuf]) -> Vec<Candidate> {
    let mut tried = BTreeSet::new();
    let mut found = Vec::new();
    for directory in directories {
        let Ok(entries) = directory.read_dir_utf8() else { continue };
        let names = entries.flatten().filter_map(|entry| {
            let minor = minor(entry.file_name())?;
            Some((minor, entry.into_path()))
        });
        let mut names: Vec<_> = names.collect();
        names.sort_by_key(|(minor, _)| Reverse(*minor));
        for (promised, path) in names {
            let Ok(real) = path.canonicalize_utf8() else { continue };
            if tried.insert(real.clone()) {
                let minor = promised.or_else(|| real.file_name().and_then(minor).flatten());
                found.push(Candidate { path, real, minor });
            }
        }
    }
    found.sort_by_cached_key(|candidate| is_script(&candidate.real));
    found
}

/// Returns the `Some(11)` of `python3.11`, and the `None` of `python3`; nothing for other names.
#[expect(clippy::option_option, reason = "a name that is none, and one that promises nothing")]
fn minor(name: &str) -> Option<Option<u32>> {
    match name.strip_prefix("python3")? {
        "" => Some(None),
        rest => Some(Some(rest.strip_prefix('.')?.parse().ok()?)),
    }
}

fn is_script(path: &Utf8Path) -> bool {
    let mut mark = [0; 2];
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    read.is_ok() && mark == *b"#!"
}

fn places() -> Vec<Utf8PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = env::split_paths(&path)
        .filter_map(|place| Utf8PathBuf::from_path_buf(place).ok())
        .collect();
    places.extend(["/usr/local/bin", "/usr/bin"].map(Utf8PathBuf::from));
    let mut parents = vec![Utf8PathBuf::from("/opt/python")];
    if let Some(home) = env::var("HOME").ok().filter(|home| !home.is_empty()) {
        parents.push(Utf8Path::new(&home).join(".pyenv/versions"));
        parents.push(Utf8Path::new(&home).join(".local/share/uv/python"));
    }
    for parent in parents {
        let Ok(entries) = parent.read_dir_utf8() else { continue };
        places.extend(entries.flatten().map(|entry| entry.path().join("bin")));
    }
    places
}
