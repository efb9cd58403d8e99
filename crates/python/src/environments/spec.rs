//! What an environment is made of.

use std::fmt;

use camino::Utf8PathBuf;
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;
use waggoner_wagon::{Budget, Wagon};

use super::EnvironmentError;
use crate::Interpreter;

/// What decides an environment's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The plugin's package.
    pub package_name: String,
    /// Its version.
    pub package_version: String,
    /// Its wagon.
    pub wagon: WagonFile,
    /// Wagons whose wheels may be used as well, where the plugin's own has none of a distribution:
    /// one with cloudify-common for a plugin that comes without.
    pub extra_wagons: Vec<WagonFile>,
    /// The tags of the interpreters that the wagon is for. Empty: the wagon is asked.
    pub python_tags: Vec<String>,
    /// Further arguments for pip, as a blueprint gives them.
    pub install_arguments: String,
}

/// A wagon on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WagonFile {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its SHA-256, which the caller has checked.
    pub digest: Digest,
}

/// Raised when the way in which environments are built changes, so that none of before is used.
const LAYOUT: u32 = 2;

// === impl EnvironmentSpec ===

impl EnvironmentSpec {
    /// The environment's name with an interpreter: for people in front, exact at the end.
    pub(super) fn name(&self, interpreter: &Interpreter) -> String {
        let mut hasher = Sha256::new();
        let mut part = |text: &str| hasher.update(format!("{} {text}\n", text.len()));
        part(&LAYOUT.to_string());
        part(&self.package_name);
        part(&self.package_version);
        part(&self.wagon.digest.to_string());
        for extra in &self.extra_wagons {
            part(&extra.digest.to_string());
        }
        part(interpreter.path.as_str());
        part(&interpreter.version);
        part(self.install_arguments.trim());
        let digest = Digest(hasher.finalize().into()).to_string();
        let plain = |text: &str| -> String {
            let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
            text.chars().filter(fits).take(60).collect()
        };
        let (package, version) = (plain(&self.package_name), plain(&self.package_version));
        format!("{package}-{version}-{}-{}", interpreter.tag, &digest[..16])
    }

    /// Opens one of the wagons, in a thread of its own.
    pub(super) async fn open(&self, file: &WagonFile) -> Result<Wagon, EnvironmentError> {
        let path = file.path.clone();
        tokio::task::spawn_blocking(move || Wagon::open(&path, &Budget::WAGON))
            .await
            .expect("reading a wagon does not panic")
            .map_err(|source| EnvironmentError::Wagon { package: self.to_string(), source })
    }
}

impl fmt::Display for EnvironmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin `{}` {}", self.package_name, self.package_version)
    }
}
