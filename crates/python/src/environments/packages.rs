//! What is installed in an environment, as its installer has noted it (PEP 376).

use camino::{Utf8Path, Utf8PathBuf};

/// A distribution that is installed.
#[derive(Debug)]
pub(super) struct Noted {
    /// Where its files are.
    pub(super) packages: Utf8PathBuf,
    /// Its `.dist-info` directory.
    pub(super) notes: Utf8PathBuf,
    pub(super) version: String,
}

/// Lists the directories of packages of an environment.
pub(super) fn site_packages(prefix: &Utf8Path) -> impl Iterator<Item = Utf8PathBuf> {
    let versions = prefix.join("lib").read_dir_utf8().into_iter().flatten().flatten();
    versions.map(|entry| entry.path().join("site-packages"))
}

/// Lists where an environment has a distribution.
pub(super) fn noted(prefix: &Utf8Path, distribution: &str) -> impl Iterator<Item = Noted> {
    let wanted = waggoner_wagon::normalized_name(distribution);
    site_packages(prefix).flat_map(move |packages| {
        let entries = packages.read_dir_utf8().into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| {
            let (name, version) = entry.file_name().strip_suffix(".dist-info")?.rsplit_once('-')?;
            (waggoner_wagon::normalized_name(name) == wanted).then(|| Noted {
                packages: packages.clone(),
                notes: entry.path().to_owned(),
                version: version.to_owned(),
            })
        });
        found.collect::<Vec<_>>()
    })
}
