//! Plugins that come as sources: what their blueprint says of them, as artifacts for agents.
//!
//! ```text
//!  source: NAME        the directory plugins/NAME of the blueprint, or its archive plugins/NAME.zip
//!                      (NAME.tar.gz, NAME.tgz, NAME.tar), or plugins/NAME itself
//!  source: https://…   an archive, from where the manager's settings allow imports
//! ```
//!
//! As `get_plugin_source` of `cloudify/plugin_installer.py`, which the agent's host asks there. The
//! artifacts are there for as long as the manager lives, and are made again by the next one.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read as _, Seek as _, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use waggoner_store::{
    artifact::{Announced, Artifact, Incoming},
    blueprint::Blueprint,
};
use waggoner_types::{Chain, Digest};
use waggoner_wagon::{Budget, Refusal, pack_tree};

use crate::{
    catalog::{
        blueprints,
        imports::{Unfetched, beneath},
    },
    home::Home,
};

/// What was made of which sources. Those of a blueprint never change, and what was fetched is
/// fetched once in a life of the manager.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// The newest of each place.
    newest: HashMap<Utf8PathBuf, Digest>,
    /// All: of two that were made of one address at once, whoever made the older one uses it.
    all: HashSet<Digest>,
}

/// Why a plugin's sources are not to be had: clauses that go on from where it comes from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error(
        "its blueprint has neither this directory nor an archive of it: put it there, or upload a \
         wagon of the plugin and name its package"
    )]
    Missing,
    #[error("only `http:` and `https:` addresses are read")]
    Scheme,
    #[error("{0}")]
    Refused(String),
    #[error("nothing is there")]
    Nothing,
    #[error("it did not come: {0}")]
    Away(String),
    #[error("failed to pack it")]
    Pack(#[source] Refusal),
    #[error("failed to keep it")]
    Keep(#[source] io::Error),
}

/// Where sources are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Directory(Utf8PathBuf),
    File(Utf8PathBuf),
    Address(String),
}

/// The directory of a blueprint where its plugins lie.
const PLUGINS: &str = "plugins";

/// What archives are called.
const ENDINGS: [&str; 4] = [".zip", ".tar.gz", ".tgz", ".tar"];

/// What the directory in an archive of ours is called.
const TOP: &str = "source";

/// How many bytes are copied at once.
const PIECE: usize = 256 * 1024;

// === impl Sources ===

impl Sources {
    fn known(&self, place: &Utf8Path) -> Option<Digest> {
        self.made().newest.get(place).copied()
    }

    /// The artifacts that were made, which no row of the store names.
    pub(crate) fn artifacts(&self) -> HashSet<Digest> {
        self.made().all.clone()
    }

    fn note(&self, place: Utf8PathBuf, digest: Digest) {
        let mut made = self.made();
        made.newest.insert(place, digest);
        made.all.insert(digest);
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SourceError ===

impl SourceError {
    /// Says whether another try may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) | Self::Keep(_) => true,
            Self::Pack(refusal) => refusal.flaw.is_of_the_host(),
            Self::Missing | Self::Scheme | Self::Refused(_) | Self::Nothing => false,
        }
    }
}

// === impl Place ===

impl Place {
    /// What is kept under it.
    fn key(&self) -> &Utf8Path {
        match self {
            Self::Directory(path) | Self::File(path) => path,
            Self::Address(address) => Utf8Path::new(address),
        }
    }
}

/// Where a plugin comes from, for people: `plugins/NAME`, or an address.
pub(crate) fn origin(source: &str) -> String {
    let Some((scheme, rest)) = source.split_once("://") else {
        return format!("{PLUGINS}/{source}");
    };
    // Who reads it need not know the password or the token of who wrote it.
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{path}")
}

/// Makes sure that there is an artifact of a plugin's sources, and returns its digest. The first of
/// the blueprints that has them is taken.
pub(crate) async fn artifact(
    home: &Home,
    blueprints: impl Iterator<Item = &Blueprint>,
    source: &str,
) -> Result<Digest, SourceError> {
    let place = place(home, blueprints, source).await?;
    if let Some(digest) = home.sources.known(place.key())
        && home.store.artifacts().path(digest).exists()
    {
        return Ok(digest);
    }
    let key = place.key().to_owned();
    let (data, imports) = (home.data_dir.clone(), std::sync::Arc::clone(&home.imports));
    let archive = spawn_blocking(move || {
        let mut archive = Hashing::new(&data)?;
        match place {
            Place::Directory(path) => {
                pack_tree(&path, TOP, &mut archive).map_err(|mut refusal| {
                    // People know it by its name in the blueprint.
                    refusal.file = path.file_name().unwrap_or_default().into();
                    SourceError::Pack(refusal)
                })?;
            }
            Place::File(path) => {
                let mut file = fs::File::open(path).map_err(SourceError::Keep)?;
                io::copy(&mut file, &mut archive).map_err(SourceError::Keep)?;
            }
            Place::Address(address) => {
                let most = Budget::BLUEPRINT.archive_bytes;
                let fetched = imports.download(&address, most, &mut archive);
                if !fetched.map_err(|unfetched| match unfetched {
                    Unfetched::Refused(why) => SourceError::Refused(why),
                    Unfetched::Away(why) => SourceError::Away(why),
                })? {
                    return Err(SourceError::Nothing);
                }
            }
        }
        Ok(archive)
    });
    let archive = archive.await.map_err(|error| SourceError::Keep(io::Error::other(error)))??;
    let artifact = publish(home, archive).await?;
    home.sources.note(key, artifact.digest);
    Ok(artifact.digest)
}

