//! Where the manager is and who asks: the file that a manager writes on its first start.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::{cli::Global, error::Exit};

/// What a profile says.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Profile {
    /// The manager's `host:port`.
    pub address: String,
    /// The certificates that the manager's has to be signed by, PEM.
    pub ca_pem: String,
    /// The API token.
    #[serde(deserialize_with = "secret")]
    pub token: SecretString,
    /// The tenant to act in, unless another is asked for.
    #[serde(default)]
    pub tenant: String,
}

/// Which manager a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one of this profile.
    Profile(Utf8PathBuf),
    /// The one that runs on this host under this data directory.
    DataDir(Utf8PathBuf),
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    #[error("failed to find a data directory: none of HOME, XDG_DATA_HOME is set")]
    Homeless,
    #[error("failed to find a manager: there is no profile `{0}`")]
    Absent(Utf8PathBuf),
    #[error("failed to read the profile")]
    Read(#[source] io::Error),
    #[error("failed to read the profile `{path}`")]
    Parse {
        path: Utf8PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

// === impl Profile ===

impl Profile {
    /// Reads a profile.
    pub(crate) fn read(path: &Utf8Path) -> Result<Self, ProfileError> {
        let text = fs_err::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ProfileError::Absent(path.to_owned()),
            _ => ProfileError::Read(source),
        })?;
        serde_json::from_str(&text)
            .map_err(|source| ProfileError::Parse { path: path.to_owned(), source })
    }
}

// === impl Target ===

impl Target {
    /// Decides which manager is meant: what was typed wins over the environment, and in each a
    /// profile over a data directory.
    pub(crate) fn choose(
        global: &Global,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProfileError> {
        let env = |name| env(name).filter(|value| !value.is_empty()).map(Utf8PathBuf::from);
        let typed = global.profile.clone().map(Self::Profile);
        let typed = typed.or_else(|| global.data_dir.clone().map(Self::DataDir));
        let set = || env("WAGGONER_PROFILE").map(Self::Profile);
        let set = || set().or_else(|| env("WAGGONER_DATA_DIR").map(Self::DataDir));
        let usual = || {
            let data = env("XDG_DATA_HOME").filter(|dir| dir.is_absolute());
            let data = data.or_else(|| Some(env("HOME")?.join(".local/share")));
            data.map(|data| Self::DataDir(data.join("waggoner")))
        };
        typed.or_else(set).or_else(usual).ok_or(ProfileError::Homeless)
    }

    /// The profile's file.
    pub(crate) fn profile(&self) -> Utf8PathBuf {
        match self {
            Self::Profile(path) => path.clone(),
            Self::DataDir(dir) => dir.join("profile.json"),
        }
    }
}

// === impl ProfileError ===

impl ProfileError {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Absent(_) => Exit::Unreachable,
            Self::Homeless | Self::Read(_) | Self::Parse { .. } => Exit::Failed,
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Homeless => Some("name one with --data-dir"),
            Self::Absent(_) => Some("`wag up` starts a manager; --profile names that of another"),
            Self::Read(_) | Self::Parse { .. } => None,
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `typed` is (--profile, --data-dir); `env` is what is set.
    fn chosen(typed: (Option<&str>, Option<&str>), env: &[(&str, &str)]) -> Option<String> {
        let global = Global {
            profile: typed.0.map(Into::into),
            data_dir: typed.1.map(Into::into),
            ..Global::default()
        };
        let env = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Target::choose(&global, env).ok().map(|target| target.profile().into_string())
    }

    #[test]
    fn what_was_typed_wins_over_the_environment_and_a_profile_over_a_directory() {
        let all = [
            ("WAGGONER_PROFILE", "/e/p.json"),
            ("WAGGONER_DATA_DIR", "/e"),
            ("XDG_DATA_HOME", "/x"),
            ("HOME", "/h"),
        ];
        let found = |typed, env| chosen(typed, env).unwrap();
        assert_eq!(found((Some("t.json"), Some("/t")), &all), "t.json");
        assert_eq!(found((None, Some("/t")), &all), "/t/profile.json");
        assert_eq!(found((None, None), &all), "/e/p.json");
        assert_eq!(found((None, None), &all[1..]), "/e/profile.json");
        assert_eq!(found((None, None), &all[2..]), "/x/waggoner/profile.json");
        assert_eq!(found((None, None), &all[3..]), "/h/.local/share/waggoner/profile.json");
        assert_eq!(chosen((None, None), &[]), None);
    }

    #[test]
    fn empty_and_relative_directories_of_the_environment_do_not_count() {
        let env = [("WAGGONER_PROFILE", ""), ("XDG_DATA_HOME", "x"), ("HOME", "/h")];
        let found = chosen((None, None), &env).unwrap();
        assert_eq!(found, "/h/.local/share/waggoner/profile.json");
    }

    #[test]
    fn a_profile_is_read_and_its_token_is_not_shown() {
        let dir = camino_tempfile::tempdir().unwrap();
        let path = dir.path().join("profile.json");
        assert!(matches!(Profile::read(&path), Err(ProfileError::Absent(_))));
        fs_err::write(&path, r#"{"address": 1}"#).unwrap();
        assert!(matches!(Profile::read(&path), Err(ProfileError::Parse { .. })));
        let text = r#"{"address":"127.0.0.1:1","ca_pem":"","token":"wgt_x","tenant":"t"}"#;
        fs_err::write(&path, text).unwrap();
        let profile = Profile::read(&path).unwrap();
        assert_eq!((profile.address.as_str(), profile.tenant.as_str()), ("127.0.0.1:1", "t"));
        assert!(!format!("{profile:?}").contains("wgt_x"));
    }
}
