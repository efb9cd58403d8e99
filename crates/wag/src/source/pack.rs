//! A plugin's source directory to a wagon.

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_python::{Interpreter, PackRequest, PackSource, interpreters};
use waggoner_wagon::{Budget, OsProperties, Wagon};

use super::{
    SourceError, calls,
    yamls::{agree, checked, put_beside},
};

/// The Python that plugins were written for, where there are several.
const PREFERRED: &str = "py311";

/// What was packed, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub wagon: Utf8PathBuf,
    /// The plugin.yaml files that an upload of the wagon takes with it.
    pub yamls: Vec<Utf8PathBuf>,
    /// Whether the plugin came without one.
    pub made_yaml: bool,
    /// What the plugin.yaml files call and the plugin does not seem to have.
    pub missing: Vec<String>,
}

/// Builds the wagon of a source directory, or of a requirement for the package index, into `to`,
/// with its plugin.yaml files. What a manager would refuse is not packed.
pub(crate) async fn pack(
    source: &str,
    with: &[String],
    to: &Utf8Path,
) -> Result<Packed, SourceError> {
    let cache = camino_tempfile::tempdir().map_err(SourceError::Keep)?;
    let (source, yamls) = match Utf8Path::new(source) {
        directory if directory.is_dir() => (PackSource::Directory(directory), checked(directory)?),
        // No requirement has one.
        directory if source.contains('/') => {
            let kind = std::io::ErrorKind::NotFound;
            let source = std::io::Error::new(kind, "there is no such directory");
            return Err(SourceError::Directory { directory: directory.to_owned(), source });
        }
        _ => (PackSource::Requirement(source), Vec::new()),
    };
    let made = make(source, with, cache.path()).await?;
    let metadata = Wagon::open(&made, &Budget::WAGON).map_err(SourceError::Wagon)?.metadata;
    agree(&yamls, &metadata)?;
    let missing = calls::missing(&made, &yamls)?;
    let name = made.file_name().expect("a wagon has a name");
    let wagon = to.join(name);
    fs_err::create_dir_all(to).map_err(SourceError::Keep)?;
    fs_err::copy(&made, &wagon).map_err(SourceError::Keep)?;
    let made_yaml = yamls.is_empty();
    let is_beside = |path: &Utf8PathBuf| same(path.parent(), Some(to));
    let yamls = if !made_yaml && yamls.iter().all(is_beside) {
        yamls
    } else {
        put_beside(&wagon, &yamls, &metadata)?
    };
    Ok(Packed { wagon, yamls, made_yaml, missing })
}

/// Returns the wagon of a source directory from the cache, building it if the sources have changed.
pub(crate) async fn packed(
    source: &Utf8Path,
    cache: &Utf8Path,
) -> Result<Utf8PathBuf, SourceError> {
    packed_with(source, &[], cache).await
}

/// The same with further requirements.
pub(crate) async fn packed_with(
    source: &Utf8Path,
    with: &[String],
    cache: &Utf8Path,
) -> Result<Utf8PathBuf, SourceError> {
    make(PackSource::Directory(source), with, cache).await
}

async fn make(
    source: PackSource<'_>,
    with: &[String],
    cache: &Utf8Path,
) -> Result<Utf8PathBuf, SourceError> {
    let (python, os) = (python().await?, distribution());
    let request = PackRequest { source, python, cache, os, with };
    waggoner_python::pack(&request).await.map_err(|error| SourceError::Plugin(Box::new(error)))
}

async fn python() -> Result<&'static Interpreter, SourceError> {
    let all = interpreters().await;
    let preferred = all.iter().find(|python| python.tag == PREFERRED);
    preferred.or_else(|| all.first()).ok_or(SourceError::NoPython)
}

fn same(one: Option<&Utf8Path>, other: Option<&Utf8Path>) -> bool {
    let whole = |path: Option<&Utf8Path>| {
        let path = path.filter(|path| !path.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
        path.canonicalize_utf8().ok()
    };
    whole(one).is_some() && whole(one) == whole(other)
}

/// This host's distribution, by `os-release(5)`.
fn distribution() -> OsProperties {
    let text = fs_err::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(key, _)| *key == name)?;
        Some(value.trim_matches('"').to_owned()).filter(|value| !value.is_empty())
    };
    OsProperties {
        distribution: value("ID"),
        distribution_version: value("VERSION_ID"),
        distribution_release: value("VERSION_CODENAME"),
    }
}
