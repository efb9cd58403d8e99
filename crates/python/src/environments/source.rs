//! Environments of plugins that come as sources.
//!
//! ```text
//!  wagons beside them ──(offline, as for any environment)──▶ <name>/     cloudify-common, pip
//!  the sources ─▶ <name>/.build/ ──(pip, by their own setup.py or pyproject.toml)──▶ <name>/
//! ```
//!
//! What the sources ask for and those wagons do not bring comes from where this host's own pip is
//! told to look, as in Cloudify (`cloudify/plugin_installer.py`).

use std::{collections::BTreeMap, env, io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::timeout};
use tracing::info;
use waggoner_process::{Exit, Output, Source, Spawn};
use waggoner_wagon::{Budget, Refusal, unpack_tree};

use super::{
    Environment, EnvironmentError, EnvironmentSpec, Environments, Inner, Installed, Progress,
    build::{self, Build, COMMON, PLUGIN_ID},
    lock::Lock,
    making::Making,
    record,
    wheels::{self, Unpacked},
};
use crate::{Interpreter, ToolFailure, tool::condense};

/// What the names of variables begin with that are the daemon's own business, and no build's: those
/// of ours, and what systemd hands to a service (`systemd.exec(5)`, `sd_listen_fds(3)`).
const OURS: [&str; 6] = [
    "WAGGONER_",
    "NOTIFY_SOCKET",
    "LISTEN_",
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "INVOCATION_ID",
];

/// Where a build happens: in the environment's own directory, with which it goes.
const SCRATCH: &str = ".build";

/// What one of a project's files is called.
const PROJECTS: [&str; 2] = ["pyproject.toml", "setup.py"];

/// What is tried for sources that come without a cloudify-common, which says what it is for: the
/// interpreter of Cloudify's own agents, others that its packages run on, any.
const LIKELY: [&[&str]; 3] = [&["py311"], &["py312", "py310", "py39"], &["py3"]];

/// How long a build may take: some wheels have to be compiled.
const PATIENCE: Duration = Duration::from_mins(30);

/// How much of the end of what a build says is looked at, in bytes.
const WORDS: usize = 256 * 1024;

/// What builds and installs, and its arguments up to those of the blueprint.
struct Builder {
    program: Utf8PathBuf,
    arguments: Vec<String>,
    name: &'static str,
}

// === impl Environments ===

impl Environments {
    /// Builds an environment of sources, or waits for the process that builds it.
    pub(super) async fn build_source(
        &self,
        spec: &EnvironmentSpec,
        making: &Making,
    ) -> Result<Environment, EnvironmentError> {
        let host = |source| EnvironmentError::Host { package: spec.to_string(), source };
        let refused = |source| EnvironmentError::Wagon { package: spec.to_string(), source };
        making.tell(Progress::Unpacking);
        let store = self.inner.root.join("wheels");
        let mut wagons = Vec::new();
        for extra in &spec.extra_wagons {
            wagons.push(wheels::unpack(&store, extra).await.map_err(refused)?);
        }
        let interpreter = match wagons.first() {
            Some(unpacked) => {
                let supported = &unpacked.wagon.metadata.supported_python_versions;
                self.choose_interpreter(spec, supported).await?
            }
            None => self.likely_interpreter(spec).await?,
        };
        let name = spec.name(&interpreter);
        let directory = self.directory();
        fs::create_dir_all(directory.as_std_path()).map_err(host)?;
        let _lock = Lock::take(&directory.join(format!("{name}.lock"))).await.map_err(host)?;
        if let Some(installed) = record::read(&directory, &name) {
            return Ok(installed.environment(&directory, true));
        }
        // What an agent that was killed left behind.
        record::clear(&directory, &name).await.map_err(host)?;
        let built = make(&self.inner, &directory, &name, spec, &interpreter, wagons, making).await;
        if built.is_err() {
            record::clear(&directory, &name).await.map_err(host)?;
        }
        Ok(built?.environment(&directory, false))
    }

    async fn likely_interpreter(
        &self,
        spec: &EnvironmentSpec,
    ) -> Result<Interpreter, EnvironmentError> {
        let [first, others @ ..] =
            LIKELY.map(|tags| tags.iter().copied().map(str::to_owned).collect::<Vec<_>>());
        let mut chosen = self.choose_interpreter(spec, &first).await;
        for tags in others {
            if chosen.is_err() {
                chosen = self.choose_interpreter(spec, &tags).await;
            }
        }
        chosen
    }
}

