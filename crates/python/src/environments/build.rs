//! Builds one environment: offline from wheels, and what comes as sources on top of those.
//!
//! Nothing is compiled to byte code here: of a large wagon an operation imports a small part, and
//! the interpreter keeps what it compiled of that.

use std::{collections::BTreeMap, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use jiff::Timestamp;
use pep440_rs::Version;
use tracing::info;
use waggoner_wagon::WheelName;

use super::{
    EnvironmentError, EnvironmentSpec, Form, Inner, Installed, Progress, blueprints,
    ground::{Ground, Leaves},
    making::Making,
    source,
    wheels::{self, Stored, Unpacked},
};
use crate::{Interpreter, ToolFailure, tool::Tool};

/// The distribution without which no operation runs.
pub(super) const COMMON: &str = "cloudify-common";

/// What Cloudify's plugins find in their environments without asking for it: there they see the
/// agent's own site-packages.
const TAKEN_FOR_GRANTED: [&str; 2] = ["pip", "setuptools"];

/// The file by which Cloudify's own code knows the directory of a plugin.
const PLUGIN_ID: &str = "plugin.id";

/// The first setuptools without `pkg_resources`, which older plugins import unasked.
const WITHOUT_PKG_RESOURCES: &str = "82";

/// How long an installation may take: the largest known wagon takes two minutes on a slow disk.
const PATIENCE: Duration = Duration::from_mins(15);

/// What installs into an environment.
enum Installer<'a> {
    Uv(&'a Utf8Path),
    /// Pip, run from its own wheel or as a module of the interpreter.
    Pip(Option<Utf8PathBuf>),
}

/// Everything of one build.
struct Build<'a> {
    root: &'a Utf8Path,
    ground: &'a Ground,
    prefix: Utf8PathBuf,
    interpreter: &'a Interpreter,
    installer: Installer<'a>,
}

/// Makes an environment that has an interpreter and no wheel.
pub(super) async fn begin(
    inner: &Inner,
    ground: &Ground,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
) -> Result<(), EnvironmentError> {
    let build = Build::of(inner, ground, spec, interpreter);
    let build = build.ok_or_else(|| no_tool(spec, interpreter))?;
    build.make().await.map_err(|source| EnvironmentError::Install {
        package: spec.to_string(),
        tag: interpreter.tag.clone(),
        tool: build.installer.name(),
        foreign: String::new(),
        source,
    })
}

/// Puts the plugin into an environment that was begun, and makes it one that is found.
pub(super) async fn build(
    inner: &Inner,
    ground: &Ground,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
    wagons: Vec<Unpacked>,
    making: &Making,
) -> Result<Installed, EnvironmentError> {
    let package = spec.to_string();
    let host = |source| EnvironmentError::Host { package: package.clone(), source };
    if spec.form == Form::Wagon
        && let Some(flaw) = flaw(spec, &wagons)
    {
        return Err(flaw);
    }
    let store = inner.root.join("wheels");
    let stored = tokio::task::spawn_blocking(move || wheels::store(&store, &wagons))
        .await
        .expect("keeping wheels does not panic")
        .map_err(|source| EnvironmentError::Wagon { package: package.clone(), source })?;

    let build = Build::of(inner, ground, spec, interpreter);
    let build = build.ok_or_else(|| no_tool(spec, interpreter))?;
    let (wheels, tool) = (stored.len(), build.installer.name());
    info!(environment = ground.name, wheels, tool, "building");
    if wheels > 0 {
        making.tell(Progress::Installing { wheels, tool });
    }
    if let Err(source) = build.install(spec, &stored).await {
        // What pip says of a damaged wheel, or of one for another platform, does not name it.
        let foreign = wheels::foreign(&stored, interpreter);
        let broken = tokio::task::spawn_blocking(move || wheels::broken(&stored)).await;
        if let Some((wheel, source)) = broken.expect("reading wheels does not panic") {
            return Err(EnvironmentError::BrokenWheel { package, wheel, source });
        }
        let tag = interpreter.tag.clone();
        return Err(EnvironmentError::Install { package, tag, tool, foreign, source });
    }
    let (common_version, id) = match spec.form {
        Form::Wagon => {
            let common = stored.iter().find(|stored| stored.wheel.name.distribution == COMMON);
            let version = common.map(|common| common.wheel.name.version.to_string());
            (version.unwrap_or_default(), spec.wagon.digest.to_string())
        }
        Form::Source => {
            let version = source::add(inner, ground, spec, interpreter, making).await?;
            (version, format!("source-{}", spec.wagon.digest))
        }
    };
    fs::write(build.prefix.join(PLUGIN_ID).as_std_path(), id).map_err(host)?;
    let record = Installed {
        name: ground.name.clone(),
        key: spec.key(),
        package_name: spec.package_name.clone(),
        package_version: spec.package_version.clone(),
        tag: interpreter.tag.clone(),
        python_version: interpreter.version.clone(),
        common_version,
        wagon: spec.wagon.digest,
        wheels: stored.iter().map(|stored| stored.wheel.digest).collect(),
        built_at: Timestamp::now(),
        reads_blueprints: Some(blueprints::are_read(&build.prefix, &spec.package_name)),
    };
    record.write(&ground.directory).map_err(host)?;
    info!(environment = ground.name, "built");
    Ok(record)
}

