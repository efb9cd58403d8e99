//! Environments: one per set of wheels and interpreter, built once, shared by everyone.
//!
//! ```text
//!  <root>/environments/<name>/        bin/python, lib/…: built where it stays, as scripts in it
//!                                     carry its path
//!  <root>/environments/<name>.json    its record; an environment without one is none
//!  <root>/environments/<name>.lock    held while it is built or removed; says what a build that was
//!                                     killed may have left to run
//!  <root>/wheels/<sha256>/<wheel>     each wheel once, whatever wagon it came in
//!  <root>/cache/                      uv's own, on the same file system, so that it can link
//!  <root>/runtime/<digest>/           see `Runtime`
//!  <root>/interpreters.json           what this host's interpreters said of themselves
//! ```

use std::{
    collections::HashMap,
    env, io,
    sync::{Arc, Mutex, OnceLock},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use tokio::sync::{OnceCell, RwLock, Semaphore, watch};
use waggoner_task::{CancellationToken, Tasks};
use waggoner_types::TenantName;
use waggoner_wagon::{Metadata, best_python_tag};

mod blueprints;
mod build;
mod collect;
mod error;
mod ground;
mod lock;
mod making;
mod packages;
mod record;
mod source;
mod spec;
mod wheels;

pub use self::{
    collect::Unwanted,
    error::EnvironmentError,
    making::{Lease, Progress},
    record::Installed,
    spec::{EnvironmentSpec, Form, WagonFile},
};
use self::{ground::Ground, making::Making, wheels::Unpacking};
use crate::{Interpreter, Runtime, interpreters::interpreters_known};

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
    /// Whether Cloudify's SDK is in it, which looks for more on the host than others do
    /// (`cloudify_common_sdk/utils.py`).
    pub has_sdk: bool,
    /// Whether the plugin reads files of its blueprint where a manager of Cloudify's keeps them.
    pub reads_blueprints: bool,
    /// Whether it was there before.
    pub reused: bool,
    /// Keeps it from being removed for as long as this value lives.
    pub lease: Lease,
}

#[derive(Debug)]
struct Inner {
    root: Utf8PathBuf,
    uv: Option<Utf8PathBuf>,
    interpreters: OnceCell<Vec<Interpreter>>,
    runtime: OnceLock<Runtime>,
    /// By what they are asked for, so that who comes second waits for the first.
    makings: Mutex<HashMap<String, Arc<Making>>>,
    /// How many are built at once of wagons.
    builds: Semaphore,
    /// And of sources.
    source_builds: Semaphore,
    /// Read while something is built, written while wheels are collected.
    quiet: RwLock<()>,
    /// The builds: each goes on until all that it has begun has ended, also when it is given up.
    tasks: Tasks,
}

/// An environment that has its name and its interpreter, and is nobody else's to build.
struct Begun {
    ground: Ground,
    interpreter: Interpreter,
    /// What somebody else has built meanwhile.
    there: Option<Installed>,
}

/// Installing is work for the disk: more at once would only slow each other down.
const BUILDS: usize = 2;

