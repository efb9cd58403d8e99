//! What an environment is made of.

use std::fmt;

use camino::Utf8PathBuf;
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;

use crate::Interpreter;

/// What decides an environment's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The plugin's package.
    pub package_name: String,
    /// Its version; empty for sources of which nobody said it.
    pub package_version: String,
    /// Its wagon, or the archive of its sources.
    pub wagon: WagonFile,
    /// Which of them it is.
    pub form: Form,
    /// Wagons whose wheels may be used as well, where the plugin's own has none of a distribution:
    /// one with cloudify-common for a plugin that comes without.
    pub extra_wagons: Vec<WagonFile>,
    /// The tags of the interpreters that the wagon is for. Empty: the wagon is asked.
    pub python_tags: Vec<String>,
    /// Further arguments for pip, as a blueprint gives them.
    pub install_arguments: String,
}

/// What a plugin comes as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    #[default]
    Wagon,
    /// A tar, tar.gz or zip of a directory with a `setup.py` or a `pyproject.toml`.
    Source,
}

/// A wagon, or the archive of a plugin's sources, on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WagonFile {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Its SHA-256, which the caller has checked.
    pub digest: Digest,
}

/// Raised when the way in which environments are built changes, so that none of before is used.
const LAYOUT: u32 = 3;

// === impl EnvironmentSpec ===

impl EnvironmentSpec {
    /// What the environment is asked for by, whatever interpreter will be chosen.
    pub(super) fn key(&self) -> String {
        let mut parts = vec![
            LAYOUT.to_string(),
            self.package_name.clone(),
            self.package_version.clone(),
            self.wagon.digest.to_string(),
        ];
        parts.extend(self.extra_wagons.iter().map(|extra| extra.digest.to_string()));
        parts.push(self.install_arguments.trim().to_owned());
        if self.form == Form::Source {
            parts.push("source".to_owned());
        }
        digest(&parts)
    }

    /// The wagons whose wheels go into it, in the order in which they are asked for a distribution.
    pub(super) fn wagons(&self) -> Vec<WagonFile> {
        let own = (self.form == Form::Wagon).then_some(&self.wagon);
        own.into_iter().chain(&self.extra_wagons).cloned().collect()
    }

    /// The arguments with which those wheels are installed. A blueprint's are for its own plugin,
    /// not for what is there before its sources are built.
    pub(super) fn wheel_arguments(&self) -> &str {
        match self.form {
            Form::Wagon => self.install_arguments.trim(),
            Form::Source => "",
        }
    }

    /// The environment's name with an interpreter: for people in front, exact at the end.
    pub(super) fn name(&self, interpreter: &Interpreter) -> String {
        let digest =
            digest(&[self.key(), interpreter.path.to_string(), interpreter.version.clone()]);
        let plain = |text: &str| -> String {
            let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
            text.chars().filter(fits).take(60).collect()
        };
        let (package, version) = (plain(&self.package_name), plain(&self.package_version));
        let version = if version.is_empty() { "source".to_owned() } else { version };
        format!("{package}-{version}-{}-{}", interpreter.tag, &digest[..16])
    }
}

/// The digest of some texts, told apart.
fn digest(parts: &[String]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(format!("{} {part}\n", part.len()));
    }
    Digest(hasher.finalize().into()).to_string()
}

impl fmt::Display for EnvironmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin `{}`", self.package_name)?;
        match self.package_version.as_str() {
            "" => Ok(()),
            version => write!(f, " {version}"),
        }
    }
}
