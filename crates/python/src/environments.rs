//! Environments: one per set of wheels and interpreter, built once, shared by everyone.
//!
//! ```text
//!  <root>/environments/<name>/        bin/python, lib/…: built where it stays, as scripts in it
//!                                     carry its path
//!  <root>/environments/<name>.json    its record; an environment without one is none
//!  <root>/environments/<name>.lock    held while it is built or removed
//!  <root>/wheels/<sha256>/<wheel>     each wheel once, whatever wagon it came in
//!  <root>/cache/                      uv's own, on the same file system, so that it can link
//!  <root>/runtime/<digest>/           see `Runtime`
//! ```

use std::{
    collections::{BTreeSet, HashMap},
    env, io,
    sync::{Arc, Mutex},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use tokio::sync::{OnceCell, Semaphore};
use waggoner_types::{Digest, TenantName};
use waggoner_wagon::best_python_tag;

mod build;
mod error;
mod lock;
mod record;
mod spec;
mod wheels;

use self::lock::Lock;
pub use self::{
    error::EnvironmentError,
    record::Installed,
    spec::{EnvironmentSpec, WagonFile},
};
use crate::{Interpreter, Runtime, interpreters};

/// The environments of one host.
///
/// Cheap to clone; the clones share what is being built.
#[derive(Clone, Debug)]
pub struct Environments {
    inner: Arc<Inner>,
}

/// An environment that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its name: package, version, interpreter and a digest of what decides its content.
    pub name: String,
    /// Its directory.
    pub prefix: Utf8PathBuf,
    /// Its interpreter.
    pub python: Utf8PathBuf,
    /// That interpreter's tag.
    pub tag: String,
    /// The version of cloudify-common in it.
    pub common_version: String,
    /// Whether it was there before.
    pub reused: bool,
}

#[derive(Debug)]
struct Inner {
    root: Utf8PathBuf,
    uv: Option<Utf8PathBuf>,
    interpreters: OnceCell<Vec<Interpreter>>,
    /// What wagons are for, so that each is asked once.
    python_tags: Mutex<HashMap<Digest, Vec<String>>>,
    /// One cell per environment, so that who comes second waits for the first.
    ready: Mutex<HashMap<String, Arc<OnceCell<Environment>>>>,
    /// How many are built at once.
    builds: Semaphore,
}

/// Installing is work for the disk: more at once would only slow each other down.
const BUILDS: usize = 2;

// === impl Environments ===

impl Environments {
    /// Keeps environments below a directory, and builds them with uv if there is one: the given
    /// path, else `WAGGONER_UV`, else `uv` in `PATH`.
    pub fn new(root: impl Into<Utf8PathBuf>, uv: Option<Utf8PathBuf>) -> Self {
        Self::with(root, uv.or_else(find_uv), OnceCell::new())
    }

    /// Keeps environments below a directory, with exactly these tools.
    pub fn with_tools(
        root: impl Into<Utf8PathBuf>,
        uv: Option<Utf8PathBuf>,
        interpreters: Vec<Interpreter>,
    ) -> Self {
        Self::with(root, uv, OnceCell::new_with(Some(interpreters)))
    }

