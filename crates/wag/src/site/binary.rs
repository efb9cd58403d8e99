//! Where the daemons' programs are.

use std::env;

use camino::Utf8PathBuf;

use super::SiteError;

/// Finds a program of ours: in `WAGGONER_BIN_DIR`, beside this one, or in `PATH`.
pub(super) fn find(name: &str) -> Result<Utf8PathBuf, SiteError> {
    let told = env::var("WAGGONER_BIN_DIR").ok().map(Utf8PathBuf::from);
    let beside = own().and_then(|own| Some(own.parent()?.to_owned()));
    let path = env::var("PATH").unwrap_or_default();
    let path = path.split(':').filter(|dir| !dir.is_empty()).map(Utf8PathBuf::from);
    let programs = told.into_iter().chain(beside).chain(path).map(|dir| dir.join(name));
    let found = programs.into_iter().find(|program| program.is_file());
    // The daemons are started in another directory than this one.
    let found = found.and_then(|program| program.canonicalize_utf8().ok());
    found.ok_or_else(|| SiteError::Binary(name.to_owned()))
}

/// This program.
pub(super) fn own() -> Option<Utf8PathBuf> {
    Utf8PathBuf::try_from(env::current_exe().ok()?).ok()
}