/// What builds sources may compile for half an hour: no wagon waits for that, and more at once
/// would leave the host nothing for its operations.
const SOURCE_BUILDS: usize = 2;

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
            runtime: OnceLock::new(),
            makings: Mutex::default(),
            builds: Semaphore::new(BUILDS),
            source_builds: Semaphore::new(SOURCE_BUILDS),
            quiet: RwLock::default(),
            tasks: Tasks::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the environment for a wagon, building it first when nobody did.
    ///
    /// Whoever asks for the same one meanwhile, here or in another process, waits for this build.
    /// Cancel safe: who waits goes on building.
    pub async fn ensure(&self, spec: &EnvironmentSpec) -> Result<Environment, EnvironmentError> {
        let (making, lease) = self.lease(spec);
        let mut waited = true;
        let ready = making.ready.get_or_try_init(|| {
            waited = false;
            self.find_or_build(spec, &making)
        });
        let ready = ready.await?;
        record::touch(&self.directory(), &ready.name);
        let reused = ready.reused || waited;
        Ok(Environment { reused, lease, ..ready.clone() })
    }

    /// Follows how far the environment for a wagon is, for as long as it is made; nothing before.
    pub fn progress(&self, spec: &EnvironmentSpec) -> watch::Receiver<Option<Progress>> {
        self.lease(spec).0.progress.subscribe()
    }

    /// Returns the environment for a wagon, if it is ready.
    pub async fn find(&self, spec: &EnvironmentSpec) -> Option<Environment> {
        let (making, lease) = self.lease(spec);
        let found =
            making.ready.get_or_try_init(async || self.installed(spec).ok().flatten().ok_or(()));
        let found = found.await.ok()?;
        if making.is_to_be_noted() {
            record::touch(&self.directory(), &found.name);
        }
        Some(Environment { reused: true, lease, ..found.clone() })
    }

    /// Lists the environments that are ready, by name.
    pub fn list(&self) -> io::Result<Vec<Installed>> {
        record::list(&self.directory())
    }

    /// Returns the runtime, written on first use.
    pub fn runtime(&self) -> io::Result<Runtime> {
        if let Some(runtime) = self.inner.runtime.get() {
            return Ok(runtime.clone());
        }
        let runtime = Runtime::install(&self.inner.root)?;
        Ok(self.inner.runtime.get_or_init(|| runtime).clone())
    }

    /// Returns the interpreters that environments can be made with, newest first.
    pub async fn interpreters(&self) -> &[Interpreter] {
        let known = self.inner.root.join("interpreters.json");
        self.inner.interpreters.get_or_init(|| async { interpreters_known(&known).await }).await
    }

    async fn choose_interpreter(
        &self,
        spec: &EnvironmentSpec,
        supported: &[String],
    ) -> Result<Interpreter, EnvironmentError> {
        let interpreters = self.interpreters().await;
        let tags: Vec<_> = interpreters.iter().map(|found| found.tag.clone()).collect();
        best_python_tag(supported, &tags)
            .and_then(|tag| interpreters.iter().find(|found| found.tag == tag).cloned())
            .ok_or_else(|| EnvironmentError::NoInterpreter {
                package: spec.to_string(),
                supported: supported.join(", "),
                found: if tags.is_empty() { "none".to_owned() } else { tags.join(", ") },
            })
    }

    /// What all share who want an environment, and a lease: one step, so that between the two
    /// nobody removes it.
    fn lease(&self, spec: &EnvironmentSpec) -> (Arc<Making>, Lease) {
        let mut makings = self.inner.makings.lock().expect("nobody panics while holding it");
        let making = makings.entry(spec.key()).or_insert_with(|| Arc::new(Making::new()));
        (Arc::clone(making), making.lease())
    }

    fn installed(&self, spec: &EnvironmentSpec) -> io::Result<Option<Environment>> {
        let directory = self.directory();
        let found = record::find(&directory, &spec.key())?;
        Ok(found.map(|installed| installed.environment(&directory, true)))
    }

    async fn find_or_build(
        &self,
        spec: &EnvironmentSpec,
        making: &Arc<Making>,
    ) -> Result<Environment, EnvironmentError> {
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        if let Some(found) = self.installed(spec).map_err(host)? {
            return Ok(found);
        }
        let given_up = CancellationToken::new();
        let _guard = given_up.clone().drop_guard();
        let (environments, spec) = (self.clone(), spec.clone());
        let (making, package) = (Arc::clone(making), spec.to_string());
        // It holds the set of tasks that it is in only for as long as somebody waits for it.
        let building = async move { environments.take_turn(&spec, &making, given_up).await };
        let Some(built) = self.inner.tasks.whole(building).await else {
            let source = io::Error::other("its build was ended");
            return Err(EnvironmentError::Host { package, source });
        };
        built
    }

    /// Builds an environment when those before have been.
    async fn take_turn(
        &self,
        spec: &EnvironmentSpec,
        making: &Making,
        given_up: CancellationToken,
    ) -> Result<Environment, EnvironmentError> {
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        making.tell(Progress::Queued);
        let builds = match spec.form {
            Form::Wagon => &self.inner.builds,
            Form::Source => &self.inner.source_builds,
        };
        let Some(permit) = given_up.run_until_cancelled(builds.acquire()).await else {
            return Err(host(ground::given_up()));
        };
        let _permit = permit.expect("it is never closed");
        let building = self.inner.quiet.read().await;
        let built = self.build(spec, making, given_up).await;
        drop(building);
        if built.is_err() {
            self.collect_wheels().await.map_err(host)?;
        }
        built
    }

    /// Builds an environment, or waits for the process that builds it.
    async fn build(
        &self,
        spec: &EnvironmentSpec,
        making: &Making,
        given_up: CancellationToken,
    ) -> Result<Environment, EnvironmentError> {
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        let refused = |source| EnvironmentError::Wagon { package: spec.to_string(), source };
        making.tell(Progress::Unpacking);
        let wagons = spec.wagons();
        let any = !wagons.is_empty();
        let mut unpacking = Unpacking::begin(&self.inner.root.join("wheels"), wagons);
        let begun = match unpacking.described().await {
            None if any => None,
            metadata => Some(self.begin(spec, metadata, given_up).await),
        };
        // Whatever has come of that: what is still written here, nobody may collect.
        let wagons = unpacking.end().await.map_err(refused);
        let Some(begun) = begun else {
            return Err(wagons.expect_err("what is not refused has described itself"));
        };
        let Begun { ground, interpreter, there } = begun?;
        let built = if let Some(installed) = there {
            Ok(installed.environment(&ground.directory, true))
        } else {
            let build = async {
                build::build(&self.inner, &ground, spec, &interpreter, wagons?, making).await
            };
            build.await.map(|installed| installed.environment(&ground.directory, false))
        };
        if built.is_err() {
            ground.clear().await.map_err(host)?;
        }
        ground.leave();
        built
    }

    /// Begins an environment for which there is nothing to install yet, unless it is there.
    async fn begin(
        &self,
        spec: &EnvironmentSpec,
        metadata: Option<Metadata>,
        given_up: CancellationToken,
    ) -> Result<Begun, EnvironmentError> {
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        let interpreter = match (spec.python_tags.as_slice(), metadata) {
            ([], None) => self.likely_interpreter(spec).await?,
            ([], Some(metadata)) => {
                self.choose_interpreter(spec, &metadata.supported_python_versions).await?
            }
            (given, _) => self.choose_interpreter(spec, given).await?,
        };
        let name = spec.name(&interpreter);
        let ground = Ground::take(self.directory(), name, given_up).await.map_err(host)?;
        let there = ground.installed();
        if there.is_none() {
            // What an agent that was killed left behind.
            ground.clear().await.map_err(host)?;
            let begun = build::begin(&self.inner, &ground, spec, &interpreter).await;
            if let Err(error) = begun {
                ground.clear().await.map_err(host)?;
                ground.leave();
                return Err(error);
            }
        }
        Ok(Begun { ground, interpreter, there })
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