async fn place(
    home: &Home,
    blueprints: impl Iterator<Item = &Blueprint>,
    source: &str,
) -> Result<Place, SourceError> {
    if let Some((scheme, _)) = source.split_once("://") {
        return match scheme {
            "http" | "https" => Ok(Place::Address(source.to_owned())),
            _ => Err(SourceError::Scheme),
        };
    }
    for blueprint in blueprints {
        let folders = blueprints::folders(home, blueprint).await;
        let folders =
            folders.map_err(|refused| SourceError::Keep(io::Error::other(refused.message)))?;
        if let Some(place) = folders.iter().find_map(|folder| within(folder, source)) {
            return Ok(place);
        }
    }
    Err(SourceError::Missing)
}

/// Finds sources in one folder of a blueprint: a directory first, as Cloudify's manager packs each
/// over the archive of its name (`upload_manager/manager.py`).
fn within(folder: &Utf8Path, source: &str) -> Option<Place> {
    let plugins = folder.join(PLUGINS);
    let named = beneath(&plugins, source).filter(|path| *path != plugins)?;
    if named.is_dir() {
        return Some(Place::Directory(named));
    }
    let archives = ENDINGS.iter().map(|ending| Utf8PathBuf::from(format!("{named}{ending}")));
    std::iter::once(named.clone()).chain(archives).find(|path| path.is_file()).map(Place::File)
}

/// A file that is written, and its digest.
struct Hashing {
    file: std::fs::File,
    hash: Sha256,
    size: u64,
}

// === impl Hashing ===

impl Hashing {
    fn new(folder: &Utf8Path) -> Result<Self, SourceError> {
        let file = camino_tempfile::tempfile_in(folder).map_err(SourceError::Keep)?;
        Ok(Self { file, hash: Sha256::new(), size: 0 })
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Puts an archive among the artifacts.
async fn publish(home: &Home, archive: Hashing) -> Result<Artifact, SourceError> {
    let Hashing { mut file, hash, size } = archive;
    let announced = Announced { digest: Digest(hash.finalize().into()), size };
    let not_kept = |error: waggoner_store::artifact::ArtifactError| {
        SourceError::Keep(io::Error::other(Chain(&error).to_string()))
    };
    file.rewind().map_err(SourceError::Keep)?;
    let mut incoming: Incoming =
        home.store.artifacts().receive(announced).await.map_err(not_kept)?;
    let mut piece = vec![0; PIECE];
    loop {
        // From the page cache, into which it was written just now.
        match file.read(&mut piece).map_err(SourceError::Keep)? {
            0 => break,
            read => incoming.write(&piece[..read]).await.map_err(not_kept)?,
        }
    }
    incoming.finish().await.map_err(not_kept)?.publish().await.map_err(not_kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_stays_though_another_one_was_made_of_its_place() {
        let sources = Sources::default();
        let place = Utf8Path::new("https://site/plugin.zip");
        for number in [1, 2] {
            sources.note(place.to_owned(), Digest([number; 32]));
        }
        assert_eq!(sources.known(place), Some(Digest([2; 32])));
        assert_eq!(sources.artifacts(), [1, 2].map(|number| Digest([number; 32])).into());
    }

    #[test]
    fn sources_are_found_in_the_blueprints_plugins_and_nowhere_else() {
        let folder = camino_tempfile::tempdir().unwrap();
        for directory in ["plugins/tree", "outside"] {
            fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        for file in ["tree.zip", "one.zip", "two.tar.gz", "whole.tgz"] {
            fs::write(folder.path().join("plugins").join(file), "").unwrap();
        }
        let found = |source: &str| match within(folder.path(), source)? {
            Place::Directory(path) => Some(format!("{}/", path.file_name()?)),
            Place::File(path) => path.file_name().map(str::to_owned),
            Place::Address(_) => None,
        };
        for (source, place) in [
            ("tree", Some("tree/")),
            ("tree/", Some("tree/")),
            ("one", Some("one.zip")),
            ("one.zip", Some("one.zip")),
            ("two", Some("two.tar.gz")),
            ("whole", Some("whole.tgz")),
            ("none", None),
            (".", None),
            ("../outside", None),
            ("/etc", None),
        ] {
            assert_eq!(found(source).as_deref(), place, "{source}");
        }
    }
}