/// Why a wagon is not the one that was asked for, or no operation can run of it.
fn flaw(spec: &EnvironmentSpec, wagons: &[Unpacked]) -> Option<EnvironmentError> {
    let package = spec.to_string();
    let metadata = &wagons.first()?.wagon.metadata;
    if metadata.package_name != spec.package_name
        || metadata.package_version != spec.package_version
    {
        let found = format!("`{}` {}", metadata.package_name, metadata.package_version);
        let file = spec.wagon.path.to_string();
        return Some(EnvironmentError::OtherWagon { package, file, found });
    }
    let has_common = wagons.iter().any(|unpacked| unpacked.wagon.wheel(COMMON).is_some());
    (!has_common).then_some(EnvironmentError::NoCommon { package })
}

pub(super) fn no_tool(spec: &EnvironmentSpec, interpreter: &Interpreter) -> EnvironmentError {
    EnvironmentError::NoTool { package: spec.to_string(), python: interpreter.path.to_string() }
}

/// Lets uv forget what it has unpacked of some distributions.
pub(super) async fn forget(
    root: &Utf8Path,
    uv: &Utf8Path,
    distributions: impl IntoIterator<Item = String>,
) -> Result<(), ToolFailure> {
    tool(root, uv, &["cache", "clean"], distributions, None)?.run().await.map(drop)
}

/// The oldest interpreter that uv knows how to serve: Python 3.8.
const OLDEST_FOR_UV: u32 = 8;

/// uv where it is and can; but arguments meant for pip are given to pip.
fn installer<'a>(
    inner: &'a Inner,
    interpreter: &Interpreter,
    spec: &EnvironmentSpec,
) -> Option<Installer<'a>> {
    match &inner.uv {
        Some(uv) if spec.wheel_arguments().is_empty() && interpreter.minor() >= OLDEST_FOR_UV => {
            return Some(Installer::Uv(uv));
        }
        _ => {}
    }
    if !interpreter.has_venv {
        return None;
    }
    let wheel = interpreter.bundled_wheel("pip");
    (wheel.is_some() || interpreter.has_pip).then_some(Installer::Pip(wheel))
}

// === impl Installer ===

impl Installer<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Uv(_) => "uv",
            Self::Pip(_) => "pip",
        }
    }
}

// === impl Build ===

impl<'a> Build<'a> {
    fn of(
        inner: &'a Inner,
        ground: &'a Ground,
        spec: &EnvironmentSpec,
        interpreter: &'a Interpreter,
    ) -> Option<Self> {
        let installer = installer(inner, interpreter, spec)?;
        Some(Self { root: &inner.root, ground, prefix: ground.prefix(), interpreter, installer })
    }

    /// Makes the environment, without any wheel.
    async fn make(&self) -> Result<(), ToolFailure> {
        let (python, prefix) = (self.interpreter.path.as_path(), self.prefix.as_str());
        match &self.installer {
            Installer::Uv(uv) => {
                let fixed = ["venv", "--no-project", "--python", python.as_str(), prefix];
                self.call(uv, &fixed, []).await
            }
            Installer::Pip(_) => {
                self.call(python, &["-I", "-m", "venv", "--without-pip", prefix], []).await
            }
        }
    }

