//! What `wag up` made, so that `wag down` takes back that and no more.

use std::io;

use serde::{Deserialize, Serialize};

use super::{Site, SiteError};

/// The file's name in the data directory.
const FILE: &str = "wag.json";

/// What was made, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Whether the data directory was made here, so that it may be removed.
    #[serde(default)]
    pub owns_directory: bool,
    pub deployments: Vec<Deployed>,
}

/// A deployment that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployed {
    pub tenant: String,
    pub deployment: String,
    pub blueprint: String,
}

// === impl Made ===

impl Made {
    pub(crate) fn read(site: &Site) -> Result<Self, SiteError> {
        let path = site.dir().join(FILE);
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|source| SiteError::Made { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(site.unprepared(source)),
        }
    }

    /// Remembers a deployment.
    pub(crate) fn add(site: &Site, deployed: Deployed) -> Result<(), SiteError> {
        let mut made = Self::read(site)?;
        if !made.deployments.contains(&deployed) {
            made.deployments.push(deployed);
            made.write(site).map_err(|source| site.unprepared(source))?;
        }
        Ok(())
    }

    /// Forgets a deployment, and returns what is left.
    pub(crate) fn remove(site: &Site, deployed: &Deployed) -> Result<Self, SiteError> {
        let mut made = Self::read(site)?;
        made.deployments.retain(|one| one != deployed);
        made.write(site).map_err(|source| site.unprepared(source))?;
        Ok(made)
    }

    pub(super) fn write(&self, site: &Site) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("text is JSON");
        let path = site.dir().join(FILE);
        let new = site.dir().join(".wag.json.new");
        fs_err::write(&new, text)?;
        fs_err::rename(&new, &path)
    }
}