async fn make(
    inner: &Inner,
    directory: &Utf8Path,
    name: &str,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
    wagons: Vec<Unpacked>,
    making: &Making,
) -> Result<Installed, EnvironmentError> {
    let (package, tag) = (spec.to_string(), interpreter.tag.clone());
    let host = |source| EnvironmentError::Host { package: package.clone(), source };
    let refused = |source| EnvironmentError::Wagon { package: package.clone(), source };
    let no_tool = || EnvironmentError::NoTool {
        package: package.clone(),
        python: interpreter.path.to_string(),
    };
    let store = inner.root.join("wheels");
    let stored = spawn_blocking(move || wheels::store(&store, &wagons))
        .await
        .expect("keeping wheels does not panic")
        .map_err(refused)?;
    // The blueprint's arguments are for its plugin, not for what is there before.
    let before = EnvironmentSpec { install_arguments: String::new(), ..spec.clone() };
    let installer = build::installer(inner, interpreter, &before).ok_or_else(no_tool)?;
    let (wheels, tool) = (stored.len(), installer.name());
    if wheels > 0 {
        making.tell(Progress::Installing { wheels, tool });
    }
    let prefix = directory.join(name);
    let base = Build { root: &inner.root, prefix: prefix.clone(), interpreter, installer };
    base.run(&before, &stored).await.map_err(|source| EnvironmentError::Install {
        package: package.clone(),
        tag: tag.clone(),
        tool,
        foreign: wheels::foreign(&stored, interpreter),
        source,
    })?;

    let scratch = prefix.join(SCRATCH);
    let (archive, into) = (spec.wagon.path.clone(), scratch.clone());
    let unpacked = spawn_blocking(move || unpack(&archive, &into));
    let tree = unpacked.await.expect("unpacking does not panic").map_err(|mut refusal| {
        // People know it by the name that the blueprint gives it.
        refusal.file = spec.package_name.clone().into();
        refused(refusal)
    })?;
    let tree = tree.ok_or_else(|| EnvironmentError::NoProject { package: package.clone() })?;
    let builder = Builder::of(inner, interpreter, &prefix).ok_or_else(no_tool)?;
    let tool = builder.name;
    info!(environment = name, tool, "building from sources");
    making.tell(Progress::Building { tool });
    builder.run(&spec.install_arguments, &tree, &scratch).await.map_err(|source| {
        EnvironmentError::Build { package: package.clone(), tag: tag.clone(), tool, source }
    })?;
    let removed = spawn_blocking(move || fs::remove_dir_all(scratch.as_std_path())).await;
    removed.map_err(io::Error::other).flatten().map_err(host)?;

    let common_version = version_of(&prefix, COMMON)
        .ok_or_else(|| EnvironmentError::NoCommonForSources { package: package.clone() })?;
    fs::write(prefix.join(PLUGIN_ID).as_std_path(), format!("source-{}", spec.wagon.digest))
        .map_err(host)?;
    let record = Installed {
        name: name.to_owned(),
        key: spec.key(),
        package_name: spec.package_name.clone(),
        package_version: spec.package_version.clone(),
        tag,
        python_version: interpreter.version.clone(),
        common_version,
        wagon: spec.wagon.digest,
        wheels: stored.iter().map(|stored| stored.wheel.digest).collect(),
        built_at: Timestamp::now(),
    };
    record.write(directory).map_err(host)?;
    info!(environment = name, "built");
    Ok(record)
}

// === impl Builder ===

impl Builder {
    /// Pip, in the environment or told of it, as its configuration is the one that hosts have; uv
    /// where there is none.
    fn of(inner: &Inner, interpreter: &Interpreter, prefix: &Utf8Path) -> Option<Self> {
        let own = prefix.join("bin/python");
        let pip = ["install", "--no-input", "--disable-pip-version-check", "--no-compile"];
        let (program, name, arguments) = if version_of(prefix, "pip").is_some() {
            (own, "pip", [&["-m", "pip"], pip.as_slice()].concat())
        } else if interpreter.has_pip {
            let told = ["-m", "pip", "--python", own.as_str()];
            (interpreter.path.clone(), "pip", [told.as_slice(), pip.as_slice()].concat())
        } else {
            let fixed = ["pip", "install", "--no-progress", "--python", own.as_str()];
            (inner.uv.clone()?, "uv", fixed.to_vec())
        };
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        Some(Self { program, arguments, name })
    }

