//! Makes a wagon of a plugin's source tree, as `wagon create` does: pip builds and fetches the
//! wheels.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use tracing::info;
use waggoner_types::Digest;
use waggoner_wagon::{
    Format, OsProperties, Recipe, Refusal, WriteError, pack_tree, wheel_identity, write,
};

use crate::{Interpreter, ToolFailure, tool::Tool};

mod staged;

use self::staged::stage;

/// What is to become a wagon.
#[derive(Clone, Debug)]
pub struct PackRequest<'a> {
    /// The plugin.
    pub source: PackSource<'a>,
    /// The interpreter that the wagon will be for.
    pub python: &'a Interpreter,
    /// Where wagons that were made once are kept, by digest of their source.
    pub cache: &'a Utf8Path,
    /// This host's distribution, kept in a wagon that is not for every platform.
    pub os: OsProperties,
    /// Further requirements whose wheels go into the wagon: `cloudify-common==7.0.5`.
    pub with: &'a [String],
}

/// Where a plugin comes from.
#[derive(Clone, Debug)]
pub enum PackSource<'a> {
    /// A directory with a `setup.py` or a `pyproject.toml`.
    Directory(&'a Utf8Path),
    /// A requirement for the package index: `cloudify-aws-plugin==3.1.7`.
    Requirement(&'a str),
}

/// Why no wagon was made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The interpreter has no pip.
    #[error(
        "failed to pack {source_name}: `{python}` came without pip: install it, or use another interpreter"
    )]
    NoPip {
        /// What was to be packed.
        source_name: String,
        /// The interpreter.
        python: Utf8PathBuf,
    },
    /// The directory is no plugin's.
    #[error("failed to pack {source_name}: it has neither a setup.py nor a pyproject.toml")]
    NoProject {
        /// What was to be packed.
        source_name: String,
    },
    /// The source tree could not be read.
    #[error("failed to read {source_name}")]
    Source {
        /// What was to be packed.
        source_name: String,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// Pip did not make the wheels.
    #[error("failed to make the wheels of {source_name}")]
    Wheels {
        /// What was to be packed.
        source_name: String,
        /// Why, in pip's words.
        #[source]
        source: ToolFailure,
    },
    /// The wheels do not make a wagon.
    #[error("failed to pack {source_name}")]
    Write {
        /// What was to be packed.
        source_name: String,
        /// Why.
        #[source]
        source: WriteError,
    },
    /// The host could not do its part.
    #[error("failed to keep the wagon of {source_name}")]
    Host {
        /// What was to be packed.
        source_name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// How long pip may take: some wheels have to be compiled.
const PATIENCE: Duration = Duration::from_mins(30);

/// Where the copy of a source tree is, below the directory for what is under way.
const STAGED: &str = "source";

/// Makes a wagon, or returns the one that was made of the same source before.
///
/// Unlike everything else here it uses the network, as pip is configured for the user.
pub async fn pack(request: &PackRequest<'_>) -> Result<Utf8PathBuf, PackError> {
    let name = request.source.to_string();
    let host = |source| PackError::Host { source_name: name.clone(), source };
    let partial = request.cache.join(format!(".partial-{}-{}", std::process::id(), next()));
    let partial = Partial(partial);
    fs::create_dir_all(partial.0.as_std_path()).map_err(host)?;
    let directory = request.cache.join(&key(request, &partial.0)?.to_string()[..32]);
    if let Some(made) = made(&directory) {
        return Ok(made);
    }
    info!(source = name, python = %request.python.tag, "packing");
    make(request, &name, &partial.0).await?;
    match fs::rename(partial.0.join("wagon").as_std_path(), directory.as_std_path()) {
        Err(source) if made(&directory).is_none() => return Err(host(source)),
        _ => {}
    }
    made(&directory).ok_or_else(|| host(io::ErrorKind::NotFound.into()))
}

/// A directory for what is under way, gone with whoever made it.
struct Partial(Utf8PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(self.0.as_std_path()));
    }
}