    fn with(
        root: impl Into<Utf8PathBuf>,
        uv: Option<Utf8PathBuf>,
        interpreters: OnceCell<Vec<Interpreter>>,
    ) -> Self {
        let inner = Inner {
            root: root.into(),
            uv,
            interpreters,
            python_tags: Mutex::default(),
            ready: Mutex::default(),
            builds: Semaphore::new(BUILDS),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the environment for a wagon, building it first when nobody did.
    ///
    /// Whoever asks for the same one meanwhile, here or in another process, waits for this build.
    /// Cancel safe: who waits goes on building.
    pub async fn ensure(&self, spec: &EnvironmentSpec) -> Result<Environment, EnvironmentError> {
        let interpreter = self.choose_interpreter(spec).await?;
        let name = spec.name(&interpreter);
        let cell = {
            let mut ready = self.inner.ready.lock().expect("nobody panics while holding it");
            Arc::clone(ready.entry(name.clone()).or_default())
        };
        let mut waited = true;
        let ready = cell.get_or_try_init(|| {
            waited = false;
            self.open_or_build(&name, spec, &interpreter)
        });
        let ready = ready.await?;
        let reused = ready.reused || waited;
        Ok(Environment { reused, ..ready.clone() })
    }

    /// Lists the environments that are ready, by name.
    pub fn list(&self) -> io::Result<Vec<Installed>> {
        record::list(&self.directory())
    }

    /// Removes the environments that are not among the names in use, and the wheels that no
    /// other one was made of. Returns the names of the removed ones.
    ///
    /// The caller knows that no operation runs in what it does not name.
    pub async fn remove_unused(&self, in_use: &BTreeSet<String>) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        for installed in self.list()? {
            if in_use.contains(&installed.name) {
                continue;
            }
            let _lock =
                Lock::take(&self.directory().join(format!("{}.lock", installed.name))).await?;
            let mut ready = self.inner.ready.lock().expect("nobody panics while holding it");
            ready.remove(&installed.name);
            record::remove(&self.directory(), &installed.name)?;
            removed.push(installed.name);
        }
        if !removed.is_empty() {
            let kept: BTreeSet<Digest> =
                self.list()?.into_iter().flat_map(|installed| installed.wheels).collect();
            wheels::collect(&self.inner.root.join("wheels"), &kept)?;
        }
        Ok(removed)
    }

    /// Returns the runtime, written on first use.
    pub fn runtime(&self) -> io::Result<Runtime> {
        Runtime::install(&self.inner.root)
    }

    /// Returns the interpreters that environments can be made with, newest first.
    pub async fn interpreters(&self) -> &[Interpreter] {
        self.inner.interpreters.get_or_init(|| async { interpreters().await.to_vec() }).await
    }

    async fn choose_interpreter(
        &self,
        spec: &EnvironmentSpec,
    ) -> Result<Interpreter, EnvironmentError> {
        let interpreters = self.interpreters().await;
        let tags: Vec<_> = interpreters.iter().map(|found| found.tag.clone()).collect();
        let supported = self.python_tags(spec).await?;
        best_python_tag(&supported, &tags)
            .and_then(|tag| interpreters.iter().find(|found| found.tag == tag).cloned())
            .ok_or_else(|| EnvironmentError::NoInterpreter {
                package: spec.to_string(),
                supported: supported.join(", "),
                found: if tags.is_empty() { "none".to_owned() } else { tags.join(", ") },
            })
    }

    async fn python_tags(&self, spec: &EnvironmentSpec) -> Result<Vec<String>, EnvironmentError> {
        if !spec.python_tags.is_empty() {
            return Ok(spec.python_tags.clone());
        }
        let known = || self.inner.python_tags.lock().expect("nobody panics while holding it");
        let cached = known().get(&spec.wagon.digest).cloned();
        if let Some(tags) = cached {
            return Ok(tags);
        }
        let tags = spec.open(&spec.wagon).await?.metadata.supported_python_versions;
        known().insert(spec.wagon.digest, tags.clone());
        Ok(tags)
    }

    async fn open_or_build(
        &self,
        name: &str,
        spec: &EnvironmentSpec,
        interpreter: &Interpreter,
    ) -> Result<Environment, EnvironmentError> {
        let directory = self.directory();
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        fs::create_dir_all(directory.as_std_path()).map_err(host)?;
        let _lock = Lock::take(&directory.join(format!("{name}.lock"))).await.map_err(host)?;
        if let Some(installed) = record::read(&directory, name) {
            return Ok(installed.environment(&directory, true));
        }
        let _permit = self.inner.builds.acquire().await.expect("it is never closed");
        // What an agent that was killed left behind.
        record::remove(&directory, name).map_err(host)?;
        let built = build::build(&self.inner, &directory, name, spec, interpreter).await;
        match built {
            Ok(installed) => Ok(installed.environment(&directory, false)),
            Err(error) => {
                record::remove(&directory, name).map_err(host)?;
                Err(error)
            }
        }
    }

    fn directory(&self) -> Utf8PathBuf {
        self.inner.root.join("environments")
    }
}

// === impl Environment ===

impl Environment {
    /// Makes this the environment that `ctx.plugin.prefix` finds, below a directory of the
    /// operation's own which `CFY_PLUGINS_ROOT` then has to name
    /// (`cloudify.utils.plugin_prefix`).
    pub fn link_plugin(
        &self,
        root: &Utf8Path,
        tenant: &TenantName,
        package_name: &str,
        package_version: &str,
    ) -> io::Result<()> {
        let is_part = |text: &str| !matches!(text, "" | "." | "..") && !text.contains(['/', '\0']);
        if !is_part(package_name) || !is_part(package_version) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let parent = root.join("plugins").join(tenant.as_str()).join(package_name);
        fs::create_dir_all(parent.as_std_path())?;
        fs::os::unix::fs::symlink(
            self.prefix.as_std_path(),
            parent.join(package_version).as_std_path(),
        )
    }
}

fn find_uv() -> Option<Utf8PathBuf> {
    if let Some(given) = env::var("WAGGONER_UV").ok().filter(|given| !given.is_empty()) {
        return Some(Utf8PathBuf::from(given));
    }
    let path = env::var("PATH").ok()?;
    path.split(':').map(|place| Utf8Path::new(place).join("uv")).find(|file| file.is_file())
}
