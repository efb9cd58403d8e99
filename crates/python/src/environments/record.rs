//! The records of environments: what is ready, and what it was made of.

use std::{io, time::SystemTime};

use camino::Utf8Path;
use fs_err as fs;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::warn;
use waggoner_types::Digest;

use super::{Environment, Lease, blueprints, packages::site_packages};

/// An environment that is ready, and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// What it was asked for by, whatever interpreter was chosen.
    #[serde(default)]
    pub key: String,
    /// The plugin's package.
    pub package_name: String,
    /// Its version.
    pub package_version: String,
    /// The interpreter's tag.
    pub tag: String,
    /// The interpreter's version.
    pub python_version: String,
    /// The version of cloudify-common in it.
    pub common_version: String,
    /// The digest of the plugin's wagon.
    #[serde(with = "digest")]
    pub wagon: Digest,
    /// The digests of the wheels that it was made of.
    #[serde(with = "digests")]
    pub wheels: Vec<Digest>,
    /// When it was ready.
    pub built_at: Timestamp,
    /// Whether the plugin reads files of its blueprint where a manager of Cloudify's keeps them;
    /// `None` where nobody looked.
    #[serde(default)]
    pub reads_blueprints: Option<bool>,
}

// === impl Installed ===

impl Installed {
    pub(super) fn environment(&self, directory: &Utf8Path, reused: bool) -> Environment {
        let prefix = directory.join(&self.name);
        Environment {
            name: self.name.clone(),
            python: prefix.join("bin/python"),
            has_sdk: has_sdk(&prefix),
            reads_blueprints: self
                .reads_blueprints
                .unwrap_or_else(|| blueprints::are_read(&prefix, &self.package_name)),
            prefix,
            tag: self.tag.clone(),
            common_version: self.common_version.clone(),
            reused,
            lease: Lease::default(),
        }
    }

    /// Makes the environment one: from now on it is found.
    pub(super) fn write(&self, directory: &Utf8Path) -> io::Result<()> {
        let partial = directory.join(format!(".{}.json", self.name));
        let text = serde_json::to_vec_pretty(self).expect("it is plain data");
        fs::write(partial.as_std_path(), text)?;
        fs::rename(partial.as_std_path(), directory.join(format!("{}.json", self.name)))
    }
}

/// Says whether Cloudify's SDK is in the environment of a directory.
fn has_sdk(prefix: &Utf8Path) -> bool {
    site_packages(prefix).any(|packages| packages.join("cloudify_common_sdk").is_dir())
}

/// Returns the record of an environment, if it is ready.
pub(super) fn read(directory: &Utf8Path, name: &str) -> Option<Installed> {
    let path = directory.join(format!("{name}.json"));
    let text = fs::read(path.as_std_path()).ok()?;
    match serde_json::from_slice::<Installed>(&text) {
        Ok(installed) if directory.join(name).join("bin/python").exists() => Some(installed),
        Ok(_) => {
            warn!(%name, "an environment lost its interpreter and is built again");
            None
        }
        Err(error) => {
            warn!(%path, %error, "the record of an environment is damaged: it is built again");
            None
        }
    }
}

pub(super) fn list(directory: &Utf8Path) -> io::Result<Vec<Installed>> {
    let entries = match directory.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(name) = entry.file_name().strip_suffix(".json").filter(|n| !n.starts_with('.'))
        {
            found.extend(read(directory, name));
        }
    }
    found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(found)
}

/// Returns the newest environment that was asked for by this key, if one is ready.
pub(super) fn find(directory: &Utf8Path, key: &str) -> io::Result<Option<Installed>> {
    let all = list(directory)?.into_iter();
    Ok(all.filter(|installed| installed.key == key).max_by_key(|installed| installed.built_at))
}

/// Notes that an environment is used now.
pub(super) fn touch(directory: &Utf8Path, name: &str) {
    let path = directory.join(format!("{name}.json"));
    let file = fs::OpenOptions::new().append(true).open(path.as_std_path());
    let touched = file.and_then(|file| file.file().set_modified(SystemTime::now()));
    if let Err(error) = touched {
        warn!(%name, %error, "it is not noted that an environment is used");
    }
}

/// Returns when an environment was last used.
pub(super) fn used_at(directory: &Utf8Path, installed: &Installed) -> Timestamp {
    let path = directory.join(format!("{}.json", installed.name));
    let modified = fs::metadata(path.as_std_path()).and_then(|metadata| metadata.modified());
    let used_at = modified.ok().and_then(|modified| Timestamp::try_from(modified).ok());
    used_at.unwrap_or(installed.built_at)
}

/// Returns the names of the directories that have no record.
pub(super) fn without(directory: &Utf8Path) -> io::Result<Vec<String>> {
    let entries = match directory.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && read(directory, entry.file_name()).is_none() {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Makes an environment none: from now on it is not found.
pub(super) fn forget(directory: &Utf8Path, name: &str) -> io::Result<()> {
    unless_gone(fs::remove_file(directory.join(format!("{name}.json")).as_std_path()))
}

/// The same as [`remove`], where it blocks nobody.
pub(super) async fn clear(directory: &Utf8Path, name: &str) -> io::Result<()> {
    let (directory, name) = (directory.to_owned(), name.to_owned());
    spawn_blocking(move || remove(&directory, &name)).await.map_err(io::Error::other)?
}

/// Removes an environment: its record first, so that it is none before its files go.
pub(super) fn remove(directory: &Utf8Path, name: &str) -> io::Result<()> {
    forget(directory, name)?;
    unless_gone(fs::remove_dir_all(directory.join(name).as_std_path()))
}

fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

mod digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use waggoner_types::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(digest)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digest, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

mod digests {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use waggoner_types::Digest;

    pub(super) fn serialize<S: Serializer>(digests: &[Digest], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(digests.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Digest>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_that_does_not_say_whether_blueprints_are_read_leaves_it_to_the_files() {
        let directory = Utf8TempDir::new().unwrap();
        let packages = directory.path().join("play-1.0/lib/python3.11/site-packages");
        fs::create_dir_all(packages.join("play-1.0.dist-info")).unwrap();
        fs::write(packages.join("play-1.0.dist-info/RECORD"), "play.py,,\n").unwrap();
        fs::write(packages.join("play.py"), "'/opt/manager/resources/blueprints/a'\n").unwrap();
        let mut record = json!({
            "name": "play-1.0", "package_name": "play", "package_version": "1.0", "tag": "py311",
            "python_version": "3.11.7", "common_version": "7.0.5", "wagon": "0".repeat(64),
            "wheels": [], "built_at": "2026-01-01T00:00:00Z",
        });
        for (said, expected) in [(None, true), (Some(false), false), (Some(true), true)] {
            if let Some(said) = said {
                record["reads_blueprints"] = json!(said);
            }
            let installed = serde_json::from_value::<Installed>(record.clone()).unwrap();
            assert_eq!(installed.environment(directory.path(), true).reads_blueprints, expected);
        }
    }
}
