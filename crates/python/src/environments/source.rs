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
use tokio::task::spawn_blocking;
use tracing::info;
use waggoner_wagon::{Budget, Refusal, unpack_tree};

use super::{
    EnvironmentError, EnvironmentSpec, Environments, Inner, Progress,
    build::{COMMON, no_tool},
    ground::{Ground, Leaves},
    making::Making,
    packages::noted,
};
use crate::{Interpreter, ToolFailure, tool::Tool};

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

/// What builds and installs, and its arguments up to those of the blueprint.
struct Builder {
    program: Utf8PathBuf,
    arguments: Vec<String>,
    name: &'static str,
}

// === impl Environments ===

impl Environments {
    /// The interpreter for sources of which nothing says what they are for.
    pub(super) async fn likely_interpreter(
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

/// Builds a plugin's sources into an environment that has the wheels beside them. Returns the
/// version of cloudify-common in it.
pub(super) async fn add(
    inner: &Inner,
    ground: &Ground,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
    making: &Making,
) -> Result<String, EnvironmentError> {
    let package = spec.to_string();
    let host = |source| EnvironmentError::Host { package: package.clone(), source };
    let prefix = ground.prefix();
    let scratch = prefix.join(SCRATCH);
    let (archive, into) = (spec.wagon.path.clone(), scratch.clone());
    let unpacked = spawn_blocking(move || unpack(&archive, &into));
    let tree = unpacked.await.expect("unpacking does not panic").map_err(|mut source| {
        // People know it by the name that the blueprint gives it.
        source.file = spec.package_name.clone().into();
        EnvironmentError::Wagon { package: package.clone(), source }
    })?;
    let tree = tree.ok_or_else(|| EnvironmentError::NoProject { package: package.clone() })?;
    let builder = Builder::of(inner, interpreter, &prefix);
    let builder = builder.ok_or_else(|| no_tool(spec, interpreter))?;
    let tool = builder.name;
    info!(environment = ground.name, tool, "building from sources");
    making.tell(Progress::Building { tool });
    builder.run(ground, &spec.install_arguments, &tree, &scratch).await.map_err(|source| {
        let tag = interpreter.tag.clone();
        EnvironmentError::Build { package: package.clone(), tag, tool, source }
    })?;
    let removed = spawn_blocking(move || fs::remove_dir_all(scratch.as_std_path())).await;
    removed.map_err(io::Error::other).flatten().map_err(host)?;
    version_of(&prefix, COMMON)
        .ok_or_else(|| EnvironmentError::NoCommonForSources { package: package.clone() })
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
    /// What the build has written goes with `scratch`.
    async fn run(
        self,
        ground: &Ground,
        further: &str,
        project: &Utf8Path,
        scratch: &Utf8Path,
    ) -> Result<(), ToolFailure> {
        let temporary = scratch.join("tmp");
        fs::create_dir(temporary.as_std_path())
            .map_err(|source| ToolFailure::Start { program: self.program.clone(), source })?;
        let mut arguments = self.arguments;
        arguments.extend(further.split_whitespace().map(str::to_owned));
        arguments.push(project.to_string());
        let mut environment = environment();
        environment.insert("TMPDIR".to_owned(), temporary.into_string());
        let tool = Tool {
            program: &self.program,
            arguments,
            environment,
            inherits: false,
            directory: project,
            deadline: PATIENCE,
        };
        ground.run(tool, Leaves::Anybody).await
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

/// The version of a distribution that an environment has.
fn version_of(prefix: &Utf8Path, distribution: &str) -> Option<String> {
    noted(prefix, distribution).next().map(|noted| noted.version)
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