    /// Builds the project in a directory, and installs it and what it asks for.
    ///
    /// What the build has started ends with it, and what it has written goes with `scratch`.
    async fn run(
        &self,
        further: &str,
        project: &Utf8Path,
        scratch: &Utf8Path,
    ) -> Result<(), ToolFailure> {
        let start = |source| ToolFailure::Start { program: self.program.clone(), source };
        let temporary = scratch.join("tmp");
        fs::create_dir(temporary.as_std_path()).map_err(start)?;
        let mut spawn = Spawn::new(&self.program, project);
        spawn.args.clone_from(&self.arguments);
        spawn.args.extend(further.split_whitespace().map(str::to_owned));
        spawn.args.push(project.to_string());
        spawn.env = environment();
        spawn.env.insert("TMPDIR".to_owned(), temporary.into_string());
        let (child, mut output) =
            spawn.start().await.map_err(|error| start(io::Error::other(error)))?;
        let ended = timeout(PATIENCE, async {
            let said = listen(&mut output).await;
            (child.wait().await, said)
        });
        let ended = ended.await;
        child.stop(Duration::ZERO).await;
        match ended {
            Ok((Exit::Code(0), _)) => Ok(()),
            Ok((exit, said)) => Err(ToolFailure::Failed { words: self.words(exit, &said) }),
            Err(_) => Err(ToolFailure::Overdue {
                program: self.program.clone(),
                seconds: PATIENCE.as_secs(),
            }),
        }
    }

    fn words(&self, exit: Exit, said: &str) -> String {
        match (condense(said), exit) {
            (words, Exit::Code(_)) if !words.is_empty() => words,
            (_, Exit::Code(code)) => format!("{} exited with {code} and said nothing", self.name),
            (_, Exit::Signal(signal)) => format!("{} was ended by signal {signal}", self.name),
            (_, Exit::Lost) => format!("{} is gone, and how it ended is not known", self.name),
        }
    }
}

/// Unpacks sources into a directory of nobody else, and returns where their project is; nothing
/// where they have none.
fn unpack(archive: &Utf8Path, scratch: &Utf8Path) -> Result<Option<Utf8PathBuf>, Refusal> {
    let unwritable = |error| Refusal {
        kind: "archive",
        file: archive.to_owned(),
        flaw: waggoner_wagon::Flaw::Unwritable { path: scratch.to_owned(), error },
    };
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(scratch).map_err(unwritable)?;
    let tree = scratch.join("source");
    let unpacked = unpack_tree(archive, &tree, &Budget::BLUEPRINT)?;
    let is_project = |place: &Utf8PathBuf| PROJECTS.iter().any(|file| place.join(file).is_file());
    let top = unpacked.top.map(|top| tree.join(top));
    Ok([Some(tree), top].into_iter().flatten().find(is_project))
}

/// What this host's own tools are told, and nothing that is meant for us alone.
fn environment() -> BTreeMap<String, String> {
    let texts = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| !OURS.iter().any(|ours| name.starts_with(ours))).collect()
}

/// Reads what a build says, and returns the end of what it says of its troubles.
async fn listen(output: &mut Output) -> String {
    let mut said = Vec::new();
    while let Some(chunk) = output.next().await {
        if chunk.source == Source::Stderr {
            said.extend(chunk.bytes);
            if said.len() > 2 * WORDS {
                said.drain(..said.len() - WORDS);
            }
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// The version of a distribution that an environment has.
fn version_of(prefix: &Utf8Path, distribution: &str) -> Option<String> {
    let versions = prefix.join("lib").read_dir_utf8().ok()?.flatten();
    let packages = versions.map(|entry| entry.path().join("site-packages"));
    let mut entries = packages.filter_map(|packages| packages.read_dir_utf8().ok()).flatten();
    entries.find_map(|entry| {
        let entry = entry.ok()?;
        let info = entry.file_name().strip_suffix(".dist-info")?;
        let (name, version) = info.rsplit_once('-')?;
        (waggoner_wagon::normalized_name(name) == distribution).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use waggoner_types::Digest;

    use super::*;
    use crate::{Form, WagonFile};

    #[tokio::test]
    async fn sources_of_which_nothing_is_known_get_what_cloudifys_packages_run_on() {
        let interpreter = |tag: &&str| Interpreter {
            path: format!("/usr/bin/{tag}").into(),
            tag: (*tag).to_owned(),
            version: String::new(),
            bundled: None,
            has_pip: true,
            has_venv: true,
        };
        let wagon = WagonFile { path: Utf8PathBuf::new(), digest: Digest([0; 32]) };
        let spec = EnvironmentSpec {
            package_name: "web".to_owned(),
            package_version: String::new(),
            wagon,
            form: Form::Source,
            extra_wagons: Vec::new(),
            python_tags: Vec::new(),
            install_arguments: String::new(),
        };
        for (host, chosen) in [
            (["py313", "py312", "py311"].as_slice(), Some("py311")),
            (&["py313", "py312", "py310"], Some("py312")),
            (&["py314", "py313"], Some("py314")),
            (&[], None),
        ] {
            let found = host.iter().map(interpreter).collect();
            let environments = Environments::with_tools("/nowhere", None, found);
            let likely = environments.likely_interpreter(&spec).await;
            assert_eq!(likely.ok().map(|found| found.tag).as_deref(), chosen, "{host:?}");
        }
    }
}