    /// Puts the wheels into the environment.
    async fn install(&self, spec: &EnvironmentSpec, stored: &[Stored]) -> Result<(), ToolFailure> {
        let links = self.links(stored);
        let targets = self.targets(spec, stored);
        if targets.is_empty() {
            return Ok(());
        }
        let further = spec.wheel_arguments().split_whitespace().map(str::to_owned);
        let own = self.prefix.join("bin/python");
        match &self.installer {
            Installer::Uv(uv) => {
                let fixed = [
                    "pip",
                    "install",
                    "--python",
                    own.as_str(),
                    "--no-index",
                    "--no-build",
                    "--prerelease",
                    "allow",
                ];
                self.call(uv, &fixed, links.into_iter().chain(targets)).await
            }
            Installer::Pip(wheel) => {
                let fixed = [
                    "-m",
                    "pip",
                    "install",
                    "--no-index",
                    "--no-input",
                    "--no-cache-dir",
                    "--no-compile",
                    "--disable-pip-version-check",
                    "--no-warn-script-location",
                    "--only-binary",
                    ":all:",
                    "--pre",
                ];
                let arguments = links.into_iter().chain(further).chain(targets);
                if wheel.is_some() {
                    return self.call(&own, &fixed, arguments).await;
                }
                // The interpreter's own pip, told which environment it is for.
                let fixed = [&["-m", "pip", "--python", own.as_str()], &fixed[2..]].concat();
                self.call(&self.interpreter.path, &fixed, arguments).await
            }
        }
    }

    /// Where to find wheels, each given by the directory it has for itself.
    fn links(&self, stored: &[Stored]) -> Vec<String> {
        let own = stored.iter().map(|stored| stored.directory.as_str());
        let bundled = self.interpreter.bundled.as_deref().map(Utf8Path::as_str);
        own.chain(bundled).flat_map(|place| ["--find-links".to_owned(), place.to_owned()]).collect()
    }

    fn targets(&self, spec: &EnvironmentSpec, stored: &[Stored]) -> Vec<String> {
        let own = waggoner_wagon::normalized_name(&spec.package_name);
        let mut targets = Vec::new();
        for stored in stored {
            let name = &stored.wheel.name;
            if name.distribution == own || name.distribution == COMMON {
                targets.push(format!("{}=={}", name.distribution, name.version));
            }
        }
        let boundary: Version = WITHOUT_PKG_RESOURCES.parse().expect("it is a version");
        for granted in TAKEN_FOR_GRANTED {
            let bundled = self.interpreter.bundled_wheel(granted);
            let bundled: Option<WheelName> =
                bundled.and_then(|path| path.file_name()?.parse().ok());
            let own = stored.iter().map(|stored| &stored.wheel.name);
            let mut versions = own
                .chain(&bundled)
                .filter(|n| n.distribution == granted)
                .map(|n| &n.version)
                .peekable();
            if versions.peek().is_none() {
                continue;
            }
            targets.push(if granted == "setuptools" && versions.any(|v| *v < boundary) {
                format!("{granted}<{WITHOUT_PKG_RESOURCES}")
            } else {
                granted.to_owned()
            });
        }
        targets
    }

    async fn call(
        &self,
        program: &Utf8Path,
        fixed: &[&str],
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<(), ToolFailure> {
        let path = match &self.installer {
            Installer::Pip(Some(wheel)) if fixed.contains(&"pip") => Some(wheel.as_path()),
            Installer::Pip(_) | Installer::Uv(_) => None,
        };
        let tool = tool(self.root, program, fixed, arguments, path)?;
        self.ground.run(tool, Leaves::Nobody).await
    }
}

/// A tool that sees nothing of this host but what it is given.
fn tool<'a>(
    root: &'a Utf8Path,
    program: &'a Utf8Path,
    fixed: &[&str],
    arguments: impl IntoIterator<Item = String>,
    python_path: Option<&Utf8Path>,
) -> Result<Tool<'a>, ToolFailure> {
    let cache = root.join("cache");
    let home = cache.join("home");
    fs::create_dir_all(home.as_std_path())
        .map_err(|source| ToolFailure::Start { program: program.to_owned(), source })?;
    let mut environment: BTreeMap<_, _> = [
        ("HOME", home.as_str()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LC_ALL", "C.UTF-8"),
        ("UV_CACHE_DIR", cache.join("uv").as_str()),
        ("UV_LINK_MODE", "hardlink"),
        ("UV_NO_CONFIG", "1"),
        ("UV_NO_PROGRESS", "1"),
        ("UV_OFFLINE", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if let Some(path) = python_path {
        environment.insert("PYTHONPATH".to_owned(), path.to_string());
    }
    Ok(Tool {
        program,
        arguments: fixed.iter().map(|&text| text.to_owned()).chain(arguments).collect(),
        environment,
        inherits: false,
        directory: root,
        deadline: PATIENCE,
    })
}