async fn make(
    request: &PackRequest<'_>,
    source_name: &str,
    partial: &Utf8Path,
) -> Result<(), PackError> {
    let source = match request.source {
        PackSource::Requirement(requirement) => requirement.to_owned(),
        // The copy, as setuptools leaves its traces in what it builds.
        PackSource::Directory(_) => partial.join(STAGED).into_string(),
    };
    let (own, wheels) = (partial.join("own"), partial.join("wheels"));
    pip(request, source_name, partial, &["--no-deps", "--wheel-dir", own.as_str(), &source])
        .await?;
    let wheel = own
        .read_dir_utf8()
        .ok()
        .and_then(|mut entries| entries.next()?.ok())
        .map(|entry| entry.path().to_owned());
    let found = wheel.and_then(|wheel| Some((wheel_identity(&wheel).ok()?, wheel)));
    let Some(((package_name, package_version), wheel)) = found else {
        let words = "pip made no wheel of it".to_owned();
        let source = ToolFailure::Failed { words };
        return Err(PackError::Wheels { source_name: source_name.to_owned(), source });
    };
    let mut arguments = vec!["--wheel-dir", wheels.as_str(), wheel.as_str()];
    arguments.extend(request.with.iter().map(String::as_str));
    pip(request, source_name, partial, &arguments).await?;
    let recipe = Recipe {
        package_name,
        package_version,
        package_source: match request.source {
            PackSource::Requirement(requirement) => requirement.to_owned(),
            PackSource::Directory(_) => ".".to_owned(),
        },
        python_tags: vec![request.python.tag.clone()],
        os: request.os.clone(),
    };
    let out = partial.join("wagon");
    let written = tokio::task::spawn_blocking(move || write(&recipe, &wheels, &out, Format::TarGz))
        .await
        .expect("writing a wagon does not panic");
    written
        .map(drop)
        .map_err(|source| PackError::Write { source_name: source_name.to_owned(), source })
}

/// Runs `pip wheel`, as the user's own configuration says.
async fn pip(
    request: &PackRequest<'_>,
    source_name: &str,
    partial: &Utf8Path,
    arguments: &[&str],
) -> Result<(), PackError> {
    let mut environment = BTreeMap::new();
    if !request.python.has_pip {
        let bundled = request.python.bundled_wheel("pip").ok_or_else(|| PackError::NoPip {
            source_name: source_name.to_owned(),
            python: request.python.path.clone(),
        })?;
        environment.insert("PYTHONPATH".to_owned(), bundled.into_string());
    }
    let fixed = ["-m", "pip", "wheel", "--no-input", "--disable-pip-version-check"];
    let tool = Tool {
        program: &request.python.path,
        arguments: fixed.iter().chain(arguments).map(|&text| text.to_owned()).collect(),
        environment,
        inherits: true,
        directory: partial,
        deadline: PATIENCE,
    };
    tool.run()
        .await
        .map(drop)
        .map_err(|source| PackError::Wheels { source_name: source_name.to_owned(), source })
}

/// What decides a wagon: the source's content, the interpreter, and what goes with it. A directory
/// is copied on the way.
fn key(request: &PackRequest<'_>, partial: &Utf8Path) -> Result<Digest, PackError> {
    let mut hasher = Sha256::new();
    hasher.update(format!("1 {} {}\n", request.python.tag, request.with.join(" ")));
    match request.source {
        PackSource::Requirement(requirement) => hasher.update(requirement.trim()),
        PackSource::Directory(directory) => {
            let source_name = request.source.to_string();
            if !["setup.py", "pyproject.toml"].iter().any(|file| directory.join(file).is_file()) {
                return Err(PackError::NoProject { source_name });
            }
            let staged = partial.join(STAGED);
            stage(directory, &staged)
                .map_err(|source| PackError::Host { source_name: source_name.clone(), source })?;
            pack_tree(&staged, "source", &mut hasher).map_err(|refusal| {
                let source = Refusal { file: directory.to_owned(), ..refusal };
                PackError::Source { source_name, source }
            })?;
        }
    }
    Ok(Digest(hasher.finalize().into()))
}

/// The one wagon in a directory.
fn made(directory: &Utf8Path) -> Option<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().ok()?.flatten();
    entries.map(|entry| entry.path().to_owned()).find(|path| path.extension() == Some("wgn"))
}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

// === impl PackSource ===

impl fmt::Display for PackSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => write!(f, "the plugin in `{directory}`"),
            Self::Requirement(requirement) => write!(f, "the plugin `{requirement}`"),
        }
    }
}
