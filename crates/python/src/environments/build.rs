//! Builds one environment, offline, from wheels alone.
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
    EnvironmentError, EnvironmentSpec, Inner, Installed, Progress,
    making::Making,
    wheels::{self, Stored, Unpacked},
};
use crate::{Interpreter, ToolFailure, tool::Tool};

/// The distribution without which no operation runs.
pub(super) const COMMON: &str = "cloudify-common";

/// What Cloudify's plugins find in their environments without asking for it: there they see the
/// agent's own site-packages.
const TAKEN_FOR_GRANTED: [&str; 2] = ["pip", "setuptools"];

/// The file by which Cloudify's own code knows the directory of a plugin.
pub(super) const PLUGIN_ID: &str = "plugin.id";

/// The first setuptools without `pkg_resources`, which older plugins import unasked.
const WITHOUT_PKG_RESOURCES: &str = "82";

/// How long an installation may take: the largest known wagon takes two minutes on a slow disk.
const PATIENCE: Duration = Duration::from_mins(15);

/// What installs into an environment.
pub(super) enum Installer<'a> {
    Uv(&'a Utf8Path),
    /// Pip, run from its own wheel or as a module of the interpreter.
    Pip(Option<Utf8PathBuf>),
}

/// Everything of one build.
pub(super) struct Build<'a> {
    pub(super) root: &'a Utf8Path,
    pub(super) prefix: Utf8PathBuf,
    pub(super) interpreter: &'a Interpreter,
    pub(super) installer: Installer<'a>,
}

/// Makes an environment that has an interpreter and no wheel.
pub(super) async fn begin(
    inner: &Inner,
    directory: &Utf8Path,
    name: &str,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
) -> Result<(), EnvironmentError> {
    let build = Build::of(inner, directory, name, spec, interpreter);
    let build = build.ok_or_else(|| no_tool(spec, interpreter))?;
    build.make().await.map_err(|source| EnvironmentError::Install {
        package: spec.to_string(),
        tag: interpreter.tag.clone(),
        tool: build.installer.name(),
        foreign: String::new(),
        source,
    })
}

/// Puts the wheels into an environment that was begun, and makes it one that is found.
pub(super) async fn build(
    inner: &Inner,
    directory: &Utf8Path,
    name: &str,
    spec: &EnvironmentSpec,
    interpreter: &Interpreter,
    own: Unpacked,
    making: &Making,
) -> Result<Installed, EnvironmentError> {
    let package = spec.to_string();
    let metadata = &own.wagon.metadata;
    if metadata.package_name != spec.package_name
        || metadata.package_version != spec.package_version
    {
        let found = format!("`{}` {}", metadata.package_name, metadata.package_version);
        let file = spec.wagon.path.to_string();
        return Err(EnvironmentError::OtherWagon { package, file, found });
    }
    let refused = |source| EnvironmentError::Wagon { package: package.clone(), source };
    let store = inner.root.join("wheels");
    let mut wagons = vec![own];
    for extra in &spec.extra_wagons {
        wagons.push(wheels::unpack(&store, extra).await.map_err(refused)?);
    }
    if !wagons.iter().any(|unpacked| unpacked.wagon.wheel(COMMON).is_some()) {
        return Err(EnvironmentError::NoCommon { package });
    }
    let stored = tokio::task::spawn_blocking(move || wheels::store(&store, &wagons))
        .await
        .expect("keeping wheels does not panic")
        .map_err(refused)?;

    let build = Build::of(inner, directory, name, spec, interpreter);
    let build = build.ok_or_else(|| no_tool(spec, interpreter))?;
    let (wheels, tool) = (stored.len(), build.installer.name());
    info!(environment = name, wheels, tool, "building");
    making.tell(Progress::Installing { wheels, tool });
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
    fs::write(build.prefix.join(PLUGIN_ID).as_std_path(), spec.wagon.digest.to_string())
        .map_err(|source| EnvironmentError::Host { package: package.clone(), source })?;
    let common = stored.iter().find(|stored| stored.wheel.name.distribution == COMMON);
    let record = Installed {
        name: name.to_owned(),
        key: spec.key(),
        package_name: spec.package_name.clone(),
        package_version: spec.package_version.clone(),
        tag: interpreter.tag.clone(),
        python_version: interpreter.version.clone(),
        common_version: common.map(|c| c.wheel.name.version.to_string()).unwrap_or_default(),
        wagon: spec.wagon.digest,
        wheels: stored.iter().map(|stored| stored.wheel.digest).collect(),
        built_at: Timestamp::now(),
    };
    record.write(directory).map_err(|source| EnvironmentError::Host { package, source })?;
    info!(environment = name, "built");
    Ok(record)
}

fn no_tool(spec: &EnvironmentSpec, interpreter: &Interpreter) -> EnvironmentError {
    EnvironmentError::NoTool { package: spec.to_string(), python: interpreter.path.to_string() }
}

/// Lets uv forget what it has unpacked of some distributions.
pub(super) async fn forget(
    root: &Utf8Path,
    uv: &Utf8Path,
    distributions: impl IntoIterator<Item = String>,
) -> Result<(), ToolFailure> {
    call(root, uv, &["cache", "clean"], distributions, None).await
}

/// The oldest interpreter that uv knows how to serve: Python 3.8.
const OLDEST_FOR_UV: u32 = 8;

/// uv where it is and can; but arguments meant for pip are given to pip.
pub(super) fn installer<'a>(
    inner: &'a Inner,
    interpreter: &Interpreter,
    spec: &EnvironmentSpec,
) -> Option<Installer<'a>> {
    match &inner.uv {
        Some(uv)
            if spec.install_arguments.trim().is_empty() && interpreter.minor() >= OLDEST_FOR_UV =>
        {
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
    pub(super) fn name(&self) -> &'static str {
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
        directory: &Utf8Path,
        name: &str,
        spec: &EnvironmentSpec,
        interpreter: &'a Interpreter,
    ) -> Option<Self> {
        let installer = installer(inner, interpreter, spec)?;
        Some(Self { root: &inner.root, prefix: directory.join(name), interpreter, installer })
    }

    pub(super) async fn run(
        &self,
        spec: &EnvironmentSpec,
        stored: &[Stored],
    ) -> Result<(), ToolFailure> {
        self.make().await?;
        self.install(spec, stored).await
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
        let further = spec.install_arguments.split_whitespace().map(str::to_owned);
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
        call(self.root, program, fixed, arguments, path).await
    }
}

/// Calls a tool that sees nothing of this host but what it is given.
async fn call(
    root: &Utf8Path,
    program: &Utf8Path,
    fixed: &[&str],
    arguments: impl IntoIterator<Item = String>,
    python_path: Option<&Utf8Path>,
) -> Result<(), ToolFailure> {
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
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    if let Some(path) = python_path {
        environment.insert("PYTHONPATH", path.to_string());
    }
    let tool = Tool {
        program,
        arguments: fixed.iter().map(|&text| text.to_owned()).chain(arguments).collect(),
        environment,
        inherits: false,
        directory: root,
        deadline: PATIENCE,
    };
    tool.run().await.map(drop)
}
